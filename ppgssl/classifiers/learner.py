"""What all learners of patient features share: inner folds, what is learned from them, and log losses."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from scipy.special import expit

from ppgssl.classifiers.preparation import Block, Split
from ppgssl.core.errors import EvaluationError, StoreError
from ppgssl.core.records import FloatArray, IntArray

N_INNER_FOLDS = 5
MIN_CLASS = 2

Arrays = dict[str, npt.NDArray[Any]]


class Fitted(Protocol):
    """A fitted model of the columns that a learner gets."""

    def risks(self, X: FloatArray) -> FloatArray:
        """Probability of the event, shape (n_patients,)."""

    def to_arrays(self) -> Arrays:
        """The model in numbers, by name."""


@dataclass(frozen=True)
class Learned:
    """What a learner makes of training patients.

    Attributes
    ----------
    model : fitted to all training patients
    inner : risks of the patients whom each inner fold held out, by the model that was fitted without them
    n_columns : columns that the model saw
    notes : what was done differently from the plan
    """

    model: Fitted = field(repr=False)
    inner: list[FloatArray] = field(repr=False)
    n_columns: int
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class LinearFit:
    """A logistic model of one set of coefficients.

    ``slopes``: float array, shape (n_columns,); 0 of a column that is left out.
    """

    intercept: float
    slopes: FloatArray = field(repr=False)

    def risks(self, X: FloatArray) -> FloatArray:
        return np.asarray(expit(self.intercept + X @ self.slopes))

    def to_arrays(self) -> Arrays:
        return {"intercept": np.array([self.intercept]), "slopes": self.slopes}

    @classmethod
    def from_arrays(cls, arrays: Arrays, n_columns: int) -> LinearFit:
        check_shapes(arrays, {"intercept": (1,), "slopes": (n_columns,)})
        return cls(float(arrays["intercept"][0]), arrays["slopes"])


def check_shapes(arrays: Arrays, expected: dict[str, tuple[int, ...]]) -> None:
    """Refuse arrays that are absent, of other shapes than the columns ask for, or not finite.

    Raises StoreError: naming the array and both shapes.
    """
    absent = [name for name in expected if name not in arrays]
    if absent:
        raise StoreError(f"the numbers of the model are not complete: they lack {', '.join(absent)}")
    for name, shape in expected.items():
        if arrays[name].shape != shape or not np.isfinite(arrays[name]).all():
            raise StoreError(
                f"the numbers of the model do not fit its columns: {name!r} must hold finite numbers of shape "
                f"{shape}, and has shape {arrays[name].shape}"
            )


def inner_folds(y: IntArray, ids: np.ndarray, *, seed: int) -> list[tuple[IntArray, IntArray]]:
    """Stratified folds of training patients; rows of one patient, as bootstrap samples have them, stay together.

    Returns a list of pairs of int arrays: rows to learn from, and rows held out. Raises EvaluationError if either
    outcome has fewer than two patients.

    ``y``: int array of 0/1, shape (n_rows,). ``ids``: array of str, shape (n_rows,).
    """
    patients, first, of_row = np.unique(ids, return_index=True, return_inverse=True)
    outcome = y[first]
    n_minority = minority_size(outcome)
    if n_minority < MIN_CLASS:
        side = "with" if outcome.sum() == n_minority else "without"
        raise EvaluationError(
            f"of {len(patients)} training patients, {n_minority} {'is' if n_minority == 1 else 'are'} {side} the "
            f"event, and at least {MIN_CLASS} of each outcome are needed: lower `validation.n_folds` or "
            "`validation.test_fraction`, join small sites, or add patients"
        )
    n_folds = min(N_INNER_FOLDS, n_minority)
    fold = np.empty(len(patients), dtype=np.int64)
    rng = np.random.default_rng(seed)
    start = 0
    for value in (1, 0):
        # Dealt out like cards, the classes one after the other, so that folds also differ by one patient at most.
        members = rng.permutation(np.flatnonzero(outcome == value))
        fold[members] = (start + np.arange(len(members))) % n_folds
        start += len(members)
    return [(np.flatnonzero(fold[of_row] != one), np.flatnonzero(fold[of_row] == one)) for one in range(n_folds)]


def fit_scaled(
    fit: Callable[[FloatArray, IntArray], tuple[FloatArray, FloatArray]], block: Block, scale: float
) -> tuple[FloatArray, FloatArray]:
    """Intercepts and slopes, shape (n_models, n_columns), of a block whose features are multiplied by a scale.

    A ridge penalty is then that of the clinical columns over the square of the scale; at a scale of 0 the features are
    left out. The slopes are those of the columns as they are.
    """
    n_columns = block.X.shape[1]
    start = n_columns - block.n_last
    kept = slice(None, start) if scale == 0 else slice(None)
    factors = np.where(np.arange(n_columns) < start, 1.0, scale)[kept]
    intercepts, found = fit(block.X[:, kept] * factors, block.y)
    slopes = np.zeros((len(intercepts), n_columns))
    slopes[:, kept] = found * factors
    return intercepts, slopes


def minority_size(y: IntArray) -> int:
    """Members of the smaller class."""
    return int(min(y.sum(), len(y) - y.sum()))


def inner_losses(risks: Sequence[FloatArray], inner: Sequence[Split]) -> FloatArray:
    """Log loss of each setting, the mean over inner folds; ``risks`` have shape (..., n_held_out), one array a fold."""
    return np.asarray(np.mean([log_losses(one, split.y_out) for one, split in zip(risks, inner, strict=True)], axis=0))


def log_losses(risks: FloatArray, y: IntArray) -> FloatArray:
    """Mean log loss over the last axis of ``risks``, shape (..., n_patients)."""
    p = np.clip(risks, 1e-15, 1 - 1e-15)
    return -np.where(y == 1, np.log(p), np.log1p(-p)).mean(axis=-1)
