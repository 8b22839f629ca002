"""What went in: patients, exclusions, findings of the data checks, quality, example waveforms, missing values."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from ppgssl.core.reasons import FindingKind, Reason, Severity
from ppgssl.core.results.base import ResultSchema


class Exclusion(ResultSchema):
    """How many units one reason took out of one cohort."""

    unit: Literal["file", "recording", "segment", "patient", "cell"]
    reason: Reason
    n: int
    examples: list[str] = Field([], description="Up to five identifiers, never clinical values.")


class CohortFlow(ResultSchema):
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


class Finding(ResultSchema):
    """A defect of the data that the pipeline met, what it did about it, and what a reader should make of it."""

    cohort: str
    kind: Reason | FindingKind = Field(description="For example `copy-of-other-patient`.")
    text: str
    severity: Severity


def finding(cohort: str, kind: Reason | FindingKind, text: str) -> Finding:
    """A finding as severe as its kind."""
    return Finding(cohort=cohort, kind=kind, text=text, severity=kind.severity)


class Spo2Agreement(ResultSchema):
    """Saturation from the signals against its reference, in one range of the reference."""

    low: float | None = Field(description="Reference from here on; null: any.")
    high: float | None = Field(description="Reference below; null: any.")
    n_segments: int
    n_patients: int
    bias: float = Field(description="Mean of estimate minus reference, in points.")
    a_rms: float = Field(description="Root mean square of estimate minus reference, in points (ISO 80601-2-61).")


class Spo2Check(ResultSchema):
    """How well the saturation from the signals agrees with that of the device or of the clinical table."""

    cohort: str
    reference: str = Field(description="What it is compared with, in words.")
    calibration: Literal["fit", "device", "textbook"]
    curve: tuple[float, float] | None = Field(
        None, description="Constant and slope in log R, fitted to all patients; each was tested with one of others."
    )
    n_unknown: int = Field(description="Accepted segments with a reference and without a saturation.")
    ranges: list[Spo2Agreement]


class TableOneCell(ResultSchema):
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


class TableOneRow(ResultSchema):
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


class ChannelQuality(ResultSchema):
    """Quality of one channel of one cohort over all its segments."""

    cohort: str
    channel: str
    n_segments: int
    n_accepted: int
    sqi_histogram: list[int] = Field(description="Segments in 20 equal bins over 0..1; undefined SQI left out.")
    defects: dict[str, int] = Field(description="Segments by defect: gap, flat, clipped, jump, low-sqi, ...")
    heart_rate_bpm_quartiles: list[float] | None = Field(description="First quartile, median, third; null if none.")


class SegmentMark(ResultSchema):
    start_s: float
    duration_s: float
    accepted: bool
    sqi: float | None
    defect: str = ""


class ExampleWaveform(ResultSchema):
    """One recording as the pipeline saw it: filtered samples and the decision on each segment."""

    cohort: str
    recording_id: str
    channel: str
    fs_hz: float
    samples: list[float | None] = Field(description="At most 3,000 values; a gap is null.")
    segments: list[SegmentMark]
    caption: str = ""


class MissingVariable(ResultSchema):
    name: str
    label: str
    n_missing: int
    n_missing_with_event: int
    n: int


class MissingData(ResultSchema):
    """What was missing among covariates, and what was done about it."""

    method: Literal["median", "mice"]
    n_imputations: int = Field(1, description="Of mice; 1 otherwise.")
    n_complete: int = Field(description="Patients with every covariate.")
    n_patients: int
    variables: list[MissingVariable]


class LeakageCheck(ResultSchema):
    """Who was tested against who had been seen; a check that fails stops the evaluation, or is reported."""

    what: str = Field(description="The fitted part, or the kind of overlap looked for.")
    n_checked: int
    n_shared: int
    text: str = ""
