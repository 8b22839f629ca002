"""A plausible evaluation of one arm, built through the real model: curves that belong to the AUROC."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from scipy.optimize import brentq
from scipy.special import expit, logit
from scipy.stats import norm

from ppgssl.core.config.arms import REFERENCE_ARM, parse_arm, untrained_counterpart, without_encoder, without_features
from ppgssl.core.results.base import Difference, Interval
from ppgssl.core.results.performance import (
    AddedValue,
    ArmResult,
    Calibration,
    DecisionCurve,
    OperatingPoint,
    RiskGroup,
    RocCurve,
)

_CLINICAL = {None: 0.0, "heart-rate": 0.602, "vitals": 0.703, "covariates": 0.781}
_FEATURES = {
    None: 0.0,
    "untrained": 0.661,
    "ssl-labelled": 0.702,
    "ssl-all": 0.724,
    "minirocket": 0.69,
    "pulse-wave": 0.667,
    "rhythm": 0.655,
    "ecg-wave": 0.648,
}
_KNOWN = {
    "covariates+untrained": 0.779,
    "covariates+ssl-labelled": 0.788,
    "covariates+ssl-all": 0.803,
    "network-random": 0.587,
    "network-ssl-labelled": 0.634,
    "network-ssl-all": 0.671,
}
THRESHOLDS = (0.1, 0.2)


def default_auroc(name: str) -> float:
    """A plausible AUROC of any arm."""
    if name in _KNOWN:
        return _KNOWN[name]
    arm = parse_arm(name)
    gain = 0.011 if arm.clinical and arm.features else 0.0
    learner = {"ridge": 0.0, "elastic-net": -0.003, "horseshoe": 0.004, "gradient-boosting": -0.016}[arm.learner]
    fusion = 0.006 * arm.has_hand_crafted - 0.002 * arm.is_stacking
    return max(_CLINICAL[arm.clinical], _FEATURES[arm.features]) + gain + learner + fusion


def interval(estimate: float | None, half_width: float | None, low: float = -np.inf, high: float = 1.0) -> Interval:
    """Estimate with limits kept within ``low`` and ``high``; undefined without a width."""
    if half_width is None or estimate is None:
        return Interval(estimate=None, ci_low=None, ci_high=None)
    return Interval(estimate=estimate, ci_low=max(estimate - half_width, low), ci_high=min(estimate + half_width, high))


def difference(value: float, half_width: float | None, reference: str) -> Difference:
    """A paired difference whose p-value is below 0.05 about where its interval leaves zero out."""
    if half_width is None:
        return Difference(estimate=None, ci_low=None, ci_high=None, p_value=None, reference=reference)
    p_value = float(2 * norm.sf(1.96 * abs(value) / half_width))
    return Difference(**interval(value, half_width).model_dump(), p_value=p_value, reference=reference)


def adjust(differences: Iterable[Difference | None]) -> None:
    """Holm-adjusted p-values, put into the differences in place."""
    known = [one for one in differences if one is not None and one.p_value is not None]
    highest = 0.0
    for rank, one in enumerate(sorted(known, key=lambda one: one.p_value or 0.0)):
        highest = max(highest, min(1.0, (len(known) - rank) * (one.p_value or 0.0)))
        one.p_adjusted = highest


# --- curves ----------------------------------------------------------------------------------------------------


def risks(area: float, prevalence: float, n: int, seed: int = 0) -> np.ndarray:
    """Sorted risks of ``n`` patients that are calibrated and have about this AUROC."""
    rng = np.random.default_rng(seed)
    spread = np.sqrt(2) * abs(norm.ppf(min(max(area, 0.02), 0.98))) + 0.05
    score = spread * np.sort(rng.standard_normal(n))
    shift = brentq(lambda shift: expit(score + shift).mean() - prevalence, -30, 30)
    return expit(score + shift)


def roc(area: float, half_width: float | None = None) -> RocCurve:
    rate = np.linspace(0, 1, 101)
    height = rate ** ((1 - area) / area)
    band: dict[str, list[float]] = {}
    if half_width is not None:
        spread = 2.2 * half_width * np.sqrt(height * (1 - height)) + 0.01
        low, high = np.clip(height - spread, 0, 1), np.clip(height + spread, 0, 1)
        band = {"ci_low": np.maximum.accumulate(low).tolist(), "ci_high": np.maximum.accumulate(high).tolist()}
    return RocCurve(false_positive_rate=rate.tolist(), true_positive_rate=height.tolist(), **band)


def calibration(risk: np.ndarray, half_width: float | None, slope: float = 0.9) -> Calibration:
    """A model of slope ``slope``; its groups have at least five patients with and without the event."""
    grid = np.linspace(*np.quantile(risk, [0.02, 0.98]), 40)
    observed = expit(logit(risk.mean()) + slope * (logit(grid) - logit(risk.mean())))
    spread = 0.0 if half_width is None else half_width * (0.4 + 2.0 * (grid - risk.mean()) ** 2 / np.var(risk) / 6)
    counts = np.histogram(risk, np.linspace(0, 1, 21))[0]
    is_defined = half_width is not None
    curve = (grid, observed, np.clip(observed - spread, 0, 1), np.clip(observed + spread, 0, 1))
    listed = [part.tolist() if is_defined else [] for part in curve]
    return Calibration(
        intercept=interval(-0.04, half_width and 4 * half_width),
        slope=interval(slope, half_width and 3 * half_width, high=9.0),
        ici=interval(0.031, half_width and half_width / 4, low=0.0),
        e50=0.025 if is_defined else None,
        e90=0.071 if is_defined else None,
        curve_predicted=listed[0],
        curve_observed=listed[1],
        curve_ci_low=listed[2],
        curve_ci_high=listed[3],
        groups=_groups(risk, slope) if is_defined else [],
        histogram=counts.tolist(),
    )


def _groups(risk: np.ndarray, slope: float) -> list[RiskGroup]:
    n_groups = int(min(10, risk.sum() // 6, (1 - risk).sum() // 6))
    found = []
    for members in np.array_split(risk, max(n_groups, 1)) if n_groups else []:
        mean = float(members.mean())
        observed = float(expit(logit(risk.mean()) + slope * (logit(mean) - logit(risk.mean())))) + 0.02
        error = 1.96 * np.sqrt(observed * (1 - observed) / len(members))
        found.append(
            RiskGroup(
                n=len(members),
                mean_predicted=mean,
                observed=observed,
                ci_low=max(observed - error, 0.0),
                ci_high=min(observed + error, 1.0),
            )
        )
    return found


def operating_points(risk: np.ndarray, half_width: float | None) -> list[OperatingPoint]:
    youden, sensitive = float(np.quantile(risk, 0.7)), float(np.quantile(risk, 0.3))
    rules = (
        ("youden", "Youden index", youden),
        ("sensitivity", "sensitivity of 90 % in training", sensitive),
        ("given", "risk of 20 % or more", 0.2),
    )
    return [_operating_point(risk, rule, label, threshold, half_width) for rule, label, threshold in rules]


def _operating_point(
    risk: np.ndarray, rule: str, label: str, threshold: float, half_width: float | None
) -> OperatingPoint:
    above = risk >= threshold
    true_positive, positive = risk[above].sum(), above.sum()
    proportions = {
        "sensitivity": true_positive / risk.sum(),
        "specificity": (1 - risk[~above]).sum() / (1 - risk).sum(),
        "ppv": true_positive / positive if positive else None,
        "npv": (1 - risk[~above]).mean() if positive < len(risk) else None,
    }
    values = {name: interval(value, half_width, low=0.0) for name, value in proportions.items()}
    return OperatingPoint(rule=rule, label=label, threshold=threshold, n_positive=float(positive), **values)  # type: ignore[arg-type]


def _thresholds(prevalence: float) -> np.ndarray:
    return np.linspace(0.01, max(2 * prevalence, 0.1), 50)


def decision_curve(risk: np.ndarray, half_width: float | None) -> DecisionCurve:
    threshold = _thresholds(float(risk.mean()))
    odds = threshold / (1 - threshold)
    above = risk[None] >= threshold[:, None]
    benefit = np.where(above, risk[None] - (1 - risk[None]) * odds[:, None], 0).mean(axis=1)
    spread = 0.4 * (half_width or 0.0) * np.ones_like(benefit)
    return DecisionCurve(
        threshold=threshold.tolist(),
        net_benefit=benefit.tolist(),
        ci_low=(benefit - spread).tolist() if half_width else [],
        ci_high=(benefit + spread).tolist() if half_width else [],
    )


def decision_references(prevalence: float) -> dict[str, DecisionCurve]:
    threshold = _thresholds(prevalence)
    everybody = prevalence - (1 - prevalence) * threshold / (1 - threshold)
    return {
        "treat all": DecisionCurve(threshold=threshold.tolist(), net_benefit=everybody.tolist(), ci_low=[], ci_high=[]),
        "treat none": DecisionCurve(
            threshold=threshold.tolist(), net_benefit=[0.0] * len(threshold), ci_low=[], ci_high=[]
        ),
    }


# --- arms ------------------------------------------------------------------------------------------------------


def make_arms(
    names: list[str],
    auroc: dict[str, float],
    *,
    n_patients: int,
    n_events: int,
    half_width: float | None,
    is_transductive: bool,
    with_sensitivity: bool,
    without: tuple[str, ...],
    slope: float,
    is_adjusted: bool,
) -> list[ArmResult]:
    """One result for each name, with Holm-adjusted p-values for each kind of reference."""
    areas = {name: auroc.get(name, default_auroc(name)) for name in names}
    arms = [_arm(name, areas, half_width, is_transductive, with_sensitivity) for name in names]
    for arm in arms:
        risk = risks(areas[arm.name], n_events / n_patients, n_patients)
        _assess(arm, risk, half_width, without, slope)
    if is_adjusted:
        for reference in ("", "_from_untrained", "_from_clinical", "_from_hand_crafted"):
            adjust(getattr(arm, f"difference{reference}") for arm in arms)
    return arms


def _arm(
    name: str, areas: dict[str, float], width: float | None, is_transductive: bool, with_sensitivity: bool
) -> ArmResult:
    arm, area = parse_arm(name), areas[name]
    narrow = None if width is None else width / 2

    def against(reference: str | None) -> Difference | None:
        return difference(area - areas[reference], narrow, reference) if reference in areas else None

    return ArmResult(
        name=name,
        label=arm.label,
        learner=arm.learner,
        clinical=arm.clinical,
        features=arm.features,
        added=list(arm.added),
        has_hand_crafted=arm.has_hand_crafted,
        is_stacking=arm.is_stacking,
        is_control=arm.is_control,
        is_transductive=is_transductive and arm.is_ssl,
        n_features=None if arm.is_network else 3 * (arm.clinical is not None) + 128 * (arm.features is not None),
        auroc=interval(area, width),
        difference=against(REFERENCE_ARM) if name != REFERENCE_ARM else None,
        difference_from_untrained=against(untrained_counterpart(arm)),
        difference_from_clinical=against(without_features(arm)),
        difference_from_hand_crafted=against(without_encoder(arm)),
        auroc_sensitivity=interval(area - 0.01, width) if with_sensitivity else None,
        roc=roc(area),
        seconds=12.3,
    )


def _assess(arm: ArmResult, risk: np.ndarray, width: float | None, without: tuple[str, ...], slope: float) -> None:
    """Everything beside the AUROC, put into the arm in place."""
    area, prevalence = arm.auroc.estimate, float(risk.mean())
    brier = float((risk * (1 - risk)).mean())
    if "metrics" not in without:
        arm.auroc_bca = interval(area, width and 1.03 * width)
        arm.auroc_delong = interval(area, width and 0.98 * width)
        arm.partial_auroc = interval(area and 0.5 + 0.8 * (area - 0.5), width)
        arm.auprc = interval(prevalence + (1 - prevalence) * 0.5 * ((area or 0.5) - 0.5) * 2, width)
        arm.brier = interval(brier, width and width / 4, low=0.0)
        arm.scaled_brier = interval(1 - brier / (prevalence * (1 - prevalence)), width)
    if "bands" not in without and area is not None:
        arm.roc = roc(area, width)
    if "calibration" not in without:
        arm.calibration = calibration(risk, width, slope)
    if "decisions" not in without:
        arm.operating_points = operating_points(risk, width)
        arm.decision_curve = decision_curve(risk, width)


def added_value(arms: list[ArmResult], half_width: float | None) -> list[AddedValue]:
    """What each arm with SSL adds to its clinical input, or to its hand-crafted features."""
    found = []
    for arm in arms:
        without = arm.difference_from_hand_crafted if arm.has_hand_crafted else arm.difference_from_clinical
        if without is None or arm.features not in ("ssl-labelled", "ssl-all"):
            continue
        value = without.estimate
        narrow = half_width and half_width / 8
        found.append(
            AddedValue(
                arm=arm.name,
                reference=without.reference,
                auroc=without,
                thresholds=list(THRESHOLDS),
                net_benefit=[difference((value or 0.0) / 5, narrow, without.reference) for _ in THRESHOLDS],
                lr_chi2=None if value is None else 400 * abs(value),
                lr_df=1,
                lr_p_value=None if value is None else 0.011,
            )
        )
    return found
