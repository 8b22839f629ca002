"""Stores of random samples, written without raw files: as many recordings in as many commits as a test asks for."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from ppgssl.core.config.cohort import Cohort
from ppgssl.signals.segmentation import segment_starts
from ppgssl.signals.vitals import VITALS
from ppgssl.store.rows import StoredChannel, StoredRecording, rejects_frame
from ppgssl.store.tables import CohortStore

FS_HZ = 50.0
SEGMENT_S = 4.0


def random_store(
    folder: Path,
    commits: Sequence[Sequence[str]],
    *,
    seconds: float = 12.0,
    step_s: float = 2.0,
    channels: Sequence[str] = ("ppg_ir",),
) -> CohortStore:
    """A store of recordings named ``patient_number``; each commit is a file, and so a block or more.

    All segments of 4 s are accepted; every other patient died.
    """
    store = CohortStore.create(folder, _cohort(folder.name, step_s, channels))
    for number, names in enumerate(commits):
        rng = np.random.default_rng([number, *folder.name.encode()])
        recordings = [_recording(name, seconds, channels, rng) for name in names]
        store.append(recordings, pd.concat([_segments(row, step_s) for row in recordings]), rejects_frame("files", []))
    patients = sorted({name.split("_")[0] for names in commits for name in names})
    died = pd.array([number % 2 for number in range(len(patients))], dtype="Int64")
    store.replace_patients(pd.DataFrame({"died": died}, index=pd.Index(patients, name="patient_id")))
    return store


def _cohort(name: str, step_s: float, channels: Sequence[str]) -> Cohort:
    return Cohort.model_validate(
        {
            "name": name,
            "signals": {
                "files": "{patient}_{recording}.csv",
                "reader": "delimited",
                "channels": {channel: {"column": channel} for channel in channels},
            },
            "clinical": {"file": "clinical.csv", "patient_column": "id", "variables": {"died": {"kind": "binary"}}},
            "signal": {"fs_hz": FS_HZ},
            "segments": {"segment_s": SEGMENT_S, "step_s": step_s},
        }
    )


def _recording(name: str, seconds: float, channels: Sequence[str], rng: np.random.Generator) -> StoredRecording:
    n_samples = round(seconds * FS_HZ)
    held = {
        channel: StoredChannel(
            samples=rng.standard_normal(n_samples, dtype=np.float32),
            flags=np.zeros(n_samples, dtype=np.uint8),
            baseline=rng.uniform(50, 60, int(np.ceil(seconds))).astype(np.float32),
            amplitude=float(rng.uniform(1, 2)),
        )
        for channel in channels
    }
    return StoredRecording(
        recording_id=name,
        patient_id=name.split("_")[0],
        visit="",
        source=f"{name}.csv",
        source_sha256=f"{name:0>64}",
        signal_sha256=rng.bytes(32).hex(),
        source_fs_hz=FS_HZ,
        duration_s=n_samples / FS_HZ,
        fs_hz=FS_HZ,
        channels=held,
    )


def _segments(recording: StoredRecording, step_s: float) -> pd.DataFrame:
    n_samples = round(recording.duration_s * FS_HZ)
    labels: dict[str, object] = {f"sqi_{name}": 0.9 for name in recording.channels}
    labels |= {f"defect_{name}": "" for name in recording.channels}
    starts = segment_starts(n_samples, fs_hz=FS_HZ, segment_s=SEGMENT_S, step_s=step_s)
    return pd.DataFrame(
        {
            "recording_id": recording.recording_id,
            "patient_id": recording.patient_id,
            "segment_s": SEGMENT_S,
            "step_s": step_s,
            "start_s": starts / FS_HZ,
            **labels,
            "accepted": True,
            **dict.fromkeys(VITALS, 80.0),
        }
    )
