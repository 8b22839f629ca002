"""The whole report as a set of files: PDF, page for the browser, and tables, figures and data."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ppgssl.core.results.study import Results
from ppgssl.report.composition import compose
from ppgssl.report.exports import write_exports
from ppgssl.report.html import write_html
from ppgssl.report.pdf import PaperName, write_pdf


@dataclass(frozen=True)
class Delivery:
    """The report in its two forms, and the folder of tables, figures and data, with a README.

    ``warnings`` are what its reader should know of its making, such as a PDF that is no PDF/A because of a letter that
    no font holds.
    """

    pdf: Path
    html: Path
    exports: Path
    warnings: tuple[str, ...] = ()


def deliver_report(results: Results, folder: Path, *, paper: PaperName = "a4") -> Delivery:
    """Write ``report.pdf``, ``report.html`` and the folder ``report`` into ``folder``, which is made if need be.

    No file but the results is read. A ``ReportError`` is raised if the results hold no valid configuration, the
    typesetting fails, or a file cannot be written.
    """
    report = compose(results)
    pdf, complaint = write_pdf(report, folder, paper=paper)
    html = write_html(report, folder)
    exports = write_exports(report, folder)
    warnings = (f"{pdf} is no PDF/A and not tagged for PDF/UA: {complaint}",) if complaint else ()
    return Delivery(pdf, html, exports, warnings)
