"""A study's data: segments of all cohorts, outcome and covariates of the labelled one, and the folds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from ppgssl.core.config.cohort import ClinicalTable
from ppgssl.core.config.loading import load_cohort
from ppgssl.core.config.study import Study, StudyCohort
from ppgssl.core.errors import ConfigError, EvaluationError, StoreError
from ppgssl.core.provenance import fingerprint
from ppgssl.core.records import BoolArray
from ppgssl.core.text import suggest
from ppgssl.store.assembly import StudySegments, assemble, patient_key
from ppgssl.store.linked_patients import linked_patients, shared_signals
from ppgssl.store.splits import Fold, make_folds, split_notes
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
        Outcome of the patients analysed: those with an outcome, at least one accepted segment and, where sites are left
        out one by one, a site.
    content, signals_content : str
        Hash of all that an analysis reads and of what decided it; and of the signals alone, without clinical values,
        outcome and folds: what encoders are made of.
    shared_signals : mapping of patient key to hashes
        Of patients of all cohorts who hold a signal that another patient holds, too; see
        :mod:`ppgssl.store.linked_patients`.
    without_site, notes : tuples of str
        Patient keys left out because their site is not known; what a reader must know of the splits.
    folder : Path
        That of study.yaml, where further tables of the study lie.
    """

    study: Study
    stores: list[CohortStore] = field(repr=False)
    segments: StudySegments = field(repr=False)
    covariates: pd.DataFrame = field(repr=False)
    y: pd.Series = field(repr=False)
    folds: list[Fold] = field(repr=False)
    content: str
    signals_content: str
    shared_signals: Mapping[str, frozenset[str]] = field(default_factory=dict, repr=False)
    without_site: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    folder: Path = Path()

    @property
    def labelled(self) -> CohortStore:
        return self.stores[0]

    @property
    def clinical(self) -> ClinicalTable:
        table = self.labelled.cohort.clinical
        assert table is not None  # load_study_data refuses a labelled cohort without one
        return table

    @property
    def linked(self) -> tuple[str, ...]:
        """Patients not analysed who share a recording with one who is: an encoder for all folds may not see them."""
        return tuple(sorted({name for fold in self.folds for name in fold.linked} - set(self.y.index)))

    def is_labelled_cohort(self) -> BoolArray:
        """Which segments are of the labelled cohort, with an outcome or not."""
        return (self.segments.table["cohort"] == self.labelled.cohort.name).to_numpy()

    def of_patients(self, patients: Sequence[str]) -> BoolArray:
        """Which segments are of these patients."""
        return self.segments.table["patient"].isin(patients).to_numpy()


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
    ConfigError, EvaluationError
        If outcome, covariates or channels do not fit the cohorts; if the outcome is too rare for the folds, or no
        patient can be analysed.
    """
    entries = sorted(study.cohorts, key=lambda entry: entry.role != "labelled")
    stores = [_open_store(entry, study_file, out) for entry in entries]
    names = [store.cohort.name for store in stores]
    if len(set(names)) < len(names):
        raise ConfigError(f"{study_file}: two cohorts have the same name: {', '.join(names)}")
    check_variables(study, stores[0])
    segments = assemble(stores, study.inputs, out)
    patients = _with_outcome(study, stores[0], segments)
    covariates, sites = _with_site(study, stores[0], patients)
    y = covariates[study.outcome].astype(float).rename("y")
    shared = shared_signals(stores)
    linked = linked_patients(shared)
    folds = make_folds(y, study.validation, seed=study.seed, linked=linked, sites=sites)
    without_site = tuple(patients.index.difference(covariates.index))
    inputs = study.inputs.model_dump(mode="json", exclude={"memory_gb"})
    content = fingerprint(
        {
            "stores": {store.cohort.name: store.fingerprint() for store in stores},
            "inputs": inputs,
            "outcome": study.outcome,
            "validation": study.validation.model_dump(mode="json", exclude={"n_bootstrap", "n_optimism"}),
            "seed": study.seed,
        }
    )
    return StudyData(
        study,
        stores,
        segments,
        covariates,
        y,
        folds,
        content,
        signals_content=fingerprint([[store.signals_fingerprint() for store in stores], inputs]),
        shared_signals=shared,
        without_site=without_site,
        notes=(*_site_notes(without_site, study), *split_notes(folds, y, linked)),
        folder=study_file.parent,
    )


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
    """Raise a ``ConfigError`` that lists all by which outcome or covariates do not fit the clinical table."""
    table = store.cohort.clinical
    if table is None:
        raise ConfigError(
            f"cohort {store.cohort.name!r} is `labelled` in the study, but its cohort.yaml has no `clinical` table"
        )
    problems = [
        *_unknown_names(study, table, store.cohort.name),
        *_outcome_problems(study, table),
        *_predictor_problems(study, table),
        *_site_problems(study, table),
        *_subgroup_problems(study, table),
    ]
    if problems:
        raise ConfigError(f"study {study.name!r} does not fit its labelled cohort:", tuple(problems))


def _unknown_names(study: Study, table: ClinicalTable, cohort: str) -> Iterator[str]:
    singles = (study.outcome, study.heart_rate, study.spo2, study.validation.site)
    names = [*singles, *study.covariates, *(group.variable for group in study.subgroups)]
    for name in dict.fromkeys(name for name in names if name is not None):
        if name not in table.variables:
            yield f"{name!r} is not a variable of cohort {cohort!r}{suggest(name, table.variables)}"


def _outcome_problems(study: Study, table: ClinicalTable) -> Iterator[str]:
    if study.outcome in table.variables and table.variables[study.outcome].kind != "binary":
        yield f"the outcome {study.outcome!r} must be a binary variable"


def _predictor_problems(study: Study, table: ClinicalTable) -> Iterator[str]:
    vitals = [name for name in (study.heart_rate, study.spo2) if name]
    outcome_column = _column(study.outcome, table)
    for name in dict.fromkeys([*study.covariates, *vitals]):
        variable = table.variables.get(name)
        if variable is None:
            continue
        if name == study.outcome:
            yield f"the outcome {name!r} may not predict itself"
        elif study.outcome in variable.defines:
            yield f"{name!r} defines the outcome {study.outcome!r}, so it may not predict it"
        elif _column(name, table) == outcome_column:
            yield f"{name!r} is of the same column as the outcome {study.outcome!r}, {outcome_column!r}: they are one"
        elif variable.kind == "date":
            yield f"{name!r} is a date, which cannot be a covariate: compute an age or a duration from it"
        elif name in vitals and variable.kind != "numeric":
            yield f"`heart_rate` and `spo2` name numeric variables, and {name!r} is {variable.kind}"


def _column(name: str, table: ClinicalTable) -> str:
    variable = table.variables.get(name)
    return ((variable.column if variable else None) or name).strip()


def _site_problems(study: Study, table: ClinicalTable) -> Iterator[str]:
    site = study.validation.site
    if site is None or site not in table.variables:
        return
    kind = table.variables[site].kind
    if kind not in ("categorical", "binary"):
        yield f"`validation.site` must be a categorical or binary variable, and {site!r} is {kind}"
    if site == study.outcome:
        yield f"the outcome {site!r} cannot be the site"
    if site in study.covariates:
        yield (
            f"{site!r} is the site, and no model can learn what a site means that it has not seen: leave it out of "
            "`covariates`"
        )


def _subgroup_problems(study: Study, table: ClinicalTable) -> Iterator[str]:
    for group in study.subgroups:
        variable = table.variables.get(group.variable)
        if variable is None:
            continue
        if group.variable == study.outcome:
            yield f"subgroups by the outcome {group.variable!r} hold one outcome each: choose another variable"
        elif variable.kind == "date":
            yield f"{group.variable!r} is a date, which makes no subgroups: compute an age or a duration from it"
        elif group.cuts and variable.kind != "numeric":
            yield f"`cuts` are limits of a numeric variable, and {group.variable!r} is {variable.kind}"


def _with_outcome(study: Study, store: CohortStore, segments: StudySegments) -> pd.DataFrame:
    """Clinical variables of the patients with an outcome and at least one accepted segment."""
    patients = store.patients()
    patients.index = pd.Index([patient_key(store.cohort.name, name) for name in patients.index], name="patient")
    has_segments = patients.index.isin(segments.table["patient"].unique())
    has_outcome = patients[study.outcome].notna().to_numpy()
    return patients[np.logical_and(has_segments, has_outcome)].sort_index()


def _with_site(study: Study, store: CohortStore, patients: pd.DataFrame) -> tuple[pd.DataFrame, pd.Series | None]:
    """Patients whose site is known, and the site of each; everybody, and None, where sites do not matter."""
    site, table = study.validation.site, store.cohort.clinical
    if site is None or table is None:
        return patients, None
    known = patients[patients[site].notna()]
    if known.empty and len(patients):
        raise EvaluationError(f"no patient has a value of {site!r}, which `validation.site` names")
    variable = table.variables[site]
    values = known[site]
    return known, values.map(
        lambda value: variable.level_names[int(value)] if variable.kind == "binary" else str(value)
    )


def _site_notes(without_site: Sequence[str], study: Study) -> list[str]:
    if not without_site:
        return []
    return [
        f"Patients of unknown site ({study.validation.site}) were left out, {len(without_site)} of them: they may be "
        "of the site that is tested."
    ]
