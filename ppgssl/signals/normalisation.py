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


def normalise(
    method: str,
    *,
    moments: Callable[[], Moments],
    baseline: FloatArray,
    is_present: BoolArray,
    cohort: IntArray,
    is_training: BoolArray,
    fixed: Mapping[str, tuple[float, float]],
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
        Gives those of the band-passed samples of each segment; asked by the methods that need them.
    baseline : float array, shape (n_segments, n_channels)
        Raw level of each segment.
    is_present : bool array, shape (n_segments, n_channels)
        False for a channel that the segment's cohort lacks: its samples are 0, and stay so exactly.
    cohort, is_training : arrays, shape (n_segments,)
        Number of the cohort, and whether the patient may be fitted on.
    fixed, channels
        Mean and SD of each channel, for ``fixed``; and the names of the channels.

    Raises
    ------
    SignalError
        If a baseline is not positive under ``ac_dc``, or a cohort has no training segment under ``cohort``.
    """
    if method == "ac_dc":
        affine = _over_baseline(baseline, is_present, channels)
    elif method == "fixed":
        mean = np.array([fixed[name][0] for name in channels])
        sd = np.array([fixed[name][1] for name in channels])
        affine = _affine(mean - baseline, np.broadcast_to(1 / sd, baseline.shape))
    else:
        found = moments() if method == "segment" else _pooled(moments(), cohort, is_training)
        affine = _affine(found.mean, 1 / np.maximum(found.sd, np.finfo(np.float32).tiny))
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


def _pooled(moments: Moments, cohort: IntArray, is_training: BoolArray) -> Moments:
    pooled = Moments(np.empty_like(moments.mean), np.empty_like(moments.sd))
    for number in np.unique(cohort):
        of_cohort = cohort == number
        fitted = of_cohort & is_training
        if not fitted.any():
            raise SignalError(
                "normalisation `cohort` has no training segment in one of the cohorts to learn mean and SD from. "
                "Use `inputs.normalisation: segment`."
            )
        mean, variance = moments.mean[fitted], moments.sd[fitted] ** 2
        pooled.mean[of_cohort] = mean.mean(axis=0)
        # Law of total variance: segments have equal lengths.
        pooled.sd[of_cohort] = np.sqrt(variance.mean(axis=0) + mean.var(axis=0))
    return pooled


def _affine(offset: FloatArray, scale: FloatArray) -> Affine:
    return Affine(np.ascontiguousarray(offset, dtype=np.float32), np.ascontiguousarray(scale, dtype=np.float32))
