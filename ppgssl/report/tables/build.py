"""What all tables share: captions, columns and notes from ``tables.yaml``, rows below the names of groups."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

from ppgssl.report.document import Column, Row, Table, Text, plain
from ppgssl.report.text.prose import load, phrase
from ppgssl.report.text.rounding import UNDEFINED, UNDEFINED_NOTE

Item = TypeVar("Item")


def build_table(
    name: str, rows: Sequence[Row], *, columns: Sequence[Column] = (), label: str = "", **values: Any
) -> Table | None:
    """The table ``name`` of ``tables.yaml``, with a note where a value is undefined; None without rows.

    ``columns`` are those that the file cannot know, to the right of the others; ``label`` is that of the table if it is
    not its name. The ``values`` are named by the templates of caption, headers and notes.
    """
    if not rows:
        return None
    words = load("tables/tables.yaml")[name]
    listed = [_column(header, place, values) for column in words["columns"] for header, place in column.items()]
    notes = [text for note in words.get("notes", ()) if (text := phrase(note, **values))]
    if any(cell == UNDEFINED for row in rows for cell in row.cells):
        notes.append(UNDEFINED_NOTE)
    return Table(label or name, phrase(words["caption"], **values), (*listed, *columns), tuple(rows), tuple(notes))


def _column(header: str, place: Any, values: dict[str, Any]) -> Column:
    words = plain(phrase(header, **values))
    return Column(words, place) if isinstance(place, str) else Column(words, width=place)  # type: ignore[arg-type]


def right(*headers: str, width: float = 0.0) -> list[Column]:
    """Columns of numbers."""
    return [Column(header, "right", width) for header in headers]


def grouped_rows(
    groups: Iterable[tuple[str, Iterable[Item]]],
    cells: Callable[[Item], tuple[Text, ...]],
    is_muted: Callable[[Item], bool] = lambda _: False,
) -> list[Row]:
    """Below the name of each group a row for each of its members."""
    rows: list[Row] = []
    for name, members in groups:
        rows.append(Row((name,), "group"))
        rows += [Row(cells(one), "muted" if is_muted(one) else "indent") for one in members]
    return rows
