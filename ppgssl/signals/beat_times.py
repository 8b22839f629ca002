"""Beats of a whole recording, timed between the samples: R peaks of an ECG, steepest points of PPG upstrokes.

neurokit2 finds beats too, and as many of the true ones (``benchmarks/vitals.py`` sets the two side by side; the tables
are in ``docs/vitals.md``). It is not used here because it raises on signals without beats, places beats on whole
samples, takes 2 s to import and four to eight times as long for a minute, and its variability of the 26 segments of a
minute takes ten times as long as all our vitals together.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from scipy.ndimage import maximum_filter1d, uniform_filter1d

from ppgssl.core.records import BoolArray, FloatArray, IntArray
from ppgssl.signals.segment_beats import REFRACTORY_S, STEEPNESS_SHARE

# What a typical beat is like is learnt from this many chunks of 2 s, so that it follows a change of contact or posture.
_CHUNK_S = 2.0
_N_CHUNKS = 11
# The steepness of a QRS complex is averaged over this long, and the R peak lies within as much of its maximum.
_QRS_S = 0.08
# A longer pause between two beats (under 30 per minute) counts as beats missed.
_LONGEST_INTERVAL_S = 2.0
TRUSTED_LIKENESS = 0.95
"""Likeness from which a beat's timing is trusted; of running people's pulses an eighth of the segments has enough."""
# A beat is compared from this long before its place to this long after it, with as many beats on either side.
_SHAPE_S = {"ppg": (0.12, 0.18), "ecg": (0.1, 0.1)}
_N_ALIKE = 7


@dataclass(frozen=True)
class BeatTimes:
    """Beats of one channel.

    Attributes
    ----------
    sample : float array, shape (n_beats,)
        Rising places, in samples from the recording's start, between the samples where the signal allows it.
    is_interval : bool array, shape (max(n_beats - 1, 0),)
        Whether beat ``i + 1`` follows beat ``i`` within 2 s and no sample between them is missing.
    likeness : float array, shape (n_beats,)
        Correlation of each beat with the mean of the 14 around it: near 1 where it is a beat of their shape, and timed
        as they are. By default 1.
    """

    sample: FloatArray
    is_interval: BoolArray
    likeness: FloatArray = field(default_factory=lambda: np.ones(1))

    @property
    def is_trusted(self) -> BoolArray:
        """Whether the timing of each beat is fit for heart rate variability, shape (n_beats,)."""
        return np.broadcast_to(self.likeness >= TRUSTED_LIKENESS, self.sample.shape)

    def within(self, starts: IntArray, ends: IntArray) -> tuple[IntArray, IntArray]:
        """First beat in, and first beat after, each interval from a start to before an end, shape (n_intervals,)."""
        return np.searchsorted(self.sample, starts), np.searchsorted(self.sample, ends)


def ppg_beats(samples: FloatArray, *, fs_hz: float) -> BeatTimes:
    """Steepest points of the systolic upstrokes.

    The rule is that of :func:`ppgssl.signals.segment_beats.find_beats`: a slope that is the largest within 0.2 s and at
    least 0.45 of a typical beat's, where typical is the median over the 22 s around of the largest slope in each 2 s. A
    parabola through three slopes places the steepest point between the samples. Of unfiltered pulses the foot by
    intersecting tangents follows the ECG best [1]_; of band-passed ones the steepest point was as good or better
    (intervals within 4 to 9 ms RMS of the ECG's, by tangents within 4 to 17), and it needs no search.

    Parameters
    ----------
    samples : float array, shape (n_samples,)
        Band-passed and polarity-corrected; NaN where unusable.
    fs_hz : float
        Sampling rate.

    References
    ----------
    .. [1] Hemon and Phillips, Comparison of foot finding methods for deriving instantaneous pulse rates from
       photoplethysmographic signals, J Clin Monit Comput 30:157-168, 2016, doi 10.1007/s10877-015-9695-6.
    """
    slope = _slope(samples)
    beats = _prominent(slope, fs_hz)
    return _beat_times(vertex(slope, beats) + 0.5, samples, fs_hz, "ppg")


def ecg_beats(samples: FloatArray, *, fs_hz: float) -> BeatTimes:
    """R peaks: the extreme values, of the recording's typical sign, at the steepest 80 ms of each beat.

    As in [1]_, squared slopes are averaged over the length of a QRS complex; a maximum within 0.2 s that reaches 0.45
    of a typical one's root is a beat. Where most complexes point down, as in aVR, the lowest sample is taken. A
    parabola places the peak between the samples.

    Parameters
    ----------
    samples : float array, shape (n_samples,)
        Band-passed, of either polarity; NaN where unusable.
    fs_hz : float
        Sampling rate.

    References
    ----------
    .. [1] Pan and Tompkins, A real-time QRS detection algorithm, IEEE Trans Biomed Eng 32:230-236, 1985,
       doi 10.1109/TBME.1985.325532.
    """
    half = max(1, round(_QRS_S * fs_hz))
    slope = _slope(samples)
    steepness = np.sqrt(np.maximum(uniform_filter1d(slope * slope, half, mode="constant"), 0))
    beats = _prominent(steepness, fs_hz)
    if not len(beats):
        return _beat_times(np.zeros(0), samples, fs_hz, "ecg")
    finite = np.nan_to_num(samples.astype(np.float64))
    at = np.clip(beats[:, None] + np.arange(-half, half + 1), 0, len(samples) - 1)
    around = finite[at]
    sign = 1 if np.median(around.max(axis=1)) >= np.median(-around.min(axis=1)) else -1
    peaks = np.unique(at[np.arange(len(at)), (sign * around).argmax(axis=1)])
    return _beat_times(vertex(sign * finite, peaks), samples, fs_hz, "ecg")


def pulse_heights(samples: FloatArray, beats: BeatTimes) -> FloatArray:
    """Highest minus lowest sample from each beat to the next, shape (n_intervals,); NaN over a gap or a pause."""
    if len(beats.sample) < 2:
        return np.zeros(0)
    edges = beats.sample.astype(np.int64)
    highest = np.maximum.reduceat(samples, edges)[:-1].astype(np.float64)
    lowest = np.minimum.reduceat(samples, edges)[:-1]
    return np.where(beats.is_interval, highest - lowest, np.nan)


def median_within(values: FloatArray, first: IntArray, last: IntArray, *, at_least: int) -> FloatArray:
    """Median of the finite ``values[first:last]`` of each interval; NaN where there are fewer than ``at_least``.

    Parameters
    ----------
    values : float array, shape (n_values,)
    first, last : int arrays, shape (n_intervals,)

    Returns
    -------
    float array, shape (n_intervals,)
    """
    width = int(np.max(last - first, initial=0))
    if width <= 0 or not len(values):
        return np.full(len(first), np.nan)
    at = first[:, None] + np.arange(width)
    return row_median(np.where(at < last[:, None], values[np.minimum(at, len(values) - 1)], np.nan), at_least)


def running_median(values: FloatArray, width: int) -> FloatArray:
    """Median of the finite values among ``width`` (odd) around each, shape (n,); NaN where none is finite."""
    padded = np.pad(np.asarray(values, dtype=np.float64), width // 2, constant_values=np.nan)
    return row_median(sliding_window_view(padded, width), 1) if len(values) else np.zeros(0)


def vertex(values: FloatArray, at: IntArray) -> FloatArray:
    """Places, in samples, of the parabolas' tops through ``values`` at each maximum and on either side of it.

    Where there is no top, such as at an end, the place is that of the maximum itself.
    """
    at = np.asarray(at, dtype=np.int64)
    left, middle, right = (values[np.clip(at + shift, 0, len(values) - 1)].astype(np.float64) for shift in (-1, 0, 1))
    curvature = 2 * middle - left - right
    is_top = (curvature > 0) & (middle >= left) & (middle >= right) & (at > 0) & (at < len(values) - 1)
    return np.asarray(at + np.where(is_top, (right - left) / 2 / np.where(is_top, curvature, 1), 0.0))


def _slope(samples: FloatArray) -> FloatArray:
    """Differences of successive samples; 0 next to a missing one."""
    return np.nan_to_num(np.diff(samples.astype(np.float64)), nan=0.0)


def _prominent(strength: FloatArray, fs_hz: float) -> IntArray:
    """Where ``strength`` is largest within the refractory time and not much below what is typical around."""
    n_samples = len(strength)
    if not n_samples:
        return np.zeros(0, dtype=np.int64)
    n_chunks = max(1, int(n_samples / (_CHUNK_S * fs_hz)))
    edges = np.linspace(0, n_samples, n_chunks + 1).astype(np.int64)
    largest = np.maximum.reduceat(strength, edges[:-1])
    typical = running_median(np.where(largest > 0, largest, np.nan), _N_CHUNKS)  # Gaps do not lower it.
    refractory = round(REFRACTORY_S * fs_hz)
    nearby = maximum_filter1d(strength, 2 * refractory + 1, mode="nearest")
    at = np.flatnonzero((strength == nearby) & (strength > 0))
    at = at[np.diff(at, prepend=-refractory - 1) > refractory]  # The first of equals.
    chunk = np.searchsorted(edges, at, side="right") - 1
    return at[strength[at] >= STEEPNESS_SHARE * typical[chunk]]


def _beat_times(sample: FloatArray, samples: FloatArray, fs_hz: float, modality: str) -> BeatTimes:
    sample = np.asarray(sample, dtype=np.float64)
    n_missing = np.cumsum(~np.isfinite(samples))
    is_whole = np.diff(n_missing[sample.astype(np.int64)]) == 0 if len(sample) else np.zeros(0, dtype=bool)
    before, after = (round(length_s * fs_hz) for length_s in _SHAPE_S[modality])
    return BeatTimes(
        sample, is_whole & (np.diff(sample) <= _LONGEST_INTERVAL_S * fs_hz), _likeness(sample, samples, before, after)
    )


def _likeness(sample: FloatArray, samples: FloatArray, before: int, after: int) -> FloatArray:
    if not len(sample):
        return np.zeros(0)
    place = np.clip(sample[:, None] + np.arange(-before, after + 1), 0, len(samples) - 1)
    finite = np.nan_to_num(samples.astype(np.float64))
    shape = _unit(np.interp(place.ravel(), np.arange(len(samples)), finite).reshape(place.shape))
    total = np.concatenate([np.zeros((1, shape.shape[1])), np.cumsum(shape, axis=0)])
    number = np.arange(len(shape))
    others = total[np.minimum(number + _N_ALIKE + 1, len(shape))] - total[np.maximum(number - _N_ALIKE, 0)] - shape
    return np.asarray((shape * _unit(others)).sum(axis=1))


def _unit(rows: FloatArray) -> FloatArray:
    """Rows of mean 0 and length 1; 0 where nothing varies."""
    centred = rows - rows.mean(axis=1, keepdims=True)
    return np.asarray(centred / np.maximum(np.linalg.norm(centred, axis=1, keepdims=True), np.finfo(float).tiny))


def row_median(rows: FloatArray, at_least: int) -> FloatArray:
    """Median of the finite values of each row. (numpy's nanmedian warns of empty rows, and is slow on many.)"""
    rows = np.sort(rows, axis=1)  # NaN goes last.
    count = np.isfinite(rows).sum(axis=1)
    row = np.arange(len(rows))
    middle = (rows[row, np.maximum(count - 1, 0) // 2] + rows[row, np.minimum(count // 2, rows.shape[1] - 1)]) / 2
    return np.where(count >= max(at_least, 1), middle, np.nan)
