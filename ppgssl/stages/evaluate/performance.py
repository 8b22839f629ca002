"""From predictions to the rows of the results table, and what is told of arms together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

import pandas as pd

from ppgssl.core.config.arms import (
    REFERENCE_ARM,
    Arm,
    parse_arm,
    untrained_counterpart,
    without_encoder,
    without_features,
)
from ppgssl.core.reasons import FindingKind
from ppgssl.core.results.base import Interval
from ppgssl.core.results.data import Finding, finding
from ppgssl.core.results.performance import AddedValue, ArmResult, Calibration, OperatingPoint, ValidationSummary
from ppgssl.core.results.robustness import Subgroup
from ppgssl.core.seeds import derive_seed
from ppgssl.evaluation.added_value import added_value
from ppgssl.evaluation.brier import BrierScores, judge_brier
from ppgssl.evaluation.calibration import judge_calibration
from ppgssl.evaluation.decision_curves import JudgedDecisions, judge_decision_curves, net_benefit_differences
from ppgssl.evaluation.discrimination import Discrimination, judge_discrimination
from ppgssl.evaluation.operating_points import judge_operating_points
from ppgssl.evaluation.predictions import AlignedPredictions, align_predictions
from ppgssl.evaluation.subgroups import subgroups
from ppgssl.stages.evaluate.folds import FoldPredictions
from ppgssl.store.splits import site_counts
from ppgssl.store.study_data import StudyData


@dataclass(frozen=True)
class Sensitivity:
    """A sensitivity analysis: who is in it, and in words."""

    patients: list[str]
    description: str


@dataclass(frozen=True)
class Judged:
    """What the predictions of all arms tell; fields are named as in :class:`ppgssl.core.results.study.Results`."""

    arms: list[ArmResult]
    validation: ValidationSummary
    added_value: list[AddedValue]
    subgroups: list[Subgroup]
    decisions: JudgedDecisions


def judge_arms(data: StudyData, found: FoldPredictions, sensitivity: Sensitivity | None) -> Judged:
    """Judge every arm on the same draws of patients.

    Raises
    ------
    EvaluationError
        If the predictions do not fit together, or an AUROC is not defined.
    """
    judging = _Judging(data, found, sensitivity)
    return Judged(
        arms=[judging.arm_result(arm) for arm in data.study.arm_list],
        validation=judging.validation(),
        added_value=judging.added_value(),
        subgroups=judging.subgroups(),
        decisions=judging.decisions,
    )


def fit_findings(data: StudyData, predictions: pd.DataFrame) -> list[Finding]:
    """What a fit had to do otherwise than planned, such as leaving out an empty column."""
    noted = predictions[predictions["note"] != ""]
    return [
        finding(
            data.labelled.cohort.name,
            FindingKind.FIT_CHANGED,
            f"{parse_arm(str(arm)).label}: {note} ({rows[['repeat', 'fold']].drop_duplicates().shape[0]} folds).",
        )
        for (arm, note), rows in noted.groupby(["arm", "note"])
    ]


def comparisons(names: list[str]) -> dict[str, dict[str, str]]:
    """Kind of comparison, named as in :class:`~ppgssl.core.results.performance.ArmResult` -> arm -> its reference."""
    arms = [parse_arm(name) for name in names]
    to_covariates = {name: REFERENCE_ARM for name in names if REFERENCE_ARM in names and name != REFERENCE_ARM}
    pairs: dict[str, dict[str, str | None]] = {
        "difference": dict(to_covariates),
        "difference_to_untrained": {arm.name: untrained_counterpart(arm) for arm in arms},
        "difference_to_clinical": {arm.name: without_features(arm) for arm in arms},
        "difference_to_hand_made": {arm.name: without_encoder(arm) for arm in arms},
    }
    return {
        kind: {arm: reference for arm, reference in of_kind.items() if reference in names and reference is not None}
        for kind, of_kind in pairs.items()
    }


class _Judging:
    def __init__(self, data: StudyData, found: FoldPredictions, sensitivity: Sensitivity | None) -> None:
        study = data.study
        self.data, self.predictions, self.sensitivity = data, found.predictions, sensitivity
        n_resamples, seed = study.validation.n_bootstrap, derive_seed(study.seed, "bootstrap")
        self.settings = {"n_resamples": n_resamples, "seed": seed}
        judge = partial(judge_discrimination, found.predictions, study.arms, n_resamples=n_resamples, seed=seed)
        self.judged: Discrimination = judge(references=comparisons(study.arms))
        self.judged_subset = judge(subset=sensitivity.patients) if sensitivity else None
        self.aligned: AlignedPredictions = align_predictions(found.predictions, study.arms)
        self.brier: dict[str, BrierScores] = judge_brier(self.aligned, **self.settings)
        self.calibration: dict[str, Calibration] = judge_calibration(self.aligned, **self.settings)
        self.points: dict[str, list[OperatingPoint]] = judge_operating_points(
            self.aligned, found.training, study.decisions
        )
        self.decisions = judge_decision_curves(self.aligned, study.decisions, **self.settings)

    def arm_result(self, arm: Arm) -> ArmResult:
        rows = self.predictions[self.predictions["arm"] == arm.name]
        judged, brier = self.judged.arms[arm.name], self.brier[arm.name]
        return ArmResult(
            name=arm.name,
            label=arm.label,
            learner=arm.learner,
            clinical=arm.clinical,
            features=arm.features,
            is_beside_hand_made=arm.is_beside_hand_made,
            is_late_fusion=arm.is_late_fusion,
            is_control=arm.is_control,
            is_transductive=arm.is_ssl and self.data.study.pretraining.exposure == "transductive",
            n_features=int(rows["n_features"].max()) if rows["n_features"].notna().all() else None,
            auroc=judged.auroc,
            auroc_bca=judged.auroc_bca,
            auroc_delong=judged.auroc_delong,
            partial_auroc=judged.partial_auroc,
            auprc=judged.auprc,
            brier=brier.brier,
            scaled_brier=brier.scaled,
            calibration=self.calibration[arm.name],
            operating_points=self.points[arm.name],
            decision_curve=self.decisions.curves[arm.name],
            **{kind: pairs.get(arm.name) for kind, pairs in self.judged.differences.items()},
            auroc_sensitivity=self._in_subset(arm),
            roc=judged.roc,
            seconds=float(rows.groupby(["repeat", "fold"])["seconds"].first().sum()),
        )

    def _in_subset(self, arm: Arm) -> Interval | None:
        return self.judged_subset.arms[arm.name].auroc if self.judged_subset else None

    def validation(self) -> ValidationSummary:
        settings, data, subset = self.data.study.validation, self.data, self.judged_subset
        n_models = {"single-split": 1, "leave-one-site-out": len(data.folds)}
        return ValidationSummary(
            scheme=settings.scheme,
            n_folds=n_models.get(settings.scheme, settings.n_folds),
            n_repeats=settings.n_repeats if settings.scheme == "repeated-kfold" else 1,
            n_patients=len(data.y),
            n_events=int(data.y.sum()),
            n_test_patients=self.judged.n_patients,
            n_bootstrap=settings.n_bootstrap,
            n_bootstrap_skipped=self.judged.n_skipped,
            sites=site_counts(data.folds),
            notes=list(data.notes),
            sensitivity=self.sensitivity.description if self.sensitivity else None,
            sensitivity_n_patients=subset.n_patients if subset else None,
            sensitivity_n_events=subset.n_events if subset else None,
        )

    def added_value(self) -> list[AddedValue]:
        """Of each SSL arm over the same without SSL features; net benefit at the study's risks or the prevalence.

        That is the arm of hand-made features where these stand beside the encoder's, else of the clinical input alone.
        """
        kinds = {False: "difference_to_clinical", True: "difference_to_hand_made"}
        found = {arm.name: self.judged.differences[kinds[arm.is_beside_hand_made]] for arm in self.data.study.arm_list}
        ssl = [arm.name for arm in self.data.study.arm_list if arm.is_ssl]
        differences = {name: found[name][name] for name in ssl if name in found[name]}
        pairs = [(arm, difference.reference) for arm, difference in differences.items()]
        risks = sorted(set(self.data.study.decisions.risks)) or [round(float(self.data.y.mean()), 2)]
        gains: Mapping[tuple[str, str], list] = (
            net_benefit_differences(self.aligned, pairs, risks, **self.settings) if pairs else {}
        )
        return [
            added_value(
                self.predictions,
                arm,
                reference,
                auroc=differences[arm],
                thresholds=risks,
                net_benefit=gains[(arm, reference)],
            )
            for arm, reference in pairs
        ]

    def subgroups(self) -> list[Subgroup]:
        """Of the arms that the question is about: covariates, SSL features, and both."""
        study = self.data.study
        wanted = [arm.name for arm in study.arm_list if not arm.is_network and not arm.is_control]
        plain = [name for name in wanted if ":" not in name and "vitals" not in name] or study.arms[:1]
        return subgroups(
            self.predictions, plain, self.data.covariates, self.data.clinical, study.subgroups, **self.settings
        )
