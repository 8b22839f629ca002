from __future__ import annotations

import numpy as np
import pytest

from ppgssl import signals
from ppgssl.core.errors import SignalError
from ppgssl.signals.preprocessing import preprocess as stored_preprocess

FS = 100


def pulses(bpm: float, *, seconds: float = 60, breaths_per_min: float = 15, noise: float = 0.01, seed: int = 0):
    """Upright pulses with a steep rise; breathing moves their height and their rhythm."""
    t = np.arange(round(seconds * FS)) / FS
    breathing = np.sin(2 * np.pi * breaths_per_min / 60 * t)
    phase = np.cumsum(bpm / 60 * (1 + 0.05 * breathing)) / FS % 1
    shape = np.exp(-(((phase - 0.15) / 0.07) ** 2)) + 0.4 * np.exp(-(((phase - 0.45) / 0.12) ** 2))
    return shape * (1 + 0.2 * breathing) + np.random.default_rng(seed).normal(0, noise, len(t))


def test_leading_axes_are_kept_and_rows_are_computed_one_by_one():
    raw = np.stack([[pulses(60), pulses(90)], [pulses(120), pulses(75)]]) + 10
    done = signals.preprocess(raw, fs_hz=FS, fs_out_hz=50)
    assert done.samples.shape == done.flags.shape == (2, 2, 3000)
    assert done.baseline.shape == (2, 2, 60)
    alone = stored_preprocess(raw[1, 0], fs_hz=FS, fs_out_hz=50, band_hz=(0.5, 8.0))
    np.testing.assert_array_equal(done.samples[1, 0], alone.samples)
    pieces = signals.segments(done.samples, fs_hz=50, segment_s=10, step_s=5)
    assert pieces.shape == (2, 2, 11, 500)
    np.testing.assert_allclose(
        np.median(signals.heart_rate(pieces, fs_hz=50), axis=-1), [[60, 90], [120, 75]], atol=1.5
    )
    assert (signals.quality(pieces, fs_hz=50) > 0.6).mean() > 0.9


def test_beats_variability_and_breathing_agree_with_what_was_made():
    x = signals.preprocess(pulses(72, seconds=64, breaths_per_min=18), fs_hz=FS).samples
    found = signals.beats(x, fs_hz=FS)
    assert len(found) == pytest.approx(72 * 64 / 60, abs=2)
    assert np.nanmean(found.interval_ms) == pytest.approx(60_000 / 72, rel=0.01)
    both = signals.hrv(np.stack([x, x]), fs_hz=FS)
    assert both.sdnn_ms.shape == (2,)
    # The rate swings by 5 %: intervals have a standard deviation of about 5 % / sqrt(2) of their mean.
    assert both.sdnn_ms[0] == pytest.approx(60_000 / 72 * 0.05 / np.sqrt(2), rel=0.15)
    assert signals.respiratory_rate(x, fs_hz=FS) == pytest.approx(18, abs=1)


@pytest.mark.parametrize("direction", [1, -1])
def test_oxygen_saturation_follows_the_ratio_of_ratios_whichever_way_pulses_point(direction):
    infrared = 1000 + direction * 20 * pulses(80)
    red = 800 + direction * 8 * pulses(80, seed=1)
    ratio = (8 / 800) / (20 / 1000)
    found = signals.spo2(np.stack([red, red]), np.stack([infrared, infrared]), fs_hz=FS)
    np.testing.assert_allclose(found, 110 - 25 * ratio, atol=0.3)


def test_what_is_no_signal_is_refused():
    with pytest.raises(SignalError, match="needs a time axis"):
        signals.heart_rate(3.0, fs_hz=FS)
    with pytest.raises(SignalError, match="one signal at a time"):
        signals.beats(np.zeros((2, 100)), fs_hz=FS)
    with pytest.raises(SignalError, match="`modality` is 'eeg'"):
        signals.quality(np.zeros((2, 500)), fs_hz=FS, modality="eeg")
    with pytest.raises(SignalError, match="must have one shape"):
        signals.spo2(np.zeros(500), np.zeros(400), fs_hz=FS)
