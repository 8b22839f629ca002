"""A model on new patients: a risk with its interval and reasons to distrust it, or a refusal with its reason."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

import numpy as np
import pandas as pd
from pydantic import Field, ValidationError

from ppgssl.core.config.arms import parse_arm
from ppgssl.core.errors import ConfigError, StoreError
from ppgssl.core.provenance import utc_now
from ppgssl.core.records import FloatArray
from ppgssl.core.schema import Schema
from ppgssl.evaluation.recalibration import Recalibration
from ppgssl.features.patient_table import clinical_variables, needs_signals
from ppgssl.features.signal_summary import SIGNAL_QUANTITIES, signal_summary
from ppgssl.models.folder import FittedModel, load_model
from ppgssl.models.reference import Reference, distance
from ppgssl.stages.deploy.model_inputs import arm_table, known_as, site_covariates, site_data
from ppgssl.stages.deploy.new_patients import NewPatients
from ppgssl.stages.evaluate.flow import DEFECT_LABELS
from ppgssl.store.assembly import patient_key
from ppgssl.store.segmenting import LOW_SQI
from ppgssl.store.study_data import StudyData
from ppgssl.store.tables import CohortStore

INTERVAL = (
    "95 % percentile interval over the model refitted to bootstrap samples of its training patients: how much the risk "
    "depends on who these were. Not in it: the encoder, which stays as it is, the chance of the outcome itself, and "
    "whether these patients are like those."
)

CREDIBLE_INTERVAL = (
    "95 % credible interval: the 2.5th to the 97.5th percentile of the risk over draws from the posterior of the "
    "model's coefficients, whose mean is the risk: how unsure these are, given the training patients and the prior. "
    "Not in it: the encoder and what stands in for missing values, which stay as they are, the chance of the outcome "
    "itself, and whether these patients are like those."
)


class PatientPrediction(Schema):
    """One patient."""

    patient_id: str
    verdict: Literal["predicted", "refused"]
    risk: float | None = None
    ci_low: float | None = None
    ci_high: float | None = None
    risk_recalibrated: float | None = Field(None, description="By the recalibration that was asked for.")
    signal: Literal["good", "poor", "unusable", "not used"]
    n_segments: int = 0
    n_segments_accepted: int = 0
    reasons: list[str] = Field(default_factory=list, description="To distrust the risk; or why there is none.")


class Predictions(Schema):
    """All patients, and by what they were predicted."""

    model: str
    model_sha256: str
    outcome: str
    interval: str = INTERVAL
    recalibration: str = ""
    cohort: str
    created_utc: str
    warnings: list[str]
    patients: list[PatientPrediction]

    def table(self) -> pd.DataFrame:
        """A row a patient; reasons are joined by semicolons."""
        rows = [one.model_dump() | {"reasons": "; ".join(one.reasons)} for one in self.patients]
        columns = list(PatientPrediction.model_fields)
        if not self.recalibration:
            columns.remove("risk_recalibrated")
        return pd.DataFrame(rows, columns=columns).assign(model_sha256=self.model_sha256)


def predict(
    model: FittedModel | Path,
    files: Sequence[Path] = (),
    *,
    cohort_file: Path | None = None,
    clinical: Path | None = None,
    recalibration: Recalibration | Path | None = None,
) -> Predictions:
    """Predict the patients of raw files.

    Files are read as the ``cohort.yaml`` of their place says, by default that of the training cohort, and treated as
    the recordings of the training patients were. Where it asks for ``privacy``, patients are named by pseudonyms.

    Parameters
    ----------
    model : FittedModel, or Path of its folder
    files : sequence of Path
        Raw files whose names match ``signals.files``; by default all that lie under the cohort's root, and everybody in
        the clinical table.
    cohort_file : Path, optional
        Description of the cohort that the files are of.
    clinical : Path, optional
        Table of clinical values, in place of the one that the description names. It is described there, or, without a
        cohort file, as the training cohort's table is; only the variables that the model takes are read.
    recalibration : Recalibration, or Path of its file, optional
        Of a validation in the place where the patients are from; its risk stands beside that of the model.

    Returns
    -------
    Predictions
        Patients in the order of the files; with pseudonyms, in the order of these. One whose signal cannot be used is
        refused, never guessed.

    Raises
    ------
    ConfigError
        If nobody is named or a file does not match, the description or the table is wrong, a channel of the model is
        not recorded, or clinical variables are not those of the model. Where patients have pseudonyms, without what
        files are called and hold.
    StoreError
        If the encoder of the model does not compute what it should.
    """
    if isinstance(model, Path):
        model = load_model(model)
    if isinstance(recalibration, Path):
        recalibration = load_recalibration(recalibration, model)
    new = NewPatients(model.card, files, cohort_file, clinical)
    with TemporaryDirectory() as scratch:
        store = new.store(Path(scratch) / "store")
        names = new.patients()
        if not names:
            raise ConfigError("there is nobody to predict: no file and no row of a clinical table names a patient")
        judge = _Judge(model, new, store, recalibration)
        patients = [judge.patient(name) for name in names]
    return Predictions(
        model=model.card.name,
        model_sha256=model.fingerprint,
        outcome=f"{model.card.outcome_label}: {model.card.event_label}",
        interval=CREDIBLE_INTERVAL if model.card.n_draws else INTERVAL,
        recalibration=recalibration.text if recalibration else "",
        cohort=new.cohort.name,
        created_utc=utc_now(),
        warnings=[*model.warnings, *new.notes],
        patients=patients,
    )


# --- judging ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class RisksOfPatients:
    """What a model says of patients, and what it was told of them.

    Attributes
    ----------
    table : DataFrame, index patient key
        What the model sees.
    signals : DataFrame
        Of :func:`ppgssl.features.signal_summary.signal_summary`.
    risks : float array, shape (n_models, n_patients)
        Row 0 is the model; the others its refits, or the draws from its posterior.
    distance : float array or None, shape (n_patients,)
        From the features of training patients; NaN without features.
    """

    table: pd.DataFrame = field(repr=False)
    signals: pd.DataFrame = field(repr=False)
    risks: FloatArray = field(repr=False)
    distance: FloatArray | None = field(repr=False)

    def interval(self) -> tuple[FloatArray, FloatArray]:
        """Ends of the interval of each patient; it holds the model's own risk in any case."""
        others = self.risks[1:] if len(self.risks) > 1 else self.risks
        low, high = np.quantile(others, [0.025, 0.975], axis=0)
        return np.minimum(low, self.risks[0]), np.maximum(high, self.risks[0])


def risks_of(model: FittedModel, data: StudyData) -> RisksOfPatients:
    """The model on the patients of ``data.y``, usable or not.

    Raises
    ------
    StoreError
        If the encoder does not compute what it should.
    """
    card, arm = model.card, parse_arm(model.card.arm)
    signals = signal_summary(data)
    encoder = model.encoder if arm.encoder else None
    variables = card.variables()
    table = arm_table(arm, data.study, variables, card.input, encoder).transform(data)
    assert isinstance(table, pd.DataFrame)
    of_features = None
    if card.neighbourhood is not None and model.precision is not None:
        X = table[card.columns.features].to_numpy(dtype=float)
        near = card.neighbourhood
        of_features = distance(X, np.array(near.centre), np.array(near.scale), model.precision)
        of_features = np.where(np.isnan(X).all(axis=1), np.nan, of_features)
    return RisksOfPatients(table, signals, model.classifier.risks(table), of_features)


def refusal(model: FittedModel, found: RisksOfPatients, row: int) -> str:
    """Why there can be no risk of the patient in a row; empty if there can."""
    card, arm = model.card, parse_arm(model.card.arm)
    study = card.study_model()
    if needs_signals(arm, study) and found.signals["n_accepted"].iloc[row] == 0:
        return _no_signal(int(found.signals["n_segments"].iloc[row]), study.inputs.segment_s)
    clinical = [
        name for name in (*card.columns.numeric, *card.columns.categorical) if name in clinical_variables(arm, study)
    ]
    if clinical and found.table[clinical].iloc[row].isna().all():
        return "none of the clinical values that the model takes is known"
    if card.columns.features and found.table[card.columns.features].iloc[row].isna().all():
        return "no feature could be computed from the signals"
    return ""


def _no_signal(n_segments: int, segment_s: float) -> str:
    if not n_segments:
        return f"no usable signal: no segment of {segment_s:g} s"
    return f"no usable signal: none of {n_segments} segments of {segment_s:g} s is accepted"


class _Judge:
    """Says of each patient what the model says, and what speaks against it."""

    def __init__(
        self, model: FittedModel, new: NewPatients, store: CohortStore, recalibration: Recalibration | None
    ) -> None:
        self.model, self.card, self.new, self.store = model, model.card, new, store
        self.recalibration = recalibration
        self.has_signals = needs_signals(parse_arm(self.card.arm), self.card.study_model())
        self.found = self._found(store)
        if self.found is not None:
            self.row_of = {key: row for row, key in enumerate(self.found.table.index)}
            self.low, self.high = self.found.interval()
        self.known_patients, self.known_signals = (
            set(hashes) for hashes in (self.card.seen.patients_sha256, self.card.seen.signals_sha256)
        )
        self.labels = {one.name: one.label for one in self.card.covariates}
        self.signals = store.recordings(["patient_id", "signal_sha256"])
        self.inputs = self.card.study_model().inputs
        self.segments = store.segments(self.inputs.segment_s, self.inputs.step_s)

    def _found(self, store: CohortStore) -> RisksOfPatients | None:
        """None where nobody has a segment that could be used."""
        names = self.new.patients()
        if not self.has_signals:
            table = site_covariates(store, self.card, names)
            nothing = pd.DataFrame(0, index=table.index, columns=["n_segments", "n_accepted"])
            return RisksOfPatients(table, nothing, self.model.classifier.risks(table), None)
        try:
            data = site_data(store, self.card, patients=names)
        except StoreError:  # this store was made here and now: what it lacks is an accepted segment
            return None
        return risks_of(self.model, data)

    def patient(self, name: str) -> PatientPrediction:
        key = patient_key(self.new.cohort.name, name)
        if self.found is None:
            n = int((self.segments["patient_id"] == name).sum())
            reason = _no_signal(n, self.inputs.segment_s)
            return PatientPrediction(
                patient_id=name,
                verdict="refused",
                signal="unusable",
                n_segments=n,
                reasons=[reason, *self._defects(name), *self.new.complaints(name)],
            )
        row = self.row_of[key]
        reason = refusal(self.model, self.found, row)
        about: dict[str, object] = {
            "patient_id": name,
            "signal": self._signal(row),
            "n_segments": int(self.found.signals["n_segments"].iloc[row]),
            "n_segments_accepted": int(self.found.signals["n_accepted"].iloc[row]),
        }
        if reason:
            defects = self._defects(name) if about["signal"] == "unusable" else []
            return PatientPrediction.model_validate(
                {**about, "verdict": "refused", "reasons": [reason, *defects, *self.new.complaints(name)]}
            )
        risk = float(self.found.risks[0, row])
        return PatientPrediction.model_validate(
            {
                **about,
                "verdict": "predicted",
                "risk": risk,
                "ci_low": float(self.low[row]),
                "ci_high": float(self.high[row]),
                "risk_recalibrated": float(self.recalibration.apply(np.array([risk]))[0])
                if self.recalibration
                else None,
                "reasons": [*self._reasons(row), *self._seen(name), *self.new.complaints(name)],
            }
        )

    def _defects(self, name: str) -> list[str]:
        """What is wrong with the segments of a patient of whom none is accepted."""
        wanted = [f"defect_{channel}" for one in self.inputs.channels for channel in one.any_of]
        own = self.segments[self.segments["patient_id"] == name]
        rows = own[["accepted", *own.columns.intersection(wanted)]].itertuples(index=False)
        found = (next(filter(None, defects), "" if accepted else LOW_SQI) for accepted, *defects in rows)
        counts = Counter(defect for defect in found if defect)
        return [f"segments with {DEFECT_LABELS[defect]}: {n}" for defect, n in counts.items()]

    def _signal(self, row: int) -> str:
        assert self.found is not None
        signals, usual = self.found.signals.iloc[row], self.card.usual
        if not self.has_signals:
            return "not used"
        if signals["n_accepted"] == 0:
            return "unusable"
        is_poor = signals["n_accepted"] < usual.n_segments or signals["share"] < usual.share
        return "poor" if is_poor else "good"

    def _reasons(self, row: int) -> Iterator[str]:
        assert self.found is not None
        signals = self.found.signals.iloc[row]
        if self._signal(row) == "poor":
            yield (
                f"poor signal: {int(signals['n_accepted'])} of {int(signals['n_segments'])} segments could be used, "
                "fewer than of 95 % of the training patients"
            )
        missing = [label for name, label in self.labels.items() if pd.isna(self.found.table[name].iloc[row])]
        if missing:
            yield f"not known, and replaced by what is usual of training patients: {', '.join(missing)}"
        strange = [limits for one in self.card.references if (limits := self._outside(one, row))]
        if strange:
            yield f"outside the middle 98 % of the training patients: {', '.join(strange)}"
        unlike = self.found.distance
        if (
            self.card.neighbourhood is not None
            and unlike is not None
            and unlike[row] > self.card.neighbourhood.threshold
        ):
            yield (
                f"features unlike those of training patients: distance {unlike[row]:.2f}, and 99 % of them lie within "
                f"{self.card.neighbourhood.threshold:.2f}"
            )

    def _outside(self, one: Reference, row: int) -> str:
        """Label and usual range of a quantity that the patient is beyond; never the patient's value."""
        assert self.found is not None
        if one.kind != "numeric" or one.group not in ("covariate", "signal") or one.low is None or one.high is None:
            return ""
        name = one.name.removeprefix("signal_")
        is_signal = one.group == "signal"
        if is_signal and (not self.has_signals or name in ("sqi", "share") or name not in SIGNAL_QUANTITIES):
            return ""  # how good the signal is has a verdict of its own
        value = (self.found.signals if is_signal else self.found.table)[name].iloc[row]
        if pd.isna(value) or one.low <= value <= one.high:
            return ""
        unit = f" {one.unit}" if one.unit else ""
        return f"{one.label} ({one.low:.4g} to {one.high:.4g}{unit})"

    def _seen(self, name: str) -> Iterator[str]:
        own = set(self.signals.loc[self.signals["patient_id"] == name, "signal_sha256"]) - {""}
        if known_as(self.store, name) & self.known_patients or own & self.known_signals:
            yield "the model was made with this patient: its risk is no prediction"


def load_recalibration(path: Path, model: FittedModel) -> Recalibration:
    """A recalibration that an external validation of this model wrote.

    Raises
    ------
    ConfigError
        If there is none, or it is of another model.
    """
    try:
        found = Recalibration.model_validate_json(path.read_bytes())
    except (OSError, ValidationError):
        raise ConfigError(
            f"{path} is no recalibration: name a recalibration-*.json of `ppgssl evaluate --model`"
        ) from None
    if found.model_sha256 != model.fingerprint:
        raise ConfigError(
            f"{path} is of another model (fingerprint {found.model_sha256[:16]}, and this one has "
            f"{model.fingerprint[:16]}): validate this one with `ppgssl evaluate --model`"
        )
    return found
