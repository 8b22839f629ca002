"""ppgssl/signals/polarity.py."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from ppgssl.signals.polarity import is_inverted, polarity
from ppgssl.signals.preprocessing import preprocess
from ppgssl.simulate.waveform import Vitals, simulate_light


def processed(raw, fs_hz, fs_out_hz=100):
    return preprocess(raw, fs_hz=fs_hz, fs_out_hz=fs_out_hz, band_hz=(0.5, 8.0)).samples


def light(seed):
    rng = np.random.default_rng(seed)
    vitals = Vitals(rng.uniform(60, 180), 35, 95, 2, rng.normal(), 0.03, 0.15)
    return simulate_light(vitals, duration_s=60, fs_hz=80, rng=rng).infrared


@pytest.mark.parametrize("seed", range(10))
def test_transmitted_light_is_upside_down(seed):
    score = polarity(processed(light(seed), 80), fs_hz=100)
    assert is_inverted(score)
    assert not is_inverted(-score)
    assert polarity(processed(-light(seed), 80), fs_hz=100) == pytest.approx(-score, abs=1e-6)


def test_missing_samples_and_a_burst_change_little():
    samples = processed(-light(0), 80)
    damaged = samples.copy()
    damaged[1000:1400] = np.nan
    damaged[3000:3200] *= -20
    assert polarity(damaged, fs_hz=100) == pytest.approx(polarity(samples, fs_hz=100), abs=0.05)


@pytest.mark.parametrize("samples", [np.zeros(0), np.zeros(1), np.ones(300), np.full(300, np.nan)])
def test_what_does_not_move_has_no_polarity(samples):
    assert np.isnan(polarity(samples, fs_hz=100))
    assert not is_inverted(polarity(samples, fs_hz=100))


def test_real_recordings_point_up(test_data):
    for number in range(1, 79, 4):
        raw = np.loadtxt(test_data / f"mw_ppg/recordings/bp_dataset_{number}.csv", delimiter=",", skiprows=1)
        for channel in range(3):
            assert polarity(processed(raw[:, channel], 200), fs_hz=100) > 0.1


def test_real_arrhythmias_are_seldom_called_inverted(test_data):
    scores = []
    for path in sorted((test_data / "arrhythmia_pool").glob("*.npz"))[::5]:
        scores.extend(polarity(row, fs_hz=100) for row in np.load(path)["ppg"].astype(float))
    assert np.mean([is_inverted(score) for score in scores]) < 0.005
    assert np.mean([is_inverted(-score) for score in scores]) > 0.97


@given(
    samples=arrays(np.float32, st.integers(0, 400), elements=st.floats(width=32, allow_infinity=False, allow_nan=True)),
    fs_hz=st.sampled_from([20.0, 100.0]),
)
def test_negating_any_samples_negates_the_score(samples, fs_hz):
    score = polarity(samples, fs_hz=fs_hz)
    assert np.isnan(score) or -1 <= score <= 1
    assert polarity(-samples, fs_hz=fs_hz) == pytest.approx(-score, nan_ok=True)
