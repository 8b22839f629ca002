"""Statistics that pool the folds of a repeat, under any weighting of the patients, averaged over repeats."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ppgssl.core.records import FloatArray, IntArray
from ppgssl.evaluation.predictions import AlignedPredictions


def rows_of_repeats(aligned: AlignedPredictions) -> list[IntArray]:
    """Rows of each repeat of a cross-validation, in which each patient has at most one row."""
    return [np.flatnonzero(aligned.repeat == repeat) for repeat in np.unique(aligned.repeat)]


def mean_over_repeats(
    aligned: AlignedPredictions, statistic: Callable[[int, IntArray, FloatArray], FloatArray]
) -> Callable[[FloatArray], FloatArray]:
    """A statistic of counts of patients, as :func:`ppgssl.evaluation.replicates.resample` wants it.

    Parameters
    ----------
    aligned : AlignedPredictions
    statistic : callable
        From the number of a repeat (0, 1, ...), its rows and their weights, shape (n_rows_of_repeat, n_draws), to
        values of shape (n_values, n_draws), NaN where not defined.

    Returns
    -------
    callable
        From counts, shape (n_patients, n_draws), to the mean over repeats. A statistic that is not defined in one
        repeat is not defined: means over different repeats would not compare.
    """
    rows = rows_of_repeats(aligned)

    def averaged(counts: FloatArray) -> FloatArray:
        total = statistic(0, rows[0], counts[aligned.patient[rows[0]]])
        for number, of_repeat in enumerate(rows[1:], start=1):
            total = total + statistic(number, of_repeat, counts[aligned.patient[of_repeat]])
        return np.asarray(total / len(rows))

    return averaged
