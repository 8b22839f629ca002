"""Hospitals on disk, and a model fitted to the first of them: small enough to be made in a second or two."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ppgssl.models.fitted import FittedModel
from ppgssl.stages.deploy.fit import fit_model
from ppgssl.store.study_data import StudyData
from tests.support.small_cohorts import describe, signal, study_of, write_clinical, write_signal

VARIABLES: dict[str, Any] = {
    "age": {"kind": "numeric", "label": "Age", "unit": "years", "range": [0, 120]},
    "stage": {"kind": "categorical", "label": "Stage", "levels": {"a": "early", "b": "late"}},
    "died": {"kind": "binary", "label": "Death"},
}
STUDY: dict[str, Any] = {
    "covariates": ["age", "stage"],
    "pretraining": {"n_steps": 4, "batch_size": 8, "evaluate_every": 2, "encoder": {"width": 8, "n_stages": 1}},
    "validation": {"n_folds": 2, "n_repeats": 1, "n_bootstrap": 200, "n_optimism": 0},
    "decisions": {"risks": [0.3]},
}


def make_hospital(folder: Path, n: int, *, seed: int, older_by: float = 0.0, **changes: Any) -> Path:
    """A cohort whose older patients die more often; every seventh age is missing. The path of its ``cohort.yaml``."""
    rng = np.random.default_rng(seed)
    rows = []
    for number in range(1, n + 1):
        write_signal(folder, f"p{number}_1", signal(1000 * seed + number))
        age = rng.normal(50 + older_by, 10)
        died = int(rng.random() < 1 / (1 + np.exp(-(age - 50 - older_by) / 3)))
        rows.append(f"p{number},{'' if number % 7 == 0 else round(age, 1)},{'ab'[int(rng.integers(2))]},{died}")
    write_clinical(folder, rows)
    return describe(folder, **{"clinical__variables": VARIABLES, "name": folder.name, **changes})


def fit_hospital(folder: Path, arm: str = "covariates+ssl-all", *, n: int = 24, **changes: Any) -> FittedModel:
    """A hospital of ``n`` patients in ``folder``, and the model of it in ``folder/model``."""
    return fit_model(hospital_data(folder, n=n, **changes), arm, folder / "out", folder / "model", n_refits=20)


def hospital_data(folder: Path, *, n: int = 24, **changes: Any) -> StudyData:
    """Data of a study of a hospital, made if need be."""
    if not (folder / "cohort.yaml").exists():
        make_hospital(folder, n, seed=1)
    return study_of(folder, **{**STUDY, **changes})
