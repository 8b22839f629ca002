"""The TRIPOD+AI checklist, filled from the results as far as they know; words and sources: ``tripod.yaml``.

An item counts as reported only where the results hold what it needs and the report shows it: each answer names the
sections, tables and figures that do, and one whose places are not in the report is left to the author. What no pipeline
can know, such as funding, registration, protocol or the involvement of patients, is always left to the author.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Literal

from ppgssl.core.results.study import Results
from ppgssl.report.checklists.rules import Answered, answered
from ppgssl.report.document import (
    Column,
    PageOf,
    Paragraph,
    Row,
    Run,
    Section,
    Strong,
    Table,
    Text,
    link_names,
    sentences,
)
from ppgssl.report.text.prose import load, phrase

TITLE = "Reporting checklist (TRIPOD+AI)"
_MOST_PLACES = 3

Status = Literal["reported", "partly", "author", "not applicable"]


@dataclass(frozen=True)
class Entry:
    """An item with what the report holds on it.

    ``partly``: the report has something, and the author the rest. ``text`` is what the report holds, ``left`` what is
    for the author to write; empty where there is nothing. ``places`` are labels of the sections, tables and figures
    that the report has on it.
    """

    item: Answered
    status: Status
    text: Text
    left: Text
    places: tuple[str, ...]


def fill_checklist(results: Results, labels: Collection[str]) -> list[Entry]:
    """One entry an item; ``labels`` are those of the sections, tables and figures that the report has."""
    return [_entry(item, labels) for item in answered("tripod", results)]


def _entry(item: Answered, labels: Collection[str]) -> Entry:
    wanted = item.answer.get("where", ()) if item.answer else ()
    places = tuple(place for place in wanted if place in labels)[:_MOST_PLACES]
    if item.answer is None or (wanted and not places):
        return Entry(item, "author", "", item.to_write, ())
    status = item.answer.get("status", "reported")
    return Entry(item, status, item.text, (item.left or item.to_write) if status == "partly" else "", places)


def tripod_section(results: Results, sections: Sequence[Section]) -> Section:
    """The checklist as a table with the page of each item; ``sections`` is everything else that the report shows."""
    entries = fill_checklist(results, link_names(sections))
    statuses = ("reported", "partly", "author", "not applicable")
    counts = {status: sum(entry.status == status for entry in entries) for status in statuses}
    summary = phrase(load("checklists/tripod.yaml")["summary"], counts=counts)
    return Section(TITLE, (Paragraph(summary), _table(entries)), new_page=True)


def _table(entries: Sequence[Entry]) -> Table:
    columns = (
        Column("Item"),
        Column("What is asked", width=1.0),
        Column("What this report says", width=1.8),
        Column("Where", width=0.75),
    )
    rows: list[Row] = []
    for part, members in groupby(entries, lambda entry: entry.item.domain):
        rows.append(Row((part,), "group"))
        rows += [Row((one.item.number, one.item.asked, _words(one), _where(one)), "indent") for one in members]
    caption = "TRIPOD+AI checklist. What stands in bold is open: to be completed by the author."
    return Table("table-tripod", caption, columns, tuple(rows))


def _words(entry: Entry) -> Text:
    prefix = "Does not apply:" if entry.status == "not applicable" else ""
    return sentences(prefix, entry.text, sentences((Strong("To be completed:"),), entry.left) if entry.left else "")


def _where(entry: Entry) -> Text:
    runs: list[Run] = []
    for place in entry.places:
        runs += ["; "] if runs else []
        runs.append(PageOf(place))
    return tuple(runs)
