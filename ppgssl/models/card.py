"""``model.json``: what is needed to use a model, to evaluate it, and not to test it on patients that it has seen."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from ppgssl.core.config.cohort import Cohort, Variable
from ppgssl.core.config.study import Study
from ppgssl.core.results.base import Interval
from ppgssl.core.schema import Schema
from ppgssl.features.columns import Columns
from ppgssl.models.reference import ApplicabilityDomain, Reference
from ppgssl.selfsupervised.input_description import InputDescription

FORMAT = 2


class Covariate(Schema):
    """A clinical value that the model takes."""

    name: str
    label: str
    kind: Literal["numeric", "binary", "categorical"]
    unit: str = ""
    levels: list[str] = Field(default_factory=list, description="Of a binary variable, the last is what 1 means.")
    plausible: tuple[float, float] | None = Field(
        None, description="Values outside were taken as missing; of a transformed value, both are transformed too."
    )
    typical: tuple[float, float] | None = Field(None, description="1st and 99th percentile of the training patients.")
    proportion_missing: float = Field(description="Of the training patients.")


class ModelColumns(Schema):
    """Columns of the classifier, in order; none of a network."""

    numeric: list[str]
    categorical: list[str]
    features: list[str]
    moments: list[str]

    def as_columns(self) -> Columns:
        return Columns(tuple(self.numeric), tuple(self.categorical), tuple(self.features), tuple(self.moments))


class Threshold(Schema):
    """A risk at or above which a patient counts as positive."""

    rule: Literal["youden", "sensitivity", "given"]
    label: str
    threshold: float
    sensitivity: float = Field(description="Of training patients, by risks of models not fitted to them.")
    specificity: float


class Performance(Schema):
    """Performance of this arm in the study: of models fitted in the same way to parts of the patients."""

    scheme: str
    n_patients: int
    n_events: int
    auroc: Interval
    auprc: Interval | None = None
    brier: Interval | None = None
    calibration_intercept: Interval | None = None
    calibration_slope: Interval | None = None
    created_utc: str
    results_sha256: str


class TypicalSignal(Schema):
    """How many segments of training patients were accepted; a patient below either percentile has a poor signal."""

    n_accepted: float = Field(description="5th percentile of a patient's number of accepted segments.")
    proportion_accepted: float = Field(description="5th percentile of a patient's proportion of accepted segments.")


class Seen(Schema):
    """Whom the model has seen: hashes, by which they can be recognised but not listed."""

    patients_sha256: list[str] = Field(description="Of patient keys, `cohort/patient`.")
    signals_sha256: list[str] = Field(description="Of the raw signals of their recordings.")


class ModelCard(Schema):
    """``model.json``."""

    format: Literal[2] = 2
    name: str
    title: str
    arm: str
    arm_label: str
    learner: str
    outcome: str
    outcome_label: str
    event_label: str
    n_patients: int
    n_events: int
    n_pretraining_patients: int = Field(description="Whose signals the encoder was trained on; 0 without SSL.")
    n_pretraining_segments: int
    columns: ModelColumns
    classifier: dict[str, Any] = Field(description="What `classifier.safetensors` holds the numbers of.")
    refits: list[dict[str, Any]] = Field(default_factory=list, description="The same of refits that are kept whole.")
    covariates: list[Covariate]
    n_refits: int = Field(description="Refits to bootstrap samples, from which intervals come.")
    n_draws: int = Field(0, description="Draws from the posterior, from which intervals come; else 0.")
    thresholds: list[Threshold]
    performance: Performance | None = None
    performance_note: str = Field("", description="Why there is none, or what else holds.")
    input: InputDescription
    typical_signal: TypicalSignal
    references: list[Reference]
    applicability_domain: ApplicabilityDomain | None = Field(
        None, description="Of the features; null without features."
    )
    spo2_curve: tuple[float, float] | None = Field(
        None, description="Constant and slope in log R of the SpO2 that was calibrated on the training patients."
    )
    check: list[float] = Field(
        default_factory=list, description="Embedding of a made-up segment: another one means other software."
    )
    seen: Seen
    study: dict[str, Any] = Field(description="study.yaml with defaults; without paths.")
    cohort: dict[str, Any] = Field(description="cohort.yaml of the labelled cohort; without its folder.")
    stores: dict[str, str] = Field(description="Fingerprint of the tables of each cohort.")
    notes: list[str] = Field(default_factory=list)
    seed: int
    created_utc: str
    versions: dict[str, str]
    platform: str

    @property
    def has_encoder(self) -> bool:
        """Whether an encoder of features lies in the folder; networks hold theirs among their own numbers."""
        return bool(self.check) and self.learner != "network"

    @property
    def has_interval(self) -> bool:
        return bool(self.n_refits or self.n_draws)

    @property
    def prevalence(self) -> float:
        return self.n_events / self.n_patients

    def study_model(self) -> Study:
        return Study.model_validate(self.study)

    def variables(self) -> dict[str, Variable]:
        """The clinical dictionary that the model was fitted with."""
        table = self.cohort_model().clinical
        assert table is not None  # a model has an outcome, so its cohort has a table
        return table.variables

    def cohort_model(self) -> Cohort:
        return Cohort.model_validate(self.cohort)
