"""The command line as a process that can be starved and killed.

To save the time of importing everything for each command, its process is forked from one that has done so, and that
has started no thread and opened no store.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.conftest import REPOSITORY

_SERVER = """
import gc, json, os, resource, signal, sys, threading, time

import ppgssl.stages.ingest.ingest, ppgssl.stages.inspect
if len(sys.argv) > 1:
    import ppgssl.stages.pretrain
from ppgssl.stages.ingest import file_tasks, ingest
from ppgssl.core import cluster
from ppgssl.cli.app import main

gc.freeze()  # or each process would copy and release all that was imported
for line in sys.stdin:
    job = json.loads(line)
    child = os.fork()
    if not child:
        os.setsid()
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        for number, path in ((1, job["out"]), (2, job["err"])):
            os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
        break
    status, usage = os.wait4(child, 0)[1:]
    print(json.dumps([os.waitstatus_to_exitcode(status), usage.ru_maxrss / 1000]), flush=True)
else:
    sys.exit()

def die(after_s):
    time.sleep(after_s)
    os.killpg(0, signal.SIGKILL)

if job["kill_after_s"] is not None:
    threading.Thread(target=die, args=(job["kill_after_s"],), daemon=True).start()
if job["most_bytes"] is not None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (job["most_bytes"],) * 2)
exec(job["before"])
sys.argv = ["ppgssl", *job["arguments"]]
main()
"""


@dataclass(frozen=True)
class Done:
    """Exit code and output of a command, and the peak memory of its main process."""

    code: int
    stdout: str
    stderr: str
    peak_mb: float

    @property
    def summary(self) -> dict[str, Any]:
        assert self.code == 0, self.stderr
        return dict(json.loads(self.stdout))

    @property
    def error(self) -> str:
        """The one message of a command that failed: no traceback, and nothing of a panic without its reason."""
        assert self.code in (1, 2), (self.code, self.stderr)
        assert "Traceback" not in self.stderr
        reason = "If a line above reports that a thread panicked: this is why"
        assert "panicked" not in self.stderr or reason in self.stderr
        message = self.stderr[self.stderr.index("error: ") :]
        assert message.count("error: ") == 1
        return message


class CommandLine:
    def __init__(self, folder: Path, process: subprocess.Popen[str]) -> None:
        self.outputs = {"out": folder / "stdout", "err": folder / "stderr"}
        self.process = process

    def __call__(
        self, *arguments: object, before: str = "", kill_after_s: float | None = None, most_bytes: int | None = None
    ) -> Done:
        """Run a command; ``before`` is a program that its process runs first."""
        job = {"before": before, "kill_after_s": kill_after_s, "most_bytes": most_bytes}
        job |= {"arguments": [*map(str, arguments)], **{name: str(path) for name, path in self.outputs.items()}}
        print(json.dumps(job), file=self.process.stdin, flush=True)
        code, peak_mb = json.loads(self.process.stdout.readline())  # type: ignore[union-attr]
        return Done(code, *(path.read_text() for path in self.outputs.values()), peak_mb)

    def ingest(self, cohort_file: Path, store: Path, *, jobs: int = 1, **how: Any) -> Done:
        return self("ingest", cohort_file, "--out", store, "--jobs", jobs, "--json", **how)


@contextmanager
def command_line(folder: Path, *, with_torch: bool = False) -> Iterator[CommandLine]:
    """Commands whose output goes through files in ``folder``; of those that need torch, with torch in memory."""
    command = [sys.executable, "-c", _SERVER, *(["torch"] if with_torch else [])]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    with subprocess.Popen(command, cwd=REPOSITORY, env=environment, **pipes) as process:
        yield CommandLine(folder, process)


def session_of(pid: int) -> list[int]:
    """Processes that the process with this number and its children have started."""
    listed = subprocess.run(["ps", "-o", "pid=", "-s", str(pid)], capture_output=True, text=True, check=False)
    return [int(number) for number in listed.stdout.split()]


def wait_for(is_so: Callable[[], bool], most_s: float = 60.0) -> None:
    deadline = time.monotonic() + most_s
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.1)
