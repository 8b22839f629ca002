"""The probe: how much the encoder of every objective, and baselines, encode, on the same patients."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from pydantic import ValidationError

from ppgssl.core.errors import ConfigError, EvaluationError
from ppgssl.core.parallel import Progress, Workers, silent
from ppgssl.core.provenance import Stopwatch, fingerprint, made_of, versions, write_atomically
from ppgssl.core.results.probe import ProbeResults
from ppgssl.features.random_kernels import check_random_kernels
from ppgssl.features.recordings import RECORDING_FEATURES, recording_features
from ppgssl.report.text.terminal import probe_lines as probe_lines
from ppgssl.selfsupervised.study_encoders import EncoderJob, encoder_fingerprint, encoder_warnings
from ppgssl.stages.pretrain import train_encoders
from ppgssl.stages.probe.assessment import as_table, assess
from ppgssl.stages.probe.measuring import PROBE_FOLDER as PROBE_FOLDER
from ppgssl.stages.probe.measuring import Plan, measure
from ppgssl.stages.probe.references import reference_targets
from ppgssl.stages.probe.representations import probe_job, representations
from ppgssl.stages.probe.targets import cohort_targets, probe_folds, probed_cohorts
from ppgssl.stages.study import current_folder, study_workers
from ppgssl.store.study_data import StudyData

PROBE_FILE, TABLE_FILE = "probe.json", "probe.csv"


def make_plan(data: StudyData) -> Plan:
    """Who is probed for what, and by which representations.

    Raises ConfigError if the study's `probe` does not fit its cohorts.
    """
    cohorts, settings, references = probed_cohorts(data), data.study.probe, reference_targets(data)
    n_minority = min(int(data.y.sum()), int((1 - data.y).sum()))
    return Plan(
        cohorts=cohorts,
        targets={
            store.cohort.name: [*cohort_targets(data, store), *references.get(store.cohort.name, ())]
            for store in data.stores
            if store.cohort.name in cohorts
        },
        min_patients=settings.min_patients,
        has_outcome=data.labelled.cohort.name in cohorts and n_minority >= settings.n_folds,
        folds=probe_folds(data, cohorts),
        representations=representations(data.study),
    )


def pretrain_probes(
    plan: Plan,
    data: StudyData,
    out: Path,
    *,
    n_jobs: int = -1,
    scheduler: str | None = None,
    progress: Progress = silent,
) -> list[EncoderJob]:
    """Pretrain the encoders that a probe needs and that are absent, one for each objective and fold; return all jobs.

    Raises ConfigError if a baseline's package is not installed, TrainingError if training fails.
    """
    if "minirocket" in data.study.probe.baselines:
        check_random_kernels()
    jobs = _jobs(plan, data, out)
    to_do = [(job, of_job) for job, of_job in jobs if made_of(job.folder) != encoder_fingerprint(job, of_job)]
    if to_do:
        tasks = [(job, of_job.study) for job, of_job in to_do]
        train_encoders(tasks, data, out / PROBE_FOLDER, n_jobs=n_jobs, scheduler=scheduler, progress=progress)
    return [job for job, _ in jobs]


def probe(
    plan: Plan,
    data: StudyData,
    out: Path,
    *,
    n_jobs: int = -1,
    scheduler: str | None = None,
    progress: Progress = silent,
) -> ProbeResults:
    """Measure every representation of a study, and write ``out/probe/probe.json`` and ``probe.csv``.

    Encoders that are missing are pretrained first. What is done and unchanged is not done again.
    Of ``n_jobs`` and ``scheduler``, see :func:`ppgssl.stages.study.study_workers`.

    Raises ConfigError, TrainingError as :func:`pretrain_probes`.
    """
    watch = Stopwatch()
    jobs = pretrain_probes(plan, data, out, n_jobs=n_jobs, scheduler=scheduler)
    made, folder = _fingerprint(plan, data, out), out / PROBE_FOLDER
    if (known := _load(folder, made)) is not None:
        return known
    with study_workers(data, folder, n_jobs, scheduler) as pool:
        rows = _measure_all(plan, data, out, made, pool, progress)
    results = assess(rows, plan, data, made_of=made, seconds=watch.seconds())
    for one in results.representations:
        one.warnings.extend(encoder_warnings([job for job in jobs if job.encoder == one.name]))
    as_table(results).to_csv(folder / TABLE_FILE, index=False)
    write_atomically(folder / PROBE_FILE, results.model_dump_json(indent=1))
    watch.write(folder, "probe", made_of=made, study=data.study.model_dump(mode="json"), seed=data.study.seed)
    return results


def finished_probe(data: StudyData, out: Path) -> ProbeResults | None:
    """The results of a probe of the study as it is now; None where none was run, or data or settings changed since."""
    folder = out / PROBE_FOLDER
    if not (folder / PROBE_FILE).is_file():
        return None
    try:
        plan = make_plan(data)
    except (ConfigError, EvaluationError):  # the study can no longer be probed, which is no reason not to evaluate it
        return None
    return _load(folder, _fingerprint(plan, data, out))


def outdated_note(out: Path) -> str:
    """A note that a probe is out of date; empty where there is none. For when :func:`finished_probe` returns None."""
    if not (out / PROBE_FOLDER / PROBE_FILE).is_file():
        return ""
    return (
        "The results of `ppgssl probe` are left out, since data, settings or version changed after it was run: run it "
        "again, then `ppgssl evaluate`."
    )


def _load(folder: Path, made: str) -> ProbeResults | None:
    try:
        results = ProbeResults.model_validate_json((folder / PROBE_FILE).read_bytes())
    except (FileNotFoundError, ValidationError):  # of another version
        return None
    return results if results.made_of == made else None


def _fingerprint(plan: Plan, data: StudyData, out: Path) -> str:
    """Hash of all that decides a probe's numbers."""
    return fingerprint(
        {
            "content": data.content,
            "encoders": [encoder_fingerprint(job, of_job) for job, of_job in _jobs(plan, data, out)],
            "encoder": data.study.pretraining.shape.model_dump(mode="json"),
            "probe": data.study.probe.model_dump(mode="json"),
            "targets": {
                cohort: [
                    [target.name, target.source, *(values.tolist() for values in (target.truth.index, target.truth))]
                    for target in targets
                ]
                for cohort, targets in plan.targets.items()
            },
            "n_bootstrap": data.study.validation.n_bootstrap,
            "version": versions().get("ppgssl"),
        }
    )


def _jobs(plan: Plan, data: StudyData, out: Path) -> list[tuple[EncoderJob, StudyData]]:
    ssl = [one for one in plan.representations if one.kind == "ssl"]
    return [probe_job(representation, fold, data, out) for representation in ssl for fold in plan.folds]


def _measure_all(plan: Plan, data: StudyData, out: Path, made: str, pool: Workers, progress: Progress) -> pd.DataFrame:
    """Rows of all representations and folds; each pair is kept as soon as it is done, under the hash of its inputs."""
    folder = current_folder(out / PROBE_FOLDER / "folds", made)
    for name in RECORDING_FEATURES.keys() & set(data.study.probe.baselines):
        recording_features(name, data, plan.patients, out / PROBE_FOLDER, pool, progress)  # kept for all folds
    tasks = [(representation, fold) for representation in plan.representations for fold in plan.folds]
    frames = pool.run(measure, tasks, plan, data, out, folder, progress=progress, label=lambda task: task[0].label)
    return pd.concat(list(frames), ignore_index=True)
