"""ppgssl/signals/segment_beats.py."""

import numpy as np
import pytest

from ppgssl.signals.filters import bandpass
from ppgssl.signals.segment_beats import Beats, beat_interval, beat_similarity, find_beats
from tests.support.synthetic import make_ecg, make_ppg


def ppg_segments(*rates_bpm, duration_s=10, **options):
    return np.stack(
        [bandpass(make_ppg(duration_s, 100, rate, **options), fs_hz=100, low_hz=0.5, high_hz=8) for rate in rates_bpm]
    )


@pytest.mark.parametrize("rate_bpm", [45, 75, 120, 180, 240])
def test_every_beat_of_a_ppg_is_found_once(rate_bpm):
    beats = find_beats(ppg_segments(rate_bpm, noise=0.02), fs_hz=100)
    assert len(beats.sample) == pytest.approx(10 * rate_bpm / 60, abs=1)
    inside = np.diff(beats.sample)[1:-1]  # An upstroke that is cut off is steepest at the cut.
    np.testing.assert_allclose(inside, 6000 / rate_bpm, atol=3)


def test_every_r_wave_is_found_once():
    ecg = bandpass(make_ecg(10, 250, 90, noise=0.02), fs_hz=250, low_hz=0.5, high_hz=40)
    beats = find_beats(ecg[None], fs_hz=250)
    assert len(beats.sample) == pytest.approx(15, abs=1)


def test_a_burst_of_movement_does_not_hide_the_beats():
    segment = ppg_segments(75)
    segment[0, 400:480] *= 8
    assert len(find_beats(segment, fs_hz=100).sample) >= 11


def test_the_interval_is_the_median_within_each_segment():
    beats = Beats(np.array([0, 0, 0, 0, 2, 3, 3]), np.array([10, 20, 50, 70, 5, 1, 8]))
    np.testing.assert_array_equal(beat_interval(beats, 5), [20, np.nan, np.nan, 7, np.nan])


def test_equal_beats_are_alike_at_any_rhythm_and_noise_is_not():
    pulses = np.concatenate([ppg_segments(60, 110), ppg_segments(80, irregularity=0.25)])
    noise = np.random.default_rng(0).standard_normal((20, 1000))
    assert (beat_similarity(pulses, find_beats(pulses, fs_hz=100)) > 0.9).all()
    assert (beat_similarity(noise, find_beats(noise, fs_hz=100)) < 0.5).all()


def test_one_beat_has_nothing_to_be_compared_with():
    segment = np.exp(-(((np.arange(200) - 100) / 10.0) ** 2))[None]
    assert np.isnan(beat_similarity(segment, find_beats(segment, fs_hz=100))).all()


def test_a_segment_is_judged_alike_alone_and_among_others():
    segments = ppg_segments(50, 70, 90, 200, noise=0.1)
    together = beat_similarity(segments, find_beats(segments, fs_hz=100))
    alone = [beat_similarity(row[None], find_beats(row[None], fs_hz=100))[0] for row in segments]
    np.testing.assert_allclose(together, alone)
