"""Cutting recordings into segments of one length: indices first, samples as views."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from ppgssl.core.errors import SignalError
from ppgssl.core.records import BoolArray, FloatArray, IntArray

_BLOCK = 256


def segment_starts(n_samples: int, *, fs_hz: float, segment_s: float, step_s: float) -> IntArray:
    """First samples of all segments that fit whole into a recording.

    Parameters
    ----------
    n_samples : int
        Length of the recording.
    fs_hz, segment_s, step_s : float
        Sampling rate, length of a segment and distance between starts, all over 0. A segment has
        ``round(segment_s * fs_hz)`` samples; start ``k`` is at ``round(k * step_s * fs_hz)``, so that steps that are no
        whole number of samples do not drift.

    Returns
    -------
    int64 array, shape (n_segments,)
        Empty for a recording shorter than a segment.

    Raises
    ------
    SignalError
        If a segment or a step is shorter than one sample.
    """
    length, step = round(segment_s * fs_hz), step_s * fs_hz
    if length < 1 or step < 1:
        problem = (
            "segments of {segment_s:g} s every {step_s:g} s at {fs_hz:g} Hz: both must hold at least one sample. "
            "Change `segments.segment_s` or `segments.step_s`."
        )
        raise SignalError(problem, segment_s=segment_s, step_s=step_s, fs_hz=fs_hz)
    n_segments = max(0, int((n_samples - length) // step) + 2)  # One to spare, since starts are rounded.
    starts = np.round(np.arange(n_segments) * step).astype(np.int64)
    return starts[starts + length <= n_samples]


def cut(x: FloatArray, starts: IntArray, length: int) -> FloatArray:
    """Segments of equal length.

    Parameters
    ----------
    x : array, shape (..., n_samples)
    starts : int array, shape (n_segments,)
        First sample of each segment.
    length : int
        Samples in a segment.

    Returns
    -------
    array, shape (..., n_segments, length)
        A copy, of the same type as ``x``; shape (..., 0, length) if there is no start.

    Raises
    ------
    SignalError
        If a segment reaches outside the recording.
    """
    n_samples = x.shape[-1]
    if not len(starts):
        return np.empty((*x.shape[:-1], 0, length), dtype=x.dtype)
    if starts.min() < 0 or starts.max() + length > n_samples:
        raise SignalError(
            f"cannot cut {length} samples from starts {starts.min()}..{starts.max()}: the recording has {n_samples}."
        )
    return sliding_window_view(x, length, axis=-1)[..., starts, :]


def in_blocks(function: Callable[[FloatArray, float], FloatArray], segments: FloatArray, fs_hz: float) -> FloatArray:
    """``function(segments, fs_hz)`` over blocks of segments that stay in the processor's cache.

    Parameters
    ----------
    function
        Takes float64 segments, shape (n, n_samples), that are finite and vary; gives one number for each.
    segments : float array, shape (n_segments, n_samples)
    fs_hz : float
        Sampling rate.

    Returns
    -------
    float array, shape (n_segments,)
        NaN, without asking ``function``, for segments that are constant or not finite.
    """
    segments = np.asarray(segments)
    result = np.full(len(segments), np.nan)
    defined = np.flatnonzero(_is_defined(segments))
    for first in range(0, len(defined), _BLOCK):
        block = defined[first : first + _BLOCK]
        result[block] = function(segments[block].astype(np.float64), fs_hz)
    return result


def _is_defined(segments: FloatArray) -> BoolArray:
    if segments.shape[-1] < 2:
        return np.zeros(len(segments), dtype=bool)
    is_varying = segments.max(axis=-1) > segments.min(axis=-1)
    return np.asarray(np.isfinite(segments).all(axis=-1) & is_varying)
