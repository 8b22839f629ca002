"""ppgssl/signals/filters.py."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.signal import butter, detrend, sosfiltfilt

from ppgssl.core.config.fixed import BANDS_HZ
from ppgssl.core.errors import SignalError
from ppgssl.signals.filters import bandpass
from tests.support.synthetic import make_ppg


@pytest.mark.parametrize(
    ("tone_hz", "gain"), [(0.05, 0.0), (1.5, 1.0), (3.0, 1.0), (0.5, 0.5), (8.0, 0.5), (25.0, 0.0)]
)
def test_bandpass_keeps_the_pulse_band_and_removes_the_rest(tone_hz, gain):
    tone = np.sin(2 * np.pi * tone_hz * np.arange(6000) / 100)
    out = bandpass(tone, fs_hz=100, low_hz=0.5, high_hz=8.0)
    middle = slice(1000, -1000)
    assert np.std(out[middle]) == pytest.approx(gain * np.std(tone[middle]), abs=0.03)


def test_bandpass_does_not_delay_the_pulse():
    tone = np.sin(2 * np.pi * 1.5 * np.arange(3000) / 100)
    out = bandpass(tone, fs_hz=100, low_hz=0.5, high_hz=8.0)
    assert np.corrcoef(tone[500:-500], out[500:-500])[0, 1] > 0.9999


@pytest.mark.parametrize("drift", [0.0, 3.0, -10.0])
def test_two_seconds_are_filtered_nearly_as_within_a_minute(drift):
    minute = make_ppg(60, 200, 75, noise=0.01)
    reference = bandpass(minute, fs_hz=200, low_hz=0.5, high_hz=8.0)
    for start in range(2000, 9000, 333):
        ramp = drift * np.linspace(0, 1, 420)
        short = bandpass(minute[start : start + 420] + ramp, fs_hz=200, low_hz=0.5, high_hz=8.0)
        assert np.corrcoef(short, reference[start : start + 420])[0, 1] > 0.97


def test_two_seconds_of_real_ppg_are_filtered_nearly_as_within_a_minute(test_data):
    minute = np.loadtxt(test_data / "mw_ppg/recordings/bp_dataset_1.csv", delimiter=",", skiprows=1)[:, 1]
    reference = bandpass(minute, fs_hz=200, low_hz=0.5, high_hz=8.0)
    likeness = [
        np.corrcoef(
            bandpass(minute[start : start + 420], fs_hz=200, low_hz=0.5, high_hz=8.0), reference[start : start + 420]
        )[0, 1]
        for start in range(1000, 11000, 500)
    ]
    assert np.median(likeness) > 0.98


def test_bandpass_treats_leading_axes_alike():
    x = np.random.default_rng(0).standard_normal((2, 3, 500))
    out = bandpass(x, fs_hz=100, low_hz=0.5, high_hz=8.0)
    assert out.shape == x.shape
    np.testing.assert_allclose(out[1, 2], bandpass(x[1, 2], fs_hz=100, low_hz=0.5, high_hz=8.0))


@given(
    n=st.integers(0, 400),
    fs_hz=st.sampled_from([20.0, 62.4725, 80.0, 1000.0]),
    offset=st.floats(-1e6, 1e6),
    slope=st.floats(-100, 100),
)
def test_a_straight_line_leaves_nothing_whatever_its_length(n, fs_hz, offset, slope):
    out = bandpass(offset + slope * np.arange(n), fs_hz=fs_hz, low_hz=0.5, high_hz=8.0)
    assert out.shape == (n,)
    np.testing.assert_allclose(out, 0, atol=1e-5)


@given(seed=st.integers(0, 2**31), scale=st.floats(0.01, 1000), n=st.integers(2, 500))
def test_bandpass_is_linear(seed, scale, n):
    x = np.random.default_rng(seed).standard_normal(n)
    out = bandpass(x, fs_hz=80, low_hz=0.5, high_hz=8.0)
    np.testing.assert_allclose(bandpass(scale * x, fs_hz=80, low_hz=0.5, high_hz=8.0), scale * out, atol=1e-9 * scale)


@given(
    seed=st.integers(0, 2**31),
    shape=st.sampled_from([(2,), (3,), (160,), (700,), (4800,), (3, 500), (2, 3, 250), (0, 100)]),
    baseline=st.sampled_from([0.0, 1.0, 1e6]),
    band_hz=st.sampled_from([(0.5, 8.0), (0.5, 39.0), (2.0, 20.0)]),
)
def test_bandpass_is_scipys_filter_of_the_detrended_mirrored_signal(seed, shape, baseline, band_hz):
    x = baseline + np.random.default_rng(seed).standard_normal(shape).cumsum(axis=-1)
    out = bandpass(x, fs_hz=80, low_hz=band_hz[0], high_hz=band_hz[1])
    if not x.size:
        assert out.shape == shape
        return
    sections = butter(2, band_hz, btype="bandpass", fs=80, output="sos")
    n_padding = min(shape[-1] - 1, round(1.5 * 80 / band_hz[0]))
    expected = sosfiltfilt(sections, detrend(x, axis=-1), axis=-1, padtype="even", padlen=n_padding)
    np.testing.assert_allclose(out, expected, rtol=0, atol=1e-9 * max(1, baseline * 1e-3))


@pytest.mark.parametrize(("rate_bpm", "likeness"), [(80, 0.999), (120, 0.995), (160, 0.98), (220, 0.95)])
def test_the_default_band_keeps_the_pulse_of_a_child(rate_bpm, likeness):
    low_hz, high_hz = BANDS_HZ["ppg"]
    pulse = make_ppg(30, 100, rate_bpm)
    filtered = bandpass(pulse, fs_hz=100, low_hz=low_hz, high_hz=high_hz)
    assert np.corrcoef(pulse[500:-500], filtered[500:-500])[0, 1] > likeness


@pytest.mark.parametrize(("low_hz", "high_hz"), [(0.0, 8.0), (8.0, 0.5), (0.5, 40.0), (-1.0, 8.0), (float("nan"), 8.0)])
def test_an_impossible_band_is_refused_with_its_values(low_hz, high_hz):
    with pytest.raises(SignalError, match=r"fs = 80 Hz.*40 Hz"):
        bandpass(np.zeros(100), fs_hz=80, low_hz=low_hz, high_hz=high_hz)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_missing_sample_is_refused_and_not_smeared(bad):
    x = np.ones(100)
    x[[3, 7]] = bad
    with pytest.raises(SignalError, match="2 samples that are not finite"):
        bandpass(x, fs_hz=80, low_hz=0.5, high_hz=8.0)


def test_the_bands_of_both_modalities_fit_a_rate_of_100_hz():
    assert all(0 < low < high < 50 for low, high in BANDS_HZ.values())
