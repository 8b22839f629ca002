"""Statistics of several competitors on the same patients, resampled together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from ppgssl.core.errors import EvaluationError
from ppgssl.core.records import FloatArray
from ppgssl.core.results.base import Difference, Interval
from ppgssl.core.text import suggest
from ppgssl.evaluation.bootstrap import draw_counts, percentile_interval, two_sided_p

# Numbers in one block of resamples.
_BLOCK = 2_000_000


@dataclass(frozen=True)
class Replicates:
    """One statistic of several competitors, of the patients as they are and of every draw of them.

    Attributes
    ----------
    names : tuple of str
    estimates : float array, shape (n_names,)
        NaN where the statistic is not defined.
    values : float array, shape (n_names, n_resamples)
        A column belongs to one draw of patients, the same for all names; NaN where the statistic is not defined.
    """

    names: tuple[str, ...]
    estimates: FloatArray = field(repr=False)
    values: FloatArray = field(repr=False)

    def interval(self, name: str) -> Interval:
        """The estimate, with the 2.5th and 97.5th percentile of its resamples."""
        row = self._row(name)
        low, high = percentile_interval(_defined(self.values[row]))
        return Interval(estimate=_number(self.estimates[row]), ci_low=low, ci_high=high)

    def difference(self, name: str, reference: str) -> Difference:
        """``name`` minus ``reference``, both of the same draws of patients."""
        row, other = self._row(name), self._row(reference)
        replicates = _defined(self.values[row] - self.values[other])
        low, high = percentile_interval(replicates)
        return Difference(
            estimate=_number(self.estimates[row] - self.estimates[other]),
            ci_low=low,
            ci_high=high,
            p_value=two_sided_p(replicates),
            reference=reference,
        )

    def _row(self, name: str) -> int:
        if name not in self.names:
            raise EvaluationError(
                f"{name!r} was not resampled{suggest(name, self.names)}; there are {', '.join(self.names)}"
            )
        return self.names.index(name)


def resample(
    statistic: Callable[[FloatArray], FloatArray],
    names: Sequence[str],
    n_patients: int,
    *,
    n_resamples: int = 2000,
    seed: int,
) -> Replicates:
    """Draw patients with replacement, and compute a statistic of all competitors from each draw.

    Parameters
    ----------
    statistic : callable
        From counts of shape (n_patients, n_draws), how often each patient was drawn, to values of shape (n_names,
        n_draws). Counts of one give the estimate.
    names : sequence of str
        Competitors, in the order of the statistic's rows.
    n_patients : int
    n_resamples : int
    seed : int
        The only source of randomness.

    Raises
    ------
    EvaluationError
        If there are fewer than two patients, or no resamples are asked for.
    """
    if n_patients < 2 or n_resamples < 1:
        raise EvaluationError(
            f"cannot resample {n_patients} patients {n_resamples} times: there must be at least two patients and one "
            "resample, 2000 for a report"
        )
    rng = np.random.default_rng(seed)
    size = max(1, _BLOCK // n_patients)
    sizes = [min(size, n_resamples - start) for start in range(0, n_resamples, size)]
    values = np.concatenate([statistic(draw_counts(n_patients, size, rng)) for size in sizes], axis=1)
    return Replicates(tuple(names), statistic(np.ones((n_patients, 1)))[:, 0], values)


def resample_means(names: Sequence[str], values: FloatArray, *, n_resamples: int = 2000, seed: int) -> Replicates:
    """Means over patients of ``values``, shape (n_names, n_patients), with their resamples."""
    n_patients = values.shape[1]
    return resample(lambda counts: values @ counts / n_patients, names, n_patients, n_resamples=n_resamples, seed=seed)


def _defined(values: FloatArray) -> FloatArray:
    return np.asarray(values[np.isfinite(values)])


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
