"""Progress of a command on stderr: a bar with the time left where a person watches, lines where a log does."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ppgssl.core.parallel import Progress as Report


@contextmanager
def progress_bar(title: str) -> Iterator[Report]:
    """A bar with rate and time left where a person watches; a line now and then where a log does."""
    if not sys.stderr.isatty():
        yield _LogLines(title)
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
        _rate_column(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[text]}"),
    ]
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(title, total=None, text="")

        def advance(done: int, total: int, text: str = "", /) -> None:
            bar.update(task, completed=done, total=total, text=text)

        yield advance


def _rate_column() -> Any:
    from rich.progress import ProgressColumn, Task
    from rich.text import Text

    class RateColumn(ProgressColumn):
        def render(self, task: Task) -> Text:
            return Text(f"{task.speed:.3g}/s" if task.speed else "")

    return RateColumn()


class _LogLines:
    """Progress as lines, at each tenth."""

    def __init__(self, title: str) -> None:
        import time

        self.title, self.clock, self.started, self.tenth = title, time.monotonic, time.monotonic(), 0

    def __call__(self, done: int, total: int, text: str = "", /) -> None:
        tenth = 10 * done // max(total, 1)
        if tenth <= self.tenth:
            return
        self.tenth = tenth
        elapsed = self.clock() - self.started
        left = elapsed * (total - done) / max(done, 1)
        note = f"  {text}" if text else ""
        print(
            f"{self.title}: {done}/{total}, {done / max(elapsed, 1e-9):.3g}/s, {elapsed:.0f} s, "
            f"about {left:.0f} s left{note}",
            file=sys.stderr,
            flush=True,
        )
