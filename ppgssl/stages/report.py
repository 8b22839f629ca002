"""The report of results: PDF, page for the browser, tables and figures as files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ppgssl.core.results.study import RESULTS_FILE, Results, load_results
from ppgssl.report.text.terminal import arms_summary as arms_summary

if TYPE_CHECKING:
    from ppgssl.report.delivery import Delivery as Delivery
    from ppgssl.report.pdf import PaperName


def report_results(source: Path, out: Path | None = None, *, paper: PaperName = "a4") -> tuple[Results, Delivery]:
    """Write the report of ``results.json``, or of the folder that holds it; nothing else is read.

    Raises ReportError if the results cannot be read, or the report cannot be written.
    """
    file = source / RESULTS_FILE if source.is_dir() else source
    results = load_results(file)
    return results, write_report(results, file.parent if out is None else out, paper=paper)


def write_report(results: Results, folder: Path, *, paper: PaperName = "a4") -> Delivery:
    """Write the report into ``folder``; see :func:`ppgssl.report.delivery.deliver_report`."""
    from ppgssl.report.delivery import deliver_report  # takes seconds, and a wrong file is refused before

    return deliver_report(results, folder, paper=paper)
