"""Building blocks of the report: its content, without how it looks. Two templates draw each kind: Typst and HTML.

Texts travel to the templates as strings of data, so a ``#``, ``$`` or ``<`` in somebody's label prints as itself.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field
from typing import Any, Literal
from urllib.parse import quote

from matplotlib.figure import Figure

_LONG_TOKEN = 22
BREAK = "\u200b"

# --- text ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Ref:
    """``Table 3`` or ``Figure 2``, as a link."""

    label: str


@dataclass(frozen=True)
class Cite:
    """Numbers of references, by their key in :data:`ppgssl.report.text.references.references`."""

    keys: tuple[str, ...]


@dataclass(frozen=True)
class Strong:
    text: str


@dataclass(frozen=True)
class PageOf:
    """A link to a figure, a table or a section; on paper with its page.

    ``text`` names a section; without it the link reads ``Table 3`` or ``Figure 2``, as that of :class:`Ref`.
    """

    label: str
    text: str = ""


Run = str | Ref | PageOf | Cite | Strong
Text = str | tuple[Run, ...]


def runs(text: Text) -> tuple[Run, ...]:
    return (text,) if isinstance(text, str) else text


def sentences(*texts: Text) -> Text:
    """One paragraph of several sentences; empty ones are left out."""
    parts: list[Run] = []
    for text in (text for text in texts if text):
        parts += [" ", *runs(text)] if parts else [*runs(text)]
    return tuple(parts)


def plain(text: Text) -> str:
    """The words alone, without links and citations."""
    return "".join(run if isinstance(run, str) else getattr(run, "text", "") for run in runs(text))


def words(text: Text, names: dict[str, str]) -> str:
    """The words of a text, with ``Table 3`` where a link stands, and no citations."""
    return "".join(_words(run, names) for run in runs(text))


def _words(run: Run, names: dict[str, str]) -> str:
    match run:
        case str():
            return run
        case Strong():
            return run.text
        case Ref():
            return names[run.label]
        case PageOf():
            return run.text or names[run.label]
        case Cite():
            return ""


# --- blocks ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Paragraph:
    text: Text
    style: Literal["body", "small"] = "body"


@dataclass(frozen=True)
class Heading:
    """A heading below that of the section."""

    text: str


@dataclass(frozen=True)
class Bullets:
    items: tuple[Text, ...]


@dataclass(frozen=True)
class Callout:
    """A framed remark."""

    title: str
    text: Text
    severity: Literal["finding", "note", "caution"] = "note"


@dataclass(frozen=True)
class Tiles:
    """A strip of key numbers: pairs of value and what it counts."""

    items: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Column:
    """One column of a table. ``width`` 0 fits its content, otherwise it is a proportion of the free width."""

    header: str
    align: Literal["left", "right"] = "left"
    width: float = 0.0


@dataclass(frozen=True)
class Row:
    """One row; a ``group`` row has one cell, which spans the table."""

    cells: tuple[Text, ...]
    kind: Literal["plain", "group", "indent", "muted"] = "plain"


@dataclass(frozen=True)
class Table:
    label: str
    caption: Text
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    notes: tuple[Text, ...] = ()


@dataclass(frozen=True)
class Picture:
    """A numbered figure; ``alt`` is read aloud by screen readers. One that floats goes where a page has room."""

    label: str
    caption: Text
    figure: Figure = field(repr=False)
    alt: str
    notes: tuple[Text, ...] = ()
    floats: bool = False


@dataclass(frozen=True)
class FlowStep:
    """A box of the flow diagram and, to its right, what leaves after it."""

    text: str
    detail: str = ""
    excluded: tuple[str, ...] = ()


@dataclass(frozen=True)
class Flow:
    """Flow diagrams, one a cohort: pairs of title and steps."""

    label: str
    caption: Text
    cohorts: tuple[tuple[str, tuple[FlowStep, ...]], ...]


@dataclass(frozen=True)
class Mono:
    """Texts of files, in columns of small fixed-width letters: pairs of title and lines."""

    parts: tuple[tuple[str, tuple[str, ...]], ...]


@dataclass(frozen=True)
class References:
    items: tuple[str, ...]


Block = Paragraph | Heading | Bullets | Callout | Tiles | Table | Picture | Flow | Mono | References


@dataclass(frozen=True)
class Section:
    title: str
    blocks: tuple[Block, ...]
    new_page: bool = False

    @property
    def label(self) -> str:
        """What a link to this section names, made from its title."""
        return "section-" + re.sub(r"[^a-z0-9]+", "-", self.title.lower()).strip("-")


# --- numbering -------------------------------------------------------------------------------------------------


def _texts(block: Block) -> Iterator[Text]:
    match block:
        case Paragraph() | Callout():
            yield block.text
        case Bullets():
            yield from block.items
        case Table():
            yield block.caption
            for row in block.rows:
                yield from row.cells
            yield from block.notes
        case Picture():
            yield from (block.caption, *block.notes)
        case Flow():
            yield block.caption


def cited_keys(sections: Iterable[Section]) -> list[str]:
    """Keys of the references, in the order of their first citation."""
    every = (run for section in sections for block in section.blocks for text in _texts(block) for run in runs(text))
    return list(dict.fromkeys(key for run in every if isinstance(run, Cite) for key in run.keys))


def link_names(sections: Iterable[Section]) -> dict[str, str]:
    """Words of all that a link may name: ``Table 3`` and ``Figure 2`` in the order of the text, titles of sections."""
    names, n_tables, n_figures = {}, 0, 0
    for section in sections:
        names[section.label] = section.title
        for block in section.blocks:
            if isinstance(block, Table):
                n_tables += 1
                names[block.label] = f"Table {n_tables}"
            elif isinstance(block, Picture | Flow):
                n_figures += 1
                names[block.label] = f"Figure {n_figures}"
    return names


# --- to JSON ---------------------------------------------------------------------------------------------------


def breakable(text: str) -> str:
    """Allow a line break inside words too long for a table cell, preferably after punctuation."""
    return re.sub(rf"\S{{{_LONG_TOKEN},}}", lambda match: _break_token(match[0]), text)


def _break_token(token: str) -> str:
    parts = re.split(r"(?<=[-_/.+:@=,;#])", token)
    return BREAK.join(part[i : i + _LONG_TOKEN] for part in parts for i in range(0, len(part), _LONG_TOKEN))


_DOI = re.compile(r"10\.\d{4,9}/\S*[^\s.,;)]")


def _with_links(reference: str) -> list[dict[str, str]]:
    """Parts of a reference: words, of which the identifier of the paper has an address."""
    parts, end = [], 0
    for match in _DOI.finditer(reference):
        address = "https://doi.org/" + quote(match[0], safe="/:;().-_")
        parts += [{"text": reference[end : match.start()], "url": ""}, {"text": match[0], "url": address}]
        end = match.end()
    return [part for part in [*parts, {"text": reference[end:], "url": ""}] if part["text"]]


class Encoder:
    """Blocks to the dictionaries that the templates read.

    Parameters
    ----------
    numbers : dict
        Number of each reference key.
    names : dict
        Words of each label that exists, see :func:`link_names`; a link to any other is our own mistake.
    save_figure : callable
        Stores a figure and returns its file name.
    """

    def __init__(
        self, numbers: dict[str, int], names: dict[str, str], save_figure: Callable[[str, Figure], str]
    ) -> None:
        self._numbers = numbers
        self._names = names
        self._save_figure = save_figure

    def section(self, section: Section) -> dict[str, Any]:
        blocks = [self.block(block) for block in section.blocks]
        return {"title": section.title, "label": section.label, "new_page": section.new_page, "blocks": blocks}

    def text(self, text: Text) -> list[dict[str, Any]]:
        return [self._run(run) for run in runs(text)]

    def _texts(self, texts: Iterable[Text]) -> list[list[dict[str, Any]]]:
        return [self.text(text) for text in texts]

    def _run(self, run: Run) -> dict[str, Any]:
        match run:
            case str():
                return {"kind": "plain", "text": breakable(run)}
            case Strong():
                return {"kind": "strong", "text": breakable(run.text)}
            case Ref():
                return {"kind": "ref", "text": self._name(run.label), "label": run.label}
            case PageOf():
                name = self._name(run.label)
                return {"kind": "page", "text": breakable(run.text or name), "label": run.label}
            case Cite():
                return {"kind": "cite", "numbers": [self._numbers[key] for key in run.keys]}

    def _name(self, label: str) -> str:
        assert label in self._names, f"no figure, table or section is labelled {label!r}"
        return self._names[label]

    def block(self, block: Block) -> dict[str, Any]:
        return {"kind": type(block).__name__.lower()} | self._content(block)

    def _content(self, block: Block) -> dict[str, Any]:
        match block:
            case Paragraph():
                return {"text": self.text(block.text), "style": block.style}
            case Heading():
                return {"text": block.text}
            case Bullets():
                return {"items": self._texts(block.items)}
            case Callout():
                return {"title": block.title, "text": self.text(block.text), "severity": block.severity}
            case Tiles():
                return {"items": [{"value": value, "label": label} for value, label in block.items]}
            case Mono():
                return {
                    "parts": [{"title": title, "lines": list(map(breakable, lines))} for title, lines in block.parts]
                }
            case References():
                return {"items": [_with_links(item) for item in block.items]}
            case Table() | Picture() | Flow():
                return self._numbered(block)

    def _numbered(self, block: Table | Picture | Flow) -> dict[str, Any]:
        first = {"label": block.label, "name": self._names[block.label], "caption": self.text(block.caption)}
        match block:
            case Table():
                rows = [{"kind": row.kind, "cells": self._texts(row.cells)} for row in block.rows]
                columns = [asdict(column) for column in block.columns]
                return first | {"columns": columns, "rows": rows, "notes": self._texts(block.notes)}
            case Picture():
                file = self._save_figure(block.label, block.figure)
                return first | {
                    "file": file,
                    "alt": block.alt,
                    "notes": self._texts(block.notes),
                    "floats": block.floats,
                }
            case Flow():
                return first | {"cohorts": [_flow(title, steps) for title, steps in block.cohorts]}


def _flow(title: str, steps: tuple[FlowStep, ...]) -> dict[str, Any]:
    boxes = [
        {"text": breakable(one.text), "detail": breakable(one.detail), "excluded": list(map(breakable, one.excluded))}
        for one in steps
    ]
    return {"title": breakable(title), "steps": boxes}
