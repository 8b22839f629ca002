"""Are new patients like those that a model was fitted to? One quantity at a time, from the training patients' summary.

A model folder holds no patients, so nothing here needs them: means, SDs and proportions of bins are enough.

- Standardised difference: new mean less that of training, over the root mean of both variances; of levels, between the
  vectors of proportions [1]_.
- Population stability index: ``sum((q - p) * log(q / p))`` over bins that were equally full in training [2]_.

A large number of a few patients is chance. A warning therefore needs both: an effect beyond the customary limit, and
more than chance gives in 95 of 100 pairs of samples of these sizes. For the index chance is ``chi2 * (1/n + 1/m)`` with
one degree of freedom fewer than there are bins [3]_.

.. [1] Yang and Dalton, A unified approach to measuring the effect size between two groups using SAS, SAS Global Forum
       2012, paper 335 (Mahalanobis distance of the proportions of levels); Austin, 2009, doi 10.1002/sim.3697.
.. [2] Siddiqi, Credit risk scorecards, Wiley 2006, for the limits 0.1 and 0.25.
.. [3] Yurdakul and Naranjo, Statistical properties of the population stability index, Journal of Risk Model Validation
       14(4), 2020.
"""

from __future__ import annotations

import numpy as np
from scipy.stats import binomtest, chi2

from ppgssl.core.records import FloatArray
from ppgssl.evaluation.inference import Z95

# From here on a difference is a warning.
LIMIT_DIFFERENCE = 0.25
LIMIT_INDEX = 0.25
_HALF = 0.5


def standardised_difference(values: FloatArray, mean: float, sd: float, n: int) -> tuple[float | None, float | None]:
    """Difference of new patients' mean and that of training, in SDs, and how large chance makes it.

    ``values``: float array, shape (n_new,); of new patients, without missing ones. ``mean``, ``sd``, ``n``: of the
    training patients; SD with n - 1.

    Returns
    -------
    difference : float or None
        Above 0 where new values are higher. None with fewer than two values on either side, or where nothing varies.
    by_chance : float or None; what its absolute value exceeds in 5 of 100 pairs of samples from one population
    """
    if len(values) < 2 or n < 2:
        return None, None
    spread = np.sqrt((np.var(values, ddof=1) + sd**2) / 2)
    if spread <= 1e-12 * max(abs(mean), 1e-300):
        return None, None
    return float((values.mean() - mean) / spread), float(Z95 * np.sqrt(1 / len(values) + 1 / n))


def difference_of_levels(counts: FloatArray, proportions: FloatArray, n: int) -> tuple[float | None, float | None]:
    """The same of levels, never negative; of two levels it is Austin's difference of proportions.

    Parameters
    ----------
    counts, proportions : float arrays, shape (n_levels,)
        New patients of each level; of the ``n`` training patients, the proportion.
    """
    m = counts.sum()
    if m < 2 or n < 2 or len(proportions) < 2:
        return None, None
    new = counts / m
    covariance = (_covariance(new) + _covariance(proportions)) / 2
    gap = (new - proportions)[1:]
    by_chance = float(np.sqrt(_chance(len(proportions), float(m), n)))
    if not gap.any():
        return 0.0, by_chance
    # Levels that nobody has, or all have, leave a direction without variance.
    found = float(gap @ np.linalg.pinv(covariance, hermitian=True) @ gap)
    return (float(np.sqrt(found)), by_chance) if found > 0 else (None, None)


def _covariance(proportions: FloatArray) -> FloatArray:
    rest = proportions[1:]
    return np.asarray(np.diag(rest) - np.outer(rest, rest))


def _chance(n_levels: int, m: float, n: int) -> float:
    return float(chi2.ppf(0.95, n_levels - 1) * (1 / m + 1 / n))


def stability_index(counts: FloatArray, proportions: FloatArray, n: int) -> tuple[float | None, float | None]:
    """Population stability index of new patients against training patients, and how large chance makes it.

    Half a patient is added to each bin, so that empty ones have a logarithm.

    Parameters
    ----------
    counts, proportions : float arrays, shape (n_bins,)
        New patients in each bin; of the ``n`` training patients, the proportion.

    Returns
    -------
    index : float or None; 0 where proportions are equal; None without patients, or with a single bin
    by_chance : float or None; what it exceeds in 5 of 100 pairs of samples from one population
    """
    m = counts.sum()
    if m < 1 or n < 1 or len(counts) < 2:
        return None, None
    new = (counts + _HALF) / (m + _HALF * len(counts))
    old = (proportions * n + _HALF) / (n + _HALF * len(counts))
    return float(((new - old) * np.log(new / old)).sum()), _chance(len(counts), float(m), n)


def is_beyond(value: float | None, by_chance: float | None, limit: float) -> bool:
    """Whether an effect deserves a warning: large, and more than chance."""
    return value is not None and by_chance is not None and abs(value) > max(limit, by_chance)


def proportion_beyond(distances: FloatArray, threshold: float, expected: float) -> tuple[float, float]:
    """Proportion of new patients whose distance exceeds a quantile of training, and how likely so many are by chance.

    Returns the proportion and the p-value: one-sided binomial test; the threshold is taken as known.

    ``distances``: float array, shape (n_new,); without missing ones; at least one. ``expected``: proportion of training
    patients beyond it.
    """
    n_beyond = int((distances > threshold).sum())
    return n_beyond / len(distances), float(binomtest(n_beyond, len(distances), expected, alternative="greater").pvalue)
