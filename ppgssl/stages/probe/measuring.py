"""Predictions by one representation of one fold for the fold's test patients; statistics follow later."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

import numpy as np
import pandas as pd

from ppgssl.classifiers.risk_model import RiskModel
from ppgssl.core.provenance import replaced
from ppgssl.core.records import FloatArray, IntArray
from ppgssl.core.seeds import derive_seed
from ppgssl.evaluation.probes import linear_probe, logistic_probe, segment_errors
from ppgssl.evaluation.retrieval import draw_pairs, retrieve
from ppgssl.features.recordings import RECORDING_FEATURES, recording_features
from ppgssl.features.summaries import summarise
from ppgssl.selfsupervised.input_description import describe_study_input, study_bank
from ppgssl.stages.probe.representations import WHOLE, Representation, describe
from ppgssl.stages.probe.targets import Target
from ppgssl.store.splits import Fold
from ppgssl.store.study_data import StudyData

N_DRAWS = 20
RETRIEVAL, OUTCOME = "retrieval", "outcome"
PROBE_FOLDER = "probe"

# Of a cohort: patients with two segments that do not overlap; query and other segment of each draw and patient.
_Pairs = tuple[list[str], IntArray, IntArray]


@dataclass(frozen=True)
class Plan:
    """What is probed, the same for every representation.

    Patients and targets (measurable or not) are by cohort; a target is measurable if ``min_patients`` have a value, and
    of two kinds of segments if two training patients of each fold have either, and a fold of each repeat tests both.
    ``has_outcome`` is whether the labelled cohort is probed, and has both outcomes in every fold.
    """

    cohorts: dict[str, list[str]] = field(repr=False)
    targets: dict[str, list[Target]] = field(repr=False)
    min_patients: int
    has_outcome: bool
    folds: list[Fold] = field(repr=False)
    representations: list[Representation] = field(repr=False)

    @property
    def patients(self) -> list[str]:
        """Everybody who trains or is tested in some fold."""
        return sorted({patient for fold in self.folds for patient in (*fold.train, *fold.test)})

    def is_measurable(self, target: Target) -> bool:
        if target.truth.index.nunique() < self.min_patients or not target.truth.min() < target.truth.max():
            return False
        return not target.is_class or self._has_both_kinds(target)

    def _has_both_kinds(self, target: Target) -> bool:
        kinds = [set(target.truth.index[target.truth == kind]) for kind in (0, 1)]
        is_trained = all(len(kind.intersection(fold.train)) > 1 for fold in self.folds for kind in kinds)
        tested = {fold.repeat for fold in self.folds if all(kind.intersection(fold.test) for kind in kinds)}
        return is_trained and tested == {fold.repeat for fold in self.folds}


def measure(task: tuple[Representation, Fold], plan: Plan, data: StudyData, out: Path, folder: Path) -> pd.DataFrame:
    """Predictions of a representation for the test patients of a fold, kept in a file of ``folder``.

    Returns
    -------
    DataFrame
        ``representation``, ``part``, ``n_features``, ``is_own``, ``cohort``, ``quantity``, ``statistic``, ``repeat``,
        ``fold``, ``patient``, ``segment``, ``value``: a predicted value, a probability of the event (of the segment of
        that number; -1 is of none), a statistic of retrieval, or of a patient's errors over segments.
    """
    representation, fold = task
    file = folder / f"{representation.name}-{fold.name}.parquet"
    if file.is_file():
        return pd.read_parquet(file)
    rows = pd.DataFrame(list(_fold_rows(representation, fold, plan, data, out)))
    rows = rows.assign(representation=representation.name, repeat=fold.repeat, fold=fold.fold)
    with replaced(file) as temporary:
        rows.to_parquet(temporary, index=False)
    return rows


def _fold_rows(
    representation: Representation, fold: Fold, plan: Plan, data: StudyData, out: Path
) -> Iterator[dict[str, object]]:
    if representation.name in RECORDING_FEATURES:
        features = recording_features(representation.name, data, plan.patients, out / PROBE_FOLDER)
        common = {"part": WHOLE, "n_features": features.shape[1], "is_own": True}
        outcome = _outcome_rows(features, fold, data) if plan.has_outcome else ()
        yield from (common | row for row in chain(_probe_rows(features, fold, plan), outcome))
        return
    is_training = ~data.of_patients(fold.test)
    bank = study_bank(data, describe_study_input(data, is_training))
    described = describe(representation, fold, data, out, bank, np.flatnonzero(is_training))
    pairs = {cohort: _draw_pairs(cohort, fold, plan, data) for cohort in plan.cohorts}
    drawn = np.unique(np.concatenate([segments.ravel() for _, *both in pairs.values() for segments in both]))
    targets = chain.from_iterable(plan.targets.values())
    kept = np.unique(np.concatenate([drawn, *(one.segment for one in targets if one.segment is not None)]))
    patients = sorted({*fold.train, *fold.test})
    owner = data.segments.table["patient"]
    index = np.flatnonzero(owner.isin(patients))
    kept = kept[np.isin(kept, index)]
    summary = summarise(
        described.represent,
        bank,
        index,
        pd.Index(patients).get_indexer(pd.Index(owner.iloc[index])),
        n_patients=len(patients),
        keep=np.searchsorted(index, kept),
        is_fitting=is_training[index],
    )
    for name, columns in described.parts.items():
        part = summary.part(columns)
        features, segments = pd.DataFrame(part.means, index=patients), pd.DataFrame(part.kept, index=kept)
        common = {"part": name, "n_features": features.shape[1], "is_own": name == described.own_part}
        rows = chain(
            _probe_rows(features, fold, plan),
            _reference_rows(segments, fold, plan),
            _retrieval_rows(part.scaled(), kept, pairs),
            _outcome_rows(features, fold, data) if plan.has_outcome else (),
        )
        yield from (common | row for row in rows)


def _draw_pairs(cohort: str, fold: Fold, plan: Plan, data: StudyData) -> _Pairs:
    owner = data.segments.table["patient"]
    chosen = np.flatnonzero(owner.isin({*fold.test} & {*plan.cohorts[cohort]}))
    patient, names = pd.factorize(owner.iloc[chosen], sort=True)
    seed = derive_seed(data.study.seed, RETRIEVAL, fold.name, cohort)
    start, length = data.segments.start[chosen], data.segments.length
    kept, query, other = draw_pairs(patient, start, length, n_draws=N_DRAWS, seed=seed)
    return [str(names[number]) for number in kept], chosen[query], chosen[other]


def _split(
    features: pd.DataFrame, values: pd.Series, fold: Fold
) -> tuple[FloatArray, FloatArray, FloatArray, list[str]]:
    """Features and values of the patients who train; features and names of those tested."""
    train, test = (values.index[values.index.isin(patients)] for patients in (fold.train, fold.test))
    return features.loc[train].to_numpy(), values.loc[train].to_numpy(), features.loc[test].to_numpy(), list(test)


def _probe_rows(features: pd.DataFrame, fold: Fold, plan: Plan) -> Iterator[dict[str, object]]:
    for cohort, targets in plan.targets.items():
        for target in filter(plan.is_measurable, targets):
            if target.segment is None:
                X_train, y_train, X_test, test = _split(features, target.truth, fold)
                yield from _rows(cohort, target.name, "predicted", test, linear_probe(X_train, y_train, X_test))


def _reference_rows(segments: pd.DataFrame, fold: Fold, plan: Plan) -> Iterator[dict[str, object]]:
    """Of a quantity, the errors of each patient tested; of two kinds, the probability of each segment tested."""
    for cohort, targets in plan.targets.items():
        for target in filter(plan.is_measurable, targets):
            if target.segment is None:
                continue
            is_train, is_test = (target.truth.index.isin(patients) for patients in (fold.train, fold.test))
            y, patient = target.truth.to_numpy(), target.truth.index.to_numpy()
            X_train, X_test = (segments.loc[target.segment[chosen]].to_numpy() for chosen in (is_train, is_test))
            if target.is_class:
                scores = logistic_probe(X_train, y[is_train], X_test, patient[is_train])
                rows = _rows(cohort, target.name, "y_score", patient[is_test], scores)
                yield from (row | {"segment": at} for row, at in zip(rows, target.segment[is_test], strict=True))
            else:
                predicted = linear_probe(X_train, y[is_train], X_test, patient[is_train])
                errors = segment_errors(y[is_test], predicted, patient[is_test])
                for statistic in errors:
                    yield from _rows(cohort, target.name, str(statistic), errors.index, errors[statistic].to_numpy())


def _retrieval_rows(segments: FloatArray, kept: IntArray, pairs: Mapping[str, _Pairs]) -> Iterator[dict[str, object]]:
    for cohort, (patients, query, other) in pairs.items():
        if len(patients) > 1:
            retrieval = retrieve(segments, np.searchsorted(kept, query), np.searchsorted(kept, other))
            for statistic in ("top1", "reciprocal_rank", "chance_top1", "chance_reciprocal_rank"):
                values = np.broadcast_to(getattr(retrieval, statistic), len(patients))
                yield from _rows(cohort, RETRIEVAL, statistic, patients, values)


def _outcome_rows(features: pd.DataFrame, fold: Fold, data: StudyData) -> Iterator[dict[str, object]]:
    X_train, y_train, X_test, test = _split(features, data.y, fold)
    model = RiskModel(seed=derive_seed(data.study.seed, "inner folds", fold.name)).fit(X_train, y_train.astype(int))
    yield from _rows(data.labelled.cohort.name, OUTCOME, "y_score", test, model.predict_proba(X_test)[:, 1])


def _rows(
    cohort: str, quantity: str, statistic: str, patients: Iterable[str], values: FloatArray
) -> Iterator[dict[str, object]]:
    about = {"cohort": cohort, "quantity": quantity, "statistic": statistic, "segment": -1}
    for patient, value in zip(patients, values, strict=True):
        yield {**about, "patient": patient, "value": float(value)}
