"""The table of an arm: one row a patient. A fold, the final model and another hospital go through the same lines."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import numpy as np
import pandas as pd

from ppgssl.core.config.arms import Arm
from ppgssl.core.config.cohort import Variable
from ppgssl.core.config.study import Study
from ppgssl.core.records import FloatArray
from ppgssl.features.columns import Columns
from ppgssl.features.embeddings import embed
from ppgssl.features.pooling import feature_names, is_moment, pool_to_patients
from ppgssl.features.segment_table import SegmentTable
from ppgssl.features.signal_summary import signal_summary
from ppgssl.features.spo2_curve import Curve
from ppgssl.features.summaries import Represent, summarise
from ppgssl.selfsupervised.bank import SegmentBank
from ppgssl.selfsupervised.encoders.base import EncoderNetwork
from ppgssl.selfsupervised.input_description import InputDescription, segment_bank
from ppgssl.store.study_data import StudyData


class PatientFeatures(Protocol):
    """Signal features of one kind."""

    def transform(self, data: StudyData) -> pd.DataFrame:
        """A row for each patient of ``data.y``, in that order; NaN for patients without a segment."""


class ArmTable:
    """What an arm sees of each patient: clinical values as they are, and features of the patient's segments.

    Nothing is imputed, scaled or coded here: that is fitted with the classifier, on training patients.

    Parameters
    ----------
    study : names the covariates, and the clinical variables of heart rate and SpO2, if any
    variables : the clinical dictionary that the arm is fitted with; it classifies columns as numbers or levels
    features : at least those that the arm names; what several arms use is computed once
    segments : optional; for an arm whose learner takes the segments themselves
    spo2_curve : optional; fitted to training patients, see :mod:`ppgssl.features.spo2_curve`
    """

    def __init__(
        self,
        arm: Arm,
        study: Study,
        variables: Mapping[str, Variable],
        features: Mapping[str, PatientFeatures],
        segments: NormalisedSegments | None = None,
        spo2_curve: Curve | None = None,
    ) -> None:
        self.arm, self.study, self.variables = arm, study, variables
        self.features, self.segments, self.spo2_curve = features, segments, spo2_curve

    def transform(self, data: StudyData) -> pd.DataFrame | SegmentTable:
        """The patients of ``data.y``, in that order; segments by patient for a network.

        Columns are the clinical input, then the features; :meth:`columns` classifies them.
        """
        if self.arm.is_network:
            assert self.segments is not None  # a network is fitted to segments
            patients = data.segments.table["patient"].to_numpy()
            return SegmentTable(self.segments.bank(data), patients, data.y.index)
        # Named ssl_000 and such of an encoder, "CHANNEL word" of hand-crafted features: no name occurs twice.
        features = [self.features[name].transform(data) for name in self.arm.feature_sets]
        return pd.concat([self._clinical(data), *features], axis=1)

    def columns(self, table: pd.DataFrame) -> Columns:
        """Which columns of :meth:`transform`'s table are clinical numbers, clinical levels, and signal features."""
        clinical = [*clinical_variables(self.arm, self.study), *signal_vitals(self.arm, self.study)]
        kinds = {name: variable.kind for name, variable in self.variables.items()}
        numeric = [name for name in clinical if kinds.get(name, "numeric") == "numeric"]
        return Columns(
            numeric=tuple(name for name in table.columns if name in numeric),
            categorical=tuple(name for name in table.columns if name in clinical and name not in numeric),
            features=tuple(name for name in table.columns if name not in clinical),
            # The readouts of an untrained head hold little: for that control, moments keep their full weight.
            moments=tuple(name for name in table.columns if is_moment(name) and self.arm.features != "untrained"),
        )

    def _clinical(self, data: StudyData) -> pd.DataFrame:
        if self.arm.clinical == "covariates":
            return data.covariates[self.study.covariates]
        wanted = _vitals(self.arm, self.study)
        signals = signal_summary(data, self.spo2_curve) if signal_vitals(self.arm, self.study) else pd.DataFrame()
        columns = [data.covariates[variable] if variable else signals[column] for variable, column in wanted]
        return pd.concat(columns, axis=1) if columns else pd.DataFrame(index=data.y.index)


def clinical_variables(arm: Arm, study: Study) -> list[str]:
    """Clinical variables that an arm takes from the table of patients; what signals give is not among them."""
    if arm.clinical == "covariates":
        return list(study.covariates)
    return [variable for variable, _ in _vitals(arm, study) if variable]


def signal_vitals(arm: Arm, study: Study) -> list[str]:
    """Vital signs that an arm takes from the signals, since the study names no clinical variable for them."""
    return [column for variable, column in _vitals(arm, study) if not variable]


def needs_spo2_curve(arm: Arm, study: Study) -> bool:
    """Whether an arm takes a saturation from the signals."""
    return "spo2_percent" in signal_vitals(arm, study)


def needs_signals(arm: Arm, study: Study) -> bool:
    """Whether an arm gives no risk of a patient without an accepted segment."""
    return arm.features is not None or bool(signal_vitals(arm, study))


def _vitals(arm: Arm, study: Study) -> list[tuple[str | None, str]]:
    """Clinical variable, if the study names one, and column of the signals, of each vital sign that an arm takes."""
    pairs = {"spo2": (study.spo2, "spo2_percent"), "heart-rate": (study.heart_rate, "heart_rate_bpm")}
    names = {"vitals": ("spo2", "heart-rate"), "heart-rate": ("heart-rate",)}.get(arm.clinical or "", ())
    return [pairs[name] for name in names]


class NormalisedSegments:
    """Segments of any data as one input description wants them; those of the data asked for last are kept."""

    def __init__(self, description: InputDescription) -> None:
        self.description = description
        self._last: tuple[StudyData, SegmentBank] | None = None

    def bank(self, data: StudyData) -> SegmentBank:
        if self._last is None or self._last[0] is not data:
            self._last = (data, segment_bank(data.segments, self.description))
        return self._last[1]


class SegmentFeatures:
    """Features of segments, averaged over each patient's segments; those of the data asked for last are kept.

    Parameters
    ----------
    represent : EncoderNetwork or callable
        From normalised segments, shape (n, n_channels, length), to features; the mean leaves out unknown ones (NaN).
    names : optional; columns of a callable's features; by default they are numbered
    """

    def __init__(
        self, represent: EncoderNetwork | Represent, segments: NormalisedSegments, names: list[str] | None = None
    ) -> None:
        self.represent, self.segments, self.names = represent, segments, names
        self._last: tuple[StudyData, pd.DataFrame] | None = None

    def transform(self, data: StudyData) -> pd.DataFrame:
        if self._last is None or self._last[0] is not data:
            self._last = (data, self._compute(data))
        return self._last[1]

    def _compute(self, data: StudyData) -> pd.DataFrame:
        patients = data.segments.table["patient"].to_numpy()
        index = np.flatnonzero(data.of_patients(list(data.y.index)))
        bank = self.segments.bank(data)
        if isinstance(self.represent, EncoderNetwork):
            embeddings = embed(self.represent, bank, index)
            names = feature_names(self.represent)
            return pool_to_patients(embeddings, patients[index], names).reindex(data.y.index)
        rows = pd.Index(data.y.index)
        means = self._means(bank, index, rows.get_indexer(pd.Index(patients[index])), len(rows))
        names = self.names or [f"feature_{number:04d}" for number in range(means.shape[1])]
        return pd.DataFrame(means, index=rows, columns=names)

    def _means(self, bank: SegmentBank, index: np.ndarray, patient: np.ndarray, n_patients: int) -> FloatArray:
        assert not isinstance(self.represent, EncoderNetwork)
        if not len(index):  # a segment of zeros shows what the columns are
            n_features = self.represent(np.zeros((1, bank.n_channels, bank.length), dtype=np.float32)).shape[1]
            return np.full((n_patients, n_features), np.nan)
        nobody, none = np.zeros(len(index), dtype=bool), np.empty(0, dtype=np.int64)
        summary = summarise(self.represent, bank, index, patient, n_patients=n_patients, keep=none, is_fitting=nobody)
        return summary.means


class GivenFeatures:
    """Features that were computed before, such as those that are the same in all folds."""

    def __init__(self, table: pd.DataFrame) -> None:
        self.table = table

    def transform(self, data: StudyData) -> pd.DataFrame:
        return self.table.reindex(data.y.index)
