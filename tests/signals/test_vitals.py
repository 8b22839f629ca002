"""ppgssl/signals/vitals.py."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from ppgssl.signals.filters import bandpass
from ppgssl.signals.preprocessing import preprocess
from ppgssl.signals.quality_indices import sqi
from ppgssl.signals.segmentation import cut, segment_starts
from ppgssl.signals.vitals import VITALS, VitalChannel, segment_vitals
from ppgssl.simulate.devices import Device, acquire
from ppgssl.simulate.waveform import Vitals, simulate_light
from tests.support.synthetic import make_ecg, make_ppg

STARTS = np.arange(0, 5001, 200)
CALIBRATION = (110.0, -25.0)


def channel(samples, baseline=None, quality=None, starts=STARTS):
    quality = sqi(cut(samples, starts, 1000), fs_hz=100) if quality is None else np.full(len(starts), quality)
    known = np.full(60, np.nan) if baseline is None else baseline
    return VitalChannel(samples.astype(np.float32), known, baseline is not None, quality)


def vitals_of(channels, starts=STARTS):
    return segment_vitals(channels, starts, 1000, fs_hz=100, spo2_calibration=CALIBRATION)


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
    unknown = VitalChannel(red.samples, red.baseline, False, red.quality)
    found = vitals_of({"ppg_red": unknown, "ppg_ir": infrared})
    assert np.isnan(found["spo2_percent"]).all()
    assert np.isfinite(found["perfusion_index_percent"]).all()
    alone = vitals_of({"ppg_ir": infrared})
    assert np.isnan(alone["spo2_percent"]).all()
    np.testing.assert_array_equal(alone["perfusion_index_percent"], found["perfusion_index_percent"])


def test_the_heart_rate_is_the_better_channels_and_the_ecgs_at_a_draw():
    slow, fast = channel(ppg(60), quality=0.7), channel(ecg(90), quality=0.65)
    assert np.median(vitals_of({"ppg": slow, "ecg_ii": fast})["heart_rate_bpm"]) == pytest.approx(90, abs=1)
    poor = channel(ecg(90), quality=0.4)
    assert np.median(vitals_of({"ppg": slow, "ecg_ii": poor})["heart_rate_bpm"]) == pytest.approx(60, abs=1)


def test_the_channel_is_chosen_for_each_segment():
    slow, fast = channel(ppg(60), quality=0.5), channel(ppg(90), quality=0.5)
    slow.quality[:10], fast.quality[:10] = 0.9, np.nan
    slow.quality[10:] = np.nan
    found = vitals_of({"ppg_green": slow, "ppg_blue": fast})["heart_rate_bpm"]
    np.testing.assert_allclose(found[:10], 60, atol=1)
    np.testing.assert_allclose(found[10:], 90, atol=1)


def test_a_segment_that_no_channel_can_judge_has_no_rate():
    found = vitals_of({"ppg": channel(ppg(60), quality=np.nan)})
    assert np.isnan(found["heart_rate_bpm"]).all()
    assert np.isnan(found["sdnn_ms"]).all()


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
    assert all(len(values) == 0 for values in vitals_of({"ppg": channel(ppg(60), starts=none)}, none).values())
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
        quality = np.where(rng.random(len(starts)) < 0.2, np.nan, rng.random(len(starts)))
        channels[name] = VitalChannel(samples.astype(np.float32), baseline, bool(rng.integers(2)), quality)
    found = segment_vitals(channels, starts, length, fs_hz=fs_hz, spo2_calibration=CALIBRATION)
    assert tuple(found) == VITALS
    for values in found.values():
        assert values.shape == starts.shape
        assert not np.isinf(values).any()
        assert not (values < 0).any()
