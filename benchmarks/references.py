"""Recordings whose heart rate and beats are known, for the benchmarks and for fitting: measured, or disturbed.

spc2015      wrist PPG of running people, with an ECG (public; the README of the folder tells its defects)
disturbed    clean finger PPG of mw_ppg, and of simulated children, with movement added to it
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.io import loadmat
from scipy.signal import butter, sosfiltfilt

from ppgssl.core.records import FloatArray
from ppgssl.signals import arrays
from ppgssl.signals.beat_times import ppg_beats
from ppgssl.signals.polarity import is_inverted, polarity
from ppgssl.signals.quality_indices import sqi
from ppgssl.signals.rate_track import STEP_S, WINDOW_S
from ppgssl.simulate.physiology import simulate_patients
from ppgssl.simulate.waveform import Vitals, simulate_light

FS_HZ = 100
DATA = Path(os.environ.get("PPGSSL_TEST_DATA", "../shared/data"))


@dataclass(frozen=True)
class Reference:
    """A recording at 100 Hz, band-passed and polarity-corrected, and what is known of it.

    Attributes
    ----------
    channels : dict of name to float array, shape (n_samples,)
    acceleration : list of float arrays, shape (n_samples,)
    beats_s : float array, shape (n_beats,)
        True beats: R peaks, or pulses of the undisturbed signal.
    usable : bool array, shape (n_beats - 1,)
        Which intervals between beats are beyond doubt.
    delay_s : float or None
        From a true beat to its pulse; None where it has to be estimated.
    """

    name: str
    person: str
    channels: dict[str, FloatArray] = field(repr=False)
    acceleration: list[FloatArray] = field(repr=False)
    beats_s: FloatArray = field(repr=False)
    usable: np.ndarray = field(repr=False)
    delay_s: float | None = None

    @property
    def duration_s(self) -> float:
        return len(next(iter(self.channels.values()))) / FS_HZ

    def rates(self, start_s: FloatArray, length_s: float) -> FloatArray:
        """True heart rate of each window, per minute: over its whole intervals; NaN where one of them is doubtful."""
        found = np.full(len(start_s), np.nan)
        for number, start in enumerate(start_s):
            first, last = np.searchsorted(self.beats_s, (start, start + length_s))
            if last - first >= 3 and self.usable[first : last - 1].all():
                found[number] = 60 * (last - first - 1) / (self.beats_s[last - 1] - self.beats_s[first])
        return found


def window_starts(duration_s: float, length_s: float = WINDOW_S, step_s: float = STEP_S) -> FloatArray:
    return np.arange(0, duration_s - length_s + 1e-9, step_s)


def spc2015(folder: Path = DATA) -> Iterator[Reference]:
    """Thirteen recordings; S04 of the contest's second group is taken as a person of its own."""
    source = folder / "spc2015"
    beats = pd.read_csv(source / "rr_from_ecg.csv")
    for row in pd.read_csv(source / "recordings.csv").itertuples():
        signals = loadmat(source / "recordings" / Path(str(row.file)).name)["sig"]
        of_one = beats[beats["recording"] == row.recording]
        channels = {f"ppg_{number}": filtered(signals[number], 125) for number in (1, 2)}
        yield Reference(
            str(row.recording),
            str(row.recording),
            channels,
            [filtered(axis, 125) for axis in signals[3:6]],
            of_one["beat_time_s"].to_numpy(),
            of_one["ok"].to_numpy()[1:] == 1,
        )


def filtered(raw: FloatArray, fs_hz: float) -> FloatArray:
    done = arrays.preprocess(raw, fs_hz=fs_hz, fs_out_hz=FS_HZ, find_defects=False)
    return np.asarray(done.samples, dtype=np.float64)


def upright(samples: FloatArray) -> FloatArray:
    return -samples if is_inverted(polarity(samples, fs_hz=FS_HZ)) else samples


def clean_fingers(folder: Path = DATA) -> Iterator[Reference]:
    """Minutes of mw_ppg that nobody labelled as disturbed; their own pulses are the truth."""
    source = folder / "mw_ppg"
    labelled = set(pd.read_csv(source / "artefact_labels" / "intervals.csv")["subject"])
    for path in sorted((source / "recordings").glob("*.csv")):
        subject = int(path.stem.rsplit("_", 1)[1])
        if subject in labelled:
            continue
        raw = pd.read_csv(path)
        channels = {
            f"ppg_{name.split('_')[0]}": upright(filtered(raw[name].to_numpy(float), 200)) for name in raw.columns
        }
        beats = ppg_beats(channels["ppg_ir"], fs_hz=FS_HZ)
        yield Reference(path.stem, path.stem, channels, [], beats.sample / FS_HZ, beats.is_interval, 0.0)


def arrhythmias(n: int, *, folder: Path = DATA, seed: int = 12) -> Iterator[Reference]:
    """Segments of 10 s of arrhythmia_pool, of each person and rhythm; their own pulses are the truth."""
    rng = np.random.default_rng(seed)
    held = []
    for path in sorted((folder / "arrhythmia_pool").glob("*.npz")):
        with np.load(path) as arrays_:
            for rhythm in np.unique(arrays_["rhythm"]):
                of_rhythm = np.flatnonzero(arrays_["rhythm"] == rhythm)
                held += [(path.stem, int(rhythm), arrays_["ppg"][row]) for row in rng.permutation(of_rhythm)[:12]]
    for number in rng.permutation(len(held))[:n]:
        person, rhythm, raw = held[number]
        samples = filtered(raw.astype(np.float64), 100)
        if sqi(samples[None], fs_hz=FS_HZ)[0] < 0.7:
            continue
        beats = ppg_beats(samples, fs_hz=FS_HZ)
        name = f"rhythm {rhythm} {number}"
        still = list(0.02 * rng.standard_normal((3, len(samples))))
        yield Reference(name, person, {"ppg": samples}, still, beats.sample / FS_HZ, beats.is_interval, 0.0)


def simulated_children(n: int, *, seed: int = 11, duration_s: float = 60.0) -> Iterator[Reference]:
    """Undisturbed minutes of the simulator; a pulse is steepest somewhat after its onset."""
    rng = np.random.default_rng(seed)
    for number, row in enumerate(simulate_patients(n, prevalence=0.3, rng=rng).to_dict("records")):
        vitals = Vitals.of(row)
        light = simulate_light(vitals, duration_s=duration_s, fs_hz=FS_HZ, rng=rng)
        noisy = {
            name: -filtered(values + 0.02 * np.ptp(values) * rng.standard_normal(len(values)), FS_HZ)
            for name, values in (("ppg_red", light.red), ("ppg_ir", light.infrared))
        }
        beats = light.beat_times_s
        yield Reference(f"child {number}", f"child {number}", noisy, [], beats, np.ones(len(beats) - 1, bool))


def disturbed(clean: Reference, rng: np.random.Generator, *, n_channels: int = 2) -> Reference:
    """Movement added to some of the channels of a clean recording, and what an accelerometer would see of it.

    Rhythmic movement has a fundamental of 0.5 to 3.2 Hz that drifts and up to four harmonics; irregular movement is
    noise of 0.3 to 5 Hz. Episodes last 5 to 40 s. Each channel and each axis sees its own mixture.
    """
    names = rng.permutation(list(clean.channels))[:n_channels]
    n = len(clean.channels[str(names[0])])
    active = _episodes(n, rng)
    rhythm = _rhythm(n, rng)
    irregular = _band_noise((4, n), 0.3, 5.0, rng)
    strength = rng.lognormal(0.1, 0.8)
    irregular_strength = rng.lognormal(-0.6, 0.8)
    channels = {}
    for name in names:
        pulse = clean.channels[str(name)]
        scale = np.nanstd(pulse) * np.sqrt(2)
        gains = rng.lognormal(0, 0.5, len(rhythm)) * rng.choice([-1, 1], len(rhythm))
        movement = strength * (gains @ rhythm) + irregular_strength * (irregular[0] + 0.5 * irregular[1]) * rng.choice(
            [-1, 1]
        )
        held = pulse * (1 - rng.uniform(0, 0.5) * active) + scale * active * movement
        channels[str(name)] = held + 0.03 * scale * rng.standard_normal(n)
    axes = []
    for axis in range(3):
        gains = rng.lognormal(0, 0.7, len(rhythm)) * rng.choice([-1, 1], len(rhythm))
        seen = rng.uniform(0, 1) * strength * (gains @ rhythm) + irregular_strength * irregular[axis] * rng.uniform(
            0, 1
        )
        axes.append(active * seen + 0.02 * rng.standard_normal(n))
    return Reference(clean.name, clean.person, channels, axes, clean.beats_s, clean.usable, clean.delay_s)


def _episodes(n: int, rng: np.random.Generator) -> FloatArray:
    """0 at rest, 1 in movement, with ramps of a second."""
    active = np.zeros(n)
    if rng.uniform() < 0.15:
        return active
    at = 0
    moving = rng.uniform() < 0.5
    while at < n:
        length = int(FS_HZ * rng.uniform(5, 40))
        active[at : at + length] = moving
        at, moving = at + length, not moving
    return np.convolve(np.pad(active, FS_HZ // 2, mode="edge"), np.ones(FS_HZ) / FS_HZ, mode="same")[FS_HZ // 2 :][:n]


def _rhythm(n: int, rng: np.random.Generator) -> FloatArray:
    """Harmonics of one drifting movement, shape (n_harmonics, n)."""
    fundamental = np.exp(rng.uniform(np.log(0.5), np.log(3.2)))
    drift = np.cumsum(rng.standard_normal(n)) * 0.02 / np.sqrt(FS_HZ)
    phase = 2 * np.pi * np.cumsum(fundamental * np.exp(drift)) / FS_HZ
    size = rng.uniform(0.1, 1, 4) * 0.6 ** np.arange(4) * (rng.uniform(size=4) < [0.9, 0.8, 0.5, 0.4])
    shifts = rng.uniform(0, 2 * np.pi, 4)
    return np.asarray(size[:, None] * np.sin(np.arange(1, 5)[:, None] * phase + shifts[:, None]))


def _band_noise(shape: Sequence[int], low_hz: float, high_hz: float, rng: np.random.Generator) -> FloatArray:
    noise = sosfiltfilt(butter(2, (low_hz, high_hz), "bandpass", fs=FS_HZ, output="sos"), rng.standard_normal(shape))
    return np.asarray(noise / noise.std(axis=-1, keepdims=True))


def beats_agreement(found_s: FloatArray, true_s: FloatArray, tolerance_s: float) -> float:
    """F1 of beats, each true one matched to at most one found one within the tolerance; 0 without any."""
    if not len(found_s) or not len(true_s):
        return 0.0
    matched, row, column = 0, 0, 0
    while row < len(found_s) and column < len(true_s):
        difference = found_s[row] - true_s[column]
        if abs(difference) <= tolerance_s:
            matched, row, column = matched + 1, row + 1, column + 1
        elif difference < 0:
            row += 1
        else:
            column += 1
    return 2 * matched / (len(found_s) + len(true_s))


def best_delay(found_s: FloatArray, true_s: FloatArray) -> float:
    """The delay, 0 to 0.6 s, at which most true beats are followed by a found one within 60 ms."""
    delays = np.arange(0, 0.6, 0.02)
    return float(max(delays, key=lambda delay: beats_agreement(found_s, true_s + delay, 0.06)))
