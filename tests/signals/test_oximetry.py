"""ppgssl/signals/oximetry.py."""

import numpy as np
import pytest

from ppgssl.signals.beat_times import BeatTimes, median_within, ppg_beats, pulse_heights
from ppgssl.signals.filters import bandpass
from ppgssl.signals.oximetry import perfusion_index, ratio_of_ratios, spo2
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
    beats = ppg_beats(infrared, fs_hz=100)
    return ratio_of_ratios(red, infrared, red_level, infrared_level, beats, STARTS, 1000, fs_hz=100)


@pytest.mark.parametrize("ratio", [0.4, 0.8, 1.6])
def test_the_ratio_is_that_of_the_light(ratio):
    np.testing.assert_allclose(ratios(*oximeter(ratio)), ratio, rtol=1e-3)


@pytest.mark.parametrize("ratio", [0.4, 1.0])
def test_noise_hardly_biases_the_regression_and_the_extremes_of_beats_more(ratio):
    by_regression, by_extremes = [], []
    for seed in range(8):
        red, infrared, red_level, infrared_level = oximeter(ratio, noise=0.1, seed=seed)
        by_regression.append(ratios(red, infrared, red_level, infrared_level))
        beats = ppg_beats(infrared, fs_hz=100)
        extremes = pulse_heights(red, beats) / pulse_heights(infrared, beats) * infrared_level[0] / red_level[0]
        first, last = beats.within(STARTS, STARTS + 1000)
        by_extremes.append(median_within(extremes, first, last - 1, at_least=3))
    assert np.median(by_regression) == pytest.approx(ratio, rel=0.02)
    errors = [np.mean(np.abs(np.array(found) - ratio)) for found in (by_regression, by_extremes)]
    assert errors[0] < 0.8 * errors[1]


def test_movement_spoils_the_median_beat_less_than_the_whole_segment():
    """Movement shifts both colours by one share of their level: it pulls the ratio to 1."""
    of_beats, of_segments = [], []
    for seed in range(20):
        red, infrared, red_level, infrared_level = oximeter(0.5, motion=1.0, seed=seed)
        of_beats.append(ratios(red, infrared, red_level, infrared_level))
        x, y = cut(infrared, STARTS, 1000), cut(red, STARTS, 1000)
        of_segments.append((x * y).sum(axis=1) / (x * x).sum(axis=1) * infrared_level[0] / red_level[0])
    errors = [np.nanmean(np.abs(np.array(found) - 0.5)) for found in (of_beats, of_segments)]
    assert errors[0] < 0.7 * errors[1]


def test_a_ratio_that_no_blood_has_is_unknown():
    assert np.isnan(ratios(*oximeter(0.1))).all()
    assert np.isnan(ratios(*oximeter(3.0))).all()


def test_without_level_or_beats_there_is_no_ratio():
    red, infrared, red_level, infrared_level = oximeter(0.6)
    nothing = BeatTimes(np.zeros(0), np.zeros(0, dtype=bool))
    for level in (np.full(60, np.nan), np.zeros(60), np.full(60, -5.0), np.zeros(0)):
        assert np.isnan(ratios(red, infrared, level, infrared_level)).all()
        assert np.isnan(ratios(red, infrared, red_level, level)).all()
    found = ratio_of_ratios(red, infrared, red_level, infrared_level, nothing, STARTS, 1000, fs_hz=100)
    assert np.isnan(found).all()


def test_gaps_leave_the_other_segments():
    red, infrared, red_level, infrared_level = oximeter(0.6)
    red[2000:3500] = np.nan
    found = ratios(red, infrared, red_level, infrared_level)
    assert np.isnan(found[5])
    np.testing.assert_allclose(found[[0, 1, 8, 9]], 0.6, rtol=1e-3)


def test_saturation_follows_the_calibration():
    ratio = np.array([0.4, 0.6, 1.4, 2.3, 2.5, np.nan, 0.2])
    np.testing.assert_allclose(spo2(ratio, (110, -25)), [100, 95, 75, 52.5, np.nan, np.nan, 100])
    np.testing.assert_allclose(spo2(ratio[:2], (104, 0, -17)), [101.28 - 1.28, 97.88])


@pytest.mark.parametrize("perfusion_pct", [0.3, 4.0])
def test_the_perfusion_index_is_pulse_over_level(perfusion_pct):
    _, infrared, _, level = oximeter(0.6, perfusion_pct=perfusion_pct)
    found = perfusion_index(infrared, level, ppg_beats(infrared, fs_hz=100), STARTS, 1000, fs_hz=100)
    np.testing.assert_allclose(found, perfusion_pct, rtol=0.08)
