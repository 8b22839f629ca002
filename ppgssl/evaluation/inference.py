"""Closed forms of inference: interval of a proportion, several comparisons at once, several imputations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import t as t_distribution

from ppgssl.core.errors import EvaluationError
from ppgssl.core.records import FloatArray

# The 97.5th percentile of the standard normal distribution.
Z95 = 1.959963984540054


def wilson_interval(count: float, n: float) -> tuple[float, float]:
    """95 % score interval of a proportion [1]_, [2]_.

    Unlike the interval of a bootstrap or of the normal approximation it keeps its width where all or none of the
    patients count, and stays inside 0..1.

    Parameters
    ----------
    count, n : how many of how many, ``0 <= count <= n`` and ``n > 0``. They need not be whole: means over repeats of a
        cross-validation are counts of patients, too.

    .. [1] Wilson, Probable inference, the law of succession, and statistical inference, JASA 22, 1927,
           10.1080/01621459.1927.10502953.
    .. [2] Brown, Cai & DasGupta, Interval estimation for a binomial proportion, Statistical Science 16, 2001,
           10.1214/ss/1009213286; equation 4.
    """
    proportion, z2 = count / n, Z95**2
    middle = (count + z2 / 2) / (n + z2)
    half = Z95 * np.sqrt(n) / (n + z2) * np.sqrt(proportion * (1 - proportion) + z2 / (4 * n))
    return max(0.0, float(middle - half)), min(1.0, float(middle + half))


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """P-values adjusted so that the chance of any false finding among all comparisons stays at the level [1]_.

    The smallest of ``m`` is multiplied by ``m``, the next by ``m - 1`` and so on; none may become smaller than one
    before it, nor exceed 1. This needs no assumption about how the comparisons depend on each other.

    A comparison that was not possible is None, and does not count among the ``m``.

    .. [1] Holm, A simple sequentially rejective multiple test procedure, Scandinavian Journal of Statistics 6, 1979,
           https://www.jstor.org/stable/4615733.
    """
    known = [position for position, p in enumerate(p_values) if p is not None]
    values = np.array([p_values[position] for position in known], dtype=np.float64)
    order = np.argsort(values, kind="stable")
    adjusted = np.empty(len(known))
    adjusted[order] = np.minimum(np.maximum.accumulate(values[order] * np.arange(len(known), 0, -1)), 1.0)
    result: list[float | None] = [None] * len(p_values)
    for position, value in zip(known, adjusted, strict=True):
        result[position] = float(value)
    return result


@dataclass(frozen=True)
class Pooled:
    """Estimates pooled over imputations: ``(estimate - truth) / standard_error`` has Student's t with ``df``."""

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
    interval. Raises EvaluationError if there are fewer than two imputations.

    Parameters
    ----------
    estimates, variances : float arrays, shape (n_imputations, n_estimates)
        Of each imputed table: estimates on a scale on which they are about normal, and their squared standard errors.
    complete_df : degrees of freedom that a table without missing values would leave: patients minus coefficients

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
    proportion = between / total
    with np.errstate(divide="ignore", over="ignore"):  # nothing missing: as many degrees of freedom as one likes
        of_imputations = (m - 1) / proportion**2
    observed = (complete_df + 1) / (complete_df + 3) * complete_df * (1 - proportion)
    return Pooled(estimates.mean(axis=0), np.sqrt(total), 1 / (1 / of_imputations + 1 / observed))
