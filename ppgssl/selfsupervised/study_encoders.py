"""Which encoders a study needs, and what each of them may see."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch

from ppgssl.core.config.study import Study
from ppgssl.core.errors import StaleInputError, TrainingError
from ppgssl.core.provenance import fingerprint, read_run
from ppgssl.core.records import BoolArray
from ppgssl.core.seeds import derive_seed
from ppgssl.selfsupervised.encoders import make_encoder
from ppgssl.selfsupervised.encoders.base import EncoderNetwork
from ppgssl.store.splits import Fold
from ppgssl.store.study_data import StudyData

Exposure = Literal["per-fold", "disjoint", "transductive"]


SSL_ENCODERS = ("ssl-labelled", "ssl-all")


@dataclass(frozen=True)
class EncoderJob:
    """One encoder to pretrain, and the folder where it is kept.

    ``ssl-labelled`` sees the labelled cohort alone; ``ssl-all``, and any other name, all cohorts. ``fold`` is the fold
    whose test patients it must not see, None if it serves all folds; ``is_transductive`` is true where it may see test
    patients, at the user's wish.
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
        return ~labelled & ~data.of_patients(data.linked)
    seen = labelled if job.encoder == "ssl-labelled" else np.ones_like(labelled)
    return seen if job.fold is None else seen & ~data.of_patients(job.fold.unseen)


def held_out_patients(data: StudyData, seen: BoolArray, *, seed: int) -> set[str]:
    """Patients, a proportion of each cohort, on whom the pretraining loss is evaluated and never trained."""
    rng = np.random.default_rng(seed)
    table = data.segments.table[seen]
    held_out: set[str] = set()
    for _, patients in table.groupby("cohort")["patient"]:
        names = np.sort(patients.unique())
        n_held = max(1, round(data.study.pretraining.validation_fraction * len(names)))
        if n_held < len(names):
            held_out |= set(rng.choice(names, n_held, replace=False))
    if not held_out:
        raise TrainingError("pretraining needs at least two patients in a cohort: one is held out to evaluate the loss")
    return held_out


def encoder_fingerprint(job: EncoderJob, data: StudyData) -> str:
    """Hash of all that decides an encoder's weights: signals, not what the clinical table holds on their patients."""
    seen = data.segments.table.assign(start=data.segments.start)
    seen = seen.loc[seen_segments(job, data), ["patient", "recording_id", "start"]]
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
    """Hashed patients that an encoder was pretrained on; without such a record nobody can be tested on it."""
    patients = (read_run(job.folder) or {}).get("patients_sha256")
    if not patients:
        raise StaleInputError(
            f"{job.folder} does not record which patients the encoder {job.name} has seen: delete that folder and run "
            "`ppgssl pretrain STUDY.yaml` again"
        )
    return list(patients)


def initial_seed(data: StudyData, fold: Fold | None) -> int:
    """Seed of the first weights: of a fold, the same for the untrained control and for every SSL encoder."""
    return derive_seed(data.study.seed, "initial weights", fold.name if fold else "all")


def initial_encoder(data: StudyData, fold: Fold) -> EncoderNetwork:
    """The untrained control of a fold: the first weights of its SSL encoders."""
    inputs, shape = data.study.inputs, data.study.pretraining.shape
    return make_encoder(len(inputs.channels), shape, fs_hz=inputs.fs_hz, seed=initial_seed(data, fold))


def encoder_warnings(jobs: Sequence[EncoderJob]) -> list[str]:
    """What went wrong with encoders or otherwise than asked for, from their records; the encoder is named first."""
    records = [(job.name, read_run(job.folder) or {}) for job in jobs]
    return [
        f"{name}: {warning}"
        for name, record in records
        for warning in (*record.get("warnings", []), record.get("note", ""))
        if warning
    ]
