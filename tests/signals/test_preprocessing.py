"""ppgssl/signals/preprocessing.py."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ppgssl.core.errors import SignalError
from ppgssl.signals.artefacts import Defect
from ppgssl.signals.filters import bandpass
from ppgssl.signals.preprocessing import preprocess
from ppgssl.signals.segmentation import segment_starts
from tests.support.synthetic import make_ppg

PPG_HZ = (0.5, 8.0)


def run(x, fs_hz=100.0, fs_out_hz=100.0):
    return preprocess(x, fs_hz=fs_hz, fs_out_hz=fs_out_hz, band_hz=PPG_HZ)


def test_a_clean_recording_is_filtered_and_nothing_is_flagged():
    ppg = make_ppg(60, 100, 80, baseline=1000, amplitude=10, wander=0.3)
    out = run(ppg)
    np.testing.assert_allclose(out.samples, bandpass(ppg, fs_hz=100, low_hz=0.5, high_hz=8.0), atol=1e-3)
    assert (out.samples.dtype, out.flags.dtype, out.baseline.dtype) == (np.float32, np.uint8, np.float32)
    assert not out.flags.any()
    assert out.baseline.shape == (60,)
    np.testing.assert_allclose(out.baseline, 1000, atol=15)


def test_two_seconds_and_a_tenth_at_1000_hz_survive_and_hold_a_segment_of_2_s():
    out = run(np.round(700 * make_ppg(2.1, 1000, 70)), fs_hz=1000)
    assert np.isfinite(out.samples).all()
    assert len(segment_starts(len(out.samples), fs_hz=100, segment_s=2, step_s=2)) == 1
    assert out.baseline.shape == (3,)


@pytest.mark.parametrize(("n", "n_out", "n_baseline"), [(0, 0, 0), (1, 0, 1), (6, 1, 1), (500, 50, 1)])
def test_a_recording_under_a_second_is_all_gap_and_never_an_error(n, n_out, n_baseline):
    out = run(make_ppg(n / 1000, 1000), fs_hz=1000)
    assert len(out.samples) == len(out.flags) == n_out
    assert np.isnan(out.samples).all()
    assert (out.flags == Defect.GAP).all()
    assert len(out.baseline) == n_baseline


@pytest.mark.parametrize(("value", "defect"), [(np.nan, Defect.GAP), (5.0, Defect.FLAT)])
def test_a_recording_without_any_signal_is_all_nan(value, defect):
    out = run(np.full(1000, value))
    assert np.isnan(out.samples).all()
    assert (out.flags == defect).all()
    assert np.isnan(out.baseline).all()


def test_a_short_gap_is_bridged_and_still_flagged():
    ppg = make_ppg(20, 100, 60)
    whole = run(ppg).samples
    ppg[1005:1020] = np.nan
    out = run(ppg)
    assert np.isfinite(out.samples).all()
    assert (out.flags[1005:1020] == Defect.GAP | Defect.BRIDGED).all()
    assert (out.flags > 0).sum() == 15
    far = np.abs(np.arange(2000) - 1012) > 150
    np.testing.assert_allclose(out.samples[far], whole[far], atol=0.02)


def test_a_long_gap_is_lost_and_does_not_smear_over_its_surroundings():
    ppg = make_ppg(30, 100, 75)
    whole = run(ppg).samples
    ppg[1000:1400] = np.nan
    out = run(ppg)
    np.testing.assert_array_equal(np.isnan(out.samples), (np.arange(3000) >= 1000) & (np.arange(3000) < 1400))
    np.testing.assert_array_equal(out.flags == Defect.GAP, np.isnan(out.samples))
    far = np.r_[0:800, 1600:3000]
    np.testing.assert_allclose(out.samples[far], whole[far], atol=0.05)
    assert np.isnan(out.baseline[10:14]).all()
    assert np.isfinite(np.r_[out.baseline[:10], out.baseline[14:]]).all()


def test_a_wrap_around_does_not_ring_in_the_good_samples():
    counts = 62_000 + 4000 * make_ppg(30, 200, 75) + 2000 * np.exp(-((np.arange(6000) - 3000.0) ** 2) / 2e4)
    out, reference = run(counts % 65_536, fs_hz=200), run(counts, fs_hz=200)
    assert (out.flags & Defect.JUMP).any()
    assert np.nanmax(np.abs(out.samples)) < 1.5 * np.abs(reference.samples).max()


def test_a_level_shift_splits_the_recording_and_a_spike_does_not():
    ppg = make_ppg(20, 100, 75)
    shifted, spiked = ppg.copy(), ppg.copy()
    shifted[1000:] += 20
    spiked[1000] += 20
    assert np.isnan(run(shifted).samples[995:1005]).all()
    assert np.nanmax(np.abs(run(shifted).samples)) < 1.5
    assert np.isfinite(run(spiked).samples).all()
    assert np.max(np.abs(run(spiked).samples)) < 1.5
    assert (run(spiked).flags & Defect.BRIDGED).any()


def test_a_good_stretch_under_a_second_between_gaps_is_lost_with_them():
    ppg = make_ppg(20, 100, 75)
    ppg[1000:1100] = np.nan
    ppg[1150:1250] = np.nan
    out = run(ppg)
    assert np.isnan(out.samples[1000:1250]).all()
    assert (out.flags[1000:1250] == Defect.GAP).all()


@pytest.mark.parametrize(("fs_hz", "fs_out_hz"), [(1000.0, 100.0), (80.0, 100.0), (124.945, 80.0), (200.0, 80.0)])
def test_flags_stay_in_place_when_the_rate_changes(fs_hz, fs_out_hz):
    ppg = make_ppg(30, fs_hz, 75)
    ppg[round(10 * fs_hz) : round(12 * fs_hz)] = np.nan
    out = run(ppg, fs_hz=fs_hz, fs_out_hz=fs_out_hz)
    lost_s = np.flatnonzero(np.isnan(out.samples)) / fs_out_hz
    assert lost_s[0] == pytest.approx(10, abs=2 / fs_out_hz)
    assert lost_s[-1] == pytest.approx(12, abs=2 / fs_out_hz)


@given(
    seed=st.integers(0, 2**31),
    n=st.integers(0, 700),
    fs_hz=st.sampled_from([40.0, 62.4725, 100.0]),
    fs_out_hz=st.sampled_from([20.0, 50.0, 100.0]),
    n_gaps=st.integers(0, 4),
)
def test_samples_are_nan_exactly_where_flagged_and_not_bridged(seed, n, fs_hz, fs_out_hz, n_gaps):
    rng = np.random.default_rng(seed)
    x = make_ppg(n / fs_hz, fs_hz, 80, noise=0.05, rng=rng)
    for _ in range(n_gaps):
        start = rng.integers(0, max(n, 1))
        x[start : start + rng.integers(0, 100)] = rng.choice([np.nan, 0.0, 50.0, np.inf])
    out = run(x, fs_hz=fs_hz, fs_out_hz=fs_out_hz)
    assert len(out.samples) == len(out.flags) == round(len(x) * fs_out_hz / fs_hz)
    is_lost = (out.flags > 0) & (out.flags & Defect.BRIDGED == 0)
    np.testing.assert_array_equal(np.isnan(out.samples), is_lost)


def test_a_band_above_half_of_the_stored_rate_is_refused():
    with pytest.raises(SignalError, match="fs = 50 Hz"):
        preprocess(np.zeros(1000), fs_hz=250, fs_out_hz=50, band_hz=(0.5, 40))


def test_a_real_wrap_around_does_not_ring(test_data):
    infrared = np.loadtxt(test_data / "mw_ppg/recordings/bp_dataset_15.csv", delimiter=",", skiprows=1)[:, 2]
    out = run(infrared, fs_hz=200)
    clean = np.abs(out.samples[1500:5500]).max()  # 15 to 55 s, of which nothing is labelled.
    assert np.nanmax(np.abs(out.samples)) < 1.5 * clean
    assert (out.flags[952:1100] & Defect.JUMP).any()
    assert not out.flags[1500:5500].any()


def test_the_two_recordings_that_are_joined_in_231_1_do_not_touch(test_data):
    joined = np.array((test_data / "ppg_bp/signals/231_1.txt").read_text().split(), dtype=float)
    out = run(joined, fs_hz=1000)
    assert np.isnan(out.samples[208:212]).all()
    assert np.isfinite(out.samples).sum() >= 400
