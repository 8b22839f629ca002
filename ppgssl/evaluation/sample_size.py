"""How many patients a prediction model needs at the least, before anybody trusts its coefficients.

For a model of P parameters, an overall risk phi and an anticipated Cox-Snell R2 [1]_, [2]_:

    1. little overfitting:      n = P / ((S - 1) ln(1 - R2 / S)),  shrinkage S = 0.9
    2. little optimism:         the same with S = R2 / (R2 + 0.05 max R2): Nagelkerke's R2 is at most 0.05 too high
    3. a precise overall risk:  n = (1.96 / 0.05)^2 phi (1 - phi)

and the largest of the three counts. These are minima: a model of so many patients can still give unstable risks to
single patients.

.. [1] Riley, Snell, Ensor et al., Minimum sample size for developing a multivariable prediction model: part II, binary
       and time-to-event outcomes, Statistics in Medicine 38, 2019, 10.1002/sim.7992.
.. [2] Riley, Ensor, Snell et al., Calculating the sample size required for developing a clinical prediction model, BMJ
       368, 2020, 10.1136/bmj.m441.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy.special import expit, xlogy
from scipy.stats import norm

from ppgssl.core.config.cohort import ClinicalTable
from ppgssl.core.errors import EvaluationError
from ppgssl.core.records import FloatArray
from ppgssl.core.results.robustness import SampleSize, SampleSizeCriterion

_SHRINKAGE = 0.9
_OPTIMISM = 0.05
_MARGIN = 0.05
# Where nothing is known of how well a model will do: this fraction of the highest possible R2 [2]_.
_FRACTION_OF_MAXIMUM = 0.15
# pmsampsize and the papers write 1.96 as well.
_Z = 1.96


def sample_size(
    model: str, n_parameters: int, n_patients: int, n_events: int, *, anticipated_auroc: float | None = None
) -> SampleSize:
    """Compare a cohort with the least that developing a model of its outcome would need.

    Raises EvaluationError if there is no parameter, no event or only events, or the AUROC is not between 0.5 and 1.

    Parameters
    ----------
    model : label of the arm
    n_parameters : candidate parameters, see :func:`count_parameters`
    n_patients, n_events : all patients of the cohort with an outcome; their proportion of events is the overall risk
    anticipated_auroc : optional; AUROC that earlier studies make you expect, never one that was measured on these
        patients: a lucky cohort would then seem large enough. Without it, R2 is 15 % of its maximum.
    """
    prevalence = _check_prevalence(n_events / n_patients if n_patients else 0.0)
    if anticipated_auroc is None:
        r2 = _FRACTION_OF_MAXIMUM * max_r2_cox_snell(prevalence)
        source = f"{_FRACTION_OF_MAXIMUM:.0%} of the highest value that this proportion of events allows"
    else:
        r2 = r2_from_auroc(anticipated_auroc, prevalence)
        source = f"from an anticipated AUROC of {anticipated_auroc:g}"
    criteria = minimum_sample_size(n_parameters, prevalence, r2)
    n_required = max(criterion.n_required for criterion in criteria)
    return SampleSize(
        model=model,
        n_parameters=n_parameters,
        prevalence=prevalence,
        r2_cox_snell=r2,
        r2_source=source,
        criteria=criteria,
        n_required=n_required,
        n_events_required=math.ceil(round(n_required * prevalence, 6)),
        n_available=n_patients,
        n_events_available=n_events,
        is_enough=n_patients >= n_required,
    )


def minimum_sample_size(n_parameters: int, prevalence: float, r2_cox_snell: float) -> list[SampleSizeCriterion]:
    """The three criteria of the module's head.

    Raises EvaluationError if a number is outside its range.

    Parameters
    ----------
    n_parameters : at least 1
    prevalence : overall risk, between 0 and 1
    r2_cox_snell : anticipated, above 0 and below what the overall risk allows
    """
    highest = max_r2_cox_snell(_check_prevalence(prevalence))
    if n_parameters < 1:
        raise EvaluationError(f"a model of {n_parameters} parameters needs no sample size: it must have at least one")
    if not 0 < r2_cox_snell < min(highest, _SHRINKAGE):
        raise EvaluationError(
            f"the anticipated Cox-Snell R2 is {r2_cox_snell:.3g}; with a proportion of events of {prevalence:.3g} "
            f"it must lie between 0 and {highest:.3g}"
        )
    optimism = r2_cox_snell / (r2_cox_snell + _OPTIMISM * highest)
    needed = {
        f"Expected shrinkage of coefficients of at least {_SHRINKAGE:g}": _for_shrinkage(
            n_parameters, r2_cox_snell, _SHRINKAGE
        ),
        f"Optimism of at most {_OPTIMISM:g} in Nagelkerke's R2": _for_shrinkage(n_parameters, r2_cox_snell, optimism),
        f"Overall risk known to within {_MARGIN:g}": (_Z / _MARGIN) ** 2 * prevalence * (1 - prevalence),
    }
    return [SampleSizeCriterion(criterion=words, n_required=math.ceil(n)) for words, n in needed.items()]


def max_r2_cox_snell(prevalence: float) -> float:
    """The highest Cox-Snell R2 that a model of an outcome can reach: ``1 - (phi^phi (1 - phi)^(1 - phi))^2``."""
    return -math.expm1(2 * float(_log_likelihood(np.array(prevalence))))


def r2_from_auroc(auroc: float, prevalence: float) -> float:
    """Cox-Snell R2 of a model of known AUROC, if its linear predictor is normal with and without the event [1]_.

    The two normals have variance 1 and are ``mu = sqrt(2) z(AUROC)`` apart; R2 then follows from the gain in log
    likelihood over a model that knows the overall risk alone. The paper simulates a million patients and fits a
    logistic model to them; here the same expectation is an integral, and does not depend on a seed. Raises
    EvaluationError if a number is outside its range.

    ``auroc``: between 0.5 and 1, both excluded. ``prevalence``: between 0 and 1, both excluded.

    .. [1] Riley, Van Calster & Collins, A note on estimating the Cox-Snell R2 from a reported C statistic (AUROC) to
           inform sample size calculations for developing a prediction model with a binary outcome, Statistics in
           Medicine 40, 2021, 10.1002/sim.8806.
    """
    _check_prevalence(prevalence)
    if not 0.5 < auroc < 1:
        raise EvaluationError(f"the anticipated AUROC is {auroc:g}; it must be above 0.5 and below 1")
    mu = math.sqrt(2) * float(norm.ppf(auroc))
    x = np.linspace(-10, mu + 10, 4001)  # equal steps are as good as any rule for a smooth curve that ends at zero
    risk = expit(math.log(prevalence / (1 - prevalence)) + mu * x - mu**2 / 2)
    density = prevalence * norm.pdf(x, mu) + (1 - prevalence) * norm.pdf(x)
    fitted = float((density * _log_likelihood(risk)).sum() * (x[1] - x[0]))
    return -math.expm1(-2 * (fitted - float(_log_likelihood(np.array(prevalence)))))


def count_parameters(patients: pd.DataFrame, table: ClinicalTable, variables: Sequence[str]) -> int:
    """Parameters that a model of these covariates estimates, without its intercept.

    One for a numeric variable, and one less than its levels for a binary or categorical one; levels that no patient
    has, and variables in which all patients are alike, need none.

    ``patients``: a column for each variable; missing values are no level.
    """
    n_values = {name: int(patients[name].nunique()) for name in variables}
    is_numeric = {name: table.variables[name].kind == "numeric" for name in variables}
    return sum(min(n - 1, 1) if is_numeric[name] else n - 1 for name, n in n_values.items() if n)


def _for_shrinkage(n_parameters: int, r2: float, shrinkage: float) -> float:
    return n_parameters / ((shrinkage - 1) * np.log1p(-r2 / shrinkage))


def _log_likelihood(risk: FloatArray) -> FloatArray:
    """Of a patient with this risk, on average."""
    return np.asarray(xlogy(risk, risk) + xlogy(1 - risk, 1 - risk))


def _check_prevalence(prevalence: float) -> float:
    if not 0 < prevalence < 1:
        raise EvaluationError(
            f"the proportion of events is {prevalence:g}; a model needs patients with and without the event"
        )
    return prevalence
