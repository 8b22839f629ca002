"""Small tables (CSV, Excel, Parquet, SAS, Stata, SPSS) as text: every cell as the user sees it, nothing guessed."""

from __future__ import annotations

import csv
import io
import re
import warnings
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import openpyxl

from ppgssl.core.errors import ReadError
from ppgssl.core.text import Message, suggest
from ppgssl.readers.clinical.statistical_files import SUFFIXES, cell_text, read_typed_table
from ppgssl.readers.raw_files import check_size, read_bytes

_EXCEL = (".xlsx", ".xlsm")
_TABS = (".tsv", ".tab")
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
# A sheet reaches to its last cell that has a value or a border: one at the far end asks for 17,000 million cells.
_MAX_CELLS = 20_000_000


@dataclass(frozen=True)
class TextTable:
    """A table below its header.

    Attributes
    ----------
    name : str
        File name, for messages.
    columns : list of str
        The header, without blanks around the names.
    rows : list of (int, list of str)
        Row number, and a cell for each column. Numbers count as a spreadsheet does (the header is row 1), or in files
        without a header line as the program that made them does (the first is 1). Empty rows are left out.
    misshapen : list of int
        Numbers of rows with more or fewer cells than the header, which are not in ``rows``: in such a row nobody
        knows which value belongs to which column.
    is_typed : bool
        Whether the file itself knows which cells are dates. These are in ISO.
    labels, levels
        What columns, and codes in them, mean, where the file has labels; see ``TypedTable``.
    """

    name: str
    columns: list[str]
    rows: list[tuple[int, list[str]]]
    misshapen: list[int]
    is_typed: bool = False
    labels: dict[str, str] = field(default_factory=dict)
    levels: dict[str, dict[str, str]] = field(default_factory=dict)

    def cells(self, column: str) -> list[str]:
        """The cells of the first column of that name."""
        place = self.columns.index(column)
        return [cells[place] for _, cells in self.rows]


def plain_number(text: str, decimal: str) -> float | None:
    """The number in a cell, None if it is none. Only plain numbers are numbers: no 1_000, 0x1 or 1 000."""
    text = text.strip()
    if decimal == ",":
        text = text.replace(".", "?").replace(",", ".")
    return float(text) if _NUMBER.fullmatch(text) else None


def canonical_text(text: str, decimal: str) -> str:
    """The text without blanks around it; of numbers, one spelling for all that are equal."""
    value = plain_number(text, decimal)
    return text.strip() if value is None else repr(value + 0.0)  # -0.0 + 0.0 is 0.0


def read_text_table(path: Path, *, delimiter: str = ",", decimal: str = ".", sheet: str | None = None) -> TextTable:
    """Read a table from UTF-8 text, an Excel workbook, Parquet, or a file of SAS, Stata or SPSS.

    Parameters
    ----------
    path : Path
        The suffix gives the format: ``.xlsx`` and ``.xlsm``; those of ``statistical_files``; else delimited text.
    delimiter : str
        Of delimited text. Files named ``.tsv`` have tabs in place of a comma.
    decimal : str
        How the fractions of typed cells are written: as in the texts of the same hospital.
    sheet : str, optional
        Of a workbook; the first by default.

    Raises
    ------
    ReadError
        If the file cannot be read, is no table, is in another encoding, or holds a formula without a value.
    """
    suffix = path.suffix.lower()
    if sheet is not None and suffix not in _EXCEL:
        raise ReadError(path, "`sheet` is {sheet!r}, but only .xlsx and .xlsm files have sheets.", sheet=sheet)
    if suffix == ".xls":
        raise ReadError(path, "the old Excel format. Save it as .xlsx, or as CSV in UTF-8.")
    if suffix in _EXCEL:
        return _table(path, enumerate(_excel_rows(path, decimal, sheet), start=1), is_typed=True)
    if suffix in SUFFIXES:
        return _typed(path, decimal)
    rows = _csv_rows(path, "\t" if suffix in _TABS and delimiter == "," else delimiter)
    return _table(path, rows, is_typed=False)


def _typed(path: Path, decimal: str) -> TextTable:
    found = read_typed_table(path, decimal=decimal)
    names = [column.strip() for column in found.columns]
    return TextTable(
        name=path.name,
        columns=names,
        rows=[(number, cells) for number, cells in enumerate(found.rows, start=1) if any(map(str.strip, cells))],
        misshapen=[],
        is_typed=True,
        labels={column.strip(): label for column, label in found.labels.items()},
        levels={column.strip(): levels for column, levels in found.levels.items()},
    )


def _table(path: Path, numbered: Iterable[tuple[int, list[str]]], *, is_typed: bool) -> TextTable:
    filled = [(number, cells) for number, cells in numbered if any(cell.strip() for cell in cells)]
    if not filled or filled[0][0] != 1:
        raise ReadError(path, "row 1 is empty; expected the names of the columns there.")
    columns = [cell.strip() for cell in _without_empty_end(filled[0][1], 0)]
    rows = [(number, _without_empty_end(cells, len(columns))) for number, cells in filled[1:]]
    return TextTable(
        name=path.name,
        columns=columns,
        rows=[(number, cells) for number, cells in rows if len(cells) == len(columns)],
        misshapen=[number for number, cells in rows if len(cells) != len(columns)],
        is_typed=is_typed,
    )


def _without_empty_end(cells: list[str], n: int) -> list[str]:
    """Cells without empty ones after the first ``n``, which spreadsheets like to add."""
    end = len(cells)
    while end > n and not cells[end - 1].strip():
        end -= 1
    return cells[:end]


def _csv_rows(path: Path, delimiter: str) -> list[tuple[int, list[str]]]:
    text = _decoded(path)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        return list(enumerate(reader, start=1))
    except csv.Error as error:
        problem = "line {line} is not delimited text ({error}). Look for a quote that is never closed."
        raise ReadError(path, problem, line=reader.line_num, error=str(error)) from None


def _decoded(path: Path) -> str:
    content = read_bytes(path)
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise ReadError(path, "the text is UTF-16. Save it as CSV in UTF-8.")
    if b"\0" in content:
        raise ReadError(path, "binary data; expected text. Save the table as CSV in UTF-8, or as .xlsx.")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        problem = "line {line} is not UTF-8. Save the table as CSV in UTF-8, or as .xlsx."
        raise ReadError(path, problem, line=line) from None


def _excel_rows(path: Path, decimal: str, sheet: str | None) -> list[list[str]]:
    content = read_bytes(path)
    values, formulas = (_sheet(path, content, sheet, data_only) for data_only in (True, False))
    uncomputed = [
        number
        for number, (row, as_written) in enumerate(zip(values, formulas, strict=True), start=1)
        if any(value is None and written is not None for value, written in zip(row, as_written, strict=True))
    ]
    if uncomputed:
        problem = "row {row} has a formula whose result is not in the file. Open it in Excel and save it."
        raise ReadError(path, problem, row=uncomputed[0])
    return [[cell_text(value, decimal) for value in row] for row in values]


def _sheet(path: Path, content: bytes, sheet: str | None, data_only: bool) -> list[tuple[object, ...]]:
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as packed:
            check_size(path, sum(part.file_size for part in packed.infolist()), Message("the unpacked workbook"))
        with warnings.catch_warnings():
            # openpyxl warns of styles and validation rules that it does not keep.
            warnings.simplefilter("ignore")
            workbook = openpyxl.load_workbook(io.BytesIO(content), data_only=data_only)
            return list(_choose_sheet(path, workbook, sheet).values)
    except ReadError:
        raise
    except Exception as error:  # Damaged workbooks raise whatever zip and XML parsers do.
        problem = "not an Excel workbook, or damaged ({error}). Save it again."
        raise ReadError(path, problem, error=type(error)) from None


def _choose_sheet(path: Path, workbook: Any, sheet: str | None) -> Any:
    sheets = {one.title: one for one in workbook.worksheets}
    if sheet is not None and sheet not in sheets:
        problem = "no sheet is named {sheet!r}{near}; there are: {sheets}."
        raise ReadError(path, problem, sheet=sheet, near=suggest(sheet, sheets), sheets=list(sheets))
    chosen = workbook.worksheets[0] if sheet is None else sheets[sheet]
    if chosen.max_row * chosen.max_column > _MAX_CELLS:
        problem = (
            "sheet {sheet!r} reaches to row {row} and column {column}. Delete the empty rows and columns beyond the "
            "table, and save it again."
        )
        raise ReadError(path, problem, sheet=chosen.title, row=chosen.max_row, column=chosen.max_column)
    return chosen
