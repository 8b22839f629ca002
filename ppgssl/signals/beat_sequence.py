"""What changes from beat to beat, as series in time: interval, height and shape of each beat of a segment."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ppgssl.core.records import BoolArray, FloatArray, IntArray
from ppgssl.signals.beat_times import vertex
from ppgssl.signals.segment_beats import Beats, find_beats, inner_beats, quotient

MEASURES = ("interval", "height", "rise", "width", "area", "descent", "ratio")
"""Names of the measures of a beat, in the order of :func:`beat_sequence`."""
# A beat further from the segment's median than this, in natural logarithms, was missed, doubled, or none of the heart.
_MOST_UNLIKE = {"interval": 0.4, "height": 1.0}
# Of fewer intervals, none can be told to be unlike the others.
_MIN_INTERVALS = 3
_HALF = 0.5
# Where the descent is measured, in beat intervals from the steepest point of the upstroke.
_DESCENT_AT = 0.45


class BeatSequence(NamedTuple):
    """Measures of the beats of segments over time.

    Attributes
    ----------
    level : float array, shape (n_segments, n_channels, n_measures)
        Mean over the segment's known times; NaN where there is none.
    deviation : float array, shape (n_segments, n_channels, n_measures, n_times)
        From that mean; NaN at times before the first beat and after the last, in beats unlike the segment's others, and
        in a segment of fewer than three intervals.
    """

    level: FloatArray
    deviation: FloatArray


def beat_sequence(segments: FloatArray, *, fs_hz: float, n_times: int) -> BeatSequence:
    """Measures of each beat, held from its upstroke to the next, at the middles of ``n_times`` equal intervals.

    Of each channel, by its own beats (:func:`~ppgssl.signals.segment_beats.find_beats`), each from the steepest point
    of an upstroke to the next:

    - ``interval``: natural logarithm of its length in seconds
    - ``height``: natural logarithm of highest minus lowest sample
    - ``rise``: from the steepest point to the peak, as a proportion of the interval
    - ``width``: proportion of the interval in which the signal is over half its height
    - ``area``: mean of the signal, as a proportion of its height
    - ``descent``: signal at 0.45 of the interval, as a proportion of its height
    - ``ratio``: natural logarithm of the first channel's height over this one's, within the same times; unknown for the
      first channel

    Parameters
    ----------
    segments : float array, shape (n_segments, n_channels, length)
        Band-passed and polarity-corrected, finite, in any unit. A channel that is all zeros has no beats.
    fs_hz : float
        Sampling rate.
    n_times : int
    """
    n, n_channels, length = segments.shape
    rows = np.asarray(segments, dtype=np.float64).reshape(n * n_channels, length)
    rows = rows - rows.mean(axis=-1, keepdims=True)
    beats = inner_beats(find_beats(rows, fs_hz=fs_hz), length)
    first = np.repeat(rows.reshape(n, n_channels, length)[:, :1], n_channels, axis=1).reshape(rows.shape)
    measures, start, row = _measures(rows, first, beats, fs_hz)
    measures[row % n_channels == 0, MEASURES.index("ratio")] = np.nan
    is_alike, n_alike = _alike(measures, row, len(rows))
    held = _held(measures, start, row, is_alike, np.full((len(rows), n_times, len(MEASURES)), np.nan), length)
    is_known = np.isfinite(held)
    level = quotient(np.where(is_known, held, 0).sum(axis=1), is_known.sum(axis=1))
    deviation = np.where((n_alike >= _MIN_INTERVALS)[:, None, None], held - level[:, None], np.nan)
    shape = (n, n_channels, len(MEASURES))
    return BeatSequence(level.reshape(shape), deviation.swapaxes(1, 2).reshape(*shape, n_times))


def _measures(
    rows: FloatArray, first: FloatArray, beats: Beats, fs_hz: float
) -> tuple[FloatArray, FloatArray, IntArray]:
    """Measures of each beat that another one follows, shape (n_beats, n_measures); its two ends and its row."""
    length = rows.shape[-1]
    edges = beats.segment * length + beats.sample
    if len(edges) < 2:
        return np.zeros((0, len(MEASURES))), np.zeros((0, 2)), np.zeros(0, dtype=np.int64)
    slope = np.diff(rows, axis=-1, append=rows[:, -1:]).ravel()  # 0 at the end: no parabola reaches into the next row
    place = vertex(slope, edges) + 0.5
    is_followed = beats.segment[1:] == beats.segment[:-1]
    row = beats.segment[:-1][is_followed]
    start, end = place[:-1][is_followed], place[1:][is_followed]
    flat = rows.ravel()
    low, high = (extreme.reduceat(flat, edges)[:-1][is_followed] for extreme in (np.minimum, np.maximum))
    # Equal slopes side by side count as beats, too, of no length.
    duration = np.where(end > start, end - start, np.nan)
    height = np.where(high > low, high - low, np.nan)
    others = first.ravel()
    span = (np.maximum.reduceat(others, edges) - np.minimum.reduceat(others, edges))[:-1][is_followed]
    n_samples = np.diff(edges)[is_followed]
    beat = np.repeat(np.arange(len(row)), n_samples)
    at = np.repeat(edges[:-1][is_followed] - np.cumsum(n_samples) + n_samples, n_samples) + np.arange(len(beat))
    relative = (flat[at] - low[beat]) / height[beat]
    after = (flat[np.minimum(at + 1, len(flat) - 1)] - low[beat]) / height[beat]
    proportions = [
        np.bincount(beat, values, len(row)) / n_samples for values in (_over_half(relative, after), relative)
    ]
    descent = np.interp(start + _DESCENT_AT * (end - start), np.arange(len(flat)), flat)
    values = [
        np.log(duration / fs_hz),
        np.log(height),
        (_peak(flat, edges, is_followed, n_samples) - start) / duration,
        *proportions,
        (descent - low) / height,
        np.log(np.where(span > 0, span, np.nan) / height),
    ]
    offset = row * length
    return np.column_stack(values), np.column_stack([start - offset, end - offset]), row


def _over_half(value: FloatArray, after: FloatArray) -> FloatArray:
    """Proportion of the line from each value to the one after it that lies over half."""
    low, high = np.minimum(value, after), np.maximum(value, after)
    crossing = np.clip(quotient(high - _HALF, high - low), 0, 1)
    return np.where(high > low, crossing, value > _HALF)


def _peak(flat: FloatArray, edges: IntArray, is_followed: BoolArray, n_samples: IntArray) -> FloatArray:
    """Place of the highest sample in the first half of each beat, between the samples."""
    start = edges[:-1][is_followed]
    at = start[:, None] + np.arange(max(2, int(n_samples.max(initial=0)) // 2 + 1))
    values = np.where(
        at <= (start + np.maximum(n_samples // 2, 1))[:, None], flat[np.minimum(at, len(flat) - 1)], -np.inf
    )
    return vertex(flat, start + values.argmax(axis=1))


def _alike(measures: FloatArray, row: IntArray, n_rows: int) -> tuple[BoolArray, IntArray]:
    """Whether each beat is like the others of its row in interval and height; and how many of each row are."""
    is_alike = np.ones(len(measures), dtype=bool)
    for name, most in _MOST_UNLIKE.items():
        values = measures[:, MEASURES.index(name)]
        is_alike &= np.abs(values - _row_medians(values, row, n_rows)[row]) <= most
    return is_alike, np.bincount(row, is_alike, n_rows).astype(np.int64)


def _row_medians(values: FloatArray, row: IntArray, n_rows: int) -> FloatArray:
    """Lower median of the known values of each row; NaN for a row without one."""
    values, row = values[np.isfinite(values)], row[np.isfinite(values)]
    order = np.lexsort((values, row))
    count = np.bincount(row, minlength=n_rows)
    middle = np.cumsum(count) - count + np.maximum(count - 1, 0) // 2
    medians = np.full(n_rows, np.nan)
    medians[count > 0] = values[order][middle[count > 0]]
    return medians


def _held(
    measures: FloatArray, ends: FloatArray, row: IntArray, is_alike: BoolArray, held: FloatArray, length: int
) -> FloatArray:
    """``held``, shape (n_rows, n_times, n_measures), with the measures of the beat that each time lies in."""
    n_times = held.shape[1]
    step = length / n_times
    # Middles of the intervals at or after the start of a beat, and before its end.
    first, last = (np.clip(np.ceil(ends / step - 0.5), 0, n_times).astype(np.int64)).T
    n = np.where(is_alike, last - first, 0)
    beat = np.repeat(np.arange(len(row)), n)
    time = np.repeat(first - np.cumsum(n) + n, n) + np.arange(len(beat))
    held[row[beat], time] = measures[beat]
    return held
