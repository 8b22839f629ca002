"""ppgssl/signals/segment_quality.py."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ppgssl.signals.beat_times import BeatTimes
from ppgssl.signals.filters import bandpass
from ppgssl.signals.quality_indices import index_table
from ppgssl.signals.rate_track import SegmentRates
from ppgssl.signals.segment_quality import INPUTS, quality_inputs, right_probability
from ppgssl.signals.vitals import SegmentedRecording, VitalChannel, segment_quality
from tests.support.synthetic import make_ecg, make_ppg

FS = 100
STARTS = np.arange(0, 5001, 500)


def assessed(samples, *, name="ppg", starts=STARTS, length=1000):
    channel = VitalChannel(np.asarray(samples, dtype=np.float32), np.zeros(0), False)
    recording = SegmentedRecording({name: channel}, starts, length, FS)
    indices = index_table(recording.segments(name), fs_hz=FS, modality=name.split("_")[0])
    return segment_quality(replace(recording, indices={name: indices}))[name]


def band(x, high_hz=8.0):
    return bandpass(x, fs_hz=FS, low_hz=0.5, high_hz=high_hz)


@pytest.mark.parametrize("rate_bpm", [50, 75, 110, 160])
def test_clean_pulses_are_right_and_noise_is_not(rate_bpm):
    rng = np.random.default_rng(0)
    clean = assessed(band(make_ppg(60, FS, rate_bpm, noise=0.02, wander=0.2, rng=rng)))
    assert np.median(clean) > 0.8
    assert assessed(band(rng.standard_normal(6000))).max() < 0.5


@pytest.mark.parametrize(("make", "name", "high_hz"), [(make_ppg, "ppg", 8.0), (make_ecg, "ecg_ii", 40.0)])
def test_an_irregular_rhythm_is_no_noise(make, name, high_hz):
    found = [
        assessed(
            band(make(60, FS, 80, irregularity=0.15, noise=0.01, rng=np.random.default_rng(seed)), high_hz), name=name
        )
        for seed in range(4)
    ]
    assert np.mean(np.concatenate(found) >= 0.5) > 0.7


def test_a_recording_too_short_for_a_track_is_assessed_too():
    clean = band(make_ppg(4, FS, 80, noise=0.01, rng=np.random.default_rng(0)))
    noise = band(np.random.default_rng(0).standard_normal(400))
    starts = np.array([0])
    assert assessed(clean, starts=starts, length=400)[0] > 0.5 > assessed(noise, starts=starts, length=400)[0]


def test_lost_and_constant_segments_have_no_quality():
    x = band(make_ppg(60, FS, 80))
    x[1200], x[3000:] = np.nan, 0.0
    found = assessed(x)
    np.testing.assert_array_equal(found[(STARTS <= 1200) & (STARTS + 1000 > 1200)], 0)
    np.testing.assert_array_equal(found[STARTS >= 3000], 0)
    assert found[0] > 0.5


@given(seed=st.integers(0, 2**16), n_beats=st.integers(0, 60), n_other=st.integers(0, 60))
def test_agreement_and_rhythm_are_what_loops_count(seed, n_beats, n_other):
    rng = np.random.default_rng(seed)
    places = (np.sort(rng.uniform(0, 3000, n)) for n in (n_beats, n_other))
    one, other = (BeatTimes(sample, np.diff(sample) <= 200) for sample in places)
    starts, length = np.array([0, 700, 2000]), 1000
    rates = SegmentRates(rng.uniform(40, 180, 3), np.ones(3), np.zeros(3), np.zeros(3))
    found = quality_inputs(np.full((3, 5), np.nan), rates, one, [other], np.ones(3), starts, length, fs_hz=FS)
    assert np.isfinite(found).all()
    for row, start in enumerate(starts):
        mine = one.sample[(one.sample >= start) & (one.sample < start + length)]
        theirs = other.sample[(other.sample >= start) & (other.sample < start + length)]
        votes = [np.exp(-0.5 * (np.log(6000 / gap / rates.heart_rate_bpm[row]) / 0.1) ** 2) for gap in np.diff(mine)]
        assert found[row, INPUTS.index("rhythm")] == pytest.approx(np.mean(votes) if votes else 0.0, abs=1e-9)
        nearest = [other.sample[np.abs(other.sample - beat).argmin()] - beat for beat in mine] if n_other else []
        matched = np.sum(np.abs(nearest - np.median(nearest)) <= 6.0) if len(nearest) else 0
        f1 = min(2 * matched / max(len(mine) + len(theirs), 1), 1.0)
        assert found[row, INPUTS.index("agreement")] == pytest.approx(f1 - 0.8, abs=1e-9)
    for kind in ("ppg", "short_ppg", "ecg"):
        assert ((right_probability(found, kind) >= 0) & (right_probability(found, kind) <= 1)).all()
