"""Building blocks of the report: what is said, without how it looks. The Typst template draws each kind.

Texts travel to the template as JSON strings, so a ``#`` or ``$`` in somebody's label prints as itself.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

from matplotlib.figure import Figure

_LONG_TOKEN = 22
_ZERO_WIDTH_SPACE = "\u200b"

# --- text ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Ref:
    """``Table 3`` or ``Figure 2``, as a link."""

    label: str


@dataclass(frozen=True)
class Cite:
    """Numbers of references, by their key in :data:`ppgssl.report.references.REFERENCES`."""

    keys: tuple[str, ...]


@dataclass(frozen=True)
class Strong:
    text: str


Run = str | Ref | Cite | Strong
Text = str | tuple[Run, ...]


def runs(text: Text) -> tuple[Run, ...]:
    return (text,) if isinstance(text, str) else text


def plain(text: Text) -> str:
    """The words alone, without links and citations."""
    return "".join(run if isinstance(run, str) else getattr(run, "text", "") for run in runs(text))


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
    """One column of a table. ``width`` 0 fits its content, otherwise it is a share of the free width."""

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


def labels(sections: Iterable[Section]) -> set[str]:
    """Labels of all numbered figures and tables."""
    every = (block for section in sections for block in section.blocks)
    return {block.label for block in every if isinstance(block, Table | Picture | Flow)}


# --- to JSON ---------------------------------------------------------------------------------------------------


def breakable(text: str) -> str:
    """Allow a line break inside words too long for a table cell, preferably after punctuation."""
    return re.sub(rf"\S{{{_LONG_TOKEN},}}", lambda match: _break_token(match[0]), text)


def _break_token(token: str) -> str:
    parts = re.split(r"(?<=[-_/.+:@=,;#])", token)
    pieces = [part[i : i + _LONG_TOKEN] for part in parts for i in range(0, len(part), _LONG_TOKEN)]
    return _ZERO_WIDTH_SPACE.join(pieces)


class Encoder:
    """Blocks to the dictionaries that the template reads.

    Parameters
    ----------
    numbers : dict
        Number of each reference key.
    known_labels : set
        Labels that exist; a link to any other is our own mistake.
    save_figure : callable
        Stores a figure and returns its file name.
    """

    def __init__(
        self, numbers: dict[str, int], known_labels: set[str], save_figure: Callable[[str, Figure], str]
    ) -> None:
        self._numbers = numbers
        self._labels = known_labels
        self._save_figure = save_figure

    def section(self, section: Section) -> dict[str, Any]:
        return {
            "title": section.title,
            "new_page": section.new_page,
            "blocks": [self.block(block) for block in section.blocks],
        }

    def text(self, text: Text) -> list[dict[str, str]]:
        return [self._run(run) for run in runs(text)]

    def _run(self, run: Run) -> dict[str, str]:
        match run:
            case str():
                return {"kind": "plain", "text": breakable(run)}
            case Strong():
                return {"kind": "strong", "text": breakable(run.text)}
            case Ref():
                assert run.label in self._labels, f"no figure or table is labelled {run.label!r}"
                return {"kind": "ref", "text": run.label}
            case Cite():
                return {"kind": "cite", "text": ", ".join(str(self._numbers[key]) for key in run.keys)}

    def block(self, block: Block) -> dict[str, Any]:
        match block:
            case Table() | Picture() | Flow():
                return {"kind": type(block).__name__.lower(), "label": block.label} | self._numbered(block)
            case Paragraph():
                return {"kind": "paragraph", "text": self.text(block.text), "style": block.style}
            case Heading():
                return {"kind": "heading", "text": block.text}
            case Bullets():
                return {"kind": "bullets", "items": [self.text(item) for item in block.items]}
            case Callout():
                content = {"title": block.title, "text": self.text(block.text), "severity": block.severity}
                return {"kind": "callout"} | content
            case Tiles():
                return {"kind": "tiles", "items": [{"value": value, "label": label} for value, label in block.items]}
            case Mono():
                parts = [{"title": title, "lines": list(map(breakable, lines))} for title, lines in block.parts]
                return {"kind": "mono", "parts": parts}
            case References():
                return {"kind": "references", "items": list(block.items)}

    def _numbered(self, block: Table | Picture | Flow) -> dict[str, Any]:
        caption = {"caption": self.text(block.caption)}
        match block:
            case Table():
                return caption | self._table(block)
            case Picture():
                file = self._save_figure(block.label, block.figure)
                notes = [self.text(note) for note in block.notes]
                return caption | {"file": file, "alt": block.alt, "notes": notes, "floats": block.floats}
            case Flow():
                return caption | {"cohorts": [self._flow(title, steps) for title, steps in block.cohorts]}

    def _table(self, table: Table) -> dict[str, Any]:
        return {
            "columns": [
                {"header": column.header, "align": column.align, "width": column.width} for column in table.columns
            ],
            "rows": [{"kind": row.kind, "cells": [self.text(cell) for cell in row.cells]} for row in table.rows],
            "notes": [self.text(note) for note in table.notes],
        }

    @staticmethod
    def _flow(title: str, steps: tuple[FlowStep, ...]) -> dict[str, Any]:
        boxes = [
            {
                "text": breakable(step.text),
                "detail": breakable(step.detail),
                "excluded": [breakable(line) for line in step.excluded],
            }
            for step in steps
        ]
        return {"title": breakable(title), "steps": boxes}
