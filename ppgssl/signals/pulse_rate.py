"""Heart rate of segments: the shift at which a PPG repeats itself, checked against its beats; the beats of an ECG."""

from __future__ import annotations

import numpy as np
from scipy.fft import irfft, next_fast_len, rfft
from scipy.signal.windows import hann

from ppgssl.core.records import FloatArray, IntArray
from ppgssl.signals.beat_times import BeatTimes, row_median
from ppgssl.signals.segment_beats import beat_interval, beat_similarity, find_beats
from ppgssl.signals.segmentation import in_blocks

RATES_BPM = (30.0, 240.0)
"""Range in which a pulse is looked for."""

# A shift is compared over at least this share of the segment; less repeats by chance.
_MIN_OVERLAP = 0.3
# Below this correlation nothing repeats.
_MIN_REPEAT = 0.3
# The shift of one beat is preferred to that of two unless two score clearly better.
_SHORTEST_SHARE = 0.85
# Beats must resemble each other this much, and lie this many octaves from the shift, to overrule it.
_MIN_SIMILARITY = 0.75
_DISAGREEMENT_OCTAVES = 0.5
_MIN_BEATS = 3
# A rhythm is regular if this proportion of its intervals is within this proportion of their median.
_REGULAR, _NEAR = 0.75, 0.2


def heart_rate(segments: FloatArray, *, fs_hz: float) -> FloatArray:
    """Pulse rate of each segment.

    Every shift at which a segment repeats itself (a local maximum of its autocorrelation) is scored by that
    correlation plus the spectral amplitude at the same rate; of shifts that score nearly alike, the shortest is one
    beat and the others several. Where nothing repeats, or beats of one shape lie more than half an octave from that
    shift, as in atrial fibrillation or bigeminy, the median beat interval counts instead.

    Parameters
    ----------
    segments : float array, shape (n_segments, n_samples)
        Band-passed PPG. (The steepest rises of an ECG are not always its beats: see :func:`beat_rate`.)
    fs_hz : float
        Sampling rate.

    Returns
    -------
    float array, shape (n_segments,)
        Beats per minute in 30..240; NaN where no pulse is found, and where the segment is constant or has a NaN.
        Segments of 2 s hold two or three beats: their rate is coarse, and a rate under 43 cannot be found.
    """
    return in_blocks(_heart_rate, segments, fs_hz)


def beat_rate(beats: BeatTimes, starts: IntArray, length: int, *, fs_hz: float) -> FloatArray:
    """Rate of the intervals that lie whole in each segment: the heart rate of an ECG, whatever its rhythm.

    The median interval counts, which a missed or an additional beat does not move; in an irregular rhythm, where under
    three quarters of the intervals are within 20 % of it, the mean.

    Parameters
    ----------
    beats : BeatTimes
        Of the recording.
    starts, length, fs_hz
        Segments, and sampling rate.

    Returns
    -------
    float array, shape (n_segments,)
        Beats per minute in 30..240; NaN with fewer than two intervals without a gap or a pause of over 2 s.
    """
    if len(beats.sample) < _MIN_BEATS:
        return np.full(len(starts), np.nan)
    interval = np.where(beats.is_interval, np.diff(beats.sample), np.nan)
    first, last = beats.within(starts, starts + length)
    at = first[:, None] + np.arange(max(int(np.max(last - first, initial=0)), 1))
    held = np.where(at < last[:, None] - 1, interval[np.minimum(at, len(interval) - 1)], np.nan)
    median = row_median(held, _MIN_BEATS - 1)
    n = np.isfinite(held).sum(axis=1)
    near = (np.abs(held - median[:, None]) <= _NEAR * median[:, None]).sum(axis=1)
    mean = np.nansum(held, axis=1) / np.maximum(n, 1)
    bpm = 60 * fs_hz / np.where(near >= _REGULAR * n, median, np.maximum(mean, 1e-9))
    return np.where(np.isfinite(median) & (bpm >= RATES_BPM[0]) & (bpm <= RATES_BPM[1]), bpm, np.nan)


def _heart_rate(segments: FloatArray, fs_hz: float) -> FloatArray:
    repeat = _repeat_shift(segments, fs_hz)
    beats = find_beats(segments, fs_hz=fs_hz)
    interval = beat_interval(beats, len(segments))
    agrees = np.abs(np.log2(repeat / interval)) < _DISAGREEMENT_OCTAVES  # False if either is NaN.
    overrules = ~agrees & (beat_similarity(segments, beats) >= _MIN_SIMILARITY)
    bpm = 60 * fs_hz / np.where(overrules, interval, repeat)
    return np.where((bpm >= RATES_BPM[0]) & (bpm <= RATES_BPM[1]), bpm, np.nan)


def _repeat_shift(segments: FloatArray, fs_hz: float) -> FloatArray:
    """Samples after which each segment repeats itself; NaN where it does not."""
    n_samples = segments.shape[-1]
    shortest, longest = (round(60 * fs_hz / rate) for rate in RATES_BPM[::-1])
    n_lags = min(longest + 2, int(n_samples * (1 - _MIN_OVERLAP)))
    if n_lags < shortest + 2:
        return np.full(len(segments), np.nan)
    correlation = autocorrelation(segments, n_lags)
    is_peak = np.zeros(correlation.shape, dtype=bool)
    middle = correlation[:, 1:-1]
    is_peak[:, 1:-1] = (middle > correlation[:, :-2]) & (middle >= correlation[:, 2:]) & (middle >= _MIN_REPEAT)
    is_peak[:, : max(shortest - 1, 1)] = False  # One sample of tolerance: the vertex lies between samples.
    lags = np.maximum(np.arange(n_lags), max(shortest, 1))
    score = np.where(is_peak, correlation + _amplitude_at(segments, lags), -np.inf)
    best = score.max(axis=-1)
    at = np.argmax(score >= _SHORTEST_SHARE * best[:, None], axis=-1)
    return np.where(np.isfinite(best), _vertex(correlation, np.clip(at, 1, n_lags - 2)), np.nan)


def autocorrelation(segments: FloatArray, n_lags: int) -> FloatArray:
    """Correlation of each segment with itself shifted by 0, 1, ... ``n_lags - 1`` samples.

    Each shift is normalised by the energy of the two overlapping parts, so that a periodic segment gives 1 at its
    period however short it is.

    Parameters
    ----------
    segments : float array, shape (n_segments, n_samples)
        Finite samples that vary.
    n_lags : int
        At most ``n_samples``.

    Returns
    -------
    float array, shape (n_segments, n_lags)
    """
    x = segments - segments.mean(axis=-1, keepdims=True)
    n_samples = x.shape[-1]
    n_fft = next_fast_len(n_samples + n_lags, real=True)
    products = irfft(np.abs(rfft(x, n_fft, axis=-1)) ** 2, n_fft, axis=-1)[:, :n_lags]
    energy = np.cumsum(x**2, axis=-1)
    head = energy[:, ::-1][:, :n_lags]  # Without the last 0, 1, ... samples.
    tail = energy[:, -1:] - np.pad(energy[:, : n_lags - 1], ((0, 0), (1, 0)))  # Without the first 0, 1, ... samples.
    return np.asarray(products / np.sqrt(np.maximum(head * tail, np.finfo(np.float64).tiny)))


def _amplitude_at(segments: FloatArray, lags: IntArray) -> FloatArray:
    """Spectral amplitude at the rate of each lag, as a share of the largest of them."""
    n_samples = segments.shape[-1]
    n_fft = next_fast_len(4 * n_samples, real=True)
    spectrum = np.abs(rfft(segments * hann(n_samples, sym=False), n_fft, axis=-1))
    amplitude = spectrum[:, np.minimum(np.round(n_fft / lags).astype(np.int64), n_fft // 2)]
    return np.asarray(amplitude / np.maximum(amplitude.max(axis=-1, keepdims=True), np.finfo(np.float64).tiny))


def _vertex(values: FloatArray, at: IntArray) -> FloatArray:
    """Place of the maximum of the parabola through the values at ``at`` and on either side of it."""
    row = np.arange(len(values))
    left, middle, right = (values[row, at + shift] for shift in (-1, 0, 1))
    curvature = 2 * middle - left - right
    is_curved = curvature > 0
    return np.asarray(at + np.where(is_curved, (right - left) / 2 / np.where(is_curved, curvature, 1), 0))
