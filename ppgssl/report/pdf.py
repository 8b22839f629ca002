"""Typeset the report. Texts and numbers reach the Typst template as JSON, figures as SVG."""

from __future__ import annotations

import json
import shutil
import struct
import tempfile
import zlib
from importlib.resources import files
from pathlib import Path
from textwrap import shorten
from typing import Any, Literal, NamedTuple

import typst

from ppgssl.core.errors import ReportError
from ppgssl.core.provenance import write_atomically
from ppgssl.report.composition import Composition
from ppgssl.report.document import breakable
from ppgssl.report.figures.style import PRINT_FONTS, set_fonts
from ppgssl.report.fonts import fallback_fonts

REPORT_FILE = "report.pdf"
# PDF/A-2a (ISO 19005-2) for archives, PDF/UA-1 (ISO 14289-1) for screen readers.
STANDARDS = ["a-2a", "ua-1"]
FIGURE_DPI = 300
PaperName = Literal["a4", "us-letter"]
_TEMPLATE = "report.typ"
_FONT_FOLDER = "fonts"
_RUNNING_TITLE = 95
_PNG_HEADER = 33  # bytes of the signature and the first chunk


def write_pdf(report: Composition, folder: Path, *, paper: PaperName = "a4") -> tuple[Path, str]:
    """Write a composition as ``folder/report.pdf``: equal results give an equal file.

    Returned are the PDF, and why it could not be made to :data:`STANDARDS`, such as a letter that no font holds; empty
    if it was. A ``ReportError`` is raised if the typesetting fails even without the standards, or the file cannot be
    written.
    """
    with tempfile.TemporaryDirectory(prefix="ppgssl-report-") as name:
        root = Path(name)
        write_inputs(report, root, paper)
        pdf, complaint = _typeset(root, report)
    return save(folder / REPORT_FILE, pdf), complaint


class FigurePage(NamedTuple):
    """One figure on its own, without caption."""

    png: bytes
    svg: str


def figure_pages(report: Composition) -> list[FigurePage]:
    """Every figure of the report, in its order, as it looks in the PDF; letters are outlines in the SVG."""
    with tempfile.TemporaryDirectory(prefix="ppgssl-figures-") as name:
        root = Path(name)
        write_inputs(report, root, "a4")
        options = {"ppi": FIGURE_DPI, "sys_inputs": {"only": "figures"}}
        try:
            found = [_compile(root, report, format=kind, **options) for kind in ("png", "svg")]
        except (RuntimeError, ValueError) as error:
            raise ReportError(f"the figures could not be drawn: {error}") from error
    pngs, svgs = (pages if isinstance(pages, list) else [pages] for pages in found)
    return [FigurePage(_with_resolution(png), svg.decode()) for png, svg in zip(pngs, svgs, strict=True)]


def _with_resolution(png: bytes) -> bytes:
    """Record in a PNG how many dots an inch it has (chunk `pHYs`), which programs that lay out pages ask for."""
    per_metre = round(FIGURE_DPI / 0.0254)
    chunk = b"pHYs" + struct.pack(">IIB", per_metre, per_metre, 1)
    return png[:_PNG_HEADER] + struct.pack(">I", 9) + chunk + struct.pack(">I", zlib.crc32(chunk)) + png[_PNG_HEADER:]


def write_inputs(report: Composition, root: Path, paper: PaperName) -> None:
    """Write all that Typst reads into the folder ``root``: template, data, figures and fonts."""
    for label, svg in report.figures.items():
        (root / f"{label}.svg").write_text(set_fonts(svg, PRINT_FONTS), encoding="utf-8")
    results, created = report.results, report.created
    content = {
        "title": breakable(report.title),
        "running_title": breakable(shorten(report.title, _RUNNING_TITLE, placeholder=" …")),
        "name": results.name,
        "description": breakable(results.description),
        "authors": breakable(results.authors),
        "date": report.date,
        "day": [created.year, created.month, created.day],
        "version": results.provenance.versions.get("ppgssl", ""),
        "paper": paper,
        "sections": report.content,
    }
    (root / "data.json").write_text(json.dumps(content, ensure_ascii=False, allow_nan=False), encoding="utf-8")
    (root / _TEMPLATE).write_bytes(files("ppgssl.reports").joinpath(_TEMPLATE).read_bytes())
    (root / _FONT_FOLDER).mkdir()
    for font in fallback_fonts():  # Typst reads folders of fonts, not files, and skips what it cannot read
        shutil.copy(font, root / _FONT_FOLDER)


def _typeset(root: Path, report: Composition) -> tuple[bytes, str]:
    """The PDF to the standards or, where they cannot be kept, without them and with what was against it."""
    options = {"format": "pdf", "timestamp": report.created}
    try:
        return _compile(root, report, pdf_standards=STANDARDS, **options), ""
    except (RuntimeError, ValueError) as error:
        complaint = str(error).splitlines()[0]
    try:
        return _compile(root, report, **options), complaint
    except (RuntimeError, ValueError) as error:
        raise ReportError(f"the report could not be typeset: {error}") from error


def _compile(root: Path, report: Composition, **options: Any) -> Any:
    """Run Typst in ``root``.

    Fonts of the machine are a last resort for letters that no other font holds: they would make the look of a report
    depend on where it was made.
    """
    return typst.compile(
        str(root / _TEMPLATE),
        root=str(root),
        font_paths=[str(root / _FONT_FOLDER)],
        ignore_system_fonts=not report.letters,
        **options,
    )


def save(file: Path, content: bytes | str) -> Path:
    """Write a file of the report into a folder that is made if need be; a ``ReportError`` if it cannot be written."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(file, content)
    except OSError as error:
        why = f"cannot write {file}: {error.strerror}. Is the folder writable, and the disk not full?"
        raise ReportError(why) from error
    return file
