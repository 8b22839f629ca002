"""Scaling segments for the encoder, as one affine map per segment and channel: (samples - offset) * scale.

SpO2 lives in the ratio of pulsatile part and baseline (AC/DC) between red and infrared, which a z-score of each
segment throws away; a source that was scaled per segment, or whose baseline is unknown, has nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ppgssl.core.errors import SignalError
from ppgssl.core.records import BoolArray, FloatArray, IntArray


@dataclass(frozen=True)
class Affine:
    """``offset`` and ``scale``, float32 arrays of shape (n_segments, n_channels)."""

    offset: FloatArray
    scale: FloatArray


@dataclass(frozen=True)
class Moments:
    """``mean`` and ``sd`` of the samples of each segment, float64 arrays of shape (n_segments, n_channels)."""

    mean: FloatArray
    sd: FloatArray


def segment_moments(parts: Iterable[tuple[IntArray, FloatArray]], shape: tuple[int, int]) -> Moments:
    """Moments of segments that come in parts, so that a few of them are in memory at a time.

    Parameters
    ----------
    parts
        Numbers of some segments, shape (n,), and their samples, shape (n, n_channels, length); each segment once.
    shape : (n_segments, n_channels)
    """
    moments = Moments(np.full(shape, np.nan), np.full(shape, np.nan))
    for numbers, segments in parts:
        exact = segments.astype(np.float64)
        moments.mean[numbers], moments.sd[numbers] = exact.mean(axis=-1), exact.std(axis=-1)
    return moments


def fit_constants(moments: Moments, is_training: BoolArray) -> tuple[FloatArray, FloatArray]:
    """Offset and scale of normalisation ``cohort``, float32 arrays of shape (n_channels,), from its training segments.

    Raises
    ------
    SignalError
        If there is none.
    """
    if not is_training.any():
        raise SignalError(
            "normalisation `cohort` has no training segment in one of the cohorts to learn mean and SD from. "
            "Use `inputs.normalisation: segment`."
        )
    mean, variance = moments.mean[is_training], moments.sd[is_training] ** 2
    # Law of total variance: segments have equal lengths.
    affine = _affine(mean.mean(axis=0), _reciprocal(np.sqrt(variance.mean(axis=0) + mean.var(axis=0))))
    return affine.offset, affine.scale


def normalise(
    method: str,
    *,
    moments: Callable[[], Moments],
    baseline: FloatArray,
    is_present: BoolArray,
    fixed: Mapping[str, tuple[float, float]],
    constants: tuple[FloatArray, FloatArray] | None = None,
    channels: Sequence[str],
) -> Affine:
    """Offset and scale of every segment.

    Parameters
    ----------
    method : {"segment", "cohort", "ac_dc", "fixed"}
        ``segment``: mean 0 and SD 1 in each segment. ``cohort``: mean and SD over the training segments of the
        segment's cohort. ``ac_dc``: pulsatile part over baseline, in percent. ``fixed``: stated mean and SD of the
        raw level, that is of filtered samples plus baseline.
    moments
        Returns those of the band-passed samples of each segment; ``segment`` alone asks for them.
    baseline : float array, shape (n_segments, n_channels)
        Raw level of each segment.
    is_present : bool array, shape (n_segments, n_channels)
        False for a channel that was not recorded: its samples are 0, and stay so exactly.
    fixed, channels
        Mean and SD of each channel, for ``fixed``; and the names of the channels.
    constants : (offset, scale), arrays of shape (n_segments, n_channels)
        For ``cohort``: those of :func:`fit_constants` for the cohort of each segment.

    Raises
    ------
    SignalError
        If a baseline is not positive under ``ac_dc``.
    """
    if method == "ac_dc":
        affine = _over_baseline(baseline, is_present, channels)
    elif method == "fixed":
        mean = np.array([fixed[name][0] for name in channels])
        sd = np.array([fixed[name][1] for name in channels])
        affine = _affine(mean - baseline, np.broadcast_to(1 / sd, baseline.shape))
    elif method == "cohort":
        assert constants is not None
        affine = _affine(*constants)
    else:
        found = moments()
        affine = _affine(found.mean, _reciprocal(found.sd))
    return Affine(np.where(is_present, affine.offset, 0), np.where(is_present, affine.scale, 1))


def _over_baseline(baseline: FloatArray, is_present: BoolArray, channels: Sequence[str]) -> Affine:
    is_bad = is_present & ~(baseline > 0)
    if is_bad.any():
        worst = channels[int(np.argmax(is_bad.sum(axis=0)))]
        raise SignalError(
            f"cannot divide by the baseline: it is not positive in {int(is_bad.any(axis=1).sum())} segments, most of "
            f"them in channel {worst!r}. Use `inputs.normalisation: segment`, or correct the cohort's channel map."
        )
    return _affine(np.zeros_like(baseline), 100 / baseline)


def _reciprocal(sd: FloatArray) -> FloatArray:
    return np.asarray(1 / np.maximum(sd, np.finfo(np.float32).tiny))


def _affine(offset: FloatArray, scale: FloatArray) -> Affine:
    return Affine(np.ascontiguousarray(offset, dtype=np.float32), np.ascontiguousarray(scale, dtype=np.float32))
