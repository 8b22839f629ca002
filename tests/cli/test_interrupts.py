"""Ctrl-C at any moment: one line, no traceback, no process left, and the next run goes on."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from tests.stages.test_pretrain import write_study
from tests.support.processes import started

LINE = "interrupted: what was finished is kept; run the same command again to go on"
# The line comes when Python has started, whose own start answers Ctrl-C with a traceback. What a shell starts in the
# background ignores Ctrl-C, and so would these.
PROGRAM = (
    "import os, signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); "
    "from ppgssl.cli.app import main; os.write(2, b'started\\n'); sys.argv[0] = 'ppgssl'; main()"
)
N_TRIES = int(os.environ.get("PPGSSL_TEST_INTERRUPTS", "7"))


def run(arguments: list[str], stop_after_s: float | None = None) -> tuple[int, list[str], float, set[int]]:
    """Exit code, lines on stderr but progress, seconds, and the processes that are still there when all should end."""
    command = [sys.executable, "-c", PROGRAM, *arguments]
    with started(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr.readline() == "started\n"
        begin = time.monotonic()
        if stop_after_s is not None:
            try:
                process.wait(stop_after_s)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to all processes
        lines = [line.rstrip("\n") for line in process.stderr if " left" not in line and line.strip()]
        code = process.wait(120)
        process.stderr.close()
        return code, lines, time.monotonic() - begin, members(process.pid)


def members(session: int, within_s: float = 10.0) -> set[int]:
    """Processes of a session that are left after a while."""
    end = time.monotonic() + within_s
    while True:
        found = {one.pid for one in psutil.process_iter() if is_of(one.pid, session)}
        if not found or time.monotonic() > end:
            return found
        time.sleep(0.1)


def is_of(pid: int, session: int) -> bool:
    try:
        return os.getsid(pid) == session and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except (ProcessLookupError, psutil.NoSuchProcess):
        return False


@pytest.mark.slow
@pytest.mark.parametrize("command", ["ingest", "pretrain", "evaluate"])
def test_ctrl_c_at_a_random_moment_is_one_line_and_the_next_run_goes_on(tiny_study, tmp_path, command):
    study = write_study(tiny_study, tmp_path, arms=["covariates", "ssl-labelled"], pretraining__n_steps=60)
    out = tmp_path / "run"
    if command == "evaluate":
        assert run(["pretrain", str(study)])[0] == 0
    arguments = {
        "ingest": ["ingest", str(tiny_study.file.parent / "labelled.yaml"), "--out", str(tmp_path / "store")],
        "pretrain": ["pretrain", str(study)],
        "evaluate": ["evaluate", str(study)],
    }[command] + ["--jobs", "2"]
    made = {"ingest": [tmp_path / "store"], "pretrain": [out / "encoders"], "evaluate": [out / "predictions"]}[command]

    def forget() -> None:
        for path in [*made, *([out / "run.json"] if command == "evaluate" else [])]:
            shutil.rmtree(path, ignore_errors=True)
            path.unlink(missing_ok=True) if path.is_file() else None

    code, lines, duration_s, left = run(arguments)
    assert (code, left) == (0, set()), lines
    forget()
    draw = random.Random(command)
    outcomes = {"interrupted": 0, "finished": 0}
    for _ in range(N_TRIES):
        code, lines, _, left = run(arguments, stop_after_s=draw.uniform(0, duration_s))
        text = "\n".join(lines)
        assert "Traceback" not in text, text
        assert not left, f"processes left behind: {left}\n{text}"
        if code in (0, -signal.SIGINT):  # it was done before
            outcomes["finished"] += 1
            assert LINE not in lines
            forget()
            continue
        assert (code, lines) == (1, [LINE]), text
        outcomes["interrupted"] += 1
        if draw.random() < 0.5:
            forget()
        print(command, outcomes, flush=True)
    code, lines, _, _ = run(arguments)
    assert code == 0, lines
    assert not list(Path(tmp_path).rglob(".workers-*"))
