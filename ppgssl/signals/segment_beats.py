"""Beats of segments: where the signal rises most steeply."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.ndimage import maximum_filter1d

from ppgssl.core.records import FloatArray, IntArray

# Two beats are at least this far apart: somewhat less than a beat at 240 per minute.
REFRACTORY_S = 0.2
# A beat rises at least this share as steeply as a typical one; dicrotic waves stay below.
STEEPNESS_SHARE = 0.45
# A chunk of this length holds a beat down to 30 per minute.
_CHUNK_S = 2.0
# Where a beat is sampled for comparison, in beat intervals from its upstroke.
_PHASES = np.linspace(-0.25, 0.5, 24)


class Beats(NamedTuple):
    """Beats of many segments, sorted by segment and time.

    ``segment`` and ``sample``, shape (n_beats,), are where each upstroke is steepest.
    """

    segment: IntArray
    sample: IntArray


def find_beats(segments: FloatArray, *, fs_hz: float) -> Beats:
    """Steepest points of the upstrokes (PPG) or of the R waves (ECG).

    A beat is a slope that is the largest within 0.2 s on either side and at least 0.45 of a typical beat's; typical is
    the median over chunks of 2 s of the largest slope in each, so that one burst of movement does not hide the beats.

    Parameters
    ----------
    segments : float array, shape (n_segments, n_samples)
        Band-passed samples, finite.
    fs_hz : float
        Sampling rate.
    """
    slope = np.diff(segments, axis=-1)
    n_chunks = max(1, int(slope.shape[-1] / (_CHUNK_S * fs_hz)))
    edges = np.linspace(0, slope.shape[-1], n_chunks + 1).astype(np.int64)[:-1]
    typical = np.median(np.maximum.reduceat(slope, edges, axis=-1), axis=-1, keepdims=True)
    nearby = maximum_filter1d(slope, 2 * round(REFRACTORY_S * fs_hz) + 1, axis=-1, mode="nearest")
    is_beat = (slope == nearby) & (slope >= STEEPNESS_SHARE * typical) & (slope > 0)
    return Beats(*np.nonzero(is_beat))


def inner_beats(beats: Beats, n_samples: int) -> Beats:
    """Beats without those at a segment's first or last slope: the steepest point of a beat cut off there is unknown."""
    is_inner = (beats.sample > 0) & (beats.sample < n_samples - 2)
    return Beats(beats.segment[is_inner], beats.sample[is_inner])


def quotient(above: ArrayLike, below: ArrayLike) -> FloatArray:
    """Quotient; NaN where there is nothing to divide by."""
    above, below = np.broadcast_arrays(np.asarray(above, dtype=np.float64), np.asarray(below, dtype=np.float64))
    return np.divide(above, below, out=np.full(above.shape, np.nan), where=below != 0)


def beat_interval(beats: Beats, n_segments: int) -> FloatArray:
    """Median samples from beat to beat in each segment, shape (n_segments,); NaN with fewer than two beats."""
    same = beats.segment[1:] == beats.segment[:-1]
    segment, interval = beats.segment[1:][same], np.diff(beats.sample)[same]
    order = np.lexsort((interval, segment))
    segment, interval = segment[order], interval[order].astype(np.float64)
    count = np.bincount(segment, minlength=n_segments)
    first = np.cumsum(count) - count
    median = np.full(n_segments, np.nan)
    some = count > 0
    low, high = (first + (count - 1) // 2)[some], (first + count // 2)[some]
    median[some] = (interval[low] + interval[high]) / 2
    return median


def beat_similarity(segments: FloatArray, beats: Beats) -> FloatArray:
    """Mean correlation of each beat with the average of the segment's other beats, after [1]_.

    Beats are aligned at the upstroke and cut from 0.25 of the median beat interval before it to 0.5 after, so
    that irregular rhythms are assessed by the shape of their beats and not by their timing. A beat that is cut off by
    the end of the segment counts if half of it is there.

    Returns
    -------
    float array, shape (n_segments,)
        In -1..1; NaN with fewer than two comparable beats.

    References
    ----------
    .. [1] Orphanidou, Bonnici, Charlton, Clifton, Vallance and Tarassenko, Signal-quality indices for the
       electrocardiogram and photoplethysmogram, IEEE J Biomed Health Inform 19:832-838, 2015,
       doi 10.1109/JBHI.2014.2338351.
    """
    n_segments, n_samples = segments.shape
    interval = beat_interval(beats, n_segments)[beats.segment]
    kept = np.isfinite(interval)
    segment, sample, interval = beats.segment[kept], beats.sample[kept], interval[kept]
    if not len(segment):
        return np.full(n_segments, np.nan)
    at = np.round(sample[:, None] + interval[:, None] * _PHASES).astype(np.int64)
    is_inside = (at >= 0) & (at < n_samples)
    shape = np.where(is_inside, segments[segment[:, None], np.clip(at, 0, n_samples - 1)], 0.0)
    first = np.flatnonzero(np.diff(segment, prepend=-1))
    of_segment = np.repeat(np.arange(len(first)), np.diff(np.append(first, len(segment))))
    others = np.add.reduceat(shape, first, axis=0)[of_segment] - shape
    n_others = np.add.reduceat(is_inside.astype(np.float64), first, axis=0)[of_segment] - is_inside
    weight = is_inside & (n_others > 0)
    correlation = _correlation(shape, others / np.maximum(n_others, 1), weight)
    correlation[weight.sum(axis=1) < len(_PHASES) // 2] = np.nan
    good = np.isfinite(correlation)
    total = np.bincount(segment[good], correlation[good], n_segments)
    count = np.bincount(segment[good], minlength=n_segments)
    return np.where(count > 1, total / np.maximum(count, 1), np.nan)


def _correlation(a: FloatArray, b: FloatArray, weight: FloatArray) -> FloatArray:
    n = np.maximum(weight.sum(axis=1, keepdims=True), 1)
    a = (a - (a * weight).sum(axis=1, keepdims=True) / n) * weight
    b = (b - (b * weight).sum(axis=1, keepdims=True) / n) * weight
    return (a * b).sum(axis=1) / np.sqrt(np.maximum((a**2).sum(axis=1) * (b**2).sum(axis=1), np.finfo(float).tiny))
