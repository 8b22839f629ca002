"""The report before it gets a form: PDF, page and files are all made from one composition, so none can differ."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from matplotlib.figure import Figure

from ppgssl.core.errors import ReportError
from ppgssl.core.results.study import Results
from ppgssl.report.document import Encoder, Section, cited_keys, link_names
from ppgssl.report.figures.style import to_svg
from ppgssl.report.fonts import missing_letters
from ppgssl.report.sections.contents import make_sections
from ppgssl.report.sections.predictions import predictions_sections
from ppgssl.report.text.methods import configuration

_LETTERS_SHOWN = 12


@dataclass(frozen=True)
class Composition:
    """The whole report, numbered, and not yet laid out.

    ``content`` is ``sections`` for templates, one dictionary a section, see :class:`ppgssl.report.document.Encoder`.
    ``names`` gives ``Table 3`` or ``Figure 2`` for each label, ``figures`` the SVG of each figure, ``letters`` those
    that the fonts at hand do not hold. ``created`` is when the results were made: reports have no time of their own.
    """

    results: Results
    sections: list[Section] = field(repr=False)
    content: list[dict[str, Any]] = field(repr=False)
    names: dict[str, str]
    figures: dict[str, str] = field(repr=False)
    letters: str
    created: datetime

    @property
    def title(self) -> str:
        return self.results.title or self.results.name

    @property
    def date(self) -> str:
        """``14 March 2026``."""
        return f"{self.created.day} {self.created:%B %Y}"


def compose(results: Results) -> Composition:
    """Write and draw all that the results hold; computes no statistic, and reads nothing else.

    A ``ReportError`` is raised if the results hold no valid configuration, or no valid time.
    """
    letters = missing_letters(results.model_dump_json())
    shown = ", ".join(f"U+{ord(letter):04X}" for letter in letters[:_LETTERS_SHOWN])
    created = _created(results)
    if results.validation.scheme == "predictions":
        sections = predictions_sections(results, shown)
    else:
        sections = make_sections(results, configuration(results), shown)
    names, figures = link_names(sections), {}

    def draw(label: str, figure: Figure) -> str:
        figures[label] = to_svg(figure)
        return f"{label}.svg"

    numbers = {key: number for number, key in enumerate(cited_keys(sections), start=1)}
    encoder = Encoder(numbers, names, draw)
    content = [encoder.section(section) for section in sections]
    return Composition(results, sections, content, names, figures, letters, created)


def _created(results: Results) -> datetime:
    try:
        created = datetime.fromisoformat(results.provenance.created_utc)
    except ValueError:
        raise ReportError(
            f"these results say they were created at {results.provenance.created_utc!r}, which is no ISO 8601 time. "
            "Run `ppgssl evaluate STUDY.yaml` again."
        ) from None
    return created.replace(tzinfo=created.tzinfo or UTC)
