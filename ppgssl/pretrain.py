"""Stage 2: stores -> SSL encoders, each pretrained on patients that its fold does not test."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable, Sequence
from contextlib import nullcontext, suppress
from dataclasses import asdict, dataclass, replace
from functools import partial
from multiprocessing import Manager
from pathlib import Path
from queue import Queue
from typing import Any, Literal

import numpy as np
import torch
from joblib import Parallel, delayed

from ppgssl.config import Study
from ppgssl.errors import StaleInputError, TrainingError
from ppgssl.evaluation.leakage import hashed_patient
from ppgssl.folder_lock import locked
from ppgssl.provenance import Stopwatch, fingerprint, made_of, read_run
from ppgssl.records import BoolArray, IntArray
from ppgssl.results import CurvePoint, Reconstruction
from ppgssl.selfsupervised.bank import SegmentBank
from ppgssl.selfsupervised.distributed import ALONE, Team, is_first_process, n_processes_started
from ppgssl.selfsupervised.effort import Progress as StepProgress
from ppgssl.selfsupervised.effort import Standing
from ppgssl.selfsupervised.encoders import make_encoder
from ppgssl.selfsupervised.encoders.base import EncoderNetwork
from ppgssl.selfsupervised.input_description import describe_study_input, save_input_description
from ppgssl.selfsupervised.pretraining_result import Examples, PretrainingResult, load_result
from ppgssl.selfsupervised.processes import work_together
from ppgssl.selfsupervised.streamed_bank import make_bank
from ppgssl.selfsupervised.training import pretrain as train_encoder
from ppgssl.signals.normalisation import normalise
from ppgssl.store.splits import Fold
from ppgssl.store.study_data import StudyData

Exposure = Literal["per-fold", "disjoint", "transductive"]
SSL_ENCODERS = ("ssl-labelled", "ssl-all")

# Ctrl-C reaches the process that holds the queue, too.
_QUEUE_GONE = (EOFError, OSError)

# Called with optimizer steps done, steps to do, and a line that says where training stands.
Progress = Callable[[int, int, str], None]
# Called with the number and the name of an encoder, and how it stands.
Report = Callable[[int, str, Standing], None]


@dataclass(frozen=True)
class EncoderJob:
    """One encoder to pretrain.

    Attributes
    ----------
    encoder : str
        ``ssl-labelled`` sees the labelled cohort alone; ``ssl-all``, and any other name, all cohorts.
    fold : Fold or None
        The fold whose test patients it must not see; None if it serves all folds.
    folder : Path
        Where it is kept.
    is_transductive : bool
        True where it may see test patients, on the user's word.
    """

    encoder: str
    fold: Fold | None
    folder: Path
    is_transductive: bool

    @property
    def name(self) -> str:
        return f"{self.encoder}, {self.fold.name}" if self.fold else self.encoder


def encoder_jobs(study: Study, folds: Sequence[Fold], out: Path) -> list[EncoderJob]:
    """The encoders that a study's arms need."""
    needed = [name for name in SSL_ENCODERS if any(arm.encoder == name for arm in study.arm_list)]
    return [job for name in needed for job in _jobs_of(name, study, folds, out)]


def _jobs_of(encoder: str, study: Study, folds: Sequence[Fold], out: Path) -> list[EncoderJob]:
    folder = out / "encoders" / encoder
    exposure = exposure_of(encoder, study)
    if exposure == "per-fold":
        return [EncoderJob(encoder, fold, folder / fold.name, is_transductive=False) for fold in folds]
    return [EncoderJob(encoder, None, folder / exposure, is_transductive=exposure == "transductive")]


def exposure_of(encoder: str, study: Study) -> Exposure:
    """What an encoder is pretrained on; SSL on the labelled cohort cannot be disjoint from it, so it is per fold."""
    exposure = study.pretraining.exposure
    return "per-fold" if exposure == "disjoint" and encoder == "ssl-labelled" else exposure


def job_for(encoder: str, fold: Fold, study: Study, out: Path) -> EncoderJob:
    """The encoder that serves a fold."""
    return _jobs_of(encoder, study, [fold], out)[0]


def seen_segments(job: EncoderJob, data: StudyData) -> BoolArray:
    """Segments that an encoder may be pretrained on: never of a test patient, unless it is transductive.

    Nor of a patient who holds a recording of a test patient's under another id.
    """
    labelled = data.is_labelled_cohort()
    if job.fold is None and not job.is_transductive:
        return ~labelled & ~data.of_patients(data.kin)
    seen = labelled if job.encoder == "ssl-labelled" else np.ones_like(labelled)
    return seen if job.fold is None else seen & ~data.of_patients(job.fold.unseen)


def derive_seed(seed: int, *parts: object) -> int:
    """A seed of its own for each use of randomness, the same on every machine."""
    digest = hashlib.sha256("/".join(map(str, (seed, *parts))).encode()).digest()
    return int.from_bytes(digest[:4], "big") >> 1


def study_bank(data: StudyData, is_training: BoolArray) -> SegmentBank:
    """The study's segments, normalised by constants that training segments alone decide."""
    inputs, segments = data.study.inputs, data.segments
    cohort = segments.table["cohort"].astype("category").cat.codes.to_numpy()
    affine = normalise(
        inputs.normalisation,
        moments=lambda: segments.moments,
        baseline=segments.baseline,
        is_present=segments.is_present,
        cohort=cohort,
        is_training=is_training,
        fixed=inputs.fixed,
        channels=[channel.name for channel in inputs.channels],
    )
    return make_bank(
        segments.samples,
        segments.table["start"].to_numpy(),
        segments.length,
        affine.offset,
        affine.scale,
        samples_sha256=segments.samples_sha256,
    )


def held_out_patients(data: StudyData, seen: BoolArray, *, seed: int) -> set[str]:
    """Patients, a share of each cohort, on whom the pretraining loss is judged and never trained."""
    rng = np.random.default_rng(seed)
    table = data.segments.table[seen]
    held_out: set[str] = set()
    for _, patients in table.groupby("cohort")["patient"]:
        names = np.sort(patients.unique())
        n_held = max(1, round(data.study.pretraining.validation_fraction * len(names)))
        if n_held < len(names):
            held_out |= set(rng.choice(names, n_held, replace=False))
    if not held_out:
        raise TrainingError("pretraining needs at least two patients in a cohort: one is held out to judge the loss")
    return held_out


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
    n_threads = _threads_of(team.devices)
    shared = [(job, data.sharing(team.devices)) for job, data in to_do]
    if n_processes_started(os.environ) is None:
        work_together(_train_in_turn, (shared, n_threads, team), n=team.devices, report=board)
    else:
        _train_in_turn(board, team.is_stopped, shared, n_threads, team)


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
                run(job, data.sharing(n_workers), n_threads, _Sender(number, job.name, queue))
                for number, (job, data) in enumerate(to_do)
            )
        finally:
            with suppress(*_QUEUE_GONE):
                queue.put(None)
            drain.join()


def encoder_fingerprint(job: EncoderJob, data: StudyData) -> str:
    """Hash of all that decides an encoder's weights: signals, not what the clinical table says of their patients."""
    seen = data.segments.table.loc[seen_segments(job, data), ["patient", "recording_id", "start"]]
    return fingerprint(
        {
            "encoder": job.encoder,
            "fold": job.fold.name if job.fold else "all",
            "segments": hashlib.sha256(seen.to_csv(index=False).encode()).hexdigest(),
            "content": data.signals_content,
            "pretraining": data.study.pretraining.model_dump(mode="json"),
            "seed": data.study.seed,
            "torch": torch.__version__,
        }
    )


def patients_seen(job: EncoderJob) -> list[str]:
    """Hashed patients that an encoder was pretrained on.

    Raises
    ------
    StaleInputError
        If the encoder does not say whom it has seen: then nobody can be tested on it.
    """
    patients = (read_run(job.folder) or {}).get("patients_sha256")
    if not patients:
        raise StaleInputError(
            f"{job.folder} does not say which patients the encoder {job.name} has seen: delete that folder and run "
            "`ppgssl pretrain STUDY.yaml` again"
        )
    return list(patients)


def initial_seed(data: StudyData, fold: Fold | None) -> int:
    """Seed of the first weights: of a fold, the same for the untrained control and for every SSL encoder."""
    return derive_seed(data.study.seed, "initial weights", fold.name if fold else "all")


def initial_encoder(data: StudyData, fold: Fold) -> EncoderNetwork:
    """The untrained control of a fold: the first weights of its SSL encoders."""
    n_channels = len(data.study.inputs.channels)
    return make_encoder(n_channels, data.study.pretraining.encoder, seed=initial_seed(data, fold))


def summarize_encoders(jobs: Sequence[EncoderJob], data: StudyData) -> dict[str, Any]:
    """What pretraining the encoders of one kind led to, as the report shows it."""
    results = [load_result(job.folder) for job in jobs]
    seen = seen_segments(jobs[0], data)
    table = data.segments.table
    return {
        "n_encoders": len(jobs),
        "n_patients": int(table.loc[seen, "patient"].nunique()),
        "n_segments": int(seen.sum()),
        "n_parameters": results[0].n_parameters,
        "curves": [
            [
                CurvePoint(step=row.step, train_loss=row.train_loss, validation_loss=row.validation_loss)
                for row in result.history
            ]
            for result in results
        ],
        "score_name": results[0].score_name,
        "score": _mean([result.score for result in results]),
        "effective_rank": float(np.mean([result.effective_rank for result in results])),
        "seconds": sum(result.seconds for result in results),
        "device": results[0].device,
        "warnings": encoder_warnings(jobs),
        "hardware": dict(results[0].hardware),
        "cpu_joules": _sum([result.energy.cpu_joules for result in results]),
        "gpu_joules": _sum([result.energy.gpu_joules for result in results]),
        "energy_note": results[0].energy.note,
        "reconstructions": _reconstructions(results[0].examples, data) if results[0].examples else [],
    }


def encoder_warnings(jobs: Sequence[EncoderJob]) -> list[str]:
    """What the records of encoders say went wrong with them or otherwise than asked for, the encoder named first."""
    records = [(job.name, read_run(job.folder) or {}) for job in jobs]
    return [
        f"{name}: {warning}"
        for name, record in records
        for warning in (*record.get("warnings", []), record.get("note", ""))
        if warning
    ]


def _sum(values: Sequence[float | None]) -> float | None:
    """Unknown as soon as one of the values is."""
    known = [value for value in values if value is not None]
    return sum(known) if len(known) == len(values) else None


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None


def _reconstructions(examples: Examples, data: StudyData) -> list[Reconstruction]:
    """The first channel of each example that its cohort has, as the report shows it."""
    cohorts = data.segments.table["cohort"]
    shown = data.segments.is_present[examples.index].argmax(axis=1)
    return [
        Reconstruction(
            cohort=str(cohorts.iloc[segment]),
            channel=data.study.inputs.channels[channel].name,
            fs_hz=data.study.inputs.fs_hz,
            original=examples.original[number, channel].tolist(),
            is_masked=examples.is_masked[number, channel].tolist(),
            reconstruction=examples.reconstruction[number, channel].tolist(),
        )
        for number, (segment, channel) in enumerate(zip(examples.index, shown, strict=True))
    ]


def _pretrain_one(job: EncoderJob, data: StudyData, n_threads: int, report: StepProgress, team: Team = ALONE) -> None:
    torch.set_num_threads(n_threads)
    watch = Stopwatch()
    seen = seen_segments(job, data)
    seed = derive_seed(data.study.seed, "held-out patients", job.fold.name if job.fold else "all")
    is_held_out = data.of_patients(sorted(held_out_patients(data, seen, seed=seed)))
    bank = study_bank(data, seen & ~is_held_out)
    job.folder.mkdir(parents=True, exist_ok=True)
    result = train_encoder(
        bank,
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
        save_input_description(job.folder, describe_study_input(data, bank))
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


def worker_count(n_to_do: int, n_jobs: int) -> tuple[int, int]:
    """Processes, and threads of each: encoders side by side use cores better than one encoder on all cores."""
    n_cores = os.cpu_count() or 1
    wanted = n_cores if n_jobs < 0 else n_jobs
    n_workers = 1 if torch.cuda.is_available() else max(1, min(wanted, n_to_do))
    return n_workers, _threads_of(n_workers)


def _threads_of(n_processes: int) -> int:
    """Threads of each of so many processes: an equal share of the cores, and no more than ``OMP_NUM_THREADS`` says."""
    most = os.environ.get("OMP_NUM_THREADS", "")
    share = max(1, (os.cpu_count() or 1) // n_processes)
    return min(share, int(most)) if most.isdigit() and int(most) else share


class _Board:
    """Progress over all encoders, from how each of them stands."""

    def __init__(self, n_steps: int, progress: Progress | None) -> None:
        self.n_steps, self.progress = n_steps, progress
        self.steps: dict[int, int] = {}

    def __call__(self, number: int, name: str, standing: Standing) -> None:
        self.steps[number] = standing.step
        if self.progress:
            text = f"{name}: loss {standing.train_loss:.3f}, held-out {standing.validation_loss:.3f}"
            warning = f", {standing.warning}" if standing.warning else ""
            self.progress(sum(self.steps.values()), self.n_steps, text + warning)


@dataclass(frozen=True)
class _Sender:
    """Sends how an encoder stands from its process to the one that shows progress."""

    number: int
    name: str
    queue: Any

    def __call__(self, standing: Standing) -> None:
        self.queue.put((self.number, self.name, standing))


def _drain(queue: Queue[Any], board: _Board) -> None:
    with suppress(*_QUEUE_GONE):
        while (item := queue.get()) is not None:
            board(*item)
