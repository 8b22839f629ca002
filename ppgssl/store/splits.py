"""Which patients train and which are tested. Splits precede everything that is fitted, pretraining included."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.model_selection import RepeatedStratifiedKFold, StratifiedShuffleSplit

from ppgssl.config import Validation
from ppgssl.errors import EvaluationError


@dataclass(frozen=True)
class Fold:
    """One split of the labelled patients.

    Attributes
    ----------
    repeat, fold : int
        Position in the repeated cross-validation, from 0.
    train, test : tuple of str
        Patient keys, disjoint, sorted.
    """

    repeat: int
    fold: int
    train: tuple[str, ...]
    test: tuple[str, ...]

    @property
    def name(self) -> str:
        return f"repeat{self.repeat}-fold{self.fold}"


def make_folds(y: pd.Series, validation: Validation, *, seed: int) -> list[Fold]:
    """Split patients, each outcome class in equal shares.

    Parameters
    ----------
    y : Series of 0/1, index patient key
        Outcome of every labelled patient.
    validation
        ``repeated-kfold``, or ``single-split``: one 80/20 split (the published protocol).

    Raises
    ------
    EvaluationError
        If there are fewer events, or fewer patients without, than folds need.
    """
    y = y.sort_index()
    _check_counts(y, validation)
    return [
        Fold(repeat, fold, tuple(y.index[train]), tuple(y.index[test]))
        for repeat, fold, train, test in _positions(y, validation, seed)
    ]


def _positions(y: pd.Series, validation: Validation, seed: int) -> Iterator[tuple[int, int, np.ndarray, np.ndarray]]:
    placeholder = np.zeros((len(y), 1))
    if validation.scheme == "single-split":
        single = StratifiedShuffleSplit(n_splits=1, test_size=validation.test_fraction, random_state=seed)
        train, test = next(single.split(placeholder, y))
        yield 0, 0, np.sort(train), np.sort(test)
        return
    splitter = RepeatedStratifiedKFold(n_splits=validation.n_folds, n_repeats=validation.n_repeats, random_state=seed)
    for number, (train, test) in enumerate(splitter.split(placeholder, y)):
        yield number // validation.n_folds, number % validation.n_folds, train, test


def _check_counts(y: pd.Series, validation: Validation) -> None:
    n_events, n_others = int(y.sum()), int(len(y) - y.sum())
    # Two of each class must stay for training after one of each is tested: inner splits need them.
    needed = max(validation.n_folds, 3) if validation.scheme == "repeated-kfold" else 3
    if min(n_events, n_others) < needed:
        raise EvaluationError(
            f"cannot split {len(y)} patients, {n_events} with the event and {n_others} without: "
            f"{validation.scheme} needs at least {needed} of each. Lower `validation.n_folds`, or add patients."
        )
