"""A fitted model of some columns: imputer, coding, scaling and learner as steps."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pandas as pd

from ppgssl.classifiers.block_ridge import learn_block_ridge
from ppgssl.classifiers.elastic_net import learn_elastic_net
from ppgssl.classifiers.gradient_boosting import Trees, learn_gradient_boosting
from ppgssl.classifiers.horseshoe import learn_horseshoe
from ppgssl.classifiers.imputation import Imputer, fit_imputers
from ppgssl.classifiers.learner import Arrays, Fitted, Learned, LinearFit, check_shapes
from ppgssl.classifiers.posterior import Posterior
from ppgssl.classifiers.preparation import (
    Block,
    Coded,
    Level,
    Scaling,
    Split,
    code_table,
    filled,
    fit_scaling,
    indicators,
    levels_of,
    medians,
)
from ppgssl.core.config.study import Missing
from ppgssl.core.errors import ConfigError, StoreError
from ppgssl.core.records import BoolArray, FloatArray, IntArray
from ppgssl.core.text import suggest
from ppgssl.features.columns import Columns


class _Reader(Protocol):
    @staticmethod
    def from_arrays(arrays: Arrays, n_columns: int) -> Fitted: ...


@dataclass(frozen=True)
class Learner:
    """One way to learn: how it fits, what its fitted model is, and whether it takes missing values and codes of levels.

    ``learn`` gets inner splits of the training patients, all training patients, and a seed.
    """

    learn: Callable[[Sequence[Split], Block, int], Learned]
    model: _Reader
    takes_raw: bool = False


LEARNERS: dict[str, Learner] = {
    "ridge": Learner(learn_block_ridge, LinearFit),
    "elastic-net": Learner(learn_elastic_net, LinearFit),
    "horseshoe": Learner(learn_horseshoe, Posterior),
    "gradient-boosting": Learner(learn_gradient_boosting, Trees, takes_raw=True),
}


def check_learners(learners: Sequence[str]) -> None:
    """Raise ConfigError where a learner is unknown, before anything is fitted."""
    for name in learners:
        if name not in LEARNERS:
            raise ConfigError(f"unknown learner {name!r}{suggest(name, LEARNERS)}; there are {', '.join(LEARNERS)}")


@dataclass(frozen=True)
class Part:
    """A fitted model of some columns: of all, or, in stacking, of the clinical columns or of the features.

    Attributes
    ----------
    levels : dict of categorical column to its levels, in the order of their codes
    imputers : tuple of Imputer
        Of several, each completes the patients, and risks are averaged. None for a learner that takes missing values.
    medians : float array, shape (n_features,); in place of missing features
    scalings, models : tuples, one for each imputer, or one for all where no training patient lacked a value
    """

    columns: Columns
    levels: dict[str, tuple[Level, ...]]
    imputers: tuple[Imputer, ...] = field(repr=False)
    medians: FloatArray = field(repr=False)
    scalings: tuple[Scaling, ...] = field(repr=False)
    models: tuple[Fitted, ...] = field(repr=False)

    def code(self, table: pd.DataFrame) -> Coded:
        return code_table(table, self.columns, self.levels)

    def blocks(self, table: pd.DataFrame) -> Iterator[tuple[FloatArray, Fitted]]:
        """Columns of patients as the learner takes them, with the model that takes them, for each imputation."""
        coded = self.code(table)
        if not self.imputers:
            yield _concatenate(coded), self.models[0]
            return
        n = len(self.imputers) if len(self.models) > 1 or np.isnan(coded.clinical).any() else 1
        for number, imputer in enumerate(self.imputers[:n]):
            place = min(number, len(self.models) - 1)
            yield self.scalings[place](_design(imputer(coded), coded, self.medians)), self.models[place]

    def risks(self, table: pd.DataFrame) -> FloatArray:
        return np.asarray(np.mean([model.risks(X) for X, model in self.blocks(table)], axis=0))

    def to_arrays(self) -> Arrays:
        found: Arrays = {"medians": self.medians}
        fitted: list[tuple[str, Sequence[Imputer | Fitted]]] = [("imputer", self.imputers), ("model", self.models)]
        for kind, members in fitted:
            for number, one in enumerate(members):
                found |= {f"{kind}.{number}.{name}": values for name, values in one.to_arrays().items()}
        for number, scaling in enumerate(self.scalings):
            found |= {f"scaling.{number}.mean": scaling.mean, f"scaling.{number}.scale": scaling.scale}
        return found

    @classmethod
    def from_arrays(cls, arrays: Arrays, columns: Columns, levels: dict[str, tuple[Level, ...]], learner: str) -> Part:
        chosen = LEARNERS[learner]
        coded = code_table(pd.DataFrame(columns=list(columns.names)), columns, levels)
        design = (
            _concatenate(coded)
            if chosen.takes_raw
            else np.hstack([indicators(coded.clinical, coded.n_levels), coded.features])
        )
        check_shapes(arrays, {"medians": (len(columns.features),)})
        groups = {kind: numbered_arrays(arrays, kind) for kind in ("imputer", "scaling", "model")}
        for one in groups["scaling"]:
            check_shapes(one, {"mean": (design.shape[1],), "scale": (design.shape[1],)})
        n_models = len(groups["model"])
        n_scalings = 0 if chosen.takes_raw else n_models
        if not n_models or len(groups["scaling"]) != n_scalings or bool(groups["imputer"]) == chosen.takes_raw:
            raise StoreError("the numbers of the model are not complete: a model, its scaling or its imputer is absent")
        return cls(
            columns,
            levels,
            tuple(Imputer.from_arrays(one, coded.n_levels) for one in groups["imputer"]),
            arrays["medians"],
            tuple(Scaling(one["mean"], one["scale"]) for one in groups["scaling"]),
            tuple(chosen.model.from_arrays(one, design.shape[1]) for one in groups["model"]),
        )


def numbered_arrays(arrays: Mapping[str, npt.NDArray[Any]], kind: str) -> list[Arrays]:
    """Arrays named ``KIND.NUMBER.NAME``, a dict of NAME for each number."""
    found: dict[int, Arrays] = {}
    for key, values in arrays.items():
        first, _, rest = key.partition(".")
        number, _, name = rest.partition(".")
        if first == kind and name and number.isdigit():
            found.setdefault(int(number), {})[name] = values
    return [found[number] for number in sorted(found)]


def fit_part(
    table: pd.DataFrame,
    y: IntArray,
    columns: Columns,
    folds: Sequence[tuple[IntArray, IntArray]],
    *,
    learner: str,
    missing: Missing,
    seed: int,
) -> tuple[Part, Learned]:
    """Imputation, scaling and learner, fitted to training patients and again within each inner fold.

    Parameters
    ----------
    table : training patients
    y : int array of 0/1
    columns : each with a value
    folds : rows to learn from, and rows held out
    learner, missing, seed : as of :class:`ppgssl.classifiers.risk_model.RiskModel`

    Returns
    -------
    Part
    Learned; with the out-of-fold risks of each fold, averaged over imputations
    """
    levels = levels_of(table, columns)
    train = code_table(table, columns, levels)
    chosen = LEARNERS[learner]
    inside, outside = ([train.rows(fold[side]) for fold in folds] for side in (0, 1))
    outcomes = [(y[rows], y[held_out]) for rows, held_out in folds]
    if chosen.takes_raw:
        is_categorical = np.append(train.n_levels > 0, np.zeros(train.features.shape[1], dtype=bool))
        inner = [
            Split(_concatenate(one), y_in, len(columns.features), is_categorical, _concatenate(other), y_out)
            for one, other, (y_in, y_out) in zip(inside, outside, outcomes, strict=True)
        ]
        whole = Block(_concatenate(train), y, len(columns.features), is_categorical)
        learned = chosen.learn(inner, whole, seed)
        return Part(columns, levels, (), medians(train.features), (), (learned.model,)), learned
    typical, imputers, scalings, found = medians(train.features), [], [], []
    splits = [
        list(_inner_splits(one, other, *of_fold, missing, seed))
        for one, other, of_fold in zip(inside, outside, outcomes, strict=True)
    ]
    is_complete = not np.isnan(train.clinical).any()
    for number, (imputer, clinical) in enumerate(fit_imputers(train, missing, seed=seed)):
        imputers.append(imputer)
        if number and is_complete:
            continue  # the same table again: one model serves all imputations of patients who lack values
        scaling, X = _standardise(clinical, train, typical)
        scalings.append(scaling)
        whole = Block(X, y, len(columns.features), np.zeros(X.shape[1], dtype=bool))
        # Where nothing is missing in an inner fold there is one table, whatever the number of imputations.
        inner = [of_fold[min(number, len(of_fold) - 1)] for of_fold in splits]
        found.append(chosen.learn(inner, whole, seed))
    models = tuple(one.model for one in found)
    return Part(columns, levels, tuple(imputers), typical, tuple(scalings), models), _average(found)


def _concatenate(coded: Coded) -> FloatArray:
    return np.concatenate([coded.clinical, coded.features], axis=1)


def _inner_splits(
    train: Coded, others: Coded, y: IntArray, y_out: IntArray, missing: Missing, seed: int
) -> Iterator[Split]:
    """The split of an inner fold, once for each imputation; once where nobody in it lacks a value."""
    is_missing: BoolArray = np.asarray(np.isnan(others.clinical).any(axis=0))
    is_complete = not (is_missing.any() or np.isnan(train.clinical).any())
    typical, n_last = medians(train.features), train.features.shape[1]
    for imputer, clinical in fit_imputers(train, missing, seed=seed, columns=is_missing):
        scaling, X = _standardise(clinical, train, typical)
        X_out = scaling(_design(imputer(others), others, typical))
        yield Split(X, y, n_last, np.zeros(X.shape[1], dtype=bool), X_out, y_out)
        if is_complete:
            return


def _standardise(clinical: FloatArray, train: Coded, typical: FloatArray) -> tuple[Scaling, FloatArray]:
    scaling = fit_scaling(indicators(clinical, train.n_levels), filled(train.features, typical), weights=train.weights)
    return scaling, scaling(_design(clinical, train, typical))


def _design(clinical: FloatArray, patients: Coded, typical: FloatArray) -> FloatArray:
    return np.concatenate([indicators(clinical, patients.n_levels), filled(patients.features, typical)], axis=1)


def _average(learned: Sequence[Learned]) -> Learned:
    """Mean of the inner risks, over imputations."""
    if len(learned) == 1:
        return learned[0]
    inner = [np.mean(risks, axis=0) for risks in zip(*(one.inner for one in learned), strict=True)]
    notes = tuple(dict.fromkeys(note for one in learned for note in one.notes))
    return Learned(learned[0].model, inner, learned[0].n_columns, notes)
