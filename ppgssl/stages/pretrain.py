"""Stage 2: stores -> SSL encoders, each pretrained on patients that its fold does not test."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from contextlib import nullcontext, suppress
from dataclasses import asdict, dataclass, replace
from functools import partial
from multiprocessing import Manager
from pathlib import Path
from queue import Queue
from typing import Any

import numpy as np
import torch
from joblib import Parallel, delayed

from ppgssl.core.locks import locked
from ppgssl.core.provenance import Stopwatch, fingerprint, made_of
from ppgssl.core.records import BoolArray, IntArray
from ppgssl.core.seeds import derive_seed
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
from ppgssl.selfsupervised.workers import threads_of, worker_count
from ppgssl.store.leakage import hashed_patient
from ppgssl.store.study_data import StudyData

# Ctrl-C reaches the process that holds the queue, too.
_QUEUE_GONE = (EOFError, OSError)


# Called with optimizer steps done, steps to do, and a line that says where training stands.
Progress = Callable[[int, int, str], None]


# Called with the number and the name of an encoder, and how it stands.
Report = Callable[[int, str, StepProgress], None]


def pretrain(
    data: StudyData, out: Path, *, n_jobs: int = -1, team: Team = ALONE, progress: Progress | None = None
) -> list[EncoderJob]:
    """Pretrain every encoder that the study needs and that is not there yet.

    Finished encoders whose data and settings are unchanged are kept, interrupted ones go on from their checkpoint.

    Parameters
    ----------
    data : StudyData
    out : Path
        Folder of the study's outputs.
    n_jobs : int
        Encoders that are pretrained side by side, where there is no GPU; -1 is one a core.
    team : Team
        Processes that pretrain each encoder together, one encoder after the other.
    progress : callable, optional

    Returns
    -------
    list of EncoderJob
        All encoders of the study.

    Raises
    ------
    TrainingError
        If training cannot start, a loss is not finite, or a checkpoint cannot be written.
    ConfigError
        If the team cannot be, or cannot share a batch equally.
    BusyError
        If another command is pretraining encoders of this study.
    """
    jobs = encoder_jobs(data.study, data.folds, out)
    to_do = [job for job in jobs if made_of(job.folder) != encoder_fingerprint(job, data)]
    if not to_do:
        return jobs
    watch = Stopwatch()
    train_encoders([(job, data) for job in to_do], out / "encoders", n_jobs=n_jobs, team=team, progress=progress)
    if not is_first_process():
        return jobs
    watch.write(
        out / "encoders",
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
    to_do: Sequence[tuple[EncoderJob, StudyData]],
    folder: Path,
    *,
    n_jobs: int = -1,
    team: Team = ALONE,
    progress: Progress | None = None,
) -> None:
    """Pretrain encoders, each by its own study's settings, in a folder where one command at a time may do so.

    See :func:`pretrain`.
    """
    for _, data in to_do:
        team.check(data.study.pretraining.batch_size, data.study.pretraining.accumulate)
    board = _Board(sum(data.study.pretraining.n_steps for _, data in to_do), progress)
    n_workers, n_threads = worker_count(len(to_do), n_jobs)
    with locked(folder, f"the encoders in {folder}") if is_first_process() else nullcontext():
        if team.size > 1:
            _train_in_team(to_do, team, board)
        elif n_workers <= 1:
            _train_in_turn(board, team.is_stopped, to_do, n_threads, team)
        else:
            _train_side_by_side(to_do, n_workers, n_threads, board)


def _train_in_team(to_do: Sequence[tuple[EncoderJob, StudyData]], team: Team, board: _Board) -> None:
    n_threads = threads_of(team.devices)
    if n_processes_started(os.environ) is None:
        work_together(_train_in_turn, (to_do, n_threads, team), n=team.devices, report=board)
    else:
        _train_in_turn(board, team.is_stopped, to_do, n_threads, team)


def _train_in_turn(
    report: Report,
    is_stopped: Callable[[], bool],
    to_do: Sequence[tuple[EncoderJob, StudyData]],
    n_threads: int,
    team: Team,
) -> None:
    for number, (job, data) in enumerate(to_do):
        _pretrain_one(job, data, n_threads, partial(report, number, job.name), replace(team, is_stopped=is_stopped))


def _train_side_by_side(
    to_do: Sequence[tuple[EncoderJob, StudyData]], n_workers: int, n_threads: int, board: _Board
) -> None:
    with Manager() as manager:
        queue = manager.Queue()
        drain = threading.Thread(target=_drain, args=(queue, board), daemon=True)
        drain.start()
        run = delayed(_pretrain_one)
        try:
            Parallel(n_jobs=n_workers)(
                run(job, data, n_threads, _Sender(number, job.name, queue)) for number, (job, data) in enumerate(to_do)
            )
        finally:
            with suppress(*_QUEUE_GONE):
                queue.put(None)
            drain.join()


def _pretrain_one(
    job: EncoderJob, data: StudyData, n_threads: int, report: Callable[[StepProgress], None], team: Team = ALONE
) -> None:
    torch.set_num_threads(n_threads)
    watch = Stopwatch()
    seen = seen_segments(job, data)
    seed = derive_seed(data.study.seed, "held-out patients", job.fold.name if job.fold else "all")
    is_held_out = data.of_patients(sorted(held_out_patients(data, seen, seed=seed)))
    description = describe_study_input(data, seen & ~is_held_out)
    job.folder.mkdir(parents=True, exist_ok=True)
    result = train_encoder(
        study_bank(data, description),
        _index(seen & ~is_held_out),
        _index(seen & is_held_out),
        data.study.pretraining,
        fs_hz=data.study.inputs.fs_hz,
        seed=initial_seed(data, job.fold),
        folder=job.folder,
        patients=data.segments.patient_code,
        recordings=data.segments.recording_code,
        progress=report,
        team=team,
    )
    if is_first_process():
        save_input_description(job.folder, description)
        _record(job, data, seen, result, watch)


def _index(mask: BoolArray) -> IntArray:
    return np.flatnonzero(mask)


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


class _Board:
    """Progress over all encoders, from how each of them stands."""

    def __init__(self, n_steps: int, progress: Progress | None) -> None:
        self.n_steps, self.progress = n_steps, progress
        self.steps: dict[int, int] = {}

    def __call__(self, number: int, name: str, step: StepProgress) -> None:
        self.steps[number] = step.step
        if self.progress:
            text = f"{name}: loss {step.train_loss:.3f}, held-out {step.validation_loss:.3f}"
            warning = f", {step.warning}" if step.warning else ""
            self.progress(sum(self.steps.values()), self.n_steps, text + warning)


@dataclass(frozen=True)
class _Sender:
    """Sends how an encoder stands from its process to the one that shows progress."""

    number: int
    name: str
    queue: Any

    def __call__(self, step: StepProgress) -> None:
        self.queue.put((self.number, self.name, step))


def _drain(queue: Queue[Any], board: _Board) -> None:
    with suppress(*_QUEUE_GONE):
        while (item := queue.get()) is not None:
            board(*item)
