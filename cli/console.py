"""What all commands print alike: a summary at the end on stdout, warnings and rejects on stderr."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from ppgssl.core.reasons import Reason

if TYPE_CHECKING:
    import pandas as pd


def set_data_folder(folder: Path | None) -> None:
    """Let ``${PPGSSL_DATA}`` in cohort descriptions mean this folder."""
    if folder is not None:
        os.environ["PPGSSL_DATA"] = str(folder.resolve())


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
