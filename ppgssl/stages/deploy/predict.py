"""New patients: a risk with its interval and reasons to distrust it, or a refusal with its reason."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

import numpy as np
import pandas as pd
from pydantic import Field, ValidationError

from ppgssl.core.config.arms import parse_arm
from ppgssl.core.config.study import Inputs
from ppgssl.core.errors import ConfigError, StoreError
from ppgssl.core.provenance import utc_now
from ppgssl.core.reasons import Reason
from ppgssl.core.schema import Schema
from ppgssl.evaluation.recalibration import Recalibration
from ppgssl.features.patient_table import needs_signals
from ppgssl.models.card import ModelCard
from ppgssl.models.fitted import FittedModel
from ppgssl.models.folder import load_model
from ppgssl.stages.deploy.new_patients import NewPatients, read_new_patients
from ppgssl.stages.deploy.risks import PatientRisks, patient_risks, refusals
from ppgssl.stages.deploy.site import seen_patients, site_covariates, site_data
from ppgssl.store.assembly import patient_key

SignalQuality = Literal["good", "poor", "unusable", "not used"]

INTERVAL = (
    "95 % percentile interval over the model refitted to bootstrap samples of its training patients: how much the risk "
    "depends on who these were. Not in it: the encoder, which stays as it is, the chance of the outcome itself, and "
    "whether these patients are like those."
)

CREDIBLE_INTERVAL = (
    "95 % credible interval: the 2.5th to the 97.5th percentile of the risk over draws from the posterior of the "
    "model's coefficients, whose mean is the risk: how unsure these are, given the training patients and the prior. "
    "Not in it: the encoder and the imputed values, which stay as they are, the chance of the outcome itself, and "
    "whether these patients are like those."
)

NO_INTERVAL = (
    "There is no interval: the model was not refitted to bootstrap samples, and has no draws from a posterior."
)

_SEEN = "the model was made with this patient: its risk is no prediction"


class PatientPrediction(Schema):
    """One patient."""

    patient_id: str
    decision: Literal["predicted", "refused"]
    risk: float | None = None
    ci_low: float | None = None
    ci_high: float | None = None
    risk_recalibrated: float | None = Field(None, description="By the recalibration that was asked for.")
    signal: SignalQuality
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

    Files are read as the ``cohort.yaml`` of their place describes, by default that of the training cohort, and treated
    as the recordings of the training patients were. Where it asks for ``privacy``, patients are named by pseudonyms.

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
        Of a validation in the place where the patients are from; its risk is reported next to that of the model.

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
    with TemporaryDirectory() as scratch:
        new = read_new_patients(model.card, files, cohort_file, clinical, Path(scratch) / "store")
        if not new.names:
            raise ConfigError("there is nobody to predict: no file and no row of a clinical table names a patient")
        patients = _assess(model, new, recalibration)
    return Predictions(
        model=model.card.name,
        model_sha256=model.fingerprint,
        outcome=f"{model.card.outcome_label}: {model.card.event_label}",
        interval=CREDIBLE_INTERVAL if model.card.n_draws else INTERVAL if model.card.n_refits else NO_INTERVAL,
        recalibration=recalibration.text if recalibration else "",
        cohort=new.cohort.name,
        created_utc=utc_now(),
        warnings=[*model.warnings, *new.notes],
        patients=patients,
    )


# --- one patient after another ---------------------------------------------------------------------------------


def _assess(model: FittedModel, new: NewPatients, recalibration: Recalibration | None) -> list[PatientPrediction]:
    """Each patient's risk with the reasons to distrust it, or the reasons why there is none."""
    card, inputs = model.card, model.card.study_model().inputs
    segments = new.store.segments(inputs.segment_s, inputs.step_s)
    predicted = _risks(model, new, segments)
    risk, (low, high) = predicted.risks[0], predicted.interval()
    recalibrated = recalibration.apply(risk) if recalibration else None
    qualities, why_refused = _signal_qualities(card, predicted.signals), refusals(card, predicted)
    seen = seen_patients(card, new.store)
    keys = pd.Index([patient_key(new.cohort.name, name) for name in new.names])
    rows = predicted.table.index.get_indexer(keys).tolist()
    n_segments, n_accepted = (predicted.signals[name].tolist() for name in ("n_segments", "n_accepted"))
    patients = []
    for name, row in zip(new.names, rows, strict=True):
        quality, problems = qualities[row], new.problems.get(name, [])
        about: dict[str, Any] = {
            "patient_id": name,
            "signal": quality,
            "n_segments": n_segments[row],
            "n_segments_accepted": n_accepted[row],
        }
        if why_refused[row]:
            defects = _defects(segments[segments["patient_id"] == name], inputs) if quality == "unusable" else []
            reasons = [why_refused[row], *defects, *problems]
            patients.append(PatientPrediction(decision="refused", reasons=reasons, **about))
            continue
        doubts = [*_doubts(card, predicted, row, quality), *([_SEEN] if name in seen else [])]
        patients.append(
            PatientPrediction(
                decision="predicted",
                risk=float(risk[row]),
                ci_low=float(low[row]) if card.has_interval else None,
                ci_high=float(high[row]) if card.has_interval else None,
                risk_recalibrated=None if recalibrated is None else float(recalibrated[row]),
                reasons=[*doubts, *problems],
                **about,
            )
        )
    return patients


def _risks(model: FittedModel, new: NewPatients, segments: pd.DataFrame) -> PatientRisks:
    """Risks of all new patients; NaN of those without an accepted segment, where the model takes signals."""
    card = model.card
    if not needs_signals(parse_arm(card.arm), card.study_model()):
        table = site_covariates(new.store, card, new.names)
        nothing = pd.DataFrame(0, index=table.index, columns=["n_segments", "n_accepted"])
        return PatientRisks(table, nothing, model.risks(table), None)
    try:
        data = site_data(new.store, card, patients=new.names)
    except StoreError:  # this store was made here and now: what it lacks is an accepted segment
        keys = pd.Index([patient_key(new.cohort.name, name) for name in new.names])
        counts = segments["patient_id"].value_counts().reindex(new.names, fill_value=0).to_numpy()
        signals = pd.DataFrame({"n_segments": counts, "n_accepted": 0}, index=keys)
        unknown = pd.DataFrame(np.nan, index=keys, columns=list(card.columns.as_columns().names))
        return PatientRisks(unknown, signals, np.full((1, len(keys)), np.nan), None)
    return patient_risks(model, data)


def _signal_qualities(card: ModelCard, signals: pd.DataFrame) -> list[SignalQuality]:
    if not needs_signals(parse_arm(card.arm), card.study_model()):
        return ["not used"] * len(signals)
    typical = card.typical_signal
    return [
        "unusable"
        if n_accepted == 0
        else "poor"
        if n_accepted < typical.n_accepted or n_accepted / n_segments < typical.proportion_accepted
        else "good"
        for n_segments, n_accepted in zip(signals["n_segments"], signals["n_accepted"], strict=True)
    ]


def _defects(segments: pd.DataFrame, inputs: Inputs) -> list[str]:
    """What is wrong with the segments of a patient of whom none is accepted."""
    wanted = [f"defect_{channel}" for one in inputs.channels for channel in one.any_of]
    rows = segments[["accepted", *segments.columns.intersection(wanted)]].itertuples(index=False)
    first = (next(filter(None, defects), "" if accepted else Reason.LOW_SQI) for accepted, *defects in rows)
    counts = Counter(defect for defect in first if defect)
    return [f"segments with {Reason(defect).text}: {n}" for defect, n in counts.items()]


def _doubts(card: ModelCard, predicted: PatientRisks, row: int, quality: SignalQuality) -> Iterator[str]:
    """Reasons to distrust a risk: how the patient differs from the training patients."""
    signals, table = predicted.signals.iloc[row], predicted.table.iloc[row]
    if quality == "poor":
        yield (
            f"poor signal: {int(signals['n_accepted'])} of {int(signals['n_segments'])} segments could be used, "
            "fewer than of 95 % of the training patients"
        )
    missing = [one.label for one in card.covariates if pd.isna(table[one.name])]
    if missing:
        yield f"not known, and replaced by what is typical of training patients: {', '.join(missing)}"
    atypical = []
    for one in card.references:
        name = one.name.removeprefix("signal_")
        if one.group == "covariate" and one.kind == "numeric":
            value = table[name]
        elif one.group == "signal" and quality != "not used" and name not in ("sqi", "proportion_accepted"):
            value = signals[name]  # the quality of the signal has a label of its own
        else:
            continue
        if one.low is not None and one.high is not None and not (pd.isna(value) or one.low <= value <= one.high):
            unit = f" {one.unit}" if one.unit else ""
            atypical.append(f"{one.label} ({one.low:.4g} to {one.high:.4g}{unit})")
    if atypical:
        yield f"outside the middle 98 % of the training patients: {', '.join(atypical)}"
    domain, distance = card.applicability_domain, predicted.distance
    if domain is not None and distance is not None and distance[row] > domain.threshold:
        yield (
            f"outside the applicability domain: features at a distance of {distance[row]:.2f} from the training "
            f"patients, 99 % of whom lie within {domain.threshold:.2f}"
        )


def load_recalibration(path: Path, model: FittedModel) -> Recalibration:
    """A recalibration that an external validation of this model wrote.

    Raises ConfigError if there is none, or it is of another model.
    """
    try:
        recalibration = Recalibration.model_validate_json(path.read_bytes())
    except (OSError, ValidationError):
        raise ConfigError(
            f"{path} is no recalibration: name a recalibration-*.json of `ppgssl evaluate --model`"
        ) from None
    if recalibration.model_sha256 != model.fingerprint:
        raise ConfigError(
            f"{path} is of another model (fingerprint {recalibration.model_sha256[:16]}, and this one has "
            f"{model.fingerprint[:16]}): validate this one with `ppgssl evaluate --model`"
        )
    return recalibration
