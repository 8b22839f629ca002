"""Decision curves: what acting on predicted risks is worth, in true positives per patient [1]_.

Who acts at a risk of ``t`` or more holds a missed event to be ``(1 - t) / t`` times as bad as a needless action. The
net benefit of a model is then ``TP / n - FP / n * t / (1 - t)``.

.. [1] Vickers & Elkin, Decision curve analysis: a novel method for evaluating prediction models, Medical Decision
       Making 26, 2006, 10.1177/0272989X06295361.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.sparse import csr_array

from ppgssl.core.config.study import Decisions
from ppgssl.core.errors import EvaluationError
from ppgssl.core.records import FloatArray, IntArray
from ppgssl.core.results.base import Difference
from ppgssl.core.results.performance import DecisionCurve
from ppgssl.core.text import suggest
from ppgssl.evaluation.predictions import AlignedPredictions, mean_over_repeats, rows_of_repeats
from ppgssl.evaluation.resampling import Replicates, resample

_STEPS = (0.001, 0.002, 0.005, 0.01)
_MOST_POINTS = 101
_TREAT_ALL = "treat all"


@dataclass(frozen=True)
class DecisionAnalysis:
    """Decision curves of all arms, and of acting on nobody's risk: always or never."""

    curves: dict[str, DecisionCurve]
    references: dict[Literal["treat all", "treat none"], DecisionCurve]


def assess_decisions(
    aligned: AlignedPredictions, decisions: Decisions, *, n_resamples: int = 2000, seed: int
) -> DecisionAnalysis:
    """Net benefit of every arm over a range of risk thresholds, with pointwise 95 % percentile intervals.

    The folds of a repeat are pooled, and repeats averaged.

    ``aligned``: scores are risks; at or above a threshold is positive. ``decisions``: ``curve`` is the range of
    thresholds; see :func:`decision_thresholds` for the default.
    """
    thresholds = decision_thresholds(float(aligned.is_event.mean()), decisions.curve)
    found = _resample_net_benefit(aligned, thresholds, n_resamples=n_resamples, seed=seed)
    zeros = [0.0] * len(thresholds)
    never = DecisionCurve(threshold=thresholds.tolist(), net_benefit=zeros, ci_low=zeros, ci_high=zeros)
    return DecisionAnalysis(
        {arm: _curve(found, arm, thresholds) for arm in aligned.arms},
        {"treat all": _curve(found, _TREAT_ALL, thresholds), "treat none": never},
    )


def net_benefit_differences(
    aligned: AlignedPredictions,
    pairs: Sequence[tuple[str, str]],
    thresholds: Sequence[float],
    *,
    n_resamples: int = 2000,
    seed: int,
) -> dict[tuple[str, str], list[Difference]]:
    """Net benefit of an arm minus that of another, at each of some thresholds, on the same draws of patients.

    Returns a dict of (arm, reference) -> list of Difference: one for each threshold, in their order. Raises
    EvaluationError if a threshold is not between 0 and 1, or an arm has no predictions.

    ``pairs``: sequence of (arm, reference); a reference may be ``treat all``. ``thresholds``: risks between 0 and 1,
    both excluded.
    """
    if any(not 0 < threshold < 1 for threshold in thresholds):
        raise EvaluationError(f"net benefit is defined at risks between 0 and 1, both excluded; not at {thresholds}")
    known = (*aligned.arms, _TREAT_ALL)
    for name in dict.fromkeys(name for pair in pairs for name in pair):
        if name not in known:
            raise EvaluationError(f"{name!r} has no net benefit{suggest(name, known)}; there are {', '.join(known)}")
    order = np.argsort(thresholds, kind="stable")
    rising = np.asarray(thresholds, dtype=float)[order]
    found = _resample_net_benefit(aligned, rising, n_resamples=n_resamples, seed=seed)
    place = np.argsort(order)
    return {
        (arm, reference): [
            found.difference(_name(point, arm), _name(point, reference)).model_copy(update={"reference": reference})
            for point in place
        ]
        for arm, reference in pairs
    }


def decision_thresholds(prevalence: float, curve: tuple[float, float] | None = None) -> FloatArray:
    """Risk thresholds of a decision curve, at round steps, 101 at most and one more where the end is not round.

    Parameters
    ----------
    prevalence : of the patients tested
    curve : (low, high), optional; by default from 1 % to twice the prevalence, rounded up to a multiple of 5 %, at
        least to 20 % and at most to 99 %: risks at which everybody, or nobody, would act show little of a model
    """
    low, high = curve or (0.01, min(0.99, max(0.2, np.ceil(40 * prevalence - 1e-9) / 20)))
    step = next((step for step in _STEPS if (high - low) / step < _MOST_POINTS), _STEPS[-1])
    points = low + step * np.arange(int((high - low) / step + 1e-9) + 1)
    points = np.round(points[points < high - step / 1000], 12)
    return np.append(points, high)


def _resample_net_benefit(
    aligned: AlignedPredictions, thresholds: FloatArray, *, n_resamples: int, seed: int
) -> Replicates:
    """Net benefit of each arm and of treating all at each of rising thresholds; see :func:`_name`."""
    odds = (thresholds / (1 - thresholds))[:, None]
    sums = [[_SumsAbove(scores[rows], thresholds) for scores in aligned.y_score] for rows in rows_of_repeats(aligned)]

    def of_repeat(number: int, rows: IntArray, weights: FloatArray) -> FloatArray:
        n = weights.sum(axis=0)
        proportions = weights / np.where(n > 0, n, np.nan)
        events = proportions * aligned.y_true[rows, None]
        # True minus weighed false positives; what is above counts events and others together.
        of_arms = [(1 + odds) * above(events) - odds * above(proportions) for above in sums[number]]
        return np.concatenate([*of_arms, (1 + odds) * events.sum(axis=0) - odds * proportions.sum(axis=0)])

    names = [_name(point, arm) for arm in (*aligned.arms, _TREAT_ALL) for point in range(len(thresholds))]
    return resample(
        mean_over_repeats(aligned, of_repeat), names, aligned.n_patients, n_resamples=n_resamples, seed=seed
    )


class _SumsAbove:
    """Sums over the rows whose score is at or above each of rising thresholds."""

    def __init__(self, scores: FloatArray, thresholds: FloatArray) -> None:
        n_reached = np.searchsorted(thresholds, scores, side="right")
        shape = (len(thresholds) + 1, len(scores))
        self._rows_of = csr_array((np.ones(len(scores)), (n_reached, np.arange(len(scores)))), shape=shape)

    def __call__(self, values: FloatArray) -> FloatArray:
        """From (n_rows, n_draws) to (n_thresholds, n_draws)."""
        per_bin = self._rows_of @ values
        return np.asarray(np.cumsum(per_bin[:0:-1], axis=0)[::-1])


def _name(point: int, arm: str) -> str:
    return f"{arm} at {point}"


def _curve(found: Replicates, arm: str, thresholds: FloatArray) -> DecisionCurve:
    intervals = [found.interval(_name(point, arm)) for point in range(len(thresholds))]
    return DecisionCurve(
        threshold=thresholds.tolist(),
        net_benefit=[interval.estimate for interval in intervals],
        ci_low=[interval.ci_low for interval in intervals],
        ci_high=[interval.ci_high for interval in intervals],
    )
