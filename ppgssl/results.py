"""What ``evaluate`` finds and ``report`` shows: the model behind ``results.json``. Numbers only, nothing rounded."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ppgssl.errors import ReportError
from ppgssl.provenance import write_atomically

RESULTS_FILE = "results.json"


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
    p_adjusted: float | None = Field(
        None, description="By Holm over all arms compared with the same kind of reference; null where not adjusted."
    )
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
    """Sensitivity over 1 - specificity; the band, of pointwise 95 % intervals, is empty where it was not computed."""

    false_positive_rate: list[float]
    true_positive_rate: list[float]
    ci_low: list[float] = Field(default_factory=list)
    ci_high: list[float] = Field(default_factory=list)


class RiskGroup(_Model):
    """Patients of similar predicted risk. Groups with under 5 patients with or without the event are merged."""

    n: int
    mean_predicted: float
    observed: float
    ci_low: float
    ci_high: float


class Calibration(_Model):
    """How predicted risks agree with what happened; scores of cross-validation pooled within each repeat."""

    intercept: Interval = Field(description="In the large: the logit offset that would make mean risk right; ideal 0.")
    slope: Interval = Field(description="Of the outcome on the logit of the risk; ideal 1.")
    ici: Interval = Field(description="Integrated calibration index: mean distance of curve and diagonal.")
    ici_if_perfect: float | None = Field(
        None, description="Mean ICI of outcomes drawn from these risks: how far from 0 chance alone takes it."
    )
    e50: float | None = Field(None, description="Median distance of curve and diagonal.")
    e90: float | None = Field(None, description="90th percentile of the distance.")
    curve_predicted: list[float] = Field(description="Risks at which the flexible curve is given; empty if undefined.")
    curve_observed: list[float]
    curve_ci_low: list[float]
    curve_ci_high: list[float]
    groups: list[RiskGroup]
    histogram: list[int] = Field(description="Predictions in 20 equal bins over 0..1, of the first repeat.")


class OperatingPoint(_Model):
    """Classification at a threshold chosen on training patients, or given by the study."""

    rule: Literal["youden", "sensitivity", "given"]
    label: str = Field(description="For example `Youden index` or `risk of 20 % or more`.")
    threshold: float = Field(description="Median over the models, where each chose its own.")
    n_positive: float = Field(description="Patients at or above it, mean over repeats.")
    sensitivity: Interval
    specificity: Interval
    ppv: Interval
    npv: Interval


class DecisionCurve(_Model):
    """Net benefit over risk thresholds, in true positives per patient."""

    threshold: list[float]
    net_benefit: list[float]
    ci_low: list[float]
    ci_high: list[float]


class ArmResult(_Model):
    """One row of the results table."""

    name: str
    label: str
    learner: Literal["ridge", "elastic-net", "horseshoe", "gradient-boosting", "network"]
    clinical: Literal["heart-rate", "vitals", "covariates"] | None = None
    features: Literal["untrained", "ssl-labelled", "ssl-all", "minirocket", "pulse-wave"] | None = None
    is_beside_hand_made: bool = Field(
        False, description="True where the features of an encoder stand beside hand-made pulse features."
    )
    is_late_fusion: bool = False
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
    scaled_brier: Interval | None = Field(
        None, description="1 - Brier / Brier of predicting the prevalence; 1 is perfect."
    )
    calibration: Calibration | None = None
    operating_points: list[OperatingPoint] = Field(default_factory=list)
    decision_curve: DecisionCurve | None = None
    difference: Difference | None = Field(description="Against the covariates arm; null for that arm itself.")
    difference_to_untrained: Difference | None = Field(
        None, description="Against the same arm with an untrained encoder; null for arms without SSL."
    )
    difference_to_clinical: Difference | None = Field(
        None, description="Against its clinical input alone by the same learner: what the signals add; else null."
    )
    difference_to_hand_made: Difference | None = Field(
        None,
        description="Against the same arm without the encoder's features: what they add to hand-made ones; null for "
        "arms without both.",
    )
    auroc_sensitivity: Interval | None = Field(
        None, description="The same predictions in the patients of the sensitivity analysis alone."
    )
    roc: RocCurve
    seconds: float


class ValidationSummary(_Model):
    scheme: Literal["repeated-kfold", "single-split", "leave-one-site-out", "external"] = Field(
        description="external: a frozen model, made elsewhere, on patients whom it has not seen."
    )
    n_folds: int
    n_repeats: int
    n_patients: int
    n_events: int
    n_test_patients: int = Field(description="Patients with a prediction: all of them under k-fold.")
    n_bootstrap: int
    n_bootstrap_skipped: int = Field(description="Resamples in which the AUROC is not defined.")
    sites: dict[str, int] = Field(default_factory=dict, description="Site -> patients, of leave-one-site-out.")
    notes: list[str] = Field(
        default_factory=list, description="What a reader must know, such as folds without an event in the test part."
    )
    sensitivity: str | None = Field(None, description="Who is in the sensitivity analysis, in words.")
    sensitivity_n_patients: int | None = None
    sensitivity_n_events: int | None = None


class MissingVariable(_Model):
    name: str
    label: str
    n_missing: int
    n_missing_with_event: int
    n: int


class MissingData(_Model):
    """What was missing among covariates, and what was done about it."""

    method: Literal["median", "mice"]
    n_imputations: int = Field(1, description="Of mice; 1 otherwise.")
    n_complete: int = Field(description="Patients with every covariate.")
    n_patients: int
    variables: list[MissingVariable]


class SampleSizeCriterion(_Model):
    criterion: str = Field(description="In words.")
    n_required: int


class SampleSize(_Model):
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


class OddsRatio(_Model):
    """One term of the covariate model, fitted to all patients without penalty."""

    term: str
    label: str = Field(description="With the unit, or the level and its reference.")
    odds_ratio: Interval
    p_value: float | None


class CovariateModel(_Model):
    """Inference about the covariates, beside prediction; nothing of it enters another table."""

    n_patients: int
    n_events: int
    odds_ratios: list[OddsRatio]
    note: str = Field("", description="Such as separation, or how missing values were pooled.")


class AddedValue(_Model):
    """What SSL features add to the same arm without them: a clinical input, or hand-made features."""

    arm: str
    reference: str
    auroc: Difference
    net_benefit: list[Difference] = Field(default_factory=list, description="At each of `thresholds`.")
    thresholds: list[float] = Field(default_factory=list)
    lr_chi2: float | None = Field(
        None,
        description="Likelihood-ratio statistic of adding the logit of the arm's out-of-fold risk to that of the "
        "reference, median over repeats.",
    )
    lr_df: int | None = None
    lr_p_value: float | None = None


class SubgroupLevel(_Model):
    """Patients of one level. Numbers and results are null where a count under 5 is suppressed."""

    level: str
    n: int | None
    n_events: int | None
    is_suppressed: bool = False
    auroc: dict[str, Interval] = Field(default_factory=dict, description="By arm; absent where not defined.")


class Subgroup(_Model):
    variable: str
    label: str
    levels: list[SubgroupLevel]
    interaction_p: dict[str, float | None] = Field(
        default_factory=dict, description="By arm: bootstrap p-value of equal AUROC in all levels."
    )


class LearningPoint(_Model):
    n_patients: int = Field(description="Training patients, mean over folds.")
    n_events: float
    auroc: Interval
    n_fits: int


class LearningCurve(_Model):
    arm: str
    label: str
    points: list[LearningPoint]


class Stability(_Model):
    """How one patient's risk changes between models fitted to bootstrap samples of the patients."""

    arm: str
    label: str
    n_refits: int
    risk: list[float] = Field(description="Of the model fitted to all patients, sorted; one a patient.")
    ci_low: list[float] = Field(description="2.5th percentile over refits, in the order of `risk`.")
    ci_high: list[float]
    mean_absolute_difference: float = Field(description="Between refits and `risk`, mean over patients and refits.")


class Optimism(_Model):
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


class EmbeddingMap(_Model):
    """Two coordinates of each patient's features; it was not used for anything but the picture."""

    features: str
    label: str
    method: str = Field(description="Such as `t-SNE of the first 30 principal components`.")
    x: list[float]
    y: list[float]
    is_event: list[bool | None] = Field(description="Null where a patient has no outcome.")
    cohort: list[str]


class LeakageCheck(_Model):
    """Who was tested against who had been seen; a check that fails stops the evaluation, or is told of."""

    what: str = Field(description="The fitted part, or the kind of overlap looked for.")
    n_checked: int
    n_shared: int
    text: str = ""


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


class ShiftMeasure(_Model):
    """One quantity of an external validation: its patients beside those that the model was fitted to."""

    name: str
    label: str
    group: Literal["covariate", "signal", "feature", "risk"]
    unit: str = ""
    n: int = Field(description="Patients with a value.")
    n_missing: int
    n_reference: int
    share_missing_reference: float
    mean: float | None = None
    sd: float | None = None
    mean_reference: float | None = None
    sd_reference: float | None = None
    difference: float | None = Field(
        None, description="Standardised: in SDs, above 0 where higher here; of several levels, a distance."
    )
    difference_by_chance: float | None = Field(None, description="Exceeded by 5 of 100 samples of these sizes.")
    index: float | None = Field(None, description="Population stability index.")
    index_by_chance: float | None = None
    is_warning: bool


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
    leakage: list[LeakageCheck] = Field(default_factory=list)
    arms: list[ArmResult]
    decision_references: dict[Literal["treat all", "treat none"], DecisionCurve] = Field(default_factory=dict)
    missing: MissingData | None = None
    sample_size: SampleSize | None = None
    covariate_model: CovariateModel | None = None
    added_value: list[AddedValue] = Field(default_factory=list)
    subgroups: list[Subgroup] = Field(default_factory=list)
    learning_curves: list[LearningCurve] = Field(default_factory=list)
    stability: list[Stability] = Field(default_factory=list)
    optimism: list[Optimism] = Field(default_factory=list)
    refitting_notes: list[str] = Field(
        default_factory=list, description="Arms and points that refits leave out, and why."
    )
    embedding_maps: list[EmbeddingMap] = Field(default_factory=list)
    shift: list[ShiftMeasure] = Field(default_factory=list, description="Of an external validation alone.")
    probe: ProbeResults | None = None
    probe_note: str = Field("", description="Why there is no `probe` although one was run; mostly empty.")
    provenance: Provenance


def save_results(results: Results, path: Path) -> None:
    write_atomically(path, results.model_dump_json(indent=1))


def load_results(path: Path) -> Results:
    """Read ``results.json``.

    Raises
    ------
    ReportError
        If the file is absent, cannot be read, is cut off, is something else, or is not a result of this version.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise ReportError(f"there is no {path}: run `ppgssl evaluate STUDY.yaml` first") from None
    except OSError as error:
        raise ReportError(f"cannot read {path}: {error.strerror}. Name the {RESULTS_FILE} of a study.") from None
    try:
        return Results.model_validate_json(content)
    except ValidationError as error:
        raise ReportError(f"{path} {_complaint(content, error)}") from None


def _complaint(content: bytes, error: ValidationError) -> str:
    """What a file is instead of a result, and the way out."""
    again = "Run `ppgssl evaluate STUDY.yaml` again."
    first = error.errors()[0]
    if first["type"] == "json_invalid":
        return f"is not a result: no JSON, or only a part ({first['msg'].removeprefix('Invalid JSON: ')}). {again}"
    found = json.loads(content)
    if not isinstance(found, dict) or not {"schema_version", "arms", "provenance"} <= set(found):
        return f"is not a result, but other JSON. Name the {RESULTS_FILE} that `ppgssl evaluate STUDY.yaml` wrote."
    provenance = found["provenance"] if isinstance(found["provenance"], dict) else {}
    versions = provenance.get("versions")
    made_by = versions.get("ppgssl", "an unknown version") if isinstance(versions, dict) else "an unknown version"
    place = ".".join(map(str, first["loc"]))
    return f"is not a result of this version ({place}: {first['msg']}), but of ppgssl {made_by}. {again}"
