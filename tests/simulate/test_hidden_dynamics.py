"""Hidden dynamics show in a recording to who looks for them, and not in hand-crafted features."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from benchmarks.hidden_dynamics import r2, simulated
from ppgssl.simulate.findings import HIDDEN
from ppgssl.simulate.waveform import Vitals, simulate_light

FS_HZ = 100.0
CHILD = Vitals(
    heart_rate_bpm=120,
    resp_rate_per_min=30,
    spo2_pct=96,
    perfusion_index_pct=1.5,
    vascular_tone=0,
    heart_rate_variability=0.02,
    resp_modulation=0.2,
)


def heights(child: Vitals) -> tuple[np.ndarray, np.ndarray]:
    """Height of each pulse over its foot, and the phase of breathing at it."""
    light = simulate_light(child, duration_s=120, fs_hz=FS_HZ, rng=np.random.default_rng(3))
    beats = np.round(light.beat_times_s * FS_HZ).astype(int)
    found = [1 - light.infrared[start:end].min() - (1 - light.infrared[start]) for start, end in pairwise(beats)]
    return np.array(found), light.resp_phase[beats[:-1] + 10]


def test_ridge_on_hand_crafted_features_knows_nothing_of_what_an_expert_measures():
    children, hand_crafted, looked_for = simulated(120, "none")
    for name in (*HIDDEN, "autonomic"):
        assert r2(hand_crafted, children[name]) < 0.1, name
        assert r2(looked_for, children[name]) > 0.5, name


def test_strong_and_weak_beats_alternate_where_the_heart_rate_is_high_in_the_breath_at_one_overall_size():
    sizes = []
    for coupling in (-0.8, 0.0, 0.8):
        height, phase = heights(replace(CHILD, resp_modulation=0, alternans_coupling=coupling))
        sign = 1 - 2 * (np.arange(len(height) - 2) % 2)
        change = sign * (height[1:-1] - (height[:-2] + height[2:]) / 2) / height.mean() / 2
        change *= np.sign(change.mean())
        slope = np.polyfit(np.sin(phase[1:-1]), change, 1)[0]
        # A quarter of a breath to either side, alternation is as strong in all: half of the difference is left.
        assert slope == pytest.approx(0.04 * coupling / (1 + coupling**2 / 2) ** 0.5, abs=0.006)
        sizes.append(height.std() / height.mean())
    assert np.ptp(sizes) < 0.05 * np.mean(sizes)


@pytest.mark.parametrize("lag", [-1.5, 0.0, 1.5])
def test_pulse_heights_lag_behind_the_heart_rate(lag):
    still = replace(CHILD, resp_modulation=0.05, resp_amplitude=4, height_lag_rad=lag)
    height, phase = heights(still)
    waves = np.linalg.lstsq(np.column_stack([np.sin(phase), np.cos(phase), np.ones_like(phase)]), height, rcond=None)[0]
    assert np.angle(np.exp(1j * (np.arctan2(-waves[1], waves[0]) - lag))) == pytest.approx(0, abs=0.3)


def test_saturation_varies_within_a_recording_by_what_was_asked_for():
    light = simulate_light(
        replace(CHILD, spo2_pct=92, spo2_variation_pct=2), duration_s=60, fs_hz=FS_HZ, rng=np.random.default_rng(1)
    )
    assert (light.spo2_pct.mean(), light.spo2_pct.std()) == pytest.approx((92, 2), abs=0.1)
