"""Fits every arm on the training patients of each fold, and predicts the fold's test patients."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from joblib import Parallel, delayed

from ppgssl.arms import Arm
from ppgssl.classifiers.logistic import fit_predict
from ppgssl.classifiers.network import fit_network, predict_network
from ppgssl.evaluation.leakage import check_no_leakage
from ppgssl.features.embeddings import embed
from ppgssl.features.pooling import pool_to_patients
from ppgssl.pretrain import (
    derive_seed,
    hashed_patient,
    initial_encoder,
    job_for,
    patients_seen,
    study_bank,
    worker_count,
)
from ppgssl.records import FloatArray
from ppgssl.selfsupervised.encoder_io import load_encoder
from ppgssl.selfsupervised.encoders.base import EncoderNetwork
from ppgssl.store.splits import Fold
from ppgssl.store.study_data import StudyData

Progress = Callable[[int, int, str], None]


def predict_folds(
    data: StudyData, out: Path, made_of: str, *, n_jobs: int = -1, progress: Progress | None = None
) -> pd.DataFrame:
    """The one table of predictions: a row for each arm, fold and test patient.

    Each fold is kept in ``out/predictions/`` as soon as it is done, under the hash of what it was made of, so that an
    interrupted evaluation goes on with the next fold.
    """
    folder = out / "predictions" / made_of[:16]
    folder.mkdir(parents=True, exist_ok=True)
    for outdated in (out / "predictions").iterdir():
        if outdated != folder:
            shutil.rmtree(outdated)
    n_workers, n_threads = worker_count(len(data.folds), n_jobs)
    shared = data.sharing(n_workers)
    done = Parallel(n_jobs=n_workers, return_as="generator")(
        delayed(_predict_fold)(fold, shared, out, folder / f"{fold.name}.parquet", n_threads) for fold in data.folds
    )
    frames = []
    for number, frame in enumerate(done, start=1):
        frames.append(frame)
        if progress:
            progress(number, len(data.folds), f"{len(data.study.arms)} arms a fold")
    return pd.concat(frames, ignore_index=True)


def _predict_fold(fold: Fold, data: StudyData, out: Path, file: Path, n_threads: int) -> pd.DataFrame:
    if file.is_file():
        return pd.read_parquet(file)
    torch.set_num_threads(n_threads)
    fitter = FoldFitter(fold, data, out)
    frame = pd.concat([fitter.predict(arm) for arm in data.study.arm_list], ignore_index=True)
    temporary = file.with_suffix(f".{os.getpid()}")
    frame.to_parquet(temporary, index=False)
    temporary.replace(file)
    return frame


@dataclass(frozen=True)
class _Fitted:
    """Scores of the test patients, columns of a regression, and what was done otherwise than planned."""

    y_score: FloatArray
    n_features: int | None = None
    note: str = ""


class FoldFitter:
    """Fits arms on one fold's training patients; features of an encoder are computed once for all arms.

    Parameters
    ----------
    fold
        Who trains and who is tested.
    data
        The study's segments, outcome and covariates.
    out
        The study's folder, where its encoders lie.
    """

    def __init__(self, fold: Fold, data: StudyData, out: Path) -> None:
        self.fold, self.data, self.out = fold, data, out
        self.bank = study_bank(data, ~data.of_patients(fold.test))
        self.is_analysed = data.of_patients(list(data.y.index))
        self.patients = data.segments.table["patient"].to_numpy()
        self._features: dict[str, pd.DataFrame] = {}

    def predict(self, arm: Arm) -> pd.DataFrame:
        """Rows of the predictions table for one arm."""
        started = time.perf_counter()
        fitted = self._network(arm) if arm.learner == "network" else self._logistic(arm)
        test = list(self.fold.test)
        return pd.DataFrame(
            {
                "arm": arm.name,
                "repeat": self.fold.repeat,
                "fold": self.fold.fold,
                "patient_id": test,
                "y_true": self.data.y.loc[test].to_numpy(),
                "y_score": fitted.y_score,
                "n_features": fitted.n_features,
                "note": fitted.note,
                "seconds": time.perf_counter() - started,
            }
        ).astype({"n_features": "Int64"})

    def _covariates(self, arm: Arm) -> pd.DataFrame | None:
        if arm.heart_rate:
            return self._heart_rate()
        return self.data.covariates[self.data.study.covariates] if arm.covariates else None

    def _heart_rate(self) -> pd.DataFrame:
        """The clinical heart rate that the study names, or the median over the patient's accepted segments."""
        if self.data.study.heart_rate:
            return self.data.covariates[[self.data.study.heart_rate]]
        table = self.data.segments.table[self.is_analysed]
        return table.groupby("patient")[["heart_rate_bpm"]].median().reindex(self.data.y.index)

    def _features_of(self, encoder: str) -> pd.DataFrame:
        if encoder not in self._features:
            index = np.flatnonzero(self.is_analysed)
            embeddings = embed(self._encoder(encoder), self.bank, index)
            self._features[encoder] = pool_to_patients(embeddings, self.patients[index]).reindex(self.data.y.index)
        return self._features[encoder]

    def _encoder(self, name: str) -> EncoderNetwork:
        if name == "untrained":
            return initial_encoder(self.data, self.fold)
        job = job_for(name, self.fold, self.data.study, self.out)
        if not job.is_transductive:
            check_no_leakage(map(hashed_patient, self.fold.test), patients_seen(job), f"the encoder {job.name}")
        return load_encoder(job.folder)

    def _logistic(self, arm: Arm) -> _Fitted:
        covariates, features = self._covariates(arm), self._features_of(arm.encoder) if arm.encoder else None
        columns = [] if covariates is None else list(covariates.columns)
        embedding = [] if features is None else list(features.columns)
        table = pd.concat([part for part in (covariates, features) if part is not None], axis=1)
        kinds = {name: variable.kind for name, variable in self.data.clinical.variables.items()}
        train, test = list(self.fold.train), list(self.fold.test)
        fit = fit_predict(
            table.loc[train],
            self.data.y.loc[train],
            table.loc[test],
            numeric=[name for name in columns if kinds.get(name, "numeric") == "numeric"],
            categorical=[name for name in columns if kinds.get(name, "numeric") != "numeric"],
            embedding=embedding,
            seed=derive_seed(self.data.study.seed, "inner folds", self.fold.name),
        )
        return _Fitted(fit.y_score, fit.n_features, "; ".join(fit.notes))

    def _network(self, arm: Arm) -> _Fitted:
        assert arm.encoder is not None  # every network arm names where its first weights come from
        fit = fit_network(
            self.bank,
            self.patients,
            self.data.y,
            list(self.fold.train),
            self._encoder(arm.encoder),
            is_pretrained=arm.encoder != "untrained",
            settings=self.data.study.network,
            seed=derive_seed(self.data.study.seed, "network", self.fold.name),
        )
        return _Fitted(predict_network(fit, self.bank, self.patients, list(self.fold.test)).to_numpy())
