"""Stage 3: predictions of every arm for patients it has not seen -> results.json."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from ppgssl.arm_fitting import Progress, predict_folds
from ppgssl.arms import ARMS, REFERENCE_ARM, Arm, untrained_counterpart
from ppgssl.errors import StaleInputError
from ppgssl.evaluation.acquisition import check_acquisition
from ppgssl.evaluation.bootstrap import BootstrapAuroc, bootstrap_auroc
from ppgssl.evaluation.roc import stratified_roc
from ppgssl.evaluation.table_one import table_one
from ppgssl.pretrain import EncoderJob, derive_seed, encoder_fingerprint, encoder_jobs, exposure_of, summarize_encoders
from ppgssl.probe import finished_probe, outdated_note
from ppgssl.provenance import Stopwatch, fingerprint, made_of, peak_memory_mb, read_run, system, utc_now, versions
from ppgssl.results import (
    AcquisitionCheck,
    ArmResult,
    Difference,
    Finding,
    InputFile,
    PretrainingRun,
    Provenance,
    Results,
    ValidationSummary,
    load_results,
    save_results,
)
from ppgssl.store.examples import channel_quality, example_waveforms
from ppgssl.store.flow import cohort_flow, findings
from ppgssl.store.study_data import StudyData

RESULTS_FILE = "results.json"


def evaluate(data: StudyData, out: Path, *, n_jobs: int = -1, progress: Progress | None = None) -> Results:
    """Fit and test every arm of a study, and write ``predictions.parquet`` and ``results.json``.

    What is done and unchanged is not done again, fold by fold.

    Raises
    ------
    StaleInputError
        If an encoder is missing or was made from other data or settings; the message names the command.
    LeakageError
        If an encoder has seen a patient that it would be tested on, unless the study asks for it.
    """
    watch = Stopwatch()
    jobs = encoder_jobs(data.study, data.folds, out)
    _check_encoders(jobs, data)
    made = _fingerprint(data, jobs)
    probe = finished_probe(data, out)
    probe_note = "" if probe else outdated_note(out)
    whole = fingerprint([made, probe.made_of if probe else None, probe_note])
    if made_of(out) == whole and (out / RESULTS_FILE).is_file():
        return load_results(out / RESULTS_FILE)
    predictions = predict_folds(data, out, made, n_jobs=n_jobs, progress=progress)
    predictions.to_parquet(out / "predictions.parquet", index=False)
    results = make_results(data, jobs, predictions, out, watch)
    results = results.model_copy(update={"probe": probe, "probe_note": probe_note})
    save_results(results, out / RESULTS_FILE)
    watch.write(out, "evaluate", made_of=whole, study=data.study.model_dump(mode="json"), seed=data.study.seed)
    return results


def _check_encoders(jobs: Sequence[EncoderJob], data: StudyData) -> None:
    for job in jobs:
        found = made_of(job.folder)
        if found is None:
            raise StaleInputError(f"the encoder {job.name} is not there yet: run `ppgssl pretrain STUDY.yaml` first")
        if found != encoder_fingerprint(job, data):
            raise StaleInputError(
                f"the encoder {job.name} was made from other data or settings than the study has now ({job.folder}): "
                "run `ppgssl pretrain STUDY.yaml` again"
            )


def _fingerprint(data: StudyData, jobs: Sequence[EncoderJob]) -> str:
    return fingerprint(
        {
            "content": data.content,
            "encoders": [encoder_fingerprint(job, data) for job in jobs],
            "study": data.study.model_dump(
                mode="json", exclude={"out": True, "cohorts": True, "probe": True, "inputs": {"memory_gb"}}
            ),
            "descriptions": [store.cohort.model_dump(mode="json") for store in data.stores],
            "rejects": [store.rejects().to_numpy().tolist() for store in data.stores],
            "version": versions().get("ppgssl"),
        }
    )


def make_results(
    data: StudyData, jobs: Sequence[EncoderJob], predictions: pd.DataFrame, out: Path, watch: Stopwatch
) -> Results:
    """Turn predictions into all that the report shows."""
    study, table = data.study, data.clinical
    outcome = table.variables[study.outcome]
    checks = acquisition_checks(data)
    subset, description = sensitivity_patients(data, checks)
    arms, validation = _judge(data, predictions, subset, description)
    shown = list(dict.fromkeys([*study.covariates, *([study.heart_rate] if study.heart_rate else [])]))
    return Results(
        name=study.name,
        title=study.title or study.name,
        description=study.description,
        authors=study.authors,
        outcome=study.outcome,
        outcome_label=outcome.label or study.outcome,
        event_label=outcome.level_names[-1],
        covariate_labels=[table.variables[name].label or name for name in study.covariates],
        flow=[cohort_flow(data, store) for store in data.stores],
        findings=[
            *(finding for store in data.stores for finding in findings(data, store)),
            *_fit_findings(data, predictions),
        ],
        table_one=table_one(data.covariates, data.y, table, shown),
        quality=[quality for store in data.stores for quality in channel_quality(data, store)],
        examples=[example for store in data.stores for example in example_waveforms(data, store)],
        acquisition=checks,
        pretraining=_pretraining(data, jobs),
        validation=validation,
        arms=arms,
        provenance=_provenance(data, jobs, out, watch),
    )


# --- arms ------------------------------------------------------------------------------------------------------


def _judge(
    data: StudyData, predictions: pd.DataFrame, subset: list[str] | None, description: str | None
) -> tuple[list[ArmResult], ValidationSummary]:
    study = data.study
    reference = REFERENCE_ARM if REFERENCE_ARM in study.arms else None
    judge = partial(
        bootstrap_auroc,
        predictions,
        study.arms,
        reference,
        n_resamples=study.validation.n_bootstrap,
        seed=derive_seed(study.seed, "bootstrap"),
    )
    judged, sensitivity = judge(), judge(subset=subset) if subset else None
    arms = [_arm_result(arm, data, predictions, judged, sensitivity) for arm in study.arm_list]
    single = study.validation.scheme == "single-split"
    summary = ValidationSummary(
        scheme=study.validation.scheme,
        n_folds=1 if single else study.validation.n_folds,
        n_repeats=1 if single else study.validation.n_repeats,
        n_patients=len(data.y),
        n_events=int(data.y.sum()),
        n_test_patients=judged.n_patients,
        n_bootstrap=study.validation.n_bootstrap,
        n_bootstrap_skipped=judged.n_skipped,
        sensitivity=description,
        sensitivity_n_patients=sensitivity.n_patients if sensitivity else None,
        sensitivity_n_events=sensitivity.n_events if sensitivity else None,
    )
    return arms, summary


def _arm_result(
    arm: Arm, data: StudyData, predictions: pd.DataFrame, judged: BootstrapAuroc, sensitivity: BootstrapAuroc | None
) -> ArmResult:
    rows = predictions[predictions["arm"] == arm.name]
    is_ssl = arm.encoder is not None and arm.encoder != "untrained"
    return ArmResult(
        name=arm.name,
        label=arm.label,
        learner=arm.learner,
        is_control=arm.is_control,
        is_transductive=is_ssl and data.study.pretraining.exposure == "transductive",
        n_features=int(rows["n_features"].max()) if rows["n_features"].notna().all() else None,
        auroc=judged.intervals[arm.name],
        difference=judged.differences.get(arm.name),
        difference_to_untrained=_to_untrained(arm, data.study.arms, judged),
        auroc_sensitivity=sensitivity.intervals[arm.name] if sensitivity else None,
        roc=stratified_roc(rows["y_true"], rows["y_score"], repeat=rows["repeat"], fold=rows["fold"]),
        seconds=float(rows.groupby(["repeat", "fold"])["seconds"].first().sum()),
    )


def _fit_findings(data: StudyData, predictions: pd.DataFrame) -> list[Finding]:
    """What a fit had to do otherwise than planned, such as leaving out an empty column."""
    noted = predictions[predictions["note"] != ""]
    return [
        Finding(
            cohort=data.labelled.cohort.name,
            kind="A model was fitted otherwise than planned",
            text=f"{ARMS[str(arm)].label}: {note} ({rows[['repeat', 'fold']].drop_duplicates().shape[0]} folds).",
            severity="caution",
        )
        for (arm, note), rows in noted.groupby(["arm", "note"])
    ]


def _to_untrained(arm: Arm, names: Sequence[str], judged: BootstrapAuroc) -> Difference | None:
    """What pretraining added: against the arm that is alike but for an untrained encoder."""
    control = untrained_counterpart(arm)
    return judged.difference(arm.name, control.name) if control is not None and control.name in names else None


# --- acquisition -----------------------------------------------------------------------------------------------


_RAW_PROPERTIES = {"amplitude": "Pulse amplitude", "level": "Raw signal level"}


def acquisition_checks(data: StudyData) -> list[AcquisitionCheck]:
    """Whether amplitude or level of the raw signals of the labelled cohort tell the outcome by themselves."""
    cohort = data.labelled.cohort
    recordings = data.segments.acquisition.query("cohort == @cohort.name")
    labels = {name: variable.label or name for name, variable in data.clinical.variables.items()}
    covariates = data.covariates[data.study.covariates].rename(columns=labels)
    checks = []
    for channel in data.segments.channels_of(cohort.name):
        unit = cohort.signals.channels[channel].unit or "raw units"
        for column, name in _RAW_PROPERTIES.items():
            values = recordings[recordings["channel"] == channel].groupby("patient")[column].median()
            values = values.reindex(data.y.index).dropna()
            checks.append(
                check_acquisition(
                    cohort.name,
                    f"{name} of {channel} ({unit})",
                    values,
                    data.y.loc[values.index],
                    covariates.loc[values.index],
                    seed=derive_seed(data.study.seed, "acquisition", channel, column),
                )
            )
    return checks


def sensitivity_patients(data: StudyData, checks: Sequence[AcquisitionCheck]) -> tuple[list[str] | None, str | None]:
    """The larger group of patients by a raw property, where there are two groups and it holds both outcomes."""
    for check in checks:
        if check.threshold is None:
            continue
        values = np.array(check.values)
        is_low = values < check.threshold
        is_kept = is_low if is_low.sum() * 2 >= len(values) else ~is_low
        names = data.y.index[is_kept] if len(values) == len(data.y) else data.y.index[:0]
        if data.y.loc[names].nunique() == 2:
            side = "below" if is_kept is is_low else "above"
            return list(names), f"patients with {check.name[0].lower()}{check.name[1:]} {side} {check.threshold:.4g}"
    return None, None


# --- pretraining and provenance --------------------------------------------------------------------------------

_ENCODER_LABELS = {"ssl-labelled": "SSL on the labelled cohort", "ssl-all": "SSL on all recordings"}


def _pretraining(data: StudyData, jobs: Sequence[EncoderJob]) -> list[PretrainingRun]:
    runs = []
    for encoder in dict.fromkeys(job.encoder for job in jobs):
        of_encoder = [job for job in jobs if job.encoder == encoder]
        summary = summarize_encoders(of_encoder, data)
        exposure = exposure_of(encoder, data.study)
        runs.append(PretrainingRun(encoder=encoder, label=_ENCODER_LABELS[encoder], exposure=exposure, **summary))
    return runs


def _provenance(data: StudyData, jobs: Sequence[EncoderJob], out: Path, watch: Stopwatch) -> Provenance:
    ingests = [read_run(store.folder) or {} for store in data.stores]
    pretraining = read_run(out / "encoders") or {}
    seconds = {
        f"ingest {store.cohort.name}": run.get("seconds", 0.0) for store, run in zip(data.stores, ingests, strict=True)
    }
    memory = {
        f"ingest {store.cohort.name}": run.get("peak_memory_mb", 0.0)
        for store, run in zip(data.stores, ingests, strict=True)
    }
    if jobs:
        seconds["pretrain"], memory["pretrain"] = (
            pretraining.get("seconds", 0.0),
            pretraining.get("peak_memory_mb", 0.0),
        )
    return Provenance(
        created_utc=utc_now(),
        versions=versions(),
        platform=system(),
        seed=data.study.seed,
        inputs=[
            *(InputFile(name=f"store {store.cohort.name}", sha256=store.fingerprint()) for store in data.stores),
            *_encoder_inputs(data, jobs),
        ],
        study=data.study.model_dump(mode="json"),
        cohorts=[store.cohort.model_dump(mode="json") for store in data.stores],
        stage_seconds={**seconds, "evaluate": round(watch.seconds(), 2)},
        stage_peak_memory_mb={**memory, "evaluate": round(peak_memory_mb(), 1)},
    )


def _encoder_inputs(data: StudyData, jobs: Sequence[EncoderJob]) -> list[InputFile]:
    """One hash for all encoders of a kind; each encoder's own lies beside it in ``run.json``."""
    kinds: dict[str, list[str]] = {}
    for job in jobs:
        kinds.setdefault(job.encoder, []).append(encoder_fingerprint(job, data))
    return [
        InputFile(name=f"{len(hashes)} encoder{'s' if len(hashes) > 1 else ''} {kind}", sha256=fingerprint(hashes))
        for kind, hashes in kinds.items()
    ]
