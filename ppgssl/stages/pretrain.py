"""Stage 2: stores -> SSL encoders, each pretrained on patients that its fold does not test."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np

from ppgssl.core.config.study import Study
from ppgssl.core.errors import ConfigError
from ppgssl.core.locks import locked
from ppgssl.core.parallel import Progress, silent, threads_of
from ppgssl.core.provenance import Stopwatch, fingerprint, made_of
from ppgssl.core.records import BoolArray
from ppgssl.core.seeds import derive_seed
from ppgssl.core.tasks import limit_threads
from ppgssl.selfsupervised.distributed import ALONE, n_processes_started
from ppgssl.selfsupervised.distributed import Team as Team
from ppgssl.selfsupervised.distributed import is_first_process as is_first_process
from ppgssl.selfsupervised.input_description import describe_study_input, save_input_description, study_bank
from ppgssl.selfsupervised.loop import pretrain as train_encoder
from ppgssl.selfsupervised.pretraining_result import PretrainingResult
from ppgssl.selfsupervised.processes import work_together
from ppgssl.selfsupervised.resource_use import StepProgress
from ppgssl.selfsupervised.study_encoders import (
    EncoderJob,
    encoder_fingerprint,
    encoder_jobs,
    held_out_patients,
    initial_seed,
    seen_segments,
)
from ppgssl.selfsupervised.study_encoders import encoder_warnings as encoder_warnings
from ppgssl.stages.study import study_workers
from ppgssl.store.leakage import hashed_patient
from ppgssl.store.study_data import StudyData

# An encoder, and the study by whose settings it is pretrained.
Task = tuple[EncoderJob, Study]


def pretrain(
    data: StudyData,
    out: Path,
    *,
    n_jobs: int = -1,
    scheduler: str | None = None,
    team: Team = ALONE,
    progress: Progress = silent,
) -> list[EncoderJob]:
    """Pretrain every encoder that the study needs and that is not there yet.

    Finished encoders whose data and settings are unchanged are kept, interrupted ones go on from their checkpoint.

    Parameters
    ----------
    data : StudyData
    out : Path
        Folder of the study's outputs.
    n_jobs, scheduler
        See :func:`ppgssl.stages.study.study_workers`; a task is one encoder.
    team : Team
        Processes that pretrain each encoder together, one encoder after the other.
    progress : Progress

    Returns
    -------
    list of EncoderJob
        All encoders of the study.

    Raises
    ------
    TrainingError
        If training cannot start, a loss is not finite, or a checkpoint cannot be written.
    ConfigError
        If the team cannot be formed, or cannot divide a batch equally.
    BusyError
        If another command is pretraining encoders of this study.
    """
    jobs = encoder_jobs(data.study, data.folds, out)
    to_do = [job for job in jobs if made_of(job.folder) != encoder_fingerprint(job, data)]
    if not to_do:
        return jobs
    watch = Stopwatch()
    tasks, folder = [(job, data.study) for job in to_do], out / "encoders"
    train_encoders(tasks, data, folder, n_jobs=n_jobs, scheduler=scheduler, team=team, progress=progress)
    if not is_first_process():
        return jobs
    watch.write(
        folder,
        "pretrain",
        made_of=fingerprint([encoder_fingerprint(job, data) for job in jobs]),
        n_encoders=len(jobs),
        n_encoders_trained_now=len(to_do),
        seed=data.study.seed,
        devices=team.devices,
        nodes=team.nodes,
    )
    return jobs


def train_encoders(
    to_do: Sequence[Task],
    data: StudyData,
    folder: Path,
    *,
    n_jobs: int = -1,
    scheduler: str | None = None,
    team: Team = ALONE,
    progress: Progress = silent,
) -> None:
    """Pretrain encoders, each by its own study's settings, in a folder where one command at a time may do so."""
    if team.size > 1 and scheduler is not None:
        raise ConfigError(
            f"--scheduler pretrains an encoder on each worker, --devices {team.devices} --nodes {team.nodes} one on "
            "all devices: give one of them"
        )
    for _, study in to_do:
        team.check(study.pretraining.batch_size, study.pretraining.accumulate)
    n_steps = sum(_n_steps(task, data) for task in to_do)
    with locked(folder, f"the encoders in {folder}") if is_first_process() else nullcontext():
        if team.size == 1:
            with study_workers(data, folder, n_jobs, scheduler) as pool:
                pool.run_in_steps(_train, to_do, data, team, n_steps=n_steps, progress=progress)
        elif n_processes_started(os.environ) is None:
            work_together(_train_in_turn, (to_do, data, team, n_steps), n=team.devices, report=progress)
        else:
            _train_in_turn(progress, team.is_stopped, to_do, data, team, n_steps)


def _train_in_turn(
    report: Callable[[int, int, str], None],
    is_stopped: Callable[[], bool],
    to_do: Sequence[Task],
    data: StudyData,
    team: Team,
    n_steps: int,
) -> None:
    limit_threads(threads_of(team.devices))
    n_before = 0
    for job, study in to_do:

        def report_encoder(done: int, _total: int, text: str = "", n_before: int = n_before) -> None:
            report(n_before + done, n_steps, text)

        _train((job, study), data, replace(team, is_stopped=is_stopped), report_encoder)
        n_before += _n_steps((job, study), data)


def _n_steps(task: Task, data: StudyData) -> int:
    """Steps of an encoder, before it is known who is held out of them: for the progress alone."""
    job, study = task
    return study.pretraining.steps(round((1 - study.pretraining.validation_fraction) * seen_segments(job, data).sum()))


def _train(task: Task, data: StudyData, team: Team, report: Progress) -> None:
    job, study = task
    data = replace(data, study=study)
    watch = Stopwatch()
    seen = seen_segments(job, data)
    seed = derive_seed(study.seed, "held-out patients", job.fold.name if job.fold else "all")
    is_held_out = data.of_patients(sorted(held_out_patients(data, seen, seed=seed)))
    is_training = seen & ~is_held_out
    description = describe_study_input(data, is_training)
    job.folder.mkdir(parents=True, exist_ok=True)

    def report_step(at: StepProgress) -> None:
        text = f"{job.name}: loss {at.train_loss:.3f}, held-out {at.validation_loss:.3f}"
        report(at.step, at.n_steps, f"{text}, {at.warning}" if at.warning else text)

    result = train_encoder(
        study_bank(data, description),
        np.flatnonzero(is_training),
        np.flatnonzero(seen & is_held_out),
        study.pretraining,
        fs_hz=study.inputs.fs_hz,
        seed=initial_seed(data, job.fold),
        folder=job.folder,
        patients=data.segments.patient_code,
        recordings=data.segments.recording_code,
        progress=report_step,
        team=team,
    )
    if is_first_process():
        save_input_description(job.folder, description)
        _record(job, data, seen, result, watch)


def _record(job: EncoderJob, data: StudyData, seen: BoolArray, result: PretrainingResult, watch: Stopwatch) -> None:
    patients = sorted(set(data.segments.table.loc[seen, "patient"]))
    watch.write(
        job.folder,
        "pretrain",
        made_of=encoder_fingerprint(job, data),
        encoder=job.encoder,
        fold=job.fold.name if job.fold else None,
        is_transductive=job.is_transductive,
        seed=data.study.seed,
        device=result.device,
        hardware=dict(result.hardware),
        training_seconds=round(result.seconds, 2),
        energy=asdict(result.energy),
        warnings=list(result.warnings),
        note=result.note,
        patients_sha256=[hashed_patient(name) for name in patients],
        n_patients=len(patients),
        n_segments=int(seen.sum()),
        stores={store.cohort.name: store.fingerprint() for store in data.stores},
        pretraining=data.study.pretraining.model_dump(mode="json"),
        inputs=data.study.inputs.model_dump(mode="json"),
    )
