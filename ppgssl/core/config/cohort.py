"""What ``cohort.yaml`` holds: where the files of one source lie, and what they mean."""

from __future__ import annotations

import datetime
import re
from typing import Annotated, Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from ppgssl.core.config.transforms import Transform
from ppgssl.core.records import modality
from ppgssl.core.schema import NAME_PATTERN, Name, Schema

_CHANNEL = r"^(ppg|ppg_[a-z0-9]+|ecg_[a-z0-9]+|acc_[xyz])$"


# 110 - 25 R: Tremper and Barker, Pulse oximetry, Anesthesiology 70:98-108, 1989, doi 10.1097/00000542-198901000-00019.
TEXTBOOK_SPO2 = [110.0, -25.0]

TrendName = Literal["sqi", "heart_rate_bpm", "spo2_percent", "perfusion_index_percent"]
_FREE_TEXT = ("text", "free text", "freetext", "string", "str", "note", "notes", "comment", "name", "id", "identifier")


class ChannelSource(Schema):
    """Where one channel lies in a raw file, and what its numbers mean."""

    column: str | int = Field(description="Column name or 0-based number in the raw file; array name in array files.")
    unit: str = Field("", description="Unit of the raw samples, as the report should print it.")
    has_baseline: bool = Field(
        False,
        description="True where the raw level is proportional to the light received, so that AC/DC has a meaning.",
    )
    ambient: str | int | None = Field(
        None,
        description="Column, of the same file, of the light that was measured with no lamp lit: subtracted from this "
        "channel before anything else.",
    )
    inverted: bool | Literal["auto"] = Field(
        "auto",
        description="True where the systolic upstroke points down; `auto` looks at the pulse waves of each recording, "
        "and leaves ECG as it is.",
    )
    file: str | None = Field(None, description="Path pattern of the channel's own file, with the fields of `files`.")


class DeviceTrends(Schema):
    """What the device itself displayed, in a file for each recording: a row at every interval."""

    file: str = Field(description="Path pattern of the trend files, with the same fields as `signals.files`.")
    columns: dict[TrendName, str] = Field(
        min_length=1, description="Trend -> its column; blanks around the names in the file do not count."
    )
    interval_s: float = Field(1.0, gt=0, description="Time from row to row; the first row starts with the recording.")
    skip_rows: int = Field(0, ge=0, description="Lines before the header line.")
    delimiter: str = Field(",", min_length=1, max_length=1)
    missing: list[str] = Field(default_factory=lambda: ["", "NA", "NaN", "nan", "-", "--", "---"])


class SignalFiles(Schema):
    """Which files hold the signals, and how they are read."""

    files: str = Field(
        description="Path pattern under `root`, with the fields {patient} and, where files have them, {recording} and "
        "{visit}; a field may carry its own regular expression: {patient:[0-9]+}."
    )
    reader: str = Field(description="Name of a reader, for example `delimited` or `arrays`.")
    options: dict[str, Any] = Field({}, description="Options of that reader.")
    fs_hz: float | None = Field(None, gt=0, description="Sampling rate, where files do not state it.")
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
                raise ValueError(
                    f"channel {name!r} must be named ppg, ppg_red, ppg_ir, ppg_green, ..., ecg_<lead>, or acc_x, acc_y "
                    "or acc_z"
                )
            if value[name].ambient is not None and modality(name) != "ppg":
                raise ValueError(f"channel {name!r} is no light: `ambient` belongs to a ppg")
            if value[name].ambient == value[name].column:
                raise ValueError(f"channel {name!r} and its `ambient` are one column, {value[name].column!r}")
        if all(modality(name) == "acc" for name in value):
            raise ValueError("an accelerometer alone is no signal: add a ppg or ecg channel")
        return value


class Variable(Schema):
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
    defines: list[str] = Field([], description="Outcomes for which it may never be a covariate.")

    @field_validator("kind", mode="before")
    @classmethod
    def _no_free_text(cls, value: Any) -> Any:
        if str(value).lower().replace("-", " ").replace("_", " ") in _FREE_TEXT:
            raise ValueError(
                f"{value!r}: free text is never ingested, because nobody can know whom it names. Leave the column out, "
                "or code its content and describe the codes as `categorical` with `levels`"
            )
        return value

    @field_validator("levels", mode="before")
    @classmethod
    def _levels_are_text(cls, value: Any) -> Any:
        return {str(key): str(level) for key, level in value.items()} if isinstance(value, dict) else value

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        self._check_levels()
        kinds = {"range": "numeric", "transform": "numeric", "dates": "date"}
        for field, kind in kinds.items():
            if self.kind != kind and getattr(self, field):
                raise ValueError(f"a {self.kind} variable has no {field}")
        if self.range and self.range[0] >= self.range[1]:
            raise ValueError("the range must be [low, high] with low < high")
        if self.dates and self.dates[0] >= self.dates[1]:
            raise ValueError("the dates must be [first, last] with first < last")
        self._check_transform()
        return self

    def _check_transform(self) -> None:
        if self.transform is None:
            return
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

    def labelled_as_used(self, name: str) -> Self:
        """With a label that gives the transformation of the values, if any: the result has no unit of its own."""
        if self.transform is None:
            return self
        transform = self.transform.model_copy(update={"unit": self.written_unit})
        label = transform.words(self.label or name)
        return self.model_copy(update={"transform": transform, "label": label, "unit": ""})


class ClinicalTable(Schema):
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
    missing: list[str] = Field(["", "NA", "NaN", "nan", "."], description="Marks of missing.")
    variables: dict[str, Variable] = Field(min_length=1)

    @field_validator("where", mode="before")
    @classmethod
    def _where_is_text(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        return {key: [str(item) for item in (one if isinstance(one, list) else [one])] for key, one in value.items()}

    @field_validator("variables")
    @classmethod
    def _with_labels(cls, value: dict[str, Variable]) -> dict[str, Variable]:
        return {name: variable.labelled_as_used(name) for name, variable in value.items()}

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


class SignalProcessing(Schema):
    """What ingest does to every recording before it is stored."""

    fs_hz: float = Field(100.0, gt=0, le=1000, description="Sampling rate of the stored samples.")
    band_hz: dict[Literal["ppg", "ecg"], tuple[float, float]] = Field(
        default_factory=dict,
        description="Band-pass edges per modality; by default 0.5 to 8 Hz for ppg, 0.5 to 40 Hz for ecg.",
    )


class Segmentation(Schema):
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


class Vitals(Schema):
    """Vital signs of each segment, from its signals."""

    enabled: bool = Field(True, description="False leaves all vital signs but the device's missing, and saves time.")
    spo2_calibration: Annotated[list[float], Field(min_length=1, max_length=5)] | Literal["fit"] | None = Field(
        None,
        description="The device's own curve: SpO2 in percent as a polynomial of the ratio of ratios R, the constant "
        "first; or `fit`: a line in log R is fitted to training patients. Without it, 110 - 25 R of the textbooks is "
        "taken, and the saturation is called uncalibrated.",
    )
    spo2_reference: str | None = Field(
        None,
        description="Of `spo2_calibration: fit`, the clinical variable with the saturation of each patient; by default "
        "the device's trend `spo2_percent`.",
    )

    @property
    def spo2_polynomial(self) -> list[float]:
        """The device's curve, or that of the textbooks; empty where a curve is fitted later."""
        if self.spo2_calibration == "fit":
            return []
        return TEXTBOOK_SPO2 if self.spo2_calibration is None else self.spo2_calibration


class Quality(Schema):
    """How the quality of samples and segments is assessed."""

    enabled: bool = Field(
        True,
        description="False assesses neither samples (saturated, flat, jumping) nor segments (SQI): only gaps count.",
    )
    method: Literal["probability", "rules"] = Field(
        "probability",
        description="What the SQI is: `probability` that the segment's heart rate is within 5 per minute and its beats "
        "are right; `rules`, the least of five published indices.",
    )


class PseudonymKey(Schema):
    """Where the secret key of the pseudonyms lies: never with the data."""

    key_file: str | None = Field(None, description="Path of a file that holds the key, relative to this file.")
    key_env: str | None = Field(None, description="Name of the environment variable that holds the key.")

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if (self.key_file is None) == (self.key_env is None):
            raise ValueError("needs one of `key_file` (a path) and `key_env` (the name of an environment variable)")
        return self


class Privacy(Schema):
    """What is done so that a store, and all that is made from it, names no patient."""

    pseudonyms: PseudonymKey = Field(
        description="Patients, recordings, visits and files are named by keyed hashes of what they are called. Dates "
        "become days from the patient's first date, and messages show no value of a raw file."
    )


class Cohort(Schema):
    """A source of recordings with, maybe, a clinical table: ``cohort.yaml``."""

    name: Name = Field(pattern=NAME_PATTERN)
    title: str = ""
    description: str = ""
    citation: str = ""
    root: str = Field(".", description="Folder of raw files, relative to this file; ${NAME} is an environment value.")
    signals: SignalFiles
    clinical: ClinicalTable | None = None
    signal: SignalProcessing = SignalProcessing()
    segments: Segmentation = Segmentation()
    quality: Quality = Field(Quality(), description="A mapping of `method` and `enabled`, or `false` for none.")
    vitals: Vitals = Vitals()
    privacy: Privacy | None = None

    @field_validator("quality", mode="before")
    @classmethod
    def _switch(cls, value: Any) -> Any:
        if not isinstance(value, bool | dict | Quality):
            raise ValueError(f"expected `false`, or a mapping such as {{method: rules}}, and found {value!r}")
        return {"enabled": value} if isinstance(value, bool) else value

    @model_validator(mode="after")
    def _has_reference_of_spo2(self) -> Self:
        name, trends = self.vitals.spo2_reference, self.signals.trends
        if self.vitals.spo2_calibration != "fit":
            if name is not None:
                raise ValueError("`vitals.spo2_reference` belongs to `vitals.spo2_calibration: fit`")
        elif name is None and (trends is None or "spo2_percent" not in trends.columns):
            raise ValueError(
                "`vitals.spo2_calibration: fit` needs a saturation to fit to: `spo2_percent` in "
                "`signals.trends.columns`, or a clinical variable as `vitals.spo2_reference`"
            )
        elif name is not None and (self.clinical is None or name not in self.clinical.variables):
            raise ValueError(f"`vitals.spo2_reference` names {name!r}, which is no variable of the clinical table")
        elif name is not None and self.clinical and self.clinical.variables[name].kind != "numeric":
            raise ValueError(f"`vitals.spo2_reference` must be a numeric variable, and {name!r} is none")
        return self

    @property
    def has_uncalibrated_spo2(self) -> bool:
        """Whether a saturation is computed from the signals by a curve that is not that of the device."""
        light = [self.signals.channels.get(name) for name in ("ppg_red", "ppg_ir")]
        has_spo2 = self.vitals.enabled and all(one is not None and one.has_baseline for one in light)
        return has_spo2 and self.vitals.spo2_calibration is None

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
    def _has_criterion(self) -> Self:
        trends = self.signals.trends
        if self.segments.accept == "sqi" and not self.quality.enabled:
            raise ValueError("without `quality` there is no SQI: set `segments.accept` to `device` or `device-any`")
        if self.segments.accept != "sqi" and (trends is None or "sqi" not in trends.columns):
            raise ValueError(f"`segments.accept: {self.segments.accept}` needs `sqi` in `signals.trends.columns`")
        return self
