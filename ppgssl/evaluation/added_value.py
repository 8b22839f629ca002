"""What signals add to a clinical input, in three languages: discrimination, likelihood, and decisions.

The likelihood-ratio test is the most sensitive of the three, and the easiest to get wrong. Comparing the two fitted
models on the patients they were fitted to is no test: both are shrunken, the larger has a hundred columns more, and it
fits better whatever these hold. So the two models are compared by their risks of patients they had not seen. Within
a repeat of the cross-validation each patient has one out-of-fold risk by each model, and two logistic regressions are
compared that have one and two columns, whatever went into the models:

    y ~ logit(risk of the reference)        and        y ~ logit(risk of the reference) + logit(risk of the arm)

Twice the gain in log likelihood is referred to chi-square with one degree of freedom [1]_. Two rules keep the level.

- The second coefficient must be positive. Under cross-validation a useless model errs to the wrong side: what training
  patients show by chance is reversed in those left out, and the plain, two-sided test calls this `information`. (In
  1,000 simulated data sets of 200 patients, with 3 covariates, 10 useless features and three repeats of five folds, the
  plain test found 14.7 % significant at 5 %, this one 5.4 %.) A coefficient of zero or less counts as no gain:
  statistic 0, p = 1.
- Each repeat of the cross-validation gives a test, but not a new sample of patients. The repeats' statistics are
  neither added nor averaged; their median is taken, which for p-values of repeated splits keeps the level [2]_.

.. [1] Harrell, Regression Modeling Strategies, 2nd edition, Springer, 2015, 10.1007/978-3-319-19425-7, section 9.3.
.. [2] van de Wiel, Berkhof & van Wieringen, Testing the prediction error difference between 2 predictors, Biostatistics
       10, 2009, 10.1093/biostatistics/kxp011.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.special import logit
from scipy.stats import chi2
from statsmodels.discrete.discrete_model import Logit

from ppgssl.core.errors import EvaluationError
from ppgssl.core.records import BoolArray, FloatArray
from ppgssl.core.results.base import Difference
from ppgssl.core.results.performance import AddedValue
from ppgssl.evaluation.firth import is_separated
from ppgssl.evaluation.predictions import align_predictions, rows_of_repeats

# Risks of exactly 0 and 1 have no logit.
_SMALLEST_RISK = 1e-6
# Two linear predictors that differ by less, in units of the log odds, are the same.
_SAME = 1e-9


def added_value(
    predictions: pd.DataFrame,
    arm: str,
    reference: str,
    *,
    auroc: Difference,
    thresholds: Sequence[float] = (),
    net_benefit: Sequence[Difference] = (),
) -> AddedValue:
    """Put together what an arm adds to the same arm without some of its features.

    Raises EvaluationError if a difference is not from the reference, there is not one for each threshold, or the arms
    were not tested on the same patients.

    Parameters
    ----------
    arm : an arm of clinical input and features, or of two kinds of features
    reference : the arm of the same clinical input, learner and fusion without the features in question
    auroc : paired difference of the AUROCs, ``arm`` minus ``reference``
    thresholds, net_benefit : risks from which one would act, and the paired difference of the net benefits at each
    """
    others = [one.reference for one in (auroc, *net_benefit) if one.reference != reference]
    if others:
        raise EvaluationError(f"the added value of {arm} is over {reference}, but a difference is from {others[0]}")
    if len(thresholds) != len(net_benefit):
        raise EvaluationError(f"{len(thresholds)} thresholds need as many net benefits, and got {len(net_benefit)}")
    statistic = likelihood_ratio(predictions, arm, reference)
    return AddedValue(
        arm=arm,
        reference=reference,
        auroc=auroc,
        net_benefit=list(net_benefit),
        thresholds=list(thresholds),
        lr_chi2=statistic,
        lr_df=None if statistic is None else 1,
        lr_p_value=None if statistic is None else float(chi2.sf(statistic, 1)),
    )


def likelihood_ratio(predictions: pd.DataFrame, arm: str, reference: str) -> float | None:
    """Likelihood-ratio statistic of adding an arm's out-of-fold risk to that of its reference, median over repeats.

    Returns a float or None: on one degree of freedom; None where a repeat has no such test, see
    :func:`likelihood_ratio_of_risks`.

    ``predictions``, ``arm``, ``reference``: as in :func:`added_value`.
    """
    aligned = align_predictions(predictions, [reference, arm])
    of_repeats = [
        likelihood_ratio_of_risks(aligned.y_true[rows], aligned.y_score[0, rows], aligned.y_score[1, rows])
        for rows in rows_of_repeats(aligned)
    ]
    defined = [statistic for statistic in of_repeats if statistic is not None]
    return float(np.median(defined)) if len(defined) == len(of_repeats) else None


def likelihood_ratio_of_risks(y_true: ArrayLike, reference: ArrayLike, added: ArrayLike) -> float | None:
    """The test of one repeat; see the module's head.

    Returns a float or None: zero where the added risk has no coefficient above zero. None where there is a single
    class, or the risks separate the classes, so that there is no finite likelihood to compare.

    ``y_true``: array of 0/1, shape (n_patients,). ``reference``, ``added``: float arrays, shape (n_patients,); risks of
    the two models, in 0..1.
    """
    y = np.asarray(y_true) == 1
    if y.all() or not y.any():
        return None
    risks = np.clip(np.asarray([reference, added], dtype=float), _SMALLEST_RISK, 1 - _SMALLEST_RISK)
    first, second = logit(risks)
    ones = np.ones(len(y))
    smaller = np.column_stack([ones, first] if _varies(first) else [ones])
    # A model that repeats the reference, or knows nothing, has nothing to add.
    if not _varies(second - smaller @ np.linalg.lstsq(smaller, second, rcond=None)[0]):
        return 0.0
    larger = np.column_stack([smaller, second])
    if is_separated(larger, y):
        return None
    with_added = _fit(larger, y)
    return max(0.0, 2 * (with_added.llf - _fit(smaller, y).llf)) if with_added.params[-1] > 0 else 0.0


def _varies(values: FloatArray) -> bool:
    return bool(np.ptp(values) > _SAME)


def _fit(X: FloatArray, y: BoolArray):  # type: ignore[no-untyped-def]
    return Logit(y.astype(float), X).fit(method="newton", maxiter=100, disp=0)
