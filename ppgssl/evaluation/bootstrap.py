"""Intervals and paired differences of AUROCs by drawing patients, the same draw for every arm."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.stats import norm

from ppgssl.core.errors import EvaluationError
from ppgssl.core.records import FloatArray
from ppgssl.core.results.base import Difference, Interval
from ppgssl.evaluation.predictions import AlignedPredictions, align_predictions
from ppgssl.evaluation.ranked_pairs import RankedPairs, auroc, check_scores

# Numbers in one block of resamples: as many as a processor's cache holds. Below a handful of draws a block, what is
# done once a block takes more time than the block itself.
_BLOCK = 320_000
_MIN_DRAWS = 16
# Patients drawn at once: few enough that temporary arrays stay in the cache.
_PORTION = 65_536


@dataclass(frozen=True)
class BootstrapAuroc:
    """What drawing patients tells about the AUROCs of several arms.

    Attributes
    ----------
    arms : tuple of str
    estimates : float array, shape (n_arms,)
        AUROC of the data as they are.
    replicates : float array, shape (n_resamples - n_skipped, n_arms)
        AUROC of each resample. A row belongs to one draw of patients, the same for all arms.
    reference : str or None
        Arm that :attr:`differences` subtracts.
    n_skipped : int
        Resamples in which the AUROC is not defined, because some repeat held no pair to compare.
    n_patients, n_events : int
        Patients drawn from.
    """

    arms: tuple[str, ...]
    estimates: FloatArray = field(repr=False)
    replicates: FloatArray = field(repr=False)
    reference: str | None
    n_skipped: int
    n_patients: int
    n_events: int

    @property
    def intervals(self) -> dict[str, Interval]:
        """AUROC of each arm with its 95 % percentile interval."""
        return {arm: self.interval(arm) for arm in self.arms}

    @property
    def differences(self) -> dict[str, Difference]:
        """Difference of every other arm to the reference; empty without a reference."""
        if self.reference is None:
            return {}
        return {arm: self.difference(arm, self.reference) for arm in self.arms if arm != self.reference}

    def interval(self, arm: str) -> Interval:
        """AUROC of one arm, with the 2.5th and 97.5th percentile of its resamples."""
        column = self._column(arm)
        low, high = percentile_interval(self.replicates[:, column])
        return Interval(estimate=float(self.estimates[column]), ci_low=low, ci_high=high)

    def difference(self, arm: str, reference: str) -> Difference:
        """AUROC of ``arm`` minus that of ``reference``, resampled together.

        Raises
        ------
        EvaluationError
            If one of the two is not among ``arms``.
        """
        column, other = self._column(arm), self._column(reference)
        replicates = self.replicates[:, column] - self.replicates[:, other]
        low, high = percentile_interval(replicates)
        return Difference(
            estimate=float(self.estimates[column] - self.estimates[other]),
            ci_low=low,
            ci_high=high,
            p_value=two_sided_p(replicates),
            reference=reference,
        )

    def _column(self, arm: str) -> int:
        if arm not in self.arms:
            raise EvaluationError(f"arm {arm!r} was not resampled; there are {', '.join(self.arms)}")
        return self.arms.index(arm)


def bootstrap_auroc(
    predictions: pd.DataFrame,
    arms: Sequence[str],
    reference: str | None = None,
    *,
    n_resamples: int = 2000,
    seed: int,
    subset: Collection[str] | None = None,
) -> BootstrapAuroc:
    """Resample patients, and with them all their predictions, to judge AUROCs and their differences [1]_, [2]_.

    Each resample draws as many patients as there are, with replacement. The counts so drawn weigh every prediction of
    the patient: in all arms (so that differences are paired), all repeats and all folds (so that a patient's several
    predictions are not mistaken for several patients). Each weighting yields the AUROC of
    :mod:`ppgssl.evaluation.ranked_pairs`. Events are not held fixed: their number varies as in a new sample.

    The intervals are conditional on the models: they say how the AUROC of *these* fitted models varies with the
    patients tested, not how models would vary with the patients they were trained on.

    Parameters
    ----------
    predictions : DataFrame
        Columns ``arm, repeat, fold, patient_id, y_true, y_score``.
    arms : sequence of str
        Arms to judge; all must have been tested on the same patients in the same folds.
    reference : str, optional
        Arm that ``differences`` subtracts from each other arm.
    n_resamples : int
    seed : int
        The only source of randomness.
    subset : collection of str, optional
        Patients of a sensitivity analysis: all others are left out, the models stay as they are.

    Raises
    ------
    EvaluationError
        If the predictions do not fit together, a subset names nobody, or an AUROC is not defined.

    References
    ----------
    .. [1] Rutter, Bootstrap estimation of diagnostic accuracy with patient-clustered data, Academic Radiology 7, 2000.
    .. [2] Efron & Tibshirani, An Introduction to the Bootstrap, Chapman & Hall, 1993, chapter 13.
    """
    return resample_auroc(
        align_predictions(restrict(predictions, subset), arms), reference, n_resamples=n_resamples, seed=seed
    )


def resample_auroc(
    aligned: AlignedPredictions, reference: str | None = None, *, n_resamples: int = 2000, seed: int
) -> BootstrapAuroc:
    """:func:`bootstrap_auroc` of predictions that are aligned already."""
    if n_resamples < 1:
        raise EvaluationError(f"n_resamples is {n_resamples}; it must be at least 1, and 2000 or more for a report")
    if reference is not None and reference not in aligned.arms:
        raise EvaluationError(f"the reference arm {reference!r} is not among the arms {', '.join(aligned.arms)}")
    dtype = _dtype(len(aligned.patient))
    ranked = [_ranked(aligned, scores, dtype) for scores in aligned.y_score]
    estimates = _auroc_of_arms(ranked, np.ones((aligned.n_patients, 1), dtype))[0]
    n_events = len(np.unique(aligned.patient[aligned.y_true]))
    if np.isnan(estimates).any():
        raise EvaluationError(
            f"the AUROC of {aligned.n_patients} patients, {n_events} with the event, is not defined: in some repeat no "
            "fold tests both a patient with the event and one without"
        )
    rng = np.random.default_rng(seed)
    draws = _draws_in_blocks(aligned.n_patients, len(aligned.patient), n_resamples, rng)
    replicates = np.concatenate([_auroc_of_arms(ranked, counts) for counts in draws])
    is_defined = ~np.isnan(replicates[:, 0])  # the same for all arms: they share patients, folds and counts
    return BootstrapAuroc(
        arms=aligned.arms,
        estimates=estimates,
        replicates=replicates[is_defined],
        reference=reference,
        n_skipped=int(n_resamples - is_defined.sum()),
        n_patients=aligned.n_patients,
        n_events=n_events,
    )


def bootstrap_scores(y_true: ArrayLike, y_score: ArrayLike, *, n_resamples: int = 2000, seed: int) -> Interval:
    """AUROC of one score per patient, on any scale, with its percentile interval.

    Parameters
    ----------
    y_true : array of 0/1, shape (n_patients,)
    y_score : float array, shape (n_patients,)
    n_resamples, seed
        As in :func:`bootstrap_auroc`.

    Raises
    ------
    EvaluationError
        If the AUROC is not defined.
    """
    estimate = auroc(y_true, y_score)
    n = len(np.asarray(y_true))
    one = np.zeros(n, dtype=np.int64)
    y, score, _, _ = check_scores(y_true, y_score, one, one)
    pairs = RankedPairs(y, score, repeat=one, fold=one, patient=np.arange(n), n_patients=n, dtype=_dtype(n))
    draws = _draws_in_blocks(n, n, n_resamples, np.random.default_rng(seed))
    replicates = np.concatenate([pairs.auroc(counts) for counts in draws])
    low, high = percentile_interval(replicates[~np.isnan(replicates)])
    return Interval(estimate=estimate, ci_low=low, ci_high=high)


def draw_counts(
    n_patients: int, n_resamples: int, rng: np.random.Generator, dtype: type[np.floating] = np.float64
) -> FloatArray:
    """How often each patient is drawn: ``n_resamples`` multinomial draws of ``n_patients`` out of ``n_patients``.

    Returns
    -------
    array of ``dtype``, shape (n_patients, n_resamples)
        Whole numbers; every column adds up to ``n_patients``. The stream of ``rng`` is used resample by resample, so
        that drawing in portions gives the same counts as drawing at once.
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
    """2.5th and 97.5th percentile of the replicates; none where there are no replicates."""
    if not len(replicates):
        return None, None
    low, high = np.quantile(replicates, [0.025, 0.975])
    return float(low), float(high)


def bca_interval(replicates: FloatArray, estimate: float, jackknife: FloatArray) -> tuple[float | None, float | None]:
    """Bias-corrected and accelerated 95 % interval: percentiles moved by the bias and skewness of the estimate [1]_.

    Parameters
    ----------
    replicates : float array, shape (n_resamples,)
    estimate : float
        Of the data as they are. A replicate equal to it counts half below, as those of a discrete statistic often are.
    jackknife : float array, shape (n_patients,)
        The estimate without each patient in turn; not finite where it is not defined.

    Returns
    -------
    tuple of float or None
        None where there are no replicates, or all lie on one side of the estimate.

    References
    ----------
    .. [1] Efron, Better bootstrap confidence intervals, Journal of the American Statistical Association 82, 1987,
           10.1080/01621459.1987.10478410; equations 2.3 and 6.6.
    """
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

    ``p = min(1, 2 * min(1 + #{d <= 0}, 1 + #{d >= 0}) / (1 + n))``: twice the share of replicates on the far side of
    zero, which inverts the percentile interval (p < 0.05 where the 95 % interval leaves zero out, up to the resolution
    of the resamples). The added ones keep p from being zero, as the observed sample is itself a possible draw [1]_;
    replicates of exactly zero count on both sides, so that an arm equal to its reference has p = 1.

    References
    ----------
    .. [1] Davison & Hinkley, Bootstrap Methods and their Application, Cambridge University Press, 1997, chapter 4.
    """
    n = len(replicates)
    if not n:
        return None
    n_far = min(int((replicates <= 0).sum()), int((replicates >= 0).sum()))
    return min(1.0, 2 * (1 + n_far) / (1 + n))


def restrict(predictions: pd.DataFrame, subset: Collection[str] | None) -> pd.DataFrame:
    """The rows of the patients of a subset; all rows if there is none. EvaluationError if nobody is left."""
    if subset is None:
        return predictions
    kept = predictions[predictions["patient_id"].isin(list(subset))]
    if kept.empty:
        raise EvaluationError(f"none of the {len(subset)} patients of the subset has a prediction")
    return kept


def _ranked(aligned: AlignedPredictions, y_score: FloatArray, dtype: type[np.floating]) -> RankedPairs:
    return RankedPairs(
        aligned.y_true,
        y_score,
        repeat=aligned.repeat,
        fold=aligned.fold,
        patient=aligned.patient,
        n_patients=aligned.n_patients,
        dtype=dtype,
    )


def _auroc_of_arms(ranked: list[RankedPairs], counts: FloatArray) -> FloatArray:
    return np.column_stack([pairs.auroc(counts) for pairs in ranked])


def _dtype(n_rows: int) -> type[np.floating]:
    """Half the memory and time where sums of counts are whole numbers that 32 bits hold exactly."""
    return np.float32 if n_rows < 2**22 else np.float64


def _draws_in_blocks(n_patients: int, n_rows: int, n_resamples: int, rng: np.random.Generator) -> Iterator[FloatArray]:
    """Counts in blocks of bounded size, whatever the numbers of patients, predictions and resamples."""
    size = max(_MIN_DRAWS, _BLOCK // n_rows)
    for start in range(0, n_resamples, size):
        yield draw_counts(n_patients, min(size, n_resamples - start), rng, _dtype(n_rows))
