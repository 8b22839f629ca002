"""Progress of a command on stderr: a bar with the time left where a person watches, lines where a log does."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ppgssl.core.parallel import Progress as Report


@contextmanager
def progress_bar(title: str) -> Iterator[Report]:
    """A bar with rate and time left where a person watches; a line now and then where a log does."""
    if not sys.stderr.isatty():
        yield _log_lines(title)
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = [
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[text]}"),
    ]
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(title, total=None, text="", rate="")

        def advance(done: int, total: int, text: str = "", /) -> None:
            speed = bar.tasks[0].speed
            bar.update(task, completed=done, total=total, text=text, rate=f"{speed:.3g}/s" if speed else "")

        yield advance


def _log_lines(title: str) -> Report:
    """Progress as lines, at each tenth."""
    started, last = time.monotonic(), 0

    def advance(done: int, total: int, text: str = "", /) -> None:
        nonlocal last
        tenth = 10 * done // max(total, 1)
        if tenth <= last:
            return
        last, elapsed = tenth, time.monotonic() - started
        rate, left = done / max(elapsed, 1e-9), elapsed * (total - done) / max(done, 1)
        line = f"{title}: {done}/{total}, {rate:.3g}/s, {elapsed:.0f} s, about {left:.0f} s left"
        print(f"{line}  {text}" if text else line, file=sys.stderr, flush=True)

    return advance
