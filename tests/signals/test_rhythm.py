"""ppgssl/signals/rhythm.py."""

import neurokit2 as nk
import numpy as np
import pandas as pd
import pytest
import wfdb
from hypothesis import given
from hypothesis import strategies as st

from ppgssl.signals.beat_times import BeatTimes, ecg_beats, ppg_beats
from ppgssl.signals.preprocessing import preprocess
from ppgssl.signals.rhythm import RHYTHM_NAMES, rhythm_features
from ppgssl.signals.variability import heart_rate_variability
from tests.support.synthetic import make_ecg, make_ppg

FS_HZ = 100


def features(beats, samples=None, modality="ecg"):
    n_samples = int(beats.sample[-1]) + 50 if len(beats.sample) else 500
    samples = np.zeros(n_samples) if samples is None else samples
    return dict(zip(RHYTHM_NAMES, rhythm_features(samples, beats, fs_hz=FS_HZ, modality=modality), strict=True))


def beats_at(time_s):
    return BeatTimes(np.asarray(time_s) * FS_HZ, np.ones(len(time_s) - 1, dtype=bool), np.ones(len(time_s)))


def modulated(duration_s, frequency_hz=0.25, depth_s=0.03, noise_s=0.0, seed=0):
    """Times of beats whose intervals, 0.8 s in the mean, follow a sinusoid."""
    rng = np.random.default_rng(seed)
    time_s = [0.0]
    while time_s[-1] < duration_s:
        change = depth_s * np.sin(2 * np.pi * frequency_hz * time_s[-1]) + noise_s * rng.standard_normal()
        time_s.append(time_s[-1] + 0.8 + change)
    return np.array(time_s)


def without(beats, lost):
    """The same, but that the beats of these numbers were missed; and so the intervals around them."""
    kept = np.delete(np.arange(len(beats.sample)), lost)
    return BeatTimes(beats.sample[kept], np.diff(kept) == 1, np.ones(len(kept)))


def test_time_domain_indices_are_those_of_the_definition():
    time_s = modulated(60, noise_s=0.01)
    interval_ms = np.diff(time_s) * 1000
    found = features(beats_at(time_s))
    assert found["mean_nn_ms"] == pytest.approx(interval_ms.mean())
    assert found["sdnn_ms"] == pytest.approx(interval_ms.std(ddof=1))
    assert found["rmssd_ms"] == pytest.approx(np.sqrt((np.diff(interval_ms) ** 2).mean()))
    assert found["percentile_20_nn_ms"] == pytest.approx(np.percentile(interval_ms, 20))
    assert found["normal_proportion"] == 1


def test_nonlinear_indices_are_neurokit2s_of_the_whole_recording():
    time_s = modulated(240, noise_s=0.01)
    found = features(beats_at(time_s))
    expected = nk.hrv_nonlinear({"RRI": np.diff(time_s) * 1000, "RRI_Time": time_s[1:]}).iloc[0]
    of_neurokit = {"sd2_ms": "SD2", "dfa_alpha1": "DFA_alpha1", "dfa_alpha2": "DFA_alpha2", "sample_entropy": "SampEn"}
    for name, theirs in of_neurokit.items():
        assert found[name] == pytest.approx(expected[f"HRV_{theirs}"]), name


@pytest.mark.parametrize(("frequency_hz", "name"), [(0.1, "log_lf_ms2"), (0.25, "log_hf_ms2"), (0.6, "log_vhf_ms2")])
def test_the_power_of_a_sinusoid_lies_in_its_band(frequency_hz, name):
    # Half of the squared amplitude; intervals, which are mean values over a beat, lose some of the fastest.
    found = features(beats_at(modulated(290, frequency_hz)))
    lost = np.sinc(0.8 * frequency_hz) ** 2 if frequency_hz > 0.5 else 1.0
    assert np.exp(found[name]) == pytest.approx(450 * lost, rel=0.35 if lost < 1 else 0.05)
    others = {"log_lf_ms2", "log_hf_ms2", "log_vhf_ms2"} - {name}
    assert all(np.exp(found[other]) < 20 for other in others)


def test_missed_beats_hardly_change_the_spectrum():
    beats = beats_at(modulated(120))
    lost = without(beats, [*range(40, 47), 90, 91])
    assert np.exp(features(lost)["log_hf_ms2"]) == pytest.approx(np.exp(features(beats)["log_hf_ms2"]), rel=0.15)
    assert np.exp(features(lost)["log_lf_ms2"]) < 45
    assert features(lost)["rmssd_ms"] == pytest.approx(features(beats)["rmssd_ms"], rel=0.1)


def test_a_recording_has_the_indices_that_its_length_supports():
    kinds = {
        "rmssd_ms": 5,
        "log_hf_ms2": 46,
        "sample_entropy": 46,
        "log_lf_ms2": 92,
        "lf_over_hf": 92,
        "log_vlf_ms2": 227,
        "dfa_alpha2": 227,
        "sdann_5min_ms": 902,
        "tinn_ms": 902,
    }
    for duration_s in (3, 40, 60, 120, 240, 910):
        found = features(beats_at(modulated(duration_s, noise_s=0.01)))
        known = {name for name in kinds if np.isfinite(found[name])}
        assert known == {name for name, needed_s in kinds.items() if duration_s >= needed_s}, duration_s


def test_nothing_is_computed_across_long_gaps():
    # Two times 40 s: enough for a minute together, and neither alone.
    half = modulated(40, noise_s=0.01)
    beats = BeatTimes(
        np.concatenate([half, half + 60]) * FS_HZ,
        np.concatenate([np.ones(len(half) - 1), [0], np.ones(len(half) - 1)]).astype(bool),
        np.ones(2 * len(half)),
    )
    found = features(beats)
    assert np.isnan(found["log_hf_ms2"])
    assert found["rmssd_ms"] == pytest.approx(features(beats_at(half))["rmssd_ms"], rel=1e-6)


@given(
    interval_s=st.lists(st.floats(0.25, 2.5), max_size=90),
    is_whole=st.lists(st.booleans(), min_size=90, max_size=90),
    seed=st.integers(0, 9),
)
def test_any_beats_give_numbers_or_nothing_in_silence(capsys, interval_s, is_whole, seed):
    rng = np.random.default_rng(seed)
    sample = np.concatenate([[0.0], np.cumsum(interval_s)]) * FS_HZ
    beats = BeatTimes(sample, np.array(is_whole[: len(interval_s)], dtype=bool), rng.uniform(0.9, 1, len(sample)))
    found = features(beats, rng.normal(size=int(sample[-1]) + 10))
    assert len(found) == len(RHYTHM_NAMES)
    assert not np.isinf(list(found.values())).any()
    assert 0 <= np.nan_to_num(found["normal_proportion"]) <= 1
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("samples", [np.zeros(6000), np.full(6000, np.nan), np.zeros(0), np.zeros(3)])
@pytest.mark.parametrize("find", [ecg_beats, ppg_beats])
def test_a_signal_without_beats_has_no_rhythm(samples, find):
    beats = find(samples, fs_hz=FS_HZ)
    found = rhythm_features(samples, beats, fs_hz=FS_HZ, modality="ecg" if find is ecg_beats else "ppg")
    known = np.isfinite(found)
    assert set(np.array(RHYTHM_NAMES)[known]) <= {"respiratory_quality"}


def test_a_metronome_has_no_variability_and_a_fibrillating_heart_few_normal_intervals():
    for modality, make, find in (("ecg", make_ecg, ecg_beats), ("ppg", make_ppg, ppg_beats)):
        steady, irregular = (make(60, FS_HZ, irregularity=amount) for amount in (0.0, 0.25))
        found = features(find(steady, fs_hz=FS_HZ), steady, modality)
        assert found["sdnn_ms"] < 5
        assert found["normal_proportion"] > 0.97
        assert features(find(irregular, fs_hz=FS_HZ), irregular, modality)["normal_proportion"] < 0.8


def test_variability_of_a_real_ecg_is_that_of_its_reference_beats(test_data):
    record = wfdb.rdrecord(str(test_data / "wfdb_samples" / "100"), sampto=360 * 300)
    annotation = wfdb.rdann(str(test_data / "wfdb_samples" / "100"), "atr", sampto=360 * 300)
    normal = np.array([symbol == "N" for symbol in annotation.symbol])
    interval_ms = np.diff(annotation.sample) / 360 * 1000
    interval_ms = interval_ms[normal[1:] & normal[:-1]]
    samples = preprocess(record.p_signal[:, 0], fs_hz=360, fs_out_hz=FS_HZ, band_hz=(0.5, 40.0)).samples
    found = features(ecg_beats(samples, fs_hz=FS_HZ), samples)
    assert found["normal_proportion"] > 0.9
    assert found["mean_nn_ms"] == pytest.approx(interval_ms.mean(), rel=0.005)
    assert found["sdnn_ms"] == pytest.approx(interval_ms.std(ddof=1), rel=0.1)
    assert np.isfinite(found["log_vlf_ms2"])
    assert found["respiratory_quality"] > 0.3


def test_variability_of_real_pulses_is_near_the_devices_own(test_data):
    folder = test_data / "stress_predict" / "S06"
    raw = np.loadtxt(folder / "BVP.csv", skiprows=2)[: 64 * 600]
    device = pd.read_csv(folder / "IBI.csv", skiprows=1, header=None).to_numpy(dtype=float)
    device = device[device[:, 0] < 600]
    samples = preprocess(raw, fs_hz=64, fs_out_hz=FS_HZ, band_hz=(0.5, 8.0)).samples
    found = features(ppg_beats(samples, fs_hz=FS_HZ), samples, "ppg")
    assert found["median_nn_ms"] == pytest.approx(1000 * np.median(device[:, 1]), rel=0.05)


def test_the_recording_has_the_variability_of_its_only_segment():
    samples = make_ecg(60, FS_HZ, irregularity=0.04)
    beats = ecg_beats(samples, fs_hz=FS_HZ)
    sdnn, rmssd = heart_rate_variability(beats, np.zeros(1, dtype=int), len(samples), fs_hz=FS_HZ)
    found = features(beats, samples)
    assert (found["sdnn_ms"], found["rmssd_ms"]) == pytest.approx((sdnn[0], rmssd[0]))
