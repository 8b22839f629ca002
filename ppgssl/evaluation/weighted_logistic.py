"""Logistic regression of one outcome under many weightings of the patients at once."""

from __future__ import annotations

import numpy as np
from scipy.special import expit

from ppgssl.core.records import BoolArray, FloatArray

# Numbers in one block of weightings: a handful of such arrays fits into a processor's cache.
_BLOCK = 2**16
# Weightings in a block, at the least: what is done once a block should not weigh in.
_FEWEST = 4
_MAX_STEPS = 60
# Longest step of a coefficient, in standard deviations of the linear predictor, or in multiples of what it is.
_LONGEST = 4.0
_TOLERANCE = 1e-8


def fit_weightings(X: FloatArray, y: BoolArray, weights: FloatArray, *, offset: FloatArray | None = None) -> FloatArray:
    """Maximum-likelihood coefficients of a logistic regression for each weighting of its rows.

    Newton's method (iteratively reweighted least squares) on all weightings of a block together, from the fit to their
    mean; a step that passes the top of its own direction too far is halved. Returns a float array, shape (n_columns,
    n_weightings): NaN where the rows of positive weight hold one class alone. Where classes are otherwise separated the
    coefficients are large, and the fitted probabilities within some 1e-8 of their limits; see :func:`is_separated` for
    which those are with one predictor.

    Parameters
    ----------
    X : float array, shape (n_rows, n_columns)
        With a column of ones if there is to be an intercept; of full column rank.
    y : bool array, shape (n_rows,)
    weights : float array, shape (n_rows, n_weightings); at least 0
    offset : float array, shape (n_rows,), optional; part of the linear predictor that is not fitted
    """
    offset = np.zeros(len(y)) if offset is None else offset
    coefficients = np.full((X.shape[1], weights.shape[1]), np.nan)
    has_both = (y @ weights > 0) & (~y @ weights > 0)
    if not has_both.any():
        return coefficients
    # Orthogonal columns of unit size: steps, tolerance and the little that is added to the Hessian mean the same in
    # each direction.
    Q, R = np.linalg.qr(X)
    Q, R = Q * np.sqrt(len(y)), R / np.sqrt(len(y))
    mean = weights[:, has_both].mean(axis=1, keepdims=True)
    start = _newton(Q, y, mean / mean.mean(), offset, np.zeros((X.shape[1], 1)))
    size = max(_FEWEST, _BLOCK // len(y))
    wanted = np.flatnonzero(has_both)
    for first in range(0, len(wanted), size):
        block = wanted[first : first + size]
        begin = np.repeat(start, len(block), axis=1)
        coefficients[:, block] = np.linalg.solve(R, _newton(Q, y, weights[:, block], offset, begin))
    return coefficients


def is_separated(x: FloatArray, y: BoolArray, weights: FloatArray) -> BoolArray:
    """Weightings, shape (n_rows, n_weightings), whose logistic regression on ``x`` has no finite slope [1]_.

    It has one if and only if the classes overlap: neither lies wholly on one side of the other, touching included. A
    predictor without variation counts as separated, as does a single class.

    .. [1] Albert & Anderson, On the existence of maximum likelihood estimates in logistic regression models,
           Biometrika 71, 1984, 10.1093/biomet/71.1.1.
    """
    order = np.argsort(x)
    x, y, is_in = x[order], y[order], weights[order] > 0
    lowest, highest = [], []
    for of_class in (y, ~y):
        values, present = x[of_class], is_in[of_class]
        if not len(values):
            return np.ones(weights.shape[1], dtype=bool)
        has_any = present.any(axis=0)
        lowest.append(np.where(has_any, values[present.argmax(axis=0)], np.inf))
        highest.append(np.where(has_any, values[len(values) - 1 - present[::-1].argmax(axis=0)], -np.inf))
    return np.asarray((highest[0] <= lowest[1]) | (highest[1] <= lowest[0]))


def fit_where_defined(X: FloatArray, x: FloatArray, y: BoolArray, weights: FloatArray) -> FloatArray:
    """:func:`fit_weightings` of columns that are functions of one predictor; NaN where it separates the classes."""
    coefficients = np.full((X.shape[1], weights.shape[1]), np.nan)
    is_defined = ~is_separated(x, y, weights)
    if is_defined.any():
        coefficients[:, is_defined] = fit_weightings(X, y, weights[:, is_defined])
    return coefficients


def _newton(Q: FloatArray, y: BoolArray, weights: FloatArray, offset: FloatArray, start: FloatArray) -> FloatArray:
    """Coefficients for each column of ``weights``, shape (n_columns, n_weightings)."""
    found, active = start.copy(), np.arange(weights.shape[1])
    of_events = Q[y].T @ weights[y]
    products = (Q[:, :, None] * Q[:, None, :]).reshape(len(y), -1)
    base, point, step, slope = start, start, np.zeros_like(start), np.zeros(len(active))
    for _ in range(_MAX_STEPS):
        gradient, hessian = _derivatives(Q, products, of_events, weights, offset, point)
        # A step begins uphill. Where it ends downhill, half as steep or more, it was too long.
        is_over = (step * gradient).sum(axis=0) < -slope / 2
        base = np.where(is_over, base, point)
        step = np.where(is_over, step / 2, _newton_step(gradient, hessian, point))
        slope = np.where(is_over, slope / 2, (step * gradient).sum(axis=0))
        point = base + step
        found[:, active] = point
        is_moving = (np.abs(step) > _TOLERANCE * np.maximum(1, np.abs(point))).any(axis=0)
        # Where classes are separated, steps never end, but probabilities are at their limits.
        is_moving &= np.abs(gradient).max(axis=0) > _TOLERANCE
        is_moving |= is_over
        if not is_moving.any():
            break
        if not is_moving.all():
            base, point, step, slope = base[:, is_moving], point[:, is_moving], step[:, is_moving], slope[is_moving]
            weights, of_events, active = weights[:, is_moving], of_events[:, is_moving], active[is_moving]
    return found


def _newton_step(gradient: FloatArray, hessian: FloatArray, point: FloatArray) -> FloatArray:
    """Newton's step, shortened where it is longer than the curvature here supports."""
    step = np.linalg.solve(hessian, gradient.T[:, :, None])[:, :, 0].T
    longest = _LONGEST * np.maximum(1, np.abs(point).max(axis=0))
    return np.asarray(step * np.minimum(1, longest / np.maximum(np.abs(step).max(axis=0), 1e-300)))


def _derivatives(
    Q: FloatArray,
    products: FloatArray,
    of_events: FloatArray,
    weights: FloatArray,
    offset: FloatArray,
    point: FloatArray,
) -> tuple[FloatArray, FloatArray]:
    """Gradient (n_columns, n_weightings) and negative Hessian (n_weightings, n_columns, n_columns), of a row's mean."""
    n_rows, n_columns = Q.shape
    linear = Q @ point
    linear += offset[:, None]
    risk = expit(linear, out=linear)
    expected = weights * risk
    gradient = (of_events - Q.T @ expected) / n_rows
    risk *= expected
    expected -= risk  # now weight * risk * (1 - risk)
    hessian = (products.T @ expected).T.reshape(-1, n_columns, n_columns) / n_rows
    # Keeps the system solvable where a weighting leaves fewer distinct rows than columns; the solution stays.
    ridge = 1e-12 * np.trace(hessian, axis1=1, axis2=2) + 1e-300
    return gradient, hessian + ridge[:, None, None] * np.eye(n_columns)
