"""What an evaluation might say beside the arms: sample size, subgroups, learning curves, stability, maps, leakage."""

from __future__ import annotations

import numpy as np

from ppgssl.core.results.data import LeakageCheck, MissingData, MissingVariable
from ppgssl.core.results.performance import ArmResult
from ppgssl.core.results.robustness import (
    CovariateModel,
    EmbeddingMap,
    LearningCurve,
    LearningPoint,
    OddsRatio,
    Optimism,
    SampleSize,
    SampleSizeCriterion,
    Stability,
    Subgroup,
    SubgroupLevel,
)
from tests.support.fake_performance import interval, risks

_MOST_REGRESSIONS = 6


def missing_data(n: int, suffix: str, method: str) -> MissingData:
    variables = [("age", "Age", 0, 0), ("sex", "Sex", 0, 0), ("bmi", "Body mass index", 4, 1)]
    return MissingData(
        method=method,  # type: ignore[arg-type]
        n_imputations=10 if method == "mice" else 1,
        n_complete=n - 4,
        n_patients=n,
        variables=[
            MissingVariable(name=name, label=label + suffix, n_missing=lost, n_missing_with_event=events, n=n)
            for name, label, lost, events in variables
        ],
    )


def sample_size(n: int, n_events: int) -> SampleSize:
    """For five parameters, and a Cox-Snell R2 of 0.15 at most."""
    criteria = [
        ("Expected shrinkage of at least 0.9", 278),
        ("Apparent and adjusted R² at most 0.05 apart", 117),
        ("Overall risk known to within 0.05", 286),
    ]
    return SampleSize(
        model="Clinical covariates",
        n_parameters=5,
        prevalence=n_events / n,
        r2_cox_snell=0.15,
        r2_source="15% of the largest R² at this prevalence",
        criteria=[SampleSizeCriterion(criterion=words, n_required=required) for words, required in criteria],
        n_required=286,
        n_events_required=71,
        n_available=n,
        n_events_available=n_events,
        is_enough=n >= 286 and n_events >= 71,
    )


def covariate_model(n: int, n_events: int, suffix: str, *, is_defined: bool) -> CovariateModel:
    terms = [
        ("age", "Age, per 10 years", 1.52, 1.2, 1.93, 0.0004),
        ("sex[Female]", "Sex: Female rather than Male", 0.93, 0.46, 1.88, 0.84),
        ("bmi", "Body mass index, per 5 kg/m2", 1.61, 1.01, 2.57, 0.046),
        ("smoking[current]", "Smoking: current rather than never", 2.9, 0.31, 27.1, 0.35),
    ]
    return CovariateModel(
        n_patients=n,
        n_events=n_events,
        odds_ratios=[
            OddsRatio(
                term=term,
                label=label + suffix,
                odds_ratio=_ratio(value, low, high, is_defined),
                p_value=p if is_defined else None,
            )
            for term, label, value, low, high, p in terms
        ],
        note="Missing values were pooled over 10 imputations.",
    )


def _ratio(value: float, low: float, high: float, is_defined: bool):
    if not is_defined:
        return interval(None, None)
    return interval(value, None).model_copy(update={"estimate": value, "ci_low": low, "ci_high": high})


def subgroups(arms: list[ArmResult], n: int, n_events: int, width: float | None, suffix: str) -> list[Subgroup]:
    """Two variables, the second with a level that is too small to be shown."""
    return [
        _subgroup("sex", "Sex" + suffix, [("Female", 0.52), ("Male", 0.48)], arms, n, n_events, width),
        _subgroup(
            "age",
            "Age, years",
            [("under 40", 0.2), ("40 to 60", 0.45), ("60 or more", 0.35), ("unknown" + suffix, 0.0)],
            arms,
            n,
            n_events,
            width,
        ),
    ]


def _subgroup(
    variable: str,
    label: str,
    shares: list[tuple[str, float]],
    arms: list[ArmResult],
    n: int,
    n_events: int,
    width: float | None,
) -> Subgroup:
    levels = []
    for position, (level, share) in enumerate(shares):
        if int(share * n_events) < 5 or int(share * (n - n_events)) < 5:
            levels.append(SubgroupLevel(level=level, n=None, n_events=None, is_suppressed=True))
            continue
        wide = width and min(width / np.sqrt(share), 0.3)
        auroc = {arm.name: interval((arm.auroc.estimate or 0.5) + 0.02 * (position - 1), wide) for arm in arms}
        levels.append(SubgroupLevel(level=level, n=int(share * n), n_events=int(share * n_events), auroc=auroc))
    p_values = {arm.name: None if width is None else 0.2 + 0.01 * i for i, arm in enumerate(arms)}
    return Subgroup(variable=variable, label=label, levels=levels, interaction_p=p_values)


def learning_curves(arms: list[ArmResult], n: int, n_events: int, width: float | None) -> list[LearningCurve]:
    curves = []
    for arm in arms:
        points = [
            LearningPoint(
                n_patients=int(0.8 * share * n),
                n_events=0.8 * share * n_events,
                auroc=interval((arm.auroc.estimate or 0.5) - 0.08 * (1 - share), width),
                n_fits=15 if share == 1 else 45,
            )
            for share in (0.25, 0.5, 0.75, 1.0)
        ]
        curves.append(LearningCurve(arm=arm.name, label=arm.label, points=points))
    return curves


def regressions(arms: list[ArmResult]) -> list[ArmResult]:
    return [arm for arm in arms if arm.learner != "network"][:_MOST_REGRESSIONS]


def stability(arms: list[ArmResult], n: int, n_events: int) -> list[Stability]:
    found = []
    for number, arm in enumerate(regressions(arms)):
        risk = risks(arm.auroc.estimate or 0.6, n_events / n, n, seed=number)
        spread = (0.05 + 0.02 * number) * np.sqrt(risk * (1 - risk)) * 2
        found.append(
            Stability(
                arm=arm.name,
                label=arm.label,
                n_refits=200,
                risk=risk.tolist(),
                ci_low=np.clip(risk - spread, 0, 1).tolist(),
                ci_high=np.clip(risk + 1.2 * spread, 0, 1).tolist(),
                mean_absolute_difference=float(spread.mean() / 3),
            )
        )
    return found


def optimism(arms: list[ArmResult], width: float | None) -> list[Optimism]:
    return [
        Optimism(
            arm=arm.name,
            label=arm.label,
            n_resamples=200,
            apparent=(arm.auroc.estimate or 0.5) + 0.06,
            harrell=interval((arm.auroc.estimate or 0.5) + 0.01, width),
            b632plus=interval((arm.auroc.estimate or 0.5) + 0.005, width),
            calibration_slope=None if width is None else 0.81,
        )
        for arm in regressions(arms)
    ]


def embedding_maps(cohorts: list[str], n: int, n_events: int, suffix: str) -> list[EmbeddingMap]:
    rng = np.random.default_rng(5)
    maps = []
    for features, label in (("untrained", "Untrained encoder"), ("ssl-all", "SSL (all recordings)")):
        n_rest = n // 3 if len(cohorts) > 1 else 0
        x, y = rng.normal(size=(2, n + n_rest)) * 12
        is_event: list[bool | None] = [i < n_events for i in range(n)] + [None] * n_rest
        shift = np.array([9.0 * bool(event) for event in is_event])
        maps.append(
            EmbeddingMap(
                features=features,
                label=label + suffix,
                method="t-SNE of the first 30 principal components",
                x=(x + shift).tolist(),
                y=y.tolist(),
                is_event=is_event,
                cohort=[cohorts[0]] * n + [cohorts[1 + i % (len(cohorts) - 1)] for i in range(n_rest)],
            )
        )
    return maps


def leakage(n: int) -> list[LeakageCheck]:
    parts = ("Self-supervised pretraining, every fold", "Imputation and scaling", "Penalties of the inner folds")
    return [
        *[LeakageCheck(what=what, n_checked=n, n_shared=0) for what in parts],
        LeakageCheck(
            what="Equal signals under two patients", n_checked=n, n_shared=0, text="By a hash of the raw samples."
        ),
    ]
