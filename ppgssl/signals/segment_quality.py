"""Probability that a segment's heart rate and beats are right: quality that rhythmic movement does not deceive.

A logistic regression on what the channel itself shows (the indices of :mod:`ppgssl.signals.quality_indices`), on how
its beats agree with the tracked heart rate and with the beats of the other channels, and on the track. It was fitted
to recordings whose true beats are known, people left out (``benchmarks/fit_quality.py``, docs/quality.md). "Right"
means: the rate is within 5 per minute of the true one, and the F1 of the beats is at least 0.9.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from typing import Literal

import numpy as np

from ppgssl.core.records import BoolArray, FloatArray, IntArray
from ppgssl.signals.beat_times import BeatTimes, row_median
from ppgssl.signals.rate_track import SegmentRates

INPUTS = (
    "template",
    "structure",
    "wander",
    "amplitude",
    "pauses",
    "track_probability",
    "track_change",
    "rhythm",
    "trusted_beats",
    "irregular_trusted",
    "n_beats",
    "agreement",
    "several_channels",
    "size",
    "motion",
)
"""Names of the inputs: the five indices, and what :func:`quality_inputs` adds."""

Kind = Literal["ppg", "short_ppg", "ecg"]
"""With a track of the heart rate; of a recording too short for one; an ECG lead."""

# An index that is not defined, such as the likeness of beats where there is one beat.
_UNDEFINED = 0.5
# Beats of two channels agree if they lie this near after removal of their median difference.
_NEAR_S = 0.06
# Logarithm of a beat's rate over the segment's at which half of an interval's vote is lost.
_RHYTHM_SD = 0.1


def quality_inputs(
    indices: FloatArray,
    rates: SegmentRates,
    beats: BeatTimes,
    others: Sequence[BeatTimes],
    size: FloatArray,
    starts: IntArray,
    length: int,
    *,
    fs_hz: float,
) -> FloatArray:
    """Inputs of one channel's segments.

    Parameters
    ----------
    indices : float array, shape (n_segments, 5)
        In the order of ``QUALITY``; NaN where undefined.
    rates : SegmentRates
        Of the recording; the channel's own where there is no track.
    beats, others : BeatTimes, sequence of BeatTimes
        Of the channel, and of the recording's other channels of its modality.
    size : float array, shape (n_segments,)
        SD of the samples.
    starts, length, fs_hz
        Segments, and sampling rate.

    Returns
    -------
    float array, shape (n_segments, 15)
        See ``INPUTS``; finite.
    """
    at, held = _members(beats, starts, length)
    agreement = [_agreement(beats, other, starts, length, fs_hz) for other in others]
    typical = np.median(size[size > 0]) if (size > 0).any() else 1.0
    n_expected = np.maximum(length / fs_hz * np.nan_to_num(rates.heart_rate_bpm, nan=60.0) / 60, 1)
    known = np.nan_to_num(indices, nan=_UNDEFINED)
    trusted = (_take(beats.is_trusted, at) & held).sum(axis=1) / np.maximum(held.sum(axis=1), 1)
    rhythm = _rhythm(beats, at, held, rates.heart_rate_bpm, fs_hz)
    columns = [
        *known.T,
        rates.probability,
        np.minimum(rates.change, 0.3),
        rhythm,
        trusted,
        (1 - rhythm) * trusted,  # An arrhythmia has beats of one shape at irregular times.
        np.clip((np.abs(held.sum(axis=1) - n_expected) - 1) / n_expected, 0, 2),  # A segment may cut off a beat.
        np.max(agreement, axis=0) - 0.8 if agreement else np.zeros(len(starts)),
        np.full(len(starts), float(bool(agreement))),
        np.clip(np.log(np.maximum(size, 1e-9 * typical) / typical), -3, 3),
        rates.motion,
    ]
    return np.stack(columns, axis=1)


def right_probability(inputs: FloatArray, kind: Kind) -> FloatArray:
    """Probability that rate and beats of each segment are right, from :func:`quality_inputs`; shape (n_segments,)."""
    weights, intercept = _coefficients(kind)
    return np.asarray(1 / (1 + np.exp(-(inputs @ weights + intercept))))


def own_rates(heart_rate_bpm: FloatArray) -> SegmentRates:
    """Rates of segments without a track, each from its own samples alone."""
    known = np.isfinite(heart_rate_bpm)
    nothing = np.zeros(len(known))
    return SegmentRates(np.where(known, heart_rate_bpm, np.nan), known.astype(np.float64), nothing, nothing)


@cache
def _coefficients(kind: Kind) -> tuple[FloatArray, float]:
    text = files("ppgssl.signals").joinpath("fitted/segment_quality.json").read_text(encoding="utf-8")
    held = json.loads(text)[kind]
    return np.array([held["weights"][name] for name in INPUTS]), float(held["intercept"])


def _members(beats: BeatTimes, starts: IntArray, length: int) -> tuple[IntArray, BoolArray]:
    """Numbers of the beats in each segment, shape (n_segments, most), and which of them are there."""
    first, last = beats.within(starts, starts + length)
    at = first[:, None] + np.arange(max(int(np.max(last - first, initial=0)), 1))
    return np.minimum(at, max(len(beats.sample) - 1, 0)), at < last[:, None]


def _take(values: BoolArray, at: IntArray) -> BoolArray:
    return values[at] if len(values) else np.zeros(at.shape, dtype=bool)


def _rhythm(beats: BeatTimes, at: IntArray, held: BoolArray, rate_bpm: FloatArray, fs_hz: float) -> FloatArray:
    """How well the intervals of each segment's beats have its rate: 1 where all do, 0 without any."""
    if len(beats.sample) < 2:
        return np.zeros(len(at))
    time_s = beats.sample[at] / fs_hz
    interval_s, both = np.diff(time_s, axis=1), held[:, 1:] & held[:, :-1]
    with np.errstate(divide="ignore", invalid="ignore"):
        distance = np.log(60 / interval_s / rate_bpm[:, None])
    votes = np.where(both & np.isfinite(distance), np.exp(-0.5 * (distance / _RHYTHM_SD) ** 2), 0.0)
    return np.asarray(votes.sum(axis=1) / np.maximum(both.sum(axis=1), 1))


def _agreement(beats: BeatTimes, other: BeatTimes, starts: IntArray, length: int, fs_hz: float) -> FloatArray:
    """F1 of two channels' beats in each segment, after removal of their median difference."""
    if not len(beats.sample) or not len(other.sample):
        return np.zeros(len(starts))
    after = np.clip(np.searchsorted(other.sample, beats.sample), 1, max(len(other.sample) - 1, 1))
    candidates = np.stack([other.sample[np.minimum(after - back, len(other.sample) - 1)] for back in (1, 0)])
    difference = candidates - beats.sample
    nearest = difference[np.abs(difference).argmin(axis=0), np.arange(len(beats.sample))] / fs_hz
    at, held = _members(beats, starts, length)
    of_segment = np.where(held, nearest[at], np.nan)
    offset = row_median(of_segment, 1)
    matched = (np.abs(of_segment - offset[:, None]) <= _NEAR_S).sum(axis=1)
    first, last = other.within(starts, starts + length)
    return np.asarray(np.minimum(2 * matched / np.maximum(held.sum(axis=1) + last - first, 1), 1.0))
