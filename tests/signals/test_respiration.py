"""ppgssl/signals/respiration.py."""

import numpy as np
import pytest
import wfdb

from ppgssl.signals.beat_times import BeatTimes, ecg_beats, ppg_beats
from ppgssl.signals.preprocessing import preprocess
from ppgssl.signals.respiration import respiratory_rate
from ppgssl.simulate.waveform import Vitals, simulate_light

STARTS = np.arange(0, 5001, 500)


def recording(resp_per_min, heart_bpm, *, depth=0.25, variability=0.04, duration_s=60, seed=0):
    vitals = Vitals(heart_bpm, resp_per_min, 97, 2, 0, variability, depth)
    light = simulate_light(vitals, duration_s=duration_s, fs_hz=100, rng=np.random.default_rng(seed)).infrared
    return preprocess(-light, fs_hz=100, fs_out_hz=100, band_hz=(0.5, 8.0)).samples


def rates(samples, starts=STARTS, length=1000):
    beats = ppg_beats(samples, fs_hz=100)
    return respiratory_rate(samples, beats, starts, length, fs_hz=100, modality="ppg")


@pytest.mark.parametrize(("resp_per_min", "heart_bpm"), [(10, 70), (16, 75), (25, 110), (36, 130), (50, 160)])
def test_breathing_is_found_from_slow_adults_to_fast_infants(resp_per_min, heart_bpm):
    found = np.concatenate([rates(recording(resp_per_min, heart_bpm, seed=seed)) for seed in range(6)])
    assert np.isfinite(found).mean() > 0.4
    errors = found[np.isfinite(found)] - resp_per_min
    assert np.mean(np.abs(errors) < 3) > 0.9


def test_without_breathing_there_is_seldom_a_rate():
    found = np.concatenate([rates(recording(30, 120, depth=0.0, variability=0.0, seed=seed)) for seed in range(10)])
    assert np.isfinite(found).mean() < 0.25


def test_short_recordings_give_a_rate_from_sixteen_seconds_on():
    short, enough = (recording(30, 120, depth=0.4, duration_s=s) for s in (15.5, 20))
    assert np.isnan(rates(short, np.array([0, 500]))).all()
    np.testing.assert_allclose(rates(enough, np.array([0, 500, 1000])), 30, atol=3)


def test_segments_at_the_ends_share_the_first_and_last_window():
    found = np.stack(
        [rates(recording(30, 120, depth=0.4, seed=seed), np.array([0, 200, 1000, 4500, 5000])) for seed in range(5)]
    )
    assert np.isfinite(found).any()
    np.testing.assert_array_equal(found[:, 1:3], found[:, [0, 0]])
    np.testing.assert_array_equal(found[:, 3], found[:, 4])


def test_long_segments_are_windows_of_their_own():
    samples = recording(24, 100, depth=0.4, duration_s=120)
    np.testing.assert_allclose(rates(samples, np.array([0, 6000]), length=6000), 24, atol=2)


def test_a_gap_leaves_windows_without_it():
    samples = recording(30, 120, depth=0.4, duration_s=120, seed=1)
    samples[5000:7000] = np.nan
    found = rates(samples, np.arange(0, 11_001, 500))
    assert np.isnan(found[10:13]).all()
    assert np.isfinite(found[[0, 1, 2, -2, -1]]).all()


def test_without_beats_there_is_no_rate():
    nothing = BeatTimes(np.zeros(0), np.zeros(0, dtype=bool))
    for samples in (np.zeros(0), np.zeros(6000), np.full(6000, np.nan)):
        found = respiratory_rate(samples, nothing, STARTS, 1000, fs_hz=100, modality="ecg")
        assert np.isnan(found).all()


def test_a_real_ecg_gives_the_rate_of_its_impedance_channel(test_data):
    record = wfdb.rdrecord(str(test_data / "wfdb_samples/03700181"), smooth_frames=False)
    ecg = preprocess(record.e_p_signal[0], fs_hz=500, fs_out_hz=100, band_hz=(0.5, 40.0)).samples
    starts = np.arange(0, 59_000, 1000)
    found = respiratory_rate(ecg, ecg_beats(ecg, fs_hz=100), starts, 1000, fs_hz=100, modality="ecg")
    breaths = np.nan_to_num(record.e_p_signal[2])
    expected = []
    for start in starts:
        first = int(np.clip(1.25 * start + 625 - 2000, 0, len(breaths) - 4000))
        window = breaths[first : first + 4000]
        power = np.abs(np.fft.rfft((window - window.mean()) * np.hanning(4000), 32_768))
        per_min = 60 * np.fft.rfftfreq(32_768, 1 / 125)
        power[(per_min < 4) | (per_min > 65)] = 0
        expected.append(per_min[power.argmax()])
    errors = np.abs(found - expected)
    assert np.isfinite(found).mean() > 0.4
    assert np.nanmean(errors) < 1
