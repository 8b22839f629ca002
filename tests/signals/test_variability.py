"""ppgssl/signals/variability.py."""

import numpy as np
import pytest
import wfdb

from ppgssl.signals.beat_times import BeatTimes, ecg_beats
from ppgssl.signals.preprocessing import preprocess
from ppgssl.signals.variability import heart_rate_variability, normal_intervals


def beats_from(intervals_ms, fs_hz=100, start_s=0.1):
    sample = (start_s + np.concatenate([[0], np.cumsum(intervals_ms) / 1000])) * fs_hz
    return BeatTimes(sample, np.ones(len(intervals_ms), dtype=bool))


def variability(beats, starts=(0,), length=1000, fs_hz=100):
    return heart_rate_variability(beats, np.array(starts), length, fs_hz=fs_hz)


def test_sdnn_and_rmssd_are_those_of_the_definition():
    intervals = np.array([800, 820, 790, 810, 805, 830, 795, 800, 815, 790, 805.0])
    sdnn, rmssd = variability(beats_from(intervals))
    assert sdnn[0] == pytest.approx(np.std(intervals, ddof=1))
    assert rmssd[0] == pytest.approx(np.sqrt(np.mean(np.diff(intervals) ** 2)))


def test_only_intervals_inside_the_segment_count():
    calm, lively = np.tile([800.0, 804.0], 20), np.tile([800.0, 880.0], 20)
    beats = beats_from(np.concatenate([calm, lively]))
    _, rmssd = variability(beats, starts=(0, 2200, 4000))
    assert rmssd[0] == pytest.approx(4)
    assert rmssd[2] == pytest.approx(80)
    assert rmssd[0] < variability(beats, starts=(2700,))[1][0] < rmssd[2]


def test_an_ectopic_beat_changes_nothing_but_the_count():
    intervals = np.tile([800.0, 810.0, 805.0], 5)
    clean = variability(beats_from(intervals[:11]))
    ectopic = np.concatenate([intervals[:6], [480.0, 1130.0], intervals[6:9]])
    beats = beats_from(ectopic)
    assert normal_intervals(beats).tolist() == [True] * 6 + [False] * 2 + [True] * 3
    sdnn, rmssd = variability(beats)
    assert sdnn[0] == pytest.approx(clean.sdnn_ms[0], rel=0.2)
    assert rmssd[0] == pytest.approx(clean.rmssd_ms[0], rel=0.2)


def test_a_missed_beat_is_no_variability():
    intervals = np.tile([800.0, 806.0], 6)
    intervals[4:6] = [1606.0, 800.0]
    assert variability(beats_from(intervals))[1][0] < 10


@pytest.mark.parametrize("n_intervals", [0, 1, 4])
def test_too_few_intervals_have_no_variability(n_intervals):
    assert np.isnan(variability(beats_from(np.full(n_intervals, 800.0)))).all()


def test_five_intervals_are_enough():
    assert np.isfinite(variability(beats_from(np.full(5, 800.0)))).all()


def test_an_irregular_rhythm_has_no_normal_variability():
    rng = np.random.default_rng(0)
    beats = beats_from(rng.uniform(350, 1300, 100))
    sdnn, _ = variability(beats, starts=np.arange(0, 6000, 200))
    assert np.isnan(sdnn).mean() > 0.9


def test_a_day_keeps_its_precision():
    rng = np.random.default_rng(0)
    intervals = 800 + rng.normal(0, 20, 100_000)
    beats = beats_from(intervals)
    at = 7_900_000
    inside = (beats.sample >= at) & (beats.sample < at + 30_000)
    expected = np.diff(beats.sample[inside]) * 10
    sdnn, rmssd = variability(beats, starts=(at,), length=30_000)
    assert sdnn[0] == pytest.approx(np.std(expected, ddof=1), rel=1e-6)
    assert rmssd[0] == pytest.approx(np.sqrt(np.mean(np.diff(expected) ** 2)), rel=1e-6)


def test_a_real_ecg_varies_as_its_annotations_do(test_data):
    folder = test_data / "wfdb_samples"
    record, notes = wfdb.rdrecord(str(folder / "100"), channels=[0]), wfdb.rdann(str(folder / "100"), "atr")
    is_beat = np.array(notes.symbol) != "+"
    true = BeatTimes(notes.sample[is_beat] / 3.6, np.ones(is_beat.sum() - 1, dtype=bool))
    samples = preprocess(record.p_signal[:, 0], fs_hz=360, fs_out_hz=100, band_hz=(0.5, 40.0)).samples
    starts = np.arange(0, 174_000, 6000)
    ours, expected = (variability(beats, starts=starts, length=6000) for beats in (ecg_beats(samples, fs_hz=100), true))
    assert np.median(np.abs(ours.sdnn_ms - expected.sdnn_ms)) < 1
    assert np.median(np.abs(ours.rmssd_ms - expected.rmssd_ms)) < 2
