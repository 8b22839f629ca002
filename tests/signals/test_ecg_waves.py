"""ppgssl/signals/ecg_waves.py."""

import numpy as np
import pytest
import wfdb
from hypothesis import given, settings
from hypothesis import strategies as st

from ppgssl.signals.beat_times import BeatTimes, ecg_beats
from ppgssl.signals.ecg_waves import ECG_WAVE_NAMES, ecg_wave_features
from ppgssl.signals.preprocessing import preprocess
from tests.support.synthetic import make_ecg

FS_HZ = 250


def features(samples, fs_hz=FS_HZ):
    beats = ecg_beats(samples, fs_hz=fs_hz)
    return dict(zip(ECG_WAVE_NAMES, ecg_wave_features(samples, beats, fs_hz=fs_hz), strict=True))


def recorded(test_data, name, lead, fs_hz=FS_HZ, band_hz=(0.5, 40.0), add=None):
    """A minute of a lead, prepared as ingest does; ``add`` is added to the raw samples, in mV."""
    record = wfdb.rdrecord(str(test_data / "wfdb_samples" / name), channel_names=[lead])
    raw = record.p_signal[: 60 * record.fs, 0]
    raw = raw if add is None else raw + add(raw, record.fs)
    return preprocess(raw, fs_hz=record.fs, fs_out_hz=fs_hz, band_hz=band_hz).samples


def test_intervals_and_amplitudes_of_a_made_up_ecg_are_found():
    found = features(make_ecg(60, FS_HZ))
    assert found["p_to_r_ms"] == pytest.approx(96, abs=4)  # 0.12 of a beat of 800 ms
    assert found["r_to_t_ms"] == pytest.approx(200, abs=4)
    assert (found["r_amplitude"], found["p_amplitude"], found["t_amplitude"]) == pytest.approx(
        (1, 0.12, 0.25), abs=0.05
    )
    assert found["st_level"] == pytest.approx(0, abs=0.05)
    # The tangent at the steepest point of a bell curve meets its base two standard deviations, 80 ms, after the peak.
    assert found["qt_ms"] == pytest.approx(found["qrs_ms"] / 2 + 280, abs=25)
    assert found["qtc_bazett_ms"] == pytest.approx(found["qt_ms"] / 0.8**0.5)
    assert found["qtc_fridericia_ms"] == pytest.approx(found["qt_ms"] / 0.8 ** (1 / 3))
    assert found["beat_likeness"] > 0.99
    assert found["usable_proportion"] > 0.9


@settings(max_examples=8)
@given(scale=st.floats(0.01, 100), seed=st.integers(0, 5))
def test_amplitudes_have_the_unit_of_the_samples_and_times_do_not(scale, seed):
    samples = make_ecg(8, FS_HZ, 60 + 10 * seed, noise=0.01, rng=np.random.default_rng(seed))
    one, other = features(samples), features(scale * samples)
    for name in ECG_WAVE_NAMES:
        factor = scale if name.endswith("amplitude") or name == "st_level" else 1.0
        if "qt" not in name:  # rounding may choose another steepest point of the descent
            assert other[name] == pytest.approx(factor * one[name], rel=0.02, abs=0.02 * factor, nan_ok=True), name


@given(n_beats=st.integers(0, 40), seed=st.integers(0, 99), length=st.integers(0, 4000))
def test_anything_gives_numbers_or_nothing_in_silence(capsys, n_beats, seed, length):
    rng = np.random.default_rng(seed)
    n_beats = min(n_beats, length)
    samples = np.where(rng.random(length) < 0.01 * (seed % 3), np.nan, rng.normal(size=length))
    at = np.sort(rng.choice(max(length, 1), n_beats, replace=False)).astype(float)
    beats = BeatTimes(at, rng.random(max(n_beats - 1, 0)) < 0.9, rng.uniform(0.9, 1, n_beats))
    found = ecg_wave_features(samples, beats, fs_hz=100)
    assert found.shape == (len(ECG_WAVE_NAMES),)
    assert not np.isinf(found).any()
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("samples", [np.zeros(3000), np.full(3000, np.nan), np.zeros(0)])
def test_a_lead_without_beats_has_no_waves(samples):
    assert np.isnan(list(features(samples).values())).all()


def test_real_leads_have_plausible_waves(test_data):
    ii = features(recorded(test_data, "s0010_re", "ii"))
    assert 140 < ii["pr_ms"] < 190
    assert 75 < ii["qrs_ms"] < 110
    assert ii["t_amplitude"] < -0.1  # an inferior infarction
    v2 = features(recorded(test_data, "s0010_re", "v2"))
    assert v2["t_amplitude"] > 0.25
    assert v2["t_agreement"] > 0.8
    mlii = features(recorded(test_data, "100", "MLII"))
    assert 70 < mlii["qrs_ms"] < 100
    assert 330 < mlii["qtc_bazett_ms"] < 480
    assert mlii["usable_proportion"] > 0.9


@pytest.mark.parametrize(("name", "lead"), [("s0010_re", "ii"), ("100", "V5"), ("mixedsignals", "II")])
def test_at_100_hz_times_are_those_at_250_hz_within_two_samples(test_data, name, lead):
    if name == "mixedsignals":
        raw = wfdb.rdrecord(str(test_data / "wfdb_samples" / name), channel_names=[lead], smooth_frames=False)
        raw = np.asarray(raw.e_p_signal[0][: round(60 * 249.89)])
        fine, coarse = (
            features(preprocess(raw, fs_hz=249.89, fs_out_hz=fs, band_hz=(0.5, 40.0)).samples, fs) for fs in (250, 100)
        )
    else:
        fine, coarse = (features(recorded(test_data, name, lead, fs), fs) for fs in (250, 100))
    for one in ("qrs_ms", "p_to_r_ms", "r_to_t_ms", "qt_ms"):
        assert coarse[one] == pytest.approx(fine[one], abs=20), one


def test_the_band_pass_keeps_the_st_level(test_data):
    """A plateau of 0.2 mV from the end of the QRS complex to the T wave is seen nearly whole after 0.5 to 40 Hz."""

    def elevated(raw, fs_hz):
        beats = ecg_beats(raw - np.median(raw), fs_hz=fs_hz)
        time = np.arange(len(raw)) / fs_hz
        after = (time[:, None] - beats.sample / fs_hz).clip(min=-1)
        after = np.where(after < 0, 9, after).min(axis=1)
        return 0.2 * np.clip(np.minimum((after - 0.03) / 0.01, (0.25 - after) / 0.05), 0, 1)

    before, after = (features(recorded(test_data, "100", "V5", add=add)) for add in (None, elevated))
    assert after["st_level"] - before["st_level"] == pytest.approx(0.2, abs=0.03)
