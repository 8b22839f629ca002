"""A simulated oximeter: counts within range, artefacts where it says, physiology kept elsewhere."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks import disturbances
from ppgssl.simulate.devices import FULL_SCALE, Device, acquire, simulate_devices
from ppgssl.simulate.waveform import Light

FS_HZ = 80.0
N = 4800
UNDISTURBED = Device(motion_per_min=0, lost_contact_per_min=0)


def make_light(n: int = N) -> Light:
    volume = 0.01 * np.sin(2 * np.pi * 2 * np.arange(n) / FS_HZ)
    beat_times_s = np.arange(0, n / FS_HZ, 0.5)
    return Light(1 - 0.5 * volume, 1 - volume, beat_times_s, resp_phase=np.zeros(n), spo2_pct=np.full(n, 97.5))


@pytest.mark.parametrize("seed", range(20))
def test_samples_are_whole_counts_within_the_converters_range(seed):
    acquired = acquire(make_light(), Device(), fs_hz=FS_HZ, rng=np.random.default_rng(seed))
    for samples in (acquired.red, acquired.infrared):
        assert samples.dtype == np.int64
        assert samples.shape == (N,)
        assert samples.min() >= 0
        assert samples.max() <= 65_535


@pytest.mark.parametrize("seed", range(5))
def test_undisturbed_counts_follow_the_light(seed):
    light = make_light()
    acquired = acquire(light, UNDISTURBED, fs_hz=FS_HZ, rng=np.random.default_rng(seed))
    assert not acquired.is_motion.any()
    assert not acquired.is_lost.any()
    for samples, truth in ((acquired.red, light.red), (acquired.infrared, light.infrared)):
        noise_counts = np.std(samples - samples.mean() * truth / truth.mean())
        assert 5 / 4 < noise_counts < 5 * 4  # the median over recordings is 5 counts
        assert np.corrcoef(samples, truth)[0, 1] > 0.95


def test_baselines_have_the_published_mean():
    levels = [
        acquire(make_light(80), UNDISTURBED, fs_hz=FS_HZ, rng=np.random.default_rng(seed)).red.mean() / 65_535
        for seed in range(400)
    ]
    assert np.mean(levels) == pytest.approx(0.30, abs=0.02)
    assert np.std(levels) == pytest.approx(0.09, abs=0.02)


def test_without_a_finger_the_detector_saturates():
    device = Device(motion_per_min=0, lost_contact_per_min=6)
    acquired = acquire(make_light(), device, fs_hz=FS_HZ, rng=np.random.default_rng(2))
    assert acquired.is_lost.any()
    assert np.mean(acquired.infrared[acquired.is_lost] == 65_535) > 0.9
    assert np.mean(acquired.infrared[~acquired.is_lost] == 65_535) < 0.02


def test_motion_shakes_both_channels_more_than_the_pulse_and_only_there():
    acquired = acquire(
        make_light(), Device(motion_per_min=3, lost_contact_per_min=0), fs_hz=FS_HZ, rng=np.random.default_rng(1)
    )
    during = acquired.is_motion
    assert during.any()
    quiet = ~np.convolve(during, np.ones(161), "same").astype(bool)  # two seconds clear of any movement
    assert acquired.infrared[during].std() > 1.5 * acquired.infrared[quiet].std()
    assert np.corrcoef(acquired.red[during], acquired.infrared[during])[0, 1] > 0.9


def test_disturbed_time_matches_the_stated_rate_and_children_differ():
    light = make_light(300 * 60)
    shares = np.array(
        [acquire(light, Device(), fs_hz=5.0, rng=np.random.default_rng(seed)).is_motion.mean() for seed in range(200)]
    )
    # 0.8 stretches a minute of 3 exp(0.5**2 / 2) s on average, somewhat less where they overlap.
    assert shares.mean() == pytest.approx(0.8 * 3 * np.exp(0.125) / 60, rel=0.12)
    assert shares.std() > 0.5 * shares.mean()


def test_after_a_movement_the_sensor_sits_elsewhere():
    light, device = make_light(24_000), Device(motion_per_min=0.4, lost_contact_per_min=0)
    acquired = acquire(light, device, fs_hz=FS_HZ, rng=np.random.default_rng(6))
    first, last = np.flatnonzero(acquired.is_motion)[[0, -1]]
    before, after = acquired.infrared[: first - 80].mean(), acquired.infrared[last + 160 :].mean()
    assert 0.002 < abs(after / before - 1) < 0.2


def test_devices_differ_in_gain_noise_ambient_light_and_resolution():
    devices = simulate_devices(400, np.random.default_rng(1))
    for field in ("red_level", "infrared_level", "noise_counts", "ambient"):
        assert len({getattr(device, field) for device in devices}) > 300
    assert {device.bits for device in devices} == {14, 15, 16}
    rng = np.random.default_rng(2)
    levels = [acquire(make_light(80), device, fs_hz=FS_HZ, rng=rng) for device in devices]
    reds = np.array([acquired.red.mean() / FULL_SCALE for acquired in levels])
    infrareds = np.array([acquired.infrared.mean() / FULL_SCALE for acquired in levels])
    # The constants by which the published system normalises.
    assert (reds.mean(), reds.std()) == pytest.approx((0.30, 0.09), abs=0.015)
    assert (infrareds.mean(), infrareds.std()) == pytest.approx((0.60, 0.13), abs=0.02)


def test_a_coarse_converter_leaves_out_counts():
    device = Device(motion_per_min=0, lost_contact_per_min=0, bits=12)
    acquired = acquire(make_light(), device, fs_hz=FS_HZ, rng=np.random.default_rng(0))
    assert (acquired.red % 16 == 0).all()


def test_ambient_light_makes_pulses_look_smaller_in_red_more_than_in_infrared():
    light = make_light()

    def ac_over_dc(ambient: float) -> tuple[float, float]:
        device = Device(motion_per_min=0, lost_contact_per_min=0, ambient=ambient, noise_counts=0)
        acquired = acquire(light, device, fs_hz=FS_HZ, rng=np.random.default_rng(3))
        frequency = np.fft.rfftfreq(N, 1 / FS_HZ)
        pulse = int(np.argmin(np.abs(frequency - 2)))
        return tuple(abs(np.fft.rfft(x)[pulse]) / x.sum() for x in (acquired.red, acquired.infrared))

    (red, infrared), (dim_red, dim_infrared) = ac_over_dc(0.0), ac_over_dc(0.02)
    assert dim_red / red < dim_infrared / infrared < 1


def test_lamps_flicker_at_twice_the_mains_frequency_which_sampling_folds_to_20_hz():
    device = Device(motion_per_min=0, lost_contact_per_min=0, ambient=0.02, noise_counts=1)
    acquired = acquire(make_light(), device, fs_hz=FS_HZ, rng=np.random.default_rng(5))
    frequency, power = np.fft.rfftfreq(N, 1 / FS_HZ), np.abs(np.fft.rfft(acquired.infrared)) ** 2
    high = frequency > 10
    assert frequency[high][np.argmax(power[high])] == pytest.approx(20, abs=0.5)


@pytest.mark.parametrize(
    ("artefacts", "source", "tolerance"),
    [("finger", "mw_ppg", 0.05), ("wrist", "stress_predict", 0.1), ("running", "spc2015", 0.15)],
)
def test_disturbances_are_as_frequent_as_in_real_recordings(artefacts, source, tolerance, test_data):
    read, has_level = disturbances.REAL[source]
    real = disturbances.rates(read(test_data / source), has_level=has_level)
    simulated = disturbances.rates(disturbances.simulated(artefacts, 120))
    for rate in ("disturbed", "lost", "minutes_without", "minutes_throughout"):
        assert simulated[rate] == pytest.approx(real[rate], abs=tolerance), rate


def test_without_artefacts_nothing_is_disturbed_and_pulses_are_as_rarely_weak_as_real_ones(test_data):
    read, has_level = disturbances.REAL["oxiwear"]
    real = disturbances.rates(read(test_data / "oxiwear"), has_level=has_level)
    simulated = disturbances.rates(disturbances.simulated("none", 120))
    assert simulated["disturbed"] < 0.01
    assert simulated["weak"] == pytest.approx(real["weak"], abs=0.03)
