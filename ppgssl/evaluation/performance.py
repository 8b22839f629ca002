"""From risks to performance: the one way for cross-validation, external validation and risks made elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from ppgssl.core.config.arms import Arm
from ppgssl.core.config.study import Decisions
from ppgssl.core.results.performance import ArmResult, Calibration, OperatingPoint
from ppgssl.evaluation.calibration_measures import BrierScores, assess_calibration, brier_scores
from ppgssl.evaluation.decision_curves import DecisionAnalysis, assess_decisions
from ppgssl.evaluation.discrimination import Discrimination, assess_discrimination
from ppgssl.evaluation.operating_points import assess_operating_points
from ppgssl.evaluation.predictions import AlignedPredictions, align_predictions

_OF_ARM = ("label", "learner", "clinical", "features", "added", "has_hand_crafted", "is_stacking", "is_control")
# From aligned predictions to the operating points of each arm.
OperatingPoints = Callable[[AlignedPredictions], Mapping[str, list[OperatingPoint]]]


@dataclass(frozen=True)
class Performance:
    """What the predictions of some arms reach, all of it on the same draws of patients."""

    aligned: AlignedPredictions = field(repr=False)
    discrimination: Discrimination = field(repr=False)
    brier: Mapping[str, BrierScores] = field(repr=False)
    calibration: Mapping[str, Calibration] = field(repr=False)
    operating_points: Mapping[str, list[OperatingPoint]] = field(repr=False)
    decisions: DecisionAnalysis = field(repr=False)

    def arm_result(self, name: str, arm: Arm, *, ranked_as: str | None = None, **more: Any) -> ArmResult:
        """The row of one arm in the results.

        ``ranked_as``: optional; name of the arm whose order of patients it has by construction, and so its
        discrimination. ``**more``: further fields of :class:`ppgssl.core.results.performance.ArmResult`, or other
        values of those here.
        """
        brier = self.brier[name]
        differences = {kind: pairs.get(name) for kind, pairs in self.discrimination.differences.items()}
        fields: dict[str, Any] = {
            "name": name,
            **{key: getattr(arm, key) for key in _OF_ARM},
            **vars(self.discrimination.arms[ranked_as or name]),
            "brier": brier.brier,
            "scaled_brier": brier.scaled,
            "calibration": self.calibration[name],
            "operating_points": self.operating_points[name],
            "decision_curve": self.decisions.curves[name],
            "difference": None,
        }
        return ArmResult(**(fields | differences | more))


def estimate_performance(
    predictions: pd.DataFrame,
    arms: Sequence[str],
    decisions: Decisions,
    *,
    training: pd.DataFrame | None = None,
    operating_points: OperatingPoints | None = None,
    ranked: Sequence[str] | None = None,
    references: Mapping[str, Mapping[str, str]] | None = None,
    n_resamples: int,
    seed: int,
) -> Performance:
    """Discrimination, calibration, Brier score, decision curves and operating points of every arm.

    Raises EvaluationError if the predictions do not fit together, or an AUROC is not defined.

    Parameters
    ----------
    predictions : columns ``arm, repeat, fold, patient_id, y_true, y_score``; the arms were tested on the same patients
    training : optional; the same columns: out-of-fold risks of training patients, of which thresholds are chosen;
        without them, only thresholds that are given have operating points
    operating_points : callable, optional
        Where thresholds come from elsewhere, such as from a frozen model; in place of ``training``.
    ranked : optional; arms whose discrimination is computed; by default all
    references : mapping of str to mapping of str to str, optional; kind of comparison -> arm -> the arm to subtract,
        see :func:`ppgssl.evaluation.discrimination.assess_discrimination`
    """
    aligned = align_predictions(predictions, arms)
    settings: dict[str, Any] = {"n_resamples": n_resamples, "seed": seed}
    if operating_points is None:
        chosen = predictions.iloc[:0] if training is None else training
        points: Mapping[str, list[OperatingPoint]] = assess_operating_points(aligned, chosen, decisions)
    else:
        points = operating_points(aligned)
    return Performance(
        aligned,
        assess_discrimination(predictions, ranked or arms, references=references, **settings),
        brier_scores(aligned, **settings),
        assess_calibration(aligned, **settings),
        points,
        assess_decisions(aligned, decisions, **settings),
    )
