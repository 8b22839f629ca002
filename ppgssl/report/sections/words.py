"""Paragraphs, remarks and figures of the sections, with the words of ``sections.yaml``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure

from ppgssl.core.results.study import Results
from ppgssl.report.document import (
    Block,
    Bullets,
    Callout,
    Heading,
    Paragraph,
    Picture,
    References,
    Section,
    Text,
    Tiles,
    cited_keys,
    plain,
    sentences,
)
from ppgssl.report.text.prose import load, phrase
from ppgssl.report.text.references import references
from ppgssl.report.text.rounding import plural
from ppgssl.report.text.summary import certainty

_TALL_IN = 4.0
_MOST_ITEMS = 14
_MOST_WARNINGS = 5


def words(key: str, **values: Any) -> Text:
    return phrase(load("sections/sections.yaml")[key], **values)


def paragraph(key: str, **values: Any) -> Paragraph:
    return Paragraph(words(key, **values))


def warned(label: str, warnings: Sequence[str], file: str) -> Callout:
    """What pretraining warned of; ``file`` has all of it."""
    left = len(warnings) - _MOST_WARNINGS
    more = f" And {plural(left, 'more warning')}: see warnings in {file}." if left > 0 else ""
    text = " ".join(f"{warning.rstrip('.')}." for warning in warnings[:_MOST_WARNINGS])
    return Callout(f"Pretraining did not go well · {label}", text.replace("`", "") + more, "caution")


def picture(
    label: str, figure: Figure, items: Iterable[Any], *, number: int = 0, may_float: bool = True, **values: Any
) -> Picture:
    """A figure with its caption, and its numbers for those who do not see it.

    ``items`` are what it shows, each put into words by the template ``each``, or words already; of very many, a screen
    reader gets the first and how many more there are. The figure is number ``number``, from 0, of its kind: the second
    is labelled ``figure-roc-2``. If it ``may_float`` and is tall, it goes where a page has room, and else stays where
    it is mentioned. The ``values`` are named by the templates.
    """
    entry = load("sections/sections.yaml")[label]
    note = phrase(entry.get("note", ""), **values)
    every = [plain(phrase(entry["each"], one=one, **values)) if "each" in entry else str(one) for one in items]
    shown = [*every[:_MOST_ITEMS], *([f"and {len(every) - _MOST_ITEMS} more"] if len(every) > _MOST_ITEMS else [])]
    lead = plain(phrase(entry["alt"], **values))
    return Picture(
        label if number == 0 else f"{label}-{number + 1}",
        phrase(entry["caption"], **values),
        figure,
        f"{lead}: {'; '.join(shown)}." if shown else f"{lead}.",
        (note,) if note else (),
        floats=may_float and bool(figure.get_figheight() > _TALL_IN),
    )


def summary_blocks(
    results: Results, found: Mapping[str, Sequence[Text]], tiles: tuple[tuple[str, str], ...]
) -> tuple[Block, ...]:
    """The first page: the answer, key numbers, the question, findings, and how sure they are."""
    return (
        Callout("In short", sentences(*found["headline"]), "finding"),
        Tiles(tiles),
        Heading("What was asked"),
        *map(Paragraph, found["question"]),
        Heading("What was found"),
        Bullets(tuple(found["findings"])),
        Heading("How sure this is"),
        Bullets(certainty(results)),
    )


def literature(sections: Iterable[Section]) -> Section:
    """All that ``sections`` cite, in the order of the first citation."""
    return Section("References", (References(tuple(references()[key] for key in cited_keys(sections))),))
