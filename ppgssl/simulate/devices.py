"""What an oximeter makes of the light: gain, noise, ambient light, movement, lost contact, counts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.signal import lfilter

from ppgssl.core.records import BoolArray, FloatArray, IntArray
from ppgssl.simulate.waveform import Light

FULL_SCALE = 65_535
"""Highest count: all devices write 16 bits, of which those with a coarser converter use the upper ones."""


@dataclass(frozen=True)
class Device:
    """A clip oximeter with a linear converter: no light is 0 counts.

    Attributes
    ----------
    red_level, infrared_level : pair of float
        Mean and SD over recordings of the baseline, as a proportion of full scale: gain and LED current of the device,
        and how much light fingers let through. By default, the constants that the published system was normalised by
        (Mwaniki et al., Wellcome Open Res 6:248, 2023, 10.12688/wellcomeopenres.17148.2).
    noise_counts : float
        Median over recordings of the sensor noise's SD, some counts.
    ambient : float
        Light that is not the device's own and was not subtracted, as a proportion of full scale, 0..0.02. It drifts,
        and a fiftieth of it flickers with the mains. It makes pulses look smaller than they are, most of all in red.
    bits : int
        Resolution of the converter, 12..16.
    motion_per_min, lost_contact_per_min : float
        Expected number of intervals a minute. Children differ: some lie still, some never do.
    motion_s : float
        Median length of a movement.
    restlessness : float
        How alike children are in the number of intervals: the shape of a gamma distribution.
    """

    red_level: tuple[float, float] = (0.30, 0.09)
    infrared_level: tuple[float, float] = (0.60, 0.13)
    noise_counts: float = 5.0
    ambient: float = 0.0
    bits: int = 16
    motion_per_min: float = 0.8
    lost_contact_per_min: float = 0.1
    motion_s: float = 3.0
    restlessness: float = 2.0


ARTEFACTS: dict[str, dict[str, float]] = {
    "none": {"motion_per_min": 0, "lost_contact_per_min": 0},
    "clinic": {},
    "finger": {"motion_per_min": 0.2, "lost_contact_per_min": 0.03},
    "wrist": {"motion_per_min": 6, "motion_s": 12, "lost_contact_per_min": 1, "restlessness": 1.2},
    "running": {"motion_per_min": 6, "motion_s": 8, "lost_contact_per_min": 0, "restlessness": 8},
}
"""Name -> fields of a :class:`Device`. Disturbances are as frequent as on a still finger, on a wrist in daily life, and
on one of runners (docs/simulator.md)."""


@dataclass(frozen=True)
class Acquired:
    """Samples in counts, and where the device was disturbed; arrays of shape (n_samples,)."""

    red: IntArray
    infrared: IntArray
    is_motion: BoolArray
    is_lost: BoolArray


def simulate_devices(n: int, rng: np.random.Generator, artefacts: str = "clinic") -> list[Device]:
    """Devices of one kind, as a hospital owns them: no two alike in gain, noise, ambient light and resolution.

    ``artefacts`` is a key of ``ARTEFACTS``. Over devices and recordings together, baselines have about the published
    mean and SD.
    """
    gain = 1 + np.clip(rng.normal(0, 0.1, (2, n)), -0.25, 0.25)
    return [
        Device(
            red_level=(0.30 * gain[0, number], 0.085),
            infrared_level=(0.60 * gain[1, number], 0.115),
            noise_counts=float(rng.lognormal(np.log(6), 0.4)),
            ambient=float(rng.uniform(0, 0.012)),
            bits=int(rng.choice([14, 15, 16])),
            **ARTEFACTS[artefacts],
        )
        for number in range(n)
    ]


def acquire(light: Light, device: Device, *, fs_hz: float, rng: np.random.Generator) -> Acquired:
    """Record light with a device.

    Movement shifts venous and arterial blood alike, at both wavelengths by the same proportion of the baseline (a ratio
    of ratios near 1), several times the pulse, and leaves the sensor on a slightly other place. Without a finger the
    clip's detector sees its own diodes and saturates.
    """
    n = len(light.red)
    restlessness = rng.gamma(device.restlessness, 1 / device.restlessness)
    is_motion = _intervals(n, fs_hz, device.motion_per_min * restlessness, median_s=device.motion_s, rng=rng)
    is_lost = _intervals(n, fs_hz, device.lost_contact_per_min * restlessness, median_s=5.0, rng=rng)
    motion = _motion(is_motion, fs_hz, rng) if is_motion.any() else np.zeros(n)
    # A finger leaves and returns within about a tenth of a second.
    absence = _lag(is_lost, fs_hz, time_constant_s=0.05) if is_lost.any() else np.zeros(n)
    noise = device.noise_counts * rng.lognormal(0, 0.4)
    ambient = _ambient(device.ambient, n, fs_hz, rng)
    step = 2 ** (16 - device.bits)

    def counts(relative: FloatArray, level: tuple[float, float]) -> IntArray:
        baseline = FULL_SCALE * float(np.clip(rng.normal(*level), level[0] / 3, 0.9))
        ideal = baseline * (relative + motion) + FULL_SCALE * (2 * absence + ambient)
        noisy = ideal + noise * rng.standard_normal(n)
        return np.asarray(np.clip(step * np.round(noisy / step), 0, FULL_SCALE).astype(np.int64))

    return Acquired(
        red=counts(light.red, device.red_level),
        infrared=counts(light.infrared, device.infrared_level),
        is_motion=is_motion,
        is_lost=is_lost,
    )


def _intervals(n: int, fs_hz: float, per_min: float, *, median_s: float, rng: np.random.Generator) -> BoolArray:
    """Poisson many intervals of log-normal length, anywhere in the recording."""
    is_inside = np.zeros(n, dtype=bool)
    for _ in range(rng.poisson(per_min * n / fs_hz / 60)):
        start = int(rng.integers(n))
        is_inside[start : start + round(rng.lognormal(np.log(median_s), 0.5) * fs_hz)] = True
    return is_inside


def _motion(is_motion: BoolArray, fs_hz: float, rng: np.random.Generator) -> FloatArray:
    """Irregular and rhythmic movement of up to some Hz, about 1 to 6 % of the baseline, that starts and ends smoothly.

    After each interval the sensor sits elsewhere: the baseline has changed by some per cent.
    """
    n = len(is_motion)
    # Twice through the lag: a limb has inertia and does not jump.
    shaken = _lag(_lag(rng.standard_normal(n), fs_hz, time_constant_s=0.08), fs_hz, time_constant_s=0.08)
    kicks = np.sin(2 * np.pi * rng.uniform(1, 4) * np.arange(n) / fs_hz)
    rhythmic_proportion = rng.beta(1, 3)
    movement = (1 - rhythmic_proportion) ** 0.5 * shaken / shaken.std() + (2 * rhythmic_proportion) ** 0.5 * kicks
    strength = rng.lognormal(np.log(0.025), 0.5)
    starts = np.flatnonzero(np.diff(is_motion.astype(np.int8), prepend=0) == 1)
    steps = np.zeros(n)
    steps[starts] = rng.normal(0, 0.015, len(starts))
    moved = _lag(np.cumsum(steps), fs_hz, time_constant_s=0.3)
    return np.asarray(strength * movement * _lag(is_motion, fs_hz, time_constant_s=0.15) + moved)


def _ambient(proportion: float, n: int, fs_hz: float, rng: np.random.Generator) -> FloatArray:
    """Light of the room, of full scale: lamps flicker at twice the mains frequency, 100 Hz, and someone walks by."""
    time_s = np.arange(n) / fs_hz
    drift = 0.3 * np.sin(2 * np.pi * (time_s / rng.uniform(20, 90) + rng.uniform()))
    flicker = 0.02 * np.sin(2 * np.pi * (100 + rng.normal(0, 0.05)) * time_s)
    return np.asarray(proportion * rng.uniform(0, 2) * (1 + drift + flicker))


def _lag(x: FloatArray | BoolArray, fs_hz: float, *, time_constant_s: float) -> FloatArray:
    """First-order low-pass, gain 1 at rest."""
    keep = np.exp(-1 / (time_constant_s * fs_hz))
    return np.asarray(lfilter([1 - keep], [1, -keep], x.astype(float)))
