"""A frozen model on patients of another place: its performance there, recalibration, and how the patients differ."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pandas as pd

from ppgssl.core.config.arms import parse_arm
from ppgssl.core.config.cohort import Cohort
from ppgssl.core.config.loading import load_cohort
from ppgssl.core.config.study import Study, Validation
from ppgssl.core.errors import ConfigError, EvaluationError, LeakageError
from ppgssl.core.parallel import Progress, silent
from ppgssl.core.provenance import Stopwatch, fingerprint, write_atomically
from ppgssl.core.reasons import FindingKind
from ppgssl.core.records import FloatArray
from ppgssl.core.results.study import RESULTS_FILE, Results, save_results
from ppgssl.core.text import listed
from ppgssl.evaluation.predictions import PREDICTION_COLUMNS
from ppgssl.evaluation.recalibration import METHODS, Recalibration, cross_recalibrated, fit_recalibration
from ppgssl.features.patient_table import clinical_variables
from ppgssl.models.card import ModelCard
from ppgssl.models.fitted import FittedModel
from ppgssl.models.folder import load_model
from ppgssl.stages.deploy.risks import patient_risks, refusals
from ppgssl.stages.deploy.shift import measure_shift
from ppgssl.stages.deploy.site import (
    check_channels,
    check_store,
    seen_patients,
    site_cohort,
    site_data,
    site_dictionary,
)
from ppgssl.stages.deploy.validation_results import (
    FROZEN,
    RecalibratedRisks,
    SitePatients,
    validation_results,
    validation_seed,
)
from ppgssl.stages.ingest.ingest import ingest
from ppgssl.store.assembly import patient_key
from ppgssl.store.study_data import StudyData
from ppgssl.store.tables import COHORT_FILE, FORMAT_FILE, CohortStore

PREDICTIONS_FILE = "predictions.parquet"


@dataclass(frozen=True)
class ExternalValidation:
    """The outcome of :func:`validate_model`.

    Attributes
    ----------
    results : Results
        Of ``results.json``: the frozen model is the first arm, followed by its recalibrations.
    recalibrations : list of Recalibration
        Those that could be fitted; each has a file next to the results, for ``ppgssl predict --recalibration``.
    warnings : tuple of str
        Of the model, and of how these patients differ.
    """

    results: Results = field(repr=False)
    recalibrations: list[Recalibration]
    warnings: tuple[str, ...]


def validate_model(
    model: FittedModel | Path,
    source: Path,
    out: Path,
    *,
    n_jobs: int = -1,
    scheduler: str | None = None,
    progress: Progress = silent,
) -> ExternalValidation:
    """Evaluate a frozen model on a cohort with outcomes, and write ``results.json`` into a folder.

    The model stays as it is. Its risks recalibrated in the large, and by slope, are evaluated as well, as they would be
    for the next patients: those of each patient by a recalibration fitted to the other patients (ten-fold).
    Recalibration does not change the order of patients, so discrimination is that of the frozen model. Patients whom
    the model has seen, by their key or by a recording, are left out and reported.

    Parameters
    ----------
    model : FittedModel, or Path of its folder
    source : Path
        A ``cohort.yaml``, which is ingested into ``out/store`` by the model's rules, or a store that was made by them.
    out : Path
        Folder of the results.
    n_jobs, scheduler, progress
        Of :func:`ppgssl.stages.ingest.ingest.ingest`.

    Raises
    ------
    ConfigError
        If the cohort has no outcome, or clinical variables that are not those of the model.
    StoreError
        If a store was made by other rules, or no segment is accepted.
    LeakageError
        If the model has seen all patients.
    EvaluationError
        If the patients that are left have one outcome alone.
    """
    watch = Stopwatch()
    if isinstance(model, Path):
        model = load_model(model)
    out.mkdir(parents=True, exist_ok=True)
    store, site_notes = _open_store(model, source, out, n_jobs, scheduler, progress)
    patients = _select_patients(model, store)
    recalibrated = _recalibrate(patients, model.fingerprint, validation_seed(model.card))
    shift = measure_shift(model, patients.everybody, patients.rows)
    results = validation_results(model, patients, recalibrated, shift, site_notes, watch)
    _with_interval(recalibrated.predictions, patients).to_parquet(out / PREDICTIONS_FILE, index=False)
    for one in recalibrated.fitted:
        write_atomically(out / f"recalibration-{one.method}.json", one.model_dump_json(indent=1))
    save_results(results, out / RESULTS_FILE)
    made = fingerprint([model.fingerprint, store.fingerprint()])
    watch.write(out, "external validation", made_of=made, model=model.fingerprint, store=store.fingerprint())
    about_model = [
        one.text for one in results.findings if isinstance(one.kind, FindingKind) and one.kind.concerns_model
    ]
    return ExternalValidation(results, recalibrated.fitted, (*model.warnings, *about_model))


def _open_store(
    model: FittedModel, source: Path, out: Path, n_jobs: int, scheduler: str | None, progress: Progress
) -> tuple[CohortStore, list[str]]:
    """The cohort's store, and what could not be as it was for the training patients."""
    is_store = (source / COHORT_FILE).is_file()
    if is_store and not (source / FORMAT_FILE).is_file():
        raise ConfigError(f"{source} is no store: name the description in it, {source / COHORT_FILE}")
    described = CohortStore(source).cohort if is_store else load_cohort(source)
    cohort, notes = site_cohort(described, model.card)
    if is_store:
        check_store(CohortStore(source), model.card)
    check_channels(cohort, model.card)
    _check_dictionary(model.card, cohort)
    if is_store:
        return CohortStore(source), notes
    ingest(source, out / "store", described=cohort, n_jobs=n_jobs, scheduler=scheduler, progress=progress)
    return CohortStore(out / "store"), notes


def _check_dictionary(card: ModelCard, cohort: Cohort) -> None:
    table = cohort.clinical
    if table is None or card.outcome not in table.variables:
        raise ConfigError(
            f"cohort {cohort.name!r} has no clinical variable {card.outcome!r}, the model's outcome: without it "
            "patients can be predicted (`ppgssl predict`), and the model cannot be evaluated"
        )
    needed = clinical_variables(parse_arm(card.arm), card.study_model())
    site_dictionary(table, card, [card.outcome, *needed])
    if needed and not any(name in table.variables for name in needed):
        raise ConfigError(f"cohort {cohort.name!r} has none of the model's clinical variables ({', '.join(needed)})")


# --- patients --------------------------------------------------------------------------------------------------


def _select_patients(model: FittedModel, store: CohortStore) -> SitePatients:
    """The patients with an outcome and a risk whom the model has not seen, and who is left out for which reason."""
    everybody = site_data(store, model.card)
    predicted = patient_risks(model, everybody)
    patients = everybody.y.index
    with_outcome = patients[everybody.y.notna()]
    could = patients[np.array([not reason for reason in refusals(model.card, predicted)])].intersection(with_outcome)
    seen_keys = {patient_key(store.cohort.name, name) for name in seen_patients(model.card, store)}
    seen = sorted(set(could) & seen_keys)
    kept = could.difference(seen)
    if len(could) and not len(kept):
        raise LeakageError(
            f"the model {model.card.name!r} has seen all {len(could)} patients of {store.cohort.name!r} who could be "
            f"predicted ({listed(list(could))}): its risks of them are no predictions. Validate it on others. "
            "If these are others, and another cohort has the same `name` and ids, change the name in cohort.yaml"
        )
    n_events = int(everybody.y.loc[kept].sum())
    if not 0 < n_events < len(kept):
        raise EvaluationError(
            f"{n_events} of {len(kept)} patients of {store.cohort.name!r} who can be predicted, and have an outcome, "
            "have the event: both outcomes are needed to evaluate a model"
        )
    # Refused though they have segments: the clinical values that the model takes are not known.
    has_segments = patients[predicted.signals["n_accepted"].to_numpy() > 0]
    unknown = list(with_outcome.difference(could).intersection(has_segments))
    data = replace(everybody, study=_site_study(model.card, store))
    return SitePatients(
        data=_restricted(data, kept),
        before=_restricted(data, could.union(unknown)),
        everybody=predicted,
        rows=patients.get_indexer(kept),
        seen=seen,
        unknown=unknown,
    )


def _restricted(data: StudyData, patients: pd.Index) -> StudyData:
    return replace(data, y=data.y.loc[patients], covariates=data.covariates.loc[patients])


def _site_study(card: ModelCard, store: CohortStore) -> Study:
    """The model's study, as far as it is about this cohort."""
    study, table = card.study_model(), store.cohort.clinical
    known = set(table.variables) if table else set()
    return Study.model_validate(
        {
            **study.model_dump(mode="json"),
            "title": f"External validation: {card.title}",
            "description": "",
            "cohorts": [{"store": "store", "role": "labelled"}],
            "covariates": [name for name in study.covariates if name in known],
            "heart_rate": study.heart_rate if study.heart_rate in known else None,
            "spo2": study.spo2 if study.spo2 in known else None,
            "arms": [card.arm],
            "subgroups": [one.model_dump() for one in study.subgroups if one.variable in known],
            "validation": Validation(n_bootstrap=study.validation.n_bootstrap, n_optimism=0).model_dump(),
            "pretraining": {**study.pretraining.model_dump(mode="json"), "exposure": "transductive"},
        }
    )


# --- risks -----------------------------------------------------------------------------------------------------


def _recalibrate(patients: SitePatients, model_sha256: str, seed: int) -> RecalibratedRisks:
    """The frozen risks, and those of each recalibration that there are enough patients for."""
    is_event, risk = patients.is_event, patients.risk
    frames, fitted, notes = [_predictions(FROZEN, patients, risk)], [], []
    source = {"cohort": patients.data.labelled.cohort.name, "model_sha256": model_sha256}
    for method in METHODS:
        try:
            one = fit_recalibration(is_event, risk, method)
            scores = cross_recalibrated(is_event, risk, method, seed=seed)
        except EvaluationError as error:
            notes.append(f"{error}."[0].upper() + f"{error}."[1:])
            continue
        fitted.append(one.model_copy(update=source))
        frames.append(_predictions(f"recalibrated-{method}", patients, scores))
    return RecalibratedRisks(pd.concat(frames, ignore_index=True), fitted, notes)


def _predictions(arm: str, patients: SitePatients, scores: FloatArray) -> pd.DataFrame:
    columns = (arm, 0, 0, list(patients.data.y.index), patients.is_event.astype(float), scores)
    return pd.DataFrame(dict(zip(PREDICTION_COLUMNS, columns, strict=True)))


def _with_interval(predictions: pd.DataFrame, patients: SitePatients) -> pd.DataFrame:
    """The predictions, with the interval of the frozen model."""
    table, is_frozen = predictions.copy(), predictions["arm"] == FROZEN
    for name, values in zip(("ci_low", "ci_high"), patients.everybody.interval(), strict=True):
        table.loc[is_frozen, name] = values[patients.rows]
    return table
