"""REDCap data dictionaries: the fields of a project, and the columns of an export that they become."""

from __future__ import annotations

import html
import re
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path

from ppgssl.core.errors import ReadError
from ppgssl.readers.clinical.text_tables import TextTable

# Attribute of Field -> its column as REDCap downloads it, and as its API names it.
_COLUMNS = {
    "name": ("Variable / Field Name", "field_name"),
    "form": ("Form Name", "form_name"),
    "kind": ("Field Type", "field_type"),
    "label": ("Field Label", "field_label"),
    "choices": ("Choices, Calculations, OR Slider Labels", "select_choices_or_calculations"),
    "note": ("Field Note", "field_note"),
    "validation": ("Text Validation Type OR Show Slider Number", "text_validation_type_or_show_slider_number"),
    "low": ("Text Validation Min", "text_validation_min"),
    "high": ("Text Validation Max", "text_validation_max"),
    "identifier": ("Identifier?", "identifier"),
}
_NEEDED = ("name", "kind", "label", "choices")
# Columns that REDCap adds to an export.
EVENT_COLUMNS = ("redcap_event_name", "redcap_repeat_instrument", "redcap_repeat_instance")
_ADDED = (*EVENT_COLUMNS, "redcap_data_access_group", "redcap_survey_identifier")
_LABELLED = {
    "Event Name": "redcap_event_name",
    "Repeat Instrument": "redcap_repeat_instrument",
    "Repeat Instance": "redcap_repeat_instance",
    "Data Access Group": "redcap_data_access_group",
    "Survey Identifier": "redcap_survey_identifier",
}
_TAG = re.compile(r"<[^<>]*>")


@dataclass(frozen=True)
class Field:
    """One field of a project, that is one row of its dictionary.

    ``kind`` is REDCap's field type: text, radio, calc, ... Labels and notes are without markup. ``choices`` are code ->
    label; ``validation``, ``low`` and ``high`` what REDCap checks of text fields. The project marks fields that
    identify a person (``is_identifier``).
    """

    name: str
    kind: str
    label: str = ""
    form: str = ""
    note: str = ""
    choices: dict[str, str] = field(default_factory=dict)
    validation: str = ""
    low: str = ""
    high: str = ""
    is_identifier: bool = False

    def checkbox_columns(self) -> dict[str, str]:
        """Of a checkbox, the column of each choice in an export, and the choice's label."""
        return {
            f"{self.name}___{re.sub('[^a-z0-9]', '_', code.lower())}": label for code, label in self.choices.items()
        }


def is_dictionary(table: TextTable) -> bool:
    """Whether a table is a data dictionary, by its header."""
    return all(_place(table, attribute) is not None for attribute in _NEEDED)


def dictionary_fields(path: Path, table: TextTable) -> list[Field]:
    """Fields of a data dictionary, as REDCap downloads it or as its API exports the metadata, in its order.

    The first is the record's id. ``path`` is for messages. ReadError if the table has another header, or names a field
    twice or not at all.
    """
    if not is_dictionary(table):
        problem = (
            "not a REDCap data dictionary: expected the columns {wanted}. In REDCap: Dictionary, Download the current "
            "Data Dictionary."
        )
        raise ReadError(path, problem, wanted=[repr(_COLUMNS[attribute][0]) for attribute in _NEEDED])
    if table.misshapen:
        problem = (
            "row {row} has another number of cells than the header. Download the dictionary from REDCap again, and do "
            "not edit it as text."
        )
        raise ReadError(path, problem, row=table.misshapen[0])
    places = {attribute: _place(table, attribute) for attribute in _COLUMNS}
    fields = [
        _field(path, number, {name: "" if at is None else cells[at].strip() for name, at in places.items()})
        for number, cells in table.rows
    ]
    names = [one.name for one in fields]
    repeated = [name for name in names if names.count(name) > 1]
    if repeated:
        raise ReadError(path, "two fields are named {name!r}.", name=repeated[0])
    if not fields:
        raise ReadError(path, "there are no fields.")
    return fields


def export_columns(one: Field) -> dict[str, tuple[str, ...]]:
    """Columns that a field becomes in an export, each with the names that it may have there, the raw one first."""
    if one.kind != "checkbox":
        return {one.name: (one.name, one.label)}
    return {column: (column, f"{one.label} (choice={label})") for column, label in one.checkbox_columns().items()}


def added_column(column: str, forms: Collection[str] = ()) -> str:
    """The raw name of a column that REDCap adds to an export (events, repeats, form status); empty for another."""
    raw = _LABELLED.get(column, column)
    if raw in _ADDED:
        return raw
    return raw if raw in {f"{form}{end}" for form in forms for end in ("_complete", "_timestamp")} else ""


def _place(table: TextTable, attribute: str) -> int | None:
    wanted = {name.casefold() for name in _COLUMNS[attribute]}
    return next((place for place, column in enumerate(table.columns) if column.casefold() in wanted), None)


def _field(path: Path, number: int, cells: dict[str, str]) -> Field:
    if not cells["name"]:
        raise ReadError(path, "row {row} has no field name.", row=number)
    kind = cells["kind"].lower()
    has_choices = kind in ("radio", "dropdown", "checkbox")
    return Field(
        name=cells["name"],
        kind=kind,
        label=_plain(cells["label"]),
        form=cells["form"],
        note=_plain(cells["note"]),
        choices=_choices(cells["choices"]) if has_choices else {},
        validation=cells["validation"].lower(),
        low=cells["low"],
        high=cells["high"],
        is_identifier=cells["identifier"].lower() == "y",
    )


def _choices(text: str) -> dict[str, str]:
    """Code -> label, of '1, Male | 2, Female'. A choice without a comma is its own label."""
    pairs = (choice.partition(",") for choice in text.split("|") if choice.strip())
    return {code.strip(): _plain(label) if comma else code.strip() for code, comma, label in pairs}


def _plain(text: str) -> str:
    """Text without markup and line breaks."""
    return " ".join(html.unescape(_TAG.sub(" ", text)).split())
