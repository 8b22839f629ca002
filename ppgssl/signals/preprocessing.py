"""Raw recording -> filtered samples at the stored rate, with what is unusable marked and nothing smeared."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ppgssl.records import BoolArray, FloatArray
from ppgssl.signals.artefacts import Defect, FlagArray, find_defects, mark, runs
from ppgssl.signals.filters import bandpass, check_band
from ppgssl.signals.resampling import check_rates, resample, resampled_length

# The longest defect that is interpolated instead of splitting the recording.
BRIDGE_S = 0.2
# A good stretch shorter than this, between two defects, holds no beat that could be told from its baseline.
SHORTEST_STRETCH_S = 1.0
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
        Bits of :class:`~ppgssl.signals.artefacts.Defect`. ``BRIDGED`` is set beside the cause where a short defect
        was interpolated; any other flagged sample is NaN.
    baseline : float32 array, shape (n_seconds,)
        Median of the good raw samples of each second, the last one maybe incomplete; NaN where there is none.
    """

    samples: FloatArray
    flags: FlagArray
    baseline: FloatArray


def preprocess(x: FloatArray, *, fs_hz: float, fs_out_hz: float, band_hz: tuple[float, float]) -> Processed:
    """Find defects, band-pass each good stretch on its own, and resample.

    Parameters
    ----------
    x : float array, shape (n_samples,)
        Raw samples, NaN where missing. Any length: an empty signal gives empty arrays, and one shorter than a second
        is all NaN, flagged ``GAP``.
    fs_hz, fs_out_hz : float
        Sampling rates of ``x`` and of the result.
    band_hz : (low, high)
        Edges of the pass band, below half of both rates.

    Returns
    -------
    Processed
        With ``round(n_samples * fs_out_hz / fs_hz)`` samples. Defects of up to 0.2 s are interpolated (a jump only
        where the signal returns to its level); longer ones, and good stretches under 1 s between them, are NaN.

    Raises
    ------
    SignalError
        If the band or a rate is impossible.
    """
    check_rates(fs_hz, fs_out_hz)
    for rate in (fs_hz, fs_out_hz):
        check_band(fs_hz=rate, low_hz=band_hz[0], high_hz=band_hz[1])
    x = np.asarray(x, dtype=np.float64)
    flags = find_defects(x, fs_hz=fs_hz)
    baseline = _baseline(np.where(flags == 0, x, np.nan), fs_hz)
    is_bridged = _bridgeable(x, flags, fs_hz)
    is_usable = _long_enough((flags == 0) | is_bridged, fs_hz)
    flags = _explain(flags, is_usable)
    filtered = _filter_stretches(_interpolate(x, flags != 0), is_usable, fs_hz, band_hz)
    samples = resample(_interpolate(filtered, ~is_usable), fs_in_hz=fs_hz, fs_out_hz=fs_out_hz)
    flags_out = _resample_bits(flags, fs_hz, fs_out_hz)
    is_lost = _resample_bits((~is_usable).astype(np.uint8), fs_hz, fs_out_hz) > 0
    flags_out |= mark((flags_out != 0) & ~is_lost, Defect.BRIDGED)
    return Processed(np.where(is_lost, np.nan, samples).astype(np.float32), flags_out, baseline.astype(np.float32))


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
    """``is_usable`` without stretches that are too short to be filtered."""
    is_usable = is_usable.copy()
    for start, end in zip(*runs(is_usable), strict=True):
        if end - start < SHORTEST_STRETCH_S * fs_hz:
            is_usable[start:end] = False
    return is_usable


def _explain(flags: FlagArray, is_usable: BoolArray) -> FlagArray:
    """Unusable samples without a defect of their own take those of the stretch they lie in; without any, ``GAP``."""
    flags = flags.copy()
    for start, end in zip(*runs(~is_usable), strict=True):
        stretch = flags[start:end]
        stretch[stretch == 0] = np.bitwise_or.reduce(stretch) or np.uint8(Defect.GAP)
    return flags


def _filter_stretches(x: FloatArray, is_usable: BoolArray, fs_hz: float, band_hz: tuple[float, float]) -> FloatArray:
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


def _baseline(x: FloatArray, fs_hz: float) -> FloatArray:
    """Median of the finite samples of each second; NaN without any."""
    n_seconds = int(np.ceil(len(x) / fs_hz))
    edges = np.minimum(np.round(np.arange(n_seconds + 1) * fs_hz), len(x)).astype(np.int64)
    within = np.arange(np.diff(edges).max(initial=0))
    at = edges[:-1, None] + within
    seconds = np.where(at < edges[1:, None], x[np.minimum(at, len(x) - 1)], np.nan)
    seconds.sort(axis=1)  # NaN goes last.
    n_good = np.isfinite(seconds).sum(axis=1)
    low, high = ((np.maximum(n_good - 1, 0) + shift) // 2 for shift in (0, 1))
    rows = np.arange(n_seconds)
    return (seconds[rows, low] + seconds[rows, high]) / 2
