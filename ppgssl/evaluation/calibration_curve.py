"""The flexible calibration curve: observed risk as a smooth function of predicted risk."""

from __future__ import annotations

import numpy as np
from scipy.special import expit

from ppgssl.core.records import BoolArray, FloatArray
from ppgssl.evaluation.weighted_logistic import fit_where_defined

# Quantiles of the predictor at which the three knots lie.
_KNOTS = (0.1, 0.5, 0.9)
# Knots nearer to each other than this, on the logit scale, are one.
_NEAREST = 1e-3


class CalibrationCurve:
    """Logistic regression of the outcome on a restricted cubic spline of the logit of the risk [1]_.

    Three knots, at the 10th, 50th and 90th percentile, make two terms: the logit itself, and one that is zero below
    the first knot, cubic between knots and linear above the last. Where the logits have fewer than three values, or
    knots coincide, the first term stands alone.

    ``logits``: float array, shape (n_rows,); of the risks. They place the knots, once for all weightings.

    .. [1] Harrell, Regression Modeling Strategies, 2nd edition, Springer, 2015, section 2.4.5 and table 2.3,
           10.1007/978-3-319-19425-7.
    """

    def __init__(self, logits: FloatArray) -> None:
        knots = np.quantile(logits, _KNOTS)
        is_curved = len(np.unique(logits)) >= len(knots) and np.diff(knots).min() > _NEAREST
        self._knots = knots if is_curved else None
        self._logits = logits
        self._columns = self._design(logits)

    def fit(self, y: BoolArray, weights: FloatArray) -> FloatArray:
        """Coefficients for each weighting of the rows, shape (n_terms, n_weightings).

        ``weights`` has shape (n_rows, n_weightings); NaN where the logits separate the classes or do not vary.
        """
        return fit_where_defined(self._columns, self._logits, y, weights)

    def fit_outcomes(self, outcomes: BoolArray) -> FloatArray:
        """Coefficients for each of many outcomes of the rows, shape (n_rows, n_outcomes); see :meth:`fit`."""
        # Each row stands twice, with the event and without, and the outcome is which of the two counts.
        n = len(self._logits)
        return fit_where_defined(
            np.concatenate([self._columns, self._columns]),
            np.concatenate([self._logits, self._logits]),
            np.arange(2 * n) < n,
            np.concatenate([outcomes, ~outcomes]).astype(float),
        )

    def at(self, logits: FloatArray, coefficients: FloatArray) -> FloatArray:
        """Observed risk at predicted ``logits``, shape (n_logits, n_weightings)."""
        return np.asarray(expit(self._design(logits) @ coefficients))

    def standard_error(self, logits: FloatArray, coefficients: FloatArray) -> FloatArray:
        """Of the curve's logit at ``logits``, shape (n_logits,), from the information of the rows."""
        risk = expit(self._columns @ coefficients)
        information = self._columns.T @ (self._columns * (risk * (1 - risk))[:, None])
        # Where the curve is at 0 or 1 nothing is known of its slope there, and the error is very large, not an error.
        information += np.eye(len(information)) * (1e-12 * np.trace(information) + 1e-300)
        design = self._design(logits)
        variance = (design * np.linalg.solve(information, design.T).T).sum(axis=1)
        return np.sqrt(np.maximum(variance, 0))

    def _design(self, logits: FloatArray) -> FloatArray:
        columns = [np.ones_like(logits), logits]
        if self._knots is not None:
            first, middle, last = self._knots
            below, middle_cubed, above = (np.maximum(logits - knot, 0) ** 3 for knot in self._knots)
            nonlinear = below - (middle_cubed * (last - first) - above * (middle - first)) / (last - middle)
            columns.append(nonlinear / (last - first) ** 2)
        return np.column_stack(columns)
