"""A study's data: segments of all cohorts, outcome and covariates of the labelled one, and the folds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pandas as pd

from ppgssl.config import ClinicalTable, Study, StudyCohort, load_cohort, suggest
from ppgssl.errors import ConfigError, StoreError
from ppgssl.provenance import fingerprint
from ppgssl.records import BoolArray
from ppgssl.store.assembly import StudySegments, assemble, patient_key
from ppgssl.store.splits import Fold, make_folds
from ppgssl.store.tables import CohortStore


@dataclass(frozen=True)
class StudyData:
    """All that pretraining and evaluation of one study share.

    Attributes
    ----------
    stores : list of CohortStore
        The labelled cohort first.
    covariates : DataFrame, index patient key
        Every clinical variable of the patients analysed.
    y : Series of 0.0 and 1.0, index patient key
        Outcome of the patients analysed: those with an outcome and at least one accepted segment.
    folds : list of Fold
        Who trains and who is tested.
    content : str
        Hash of all of the above and of what decided it.
    """

    study: Study
    stores: list[CohortStore] = field(repr=False)
    segments: StudySegments = field(repr=False)
    covariates: pd.DataFrame = field(repr=False)
    y: pd.Series = field(repr=False)
    folds: list[Fold] = field(repr=False)
    content: str

    @property
    def labelled(self) -> CohortStore:
        return self.stores[0]

    @property
    def clinical(self) -> ClinicalTable:
        table = self.labelled.cohort.clinical
        assert table is not None  # load_study_data refuses a labelled cohort without one
        return table

    def is_labelled_cohort(self) -> BoolArray:
        """Which segments are of the labelled cohort, with an outcome or not."""
        return (self.segments.table["cohort"] == self.labelled.cohort.name).to_numpy()

    def of_patients(self, patients: Sequence[str]) -> BoolArray:
        """Which segments are of these patients."""
        return self.segments.table["patient"].isin(patients).to_numpy()

    def sharing(self, n_processes: int) -> StudyData:
        """The same for one of several processes, which share the memory for streamed samples."""
        return replace(self, segments=self.segments.sharing(n_processes))


def store_folder(entry: StudyCohort, study_file: Path, out: Path) -> Path:
    """Where the store of one of a study's cohorts lies."""
    if entry.store is not None:
        return study_file.parent / entry.store
    return out / "stores" / load_cohort(cohort_file(entry, study_file)).name


def cohort_file(entry: StudyCohort, study_file: Path) -> Path:
    """The cohort.yaml of an entry that has one."""
    if entry.cohort is None:
        raise ConfigError(f"{study_file}: the cohort with store {entry.store!r} names no cohort.yaml")
    return study_file.parent / entry.cohort


def load_study_data(study: Study, study_file: Path, out: Path) -> StudyData:
    """Read the stores of a study and split its patients.

    Raises
    ------
    StoreError
        If a store is missing; the message names the command that makes it.
    ConfigError
        If outcome, covariates or channels do not fit the cohorts.
    EvaluationError
        If the outcome is too rare for the folds.
    """
    entries = sorted(study.cohorts, key=lambda entry: entry.role != "labelled")
    stores = [_open_store(entry, study_file, out) for entry in entries]
    names = [store.cohort.name for store in stores]
    if len(set(names)) < len(names):
        raise ConfigError(f"{study_file}: two cohorts have the same name: {', '.join(names)}")
    check_variables(study, stores[0])
    segments = assemble(stores, study.inputs)
    covariates, y = _analysed(study, stores[0], segments)
    folds = make_folds(y, study.validation, seed=study.seed)
    content = fingerprint(
        {
            "stores": {store.cohort.name: store.fingerprint() for store in stores},
            "inputs": study.inputs.model_dump(mode="json", exclude={"memory_gb"}),
            "outcome": study.outcome,
            "validation": study.validation.model_dump(mode="json", exclude={"n_bootstrap"}),
            "seed": study.seed,
        }
    )
    return StudyData(study, stores, segments, covariates, y, folds, content)


def _open_store(entry: StudyCohort, study_file: Path, out: Path) -> CohortStore:
    folder = store_folder(entry, study_file, out)
    try:
        return CohortStore(folder)
    except StoreError:
        source = cohort_file(entry, study_file) if entry.cohort else "COHORT.yaml"
        raise StoreError(
            f"there is no store at {folder}. Make it with:\n  ppgssl ingest {source} --out {folder}\n"
            f"or everything at once with:\n  ppgssl run {study_file}"
        ) from None


def check_variables(study: Study, store: CohortStore) -> None:
    """Refuse a study whose outcome or covariates do not fit the labelled cohort's clinical table.

    Raises
    ------
    ConfigError
        Listing every problem.
    """
    table = store.cohort.clinical
    if table is None:
        raise ConfigError(
            f"cohort {store.cohort.name!r} is `labelled` in the study, but its cohort.yaml has no `clinical` table"
        )
    problems = []
    heart_rate = [study.heart_rate] if study.heart_rate else []
    for name in dict.fromkeys([study.outcome, *study.covariates, *heart_rate]):
        if name not in table.variables:
            problems.append(
                f"{name!r} is not a variable of cohort {store.cohort.name!r}{suggest(name, table.variables)}"
            )
        elif name != study.outcome and study.outcome in table.variables[name].defines:
            problems.append(f"{name!r} defines the outcome {study.outcome!r}, so it may not predict it")
        elif name != study.outcome and table.variables[name].kind == "date":
            problems.append(f"{name!r} is a date, which cannot be a covariate: compute an age or a duration from it")
    if study.outcome in table.variables and table.variables[study.outcome].kind != "binary":
        problems.append(f"the outcome {study.outcome!r} must be a binary variable")
    if problems:
        raise ConfigError(f"study {study.name!r} does not fit its labelled cohort:", tuple(problems))


def _analysed(study: Study, store: CohortStore, segments: StudySegments) -> tuple[pd.DataFrame, pd.Series]:
    patients = store.patients()
    patients.index = pd.Index([patient_key(store.cohort.name, name) for name in patients.index], name="patient")
    has_segments = patients.index.isin(segments.table["patient"].unique())
    has_outcome = patients[study.outcome].notna().to_numpy()
    analysed = patients[np.logical_and(has_segments, has_outcome)].sort_index()
    return analysed, analysed[study.outcome].astype(float).rename("y")
