"""What one representation of one fold tells of the fold's test patients: rows of predictions, nothing judged yet."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from ppgssl.classifiers.risk_model import RiskModel
from ppgssl.core.provenance import replaced
from ppgssl.core.records import FloatArray, IntArray
from ppgssl.core.seeds import derive_seed
from ppgssl.evaluation.probes import linear_probe
from ppgssl.evaluation.retrieval import draw_pairs, retrieve
from ppgssl.features.summaries import Summary, summarise
from ppgssl.selfsupervised.bank import SegmentBank
from ppgssl.selfsupervised.input_description import describe_study_input, study_bank
from ppgssl.stages.probe.representations import Representation, describe
from ppgssl.stages.probe.targets import Target
from ppgssl.store.splits import Fold
from ppgssl.store.study_data import StudyData

N_DRAWS = 20
RETRIEVAL, OUTCOME = "retrieval", "outcome"


@dataclass(frozen=True)
class Plan:
    """What is probed, the same for every representation.

    Attributes
    ----------
    cohorts : dict of name to list of str
        Patients of each probed cohort.
    targets : dict of cohort to list of Target
        Measurable or not.
    min_patients : int
        With a value, for a target to be measurable.
    has_outcome : bool
        Whether the labelled cohort is probed, and has both outcomes in every fold.
    folds : list of Fold
    representations : list of Representation
    """

    cohorts: dict[str, list[str]] = field(repr=False)
    targets: dict[str, list[Target]] = field(repr=False)
    min_patients: int
    has_outcome: bool
    folds: list[Fold] = field(repr=False)
    representations: list[Representation] = field(repr=False)

    def is_measurable(self, target: Target) -> bool:
        return len(target.truth) >= self.min_patients and bool(target.truth.min() < target.truth.max())


def measure(task: tuple[Representation, Fold], plan: Plan, data: StudyData, out: Path, folder: Path) -> pd.DataFrame:
    """Predictions of a representation for the test patients of a fold, kept in a file of ``folder``.

    Returns
    -------
    DataFrame
        ``representation``, ``part``, ``n_features``, ``is_own``, ``cohort``, ``quantity``, ``statistic``, ``repeat``,
        ``fold``, ``patient``, ``value``: a predicted value, a probability of the event, or how the retrieval fared.
    """
    representation, fold = task
    file = folder / f"{representation.name}-{fold.name}.parquet"
    if file.is_file():
        return pd.read_parquet(file)
    rows = pd.DataFrame(list(_FoldMeasurer(representation, fold, plan, data, out).rows()))
    rows = rows.assign(representation=representation.name, repeat=fold.repeat, fold=fold.fold)
    with replaced(file) as temporary:
        rows.to_parquet(temporary, index=False)
    return rows


@dataclass(frozen=True)
class _Part:
    """One part of a representation in one fold: features of patients, and of the segments that retrieval asks for."""

    name: str
    is_own: bool
    features: pd.DataFrame
    segments: FloatArray


class _FoldMeasurer:
    def __init__(self, representation: Representation, fold: Fold, plan: Plan, data: StudyData, out: Path) -> None:
        self.fold, self.plan, self.data = fold, plan, data
        self.test, self.train = set(fold.test), set(fold.train)
        is_training = ~data.of_patients(fold.test)
        bank = study_bank(data, describe_study_input(data, is_training))
        self.described = describe(representation, fold, data, out, bank, np.flatnonzero(is_training))
        self.pairs = {cohort: self._pairs(cohort) for cohort in plan.cohorts}
        drawn = [numbers.ravel() for _, *both in self.pairs.values() for numbers in both]
        self.drawn = np.unique(np.concatenate([*drawn, np.zeros(0, dtype=np.int64)]))
        self.patients = sorted(self.train | self.test)
        self.summary = self._summary(bank, is_training)

    def _pairs(self, cohort: str) -> tuple[list[str], IntArray, IntArray]:
        """Test patients of a cohort with two segments that do not overlap; query and other of each draw."""
        table = self.data.segments.table
        chosen = np.flatnonzero(table["patient"].isin(self.test & set(self.plan.cohorts[cohort])))
        patient, names = pd.factorize(table["patient"].iloc[chosen], sort=True)
        seed = derive_seed(self.data.study.seed, RETRIEVAL, self.fold.name, cohort)
        start, length = self.data.segments.start[chosen], self.data.segments.length
        found, query, other = draw_pairs(patient, start, length, n_draws=N_DRAWS, seed=seed)
        return [str(names[number]) for number in found], chosen[query], chosen[other]

    def _summary(self, bank: SegmentBank, is_training: np.ndarray) -> Summary:
        table = self.data.segments.table
        index = np.flatnonzero(table["patient"].isin(self.patients))
        patient = pd.Index(self.patients).get_indexer(pd.Index(table["patient"].iloc[index]))
        return summarise(
            self.described.represent,
            bank,
            index,
            patient,
            n_patients=len(self.patients),
            keep=np.searchsorted(index, self.drawn),
            is_fitting=is_training[index],
        )

    def rows(self) -> Iterator[dict[str, object]]:
        for name, columns in self.described.parts.items():
            of_part = self.summary.part(columns)
            features = pd.DataFrame(of_part.means, index=self.patients)
            part = _Part(name, name == self.described.own_part, features, of_part.scaled())
            common = {"part": name, "n_features": features.shape[1], "is_own": part.is_own}
            for found in (self._probes(part), self._retrieval(part), self._outcome(part)):
                yield from (common | row for row in found)

    def _probes(self, part: _Part) -> Iterator[dict[str, object]]:
        for cohort, targets in self.plan.targets.items():
            for target in filter(self.plan.is_measurable, targets):
                train, test = self._known(target.truth.index)
                X_train, X_test = part.features.loc[train].to_numpy(), part.features.loc[test].to_numpy()
                predicted = linear_probe(X_train, target.truth.loc[train].to_numpy(), X_test)
                yield from _rows(cohort, target.name, "predicted", test, predicted)

    def _known(self, patients: pd.Index) -> tuple[list[str], list[str]]:
        """Those of the patients who train, and who are tested."""
        return [name for name in patients if name in self.train], [name for name in patients if name in self.test]

    def _retrieval(self, part: _Part) -> Iterator[dict[str, object]]:
        for cohort, (patients, query, other) in self.pairs.items():
            if len(patients) < 2:
                continue
            found = retrieve(part.segments, np.searchsorted(self.drawn, query), np.searchsorted(self.drawn, other))
            n = len(patients)
            for statistic, values in (
                ("top1", found.top1),
                ("reciprocal_rank", found.reciprocal_rank),
                ("chance_top1", np.full(n, found.chance_top1)),
                ("chance_reciprocal_rank", np.full(n, found.chance_reciprocal_rank)),
            ):
                yield from _rows(cohort, RETRIEVAL, statistic, patients, values)

    def _outcome(self, part: _Part) -> Iterator[dict[str, object]]:
        cohort, y = self.data.labelled.cohort.name, self.data.y
        if not self.plan.has_outcome:
            return
        train, test = self._known(y.index)
        X_train, X_test = part.features.loc[train].to_numpy(), part.features.loc[test].to_numpy()
        seed = derive_seed(self.data.study.seed, "inner folds", self.fold.name)
        model = RiskModel(seed=seed).fit(X_train, y.loc[train].to_numpy(dtype=int))
        y_score = model.predict_proba(X_test)[:, 1]
        yield from _rows(cohort, OUTCOME, "y_score", test, y_score)


def _rows(
    cohort: str, quantity: str, statistic: str, patients: Sequence[str], values: FloatArray
) -> Iterator[dict[str, object]]:
    for patient, value in zip(patients, values, strict=True):
        yield {
            "cohort": cohort,
            "quantity": quantity,
            "statistic": statistic,
            "patient": patient,
            "value": float(value),
        }
