"""Rows of the store's tables: a stored recording with its channels, and what was rejected, to and from Arrow."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, TypeVar

import numpy as np
import pandas as pd
import pyarrow as pa
from deltalake import ColumnProperties, WriterProperties
from numpy.typing import DTypeLike, NDArray

from ppgssl.core.config.cohort import TrendName
from ppgssl.core.records import FloatArray, Reject

Item = TypeVar("Item")

# Uncompressed size of a row group of samples: studies that stream their samples read one at a time.
_ROW_GROUP_BYTES = 4_000_000


@dataclass(frozen=True)
class StoredChannel:
    """One channel of a stored recording, at the store's sampling rate; see :mod:`ppgssl.signals.preprocessing`.

    ``samples``, float32, are band-passed, NaN where unusable; ``flags``, uint8, the defects of the raw signal;
    ``baseline``, float32, its level, one value a second; ``amplitude`` the range between the 5th and the 95th
    percentile of the usable samples, in the raw unit. ``polarity`` is the score of
    :func:`ppgssl.signals.polarity.polarity` before any inversion, NaN where it was not asked for; ``inverted`` holds
    whether the samples were inverted.
    """

    samples: FloatArray
    flags: NDArray[np.uint8]
    baseline: FloatArray
    amplitude: float
    polarity: float = float("nan")
    inverted: bool = False


@dataclass(frozen=True)
class StoredRecording:
    """A row of ``recordings``: a recording, or a part of a long one.

    ``start_s`` is where the part begins in its recording; ``n_of_source`` is how many rows the raw file makes in all,
    so that a file of which some are missing is not taken for a complete one. ``trends`` are the device's, from the
    start of the part on.
    """

    recording_id: str
    patient_id: str
    visit: str
    source: str
    source_sha256: str
    signal_sha256: str
    source_fs_hz: float
    duration_s: float
    fs_hz: float
    channels: dict[str, StoredChannel] = field(repr=False)
    trends: Mapping[TrendName, FloatArray] = field(default_factory=dict, repr=False)
    start_s: float = 0.0
    n_of_source: int = 1


IDENTITY = [item.name for item in fields(StoredRecording) if item.name not in ("channels", "trends")]


REJECTS_SCHEMA = pa.schema(
    [(name, pa.string()) for name in ("stage", "unit", "subject", "reason", "detail", "source_sha256")]
)


def device_columns(trends: Sequence[str]) -> list[str]:
    """Columns of ``segments`` with what the device displayed: medians, and the largest SQI."""
    largest = ["device_sqi_max"] if "sqi" in trends else []
    return [*(f"device_{name}" for name in trends), *largest]


def writer_properties(schema: pa.Schema, n_bytes: int, n_rows: int) -> WriterProperties:
    """Samples, which no dictionary shortens and no query selects by, have their bytes transposed: they pack better.

    ``n_bytes``, uncompressed, in ``n_rows`` decide how many rows make a row group.
    """
    if not any(pa.types.is_list(field.type) for field in schema):
        return WriterProperties(compression="ZSTD", compression_level=1)
    # Nested columns can be addressed by default alone, so the others are named.
    other = {
        field.name: ColumnProperties(dictionary_enabled=False, encoding="PLAIN")
        for field in schema
        if not pa.types.is_list(field.type)
    }
    samples = ColumnProperties(dictionary_enabled=False, statistics_enabled="NONE", encoding="BYTE_STREAM_SPLIT")
    return WriterProperties(
        compression="ZSTD",
        compression_level=1,
        default_column_properties=samples,
        column_properties=other,
        max_row_group_size=max(1, _ROW_GROUP_BYTES * n_rows // max(1, n_bytes)),
    )


def arrow_column(values: Sequence[object], arrow_type: pa.DataType) -> pa.Array:
    if not pa.types.is_list(arrow_type):
        return pa.array(values, type=arrow_type)
    arrays = [np.asarray(array) for array in values]
    offsets = np.concatenate([[0], np.cumsum([len(array) for array in arrays])]).astype(np.int32)
    flat = np.concatenate(arrays).view(np.int8) if arrow_type.value_type == pa.int8() else np.concatenate(arrays)
    return pa.ListArray.from_arrays(pa.array(offsets), pa.array(flat, type=arrow_type.value_type))


CHANNEL_COLUMNS = {
    "samples": pa.list_(pa.float32()),
    "flags": pa.list_(pa.int8()),
    "baseline": pa.list_(pa.float32()),
    "amplitude": pa.float64(),
    "polarity": pa.float32(),
    "inverted": pa.bool_(),
}


def stored_recording(
    batch: pa.RecordBatch, number: int, channels: Sequence[str], trends: Sequence[TrendName]
) -> StoredRecording:
    held = {
        channel: StoredChannel(
            samples=_values(batch, f"samples_{channel}", number, np.float32),
            flags=_values(batch, f"flags_{channel}", number, np.uint8),
            baseline=_values(batch, f"baseline_{channel}", number, np.float32),
            **{kind: batch.column(f"{kind}_{channel}")[number].as_py() for kind in _SCALARS},
        )
        for channel in channels
    }
    identity = {name: batch.column(name)[number].as_py() for name in IDENTITY}
    device = {name: _values(batch, f"trend_{name}", number, np.float32) for name in trends}
    return StoredRecording(**identity, channels=held, trends=device)


_SCALARS = ("amplitude", "polarity", "inverted")


def _values(batch: pa.RecordBatch, column: str, number: int, dtype: DTypeLike) -> Any:
    values: pa.Array = batch.column(column)[number].values  # noqa: PD011 - a list of Arrow, not of pandas
    return np.asarray(values, dtype=dtype)


def batches(items: Iterable[Item], size: Callable[[Item], int], most: int) -> Iterator[list[Item]]:
    """The items in order, as many at a time as bring their sizes to ``most``."""
    batch: list[Item] = []
    total = 0
    for item in items:
        batch.append(item)
        total += size(item)
        if total >= most:
            yield batch
            batch, total = [], 0
    if batch:
        yield batch


def rejects_frame(stage: str, rejects: Iterable[Reject]) -> pd.DataFrame:
    """Rows of ``rejects``, sorted."""
    return sourced_rejects_frame(stage, ((reject, "") for reject in rejects))


def sourced_rejects_frame(stage: str, rejects: Iterable[tuple[Reject, str]]) -> pd.DataFrame:
    """As :func:`rejects_frame`, of pairs of a reject and the hash of the raw file that it speaks of."""
    rows = [(stage, one.unit, one.subject, one.reason.value, one.detail, sha256) for one, sha256 in rejects]
    frame = pd.DataFrame(rows, columns=REJECTS_SCHEMA.names).astype(str)
    return frame.sort_values(["stage", "unit", "subject", "reason"], kind="stable", ignore_index=True)
