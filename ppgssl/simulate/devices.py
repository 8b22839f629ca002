"""What an oximeter makes of the light: gain, noise, movement, lost contact, counts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.signal import lfilter

from ppgssl.records import BoolArray, FloatArray, IntArray
from ppgssl.simulate.waveform import Light


@dataclass(frozen=True)
class Device:
    """A clip oximeter with a linear, 16-bit converter: no light is 0 counts.

    Attributes
    ----------
    red_level, infrared_level : pair of float
        Mean and SD over recordings of the baseline, as a share of full scale. They are the constants that the published
        system was normalised by (Mwaniki et al., Wellcome Open Res 6:248, 2023, 10.12688/wellcomeopenres.17148.2).
    noise_counts : float
        Median over recordings of the sensor noise's SD.
    motion_per_min, lost_contact_per_min : float
        Expected number of stretches a minute.
    full_scale : int
        Highest count.
    """

    red_level: tuple[float, float] = (0.30, 0.09)
    infrared_level: tuple[float, float] = (0.60, 0.13)
    noise_counts: float = 5.0
    motion_per_min: float = 0.8
    lost_contact_per_min: float = 0.1
    full_scale: int = 65_535


@dataclass(frozen=True)
class Acquired:
    """Samples in counts, and where the device was disturbed; arrays of shape (n_samples,)."""

    red: IntArray
    infrared: IntArray
    is_motion: BoolArray
    is_lost: BoolArray


def acquire(light: Light, device: Device, *, fs_hz: float, rng: np.random.Generator) -> Acquired:
    """Record light with a device.

    Movement shifts venous and arterial blood alike, at both wavelengths by the same share of the baseline (a ratio of
    ratios near 1), several times the pulse. Without a finger the clip's detector sees its own diodes and saturates.
    """
    n = len(light.red)
    is_motion = _stretches(n, fs_hz, device.motion_per_min, median_s=3.0, rng=rng)
    is_lost = _stretches(n, fs_hz, device.lost_contact_per_min, median_s=5.0, rng=rng)
    motion = _motion(is_motion, fs_hz, rng)
    # A finger leaves and returns within about a tenth of a second.
    absence = _lag(is_lost, fs_hz, time_constant_s=0.05)
    noise = device.noise_counts * rng.lognormal(0, 0.4)

    def counts(relative: FloatArray, level: tuple[float, float]) -> IntArray:
        baseline = device.full_scale * float(np.clip(rng.normal(*level), level[0] / 3, 0.9))
        ideal = baseline * (relative + motion) + 2 * device.full_scale * absence
        noisy = np.round(ideal + rng.normal(0, noise, n))
        return np.clip(noisy, 0, device.full_scale).astype(np.int64)

    return Acquired(
        red=counts(light.red, device.red_level),
        infrared=counts(light.infrared, device.infrared_level),
        is_motion=is_motion,
        is_lost=is_lost,
    )


def _stretches(n: int, fs_hz: float, per_min: float, *, median_s: float, rng: np.random.Generator) -> BoolArray:
    """Poisson many stretches of log-normal length, anywhere in the recording."""
    is_inside = np.zeros(n, dtype=bool)
    for _ in range(rng.poisson(per_min * n / fs_hz / 60)):
        start = int(rng.integers(n))
        is_inside[start : start + round(rng.lognormal(np.log(median_s), 0.5) * fs_hz)] = True
    return is_inside


def _motion(is_motion: BoolArray, fs_hz: float, rng: np.random.Generator) -> FloatArray:
    """Irregular movement of up to some Hz, about 1 to 6 % of the baseline, that starts and ends smoothly."""
    # Twice through the lag: a limb has inertia and does not jump.
    shaken = _lag(_lag(rng.standard_normal(len(is_motion)), fs_hz, time_constant_s=0.08), fs_hz, time_constant_s=0.08)
    strength = rng.lognormal(np.log(0.025), 0.5)
    return strength * shaken / shaken.std() * _lag(is_motion, fs_hz, time_constant_s=0.15)


def _lag(x: FloatArray | BoolArray, fs_hz: float, *, time_constant_s: float) -> FloatArray:
    """First-order low-pass, gain 1 at rest."""
    keep = np.exp(-1 / (time_constant_s * fs_hz))
    return lfilter([1 - keep], [1, -keep], x.astype(float))
