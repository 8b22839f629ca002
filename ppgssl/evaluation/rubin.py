"""One estimate from several imputed tables."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.stats import t as t_distribution

from ppgssl.core.errors import EvaluationError
from ppgssl.core.records import FloatArray


@dataclass(frozen=True)
class Pooled:
    """Estimates pooled over imputations.

    Attributes
    ----------
    estimate, standard_error, df : float array, shape (n_estimates,)
        ``(estimate - truth) / standard_error`` is taken to have Student's t distribution with ``df`` degrees of
        freedom.
    """

    estimate: FloatArray
    standard_error: FloatArray
    df: FloatArray

    def interval(self) -> tuple[FloatArray, FloatArray]:
        """95 % interval."""
        reach = t_distribution.ppf(0.975, self.df) * self.standard_error
        return self.estimate - reach, self.estimate + reach

    def p_values(self) -> FloatArray:
        """Two-sided, of an estimate of zero."""
        return np.asarray(2 * t_distribution.sf(np.abs(self.estimate) / self.standard_error, self.df))


def pool_estimates(estimates: FloatArray, variances: FloatArray, *, complete_df: float) -> Pooled:
    """Rubin's rules [1]_, with the degrees of freedom of Barnard and Rubin [2]_.

    The estimate is the mean over imputations. Its variance is ``W + (1 + 1 / m) B``: the mean variance W within the
    imputed tables, and the variance B between them, by which what is not known of the missing values gets into the
    interval.

    Parameters
    ----------
    estimates, variances : float arrays, shape (n_imputations, n_estimates)
        Of each imputed table: estimates on a scale on which they are about normal, and their squared standard errors.
    complete_df : float
        Degrees of freedom that a table without missing values would leave: patients minus coefficients.

    Raises
    ------
    EvaluationError
        If there are fewer than two imputations.

    References
    ----------
    .. [1] Rubin, Multiple Imputation for Nonresponse in Surveys, Wiley, 1987, 10.1002/9780470316696, equations 3.1.2
           to 3.1.5.
    .. [2] Barnard & Rubin, Small-sample degrees of freedom with multiple imputation, Biometrika 86, 1999,
           10.1093/biomet/86.4.948.
    """
    m = len(estimates)
    if m < 2:
        raise EvaluationError(f"Rubin's rules pool at least two imputed tables, and got {m}")
    within, between = variances.mean(axis=0), (1 + 1 / m) * estimates.var(axis=0, ddof=1)
    total = within + between
    share = between / total
    with np.errstate(divide="ignore"):  # nothing missing: as many degrees of freedom as one likes
        of_imputations = (m - 1) / share**2
    observed = (complete_df + 1) / (complete_df + 3) * complete_df * (1 - share)
    return Pooled(estimates.mean(axis=0), np.sqrt(total), 1 / (1 / of_imputations + 1 / observed))
