"""From a clinical table, or a REDCap data dictionary, to a first cohort.yaml for a person to edit."""

from __future__ import annotations

import os
import re
import textwrap
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from ppgssl.core.config.cohort import Cohort
from ppgssl.core.errors import ConfigError, ReadError
from ppgssl.core.text import suggest
from ppgssl.readers.clinical.dates import fitting_formats
from ppgssl.readers.clinical.redcap import (
    EVENT_COLUMNS,
    Field,
    added_column,
    dictionary_fields,
    export_columns,
    is_dictionary,
)
from ppgssl.readers.clinical.text_tables import TextTable, plain_number, read_text_table
from ppgssl.readers.clinical.variable_drafts import (
    MAX_LEVELS,
    Cells,
    LeftOut,
    VariableDraft,
    draft_of_column,
    draft_of_field,
    missing_marks,
)

_COMMON_MISSING = ["", "NA", "NaN", "nan", "."]
_PATIENT_NAMES = (
    "record_id patient_id patientid patient participant_id participant subject_id subjectid subject usubjid study_id "
    "studyid pid id"
)
_VISIT_NAMES = (*EVENT_COLUMNS, "visit", "visitnum", "event", "timepoint", "time_point")
_LINE = 120

_HEAD = """\
# A draft made by `ppgssl init`. Look at every line marked with "?", describe the signals, and then ask what is wrong:
#   ppgssl check {out}
name: {name}
title: ""
description: ""
# The folder that holds everything, relative to this file; ${{PPGSSL_DATA}} is the value of --data.
root: {root}

# ? Which files hold the signals. {{patient}} is the part of a path that is the patient's id, as in the table below;
# {{visit}} and {{recording}} are parts that distinguish a patient's recordings. This is an example: red and infrared of
# an oximeter in a file each, as 32-bit floats, and what it displayed each second in a third file.
signals:
  files: "signals/{{patient}}_spo2red.ts"
  reader: binary
  options: {{dtype: float32, byte_order: little}}
  fs_hz: 80
  channels:
    # has_baseline: true only where the raw level is proportional to the light received.
    ppg_red: {{column: 0, has_baseline: true}}
    ppg_ir: {{column: 0, has_baseline: true, file: "signals/{{patient}}_spo2infra.ts"}}
  trends:
    file: "signals/{{patient}}_spo2trends.csv"
    skip_rows: 1
    columns: {{sqi: SQI, heart_rate_bpm: HeartRate, spo2_percent: Saturation, perfusion_index_percent: Perfusion}}
# The same device, as text with one sample a line; visit and reading number come from the name:
#   files: "signals/{{patient}}_hospitalization_an_arm_1_spo2red{{recording:[12]}}_wav_oxi_{{visit:adm|dis}}.txt"
#   reader: delimited
#   fs_hz: 80
#   channels:
#     ppg_red: {{column: 0}}
#     ppg_ir:
#       column: 0
#       file: "signals/{{patient}}_hospitalization_an_arm_1_spo2infra{{recording:[12]}}_wav_oxi_{{visit:adm|dis}}.txt"
# A CSV file for each recording, with named columns:
#   files: "signals/{{patient}}_{{recording}}.csv"
#   reader: delimited
#   fs_hz: 100
#   channels: {{ppg_red: {{column: red}}, ppg_ir: {{column: infrared}}}}

"""


@dataclass(frozen=True)
class CohortDraft:
    """What :func:`draft_cohort` wrote: columns that are described, and why others are not."""

    file: Path
    patient_column: str
    variables: list[str]
    left_out: dict[str, str]


@dataclass(frozen=True)
class _Sources:
    """The table and the fields of the dictionary, as far as there are any."""

    table: TextTable | None
    path: Path | None
    sheet: str | None = None
    delimiter: str = ","
    decimal: str = "."
    fields: Sequence[Field] = ()

    @cached_property
    def columns(self) -> dict[str, int]:
        """Positions of columns whose name occurs once; those of a dictionary where there is no table."""
        names = self.table.columns if self.table else [name for one in self.fields for name in export_columns(one)]
        counts = Counter(names)
        return {name: place for place, name in enumerate(names) if name and counts[name] == 1}

    def whole(self, column: str) -> list[str]:
        """All cells of a column."""
        return [cells[self.columns[column]] for _, cells in self.table.rows] if self.table else []

    def cells(self, column: str, missing: Sequence[str]) -> Cells | None:
        if self.table is None:
            return None
        return Cells.known(self.whole(column), missing, self.decimal, self.table.is_typed)


def draft_cohort(
    source: Path, out: Path, *, table: Path | None = None, sheet: str | None = None, patient_column: str | None = None
) -> CohortDraft:
    """Write a draft of ``cohort.yaml``.

    Kinds, levels, units and plausible ranges come from a REDCap data dictionary, where there is one, and else from what
    the columns hold. A range is never taken from the values observed. Columns that may identify a person, and free
    texts, are left out, and named with the reason in a comment. Values are shown only as levels of columns with few.

    Parameters
    ----------
    source : Path
        A REDCap data dictionary, recognised by its header, or a clinical table in any format.
    out : Path
        The file to write, which may not exist yet.
    table : Path, optional
        The table that the dictionary describes.
    sheet : str, optional
        Of a workbook that holds the clinical table; the first by default.
    patient_column : str, optional
        By default the dictionary's first field; or a column that is named as such; or the first without repetitions.

    Raises
    ------
    ConfigError
        If ``out`` exists, a file cannot be read or is not what it should be, or no column can be described.
    """
    if out.exists():
        raise ConfigError(f"{out} exists already, and is not overwritten. Give another name with --out.")
    try:
        sources = _read(source, table, sheet)
    except ReadError as error:
        raise ConfigError(str(error)) from None
    patient = _patient_column(sources, patient_column)
    missing = [*_COMMON_MISSING, *_marks(sources)]
    drafts = _drafts(sources, patient, missing)
    variables = [draft for draft in drafts if isinstance(draft, VariableDraft)]
    if not variables:
        raise ConfigError(f"no column of {source} could be described: {_reasons(drafts)}")
    text = _cohort_text(sources, source, out, patient, missing, drafts)
    Cohort.model_validate(yaml.safe_load(text))  # A failure here is a mistake of ours, and no half-right file is left.
    out.parent.mkdir(parents=True, exist_ok=True)
    with out.open("x", encoding="utf-8") as file:
        file.write(text)
    left_out = {draft.column: draft.reason for draft in drafts if isinstance(draft, LeftOut)}
    return CohortDraft(out, patient, [draft.column for draft in variables], left_out)


# --- sources ---------------------------------------------------------------------------------------------------


def _read(source: Path, table: Path | None, sheet: str | None) -> _Sources:
    first, delimiter = _read_table(source, sheet if table is None else None)
    if is_dictionary(first):
        fields = dictionary_fields(source, first)
        if table is None:
            return _Sources(None, None, fields=fields)
        second, delimiter = _read_table(table, sheet)
        if is_dictionary(second):
            raise ConfigError(f"--table {table}: this is a data dictionary too; expected the table that it describes.")
        return _Sources(second, table, sheet, delimiter, _decimal(second), fields)
    if table is not None:
        raise ConfigError(
            f"{source} is not a REDCap data dictionary (its header has no 'Variable / Field Name'), so --table means "
            f"nothing. For a draft from the table alone: ppgssl init {table} --out FILE"
        )
    return _Sources(first, source, sheet, delimiter, _decimal(first))


def _read_table(path: Path, sheet: str | None) -> tuple[TextTable, str]:
    table, delimiter = read_text_table(path, sheet=sheet), ","
    others = [mark for mark in (";", "\t", "|") if len(table.columns) == 1 and mark in table.columns[0]]
    if others and not table.is_typed:
        delimiter = others[0]
        table = read_text_table(path, delimiter=delimiter)
    if not table.is_typed and any(plain_number(column, ".") is not None for column in table.columns):
        raise ConfigError(
            f"{path}: row 1 holds numbers where the names of the columns are expected. Add a line with their names."
        )
    return table, delimiter


def _decimal(table: TextTable) -> str:
    """A comma, if there are numbers with one and none with a point."""
    if table.is_typed:
        return "."
    cells = [cell.strip() for _, row in table.rows for cell in row]
    n_commas, n_points = (
        sum(re.fullmatch(rf"[+-]?[0-9]+{mark}[0-9]+", cell) is not None for cell in cells) for mark in (",", r"\.")
    )
    return "," if n_commas and not n_points else "."


def _patient_column(sources: _Sources, wanted: str | None) -> str:
    columns = sources.columns
    if wanted is not None:
        if wanted.strip() not in columns:
            raise ConfigError(f"--patient: no column is named {wanted!r}{suggest(wanted, columns)}")
        return wanted.strip()
    first = [name for one in sources.fields[:1] for name in (one.name, one.label) if name in columns]
    by_name = {re.sub(r"[\s.\-]+", "_", column.lower()): column for column in reversed(list(columns))}
    named = [by_name[name] for name in _PATIENT_NAMES.split() if name in by_name]
    candidates = first or named or [column for column in columns if _is_key(sources, column)]
    if not candidates:
        raise ConfigError("no column seems to hold the patients' ids: name it with --patient COLUMN")
    return candidates[0]


def _is_key(sources: _Sources, column: str) -> bool:
    cells = sources.whole(column)
    return bool(cells) and all(cell.strip() for cell in cells) and len(set(cells)) == len(cells)


def _marks(sources: _Sources) -> list[str]:
    if sources.table is None:
        return []
    codes = [code for one in sources.fields for code in one.choices]
    codes += [code for levels in sources.table.levels.values() for code in levels]
    return missing_marks((sources.whole(column) for column in sources.columns), sources.decimal, codes)


# --- drafts ----------------------------------------------------------------------------------------------------


def _drafts(sources: _Sources, patient: str, missing: Sequence[str]) -> list[VariableDraft | LeftOut]:
    forms = {one.form for one in sources.fields}
    if not sources.fields and patient == "record_id":  # An export of REDCap, by the typical name of its first column.
        forms = {column.removesuffix("_complete") for column in sources.columns if column.endswith("_complete")}
    drafts: dict[str, VariableDraft | LeftOut] = {}
    for one in sources.fields:
        drafts |= _draft_field(sources, one, missing)
    for column in sources.columns:
        if column not in drafts and not added_column(column, forms) and sources.table is not None:
            cells = sources.cells(column, missing) or Cells([])
            label, levels = sources.table.labels.get(column, ""), sources.table.levels.get(column)
            drafts[column] = draft_of_column(column, cells, label, levels)
    drafts.pop(patient, None)
    if _repeated(sources, patient):
        events = [name for name in _event_columns(sources) if name in drafts]
        drafts |= {name: LeftOut(name, "distinguishes rows of a patient") for name in events}
    counts = Counter(sources.table.columns if sources.table else [])
    nameless = [LeftOut("", "a column has no name")] if "" in counts else []
    repeated = [LeftOut(name, "several columns have this name") for name, n in counts.items() if name and n > 1]
    return [*(_with_events(sources, draft) for draft in drafts.values()), *nameless, *repeated]


def _draft_field(sources: _Sources, one: Field, missing: Sequence[str]) -> dict[str, VariableDraft | LeftOut]:
    drafts: dict[str, VariableDraft | LeftOut] = {}
    choices = one.checkbox_columns()
    for raw, names in export_columns(one).items():
        column = next((name for name in names if name in sources.columns), None)
        if column is not None:
            drafts[column] = draft_of_field(one, column, choices.get(raw, ""), sources.cells(column, missing))
        elif one.kind != "descriptive":
            drafts[raw] = LeftOut(raw, "not in the table")
    return drafts


def _repeated(sources: _Sources, patient: str) -> list[str]:
    """The ids of all rows, if some have more than one row."""
    ids = [cell for cell in sources.whole(patient) if cell.strip()] if sources.table else []
    return ids if len(set(ids)) < len(ids) else []


def _with_events(sources: _Sources, draft: VariableDraft | LeftOut) -> VariableDraft | LeftOut:
    """With a note on a column that is empty in the rows that the draft suggests."""
    events = _event_columns(sources)
    if isinstance(draft, LeftOut) or not events:
        return draft
    names = [name.strip() for name in sources.whole(events[0])]
    filled = {name for name, cell in zip(names, sources.whole(draft.column), strict=True) if cell.strip()}
    if not filled or _suggested(events[0], names) in filled:
        return draft
    return draft.noted(f"filled in only where {events[0]} is {' or '.join(sorted(filled))}")


def _suggested(column: str, values: Sequence[str]) -> str:
    """The first event; no repeat, where there are rows that are none."""
    is_repeat = "repeat" in (added_column(column) or column)
    return "" if is_repeat and "" in values else values[0]


def _event_columns(sources: _Sources) -> list[str]:
    """Columns that distinguish the rows of a patient: events, repeats, visits."""
    raw = {column: (added_column(column) or column).lower() for column in sources.columns}
    events = [column for column, name in raw.items() if name in _VISIT_NAMES and _names_visits(sources, column)]
    if "redcap_repeat_instrument" in raw.values():  # It suffices: the first of its instances is a repeat too.
        events = [column for column in events if raw[column] != "redcap_repeat_instance"]
    return sorted(events, key=lambda column: _VISIT_NAMES.index(raw[column]))


def _names_visits(sources: _Sources, column: str) -> bool:
    """Whether a column holds a few names that may be shown: neither dates nor texts."""
    cells = [cell.strip() for cell in sources.whole(column)]
    values = set(cells)
    return len(values) <= min(MAX_LEVELS, len(cells) / 2) and not fitting_formats(values - {""})


def _reasons(drafts: Sequence[VariableDraft | LeftOut]) -> str:
    reasons = dict.fromkeys(draft.reason for draft in drafts if isinstance(draft, LeftOut))
    return "; ".join(reasons) or "it has no column but the patient's id"


# --- text ------------------------------------------------------------------------------------------------------


def _cohort_text(
    sources: _Sources, source: Path, out: Path, patient: str, missing: Sequence[str], drafts: Sequence[Any]
) -> str:
    file = sources.path or source.with_name("TABLE.csv")
    folder = os.path.relpath(file.resolve().parent, out.resolve().parent)
    root = Path(folder).as_posix() if not folder.startswith("..") else file.resolve().parent.as_posix()
    names = _names([draft.column for draft in drafts if isinstance(draft, VariableDraft)])
    lines = [
        _HEAD.format(out=_plain(out.name), name=_slug(source.stem, "cohort"), root=_scalar(root)).rstrip("\n"),
        "",
        "clinical:",
        f"  file: {_scalar(file.name)}{'' if sources.path else '  # ? the table that the dictionary describes'}",
        f"  patient_column: {_scalar(patient)}  # ? its values must be those of {{patient}} in the file names",
        *([] if sources.sheet is None else [f"  sheet: {_scalar(sources.sheet)}"]),
        *([] if sources.delimiter == "," else [f"  delimiter: {_scalar(sources.delimiter)}"]),
        *([] if sources.decimal == "." else ['  decimal: ","']),
        *_where_lines(sources, patient),
        f"  # Marks of missing, in all columns{'' if missing == _COMMON_MISSING else ' (? the last were found)'}:",
        f"  missing: [{', '.join(map(_quoted, missing))}]",
        "  # Numbers outside a plausible range become missing. Give each a range of what can be, not of what was seen:",
        "  # range: [0, 120]. A column that decides the outcome is marked: defines: [outcome].",
        "  variables:",
    ]
    for draft in drafts:
        if isinstance(draft, VariableDraft):
            lines += _variable_lines(names[draft.column], draft)
    left_out = [draft for draft in drafts if isinstance(draft, LeftOut)]
    if left_out:
        lines += ["    # Left out:"]
        lines += [f"    #   {_plain(draft.column) or '(no name)'}: {_plain(draft.reason)}" for draft in left_out]
    return "\n".join(lines) + "\n"


def _where_lines(sources: _Sources, patient: str) -> list[str]:
    """Rows to choose from, where a patient has several: commented, since only a person knows which."""
    events = _event_columns(sources)
    if sources.table is None:
        return [
            "  # In a longitudinal project, choose the rows of one event:",
            '  # where: {redcap_event_name: [EVENT], redcap_repeat_instrument: [""]}',
        ]
    ids = _repeated(sources, patient)
    if not ids:
        return []
    patients = f"{len(set(ids))} patient{'s' if len(set(ids)) > 1 else ''}"
    lines = [f"  # ? {len(ids)} rows belong to {patients}: one row of each is needed, of the same visit."]
    lines += ["  # where:"] if events else ["  # where: {COLUMN: [VALUE]}"]
    for column in events:
        values = list(dict.fromkeys(cell.strip() for cell in sources.whole(column)))
        chosen = _suggested(column, values)
        others = ", ".join(_plain(value) or "empty" for value in values if value != chosen)
        lines.append(f"  #   {_scalar(column)}: [{_quoted(chosen)}]{f'  # or: {others}' if others else ''}")
    return lines


def _variable_lines(name: str, draft: VariableDraft) -> list[str]:
    parts = {
        "column": _scalar(draft.column) if draft.column != name else "",
        "kind": draft.kind,
        "label": _scalar(_plain(draft.label)) if draft.label and draft.label.lower() != name else "",
        "unit": _scalar(draft.unit) if draft.unit else "",
        "range": f"[{draft.range[0]:.10g}, {draft.range[1]:.10g}]" if draft.range else "",
        "dates": f"[{draft.dates[0]}, {draft.dates[1]}]" if draft.dates else "",
        "date_format": _quoted(draft.date_format) if draft.kind == "date" and draft.date_format != "%Y-%m-%d" else "",
    }
    levels = [f"{_quoted(code)}: {_scalar(level)}" for code, level in draft.levels.items()]
    notes = [f"    # {line}" for line in textwrap.wrap(_plain("? " + "; ".join(draft.notes)), _LINE - 6) if draft.notes]
    inner = [f"{part}: {value}" for part, value in parts.items() if value]
    key = _scalar(name)
    whole = ", ".join([*inner, f"levels: {{{', '.join(levels)}}}"] if levels else inner)
    if len(f"    {key}: {{{whole}}}") <= _LINE:
        return [*notes, f"    {key}: {{{whole}}}"]
    lines = [*(f"      {part}" for part in inner), *(["      levels:"] if levels else [])]
    return [*notes, f"    {key}:", *lines, *(f"        {level}" for level in levels)]


def _names(columns: Sequence[str]) -> dict[str, str]:
    """A name for each column that R, Stata and SQL accept too, and that no other one has."""
    names: dict[str, str] = {}
    taken = {"patient_id"}
    for number, column in enumerate(columns, start=1):
        name = start = _slug(column, f"column_{number}").replace("-", "_")
        count = 2
        while name in taken:
            name, count = f"{start}_{count}", count + 1
        taken.add(name)
        names[column] = name
    return names


def _slug(text: str, default: str) -> str:
    slug = re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_")[:60]
    return slug if slug and slug[0].isalpha() else f"v_{slug}" if slug else default


def _scalar(text: str) -> str:
    """A YAML scalar that reads back as this text: as it is where that is safe."""
    if re.fullmatch(r"[A-Za-z][A-Za-z0-9_./°²%]*( [A-Za-z0-9_./°²%]+)*", text) and yaml.safe_load(text) == text:
        return text
    return _quoted(text)


def _quoted(text: str) -> str:
    return yaml.safe_dump(text, default_style='"', allow_unicode=True, width=10**9).strip()


def _plain(text: str) -> str:
    """Text that fits in a comment of one line."""
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())
