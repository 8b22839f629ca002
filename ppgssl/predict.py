"""A model on new patients: a risk with its interval and reasons to distrust it, or a refusal with its reason."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ppgssl.arms import parse_arm
from ppgssl.config import ClinicalTable, Cohort, cohort_root, load_cohort
from ppgssl.errors import ConfigError, StoreError
from ppgssl.evaluation.recalibration import Recalibration
from ppgssl.file_tasks import do_task, plan, plan_long
from ppgssl.model_inputs import (
    SIGNAL_QUANTITIES,
    clinical_inputs,
    known_as,
    model_table,
    needs_signals,
    signal_summary,
    site_cohort,
    site_covariates,
    site_data,
    site_dictionary,
)
from ppgssl.models.folder import FittedModel
from ppgssl.models.reference import Reference, distance
from ppgssl.provenance import utc_now
from ppgssl.readers import get_reader
from ppgssl.readers.clinical import read_clinical
from ppgssl.readers.files import SourceFile, find_files
from ppgssl.readers.pseudonyms import Pseudonyms
from ppgssl.readers.secret_key import load_key
from ppgssl.records import FloatArray, Reject
from ppgssl.store.assembly import patient_key
from ppgssl.store.segmenting import concatenate
from ppgssl.store.study_data import StudyData
from ppgssl.store.tables import CohortStore, sourced_rejects_frame
from ppgssl.store.whole_cohort import find_duplicates

_PART = re.compile(r"\{\w*(?::(?:[^{}]|\{[^{}]*\})*)?\}")
_N_NAMED = 5
_NOTHING = "no usable signal: no segment of any file is accepted"
INTERVAL = (
    "95 % percentile interval over the model refitted to bootstrap samples of its training patients: how much the risk "
    "depends on who these were. Not in it: the encoder, which stays as it is, the chance of the outcome itself, and "
    "whether these patients are like those."
)


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class PatientPrediction(_Model):
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


class Predictions(_Model):
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
    model: FittedModel,
    files: Sequence[Path] = (),
    *,
    cohort_file: Path | None = None,
    clinical: Path | None = None,
    recalibration: Recalibration | None = None,
) -> Predictions:
    """Predict the patients of raw files.

    Files are read as the ``cohort.yaml`` of their place says, by default that of the training cohort, and treated as
    the recordings of the training patients were. Where it asks for ``privacy``, patients are named by pseudonyms.

    Parameters
    ----------
    model : FittedModel
    files : sequence of Path
        Raw files whose names match ``signals.files``; by default all that lie under the cohort's root.
    cohort_file : Path, optional
        Description of the cohort that the files are of.
    clinical : Path, optional
        Table of clinical values, in place of the one that the description names. It is described there, or, without a
        cohort file, as the training cohort's table is; only the variables that the model takes are read.
    recalibration : Recalibration, optional
        Of a validation in the place where the patients are from; its risk stands beside that of the model.

    Returns
    -------
    Predictions
        Patients by id. One whose signal cannot be used is refused, never guessed.

    Raises
    ------
    ConfigError
        If no file is named or one does not match, the description or the table is wrong, or clinical variables are not
        those of the model.
    StoreError
        If the encoder of the model does not compute what it should.
    """
    site = _Site(model, files, cohort_file, clinical)
    with TemporaryDirectory() as scratch:
        store = site.store(Path(scratch) / "store")
        names = site.patients(store)
        if not names:
            raise ConfigError("there is nobody to predict: no file and no row of a clinical table names a patient")
        judge = _Judge(model, site, store, recalibration)
        patients = [judge.patient(name) for name in names]
    return Predictions(
        model=model.card.name,
        model_sha256=model.fingerprint,
        outcome=f"{model.card.outcome_label}: {model.card.event_label}",
        recalibration=recalibration.text if recalibration else "",
        cohort=site.cohort.name,
        created_utc=utc_now(),
        warnings=[*model.warnings, *site.notes],
        patients=patients,
    )


# --- reading ---------------------------------------------------------------------------------------------------


class _Site:
    """The new patients' files, and what they hold in the model's terms."""

    def __init__(
        self, model: FittedModel, files: Sequence[Path], cohort_file: Path | None, clinical: Path | None
    ) -> None:
        self.model = model
        card = model.card
        self.arm, study = parse_arm(card.arm), card.study_model()
        self.needed = clinical_inputs(self.arm, study)
        described = load_cohort(cohort_file) if cohort_file else card.cohort_model()
        self.cohort, self.notes = site_cohort(described, card)
        get_reader(self.cohort.signals.reader).parse_options(self.cohort.signals.options)
        sources, self.root = _chosen(self.cohort, files, cohort_file)
        privacy = self.cohort.privacy
        self.pseudonyms = Pseudonyms(load_key(privacy.pseudonyms, cohort_file)) if privacy and cohort_file else None
        self.sources = [self.pseudonyms.source(one, self.cohort) for one in sources] if self.pseudonyms else sources
        table = self.cohort.clinical
        if clinical is not None:
            source = table or card.cohort_model().clinical
            assert source is not None  # that of the training cohort, which has outcomes
            table = source.model_copy(update={"file": str(clinical.resolve())})
        elif cohort_file is None:
            table = None  # the training cohort's own table is not here
        absent = site_dictionary(table, card, self.needed)
        if absent:
            self.notes.append(f"Not among the clinical values given, and so unknown of everybody: {', '.join(absent)}.")
        self.table = _restricted(table, self.needed)
        self.rejects: list[tuple[Reject, str]] = []

    def store(self, folder: Path) -> CohortStore:
        """A store of these files alone."""
        cohort = self.cohort.model_copy(update={"clinical": self.table})
        key = self.pseudonyms.fingerprint if self.pseudonyms else ""
        store = CohortStore.create(folder, cohort, key_fingerprint=key)
        n_rows = 0
        tasks = list(plan(self.sources, self.cohort, n_workers=1))
        while tasks:
            rows = do_task(tasks.pop(0))
            tasks += [task for long in rows.long for task in plan_long(long, self.cohort)]
            self.rejects += rows.rejects
            n_rows += len(rows.recordings)
            store.append(rows.recordings, concatenate([rows.segments]), sourced_rejects_frame("files", rows.rejects))
        store.drop_incomplete()
        if n_rows:
            columns = ["recording_id", "patient_id", "source", "signal_sha256"]
            store.replace_rejects("duplicates", find_duplicates(store.recordings(columns)))
        if self.table is not None:
            rename = self.pseudonyms.patient if self.pseudonyms else None
            found = read_clinical(self.table, self.root, pseudonym=rename)
            store.replace_patients(found.patients)
            self.rejects += [(reject, "") for reject in found.problems]
        return store

    def patients(self, store: CohortStore) -> list[str]:
        """Ids of those to predict: whom the files name; without files, whom the clinical table names."""
        named = dict.fromkeys(source.patient_id for source in self.sources)
        return list(named) if named else sorted(store.patients().index)

    def why_unread(self, patient_id: str) -> list[str]:
        """What was wrong with a patient's files."""
        own = {source.relative for source in self.sources if source.patient_id == patient_id}
        return [f"{one.subject}: {one.reason}" for one, _ in self.rejects if one.unit == "file" and one.subject in own]


def _chosen(cohort: Cohort, files: Sequence[Path], cohort_file: Path | None) -> tuple[list[SourceFile], Path]:
    """The files to read, as the cohort's pattern sees them, and the folder that they lie under."""
    pattern = cohort.signals.files
    if not files:
        if cohort_file is None:
            return [], Path.cwd()
        root = cohort_root(cohort, cohort_file)
        return find_files(cohort, root)[0], root
    wanted = [path.resolve() for path in files]
    absent = [str(path) for path in wanted if not path.is_file()]
    if absent:
        raise ConfigError(f"there is no file {', '.join(absent[:_N_NAMED])}")
    depth = _PART.sub("", pattern).count("/")
    roots = {path.parents[min(depth, len(path.parents) - 1)] for path in wanted}
    if len(roots) > 1:
        raise ConfigError(
            f"the files lie in different folders ({', '.join(map(str, sorted(roots)[:_N_NAMED]))}): predict the files "
            "of one folder at a time"
        )
    root = roots.pop()
    found = {source.path.resolve(): source for source in find_files(cohort, root)[0]}
    companions = {path.resolve() for source in found.values() for path in source.companions.values()}
    # A header and its samples share their name: who names them all, as a shell does with *, means one recording.
    stems = {path.with_suffix("") for path in wanted if path in found}
    strange = [str(path) for path in wanted if path not in {*found, *companions} and path.with_suffix("") not in stems]
    if strange:
        raise ConfigError(
            f"{', '.join(strange[:_N_NAMED])}: the name does not match `signals.files` of the cohort {cohort.name!r}, "
            f"{pattern!r}, so nothing says whose it is. Name files that match, or describe them with --cohort"
        )
    return [found[path] for path in dict.fromkeys(wanted) if path in found], root


def _restricted(table: ClinicalTable | None, needed: Sequence[str]) -> ClinicalTable | None:
    """The table with the variables that the model takes alone: no other cell is read, outcomes least of all."""
    if table is None:
        return None
    variables = {
        name: variable.model_copy(update={"defines": []})
        for name, variable in table.variables.items()
        if name in needed
    }
    return table.model_copy(update={"variables": variables}) if variables else None


# --- judging ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class RisksOfPatients:
    """What a model says of patients, and what it was told of them.

    Attributes
    ----------
    table : DataFrame, index patient key
        What the model sees.
    signals : DataFrame
        Of :func:`ppgssl.model_inputs.signal_summary`.
    risks : float array, shape (n_models, n_patients)
        Row 0 is the model; the others its refits.
    distance : float array or None, shape (n_patients,)
        From the features of training patients; NaN without features.
    """

    table: pd.DataFrame = field(repr=False)
    signals: pd.DataFrame = field(repr=False)
    risks: FloatArray = field(repr=False)
    distance: FloatArray | None = field(repr=False)

    def interval(self) -> tuple[FloatArray, FloatArray]:
        """Ends of the interval of each patient; it holds the model's own risk in any case."""
        low, high = np.quantile(self.risks, [0.025, 0.975], axis=0)
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
    table = model_table(arm, data, card.input, encoder, signals)
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
        n = int(found.signals["n_segments"].iloc[row])
        return (
            f"no usable signal: none of {n} segments of {study.inputs.segment_s:g} s is accepted"
            if n
            else f"no usable signal: no segment of {study.inputs.segment_s:g} s"
        )
    clinical = [
        name for name in (*card.columns.numeric, *card.columns.categorical) if name in clinical_inputs(arm, study)
    ]
    if clinical and found.table[clinical].iloc[row].isna().all():
        return "none of the clinical values that the model takes is known"
    if card.columns.features and found.table[card.columns.features].iloc[row].isna().all():
        return "no feature could be computed from the signals"
    return ""


class _Judge:
    """Says of each patient what the model says, and what speaks against it."""

    def __init__(
        self, model: FittedModel, site: _Site, store: CohortStore, recalibration: Recalibration | None
    ) -> None:
        self.model, self.card, self.site, self.store = model, model.card, site, store
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
        self.duplicates = store.rejects().query("stage == 'duplicates'")
        self.names = store.recordings(["patient_id", "recording_id"])

    def _found(self, store: CohortStore) -> RisksOfPatients | None:
        """None where nobody has a segment that could be used."""
        names = self.site.patients(store)
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
        key = patient_key(self.site.cohort.name, name)
        if self.found is None:
            return PatientPrediction(
                patient_id=name, verdict="refused", signal="unusable", reasons=[_NOTHING, *self._bad_files(name)]
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
            return PatientPrediction.model_validate(
                {**about, "verdict": "refused", "reasons": [reason, *self._bad_files(name)]}
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
                "reasons": [*self._reasons(row), *self._seen(name), *self._bad_files(name)],
            }
        )

    def _signal(self, row: int) -> str:
        assert self.found is not None
        signals, usual = self.found.signals.iloc[row], self.card.usual
        if not self.has_signals:
            return "not used"
        if signals["n_accepted"] == 0:
            return "unusable"
        is_poor = signals["n_accepted"] < usual.n_segments or signals["share"] < usual.share
        return "poor" if is_poor else "good"

    def _bad_files(self, name: str) -> list[str]:
        own = set(self.names.loc[self.names["patient_id"] == name, "recording_id"])
        copies = [f"{one.subject}: {one.reason}" for one in self.duplicates.itertuples() if one.subject in own]
        return [*self.site.why_unread(name), *copies]

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
