"""Parquet: a table of samples with a column for each channel, or a table of recordings with a list for each channel."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pydantic import Field

from ppgssl.core.errors import ReadError
from ppgssl.core.records import FloatArray, IntArray
from ppgssl.core.schema import Schema
from ppgssl.core.text import Message
from ppgssl.readers.isolated import guarded
from ppgssl.readers.raw_files import as_samples, check_rate, check_size, file_size, position
from ppgssl.readers.raw_recordings import Column, RawRecording, at_one_rate

# Rows that are decoded at once, so that a long file is never held whole.
_BATCH_ROWS = 65_536
_BATCH_LISTS = 256
# A table of up to so many samples is read whole when it is opened.
_SHORT_ROWS = 1_000_000
# A row that repeats another has next to no bytes, so a small damaged file can promise any number of them. Two months at
# 400 Hz have fewer.
_MAX_ROWS = 2_000_000_000


class ParquetOptions(Schema):
    """Options of the reader ``parquet``."""

    missing: list[float] = Field([], description="Marks of a missing sample, as null and NaN are.")


@dataclass(frozen=True)
class _Table:
    """A file, the names of the wanted columns, and the first row of each row group, with the number of rows."""

    path: Path
    names: Mapping[Column, str]
    group_rows: IntArray
    missing: list[float]

    @property
    def wanted(self) -> list[str]:
        return sorted(set(self.names.values()))

    @property
    def n_rows(self) -> int:
        return int(self.group_rows[-1])


def open_parquet(
    path: Path, columns: Sequence[Column], fs_hz: float | None, options: ParquetOptions
) -> list[RawRecording]:
    """Read channels that are columns of a Parquet file; see :class:`ppgssl.readers.Reader`.

    Columns of numbers hold a sample in each row, and the file is one recording, which is never held whole if it is
    long. Columns of lists of numbers hold a whole recording in each row.
    """
    rate = check_rate(fs_hz)
    file_size(path)
    with _opened(path) as file:
        table, is_list = _table(path, file, columns, options)
        if is_list:
            return _rows(table, file, rate)
    is_short = table.n_rows <= _SHORT_ROWS
    return [at_one_rate(table.names, rate, table.n_rows, lambda rows: _samples(table, rows), is_short=is_short)]


@contextmanager
def _opened(path: Path) -> Iterator[pq.ParquetFile]:
    # Read in small parts rather than mapped into memory: see raw_files.py.
    with (
        guarded(path, Message("a Parquet file")),
        pq.ParquetFile(path, buffer_size=1 << 20, pre_buffer=False, memory_map=False) as file,
    ):
        yield file


def _table(path: Path, file: pq.ParquetFile, columns: Sequence[Column], options: ParquetOptions) -> tuple[_Table, bool]:
    """What is wanted of the file, and whether its columns are lists."""
    schema = file.schema_arrow
    wanted = {column: position(path, column, schema.names, Message("column")) for column in columns}
    kinds = {column: _is_list(path, schema.field(place)) for column, place in wanted.items()}
    if len(set(kinds.values())) > 1:
        lists, numbers = Message("lists"), Message("numbers")
        listed = [Message("{c!r} {kind}", c=c, kind=lists if is_list else numbers) for c, is_list in kinds.items()]
        problem = "all channels must be columns of numbers, or all of lists of numbers: {listed}."
        raise ReadError(path, problem, listed=listed)
    names = {column: schema.names[place] for column, place in wanted.items()}
    for name in names.values():
        if schema.names.count(name) > 1:
            raise ReadError(path, "{n} columns are named {name!r}. Rename them.", n=schema.names.count(name), name=name)
    return _Table(path, names, _group_rows(path, file), options.missing), next(iter(kinds.values()))


def _is_list(path: Path, field: pa.Field) -> bool:
    kind = field.type
    is_list = pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    number = kind.value_type if is_list else kind
    if not (pa.types.is_integer(number) or pa.types.is_floating(number)):
        problem = (
            "column {name!r} has the type {type}; expected real numbers, or lists of them. Correct `column` in "
            "`signals.channels`, or save the samples as numbers."
        )
        raise ReadError(path, problem, name=field.name, type=str(kind)[:60])
    return is_list


def _group_rows(path: Path, file: pq.ParquetFile) -> IntArray:
    metadata = file.metadata
    counts = [metadata.row_group(group).num_rows for group in range(metadata.num_row_groups)]
    if min(counts, default=0) < 0 or sum(counts) != metadata.num_rows:
        raise ReadError(path, "damaged: it states two different numbers of rows. Copy it again from its source.")
    if not 0 < metadata.num_rows <= _MAX_ROWS:
        problem = "has {n} rows, and 1 to {most} can be read. Split a longer recording into several files."
        raise ReadError(path, problem, n=metadata.num_rows, most=_MAX_ROWS)
    return np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)


def _samples(table: _Table, rows: slice) -> dict[Column, FloatArray]:
    with _opened(table.path) as file:
        batches = list(_batches(table, file, rows))
    if sum(batch.num_rows for batch in batches) != rows.stop - rows.start:
        raise ReadError(table.path, "damaged: it holds fewer rows than it states. Copy it again from its source.")
    samples = {}
    for column, name in table.names.items():
        # A null becomes NaN.
        numbers = [np.zeros(0), *(batch.column(name).to_numpy(zero_copy_only=False) for batch in batches)]
        joined = np.concatenate(numbers[-len(batches) :])
        samples[column] = as_samples(table.path, column, joined, table.missing, first=rows.start)
    return samples


def _batches(table: _Table, file: pq.ParquetFile, rows: slice) -> Iterator[pa.RecordBatch]:
    """The wanted columns of some rows."""
    if rows.stop <= rows.start:
        return
    first = int(np.searchsorted(table.group_rows, rows.start, "right")) - 1
    last = int(np.searchsorted(table.group_rows, rows.stop, "left"))
    begin = int(table.group_rows[first])
    for batch in file.iter_batches(
        batch_size=_BATCH_ROWS, row_groups=range(first, last), columns=table.wanted, use_threads=False
    ):
        yield batch.slice(max(rows.start - begin, 0), max(rows.stop - max(begin, rows.start), 0))
        begin += batch.num_rows
        if begin >= rows.stop:
            return


def _rows(table: _Table, file: pq.ParquetFile, rate: float) -> list[RawRecording]:
    recordings: list[RawRecording] = []
    n_bytes = 0
    # Sizes that the metadata state are not used: they may lie, and in pyarrow 26 a damaged entry ends the
    # process.
    for batch in file.iter_batches(batch_size=_BATCH_LISTS, columns=table.wanted, use_threads=False):
        n_bytes += batch.nbytes
        check_size(table.path, n_bytes, Message("the content of the wanted columns"))
        # The columns of a batch come in any order.
        cells = {column: _cells(batch.column(name)) for column, name in table.names.items()}
        for row in range(batch.num_rows):
            numbers = {column: cells[column][row] for column in cells}
            recordings.append(_row(table, len(recordings), numbers, rate))
    if len(recordings) != table.n_rows:
        raise ReadError(table.path, "damaged: it holds fewer rows than it states. Copy it again from its source.")
    return recordings


def _cells(column: pa.Array) -> list[np.ndarray]:
    """The numbers in each row of a column of lists; none where the list is null."""
    lengths = pc.list_value_length(column).fill_null(0).to_numpy()
    return np.split(column.flatten().to_numpy(zero_copy_only=False), np.cumsum(lengths)[:-1])


def _row(table: _Table, row: int, numbers: Mapping[Column, np.ndarray], rate: float) -> RawRecording:
    sizes = {column: len(cell) for column, cell in numbers.items()}
    if len(set(sizes.values())) > 1 or not min(sizes.values()):
        listed = [Message("{column!r} {size}", column=column, size=size) for column, size in sizes.items()]
        problem = (
            "row {row}, counted from 0, does not hold as many samples of each channel, at least one: {listed}. Correct "
            "the row, or leave it out."
        )
        raise ReadError(table.path, problem, row=row, listed=listed)

    def read(place: slice) -> dict[Column, FloatArray]:
        return {
            column: as_samples(
                table.path,
                Message("{column}, row {row}", column=column, row=row),
                cell[place],
                table.missing,
                first=place.start,
            )
            for column, cell in numbers.items()
        }

    return at_one_rate(numbers, rate, min(sizes.values()), read)
