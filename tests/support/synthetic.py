"""Made-up PPG and ECG with known answers."""

from __future__ import annotations

import numpy as np

from ppgssl.core.records import FloatArray

# Phase (0..1), width and height of the systolic wave and of the dicrotic wave of a pulse.
_PPG_WAVES = ((0.25, 0.09, 1.0), (0.55, 0.13, 0.35))
# P, Q, R, S, T.
_ECG_WAVES = ((0.18, 0.025, 0.12), (0.275, 0.010, -0.10), (0.30, 0.012, 1.0), (0.325, 0.010, -0.2), (0.55, 0.05, 0.25))


def make_ppg(
    duration_s: float,
    fs_hz: float,
    heart_rate_bpm: float = 75.0,
    *,
    irregularity: float = 0.0,
    amplitude: float = 1.0,
    baseline: float = 0.0,
    wander: float = 0.0,
    noise: float = 0.0,
    rng: np.random.Generator | None = None,
) -> FloatArray:
    """A PPG, shape (round(duration_s * fs_hz),).

    ``irregularity`` is the coefficient of variation of the beat intervals (0.25 resembles atrial fibrillation),
    ``wander`` and ``noise`` the heights of a 0.2 Hz baseline movement and of white noise, as shares of ``amplitude``.
    """
    rng = rng or np.random.default_rng(0)
    time = np.arange(round(duration_s * fs_hz)) / fs_hz
    phase = _phase(time, heart_rate_bpm, irregularity, rng)
    pulse = _waves(phase, _PPG_WAVES)
    slow = wander * np.sin(2 * np.pi * 0.2 * time + rng.uniform(0, 2 * np.pi))
    return np.asarray(baseline + amplitude * (pulse + slow + noise * rng.standard_normal(len(time))))


def make_ecg(
    duration_s: float,
    fs_hz: float,
    heart_rate_bpm: float = 75.0,
    *,
    irregularity: float = 0.0,
    noise: float = 0.0,
    rng: np.random.Generator | None = None,
) -> FloatArray:
    """An ECG in mV with an R wave of 1 mV, shape (round(duration_s * fs_hz),); see :func:`make_ppg`."""
    rng = rng or np.random.default_rng(0)
    time = np.arange(round(duration_s * fs_hz)) / fs_hz
    waves = _waves(_phase(time, heart_rate_bpm, irregularity, rng), _ECG_WAVES)
    return np.asarray(waves + noise * rng.standard_normal(len(time)))


def _phase(time: FloatArray, heart_rate_bpm: float, irregularity: float, rng: np.random.Generator) -> FloatArray:
    """Beats since an arbitrary start; the fraction is the place within a beat."""
    if not len(time):
        return np.zeros(0)
    mean_s = 60 / heart_rate_bpm
    n_beats = int(2 * time[-1] / mean_s) + 10
    intervals_s = mean_s * np.clip(1 + irregularity * rng.standard_normal(n_beats), 0.4, 2.0)
    onsets_s = np.concatenate([[0.0], np.cumsum(intervals_s)]) - rng.uniform(0, mean_s)
    return np.interp(time, onsets_s, np.arange(len(onsets_s)))


def _waves(phase: FloatArray, waves: tuple[tuple[float, float, float], ...]) -> FloatArray:
    total = np.zeros_like(phase)
    for centre, width, height in waves:
        # Distance on the circle, so that a wave may reach over the end of its beat.
        distance = (phase - centre + 0.5) % 1 - 0.5
        total += height * np.exp(-0.5 * (distance / width) ** 2)
    return total
