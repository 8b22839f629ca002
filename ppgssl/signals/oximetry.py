"""Oxygen saturation and perfusion from the pulse's share of the light."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ppgssl.core.records import FloatArray, IntArray
from ppgssl.signals.beat_times import BeatTimes, median_within, pulse_heights

MIN_BEATS = 3
# Ratios of ratios outside are not those of living blood: 110 - 25 R runs over 50..105 % here.
RATIO_RANGE = (0.2, 2.4)
LOWEST_SPO2 = 50.0


def ratio_of_ratios(
    red: FloatArray,
    infrared: FloatArray,
    red_level: FloatArray,
    infrared_level: FloatArray,
    beats: BeatTimes,
    starts: IntArray,
    length: int,
    *,
    fs_hz: float,
) -> FloatArray:
    """Red over infrared pulse, each over its own level: R = (AC/DC)_red / (AC/DC)_infrared [1]_.

    From each beat to the next, the regression of red on infrared samples gives the ratio of their pulses, from all
    samples and not from two extremes; the median over the beats of a segment is unmoved by a minority of disturbed
    ones. On simulated recordings with movement the error was less than half that of one regression over the segment.

    Parameters
    ----------
    red, infrared : float arrays, shape (n_samples,)
        Band-passed by the same filter; NaN where unusable.
    red_level, infrared_level : float arrays, shape (n_seconds,)
        Level of the raw signal, proportional to the light received; NaN where unknown.
    beats : BeatTimes
        Of the infrared channel, by preference.
    starts, length, fs_hz
        Segments and sampling rate.

    Returns
    -------
    float array, shape (n_segments,)
        NaN with fewer than three whole beats, or outside 0.2..2.4.

    References
    ----------
    .. [1] Webster (ed.), Design of Pulse Oximeters, Institute of Physics Publishing, 1997.
    """
    slope = _slopes(red, infrared, beats)
    ratio = slope * level_at_beats(infrared_level, beats, fs_hz) / level_at_beats(red_level, beats, fs_hz)
    value = _beat_median(ratio, beats, starts, length)
    return np.where((value >= RATIO_RANGE[0]) & (value <= RATIO_RANGE[1]), value, np.nan)


def spo2(ratio: FloatArray, calibration: Sequence[float]) -> FloatArray:
    """Oxygen saturation in percent by a device's calibration.

    Parameters
    ----------
    ratio : float array
        Ratio of ratios.
    calibration : sequence of float
        Coefficients of a polynomial in the ratio, constant first. ``(110, -25)`` is the line of textbooks [1]_, wrong
        by several percent for any given device, the more the lower the saturation: for trends and for comparing
        patients of one device, not for treating them.

    Returns
    -------
    float array, like ``ratio``
        Values over 100 become 100; those under 50 are NaN, where no calibration was ever measured.

    References
    ----------
    .. [1] Tremper and Barker, Pulse oximetry, Anesthesiology 70:98-108, 1989, doi 10.1097/00000542-198901000-00019.
    """
    percent = np.polynomial.polynomial.polyval(np.asarray(ratio, dtype=np.float64), np.asarray(calibration, float))
    return np.where(percent >= LOWEST_SPO2, np.minimum(percent, 100.0), np.nan)


def perfusion_index(
    samples: FloatArray, level: FloatArray, beats: BeatTimes, starts: IntArray, length: int, *, fs_hz: float
) -> FloatArray:
    """Pulse height (highest to lowest of a beat) over the light's level, in percent; the median beat of each segment.

    Parameters
    ----------
    samples, level, beats, starts, length, fs_hz
        As for :func:`ratio_of_ratios`, of one channel.

    Returns
    -------
    float array, shape (n_segments,)
        Over 0; NaN with fewer than three whole beats or an unknown level. A band from 0.5 to 8 Hz leaves out about 8 %
        of a pulse at 40 beats per minute, nothing from 60 to 100, 12 % at 180.
    """
    percent = 100 * pulse_heights(samples, beats) / level_at_beats(level, beats, fs_hz)
    return _beat_median(percent, beats, starts, length)


def level_at_beats(level: FloatArray, beats: BeatTimes, fs_hz: float) -> FloatArray:
    """Level in the second of each interval's first beat, shape (n_intervals,); NaN unless it is over 0."""
    if len(beats.sample) < 2 or not len(level):
        return np.full(max(len(beats.sample) - 1, 0), np.nan)
    second = np.minimum((beats.sample[:-1] / fs_hz).astype(np.int64), len(level) - 1)
    of_beat = level[second].astype(np.float64)
    return np.where(of_beat > 0, of_beat, np.nan)


def _slopes(red: FloatArray, infrared: FloatArray, beats: BeatTimes) -> FloatArray:
    """Least-squares slope of red on infrared from each beat to the next; NaN over gaps of either."""
    if len(beats.sample) < 2:
        return np.zeros(0)
    edges = beats.sample.astype(np.int64)
    x, y = infrared.astype(np.float64), red.astype(np.float64)
    count = np.diff(edges)
    sums = np.add.reduceat(np.stack([x, y, x * x, x * y]), edges, axis=1)[:, :-1]
    mean_x, mean_y = sums[0] / count, sums[1] / count
    spread = sums[2] - count * mean_x**2
    covariance = sums[3] - count * mean_x * mean_y
    is_usable = beats.is_interval & (spread > 1e-9 * sums[2])  # Below, it is rounding.
    return np.where(is_usable, covariance / np.where(is_usable, spread, 1), np.nan)


def _beat_median(values: FloatArray, beats: BeatTimes, starts: IntArray, length: int) -> FloatArray:
    first, last = beats.within(starts, starts + length)
    return median_within(values, first, np.maximum(last - 1, first), at_least=MIN_BEATS)
