"""ppgssl/signals/resampling.py."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ppgssl.core.errors import SignalError
from ppgssl.signals.resampling import resample

RATES_HZ = [62.4725, 80.0, 100.0, 124.945, 125.0, 200.0, 250.0, 1000.0]


@pytest.mark.parametrize("fs_in_hz", RATES_HZ)
@pytest.mark.parametrize("fs_out_hz", [50.0, 80.0, 100.0, 125.0])
def test_a_pulse_keeps_its_shape_and_place(fs_in_hz, fs_out_hz):
    def tone(n, fs_hz):
        return np.sin(2 * np.pi * 1.7 * np.arange(n) / fs_hz) + 0.3 * np.sin(2 * np.pi * 5.1 * np.arange(n) / fs_hz)

    out = resample(tone(round(20 * fs_in_hz), fs_in_hz), fs_in_hz=fs_in_hz, fs_out_hz=fs_out_hz)
    expected = tone(len(out), fs_out_hz)
    middle = slice(len(out) // 10, -len(out) // 10)
    np.testing.assert_allclose(out[middle], expected[middle], atol=0.02)


@given(n=st.integers(0, 600), fs_in_hz=st.sampled_from(RATES_HZ), fs_out_hz=st.sampled_from(RATES_HZ))
def test_the_length_is_the_rounded_ratio(n, fs_in_hz, fs_out_hz):
    out = resample(np.zeros((2, n)), fs_in_hz=fs_in_hz, fs_out_hz=fs_out_hz)
    assert out.shape == (2, round(n * fs_out_hz / fs_in_hz))


@given(
    n=st.integers(2, 600),
    fs_in_hz=st.sampled_from(RATES_HZ),
    fs_out_hz=st.sampled_from(RATES_HZ),
    offset=st.floats(-1e5, 1e5),
    slope=st.floats(-10, 10),
)
def test_a_straight_line_stays_one_up_to_both_ends(n, fs_in_hz, fs_out_hz, offset, slope):
    out = resample(offset + slope * np.arange(n) / fs_in_hz, fs_in_hz=fs_in_hz, fs_out_hz=fs_out_hz)
    expected = offset + slope * np.arange(len(out)) / fs_out_hz
    np.testing.assert_allclose(out, expected, atol=1e-9 * (1 + abs(offset) + abs(slope)))


def test_what_the_lower_rate_cannot_hold_is_removed():
    tone = np.sin(2 * np.pi * 120 * np.arange(4000) / 1000)
    assert np.std(resample(tone, fs_in_hz=1000, fs_out_hz=100)[20:-20]) < 0.01


def test_there_and_back_gives_a_pulse_again():
    time = np.arange(800) / 80
    x = np.sin(2 * np.pi * 1.3 * time)
    back = resample(resample(x, fs_in_hz=80, fs_out_hz=125), fs_in_hz=125, fs_out_hz=80)
    np.testing.assert_allclose(back[50:-50], x[50:-50], atol=0.01)


def test_the_result_is_a_copy():
    x = np.zeros(10)
    resample(x, fs_in_hz=80, fs_out_hz=80)[0] = 1
    assert x[0] == 0


@pytest.mark.parametrize("rate", [0.0, -80.0, float("nan"), float("inf")])
def test_an_impossible_rate_is_refused(rate):
    with pytest.raises(SignalError, match="over 0 Hz"):
        resample(np.zeros(10), fs_in_hz=rate, fs_out_hz=80)


def test_missing_samples_are_refused():
    with pytest.raises(SignalError, match="not finite"):
        resample(np.array([0.0, np.nan]), fs_in_hz=80, fs_out_hz=100)
