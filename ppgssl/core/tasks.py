"""What travels to the processes that work on tasks: values that all tasks need, and how far each task has come.

Both go through files in a folder that all processes see, so that they serve processes of this machine and of others
alike, hold large arrays once for all processes of a machine, and are unharmed by a process that is killed.
"""

from __future__ import annotations

import io
import json
import os
import pickle
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import lru_cache
from itertools import count
from pathlib import Path
from shutil import rmtree
from typing import Any

import numpy as np

from ppgssl.core.interrupts import postponed_interrupt
from ppgssl.core.provenance import write_atomically

_FILE_BYTES = 1_000_000
_LOOK_S = 0.2


class _Pickler(pickle.Pickler):
    """Makes paths absolute, and puts large arrays into files of their own."""

    def __init__(self, file: Any, folder: Path | None) -> None:
        super().__init__(file, protocol=pickle.HIGHEST_PROTOCOL)
        self._folder, self._numbers = folder, count()

    def reducer_override(self, value: Any) -> Any:
        if isinstance(value, Path):
            return type(value), (os.path.abspath(value),)
        is_large = type(value) in (np.ndarray, np.memmap) and value.nbytes > _FILE_BYTES and not value.dtype.hasobject
        if self._folder is None or not is_large:
            return NotImplemented
        file = self._folder / f"{next(self._numbers)}.npy"
        np.save(file, value)
        return _read_array, (os.path.abspath(file),)


def _read_array(file: str) -> np.ndarray:
    """The array in a file; processes of one machine share its memory."""
    array: np.ndarray = np.load(file, mmap_mode="r")
    return array


def packed(value: Any) -> bytes:
    """A small value as bytes that mean the same in another process, on this machine or another."""
    buffer = io.BytesIO()
    _Pickler(buffer, None).dump(value)
    return buffer.getvalue()


def write_values(values: tuple[Any, ...], folder: Path) -> Path:
    """Write values that all tasks need; the file that :func:`work` reads them from."""
    with (folder / "values").open("wb") as file:
        _Pickler(file, folder).dump(values)
    return (folder / "values").absolute()


@lru_cache(maxsize=1)
def _values(file: Path) -> tuple[Any, ...]:
    with file.open("rb") as opened:
        values: tuple[Any, ...] = pickle.load(opened)
    return values


class Stopped:
    """In place of a result: the task was asked to stop, and has saved what it had."""


def work(
    function: Callable[..., Any], task: Any, values: Path | None, n_threads: int, steps: StepsFile | None = None
) -> Any:
    """Work on one task in a process of its own."""
    limit_threads(n_threads)
    if steps is None:
        return function(task, *(_values(values) if values else ()))
    try:
        steps.check()
        return function(task, *(_values(values) if values else ()), steps)
    except KeyboardInterrupt:
        return Stopped()


def limit_threads(n_threads: int) -> None:
    """Let PyTorch, where it is in use, have this many threads; other libraries read the environment when they start."""
    if (torch := sys.modules.get("torch")) is not None:
        torch.set_num_threads(n_threads)


@dataclass(frozen=True)
class StepsFile:
    """The Progress of one task: a file that is replaced at each call, and whose folder is removed to stop the task."""

    file: Path

    def __call__(self, done: int, _total: int, text: str = "") -> None:
        try:
            write_atomically(self.file, json.dumps([done, text]))
        except FileNotFoundError:
            raise KeyboardInterrupt from None

    def check(self) -> None:
        """Raise KeyboardInterrupt if the task shall stop."""
        if not self.file.parent.is_dir():
            raise KeyboardInterrupt


class StepsFolder:
    """Where tasks write how far they are; passes the sums on, and stops the tasks at Ctrl-C.

    ``report`` is called with the number of a task, its steps done and its text, when they have changed.
    """

    def __init__(self, folder: Path, n_tasks: int, report: Callable[[int, int, str], None]) -> None:
        folder.mkdir()
        self._folder, self._report, self._last = folder, report, [""] * n_tasks
        self.files = [StepsFile((folder / f"{number}.json").absolute()) for number in range(n_tasks)]

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Report while the block runs. Ctrl-C stops the tasks, and is raised after the block; a second one at once."""
        ended = threading.Event()
        raised: list[BaseException] = []

        def watch() -> None:
            while not ended.wait(_LOOK_S):
                if is_interrupted():
                    self._stop()
                    return
                self._pass_on(raised)

        with postponed_interrupt() as is_interrupted:
            watcher = threading.Thread(target=watch, daemon=True)
            watcher.start()
            try:
                yield
            finally:
                ended.set()
                watcher.join()
        if is_interrupted():
            raise KeyboardInterrupt
        self._pass_on(raised)
        if raised:
            raise raised[0]

    def _stop(self) -> None:
        # Renamed first, which is one step: a folder that is being emptied stays if a task writes into it meanwhile, and
        # the task would never hear that it shall stop.
        stopped = self._folder.with_name(f"{self._folder.name}-stopped")
        while self._folder.exists():
            with suppress(OSError):  # on Windows, while a task has its file open
                self._folder.rename(stopped)
        rmtree(stopped, ignore_errors=True)

    def _pass_on(self, raised: list[BaseException]) -> None:
        for number, steps in enumerate(self.files):
            with suppress(OSError):
                text = steps.file.read_text(encoding="utf-8")
                if text == self._last[number] or raised:
                    continue
                self._last[number] = text
                try:
                    self._report(number, *json.loads(text))
                except BaseException as error:  # of the caller's own function, in a thread that nobody hears
                    raised.append(error)
                    self._stop()
