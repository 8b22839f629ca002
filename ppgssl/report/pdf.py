"""Typeset the report. Texts and numbers reach the Typst template as JSON, figures as SVG."""

from __future__ import annotations

import json
import os
import tempfile
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path
from textwrap import shorten
from typing import Any

import typst
from matplotlib.figure import Figure

from ppgssl.errors import ReportError
from ppgssl.report.document import Encoder, Section, breakable, cited_keys, labels
from ppgssl.report.fonts import fallback_fonts, missing_letters
from ppgssl.report.methods import configuration
from ppgssl.report.sections import make_sections
from ppgssl.report.style import save_svg
from ppgssl.results import Results

REPORT_FILE = "report.pdf"
_TEMPLATE = "report.typ"
_LETTERS_SHOWN = 12
_RUNNING_TITLE = 95


def write_report(results: Results, folder: Path) -> Path:
    """Write ``folder/report.pdf``: equal results give an equal file.

    Parameters
    ----------
    results : Results
        All that the report shows; nothing is computed and nothing else is read.
    folder : Path
        Made if it is not there. An earlier report is replaced when the new one is complete.

    Returns
    -------
    Path
        The PDF.

    Raises
    ------
    ReportError
        If the results hold no valid configuration, the typesetting fails, or the file cannot be written.
    """
    letters = missing_letters(results.model_dump_json())
    shown = ", ".join(f"U+{ord(letter):04X}" for letter in letters[:_LETTERS_SHOWN])
    sections = make_sections(results, configuration(results), shown)
    with tempfile.TemporaryDirectory(prefix="ppgssl-report-") as name:
        root = Path(name)
        _write_inputs(results, sections, root)
        pdf = _typeset(root, _created(results), use_system_fonts=bool(letters))
    return _save(pdf, folder)


def _write_inputs(results: Results, sections: list[Section], root: Path) -> None:
    def save_figure(label: str, figure: Figure) -> str:
        save_svg(figure, root / f"{label}.svg")
        return f"{label}.svg"

    numbers = {key: number for number, key in enumerate(cited_keys(sections), start=1)}
    encoder = Encoder(numbers, labels(sections), save_figure)
    content = _front_matter(results) | {"sections": [encoder.section(section) for section in sections]}
    (root / "data.json").write_text(json.dumps(content, ensure_ascii=False, allow_nan=False), encoding="utf-8")
    (root / _TEMPLATE).write_bytes(files("ppgssl.reports").joinpath(_TEMPLATE).read_bytes())


def _front_matter(results: Results) -> dict[str, Any]:
    created = _created(results)
    return {
        "title": breakable(results.title or results.name),
        "running_title": breakable(shorten(results.title or results.name, _RUNNING_TITLE, placeholder=" …")),
        "name": results.name,
        "description": breakable(results.description),
        "authors": breakable(results.authors),
        "date": f"{created.day} {created:%B %Y}",
        "day": [created.year, created.month, created.day],
        "version": results.provenance.versions.get("ppgssl", ""),
    }


def _created(results: Results) -> datetime:
    try:
        created = datetime.fromisoformat(results.provenance.created_utc)
    except ValueError:
        raise ReportError(
            f"these results say they were created at {results.provenance.created_utc!r}, which is no ISO 8601 time. "
            "Run `ppgssl evaluate STUDY.yaml` again."
        ) from None
    return created.replace(tzinfo=created.tzinfo or UTC)


def _typeset(root: Path, created: datetime, *, use_system_fonts: bool) -> bytes:
    try:
        # Fonts of the machine are a last resort for letters that no other font holds: they would make the look of a
        # report depend on where it was made.
        pdf = typst.compile(
            str(root / _TEMPLATE),
            root=str(root),
            font_paths=[str(file) for file in fallback_fonts()],
            ignore_system_fonts=not use_system_fonts,
            format="pdf",
            timestamp=created,
        )
    except (RuntimeError, ValueError) as error:
        raise ReportError(f"the report could not be typeset: {error}") from error
    assert isinstance(pdf, bytes)
    return pdf


def _save(pdf: bytes, folder: Path) -> Path:
    target = folder / REPORT_FILE
    try:
        folder.mkdir(parents=True, exist_ok=True)
        draft = target.with_suffix(".pdf.part")
        draft.write_bytes(pdf)
        os.replace(draft, target)
    except OSError as error:
        raise ReportError(
            f"cannot write {target}: {error.strerror}. Is the folder writable, and the disk not full?"
        ) from error
    return target
