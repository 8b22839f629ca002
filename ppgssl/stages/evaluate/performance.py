"""From the predictions of a study to the rows of its results table, and to comparisons of arms."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

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
from ppgssl.core.results.data import Finding, finding
from ppgssl.core.results.performance import AddedValue, ArmResult, DecisionCurve, ValidationSummary
from ppgssl.core.results.robustness import Subgroup
from ppgssl.core.seeds import derive_seed
from ppgssl.evaluation.added_value import added_value
from ppgssl.evaluation.decision_curves import net_benefit_differences
from ppgssl.evaluation.discrimination import Discrimination, assess_discrimination
from ppgssl.evaluation.performance import Performance, estimate_performance
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
class StudyPerformance:
    """Fields are those of :class:`ppgssl.core.results.study.Results`."""

    arms: list[ArmResult]
    validation: ValidationSummary
    added_value: list[AddedValue]
    subgroups: list[Subgroup]
    decision_references: dict[Literal["treat all", "treat none"], DecisionCurve]


def study_performance(data: StudyData, folds: FoldPredictions, sensitivity: Sensitivity | None) -> StudyPerformance:
    """Performance of every arm of a study, on the same draws of patients.

    Raises EvaluationError if the predictions do not fit together, or an AUROC is not defined.
    """
    study, predictions = data.study, folds.predictions
    settings: dict[str, Any] = {
        "n_resamples": study.validation.n_bootstrap,
        "seed": derive_seed(study.seed, "bootstrap"),
    }
    reached = estimate_performance(
        predictions,
        study.arms,
        study.decisions,
        training=folds.training,
        references=comparisons(study.arms),
        **settings,
    )
    subset = (
        assess_discrimination(predictions, study.arms, subset=sensitivity.patients, **settings) if sensitivity else None
    )
    return StudyPerformance(
        arms=[_arm_result(arm, data, predictions, reached, subset) for arm in study.arm_list],
        validation=_validation(data, reached.discrimination, sensitivity, subset),
        added_value=_added_value(data, predictions, reached, settings),
        subgroups=_subgroups(data, predictions, settings),
        decision_references=reached.decisions.references,
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
    kinds: dict[str, Callable[[Arm], str | None]] = {
        "difference": lambda arm: REFERENCE_ARM if arm.name != REFERENCE_ARM else None,
        "difference_from_untrained": untrained_counterpart,
        "difference_from_clinical": without_features,
        "difference_from_hand_crafted": without_encoder,
    }
    return {
        kind: {name: reference for name in names if (reference := reference_of(parse_arm(name))) and reference in names}
        for kind, reference_of in kinds.items()
    }


def _arm_result(
    arm: Arm, data: StudyData, predictions: pd.DataFrame, reached: Performance, subset: Discrimination | None
) -> ArmResult:
    rows = predictions[predictions["arm"] == arm.name]
    return reached.arm_result(
        arm.name,
        arm,
        is_transductive=arm.is_ssl and data.study.pretraining.exposure == "transductive",
        n_features=int(rows["n_features"].max()) if rows["n_features"].notna().all() else None,
        auroc_sensitivity=subset.arms[arm.name].auroc if subset else None,
        seconds=float(rows.groupby(["repeat", "fold"])["seconds"].first().sum()),
    )


def _validation(
    data: StudyData, reached: Discrimination, sensitivity: Sensitivity | None, subset: Discrimination | None
) -> ValidationSummary:
    settings = data.study.validation
    n_models = {"single-split": 1, "leave-one-site-out": len(data.folds)}
    return ValidationSummary(
        scheme=settings.scheme,
        n_folds=n_models.get(settings.scheme, settings.n_folds),
        n_repeats=settings.n_repeats if settings.scheme == "repeated-kfold" else 1,
        n_patients=len(data.y),
        n_events=int(data.y.sum()),
        n_test_patients=reached.n_patients,
        n_bootstrap=settings.n_bootstrap,
        n_bootstrap_skipped=reached.n_skipped,
        sites=site_counts(data.folds),
        notes=list(data.notes),
        sensitivity=sensitivity.description if sensitivity else None,
        sensitivity_n_patients=subset.n_patients if subset else None,
        sensitivity_n_events=subset.n_events if subset else None,
    )


def _added_value(
    data: StudyData, predictions: pd.DataFrame, reached: Performance, settings: Mapping[str, Any]
) -> list[AddedValue]:
    """Of each SSL arm over the same without SSL features; net benefit at the study's risks or the prevalence.

    That is the arm of hand-crafted features where there are some next to the encoder's, else of the clinical input.
    """
    kinds = {False: "difference_from_clinical", True: "difference_from_hand_crafted"}
    differences = {
        arm.name: of_kind[arm.name]
        for arm in data.study.arm_list
        for of_kind in [reached.discrimination.differences[kinds[arm.has_hand_crafted]]]
        if arm.is_ssl and arm.name in of_kind
    }
    pairs = [(arm, difference.reference) for arm, difference in differences.items()]
    risks = sorted(set(data.study.decisions.risks)) or [round(float(data.y.mean()), 2)]
    gains = net_benefit_differences(reached.aligned, pairs, risks, **settings) if pairs else {}
    return [
        added_value(
            predictions, arm, reference, auroc=differences[arm], thresholds=risks, net_benefit=gains[(arm, reference)]
        )
        for arm, reference in pairs
    ]


def _subgroups(data: StudyData, predictions: pd.DataFrame, settings: Mapping[str, Any]) -> list[Subgroup]:
    """Of the arms that the question is about: covariates, SSL features, and both."""
    study = data.study
    wanted = [arm.name for arm in study.arm_list if not arm.is_network and not arm.is_control]
    plain = [name for name in wanted if ":" not in name and "vitals" not in name] or study.arms[:1]
    return subgroups(predictions, plain, data.covariates, data.clinical, study.subgroups, **settings)
