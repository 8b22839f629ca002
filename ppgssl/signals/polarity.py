"""Which way the pulses of a PPG point: blood volume up, or transmitted light (upside down)."""

from __future__ import annotations

import numpy as np

from ppgssl.core.records import FloatArray

# Slopes are taken over this long, so that noise between neighbouring samples does not count.
_LAG_S = 0.02
# In each chunk of this length there is a beat, down to 30 per minute.
_CHUNK_S = 2.0
# A recording whose falls are steeper than its rises by this much is upside down.
_CONFIDENT = 0.1


def polarity(samples: FloatArray, *, fs_hz: float) -> float:
    """How much steeper the pulses rise than they fall.

    Blood rushes in faster than it leaves: the systolic upstroke is the steepest part of a PPG pulse. In each chunk of
    2 s the steepest rise and the steepest fall are taken; with their medians over the chunks, which a burst of movement
    does not change, the score is ``(rise - fall) / (rise + fall)``. Unlike the skewness of slopes or samples it is not
    carried by single outliers.

    Parameters
    ----------
    samples : float array, shape (n_samples,)
        Band-passed PPG of 2 s or longer, in any unit; NaN where unusable.
    fs_hz : float
        Sampling rate.

    Returns
    -------
    float
        In -1..1: over 0 where the pulses point up. Negated samples give the negated score. NaN where nothing moves.
    """
    lag = max(1, round(_LAG_S * fs_hz))
    samples = np.asarray(samples, dtype=np.float64)
    steps = samples[lag:] - samples[:-lag]
    if not len(steps):
        return np.nan
    n_chunks = max(1, int(len(steps) / (_CHUNK_S * fs_hz)))
    edges = np.linspace(0, len(steps), n_chunks + 1).astype(np.int64)[:-1]
    # fmax passes over missing samples.
    rises, falls = np.fmax.reduceat(steps, edges), np.fmax.reduceat(-steps, edges)
    is_moving = rises + falls > 0
    if not is_moving.any():
        return np.nan
    rise, fall = np.median(rises[is_moving]), np.median(falls[is_moving])
    total = abs(rise) + abs(fall)
    return float((rise - fall) / total) if 0 < total < np.inf else np.nan


def is_inverted(score: float) -> bool:
    """Whether a polarity score shows with confidence that the pulses point down; False where it is NaN."""
    return bool(score < -_CONFIDENT)
