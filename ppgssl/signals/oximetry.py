"""Oxygen saturation and perfusion from the pulse's share of the light."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from ppgssl.core.errors import SignalError
from ppgssl.core.records import FloatArray, IntArray
from ppgssl.signals.beat_times import BeatTimes, median_within, pulse_heights

# The ratio is estimated in windows of a second, one every quarter of a second. Windows of 1.5 or 2 s are disturbed by
# movement more often, and were no better without.
_STEPS_PER_WINDOW = 4
_STEP_S = 0.25
# Five windows last two seconds: a beat of 30 per minute, two of 60.
MIN_WINDOWS = 5
MIN_BEATS = 3
# A shorter segment takes the windows and beats of as long an interval around it, which monitors average over as well.
SPAN_S = 10.0
# Of red and infrared in a window: below, noise is as large as half of the pulse.
_MIN_CORRELATION = 0.8
# Of a window's sum of squares: what varies less is rounding.
_ROUNDING = 1e-9
# Ratios of ratios outside are not those of living blood: 110 - 25 R runs over 50..105 % here.
RATIO_RANGE = (0.2, 2.4)
LOWEST_SPO2 = 50.0
# Of segments, to fit a calibration; and points per unit of log R, where 110 - 25 R falls by 10 to 25.
MIN_PAIRS = 10
FLATTEST_SLOPE = -1.0


def ratio_of_ratios(
    red: FloatArray,
    infrared: FloatArray,
    red_level: FloatArray,
    infrared_level: FloatArray,
    starts: IntArray,
    length: int,
    *,
    fs_hz: float,
) -> FloatArray:
    """Red over infrared pulse, each over its own level: R = (AC/DC)_red / (AC/DC)_infrared [1]_.

    Both colours are divided by their levels, and a line is laid through the samples of each second by total least
    squares [2]_: its slope uses all samples, and noise in infrared does not lower it, as it lowers that of a
    regression. The median over the windows of a segment is unmoved by a minority of disturbed ones. No beat has to be
    found, so that recordings of three seconds have a ratio, too.

    Parameters
    ----------
    red, infrared : float arrays, shape (n_samples,)
        Band-passed by the same filter; NaN where unusable. Which way the pulses of either point does not matter.
    red_level, infrared_level : float arrays, shape (n_seconds,)
        Level of the raw signal, proportional to the light received; NaN where unknown.
    starts, length, fs_hz
        Segments and sampling rate. Segments of less than 10 s take the windows of the 10 s around them, as far as the
        recording reaches.

    Returns
    -------
    float array, shape (n_segments,)
        NaN with fewer than five usable windows (2 s), or outside 0.2..2.4. A window is usable if no sample is missing
        and red follows infrared (correlation at least 0.8).

    References
    ----------
    .. [1] Webster (ed.), Design of Pulse Oximeters, Institute of Physics Publishing, 1997.
    .. [2] Golub and Van Loan, An analysis of the total least squares problem, SIAM J Numer Anal 17:883-893, 1980,
       doi 10.1137/0717073.
    """
    step = max(1, round(_STEP_S * fs_hz))
    ratio = _window_ratios((red, infrared), (red_level, infrared_level), step, fs_hz)
    first, last = _around(starts, length, len(red), fs_hz)
    # Window k begins with sample k * step.
    value = median_within(
        ratio, -(-first // step), np.maximum(last // step - _STEPS_PER_WINDOW + 1, 0), at_least=MIN_WINDOWS
    )
    return np.where((value >= RATIO_RANGE[0]) & (value <= RATIO_RANGE[1]), value, np.nan)


def spo2(ratio: FloatArray, calibration: Sequence[float]) -> FloatArray:
    """Oxygen saturation in percent by a device's calibration.

    Parameters
    ----------
    ratio : float array
        Ratio of ratios.
    calibration : sequence of float
        Coefficients of a polynomial in the ratio, constant first; without any, all is NaN. ``(110, -25)`` is
        the line of textbooks [1]_, wrong by several percent for any given device, the more the lower the saturation:
        for trends and for comparing patients of one device, not for treating them.

    Returns
    -------
    float array, like ``ratio``
        Values over 100 become 100; those under 50 are NaN, where no calibration was ever measured.

    References
    ----------
    .. [1] Tremper and Barker, Pulse oximetry, Anesthesiology 70:98-108, 1989, doi 10.1097/00000542-198901000-00019.
    """
    if not len(calibration):
        return np.full(np.shape(ratio), np.nan)
    return _possible(np.polynomial.polynomial.polyval(np.asarray(ratio, dtype=np.float64), np.asarray(calibration)))


def fit_spo2_curve(ratio: FloatArray, reference: FloatArray, weight: FloatArray) -> tuple[float, float]:
    """Least-squares line of a reference saturation in log R: constant and slope.

    Of 58 finger recordings at 70 to 98 %, blocks of the session left out, the line in log R was as near to the
    reference as a parabola in R, which has one coefficient more and may turn round where there are few data.

    Parameters
    ----------
    ratio, reference, weight : float arrays, shape (n,)
        Ratios of ratios, saturations in percent at the same time, and how much each counts; NaN is passed over.

    Raises
    ------
    SignalError
        If there are fewer than ten pairs, or the saturation does not fall as R rises: then it is no curve of oximetry.
    """
    is_known = np.isfinite(ratio) & np.isfinite(reference) & (np.nan_to_num(ratio) > 0)
    if is_known.sum() < MIN_PAIRS:
        raise SignalError(
            f"a calibration of SpO2 needs {MIN_PAIRS} segments with a ratio of ratios and a reference, and there are "
            f"{int(is_known.sum())}: give the device's curve as `vitals.spo2_calibration`, or leave it out."
        )
    x, y, w = np.log(ratio[is_known]), reference[is_known].astype(np.float64), weight[is_known] / weight[is_known].sum()
    from_mean = x - w @ x
    spread = w @ from_mean**2
    slope = float((w * from_mean) @ y / spread) if spread > _ROUNDING else 0.0
    if slope > FLATTEST_SLOPE:
        raise SignalError(
            "no calibration of SpO2 can be fitted: the reference saturation does not fall as the ratio of ratios "
            "rises. Are `ppg_red` and `ppg_ir` the right way round, and does the saturation vary at all?"
        )
    return float(w @ y - slope * (w @ x)), slope


def spo2_by_curve(ratio: FloatArray, curve: tuple[float, float]) -> FloatArray:
    """Oxygen saturation in percent by the line of :func:`fit_spo2_curve`; limits as of :func:`spo2`."""
    ratio = np.asarray(ratio, dtype=np.float64)
    return _possible(curve[0] + curve[1] * np.log(np.where(ratio > 0, ratio, np.nan)))


def _possible(percent: FloatArray) -> FloatArray:
    return np.where(percent >= LOWEST_SPO2, np.minimum(percent, 100.0), np.nan)


def perfusion_index(
    samples: FloatArray, level: FloatArray, beats: BeatTimes, starts: IntArray, length: int, *, fs_hz: float
) -> FloatArray:
    """Pulse height (highest to lowest of a beat) over the light's level, in percent; the median beat of each segment.

    Parameters
    ----------
    samples, level, beats, starts, length, fs_hz
        As for :func:`ratio_of_ratios`, of one channel: shorter segments take the beats of the 10 s around them.

    Returns
    -------
    float array, shape (n_segments,)
        Over 0; NaN with fewer than three whole beats or an unknown level. A band from 0.5 to 8 Hz leaves out about 8 %
        of a pulse at 40 beats per minute, nothing from 60 to 100, 12 % at 180.
    """
    percent = 100 * pulse_heights(samples, beats) / level_at(level, beats.sample[:-1], fs_hz)
    first, last = beats.within(*_around(starts, length, len(samples), fs_hz))
    return median_within(percent, first, np.maximum(last - 1, first), at_least=MIN_BEATS)


def level_at(level: FloatArray, samples: FloatArray, fs_hz: float) -> FloatArray:
    """Level in the seconds that hold these samples; NaN unless it is over 0."""
    if not len(level):
        return np.full(len(samples), np.nan)
    of_sample = level[np.minimum((samples / fs_hz).astype(np.int64), len(level) - 1)].astype(np.float64)
    return np.where(of_sample > 0, of_sample, np.nan)


def _window_ratios(
    signals: tuple[FloatArray, FloatArray], levels: tuple[FloatArray, FloatArray], step: int, fs_hz: float
) -> FloatArray:
    """Slope of red over infrared in each window, each over its level; NaN where it means nothing."""
    n_steps = len(signals[0]) // step
    if n_steps < _STEPS_PER_WINDOW:
        return np.zeros(0)
    # Sums over steps, of which each window has four: a running sum over a day would lose its last digits.
    y, x = (signal[: n_steps * step].astype(np.float64).reshape(n_steps, step) for signal in signals)
    parts = [x.sum(axis=1), y.sum(axis=1), *(np.einsum("ij,ij->i", a, b) for a, b in ((x, x), (y, y), (x, y)))]
    sums = sliding_window_view(np.stack(parts), _STEPS_PER_WINDOW, axis=1).sum(axis=2)
    size = step * _STEPS_PER_WINDOW
    middle = (np.arange(sums.shape[1]) + _STEPS_PER_WINDOW / 2) * step
    in_red, in_infrared = (level_at(level, middle, fs_hz) for level in levels)
    of_x = (sums[2] - sums[0] ** 2 / size) / in_infrared**2
    of_y = (sums[3] - sums[1] ** 2 / size) / in_red**2
    of_both = np.abs(sums[4] - sums[0] * sums[1] / size) / (in_red * in_infrared)
    is_moving = (of_x * in_infrared**2 > _ROUNDING * sums[2]) & (of_y * in_red**2 > _ROUNDING * sums[3])
    is_usable = is_moving & (of_both > _MIN_CORRELATION * np.sqrt(np.where(is_moving, of_x * of_y, 1)))
    half = (of_y - of_x) / 2
    return np.where(is_usable, (half + np.hypot(half, of_both)) / np.where(is_usable, of_both, 1), np.nan)


def _around(starts: IntArray, length: int, n_samples: int, fs_hz: float) -> tuple[IntArray, IntArray]:
    """First sample of each segment, or of the 10 s around a shorter one, and the sample after its last."""
    margin = max(round(SPAN_S * fs_hz) - length, 0)
    first = np.maximum(np.asarray(starts, dtype=np.int64) - margin // 2, 0)
    return first, np.minimum(np.asarray(starts, dtype=np.int64) + length + margin - margin // 2, n_samples)
