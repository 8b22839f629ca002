"""Raw recording -> filtered samples at the stored rate, with what is unusable marked and nothing smeared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ppgssl.core.config.fixed import BRIDGE_S
from ppgssl.core.records import BoolArray, FloatArray
from ppgssl.signals.artefacts import Defect, FlagArray, find_defects, is_spotless, mark, runs
from ppgssl.signals.filters import bandpass, check_band
from ppgssl.signals.resampling import check_rates, resample, resampled_length

# The longest defect that is interpolated instead of splitting the recording.
# A good interval shorter than this, between two defects, holds no beat that could be distinguished from its baseline.
SHORTEST_INTERVAL_S = 1.0
# Across a jump the signal must come back to this share of the excursion, or the level has shifted.
_RETURN_SHARE = 0.25


@dataclass(frozen=True)
class Processed:
    """One channel as it is stored.

    Attributes
    ----------
    samples : float32 array, shape (n_out,)
        Band-passed, at ``fs_out_hz``; NaN where unusable.
    flags : uint8 array, shape (n_out,)
        Bits of :class:`~ppgssl.signals.artefacts.Defect`. ``BRIDGED`` is set in addition to the cause where a short
        defect was interpolated; any other flagged sample is NaN.
    baseline : float32 array, shape (n_seconds,)
        Median of the good raw samples of each second, the last one maybe incomplete; NaN where there is none.
    """

    samples: FloatArray
    flags: FlagArray
    baseline: FloatArray


def preprocess(
    x: FloatArray, *, fs_hz: float, fs_out_hz: float, band_hz: tuple[float, float], look_for_defects: bool = True
) -> Processed:
    """Find defects, band-pass each good interval on its own, and resample.

    Parameters
    ----------
    x : float array, shape (n_samples,)
        Raw samples, NaN where missing. Any length: an empty signal gives empty arrays, and one shorter than a second
        is all NaN, flagged ``GAP``.
    fs_hz, fs_out_hz : float
        Sampling rates of ``x`` and of the result.
    band_hz : (low, high)
        Edges of the pass band, below half of both rates.
    look_for_defects : bool
        False looks for missing samples only, and for no other defect.

    Returns
    -------
    Processed
        With ``round(n_samples * fs_out_hz / fs_hz)`` samples. Defects of up to 0.2 s are interpolated (a jump only
        where the signal returns to its level); longer ones, and good intervals under 1 s between them, are NaN.

    Raises
    ------
    SignalError
        If the band or a rate is impossible.
    """
    return preprocess_all([x], fs_hz=fs_hz, fs_out_hz=fs_out_hz, band_hz=band_hz, look_for_defects=look_for_defects)[0]


def preprocess_all(
    signals: Sequence[FloatArray],
    *,
    fs_hz: float,
    fs_out_hz: float,
    band_hz: tuple[float, float],
    look_for_defects: bool = True,
) -> list[Processed]:
    """:func:`preprocess` for many signals of one rate: those of equal length without a defect go in one call."""
    check_rates(fs_hz, fs_out_hz)
    for rate in (fs_hz, fs_out_hz):
        check_band(fs_hz=rate, low_hz=band_hz[0], high_hz=band_hz[1])
    work = _Work(fs_hz, fs_out_hz, band_hz, look_for_defects)
    numbers_of: dict[int, list[int]] = {}
    for number, x in enumerate(signals):
        numbers_of.setdefault(len(x), []).append(number)
    done: dict[int, Processed] = {}
    for numbers in numbers_of.values():
        stack = np.stack([np.asarray(signals[number], dtype=np.float64) for number in numbers])
        clean = work.spotless(stack)
        done |= zip(
            [number for number, is_clean in zip(numbers, clean, strict=True) if is_clean],
            work.of_spotless(stack[clean]),
            strict=True,
        )
        done |= {number: work.of_one(x) for number, x in zip(numbers, stack, strict=True) if number not in done}
    return [done[number] for number in range(len(signals))]


@dataclass(frozen=True)
class _Work:
    fs_hz: float
    fs_out_hz: float
    band_hz: tuple[float, float]
    look_for_defects: bool

    def spotless(self, stack: FloatArray) -> BoolArray:
        """Which rows need nothing but the filter."""
        if stack.shape[1] < SHORTEST_INTERVAL_S * self.fs_hz:
            return np.zeros(len(stack), dtype=bool)
        return (
            is_spotless(stack, fs_hz=self.fs_hz)
            if self.look_for_defects
            else np.asarray(np.isfinite(stack).all(axis=1))
        )

    def of_spotless(self, stack: FloatArray) -> list[Processed]:
        if not len(stack):
            return []
        filtered = bandpass(stack, fs_hz=self.fs_hz, low_hz=self.band_hz[0], high_hz=self.band_hz[1])
        samples = resample(filtered, fs_in_hz=self.fs_hz, fs_out_hz=self.fs_out_hz).astype(np.float32)
        baseline = _baseline(stack, self.fs_hz).astype(np.float32)
        return [Processed(*row, level) for row, level in zip(_with_flags(samples), baseline, strict=True)]

    def of_one(self, x: FloatArray) -> Processed:
        flags = find_defects(x, fs_hz=self.fs_hz) if self.look_for_defects else mark(~np.isfinite(x), Defect.GAP)
        baseline = _baseline(np.where(flags == 0, x, np.nan)[None], self.fs_hz)[0]
        is_bridged = _bridgeable(x, flags, self.fs_hz)
        is_usable = _long_enough((flags == 0) | is_bridged, self.fs_hz)
        flags = _explain(flags, is_usable)
        filtered = _filter_intervals(_interpolate(x, flags != 0), is_usable, self.fs_hz, self.band_hz)
        filled = _interpolate(filtered, ~is_usable)
        samples = resample(filled, fs_in_hz=self.fs_hz, fs_out_hz=self.fs_out_hz)
        flags_out = _resample_bits(flags, self.fs_hz, self.fs_out_hz)
        is_lost = _resample_bits((~is_usable).astype(np.uint8), self.fs_hz, self.fs_out_hz) > 0
        flags_out |= mark((flags_out != 0) & ~is_lost, Defect.BRIDGED)
        return Processed(np.where(is_lost, np.nan, samples).astype(np.float32), flags_out, baseline.astype(np.float32))


def _with_flags(samples: FloatArray) -> list[tuple[FloatArray, FlagArray]]:
    return [(row, np.zeros(len(row), dtype=np.uint8)) for row in samples]


def _bridgeable(x: FloatArray, flags: FlagArray, fs_hz: float) -> BoolArray:
    """Short defects, not at an end, across which the level stays."""
    is_bridged = np.zeros(len(x), dtype=bool)
    for start, end in zip(*runs(flags != 0), strict=True):
        if start > 0 and end < len(x) and end - start <= BRIDGE_S * fs_hz and _returns(x, flags, start, end):
            is_bridged[start:end] = True
    return is_bridged


def _returns(x: FloatArray, flags: FlagArray, start: int, end: int) -> bool:
    if not np.any(flags[start:end] & Defect.JUMP):
        return True
    return bool(abs(x[end] - x[start - 1]) <= _RETURN_SHARE * np.nanmax(np.abs(x[start:end] - x[start - 1])))


def _long_enough(is_usable: BoolArray, fs_hz: float) -> BoolArray:
    """``is_usable`` without intervals that are too short to be filtered."""
    is_usable = is_usable.copy()
    for start, end in zip(*runs(is_usable), strict=True):
        if end - start < SHORTEST_INTERVAL_S * fs_hz:
            is_usable[start:end] = False
    return is_usable


def _explain(flags: FlagArray, is_usable: BoolArray) -> FlagArray:
    """Unusable samples without a defect of their own take those of the interval they lie in; without any, ``GAP``."""
    flags = flags.copy()
    for start, end in zip(*runs(~is_usable), strict=True):
        interval = flags[start:end]
        interval[interval == 0] = np.bitwise_or.reduce(interval) or np.uint8(Defect.GAP)
    return flags


def _filter_intervals(x: FloatArray, is_usable: BoolArray, fs_hz: float, band_hz: tuple[float, float]) -> FloatArray:
    filtered = np.zeros_like(x)
    for start, end in zip(*runs(is_usable), strict=True):
        filtered[start:end] = bandpass(x[start:end], fs_hz=fs_hz, low_hz=band_hz[0], high_hz=band_hz[1])
    return filtered


def _interpolate(x: FloatArray, is_bad: BoolArray) -> FloatArray:
    """Straight lines over what is bad; the nearest good value at the ends; zeros if nothing is good."""
    if is_bad.all():
        return np.zeros_like(x)
    time = np.arange(len(x))
    return np.where(is_bad, np.interp(time, time[~is_bad], x[~is_bad]), x)


def _resample_bits(flags: FlagArray, fs_in_hz: float, fs_out_hz: float) -> FlagArray:
    """Each output sample takes the bits of all input samples that lie nearer to it than to its neighbours."""
    n_out = resampled_length(len(flags), fs_in_hz=fs_in_hz, fs_out_hz=fs_out_hz)
    if n_out == 0:
        return np.zeros(0, dtype=np.uint8)
    ratio = fs_in_hz / fs_out_hz
    first = np.clip(np.round((np.arange(n_out) - 0.5) * ratio), 0, len(flags) - 1).astype(np.int64)
    return np.bitwise_or.reduceat(flags, first).astype(np.uint8)


def _baseline(stack: FloatArray, fs_hz: float) -> FloatArray:
    """Median of the finite samples of each second of each row; NaN without any."""
    n_rows, n_samples = stack.shape
    n_seconds = int(np.ceil(n_samples / fs_hz))
    edges = np.minimum(np.round(np.arange(n_seconds + 1) * fs_hz), n_samples).astype(np.int64)
    within = np.arange(np.diff(edges).max(initial=0))
    at = edges[:-1, None] + within
    padded = np.concatenate([stack, np.full((n_rows, 1), np.nan)], axis=1)
    seconds = padded[:, np.where(at < edges[1:, None], at, n_samples)]
    seconds.sort(axis=2)  # NaN goes last.
    n_good = np.isfinite(seconds).sum(axis=2)
    low, high = ((np.maximum(n_good - 1, 0) + shift) // 2 for shift in (0, 1))
    middle = [np.take_along_axis(seconds, at[..., None], axis=2)[..., 0] for at in (low, high)]
    return np.asarray((middle[0] + middle[1]) / 2)
