"""Libraries that read files: what they raise on damaged ones, and, isolated in another process, those that crash.

One such process serves all files that this one reads. If a file ends it, the next file gets a new one.
"""

from __future__ import annotations

import atexit
import json
import os
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np

from ppgssl.core.errors import ReadError
from ppgssl.core.text import Message
from ppgssl.readers import isolated_child
from ppgssl.readers.raw_files import file_size, in_words

# What reading a file may take: a damaged header asks for any amount. Packed files unpack to about ten times their size.
_MEMORY_BYTES = 1_500_000_000
_MEMORY_PER_BYTE = 40
_SECONDS = 60.0
_SECONDS_PER_BYTE = 1e-6
# Threads of a linear algebra library, which nothing here needs, would reserve memory; plug-ins of HDF5 are programs.
_ENVIRONMENT = {
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "HDF5_PLUGIN_PRELOAD": "::",
}


class LibraryError(Exception):
    """A library cannot read a file; ``reason`` is its own text, or a Message of how it ended."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


@contextmanager
def guarded(path: Path, kind: Message) -> Iterator[None]:
    """Turn all that a damaged file can make a library raise into a ReadError; ``kind`` is for example "an EDF file"."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except ReadError:
        raise
    except (FileNotFoundError, PermissionError):
        with in_words(path):
            raise
    except Exception as error:
        own = Message("{error}: {text}", error=type(error), text=str(error)[:200])
        reason = error.reason if isinstance(error, LibraryError) else own
        problem = "damaged, or not {kind} ({reason}). Copy it again from its source."
        raise ReadError(path, problem, kind=kind, reason=reason) from None


class _Process:
    """The other process; ``owner`` is the id of this one, which a fork of this one does not share."""

    def __init__(self) -> None:
        # It finds the same packages as this process; -P: and nothing in its own folder.
        environment = os.environ | _ENVIRONMENT | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        self.owner = os.getpid()
        self.popen = subprocess.Popen(
            [sys.executable, "-P", isolated_child.__file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
        )

    @property
    def is_usable(self) -> bool:
        return self.owner == os.getpid() and self.popen.poll() is None

    def ask(self, question: dict[str, Any], seconds: float) -> Any:
        latest = time.monotonic() + seconds
        timer = threading.Timer(seconds, self.popen.kill)
        timer.start()
        try:
            return self._answer(json.dumps(question).encode())
        except (BrokenPipeError, EOFError):
            code = self.popen.wait()
            if time.monotonic() >= latest:
                raise LibraryError(Message("reading it takes too long")) from None
            how = Message("it crashes the reader, signal {n}", n=-code) if code < 0 else Message("the reader failed")
            raise LibraryError(how) from None
        finally:
            timer.cancel()

    def _answer(self, question: bytes) -> Any:
        assert self.popen.stdin is not None
        assert self.popen.stdout is not None
        self.popen.stdin.write(question + b"\n")
        self.popen.stdin.flush()
        line = self.popen.stdout.readline()
        if not line.endswith(b"\n"):
            raise EOFError
        answer = json.loads(line)
        if "shape" not in answer:
            return answer
        content = self.popen.stdout.read(answer["n_bytes"])
        if len(content) < answer["n_bytes"]:
            raise EOFError
        return {"result": np.frombuffer(content, answer["dtype"]).reshape(answer["shape"])}

    def end(self) -> None:
        if self.owner == os.getpid():
            self.popen.kill()
            self.popen.wait()
        for pipe in (self.popen.stdin, self.popen.stdout):
            with suppress(OSError):
                pipe.close()  # type: ignore[union-attr]


_lock = threading.Lock()
_process: _Process | None = None


def call(function: str, path: Path, *arguments: Any) -> Any:
    """Result of a function of ``isolated_child``: plain values or an array.

    LibraryError if the library fails, crashes, or takes too much memory or time; ReadError as
    :func:`~ppgssl.readers.raw_files.file_size`.
    """
    global _process
    n_bytes = file_size(path)
    question = {
        "function": function,
        "arguments": [str(path), *arguments],
        "max_bytes": _MEMORY_BYTES + _MEMORY_PER_BYTE * n_bytes,
    }
    with _lock:
        if _process is None or not _process.is_usable:
            end_process()
            _process = _Process()
        try:
            answer = _process.ask(question, _SECONDS + _SECONDS_PER_BYTE * n_bytes)
        except BaseException:  # Ctrl-C too: what is left of an answer would be taken for the next one.
            end_process()
            raise
    if "error" in answer:
        raise LibraryError(answer["error"])
    return answer["result"]


def end_process() -> None:
    """End the process, if there is one."""
    global _process
    if _process is not None:
        _process.end()
    _process = None


atexit.register(end_process)
