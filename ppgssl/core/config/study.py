"""What ``study.yaml`` holds: cohorts, inputs, arms, validation and options of one analysis."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from ppgssl.core.config.arms import DEFAULT_ARMS, Arm, parse_arm
from ppgssl.core.config.fixed import ECG_WAVE_FS_HZ
from ppgssl.core.config.pretraining import ObjectiveOptions, PatchTransformerShape, Pretraining
from ppgssl.core.records import modality
from ppgssl.core.schema import NAME_PATTERN, Name, Schema


class StudyCohort(Schema):
    """One cohort of a study."""

    cohort: str | None = Field(None, description="Path of its cohort.yaml, relative to the study file.")
    store: str | None = Field(None, description="Its store; by default `stores/<name>` in the study's output folder.")
    role: Literal["labelled", "unlabelled"]

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if self.cohort is None and self.store is None:
            raise ValueError("needs `cohort` (a cohort.yaml), `store` (a folder made by ingest), or both")
        return self


class InputChannel(Schema):
    """One input channel of the encoder, and the cohort channels that may fill it, the best first."""

    name: str
    any_of: list[str] = Field(min_length=1)
    optional: bool = Field(False, description="True fills the channel with zeros in cohorts without any of them.")

    @property
    def modality(self) -> str:
        """``ppg``, ``ecg`` or ``acc``: that of the best cohort channel."""
        return modality(self.any_of[0])


class Inputs(Schema):
    """What one segment looks like to the encoder."""

    channels: list[InputChannel] = Field(min_length=1)
    fs_hz: float = Field(gt=0, le=1000)
    segment_s: float = Field(gt=0)
    step_s: float = Field(gt=0)
    min_sqi: float = Field(0.5, ge=0, le=1)
    normalisation: Literal["segment", "cohort", "ac_dc", "fixed"] = Field(
        "segment",
        description="segment: z-score of each segment and channel; cohort: mean and SD over training patients; ac_dc: "
        "pulsatile part over baseline, in percent; fixed: the constants in `fixed`.",
    )
    fixed: dict[str, tuple[float, float]] = Field(
        {}, description="Mean and SD of each input channel's raw level, for normalisation `fixed`."
    )
    memory_gb: float | None = Field(
        None,
        gt=0,
        description="Memory for samples, in GB; half of what is available by default. A study with more writes "
        "them to a file in its output folder and reads segments from there: slower, with the same results.",
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        names = [channel.name for channel in self.channels]
        if len(set(names)) < len(names):
            raise ValueError("two input channels have the same name")
        if self.normalisation == "fixed" and set(self.fixed) != set(names):
            raise ValueError(f"normalisation `fixed` needs `fixed: {{channel: [mean, sd]}}` for exactly {names}")
        return self

    @property
    def segment_samples(self) -> int:
        return round(self.segment_s * self.fs_hz)

    def check_features(self, kinds: Iterable[str], user: str) -> None:
        """Raise ValueError if hand-crafted features that a ``user`` (an arm, a baseline) takes cannot be computed."""
        if "ecg-wave" not in kinds:
            return
        if all(channel.modality != "ecg" for channel in self.channels):
            raise ValueError(f"{user}: ecg-wave needs an ECG lead, and no input channel is one (`any_of: [ecg_...]`)")
        if self.fs_hz < ECG_WAVE_FS_HZ:
            raise ValueError(
                f"{user}: ecg-wave needs `inputs.fs_hz` of at least {ECG_WAVE_FS_HZ:g}, not {self.fs_hz:g}"
            )


class Network(Schema):
    """End-to-end training of encoder and linear head."""

    n_epochs: int = Field(30, ge=1)
    freeze_epochs: int = Field(5, ge=0, description="First epochs with a pretrained encoder frozen.")
    patience: int = Field(8, ge=1, description="Epochs without a better inner-validation loss before stopping.")
    batch_size: int = Field(64, ge=2)
    learning_rate: float = Field(1e-3, gt=0)
    weight_decay: float = Field(0.05, ge=0)
    label_smoothing: float = Field(0.05, ge=0, lt=0.5)
    validation_fraction: float = Field(0.2, gt=0, lt=0.9)
    pooling: Literal["mean", "attention"] = Field(
        "mean",
        description="How segments make a patient: mean of their risks, or gated attention over their embeddings.",
    )
    n_models: int = Field(3, ge=1, le=100, description="Networks, of bootstrap samples of patients, that are averaged.")


class Validation(Schema):
    """How patients are split into training and test."""

    scheme: Literal["repeated-kfold", "single-split", "leave-one-site-out"] = "repeated-kfold"
    n_folds: int = Field(5, ge=2, le=50)
    n_repeats: int = Field(3, ge=1, le=1000)
    test_fraction: float = Field(0.2, gt=0, lt=0.9, description="Of `single-split`, the published protocol.")
    site: str | None = Field(None, description="Of `leave-one-site-out`: the clinical variable of the site.")
    n_bootstrap: int = Field(2000, ge=100, le=1_000_000)
    n_optimism: int = Field(
        200,
        ge=0,
        le=10_000,
        description="Refits of each regression arm to bootstrap samples of the patients, for optimism-corrected "
        "performance and the stability of individual risks; 0 leaves both out.",
    )

    @model_validator(mode="after")
    def _site_where_needed(self) -> Self:
        if (self.scheme == "leave-one-site-out") != (self.site is not None):
            raise ValueError("`site` names a clinical variable for the scheme leave-one-site-out, and only for it")
        return self


class Missing(Schema):
    """What is done about missing covariates."""

    method: Literal["median", "mice"] = Field(
        "median",
        description="median: the median or most frequent level of the training patients (the published way); mice: "
        "multiple imputation by chained equations, learnt from training patients: risks are averaged over "
        "imputations, and odds ratios pooled by Rubin's rules.",
    )
    n_imputations: int = Field(10, ge=2, le=200, description="Of mice.")


class Decisions(Schema):
    """Thresholds at which predictions are turned into decisions."""

    sensitivity: float = Field(0.9, gt=0, lt=1, description="The threshold that reaches it on training patients.")
    risks: list[float] = Field([], description="Risks from which you would act, such as 0.1.")
    curve: tuple[float, float] | None = Field(
        None, description="Range of risks of the decision curve; by default from 1 % to twice the prevalence or more."
    )

    @model_validator(mode="after")
    def _are_risks(self) -> Self:
        if any(not 0 < risk < 1 for risk in [*self.risks, *(self.curve or ())]):
            raise ValueError("`risks` and `curve` hold risks between 0 and 1, both excluded")
        if self.curve and self.curve[0] >= self.curve[1]:
            raise ValueError("`curve` must be [low, high] with low < high")
        return self


class SubgroupOptions(Schema):
    """A clinical variable by whose levels performance is compared."""

    variable: str
    cuts: list[float] = Field([], description="Of a numeric variable: limits of its groups; else its median.")


class LearningCurveOptions(Schema):
    """Performance over the number of labelled patients."""

    fractions: list[float] = Field([0.25, 0.5, 0.75, 1.0], description="Proportions of the training patients.")
    n_draws: int = Field(3, ge=0, le=1000, description="Draws of training patients a fold and proportion; 0: no curve.")

    @field_validator("fractions")
    @classmethod
    def _are_fractions(cls, value: list[float]) -> list[float]:
        if any(not 0 < fraction <= 1 for fraction in value):
            raise ValueError("each fraction must be above 0 and at most 1, such as 0.25")
        return sorted(set(value))


BaselineName = Literal["untrained", "pca", "minirocket", "pulse-wave", "rhythm", "ecg-wave"]


class Probe(Schema):
    """What ``ppgssl probe`` compares, and for whom."""

    objectives: list[ObjectiveOptions] = Field(
        default_factory=list,
        description="Pretext tasks to compare, each as in `pretraining.objective`; by default that one alone.",
    )
    baselines: list[BaselineName] = Field(
        default=["untrained", "pca", "pulse-wave"],
        description="untrained: an encoder with its first weights; pca: principal components of the segments; "
        "minirocket: random convolution kernels (needs the extra `baselines`); pulse-wave: hand-crafted pulse wave, "
        "rhythm and spectral features of segments; rhythm: heart rate variability and breathing of recordings; "
        "ecg-wave: intervals and amplitudes of ECG leads.",
    )
    cohorts: list[str] = Field([], description="By default all with `min_patients` patients.")
    variables: list[str] = Field(
        default_factory=list,
        description="Numeric clinical variables of the labelled cohort to probe for in addition to the vital signs; "
        "that which `heart_rate` names always is one.",
    )
    references: str | None = Field(
        None,
        description="A table of values known for intervals of recordings, relative to the study file: `recording_id`, "
        "`start_s`, `end_s`, `cohort` where there are several, and a column of numbers for each quantity (0 and 1 for "
        "one of two kinds).",
    )
    min_patients: int = Field(
        20, ge=5, description="Cohorts and quantities that are known for fewer patients are left out, and named."
    )
    n_folds: int = Field(3, ge=2, le=20, description="Each objective is pretrained once for each fold.")
    n_repeats: int = Field(1, ge=1, le=100, description="Repetitions of the cross-validation with other folds.")


class Study(Schema):
    """One analysis: ``study.yaml``."""

    name: Name = Field(pattern=NAME_PATTERN)
    title: str = ""
    description: str = ""
    authors: str = ""
    out: str = Field(description="Folder of everything the study makes, relative to the study file.")
    cohorts: list[StudyCohort] = Field(min_length=1)
    inputs: Inputs
    outcome: str = Field(description="A binary variable of the labelled cohort; its second level is the event.")
    covariates: list[str] = Field(default_factory=list)
    heart_rate: str | None = Field(None, description="Variable for the heart-rate arm; by default that of the signals.")
    spo2: str | None = Field(None, description="Variable for the SpO2 of `vitals`; by default that of the signals.")
    arms: list[str] = Field(
        default_factory=lambda: list(DEFAULT_ARMS),
        description="Rows of the results table: CLINICAL (heart-rate, vitals, covariates), FEATURES (ssl-labelled, "
        "ssl-all, untrained, minirocket, pulse-wave, rhythm, ecg-wave; or several together: maybe one of ssl-all, "
        "ssl-labelled and untrained, then any of pulse-wave, rhythm and ecg-wave, such as ssl-all+pulse-wave or "
        "pulse-wave+rhythm) or CLINICAL+FEATURES, then maybe :LEARNER (elastic-net, "
        "horseshoe, gradient-boosting; ridge logistic regression otherwise) and :late (one model each, risks "
        "combined); or network-random, network-ssl-labelled, network-ssl-all.",
    )
    pretraining: Pretraining = Pretraining()
    network: Network = Network()
    validation: Validation = Validation()
    missing: Missing = Missing()
    decisions: Decisions = Decisions()
    subgroups: list[SubgroupOptions] = Field(default_factory=list)
    learning_curve: LearningCurveOptions = LearningCurveOptions()
    probe: Probe = Probe()
    seed: int = Field(2023, ge=0, lt=2**31)

    @field_validator("arms")
    @classmethod
    def _arms_known(cls, value: list[str]) -> list[str]:
        for name in value:
            parse_arm(name)
        return list(dict.fromkeys(value))

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        n_labelled = sum(cohort.role == "labelled" for cohort in self.cohorts)
        if n_labelled != 1:
            raise ValueError(f"a study has exactly one cohort of role `labelled`, this one has {n_labelled}")
        if self.outcome in self.covariates:
            raise ValueError(f"the outcome {self.outcome!r} cannot be a covariate of itself")
        if not self.covariates and any(arm.clinical == "covariates" for arm in self.arm_list):
            raise ValueError("an arm uses covariates, but `covariates` is empty: list some, or choose other arms")
        for arm in self.arm_list:
            self.inputs.check_features(arm.feature_sets, f"arm {arm.name!r}")
        self.inputs.check_features(self.probe.baselines, "`probe.baselines`")
        shape = self.pretraining.encoder
        if isinstance(shape, PatchTransformerShape) and shape.patch_samples > self.inputs.segment_samples:
            raise ValueError(
                f"`pretraining.encoder.patch_samples` is {shape.patch_samples}, more than the "
                f"{self.inputs.segment_samples} samples of a segment ({self.inputs.segment_s:g} s at "
                f"{self.inputs.fs_hz:g} Hz)"
            )
        if self.pretraining.exposure == "disjoint" and n_labelled == len(self.cohorts):
            raise ValueError("pretraining on disjoint cohorts needs a cohort of role `unlabelled`")
        return self

    @property
    def arm_list(self) -> list[Arm]:
        return [parse_arm(name) for name in self.arms]
