"""The folds of a study as a scikit-learn splitter."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from sklearn.model_selection import BaseCrossValidator

from ppgssl.core.config.study import Validation
from ppgssl.core.errors import EvaluationError
from ppgssl.core.records import IntArray
from ppgssl.store.splits import make_folds


class PatientKFold(BaseCrossValidator):
    """Repeated stratified k-fold cross-validation of patients, as ``ppgssl evaluate`` splits them.

    Rows of one patient are never on both sides of a split. A patient has the event if any of the patient's rows has.

    Parameters
    ----------
    n_splits : int
        Folds of each repeat, 2 or more.
    n_repeats : int
        With other splits each time. ``cross_val_predict`` needs 1: it takes one prediction of each row.
    random_state : int
        The only source of randomness. The default is that of a study: equal seeds and patients give equal folds.
    linked : mapping of patient to group, optional
        Patients who share a recording, and may be one person: they stay together.

    Examples
    --------
    >>> from ppgssl import PatientKFold
    >>> from sklearn.model_selection import cross_val_predict
    >>> cross_val_predict(model, X, y, groups=patients, cv=PatientKFold(5), method="predict_proba")  # doctest: +SKIP
    """

    def __init__(
        self,
        n_splits: int = 5,
        *,
        n_repeats: int = 1,
        random_state: int = 2023,
        linked: Mapping[str, str] | None = None,
    ) -> None:
        self.n_splits = n_splits
        self.n_repeats = n_repeats
        self.random_state = random_state
        self.linked = linked

    def split(
        self, X: ArrayLike, y: ArrayLike | None = None, groups: ArrayLike | None = None
    ) -> Iterator[tuple[IntArray, IntArray]]:
        """Rows that train and rows that are tested, fold by fold.

        Parameters
        ----------
        X : array, shape (n_rows, ...)
            Only its length is used.
        y : array of 0/1, shape (n_rows,)
            Outcomes, by which patients are stratified.
        groups : array, shape (n_rows,), optional
            Patient of each row; by default each row is a patient of its own. The folds are those of a study where
            these are its patient keys.

        Yields
        ------
        train, test : int arrays

        Raises
        ------
        EvaluationError
            If ``y`` is absent, not 0/1 or of another length, or there are fewer patients of an outcome than folds.
        """
        n_rows = len(X)  # type: ignore[arg-type]
        outcome, names = self._checked(n_rows, y, groups)
        of_patients = pd.Series(outcome).groupby(names).max()
        validation = Validation(scheme="repeated-kfold", n_folds=self.n_splits, n_repeats=self.n_repeats)
        for fold in make_folds(of_patients, validation, seed=self.random_state, linked=self.linked):
            is_test = np.isin(names, fold.test)
            yield np.flatnonzero(~is_test), np.flatnonzero(is_test)

    def get_n_splits(self, X: object = None, y: object = None, groups: object = None) -> int:  # noqa: ARG002
        """Folds of all repeats."""
        return self.n_splits * self.n_repeats

    def _checked(self, n_rows: int, y: ArrayLike | None, groups: ArrayLike | None) -> tuple[np.ndarray, np.ndarray]:
        if y is None:
            raise EvaluationError("PatientKFold stratifies by outcome: give `y`")
        outcome = np.asarray(y, dtype=float)
        names = np.array([f"{row:012d}" for row in range(n_rows)]) if groups is None else np.asarray(groups)
        if outcome.shape != (n_rows,) or names.shape != (n_rows,):
            raise EvaluationError(
                f"{n_rows} rows need as many outcomes and groups, and got {outcome.shape} and {names.shape}"
            )
        if not np.isin(outcome, (0, 1)).all():
            raise EvaluationError("outcomes must be 0 or 1; leave out rows without an outcome first")
        return outcome, names
