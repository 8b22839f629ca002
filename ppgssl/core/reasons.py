"""Why something was left out or noted, and what was observed: stable codes for stores and results, texts for people.

Stores and results hold the codes. Texts are looked up where people read them.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Literal, Self

Unit = Literal["file", "source", "recording", "segment", "patient", "row", "cell", "variable"]
Severity = Literal["note", "caution"]
_CONSEQUENCES = {
    "spo2-uncalibrated": "Its percentages may be wrong by more than ten points where the saturation is low. Use it to "
    "rank patients of one device, not as a percentage.",
    "name-nearly-matches": "Not read: rename them, or correct the pattern in cohort.yaml.",
    "file-gone": "Their recordings are kept in the store, and used.",
    "file-unreadable": "Left out; the store's table of rejects gives the cause for each.",
    "signal-unusable": "Left out; the store's table of rejects gives the cause for each.",
    "joined-recordings": "Split into recordings of the typical length; no segment spans the seam.",
    "copy-of-same-patient": "The first is used, its copies are not.",
    "copy-of-other-patient": "At least one of the patients has a wrong recording and the data cannot show which, so "
    "none of these is used. The patients stay on one side of every split.",
    "shared-with-other-cohort": "An earlier cohort holds the same signals. Left out of this one.",
    "contradicting-rows": "None of the contradicting rows is used.",
    "other-unit": "Left as they are: correct the table if so.",
    "no-signals": "Not analysed.",
    "not-in-table": "Used for pretraining only: there is no outcome to learn or test.",
}


class Reason(StrEnum):
    """Why a file, recording, segment, patient, row, cell or variable was left out, or noted.

    Attributes
    ----------
    unit : str
        What the reason concerns.
    text : str
        A short phrase for people.
    consequence : str
        What was done about it, in a sentence; empty where the text is enough.
    severity : {"note", "caution"}
        Whether a reader should hesitate.
    label : str
        Of segments: a word for the heads of tables.
    """

    unit: Unit
    text: str
    consequence: str
    severity: Severity
    label: str

    def __new__(
        cls, code: str, unit: Unit = "file", text: str = "", severity: Severity = "note", label: str = ""
    ) -> Self:
        member = str.__new__(cls, code)
        member._value_ = code
        member.unit, member.text, member.severity, member.label = unit, text, severity, label
        member.consequence = _CONSEQUENCES.get(code, "Not used." if unit == "segment" else "")
        return member

    # Names of files and folders.
    FOLDER_UNREADABLE = "folder-unreadable", "file", "folder cannot be listed"
    OUTSIDE_ROOT = "outside-root", "file", "lies outside the cohort's folder"
    NAME_NOT_TEXT = "name-not-text", "file", "file name is not valid text"
    NAME_AMBIGUOUS = "name-ambiguous", "file", "file name can be read in two ways"
    NAME_NEARLY_MATCHES = "name-nearly-matches", "file", "file name nearly matches", "caution"
    FILE_WITHOUT_RECORDING = "file-without-recording", "file", "file without its recording"
    FILE_GONE = "file-gone", "source", "file no longer in the folder"

    # Content of files.
    FILE_UNREADABLE = "file-unreadable", "file", "file cannot be read", "caution"
    SIGNAL_UNUSABLE = "signal-unusable", "file", "signal cannot be processed", "caution"
    NO_TRENDS = "no-trends", "recording", "no file of device trends"

    # Recordings among the others of their cohort.
    JOINED = "joined-recordings", "recording", "joined recordings, split"
    COPY_OF_PATIENT = "copy-of-same-patient", "recording", "identical to another recording of the patient"
    COPY_OF_OTHER = "copy-of-other-patient", "recording", "identical signals under two patients", "caution"
    SHARED_WITH_COHORT = "shared-with-other-cohort", "recording", "signals shared with another cohort", "caution"
    TOO_SHORT = "too-short", "recording", "shorter than one segment"
    RECORDING_WITHOUT_SEGMENT = "recording-without-segment", "recording", "no accepted segment"

    # Segments.
    GAP = "gap", "segment", "missing samples", "note", "Gap"
    FLAT = "flat", "segment", "flat line", "note", "Flat"
    CLIPPED = "clipped", "segment", "saturated", "note", "Clipped"
    JUMP = "jump", "segment", "jump or wrap-around", "note", "Jump"
    LOW_SQI = "low-sqi", "segment", "low signal quality index", "note", "Low SQI"
    LOW_DEVICE_SQI = "low-device-sqi", "segment", "low SQI of the device", "note", "Low device SQI"

    # Vital signs.
    SPO2_UNCALIBRATED = "spo2-uncalibrated", "variable", "oxygen saturation uncalibrated", "caution"

    # The clinical table.
    ROW_WITHOUT_ID = "row-without-id", "patient", "row without a patient id"
    ROW_MISSHAPEN = "row-misshapen", "patient", "row with too many or too few cells"
    REPEATED_PATIENT = "repeated-patient", "row", "patient twice in the table, same values"
    CONTRADICTING_ROWS = "contradicting-rows", "patient", "patient twice in the table, other values", "caution"
    IDENTICAL_ROWS = "identical-rows", "row", "identical rows under two ids"
    NOT_A_NUMBER = "not-a-number", "cell", "not a number"
    NOT_A_DATE = "not-a-date", "cell", "not a date"
    UNKNOWN_LEVEL = "unknown-level", "cell", "unknown level"
    IMPLAUSIBLE = "implausible", "cell", "outside the plausible range"
    OTHER_UNIT = "other-unit", "variable", "perhaps another unit", "caution"

    # Patients.
    NO_SIGNALS = "no-signals", "patient", "patient without signals"
    NOT_IN_TABLE = "not-in-table", "patient", "signals without a patient"
    NO_READABLE_FILE = "no-readable-file", "patient", "no file could be read"
    OUTCOME_MISSING = "outcome-missing", "patient", "outcome missing"
    SITE_MISSING = "site-missing", "patient", "site missing"
    PATIENT_WITHOUT_SEGMENT = "patient-without-segment", "patient", "no accepted segment"
    SEEN_BY_MODEL = "seen-by-model", "patient", "already seen by the model"
    NOTHING_KNOWN = "nothing-known", "patient", "nothing known that the model takes"

    @property
    def heading(self) -> str:
        return self.text[0].upper() + self.text[1:]

    @property
    def is_loss(self) -> bool:
        """Whether what it concerns is not used."""
        return self.unit in ("file", "recording", "segment", "patient", "cell") and self not in _KEPT


# A split recording is stored in parts; trends add to a recording that is complete without them.
_KEPT = (Reason.JOINED, Reason.NO_TRENDS)
# Of a segment's channel: of the raw samples, and of their quality.
DEFECTS = (Reason.GAP, Reason.FLAT, Reason.CLIPPED, Reason.JUMP)
SEGMENT_REASONS = (*DEFECTS, Reason.LOW_SQI)
WRONG_KINDS = (Reason.NOT_A_NUMBER, Reason.NOT_A_DATE, Reason.UNKNOWN_LEVEL)


class FindingKind(StrEnum):
    """What was found of a model or its patients; what was found of files and tables has a :class:`Reason`."""

    heading: str

    def __new__(cls, code: str, heading: str = "") -> Self:
        member = str.__new__(cls, code)
        member._value_ = code
        member.heading = heading
        return member

    FIT_CHANGED = "fit-changed", "A model was fitted otherwise than planned"
    MODEL_SAW_PATIENTS = "model-saw-patients", "Model had seen patients"
    MODEL_LACKS_VALUES = "model-lacks-values", "Model takes values that this cohort does not have"
    MODEL_OTHER_SIGNALS = "model-other-signals", "Model was given other signals than in training"
    MODEL_OTHER_SOFTWARE = "model-other-software", "Model was made with other software"
    UNLIKE_COVARIATES = "unlike-training-covariates", "Unlike the training patients: clinical values"
    UNLIKE_SIGNALS = "unlike-training-signals", "Unlike the training patients: signals"
    UNLIKE_FEATURES = "unlike-training-features", "Unlike the training patients: features"
    UNLIKE_RISKS = "unlike-training-risks", "Unlike the training patients: predicted risks"
    UNLIKE_TOGETHER = "unlike-training-together", "Unlike the training patients: features together"

    @property
    def severity(self) -> Severity:
        return "caution"

    @property
    def concerns_model(self) -> bool:
        """Whether it concerns a model that was fitted elsewhere, and its new patients."""
        return self is not FindingKind.FIT_CHANGED
