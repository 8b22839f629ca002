"""Changing the sampling rate without ringing at the ends."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from scipy.signal import resample_poly

from ppgssl.core.errors import SignalError
from ppgssl.core.records import FloatArray

# Keeps time to a millisecond a day at any pair of rates; a nearer fraction would need a longer filter.
_MAX_DENOMINATOR = 10_000


def resample(x: FloatArray, *, fs_in_hz: float, fs_out_hz: float) -> FloatArray:
    """Resample by a polyphase filter; output sample ``k`` lies at time ``k / fs_out_hz``.

    Parameters
    ----------
    x : float array, shape (..., n_samples)
        Finite samples at ``fs_in_hz``.
    fs_in_hz, fs_out_hz : float
        Sampling rates, over 0. Their ratio is taken as the nearest fraction with a denominator of at most 10,000.

    Returns
    -------
    float array, shape (..., round(n_samples * fs_out_hz / fs_in_hz))
        What lies above half the lower rate is removed, so nothing folds back.

    Raises
    ------
    SignalError
        If a rate is not positive, or a sample is not finite.
    """
    check_rates(fs_in_hz, fs_out_hz)
    x = np.asarray(x, dtype=np.float64)
    if not np.isfinite(x).all():
        raise SignalError("cannot resample a signal with samples that are not finite: fill or cut the gaps first.")
    n_out = resampled_length(x.shape[-1], fs_in_hz=fs_in_hz, fs_out_hz=fs_out_hz)
    ratio = _ratio(fs_in_hz, fs_out_hz)
    if n_out == 0 or ratio == 1:
        return x[..., :n_out].copy()
    # The straight line from the first to the last sample is exact at any rate; the filter sees what remains, which
    # starts and ends at 0, so that it meets no step.
    slope = (x[..., -1:] - x[..., :1]) / max(x.shape[-1] - 1, 1)
    remainder = x - (x[..., :1] + slope * np.arange(x.shape[-1]))
    resampled = np.asarray(resample_poly(remainder, ratio.numerator, ratio.denominator, axis=-1))
    line = x[..., :1] + slope * np.arange(n_out) * (fs_in_hz / fs_out_hz)
    return line + _fit_length(resampled, n_out)


def resampled_length(n_samples: int, *, fs_in_hz: float, fs_out_hz: float) -> int:
    """Number of samples after resampling: ``round(n_samples * fs_out_hz / fs_in_hz)``."""
    return round(n_samples * fs_out_hz / fs_in_hz)


def check_rates(fs_in_hz: float, fs_out_hz: float) -> None:
    """Raise SignalError unless both sampling rates are positive and finite."""
    for rate in (fs_in_hz, fs_out_hz):
        if not 0 < rate < np.inf:
            problem = "a sampling rate must be over 0 Hz, not {rate!r}: correct `fs_hz` in the cohort file."
            raise SignalError(problem, rate=rate)


def _ratio(fs_in_hz: float, fs_out_hz: float) -> Fraction:
    return (Fraction(fs_out_hz) / Fraction(fs_in_hz)).limit_denominator(_MAX_DENOMINATOR)


def _fit_length(x: FloatArray, n_out: int) -> FloatArray:
    n_missing = n_out - x.shape[-1]
    if n_missing <= 0:
        return x[..., :n_out]
    return np.pad(x, [(0, 0)] * (x.ndim - 1) + [(0, n_missing)])
