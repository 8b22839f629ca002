"""Logistic regression with a penalty of its own for each of two blocks of columns."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from scipy.linalg import cho_factor, cho_solve
from scipy.special import expit
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.model_selection import StratifiedKFold

from ppgssl.errors import EvaluationError
from ppgssl.records import BoolArray, FloatArray

# Ridge penalty per patient, strongest first: at 100 every slope is all but zero, at 0.001 all but free.
PENALTIES = (100.0, 10.0, 1.0, 0.1, 0.01, 0.001)
# Factor on the columns of the second block: its penalty is that of the first over the square; at 0 it is left out.
SCALES = (0.0, 0.03, 0.1, 0.3, 1.0)
N_INNER_FOLDS = 5
MIN_CLASS_FOR_INNER_FOLDS = 3
FALLBACK_PENALTY, FALLBACK_SCALE = 1.0, 0.1
# Far below what tells one penalty from another, and half of the Newton steps.
_INNER_TOLERANCE = 1e-6


class BlockRidgeClassifier(ClassifierMixin, BaseEstimator):
    """Ridge-penalised logistic regression whose last columns may be shrunk more than the first.

    Minimises ``mean log loss + penalty / 2 * (|b_first|^2 + |b_last|^2 / scale^2)``, the intercept free, which is ridge
    on columns of which the last are multiplied by ``scale``. Beside ten covariates, a hundred learned features under
    one common penalty hold ten times the variance and drown them; so each block has its own penalty, as in IPF-LASSO
    [1]_ and multi-penalty ridge [2]_. Both penalties are chosen together, by the log loss of stratified inner folds,
    and the choice includes ``scale = 0``: where the features add nothing, the model is that of the covariates.

    In scikit-learn's terms ``C = 1 / (n_patients * penalty)``.

    Parameters
    ----------
    n_last : int
        Columns of the second block, at the end; with none or all of them there is one block, and ``scale`` is 1.
    seed : int
        Of the inner folds.

    Attributes
    ----------
    coef_ : float array, shape (1, n_columns)
        Slopes of the columns as given (not as scaled); ``intercept_`` shape (1,), ``classes_`` shape (2,).
    penalty_, scale_ : float
        As chosen.
    fallback_ : str
        Why the penalties were not chosen but fixed; empty where they were chosen.

    References
    ----------
    .. [1] Boulesteix et al., IPF-LASSO: integrative L1-penalized regression with penalty factors for prediction based
           on multi-omics data, Computational and Mathematical Methods in Medicine, 2017, 10.1155/2017/7691937.
    .. [2] van de Wiel, van Nee & Rauschenberger, Fast cross-validation for multi-penalty high-dimensional ridge
           regression, Journal of Computational and Graphical Statistics 30, 2021, 10.1080/10618600.2021.1904962.
    """

    def __init__(self, n_last: int = 0, seed: int = 0) -> None:
        self.n_last = n_last
        self.seed = seed

    def fit(self, X: Any, y: Any) -> Self:
        """Choose the penalties, then fit all rows.

        Parameters
        ----------
        X : float array, shape (n_patients, n_columns)
            Standardised, without missing values.
        y : array, shape (n_patients,)
            Two classes, the larger value is the event.

        Raises
        ------
        EvaluationError
            If ``y`` has a single class.
        """
        X, y = np.asarray(X, dtype=float), np.asarray(y)
        self.classes_ = np.unique(y)
        if len(self.classes_) != 2:
            raise EvaluationError(
                f"a logistic regression needs two classes, and all {len(y)} training patients have the same outcome. "
                "Use fewer folds, so that every training set holds both."
            )
        self.n_features_in_ = X.shape[1]
        event = y == self.classes_[1]
        self.penalty_, self.scale_, self.fallback_ = self._choose(X, event)
        factors = self._column_factors(X.shape[1], self.scale_)
        # A column left out has slope 0; its factor 0 sees to that.
        design, rotation = _rotate(X * factors)
        weights = fit_ridge(design, event, self.penalty_)
        self.intercept_ = weights[:1]
        self.coef_ = (factors * (rotation @ weights[1:]))[None, :]
        return self

    def decision_function(self, X: Any) -> FloatArray:
        """Log odds of the event, shape (n_patients,)."""
        return np.asarray(X, dtype=float) @ self.coef_[0] + self.intercept_[0]

    def predict_proba(self, X: Any) -> FloatArray:
        """Probability of each class, shape (n_patients, 2), the event last."""
        event = expit(self.decision_function(X))
        return np.column_stack([1 - event, event])

    def predict(self, X: Any) -> np.ndarray:
        """The likelier class, shape (n_patients,)."""
        return self.classes_[(self.decision_function(X) > 0).astype(int)]

    def _column_factors(self, n_columns: int, scale: float) -> FloatArray:
        return np.concatenate([np.ones(n_columns - self.n_last), np.full(self.n_last, scale)])

    def _choose(self, X: FloatArray, event: BoolArray) -> tuple[float, float, str]:
        n_rarer = int(min(event.sum(), (~event).sum()))
        has_two_blocks = 0 < self.n_last < X.shape[1]
        if n_rarer < MIN_CLASS_FOR_INNER_FOLDS:
            reason = (
                f"only {n_rarer} training patient(s) of the rarer outcome: too few for inner folds, so the penalties "
                "are fixed in advance"
            )
            return FALLBACK_PENALTY, FALLBACK_SCALE if has_two_blocks else 1.0, reason
        scales = SCALES if has_two_blocks else (1.0,)
        splitter = StratifiedKFold(min(N_INNER_FOLDS, n_rarer), shuffle=True, random_state=self.seed)
        folds = list(splitter.split(X, event))
        losses = np.array([_held_out_losses(X * self._column_factors(X.shape[1], s), event, folds) for s in scales])
        # The first of equal losses, from the strongest shrinkage on.
        scale, penalty = np.unravel_index(np.argmin(losses), losses.shape)
        return PENALTIES[penalty], scales[scale], ""


def _held_out_losses(X: FloatArray, event: BoolArray, folds: list[tuple[np.ndarray, np.ndarray]]) -> FloatArray:
    """Log loss of held-out patients, summed, for each of ``PENALTIES``."""
    # A rotation of all rows changes no ridge fit of some of them: nothing is learned from held-out rows.
    design, _ = _rotate(X)
    losses = np.zeros(len(PENALTIES))
    for train, test in folds:
        weights = None
        for number, penalty in enumerate(PENALTIES):
            weights = fit_ridge(design[train], event[train], penalty, start=weights, tolerance=_INNER_TOLERANCE)
            losses[number] += _log_loss(weights[0] + design[test] @ weights[1:], event[test])
    return losses


def _rotate(X: FloatArray) -> tuple[FloatArray, FloatArray]:
    """The same rows in as few columns as they span, and the rotation back; ridge is blind to rotations."""
    X_kept = X[:, X.any(axis=0)]
    back = np.eye(X.shape[1])[:, X.any(axis=0)]
    if X_kept.shape[1] <= X_kept.shape[0]:
        return X_kept, back
    left, size, right = np.linalg.svd(X_kept, full_matrices=False)
    return left * size, back @ right.T


def _log_loss(log_odds: FloatArray, event: BoolArray) -> float:
    return float(np.logaddexp(0.0, np.where(event, -log_odds, log_odds)).sum())


def fit_ridge(
    X: FloatArray,
    event: BoolArray,
    penalty: float,
    *,
    start: FloatArray | None = None,
    tolerance: float = 1e-11,
) -> FloatArray:
    """Intercept and slopes that minimise ``sum log loss + n * penalty / 2 * |slopes|^2``, by Newton's method.

    Parameters
    ----------
    X : float array, shape (n_patients, n_columns)
    event : bool array, shape (n_patients,)
        Both classes present, which makes the minimum finite and unique.
    penalty : float, over 0
        Per patient.
    start : float array, shape (1 + n_columns,), optional
        Where to start, for example the solution of a neighbouring penalty.
    tolerance : float
        Distance from the minimum, in mean log loss, at which to stop.

    Returns
    -------
    float array, shape (1 + n_columns,)
        Intercept first.
    """
    design = np.column_stack([np.ones(len(X)), X])
    ridge = np.full(design.shape[1], len(X) * penalty)
    ridge[0] = 0.0
    weights = _null_model(event, design.shape[1]) if start is None else start
    objective = _objective(design, event, ridge, weights)
    for _ in range(100):
        gradient, step = _newton_step(design, event, ridge, weights)
        decrement = float(gradient @ step)
        if decrement < 2 * tolerance * len(X):  # the objective is about half of the decrement from its minimum
            break
        weights, objective = _line_search(design, event, ridge, weights, step, objective, decrement)
    return weights


def _null_model(event: BoolArray, n: int) -> FloatArray:
    weights = np.zeros(n)
    weights[0] = np.log(event.sum() / (~event).sum())
    return weights


def _objective(design: FloatArray, event: BoolArray, ridge: FloatArray, weights: FloatArray) -> float:
    return _log_loss(design @ weights, event) + 0.5 * float(ridge @ weights**2)


def _newton_step(
    design: FloatArray, event: BoolArray, ridge: FloatArray, weights: FloatArray
) -> tuple[FloatArray, FloatArray]:
    probability = expit(design @ weights)
    gradient = design.T @ (probability - event) + ridge * weights
    curvature = np.maximum(probability * (1 - probability), 1e-12)  # keeps the Hessian definite where all is certain
    hessian = (design.T * curvature) @ design
    hessian[np.diag_indices_from(hessian)] += ridge
    return gradient, cho_solve(cho_factor(hessian, check_finite=False), gradient, check_finite=False)


def _line_search(
    design: FloatArray,
    event: BoolArray,
    ridge: FloatArray,
    weights: FloatArray,
    step: FloatArray,
    objective: float,
    decrement: float,
) -> tuple[FloatArray, float]:
    """Halve the step until it lowers the objective enough (Armijo); far from the minimum a whole step may overshoot."""
    size = 1.0
    while size > 1e-6:
        new = weights - size * step
        value = _objective(design, event, ridge, new)
        if value <= objective - 1e-4 * size * decrement:
            return new, value
        size /= 2
    return weights, objective
