"""ppgssl/signals/rate_track.py."""

import numpy as np
import pytest

from ppgssl.core.errors import SignalError
from ppgssl.signals import heart_rate_track
from ppgssl.signals.filters import bandpass
from ppgssl.signals.rate_track import STEP_S, WINDOW_S, RateTrack
from tests.support.synthetic import make_ppg

FS = 100


def pulses(rate_bpm, *, seconds=60, seed=0):
    rng = np.random.default_rng(seed)
    made = bandpass(make_ppg(seconds, FS, rate_bpm, noise=0.02, rng=rng), fs_hz=FS, low_hz=0.5, high_hz=8)
    return made / made.std()


def movement(hz, *, seconds=60):
    t = np.arange(seconds * FS) / FS
    return np.sin(2 * np.pi * hz * t) + 0.6 * np.sin(4 * np.pi * hz * t + 1)


@pytest.mark.parametrize("rate_bpm", [45, 60, 90, 140, 200])
@pytest.mark.parametrize("n_channels", [1, 3])
def test_a_clean_pulse_is_tracked_at_every_rate(rate_bpm, n_channels):
    track = heart_rate_track([pulses(rate_bpm, seed=seed) for seed in range(n_channels)], fs_hz=FS)
    assert len(track.time_s) == (60 - WINDOW_S) // STEP_S + 1
    np.testing.assert_allclose(track.heart_rate_bpm, rate_bpm, atol=5)
    assert np.median(track.probability) > 0.8


def test_an_accelerometer_says_which_of_two_rhythms_is_the_movement():
    pulse, other = 72 / 60, 1.75
    axes = [movement(other), 0.5 * movement(other), 0.02 * movement(0.3)]
    disturbed = pulses(60 * pulse) + 1.5 * movement(other)
    track = heart_rate_track(disturbed, fs_hz=FS, acceleration=axes)
    np.testing.assert_allclose(track.heart_rate_bpm, 60 * pulse, atol=5)


def test_a_gap_is_bridged_and_less_probable():
    x = pulses(80)
    x[2000:3500] = np.nan
    track = heart_rate_track(x, fs_hz=FS)
    np.testing.assert_allclose(track.heart_rate_bpm, 80, atol=6)
    inside = (track.time_s > 26) & (track.time_s < 29)
    assert track.probability[inside].max() < track.probability[track.time_s < 12].min()


def test_what_holds_no_pulse_is_not_probable():
    noise = bandpass(np.random.default_rng(0).standard_normal(6000), fs_hz=FS, low_hz=0.5, high_hz=8)
    assert np.median(heart_rate_track(noise, fs_hz=FS).probability) < 0.6
    nothing = heart_rate_track(np.full(6000, np.nan), fs_hz=FS)
    assert nothing.probability.max() < 0.5


def test_short_recordings_have_no_track_and_other_lengths_are_refused():
    assert not len(heart_rate_track(pulses(60, seconds=5), fs_hz=FS).time_s)
    with pytest.raises(SignalError, match="of one length"):
        heart_rate_track(pulses(60), fs_hz=FS, acceleration=np.zeros((3, 10)))


def test_segments_take_the_windows_within_them_or_the_nearest():
    time_s = WINDOW_S / 2 + STEP_S * np.arange(10)
    track = RateTrack(time_s, np.linspace(60, 69, 10), np.full(10, 0.5), np.zeros(10))
    long = track.over(np.array([0.0, 6.0]), 12.0)
    np.testing.assert_allclose(long.heart_rate_bpm, [61, 64])  # Middles within 2 s of 6 s and of 12 s.
    np.testing.assert_allclose(long.probability, 0.5)
    short = track.over(np.array([0.0, 9.0, 24.0]), 2.0)
    np.testing.assert_allclose(short.heart_rate_bpm, [60, 63, 69])
    with pytest.raises(ValueError, match="no track"):
        RateTrack(*[np.zeros(0)] * 4).over(np.array([0.0]), 10.0)
