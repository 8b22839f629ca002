"""Studies of the public recordings that have a reference, for :mod:`real_references`: raw files, descriptions, table.

The README of each set tells its defects; what is done about them stands at each reader below. Raw samples go through
the product's own ingest, disturbed ones too: noise and movement are added before its filters.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import yaml
from oximetry import CAMERA_HZ, LAG_S, N_BLOCKS, finger_recordings
from references import DATA, FS_HZ, Reference, disturbed, spc2015
from scipy.io import loadmat
from scipy.signal import butter, resample_poly, sosfiltfilt

from ppgssl.core.config.fixed import BANDS_HZ
from ppgssl.core.records import FloatArray

MIN_INTERVALS = 4
MOST_SEGMENTS = 40
# The monitor's respiratory rate fits the camera best when read 20 to 52 s later (README).
CO2_LAG_S = 30
NONE = np.zeros(0)


class Raw(NamedTuple):
    """A recording of a person, its raw samples by channel, and the references of its windows."""

    person: str
    recording: str
    channels: dict[str, FloatArray]
    references: list[dict[str, float]]


@dataclass(frozen=True)
class Source:
    """A set of recordings: what a cohort.yaml and a study.yaml say of it; the first channel has the clearest pulse."""

    name: str
    read: Callable[[], Iterator[Raw]] = field(repr=False)
    channels: tuple[str, ...]
    fs_hz: float
    segment_s: float
    step_s: float
    has_baseline: bool = False
    inverted: bool | str = "auto"


def runners(n_channels: int) -> Iterator[Raw]:
    """spc2015 at 100 Hz; windows of 8 s every 2 s, doubtful ones of the contest's reference left out.

    Intervals are those of the ECG where each of a window is beyond doubt; SDNN holds the trend while people speed up.
    """
    rates = pd.read_csv(DATA / "spc2015" / "reference_hr.csv")
    files = pd.read_csv(DATA / "spc2015" / "recordings.csv").set_index("recording")["file"]
    for reference in spc2015():
        signals = loadmat(DATA / "spc2015" / "recordings" / Path(str(files[reference.name])).name)["sig"]
        channels = {f"ppg_{n}": resample_poly(signals[n] - signals[n].mean(), 4, 5) for n in range(1, n_channels + 1)}
        rows = []
        for row in rates[rates["recording"] == reference.name].itertuples():
            first, last = np.searchsorted(reference.beats_s, (row.start_s, row.end_s))
            found = {"start_s": row.start_s, "end_s": row.end_s}
            if row.ref_doubtful != 1:
                found["hr_bpm"] = row.hr_ref_bpm
            if reference.usable[first : last - 1].all():
                found |= of_intervals(np.diff(reference.beats_s[first:last]))
            rows.append(found)
        yield Raw(reference.name.replace("_", "-"), "run", channels, rows)


def of_intervals(intervals_s: FloatArray) -> dict[str, float]:
    """Mean, SDNN and RMSSD of intervals that follow each other, in ms; nothing of fewer than four."""
    if len(intervals_s) < MIN_INTERVALS:
        return {}
    ms = 1000 * intervals_s
    rmssd = float(np.sqrt(np.mean(np.diff(ms) ** 2)))
    return {"interval_ms": float(ms.mean()), "sdnn_ms": float(ms.std(ddof=1)), "rmssd_ms": rmssd}


def wrists() -> Iterator[Raw]:
    """stress_predict: windows of 10 s in which the device's own intervals follow each other over at least 8 s.

    No ECG: the device found them in the same PPG, at 64 Hz (a beat's time is off by 5 ms), where it trusted them.
    """
    for path in sorted((DATA / "stress_predict").glob("S[0-9][0-9]")):
        raw = np.loadtxt(path / "BVP.csv", skiprows=2)
        time_s, interval_s = np.loadtxt(path / "IBI.csv", skiprows=1, delimiter=",").T
        rows = []
        for start in range(0, int(len(raw) / 64) - 9, 10):
            is_inside = (time_s - interval_s >= start) & (time_s <= start + 10)
            inside, at = interval_s[is_inside], time_s[is_inside]
            follow = np.abs(np.diff(at) - inside[1:]) < 0.02
            if inside.sum() >= 8 and follow.all():
                rows.append({"start_s": start, "end_s": start + 10, **of_intervals(inside)})
        yield Raw(path.name, "wrist", {"ppg": raw}, rows)


def phones() -> Iterator[Raw]:
    """oximetry_phone: both hands; windows of 30 s, read later in the monitors by the lags that the README gives."""
    monitors = pd.read_csv(DATA / "oximetry_phone" / "reference.csv", dtype={"subject": str})
    lags = {"spo2_pct": ("spo2_5_pct", LAG_S), "breaths_per_min": ("rr_co2_per_min", CO2_LAG_S)}
    for path in sorted((DATA / "oximetry_phone" / "camera").glob("*/*.csv")):
        light = np.loadtxt(path, delimiter=",", skiprows=1).T
        shown = monitors[monitors["subject"] == path.stem]
        rows = []
        for start in range(0, int(light.shape[1] / CAMERA_HZ) - 29, 10):
            found = {"start_s": start, "end_s": start + 30}
            for name, (column, lag) in lags.items():
                values = shown[column].to_numpy()[start + lag : start + lag + 30]
                if np.isfinite(values).sum() >= 15:
                    found[name] = float(np.nanmean(values))
            rows.append(found)
        channels = dict(zip(("ppg_red", "ppg_green", "ppg_blue"), light, strict=True))
        yield Raw(path.stem, path.parent.name.lower(), channels, rows)


def fingers() -> Iterator[Raw]:
    """oxiwear: one person, so that six parts of the session stand for people; two start-up samples dropped."""
    held = list(finger_recordings(DATA))
    for number, (infrared, red, ambient, spo2) in enumerate(held):
        channels = {"ppg_red": (red - ambient)[2:], "ppg_ir": (infrared - ambient)[2:]}
        rows = [{"start_s": 0.0, "end_s": len(red) / 64, "spo2_pct": spo2}]
        yield Raw(f"part{number * N_BLOCKS // len(held) + 1}", f"{number + 1:02d}", channels, rows)


def rhythms() -> Iterator[Raw]:
    """arrhythmia_pool: of each person up to 40 segments of 10 s in atrial fibrillation (1), and in sinus rhythm (0)."""
    rng = np.random.default_rng(15)
    for path in sorted((DATA / "arrhythmia_pool").glob("*.npz")):
        with np.load(path) as held:
            ppg, rhythm = held["ppg"].astype(np.float64), held["rhythm"]
        for code, kind in ((0, 0.0), (5, 1.0)):
            for row in np.sort(rng.permutation(np.flatnonzero(rhythm == code))[:MOST_SEGMENTS]):
                found = [{"start_s": 0.0, "end_s": 10.0, "is_af": kind}]
                yield Raw(path.stem.replace("_", "-"), f"{row:04d}", {"ppg": ppg[row] - ppg[row].mean()}, found)


SOURCES = {
    source.name: source
    for source in (
        Source("spc2015", lambda: runners(2), ("ppg_1", "ppg_2"), FS_HZ, 8, 2),
        Source("spc2015-one-channel", lambda: runners(1), ("ppg_1",), FS_HZ, 8, 2),
        Source("stress-predict", wrists, ("ppg",), 64, 10, 10),
        Source("oximetry-phone", phones, ("ppg_green", "ppg_red", "ppg_blue"), CAMERA_HZ, 30, 10, True, True),
        Source("oxiwear", fingers, ("ppg_ir", "ppg_red"), 64, 2.5, 0.5, True),
        Source("arrhythmia-pool", rhythms, ("ppg",), FS_HZ, 10, 10),
    )
}
MOTION = "motion"
Disturbance = float | str | None


def disturb(raw: Raw, how: Disturbance, rng: np.random.Generator) -> Raw:
    """White noise at so many dB, or movement as :func:`references.disturbed` makes it; of 100 Hz.

    The dB are those that remain after the band-pass of ingest: power of the signal over that of the noise, both within
    0.5 to 8 Hz. Noise that the filters take away would count for nothing.
    """
    if how is None:
        return raw
    if how == MOTION:
        clean = Reference(raw.recording, raw.person, raw.channels, [], NONE, np.zeros(0, bool))
        return raw._replace(channels=disturbed(clean, rng, n_channels=len(raw.channels)).channels)
    band = BANDS_HZ["ppg"]
    sos = butter(2, band, "bandpass", fs=FS_HZ, output="sos")
    channels = {}
    for name, samples in raw.channels.items():
        noise = rng.standard_normal(len(samples))
        scale = np.std(sosfiltfilt(sos, samples)) / np.std(sosfiltfilt(sos, noise)) / 10 ** (float(how) / 20)
        channels[name] = samples + scale * noise
    return raw._replace(channels=channels)


def write_study(source: Source, folder: Path, how: Disturbance) -> None:
    """Write recordings, cohort.yaml, clinical table, references and study.yaml.

    The outcome is there because a study has one; where there is a rhythm, it is who has atrial fibrillation, so that
    folds hold as many.
    """
    (folder / "signals").mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(7)
    rows, has_event = [], {}
    for raw in map(lambda one: disturb(one, how, rng), source.read()):
        np.savez(folder / "signals" / f"{raw.person}_{raw.recording}.npz", **raw.channels)
        rows += [{"recording_id": f"{raw.person}_{raw.recording}", **row} for row in raw.references]
        has_event[raw.person] = max(
            [has_event.get(raw.person, 0.0), *(row.get("is_af", 0.0) for row in raw.references)]
        )
    if not any(has_event.values()):
        has_event = {person: number % 2 for number, person in enumerate(sorted(has_event))}
    pd.DataFrame(rows).to_csv(folder / "references.csv", index=False)
    table = pd.Series(has_event, name="event").astype(int).rename_axis("id").reset_index()
    table.to_csv(folder / "clinical.csv", index=False)
    grid = {"segment_s": source.segment_s, "step_s": source.step_s}
    described = {"has_baseline": source.has_baseline, "inverted": source.inverted}
    cohort = {
        "name": source.name,
        "root": ".",
        "signals": {
            "files": "signals/{patient:[^_]+}_{recording}.npz",
            "reader": "arrays",
            "fs_hz": source.fs_hz,
            "channels": {name: {"column": name, **described} for name in source.channels},
        },
        "clinical": {"file": "clinical.csv", "patient_column": "id", "variables": {"event": {"kind": "binary"}}},
        "segments": {**grid, "min_sqi": 0.0},
    }
    study = {
        "name": source.name,
        "out": "out",
        "cohorts": [{"cohort": "cohort.yaml", "role": "labelled"}],
        "inputs": {
            "channels": [{"name": name, "any_of": [name]} for name in source.channels],
            "fs_hz": 50 if source.fs_hz > 50 else source.fs_hz,
            **grid,
            "min_sqi": 0.0,
            "normalisation": "ac_dc" if source.has_baseline else "segment",
        },
        "outcome": "event",
        "arms": ["pulse-wave"],
        "validation": {"scheme": "single-split", "test_fraction": 0.3},
        "probe": {"min_patients": 5, "references": "references.csv"},
    }
    for name, description in (("cohort", cohort), ("study", study)):
        (folder / f"{name}.yaml").write_text(yaml.safe_dump(description, sort_keys=False))
