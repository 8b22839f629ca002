"""What all learners of patient features share: the splits that they get, and the risks that they give back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from ppgssl.classifiers.posterior import Posterior
from ppgssl.classifiers.preparation import Split
from ppgssl.core.errors import EvaluationError
from ppgssl.core.records import FloatArray, IntArray

N_INNER_FOLDS = 5
MIN_CLASS = 2


@dataclass(frozen=True)
class Learned:
    """Risks by one learner.

    Attributes
    ----------
    inner : list of float arrays
        Of the patients whom each inner fold held out, by the model that was fitted without them.
    test : float array, shape (n_test_patients,)
        By the model of all training patients.
    n_columns : int
        Columns that the model saw.
    notes : tuple of str
        What was done differently from the plan.
    posterior : Posterior or None
        The model of all training patients, where it is draws from a posterior.
    """

    inner: list[FloatArray] = field(repr=False)
    test: FloatArray = field(repr=False)
    n_columns: int
    notes: tuple[str, ...] = ()
    posterior: Posterior | None = field(default=None, repr=False)


# Inner splits of the training patients, all training patients beside the test patients, seed.
Learn = Callable[[Sequence[Split], Split, int], Learned]


@dataclass(frozen=True)
class Learner:
    """One way to learn, and whether it takes missing values and codes of levels as they are."""

    learn: Learn
    takes_raw: bool = False


def inner_folds(y: IntArray, ids: np.ndarray, *, seed: int) -> list[tuple[IntArray, IntArray]]:
    """Stratified folds of training patients; rows of one patient, as bootstrap samples have them, stay together.

    Parameters
    ----------
    y : int array of 0/1, shape (n_rows,)
    ids : array of str, shape (n_rows,)
    seed : int

    Returns
    -------
    list of pairs of int arrays
        Rows to learn from, and rows held out.

    Raises
    ------
    EvaluationError
        If either outcome has fewer than two patients.
    """
    patients, first, of_row = np.unique(ids, return_index=True, return_inverse=True)
    outcome = y[first]
    n_rarer = min(int(outcome.sum()), int(len(outcome) - outcome.sum()))
    if n_rarer < MIN_CLASS:
        side = "with" if outcome.sum() == n_rarer else "without"
        raise EvaluationError(
            f"of {len(patients)} training patients, {n_rarer} {'is' if n_rarer == 1 else 'are'} {side} the event, and "
            f"at least {MIN_CLASS} of each outcome are needed: lower `validation.n_folds` or `validation.test_fraction`"
            ", join small sites, or add patients"
        )
    n_folds = min(N_INNER_FOLDS, n_rarer)
    fold = np.empty(len(patients), dtype=np.int64)
    rng = np.random.default_rng(seed)
    start = 0
    for value in (1, 0):
        # Dealt out like cards, the classes one after the other, so that folds also differ by one patient at most.
        members = rng.permutation(np.flatnonzero(outcome == value))
        fold[members] = (start + np.arange(len(members))) % n_folds
        start += len(members)
    return [(np.flatnonzero(fold[of_row] != one), np.flatnonzero(fold[of_row] == one)) for one in range(n_folds)]


def n_of_rarer(y: IntArray) -> int:
    return int(min(y.sum(), len(y) - y.sum()))


def inner_losses(risks: Sequence[FloatArray], inner: Sequence[Split]) -> FloatArray:
    """Log loss of each setting, the mean over inner folds; ``risks`` have shape (..., n_held_out), one array a fold."""
    losses = [log_losses(one, split.y_out) for one, split in zip(risks, inner, strict=True) if split.y_out is not None]
    return np.asarray(np.mean(losses, axis=0))


def log_losses(risks: FloatArray, y: IntArray) -> FloatArray:
    """Mean log loss over the last axis of ``risks``, shape (..., n_patients)."""
    p = np.clip(risks, 1e-15, 1 - 1e-15)
    return -np.where(y == 1, np.log(p), np.log1p(-p)).mean(axis=-1)
