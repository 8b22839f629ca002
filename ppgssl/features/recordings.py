"""Hand-crafted features of whole recordings: variability of the rhythm, and waves of the ECG; nothing is fitted."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import pandas as pd

from ppgssl.core.config.study import Inputs
from ppgssl.core.errors import ConfigError
from ppgssl.core.parallel import Progress, Workers, silent
from ppgssl.core.provenance import fingerprint, replaced, versions
from ppgssl.core.records import FloatArray
from ppgssl.signals.beat_times import ecg_beats, ppg_beats
from ppgssl.signals.ecg_waves import ECG_WAVE_NAMES, ecg_wave_features
from ppgssl.signals.rhythm import RHYTHM_NAMES, rhythm_features
from ppgssl.signals.variability import trusted_intervals
from ppgssl.store.assembly import StudySegments
from ppgssl.store.study_data import StudyData

# Patients that one task of a worker takes.
_TASK_PATIENTS = 50


class OfRecording(Protocol):
    """Features of one recording."""

    names: list[str]

    def __call__(self, samples: FloatArray) -> FloatArray:
        """Shape (len(names),); of the inputs' samples, shape (n_channels, n_samples), NaN where unusable."""


class Rhythm:
    """Features of :func:`ppgssl.signals.rhythm.rhythm_features`, such as ``rhythm rmssd_ms``.

    Of a recording's ECG leads, or of its PPG channels where it has no lead, the one with the most time between normal
    beats counts, the first of equals: intervals between R peaks hold less of anything else.
    """

    def __init__(self, inputs: Inputs) -> None:
        self.inputs = inputs
        self.names = [f"rhythm {name}" for name in RHYTHM_NAMES]

    def __call__(self, samples: FloatArray) -> FloatArray:
        fs_hz = self.inputs.fs_hz
        for modality, find in (("ecg", ecg_beats), ("ppg", ppg_beats)):
            channels = [
                one
                for one, channel in zip(samples, self.inputs.channels, strict=True)
                if channel.modality == modality and np.isfinite(one).any()
            ]
            if channels:
                beats = [find(one, fs_hz=fs_hz) for one in channels]
                best = int(np.argmax([np.diff(one.sample)[trusted_intervals(one)].sum() for one in beats]))
                return rhythm_features(channels[best], beats[best], fs_hz=fs_hz, modality=modality)
        return np.full(len(self.names), np.nan)


class EcgWave:
    """Features of :func:`ppgssl.signals.ecg_waves.ecg_wave_features` of each lead, such as ``ecg_ii qrs_ms``.

    Raises ConfigError if the inputs have no lead, or too low a rate.
    """

    def __init__(self, inputs: Inputs) -> None:
        try:
            inputs.check_features(["ecg-wave"], "inputs")
        except ValueError as error:
            raise ConfigError(str(error)) from None
        self.inputs = inputs
        self.leads = [number for number, channel in enumerate(inputs.channels) if channel.modality == "ecg"]
        self.names = [f"{inputs.channels[number].name} {name}" for number in self.leads for name in ECG_WAVE_NAMES]

    def __call__(self, samples: FloatArray) -> FloatArray:
        fs_hz, leads = self.inputs.fs_hz, samples[self.leads]
        return np.concatenate([ecg_wave_features(one, ecg_beats(one, fs_hz=fs_hz), fs_hz=fs_hz) for one in leads])


RECORDING_FEATURES: dict[str, type[Rhythm] | type[EcgWave]] = {"rhythm": Rhythm, "ecg-wave": EcgWave}
"""Name of a kind of features -> what computes it."""


class RecordingFeatures:
    """Features of recordings, averaged over each patient's recordings in which they are known."""

    def __init__(self, represent: OfRecording) -> None:
        self.represent = represent

    def transform(self, data: StudyData) -> pd.DataFrame:
        """A row for each patient of ``data.y``, in that order; NaN for patients without a segment."""
        return _patient_means(list(data.y.index), self.represent, data.segments)


def recording_features(
    name: str,
    data: StudyData,
    patients: Sequence[str],
    out: Path,
    pool: Workers | None = None,
    progress: Progress = silent,
) -> pd.DataFrame:
    """Features of patients' recordings by a key of ``RECORDING_FEATURES``: a row each, in the order of ``patients``.

    They are kept in ``out/features/``, since they take a tenth of a second a recording and more, and nothing but the
    signals decides them.

    Raises ConfigError if the study's inputs do not allow them.
    """
    represent = RECORDING_FEATURES[name](data.study.inputs)
    made = [data.signals_content, list(patients), [versions().get(package) for package in ("ppgssl", "neurokit2")]]
    file = out / "features" / f"{name}-{fingerprint(made)[:16]}.parquet"
    if file.is_file():
        return pd.read_parquet(file)
    tasks = [list(patients[first : first + _TASK_PATIENTS]) for first in range(0, len(patients), _TASK_PATIENTS)]
    shared = represent, data.segments
    if pool is None:
        tables = [_patient_means(task, *shared) for task in tasks]
    else:
        tables = list(pool.run(_patient_means, tasks, *shared, progress=progress, label=f"features {name}"))
    table = pd.concat(tables)
    file.parent.mkdir(parents=True, exist_ok=True)
    for old in file.parent.glob(f"{name}-*.parquet"):
        old.unlink(missing_ok=True)
    with replaced(file) as temporary:
        table.to_parquet(temporary)
    return table


def _patient_means(patients: list[str], represent: OfRecording, segments: StudySegments) -> pd.DataFrame:
    owners: list[str] = []
    rows = []
    for patient, samples in segments.recordings(patients):
        owners.append(patient)
        rows.append(represent(samples))
    values = np.array(rows).reshape(len(rows), len(represent.names))
    table = pd.DataFrame(values, index=pd.Index(owners, dtype=object), columns=represent.names)
    return table.groupby(level=0).mean().reindex(patients).rename_axis("patient")
