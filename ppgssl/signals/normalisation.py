"""Scaling segments for the encoder, as one affine map per segment and channel: (samples - offset) * scale.

SpO2 lives in the ratio of pulsatile part and baseline (AC/DC) between red and infrared, which a z-score of each
segment throws away; a source that was scaled per segment, or whose baseline is unknown, has nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ppgssl.errors import SignalError
from ppgssl.records import BoolArray, FloatArray, IntArray

_CHUNK = 4096


@dataclass(frozen=True)
class Affine:
    """``offset`` and ``scale``, float32 arrays of shape (n_segments, n_channels)."""

    offset: FloatArray
    scale: FloatArray


def normalise(
    method: str,
    *,
    samples: FloatArray,
    starts: IntArray,
    length: int,
    baseline: FloatArray,
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
    samples : float array, shape (n_channels, n_samples)
        Band-passed samples of all recordings, one after another.
    starts, cohort, is_training : arrays, shape (n_segments,)
        First sample, number of the cohort, and whether the patient may be fitted on.
    baseline : float array, shape (n_segments, n_channels)
        Raw level of each segment.

    Raises
    ------
    SignalError
        If a baseline is not positive under ``ac_dc``, or a cohort has no training segment under ``cohort``.
    """
    if method == "ac_dc":
        return _over_baseline(baseline, channels)
    if method == "fixed":
        mean = np.array([fixed[name][0] for name in channels])
        sd = np.array([fixed[name][1] for name in channels])
        return _affine(mean - baseline, np.broadcast_to(1 / sd, baseline.shape))
    mean, sd = _moments(samples, starts, length)
    if method == "cohort":
        mean, sd = _pooled(mean, sd, cohort, is_training)
    return _affine(mean, 1 / np.maximum(sd, np.finfo(np.float32).tiny))


def _over_baseline(baseline: FloatArray, channels: Sequence[str]) -> Affine:
    is_bad = ~(baseline > 0)
    if is_bad.any():
        worst = channels[int(np.argmax(is_bad.sum(axis=0)))]
        raise SignalError(
            f"cannot divide by the baseline: it is not positive in {int(is_bad.any(axis=1).sum())} segments, most of "
            f"them in channel {worst!r}. Use `inputs.normalisation: segment`, or correct the cohort's channel map."
        )
    return _affine(np.zeros_like(baseline), 100 / baseline)


def _moments(samples: FloatArray, starts: IntArray, length: int) -> tuple[FloatArray, FloatArray]:
    mean = np.empty((len(starts), len(samples)))
    sd = np.empty_like(mean)
    steps = np.arange(length)
    for first in range(0, len(starts), _CHUNK):
        chunk = slice(first, first + _CHUNK)
        segments = samples[:, starts[chunk, None] + steps].astype(np.float64)
        mean[chunk], sd[chunk] = segments.mean(axis=-1).T, segments.std(axis=-1).T
    return mean, sd


def _pooled(
    mean: FloatArray, sd: FloatArray, cohort: IntArray, is_training: BoolArray
) -> tuple[FloatArray, FloatArray]:
    pooled_mean, pooled_sd = np.empty_like(mean), np.empty_like(sd)
    for number in np.unique(cohort):
        of_cohort = cohort == number
        fitted = of_cohort & is_training
        if not fitted.any():
            raise SignalError(
                "normalisation `cohort` has no training segment in one of the cohorts to learn mean and SD from. "
                "Use `inputs.normalisation: segment`."
            )
        pooled_mean[of_cohort] = mean[fitted].mean(axis=0)
        # Law of total variance: segments have equal lengths.
        pooled_sd[of_cohort] = np.sqrt((sd[fitted] ** 2).mean(axis=0) + mean[fitted].var(axis=0))
    return pooled_mean, pooled_sd


def _affine(offset: FloatArray, scale: FloatArray) -> Affine:
    return Affine(np.ascontiguousarray(offset, dtype=np.float32), np.ascontiguousarray(scale, dtype=np.float32))
