"""Heart rate variability of segments, from the intervals between normal beats."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ppgssl.core.records import FloatArray, IntArray
from ppgssl.signals.beat_times import BeatTimes, running_median

MIN_INTERVALS = 5
"""Fewer intervals have no variability worth a number."""

# An interval this far from the median of those around it does not lie between two normal beats, or a beat was missed.
_TOLERANCE = 0.2
_N_AROUND = 9
# Where fewer of a segment's intervals are normal, the rhythm is not sinus rhythm or the beats are not beats.
_NORMAL_SHARE = 0.75


class Variability(NamedTuple):
    """``sdnn_ms`` and ``rmssd_ms``, float arrays of shape (n_segments,); NaN where unknown."""

    sdnn_ms: FloatArray
    rmssd_ms: FloatArray


def heart_rate_variability(beats: BeatTimes, starts: IntArray, length: int, *, fs_hz: float) -> Variability:
    """SDNN and RMSSD [1]_ of each segment.

    Only intervals between two beats of the segment count, and of them only those within 20 % of the median of the nine
    around them: Malik's rule [2]_ with a median in the place of the preceding interval, so that one ectopic beat does
    not cast out its neighbours. At least five intervals must be left, and three quarters of the segment's: of a pool of
    arrhythmias every segment in sinus rhythm has them, and half of those in atrial fibrillation. RMSSD needs four pairs
    of successive ones. Both beats of an interval must be trusted (``likeness`` of at least 0.95): a beat in movement
    has another shape, and a place of its own.

    Parameters
    ----------
    beats : BeatTimes
        Of the whole recording, R peaks by preference: intervals between pulses hold the variation of the pulse's
        travelling time as well, and give somewhat larger values [3]_.
    starts : int array, shape (n_segments,)
        First sample of each segment.
    length : int
        Samples in a segment. Ten seconds estimate the RMSSD of five minutes fairly and the SDNN poorly [4]_; values
        of segments of different lengths are not comparable.
    fs_hz : float
        Sampling rate.

    References
    ----------
    .. [1] Task Force of the ESC and NASPE, Heart rate variability: standards of measurement, physiological
       interpretation and clinical use, Circulation 93:1043-1065, 1996, doi 10.1161/01.CIR.93.5.1043.
    .. [2] Malik, Farrell, Cripps and Camm, Heart rate variability in relation to prognosis after myocardial infarction:
       selection of optimal processing techniques, Eur Heart J 10:1060-1074, 1989.
    .. [3] Schafer and Vagedes, How accurate is pulse rate variability as an estimate of heart rate variability?, Int J
       Cardiol 166:15-29, 2013, doi 10.1016/j.ijcard.2012.03.119.
    .. [4] Munoz et al., Validity of (ultra-)short recordings for heart rate variability measurements, PLoS ONE
       10:e0138921, 2015, doi 10.1371/journal.pone.0138921.
    """
    interval_ms = np.diff(beats.sample) * (1000 / fs_hz)
    is_normal = trusted_intervals(beats)
    first, last = beats.within(starts, starts + length)
    last = np.maximum(last - 1, first)  # Intervals are one fewer than beats.
    n_normal = _sum_within(is_normal, first, last)
    is_known = (n_normal >= MIN_INTERVALS) & (n_normal >= _NORMAL_SHARE * (last - first))
    centred = np.where(is_normal, interval_ms - (interval_ms[is_normal].mean() if is_normal.any() else 0), 0.0)
    total, squares = _sum_within(centred, first, last), _sum_within(centred**2, first, last)
    variance = (squares - total**2 / np.maximum(n_normal, 1)) / np.maximum(n_normal - 1, 1)
    sdnn = np.where(is_known, np.sqrt(np.maximum(variance, 0)), np.nan)
    is_pair = is_normal[1:] & is_normal[:-1]
    change = np.where(is_pair, np.diff(interval_ms), 0.0)
    n_pairs = _sum_within(is_pair, first, np.maximum(last - 1, first))
    mean_square = _sum_within(change**2, first, np.maximum(last - 1, first)) / np.maximum(n_pairs, 1)
    is_known &= n_pairs >= MIN_INTERVALS - 1
    return Variability(sdnn, np.where(is_known, np.sqrt(mean_square), np.nan))


def normal_intervals(beats: BeatTimes) -> np.ndarray:
    """Whether each interval is whole and within 20 % of the median of the nine around it, shape (n_intervals,)."""
    interval = np.where(beats.is_interval, np.diff(beats.sample), np.nan)
    typical = running_median(interval, _N_AROUND)
    return np.asarray(np.abs(interval - typical) <= _TOLERANCE * typical)


def trusted_intervals(beats: BeatTimes) -> np.ndarray:
    """Whether each interval is normal and both of its beats are trusted, shape (n_intervals,)."""
    return np.asarray(normal_intervals(beats) & beats.is_trusted[1:] & beats.is_trusted[:-1])


def _sum_within(values: np.ndarray, first: IntArray, last: IntArray) -> FloatArray:
    total = np.concatenate([[0.0], np.cumsum(values, dtype=np.float64)])
    return np.asarray(total[np.minimum(last, len(values))] - total[np.minimum(first, len(values))])
