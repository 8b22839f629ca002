"""The same model fitted to bootstrap samples of its training patients: what intervals of a risk are made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import expit, logit

from ppgssl.classifiers.learner import Arrays, LinearFit, check_shapes
from ppgssl.classifiers.parts import Part, numbered_arrays
from ppgssl.classifiers.preparation import Coded
from ppgssl.classifiers.risk_model import RiskModel
from ppgssl.classifiers.stacking import NEAREST
from ppgssl.core.errors import StoreError
from ppgssl.core.parallel import Progress, Workers, silent
from ppgssl.core.records import FloatArray, IntArray

# Refits of a final model by learner. A linear refit takes a fraction of a second and some kilobytes; a refit of
# gradient boosting takes seconds, and fifty give ends of a 95 % interval that are themselves rough. A horseshoe model
# has draws from its posterior instead, and a network, or a stack of horseshoe models, has no interval.
N_REFITS = {"ridge": 200, "elastic-net": 200, "gradient-boosting": 50}
# Of each refit, where the model itself has more: the spread over bootstrap samples is what is asked for (Bartlett &
# Hughes, Bootstrap inference for multiple imputation under uncongeniality and misspecification, Statistical Methods in
# Medical Research 29, 2020, 10.1177/0962280220932189).
N_IMPUTATIONS = 2
# Bootstrap samples that one task refits.
_TASK_REFITS = 25
_NAMES = ("intercept", "slope", "effect", "missing")


@dataclass(frozen=True)
class LinearPart:
    """Logits of all refits as sums over columns: compact, and equal to the refits themselves.

    Attributes
    ----------
    intercept : float array, shape (n_refits, n_imputations)
    slope : float array, shape (n_refits, n_imputations, n_numbers); of numeric columns, then features
    effect : float array, shape (n_refits, n_imputations, n_levels); levels of all categorical columns of the model, one
        column after another. A level that a sample lacks has the effect of the sample's most frequent one.
    missing : float array, shape (n_refits, n_imputations, n_columns)
        What a missing value of a numeric column, categorical column or feature adds.
    """

    intercept: FloatArray = field(repr=False)
    slope: FloatArray = field(repr=False)
    effect: FloatArray = field(repr=False)
    missing: FloatArray = field(repr=False)

    def risks(self, part: Part, table: pd.DataFrame) -> FloatArray:
        """Shape (n_refits, n_patients), the mean over imputations; values are completed as the model completes them."""
        coded = part.code(table)
        n_imputations = self.intercept.shape[1]
        found = []
        for number in range(n_imputations):
            is_drawn = bool(part.imputers[min(number, len(part.imputers) - 1)].equations)
            clinical = part.imputers[number](coded) if is_drawn else coded.clinical
            found.append(expit(self._logits(number, coded, clinical)))
        return np.asarray(np.mean(found, axis=0))

    def _logits(self, number: int, coded: Coded, clinical: FloatArray) -> FloatArray:
        is_level = coded.n_levels > 0
        values = np.concatenate([clinical[:, ~is_level], coded.features], axis=1)
        codes = clinical[:, is_level]
        levels = [code[:, None] == np.arange(n) for code, n in zip(codes.T, coded.n_levels[is_level], strict=True)]
        columns = [np.nan_to_num(values), *levels, np.isnan(np.concatenate([clinical, coded.features], axis=1))]
        weights = np.concatenate([self.slope[:, number], self.effect[:, number], self.missing[:, number]], axis=1)
        return np.asarray(self.intercept[:, [number]] + weights @ np.concatenate(columns, axis=1).astype(float).T)


@dataclass(frozen=True)
class LinearRefits:
    """Refits of ridge, of elastic net, and of stacks of these.

    ``parts``: tuple of LinearPart, in the order of the parts of the model. ``stack``: float array, shape (n_refits, 1 +
    n_parts), or None.
    """

    parts: tuple[LinearPart, ...] = field(repr=False)
    stack: FloatArray | None = field(repr=False)

    def __len__(self) -> int:
        return len(self.parts[0].intercept)

    def risks(self, model: RiskModel, table: pd.DataFrame) -> FloatArray:
        """Risks by each refit, shape (n_refits, n_patients)."""
        found = [own.risks(part, table) for own, part in zip(self.parts, model.parts_, strict=True)]
        if self.stack is None:
            return found[0]
        logits = logit(np.clip(np.stack(found, axis=-1), NEAREST, 1 - NEAREST))
        eta = self.stack[:, :1] + (logits * self.stack[:, None, 1:]).sum(axis=-1)
        return np.asarray(np.clip(expit(eta), NEAREST, 1 - NEAREST))

    def spec(self) -> list[dict[str, Any]]:
        return []

    def to_arrays(self) -> Arrays:
        found: Arrays = {} if self.stack is None else {"stack": self.stack}
        for number, part in enumerate(self.parts):
            found |= {f"part.{number}.{name}": getattr(part, name) for name in _NAMES}
        return found


@dataclass(frozen=True)
class WholeRefits:
    """Refits that are kept whole, each a model of its own."""

    models: tuple[RiskModel, ...] = field(repr=False)

    def __len__(self) -> int:
        return len(self.models)

    def risks(self, model: RiskModel, table: pd.DataFrame) -> FloatArray:  # noqa: ARG002 (each completes its patients)
        """Risks by each refit, shape (n_refits, n_patients)."""
        return np.array([one.predict_proba(table)[:, 1] for one in self.models])

    def spec(self) -> list[dict[str, Any]]:
        return [one.spec() for one in self.models]

    def to_arrays(self) -> Arrays:
        return {
            f"refit.{number}.{name}": values
            for number, one in enumerate(self.models)
            for name, values in one.to_arrays().items()
        }


Refits = LinearRefits | WholeRefits


def fit_refits(
    model: RiskModel,
    table: pd.DataFrame,
    y: pd.Series,
    samples: Sequence[IntArray],
    pool: Workers | None = None,
    progress: Progress = silent,
) -> Refits | None:
    """Fit the model again to bootstrap samples of its training patients; None without samples.

    Parameters
    ----------
    model : Fitted
    table, y : its training patients
    samples : rows of each sample
    pool : optional; where they are fitted; by default in this process
    """
    if not len(samples):
        return None
    tasks = [samples[first : first + _TASK_REFITS] for first in range(0, len(samples), _TASK_REFITS)]
    label = "refits to bootstrap samples"
    parts = (pool or Workers(1)).run(_refit, tasks, model, table, y, progress=progress, label=label)
    refits = list(chain.from_iterable(parts))
    return WholeRefits(tuple(refits)) if isinstance(refits[0], RiskModel) else _join(refits)


def _refit(samples: Sequence[IntArray], model: RiskModel, table: pd.DataFrame, y: pd.Series) -> list[Any]:
    settings = model.get_params(deep=False)
    missing = model.missing
    if missing is not None and missing.method == "mice":
        settings["missing"] = missing.model_copy(update={"n_imputations": min(missing.n_imputations, N_IMPUTATIONS)})
    refits = [RiskModel(**settings).fit(table.iloc[rows], y.iloc[rows]) for rows in samples]
    is_linear = all(isinstance(one, LinearFit) for part in model.parts_ for one in part.models)
    return [_linear(model, one) for one in refits] if is_linear else refits


def read_refits(
    arrays: Mapping[str, npt.NDArray[Any]], specs: Sequence[Mapping[str, Any]], model: RiskModel
) -> Refits | None:
    """The refits of ``to_arrays`` and ``spec``; None if there are none.

    Raises StoreError if numbers are absent or do not fit the columns of the model.
    """
    if not arrays:
        return None
    if specs:
        own = numbered_arrays(arrays, "refit")
        if len(own) != len(specs):
            raise StoreError(f"the numbers of the model are not complete: {len(own)} of {len(specs)} refits are there")
        return WholeRefits(tuple(RiskModel.from_arrays(one, spec) for one, spec in zip(own, specs, strict=True)))
    found = numbered_arrays(arrays, "part")
    if len(found) != len(model.parts_):
        raise StoreError("the numbers of the model are not complete: refits of a part are absent")
    shape = found[0]["intercept"].shape if "intercept" in found[0] else ()
    n_refits, n_imputations = shape if len(shape) == 2 else (0, 0)
    if n_imputations > 1 and any(len(part.imputers) < n_imputations for part in model.parts_ if part.columns.clinical):
        raise StoreError("the numbers of the model do not fit each other: refits have more imputations than the model")
    for own_arrays, part in zip(found, model.parts_, strict=True):
        columns = part.columns
        n_levels = sum(len(levels) for levels in part.levels.values())
        expected = {
            "intercept": (n_refits, own_arrays.get("intercept", np.zeros((0, 0))).shape[-1]),
            "slope": (n_refits, -1, len(columns.numeric) + len(columns.features)),
            "effect": (n_refits, -1, n_levels),
            "missing": (n_refits, -1, len(columns.names)),
        }
        n_own = expected["intercept"][1]
        check_shapes(own_arrays, {name: tuple(n_own if n == -1 else n for n in one) for name, one in expected.items()})
    stack = None
    if model.stack_ is not None:
        check_shapes(dict(arrays), {"stack": (n_refits, 1 + len(model.parts_))})
        stack = arrays["stack"]
    return LinearRefits(tuple(LinearPart(*(one[name] for name in _NAMES)) for one in found), stack)


def _linear(model: RiskModel, refit: RiskModel) -> LinearRefits:
    """One refit, on the columns and levels of the model."""
    # In a sample in which one of two blocks has no value at all, the stack is the other part alone.
    names = [(set(part.columns.names), part) for part in refit.parts_]
    matched = [next((one for own, one in names if own & set(part.columns.names)), None) for part in model.parts_]
    parts = tuple(_sums(part, own) for part, own in zip(model.parts_, matched, strict=True))
    if model.stack_ is None:
        return LinearRefits(parts, None)
    alone = np.array([0.0, *(float(one is not None) for one in matched)])
    return LinearRefits(parts, (alone if refit.stack_ is None else refit.stack_)[None])


def _sums(part: Part, own: Part | None) -> LinearPart:
    """The models of a refit's part as sums over the columns of the model's part."""
    columns = part.columns
    numbers = [*columns.numeric, *columns.features]
    levels = [(name, level) for name in columns.categorical for level in part.levels[name]]
    n_models = len(own.models) if own else 1
    intercept = np.zeros((1, n_models))
    slope, effect, missing = (np.zeros((1, n_models, n)) for n in (len(numbers), len(levels), len(columns.names)))
    for number in range(n_models) if own else ():
        terms = _Terms(own, number)  # type: ignore[arg-type]
        intercept[0, number] = terms.intercept
        slope[0, number] = [terms.slopes.get(name, 0.0) for name in numbers]
        effect[0, number] = [terms.effects.get(pair, terms.missing.get(pair[0], 0.0)) for pair in levels]
        missing[0, number] = [terms.missing.get(name, 0.0) for name in columns.names]
    return LinearPart(intercept, slope, effect, missing)


class _Terms:
    """What each value of each column adds to the logit, by one model of a part."""

    def __init__(self, part: Part, number: int) -> None:
        model, scaling = part.models[number], part.scalings[number]
        assert isinstance(model, LinearFit)
        weights = model.slopes / scaling.scale
        self.intercept = float(model.intercept - weights @ scaling.mean)
        self.slopes: dict[str, float] = {}
        self.effects: dict[tuple[str, object], float] = {}
        self.missing: dict[str, float] = {}
        columns, typical = part.columns, part.imputers[min(number, len(part.imputers) - 1)].typical
        place = 0
        for name, value in zip(columns.clinical, typical, strict=True):
            own = part.levels.get(name)
            if own is None:
                self.slopes[name], self.missing[name] = weights[place], weights[place] * value
                place += 1
                continue
            n = len(own)
            added = weights[place : place + n] if n > 2 else np.array([0.0, weights[place]])[:n]
            self.effects |= {(name, level): one for level, one in zip(own, added, strict=True)}
            self.missing[name] = added[int(value)]
            place += n if n > 2 else 1
        for name, value in zip(columns.features, part.medians, strict=True):
            self.slopes[name], self.missing[name] = weights[place], weights[place] * value
            place += 1


def _join(refits: Sequence[LinearRefits]) -> LinearRefits:
    """One after another; a refit to a sample without missing values has one model, which stands for all imputations."""
    parts = []
    for own in zip(*(one.parts for one in refits), strict=True):
        n = max(part.intercept.shape[1] for part in own)
        repeated = [
            [np.repeat(one, n, axis=1) if one.shape[1] < n else one for one in (getattr(part, name) for part in own)]
            for name in _NAMES
        ]
        parts.append(LinearPart(*(np.concatenate(one) for one in repeated)))
    stacks = [one.stack for one in refits if one.stack is not None]
    return LinearRefits(tuple(parts), np.concatenate(stacks) if stacks else None)
