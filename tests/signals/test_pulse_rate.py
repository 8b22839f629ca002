"""ppgssl/signals/pulse_rate.py."""

import csv

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from ppgssl.signals.beat_times import BeatTimes
from ppgssl.signals.filters import bandpass
from ppgssl.signals.preprocessing import preprocess
from ppgssl.signals.pulse_rate import autocorrelation, beat_rate, heart_rate
from ppgssl.signals.segmentation import cut, segment_starts
from tests.support.synthetic import make_ecg, make_ppg


def one(x, fs_hz, high_hz=8.0):
    return heart_rate(bandpass(x, fs_hz=fs_hz, low_hz=0.5, high_hz=high_hz)[None], fs_hz=fs_hz)[0]


@pytest.mark.parametrize("fs_hz", [50, 80, 100, 250])
@pytest.mark.parametrize("rate_bpm", [35, 45, 60, 90, 150, 200, 235])
def test_ten_seconds_of_ppg_give_the_rate_to_a_beat(rate_bpm, fs_hz):
    assert one(make_ppg(10, fs_hz, rate_bpm, noise=0.02), fs_hz) == pytest.approx(rate_bpm, abs=1)


@pytest.mark.parametrize("rate_bpm", [45, 75, 120, 180])
def test_ten_seconds_of_ecg_give_the_rate_to_a_beat(rate_bpm):
    assert one(make_ecg(10, 250, rate_bpm, noise=0.02), 250, 40.0) == pytest.approx(rate_bpm, abs=1)


@pytest.mark.parametrize("rate_bpm", [60, 75, 100, 140, 200])
@pytest.mark.parametrize("seed", range(5))
def test_two_seconds_of_ppg_give_the_rate_without_octave_errors(rate_bpm, seed):
    ppg = make_ppg(2, 100, rate_bpm, noise=0.02, rng=np.random.default_rng(seed))
    assert one(ppg, 100) == pytest.approx(rate_bpm, rel=0.1)


def test_an_irregular_rhythm_gives_its_typical_rate():
    rates = [one(make_ppg(10, 100, 90, irregularity=0.2, rng=np.random.default_rng(seed)), 100) for seed in range(20)]
    assert np.median(rates) == pytest.approx(90, abs=8)
    assert np.isfinite(rates).all()


def test_noise_has_no_pulse():
    noise = np.random.default_rng(0).standard_normal((200, 1000))
    assert np.isnan(heart_rate(noise, fs_hz=100)).mean() > 0.95


def test_undefined_segments_give_nan_among_others():
    segments = np.stack([bandpass(make_ppg(10, 100, 80), fs_hz=100, low_hz=0.5, high_hz=8)] * 3)
    segments[0], segments[1, 7] = 3.0, np.nan
    rates = heart_rate(segments, fs_hz=100)
    assert np.isnan(rates).tolist() == [True, True, False]


@given(
    segments=arrays(np.float32, array_shapes(min_dims=2, max_dims=2, min_side=0, max_side=60)),
    fs_hz=st.sampled_from([5.0, 20.0, 100.0]),
)
def test_any_segments_give_a_plausible_rate_or_nan(segments, fs_hz):
    rates = heart_rate(segments, fs_hz=fs_hz)
    assert rates.shape == (len(segments),)
    assert np.all(np.isnan(rates) | ((rates >= 30) & (rates <= 240)))


@given(seed=st.integers(0, 2**31), scale=st.floats(1e-3, 1e4), shift=st.floats(-100, 100))
def test_the_rate_does_not_depend_on_unit_or_offset(seed, scale, shift):
    ppg = make_ppg(10, 80, 40 + seed % 160, noise=0.05, rng=np.random.default_rng(seed))[None]
    np.testing.assert_allclose(heart_rate(scale * (ppg + shift), fs_hz=80), heart_rate(ppg, fs_hz=80), rtol=1e-3)


def test_the_autocorrelation_of_a_period_is_one_however_short_the_segment():
    tone = np.sin(2 * np.pi * np.arange(150) / 50)[None]
    correlation = autocorrelation(tone, 101)
    np.testing.assert_allclose(correlation[0, [0, 25, 50, 100]], [1, -1, 1, 1], atol=1e-6)


def test_minute_recordings_agree_with_their_spectrum(test_data):
    errors = []
    for number in range(1, 79, 3):
        raw = np.loadtxt(test_data / f"mw_ppg/recordings/bp_dataset_{number}.csv", delimiter=",", skiprows=1)[:, 1]
        samples = preprocess(raw, fs_hz=200, fs_out_hz=80, band_hz=(0.5, 8.0)).samples
        segments = cut(samples, segment_starts(len(samples), fs_hz=80, segment_s=10, step_s=10), 800)
        segments = segments[np.isfinite(segments).all(axis=1)]
        spectrum = np.abs(np.fft.rfft(segments * np.hanning(800), 16_384))
        frequency_bpm = 60 * np.fft.rfftfreq(16_384, 1 / 80)
        spectrum[:, (frequency_bpm < 40) | (frequency_bpm > 200)] = 0
        errors.extend(heart_rate(segments, fs_hz=80) - frequency_bpm[spectrum.argmax(axis=1)])
    assert np.median(np.abs(errors)) < 2
    assert np.mean(np.abs(errors) > 10) < 0.02


def test_the_short_clinic_recordings_agree_with_the_clinical_table(test_data):
    with (test_data / "ppg_bp/clinical.csv").open(newline="") as file:
        table = {row["subject_id"]: float(row["heart_rate_bpm"]) for row in csv.DictReader(file)}
    is_near = []
    for patient, expected in table.items():
        rates = []
        for path in (test_data / "ppg_bp/signals").glob(f"{patient}_*.txt"):
            raw = np.array(path.read_text().split(), dtype=float)[:2100]
            samples = preprocess(raw, fs_hz=1000, fs_out_hz=100, band_hz=(0.5, 8.0)).samples
            rates.append(heart_rate(samples[None, :200], fs_hz=100)[0])
        is_near.append(abs(np.nanmean(rates) - expected) <= 10)
    assert np.mean(is_near) > 0.9


def test_the_rate_of_beats_is_not_moved_by_one_too_many_and_follows_an_irregular_rhythm():
    regular = np.sort(np.append(np.arange(50.0, 1000, 80), 490.0))
    starts = np.zeros(1, dtype=np.int64)
    found = beat_rate(BeatTimes(regular, np.ones(len(regular) - 1, bool)), starts, 1000, fs_hz=100)
    np.testing.assert_allclose(found, 75)
    irregular = np.cumsum([40.0, 50, 90, 60, 110, 45, 80, 120, 55, 95])
    found = beat_rate(BeatTimes(irregular, np.ones(9, bool)), starts, 1000, fs_hz=100)
    np.testing.assert_allclose(found, 6000 * 9 / (irregular[-1] - irregular[0]))
    few = BeatTimes(np.array([100.0, 300, 700]), np.array([True, False]))
    assert np.isnan(beat_rate(few, starts, 1000, fs_hz=100)).all()
    assert np.isnan(beat_rate(BeatTimes(np.zeros(0), np.zeros(0, bool)), starts, 1000, fs_hz=100)).all()
