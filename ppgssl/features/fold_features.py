"""The signal features of one fold: fitted to its training patients, or by the encoder that may serve it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from ppgssl.core.config.arms import HAND_CRAFTED, Arm
from ppgssl.core.errors import ConfigError
from ppgssl.core.parallel import Progress, Workers, silent
from ppgssl.core.records import BoolArray, IntArray
from ppgssl.core.seeds import derive_seed
from ppgssl.features.patient_table import (
    ArmTable,
    GivenFeatures,
    NormalisedSegments,
    PatientFeatures,
    SegmentFeatures,
    needs_spo2_curve,
)
from ppgssl.features.pulse_wave import PulseWave
from ppgssl.features.random_kernels import RandomKernels, check_random_kernels, fit_random_kernels
from ppgssl.features.recordings import RECORDING_FEATURES, recording_features
from ppgssl.features.spo2_curve import Curve, fitted_spo2_curve
from ppgssl.selfsupervised.bank import SegmentBank
from ppgssl.selfsupervised.encoder_io import load_encoder
from ppgssl.selfsupervised.encoders.base import EncoderNetwork
from ppgssl.selfsupervised.input_description import describe_study_input
from ppgssl.selfsupervised.study_encoders import initial_encoder, job_for, patients_seen
from ppgssl.store.leakage import FittedParts
from ppgssl.store.splits import Fold
from ppgssl.store.study_data import StudyData

# MiniRocket's biases are learnt from this many training segments at most.
_MOST_FITTED = 4000


class FoldFeatures(Mapping[str, PatientFeatures]):
    """Features by name, each made when it is first asked for; everything fitted is recorded for the leak guard.

    Parameters
    ----------
    out : the study's folder, where its encoders lie
    parts : records everything that is fitted
    known : features that are the same in all folds, see :func:`common_features`
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
        is_training = ~data.of_patients([*fold.test, *fold.linked])
        if data.study.inputs.normalisation == "cohort":
            parts.record("Normalisation of segments", self.patients[is_training])
        self.segments = NormalisedSegments(describe_study_input(data, is_training))
        self._made: dict[str, PatientFeatures] = {name: GivenFeatures(table) for name, table in (known or {}).items()}

    def arm_table(self, arm: Arm) -> ArmTable:
        """The table of an arm."""
        curve = self.spo2_curve if needs_spo2_curve(arm, self.data.study) else None
        return ArmTable(arm, self.data.study, self.data.clinical.variables, self, self.segments, curve)

    @cached_property
    def spo2_curve(self) -> Curve | None:
        """The calibration of SpO2 on the fold's training patients, if the cohort asks for one."""
        curve = fitted_spo2_curve(self.data, self.fold.train)
        if curve is not None:
            self.parts.record("Calibration of SpO2", self.fold.train)
        return curve

    def __getitem__(self, name: str) -> PatientFeatures:
        if name not in self._made:
            self._made[name] = self._make(name)
        return self._made[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._made)

    def __len__(self) -> int:
        return len(self._made)

    def encoder(self, name: str) -> EncoderNetwork:
        """The fold's encoder of that name, with the weights that pretraining, or chance, left it with."""
        if name == "untrained":
            return initial_encoder(self.data, self.fold)
        job = job_for(name, self.fold, self.data.study, self.out)
        self.parts.record_hashed(f"Encoder {name}", patients_seen(job), is_transductive=job.is_transductive)
        self.parts.check(self.fold.test)
        return load_encoder(job.folder)

    def _make(self, name: str) -> PatientFeatures:
        if name in RECORDING_FEATURES:
            return GivenFeatures(recording_features(name, self.data, list(self.data.y.index), self.out))
        if name == "pulse-wave":
            represent = PulseWave(self.data.study.inputs.fs_hz)
            return SegmentFeatures(represent, self.segments, represent.names(self.segments.description.channel_names))
        if name != "minirocket":
            return SegmentFeatures(self.encoder(name), self.segments)
        chosen = self.data.of_patients(self.fold.train)
        kernels, used = fitted_kernels(self.data, chosen, self.segments.bank(self.data), place=self.fold.name)
        self.parts.record("MiniRocket", self.patients[used])
        return SegmentFeatures(kernels, self.segments)


def fitted_kernels(
    data: StudyData, is_training: BoolArray, bank: SegmentBank, *, place: str
) -> tuple[RandomKernels, IntArray]:
    """MiniRocket, its biases learnt from training segments, drawn evenly; and the numbers of these.

    ``is_training``: bool array, shape (n_segments,). ``place``: name of the fold, or ``all`` of the final model.
    """
    seed = derive_seed(data.study.seed, "minirocket", place)
    chosen = np.flatnonzero(is_training)
    chosen = np.random.default_rng(seed).choice(chosen, min(_MOST_FITTED, len(chosen)), replace=False)
    return fit_random_kernels(bank.gather(np.sort(chosen)).cpu().numpy(), seed=seed), chosen


def common_features(
    data: StudyData, out: Path, pool: Workers | None = None, *, progress: Progress = silent
) -> dict[str, pd.DataFrame]:
    """Features that are the same in all folds and take long to compute: name -> table of patients.

    Hand-crafted features fit nothing, unless segments are normalised by constants of the training patients.
    """
    used = {name for arm in data.study.arm_list for name in arm.feature_sets}
    found: dict[str, pd.DataFrame] = {}
    for name in (name for name in HAND_CRAFTED if name in used):
        if name in RECORDING_FEATURES:
            found[name] = recording_features(name, data, list(data.y.index), out, pool, progress)
        elif data.study.inputs.normalisation != "cohort":
            fold = data.folds[0]
            found[name] = FoldFeatures(fold, data, out, FittedParts(fold.name))[name].transform(data)
    return found


def check_feature_packages(arm_list: Sequence[Arm]) -> None:
    """Raise ConfigError where an arm's features need a package that is not installed."""
    arms = [arm.name for arm in arm_list if arm.features == "minirocket"]
    if not arms:
        return
    try:
        check_random_kernels()
    except ConfigError:
        raise ConfigError(
            f"the features `minirocket` need the package aeon: pip install 'ppgssl[baselines]', or take "
            f"{', '.join(arms)} out of `arms`"
        ) from None
