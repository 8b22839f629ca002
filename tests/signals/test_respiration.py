"""ppgssl/signals/respiration.py."""

import csv

import numpy as np
import pytest
import wfdb
from hypothesis import given
from hypothesis import strategies as st
from scipy.io import loadmat
from scipy.signal import lfilter

from ppgssl.signals.beat_times import BeatTimes, ecg_beats, ppg_beats
from ppgssl.signals.preprocessing import preprocess
from ppgssl.signals.respiration import MIN_QUALITY, respiration, respiratory_rate
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
    assert np.isfinite(found).mean() > 0.8
    errors = found[np.isfinite(found)] - resp_per_min
    assert np.mean(np.abs(errors) < 3) > 0.95


def pulses(heart_bpm, n_beats, *, resp_per_min=None, memory=0.7, seed=0):
    """Cosine pulses at 100 Hz: level, height and interval are noise of that memory, with or without breathing."""
    rng = np.random.default_rng(seed)
    noise = lfilter([1], [1, -memory], rng.standard_normal((3, n_beats)), axis=1)
    if resp_per_min is not None:
        noise += 2 * noise.std() * np.sin(2 * np.pi * resp_per_min / heart_bpm * np.arange(n_beats) + [[0], [1], [2]])
    level, height, interval = noise / noise.std(axis=1, keepdims=True)
    edges = np.concatenate([[0.0], np.cumsum(6000 / heart_bpm * (1 + 0.03 * interval))])
    time = np.arange(int(edges[-1]))
    beat = np.searchsorted(edges, time, side="right") - 1
    phase = (time - edges[beat]) / np.diff(edges)[beat]
    samples = 0.05 * level[beat] - (1 + 0.05 * height[beat]) * np.cos(2 * np.pi * phase)
    return samples, BeatTimes(edges[:-1], np.ones(n_beats - 1, dtype=bool))


@pytest.mark.parametrize("memory", [0.0, 0.7, 0.98])
def test_noise_of_any_colour_is_seldom_taken_for_breathing(memory):
    """A slope of the spectrum that stays for a quarter of an hour is no evidence."""
    given_rates = []
    for seed in range(4):
        samples, found = pulses(70, 1000, memory=memory, seed=seed)
        starts = np.arange(0, len(samples) - 6000, 3000)
        given_rates.append(respiratory_rate(samples, found, starts, 6000, fs_hz=100, modality="ppg"))
    assert np.isfinite(np.concatenate(given_rates)).mean() < 0.1


def test_breathing_in_the_same_noise_is_found_and_its_quality_is_high():
    samples, found = pulses(70, 1000, resp_per_min=14)
    rate, quality = respiration(samples, found, np.arange(0, 80_000, 3000), 6000, fs_hz=100, modality="ppg")
    np.testing.assert_allclose(rate, 14, atol=1)
    assert quality.min() > 0.9


def test_where_few_intervals_are_normal_there_is_no_evidence():
    samples, found = pulses(70, 500, resp_per_min=14)
    at_random = np.sort(np.random.default_rng(0).uniform(found.sample[300], found.sample[-1], 200))
    beats = BeatTimes(np.concatenate([found.sample[:300], at_random]), found.is_interval)
    starts = np.arange(0, 42_000, 1000)
    rate, quality = respiration(samples, beats, starts, 1000, fs_hz=100, modality="ppg")
    before, after = starts < found.sample[300] - 3000, starts > found.sample[300] + 2000
    np.testing.assert_allclose(rate[before], 14, atol=1)
    assert (quality[before] > 0.9).all()
    assert (quality[after] == 0).all()
    assert np.isnan(rate[after]).all()


@given(
    seed=st.integers(0, 2**32 - 1),
    n_seconds=st.floats(0.5, 120),
    bpm=st.floats(20, 250),
    share_missing=st.sampled_from([0.0, 0.1, 0.6]),
    scale=st.sampled_from([1e-6, 1.0, 1e6]),
    modality=st.sampled_from(["ppg", "ecg"]),
)
def test_any_signal_has_a_rate_in_range_or_none_whatever_its_unit(seed, n_seconds, bpm, share_missing, scale, modality):
    rng = np.random.default_rng(seed)
    samples = rng.standard_normal(int(100 * n_seconds))
    samples[rng.random(len(samples) // 100 + 1).repeat(100)[: len(samples)] < share_missing] = np.nan
    times = np.cumsum(6000 / bpm * rng.uniform(0.8, 1.2, int(n_seconds * bpm / 60) + 1))
    times = times[times < len(samples) - 1]
    beats = BeatTimes(times, np.diff(times) <= 200)
    starts = np.arange(0, len(samples), 250)
    rate, quality = respiration(samples, beats, starts, 1000, fs_hz=100, modality=modality)
    assert rate.shape == quality.shape == starts.shape
    assert ((quality >= 0) & (quality <= 1)).all()
    assert (np.isnan(rate) | ((rate >= 4) & (rate <= 65))).all()
    assert (quality[np.isnan(rate)] == 0).all()
    scaled = respiration(scale * samples, beats, starts, 1000, fs_hz=100, modality=modality)
    np.testing.assert_allclose(scaled.quality, quality, atol=1e-6)


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
    assert np.isfinite(found).mean() > 0.7
    assert np.nanmean(errors) < 0.5


def test_minutes_of_finger_video_have_the_rate_of_the_breathed_out_co2(test_data):
    folder = test_data / "oximetry_phone"
    with (folder / "reference.csv").open(newline="") as file:
        monitor = [(row["subject"], float(row["rr_co2_per_min"] or "nan")) for row in csv.DictReader(file)]
    errors, qualities = [], []
    for path in sorted((folder / "camera").glob("*/*.csv")):
        green = np.loadtxt(path, delimiter=",", skiprows=1, usecols=1)
        samples = preprocess(-green, fs_hz=30, fs_out_hz=100, band_hz=(0.5, 8.0)).samples
        starts = np.arange(0, len(samples) - 6000 + 1, 3000)
        beats = ppg_beats(samples, fs_hz=100)
        rate, quality = respiration(samples, beats, starts, 6000, fs_hz=100, modality="ppg")
        of_subject = np.array([value for subject, value in monitor if subject == path.stem])
        expected = np.array([np.nanmean(of_subject[start : start + 60]) for start in starts // 100])
        errors.append(np.abs(rate - expected))
        qualities.append(quality)
    error, quality = np.concatenate(errors), np.concatenate(qualities)
    assert len(error) == 384
    assert np.mean(quality >= MIN_QUALITY) > 0.85
    assert error[quality >= MIN_QUALITY].mean() < 1
    assert np.mean(error[quality >= 0.9] <= 2) > np.mean(error[quality >= MIN_QUALITY] <= 2) > 0.85
    assert np.mean(error[quality < MIN_QUALITY] <= 2) < 0.7


def test_runners_have_no_respiratory_rate(test_data):
    found = []
    for path in sorted((test_data / "spc2015/recordings").glob("*.mat"))[:4]:
        samples = preprocess(loadmat(path)["sig"][1], fs_hz=125, fs_out_hz=100, band_hz=(0.5, 8.0)).samples
        starts = np.arange(3000, len(samples) - 4000, 500)
        beats = ppg_beats(samples, fs_hz=100)
        found.append(respiratory_rate(samples, beats, starts, 1000, fs_hz=100, modality="ppg"))
    assert np.isfinite(np.concatenate(found)).mean() < 0.05
