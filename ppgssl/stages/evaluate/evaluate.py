"""Stage 3: predictions of every arm for patients it has not seen -> results.json."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ppgssl.classifiers.imputation import missing_data
from ppgssl.core.errors import StaleInputError
from ppgssl.core.locks import locked
from ppgssl.core.parallel import Progress, Workers, silent
from ppgssl.core.provenance import Stopwatch, fingerprint, made_of, peak_memory_mb, read_run, system, utc_now, versions
from ppgssl.core.results.pretraining import PretrainingRun
from ppgssl.core.results.study import RESULTS_FILE, InputFile, Provenance, Results, load_results, save_results
from ppgssl.evaluation.table_one import table_one
from ppgssl.selfsupervised.study_encoders import EncoderJob, encoder_fingerprint, encoder_jobs, exposure_of
from ppgssl.stages.evaluate.acquisition import acquisition_checks, sensitivity_analysis
from ppgssl.stages.evaluate.covariate_inference import odds_ratios, patient_maps, size_needed
from ppgssl.stages.evaluate.encoder_summary import summarize_encoders
from ppgssl.stages.evaluate.examples import channel_quality, example_waveforms
from ppgssl.stages.evaluate.flow import cohort_flow, findings
from ppgssl.stages.evaluate.folds import FoldPredictions, check_arms, predict_folds
from ppgssl.stages.evaluate.performance import fit_findings, study_performance
from ppgssl.stages.evaluate.refits import refit_arms
from ppgssl.stages.evaluate.spo2 import spo2_check
from ppgssl.stages.probe.probe import finished_probe, outdated_note
from ppgssl.stages.study import study_workers
from ppgssl.store.study_data import StudyData

# Settings that do not concern the fitted arms: after a change, kept predictions are evaluated again.
_OF_EVALUATION: dict[str, Any] = {
    **dict.fromkeys(("title", "description", "authors", "decisions", "subgroups", "learning_curve"), True),
    "validation": {"n_bootstrap", "n_optimism"},
}
_NOT_OF_PREDICTIONS = _OF_EVALUATION | dict.fromkeys(("out", "cohorts", "probe"), True) | {"inputs": {"memory_gb"}}


def evaluate(
    data: StudyData, out: Path, *, n_jobs: int = -1, scheduler: str | None = None, progress: Progress = silent
) -> Results:
    """Fit and test every arm of a study, and write ``predictions.parquet`` and ``results.json``.

    What is done and unchanged is not done again, fold by fold.

    Parameters
    ----------
    data : StudyData
    out : Path
        Folder of the study's outputs.
    n_jobs, scheduler
        See :func:`ppgssl.stages.study.study_workers`.
    progress : Progress

    Raises
    ------
    StaleInputError
        If an encoder is missing or was made from other data or settings; the message names the command.
    LeakageError
        If anything fitted for a fold has seen one of its test patients, unless the study asks for it.
    ConfigError
        If an arm needs a package that is not installed.
    BusyError
        If another command is evaluating this study.
    """
    watch = Stopwatch()
    check_arms(data.study)
    jobs = encoder_jobs(data.study, data.folds, out)
    _check_encoders(jobs, data)
    made = _fingerprint(data, jobs)
    probe = finished_probe(data, out)
    probe_note = "" if probe else outdated_note(out)
    evaluation = data.study.model_dump(mode="json", include=_OF_EVALUATION)
    whole = fingerprint([made, evaluation, probe.made_of if probe else None, probe_note])
    if made_of(out) == whole and (out / RESULTS_FILE).is_file():
        return load_results(out / RESULTS_FILE)
    spo2 = spo2_check(data)  # A calibration that cannot be fitted is refused before anything is computed.
    with locked(out, f"the study's folder {out}"), study_workers(data, out, n_jobs, scheduler) as pool:
        folds = predict_folds(data, out, made, pool, progress=progress)
        folds.predictions.to_parquet(out / "predictions.parquet", index=False)
        folds.training.to_parquet(out / "training_predictions.parquet", index=False)
        results = _make_results(data, jobs, folds, out, watch, pool, progress)
        results = results.model_copy(update={"spo2": spo2, "probe": probe, "probe_note": probe_note})
        save_results(results, out / RESULTS_FILE)
        watch.write(out, "evaluate", made_of=whole, study=data.study.model_dump(mode="json"), seed=data.study.seed)
    return results


def _check_encoders(jobs: Sequence[EncoderJob], data: StudyData) -> None:
    for job in jobs:
        made = made_of(job.folder)
        if made is None:
            raise StaleInputError(f"the encoder {job.name} is not there yet: run `ppgssl pretrain STUDY.yaml` first")
        if made != encoder_fingerprint(job, data):
            raise StaleInputError(
                f"the encoder {job.name} was made from other data or settings than the study has now ({job.folder}): "
                "run `ppgssl pretrain STUDY.yaml` again"
            )


def _fingerprint(data: StudyData, jobs: Sequence[EncoderJob]) -> str:
    """Of all that decides the predictions."""
    return fingerprint(
        {
            "content": data.content,
            "encoders": [encoder_fingerprint(job, data) for job in jobs],
            "study": data.study.model_dump(mode="json", exclude=_NOT_OF_PREDICTIONS),
            "descriptions": [store.cohort.model_dump(mode="json") for store in data.stores],
            "rejects": [store.rejects().to_numpy().tolist() for store in data.stores],
            "version": versions().get("ppgssl"),
        }
    )


def _make_results(
    data: StudyData,
    jobs: Sequence[EncoderJob],
    folds: FoldPredictions,
    out: Path,
    watch: Stopwatch,
    pool: Workers,
    progress: Progress,
) -> Results:
    study, table = data.study, data.clinical
    outcome = table.variables[study.outcome]
    checks = acquisition_checks(data)
    performance = study_performance(data, folds, sensitivity_analysis(data, checks))
    refits = refit_arms(data, out, pool, progress=progress)
    vitals = [name for name in (study.heart_rate, study.spo2) if name]
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
            *fit_findings(data, folds.predictions),
        ],
        table_one=table_one(data.covariates, data.y, table, list(dict.fromkeys([*study.covariates, *vitals]))),
        quality=[quality for store in data.stores for quality in channel_quality(data, store)],
        examples=[example for store in data.stores for example in example_waveforms(data, store)],
        acquisition=checks,
        pretraining=_pretraining(data, jobs),
        validation=performance.validation,
        leakage=folds.leakage,
        arms=performance.arms,
        decision_references=performance.decision_references,
        missing=missing_data(data.covariates[study.covariates], data.y, table.variables, study.missing)
        if study.covariates
        else None,
        sample_size=size_needed(data),
        covariate_model=odds_ratios(data),
        added_value=performance.added_value,
        subgroups=performance.subgroups,
        learning_curves=refits.learning_curves,
        stability=refits.stability,
        optimism=refits.optimism,
        refitting_notes=list(refits.notes),
        embedding_maps=patient_maps(data, out),
        provenance=_provenance(data, jobs, out, watch),
    )


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
    runs = {f"ingest {store.cohort.name}": read_run(store.folder) or {} for store in data.stores}
    if jobs:
        runs["pretrain"] = read_run(out / "encoders") or {}
    seconds, memory = (
        {stage: run.get(key, 0.0) for stage, run in runs.items()} for key in ("seconds", "peak_memory_mb")
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
    """One hash for all encoders of a kind; each encoder's own is in its ``run.json``."""
    kinds: dict[str, list[str]] = {}
    for job in jobs:
        kinds.setdefault(job.encoder, []).append(encoder_fingerprint(job, data))
    return [
        InputFile(name=f"{len(hashes)} encoder{'s' if len(hashes) > 1 else ''} {kind}", sha256=fingerprint(hashes))
        for kind, hashes in kinds.items()
    ]
