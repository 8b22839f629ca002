"""Samples of stored recordings, a Parquet row group at a time, at a study's rate."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ppgssl.core.errors import StoreError
from ppgssl.core.records import FloatArray, IntArray
from ppgssl.signals.resampling import resample
from ppgssl.store.tables import CohortStore


@dataclass(frozen=True)
class Described:
    """What a row group holds of its recordings in addition to their samples; rows in the order of the samples.

    ``baseline`` holds, for each channel, arrays of one value a second.
    """

    recording_id: list[str]
    patient_id: list[str]
    baseline: dict[str, list[FloatArray]] = field(repr=False)
    amplitude: dict[str, list[float]] = field(repr=False)


@dataclass(frozen=True)
class RowGroup:
    """Some recordings (``rows``) of row group ``number`` of a file of a store.

    ``channels`` are the cohort's for each input, where None delivers zeros; samples are delivered at ``fs_hz``.
    """

    file: Path
    number: int
    rows: IntArray = field(repr=False)
    channels: tuple[str | None, ...]
    fs_hz: float

    def samples(self) -> tuple[FloatArray, IntArray]:
        """Samples of the recordings one after another, float32, shape (n_inputs, n_samples), and of each how many.

        Unusable samples are 0. A ``StoreError`` is raised if the file is gone or damaged.
        """
        return self._samples(self._read(self._sample_columns()))

    def scan(self) -> tuple[FloatArray, IntArray, Described]:
        """As :meth:`samples`, with what else is stored of each recording."""
        channels = self._present()
        columns = [f"{kind}_{name}" for kind in ("baseline", "amplitude") for name in channels]
        table = self._read([*self._sample_columns(), "recording_id", "patient_id", *columns])
        described = Described(
            self._values(table, "recording_id"),
            self._values(table, "patient_id"),
            {name: _arrays(self._lists(table, f"baseline_{name}")) for name in channels},
            {name: self._values(table, f"amplitude_{name}") for name in channels},
        )
        return *self._samples(table), described

    def _present(self) -> list[str]:
        return [name for name in dict.fromkeys(self.channels) if name is not None]

    def _sample_columns(self) -> list[str]:
        return ["fs_hz", *(f"samples_{name}" for name in self._present())]

    def _read(self, columns: Sequence[str]) -> pa.Table:
        with _reading(self.file), pq.ParquetFile(self.file) as file:
            return file.read_row_group(self.number, columns=list(columns), use_threads=False)

    def _values(self, table: pa.Table, name: str) -> list[Any]:
        values = table.column(name).to_pylist()
        return [values[row] for row in self.rows]

    def _lists(self, table: pa.Table, name: str) -> pa.ListArray:
        column = table.column(name).combine_chunks()
        return column if len(self.rows) == len(column) else column.take(pa.array(self.rows))

    def _samples(self, table: pa.Table) -> tuple[FloatArray, IntArray]:
        held = {name: self._lists(table, f"samples_{name}") for name in self._present()}
        sizes = next(iter(held.values())).value_lengths().to_numpy(zero_copy_only=False).astype(np.int64)
        samples = np.zeros((len(self.channels), int(sizes.sum())), dtype=np.float32)
        for row, name in zip(samples, self.channels, strict=True):
            if name is not None:
                # Unusable intervals become 0, the mean of a band-passed signal: the nearest that resampling can do.
                row[:] = held[name].flatten().to_numpy(zero_copy_only=False)
                row[~np.isfinite(row)] = 0
        rates = np.array(self._values(table, "fs_hz"))
        return (samples, sizes) if (rates == self.fs_hz).all() else self._resampled(samples, sizes, rates)

    def _resampled(self, samples: FloatArray, sizes: IntArray, rates: FloatArray) -> tuple[FloatArray, IntArray]:
        parts = [
            part if rate == self.fs_hz else resample(part, fs_in_hz=rate, fs_out_hz=self.fs_hz).astype(np.float32)
            for part, rate in zip(np.split(samples, np.cumsum(sizes)[:-1], axis=1), rates, strict=True)
        ]
        return np.concatenate(parts, axis=1), np.array([part.shape[1] for part in parts], dtype=np.int64)


def row_groups(store: CohortStore, wanted: set[str], channels: tuple[str | None, ...], fs_hz: float) -> list[RowGroup]:
    """Row groups that hold any of the wanted recordings, in an order that the ids of these decide."""
    if not wanted:
        return []
    with store.reading("recordings") as held:
        files = [store.folder / "recordings" / fragment.path for fragment in held.get_fragments()]
    found = [
        (min(ids[row] for row in rows), RowGroup(file, number, rows, channels, fs_hz))
        for file in files
        for number, ids in enumerate(_recording_ids(file))
        if len(rows := np.flatnonzero([name in wanted for name in ids]))
    ]
    return [group for _, group in sorted(found, key=lambda pair: pair[0])]


def _recording_ids(file: Path) -> Iterator[list[str]]:
    with _reading(file), pq.ParquetFile(file) as opened:
        for number in range(opened.num_row_groups):
            yield opened.read_row_group(number, columns=["recording_id"], use_threads=False).column(0).to_pylist()


@contextmanager
def _reading(file: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, pa.ArrowException) as error:
        cause = str(error).split("\n")[0][:300].rstrip(".")
        raise StoreError(
            f"cannot read {file}: {cause}. Has the store changed since the study was loaded? Then run the same command "
            "again. Is the disk or the network drive at fault? If the store is damaged, delete it and ingest again."
        ) from None


def _arrays(column: pa.ListArray) -> list[FloatArray]:
    ends = np.cumsum(column.value_lengths().to_numpy(zero_copy_only=False)).astype(np.int64)
    values = column.flatten().to_numpy(zero_copy_only=False).astype(np.float32)
    return np.split(values, ends[:-1])
