"""Tables of SAS, Stata and SPSS, and Parquet, as the texts that the same table would have as CSV."""

from __future__ import annotations

import datetime
import decimal as decimals
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ppgssl.core.errors import ReadError
from ppgssl.core.text import Message
from ppgssl.readers.isolated import LibraryError, call
from ppgssl.readers.raw_files import check_size, file_size, read_bytes

# Suffix -> function of pyreadstat, and the program that wrote the file.
_STATISTICAL = {
    ".sas7bdat": ("read_sas7bdat", Message("a SAS")),
    ".xpt": ("read_xport", Message("a SAS transport")),
    ".dta": ("read_dta", Message("a Stata")),
    ".sav": ("read_sav", Message("an SPSS")),
    ".zsav": ("read_sav", Message("an SPSS")),
}
SUFFIXES = (*_STATISTICAL, ".parquet")

_EPOCH_1960 = datetime.datetime(1960, 1, 1)
_EPOCH_SPSS = datetime.datetime(1582, 10, 14)
_DAY = datetime.timedelta(days=1)
_SECOND = datetime.timedelta(seconds=1)
# SAS names a format by a word, a width and decimals (DATE9., E8601DT19.); this is the word.
_SAS_WORD = re.compile(r"[A-Z]+(?:8601[A-Z]+)?")
_SAS_DATES = re.compile(
    r"DATE|(MMDDYY|DDMMYY|YYMMDD)[BCDNPS]?|(YYMM|MMYY)[CDNPS]?|MONYY|JULIAN|WEEKDAT[EX]|WORDDAT[EX]|[EBI]S?8601DA"
    r"|MONNAME|MONTH|QTRR?|YEAR|DAY|WEEKDAY|DOWNAME|(NL|MINGUO|NENGO)DATE"
)
_SAS_TIMES = re.compile(r"DATETIME|DTDATE|DTMONYY|DTWKDATX|DATEAMPM|MDYAMPM|NLDATM\w*|[EBI]S?8601D[TNZ]")
_SPSS_DATES = re.compile(r"[AEJS]?DATE|QYR|MOYR|WKYR|DATETIME|YMDHMS")


@dataclass(frozen=True)
class TypedTable:
    """A table whose file describes its columns.

    Cells are texts: '' where missing, whole numbers without a decimal, dates and times in ISO. Where the file has them,
    ``labels`` are column -> what it means, and ``levels`` column -> text of a cell -> its label.
    """

    columns: list[str]
    rows: list[list[str]]
    labels: dict[str, str] = field(default_factory=dict)
    levels: dict[str, dict[str, str]] = field(default_factory=dict)


def read_typed_table(path: Path, *, decimal: str = ".") -> TypedTable:
    """Read a table of SAS (.sas7bdat, .xpt), Stata (.dta), SPSS (.sav, .zsav) or Parquet.

    Every kind of missing value (system missing, user missing of SPSS, ``.a`` to ``.z``, null, NaN) becomes ''. Columns
    that have a date format become ISO dates, or ISO date-times where the time is not midnight. Codes with value labels
    stay codes. Files of SAS, Stata and SPSS are read by ReadStat, in a process of its own. The suffix of ``path`` gives
    the format; fractions are written with ``decimal``. ReadError if the file is damaged or of another format.
    """
    check_size(path, file_size(path))
    if path.suffix.lower() == ".parquet":
        return _parquet(path, decimal)
    return _statistical(path, *_STATISTICAL[path.suffix.lower()], decimal)


def cell_text(value: object, decimal: str) -> str:
    """A typed cell as CSV would have it: 1.0 is '1', True is 'TRUE', a date is ISO, None and NaN are ''."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, bool | np.bool_):
        return str(value).upper()
    if isinstance(value, decimals.Decimal):
        text = format(value, "f") if value.is_finite() else ""
        return (text.rstrip("0").rstrip(".") if "." in text else text).replace(".", decimal)
    if isinstance(value, float | np.float16 | np.float32):
        return _float_text(value, decimal)
    if isinstance(value, datetime.datetime):
        return value.isoformat() if value.time() != datetime.time() else value.date().isoformat()
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _float_text(value: float | np.float16 | np.float32, decimal: str) -> str:
    number = float(value)
    if math.isnan(number):
        return ""
    if number.is_integer() and abs(number) < 1e15:
        return str(int(number))
    # A 32-bit 36.6 is 36.6 only in the shortest digits of its own width.
    return str(value).replace(".", decimal)


def _statistical(path: Path, function: str, program: Message, decimal: str) -> TypedTable:
    try:
        table = call("statistical_table", path, function)
    except LibraryError as error:
        problem = (
            "not {program} file, or damaged ({reason}). Copy it again from its source, save it again in the program "
            "that made it, or save the table as CSV in UTF-8."
        )
        raise ReadError(path, problem, program=program, reason=error.reason) from None
    columns = [
        _texts(cells, type_, _moment(function, format_), decimal)
        for cells, type_, format_ in zip(table["cells"], table["types"], table["formats"], strict=True)
    ]
    levels = {
        column: {cell_text(value, decimal): str(label) for value, label in pairs}
        for column, pairs in zip(table["columns"], table["levels"], strict=True)
        if pairs
    }
    labels = {column: label for column, label in zip(table["columns"], table["labels"], strict=True) if label}
    return TypedTable(table["columns"], [list(row) for row in zip(*columns, strict=True)], labels, levels)


def _texts(
    cells: Sequence[Any], type_: str, moment: Callable[[float], datetime.datetime] | None, decimal: str
) -> list[str]:
    if moment is not None:
        return [_moment_text(value, moment, decimal) for value in cells]
    if type_ == "float":
        return ["" if value is None else cell_text(np.float32(value), decimal) for value in cells]
    return [cell_text(value, decimal) for value in cells]


def _moment_text(value: Any, moment: Callable[[float], datetime.datetime], decimal: str) -> str:
    if not isinstance(value, int | float) or math.isnan(value):
        return ""
    try:
        return cell_text(moment(value), decimal)
    except (OverflowError, ValueError):
        return cell_text(value, decimal)  # No date of this calendar: the number, which then fails as a date.


def _moment(function: str, format_: str) -> Callable[[float], datetime.datetime] | None:
    """From a number to the moment that it stands for, if the column's format is one of dates or times."""
    if function == "read_dta":
        return _stata_moment(format_)
    if function == "read_sav":
        is_date = _SPSS_DATES.fullmatch(format_.rstrip("0123456789."))
        return (lambda value: _EPOCH_SPSS + value * _SECOND) if is_date else None
    word = _SAS_WORD.match(format_.upper())
    if word and _SAS_TIMES.fullmatch(word[0]):
        return lambda value: _EPOCH_1960 + value * _SECOND
    if word and _SAS_DATES.fullmatch(word[0]):
        return lambda value: _EPOCH_1960 + math.floor(value) * _DAY
    return None


def _stata_moment(format_: str) -> Callable[[float], datetime.datetime] | None:
    plain = format_.replace("%-", "%")
    if plain.startswith("%tc") or plain.startswith("%tC"):
        # %tC counts leap seconds, 27 until now: a date is wrong only within that time of midnight.
        return lambda value: _EPOCH_1960 + value / 1000 * _SECOND
    if plain.startswith("%td") or plain.startswith("%d"):
        return lambda value: _EPOCH_1960 + math.floor(value) * _DAY
    return None


def _parquet(path: Path, decimal: str) -> TypedTable:
    try:
        file = pq.ParquetFile(pa.BufferReader(read_bytes(path)))
        n_bytes = sum(file.metadata.row_group(group).total_byte_size for group in range(file.metadata.num_row_groups))
        check_size(path, n_bytes, Message("the table"))
        table = file.read()
        columns = [_arrow_texts(column, decimal) for column in table.columns]
    except ReadError:
        raise
    except Exception as error:  # Damaged files raise whatever the metadata leads to.
        problem = (
            "not a Parquet file, or damaged ({error}). Copy it again from its source, or save the table as CSV in "
            "UTF-8."
        )
        raise ReadError(path, problem, error=type(error)) from None
    return TypedTable(list(table.column_names), [list(row) for row in zip(*columns, strict=True)])


def _arrow_texts(column: pa.ChunkedArray, decimal: str) -> list[str]:
    if pa.types.is_float32(column.type) or pa.types.is_float16(column.type):
        known = column.is_valid().to_pylist()
        values = column.to_numpy(zero_copy_only=False)
        return [cell_text(value, decimal) if valid else "" for value, valid in zip(values, known, strict=True)]
    return [cell_text(value, decimal) for value in column.to_pylist()]
