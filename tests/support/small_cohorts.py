"""A made-up ward on disk: raw files, a clinical table and descriptions, small enough to be ingested in a blink."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from ppgssl.core.config.study import Study
from ppgssl.core.reasons import Reason
from ppgssl.core.records import FloatArray
from ppgssl.stages.ingest.ingest import ingest
from ppgssl.store.study_data import StudyData, load_study_data
from tests.support.synthetic import make_ppg

FS_HZ = 50
# 12 s hold the segments that start at 0, 2, 4, 6 and 8 s.
SECONDS = 12.0
N_SEGMENTS = 5

_COHORT: dict[str, Any] = {
    "name": "ward",
    "signals": {
        "files": "signals/{patient}_{recording}.csv",
        "reader": "delimited",
        "options": {"layout": "columns", "delimiter": ","},
        "fs_hz": FS_HZ,
        "channels": {"ppg_red": {"column": "red"}, "ppg_ir": {"column": "ir"}},
    },
    "clinical": {
        "file": "clinical.csv",
        "patient_column": "id",
        "variables": {
            "age": {"kind": "numeric", "range": [0, 120]},
            "stage": {"kind": "categorical", "levels": {"a": "early", "b": "late"}, "defines": ["died"]},
            "died": {"kind": "binary"},
        },
    },
    "signal": {"fs_hz": FS_HZ},
    "segments": {"segment_s": 4.0, "step_s": 2.0, "min_sqi": 0.5},
}
_STUDY: dict[str, Any] = {
    "name": "study",
    "out": "out",
    "cohorts": [{"store": "store", "role": "labelled"}],
    "inputs": {
        "channels": [{"name": "ppg", "any_of": ["ppg_ir", "ppg_red"]}],
        "fs_hz": FS_HZ,
        "segment_s": 4.0,
        "step_s": 2.0,
    },
    "outcome": "died",
    "covariates": ["age"],
    "arms": ["covariates"],
    "validation": {"n_folds": 3, "n_repeats": 1},
}


def signal(seed: int, seconds: float = SECONDS) -> FloatArray:
    """Red and infrared, shape (2, n_samples): like no other seed's."""
    rng = np.random.default_rng(seed)
    rate = rng.uniform(60, 120)
    channels = [make_ppg(seconds, FS_HZ, rate, baseline=level, noise=0.01, rng=rng) for level in (30.0, 60.0)]
    return np.stack(channels)


def write_signal(folder: Path, name: str, samples: FloatArray) -> Path:
    """The raw file ``signals/<name>.csv`` of ``samples``, shape (2, n_samples); NaN becomes an empty cell."""
    path = folder / "signals" / f"{name}.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = (",".join("" if np.isnan(value) else f"{value:.4f}" for value in row) for row in samples.T)
    path.write_text("\n".join(["red,ir", *rows]) + "\n")
    return path


def write_clinical(folder: Path, rows: Sequence[str]) -> None:
    (folder / "clinical.csv").write_text("\n".join(["id,age,stage,died", *rows]) + "\n")


def clinical_row(number: int) -> str:
    """Row of patient p1, p2, ...; every other one died."""
    return f"p{number},{number / 2 + 20},{'ab'[number % 2]},{number % 2}"


def describe(folder: Path, **changes: Any) -> Path:
    """``cohort.yaml``; ``changes`` are keys of it, ``a__b`` for ``a: {b: ...}``; None takes one out."""
    return _write(folder / "cohort.yaml", _changed(_COHORT, changes))


def describe_study(folder: Path, **changes: Any) -> Path:
    """``study.yaml`` of the store ``folder/store``; see :func:`describe`."""
    return _write(folder / "study.yaml", _changed(_STUDY, changes))


def make_ward(folder: Path, n_patients: int = 6, *, first_seed: int = 0, **changes: Any) -> Path:
    """A clean cohort of p1, p2, ... with a recording each; the path of its ``cohort.yaml``."""
    for number in range(1, n_patients + 1):
        write_signal(folder, f"p{number}_1", signal(first_seed + number))
    write_clinical(folder, [clinical_row(number) for number in range(1, n_patients + 1)])
    return describe(folder, **changes)


def describe_bad_ward(folder: Path) -> Path:
    """Eight good patients, and one of everything that goes wrong."""
    cohort_file = make_ward(folder, 8)
    (folder / "signals" / "p11_1.csv").write_text("")
    (folder / "signals" / "p12_1.csv").write_text("red,ir\n" + "the sensor fell off,again\n" * 50)
    (folder / "signals" / "p13_1.csv").symlink_to(folder / "signals" / "never_copied")
    write_signal(folder, "p14_1", signal(14))
    rows = [clinical_row(number) for number in (*range(1, 9), 11, 12, 13, 15)]
    twice_the_same, contradicting, impossible = clinical_row(1), "p2,77,a,0", "p8,187.125,a,0"
    write_clinical(folder, [*rows[:7], impossible, *rows[8:], twice_the_same, contradicting])
    return cohort_file


def expected_of_bad_ward() -> dict[str, Reason]:
    """Subject and reason of each of its rejects."""
    return {
        "signals/p11_1.csv": Reason.FILE_UNREADABLE,
        "signals/p12_1.csv": Reason.FILE_UNREADABLE,
        "signals/p13_1.csv": Reason.FILE_UNREADABLE,
        "p14": Reason.NOT_IN_TABLE,
        "p15": Reason.NO_SIGNALS,
        "p1": Reason.REPEATED_PATIENT,
        "p2": Reason.CONTRADICTING_ROWS,
        "p8/age": Reason.IMPLAUSIBLE,
    }


def study_of(folder: Path, **changes: Any) -> StudyData:
    """Ingest the ward in ``folder`` and load a study of it."""
    ingest(folder / "cohort.yaml", folder / "store", n_jobs=1)
    path = describe_study(folder, **changes)
    return load_study_data(Study.model_validate(yaml.safe_load(path.read_text())), path, folder / "out")


def _changed(base: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    result = copy.deepcopy(base)
    for place, value in changes.items():
        *above, key = place.split("__")
        inner = result
        for name in above:
            inner = inner[name]
        if value is None:
            del inner[key]
        else:
            inner[key] = value
    return result


def _write(path: Path, description: dict[str, Any]) -> Path:
    path.write_text(yaml.safe_dump(description, sort_keys=False))
    return path
