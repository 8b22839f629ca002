"""What each arm reached, and how arms compare."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from ppgssl.core.config.arms import FeatureName, HandCraftedName
from ppgssl.core.results.base import Difference, Interval, ResultSchema


class RocCurve(ResultSchema):
    """Sensitivity over 1 - specificity; the band, of pointwise 95 % intervals, is empty where it was not computed."""

    false_positive_rate: list[float]
    true_positive_rate: list[float]
    ci_low: list[float] = Field(default_factory=list)
    ci_high: list[float] = Field(default_factory=list)


class RiskGroup(ResultSchema):
    """Patients of similar predicted risk. Groups with under 5 patients with or without the event are merged."""

    n: int
    mean_predicted: float
    observed: float
    ci_low: float
    ci_high: float


class Calibration(ResultSchema):
    """How predicted risks agree with what happened; scores of cross-validation pooled within each repeat."""

    intercept: Interval = Field(description="In the large: the logit offset that would make mean risk right; ideal 0.")
    slope: Interval = Field(description="Of the outcome on the logit of the risk; ideal 1.")
    ici: Interval = Field(description="Integrated calibration index: mean distance of curve and diagonal.")
    ici_if_perfect: float | None = Field(None, description="Mean ICI of outcomes drawn from these risks: chance alone.")
    e50: float | None = Field(None, description="Median distance of curve and diagonal.")
    e90: float | None = Field(None, description="90th percentile of the distance.")
    curve_predicted: list[float] = Field(description="Risks at which the flexible curve is given; empty if undefined.")
    curve_observed: list[float]
    curve_ci_low: list[float]
    curve_ci_high: list[float]
    groups: list[RiskGroup]
    histogram: list[int] = Field(description="Predictions in 20 equal bins over 0..1, of the first repeat.")


class OperatingPoint(ResultSchema):
    """Classification at a threshold chosen on training patients, or given by the study."""

    rule: Literal["youden", "sensitivity", "given"]
    label: str = Field(description="For example `Youden index` or `risk of 20 % or more`.")
    threshold: float = Field(description="Median over the models, where each chose its own.")
    n_positive: float = Field(description="Patients at or above it, mean over repeats.")
    sensitivity: Interval
    specificity: Interval
    ppv: Interval
    npv: Interval


class DecisionCurve(ResultSchema):
    """Net benefit over risk thresholds, in true positives per patient."""

    threshold: list[float]
    net_benefit: list[float]
    ci_low: list[float]
    ci_high: list[float]


class ArmResult(ResultSchema):
    """One row of the results table."""

    name: str
    label: str
    learner: Literal["ridge", "elastic-net", "horseshoe", "gradient-boosting", "network", "external"] = Field(
        description="external: the risks were read from a file, and how they were made is not known."
    )
    clinical: Literal["heart-rate", "vitals", "covariates"] | None = None
    features: FeatureName | None = None
    added: list[HandCraftedName] = Field([], description="Hand-crafted features in addition to `features`.")
    has_hand_crafted: bool = Field(False, description="Features of an encoder and hand-crafted ones together.")
    is_stacking: bool = False
    is_control: bool
    is_transductive: bool = Field(description="True where SSL pretraining saw test patients (never their outcomes).")
    n_features: int | None = Field(description="Columns after encoding; null for a network.")
    auroc: Interval = Field(description="With its percentile interval.")
    auroc_bca: Interval | None = Field(None, description="The same AUROC with its BCa interval.")
    auroc_delong: Interval | None = Field(None, description="The same with the logit DeLong interval.")
    partial_auroc: Interval | None = Field(
        None, description="Over sensitivities of 0.8 to 1, standardised to 0.5..1 (McClish)."
    )
    auprc: Interval | None = Field(None, description="Average precision; its chance level is the prevalence.")
    brier: Interval | None = None
    scaled_brier: Interval | None = Field(None, description="1 - Brier / Brier of the prevalence; 1 is perfect.")
    calibration: Calibration | None = None
    operating_points: list[OperatingPoint] = Field(default_factory=list)
    decision_curve: DecisionCurve | None = None
    difference: Difference | None = Field(description="Against the covariates arm; null for that arm itself.")
    difference_from_untrained: Difference | None = Field(
        None, description="Against the same arm with an untrained encoder; null for arms without SSL."
    )
    difference_from_clinical: Difference | None = Field(
        None, description="Against its clinical input alone by the same learner: what the signals add; else null."
    )
    difference_from_hand_crafted: Difference | None = Field(
        None,
        description="Against the same arm without the encoder's features: what they add to hand-crafted ones; null for "
        "arms without both.",
    )
    auroc_sensitivity: Interval | None = Field(None, description="In the patients of the sensitivity analysis alone.")
    roc: RocCurve
    seconds: float


class ValidationSummary(ResultSchema):
    scheme: Literal["repeated-kfold", "single-split", "leave-one-site-out", "external", "predictions"] = Field(
        description="external: a frozen model, made elsewhere, on patients whom it has not seen; predictions: risks "
        "that were read from a file."
    )
    n_folds: int
    n_repeats: int
    n_patients: int
    n_events: int
    n_test_patients: int = Field(description="Patients with a prediction: all of them under k-fold.")
    n_bootstrap: int
    n_bootstrap_skipped: int = Field(description="Resamples in which the AUROC is not defined.")
    sites: dict[str, int] = Field({}, description="Site -> patients, of leave-one-site-out.")
    notes: list[str] = Field([], description="What readers must know, such as test parts without an event.")
    sensitivity: str | None = Field(None, description="Who is in the sensitivity analysis, in words.")
    sensitivity_n_patients: int | None = None
    sensitivity_n_events: int | None = None


class AddedValue(ResultSchema):
    """What SSL features add to the same arm without them: a clinical input, or hand-crafted features."""

    arm: str
    reference: str
    auroc: Difference
    net_benefit: list[Difference] = Field([], description="At each of `thresholds`.")
    thresholds: list[float] = Field(default_factory=list)
    lr_chi2: float | None = Field(
        None,
        description="Likelihood-ratio statistic of adding the logit of the arm's out-of-fold risk to that of the "
        "reference, median over repeats.",
    )
    lr_df: int | None = None
    lr_p_value: float | None = None
