"""ppgssl/signals/vitals.py."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from ppgssl.signals.filters import bandpass
from ppgssl.signals.preprocessing import preprocess
from ppgssl.signals.quality_indices import index_table, sqi
from ppgssl.signals.rate_track import SegmentRates
from ppgssl.signals.segmentation import cut, segment_starts
from ppgssl.signals.vitals import (
    VITALS,
    SegmentedRecording,
    VitalChannel,
    joined_rate,
    segment_quality,
    segment_vitals,
)
from ppgssl.simulate.devices import Device, acquire
from ppgssl.simulate.waveform import Vitals, simulate_light
from tests.support.synthetic import make_ecg, make_ppg

STARTS = np.arange(0, 5001, 200)
CALIBRATION = (110.0, -25.0)


def channel(samples, baseline=None):
    known = np.full(60, np.nan) if baseline is None else baseline
    return VitalChannel(samples.astype(np.float32), known, baseline is not None)


def vitals_of(channels, quality=None, starts=STARTS):
    recording = SegmentedRecording(channels, starts, 1000, 100)
    known = {name: sqi(cut(one.samples, starts, 1000), fs_hz=100) for name, one in channels.items()}
    given = {name: np.broadcast_to(values, starts.shape) for name, values in (quality or {}).items()}
    return segment_vitals(recording, known | given, spo2_calibration=CALIBRATION)


def oximeter(vitals, seed=0):
    rng = np.random.default_rng(seed)
    light = simulate_light(vitals, duration_s=60, fs_hz=80, rng=rng)
    acquired = acquire(light, Device(motion_per_min=0, lost_contact_per_min=0), fs_hz=80, rng=rng)
    channels = {}
    for name, counts in (("ppg_red", acquired.red), ("ppg_ir", acquired.infrared)):
        processed = preprocess(counts.astype(float), fs_hz=80, fs_out_hz=100, band_hz=(0.5, 8.0))
        channels[name] = channel(-processed.samples, processed.baseline)
    return channels


def ppg(rate_bpm):
    return bandpass(make_ppg(60, 100, rate_bpm), fs_hz=100, low_hz=0.5, high_hz=8)


def ecg(rate_bpm):
    return bandpass(make_ecg(60, 100, rate_bpm), fs_hz=100, low_hz=0.5, high_hz=40)


@pytest.mark.parametrize("seed", range(5))
def test_an_oximeter_tells_the_truth_of_the_simulation(seed):
    rng = np.random.default_rng(seed)
    truth = Vitals(rng.uniform(90, 170), rng.uniform(20, 45), rng.uniform(80, 99), 2.5, 0, 0.03, 0.3)
    found = vitals_of(oximeter(truth, seed))
    assert tuple(found) == VITALS
    assert np.median(found["heart_rate_bpm"]) == pytest.approx(truth.heart_rate_bpm, abs=4)
    assert np.median(found["spo2_percent"]) == pytest.approx(truth.spo2_pct, abs=0.5)
    assert np.median(found["ratio_of_ratios"]) == pytest.approx((110 - truth.spo2_pct) / 25, abs=0.02)
    assert np.median(found["perfusion_index_percent"]) == pytest.approx(2.5, rel=0.1)
    assert np.nanmedian(found["respiratory_rate_per_min"]) == pytest.approx(truth.resp_rate_per_min, abs=2)
    assert np.isfinite(found["rmssd_ms"]).all()
    assert np.isnan(found["pulse_arrival_time_ms"]).all()


def test_saturation_needs_both_levels():
    channels = oximeter(Vitals(120, 30, 95, 2, 0, 0.03, 0.2))
    red, infrared = channels["ppg_red"], channels["ppg_ir"]
    unknown = VitalChannel(red.samples, red.baseline, False)
    found = vitals_of({"ppg_red": unknown, "ppg_ir": infrared})
    assert np.isnan(found["spo2_percent"]).all()
    assert np.isfinite(found["perfusion_index_percent"]).all()
    alone = vitals_of({"ppg_ir": infrared})
    assert np.isnan(alone["spo2_percent"]).all()
    np.testing.assert_array_equal(alone["perfusion_index_percent"], found["perfusion_index_percent"])


def test_the_heart_rate_is_the_better_channels_and_the_ecgs_at_a_draw():
    channels = {"ppg": channel(ppg(60)), "ecg_ii": channel(ecg(90))}
    at_a_draw = vitals_of(channels, {"ppg": 0.7, "ecg_ii": 0.65})["heart_rate_bpm"]
    assert np.median(at_a_draw) == pytest.approx(90, abs=1)
    poor_lead = vitals_of(channels, {"ppg": 0.7, "ecg_ii": 0.4})["heart_rate_bpm"]
    assert np.median(poor_lead) == pytest.approx(60, abs=1)


def test_the_channel_is_chosen_for_each_segment():
    early = np.arange(len(STARTS)) < 10
    quality = {"ecg_ii": np.where(early, 0.9, np.nan), "ecg_v": np.where(early, np.nan, 0.5)}
    found = vitals_of({"ecg_ii": channel(ecg(60)), "ecg_v": channel(ecg(90))}, quality)["heart_rate_bpm"]
    np.testing.assert_allclose(found[:10], 60, atol=1)
    np.testing.assert_allclose(found[10:], 90, atol=1)


def test_a_segment_whose_quality_is_unknown_has_no_rate():
    found = vitals_of({"ppg": channel(ppg(60))}, {"ppg": np.nan})
    assert np.isnan(found["heart_rate_bpm"]).all()
    assert np.isnan(found["sdnn_ms"]).all()


def test_a_rate_is_the_segments_own_the_tracks_or_unknown():
    tracked = SegmentRates(np.full(5, 80.0), np.array([0.9, 0.9, 0.9, 0.3, 0.3]), np.zeros(5), np.zeros(5))
    own, of_beats = np.array([83.0, 120, np.nan, 120, 120]), np.full(5, 101.0)
    found = joined_rate(own, tracked, of_beats, np.array([0.9, 0.9, 0.9, 0.9, 0.1]))
    np.testing.assert_array_equal(found, [83, 80, 80, 101, np.nan])


def test_rhythmic_movement_lowers_the_quality_and_not_the_rate():
    t = np.arange(6000) / 100
    pulse = ppg(72) / ppg(72).std()
    moving = (t > 20) & (t < 40)
    movement = 3 * moving * (np.sin(2 * np.pi * 1.9 * t) + 0.5 * np.sin(2 * np.pi * 3.8 * t))
    channels = {"ppg_red": channel(pulse + movement), "ppg_ir": channel(pulse - 0.8 * movement)}
    axes = [moving * np.sin(2 * np.pi * (1.9 * t + lag)) + 0.01 * np.sin(37 * t) for lag in (0.1, 0.4, 0.7)]
    recording = SegmentedRecording(channels, STARTS, 1000, 100, axes)
    indices = {name: index_table(recording.segments(name), fs_hz=100) for name in channels}
    recording = replace(recording, indices=indices)
    quality = segment_quality(recording)
    inside, outside = (STARTS >= 2000) & (STARTS <= 3000), (STARTS <= 1000) | (STARTS >= 4000)
    for values in quality.values():
        assert values[outside].min() > 0.7
        assert values[inside].max() < 0.3
    rates = segment_vitals(recording, quality, spo2_calibration=CALIBRATION)["heart_rate_bpm"]
    np.testing.assert_allclose(rates, 72, atol=5)


def test_with_both_there_is_an_arrival_time():
    rng = np.random.default_rng(0)
    heart = bandpass(make_ecg(60, 100, 75, irregularity=0.03, rng=rng), fs_hz=100, low_hz=0.5, high_hz=40)
    rng = np.random.default_rng(0)
    pulse = bandpass(make_ppg(60, 100, 75, irregularity=0.03, rng=rng), fs_hz=100, low_hz=0.5, high_hz=8)
    # The R wave lies at phase 0.30 of a beat, the steepest rise near 0.16: a beat later, less 0.14 of it, is 0.69 s.
    found = vitals_of({"ecg_ii": channel(heart), "ppg": channel(np.roll(pulse, -40))})["pulse_arrival_time_ms"]
    assert np.isfinite(found[:-3]).all()
    assert np.median(found[:-3]) == pytest.approx(690 - 400, abs=40)


def test_recordings_without_segments_or_channels_are_empty_or_unknown():
    none = STARTS[:0]
    assert all(len(values) == 0 for values in vitals_of({"ppg": channel(ppg(60))}, starts=none).values())
    assert all(np.isnan(values).all() for values in vitals_of({}).values())


finite = st.floats(width=32, allow_infinity=False, allow_nan=True)
names = st.sets(st.sampled_from(["ppg", "ppg_red", "ppg_ir", "ecg_ii", "ecg_v"]), min_size=1)


@given(data=st.data(), names=names, fs_hz=st.sampled_from([20.0, 50.0]), n_samples=st.integers(0, 1200))
def test_no_samples_at_all_raise(data, names, fs_hz, n_samples):
    seed = data.draw(st.integers(0, 2**16))
    kind = data.draw(st.sampled_from(["anything", "noise", "constant", "missing", "spikes"]))
    rng = np.random.default_rng(seed)
    length = round(4 * fs_hz)
    starts = segment_starts(n_samples, fs_hz=fs_hz, segment_s=4, step_s=2)
    channels = {}
    for name in sorted(names):
        samples = {
            "noise": lambda: rng.standard_normal(n_samples),
            "constant": lambda: np.full(n_samples, rng.choice([0.0, 3.0, -1e38])),
            "missing": lambda: np.where(rng.random(n_samples) < 0.02, np.nan, rng.standard_normal(n_samples)),
            "spikes": lambda: (rng.random(n_samples) < 0.05) * rng.choice([1e-38, 1.0, 3e38]),
            "anything": lambda: np.resize(
                data.draw(arrays(np.float32, st.integers(1, 60), elements=finite)), n_samples
            ),
        }[kind]()
        baseline = data.draw(arrays(np.float32, int(np.ceil(n_samples / fs_hz)), elements=finite, fill=finite))
        channels[name] = VitalChannel(samples.astype(np.float32), baseline, bool(rng.integers(2)))
    recording = SegmentedRecording(channels, starts, length, fs_hz)
    indices = {
        name: index_table(recording.segments(name), fs_hz=fs_hz, modality=name.split("_")[0]) for name in channels
    }
    recording = replace(recording, indices=indices)
    assessed = segment_quality(recording)
    assert all(((values >= 0) & (values <= 1)).all() for values in assessed.values())
    quality = {name: np.where(rng.random(len(starts)) < 0.2, np.nan, values) for name, values in assessed.items()}
    found = segment_vitals(recording, quality, spo2_calibration=CALIBRATION)
    assert tuple(found) == VITALS
    for values in found.values():
        assert values.shape == starts.shape
        assert not np.isinf(values).any()
        assert not (values < 0).any()
