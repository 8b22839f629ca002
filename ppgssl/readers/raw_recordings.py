"""One recording in a raw file, of which any interval can be read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from ppgssl.core.records import Signal

Column = str | int
Signals = dict[Column, Signal]


@dataclass(frozen=True)
class RawRecording:
    """One recording, not necessarily read yet.

    Attributes
    ----------
    fs_hz, n_samples : mapping of column to number
        Sampling rate and length of each channel.
    read : callable
        ``read(start_s, stop_s)`` -> the samples of each channel in that interval, those of :func:`span`. Raises
        ReadError where they cannot be had.
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


def in_memory(signals: Mapping[Column, Signal]) -> RawRecording:
    """A recording of signals that were read whole."""

    def read(start_s: float, stop_s: float) -> Signals:
        return {
            column: Signal(
                signal.samples[span(signal.fs_hz, len(signal.samples), start_s, stop_s)],
                signal.fs_hz,
            )
            for column, signal in signals.items()
        }

    return RawRecording(
        fs_hz={column: signal.fs_hz for column, signal in signals.items()},
        n_samples={column: len(signal.samples) for column, signal in signals.items()},
        read=read,
    )
