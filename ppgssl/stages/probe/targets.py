"""What representations are probed for: vital signs and clinical variables, one value a patient; and the folds."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from ppgssl.core.errors import ConfigError, EvaluationError
from ppgssl.core.records import IntArray
from ppgssl.core.text import suggest
from ppgssl.store.assembly import patient_key
from ppgssl.store.splits import Fold
from ppgssl.store.study_data import StudyData
from ppgssl.store.tables import CohortStore

# Name, label and unit of the vital signs, and their column in the store.
_VITALS = (
    ("heart_rate", "Heart rate", "/min", "heart_rate_bpm"),
    ("respiratory_rate", "Respiratory rate", "/min", "respiratory_rate_per_min"),
    ("spo2", "SpO2", "%", "spo2_percent"),
    ("perfusion", "Perfusion index", "%", "perfusion_index_percent"),
)


@dataclass(frozen=True)
class Target:
    """A quantity, known for some patients of a cohort, or for some of their segments.

    ``source`` is where the values come from, in words; ``truth`` (index patient key) is empty where it cannot be
    measured. Of segments, ``segment`` holds the number of each in the study, ``is_class`` is whether the values are two
    kinds, 0 and 1, and ``n_unmatched`` counts the intervals that belong to no accepted segment.
    """

    name: str
    label: str
    unit: str
    source: str
    truth: pd.Series = field(repr=False)
    segment: IntArray | None = field(default=None, repr=False)
    is_class: bool = False
    n_unmatched: int = 0


def probed_cohorts(data: StudyData) -> dict[str, list[str]]:
    """Cohort -> its patients with accepted segments, sorted, for the cohorts that the study probes.

    Raises ConfigError if the study names a cohort that it does not have, or that has too few patients, or none has
    enough.
    """
    wanted, least = data.study.probe.cohorts, data.study.probe.min_patients
    table = data.segments.table
    patients = {
        store.cohort.name: sorted(table.loc[table["cohort"] == store.cohort.name, "patient"].unique())
        for store in data.stores
    }
    for name in wanted:
        if name not in patients:
            raise ConfigError(
                f"`probe.cohorts` names {name!r}, which is no cohort of this study{suggest(name, patients)}; there are "
                f"{', '.join(patients)}"
            )
    large = {name: ids for name, ids in patients.items() if len(ids) >= least and name in (wanted or patients)}
    if lacking := [name for name in wanted or () if name not in large] or ([] if large else list(patients)):
        counts = ", ".join(f"{name} has {len(patients[name])}" for name in lacking)
        raise ConfigError(
            f"too few patients with accepted segments to probe: {counts}, and `probe.min_patients` asks for {least}"
        )
    return large


def probe_folds(data: StudyData, cohorts: dict[str, list[str]]) -> list[Fold]:
    """Split the probed patients, stratified by cohort and outcome.

    Raises EvaluationError if there are fewer patients than folds.
    """
    settings = data.study.probe
    patients = pd.Series({name: cohort for cohort, names in cohorts.items() for name in names}, dtype=object)
    if len(patients) < settings.n_folds:
        raise EvaluationError(f"{len(patients)} patients cannot be split into {settings.n_folds} folds")
    stratum = patients + "/" + data.y.reindex(patients.index).astype(str)
    folds = []
    for repeat in range(settings.n_repeats):
        # Shuffled, ordered by stratum, and dealt out like cards, so that a stratum may be smaller than a fold.
        order = np.random.default_rng([data.study.seed, repeat]).permutation(len(stratum))
        order = order[np.argsort(stratum.to_numpy()[order], kind="stable")]
        for fold in range(settings.n_folds):
            is_test = np.isin(np.arange(len(stratum)), order[fold :: settings.n_folds])
            train, test = (tuple(sorted(patients.index[chosen])) for chosen in (~is_test, is_test))
            folds.append(Fold(repeat, fold, train, test))
    return folds


def cohort_targets(data: StudyData, store: CohortStore) -> list[Target]:
    """The vital signs of a cohort's patients, and for the labelled one the clinical variables that the study names.

    A patient's vital sign is the median over the accepted segments in which it is known. What the device displayed
    is preferred to what was computed from the signals: it does not stem from the samples that the encoders see.

    Raises ConfigError if `probe.variables` names a variable that is absent, or is not numeric.
    """
    inputs, decisions = data.study.inputs, data.segments.decisions
    accepted = decisions[decisions["accepted"] & (decisions["cohort"] == store.cohort.name)]
    segments = accepted[["patient", "recording_id", "start_s"]].merge(
        store.segments(inputs.segment_s, inputs.step_s),
        on=["recording_id", "start_s"],
        how="left",
        validate="one_to_one",
    )
    targets = [_vital(segments, *vital) for vital in _VITALS]
    return [*targets, *_clinical(data)] if store is data.labelled else targets


def _vital(segments: pd.DataFrame, name: str, label: str, unit: str, column: str) -> Target:
    device = f"device_{column}"
    from_device = device in segments and bool(segments[device].notna().any())
    values = segments.groupby("patient")[device if from_device else column].median().dropna().astype(float)
    return Target(name, label, unit, "device's display" if from_device else "computed from the signals", values)


def _clinical(data: StudyData) -> list[Target]:
    study, variables = data.study, data.clinical.variables
    names = list(dict.fromkeys([*([study.heart_rate] if study.heart_rate else []), *study.probe.variables]))
    for name in names:
        if name not in variables or variables[name].kind != "numeric":
            is_known = name in variables
            kind = f"is {variables[name].kind}" if is_known else "is not in the clinical table"
            raise ConfigError(
                f"`probe.variables` names {name!r}, which {kind}{'' if is_known else suggest(name, variables)}: linear "
                "probes need numeric variables"
            )
    patients = data.labelled.patients()
    patients.index = pd.Index([patient_key(data.labelled.cohort.name, name) for name in patients.index])
    patients = patients[patients.index.isin(data.segments.table["patient"])]
    return [
        Target(
            f"clinical_{name}",
            _clinical_label(variables[name].label or name),
            variables[name].unit,
            "clinical table",
            patients[name].dropna().astype(float),
        )
        for name in names
    ]


def _clinical_label(label: str) -> str:
    return f"{label} (clinical)" if label in [vital[1] for vital in _VITALS] else label
