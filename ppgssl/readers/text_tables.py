"""Small tables (CSV, TSV, Excel) as text: every cell as the user sees it, nothing guessed."""

from __future__ import annotations

import csv
import datetime
import io
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import openpyxl

from ppgssl.errors import ReadError
from ppgssl.readers.raw_files import read_bytes

_EXCEL = (".xlsx", ".xlsm")
_TABS = (".tsv", ".tab")


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
        Row number as a spreadsheet counts (the header is row 1), and a cell for each column. Empty rows are left out.
    misshapen : list of int
        Numbers of rows with more or fewer cells than the header, which are not in ``rows``: in such a row nobody
        knows which value belongs to which column.
    """

    name: str
    columns: list[str]
    rows: list[tuple[int, list[str]]]
    misshapen: list[int]


def read_text_table(path: Path, *, delimiter: str = ",", decimal: str = ".") -> TextTable:
    """Read a table from UTF-8 text or the first sheet of an Excel workbook.

    Parameters
    ----------
    path : Path
        ``.xlsx`` and ``.xlsm`` are Excel, anything else is delimited text.
    delimiter : str
        Of delimited text. Files named ``.tsv`` have tabs in place of a comma.
    decimal : str
        How the fractions of Excel's numbers are written: as in the texts of the same hospital.

    Raises
    ------
    ReadError
        If the file cannot be read, is no table, is in another encoding, or holds a formula without a value.
    """
    suffix = path.suffix.lower()
    if suffix == ".xls":
        raise ReadError(f"{path}: the old Excel format. Save it as .xlsx, or as CSV in UTF-8.")
    if suffix in _EXCEL:
        return _table(path, enumerate(_excel_rows(path, decimal), start=1))
    return _table(path, _csv_rows(path, "\t" if suffix in _TABS and delimiter == "," else delimiter))


def _table(path: Path, numbered: Iterable[tuple[int, list[str]]]) -> TextTable:
    filled = [(number, cells) for number, cells in numbered if any(cell.strip() for cell in cells)]
    if not filled or filled[0][0] != 1:
        raise ReadError(f"{path}: row 1 is empty; expected the names of the columns there.")
    columns = [cell.strip() for cell in _without_empty_end(filled[0][1], 0)]
    rows = [(number, _without_empty_end(cells, len(columns))) for number, cells in filled[1:]]
    return TextTable(
        name=path.name,
        columns=columns,
        rows=[(number, cells) for number, cells in rows if len(cells) == len(columns)],
        misshapen=[number for number, cells in rows if len(cells) != len(columns)],
    )


def _without_empty_end(cells: list[str], n: int) -> list[str]:
    """Cells without empty ones after the first ``n``, which spreadsheets like to add."""
    end = len(cells)
    while end > n and not cells[end - 1].strip():
        end -= 1
    return cells[:end]


# --- text ------------------------------------------------------------------------------------------------------


def _csv_rows(path: Path, delimiter: str) -> list[tuple[int, list[str]]]:
    text = _decoded(path)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        return list(enumerate(reader, start=1))
    except csv.Error as error:
        raise ReadError(
            f"{path}: line {reader.line_num} is not delimited text ({error}). Look for a quote that is never closed."
        ) from None


def _decoded(path: Path) -> str:
    content = read_bytes(path)
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise ReadError(f"{path}: the text is UTF-16. Save it as CSV in UTF-8.")
    if b"\0" in content:
        raise ReadError(f"{path}: binary data; expected text. Save the table as CSV in UTF-8, or as .xlsx.")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ReadError(f"{path}: line {line} is not UTF-8. Save the table as CSV in UTF-8, or as .xlsx.") from None


# --- Excel -----------------------------------------------------------------------------------------------------


def _excel_rows(path: Path, decimal: str) -> list[list[str]]:
    content = read_bytes(path)
    values, formulas = (_sheet(path, content, data_only) for data_only in (True, False))
    uncomputed = [
        number
        for number, (row, as_written) in enumerate(zip(values, formulas, strict=True), start=1)
        if any(value is None and written is not None for value, written in zip(row, as_written, strict=True))
    ]
    if uncomputed:
        raise ReadError(
            f"{path}: row {uncomputed[0]} has a formula whose result is not in the file. Open it in Excel and save it."
        )
    return [[_text(value, decimal) for value in row] for row in values]


def _sheet(path: Path, content: bytes, data_only: bool) -> list[tuple[object, ...]]:
    try:
        with warnings.catch_warnings():
            # openpyxl warns of styles and validation rules that it does not keep.
            warnings.simplefilter("ignore")
            workbook = openpyxl.load_workbook(io.BytesIO(content), data_only=data_only)
            return list(workbook.worksheets[0].values)
    except Exception as error:  # Damaged workbooks raise whatever zip and XML parsers do.
        raise ReadError(f"{path}: not an Excel workbook, or damaged ({type(error).__name__}). Save it again.") from None


def _text(value: object, decimal: str) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).upper()
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() else repr(value).replace(".", decimal)
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    return str(value)
