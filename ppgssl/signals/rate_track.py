"""Heart rate followed through a recording: evidence for every rate in windows of 8 s, joined by what a heart can do.

In each window and for each rate of a logarithmic grid, a small network turns what the channels show at that rate, at
its multiples and at its fractions into a score. The scores of a recording are the emissions of a hidden Markov model
whose rate changes little from one window to the next, as in [1]_; forward-backward recursion gives the posterior
distribution of the rate in each window. Where an accelerometer was recorded, its spectrum at the same rates is part of
what the network sees, in the place of the Wiener filter of [2]_. The network knows rates by their ratios alone, so it
has no preference for the heart rates of the people whose recordings fitted it.

References
----------
.. [1] Bieri, Streli, Demirel and Holz, BeliefPPG: uncertainty-aware heart rate estimation from PPG signals via belief
   propagation, Proc Mach Learn Res 216:176-186, 2023, doi 10.48550/arXiv.2306.07730.
.. [2] Temko, Accurate heart rate monitoring during physical exercises using PPG, IEEE Trans Biomed Eng 64:2016-2024,
   2017, doi 10.1109/TBME.2017.2676243.
.. [3] Boersma, Accurate short-term analysis of the fundamental frequency and the harmonics-to-noise ratio of a sampled
   sound, IFA Proceedings 17:97-110, 1993.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from scipy.signal.windows import hann

from ppgssl.core.records import BoolArray, FloatArray, IntArray
from ppgssl.signals.beat_times import BeatTimes
from ppgssl.signals.hidden_markov import smoothed
from ppgssl.signals.resampling import resample

WINDOW_S, STEP_S = 8.0, 2.0
"""Length of a window, and distance between windows."""

TOLERANCE_BPM = 5.0
"""A probability is that of the rate being right within this."""

# The grid has 46 steps an octave: 27 and 73 of them are ratios of 3/2 and 3 within 0.3 %.
_OCTAVE = 46
_FIFTH, _TWELFTH = 27, 73
RATES_BPM: FloatArray = 30 * 2 ** (np.arange(3 * _OCTAVE + 1) / _OCTAVE)
"""The rates that are considered: 30 to 240 per minute."""

# Amplitudes are needed from half the lowest rate to three times the highest.
_EXTENDED_BPM = 30 * 2 ** (np.arange(-_OCTAVE, 3 * _OCTAVE + 1 + _TWELFTH) / _OCTAVE)
_N = len(RATES_BPM)
# Amplitudes are relative to the largest up to this rate: above are harmonics alone.
_HIGHEST_BPM = 270.0
_FS_HZ = 25.0
# Of a window, at most this proportion may be missing.
_MAX_MISSING = 0.25
# From one window to the next, the logarithm of the rate changes by this much on average; rarely it is lost and found.
_CHANGE = 0.02
_JUMP = 1e-4
_INTERVAL_SD = 0.05


@dataclass(frozen=True)
class RateTrack:
    """Heart rate of one recording.

    Attributes
    ----------
    time_s : float array, shape (n_windows,)
        Middle of each window, from the first sample.
    heart_rate_bpm : float array, shape (n_windows,)
        Mean of the posterior distribution within 5 per minute of its largest concentration, 30 to 240.
    probability : float array, shape (n_windows,)
        Posterior probability, 0 to 1, that the rate lies within 5 per minute of that; near 0.1 where nothing is known.
    motion : float array, shape (n_windows,)
        Amplitude of the acceleration at that rate, over its largest at any; 0 without an accelerometer.
    """

    time_s: FloatArray = field(repr=False)
    heart_rate_bpm: FloatArray = field(repr=False)
    probability: FloatArray = field(repr=False)
    motion: FloatArray = field(repr=False)

    def over(self, start_s: FloatArray, length_s: float) -> SegmentRates:
        """The track over segments: windows that lie within each, or else the nearest one.

        Raises
        ------
        ValueError
            If the track has no windows.
        """
        if not len(self.time_s):
            raise ValueError("the recording is shorter than a window: it has no track")
        middle = np.asarray(start_s, dtype=np.float64) + length_s / 2
        reach = max((length_s - WINDOW_S) / 2, 0.0) + 1e-9
        nearest = np.clip(np.round((middle - self.time_s[0]) / STEP_S), 0, len(self.time_s) - 1).astype(np.int64)
        first = np.minimum(np.searchsorted(self.time_s, middle - reach), nearest)
        last = np.maximum(np.searchsorted(self.time_s, middle + reach, side="right"), nearest + 1)
        n = last - first
        sums = [_sums(values, first, last) for values in (self.probability * self.heart_rate_bpm, self.probability)]
        wide = np.maximum(first - 2, 0), np.minimum(last + 2, len(self.time_s))
        log_rate = np.log(self.heart_rate_bpm)
        mean, square = (_sums(values, *wide) / (wide[1] - wide[0]) for values in (log_rate, log_rate**2))
        return SegmentRates(
            heart_rate_bpm=sums[0] / sums[1],
            probability=sums[1] / n,
            change=np.sqrt(np.maximum(square - mean**2, 0)),
            motion=_sums(self.motion, first, last) / n,
        )


@dataclass(frozen=True)
class SegmentRates:
    """Heart rate of segments, float arrays of shape (n_segments,).

    Attributes
    ----------
    heart_rate_bpm, probability, motion
        Means over the windows of each, see :class:`RateTrack`.
    change
        SD of the logarithm of the rate over the segment and two windows on either side.
    """

    heart_rate_bpm: FloatArray = field(repr=False)
    probability: FloatArray = field(repr=False)
    change: FloatArray = field(repr=False)
    motion: FloatArray = field(repr=False)


@dataclass(frozen=True)
class Network:
    """Evidence of one rate -> its score: one hidden layer.

    Attributes
    ----------
    hidden : float array, shape (n_evidence + 1, n_hidden)
        Weights, and in the last row the biases.
    output : float array, shape (n_hidden,)
    """

    hidden: FloatArray
    output: FloatArray

    def scores(self, evidence: FloatArray) -> FloatArray:
        """Of evidence of shape (..., n_evidence), shape (...)."""
        return np.asarray(np.tanh(evidence @ self.hidden[:-1] + self.hidden[-1]) @ self.output)


def rate_track(
    channels: Sequence[FloatArray],
    beats: Sequence[BeatTimes],
    *,
    fs_hz: float,
    acceleration: Sequence[FloatArray] = (),
) -> RateTrack:
    """Follow the heart rate through the PPG channels of one recording.

    Parameters
    ----------
    channels : sequence of float arrays, shape (n_samples,)
        Band-passed PPG; NaN where unusable.
    beats : sequence of BeatTimes
        Of each channel.
    fs_hz : float
        Sampling rate of all.
    acceleration : sequence of float arrays, shape (n_samples,)
        Axes of an accelerometer worn with the sensor, in one unit, whichever.

    Returns
    -------
    RateTrack
        Without windows where the recording is shorter than 8 s.
    """
    n_samples = len(channels[0]) if channels else 0
    n_windows = max(0, int((n_samples / fs_hz - WINDOW_S) // STEP_S) + 1)
    time_s = WINDOW_S / 2 + STEP_S * np.arange(n_windows)
    if not n_windows:
        return RateTrack(time_s, np.zeros(0), np.zeros(0), np.zeros(0))
    evidence = rate_evidence(channels, beats, fs_hz=fs_hz, acceleration=acceleration)
    return track_of(evidence, network(len(acceleration) > 0))


def rate_evidence(
    channels: Sequence[FloatArray],
    beats: Sequence[BeatTimes],
    *,
    fs_hz: float,
    acceleration: Sequence[FloatArray] = (),
) -> FloatArray:
    """What the network sees: of each window and rate, the numbers below, shape (n_windows, n_rates, 16 or 21).

    Of the channels that hold enough of the window: mean spectral amplitude at 1/2, 2/3, 1, 3/2, 2 and 3 times the
    rate; largest and least at the rate and at its double; mean and largest autocorrelation at the period of the rate;
    mean and largest density of the beats' rates, and nearness to their mean. Of the acceleration: amplitude at 1/2, 1
    and 2 times the rate, and the channels' mean amplitude after subtraction and after a Wiener filter. All are 0 where
    no channel is usable.
    """
    windows, usable = _windows(channels, fs_hz)
    amplitude = _amplitude(windows)
    repeat = _repeat(windows)
    density, counted = (
        np.stack(kind) for kind in zip(*(_beat_evidence(one, fs_hz, windows.shape[1]) for one in beats), strict=True)
    )
    at = {shift: amplitude[..., _OCTAVE + shift : _OCTAVE + shift + _N] for shift in _SHIFTS}
    evidence = [_mean(at[shift], usable) for shift in _SHIFTS]
    for shift in (0, _OCTAVE):
        evidence += [_largest(at[shift], usable), -_largest(-at[shift], usable)]
    for kind in (repeat, density, counted):
        evidence += [_mean(kind, usable), _largest(kind, usable)]
    if len(acceleration):
        evidence += _motion_evidence(acceleration, evidence[_SHIFTS.index(0)], fs_hz)
    is_known = np.asarray(usable.any(axis=0))
    return np.where(is_known[:, None, None], np.stack(evidence, axis=-1), 0.0)


_SHIFTS = (-_OCTAVE, -_FIFTH, 0, _FIFTH, _OCTAVE, _TWELFTH)
# Where the acceleration's amplitude at the rate itself stands.
_MOTION = 17


def _motion_evidence(acceleration: Sequence[FloatArray], pulse: FloatArray, fs_hz: float) -> list[FloatArray]:
    windows, usable = _windows(acceleration, fs_hz)
    power = _amplitude(windows, relative=False) ** 2 * usable[..., None]
    motion = _relative(np.sqrt(power.sum(axis=0)))
    low, same, high = (motion[:, _OCTAVE + shift : _OCTAVE + shift + _N] for shift in (-_OCTAVE, 0, _OCTAVE))
    wiener = pulse**2 / (pulse**2 + same**2 + 1e-3)
    return [low, same, high, np.maximum(pulse - same, 0), wiener]


def track_of(evidence: FloatArray, fitted: Network) -> RateTrack:
    """The track that a network sees in :func:`rate_evidence`."""
    scores = fitted.scores(evidence)
    distribution = smoothed(np.exp(scores - scores.max(axis=1, keepdims=True)), transitions())
    mass = distribution @ _neighbours()
    best = mass.argmax(axis=1)
    around = distribution * _neighbours()[best]
    row = np.arange(len(best))
    motion = evidence[row, best, _MOTION] if evidence.shape[-1] > _MOTION else np.zeros(len(best))
    rate = around @ RATES_BPM / around.sum(axis=1)
    return RateTrack(WINDOW_S / 2 + STEP_S * row, rate, mass[row, best], motion)


@cache
def network(has_acceleration: bool) -> Network:
    """The fitted network; ``benchmarks/fit_rate_track.py`` makes its numbers."""
    text = files("ppgssl.signals").joinpath("fitted/rate_track.json").read_text(encoding="utf-8")
    held = json.loads(text)["with_acceleration" if has_acceleration else "without_acceleration"]
    return Network(np.array(held["hidden"]), np.array(held["output"]))


@cache
def transitions() -> FloatArray:
    """Probability of each rate one window after each rate, shape (n_rates, n_rates)."""
    distance = np.abs(np.log(RATES_BPM[:, None] / RATES_BPM))
    near = np.exp(-distance / _CHANGE)
    return np.asarray((1 - _JUMP) * near / near.sum(axis=1, keepdims=True) + _JUMP / _N)


@cache
def _neighbours() -> FloatArray:
    return (np.abs(RATES_BPM[:, None] - RATES_BPM) <= TOLERANCE_BPM).astype(np.float64)


def _windows(channels: Sequence[FloatArray], fs_hz: float) -> tuple[FloatArray, BoolArray]:
    """Windows at 25 Hz, shape (n_channels, n_windows, 200), each of mean 0, and which hold enough that varies."""
    whole = np.stack([np.asarray(channel, dtype=np.float64) for channel in channels])
    missing = ~np.isfinite(whole)
    n_windows = int((whole.shape[1] / fs_hz - WINDOW_S) // STEP_S) + 1
    reduced = resample(np.where(missing, 0.0, whole), fs_in_hz=fs_hz, fs_out_hz=_FS_HZ)
    length, step = round(WINDOW_S * _FS_HZ), round(STEP_S * _FS_HZ)
    windows = sliding_window_view(reduced, length, axis=1)[:, ::step][:, :n_windows]
    count = np.concatenate([np.zeros((len(whole), 1)), np.cumsum(missing, axis=1)], axis=1)
    edges = np.round((STEP_S * np.arange(n_windows)[:, None] + [0, WINDOW_S]) * fs_hz).astype(np.int64)
    lost = (count[:, edges[:, 1]] - count[:, edges[:, 0]]) / (WINDOW_S * fs_hz)
    centred = windows - windows.mean(axis=-1, keepdims=True)
    return centred, (lost <= _MAX_MISSING) & (np.ptp(windows, axis=-1) > 0)


@cache
def _fourier() -> tuple[FloatArray, FloatArray]:
    """Cosines and sines of the extended grid's rates under a Hann window, shape (200, n_rates) each."""
    length = round(WINDOW_S * _FS_HZ)
    phase = 2 * np.pi * np.arange(length)[:, None] * (_EXTENDED_BPM / 60 / _FS_HZ)
    taper = hann(length, sym=False)[:, None]
    return taper * np.cos(phase), taper * np.sin(phase)


def _amplitude(windows: FloatArray, *, relative: bool = True) -> FloatArray:
    """Spectral amplitude at the extended grid's rates, shape (..., n_rates)."""
    cosine, sine = _fourier()
    amplitude = np.hypot(windows @ cosine, windows @ sine)
    return _relative(amplitude) if relative else np.asarray(amplitude)


def _relative(amplitude: FloatArray) -> FloatArray:
    pulse = amplitude[..., (RATES_BPM[0] <= _EXTENDED_BPM) & (_EXTENDED_BPM <= _HIGHEST_BPM)]
    return np.asarray(amplitude / np.maximum(pulse.max(axis=-1, keepdims=True), np.finfo(np.float64).tiny))


@cache
def _lags() -> tuple[int, FloatArray, FloatArray]:
    """Transform length, weights that turn power into autocorrelation at each rate's period, and that of the taper."""
    length = round(WINDOW_S * _FS_HZ)
    n_fft = 2 * length
    phase = 2 * np.pi * np.arange(n_fft // 2 + 1)[:, None] / n_fft * (60 * _FS_HZ / RATES_BPM)
    weights = np.concatenate([np.ones((n_fft // 2 + 1, 1)), np.cos(phase)], axis=1)
    weights[1:-1] *= 2
    return n_fft, weights, _correlation(np.abs(np.fft.rfft(hann(length, sym=False), n_fft)) ** 2, weights)


def _correlation(power: FloatArray, weights: FloatArray) -> FloatArray:
    products = power @ weights
    return np.asarray(products[..., 1:] / np.maximum(products[..., :1], np.finfo(np.float64).tiny))


def _repeat(windows: FloatArray) -> FloatArray:
    """Autocorrelation at the period of each rate, over that of the taper [3]_, shape (..., n_rates)."""
    n_fft, weights, of_taper = _lags()
    power = np.abs(np.fft.rfft(windows * hann(windows.shape[-1], sym=False), n_fft, axis=-1)) ** 2
    return np.clip(_correlation(power, weights) / of_taper, -1, 1)


def _beat_evidence(beats: BeatTimes, fs_hz: float, n_windows: int) -> tuple[FloatArray, FloatArray]:
    """Of each window, proportion of its beat intervals that have each rate, and nearness of each to their mean rate.

    Both of shape (n_windows, n_rates). The mean is that of an irregular rhythm, which has no other rate.
    """
    if len(beats.sample) < 2:
        return np.zeros((n_windows, _N)), np.zeros((n_windows, _N))
    interval_s = np.diff(beats.sample) / fs_hz
    known = beats.is_interval & (interval_s > 0)
    middle_s = ((beats.sample[1:] + beats.sample[:-1]) / 2 / fs_hz)[known]
    start = STEP_S * np.arange(n_windows)
    first, last = np.searchsorted(middle_s, start), np.searchsorted(middle_s, start + WINDOW_S)
    total = np.concatenate([np.zeros((1, _N)), np.cumsum(_kernel(interval_s[known]), axis=0)])
    mean_s = _sums(interval_s[known], first, last) / np.maximum(last - first, 1)
    density = (total[last] - total[first]) / np.maximum(last - first, 1)[:, None]
    return density, np.where((last > first)[:, None], _kernel(np.maximum(mean_s, 0.1)), 0.0)


def _kernel(interval_s: FloatArray) -> FloatArray:
    """Nearness, 0 to 1, of each rate of the grid to that of each interval, shape (n_intervals, n_rates)."""
    distance = np.log(60 / interval_s)[:, None] - np.log(RATES_BPM)
    return np.asarray(np.exp(-0.5 * (distance / _INTERVAL_SD) ** 2))


def _sums(values: FloatArray, first: IntArray, last: IntArray) -> FloatArray:
    total = np.concatenate([[0.0], np.cumsum(values)])
    return np.asarray(total[last] - total[first])


def _mean(values: FloatArray, usable: BoolArray) -> FloatArray:
    return np.asarray((values * usable[..., None]).sum(axis=0) / np.maximum(usable.sum(axis=0), 1)[:, None])


def _largest(values: FloatArray, usable: BoolArray) -> FloatArray:
    return np.asarray(np.where(usable[..., None], values, -1e3).max(axis=0))
