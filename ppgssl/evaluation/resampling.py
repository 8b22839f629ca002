"""The bootstrap of patients: statistics of several competitors on the same draws, their intervals and differences [1]_.

Each resample draws as many patients as there are, with replacement. A patient is drawn with all rows, in all arms (so
that differences are paired), repeats and folds (so that repeats are not mistaken for more patients). The intervals are
conditional on the models: they describe how the statistic of *these* models varies with the patients tested.

.. [1] Rutter, Bootstrap estimation of diagnostic accuracy with patient-clustered data, Academic Radiology 7, 2000.
.. [2] Efron & Tibshirani, An Introduction to the Bootstrap, Chapman & Hall, 1993, chapter 13.
.. [3] Efron, Better bootstrap confidence intervals, Journal of the American Statistical Association 82, 1987,
       10.1080/01621459.1987.10478410; equations 2.3 and 6.6.
.. [4] Davison & Hinkley, Bootstrap Methods and their Application, Cambridge University Press, 1997, chapter 4.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy.stats import norm

from ppgssl.core.errors import EvaluationError
from ppgssl.core.records import FloatArray
from ppgssl.core.results.base import Difference, Interval
from ppgssl.core.text import suggest

# Numbers in one block of resamples; of a statistic that sums over rows, as many as a processor's cache holds. Below a
# handful of draws a block, what is done once a block takes more time than the block itself.
_BLOCK = 2_000_000
_CACHED_BLOCK = 320_000
_MIN_DRAWS = 16
# Patients drawn at once: few enough that temporary arrays stay in the cache.
_PORTION = 65_536


@dataclass(frozen=True)
class Replicates:
    """One statistic of several competitors, of the patients as they are and of every draw of them.

    Attributes
    ----------
    estimates : float array, shape (n_names,); NaN where the statistic is not defined
    draws : float array, shape (n_names, n_resamples)
        A column belongs to one draw of patients, the same for all names; NaN where the statistic is not defined.
    """

    names: tuple[str, ...]
    estimates: FloatArray = field(repr=False)
    draws: FloatArray = field(repr=False)

    @property
    def n_undefined(self) -> int:
        """Draws in which the statistic of some competitor is not defined."""
        return int(np.isnan(self.draws).any(axis=0).sum())

    def interval(self, name: str) -> Interval:
        """The estimate, with the 2.5th and 97.5th percentile of its resamples [2]_."""
        row = position(name, self.names)
        low, high = percentile_interval(self.draws[row])
        return Interval(estimate=finite(self.estimates[row]), ci_low=low, ci_high=high)

    def difference(self, name: str, reference: str) -> Difference:
        """``name`` minus ``reference``, both of the same draws of patients."""
        row, other = position(name, self.names), position(reference, self.names)
        replicates = self.draws[row] - self.draws[other]
        low, high = percentile_interval(replicates)
        return Difference(
            estimate=finite(self.estimates[row] - self.estimates[other]),
            ci_low=low,
            ci_high=high,
            p_value=two_sided_p(replicates),
            reference=reference,
        )


def resample(
    statistic: Callable[[FloatArray], FloatArray],
    names: Sequence[str],
    n_patients: int,
    *,
    n_resamples: int = 2000,
    seed: int,
    n_rows: int | None = None,
) -> Replicates:
    """Draw patients with replacement, and compute a statistic of all competitors from each draw.

    Raises EvaluationError if there are fewer than two patients, or no resamples are asked for.

    Parameters
    ----------
    statistic : from counts of shape (n_patients, n_draws), how often each patient was drawn, to values of shape
        (n_names, n_draws). Counts of one give the estimate.
    names : competitors, in the order of the statistic's rows
    seed : the only source of randomness: equal seeds draw the same patients for every statistic
    n_rows : optional; of a statistic that only sums counts over so many rows: blocks then fit the processor's cache,
        and counts take 32 bits where their sums stay exact
    """
    if n_patients < 2 or n_resamples < 1:
        raise EvaluationError(
            f"cannot resample {n_patients} patients {n_resamples} times: there must be at least two patients and one "
            "resample, 2000 for a report"
        )
    rng = np.random.default_rng(seed)
    dtype = np.float64 if n_rows is None else counts_dtype(n_rows)
    size = max(1, _BLOCK // n_patients) if n_rows is None else max(_MIN_DRAWS, _CACHED_BLOCK // n_rows)
    sizes = [min(size, n_resamples - start) for start in range(0, n_resamples, size)]
    values = np.concatenate([statistic(draw_counts(n_patients, size, rng, dtype)) for size in sizes], axis=1)
    return Replicates(tuple(names), statistic(np.ones((n_patients, 1), dtype))[:, 0], values)


def counts_dtype(n_rows: int) -> type[np.floating]:
    """Half the memory and time where sums of counts over so many rows are whole numbers that 32 bits hold exactly."""
    return np.float32 if n_rows < 2**22 else np.float64


def resample_means(names: Sequence[str], values: FloatArray, *, n_resamples: int = 2000, seed: int) -> Replicates:
    """Means over patients of ``values``, shape (n_names, n_patients), with their resamples."""
    n_patients = values.shape[1]
    return resample(lambda counts: values @ counts / n_patients, names, n_patients, n_resamples=n_resamples, seed=seed)


def draw_counts(
    n_patients: int, n_resamples: int, rng: np.random.Generator, dtype: type[np.floating] = np.float64
) -> FloatArray:
    """How often each patient is drawn: ``n_resamples`` multinomial draws of ``n_patients`` out of ``n_patients``.

    Returns an array of ``dtype``, shape (n_patients, n_resamples): whole numbers; every column adds up to
    ``n_patients``. The stream of ``rng`` is used resample by resample, so that drawing in portions gives the same
    counts as drawing at once.
    """
    counts = np.empty((n_patients, n_resamples), dtype)
    size = max(1, _PORTION // n_patients)
    for start in range(0, n_resamples, size):
        portion = counts[:, start : start + size]
        # Counting uniform draws is the multinomial distribution, and much faster than a binomial for each patient.
        drawn = rng.integers(n_patients, size=portion.shape[::-1])
        drawn *= portion.shape[1]
        drawn += np.arange(portion.shape[1])[:, None]
        portion[:] = np.bincount(drawn.ravel(), minlength=drawn.size).reshape(portion.shape)
    return counts


def percentile_interval(replicates: FloatArray) -> tuple[float | None, float | None]:
    """2.5th and 97.5th percentile of the defined replicates; none where there are none."""
    defined = replicates[np.isfinite(replicates)]
    if not len(defined):
        return None, None
    low, high = np.quantile(defined, [0.025, 0.975])
    return float(low), float(high)


def bca_interval(replicates: FloatArray, estimate: float, jackknife: FloatArray) -> tuple[float | None, float | None]:
    """Bias-corrected and accelerated 95 % interval: percentiles moved by the bias and skewness of the estimate [3]_.

    Returns a tuple of float or None: None where there are no replicates, or all lie on one side of the estimate.

    Parameters
    ----------
    replicates : float array, shape (n_resamples,); those that are not defined are left out
    estimate : float
        Of the data as they are. A replicate equal to it counts half below, as those of a discrete statistic often are.
    jackknife : float array, shape (n_patients,)
        The estimate without each patient in turn; not finite where it is not defined.
    """
    replicates = replicates[np.isfinite(replicates)]
    if not len(replicates):
        return None, None
    bias = norm.ppf(np.mean(replicates < estimate) + np.mean(replicates == estimate) / 2)
    if not np.isfinite(bias):
        return None, None
    known = jackknife[np.isfinite(jackknife)]
    deviation = known.mean() - known if len(known) else known
    spread = (deviation**2).sum()
    acceleration = (deviation**3).sum() / (6 * spread**1.5) if spread > 0 else 0.0
    shifted = bias + norm.ppf([0.025, 0.975])
    low, high = np.quantile(replicates, norm.cdf(bias + shifted / (1 - acceleration * shifted)))
    return float(low), float(high)


def two_sided_p(replicates: FloatArray) -> float | None:
    """Two-sided p-value of no difference, from bootstrap replicates of a difference.

    ``p = min(1, 2 * min(1 + #{d <= 0}, 1 + #{d >= 0}) / (1 + n))``: twice the proportion of replicates on the far side
    of zero, which inverts the percentile interval (p < 0.05 where the 95 % interval excludes zero, up to the resolution
    of the resamples). The added ones keep p from being zero, as the observed sample is itself a possible draw [4]_;
    replicates of exactly zero count on both sides, so that an arm equal to its reference has p = 1.
    """
    defined = replicates[np.isfinite(replicates)]
    n = len(defined)
    if not n:
        return None
    n_far = min(int((defined <= 0).sum()), int((defined >= 0).sum()))
    return min(1.0, 2 * (1 + n_far) / (1 + n))


def position(name: str, names: Sequence[str]) -> int:
    if name not in names:
        raise EvaluationError(f"{name!r} was not resampled{suggest(name, names)}; there are {', '.join(names)}")
    return names.index(name)


def finite(value: float) -> float | None:
    """The number, or None where it is not finite: what JSON knows."""
    return float(value) if np.isfinite(value) else None
