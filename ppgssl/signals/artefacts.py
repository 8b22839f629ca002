"""Defects of raw samples: missing, flat, clipped, jumping. What is normal is learnt from each recording."""

from __future__ import annotations

from enum import IntFlag

import numpy as np
from numpy.typing import NDArray

from ppgssl.core.records import BoolArray, FloatArray, IntArray

FlagArray = NDArray[np.uint8]


class Defect(IntFlag):
    """Bits of a sample's flag; 0 is a good sample."""

    GAP = 1
    FLAT = 2
    CLIPPED = 4
    JUMP = 8
    BRIDGED = 16
    """Set by :func:`~ppgssl.signals.preprocessing.preprocess` in addition to another bit: interpolated, usable."""


# A constant interval this long is a fault; coarse converters repeat a value for a few milliseconds in every beat.
FLAT_S = 0.3
# A clipped pulse stays at the extreme value this long, ...
CLIPPED_S = (0.04, 1.0)
# ... and the extreme value is this many times as frequent as the level next to it. A rounded, coarsely quantised peak
# reaches 2.4 (the dwell time of a parabola in its top level, over that in the next).
CLIPPED_EXCESS = 4.0
# A step is a jump if it exceeds the steepest step of a typical second this many times ...
JUMP_RATIO = 4.0
# ... and covers this share of the recording's 5-95 % range at once: the steepest upstroke needs several samples.
JUMP_SHARE = 0.15
# A step over this share of the recording's full range is a jump however frequent: a wrap-around in every beat.
WRAP_SHARE = 0.9
# Samples on either side of a jump that take its flag, for smoothing that spread it.
JUMP_MARGIN_S = 0.05


def find_defects(x: FloatArray, *, fs_hz: float) -> FlagArray:
    """Flag the defects of one raw recording.

    Parameters
    ----------
    x : float array, shape (n_samples,)
        Raw samples in any unit; NaN (or infinite) where missing. No converter range is needed.
    fs_hz : float
        Sampling rate.

    Returns
    -------
    uint8 array, shape (n_samples,)
        Bits of :class:`Defect`. ``GAP``: not finite. ``FLAT``: constant for 0.3 s or longer. ``CLIPPED``: at the
        recording's lowest or highest value for 0.04 to 1 s, where that value is far more frequent than its
        neighbours. ``JUMP``: within 0.05 s of a step four times as steep as the steepest of a typical second, such as
        a converter's wrap-around or a joint of two recordings.

    Notes
    -----
    A jump is found by its ratio to the upstrokes of the same recording. Where more than half of the seconds jump, only
    steps over 0.9 of the full range are found; the rest is left to the signal quality index.
    """
    x = np.asarray(x, dtype=np.float64)
    is_gap = ~np.isfinite(x)
    x = np.where(is_gap, np.nan, x)
    flags = mark(is_gap, Defect.GAP)
    if is_gap.all():
        return flags
    is_clipped = _clipped(x, is_gap, fs_hz)
    flags |= mark(is_clipped, Defect.CLIPPED)
    flags |= mark(_flat(x, is_gap, fs_hz) & ~is_clipped, Defect.FLAT)
    flags |= mark(_jumping(x, fs_hz) & ~is_gap, Defect.JUMP)
    return flags


def is_spotless(x: FloatArray, *, fs_hz: float) -> BoolArray:
    """Which recordings :func:`find_defects` would find no defect in, many at a time and much faster.

    Parameters
    ----------
    x : float array, shape (n_recordings, n_samples)
    fs_hz : float

    Returns
    -------
    bool array, shape (n_recordings,)
        True only where there is none; False where one has to look, as in coarsely quantised recordings.
    """
    n_recordings, n_samples = x.shape
    if n_samples < 3:
        return np.zeros(n_recordings, dtype=bool)
    is_finite = np.asarray(np.isfinite(x).all(axis=1))
    steps = np.diff(np.where(is_finite[:, None], x, 0.0), axis=1)
    is_repeated = steps == 0
    # Flat and clipped intervals have three equal samples or more.
    moves = ~(is_repeated[:, 1:] & is_repeated[:, :-1]).any(axis=1)
    steps = np.abs(steps)
    largest = steps.max(axis=1)
    typical = _typical_steepest(steps, fs_hz)
    is_smooth = largest <= JUMP_RATIO * typical
    is_smooth[is_finite] &= largest[is_finite] <= WRAP_SHARE * np.ptp(x[is_finite], axis=1)
    return np.asarray(is_finite & moves & is_smooth)


def mark(mask: BoolArray, defect: Defect) -> FlagArray:
    """The bit of ``defect`` where ``mask`` is true, 0 elsewhere."""
    return np.where(mask, np.uint8(defect), np.uint8(0))


def runs(mask: BoolArray) -> tuple[IntArray, IntArray]:
    """First sample, and sample after the last, of each interval where ``mask`` (shape (n_samples,)) is true."""
    edges = np.flatnonzero(np.diff(mask.astype(np.int8), prepend=0, append=0))
    return edges[0::2], edges[1::2]


def _constant_runs(x: FloatArray) -> tuple[IntArray, IntArray]:
    """Start and end of each interval of one value; NaN equals nothing, so each is a interval of its own."""
    starts = np.flatnonzero(np.concatenate([[True], x[1:] != x[:-1]]))
    return starts, np.append(starts[1:], len(x))


def _paint(n_samples: int, starts: IntArray, ends: IntArray) -> BoolArray:
    depth = np.zeros(n_samples + 1, dtype=np.int64)
    np.add.at(depth, starts, 1)
    np.add.at(depth, ends, -1)
    return np.cumsum(depth[:-1]) > 0


def _flat(x: FloatArray, is_gap: BoolArray, fs_hz: float) -> BoolArray:
    starts, ends = _constant_runs(x)
    is_long = (ends - starts >= max(3, round(FLAT_S * fs_hz))) & ~is_gap[starts]
    return _paint(len(x), starts[is_long], ends[is_long])


def _clipped(x: FloatArray, is_gap: BoolArray, fs_hz: float) -> BoolArray:
    levels, counts = np.unique(x[~is_gap], return_counts=True)
    if len(levels) < 3:
        return np.zeros(len(x), dtype=bool)
    extremes = [
        level
        for level, count, neighbours in (
            (levels[0], counts[0], counts[1:3].max()),
            (levels[-1], counts[-1], counts[-3:-1].max()),
        )
        if count > CLIPPED_EXCESS * neighbours
    ]
    starts, ends = _constant_runs(x)
    shortest, longest = max(3, round(CLIPPED_S[0] * fs_hz)), CLIPPED_S[1] * fs_hz
    length = ends - starts
    is_clip = np.isin(x[starts], extremes) & (length >= shortest) & (length <= longest)
    return _paint(len(x), starts[is_clip], ends[is_clip])


def _jumping(x: FloatArray, fs_hz: float) -> BoolArray:
    steps = np.abs(np.diff(x))
    low, high = np.nanpercentile(x, [5, 95])
    limit = max(JUMP_RATIO * float(_typical_steepest(steps[None], fs_hz)[0]), JUMP_SHARE * (high - low))
    is_jump = (steps > limit) | (steps > WRAP_SHARE * np.ptp(x[np.isfinite(x)]))  # False for NaN: a gap is no jump.
    at = np.flatnonzero(is_jump)
    margin = max(1, round(JUMP_MARGIN_S * fs_hz))
    return _paint(len(x), np.maximum(at + 1 - margin, 0), np.minimum(at + 1 + margin, len(x)))


def _typical_steepest(steps: FloatArray, fs_hz: float) -> FloatArray:
    """Median over chunks (of about a second, at least three) of the steepest step in each that moves at all.

    Of each row of ``steps``; infinite where no step is known.
    """
    n_steps = steps.shape[1]
    n_chunks = max(3, round(n_steps / fs_hz))
    if n_steps < n_chunks:
        return np.full(len(steps), np.inf)
    edges = np.linspace(0, n_steps, n_chunks + 1).astype(np.int64)[:-1]
    steepest = np.maximum.reduceat(np.nan_to_num(steps, nan=0.0, posinf=0.0), edges, axis=1)
    is_moving = steepest > 0
    typical = np.full(len(steps), np.inf)
    some = is_moving.any(axis=1)
    typical[some] = np.nanmedian(np.where(is_moving[some], steepest[some], np.nan), axis=1)
    return typical
