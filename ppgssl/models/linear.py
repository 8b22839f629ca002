"""A ridge or elastic net arm as plain numbers: what each value of each column adds to the logit of the risk."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from scipy.special import expit, logit

from ppgssl.classifiers.late_fusion import fit_stack
from ppgssl.classifiers.regression import RegressionFit, fit_regression
from ppgssl.core.config.study import Missing
from ppgssl.core.errors import EvaluationError
from ppgssl.core.records import FloatArray
from ppgssl.features.columns import Columns
from ppgssl.models.classifier import Arrays, Level, check_complete, check_shapes, check_table

# Risks by the numbers and by the fit itself may differ by so much: from rounding; and since late fusion moves risks
# nearer to 0 or 1 than one in a million there before it combines them.
_TOLERANCE, _LATE_TOLERANCE = 1e-6, 1e-3
_FUSED = 1e-6
# In SDs: small, so that what is asked stays clear of where risks are all but 0 or 1.
_STEP = 0.1
_NEAREST = 1e-15


@dataclass(frozen=True)
class LinearModel:
    """A logistic model and, maybe, the same model refitted to bootstrap samples, as sums of parts.

    The logit of a risk is ``intercept`` plus, for each numeric column and feature, ``slope * (value - centre)``, or
    ``missing`` where there is no value; plus, for each categorical column, the ``effect`` of the level, or ``missing``
    where there is none or one that no training patient had. Row 0 of each array is the model, the others are refits.

    Attributes
    ----------
    columns : Columns
    levels : mapping of categorical column to its levels
        As they stand in the table: 0.0 and 1.0 of a binary variable, names of levels of another.
    intercept : float array, shape (n_models,)
    centre : float array, shape (n_numbers,)
        Of numeric columns, then features.
    slope : float array, shape (n_models, n_numbers)
    effect : float array, shape (n_models, n_levels)
        Levels of all categorical columns, one column after another.
    missing : float array, shape (n_models, n_numbers + n_categorical)
    """

    columns: Columns
    levels: Mapping[str, tuple[Level, ...]]
    intercept: FloatArray = field(repr=False)
    centre: FloatArray = field(repr=False)
    slope: FloatArray = field(repr=False)
    effect: FloatArray = field(repr=False)
    missing: FloatArray = field(repr=False)

    @property
    def numbers(self) -> tuple[str, ...]:
        return (*self.columns.numeric, *self.columns.features)

    @property
    def n_models(self) -> int:
        return len(self.intercept)

    @property
    def n_refits(self) -> int:
        return self.n_models - 1

    @property
    def n_draws(self) -> int:
        return 0

    def risks(self, X: pd.DataFrame) -> FloatArray:
        """Risks of the patients (rows) by all models, shape (n_models, n_patients).

        Raises
        ------
        EvaluationError
            If a column is absent, or a number is infinite.
        """
        check_table(X, self.columns)
        values = X[list(self.numbers)].to_numpy(dtype=float, na_value=np.nan)
        is_known = ~np.isnan(values)
        parts = np.where(is_known, values - self.centre, 0.0) @ self.slope.T
        parts += ~is_known @ self.missing[:, : len(self.numbers)].T
        return np.asarray(expit(self.intercept + parts + self._of_levels(X)).T)

    def _of_levels(self, X: pd.DataFrame) -> FloatArray:
        found = np.zeros((len(X), self.n_models))
        first = 0
        for number, name in enumerate(self.columns.categorical, start=len(self.numbers)):
            codes = pd.Index(self.levels[name], dtype=object).get_indexer(pd.Index(X[name], dtype=object))
            effects = self.effect[:, first : first + len(self.levels[name])]
            found += np.where(codes[:, None] < 0, self.missing[:, number], effects[:, codes].T)
            first += len(self.levels[name])
        return found

    def arrays(self) -> Arrays:
        """The numbers, by name."""
        return {name: np.ascontiguousarray(getattr(self, name)) for name in _ARRAYS}

    @classmethod
    def from_arrays(
        cls, columns: Columns, levels: Mapping[str, Sequence[Level]], arrays: Mapping[str, FloatArray]
    ) -> LinearModel:
        """The model of :meth:`arrays`.

        Raises
        ------
        StoreError
            If arrays are absent, are not finite, or do not fit the columns.
        """
        return cls(columns, {name: tuple(one) for name, one in levels.items()}, *_checked(columns, levels, arrays))


_ARRAYS = ("intercept", "centre", "slope", "effect", "missing")


def _checked(
    columns: Columns, levels: Mapping[str, Sequence[Level]], arrays: Mapping[str, FloatArray]
) -> list[FloatArray]:
    check_complete(arrays, _ARRAYS, has_levels=set(levels) == set(columns.categorical))
    n_numbers, n_models = len(columns.numeric) + len(columns.features), max(len(arrays["intercept"]), 1)
    n_levels = sum(len(one) for one in levels.values())
    expected = {
        "intercept": (n_models,),
        "centre": (n_numbers,),
        "slope": (n_models, n_numbers),
        "effect": (n_models, n_levels),
        "missing": (n_models, n_numbers + len(columns.categorical)),
    }
    check_shapes(arrays, expected)
    return [np.asarray(arrays[name], dtype=float) for name in _ARRAYS]


# --- from a fit to its numbers ---------------------------------------------------------------------------------


def freeze(
    X: pd.DataFrame,
    y: pd.Series,
    columns: Columns,
    *,
    levels: Mapping[str, tuple[Level, ...]],
    learner: str,
    is_late_fusion: bool,
    seed: int,
) -> tuple[LinearModel, RegressionFit]:
    """Fit training patients as the arms of a study are fitted, and write the model down as numbers.

    The fit is asked for the risks of made-up patients: one who has the mean of every number and the first level of
    every category, and others who differ from that one in one column. Where the logit of the risk is a sum over
    columns, as for ridge and elastic net, these tell all its parts. That it is such a sum is checked on the training
    patients, whose risks must come out the same. Of late fusion, which is a sum of two such sums, each is asked by
    itself, and the stack fitted to their out-of-sample risks as there.

    Parameters
    ----------
    X : DataFrame, index patient
        Training patients; a patient may stand in several rows, as in a bootstrap sample.
    y : Series of 0/1
    columns : Columns
    levels : mapping of categorical column to levels
        Those of all patients, of which a bootstrap sample may lack some.
    learner, is_late_fusion, seed
        As in :func:`ppgssl.classifiers.regression.fit_regression`; missing values become medians and most frequent
        levels.

    Returns
    -------
    LinearModel
        Of one model.
    RegressionFit
        The fit; its ``training_score`` is that of models that were not fitted to the patient.

    Raises
    ------
    EvaluationError
        If it cannot be fitted, or is no such sum.
    """
    if not _has_two_parts(columns, is_late_fusion):
        return _asked(X, y, columns, levels, learner, seed)
    model = refreeze(X, y, columns, levels=levels, learner=learner, is_late_fusion=True, seed=seed)
    fit = fit_regression(X, y, X, columns, learner=learner, is_late_fusion=True, missing=Missing(), seed=seed)
    _check_same(model.risks(X)[0], fit.y_score, learner, _LATE_TOLERANCE)
    return model, fit


def refreeze(
    X: pd.DataFrame,
    y: pd.Series,
    columns: Columns,
    *,
    levels: Mapping[str, tuple[Level, ...]],
    learner: str,
    is_late_fusion: bool,
    seed: int,
) -> LinearModel:
    """The model of :func:`freeze` alone, which takes less time."""
    if not _has_two_parts(columns, is_late_fusion):
        return _asked(X, y, columns, levels, learner, seed)[0]
    clinical, of_clinical = _asked(X, y, Columns(columns.numeric, columns.categorical), levels, learner, seed)
    features, of_features = _asked(X, y, Columns(features=columns.features), {}, learner, seed)
    scores = np.column_stack([of_clinical.training_score, of_features.training_score])
    stack = fit_stack(logit(np.clip(scores, _FUSED, 1 - _FUSED)), y.to_numpy(dtype=int))
    n_numbers = len(columns.numeric)
    return LinearModel(
        columns,
        dict(levels),
        intercept=stack[0] + stack[1] * clinical.intercept + stack[2] * features.intercept,
        centre=np.concatenate([clinical.centre, features.centre]),
        slope=np.concatenate([stack[1] * clinical.slope, stack[2] * features.slope], axis=1),
        effect=stack[1] * clinical.effect,
        missing=np.concatenate(
            [
                stack[1] * clinical.missing[:, :n_numbers],
                stack[2] * features.missing,
                stack[1] * clinical.missing[:, n_numbers:],
            ],
            axis=1,
        ),
    )


def _has_two_parts(columns: Columns, is_late_fusion: bool) -> bool:
    return is_late_fusion and bool(columns.clinical) and bool(columns.features)


def _asked(
    X: pd.DataFrame, y: pd.Series, columns: Columns, levels: Mapping[str, tuple[Level, ...]], learner: str, seed: int
) -> tuple[LinearModel, RegressionFit]:
    """One sum, from the answers of its fit."""
    numbers = [*columns.numeric, *columns.features]
    values = X[numbers].to_numpy(dtype=float, na_value=np.nan)
    known = [column[~np.isnan(column)] for column in values.T]
    centre = np.array([np.mean(one) if len(one) else 0.0 for one in known])
    spread = np.array([np.std(one) if len(one) else 0.0 for one in known])
    step = _STEP * np.where(spread > 1e-9 * np.maximum(np.abs(centre), 1e-30), spread, 1.0)
    made_up = _made_up(numbers, centre, step, levels)
    patients = X[list(made_up.columns)].astype(dict.fromkeys(levels, object))
    asked = pd.concat([made_up, patients])
    fit = fit_regression(X, y, asked, columns, learner=learner, missing=Missing(), seed=seed)
    told = logit(np.clip(fit.y_score[: len(made_up)], _NEAREST, 1 - _NEAREST))
    model = _from_answers(told, columns, levels, centre, step)
    _check_same(model.risks(patients)[0], fit.y_score[len(made_up) :], learner, _TOLERANCE)
    return model, fit


def _check_same(by_numbers: FloatArray, by_fit: FloatArray, learner: str, tolerance: float) -> None:
    if np.abs(by_numbers - by_fit).max() > tolerance:
        raise EvaluationError(
            f"the fit of the learner {learner!r} to {len(by_fit)} patients cannot be written as a sum over columns: "
            "outcomes may be told apart without error by some column; try another arm"
        )


def _made_up(
    numbers: Sequence[str], centre: FloatArray, step: FloatArray, levels: Mapping[str, tuple[Level, ...]]
) -> pd.DataFrame:
    """Rows: the centre; each number a step higher; each number missing; each level; each category missing."""
    base: dict[str, object] = {**dict(zip(numbers, centre, strict=True))}
    base |= {name: known[0] for name, known in levels.items()}
    rows = [base]
    rows += [{**base, name: at + by} for name, at, by in zip(numbers, centre, step, strict=True)]
    rows += [{**base, name: np.nan} for name in numbers]
    rows += [{**base, name: level} for name, known in levels.items() for level in known]
    rows += [{**base, name: None} for name in levels]
    table = pd.DataFrame(rows, index=[f"made-up {number}" for number in range(len(rows))])
    return table.astype({**dict.fromkeys(numbers, float), **dict.fromkeys(levels, object)})


def _from_answers(
    told: FloatArray,
    columns: Columns,
    levels: Mapping[str, tuple[Level, ...]],
    centre: FloatArray,
    step: FloatArray,
) -> LinearModel:
    n, n_levels = len(centre), sum(map(len, levels.values()))
    higher, numbers_missing, of_level, levels_missing = np.split(told[1:] - told[0], [n, 2 * n, 2 * n + n_levels])
    return LinearModel(
        columns,
        dict(levels),
        intercept=told[:1],
        centre=centre,
        slope=(higher / step)[None],
        effect=of_level[None],
        missing=np.concatenate([numbers_missing, levels_missing])[None],
    )


def joined(models: Sequence[LinearModel]) -> LinearModel:
    """One model with refits, from single ones on the same columns; all are told from the centre of the first."""
    first = models[0]
    shifted = [one.intercept + one.slope @ (first.centre - one.centre) for one in models]
    # What a missing value adds is told from the old centre, at which the number itself adds nothing.
    n = len(first.numbers)
    missing = [
        one.missing - np.pad(one.slope * (first.centre - one.centre), ((0, 0), (0, one.missing.shape[1] - n)))
        for one in models
    ]
    return LinearModel(
        first.columns,
        first.levels,
        intercept=np.concatenate(shifted),
        centre=first.centre,
        slope=np.concatenate([one.slope for one in models]),
        effect=np.concatenate([one.effect for one in models]),
        missing=np.concatenate(missing),
    )
