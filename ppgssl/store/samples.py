"""Samples of a study's recordings, in memory or in a file of their own, and segments as places in them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from ppgssl.core.errors import StoreError
from ppgssl.core.records import BoolArray, FloatArray, IntArray
from ppgssl.signals.normalisation import Moments, segment_moments

# Values of segments that are processed at once.
_PART_VALUES = 500_000


class SamplesFile:
    """Samples on disk, float32, of which a segment is read when it is asked for; :func:`write_samples` makes it.

    Nothing but the segments asked for takes memory of the process; the system keeps what it has read in the memory that
    nobody else needs. The file holds all channels of one moment side by side, so a segment is one read. ``shape`` is
    (n_channels, n_samples).
    """

    def __init__(self, path: Path, shape: tuple[int, int]) -> None:
        self.path, self.shape = path, shape

    @property
    def nbytes(self) -> int:
        return 4 * self.shape[0] * self.shape[1]

    def segments(self, starts: IntArray, length: int) -> FloatArray:
        """Segments, float32, shape (len(starts), n_channels, length); ``StoreError`` if the file is gone or damaged."""
        n_channels = self.shape[0]
        segments = np.empty((len(starts), n_channels, length), dtype=np.float32)
        held = np.empty((length, n_channels), dtype="<f4")
        try:
            with self.path.open("rb", buffering=0) as file:
                for row in np.argsort(starts, kind="stable"):  # forwards through the file
                    file.seek(4 * n_channels * int(starts[row]))
                    if file.readinto(held.data) != held.nbytes:
                        raise OSError("it is shorter than it was")
                    segments[row] = held.T
        except OSError as error:
            raise StoreError(
                f"cannot read the study's samples in {self.path}: {error}. Run the same command again"
            ) from None
        return segments


def write_samples(path: Path, shape: tuple[int, int], parts: Iterable[tuple[int, FloatArray]]) -> SamplesFile:
    """Write samples into a file, whole or not at all; a whole one that is there is used, and others there go.

    The file is named after its content. ``parts`` gives the first sample of each part, and its samples, shape
    (n_channels, n). A ``StoreError`` is raised if it cannot be written, for example because the disk is full.
    """
    samples = SamplesFile(path, shape)
    if path.is_file() and path.stat().st_size == samples.nbytes:
        return samples
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as file:
            for first, part in parts:
                file.seek(4 * shape[0] * first)
                file.write(np.ascontiguousarray(part.T, dtype="<f4").data)
        temporary.replace(path)
        for old in set(path.parent.glob(f"*{path.suffix}")) - {path}:
            old.unlink(missing_ok=True)
    except OSError as error:
        raise StoreError(
            f"cannot write the study's samples to {path}: {error.strerror or error}. They take "
            f"{samples.nbytes / 1e9:.1f} GB on the disk, since they exceed `inputs.memory_gb` or half of the memory "
            "available: make room, or raise it"
        ) from None
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
    return samples


@dataclass(frozen=True, kw_only=True)
class Segments:
    """Segments as places in samples: those that overlap share theirs.

    ``samples``, float32, shape (n_channels, n_samples), are band-passed; 0 where unusable, and for a channel that is
    not there. ``start``, shape (n_segments,), is the first sample of each segment of ``length`` samples;
    ``is_present``, shape (n_segments, n_channels), whether it was recorded with that channel, and ``baseline`` its raw
    level. ``samples_sha256`` is None where the hash is not known.
    """

    samples: FloatArray | SamplesFile = field(repr=False)
    start: IntArray = field(repr=False)
    length: int
    is_present: BoolArray = field(repr=False)
    baseline: FloatArray = field(repr=False)
    samples_sha256: str | None = None

    @cached_property
    def moments(self) -> Moments:
        """Mean and SD of each segment, from one pass over the samples."""
        return segment_moments(self.parts(), self.baseline.shape)

    def parts(self) -> Iterator[tuple[IntArray, FloatArray]]:
        """Numbers of some segments, and their samples of shape (n, n_channels, length), until each has come once."""
        size = max(1, _PART_VALUES // (self.length * self.baseline.shape[1]))
        for first in range(0, len(self.start), size):
            starts = self.start[first : first + size]
            yield np.arange(first, first + len(starts)), self._cut(starts)

    def interval(self, first: int, last: int) -> FloatArray:
        """Samples ``[first, last)``, shape (n_channels, last - first)."""
        if isinstance(self.samples, SamplesFile):
            return self.samples.segments(np.array([first]), last - first)[0]
        return self.samples[:, first:last]

    def _cut(self, starts: IntArray) -> FloatArray:
        if isinstance(self.samples, SamplesFile):
            return self.samples.segments(starts, self.length)
        return sliding_window_view(self.samples, self.length, axis=1)[:, starts].swapaxes(0, 1)


def segment_levels(seconds: FloatArray, starts_s: FloatArray, segment_s: float) -> FloatArray:
    """Raw level of segments: the median of the known levels of the seconds that each touches; NaN where none is known.

    ``seconds`` holds the level of each second of a recording, NaN where unknown; ``starts_s`` those of the segments.
    """
    first = starts_s.astype(np.int64)
    n_seconds = np.maximum(np.ceil(starts_s + segment_s).astype(np.int64) - first, 1)
    at = first[:, None] + np.arange(n_seconds.max(initial=1))
    is_known = (at < first[:, None] + n_seconds[:, None]) & (at < len(seconds))
    known = np.append(np.where(np.isfinite(seconds), seconds, np.nan), np.float32(np.nan))
    return row_median(known[np.where(is_known, at, -1)])


def row_median(windows: FloatArray) -> FloatArray:
    """Median of what is known in each row; NaN where nothing is."""
    ordered = np.sort(windows, axis=1)  # NaN goes last.
    n_known = np.isfinite(windows).sum(axis=1)
    rows = np.arange(len(windows))
    low, high = (ordered[rows, (np.maximum(n_known - 1, 0) + shift) // 2] for shift in (0, 1))
    return np.asarray((low + high) / 2)
