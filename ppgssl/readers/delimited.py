"""Delimited text: one column, or one line, for each channel."""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Container, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
from pydantic import Field, field_validator

from ppgssl.core.errors import ReadError
from ppgssl.core.records import FloatArray
from ppgssl.core.schema import Schema
from ppgssl.core.text import Message
from ppgssl.readers.long_text import index_lines
from ppgssl.readers.raw_files import check_rate, check_samples, file_size, position, read_bytes
from ppgssl.readers.raw_recordings import Column, RawRecording, at_one_rate

_DELIMITERS = (b";", b"\t", b",", b"|")
_NAMES = {b";": Message("semicolon"), b"\t": Message("tab"), b",": Message("comma")}
_NAMES |= {b"|": Message("|"), b" ": Message("white space")}
# Of longer text, only the interval that is asked for is parsed; its first lines show the layout.
_LONG_BYTES = 16_000_000
_HEAD_LINES = 100
# A table with more columns is one whose samples stand side by side.
_MAX_COLUMNS = 1000


class DelimitedOptions(Schema):
    """Options of the reader ``delimited``."""

    layout: Literal["columns", "line"] = Field(
        "columns",
        description="`columns`: a row for each sample, a column for each channel, with or without a header line. "
        "`line`: a line for each channel, its samples side by side; `column` is then the line's 0-based number.",
    )
    delimiter: Literal["auto", "whitespace", ",", ";", "\t", "|"] = Field(
        "auto", description="`auto` takes the first of ; tab , | that the first line of numbers holds, or white space."
    )
    decimal: Literal[".", ","] = "."
    skip_rows: int = Field(0, ge=0, description="Lines before the header line, or before the first sample.")
    missing: list[str] = Field(["", "NA", "NaN", "nan", "-"], description="Marks of a missing sample.")

    @field_validator("missing", mode="before")
    @classmethod
    def _marks_are_text(cls, value: object) -> object:
        return [str(mark) for mark in value] if isinstance(value, list) else value


def open_delimited(
    path: Path, columns: Sequence[Column], fs_hz: float | None, options: DelimitedOptions
) -> list[RawRecording]:
    """Read the channels of the one recording in a text file; see :class:`ppgssl.readers.Reader`.

    UTF-8, and any encoding that shares digits with ASCII, byte order marks, all kinds of line ends, quotes, white space
    around numbers, delimiters at the end of lines and empty lines at the end are understood. Every row must have the
    same number of values, and nothing but numbers and marks of missing samples. ``columns`` are names from the header
    line, or numbers of columns; numbers of lines in the layout ``line``.
    """
    rate = check_rate(fs_hz)
    if options.layout == "columns" and file_size(path) > _LONG_BYTES:
        return [_open_long(path, columns, rate, options)]
    lines = _lines(path, read_bytes(path), options)
    if options.layout == "line":
        samples = _read_line_channels(path, lines, columns, options)
    else:
        layout, lines = _layout(path, lines, columns, options)
        samples = layout.read(path, lines, options)
    n_samples = len(samples[columns[0]])
    return [at_one_rate(columns, rate, n_samples, lambda place: {column: samples[column][place] for column in columns})]


# --- the text --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Lines:
    """Lines of a file, without empty ones at the start and the end; ``first`` is the number of the first, from 1."""

    content: bytes
    first: int = 1

    def head(self, n: int) -> list[bytes]:
        return self.content.split(b"\n", n)[:n]

    def after(self, n: int) -> _Lines:
        rest = self.content.split(b"\n", n)
        return _Lines(rest[n] if len(rest) > n else b"", self.first + n)


def _lines(path: Path, content: bytes, options: DelimitedOptions) -> _Lines:
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise ReadError(path, "the text is UTF-16. Save it as UTF-8, or as CSV.")
    if b"\0" in content:
        raise ReadError(path, "binary data; expected text. Choose the reader of this format, or export it as CSV.")
    content = content.removeprefix(b"\xef\xbb\xbf")
    if b"\r" in content:
        content = content.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    lines = _Lines(content.rstrip(b"\n")).after(options.skip_rows)
    lines = lines.after(len(lines.content) - len(lines.content.lstrip(b"\n")))
    if not lines.content.strip():
        skipped = Message(" after the {n} lines of `skip_rows`", n=options.skip_rows) if options.skip_rows else ""
        problem = "there is no text{skipped}; expected samples. Copy the file again from its source."
        raise ReadError(path, problem, skipped=skipped)
    return lines


def _delimiter(line: bytes, options: DelimitedOptions) -> bytes:
    if options.delimiter == "whitespace":
        return b" "
    if options.delimiter != "auto":
        return options.delimiter.encode()
    usable = [mark for mark in _DELIMITERS if mark != options.decimal.encode()]
    return next((mark for mark in usable if mark in line), b" ")


def _cells(line: bytes, delimiter: bytes) -> list[str]:
    # Digits are the same in all the encodings of the world's CSV files; names may be garbled by "replace".
    if delimiter == b" ":
        return line.decode(errors="replace").split()
    text = line.decode(errors="replace")
    if '"' in text and len(text) < csv.field_size_limit():
        return [cell.strip() for cell in next(csv.reader([text], delimiter=delimiter.decode()), [""])]
    return [cell.strip() for cell in text.split(delimiter.decode())]


# --- a column for each channel ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Layout:
    """How a table is to be read: its delimiter, how many columns it has, and which of them are wanted."""

    delimiter: bytes
    n_columns: int
    places: dict[Column, int]

    def read(self, path: Path, lines: _Lines, options: DelimitedOptions) -> dict[Column, FloatArray]:
        table = _Table(lines.content, self.delimiter, self.n_columns, lines.first)
        samples = _numbers(path, table, sorted(set(self.places.values())), options)
        return {column: check_samples(path, column, samples[place]) for column, place in self.places.items()}


def _open_long(path: Path, columns: Sequence[Column], rate: float, options: DelimitedOptions) -> RawRecording:
    index = index_lines(path)
    head = _lines(path, index.read(0, min(index.n_lines, options.skip_rows + _HEAD_LINES)), options)
    layout, first_samples = _layout(path, head, columns, options)
    first_line = first_samples.first - 1

    def read(place: slice) -> dict[Column, FloatArray]:
        first, stop = first_line + place.start, first_line + place.stop
        if first == stop:
            return {column: np.zeros(0) for column in columns}
        content = index.read(first, stop).replace(b"\r", b"")
        return layout.read(path, _Lines(content, first + 1), options)

    return at_one_rate(columns, rate, index.n_lines - first_line, read)


def _layout(path: Path, lines: _Lines, columns: Sequence[Column], options: DelimitedOptions) -> tuple[_Layout, _Lines]:
    """The layout, and the lines below a header."""
    head = lines.head(2)
    delimiter = _delimiter(head[-1], options)
    width = max(len(line.split()) if delimiter == b" " else line.count(delimiter) + 1 for line in head)
    if width > _MAX_COLUMNS:
        problem = (
            "a line holds {width} values. If the samples of a channel stand side by side in one line, set `layout: "
            "line` in the reader's options."
        )
        raise ReadError(path, problem, width=width)
    first, second = _cells(head[0], delimiter), _cells(head[-1], delimiter)
    names = _without_loose_end(first, second)
    places = {column: position(path, column, names, Message("column")) for column in columns}
    if any(isinstance(column, str) for column in columns) or _is_header(path, lines.first, first, options):
        lines = lines.after(1)
    if not lines.content:
        raise ReadError(path, "there are no samples below the header line. Was the recording interrupted at its start?")
    return _Layout(delimiter, len(names), places), lines


def _without_loose_end(header: list[str], row: list[str]) -> list[str]:
    """As many names as a row has cells: some programs end only one of header and rows with a delimiter."""
    if len(row) == len(header) + 1 and not row[-1]:
        return [*header, ""]
    if len(row) == len(header) - 1 and not header[-1]:
        return header[:-1]
    return header


def _is_header(path: Path, line: int, cells: Sequence[str], options: DelimitedOptions) -> bool:
    words = [cell for cell in cells if _number(cell, options) is None]
    if words and any(cell and _number(cell, options) is not None for cell in cells):
        problem = (
            "line {line} mixes numbers with other text ({word!r}): it is neither a header nor samples. If it is a "
            "header, name the columns in `signals.channels`; if not, pass over it with `skip_rows`."
        )
        raise ReadError(path, problem, line=line, word=words[0][:40])
    return bool(words)


# --- a line for each channel -----------------------------------------------------------------------------------


def _read_line_channels(
    path: Path, lines: _Lines, columns: Sequence[Column], options: DelimitedOptions
) -> dict[Column, FloatArray]:
    rows = lines.content.split(b"\n")
    delimiter = _delimiter(rows[0], options)
    if delimiter == b" ":
        rows = [b"\n".join(row.split()) for row in rows]
    else:
        rows = [row.strip(b" ").removesuffix(delimiter).replace(delimiter, b"\n") for row in rows]
    _check_lengths(path, lines.first, [row.count(b"\n") + 1 for row in rows])
    names = [f"line {lines.first + number}" for number in range(len(rows))]
    places = {column: position(path, column, names, Message("line")) for column in columns}
    samples = {}
    for column, place in places.items():
        table = _Table(rows[place], b" ", 1, 1, line=lines.first + place)
        samples[column] = check_samples(path, column, _numbers(path, table, [0], options)[0])
    return samples


def _check_lengths(path: Path, first: int, lengths: Sequence[int]) -> None:
    odd = next((number for number, length in enumerate(lengths) if length != lengths[0]), None)
    if odd is not None:
        problem = (
            "line {first} has {n} values and line {other} has {n_other}. In the layout `line`, every line is one "
            "channel, all of one length. Join a recording that goes on in the next line."
        )
        raise ReadError(path, problem, first=first, n=lengths[0], other=first + odd, n_other=lengths[odd])
    if len(lengths) > max(lengths[0], 1):
        problem = (
            "{n_lines} lines of {n} values do not look like a line for each channel. If every line is one sample, set "
            "`layout: columns` in the reader's options."
        )
        raise ReadError(path, problem, n_lines=len(lengths), n=lengths[0])


# --- text -> numbers -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Table:
    """Rows of cells, which are lines of the file from number ``first`` on, or the values of one ``line``."""

    content: bytes
    delimiter: bytes
    n_columns: int
    first: int
    line: int | None = None

    def where(self, row: int) -> Message:
        number = self.first + row
        if self.line is not None:
            return Message("line {line}, value {number}", line=self.line, number=number)
        return Message("line {number}", number=number)


def _numbers(path: Path, table: _Table, places: Sequence[int], options: DelimitedOptions) -> dict[int, FloatArray]:
    """The columns at ``places``, float64, NaN where missing."""
    try:
        samples = _numbers_quickly(table, places, options)
    except pa.ArrowException:
        # It takes no exotic but valid spellings, and counts rows differently from the user.
        samples = _numbers_exactly(path, table, places, options)
    marks = [value for mark in options.missing if (value := _number(mark, options, missing=())) is not None]
    for values in samples.values():
        values[np.isin(values, marks)] = np.nan
    return samples


def _numbers_quickly(table: _Table, places: Sequence[int], options: DelimitedOptions) -> dict[int, FloatArray]:
    content = table.content
    if table.delimiter == b" ":
        content = b"\n".join([b" ".join(line.split()) for line in content.split(b"\n")])
    if table.n_columns > 1 and b"\n\n" in content:
        raise pa.ArrowInvalid("Arrow reads an empty line as a row of missing values.")
    names = [str(place) for place in places]
    parsed = pacsv.read_csv(
        pa.BufferReader(content + b"\n"),
        read_options=pacsv.ReadOptions(
            use_threads=False,  # Files are read in parallel already.
            block_size=len(content) + 2,
            column_names=[str(place) for place in range(table.n_columns)],
        ),
        parse_options=pacsv.ParseOptions(delimiter=table.delimiter.decode(), ignore_empty_lines=False),
        convert_options=pacsv.ConvertOptions(
            include_columns=names,
            column_types=dict.fromkeys(names, pa.float64()),
            null_values=options.missing,
            decimal_point=options.decimal,
        ),
    )
    return {place: np.array(parsed[str(place)].to_numpy(), dtype=np.float64) for place in places}


def _numbers_exactly(
    path: Path, table: _Table, places: Sequence[int], options: DelimitedOptions
) -> dict[int, FloatArray]:
    rows = table.content.split(b"\n")
    samples: dict[int, FloatArray] = {place: np.empty(len(rows)) for place in places}
    for number, row in enumerate(rows):
        cells = _cells(row, table.delimiter) or [""]
        if len(cells) != table.n_columns:
            raise _wrong_width(path, table, number, len(cells))
        for place in places:
            value = _number(cells[place], options)
            if value is None:
                raise _not_a_number(path, table, number, place, cells[place], options)
            samples[place][number] = value
    return samples


def _number(cell: str, options: DelimitedOptions, missing: Container[str] | None = None) -> float | None:
    """Value of a cell, NaN for a mark of missing, None if it is something else."""
    if cell in (options.missing if missing is None else missing):
        return math.nan
    if options.decimal == ",":
        cell = cell.replace(".", "?").replace(",", ".")
    try:
        return float(cell) if "_" not in cell else None
    except ValueError:
        return None


def _wrong_width(path: Path, table: _Table, row: int, n: int) -> ReadError:
    problem = (
        "{where} has {n} {values} where {wanted} are expected (delimiter: {mark}). The file may be cut off or damaged "
        "there; if not, correct `delimiter` or `skip_rows` in the reader's options."
    )
    values, mark = Message("value") if n == 1 else Message("values"), _NAMES[table.delimiter]
    return ReadError(path, problem, where=table.where(row), n=n, values=values, wanted=table.n_columns, mark=mark)


def _not_a_number(path: Path, table: _Table, row: int, place: int, cell: str, options: DelimitedOptions) -> ReadError:
    column = Message(", column {place} counted from 0", place=place) if table.n_columns > 1 else ""
    if not cell:
        way_out = Message("An empty cell is a missing sample only if `missing` in the reader's options lists ''.")
    elif options.decimal == "." and re.fullmatch(r"[+-]?[0-9]+,[0-9]+", cell):
        way_out = Message("If that is a decimal comma, set `decimal: ','` in the reader's options.")
    else:
        way_out = Message("If that marks a missing sample, list it in `missing` of the reader's options.")
    problem = "{where}{column}: expected a number and found {cell!r}. {way_out}"
    return ReadError(path, problem, where=table.where(row), column=column, cell=cell[:40], way_out=way_out)
