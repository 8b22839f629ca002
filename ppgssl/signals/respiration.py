"""Respiratory rate from what breathing does to the beats: their level, their height and their rhythm."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from scipy.signal.windows import hann

from ppgssl.core.records import BoolArray, FloatArray, IntArray
from ppgssl.signals.beat_times import BeatTimes, pulse_heights, running_median
from ppgssl.signals.hidden_markov import smoothed
from ppgssl.signals.variability import normal_intervals

WINDOW_S = 32.0
"""Length of signal that a spectrum is taken from, ..."""

SHORTEST_S = 16.0
"""... and the least, in a shorter recording."""

RATES_PER_MIN = (4.0, 65.0)
"""Range in which breathing is looked for."""

TOLERANCE_PER_MIN = 2.0
"""A rate is right within this of the true one; its quality is the probability of that."""

MIN_QUALITY = 0.6
"""Below this quality a rate is not given."""

# Beats are interpolated to this rate. At 240 beats per minute there are as many, and breathing is slower than half.
_FS_HZ = 4.0
_STEP_S = 4.0
_RATES = np.geomspace(*RATES_PER_MIN, 141)
# A modulation is left out where more than this share of the window is further than this from a beat that has it, ...
_MAX_MISSING = 0.2
_FARTHEST_S = 2.0
_MIN_MODULATIONS = 2
# ... and a window counts in full if this share of it lies between normal beats, and not at all below the other.
_NORMAL_SHARES = (0.7, 0.9)
# How much a line in a spectrum counts: degrees of freedom of Student's t, and the odds against a line at any one rate.
_DEGREES = 16
_ODDS_AGAINST = 50.0
_MAX_SHARE = 0.95
# Evidence against rates above half the heart rate, where the beats are too few.
_IMPOSSIBLE = np.exp(-8.0)
# The rate wanders by this part of itself in a second (SD; in t seconds by the root of t times as much), or changes to
# any other with this probability.
_DRIFT = 0.02
_JUMP = 0.01


class Respiration(NamedTuple):
    """Breaths per minute and the probability that they are right, float arrays of shape (n_segments,).

    NaN and 0 where the recording is too short, or holds no evidence.
    """

    rate_per_min: FloatArray
    quality: FloatArray


def respiratory_rate(
    samples: FloatArray, beats: BeatTimes, starts: IntArray, length: int, *, fs_hz: float, modality: str
) -> FloatArray:
    """Breaths per minute around each segment, where their quality is at least ``MIN_QUALITY``; NaN elsewhere.

    See :func:`respiration`.
    """
    rate, quality = respiration(samples, beats, starts, length, fs_hz=fs_hz, modality=modality)
    return np.where(quality >= MIN_QUALITY, rate, np.nan)


def respiration(
    samples: FloatArray, beats: BeatTimes, starts: IntArray, length: int, *, fs_hz: float, modality: str
) -> Respiration:
    """Respiratory rate around each segment with its quality: three modulations, followed through the recording.

    Level (PPG: mean from beat to beat; ECG: R peak), height and interval of the beats [1]_ are interpolated to 4 Hz.
    Every 4 s the spectrum of each over 32 s is divided by the power law that fits the recording's mean spectrum, so
    that a slope of the noise is no evidence. A sinusoid that holds the share ``s`` of a window's power has a likelihood
    in proportion to ``(1 - s) ** (-n / 2)`` [2]_; the three are multiplied, each mixed with the likelihood that this
    modulation shows no breathing. Windows in which few of the intervals are normal (movement, arrhythmia) count less
    or not at all. A hidden Markov model, in which the rate wanders slowly and seldom jumps, joins the windows to a
    probability of each rate at each time, as a Bayesian filter does [3]_, but from both sides [4]_.

    Parameters
    ----------
    samples : float array, shape (n_samples,)
        Band-passed PPG or ECG. Of the slow level of a PPG the filter (0.5 Hz) leaves a part; the power law makes up
        for the slope. The level that is stored once a second is no substitute: sampled so rarely, the pulse itself
        looks like breathing.
    beats : BeatTimes
        Of the same channel.
    starts, length, fs_hz
        Segments and sampling rate. The rate is that of the 32 s around a segment, or of the whole segment if it is
        longer; at the recording's ends of its first or last 32 s; in shorter recordings of all that there is.
    modality : {"ppg", "ecg"}

    Returns
    -------
    Respiration
        The rate, 4 to 65, with the most probability within 2 per minute of it, and the square of that probability as
        quality: the windows of a recording err together, and the square fits what was found (docs/vitals.md). NaN and
        0 in recordings under 16 s, and where no window around has enough known and normal intervals.

    References
    ----------
    .. [1] Karlen, Raman, Ansermino and Dumont, Multiparameter respiratory rate estimation from the
       photoplethysmogram, IEEE Trans Biomed Eng 60:1946-1953, 2013, doi 10.1109/TBME.2013.2246160.
    .. [2] Bretthorst, Bayesian Spectrum Analysis and Parameter Estimation, Lecture Notes in Statistics 48, Springer,
       1988, doi 10.1007/978-1-4684-9399-3.
    .. [3] Pirhonen, Peltokangas and Vehkaoja, Acquiring respiration rate from photoplethysmographic signal by recursive
       Bayesian tracking of intrinsic modes in time-frequency spectra, Sensors 18:1693, 2018, doi 10.3390/s18061693.
    .. [4] Rabiner, A tutorial on hidden Markov models and selected applications in speech recognition, Proc IEEE
       77:257-286, 1989, doi 10.1109/5.18626.
    """
    starts = np.asarray(starts)
    n_grid = int(len(samples) / fs_hz * _FS_HZ)
    n_window = min(round(WINDOW_S * _FS_HZ), n_grid)
    if n_window < SHORTEST_S * _FS_HZ or len(beats.sample) < 3:
        return Respiration(np.full(len(starts), np.nan), np.zeros(len(starts)))
    step = round(_STEP_S * _FS_HZ)
    evidence, has_evidence = _evidence(samples, beats, modality, n_grid, n_window, step, fs_hz)
    posterior = smoothed(evidence, _transitions()) * has_evidence[:, None]
    # The windows whose middles lie in the part of the segment that whole windows have their middles in, or the nearest.
    middles = np.arange(len(posterior)) * step + n_window / 2
    segment_middle = (starts + length / 2) / fs_hz * _FS_HZ
    reach = step / 2 + max(0.0, (length / fs_hz * _FS_HZ - n_window) / 2)
    first = np.minimum(np.searchsorted(middles, segment_middle - reach), len(middles) - 1)
    last = np.maximum(np.searchsorted(middles, segment_middle + reach, side="right"), first + 1)
    # Segments overlap, and many have the same windows.
    (first, last), of_segment = np.unique(np.stack([first, last]), axis=1, return_inverse=True)
    total = np.concatenate([np.zeros((1, len(_RATES))), np.cumsum(posterior, axis=0)])
    rate, quality = _most_probable((total[last] - total[first]) / (last - first)[:, None])
    return Respiration(rate[of_segment.ravel()], quality[of_segment.ravel()])


def _modulations(samples: FloatArray, beats: BeatTimes, modality: str) -> FloatArray:
    """Level, height and length of each interval between beats, shape (3, n_intervals); NaN where unknown."""
    level = _LEVELS[modality](samples, beats)
    return np.stack(
        [
            np.where(beats.is_interval, level, np.nan),
            pulse_heights(samples, beats),
            np.where(normal_intervals(beats), np.diff(beats.sample), np.nan),
        ]
    )


def _mean_level(samples: FloatArray, beats: BeatTimes) -> FloatArray:
    """Mean over each interval: it holds nothing of the pulse itself. The edges lie between samples."""
    integral = np.concatenate([[0.0], np.cumsum(np.nan_to_num(samples), dtype=np.float64)])
    at_beats = np.interp(beats.sample + 0.5, np.arange(len(integral)), integral)
    return np.asarray(np.diff(at_beats) / np.diff(beats.sample))


def _peak_level(samples: FloatArray, beats: BeatTimes) -> FloatArray:
    """Height of the R peak that each interval starts with."""
    return np.asarray(samples[np.round(beats.sample[:-1]).astype(np.int64)], dtype=np.float64)


_LEVELS = {"ppg": _mean_level, "ecg": _peak_level}


def _on_grid(of_beats: FloatArray, time: FloatArray, n_grid: int) -> tuple[FloatArray, BoolArray]:
    """Values of the intervals at 4 Hz, and where no interval with a value is near."""
    known = np.isfinite(of_beats)
    if not known.any():
        return np.zeros(n_grid), np.ones(n_grid, dtype=bool)
    grid, at = np.arange(n_grid), time[known]
    after = np.searchsorted(at, grid)
    left, right = at[np.maximum(after - 1, 0)], at[np.minimum(after, len(at) - 1)]
    is_missing = np.minimum(np.abs(grid - left), np.abs(right - grid)) > _FARTHEST_S * _FS_HZ
    return np.interp(grid, at, of_beats[known]), is_missing


def _evidence(
    samples: FloatArray, beats: BeatTimes, modality: str, n_grid: int, n_window: int, step: int, fs_hz: float
) -> tuple[FloatArray, BoolArray]:
    """Likelihood of each rate in each window, shape (n_windows, n_rates), and whether the window has any evidence."""
    grid_of_beats = beats.sample * (_FS_HZ / fs_hz)
    time = (grid_of_beats[:-1] + grid_of_beats[1:]) / 2

    def windows(of_grid: np.ndarray) -> np.ndarray:
        return np.asarray(sliding_window_view(of_grid, n_window)[::step])

    half_heart_rate, _ = _on_grid(30 * fs_hz / running_median(np.diff(beats.sample), 9), time, n_grid)
    is_possible = np.median(windows(half_heart_rate), axis=1)[:, None] >= _RATES
    log_likelihood = np.zeros(is_possible.shape)
    n_known = np.zeros(len(is_possible))
    for of_beats in _modulations(samples, beats, modality):
        series, is_missing = _on_grid(of_beats, time, n_grid)
        is_known = windows(is_missing).mean(axis=1) <= _MAX_MISSING
        share = _line_shares(windows(series), is_possible, is_known)
        log_likelihood += np.log1p((1 - share) ** (-_DEGREES / 2) / _ODDS_AGAINST) * is_known[:, None]
        n_known += is_known
    interval = np.searchsorted(grid_of_beats, np.arange(n_grid), side="right")
    is_normal = np.concatenate([[False], normal_intervals(beats), [False]])[interval]
    lowest, enough = _NORMAL_SHARES
    trust = np.clip((windows(is_normal).mean(axis=1) - lowest) / (enough - lowest), 0, 1)
    trust = np.where(n_known >= _MIN_MODULATIONS, trust, 0.0)
    # Windows overlap: each counts for the step that it is the middle of, the first and the last for the ends as well.
    weight = np.full(len(trust), step / n_window)
    weight[[0]] += (1 - step / n_window) / 2
    weight[[-1]] += (1 - step / n_window) / 2
    log_likelihood *= (trust * weight)[:, None]
    log_likelihood -= log_likelihood.max(axis=1, keepdims=True)
    return np.where(is_possible, np.exp(log_likelihood), _IMPOSSIBLE), trust > 0


def _line_shares(windows: FloatArray, is_possible: BoolArray, is_known: BoolArray) -> FloatArray:
    """Share of each window's whitened power that a line at each rate would explain, shape (n_windows, n_rates)."""
    to_spectrum, line_width = _spectrum_matrix(windows.shape[1])
    real, imaginary = np.moveaxis((windows @ to_spectrum).reshape(len(windows), 2, len(_RATES)), 1, 0)
    power = np.where(is_possible, real**2 + imaginary**2, 0.0)
    per_rate = np.gradient(_RATES)
    tiny = np.finfo(np.float64).tiny
    mean = (power / np.maximum(power @ per_rate, tiny)[:, None])[is_known].sum(axis=0)
    if (mean > 0).sum() > 2:
        slope = np.polyfit(np.log(_RATES[mean > 0]), np.log(mean[mean > 0]), 1)[0]
        power *= _RATES**-slope
    return np.minimum(line_width * power / np.maximum(power @ per_rate, tiny)[:, None], _MAX_SHARE)


@lru_cache(maxsize=8)
def _spectrum_matrix(n_window: int) -> tuple[FloatArray, float]:
    """What a window is multiplied by to have its spectrum at ``_RATES``, and a line's width in that, in 1/min.

    Columns are the real and then the imaginary parts, of the window without its straight line and under a Hann window.
    The width is that of a rectangle with the height and the area of a line's peak.
    """
    time = np.arange(n_window) - (n_window - 1) / 2
    taper = hann(n_window, sym=False)
    phase = 2 * np.pi / 60 / _FS_HZ * time[:, None] * _RATES
    waves = taper[:, None] * np.concatenate([np.cos(phase), np.sin(phase)], axis=1)
    waves -= waves.mean(axis=0)
    waves -= time[:, None] * (time @ waves) / (time @ time)
    return waves, float(60 * _FS_HZ * (taper @ taper) / taper.sum() ** 2)


@lru_cache(maxsize=1)
def _transitions() -> FloatArray:
    """Probability of each rate one step later, shape (n_rates, n_rates); rows add up to 1."""
    steps = np.log(_RATES)[:, None] - np.log(_RATES)
    wandering = np.exp(-(steps**2) / (2 * _DRIFT**2 * _STEP_S))
    wandering /= wandering.sum(axis=1, keepdims=True)
    jump = _JUMP * _STEP_S
    return np.asarray((1 - jump) * wandering + jump / len(_RATES))


def _most_probable(posterior: FloatArray) -> Respiration:
    """The rate with the most probability within the tolerance."""
    first = np.searchsorted(_RATES, _RATES - TOLERANCE_PER_MIN)
    last = np.searchsorted(_RATES, _RATES + TOLERANCE_PER_MIN, side="right")
    sums = np.zeros((2, len(posterior), len(_RATES) + 1))
    np.cumsum(posterior, axis=1, out=sums[0, :, 1:])
    np.cumsum(posterior * _RATES, axis=1, out=sums[1, :, 1:])
    within = sums[0][:, last] - sums[0][:, first]
    best = within.argmax(axis=1)
    row = np.arange(len(posterior))
    mass = within[row, best]
    rate = (sums[1][row, last[best]] - sums[1][row, first[best]]) / np.where(mass > 0, mass, np.nan)
    return Respiration(rate, np.clip(mass, 0, 1) ** 2)
