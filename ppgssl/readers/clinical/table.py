"""The clinical table: one row a patient, checked against the dictionary of variables in cohort.yaml."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from ppgssl.core.config.cohort import ClinicalTable, Variable
from ppgssl.core.errors import ConfigError, ReadError
from ppgssl.core.reasons import WRONG_KINDS, Reason
from ppgssl.core.records import Reject
from ppgssl.core.text import Message, suggest
from ppgssl.readers.clinical.date_offsets import days_from_first
from ppgssl.readers.clinical.dates import fitting_formats, is_date_format, read_date, read_iso_date
from ppgssl.readers.clinical.patient_ids import id_hint
from ppgssl.readers.clinical.text_tables import TextTable, canonical_text, plain_number, read_text_table
from ppgssl.readers.clinical.unit_candidates import unit_candidates

__all__ = ["Clinical", "id_hint", "read_clinical", "unit_candidates"]

# From so many values on, none of them fitting is a mistake in the description, and no accident of the data.
_MIN_VALUES = 5
# Of pairs of different patients that agree in every variable by chance; fewer expected, and a pair is worth a word.
_MAX_EXPECTED_PAIRS = 0.05
# A column that names events or visits holds few different values; of another one none is shown.
_MAX_VALUES_SHOWN = 12
_A_TABLE = Message("the clinical table")


@dataclass(frozen=True)
class Clinical:
    """The clinical table, checked.

    Attributes
    ----------
    patients : DataFrame, index ``patient_id`` (str, as written in the table, or a pseudonym)
        A column for each variable: float for numeric, transformed as the dictionary asks; 0.0 or 1.0 (the event)
        for binary; the level for categorical; 'YYYY-MM-DD' for a date, or with pseudonyms a number of days. NaN, or
        None of a level or date, where missing.
    problems : list of Reject
        ``unit`` "cell": became missing; "patient": left out; "row" and "variable": perhaps wrong, and kept as it is.
    rejected_ids : frozenset of str
        Patients of the table that are left out.
    n_rows, n_left_out : int
        Rows below the header, without empty ones: those that ``where`` asks for, and the others.
    """

    patients: pd.DataFrame
    problems: list[Reject] = field(default_factory=list)
    rejected_ids: frozenset[str] = frozenset()
    n_rows: int = 0
    n_left_out: int = 0


class _Cell(NamedTuple):
    value: float | str | None  # None: missing
    problem: Reason | None = None


class _Row(NamedTuple):
    number: int
    patient_id: str
    cells: dict[str, _Cell]

    def values(self) -> tuple[float | str | None, ...]:
        return tuple(cell.value for cell in self.cells.values())


def read_clinical(
    table: ClinicalTable, root: Path, *, pseudonym: Callable[[str], str] | None = None, instead: Path | None = None
) -> Clinical:
    """Read and check the clinical table.

    Rows that do not have the values that ``where`` asks for are left out first. A cell that is not as the dictionary
    describes it becomes missing and is listed. Equal numbers are one level, however they are written (``1``, ``1.0``).
    Of a patient's rows with the same values one is kept; a patient whose rows contradict each other is left out. Ids
    are texts and are compared exactly.

    Parameters
    ----------
    table : ClinicalTable
        Its description in ``cohort.yaml``.
    root : Path
        The cohort's folder.
    pseudonym : callable, optional
        From a patient's id to the name that takes its place. Patients are then in the order of these names, and dates
        are days from the patient's first one; see :mod:`ppgssl.readers.clinical.date_offsets`.
    instead : Path, optional
        A file of the same description to read in place of ``clinical.file``: that of the option ``--clinical``. Where
        patients have pseudonyms, its name is not shown: it may be a patient's.

    Raises
    ------
    ConfigError
        If the file is absent or no table, lacks a column of the dictionary, has no row that fits ``where``, a date
        format gives no date, or all values of a variable (five or more) are of another kind; every mistake is listed.
    """
    _check_date_formats(table)
    whole = _read_text(table, root, instead, is_private=pseudonym is not None)
    places = _places(whole, table)
    text = _choose_rows(whole, table)
    rows = _rows(text, table, places)
    if pseudonym is not None:
        rows = [row._replace(patient_id=pseudonym(row[1]) if row[1].strip() else row[1]) for row in rows]
    _check_kinds(text, table, rows)
    kept, problems, rejected = _one_row_each(text, table, rows)
    patients = _frame(kept, table)
    # Two variables of one column have the same bad cells: each is listed once.
    cell_problems = dict.fromkeys(
        _bad_cell(text, row, name, table.variables[name], cell.problem)
        for row in kept
        for name, cell in row.cells.items()
        if cell.problem
    )
    dates = [name for name, variable in table.variables.items() if variable.kind == "date"]
    # Without variables whose column another one has described: they agree because it does.
    first = {(variable.column or name).strip(): name for name, variable in reversed(table.variables.items())}
    own_column = [name for name in table.variables if name in first.values()]
    return Clinical(
        patients=patients if pseudonym is None else days_from_first(patients.sort_index(), dates),
        problems=[
            *problems,
            *cell_problems,
            *_identical_patients(patients[own_column]),
            *unit_candidates(patients, table),
        ],
        rejected_ids=frozenset(rejected),
        n_rows=len(text.rows) + len(text.misshapen),
        n_left_out=len(whole.rows) - len(text.rows),
    )


# --- file -> rows ----------------------------------------------------------------------------------------------


def _check_date_formats(table: ClinicalTable) -> None:
    problems = [
        Message(
            "`clinical.variables.{name}.date_format`: {written!r} does not give day, month and year. 03/04/2020 is "
            "'%d/%m/%Y' or '%m/%d/%Y', 3-Apr-20 is '%d-%b-%y', 2020-04-03 13:45 is '%Y-%m-%d %H:%M'",
            name=name,
            written=variable.date_format,
        )
        for name, variable in table.variables.items()
        if variable.kind == "date" and not is_date_format(variable.date_format)
    ]
    if problems:
        raise ConfigError(Message("the dates of the clinical table are not described:"), tuple(problems))


def _read_text(table: ClinicalTable, root: Path, instead: Path | None, *, is_private: bool) -> TextTable:
    path = root / table.file if instead is None else instead.absolute()
    try:
        text = read_text_table(path, delimiter=table.delimiter, decimal=table.decimal, sheet=table.sheet)
    except ReadError as error:
        option = Message("`clinical.file`" if instead is None else "`--clinical`")
        shown = str(path)
        if is_private:
            shown = table.file if instead is None else _A_TABLE
        raise ConfigError("{option}: {file}: {problem}", option=option, file=shown, problem=error.message) from None
    return text if instead is None or not is_private else replace(text, name=_A_TABLE)


def _places(text: TextTable, table: ClinicalTable) -> dict[str, int]:
    """Where the column of each key of the description stands; "" is the patient's id."""
    wanted = {"": (Message("`clinical.patient_column`"), table.patient_column)}
    wanted |= {
        name: (Message("`clinical.variables.{name}`", name=name), variable.column or name)
        for name, variable in table.variables.items()
    }
    wanted |= {f"where {column}": (Message("`clinical.where`"), column) for column in table.where}
    known = [] if _is_headless(text) else text.columns
    problems = [
        Message("{key}: more than one column is named {column!r}", key=key, column=column)
        if column.strip() in text.columns
        else Message("{key}: no column is named {column!r}{near}", key=key, column=column, near=suggest(column, known))
        for key, column in wanted.values()
        if text.columns.count(column.strip()) != 1
    ]
    if problems:
        message = "the clinical table {table} does not fit its description. {about}"
        raise ConfigError(message, tuple(problems), table=text.name, about=_about_columns(text))
    return {name: text.columns.index(column.strip()) for name, (_, column) in wanted.items()}


def _is_headless(text: TextTable) -> bool:
    """Whether row 1 seems to hold the values of a patient, which no message may show."""
    cells = (cell for column in text.columns for cell in re.split(r"[;,\t|]", column))
    return any(plain_number(cell, ".") is not None for cell in cells)


def _about_columns(text: TextTable) -> Message:
    marks = [mark for mark in (";", "\t", ",", "|") if len(text.columns) == 1 and mark in text.columns[0]]
    hint = Message("")
    if marks:
        mark = Message("{mark!r}", mark=marks[0])
        hint = Message(" If that is several columns, set `clinical.delimiter: {mark}`.", mark=mark)
    if _is_headless(text):
        return Message("Row 1 holds numbers where the names of the columns are expected.{hint}", hint=hint)
    return Message("Its columns are: {columns}.{hint}", columns=text.columns, hint=hint)


def _choose_rows(text: TextTable, table: ClinicalTable) -> TextTable:
    """The rows that ``where`` asks for."""
    chosen = text.rows
    for column, values in table.where.items():
        place = text.columns.index(column.strip())
        wanted = {canonical_text(value, ".") for value in values}
        # What the column holds, once the conditions before it hold: a patient's id is not repeated in all of them.
        found = dict.fromkeys(canonical_text(cells[place], table.decimal) for _, cells in chosen)
        fitting = [row for row in chosen if canonical_text(row[1][place], table.decimal) in wanted]
        if chosen and not fitting:
            raise ConfigError(_no_row_message(text.name, column, values, list(found)))
        chosen = fitting
    return replace(text, rows=chosen)


def _no_row_message(table: str, column: str, wanted: Sequence[str], found: Sequence[str]) -> Message:
    template = "`clinical.where.{column}`: no row of {table} has one of {wanted} there"
    listed = [Message("{value!r}", value=value) for value in wanted]
    start = Message(template, column=column, table=table, wanted=listed)
    if len(found) > _MAX_VALUES_SHOWN:
        return Message("{start}, but {n} different values. Is it the right column?", start=start, n=len(found))
    values = [Message("{value!r}", value=value) for value in found]
    return Message("{start}, but {values}. An empty cell is ''.", start=start, values=values)


def _rows(text: TextTable, table: ClinicalTable, places: dict[str, int]) -> list[_Row]:
    marks = {canonical_text(mark, ".") for mark in table.missing}
    readers = {name: _cell_reader(variable, table.decimal, text.is_typed) for name, variable in table.variables.items()}
    return [
        _Row(
            number,
            cells[places[""]],
            {
                name: _Cell(None)
                if canonical_text(cells[places[name]], table.decimal) in marks
                else read(cells[places[name]])
                for name, read in readers.items()
            },
        )
        for number, cells in text.rows
    ]


def _cell_reader(variable: Variable, decimal: str, is_typed: bool) -> Callable[[str], _Cell]:
    """From the text of a cell that is not missing to its value, or to what is wrong with it."""
    if variable.kind == "numeric":
        return lambda text: _read_number(text, variable, decimal)
    if variable.kind == "date":
        return lambda text: _read_date(text, variable, is_typed)
    levels = _levels(variable, decimal)

    def read_level(text: str) -> _Cell:
        canonical = canonical_text(text, decimal)
        return _Cell(levels[canonical]) if canonical in levels else _Cell(None, Reason.UNKNOWN_LEVEL)

    return read_level


def _read_number(text: str, variable: Variable, decimal: str) -> _Cell:
    value = plain_number(text, decimal)
    if value is None:
        return _Cell(None, Reason.NOT_A_NUMBER)
    low, high = variable.range or (-math.inf, math.inf)
    if not (low <= value <= high and math.isfinite(value)):
        return _Cell(None, Reason.IMPLAUSIBLE)
    return _Cell(variable.transform(value) if variable.transform else value)


def _read_date(text: str, variable: Variable, is_typed: bool) -> _Cell:
    # A typed table has its dates in ISO, and may have texts that look like dates in the same column.
    date = (read_iso_date(text) if is_typed else None) or read_date(text, variable.date_format)
    if date is None:
        return _Cell(None, Reason.NOT_A_DATE)
    first, last = variable.dates or (date, date)
    return _Cell(date.isoformat()) if first <= date <= last else _Cell(None, Reason.IMPLAUSIBLE)


def _levels(variable: Variable, decimal: str) -> dict[str, float | str]:
    """Text in the table -> value: the level, or of a binary variable whether it is the event.

    A level that is a number may be written as in the table or as in YAML.
    """
    event = variable.level_names[-1]
    return {
        canonical_text(key, mark): level if variable.kind == "categorical" else float(level == event)
        for key, level in (variable.levels or {"0": "0", "1": "1"}).items()
        for mark in (decimal, ".")
    }


def _check_kinds(text: TextTable, table: ClinicalTable, rows: Sequence[_Row]) -> None:
    problems = [
        problem for name, variable in table.variables.items() if (problem := _wrong_kind(text, table, name, rows))
    ]
    if problems:
        message = "the clinical table {table} does not fit its description:"
        raise ConfigError(message, tuple(problems), table=text.name)


def _wrong_kind(text: TextTable, table: ClinicalTable, name: str, rows: Sequence[_Row]) -> Message | None:
    variable = table.variables[name]
    cells = [row.cells[name] for row in rows]
    filled = [cell for cell in cells if cell.value is not None or cell.problem]
    if len(filled) < _MIN_VALUES or any(cell.problem not in WRONG_KINDS for cell in filled):
        return None
    column = variable.column or name
    template = "`clinical.variables.{name}`: none of the {n} values in column {column!r} is"
    start = Message(template, name=name, n=len(filled), column=column)
    if variable.kind == "numeric":
        return Message(
            "{start} a number. Is it another column, or do its numbers have a decimal {mark} (`clinical.decimal`)?",
            start=start,
            mark=Message("point" if table.decimal == "," else "comma"),
        )
    if variable.kind == "date":
        written = [value for value, cell in zip(text.cells(column.strip()), cells, strict=True) if cell.problem]
        fitting = [Message("{name!r}", name=name) for name in fitting_formats(written)]
        all_fit = Message(" All fit: {formats}.", formats=fitting) if fitting else ""
        wanted = variable.date_format
        return Message("{start} a date as {wanted!r}.{all_fit}", start=start, wanted=wanted, all_fit=all_fit)
    return Message(
        "{start} one of the levels {levels}. Give `levels`, with quotes around yes, no, on, off, true and false.",
        start=start,
        levels=list(variable.levels or ["0", "1"]),
    )


# --- rows -> patients ------------------------------------------------------------------------------------------


def _one_row_each(
    text: TextTable, table: ClinicalTable, rows: Sequence[_Row]
) -> tuple[list[_Row], list[Reject], set[str]]:
    """Rows to keep, what is wrong with the others, and the patients who lost all rows."""
    by_patient: dict[str, list[_Row]] = {}
    for row in rows:
        by_patient.setdefault(row.patient_id, []).append(row)
    nameless = [row.number for name in list(by_patient) if not name.strip() for row in by_patient.pop(name)]
    problems = _unusable_rows(text, table, nameless)
    repeats = {name: group for name, group in by_patient.items() if len(group) > 1}
    conflicting = {name for name, group in repeats.items() if len({row.values() for row in group}) > 1}
    problems += [_repeated(text, name, group, name in conflicting) for name, group in repeats.items()]
    kept = [group[0] for name, group in by_patient.items() if name not in conflicting]
    return kept, problems, conflicting


def _unusable_rows(text: TextTable, table: ClinicalTable, nameless: Sequence[int]) -> list[Reject]:
    shape = f"expected {len(text.columns)} cells; look for an unquoted delimiter or a line break inside a cell"
    cases = [
        (nameless, Reason.ROW_WITHOUT_ID, f"column {table.patient_column} is empty"),
        (text.misshapen, Reason.ROW_MISSHAPEN, shape),
    ]
    return [
        Reject(reason, f"row {number}", f"{text.name}, row {number}: {detail}")
        for numbers, reason, detail in cases
        for number in numbers
    ]


def _repeated(text: TextTable, patient_id: str, rows: Sequence[_Row], is_conflict: bool) -> Reject:
    numbers = ", ".join(str(row.number) for row in rows)
    if not is_conflict:
        detail = f"{text.name}, rows {numbers} have the same values: one is used"
        return Reject(Reason.REPEATED_PATIENT, patient_id, detail)
    differing = [name for name in rows[0].cells if len({row.cells[name].value for row in rows}) > 1]
    detail = f"{text.name}, rows {numbers} differ in {', '.join(differing)}: none is used"
    return Reject(Reason.CONTRADICTING_ROWS, patient_id, detail)


def _frame(rows: Sequence[_Row], table: ClinicalTable) -> pd.DataFrame:
    index = pd.Index([row.patient_id for row in rows], name="patient_id", dtype=object)
    columns = {
        name: pd.Series(
            [row.cells[name].value for row in rows],
            index=index,
            dtype=object if variable.kind in ("categorical", "date") else float,
        )
        for name, variable in table.variables.items()
    }
    return pd.DataFrame(columns, index=index)


def _bad_cell(text: TextTable, row: _Row, name: str, variable: Variable, problem: Reason) -> Reject:
    column = variable.column or name
    detail = f"{text.name}, row {row.number}, column {column}: expected {_expected(variable)}; taken as missing"
    return Reject(problem, f"{row.patient_id}/{column}", detail)


def _expected(variable: Variable) -> str:
    if variable.kind == "date":
        between = f" from {variable.dates[0]} to {variable.dates[1]}" if variable.dates else ""
        return f"a date{between}, written as {variable.date_format}"
    if variable.kind != "numeric":
        return f"one of {', '.join(variable.levels or ['0', '1'])}"
    if variable.range is None:
        return "a number"
    return f"a number from {variable.range[0]:g} to {variable.range[1]:g} {variable.written_unit}".rstrip()


# --- suspicions ------------------------------------------------------------------------------------------------


def _identical_patients(patients: pd.DataFrame) -> list[Reject]:
    """Groups of ids with the same values in every variable, in tables where that is hardly an accident."""
    n = len(patients)
    # Of pairs that agree in all variables, were these independent.
    agree = [float((patients[name].value_counts(dropna=False) / n).pow(2).sum()) for name in patients] if n else []
    if n < 2 or n * (n - 1) / 2 * float(np.prod(agree)) > _MAX_EXPECTED_PAIRS:
        return []
    groups: dict[tuple[object, ...], list[str]] = {}
    known = patients[patients.notna().mean(axis=1) > 0.5]
    for patient_id, values in zip(known.index, known.astype(object).where(known.notna(), None).to_numpy(), strict=True):
        groups.setdefault(tuple(values), []).append(str(patient_id))
    detail = "all variables are equal: one row may have been copied by mistake. Both are kept"
    return [Reject(Reason.IDENTICAL_ROWS, ", ".join(ids), detail) for ids in groups.values() if len(ids) > 1]
