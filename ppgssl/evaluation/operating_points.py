"""Sensitivity, specificity and predictive values at thresholds that were fixed before the test patients were seen."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np
import pandas as pd

from ppgssl.core.config.study import Decisions
from ppgssl.core.errors import EvaluationError
from ppgssl.core.records import BoolArray, FloatArray, IntArray
from ppgssl.core.results.base import Interval
from ppgssl.core.results.performance import OperatingPoint
from ppgssl.evaluation.inference import wilson_interval
from ppgssl.evaluation.predictions import PREDICTION_COLUMNS, AlignedPredictions, rows_of_repeats

Rule = Literal["youden", "sensitivity", "given"]
# From outcomes and scores of training patients to a threshold.
Choice = Callable[[BoolArray, FloatArray], float]


def assess_operating_points(
    aligned: AlignedPredictions, training: pd.DataFrame, decisions: Decisions
) -> dict[str, list[OperatingPoint]]:
    """Classification of the test patients of every arm, at the thresholds of a study.

    A risk at or above the threshold is positive. Each model has thresholds of its own, chosen from out-of-sample scores
    of its training patients: that of the highest Youden index, and the highest that reaches the study's sensitivity;
    the study's own risks hold for all models. The folds of a repeat are pooled, and repeats averaged. Returns a dict of
    arm -> list of OperatingPoint: youden, sensitivity, then the given risks by size. A rule is left out where some
    model's training scores hold one class alone. A proportion is null where in some repeat it is one of no patients, as
    the positive predictive value is where nobody is positive. Raises EvaluationError if ``training`` is not a table of
    scores, or holds some models of an arm and not others.

    Parameters
    ----------
    training : the columns of predictions; ``repeat`` and ``fold`` name the model, ``patient_id`` one of its training
        patients. An arm without rows has no chosen thresholds.

    Notes
    -----
    Intervals are Wilson's, with the mean number of patients over repeats as count. They hold the thresholds fixed, as
    does every resampling of test patients; but they do not collapse where a proportion is 0 or 1, and cover better
    where it is near (see ``docs/metrics.md``). Repeats add no patients: what averaging over them gains is not counted.
    """
    absent = [name for name in PREDICTION_COLUMNS if name not in training.columns]
    if absent:
        raise EvaluationError(f"the scores of training patients lack the column(s) {', '.join(absent)}")
    if not training["y_true"].isin([0, 1]).all() or not training["y_score"].between(0, 1).all():
        raise EvaluationError("scores of training patients need `y_true` of 0 or 1 and `y_score` between 0 and 1")
    choices: list[tuple[Rule, str, Choice]] = [
        ("youden", "Youden index", youden_threshold),
        (
            "sensitivity",
            f"sensitivity of {100 * decisions.sensitivity:g} % in training",
            lambda y, score: sensitivity_threshold(y, score, decisions.sensitivity),
        ),
    ]
    points: dict[str, list[OperatingPoint]] = {}
    for arm, scores in zip(aligned.arms, aligned.y_score, strict=True):
        of_arm = training[training["arm"] == arm]
        points[arm] = []
        for rule, label, choice in choices:
            thresholds = _choose_thresholds(aligned, of_arm, arm, choice)
            if thresholds is not None:
                points[arm].append(_operating_point(aligned, scores, thresholds, rule, label))
        for risk in sorted(set(decisions.risks)):
            thresholds = np.full(len(scores), risk)
            points[arm].append(
                _operating_point(aligned, scores, thresholds, "given", f"risk of {100 * risk:g} % or more")
            )
    return points


def youden_threshold(y_true: BoolArray, y_score: FloatArray) -> float:
    """Threshold of the largest sensitivity + specificity - 1 [1]_; of several, the one of the highest sensitivity.

    It lies halfway between the lowest risk that is positive and the next below, or at 0 where none is below. There must
    be patients of both classes.

    .. [1] Youden, Index for rating diagnostic tests, Cancer 3, 1950,
           10.1002/1097-0142(1950)3:1<32::AID-CNCR2820030106>3.0.CO;2-3.
    """
    thresholds, hits, false_alarms = _cuts(y_true, y_score)
    # Counts instead of proportions: equal indices must be equal numbers.
    index = hits * (~y_true).sum() - false_alarms * y_true.sum()
    return float(thresholds[np.flatnonzero(index == index.max())[-1]])


def sensitivity_threshold(y_true: BoolArray, y_score: FloatArray, sensitivity: float) -> float:
    """Highest threshold that reaches a sensitivity (0..1) in these patients, placed as :func:`youden_threshold`'s."""
    thresholds, hits, _ = _cuts(y_true, y_score)
    return float(thresholds[np.argmax(hits >= sensitivity * y_true.sum() - 1e-9)])


def _cuts(y_true: BoolArray, y_score: FloatArray) -> tuple[FloatArray, IntArray, IntArray]:
    """Falling thresholds between the scores, with the events and the others at or above each."""
    order = np.argsort(-y_score, kind="stable")
    y, score = y_true[order], y_score[order]
    last = np.flatnonzero(np.append(score[1:] != score[:-1], True))
    below = np.append(score[last[:-1] + 1], -score[-1])
    return (score[last] + below) / 2, np.cumsum(y.astype(int))[last], np.cumsum((~y).astype(int))[last]


def _choose_thresholds(
    aligned: AlignedPredictions, training: pd.DataFrame, arm: str, choice: Choice
) -> FloatArray | None:
    """The threshold of each row's model, shape (n_rows,); none where it cannot be chosen."""
    if training.empty:
        return None
    chosen = np.full(len(aligned.patient), np.nan)
    models = {key: rows for key, rows in training.groupby(["repeat", "fold"])}
    for repeat, fold in sorted(set(zip(aligned.repeat.tolist(), aligned.fold.tolist(), strict=True))):
        if (repeat, fold) not in models:
            raise EvaluationError(
                f"arm {arm!r} has no scores of training patients in repeat {repeat}, fold {fold}, and has them "
                "elsewhere: evaluate it again"
            )
        y = models[repeat, fold]["y_true"].to_numpy() == 1
        if y.all() or not y.any():
            return None
        threshold = choice(y, models[repeat, fold]["y_score"].to_numpy(dtype=float))
        chosen[(aligned.repeat == repeat) & (aligned.fold == fold)] = threshold
    return chosen


def _operating_point(
    aligned: AlignedPredictions, scores: FloatArray, thresholds: FloatArray, rule: Rule, label: str
) -> OperatingPoint:
    is_positive = scores >= thresholds
    y, repeats = aligned.y_true, rows_of_repeats(aligned)

    def proportion(counted: BoolArray, among: BoolArray) -> Interval:
        n = np.array([among[rows].sum() for rows in repeats])
        if not n.all():
            return Interval(estimate=None, ci_low=None, ci_high=None)
        estimate = float(np.mean([(counted & among)[rows].sum() for rows in repeats] / n))
        low, high = wilson_interval(estimate * n.mean(), n.mean())
        return Interval(estimate=estimate, ci_low=low, ci_high=high)

    models = pd.DataFrame({"repeat": aligned.repeat, "fold": aligned.fold, "threshold": thresholds}).drop_duplicates()
    return OperatingPoint(
        rule=rule,
        label=label,
        threshold=float(models["threshold"].median()),
        n_positive=float(np.mean([is_positive[rows].sum() for rows in repeats])),
        sensitivity=proportion(is_positive, y),
        specificity=proportion(~is_positive, ~y),
        ppv=proportion(y, is_positive),
        npv=proportion(~y, ~is_positive),
    )
