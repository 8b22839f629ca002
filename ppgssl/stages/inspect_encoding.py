"""Numbers of a store as the browser page holds them: excerpts of recordings, 16-bit codes, base64."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np
import pandas as pd

from ppgssl.core.records import FloatArray
from ppgssl.store.rows import StoredChannel

ABSENT = 255
"""Code of a channel that a recording does not have, and of an SQI that is not known."""
UNKNOWN = -(2**15)
"""Code of a sample or vital that is missing."""


def excerpts(
    starts_s: FloatArray, quality: FloatArray, *, duration_s: float, segment_s: float, excerpt_s: float
) -> list[tuple[float, float]]:
    """Intervals of a recording to show: all of it or, past twice ``excerpt_s``, the worst and then the best interval.

    ``starts_s`` (sorted) and ``quality`` have shape (n_segments,); an excerpt is no shorter than a segment. Intervals
    (start and end in s) begin where a segment does, are ranked by the mean quality of the segments in them, and do not
    overlap.
    """
    if duration_s <= 2 * excerpt_s or not len(starts_s):
        return [(0.0, min(duration_s, 2 * excerpt_s))]
    begins = np.minimum(starts_s, duration_s - excerpt_s)
    total = np.concatenate([[0.0], np.cumsum(quality)])
    first = np.searchsorted(starts_s, begins, side="left")
    last = np.searchsorted(starts_s, begins + excerpt_s - segment_s + 1e-6, side="right")
    mean = (total[last] - total[first]) / np.maximum(last - first, 1)
    worst = begins[np.argmin(mean)]
    is_apart = np.abs(begins - worst) >= excerpt_s
    if not is_apart.any():
        return [(float(worst), float(worst + excerpt_s))]
    best = begins[is_apart][np.argmax(mean[is_apart])]
    return [(float(begin), float(begin + excerpt_s)) for begin in (worst, best)]


def encode_excerpt(channel: StoredChannel, interval: tuple[float, float], fs_hz: float, every: int) -> dict[str, Any]:
    first, last = (round(edge * fs_hz) for edge in interval)
    samples, flags = channel.samples[first:last], channel.flags[first:last]
    return quantise(samples[::every].astype(np.float64)) | {"marks": _marks(flags, every, fs_hz)}


def _marks(flags: np.ndarray, every: int, fs_hz: float) -> list[list[float]]:
    """Intervals of flagged samples: start and end in s from the start of the excerpt, and the flag's bits."""
    if not flags.any():
        return []
    coarse = np.bitwise_or.reduceat(flags, np.arange(0, len(flags), every))
    edges = np.flatnonzero(np.diff(coarse.astype(np.int16), prepend=-1))
    ends = np.append(edges[1:], len(coarse))
    step_s = every / fs_hz
    return [
        [round(begin * step_s, 3), round(end * step_s, 3), int(coarse[begin])]
        for begin, end in zip(edges.tolist(), ends.tolist(), strict=True)
        if coarse[begin]
    ]


def quantise(values: FloatArray) -> dict[str, Any]:
    """Values as 16-bit codes: ``value = low + step * (code + 32767)``, and ``UNKNOWN`` for NaN."""
    is_known = np.isfinite(values)
    low, high = (values[is_known].min(), values[is_known].max()) if is_known.any() else (0.0, 0.0)
    step = (high - low) / 65534 or 1.0
    codes = np.where(is_known, np.round((np.where(is_known, values, low) - low) / step) - 32767, UNKNOWN)
    return {"low": float(low), "step": float(step), "codes": encode(codes, "<i2")}


def encode(values: np.ndarray, dtype: str) -> str:
    return base64.b64encode(np.ascontiguousarray(values, dtype=dtype).tobytes()).decode("ascii")


def rounded(values: pd.Series, decimals: int) -> list[float | None]:
    """NaN becomes None: JSON knows no NaN."""
    numbers = values.to_numpy(dtype=np.float64)
    return [round(value, decimals) if np.isfinite(value) else None for value in numbers.tolist()]


def percent_codes(values: pd.Series) -> FloatArray:
    """Whole percents, rounded down: an SQI that was too low never reads as high enough."""
    return np.nan_to_num(np.floor(values.to_numpy(dtype=np.float64) * 100 + 1e-4), nan=ABSENT)
