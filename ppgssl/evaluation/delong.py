"""Variance of AUROCs and of their differences without resampling, the patient being the unit.

DeLong's variance [1]_ of a single split is the sum of the squared influences of the patients on the AUROC, each
outcome's sum corrected by ``n / (n - 1)``; placements come from sorting [2]_, not from comparing all pairs. Under
cross-validation the influence of a patient is that on the AUROC of :mod:`ppgssl.evaluation.ranked_pairs`, in which
pairs are compared within a model; what the patient contributes in several repeats is added up before it is squared, so
that repeats are not mistaken for more patients. This is the influence-curve variance of the cross-validated AUROC [3]_,
but for two choices: influences are centred at the AUROC of the repeat and not of the fold, as the folds' AUROCs of a
handful of events each are far noisier than they differ, and DeLong's correction is kept, so that a single split gives
DeLong's numbers. Models are taken as they are: the variance is that over patients tested.

.. [1] DeLong, DeLong & Clarke-Pearson, Comparing the areas under two or more correlated receiver operating
       characteristic curves: a nonparametric approach, Biometrics 44, 1988, 10.2307/2531595.
.. [2] Sun & Xu, Fast implementation of DeLong's algorithm for comparing the areas under correlated receiver operating
       characteristic curves, IEEE Signal Processing Letters 21, 2014, 10.1109/LSP.2014.2337313.
.. [3] LeDell, Petersen & van der Laan, Computationally efficient confidence intervals for cross-validated area under
       the ROC curve estimates, Electronic Journal of Statistics 9, 2015, 10.1214/15-EJS1035.
.. [4] Pepe, The Statistical Evaluation of Medical Tests for Classification and Prediction, Oxford University Press,
       2003, section 5.2.5.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from scipy.special import expit, logit
from scipy.stats import norm

from ppgssl.core.records import BoolArray, FloatArray, IntArray
from ppgssl.core.results.base import Difference, Interval
from ppgssl.evaluation.inference import Z95
from ppgssl.evaluation.predictions import AlignedPredictions, models_of
from ppgssl.evaluation.rank_measures import count_below
from ppgssl.evaluation.resampling import finite, position


@dataclass(frozen=True)
class Placements:
    """What every patient contributes to the AUROC of :mod:`ppgssl.evaluation.ranked_pairs`, of several arms.

    Attributes
    ----------
    won : float array, shape (n_arms, n_rows)
        Pairs of the row with a patient of the other outcome, same model, that are ranked rightly; a tie is one half.
    pairs : int array, shape (n_rows,); how many such pairs there are
    repeat, patient : int array, shape (n_rows,); numbered from 0
    is_event : bool array, shape (n_patients,)
    """

    arms: tuple[str, ...]
    won: FloatArray
    pairs: IntArray
    repeat: IntArray
    patient: IntArray
    is_event: BoolArray

    @property
    def n_pairs(self) -> FloatArray:
        """Shape (n_repeats,)."""
        return np.bincount(self.repeat, self.pairs) / 2  # each pair is met from both its sides

    @property
    def auroc_of_repeats(self) -> FloatArray:
        """Shape (n_arms, n_repeats); NaN in a repeat without a pair."""
        won = np.stack([np.bincount(self.repeat, of_arm) / 2 for of_arm in self.won])
        return np.divide(won, self.n_pairs, out=np.full_like(won, np.nan), where=self.n_pairs > 0)

    @property
    def auroc(self) -> FloatArray:
        """Shape (n_arms,)."""
        return np.asarray(self.auroc_of_repeats.mean(axis=1))

    def influence(self) -> FloatArray:
        """Derivative of the AUROC by the weight of each patient, shape (n_arms, n_patients): infinitesimal jackknife.

        Of one repeat, ``(won - AUROC * pairs) / n_pairs`` of the patient's row, averaged over repeats. The sum over
        patients is 0. Of a single split it is DeLong's placement value minus the AUROC, over the number of patients
        with the same outcome.
        """
        of_rows = (self.won - self.auroc_of_repeats[:, self.repeat] * self.pairs) / self.n_pairs[self.repeat]
        return self._sum_patients(of_rows) / len(self.n_pairs)

    def jackknife(self) -> FloatArray:
        """AUROC without each patient in turn, shape (n_arms, n_patients); NaN where nothing is left to compare."""
        won = np.stack([np.bincount(self.repeat, of_arm) / 2 for of_arm in self.won])
        left = (self.n_pairs[self.repeat] - self.pairs).astype(np.float64)
        without = np.divide(won[:, self.repeat] - self.won, left, out=np.full(self.won.shape, np.nan), where=left > 0)
        # A repeat that does not test the patient keeps its AUROC.
        changes = self._sum_patients(without - self.auroc_of_repeats[:, self.repeat]) / len(self.n_pairs)
        return self.auroc[:, None] + changes

    def _sum_patients(self, of_rows: FloatArray) -> FloatArray:
        return np.stack([np.bincount(self.patient, of_arm, len(self.is_event)) for of_arm in of_rows])


def place(aligned: AlignedPredictions) -> Placements:
    """Placements of all arms, of patients who are tested at most once in each repeat."""
    repeat = np.unique(aligned.repeat, return_inverse=True)[1]
    model = models_of(aligned.repeat, aligned.fold)
    won = np.empty(aligned.y_score.shape)
    for row, y_score in enumerate(aligned.y_score):
        below = count_below(aligned.y_true, y_score, model)
        won[row] = np.where(aligned.y_true, below.others, below.n_events - below.events)
    pairs = np.where(aligned.y_true, below.n_others, below.n_events)
    return Placements(aligned.arms, won, pairs, repeat, aligned.patient, aligned.is_event)


@dataclass(frozen=True)
class DeLong:
    """AUROCs of several arms with their covariance.

    Attributes
    ----------
    estimates : float array, shape (n_arms,); NaN where the AUROC is not defined
    covariance : float array, shape (n_arms, n_arms)
        NaN where fewer than two patients have the event, or fewer than two do not.
    """

    arms: tuple[str, ...]
    estimates: FloatArray = field(repr=False)
    covariance: FloatArray = field(repr=False)

    def interval(self, arm: str) -> Interval:
        """AUROC with a 95 % interval that is symmetric on the logit scale and so stays within 0 and 1 [4]_.

        An AUROC of 0 or 1 has no variance by this method and hence no interval.
        """
        row = position(arm, self.arms)
        estimate, variance = float(self.estimates[row]), float(self.covariance[row, row])
        if not 0 < estimate < 1 or not np.isfinite(variance):
            return Interval(estimate=finite(estimate), ci_low=None, ci_high=None)
        half_width = Z95 * np.sqrt(variance) / (estimate * (1 - estimate))
        low, high = expit(logit(estimate) + np.array([-half_width, half_width]))
        return Interval(estimate=estimate, ci_low=float(low), ci_high=float(high))

    def difference(self, arm: str, reference: str) -> Difference:
        """AUROC of ``arm`` minus that of ``reference``, with DeLong's paired test.

        Two arms that rank all pairs alike have p = 1. The p-value is null where the variance is not known.
        """
        i, j = position(arm, self.arms), position(reference, self.arms)
        estimate = float(self.estimates[i] - self.estimates[j])
        # Rounding may leave a tiny negative number where there is no variance.
        variance = max(float(self.covariance[i, i] + self.covariance[j, j] - 2 * self.covariance[i, j]), 0.0)
        if np.isnan(self.covariance[i, j]):
            return Difference(estimate=finite(estimate), ci_low=None, ci_high=None, p_value=None, reference=reference)
        p_value = float(2 * norm.sf(abs(estimate) / np.sqrt(variance))) if variance > 0 else None
        p_value = 1.0 if abs(estimate) < 1e-12 and variance < 1e-12 else p_value
        half_width = Z95 * np.sqrt(variance)
        return Difference(
            estimate=estimate,
            ci_low=estimate - half_width,
            ci_high=estimate + half_width,
            p_value=p_value,
            reference=reference,
        )


def delong(placements: Placements) -> DeLong:
    """AUROCs and their covariance over patients; see the module's head."""
    influence = placements.influence()
    covariance = np.zeros((len(placements.arms),) * 2)
    for is_class in (placements.is_event, ~placements.is_event):
        n = int(is_class.sum())
        of_class = influence[:, is_class]
        deviation = of_class - of_class.mean(axis=1, keepdims=True) if n else of_class
        covariance += deviation @ deviation.T * (n / (n - 1)) if n > 1 else np.nan
    return DeLong(placements.arms, placements.auroc, covariance)
