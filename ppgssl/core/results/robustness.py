"""What the results rest on: sample size, covariates, subgroups, number of patients, refits, acquisition, shift."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from ppgssl.core.results.base import Interval, ResultSchema


class SampleSizeCriterion(ResultSchema):
    criterion: str = Field(description="In words.")
    n_required: int


class SampleSize(ResultSchema):
    """Minimum number of patients to develop the reference model (Riley et al. 2020, 10.1136/bmj.m441)."""

    model: str = Field(description="Label of the arm it is computed for.")
    n_parameters: int = Field(description="Candidate predictor parameters.")
    prevalence: float
    r2_cox_snell: float = Field(description="Anticipated; see `r2_source`.")
    r2_source: str
    criteria: list[SampleSizeCriterion]
    n_required: int
    n_events_required: int
    n_available: int
    n_events_available: int
    is_enough: bool


class OddsRatio(ResultSchema):
    """One term of the covariate model, fitted to all patients without penalty."""

    term: str
    label: str = Field(description="With the unit, or the level and its reference.")
    odds_ratio: Interval
    p_value: float | None


class CovariateModel(ResultSchema):
    """Inference about the covariates, in addition to prediction; nothing of it enters another table."""

    n_patients: int
    n_events: int
    odds_ratios: list[OddsRatio]
    note: str = Field("", description="Such as separation, or how missing values were pooled.")


class SubgroupLevel(ResultSchema):
    """Patients of one level. Numbers and results are null where a count under 5 is suppressed."""

    level: str
    n: int | None
    n_events: int | None
    is_suppressed: bool = False
    auroc: dict[str, Interval] = Field({}, description="By arm; absent where not defined.")


class Subgroup(ResultSchema):
    variable: str
    label: str
    levels: list[SubgroupLevel]
    interaction_p: dict[str, float | None] = Field(
        {}, description="By arm: bootstrap p-value of equal AUROC in all levels."
    )


class LearningPoint(ResultSchema):
    n_patients: int = Field(description="Training patients, mean over folds.")
    n_events: float
    auroc: Interval
    n_fits: int


class LearningCurve(ResultSchema):
    arm: str
    label: str
    points: list[LearningPoint]


class Stability(ResultSchema):
    """How one patient's risk changes between models fitted to bootstrap samples of the patients."""

    arm: str
    label: str
    n_refits: int
    risk: list[float] = Field(description="Of the model fitted to all patients, sorted; one a patient.")
    ci_low: list[float] = Field(description="2.5th percentile over refits, in the order of `risk`.")
    ci_high: list[float]
    mean_absolute_difference: float = Field(description="Between refits and `risk`, mean over patients and refits.")


class Optimism(ResultSchema):
    """Apparent performance and what bootstrap validation leaves of it.

    Arms whose features were learned from these patients, as those of SSL encoders are, are absent: a bootstrap sample
    would need an encoder of its own. Limits are null where the interval would leave out its own estimate.
    """

    arm: str
    label: str
    n_resamples: int
    apparent: float
    harrell: Interval = Field(description="Apparent AUROC minus mean optimism.")
    b632plus: Interval = Field(description="Efron and Tibshirani's .632+ AUROC.")
    calibration_slope: float | None = Field(None, description="Optimism-corrected; the shrinkage that would be needed.")


class EmbeddingMap(ResultSchema):
    """Two coordinates of each patient's features; it was not used for anything but the picture."""

    features: str
    label: str
    method: str = Field(description="Such as `t-SNE of the first 30 principal components`.")
    x: list[float]
    y: list[float]
    is_event: list[bool | None] = Field(description="Null where a patient has no outcome.")
    cohort: list[str]


class AcquisitionCheck(ResultSchema):
    """Does a property of the raw signal that physiology does not explain predict the outcome, or a covariate?"""

    cohort: str
    name: str = Field(description="Property, for example `Pulse amplitude (adc)`.")
    values: list[float] = Field(description="One a patient, in the order of `is_event`.")
    is_event: list[bool]
    auroc: Interval = Field(description="Of the property alone, oriented to be at least 0.5.")
    threshold: float | None = Field(None, description="Between two separate groups of patients, null if there is one.")
    text: str


class ShiftMeasure(ResultSchema):
    """One quantity of an external validation: its patients, and those that the model was fitted to."""

    name: str
    label: str
    group: Literal["covariate", "signal", "feature", "risk"]
    unit: str = ""
    n: int = Field(description="Patients with a value.")
    n_missing: int
    n_reference: int
    proportion_missing_reference: float
    mean: float | None = None
    sd: float | None = None
    mean_reference: float | None = None
    sd_reference: float | None = None
    difference: float | None = Field(None, description="In SDs, above 0 where higher here; of levels, a distance.")
    difference_by_chance: float | None = Field(None, description="Exceeded by 5 of 100 samples of these sizes.")
    index: float | None = Field(None, description="Population stability index.")
    index_by_chance: float | None = None
    is_warning: bool
