"""What ``evaluate`` finds and ``report`` shows: the model behind ``results.json``. Numbers only, nothing rounded."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ppgssl.errors import ReportError


class _Model(BaseModel):
    # Non-finite numbers are not JSON: what is not defined is null.
    model_config = ConfigDict(extra="forbid", ser_json_inf_nan="null")


class Interval(_Model):
    """An estimate with its 95 % interval; null where the statistic is not defined."""

    estimate: float | None
    ci_low: float | None
    ci_high: float | None


class Difference(Interval):
    """A paired difference, and its two-sided bootstrap p-value."""

    p_value: float | None
    reference: str = Field(description="Name of the arm that is subtracted.")


class Exclusion(_Model):
    """How many units one reason took out of one cohort."""

    unit: Literal["file", "recording", "segment", "patient", "cell"]
    reason: str
    n: int
    examples: list[str] = Field(default_factory=list, description="Up to five identifiers, never clinical values.")


class CohortFlow(_Model):
    """From files to patients analysed."""

    cohort: str
    title: str
    role: Literal["labelled", "unlabelled"]
    citation: str = ""
    n_files: int
    n_recordings: int = Field(description="Stored recordings.")
    n_recordings_used: int = Field(description="Recordings with the input channels and at least one accepted segment.")
    n_segments: int
    n_segments_accepted: int
    n_patients_table: int | None = Field(description="Rows of the clinical table; null without a table.")
    n_patients_with_recordings: int
    n_patients_analysed: int
    n_events: int | None = None
    exclusions: list[Exclusion] = Field(default_factory=list)


class Finding(_Model):
    """A defect of the data that the pipeline met, what it did about it, and what a reader should make of it."""

    cohort: str
    kind: str = Field(description="Short title, for example `Identical signals under two patients`.")
    text: str
    severity: Literal["note", "caution"] = "note"


class TableOneCell(_Model):
    """Summary of one variable in one group: n, then moments and quartiles, or a count."""

    n: int = Field(description="Patients with a value.")
    n_missing: int
    mean: float | None = None
    sd: float | None = None
    median: float | None = None
    q1: float | None = None
    q3: float | None = None
    count: int | None = None
    fraction: float | None = None


class TableOneRow(_Model):
    """One variable, or one level of a categorical variable."""

    variable: str
    label: str
    unit: str = ""
    kind: Literal["numeric", "binary", "categorical"]
    level: str | None = None
    overall: TableOneCell
    without_event: TableOneCell
    with_event: TableOneCell
    smd: float | None = Field(None, description="Standardized mean difference, event minus no event.")


class ChannelQuality(_Model):
    """Quality of one channel of one cohort over all its segments."""

    cohort: str
    channel: str
    n_segments: int
    n_accepted: int
    sqi_histogram: list[int] = Field(
        description="Counts of segments in 20 equal bins over 0..1; undefined SQI left out."
    )
    defects: dict[str, int] = Field(
        description="Segments by their defect, for example gap, flat, clipped, jump, low_sqi."
    )
    heart_rate_bpm_quartiles: list[float] | None = Field(description="First quartile, median, third; null if none.")


class SegmentMark(_Model):
    start_s: float
    duration_s: float
    accepted: bool
    sqi: float | None
    defect: str = ""


class ExampleWaveform(_Model):
    """One recording as the pipeline saw it: filtered samples and the verdict on each segment."""

    cohort: str
    recording_id: str
    channel: str
    fs_hz: float
    samples: list[float | None] = Field(description="At most 3,000 values; a gap is null.")
    segments: list[SegmentMark]
    caption: str = ""


class CurvePoint(_Model):
    step: int
    train_loss: float | None
    validation_loss: float | None


class Reconstruction(_Model):
    """A segment of a held-out patient, what the encoder saw of it, and what came back."""

    cohort: str
    channel: str
    fs_hz: float
    original: list[float]
    is_masked: list[bool]
    reconstruction: list[float]


class PretrainingRun(_Model):
    """One encoder source (``ssl-labelled`` or ``ssl-all``), over all the folds it was trained for."""

    encoder: str
    label: str
    exposure: Literal["per-fold", "disjoint", "transductive"]
    n_encoders: int
    n_patients: int = Field(description="Training patients, of the first encoder.")
    n_segments: int
    n_parameters: int
    curves: list[list[CurvePoint]] = Field(description="One curve an encoder.")
    score_name: str = Field("", description="What `score` is, for example variance explained of hidden samples.")
    score: float | None = Field(None, description="Of the pretext task on held-out patients, mean over encoders.")
    effective_rank: float | None = Field(None, description="Of the held-out representation, mean over encoders.")
    seconds: float
    device: str
    warnings: list[str] = Field(
        default_factory=list, description="What went wrong with an encoder, such as a collapse, and with which."
    )
    hardware: dict[str, Any] = Field(
        default_factory=dict, description="Of the first encoder: processor, cores, memory, GPU, devices, precision."
    )
    cpu_joules: float | None = Field(
        None,
        description="Energy of all processors and their memory, summed over encoders, of which those trained side by "
        "side each count the others, too; null where it is not counted.",
    )
    gpu_joules: float | None = Field(None, description="Energy of the GPUs, summed over encoders.")
    energy_note: str = Field("", description="What was not counted, and why.")
    reconstructions: list[Reconstruction] = Field(default_factory=list)


class RocCurve(_Model):
    false_positive_rate: list[float]
    true_positive_rate: list[float]


class ArmResult(_Model):
    """One row of the results table."""

    name: str
    label: str
    learner: Literal["logistic", "network"]
    is_control: bool
    is_transductive: bool = Field(description="True where SSL pretraining saw test patients (never their outcomes).")
    n_features: int | None = Field(description="Columns after encoding; null for a network.")
    auroc: Interval
    difference: Difference | None = Field(description="Against the covariates arm; null for that arm itself.")
    difference_to_untrained: Difference | None = Field(
        None, description="Against the same arm with an untrained encoder; null for arms without SSL."
    )
    auroc_sensitivity: Interval | None = Field(
        None, description="The same predictions in the patients of the sensitivity analysis alone."
    )
    roc: RocCurve
    seconds: float


class ValidationSummary(_Model):
    scheme: Literal["repeated-kfold", "single-split"]
    n_folds: int
    n_repeats: int
    n_patients: int
    n_events: int
    n_test_patients: int = Field(description="Patients with a prediction: all of them under k-fold.")
    n_bootstrap: int
    n_bootstrap_skipped: int = Field(description="Resamples in which the AUROC is not defined.")
    sensitivity: str | None = Field(None, description="Who is in the sensitivity analysis, in words.")
    sensitivity_n_patients: int | None = None
    sensitivity_n_events: int | None = None


class AcquisitionCheck(_Model):
    """Does a property of the raw signal that physiology does not explain tell the outcome, or a covariate?"""

    cohort: str
    name: str = Field(description="Property, for example `Pulse amplitude (adc)`.")
    values: list[float] = Field(description="One a patient, in the order of `is_event`.")
    is_event: list[bool]
    auroc: Interval = Field(description="Of the property alone, oriented to be at least 0.5.")
    threshold: float | None = Field(None, description="Between two separate groups of patients, null if there is one.")
    text: str


class ProbeRepresentation(_Model):
    """One way to describe a segment by numbers."""

    name: str
    label: str
    kind: Literal["ssl", "baseline"]
    parts: dict[str, int] = Field(
        description="Parts of it that are judged alone -> numbers of features; `depth-1` is the shallowest map."
    )
    own_part: str = Field(description="The part that stands for a segment in the study's arms.")
    warnings: list[str] = Field(
        default_factory=list, description="What went wrong with an encoder, such as a collapse, and with which."
    )


class ProbeQuantity(_Model):
    """Something that a representation should tell, of the patients of one cohort."""

    cohort: str
    name: str = Field(description="For example `heart_rate`; `retrieval` and `outcome` are the tasks of those names.")
    label: str
    unit: str = ""
    source: str = Field("", description="Where the true values come from, in words.")
    n_patients: int = Field(description="Patients with a value.")
    n_unknown: int = Field(0, description="Patients of the cohort without one, who were left out.")
    is_measured: bool = Field(description="False where too few patients have a value, or all have the same.")
    mean: float | None = None
    sd: float | None = Field(None, description="Between patients; null for tasks.")
    chance: dict[str, float] = Field(
        default_factory=dict, description="Statistic -> what features that know nothing reach."
    )


class ProbeMeasure(_Model):
    """One statistic of one part of a representation."""

    cohort: str
    quantity: str
    statistic: Literal["r2", "mae", "top1", "reciprocal_rank", "auroc"]
    representation: str
    part: str
    value: Interval
    differences: list[Difference] = Field(
        default_factory=list, description="Of an SSL representation, to each baseline on the same patients."
    )


class ProbeResults(_Model):
    """What ``ppgssl probe`` found."""

    made_of: str = Field(description="Fingerprint of all that decided it.")
    n_folds: int
    n_repeats: int
    n_bootstrap: int
    n_draws: int = Field(description="Pairs of segments drawn for each patient of the retrieval.")
    segment_s: float
    seconds: float
    representations: list[ProbeRepresentation]
    quantities: list[ProbeQuantity]
    measures: list[ProbeMeasure]


class InputFile(_Model):
    name: str
    sha256: str


class Provenance(_Model):
    created_utc: str
    versions: dict[str, str]
    platform: str
    seed: int
    inputs: list[InputFile]
    study: dict[str, Any] = Field(description="study.yaml, merged with defaults and options.")
    cohorts: list[dict[str, Any]] = Field(description="cohort.yaml of each cohort, likewise.")
    stage_seconds: dict[str, float]
    stage_peak_memory_mb: dict[str, float]


class Results(_Model):
    """All that the report shows."""

    schema_version: Literal[1] = 1
    name: str
    title: str
    description: str = ""
    authors: str = ""
    outcome: str
    outcome_label: str
    event_label: str
    covariate_labels: list[str]
    flow: list[CohortFlow]
    findings: list[Finding]
    table_one: list[TableOneRow]
    quality: list[ChannelQuality]
    examples: list[ExampleWaveform]
    acquisition: list[AcquisitionCheck] = Field(default_factory=list)
    pretraining: list[PretrainingRun]
    validation: ValidationSummary
    arms: list[ArmResult]
    probe: ProbeResults | None = None
    probe_note: str = Field("", description="Why there is no `probe` although one was run; mostly empty.")
    provenance: Provenance


def save_results(results: Results, path: Path) -> None:
    path.write_text(results.model_dump_json(indent=1), encoding="utf-8")


def load_results(path: Path) -> Results:
    """Read ``results.json``.

    Raises
    ------
    ReportError
        If the file is absent or is not a result of this version.
    """
    try:
        return Results.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        raise ReportError(f"there is no {path}: run `ppgssl evaluate STUDY.yaml` first") from None
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise ReportError(
            f"{path} is not a result of this version ({place}: {first['msg']}). Run `ppgssl evaluate STUDY.yaml` again."
        ) from None
