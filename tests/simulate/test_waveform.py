"""The simulated light carries the heart rate, breathing, oxygen saturation and perfusion that were asked for."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.signal import argrelextrema, butter, periodogram, sosfiltfilt

from ppgssl.simulate.waveform import Light, Vitals, pulse_shape, simulate_light

FS_HZ = 80.0
CHILD = Vitals(
    heart_rate_bpm=130,
    resp_rate_per_min=35,
    spo2_pct=96,
    perfusion_index_pct=1.5,
    vascular_tone=0,
    heart_rate_variability=0.02,
    resp_modulation=0.2,
)
CHILDREN = st.builds(
    Vitals,
    heart_rate_bpm=st.floats(70, 210),
    resp_rate_per_min=st.floats(15, 70),
    spo2_pct=st.floats(75, 100),
    perfusion_index_pct=st.floats(0.3, 6),
    vascular_tone=st.floats(-3, 3),
    heart_rate_variability=st.floats(0.005, 0.04),
    resp_modulation=st.floats(0.05, 0.4),
    reflection=st.floats(-3, 3),
    resp_amplitude=st.floats(0.1, 2),
    sinus_arrhythmia=st.floats(0.05, 0.95),
)
SEEDS = st.integers(0, 2**31 - 1)


def make_light(vitals: Vitals, seed: int = 0, duration_s: float = 60.0) -> Light:
    return simulate_light(vitals, duration_s=duration_s, fs_hz=FS_HZ, rng=np.random.default_rng(seed))


def pulse_band(x: np.ndarray) -> np.ndarray:
    return sosfiltfilt(butter(3, (0.8, 8), "bandpass", fs=FS_HZ, output="sos"), x)


def spectral_peak_per_min(x: np.ndarray, low_hz: float, high_hz: float, fs_hz: float = FS_HZ) -> float:
    frequency, power = periodogram(x, fs_hz, window="hann", nfft=2**17, detrend="linear")
    inside = (frequency >= low_hz) & (frequency <= high_hz)
    return 60 * float(frequency[inside][np.argmax(power[inside])])


@given(CHILDREN, SEEDS)
def test_beats_come_at_the_true_heart_rate(vitals, seed):
    beats = make_light(vitals, seed).beat_times_s
    interval_s = np.diff(beats)
    assert interval_s.min() > 0
    assert 60 / interval_s.mean() == pytest.approx(vitals.heart_rate_bpm, abs=2)


@given(CHILDREN, SEEDS)
def test_oxygen_saturation_comes_back_from_the_ratio_of_ratios(vitals, seed):
    light = make_light(vitals, seed)
    ratio = (pulse_band(light.red).std() / light.red.mean()) / (
        pulse_band(light.infrared).std() / light.infrared.mean()
    )
    assert 110 - 25 * ratio == pytest.approx(vitals.spo2_pct, abs=0.5)


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("heart_rate_bpm", [80, 130, 180])
def test_the_spectrum_peaks_at_the_true_heart_rate(heart_rate_bpm, seed):
    light = make_light(replace(CHILD, heart_rate_bpm=heart_rate_bpm), seed)
    assert spectral_peak_per_min(light.infrared, 1, 4) == pytest.approx(heart_rate_bpm, abs=3)


@pytest.mark.parametrize("resp_rate_per_min", [20, 30, 45])
def test_breathing_shows_in_baseline_amplitude_and_heart_rate(resp_rate_per_min):
    light = make_light(replace(CHILD, resp_rate_per_min=resp_rate_per_min, heart_rate_bpm=150))
    times_s = light.beat_times_s
    beats = np.round(times_s * FS_HZ).astype(int)
    pulses = [-light.infrared[start:end] for start, end in pairwise(beats)]
    modulations = {
        "baseline": np.array([pulse.mean() for pulse in pulses]),
        "amplitude": np.array([np.ptp(pulse) for pulse in pulses]),
        "frequency": 1 / np.diff(times_s),
    }
    grid_s = np.arange(times_s[0], times_s[-2], 0.25)
    for name, values in modulations.items():
        even = np.interp(grid_s, times_s[:-1], values)
        assert spectral_peak_per_min(even, 0.25, 1.0, fs_hz=4) == pytest.approx(resp_rate_per_min, abs=2), name


def test_perfusion_index_is_peak_to_trough_over_baseline():
    still = replace(CHILD, resp_modulation=0.0, perfusion_index_pct=2.0)
    light = make_light(still, duration_s=600)
    beats = np.round(light.beat_times_s * FS_HZ).astype(int)
    heights = [np.ptp(light.infrared[start:end]) for start, end in pairwise(beats)]
    assert 100 * np.median(heights) / light.infrared.mean() == pytest.approx(2.0, rel=0.1)


def test_the_systolic_upstroke_points_down_and_is_the_fast_one():
    steepest = pulse_band(make_light(CHILD).infrared)
    slope = np.diff(steepest)
    assert -slope.min() > 1.5 * slope.max()


@given(st.floats(-4, 4), st.floats(-4, 4), st.floats(50, 220), st.floats(0.75, 1.3))
def test_a_pulse_is_one_beat_of_mean_zero_and_unit_height_that_starts_at_its_foot(tone, reflection, rate, systole):
    shape = pulse_shape(tone, reflection, rate, systole)
    assert shape.mean() == pytest.approx(0, abs=1e-12)
    assert np.ptp(shape) == pytest.approx(1)
    assert np.argmin(shape) == 0
    assert 0.1 < np.argmax(shape) / len(shape) < 0.55  # the systolic peak, or the reflected wave on top of it
    assert abs(shape[0] - shape[-1]) < 0.02  # and the beat closes


def test_dilated_vessels_show_a_dicrotic_notch_and_constricted_ones_lift_it():
    dilated, constricted = pulse_shape(-2), pulse_shape(2)
    assert len(argrelextrema(dilated, np.less)[0]) == 1  # the notch; the foot lies on the edge
    after_peak = slice(220, 300)
    assert constricted[after_peak].mean() - constricted.min() > dilated[after_peak].mean() - dilated.min() + 0.2


def test_constriction_and_reflection_widen_the_pulse():
    def width(shape: np.ndarray) -> float:
        return float((shape - shape.min() > 0.75).mean())

    by_tone = [width(pulse_shape(tone)) for tone in (-2, 0, 2)]
    by_reflection = [width(pulse_shape(0, reflection)) for reflection in (-2, 0, 2)]
    for widths in (by_tone, by_reflection):
        assert widths == sorted(widths)
        assert widths[2] > widths[0] + 0.08


def test_systole_takes_a_larger_proportion_of_a_fast_beat():
    slow, fast = (np.argmax(pulse_shape(-1, heart_rate_bpm=rate)) / 512 for rate in (60, 150))
    assert fast > 1.2 * slow


@pytest.mark.parametrize(("field", "low", "high"), [("resp_amplitude", 0.1, 1.5), ("sinus_arrhythmia", 0.05, 0.9)])
def test_breathing_can_modulate_height_and_rate_each_by_itself(field, low, high):
    def depth(value: float) -> float:
        light = make_light(replace(CHILD, heart_rate_bpm=150, resp_rate_per_min=30, **{field: value}), seed=3)
        beats = np.round(light.beat_times_s * FS_HZ).astype(int)
        heights = np.array([np.ptp(light.infrared[start:end]) for start, end in pairwise(beats)])
        series = heights / heights.mean() if field == "resp_amplitude" else np.diff(light.beat_times_s)
        at_s = light.beat_times_s[:-1]
        return float(np.abs((series - series.mean()) @ np.exp(2j * np.pi * 0.5 * at_s)))

    assert depth(high) > 2 * depth(low)


def test_the_same_stream_makes_the_same_light():
    assert np.array_equal(make_light(CHILD, 3).red, make_light(CHILD, 3).red)
    assert not np.array_equal(make_light(CHILD, 3).red, make_light(CHILD, 4).red)
