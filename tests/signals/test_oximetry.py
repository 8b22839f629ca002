"""ppgssl/signals/oximetry.py."""

import csv

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import spearmanr

from ppgssl import signals
from ppgssl.core.errors import SignalError
from ppgssl.signals.beat_times import median_within, ppg_beats, pulse_heights
from ppgssl.signals.filters import bandpass
from ppgssl.signals.oximetry import fit_spo2_curve, perfusion_index, ratio_of_ratios, spo2, spo2_by_curve
from ppgssl.signals.segmentation import cut
from tests.support.synthetic import make_ppg

STARTS = np.arange(0, 5001, 500)


def oximeter(ratio, *, perfusion_pct=1.0, noise=0.0, motion=0.0, seed=0):
    """Red and infrared samples and levels of one minute, at 100 Hz."""
    rng = np.random.default_rng(seed)
    pulse = make_ppg(60, 100, 80, rng=rng)
    pulse = pulse / np.ptp(pulse) * perfusion_pct / 100
    movement = motion * perfusion_pct / 100 * np.cumsum(rng.normal(0, 0.05, 6000)) * (np.arange(6000) % 1000 < 300)
    signals = []
    for level, depth in ((20_000.0, ratio), (45_000.0, 1.0)):
        light = level * (depth * pulse + movement + noise * perfusion_pct / 100 * rng.standard_normal(6000))
        signals.append(bandpass(light, fs_hz=100, low_hz=0.5, high_hz=8))
        signals.append(np.full(60, level))
    red, red_level, infrared, infrared_level = signals
    return red, infrared, red_level, infrared_level


def ratios(red, infrared, red_level, infrared_level):
    return ratio_of_ratios(red, infrared, red_level, infrared_level, STARTS, 1000, fs_hz=100)


@pytest.mark.parametrize("ratio", [0.4, 0.8, 1.6])
def test_the_ratio_is_that_of_the_light(ratio):
    np.testing.assert_allclose(ratios(*oximeter(ratio)), ratio, rtol=1e-3)


@pytest.mark.parametrize("ratio", [0.4, 1.0])
def test_noise_hardly_biases_the_line_and_the_extremes_of_windows_more(ratio):
    by_line, by_extremes = [], []
    for seed in range(8):
        red, infrared, red_level, infrared_level = oximeter(ratio, noise=0.1, seed=seed)
        by_line.append(ratios(red, infrared, red_level, infrared_level))
        beats = ppg_beats(infrared, fs_hz=100)
        extremes = pulse_heights(red, beats) / pulse_heights(infrared, beats) * infrared_level[0] / red_level[0]
        first, last = beats.within(STARTS, STARTS + 1000)
        by_extremes.append(median_within(extremes, first, last - 1, at_least=3))
    assert np.median(by_line) == pytest.approx(ratio, rel=0.01)
    errors = [np.mean(np.abs(np.array(found) - ratio)) for found in (by_line, by_extremes)]
    assert errors[0] < 0.8 * errors[1]


def test_movement_spoils_the_median_window_less_than_the_whole_segment():
    """Movement shifts both colours by one share of their level: it pulls the ratio to 1."""
    of_windows, of_segments = [], []
    for seed in range(20):
        red, infrared, red_level, infrared_level = oximeter(0.5, motion=1.0, seed=seed)
        of_windows.append(ratios(red, infrared, red_level, infrared_level))
        x, y = cut(infrared, STARTS, 1000), cut(red, STARTS, 1000)
        of_segments.append((x * y).sum(axis=1) / (x * x).sum(axis=1) * infrared_level[0] / red_level[0])
    errors = [np.nanmean(np.abs(np.array(found) - 0.5)) for found in (of_windows, of_segments)]
    assert errors[0] < 0.7 * errors[1]


def test_a_ratio_that_no_blood_has_is_unknown():
    assert np.isnan(ratios(*oximeter(0.1))).all()
    assert np.isnan(ratios(*oximeter(3.0))).all()


def test_without_level_or_pulse_there_is_no_ratio():
    red, infrared, red_level, infrared_level = oximeter(0.6)
    for level in (np.full(60, np.nan), np.zeros(60), np.full(60, -5.0), np.zeros(0)):
        assert np.isnan(ratios(red, infrared, level, infrared_level)).all()
        assert np.isnan(ratios(red, infrared, red_level, level)).all()
    noise = np.random.default_rng(0).standard_normal((2, 6000))
    for samples in (np.zeros((2, 6000)), 1e6 + np.zeros((2, 6000)), noise):
        assert np.isnan(ratios(*samples, red_level, infrared_level)).all()


def test_gaps_leave_the_other_segments():
    red, infrared, red_level, infrared_level = oximeter(0.6)
    red[2000:3500] = np.nan
    found = ratios(red, infrared, red_level, infrared_level)
    assert np.isnan(found[5])
    np.testing.assert_allclose(found[[0, 1, 8, 9]], 0.6, rtol=1e-3)


@given(
    ratio=st.floats(0.3, 2.0),
    seconds=st.floats(2.0, 9.0),
    fs_hz=st.sampled_from([25, 30, 64, 100, 128]),
    signs=st.tuples(st.sampled_from([-1, 1]), st.sampled_from([-1, 1])),
)
def test_two_seconds_are_enough_at_any_rate_and_whichever_way_pulses_point(ratio, seconds, fs_hz, signs):
    n_samples = int(seconds * fs_hz)
    time = np.arange(n_samples) / fs_hz
    pulse = np.sin(2 * np.pi * 1.2 * time) + 0.4 * np.sin(4 * np.pi * 1.2 * time + 1)
    levels = np.full((2, int(np.ceil(seconds))), [[30_000.0], [50_000.0]])
    red, infrared = signs[0] * ratio * 300 * pulse, signs[1] * 500 * pulse
    length = round(0.8 * fs_hz)  # Segments shorter than a beat: the windows around them count.
    starts = np.arange(0, n_samples - length + 1, length)
    found = ratio_of_ratios(red, infrared, *levels, starts, length, fs_hz=fs_hz)
    np.testing.assert_allclose(found, ratio if n_samples >= 8 * round(0.25 * fs_hz) else np.nan, rtol=1e-6)


def test_a_disturbed_start_leaves_the_ratio_of_a_short_recording():
    red, infrared, red_level, infrared_level = (signal[:500] for signal in oximeter(0.6))
    red, infrared = red.copy(), infrared.copy()
    infrared[:60] = red[:60] = 2000 * np.sin(np.arange(60) / 20)
    starts = np.arange(0, 251, 50)
    found = ratio_of_ratios(red, infrared, red_level, infrared_level, starts, 250, fs_hz=100)
    np.testing.assert_allclose(found, 0.6, rtol=1e-3)


def test_a_window_keeps_its_digits_after_an_hour_of_large_movement():
    rng = np.random.default_rng(1)
    red, infrared, red_level, infrared_level = oximeter(0.6)
    burst = (
        np.concatenate([1e9 * rng.standard_normal(360_000), red]),
        np.concatenate([1e9 * np.ones(360_000), infrared]),
    )
    levels = [np.concatenate([np.ones(3600), level]) for level in (red_level, infrared_level)]
    found = ratio_of_ratios(*burst, *levels, 360_000 + STARTS, 1000, fs_hz=100)
    np.testing.assert_allclose(found, 0.6, rtol=1e-3)


def finger_recordings(folder):
    """Red and infrared counts without ambient light at 64 Hz, and the saturation read beside them."""
    for row in csv.DictReader((folder / "reference.csv").read_text().splitlines()):
        lines = (folder / row["file"]).read_text().splitlines()
        header = next(number for number, line in enumerate(lines) if line.startswith("timestamp"))
        columns = [lines[header].split(",").index(name) for name in ("LEDC2", "LEDC1", "LEDC3")]
        cells = [line.split(",") for line in lines[header + 1 : header + 1 + int(row["n_samples"])]]
        red, infrared, ambient = np.array([[float(line[place]) for place in columns] for line in cells]).T
        yield red - ambient, infrared - ambient, float(row["spo2_ref_pct"])


def test_short_finger_recordings_have_a_saturation_that_follows_the_reference(test_data):
    red, infrared, reference = zip(*finger_recordings(test_data / "oxiwear"), strict=True)
    found = np.array([signals.spo2(*colours, fs_hz=64) for colours in zip(red, infrared, strict=True)])
    is_known = np.isfinite(found)
    assert is_known.sum() >= 56
    assert spearmanr(-found[is_known], np.array(reference)[is_known]).statistic < -0.9


def test_saturation_follows_the_calibration():
    ratio = np.array([0.4, 0.6, 1.4, 2.3, 2.5, np.nan, 0.2])
    np.testing.assert_allclose(spo2(ratio, (110, -25)), [100, 95, 75, 52.5, np.nan, np.nan, 100])
    np.testing.assert_allclose(spo2(ratio[:2], (104, 0, -17)), [101.28 - 1.28, 97.88])


@pytest.mark.parametrize("perfusion_pct", [0.3, 4.0])
def test_the_perfusion_index_is_pulse_over_level(perfusion_pct):
    _, infrared, _, level = oximeter(0.6, perfusion_pct=perfusion_pct)
    found = perfusion_index(infrared, level, ppg_beats(infrared, fs_hz=100), STARTS, 1000, fs_hz=100)
    np.testing.assert_allclose(found, perfusion_pct, rtol=0.08)


@given(constant=st.floats(80, 95), slope=st.floats(-40, -5), seed=st.integers(0, 1000))
def test_the_fitted_curve_is_the_weighted_line_in_log_r(constant, slope, seed):
    rng = np.random.default_rng(seed)
    ratio, weight = rng.uniform(0.3, 2.0, 40), rng.uniform(0.1, 1.0, 40)
    reference = constant + slope * np.log(ratio)
    assert fit_spo2_curve(ratio, reference, weight) == pytest.approx((constant, slope))
    noisy = reference + rng.normal(0, 0.5, 40)
    expected = np.polyfit(np.log(ratio), noisy, 1, w=np.sqrt(weight))[::-1]
    assert fit_spo2_curve(np.append(ratio, np.nan), np.append(noisy, 90.0), np.append(weight, 1.0)) == pytest.approx(
        tuple(expected)
    )


def test_a_calibration_that_is_none_of_oximetry_is_refused():
    ratio, one = np.linspace(0.4, 1.2, 20), np.ones(20)
    with pytest.raises(SignalError, match=r"needs 10 segments .* there are 9"):
        fit_spo2_curve(ratio[:9], 100 - 20 * ratio[:9], one[:9])
    for reference in (70 + 20 * ratio, 97 * one):
        with pytest.raises(SignalError, match="does not fall as the ratio of ratios rises"):
            fit_spo2_curve(ratio, reference, one)
    with pytest.raises(SignalError, match="does not fall"):
        fit_spo2_curve(one, 100 - 20 * ratio, one)


def test_a_fitted_curve_has_the_limits_of_any_other():
    found = spo2_by_curve(np.array([0.4, 1.0, 2.3, np.nan]), (87.0, -45.0))
    np.testing.assert_allclose(found, [100, 87, np.nan, np.nan])
    assert np.isnan(spo2(np.array([0.5, 1.0]), ())).all()


def test_a_curve_of_other_recordings_meets_the_reference_of_the_finger(test_data):
    """Blocks of the session left out; the reference was read by eye from another oximeter that averages."""
    red, infrared, reference = zip(*finger_recordings(test_data / "oxiwear"), strict=True)
    reference, ones = np.array(reference), np.ones(len(reference))
    textbook = np.array([signals.spo2(*colours, fs_hz=64) for colours in zip(red, infrared, strict=True)])
    ratio = np.array(
        [signals.spo2(*both, fs_hz=64, calibration=(50, 10)) / 10 - 5 for both in zip(red, infrared, strict=True)]
    )
    block = np.arange(len(ratio)) * 6 // len(ratio)
    found = np.full(len(ratio), np.nan)
    for number in range(6):
        is_other = block != number
        curve = fit_spo2_curve(ratio[is_other], reference[is_other], ones[is_other])
        found[~is_other] = spo2_by_curve(ratio[~is_other], curve)
    a_rms = [np.sqrt(np.nanmean((values - reference) ** 2)) for values in (found, textbook)]
    assert a_rms[0] < 3.3
    assert a_rms[0] < 0.55 * a_rms[1]
