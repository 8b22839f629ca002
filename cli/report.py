"""``ppgssl report``."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from ppgssl.cli.console import print_summary, print_warnings
from ppgssl.cli.options import JsonOption

if TYPE_CHECKING:
    from ppgssl.stages.report import Delivery


class Paper(StrEnum):
    """Sizes of a page."""

    A4 = "a4"
    US_LETTER = "us-letter"


def report(
    results: Annotated[
        Path, typer.Argument(help="results.json of `ppgssl evaluate`, or the folder that holds it.", show_default=False)
    ],
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder of the report; that of the results by default.")
    ] = None,
    paper: Annotated[Paper, typer.Option("--paper", help="Page size of the PDF.")] = Paper.A4,
    json: JsonOption = False,
) -> None:
    """Write the report as PDF and as a page for the browser, with its tables and figures as files, from results.json.

    Nothing else is read: the file may have been moved, and its data may be gone.
    """
    from ppgssl.stages.report import report_results

    study, delivery = report_results(results, out, paper=paper.value)
    print_warnings(delivery.warnings)
    print_summary({"study": study.name, "arms": len(study.arms), **paths(delivery)}, as_json=json)


def paths(delivery: Delivery) -> dict[str, Any]:
    """Where the report is, for the summary of a command."""
    return {"report": str(delivery.pdf), "page": str(delivery.html), "tables_and_figures": str(delivery.exports)}
