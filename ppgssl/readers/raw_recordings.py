"""One recording in a raw file, of which any interval can be read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from ppgssl.core.records import FloatArray, Signal

Column = str | int
Signals = dict[Column, Signal]


@dataclass(frozen=True)
class RawRecording:
    """Sampling rate and length of each channel of one recording, and how to read it.

    ``read(start_s, stop_s)`` returns the samples of each channel in that interval, those of :func:`span`; ReadError
    where they cannot be read.
    """

    fs_hz: Mapping[Column, float]
    n_samples: Mapping[Column, int]
    read: Callable[[float, float], Signals]

    @property
    def duration_s(self) -> float:
        return max(self.n_samples[column] / rate for column, rate in self.fs_hz.items())

    def whole(self) -> Signals:
        """All samples of all channels."""
        return self.read(0.0, self.duration_s)


def span(fs_hz: float, n_samples: int, start_s: float, stop_s: float) -> slice:
    """Samples from ``start_s`` up to, and without, ``stop_s``: intervals that meet share none and miss none."""
    first, last = (min(max(round(time_s * fs_hz), 0), n_samples) for time_s in (start_s, stop_s))
    return slice(first, max(first, last))


def copy_overlap(values: FloatArray, start: int, target: FloatArray, target_start: int) -> None:
    """Copy samples, of which the first is number ``start``, into an array of which the first is ``target_start``."""
    first, last = max(start, target_start), min(start + len(values), target_start + len(target))
    if first < last:
        target[first - target_start : last - target_start] = values[first - start : last - start]


def at_one_rate(
    columns: Iterable[Column],
    fs_hz: float,
    n_samples: int,
    read: Callable[[slice], Mapping[Column, FloatArray]],
    *,
    is_short: bool = False,
) -> RawRecording:
    """A recording of channels that share rate and length; of a short one, all samples are read here, and kept."""
    if is_short:
        kept = read(slice(0, n_samples))
        return at_one_rate(columns, fs_hz, n_samples, lambda place: {name: kept[name][place] for name in kept})

    def between(start_s: float, stop_s: float) -> Signals:
        samples = read(span(fs_hz, n_samples, start_s, stop_s))
        return {column: Signal(values, fs_hz) for column, values in samples.items()}

    return RawRecording(dict.fromkeys(columns, fs_hz), dict.fromkeys(columns, n_samples), between)
