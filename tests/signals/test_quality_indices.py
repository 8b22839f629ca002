"""ppgssl/signals/quality_indices.py."""

import csv

import numpy as np
import pytest
import wfdb
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from ppgssl.core.config.fixed import QUALITY_INDICES
from ppgssl.signals.artefacts import Defect
from ppgssl.signals.filters import bandpass
from ppgssl.signals.preprocessing import preprocess
from ppgssl.signals.quality_indices import (
    ECG_QUALITY,
    QUALITY,
    Block,
    ecg_structure_index,
    kurtosis_index,
    pause_index,
    segment_defects,
    sqi,
    structure_index,
)
from ppgssl.signals.segmentation import cut, segment_starts
from tests.support.synthetic import make_ecg, make_ppg

PPG_HZ = (0.5, 8.0)


def band(x, fs_hz=100, high_hz=8.0):
    return bandpass(x, fs_hz=fs_hz, low_hz=0.5, high_hz=high_hz)


def noise(seconds, power=0, n=200):
    white = np.random.default_rng(1).standard_normal((n, round(seconds * 100) + 2000))
    for _ in range(power):
        white = np.cumsum(white, axis=-1)
    return band(white)[:, 1000:-1000]


@pytest.mark.parametrize("seconds", [2, 10])
@pytest.mark.parametrize("rate_bpm", [45, 60, 90, 140, 200, 240])
def test_clean_ppg_is_accepted_at_every_rate(rate_bpm, seconds):
    rng = np.random.default_rng(0)
    pulses = np.stack([band(make_ppg(seconds, 100, rate_bpm, noise=0.02, wander=0.2, rng=rng)) for _ in range(30)])
    assert np.mean(sqi(pulses, fs_hz=100) >= 0.5) > 0.9


@pytest.mark.parametrize("seconds", [2, 10])
@pytest.mark.parametrize("polarity", [-1, 1])
@pytest.mark.parametrize("rate_bpm", [45, 75, 140])
def test_clean_ecg_is_accepted_whatever_its_polarity(rate_bpm, polarity, seconds):
    rng = np.random.default_rng(0)
    beats = np.stack([band(make_ecg(seconds, 250, rate_bpm, noise=0.02, rng=rng), 250, 40.0) for _ in range(20)])
    assert np.mean(sqi(polarity * beats, fs_hz=250, modality="ecg") >= 0.5) > 0.9


def test_complexes_as_deep_as_high_have_the_structure_of_an_ecg():
    rng = np.random.default_rng(0)
    leads = np.stack([make_ecg(2, 250, rate, rng=rng) for rate in (75, 90, 100, 110, 120)])
    biphasic = band(np.gradient(leads, axis=-1), 250, 40.0)
    as_ecg, as_ppg = (ecg_structure_index(Block(biphasic, 250.0)), structure_index(Block(biphasic, 250.0)))
    assert (as_ecg > 0.9).all()
    assert (as_ppg < 0.7).any()


def test_kurtosis_tells_narrow_peaks_from_noise_and_from_mains():
    noise_like = np.random.default_rng(0).standard_normal(100_000)
    mains = np.sin(np.arange(1000) * 0.3)
    narrow = band(make_ecg(10, 100, 75), 100, 40.0)
    found = [kurtosis_index(Block(x[None], 100.0))[0] for x in (noise_like, mains, narrow)]
    assert found == pytest.approx([0, 0, 1], abs=0.03)


@pytest.mark.parametrize("lost_s", [1, 2, 3, 4, 5, 6])
def test_a_pulse_that_is_lost_for_over_3_s_is_rejected(lost_s):
    rng = np.random.default_rng(0)
    for start in range(0, 1001 - 100 * lost_s, 50):
        pulse = make_ppg(10, 100, 90, noise=0.02, rng=rng)
        pulse[start : start + 100 * lost_s] = 0.5 + 0.02 * rng.standard_normal(100 * lost_s)
        quality = sqi(band(pulse)[None], fs_hz=100)[0]
        assert quality >= 0.5 if lost_s <= 2 else quality < 0.5 or lost_s == 3


def test_the_longest_pause_counts_wherever_it_lies():
    upstroke = np.array([0.0, 0.0, 1.0, 1.0, 0.0])

    def with_beats(*seconds):
        x = np.zeros(1000)
        for second in seconds:
            x[round(second * 100) : round(second * 100) + 5] = upstroke
        return x

    every_second = range(10)
    segments = np.stack(
        [
            with_beats(*every_second),
            with_beats(*(s for s in every_second if s < 7)),
            with_beats(*(s for s in every_second if s > 3)),
            with_beats(*(s for s in every_second if not 3 < s < 6)),
        ]
    )
    # No pause; 3.98 s at the end; 4.01 s at the start; 3 s in the middle, which is the published limit.
    assert pause_index(Block(segments, 100.0)) == pytest.approx([1, 0, 0, 0.5], abs=0.02)


def test_an_irregular_rhythm_is_accepted():
    rng = np.random.default_rng(0)
    pulses = np.stack([band(make_ppg(10, 100, 90, irregularity=0.25, noise=0.02, rng=rng)) for _ in range(30)])
    assert (sqi(pulses, fs_hz=100) > 0.5).all()


@pytest.mark.parametrize(("seconds", "accepted"), [(10, 0.15), (2, 0.4)])
@pytest.mark.parametrize("power", [0, 1, 2])
def test_noise_of_any_colour_is_mostly_rejected(power, seconds, accepted):
    assert np.mean(sqi(noise(seconds, power), fs_hz=100) >= 0.5) < accepted


def test_a_burst_of_movement_is_rejected():
    pulse = band(make_ppg(10, 100, 75))
    pulse[420:480] += 15 * np.hanning(60) * np.std(pulse)
    assert sqi(pulse[None], fs_hz=100)[0] < 0.5


def test_more_noise_never_looks_better():
    rng = np.random.default_rng(3)
    clean, hiss = band(make_ppg(10, 100, 75)), noise(10, n=1)[0]
    levels = [sqi((clean + level * rng.choice([-1, 1]) * hiss)[None], fs_hz=100)[0] for level in (0, 0.2, 0.5, 1, 3)]
    assert levels == sorted(levels, reverse=True)
    assert levels[0] > 0.9
    assert levels[-1] < 0.5


@pytest.mark.parametrize("name", QUALITY)
def test_every_index_lies_in_0_to_1_and_thinks_well_of_a_clean_pulse(name):
    rng = np.random.default_rng(0)
    pulses = np.stack([band(make_ppg(10, 100, rate, noise=0.02, rng=rng)) for rate in (50, 80, 120, 180)])
    for segments in (pulses, noise(10), noise(2)):
        index = QUALITY[name](Block(segments, 100.0))
        assert index.shape == (len(segments),)
        assert np.all(np.isnan(index) | ((index >= 0) & (index <= 1)))
    assert (QUALITY[name](Block(pulses, 100.0)) > 0.7).all()


@pytest.mark.parametrize("name", ECG_QUALITY)
def test_every_index_of_an_ecg_lies_in_0_to_1_and_thinks_well_of_clean_beats(name):
    rng = np.random.default_rng(0)
    beats = np.stack([band(make_ecg(10, 100, rate, noise=0.02, rng=rng), 100, 40.0) for rate in (50, 80, 120, 180)])
    index = ECG_QUALITY[name](Block(noise(10), 100.0))
    assert np.all(np.isnan(index) | ((index >= 0) & (index <= 1)))
    assert (ECG_QUALITY[name](Block(beats, 100.0)) > 0.7).all()


def test_constant_segments_and_segments_with_nan_have_no_quality():
    segments = np.stack([band(make_ppg(10, 100))] * 3).astype(np.float32)
    segments[0], segments[1, 5] = 0.0, np.nan
    assert np.isnan(sqi(segments, fs_hz=100)).tolist() == [True, True, False]


@given(
    segments=arrays(
        np.float32,
        array_shapes(min_dims=2, max_dims=2, min_side=0, max_side=60),
        elements=st.floats(-1e6, 1e6, width=32) | st.just(np.nan),
    ),
    fs_hz=st.sampled_from([5.0, 20.0, 100.0]),
    modality=st.sampled_from(["ppg", "ecg"]),
)
def test_any_segments_get_a_quality_in_0_to_1_or_nan(segments, fs_hz, modality):
    quality = sqi(segments, fs_hz=fs_hz, modality=modality)
    assert quality.shape == (len(segments),)
    assert np.all(np.isnan(quality) | ((quality >= 0) & (quality <= 1)))


@given(seed=st.integers(0, 2**31), scale=st.floats(1e-3, 1e4))
def test_quality_does_not_depend_on_unit(seed, scale):
    pulse = band(make_ppg(4, 80, 40 + seed % 160, noise=0.3, rng=np.random.default_rng(seed)), 80)[None]
    np.testing.assert_allclose(sqi(scale * pulse, fs_hz=80), sqi(pulse, fs_hz=80), atol=1e-6)


def test_the_defect_with_the_largest_share_is_named():
    flags = np.zeros(600, dtype=np.uint8)
    flags[100:130], flags[150:160] = Defect.GAP, Defect.JUMP
    flags[200:204] = Defect.CLIPPED | Defect.BRIDGED
    flags[300:306] = Defect.CLIPPED | Defect.BRIDGED
    flags[450], flags[500:600] = Defect.FLAT, Defect.JUMP
    named = segment_defects(flags, np.arange(0, 600, 100), 100)
    # 4 interpolated samples of 100 are tolerated, 6 are not; one lost sample is one too many.
    assert named.tolist() == ["", "gap", "", "clipped", "flat", "jump"]
    assert segment_defects(flags, np.array([], dtype=np.int64), 100).shape == (0,)


def test_a_segment_without_defect_has_no_missing_sample():
    rng = np.random.default_rng(0)
    ppg = make_ppg(300, 100, 75)
    for start in rng.integers(0, 30_000, 30):
        ppg[start : start + rng.integers(1, 80)] = np.nan
    out = preprocess(ppg, fs_hz=100, fs_out_hz=80, band_hz=PPG_HZ)
    starts = segment_starts(len(out.samples), fs_hz=80, segment_s=2, step_s=1)
    is_whole = np.isfinite(cut(out.samples, starts, 160)).all(axis=1)
    defects = segment_defects(out.flags, starts, 160)
    assert is_whole[defects == ""].all()
    assert 0 < np.mean(defects == "gap") < 1


# --- real recordings -------------------------------------------------------------------------------------------


def labelled_share(test_data):
    """Sample masks of the labelled artefacts of mw_ppg by (recording, column)."""
    columns = {"green_channel": 0, "red_channel": 1, "ir_channel": 2}
    masks = {}
    with (test_data / "mw_ppg/artefact_labels/intervals.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            mask = masks.setdefault((int(row["subject"]), columns[row["channel"]]), np.zeros(12_000))
            mask[int(row["start_sample"]) : int(row["end_sample"])] = 1
    return masks


def test_clean_minute_recordings_are_accepted_and_labelled_artefacts_score_lower(test_data):
    masks = labelled_share(test_data)
    clean, labelled = [], []
    for number in sorted({number for number, _ in masks}):
        raw = np.loadtxt(test_data / f"mw_ppg/recordings/bp_dataset_{number}.csv", delimiter=",", skiprows=1).T
        for column, x in enumerate(raw):
            out = preprocess(x, fs_hz=200, fs_out_hz=100, band_hz=PPG_HZ)
            starts = segment_starts(6000, fs_hz=100, segment_s=10, step_s=10)
            share = cut(masks.get((number, column), np.zeros(12_000))[::2], starts, 1000).mean(axis=-1)
            good = segment_defects(out.flags, starts, 1000) == ""
            quality = np.where(good, sqi(cut(out.samples, starts, 1000), fs_hz=100), 0.0)
            clean.extend(quality[share == 0])
            labelled.extend(quality[share > 0.25])
    assert np.mean(np.array(clean) >= 0.5) > 0.9
    assert np.mean(np.array(clean)[:, None] > np.array(labelled)) > 0.9


def test_the_short_clinic_recordings_are_accepted_but_for_the_known_bad_ones(test_data):
    rejected, n_recordings = set(), 0
    for path in sorted((test_data / "ppg_bp/signals").glob("*.txt")):
        raw = np.array(path.read_text().split(), dtype=float)
        out = preprocess(raw, fs_hz=1000, fs_out_hz=100, band_hz=PPG_HZ)
        first = np.array([0])
        is_accepted = (segment_defects(out.flags, first, 200) == "") & (sqi(out.samples[None, :200], fs_hz=100) >= 0.5)
        rejected |= set() if is_accepted[0] else {path.stem}
        n_recordings += 1
    assert "245_3" in rejected
    assert len(rejected) < 0.02 * n_recordings


@pytest.mark.parametrize("rhythm", ["sinus", "PVC", "PAC", "VT", "SVT", "AF"])
def test_arrhythmias_are_accepted(test_data, rhythm):
    number = ["sinus", "PVC", "PAC", "VT", "SVT", "AF"].index(rhythm)
    pools = [np.load(path) for path in sorted((test_data / "arrhythmia_pool").glob("*.npz"))]
    rows = np.concatenate([pool["ppg"][pool["rhythm"] == number][:30] for pool in pools])
    quality = sqi(np.stack([band(row) for row in rows]), fs_hz=100)
    assert np.mean(quality >= 0.5) > 0.9


ECG_LEADS = {"03700181": ["MCL1"], "100": ["MLII", "V5"], "a103l": ["II", "V"], "s0010_re": ["i", "v1", "avr"]}


@pytest.mark.parametrize("record", ECG_LEADS)
def test_real_ecg_is_accepted_and_the_same_with_noise_as_strong_is_not(test_data, record):
    header = wfdb.rdrecord(str(test_data / "wfdb_samples" / record), smooth_frames=False)
    clean, noisy = [], []
    for name in ECG_LEADS[record]:
        number = header.sig_name.index(name)
        fs_hz = header.fs * header.samps_per_frame[number]
        x = header.e_p_signal[number][: 60 * fs_hz]
        x = x[np.isfinite(x)]
        white = np.random.default_rng(0).standard_normal(len(x))
        white *= np.std(band(x, fs_hz, 40.0)) / np.std(band(white, fs_hz, 40.0))
        for found, raw in ((clean, x), (noisy, x + white)):
            out = preprocess(raw, fs_hz=fs_hz, fs_out_hz=100, band_hz=(0.5, 40.0))
            starts = segment_starts(len(out.samples), fs_hz=100, segment_s=10, step_s=10)
            found.extend(sqi(cut(out.samples, starts, 1000), fs_hz=100, modality="ecg"))
    assert np.mean(np.array(clean) >= 0.5) > 0.9
    assert np.mean(np.array(noisy) >= 0.5) < 0.1


def test_the_report_names_the_indices_that_are_computed():
    assert tuple(QUALITY) == QUALITY_INDICES
