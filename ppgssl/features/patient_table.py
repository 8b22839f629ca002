"""What a regression arm sees of each patient: clinical values, and features of the patient's segments."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from ppgssl.core.config.arms import Arm
from ppgssl.core.config.study import Study
from ppgssl.core.errors import ConfigError
from ppgssl.core.records import IntArray
from ppgssl.core.seeds import derive_seed
from ppgssl.features.columns import Columns
from ppgssl.features.embeddings import embed
from ppgssl.features.pooling import pool_to_patients
from ppgssl.features.pulse_wave import PulseWave
from ppgssl.features.random_kernels import check_random_kernels, fit_random_kernels
from ppgssl.features.summaries import Represent, summarise
from ppgssl.selfsupervised.bank import SegmentBank
from ppgssl.selfsupervised.encoder_io import load_encoder
from ppgssl.selfsupervised.encoders.base import EncoderNetwork
from ppgssl.selfsupervised.study_encoders import initial_encoder, job_for, patients_seen, study_bank
from ppgssl.store.leakage import FittedParts
from ppgssl.store.splits import Fold
from ppgssl.store.study_data import StudyData

# MiniRocket's biases are learnt from this many training segments at most.
_MOST_FITTED = 4000


class FoldInputs:
    """The inputs of all arms in one fold; what several arms use is computed once.

    Parameters
    ----------
    fold : Fold
    data : StudyData
    out : Path
        The study's folder, where its encoders lie.
    parts : FittedParts
        Is told of everything that is fitted.
    known : mapping of features to DataFrame
        Features that are the same in all folds, see :func:`common_features`.
    """

    def __init__(
        self,
        fold: Fold,
        data: StudyData,
        out: Path,
        parts: FittedParts,
        known: Mapping[str, pd.DataFrame] | None = None,
    ) -> None:
        self.fold, self.data, self.out, self.parts = fold, data, out, parts
        self.patients = data.segments.table["patient"].to_numpy()
        self.analysed = np.flatnonzero(data.of_patients(list(data.y.index)))
        self.bank = self._bank()
        self._features = dict(known or {})

    def of(self, arm: Arm) -> tuple[pd.DataFrame, Columns]:
        """A row for each patient analysed, index patient key in the order of ``data.y``, and what its columns are."""
        clinical = self._clinical(arm)
        # Named ssl_000 and such of an encoder, "CHANNEL word" of hand-made features: no name is twice.
        features = [self._of_signals(name) for name in arm.feature_sets]
        kinds = {name: variable.kind for name, variable in self.data.clinical.variables.items()}
        is_number = {name: kinds.get(name, "numeric") == "numeric" for name in clinical.columns}
        columns = Columns(
            numeric=tuple(name for name in clinical.columns if is_number[name]),
            categorical=tuple(name for name in clinical.columns if not is_number[name]),
            features=tuple(name for table in features for name in table.columns),
        )
        return pd.concat([clinical, *features], axis=1), columns

    def encoder(self, name: str) -> EncoderNetwork:
        """The fold's encoder of that name, with the weights that pretraining, or chance, left it with."""
        if name == "untrained":
            return initial_encoder(self.data, self.fold)
        job = job_for(name, self.fold, self.data.study, self.out)
        self.parts.record_hashed(f"Encoder {name}", patients_seen(job), is_transductive=job.is_transductive)
        self.parts.check(self.fold.test)
        return load_encoder(job.folder)

    def training_segments(self) -> IntArray:
        """Numbers of the segments of the training patients."""
        return np.flatnonzero(self.data.of_patients(self.fold.train))

    def _bank(self) -> SegmentBank:
        is_training = ~self.data.of_patients([*self.fold.test, *self.fold.kin])
        if self.data.study.inputs.normalisation == "cohort":
            self.parts.record("Normalisation of segments", self.patients[is_training])
        return study_bank(self.data, is_training)

    # --- clinical input ---

    def _clinical(self, arm: Arm) -> pd.DataFrame:
        study = self.data.study
        if arm.clinical == "covariates":
            return self.data.covariates[study.covariates]
        columns = []
        if arm.clinical == "vitals":
            columns.append(self._vital(study.spo2, "spo2_percent"))
        if arm.clinical:
            columns.append(self._vital(study.heart_rate, "heart_rate_bpm"))
        return pd.concat(columns, axis=1) if columns else pd.DataFrame(index=self.data.y.index)

    def _vital(self, variable: str | None, column: str) -> pd.Series:
        """The clinical variable that the study names, or the median over the patient's accepted segments."""
        if variable:
            return self.data.covariates[variable]
        segments = self._segments()
        return segments.groupby("patient")[column].median().reindex(self.data.y.index).astype(float)

    def _segments(self) -> pd.DataFrame:
        """Accepted segments of the labelled cohort with all that the store knows of them."""
        inputs, verdicts = self.data.study.inputs, self.data.segments.decisions
        is_used = verdicts["accepted"] & (verdicts["cohort"] == self.data.labelled.cohort.name)
        accepted = verdicts.loc[is_used, ["patient", "recording_id", "start_s"]]
        stored = self.data.labelled.segments(inputs.segment_s, inputs.step_s)
        return accepted.merge(stored, on=["recording_id", "start_s"], how="left", validate="one_to_one")

    # --- features ---

    def _of_signals(self, name: str) -> pd.DataFrame:
        if name not in self._features:
            self._features[name] = self._computed(name)
        return self._features[name]

    def _computed(self, name: str) -> pd.DataFrame:
        if name == "pulse-wave":
            represent = PulseWave(self.data.study.inputs.fs_hz)
            channels = [channel.name for channel in self.data.study.inputs.channels]
            return self._pooled(represent, represent.names(channels))
        if name == "minirocket":
            return self._pooled(self._random_kernels())
        embeddings = embed(self.encoder(name), self.bank, self.analysed)
        return pool_to_patients(embeddings, self.patients[self.analysed]).reindex(self.data.y.index)

    def _random_kernels(self) -> Represent:
        """MiniRocket, its biases learnt from segments of training patients, drawn evenly."""
        seed = derive_seed(self.data.study.seed, "minirocket", self.fold.name)
        chosen = self.training_segments()
        chosen = np.random.default_rng(seed).choice(chosen, min(_MOST_FITTED, len(chosen)), replace=False)
        self.parts.record("MiniRocket", self.patients[chosen])
        return fit_random_kernels(self.bank.gather(np.sort(chosen)).cpu().numpy(), seed=seed)

    def _pooled(self, represent: Represent, names: list[str] | None = None) -> pd.DataFrame:
        """Mean of each feature over the patient's segments in which it is known."""
        patients = pd.Index(self.data.y.index)
        summary = summarise(
            represent,
            self.bank,
            self.analysed,
            patients.get_indexer(pd.Index(self.patients[self.analysed])),
            n_patients=len(patients),
            keep=np.empty(0, dtype=np.int64),
            is_fitting=np.zeros(len(self.analysed), dtype=bool),
        )
        columns = names or [f"feature_{number:04d}" for number in range(summary.means.shape[1])]
        return pd.DataFrame(summary.means, index=patients, columns=columns)


def common_features(data: StudyData, out: Path) -> dict[str, pd.DataFrame]:
    """Features that are the same in all folds and take long to compute: name -> table of patients.

    Hand-made features fit nothing, unless segments are normalised by constants of the training patients.
    """
    is_used = any("pulse-wave" in arm.feature_sets for arm in data.study.arm_list)
    if not is_used or data.study.inputs.normalisation == "cohort":
        return {}
    inputs = FoldInputs(data.folds[0], data, out, FittedParts(data.folds[0].name))
    return {"pulse-wave": inputs.of(Arm("pulse-wave", "", features="pulse-wave"))[0]}


def check_feature_packages(study: Study) -> None:
    """Raise ConfigError where an arm's features need a package that is not installed."""
    arms = [arm.name for arm in study.arm_list if arm.features == "minirocket"]
    if not arms:
        return
    try:
        check_random_kernels()
    except ConfigError:
        raise ConfigError(
            f"the features `minirocket` need the package aeon: pip install 'ppgssl[baselines]', or take "
            f"{', '.join(arms)} out of `arms`"
        ) from None
