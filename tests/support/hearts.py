"""A cohort on disk with an ECG lead and a PPG of the same beats: patients with the event have a steadier heart."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ppgssl.core.records import FloatArray
from ppgssl.store.study_data import StudyData
from tests.support.fitted_models import STUDY
from tests.support.small_cohorts import clinical_row, describe, study_of, write_clinical, write_signal
from tests.support.synthetic import make_ecg, make_ppg

FS_HZ = 100
LEAD = {"name": "lead", "any_of": ["ecg_ii"]}
PULSE = {"name": "pulse", "any_of": ["ppg_red"]}
_COHORT: dict[str, Any] = {
    "signals__fs_hz": FS_HZ,
    "signals__channels": {"ppg_red": {"column": "red"}, "ecg_ii": {"column": "ir", "unit": "mV"}},
    "signal__fs_hz": FS_HZ,
}
INPUTS: dict[str, Any] = {"channels": [PULSE, LEAD], "fs_hz": FS_HZ, "segment_s": 4.0, "step_s": 2.0}


def heart(number: int, seconds: float = 60.0, *, seed: int = 0) -> FloatArray:
    """PPG and ECG of patient ``number``, shape (2, n_samples); of those with the event, half as variable."""
    irregularity = 0.025 if number % 2 else 0.05
    rate = np.random.default_rng(1000 * seed + number).uniform(60, 100)
    made = [
        make(
            seconds,
            FS_HZ,
            rate,
            irregularity=irregularity,
            noise=0.005,
            rng=np.random.default_rng(2000 * seed + number),
        )
        for make in (make_ppg, make_ecg)
    ]
    return np.stack(made)


def make_hearts(folder: Path, n_patients: int, *, seed: int = 0, seconds: float = 60.0, **changes: Any) -> Path:
    """The path of the ``cohort.yaml`` of p1, p2, ..., every other of whom died."""
    for number in range(1, n_patients + 1):
        write_signal(folder, f"p{number}_1", heart(number, seconds, seed=seed))
    write_clinical(folder, [clinical_row(number) for number in range(1, n_patients + 1)])
    return describe(folder, **{**_COHORT, **changes})


def hearts_data(
    folder: Path, n_patients: int = 8, *, inputs: dict[str, Any] | None = None, **changes: Any
) -> StudyData:
    """Data of a study of such a cohort, made if need be."""
    if not (folder / "cohort.yaml").exists():
        make_hearts(folder, n_patients)
    return study_of(folder, **{**STUDY, "covariates": ["age"], "inputs": {**INPUTS, **(inputs or {})}, **changes})
