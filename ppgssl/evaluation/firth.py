"""Logistic regression where maximum likelihood has no finite answer.

Where a combination of covariates separates patients with and without the event, the likelihood grows for ever along it:
software stops somewhere and prints an odds ratio of millions. Firth's penalty, half the logarithm of the
determinant of the information matrix (Jeffreys' prior), always has a finite maximum, and takes away the leading term
of the bias of small samples [1]_, [2]_.

.. [1] Firth, Bias reduction of maximum likelihood estimates, Biometrika 80, 1993, 10.1093/biomet/80.1.27.
.. [2] Heinze & Schemper, A solution to the problem of separation in logistic regression, Statistics in Medicine 21,
       2002, 10.1002/sim.1047.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from scipy.optimize import brentq, linprog
from scipy.special import expit
from scipy.stats import chi2

from ppgssl.core.records import BoolArray, FloatArray

_MAX_STEPS = 200
_MAX_HALVINGS = 30
_TOLERANCE = 1e-9
# Doublings of the first guess of how far an interval reaches: 2^40 standard errors are no interval.
_MAX_DOUBLINGS = 40


@dataclass(frozen=True)
class FirthFit:
    """The maximum of the penalised likelihood, and the inverse of the information matrix there."""

    coefficients: FloatArray
    covariance: FloatArray = field(repr=False)
    log_likelihood: float


def is_separated(X: FloatArray, y: BoolArray) -> bool:
    """Whether some combination of columns puts no patient on the wrong side, and not all on the border [1]_.

    This is when the coefficients of maximum likelihood are not finite [2]_: separation, complete or not. It is found
    by a linear programme, exactly, and not by looking for large numbers in a fit that went on for long enough.

    ``X``: float array, shape (n_patients, n_columns); with a column of ones; of full column rank. ``y``: bool array,
    shape (n_patients,).

    .. [1] Konis, Linear programming algorithms for detecting separated data in binary logistic regression models, PhD
           thesis, University of Oxford, 2007.
    .. [2] Albert & Anderson, On the existence of maximum likelihood estimates in logistic regression models,
           Biometrika 71, 1984, 10.1093/biomet/71.1.1.
    """
    sided = np.where(y[:, None], X, -X)
    sided = sided / np.abs(sided).max(axis=0)
    # As far as possible to the right side in all, with coefficients within -1..1, and no one on the wrong side.
    found = linprog(-sided.sum(axis=0), A_ub=-sided, b_ub=np.zeros(len(y)), bounds=(-1, 1), method="highs")
    assert found.x is not None, found.message  # zero is always allowed, and nothing is beyond the bounds
    # Any such direction can be followed up to a bound; without one, only zero (to the solver's tolerance) is allowed.
    return bool(np.abs(found.x).max() > 0.5)


def fit_firth(X: FloatArray, y: BoolArray) -> FirthFit:
    """Logistic regression by Firth's penalised likelihood; ``X`` is of full column rank, with ones for an intercept."""
    n_columns = X.shape[1]
    coefficients, value = _maximise(X, y, np.zeros(n_columns), np.arange(n_columns))
    return FirthFit(coefficients, np.linalg.inv(_information(X, coefficients)), value)


def profile_interval(X: FloatArray, y: BoolArray, fit: FirthFit, column: int) -> tuple[float, float]:
    """95 % interval of a coefficient: where the penalised likelihood, maximised over all others, has not fallen far.

    Under separation the likelihood is far from a parabola, and intervals of an estimate and its standard error
    (Wald's) may exclude values that the data support [1]_.

    A limit is infinite where the likelihood never falls far enough.

    .. [1] Heinze & Schemper, see the module's head.
    """
    limit = float(chi2.ppf(0.95, 1))
    step = float(np.sqrt(fit.covariance[column, column]))
    low, high = (_crossing(X, y, fit, column, limit, sign * step) for sign in (-1, 1))
    return low, high


def profile_p(X: FloatArray, y: BoolArray, fit: FirthFit, column: int) -> float:
    """p-value of a coefficient of zero, by the penalised likelihood-ratio test."""
    return float(chi2.sf(_fall(X, y, fit, column, 0.0), 1))


def penalised_log_likelihood(X: FloatArray, y: BoolArray, coefficients: FloatArray) -> float:
    """``sum_i log p(y_i) + log det(X' W X) / 2`` with ``W = p (1 - p)``."""
    linear = X @ coefficients
    sign, log_determinant = np.linalg.slogdet(_information(X, coefficients))
    return float((y * linear - np.logaddexp(0, linear)).sum() + log_determinant / 2) if sign > 0 else -np.inf


def _information(X: FloatArray, coefficients: FloatArray) -> FloatArray:
    risk = expit(X @ coefficients)
    return np.asarray(X.T @ (X * (risk * (1 - risk))[:, None]))


def _maximise(X: FloatArray, y: BoolArray, start: FloatArray, free: np.ndarray) -> tuple[FloatArray, float]:
    """Maximum over the ``free`` coefficients, the others staying as they start; and its value."""
    point, value = start.copy(), penalised_log_likelihood(X, y, start)
    for _ in range(_MAX_STEPS):
        risk = expit(X @ point)
        information = _information(X, point)
        leverage = risk * (1 - risk) * np.einsum("ij,ji->i", X, np.linalg.solve(information, X.T))
        score = X.T @ (y - risk + leverage * (0.5 - risk))
        step = np.zeros_like(point)
        step[free] = np.linalg.solve(information[np.ix_(free, free)], score[free])
        point, gained, value = _climb(X, y, point, step, value)
        if gained < _TOLERANCE and np.abs(step).max() < 1e-6 * (1 + np.abs(point).max()):
            break
    return point, value


def _climb(
    X: FloatArray, y: BoolArray, point: FloatArray, step: FloatArray, value: float
) -> tuple[FloatArray, float, float]:
    """A step, or as small a part of it as it takes to go up: the new point, the gain, and the value there."""
    for _ in range(_MAX_HALVINGS):
        reached = penalised_log_likelihood(X, y, point + step)
        if reached >= value - 1e-12 * abs(value):
            return point + step, reached - value, reached
        step = step / 2
    return point, 0.0, value


def _fall(X: FloatArray, y: BoolArray, fit: FirthFit, column: int, value: float) -> float:
    """Twice the fall of the penalised log likelihood from its maximum to where one coefficient has a given value."""
    start = fit.coefficients.copy()
    start[column] = value
    free = np.delete(np.arange(len(start)), column)
    return max(0.0, 2 * (fit.log_likelihood - _maximise(X, y, start, free)[1]))


def _crossing(X: FloatArray, y: BoolArray, fit: FirthFit, column: int, limit: float, step: float) -> float:
    """Where the fall reaches a limit, in the direction of ``step``."""
    estimate = float(fit.coefficients[column])
    inside = estimate
    for doubling in range(_MAX_DOUBLINGS):
        outside = estimate + 2 * step * 2.0**doubling
        if _fall(X, y, fit, column, outside) >= limit:
            return float(brentq(lambda at: _fall(X, y, fit, column, at) - limit, inside, outside, xtol=1e-7))
        inside = outside
    return float(np.sign(step) * np.inf)
