"""What ``evaluate`` finds and ``report`` shows: the model behind ``results.json``. Numbers only, nothing rounded."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, ValidationError

from ppgssl.core.errors import ReportError
from ppgssl.core.provenance import write_atomically
from ppgssl.core.results.base import ResultSchema
from ppgssl.core.results.data import (
    ChannelQuality,
    CohortFlow,
    ExampleWaveform,
    Finding,
    LeakageCheck,
    MissingData,
    Spo2Check,
    TableOneRow,
)
from ppgssl.core.results.frames import results_frame
from ppgssl.core.results.performance import AddedValue, ArmResult, DecisionCurve, ValidationSummary
from ppgssl.core.results.pretraining import PretrainingRun
from ppgssl.core.results.probe import ProbeResults
from ppgssl.core.results.robustness import (
    AcquisitionCheck,
    CovariateModel,
    EmbeddingMap,
    LearningCurve,
    Optimism,
    SampleSize,
    ShiftMeasure,
    Stability,
    Subgroup,
)

if TYPE_CHECKING:
    import pandas as pd

RESULTS_FILE = "results.json"


class InputFile(ResultSchema):
    name: str
    sha256: str


class Provenance(ResultSchema):
    created_utc: str
    versions: dict[str, str]
    platform: str
    seed: int
    inputs: list[InputFile]
    study: dict[str, Any] = Field(description="study.yaml, merged with defaults and options.")
    cohorts: list[dict[str, Any]] = Field(description="cohort.yaml of each cohort, likewise.")
    stage_seconds: dict[str, float]
    stage_peak_memory_mb: dict[str, float]


class Results(ResultSchema):
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
    spo2: Spo2Check | None = None
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
    refitting_notes: list[str] = Field([], description="Arms and points that refits leave out, and why.")
    embedding_maps: list[EmbeddingMap] = Field(default_factory=list)
    shift: list[ShiftMeasure] = Field([], description="Of an external validation alone.")
    probe: ProbeResults | None = None
    probe_note: str = Field("", description="Why there is no `probe` although one was run; mostly empty.")
    provenance: Provenance

    def to_frame(self, table: str = "arms") -> pd.DataFrame:
        """The results of all arms as a DataFrame.

        Parameters
        ----------
        table : {"arms", "differences", "operating_points", "decision_curves", "calibration_curves"}
            ``arms`` has a row for each arm, with every measure and its 95 % interval; the others have several.

        Raises
        ------
        ConfigError
            If there is no such table.
        """
        return results_frame(self.arms, table)


def save_results(results: Results, path: Path) -> None:
    write_atomically(path, results.model_dump_json(indent=1))


def load_results(path: Path) -> Results:
    """Read ``results.json``; ReportError if it is absent, unreadable, cut off, or not a result of this version."""
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
