"""Respiratory rate from what breathing does to the beats: their level, their height and their rhythm."""

from __future__ import annotations

import numpy as np
from scipy.fft import rfft
from scipy.signal.windows import hann

from ppgssl.core.records import BoolArray, FloatArray, IntArray
from ppgssl.signals.beat_times import BeatTimes, pulse_heights, running_median, vertex
from ppgssl.signals.variability import normal_intervals

WINDOW_S = 32.0
"""Length of signal that a rate is taken from, ..."""

SHORTEST_S = 16.0
"""... and the least, in a shorter recording."""

RATES_PER_MIN = (4.0, 65.0)
"""Range in which breathing is looked for."""

MAX_SD_PER_MIN = 4.0
"""The rates of the modulations must agree this well."""

MIN_CONCENTRATION = 0.5
"""A modulation tells of breathing if this share of its power lies at one rate."""

# Beats are interpolated to this rate. At 240 beats per minute there are as many, and breathing is slower than half.
_FS_HZ = 4.0
_N_FFT = 1024
# A modulation is left out where more than this share of the window is further than this from a beat that has it.
_MAX_MISSING = 0.2
_FARTHEST_S = 2.0
_BLOCK = 256


def respiratory_rate(
    samples: FloatArray, beats: BeatTimes, starts: IntArray, length: int, *, fs_hz: float, modality: str
) -> FloatArray:
    """Breaths per minute around each segment: the mean of three modulations where they agree [1]_.

    Level (PPG: mean from beat to beat; ECG: R peak), height and interval of the beats are interpolated to 4 Hz. The
    rate of each is the highest peak of its spectrum between 4 and 65 per minute, and below half the heart rate. A
    modulation counts if at least half of its power lies at that rate: breathing need not show in all three, and a
    measure of how clearly it shows makes a fusion both surer and more often possible [2]_. The rates of the two or
    three that count are averaged if their SD is below 4 per minute.

    Parameters
    ----------
    samples : float array, shape (n_samples,)
        Band-passed PPG or ECG. The slow level of a PPG is gone below the pass band (0.5 Hz): what the filter leaves
        of it serves down to some 20 breaths per minute, and below the other two modulations have to agree. The level
        that is stored once a second is no substitute: sampled so rarely, the pulse itself looks like breathing.
    beats : BeatTimes
        Of the same channel.
    starts, length, fs_hz
        Segments and sampling rate. The rate is that of the 32 s around a segment, or of the whole segment if it is
        longer; at the recording's ends of its first or last 32 s; in shorter recordings of all that there is.
    modality : {"ppg", "ecg"}

    Returns
    -------
    float array, shape (n_segments,)
        In 4..65; NaN where unknown, and in recordings under 16 s. A window of 32 s tells rates 2 per minute apart.

    References
    ----------
    .. [1] Karlen, Raman, Ansermino and Dumont, Multiparameter respiratory rate estimation from the
       photoplethysmogram, IEEE Trans Biomed Eng 60:1946-1953, 2013, doi 10.1109/TBME.2013.2246160.
    .. [2] Birrenkott, Pimentel, Watkinson and Clifton, A robust fusion model for estimating respiratory rate from
       photoplethysmography and electrocardiography, IEEE Trans Biomed Eng 65:2033-2041, 2018,
       doi 10.1109/TBME.2017.2778265.
    """
    rate = np.full(len(starts), np.nan)
    n_grid = int(len(samples) / fs_hz * _FS_HZ)
    n_window = min(round(max(WINDOW_S, length / fs_hz) * _FS_HZ), n_grid)
    if n_window < SHORTEST_S * _FS_HZ or len(beats.sample) < 3:
        return rate
    series, is_missing = _on_grid(_modulations(samples, beats, modality), beats, n_grid, fs_hz)
    middle = (np.asarray(starts) + length / 2) / fs_hz * _FS_HZ
    first = np.clip(np.round(middle - n_window / 2), 0, n_grid - n_window).astype(np.int64)
    # Segments overlap, and at the ends many have one window.
    windows, of_segment = np.unique(first, return_inverse=True)
    fused = [
        _fused(*_rates(series, is_missing, windows[at : at + _BLOCK], n_window))
        for at in range(0, len(windows), _BLOCK)
    ]
    return np.concatenate(fused)[of_segment] if fused else rate


def _modulations(samples: FloatArray, beats: BeatTimes, modality: str) -> FloatArray:
    """Level, height and length of each interval between beats, shape (3, n_intervals); NaN where unknown."""
    interval = np.diff(beats.sample)
    level = _LEVELS[modality](samples, beats)
    return np.stack(
        [
            np.where(beats.is_interval, level, np.nan),
            pulse_heights(samples, beats),
            np.where(normal_intervals(beats), interval, np.nan),
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


def _on_grid(values: FloatArray, beats: BeatTimes, n_grid: int, fs_hz: float) -> tuple[FloatArray, BoolArray]:
    """The modulations at 4 Hz with the heart rate's half as fourth row, and where each is not known."""
    time = (beats.sample[:-1] + beats.sample[1:]) / 2 * (_FS_HZ / fs_hz)
    grid = np.arange(n_grid)
    half_heart_rate = 30 * fs_hz / running_median(np.diff(beats.sample), 9)
    series = np.zeros((4, n_grid))
    is_missing = np.ones((4, n_grid), dtype=bool)
    for row, of_beats in enumerate([*values, half_heart_rate]):
        known = np.isfinite(of_beats)
        if known.any():
            at = time[known]
            series[row] = np.interp(grid, at, of_beats[known])
            after = np.searchsorted(at, grid)
            left, right = at[np.maximum(after - 1, 0)], at[np.minimum(after, len(at) - 1)]
            is_missing[row] = np.minimum(np.abs(grid - left), np.abs(right - grid)) > _FARTHEST_S * _FS_HZ
    return series, is_missing


def _rates(series: FloatArray, is_missing: BoolArray, first: IntArray, n_window: int) -> tuple[FloatArray, FloatArray]:
    """Rate and concentration of each modulation in each window, shape (3, n_windows); NaN where it is missing."""
    at = first[:, None] + np.arange(n_window)
    windows = series[:3][:, at]
    time = np.arange(n_window) - (n_window - 1) / 2
    windows = windows - windows.mean(axis=-1, keepdims=True)
    windows = windows - (windows @ time / (time @ time))[..., None] * time
    n_fft = max(_N_FFT, 2 * n_window)
    step = 60 * _FS_HZ / n_fft
    spectrum = rfft(windows * hann(n_window, sym=False), n_fft, axis=-1)
    power = spectrum.real**2 + spectrum.imag**2
    rates = np.arange(power.shape[-1]) * step
    highest = np.minimum(RATES_PER_MIN[1], np.median(series[3][at], axis=-1))
    power = np.where((rates >= RATES_PER_MIN[0]) & (rates <= highest[:, None]), power, 0.0)
    power = power.reshape(-1, power.shape[-1])
    peak = power.argmax(axis=-1)
    row = np.arange(len(power))
    # A peak at the edge of the range is the slope of something outside.
    is_peak = (peak > 0) & (power[row, peak - 1] > 0) & (power[row, np.minimum(peak + 1, power.shape[1] - 1)] > 0)
    place = vertex(power.ravel(), row * power.shape[1] + peak) - row * power.shape[1]
    # The main lobe of the window's spectrum reaches two cycles per window to either side.
    total = np.concatenate([np.zeros((len(power), 1)), np.cumsum(power, axis=-1)], axis=-1)
    reach = round(2 * n_fft / n_window)
    share = total[row, np.minimum(peak + reach + 1, power.shape[1])] - total[row, np.maximum(peak - reach, 0)]
    concentration = share / np.maximum(total[:, -1], np.finfo(np.float64).tiny)
    is_known = is_peak & (is_missing[:3][:, at].mean(axis=-1) <= _MAX_MISSING).ravel()
    shape = (3, len(first))
    return np.where(is_known, place * step, np.nan).reshape(shape), concentration.reshape(shape)


def _fused(rates: FloatArray, concentration: FloatArray) -> FloatArray:
    """Mean of the rates that count, where there are two and they agree."""
    counts = np.isfinite(rates) & (concentration >= MIN_CONCENTRATION)
    n = counts.sum(axis=0)
    mean = np.where(counts, rates, 0).sum(axis=0) / np.maximum(n, 1)
    variance = np.where(counts, (rates - mean) ** 2, 0).sum(axis=0) / np.maximum(n - 1, 1)
    return np.where((n >= 2) & (variance < MAX_SD_PER_MIN**2), mean, np.nan)
