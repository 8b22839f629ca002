"""Descriptions of cohorts and studies: YAML in, checked models out; unknown keys are refused by name."""

from __future__ import annotations

import datetime
import difflib
import os
import re
from pathlib import Path
from typing import Any, Literal, Self, TypeVar, get_args

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from ppgssl.arms import DEFAULT_ARMS, Arm, parse_arm
from ppgssl.errors import ConfigError
from ppgssl.pretraining_options import ObjectiveOptions, PatchTransformerShape, Pretraining
from ppgssl.provenance import write_atomically
from ppgssl.value_transforms import Transform

Name = str
_NAME = r"^[a-z0-9][a-z0-9_\-]*$"
_CHANNEL = r"^(ppg|ppg_[a-z0-9]+|ecg_[a-z0-9]+)$"
TrendName = Literal["sqi", "heart_rate_bpm", "spo2_percent", "perfusion_index_percent"]
_VARIABLE = re.compile(r"\$\{(\w+)\}")
_FREE_TEXT = ("text", "free text", "freetext", "string", "str", "note", "notes", "comment", "name", "id", "identifier")


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


# --- cohort.yaml -----------------------------------------------------------------------------------------------


class ChannelSource(_Model):
    """Where one channel lies in a raw file, and what its numbers mean."""

    column: str | int = Field(description="Column name or 0-based number in the raw file; array name in array files.")
    unit: str = Field("", description="Unit of the raw samples, as the report should print it.")
    has_baseline: bool = Field(
        False,
        description="True where the raw level is proportional to the light received, so that AC/DC has a meaning.",
    )
    inverted: bool | Literal["auto"] = Field(
        "auto",
        description="True where the systolic upstroke points down; `auto` looks at the pulse waves of each recording, "
        "and leaves ECG as it is.",
    )
    file: str | None = Field(
        None,
        description="Where this channel lies in a file of its own: its path pattern, with the same fields as `files`.",
    )


class DeviceTrends(_Model):
    """What the device itself displayed, in a file beside each recording: a row at every interval."""

    file: str = Field(description="Path pattern of the trend files, with the same fields as `signals.files`.")
    columns: dict[TrendName, str] = Field(
        min_length=1, description="Trend -> its column; blanks around the names in the file do not count."
    )
    interval_s: float = Field(1.0, gt=0, description="Time from row to row; the first row starts with the recording.")
    skip_rows: int = Field(0, ge=0, description="Lines before the header line.")
    delimiter: str = Field(",", min_length=1, max_length=1)
    missing: list[str] = Field(default_factory=lambda: ["", "NA", "NaN", "nan", "-", "--", "---"])


class SignalFiles(_Model):
    """Which files hold the signals, and how they are read."""

    files: str = Field(
        description="Path pattern under `root`, with the fields {patient} and, where files have them, {recording} and "
        "{visit}; a field may carry its own regular expression: {patient:[0-9]+}."
    )
    reader: str = Field(description="Name of a reader, for example `delimited` or `arrays`.")
    options: dict[str, Any] = Field(default_factory=dict, description="Options of that reader.")
    fs_hz: float | None = Field(None, gt=0, description="Sampling rate, where the file does not say it.")
    channels: dict[str, ChannelSource] = Field(min_length=1)
    trends: DeviceTrends | None = None

    @field_validator("files")
    @classmethod
    def _names_the_patient(cls, value: str) -> str:
        if "{patient" not in value:
            raise ValueError("must contain the field {patient}, so that each file belongs to a patient")
        return value

    @field_validator("channels")
    @classmethod
    def _channel_names(cls, value: dict[str, ChannelSource]) -> dict[str, ChannelSource]:
        for name in value:
            if not re.match(_CHANNEL, name):
                raise ValueError(f"channel {name!r} must be named ppg, ppg_red, ppg_ir, ppg_green, ... or ecg_<lead>")
        return value


class Variable(_Model):
    """One column of the clinical table."""

    column: str | None = Field(None, description="Column in the table; the variable's own name by default.")
    kind: Literal["numeric", "binary", "categorical", "date"]
    label: str = Field("", description="Words for tables and figures; the variable's name by default.")
    unit: str = ""
    range: tuple[float, float] | None = Field(
        None, description="Plausible range of a numeric variable, both ends included; values outside become missing."
    )
    transform: Transform = Field(
        None,
        description="Function of a numeric variable that is used in its place: its name, or a mapping of `name` and "
        "numbers. `label`, `unit` and `range` are those of the values in the table.",
    )
    dates: tuple[datetime.date, datetime.date] | None = Field(
        None, description="Plausible range of a date, both ends included; dates outside become missing."
    )
    date_format: str = Field("%Y-%m-%d", description="How a date is written, in the codes of strptime.")
    levels: dict[str, str] = Field(
        default_factory=dict,
        description="Value in the table -> level. A binary variable has two levels, the second is the event; "
        "without levels a binary variable is 0/1.",
    )
    defines: list[str] = Field(
        default_factory=list, description="Outcomes that this variable defines: it may never be a covariate for them."
    )

    @field_validator("kind", mode="before")
    @classmethod
    def _no_free_text(cls, value: Any) -> Any:
        if str(value).lower().replace("-", " ").replace("_", " ") in _FREE_TEXT:
            raise ValueError(
                f"{value!r}: free text is never ingested, because nobody can tell whom it names. Leave the column out, "
                "or code what it says and describe the codes as `categorical` with `levels`"
            )
        return value

    @field_validator("levels", mode="before")
    @classmethod
    def _levels_are_text(cls, value: Any) -> Any:
        return {str(key): str(level) for key, level in value.items()} if isinstance(value, dict) else value

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        self._check_levels()
        if self.kind != "numeric" and self.range:
            raise ValueError(f"a {self.kind} variable has no range")
        if self.kind != "date" and self.dates:
            raise ValueError(f"a {self.kind} variable has no dates")
        if self.range and self.range[0] >= self.range[1]:
            raise ValueError("the range must be [low, high] with low < high")
        if self.dates and self.dates[0] >= self.dates[1]:
            raise ValueError("the dates must be [first, last] with first < last")
        self._check_transform()
        return self

    def _check_transform(self) -> None:
        if self.transform is None:
            return
        if self.kind != "numeric":
            raise ValueError(f"a {self.kind} variable has no transform")
        if self.range is None:
            raise ValueError("with `transform`, the plausible `range` of the values in the table is needed")
        if self.unit and self.transform.unit and self.unit != self.transform.unit:
            raise ValueError(f"`unit` is {self.unit}, and `transform.unit` {self.transform.unit}: leave one out")
        self.transform.range_of(self.range)

    def _check_levels(self) -> None:
        if self.kind in ("numeric", "date") and self.levels:
            raise ValueError(f"a {self.kind} variable has no levels")
        if self.kind == "categorical" and not self.levels:
            raise ValueError("a categorical variable needs its levels")
        if self.kind == "binary" and self.levels and len(dict.fromkeys(self.levels.values())) != 2:
            raise ValueError("a binary variable has exactly two levels")

    @property
    def level_names(self) -> list[str]:
        """Levels in order; of a binary variable, the last is the event."""
        return list(dict.fromkeys(self.levels.values())) or (["0", "1"] if self.kind == "binary" else [])

    @property
    def written_unit(self) -> str:
        """Unit of the values in the table."""
        return self.unit or (self.transform.unit if self.transform else "")

    @property
    def used_range(self) -> tuple[float, float] | None:
        """Plausible range of the values that are used: of the transformed ones, where there is a `transform`."""
        return self.transform.range_of(self.range) if self.transform and self.range else self.range

    def told_as_used(self, name: str) -> Self:
        """With a label that says how values are transformed, if they are: the result has no unit of its own."""
        if self.transform is None:
            return self
        transform = self.transform.model_copy(update={"unit": self.written_unit})
        label = transform.words(self.label or name)
        return self.model_copy(update={"transform": transform, "label": label, "unit": ""})


class ClinicalTable(_Model):
    """The clinical table: one row a patient."""

    file: str = Field(
        description="Path under `root`: .csv, .tsv, .xlsx, .parquet, .sas7bdat, .xpt (SAS), .dta (Stata) or .sav (SPSS)"
    )
    patient_column: str
    sheet: str | None = Field(None, description="Sheet of a workbook; the first by default.")
    where: dict[str, list[str]] = Field(
        default_factory=dict,
        description="Column -> the values that a row must have there to be used, such as the REDCap event of a visit.",
    )
    delimiter: str = ","
    decimal: Literal[".", ","] = "."
    missing: list[str] = Field(default_factory=lambda: ["", "NA", "NaN", "nan", "."], description="Marks of missing.")
    variables: dict[str, Variable] = Field(min_length=1)

    @field_validator("where", mode="before")
    @classmethod
    def _where_is_text(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        return {key: [str(item) for item in (one if isinstance(one, list) else [one])] for key, one in value.items()}

    @field_validator("variables")
    @classmethod
    def _tells_what_is_used(cls, value: dict[str, Variable]) -> dict[str, Variable]:
        return {name: variable.told_as_used(name) for name, variable in value.items()}

    @model_validator(mode="after")
    def _defines_known(self) -> Self:
        for name, variable in self.variables.items():
            for outcome in variable.defines:
                if outcome not in self.variables:
                    raise ValueError(f"variable {name!r} defines {outcome!r}, which is not a variable of this table")
        return self

    @model_validator(mode="after")
    def _columns_define_the_same(self) -> Self:
        of_column: dict[str, set[str]] = {}
        for name, variable in self.variables.items():
            of_column.setdefault((variable.column or name).strip(), set()).update(variable.defines)
        for name, variable in self.variables.items():
            column = (variable.column or name).strip()
            for outcome in sorted(of_column[column] - {name, *variable.defines}):
                raise ValueError(
                    f"variable {name!r} is of column {column!r}, like another one that defines {outcome!r}: so it "
                    f"defines it too: `defines: [{outcome}]`"
                )
        return self


class SignalProcessing(_Model):
    """What ingest does to every recording before it is stored."""

    fs_hz: float = Field(100.0, gt=0, le=1000, description="Sampling rate of the stored samples.")
    band_hz: dict[Literal["ppg", "ecg"], tuple[float, float]] = Field(
        default_factory=dict, description="Band-pass edges per modality; the defaults of signals/filters.py otherwise."
    )


class Segmentation(_Model):
    """How recordings are cut into segments, and which are good enough."""

    segment_s: float = Field(10.0, gt=0, le=3600)
    step_s: float = Field(5.0, gt=0, le=3600)
    min_sqi: float = Field(0.5, ge=0, le=1, description="Signal quality index from which a segment is accepted.")
    accept: Literal["sqi", "device", "device-any"] = Field(
        "sqi",
        description="What decides: `sqi`, our index; `device`, the median of the device's SQI over the segment; "
        "`device-any`, whether any second of it reaches `min_device_sqi` (the published rule).",
    )
    min_device_sqi: float = Field(50.0, ge=0, description="The device's SQI from which a segment is accepted.")


class Vitals(_Model):
    """Vital signs of each segment, from its signals."""

    enabled: bool = Field(True, description="False leaves all vital signs but the device's missing, and saves time.")
    spo2_calibration: list[float] = Field(
        default_factory=lambda: [110.0, -25.0],
        min_length=1,
        max_length=5,
        description="SpO2 in percent as a polynomial of the ratio of ratios R, the constant first: 110 - 25 R unless "
        "your device's curve is known.",
    )


class PseudonymKey(_Model):
    """Where the secret key of the pseudonyms lies: never beside the data."""

    key_file: str | None = Field(None, description="Path of a file that holds the key, relative to this file.")
    key_env: str | None = Field(None, description="Name of the environment variable that holds the key.")

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if (self.key_file is None) == (self.key_env is None):
            raise ValueError("needs one of `key_file` (a path) and `key_env` (the name of an environment variable)")
        return self


class Privacy(_Model):
    """What is done so that a store, and all that is made from it, names no patient."""

    pseudonyms: PseudonymKey = Field(
        description="Patients, recordings, visits and files are named by keyed hashes of what they are called. Dates "
        "become days from the patient's first date, and messages show no value of a raw file."
    )


class Cohort(_Model):
    """A source of recordings with, maybe, a clinical table: ``cohort.yaml``."""

    name: Name = Field(pattern=_NAME)
    title: str = ""
    description: str = ""
    citation: str = ""
    root: str = Field(
        ".", description="Folder of the raw files, relative to this file; ${NAME} is an environment value."
    )
    signals: SignalFiles
    clinical: ClinicalTable | None = None
    signal: SignalProcessing = SignalProcessing()
    segments: Segmentation = Segmentation()
    quality: bool = Field(
        True, description="False judges neither samples (saturated, flat, jumping) nor segments (SQI): only gaps count."
    )
    vitals: Vitals = Vitals()
    privacy: Privacy | None = None

    @model_validator(mode="after")
    def _names_nobody(self) -> Self:
        if self.privacy is None or self.clinical is None:
            return self
        for name, variable in self.clinical.variables.items():
            if (variable.column or name).strip() == self.clinical.patient_column.strip():
                raise ValueError(f"with `privacy`, the patient's id is no variable: leave out {name!r}")
            if variable.kind == "numeric" and variable.range is None:
                raise ValueError(
                    f"with `privacy`, every number needs its plausible `range`, so that no telephone or record number "
                    f"is taken for a measurement: give one to {name!r}"
                )
        return self

    @model_validator(mode="after")
    def _judged_by_something(self) -> Self:
        trends = self.signals.trends
        if self.segments.accept == "sqi" and not self.quality:
            raise ValueError("without `quality` there is no SQI: set `segments.accept` to `device` or `device-any`")
        if self.segments.accept != "sqi" and (trends is None or "sqi" not in trends.columns):
            raise ValueError(f"`segments.accept: {self.segments.accept}` needs `sqi` in `signals.trends.columns`")
        return self


# --- study.yaml ------------------------------------------------------------------------------------------------


class StudyCohort(_Model):
    """One cohort of a study."""

    cohort: str | None = Field(None, description="Path of its cohort.yaml, relative to the study file.")
    store: str | None = Field(None, description="Its store; by default `stores/<name>` in the study's output folder.")
    role: Literal["labelled", "unlabelled"]

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if self.cohort is None and self.store is None:
            raise ValueError("needs `cohort` (a cohort.yaml), `store` (a folder made by ingest), or both")
        return self


class InputChannel(_Model):
    """One input channel of the encoder, and the cohort channels that may fill it, the best first."""

    name: str
    any_of: list[str] = Field(min_length=1)
    optional: bool = Field(
        False, description="True lets cohorts with none of `any_of` take part: for them this channel is all zeros."
    )


class Inputs(_Model):
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
        default_factory=dict, description="Mean and SD of each input channel's raw level, for normalisation `fixed`."
    )
    memory_gb: float | None = Field(
        None,
        gt=0,
        description="Memory for samples, in GB; half of what is available by default. A study with more is streamed "
        "from its stores: slower, of the same segments, pretrained on in another random order.",
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


class Network(_Model):
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
    n_models: int = Field(
        3, ge=1, le=100, description="Networks fitted to bootstrap samples of the training patients, and averaged."
    )


class Validation(_Model):
    """How patients are split into training and test."""

    scheme: Literal["repeated-kfold", "single-split", "leave-one-site-out"] = "repeated-kfold"
    n_folds: int = Field(5, ge=2, le=50)
    n_repeats: int = Field(3, ge=1, le=1000)
    test_fraction: float = Field(0.2, gt=0, lt=0.9, description="Of `single-split`, the published protocol.")
    site: str | None = Field(
        None, description="Of `leave-one-site-out`: the categorical or binary clinical variable that tells the site."
    )
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


class Missing(_Model):
    """What is done about missing covariates."""

    method: Literal["median", "mice"] = Field(
        "median",
        description="median: the median or most frequent level of the training patients (the published way); mice: "
        "multiple imputation by chained equations, learnt from training patients: risks are averaged over "
        "imputations, and odds ratios pooled by Rubin's rules.",
    )
    n_imputations: int = Field(10, ge=2, le=200, description="Of mice.")


class Decisions(_Model):
    """Thresholds at which predictions are turned into decisions."""

    sensitivity: float = Field(0.9, gt=0, lt=1, description="The threshold that reaches it on training patients.")
    risks: list[float] = Field(
        default_factory=list, description="Risks between 0 and 1 from which you would act, such as 0.1."
    )
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


class SubgroupOptions(_Model):
    """A clinical variable by whose levels performance is told apart."""

    variable: str
    cuts: list[float] = Field(
        default_factory=list, description="Of a numeric variable: limits of its groups; by default its median."
    )


class LearningCurveOptions(_Model):
    """Performance over the number of labelled patients."""

    fractions: list[float] = Field(
        default=[0.25, 0.5, 0.75, 1.0], description="Shares of the training patients, each above 0 and at most 1."
    )
    n_draws: int = Field(3, ge=0, le=1000, description="Draws of training patients a fold and share; 0: no curve.")

    @field_validator("fractions")
    @classmethod
    def _are_shares(cls, value: list[float]) -> list[float]:
        if any(not 0 < share <= 1 for share in value):
            raise ValueError("each share must be above 0 and at most 1, such as 0.25")
        return sorted(set(value))


BaselineName = Literal["untrained", "pca", "minirocket", "pulse-wave"]


class Probe(_Model):
    """What ``ppgssl probe`` compares, and for whom."""

    objectives: list[ObjectiveOptions] = Field(
        default_factory=list,
        description="Pretext tasks to compare, each as in `pretraining.objective`; by default that one alone.",
    )
    baselines: list[BaselineName] = Field(
        default=["untrained", "pca", "pulse-wave"],
        description="untrained: an encoder with its first weights; pca: principal components of the segments; "
        "minirocket: random convolution kernels (needs the extra `baselines`); pulse-wave: hand-made pulse wave, "
        "rhythm and spectral features.",
    )
    cohorts: list[str] = Field(
        default_factory=list, description="Names of the cohorts; by default all with `min_patients` patients."
    )
    variables: list[str] = Field(
        default_factory=list,
        description="Numeric clinical variables of the labelled cohort to probe for beside the vital signs; that which "
        "`heart_rate` names always is one.",
    )
    min_patients: int = Field(
        20, ge=5, description="Cohorts and quantities that are known for fewer patients are left out, and named."
    )
    n_folds: int = Field(3, ge=2, le=20, description="Each objective is pretrained once for each fold.")
    n_repeats: int = Field(1, ge=1, le=100, description="Repetitions of the cross-validation with other folds.")


class Study(_Model):
    """One analysis: ``study.yaml``."""

    name: Name = Field(pattern=_NAME)
    title: str = ""
    description: str = ""
    authors: str = ""
    out: str = Field(description="Folder of everything the study makes, relative to the study file.")
    cohorts: list[StudyCohort] = Field(min_length=1)
    inputs: Inputs
    outcome: str = Field(description="A binary variable of the labelled cohort; its second level is the event.")
    covariates: list[str] = Field(default_factory=list)
    heart_rate: str | None = Field(
        None, description="Clinical variable for the heart-rate arm; by default the heart rate of the signals."
    )
    spo2: str | None = Field(
        None, description="Clinical variable for the SpO2 of `vitals`; by default the SpO2 of the signals."
    )
    arms: list[str] = Field(
        default_factory=lambda: list(DEFAULT_ARMS),
        description="Rows of the results table: CLINICAL (heart-rate, vitals, covariates), FEATURES (ssl-labelled, "
        "ssl-all, untrained, minirocket, pulse-wave; or two together: ssl-all+pulse-wave, ssl-labelled+pulse-wave, "
        "untrained+pulse-wave) or CLINICAL+FEATURES, then maybe :LEARNER (elastic-net, "
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


# --- reading ---------------------------------------------------------------------------------------------------

Description = TypeVar("Description", Cohort, Study)


def suggest(word: str, choices: Any) -> str:
    """`` (did you mean 'x'?)`` for the nearest choice, or nothing."""
    near = difflib.get_close_matches(str(word), [str(choice) for choice in choices], n=1, cutoff=0.6)
    return f" (did you mean {near[0]!r}?)" if near else ""


def load_cohort(path: Path) -> Cohort:
    """Read and check a ``cohort.yaml``.

    Raises
    ------
    ConfigError
        If the file is absent, is not YAML, or breaks the schema; every problem is listed with its key.
    """
    return _load(path, Cohort)


def load_study(path: Path) -> Study:
    """Read and check a ``study.yaml``; see :func:`load_cohort`."""
    return _load(path, Study)


def save_description(description: BaseModel, path: Path) -> None:
    """Write a description as YAML that reads back equal, every default spelled out."""
    text = yaml.safe_dump(description.model_dump(mode="json"), sort_keys=False, allow_unicode=True)
    write_atomically(path, text)


def cohort_root(cohort: Cohort, cohort_file: Path) -> Path:
    """Folder of the raw files, with ``${NAME}`` replaced by environment values.

    Raises
    ------
    ConfigError
        If a variable is not set or the folder is absent.
    """
    unset = [name for name in _VARIABLE.findall(cohort.root) if not os.environ.get(name)]
    if unset:
        raise ConfigError(
            f"{cohort_file}: `root` is {cohort.root!r}, but {', '.join(unset)} is not set. "
            f"Give the folder with --data DIR, or: export {unset[0]}=/path/to/data"
        )
    root = Path(_VARIABLE.sub(lambda match: os.environ[match[1]], cohort.root)).expanduser()
    root = root if root.is_absolute() else cohort_file.parent / root
    if not root.is_dir():
        raise ConfigError(f"{cohort_file}: `root` is {cohort.root!r}: there is no folder {root}")
    return root.resolve()


def _load(path: Path, model: type[Description]) -> Description:
    raw = load_yaml(path)
    try:
        return model.model_validate(raw)
    except ValidationError as error:
        raise ConfigError(
            f"{path} is not a valid {model.__name__.lower()} description:", problems(error, model)
        ) from None


def load_yaml(path: Path) -> dict[str, Any]:
    """The mapping in a YAML file; ConfigError if it is absent, broken, or no mapping."""
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"there is no file {path}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read {path}: {error}") from None
    except yaml.YAMLError as error:
        raise ConfigError(f"{path} is not valid YAML: {' '.join(str(error).split())}") from None
    if not isinstance(raw, dict):
        raise ConfigError(f"{path} must be a mapping of keys to values, and is {type(raw).__name__}")
    return raw


def problems(error: ValidationError, model: type[BaseModel]) -> tuple[str, ...]:
    """One line for each mistake: the key as written in the file, what was expected, the nearest spelling."""
    return tuple(_problem(dict(item), model) for item in error.errors())


def _problem(item: dict[str, Any], model: type[BaseModel]) -> str:
    keys, known = _walk(model, item["loc"])
    key = ".".join(keys)
    if item["type"] == "extra_forbidden":
        return f"unknown key `{key}`{suggest(keys[-1], known)}; known here: {', '.join(known)}"
    if item["type"] == "missing":
        return f"missing key `{key}`"
    if item["type"] == "union_tag_invalid":
        tag = item["ctx"]["tag"]
        names = re.findall(r"'([^']+)'", item["ctx"]["expected_tags"])
        return f"`{key}`: unknown name {tag!r}{suggest(tag, names)}; the names are: {', '.join(names)}"
    if item["type"] in ("union_tag_not_found", "model_attributes_type"):
        return f"`{key}`: must be a name, or a mapping of `name` and options"
    message = item["msg"].removeprefix("Value error, ")
    return f"`{key}`: {message}" if key else message


def _walk(model: type[BaseModel], location: tuple[int | str, ...]) -> tuple[list[str], list[str]]:
    """Keys as written in the file, without the names of chosen alternatives, and the fields known beside the last."""
    keys: list[str] = []
    candidates, known = [model], list(model.model_fields)
    for part in location:
        if named := [one for one in candidates if _is_called(one, part)]:
            candidates = named
            continue
        keys.append(str(part))
        known = list(dict.fromkeys(name for one in candidates for name in one.model_fields))
        fields = [one.model_fields[str(part)].annotation for one in candidates if part in one.model_fields]
        # The place in a list and the key in a mapping name no field: what they hold is known already.
        candidates = [inner for annotation in fields for inner in _inner_models(annotation)] or candidates
    return keys, known


def _is_called(model: type[BaseModel], part: int | str) -> bool:
    """Whether a model is the alternative of that name."""
    return "name" in model.model_fields and part in get_args(model.model_fields["name"].annotation)


def _inner_models(annotation: Any) -> list[type[BaseModel]]:
    """The models that an annotation such as ``dict[str, A | B]`` allows."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for inner in get_args(annotation) for model in _inner_models(inner)]
