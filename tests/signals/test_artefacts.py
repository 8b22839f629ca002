"""ppgssl/signals/artefacts.py."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from ppgssl.signals.artefacts import Defect, find_defects, runs
from tests.support.synthetic import make_ecg, make_ppg

# Recordings whose columns wrap around (the data set's README), as (number, column).
WRAPPED = [(6, 0), (6, 2), (15, 2), (19, 2), (27, 2), (32, 2), (53, 2), (55, 0), (61, 0), (63, 1), (76, 0), (78, 2)]


def is_flagged(flags, defect):
    return (flags & defect) > 0


def read_line(path):
    return np.array(path.read_text().split(), dtype=float)


@pytest.mark.parametrize("fs_hz", [80, 200, 1000])
@pytest.mark.parametrize("heart_rate_bpm", [30, 75, 150, 240])
def test_clean_pulses_have_no_defect(fs_hz, heart_rate_bpm):
    ppg = make_ppg(10, fs_hz, heart_rate_bpm, noise=0.01, wander=0.5, baseline=5)
    assert not find_defects(ppg, fs_hz=fs_hz).any()


@pytest.mark.parametrize("fs_hz", [100, 250, 1000])
@pytest.mark.parametrize("heart_rate_bpm", [30, 75, 120])
def test_r_waves_are_no_jumps(heart_rate_bpm, fs_hz):
    assert not find_defects(make_ecg(10, fs_hz, heart_rate_bpm, noise=0.01), fs_hz=fs_hz).any()


@pytest.mark.parametrize("n_levels", [8, 20, 100])
def test_coarse_and_repeated_converter_counts_are_neither_flat_nor_clipped(n_levels):
    counts = np.round(n_levels * make_ppg(2.1, 1000, 70))
    counts = np.repeat(counts[::3], 3)[: len(counts)]
    assert not find_defects(counts, fs_hz=1000).any()


def test_missing_samples_are_a_gap():
    ppg = make_ppg(10, 100)
    ppg[200:230] = np.nan
    ppg[500] = np.inf
    flags = find_defects(ppg, fs_hz=100)
    assert np.flatnonzero(flags).tolist() == [*range(200, 230), 500]
    assert np.unique(flags).tolist() == [0, Defect.GAP]


def test_a_held_value_is_flat():
    ppg = make_ppg(10, 100)
    ppg[430:480] = ppg[430]
    flags = find_defects(ppg, fs_hz=100)
    assert is_flagged(flags, Defect.FLAT)[430:480].all()
    assert is_flagged(flags, Defect.FLAT).sum() <= 52


def test_a_constant_recording_is_flat_throughout():
    assert (find_defects(np.full(500, 7.0), fs_hz=100) == Defect.FLAT).all()


@pytest.mark.parametrize("side", [-1, 1])
def test_pulses_cut_off_by_the_converter_are_clipped(side):
    ppg = side * make_ppg(10, 100, 60)
    limit = np.quantile(ppg, 0.9 if side > 0 else 0.2)
    clipped = np.minimum(ppg, limit) if side > 0 else np.maximum(ppg, limit)
    flags = find_defects(clipped, fs_hz=100)
    assert is_flagged(flags, Defect.CLIPPED | Defect.FLAT)[clipped == limit].mean() > 0.9
    assert not flags[clipped != limit].any()


def test_one_touch_of_either_extreme_is_not_clipping():
    ppg = make_ppg(10, 100)
    ppg = (ppg - ppg.min()) / np.ptp(ppg)
    assert not find_defects(ppg.astype(np.float32), fs_hz=100).any()


@pytest.mark.parametrize("smoothing", [1, 5, 9])
def test_a_wrap_around_is_a_jump_even_if_smoothed(smoothing):
    counts = 56_000 + 8000 * make_ppg(20, 200, 75, noise=0.005)
    counts[2000:2400] += 3000 * np.hanning(400)
    kernel = np.ones(smoothing) / smoothing
    wrapped = np.convolve(np.pad(counts % 65_536, smoothing // 2, mode="edge"), kernel, mode="valid")
    at = np.flatnonzero(np.abs(np.diff(counts // 65_536)) > 0)
    assert len(at) >= 2
    flags = find_defects(wrapped, fs_hz=200)
    assert is_flagged(flags, Defect.JUMP)[at].all()
    far = np.abs(np.arange(4000)[:, None] - at).min(axis=1) > 20
    assert not flags[far].any()


def test_a_wrap_around_in_every_beat_is_a_jump():
    counts = 60_000 + 8000 * make_ppg(20, 200, 75, noise=0.005)
    at = np.flatnonzero(np.abs(np.diff(counts // 65_536)) > 0)
    assert len(at) > 40
    assert is_flagged(find_defects(counts % 65_536, fs_hz=200), Defect.JUMP)[at].all()


def test_a_joint_of_two_recordings_is_a_jump():
    joined = np.concatenate([make_ppg(2.1, 1000, 75), make_ppg(2.1, 1000, 75) - 1.2])
    flags = find_defects(joined, fs_hz=1000)
    assert is_flagged(flags, Defect.JUMP)[2099:2101].all()
    assert not flags[:2000].any()
    assert not flags[2200:].any()


def test_one_strong_beat_is_no_jump():
    ppg = make_ppg(10, 100, 60) * (1 + 1.5 * np.exp(-(((np.arange(1000) - 450) / 50) ** 2)))
    assert not is_flagged(find_defects(ppg, fs_hz=100), Defect.JUMP).any()


@given(
    x=arrays(np.float64, st.integers(0, 60), elements=st.floats(width=32)),
    fs_hz=st.sampled_from([1.0, 25.0, 80.0, 1000.0]),
)
def test_any_signal_gets_one_flag_a_sample(x, fs_hz):
    flags = find_defects(x, fs_hz=fs_hz)
    assert flags.shape == x.shape
    assert flags.dtype == np.uint8
    np.testing.assert_array_equal(is_flagged(flags, Defect.GAP), ~np.isfinite(x))


@given(seed=st.integers(0, 2**31), scale=st.sampled_from([0.25, 2.0, 1024.0]), shift=st.integers(-4096, 4096))
def test_flags_do_not_depend_on_unit_or_offset(seed, scale, shift):
    rng = np.random.default_rng(seed)
    counts = np.round(500 * make_ppg(6, 100, 80, noise=0.02, rng=rng))
    counts[rng.integers(0, 500) :] += rng.choice([0, 900])
    counts = np.minimum(counts, rng.choice([400, 10_000]))
    np.testing.assert_array_equal(find_defects(counts, fs_hz=100), find_defects(scale * counts + shift, fs_hz=100))


@given(mask=arrays(np.bool_, st.integers(0, 50)))
def test_runs_paint_the_mask_again(mask):
    painted = np.zeros_like(mask)
    for start, end in zip(*runs(mask), strict=True):
        assert end > start
        painted[start:end] = True
    np.testing.assert_array_equal(painted, mask)


def test_of_the_short_clinic_recordings_only_the_joined_and_the_saturated_are_flagged(test_data):
    flagged = {}
    for path in sorted((test_data / "ppg_bp/signals").glob("*.txt")):
        flags = find_defects(read_line(path), fs_hz=1000)
        if flags.any():
            flagged[path.stem] = Defect(int(np.bitwise_or.reduce(flags)))
    assert set(flagged) == {"231_1", "245_3"}
    assert flagged["231_1"] == Defect.JUMP
    assert Defect.CLIPPED in flagged["245_3"]


def test_every_recording_that_wraps_around_is_flagged_and_hardly_any_other(test_data):
    has_jump = {}
    for number in range(1, 79):
        columns = np.loadtxt(test_data / f"mw_ppg/recordings/bp_dataset_{number}.csv", delimiter=",", skiprows=1).T
        for column, x in enumerate(columns):
            has_jump[number, column] = is_flagged(find_defects(x, fs_hz=200), Defect.JUMP).any()
    assert all(has_jump[key] for key in WRAPPED)
    # Strong movement (53, columns 0 and 1) and a spike (8, column 0) jump too.
    assert {key for key, jumps in has_jump.items() if jumps} - set(WRAPPED) <= {(8, 0), (53, 0), (53, 1)}


def test_segments_scaled_to_0_and_1_by_their_source_are_not_clipped_and_hardly_jump(test_data):
    n_jumps = n_rows = 0
    for path in sorted((test_data / "arrhythmia_pool").glob("*.npz"))[:8]:
        for row in np.load(path)["ppg"]:
            flags = find_defects(row, fs_hz=100)
            assert not is_flagged(flags, Defect.CLIPPED | Defect.FLAT | Defect.GAP).any()
            n_jumps += bool(flags.any())
            n_rows += 1
    assert n_jumps < 0.01 * n_rows
