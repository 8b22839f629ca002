"""Measures of beats over time: intervals and heights that are known beforehand come back."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ppgssl.signals.beat_sequence import MEASURES, beat_sequence
from ppgssl.signals.segment_beats import find_beats

FS_HZ = 100.0
INTERVAL, HEIGHT, RATIO = (MEASURES.index(name) for name in ("interval", "height", "ratio"))


def pulses(rate_hz, height=None, *, seconds=10.0, fs_hz=FS_HZ):
    """One segment of a channel whose rate and height follow the given functions of time."""
    time = np.arange(round(seconds * fs_hz)) / fs_hz
    phase = 2 * np.pi * np.cumsum(rate_hz(time)) / fs_hz
    wave = np.sin(phase) + 0.3 * np.sin(2 * phase + 0.8)
    return (wave * (height(time) if height else 1.0))[None, None]


def test_a_steady_pulse_has_its_interval_everywhere_and_no_deviation():
    found = beat_sequence(pulses(lambda t: 1.7 + 0 * t), fs_hz=FS_HZ, n_times=25)
    assert found.level[0, 0, INTERVAL] == pytest.approx(np.log(1 / 1.7), abs=1e-3)
    inner = found.deviation[0, 0, :RATIO, 2:-2]
    assert np.isfinite(inner).all()
    assert np.abs(inner).max() < 0.02


@pytest.mark.parametrize("fs_hz", [40.0, 125.0])
def test_intervals_follow_a_rate_that_changes(fs_hz):
    def rate(time):
        return 1.8 + 0.15 * np.sin(2 * np.pi * 0.2 * time)

    found = beat_sequence(pulses(rate, fs_hz=fs_hz), fs_hz=fs_hz, n_times=50)
    at = (np.arange(50) + 0.5) / 5
    series = found.level[0, 0, INTERVAL] + found.deviation[0, 0, INTERVAL]
    is_known = np.isfinite(series)
    assert is_known.mean() > 0.85
    # A beat lasts half a second, in which the rate changes by up to 0.09 per second.
    assert np.abs(series + np.log(rate(at)))[is_known].max() < 0.06
    assert np.corrcoef(series[is_known], -np.log(rate(at))[is_known])[0, 1] > 0.95


def test_heights_follow_an_amplitude_that_changes():
    def height(time):
        return 1 + 0.3 * np.sin(2 * np.pi * 0.3 * time)

    found = beat_sequence(pulses(lambda t: 2 + 0 * t, height), fs_hz=FS_HZ, n_times=40)
    at = (np.arange(40) + 0.5) / 4
    deviation = found.deviation[0, 0, HEIGHT]
    is_known = np.isfinite(deviation)
    assert np.corrcoef(deviation[is_known], np.log(height(at))[is_known])[0, 1] > 0.9


def test_the_ratio_is_that_of_the_heights_and_unknown_for_the_first_channel():
    one = pulses(lambda t: 1.5 + 0 * t)
    found = beat_sequence(np.concatenate([0.5 * one, one], axis=1), fs_hz=FS_HZ, n_times=20)
    assert np.isnan(found.level[0, 0, RATIO])
    assert found.level[0, 1, RATIO] == pytest.approx(np.log(0.5))
    assert np.isnan(found.deviation[0, 0, RATIO]).all()


def test_the_shape_of_a_sine_is_its_closed_form():
    sine = np.sin(2 * np.pi * 1.23 * np.arange(1000) / FS_HZ)
    found = dict(zip(MEASURES, beat_sequence(sine[None, None], fs_hz=FS_HZ, n_times=25).level[0, 0], strict=True))
    expected = {
        "interval": -np.log(1.23),
        "height": np.log(2),
        "rise": 0.25,
        "width": 0.5,
        "area": 0.5,
        "descent": (1 + np.sin(2 * np.pi * 0.45)) / 2,
    }
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, abs=0.01), name


def test_a_beat_that_was_missed_is_unknown_and_the_others_keep_their_times():
    segment = pulses(lambda t: 1.0 + 0 * t, seconds=12)
    whole = beat_sequence(segment, fs_hz=FS_HZ, n_times=48)
    segment[..., 550:650] = segment[..., 550:551]  # the beat that begins at about 6 s is flat
    found = beat_sequence(segment, fs_hz=FS_HZ, n_times=48)
    hidden = np.isnan(found.deviation[0, 0, INTERVAL]) & np.isfinite(whole.deviation[0, 0, INTERVAL])
    assert hidden.any()
    at = (np.flatnonzero(hidden) + 0.5) / 4
    assert at.min() > 4.5
    assert at.max() < 7.8
    assert found.level[0, 0, INTERVAL] == pytest.approx(0, abs=0.02)


def test_short_segments_keep_the_level_of_what_there_is_and_no_deviation():
    found = beat_sequence(pulses(lambda t: 1.2 + 0 * t, seconds=2), fs_hz=FS_HZ, n_times=5)
    assert found.level[0, 0, INTERVAL] == pytest.approx(np.log(1 / 1.2), abs=0.01)
    assert np.isfinite(found.level[0, 0, HEIGHT])
    assert np.isnan(found.deviation).all()


def test_a_channel_without_pulses_is_unknown():
    found = beat_sequence(np.zeros((2, 3, 400)), fs_hz=40.0, n_times=25)
    assert found.level.shape == (2, 3, len(MEASURES))
    assert found.deviation.shape == (2, 3, len(MEASURES), 25)
    assert np.isnan(found.level).all()
    assert np.isnan(found.deviation).all()


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    n_times=st.integers(1, 60),
    length=st.integers(8, 500),
    scale=st.sampled_from([1e-6, 1.0, 1e6]),
)
def test_any_samples_give_intervals_that_are_those_of_the_beats(seed, n_times, length, scale):
    rng = np.random.default_rng(seed)
    segments = scale * rng.normal(size=(3, 2, length)).cumsum(axis=-1)
    found = beat_sequence(segments, fs_hz=50.0, n_times=n_times)
    assert found.deviation.shape == (3, 2, len(MEASURES), n_times)
    is_known = np.isfinite(found.deviation[:, :, INTERVAL])
    assert np.isfinite(found.level[:, :, INTERVAL])[is_known.any(axis=-1)].all()
    rows = segments.reshape(6, length)
    beats = find_beats(rows - rows.mean(axis=-1, keepdims=True), fs_hz=50.0)
    n_beats = np.bincount(beats.segment, minlength=6).reshape(3, 2)
    assert not np.isfinite(found.level[n_beats < 2]).any()
    interval_s = np.exp(found.level[:, :, INTERVAL])
    assert (interval_s[np.isfinite(interval_s)] <= length / 50).all()
    # The unit of the samples moves the heights alone.
    other = beat_sequence(segments * 8, fs_hz=50.0, n_times=n_times)
    np.testing.assert_allclose(other.level[:, :, HEIGHT], found.level[:, :, HEIGHT] + np.log(8), rtol=1e-6)
    np.testing.assert_allclose(np.delete(other.level, HEIGHT, 2), np.delete(found.level, HEIGHT, 2), atol=1e-6)
