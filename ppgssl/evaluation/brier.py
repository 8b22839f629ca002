"""Brier score: mean squared distance of predicted risk and outcome."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ppgssl.core.records import FloatArray, IntArray
from ppgssl.core.results.base import Interval
from ppgssl.evaluation.predictions import AlignedPredictions
from ppgssl.evaluation.repeats import mean_over_repeats
from ppgssl.evaluation.replicates import Replicates, resample


@dataclass(frozen=True)
class BrierScores:
    """The Brier score of one arm, and the share of it that the arm saves against predicting the prevalence."""

    brier: Interval
    scaled: Interval


def judge_brier(aligned: AlignedPredictions, *, n_resamples: int = 2000, seed: int) -> dict[str, BrierScores]:
    """Brier score [1]_ and scaled Brier score [2]_ of every arm.

    Parameters
    ----------
    aligned : AlignedPredictions
        Scores are risks; the folds of a repeat are pooled, and repeats averaged.
    n_resamples, seed
        Draws of patients, those of every other statistic with this seed.

    Returns
    -------
    dict of arm -> BrierScores
        ``scaled`` is ``1 - Brier / (p (1 - p))`` with ``p`` the prevalence of the patients tested (in each draw, of
        those drawn): 1 is perfect, 0 no better than predicting ``p`` for everybody, below 0 worse. It is null where
        all have the same outcome.

    References
    ----------
    .. [1] Brier, Verification of forecasts expressed in terms of probability, Monthly Weather Review 78, 1950,
           10.1175/1520-0493(1950)078<0001:VOFEIT>2.0.CO;2.
    .. [2] Steyerberg et al., Assessing the performance of prediction models, Epidemiology 21, 2010,
           10.1097/EDE.0b013e3181c30fb2.
    """
    squares = (aligned.y_score - aligned.y_true) ** 2
    names = [*(f"brier {arm}" for arm in aligned.arms), *(f"scaled {arm}" for arm in aligned.arms)]

    def of_repeat(_: int, rows: IntArray, weights: FloatArray) -> FloatArray:
        n = weights.sum(axis=0)
        # A draw may miss all patients of a repeat, where not every repeat tests everybody.
        n = np.where(n > 0, n, np.nan)
        brier = squares[:, rows] @ weights / n
        prevalence = aligned.y_true[rows] @ weights / n
        of_prevalence = prevalence * (1 - prevalence)
        scaled = 1 - brier / np.where(of_prevalence > 0, of_prevalence, np.nan)
        return np.concatenate([brier, scaled])

    found: Replicates = resample(
        mean_over_repeats(aligned, of_repeat), names, aligned.n_patients, n_resamples=n_resamples, seed=seed
    )
    return {arm: BrierScores(found.interval(f"brier {arm}"), found.interval(f"scaled {arm}")) for arm in aligned.arms}
