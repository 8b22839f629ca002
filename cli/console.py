"""What all commands print alike: progress with time left on stderr, a summary at the end on stdout."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Protocol

import typer

from ppgssl.core.reasons import Reason

if TYPE_CHECKING:
    import pandas as pd

DataOption = Annotated[
    Path | None,
    typer.Option("--data", help="Folder of raw data: the value of ${PPGSSL_DATA} in cohort.yaml.", show_default=False),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print the summary as JSON, for machines.")]
JobsOption = Annotated[int, typer.Option("--jobs", help="Processes side by side; -1 is one a core.")]
OutOption = Annotated[
    Path | None, typer.Option("--out", help="Folder of the study's outputs, instead of `out` in study.yaml.")
]


class Advance(Protocol):
    def __call__(self, done: int, total: int, text: str = "") -> None: ...


def set_data_folder(folder: Path | None) -> None:
    """Let ``${PPGSSL_DATA}`` in cohort descriptions mean this folder."""
    if folder is not None:
        os.environ["PPGSSL_DATA"] = str(folder.resolve())


@contextmanager
def progress_bar(title: str) -> Iterator[Advance]:
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

        def advance(done: int, total: int, text: str = "") -> None:
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

    def __call__(self, done: int, total: int, text: str = "") -> None:
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


def print_summary(summary: dict[str, Any], *, as_json: bool, next_command: str = "") -> None:
    """Print what a command did: lines for people, or one JSON object."""
    if as_json:
        typer.echo(json.dumps(summary, default=str, ensure_ascii=False))
        return
    width = max(map(len, summary), default=0)
    for key, value in summary.items():
        if not isinstance(value, list | dict):
            typer.echo(f"{key.replace('_', ' '):<{width}}  {value}")
    if next_command:
        typer.echo(f"next: {next_command}")


def print_warnings(warnings: Iterable[str]) -> None:
    """Print what went wrong without stopping the command, on stderr."""
    for warning in warnings:
        print(f"warning: {warning}", file=sys.stderr)


def print_rejects(rejects: pd.DataFrame, *, most: int = 5) -> None:
    """Print each reason with its count and its first cases, on stderr."""
    for (unit, reason), group in rejects.groupby(["unit", "reason"], sort=True):
        plural = "s" if len(group) > 1 else ""
        print(f"{len(group)} {unit}{plural}: {Reason(str(reason)).text}", file=sys.stderr)
        for _, row in group.head(most).iterrows():
            detail = f": {row['detail']}" if row["detail"] else ""
            print(f"    {row['subject']}{detail}", file=sys.stderr)
        if len(group) > most:
            print(f"    ... and {len(group) - most} more", file=sys.stderr)


def rejects_by_reason(rejects: pd.DataFrame) -> dict[str, int]:
    """Counts by the stable code of the reason, for machines."""
    return {str(reason): int(n) for reason, n in rejects["reason"].value_counts(sort=False).sort_index().items()}
