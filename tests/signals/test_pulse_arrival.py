"""ppgssl/signals/pulse_arrival.py."""

import numpy as np
import pytest
import wfdb

from ppgssl.signals.beat_times import BeatTimes, ecg_beats, ppg_beats
from ppgssl.signals.preprocessing import preprocess
from ppgssl.signals.pulse_arrival import pulse_arrival_time


def beats_at(times_s):
    return BeatTimes(np.asarray(times_s) * 100, np.ones(max(len(times_s) - 1, 0), dtype=bool))


def arrival(r_peaks_s, upstrokes_s, starts=(0,)):
    return pulse_arrival_time(beats_at(r_peaks_s), beats_at(upstrokes_s), np.array(starts), 1000, fs_hz=100)


def test_the_delay_is_found():
    r_peaks = np.arange(0.3, 20, 0.8)
    np.testing.assert_allclose(arrival(r_peaks, r_peaks + 0.234, starts=(0, 500, 1000)), 234)


def test_missing_and_extra_pulses_do_not_move_the_median():
    r_peaks = np.arange(0.3, 10, 0.8)
    upstrokes = np.sort(np.append(np.delete(r_peaks + 0.25, [3, 7]), [2.0, 5.1]))
    assert arrival(r_peaks, upstrokes)[0] == pytest.approx(250)


def test_a_delay_out_of_range_is_none():
    r_peaks = np.arange(0.3, 10, 1.5)
    assert np.isnan(arrival(r_peaks, r_peaks + 0.02)).all()
    assert np.isnan(arrival(r_peaks, r_peaks + 0.7)).all()


def test_two_pairs_are_too_few():
    assert np.isnan(arrival([1.0, 2.0], [1.2, 2.2]))
    assert arrival([1.0, 2.0, 3.0], [1.2, 2.2, 3.2])[0] == pytest.approx(200)


def test_pulses_of_another_rhythm_have_no_arrival_time():
    rng = np.random.default_rng(0)
    r_peaks = np.cumsum(rng.uniform(0.6, 1.0, 300))
    upstrokes = np.cumsum(rng.uniform(0.5, 0.9, 340))
    assert np.isnan(arrival(r_peaks, upstrokes, starts=np.arange(0, 22_000, 1000))).mean() > 0.8


def test_without_beats_there_is_none():
    assert np.isnan(arrival([], [1.0, 2.0])).all()
    assert np.isnan(arrival([1.0, 2.0], [])).all()


def test_a_real_monitor_gives_one_delay_throughout(test_data):
    record = wfdb.rdrecord(str(test_data / "wfdb_samples/mixedsignals"), smooth_frames=False)
    raw = {name.lower(): (x, record.fs * n) for name, x, n in zip(
        record.sig_name, record.e_p_signal, record.samps_per_frame, strict=True
    )}  # fmt: skip
    ecg = preprocess(raw["ii"][0], fs_hz=raw["ii"][1], fs_out_hz=100, band_hz=(0.5, 40.0)).samples
    ppg = preprocess(raw["pleth"][0], fs_hz=raw["pleth"][1], fs_out_hz=100, band_hz=(0.5, 8.0)).samples
    found = pulse_arrival_time(
        ecg_beats(ecg, fs_hz=100), ppg_beats(ppg, fs_hz=100), np.arange(1000, 22_000, 1000), 1000, fs_hz=100
    )
    assert np.isfinite(found).mean() > 0.9
    assert np.nanstd(found) < 25
