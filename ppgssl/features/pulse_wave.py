"""Hand-crafted features of segments: rhythm, pulse wave, spectrum, and what breathing does to the beats.

What an expert would measure without learning anything: a representation that cannot beat these has not earned its cost.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from scipy.fft import next_fast_len, rfft
from scipy.signal.windows import hann

from ppgssl.core.records import FloatArray
from ppgssl.signals.beat_times import vertex
from ppgssl.signals.pulse_rate import heart_rate
from ppgssl.signals.segment_beats import Beats, beat_interval, beat_similarity, find_beats, inner_beats, quotient

# Intervals further from the segment's median are not between two normal beats, after Malik's rule for the HRV.
_TOLERANCE = 0.2
# Where the mean beat is sampled, in median intervals from the steepest point of the upstroke.
_PHASES = np.linspace(-0.3, 0.9, 121)
_UPSTROKE = int(np.argmin(np.abs(_PHASES)))
_LATEST_PEAK = int(np.argmin(np.abs(_PHASES - 0.45)))
_HEIGHTS = (0.25, 0.5, 0.75)
_PLACES = (0.2, 0.35, 0.5, 0.65)
_N_HARMONICS = 4
_SPECTRUM_HZ = (0.5, 8.0)
_BREATHING_HZ = np.arange(0.1, 1.01, 0.05)
_MIN_BEATS_OF_BREATHING = 4


@dataclass(frozen=True)
class PulseWave:
    """Features of segments, by the rules of the field; nothing is fitted.

    Rhythm: pulse rate, median interval, SDNN, RMSSD and proportion of normal intervals [1]_. Pulse wave, of the
    segment's mean beat [2]_: height, rise time, widths, steepness, proportion of the area after the peak, heights along
    the descent, the ratio b/a of the second derivative's first two waves [3]_. Spectrum: amplitude and phase of the
    harmonics of the pulse (phases relative to the first, so that the moment a segment begins at does not count),
    centroid and entropy; SD, skewness, kurtosis, mobility and complexity of the samples [4]_. Breathing: rate and
    clarity of its modulation of pulse heights and intervals, and the spread of the heights. Of two channels: the ratio
    of their pulse heights (under the normalisation `ac_dc` the ratio of ratios, which determines the saturation) and
    their correlation.

    ``fs_hz``: sampling rate of the segments.

    .. [1] Task Force of the ESC and NASPE, Heart rate variability: standards of measurement, physiological
       interpretation and clinical use, Circulation 93:1043-1065, 1996, doi 10.1161/01.CIR.93.5.1043.
    .. [2] Elgendi, On the analysis of fingertip photoplethysmogram signals, Curr Cardiol Rev 8:14-25, 2012,
       doi 10.2174/157340312801215782.
    .. [3] Takazawa et al., Assessment of vasoactive agents and vascular aging by the second derivative of
       photoplethysmogram waveform, Hypertension 32:365-370, 1998, doi 10.1161/01.HYP.32.2.365.
    .. [4] Hjorth, EEG analysis based on time domain properties, Electroencephalogr Clin Neurophysiol 29:306-310, 1970,
       doi 10.1016/0013-4694(70)90143-4.
    """

    fs_hz: float

    def __call__(self, segments: FloatArray) -> FloatArray:
        """Features, shape (n_segments, n_features), NaN where a segment has no beats, or too few.

        Parameters
        ----------
        segments : float array, shape (n_segments, n_channels, length)
            Band-passed and polarity-corrected, finite; normalised as an encoder would see them.
        """
        return np.column_stack(list(self._features(np.asarray(segments, dtype=np.float64)).values()))

    def names(self, channels: Sequence[str]) -> list[str]:
        """Name of each feature, such as ``ppg_red rise_s``, for channels of these names."""
        rng = np.random.default_rng(0)
        blank = rng.normal(size=(1, len(channels), max(8, int(4 * self.fs_hz))))
        return [name.format(*channels) for name in self._features(blank)]

    def _features(self, segments: FloatArray) -> dict[str, FloatArray]:
        found: dict[str, FloatArray] = {}
        heights = []
        for number in range(segments.shape[1]):
            of_channel = _channel_features(segments[:, number], self.fs_hz)
            heights.append(of_channel["log_height"])
            found |= {f"{{{number}}} {name}": values for name, values in of_channel.items()}
        for one, other in combinations(range(segments.shape[1]), 2):
            names = f"{{{one}}}/{{{other}}}"
            found[f"{names} log_height_ratio"] = heights[one] - heights[other]
            found[f"{names} correlation"] = _correlation(segments[:, one], segments[:, other])
        return found


def _channel_features(x: FloatArray, fs_hz: float) -> dict[str, FloatArray]:
    x = x - x.mean(axis=-1, keepdims=True)
    beats = inner_beats(find_beats(x, fs_hz=fs_hz), x.shape[-1])
    at_s = _beat_times_s(x, beats, fs_hz)
    rate_bpm = heart_rate(x, fs_hz=fs_hz)
    return {
        "heart_rate_bpm": rate_bpm,
        **_rhythm(beats, at_s, len(x), fs_hz),
        **_mean_beat(x, beats, fs_hz),
        "beat_similarity": beat_similarity(x, beats),
        **_moments(x, fs_hz),
        **_spectrum(x, fs_hz),
        **_harmonics(x, rate_bpm / 60, fs_hz),
        **_breathing(x, beats, at_s, rate_bpm / 60),
    }


def _beat_times_s(x: FloatArray, beats: Beats, fs_hz: float) -> FloatArray:
    """Seconds from the segment's first sample to each steepest point, between the samples."""
    slope = np.diff(x, axis=-1, append=x[:, -1:])  # 0 at the end: no parabola reaches into the next segment
    length = x.shape[-1]
    place = vertex(slope.ravel(), beats.segment * length + beats.sample) - beats.segment * length
    return np.asarray(place / fs_hz)


def _rhythm(beats: Beats, at_s: FloatArray, n_segments: int, fs_hz: float) -> dict[str, FloatArray]:
    same = beats.segment[1:] == beats.segment[:-1]
    of_segment, interval = beats.segment[1:][same], np.diff(at_s)[same]
    typical = beat_interval(beats, n_segments) / fs_hz
    is_normal = np.abs(interval - typical[of_segment]) <= _TOLERANCE * typical[of_segment]
    n = np.bincount(of_segment, minlength=n_segments)
    n_normal = np.bincount(of_segment[is_normal], minlength=n_segments)
    normal = np.where(is_normal, interval - typical[of_segment], 0.0)
    mean = quotient(np.bincount(of_segment, normal, n_segments), n_normal)
    square = np.bincount(of_segment, normal**2, n_segments)
    is_pair = (of_segment[1:] == of_segment[:-1]) & is_normal[1:] & is_normal[:-1]
    change = np.bincount(of_segment[1:][is_pair], np.diff(interval)[is_pair] ** 2, n_segments)
    n_pairs = np.bincount(of_segment[1:][is_pair], minlength=n_segments)
    return {
        "interval_s": typical,
        "sdnn_s": np.sqrt(np.maximum(quotient(square - n_normal * mean**2, n_normal - 1), 0)),
        "rmssd_s": np.sqrt(quotient(change, n_pairs)),
        "normal_proportion": quotient(n_normal, n),
    }


def _mean_beat(x: FloatArray, beats: Beats, fs_hz: float) -> dict[str, FloatArray]:
    """Measures of the average beat, which runs from before the upstroke to before the next one."""
    interval = beat_interval(beats, len(x))
    beat = _average_beats(x, beats, interval)
    rows = np.arange(len(x))
    foot = _argmin(beat[:, : _UPSTROKE + 1])
    peak = _UPSTROKE + _argmin(-beat[:, _UPSTROKE : _LATEST_PEAK + 1])
    low, height = beat[rows, foot], beat[rows, peak] - beat[rows, foot]
    shape = quotient(beat - low[:, None], height[:, None])  # 0 at the foot, 1 at the peak
    area = np.maximum(shape, 0.0)
    step = _PHASES[1] - _PHASES[0]
    slope = np.gradient(shape, step, axis=1)
    return {
        "log_height": np.log(np.where(height > 0, height, np.nan)),
        "rise_s": (peak - foot) * step * interval / fs_hz,
        "rise_proportion": np.where(np.isfinite(interval), (peak - foot) * step, np.nan),
        **{f"width_{proportion:g}": _width(shape, peak, proportion) * step for proportion in _HEIGHTS},
        "steepness_per_s": quotient(slope.max(axis=1), interval / fs_hz),
        "area_after_peak": quotient((area * (np.arange(len(_PHASES)) > peak[:, None])).sum(axis=1), area.sum(axis=1)),
        **{f"height_at_{place:g}": _height_after(shape, foot, place) for place in _PLACES},
        "b_over_a": _b_over_a(np.gradient(slope, step, axis=1), foot),
    }


def _average_beats(x: FloatArray, beats: Beats, interval: FloatArray) -> FloatArray:
    """Mean beat of each segment at ``_PHASES``; NaN where there is no beat."""
    length = x.shape[-1]
    kept = np.isfinite(interval)[beats.segment]
    segment = beats.segment[kept]
    place = beats.sample[kept, None] + 0.5 + interval[segment, None] * _PHASES
    is_inside = (place >= 0) & (place <= length - 1)
    left = np.clip(place.astype(np.int64), 0, length - 2)
    proportion = np.clip(place - left, 0, 1)
    values = (1 - proportion) * x[segment[:, None], left] + proportion * x[segment[:, None], left + 1]
    total, count = np.zeros((len(x), len(_PHASES))), np.zeros((len(x), len(_PHASES)))
    np.add.at(total, segment, np.where(is_inside, values, 0.0))
    np.add.at(count, segment, is_inside)
    return quotient(total, count)


def _argmin(rows: FloatArray) -> np.ndarray:
    return np.argmin(np.where(np.isnan(rows), np.inf, rows), axis=1)


def _width(shape: FloatArray, peak: np.ndarray, proportion: float) -> FloatArray:
    """Phases around the peak at or over this proportion of the height; NaN where there is no beat."""
    is_low = ~(shape >= proportion)
    number = np.arange(shape.shape[1])
    before = np.where(is_low & (number < peak[:, None]), number, -1).max(axis=1)
    after = np.where(is_low & (number > peak[:, None]), number, shape.shape[1]).min(axis=1)
    return np.where(np.isfinite(shape[:, _UPSTROKE]), after - before - 1, np.nan)


def _height_after(shape: FloatArray, foot: np.ndarray, place: float) -> FloatArray:
    at = np.minimum(foot + round(place / (_PHASES[1] - _PHASES[0])), shape.shape[1] - 1)
    return np.asarray(shape[np.arange(len(shape)), at])


def _b_over_a(acceleration: FloatArray, foot: np.ndarray) -> FloatArray:
    """Largest deceleration after the largest acceleration of the upstroke, over that acceleration: below 0."""
    rows, number = np.arange(len(acceleration)), np.arange(acceleration.shape[1])
    is_rise = (number >= foot[:, None] - 5) & (number <= _UPSTROKE + 2)
    a_at = _argmin(np.where(is_rise, -acceleration, np.inf))
    is_after = (number > a_at[:, None]) & (number <= _LATEST_PEAK)
    b_at = _argmin(np.where(is_after, acceleration, np.inf))
    a = acceleration[rows, a_at]
    return quotient(acceleration[rows, b_at], np.where(a > 0, a, np.nan))


def _moments(x: FloatArray, fs_hz: float) -> dict[str, FloatArray]:
    sd = x.std(axis=-1)
    sd = np.where(sd > 0, sd, np.nan)
    scaled = x / sd[:, None]
    speed = np.diff(scaled, axis=-1) * fs_hz
    mobility = speed.std(axis=-1)
    return {
        "log_sd": np.log(sd),
        "skewness": (scaled**3).mean(axis=-1),
        "kurtosis": (scaled**4).mean(axis=-1),
        "mobility": mobility,
        "complexity": quotient(quotient((np.diff(speed, axis=-1) * fs_hz).std(axis=-1), mobility), mobility),
    }


def _spectrum(x: FloatArray, fs_hz: float) -> dict[str, FloatArray]:
    length = x.shape[-1]
    n_fft = next_fast_len(max(2 * length, int(20 * fs_hz)), real=True)
    transform = rfft(x * hann(length, sym=False), n_fft, axis=-1)
    frequency = np.arange(transform.shape[-1]) * fs_hz / n_fft
    is_in_band = (frequency >= _SPECTRUM_HZ[0]) & (frequency <= _SPECTRUM_HZ[1])
    power = np.abs(transform[:, is_in_band]) ** 2
    proportion = quotient(power, power.sum(axis=-1, keepdims=True))
    n_bins = int(is_in_band.sum())
    surprise = proportion * np.log(np.where(proportion > 0, proportion, 1.0))
    return {
        "centroid_hz": proportion @ frequency[is_in_band],
        "entropy": -surprise.sum(axis=-1) / np.log(max(n_bins, 2)),
    }


def _harmonics(x: FloatArray, rate_hz: FloatArray, fs_hz: float) -> dict[str, FloatArray]:
    """Amplitudes, as logarithms of proportions of the first harmonic's, and phases relative to it."""
    angle = 2 * np.pi * np.nan_to_num(rate_hz)[:, None] * np.arange(x.shape[-1]) / fs_hz
    windowed = x * hann(x.shape[-1], sym=False)
    waves = np.stack([(windowed * np.exp(-1j * k * angle)).sum(axis=-1) for k in range(1, _N_HARMONICS + 1)])
    amplitude = np.abs(waves)
    unit = waves * np.nan_to_num(quotient(1.0, amplitude))
    found = {}
    for k in range(2, _N_HARMONICS + 1):
        # What lies above half the sampling rate is no harmonic.
        is_known = (k * rate_hz < fs_hz / 2) & (amplitude[[0, k - 1]] > 0).all(axis=0)
        ratio = np.where(is_known, quotient(amplitude[k - 1], amplitude[0]), np.nan)
        turned = unit[k - 1] * np.conj(unit[0]) ** k
        found[f"log_harmonic_{k}"] = np.log(ratio)
        found[f"harmonic_{k}_cosine"] = np.where(is_known, turned.real, np.nan)
        found[f"harmonic_{k}_sine"] = np.where(is_known, turned.imag, np.nan)
    return found


def _correlation(one: FloatArray, other: FloatArray) -> FloatArray:
    one, other = one - one.mean(axis=-1, keepdims=True), other - other.mean(axis=-1, keepdims=True)
    return quotient((one * other).sum(axis=-1), np.sqrt((one**2).sum(axis=-1) * (other**2).sum(axis=-1)))


def _breathing(x: FloatArray, beats: Beats, at_s: FloatArray, rate_hz: FloatArray) -> dict[str, FloatArray]:
    """What rises and falls from beat to beat; the spectra are those of the unevenly spaced beats themselves."""
    same = beats.segment[1:] == beats.segment[:-1]
    edges = beats.segment * x.shape[-1] + beats.sample
    flat = x.ravel()
    height = np.zeros(0)
    if len(edges) > 1:
        height = (np.maximum.reduceat(flat, edges) - np.minimum.reduceat(flat, edges))[:-1][same]
    segment, middle, interval = beats.segment[1:][same], ((at_s[1:] + at_s[:-1]) / 2)[same], np.diff(at_s)[same]
    n = np.bincount(segment, minlength=len(x))
    relative = _relative_values(height, segment, n)
    spread = np.sqrt(quotient(np.bincount(segment, relative**2, len(x)), np.where(n > 1, n - 1, 0)))
    height_rate, height_clarity = _modulation(relative, middle, segment, rate_hz)
    interval_rate, interval_clarity = _modulation(_relative_values(interval, segment, n), middle, segment, rate_hz)
    return {
        "height_cv": spread,
        "height_modulation_per_min": height_rate,
        "height_modulation_clarity": height_clarity,
        "interval_modulation_per_min": interval_rate,
        "interval_modulation_clarity": interval_clarity,
    }


def _relative_values(values: FloatArray, segment: np.ndarray, n: np.ndarray) -> FloatArray:
    """Distance of each beat's value from the mean of its segment, relative to it."""
    mean = quotient(np.bincount(segment, values, len(n)), n)[segment]
    return quotient(values - mean, np.where(mean > 0, mean, np.nan))


def _modulation(
    values: FloatArray, at_s: FloatArray, segment: np.ndarray, rate_hz: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Rate per minute at which values vary most, below half the pulse rate; and its proportion of their variance."""
    n_segments = len(rate_hz)
    power = np.empty((len(_BREATHING_HZ), n_segments))
    for number, frequency in enumerate(_BREATHING_HZ):
        angle = 2 * np.pi * frequency * at_s
        power[number] = (
            np.bincount(segment, values * np.cos(angle), n_segments) ** 2
            + np.bincount(segment, values * np.sin(angle), n_segments) ** 2
        )
    power = np.where(_BREATHING_HZ[:, None] < rate_hz / 2, power, 0.0)
    n = np.bincount(segment, minlength=n_segments)
    best = power.argmax(axis=0)
    highest = power[best, np.arange(n_segments)]
    is_known = (n >= _MIN_BEATS_OF_BREATHING) & (highest > 0)
    clarity = quotient(2 * highest, n * np.bincount(segment, values**2, n_segments))
    return np.where(is_known, 60 * _BREATHING_HZ[best], np.nan), np.where(is_known, clarity, np.nan)
