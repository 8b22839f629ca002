"""ppgssl/signals/beat_times.py."""

import numpy as np
import pytest
import wfdb
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from ppgssl.signals.beat_times import (
    BeatTimes,
    ecg_beats,
    median_within,
    ppg_beats,
    pulse_heights,
    running_median,
    vertex,
)
from ppgssl.signals.filters import bandpass
from ppgssl.signals.preprocessing import preprocess
from tests.support.synthetic import make_ecg, make_ppg


def ppg(duration_s, rate_bpm, fs_hz=100, **options):
    return bandpass(make_ppg(duration_s, fs_hz, rate_bpm, **options), fs_hz=fs_hz, low_hz=0.5, high_hz=8)


def ecg(duration_s, rate_bpm, fs_hz=100, **options):
    return bandpass(make_ecg(duration_s, fs_hz, rate_bpm, **options), fs_hz=fs_hz, low_hz=0.5, high_hz=40)


@pytest.mark.parametrize("rate_bpm", [40.0, 77.3, 131.7, 211.0])
@pytest.mark.parametrize(("make", "find", "fs_hz"), [(ppg, ppg_beats, 100), (ecg, ecg_beats, 250)])
def test_beats_are_timed_between_the_samples(make, find, fs_hz, rate_bpm):
    beats = find(make(20, rate_bpm, fs_hz), fs_hz=fs_hz)
    intervals_s = np.diff(beats.sample)[1:-1] / fs_hz
    np.testing.assert_allclose(intervals_s, 60 / rate_bpm, atol=0.6 / fs_hz)  # No whole number of samples.
    assert np.mean(intervals_s) == pytest.approx(60 / rate_bpm, abs=0.05 / fs_hz)
    assert beats.is_interval.all()


@pytest.mark.parametrize("sign", [1, -1])
def test_r_peaks_are_found_whichever_way_they_point(sign):
    signal = ecg(20, 90, fs_hz=250)
    beats = ecg_beats(sign * signal, fs_hz=250)
    assert len(beats.sample) == pytest.approx(30, abs=1)
    nearest = np.round(beats.sample).astype(int)
    assert (signal[nearest] > 0.9 * signal.max()).all()


def test_the_ecg_beats_of_a_real_recording_are_the_annotated_ones(test_data):
    folder = test_data / "wfdb_samples"
    record = wfdb.rdrecord(str(folder / "100"), channels=[0])
    notes = wfdb.rdann(str(folder / "100"), "atr")
    true_s = notes.sample[np.array(notes.symbol) != "+"] / record.fs
    samples = preprocess(record.p_signal[:, 0], fs_hz=record.fs, fs_out_hz=100, band_hz=(0.5, 40.0)).samples
    found_s = ecg_beats(samples, fs_hz=100).sample / 100
    assert len(found_s) == len(true_s) == 2273
    assert np.percentile(np.abs(found_s - true_s), 99) < 0.01
    assert np.abs(found_s - true_s).max() < 0.1


def test_no_interval_spans_a_gap():
    signal = ppg(20, 75)
    signal[800:1200] = np.nan
    beats = ppg_beats(signal, fs_hz=100)
    across = np.searchsorted(beats.sample, 1000) - 1
    assert not beats.is_interval[across]
    assert beats.is_interval.sum() == len(beats.is_interval) - 1
    assert np.isnan(pulse_heights(signal, beats)[across])


def test_a_weaker_stretch_keeps_its_beats():
    signal = ppg(240, 75)
    signal[12_000:] *= 0.05  # The finger moved after two minutes.
    assert len(ppg_beats(signal, fs_hz=100).sample) == pytest.approx(300, abs=12)


def test_a_pause_is_no_interval():
    signal = np.concatenate([ppg(10, 75), np.zeros(300), ppg(10, 75)])
    beats = ppg_beats(signal, fs_hz=100)
    assert not beats.is_interval[np.diff(beats.sample) > 200].any()


def test_pulse_heights_are_peak_to_trough():
    signal = np.sin(2 * np.pi * np.arange(1000) / 80)
    beats = ppg_beats(signal, fs_hz=100)
    np.testing.assert_allclose(pulse_heights(signal, beats)[1:-1], 2, atol=0.01)


def test_medians_pass_over_unknown_values():
    values = np.array([1.0, np.nan, 5.0, 9.0, 2.0])
    first, last = np.array([0, 1, 0, 4, 3]), np.array([5, 4, 2, 4, 5])
    np.testing.assert_array_equal(median_within(values, first, last, at_least=2), [3.5, 7, np.nan, np.nan, 5.5])
    np.testing.assert_array_equal(running_median(values, 3), [1, 3, 7, 5, 5.5])


def test_the_vertex_of_a_parabola_is_exact():
    values = -((np.arange(9) - 4.3) ** 2)
    assert vertex(values, np.array([4]))[0] == pytest.approx(4.3)
    assert vertex(values[:5], np.array([4]))[0] == 4  # At the end there is no top.


@pytest.mark.parametrize("find", [ppg_beats, ecg_beats])
@pytest.mark.parametrize("signal", [np.zeros(0), np.zeros(1), np.ones(500), np.full(500, np.nan), np.arange(3.0)])
def test_signals_without_beats_have_none(find, signal):
    beats = find(signal, fs_hz=100)
    assert len(beats.is_interval) == max(len(beats.sample) - 1, 0)
    assert len(pulse_heights(signal, beats)) == len(beats.is_interval)
    assert len(beats.sample) <= 1


@given(
    samples=arrays(np.float32, st.integers(0, 300), elements=st.floats(width=32, allow_infinity=False, allow_nan=True)),
    fs_hz=st.sampled_from([20.0, 80.0, 100.0]),
    find=st.sampled_from([ppg_beats, ecg_beats]),
)
def test_any_samples_give_rising_beats_within_the_recording(samples, fs_hz, find):
    beats = find(samples, fs_hz=fs_hz)
    assert isinstance(beats, BeatTimes)
    assert (np.diff(beats.sample) > 0).all()
    assert ((beats.sample >= 0) & (beats.sample <= len(samples) - 1)).all()
    assert len(beats.is_interval) == max(len(beats.sample) - 1, 0)
