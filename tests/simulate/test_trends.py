"""What the simulated oximeter displays: near the truth while the child lies still, doubtful or nothing otherwise."""

from __future__ import annotations

import numpy as np
import pytest

from ppgssl.core.config.cohort import DeviceTrends
from ppgssl.readers.trends import read_trends
from ppgssl.simulate.devices import Acquired, Device, acquire
from ppgssl.simulate.trends import device_trends, trends_text
from ppgssl.simulate.waveform import Vitals, simulate_light

CHILD = Vitals(130, 35, 96, 1.5, 0, 0.02, 0.2)


def shown(device: Device, vitals: Vitals = CHILD, seed: int = 0) -> tuple[dict[str, np.ndarray], Acquired]:
    rng = np.random.default_rng(seed)
    light = simulate_light(vitals, duration_s=60, fs_hz=80, rng=rng)
    acquired = acquire(light, device, fs_hz=80, rng=rng)
    return device_trends(vitals, light, acquired, fs_hz=80, rng=rng), acquired


@pytest.mark.parametrize("seed", range(5))
def test_an_undisturbed_display_is_near_the_truth(seed):
    trends, _ = shown(Device(motion_per_min=0, lost_contact_per_min=0), seed=seed)
    assert all(len(values) == 60 for values in trends.values())
    assert np.median(trends["HeartRate"]) == pytest.approx(130, abs=4)
    assert np.median(trends["Saturation"]) == pytest.approx(96, abs=1)
    assert np.median(trends["Perfusion"]) == pytest.approx(1.5, abs=0.1)
    assert trends["SQI"].min() > 75


def test_the_index_falls_below_50_while_the_child_moves_and_is_0_without_a_finger():
    moving, acquired = shown(Device(motion_per_min=6, lost_contact_per_min=0), seed=3)
    all_moving = acquired.is_motion.reshape(60, 80).all(axis=1)
    assert all_moving.any()
    assert (moving["SQI"][all_moving] < 50).all()
    lost, acquired = shown(Device(motion_per_min=0, lost_contact_per_min=12), seed=3)
    all_lost = acquired.is_lost.reshape(60, 80).all(axis=1)
    assert all_lost.any()
    assert (lost["SQI"][all_lost] == 0).all()
    assert np.isnan(lost["Saturation"]).any()


def test_poor_perfusion_costs_quality():
    still = Device(motion_per_min=0, lost_contact_per_min=0)
    good, poor = (
        shown(still, Vitals(130, 35, 96, perfusion, 0, 0.02, 0.2))[0]["SQI"].mean() for perfusion in (2.0, 0.25)
    )
    assert poor < good - 5


def test_the_text_reads_back_as_it_was(tmp_path):
    trends, _ = shown(Device(motion_per_min=2, lost_contact_per_min=6), seed=4)
    path = tmp_path / "trends.csv"
    path.write_text(trends_text(trends))
    columns = {"sqi": "SQI", "heart_rate_bpm": "HeartRate", "spo2_percent": "Saturation"}
    found = read_trends(path, DeviceTrends(file="trends.csv", skip_rows=1, columns=columns))
    for name, column in columns.items():
        np.testing.assert_array_equal(found[name], trends[column])
