"""A simulated oximeter: counts within range, artefacts where it says, physiology kept elsewhere."""

from __future__ import annotations

import numpy as np
import pytest

from ppgssl.simulate.devices import Device, acquire
from ppgssl.simulate.waveform import Light

FS_HZ = 80.0
N = 4800
UNDISTURBED = Device(motion_per_min=0, lost_contact_per_min=0)


def make_light(n: int = N) -> Light:
    volume = 0.01 * np.sin(2 * np.pi * 2 * np.arange(n) / FS_HZ)
    return Light(1 - 0.5 * volume, 1 - volume, beat_times_s=np.arange(0, n / FS_HZ, 0.5), resp_phase=np.zeros(n))


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


def test_disturbed_time_matches_the_stated_rate():
    minutes, fs_hz = 3000, 5.0
    light = make_light(round(minutes * 60 * fs_hz))
    acquired = acquire(light, Device(), fs_hz=fs_hz, rng=np.random.default_rng(1))
    # 0.8 stretches a minute of 3 exp(0.5**2 / 2) s on average, somewhat less where they overlap
    assert acquired.is_motion.sum() / fs_hz / minutes == pytest.approx(0.8 * 3 * np.exp(0.125), rel=0.1)
