"""Risks of any patients by a fitted model, and why a patient has none."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from ppgssl.core.config.arms import parse_arm
from ppgssl.core.records import FloatArray
from ppgssl.features.patient_table import clinical_variables, needs_signals
from ppgssl.features.signal_summary import signal_summary
from ppgssl.models.card import ModelCard
from ppgssl.models.fitted import FittedModel
from ppgssl.store.study_data import StudyData


@dataclass(frozen=True)
class PatientRisks:
    """Risks of patients, with what the model takes of them.

    Attributes
    ----------
    table : DataFrame, index patient key
        What the model sees.
    signals : DataFrame
        Of :func:`ppgssl.features.signal_summary.signal_summary`.
    risks : float array, shape (n_models, n_patients)
        Row 0 is the model; the others its refits, or the draws from its posterior.
    distance : float array or None, shape (n_patients,)
        From the features of training patients; NaN without features.
    """

    table: pd.DataFrame = field(repr=False)
    signals: pd.DataFrame = field(repr=False)
    risks: FloatArray = field(repr=False)
    distance: FloatArray | None = field(repr=False)

    def interval(self) -> tuple[FloatArray, FloatArray]:
        """Ends of the interval of each patient, with the model's own risk in any case; NaN of a model without one."""
        if len(self.risks) == 1:
            nothing = np.full(self.risks.shape[1], np.nan)
            return nothing, nothing
        low, high = np.quantile(self.risks[1:], [0.025, 0.975], axis=0)
        return np.minimum(low, self.risks[0]), np.maximum(high, self.risks[0])


def patient_risks(model: FittedModel, data: StudyData) -> PatientRisks:
    """Risks of the patients of ``data.y``, usable or not.

    Raises
    ------
    StoreError
        If the encoder does not compute what it should.
    """
    rows = model.table().transform(data)
    table = rows if isinstance(rows, pd.DataFrame) else pd.DataFrame(index=rows.index)
    domain, distance = model.card.applicability_domain, None
    if domain is not None and model.precision is not None:
        distance = domain.distances(table[model.card.columns.features].to_numpy(dtype=float), model.precision)
    return PatientRisks(table, signal_summary(data, model.card.spo2_curve), model.risks(rows), distance)


def refusals(card: ModelCard, found: PatientRisks) -> list[str]:
    """Why each patient can have no risk; empty for those who can."""
    arm, study = parse_arm(card.arm), card.study_model()
    taken = clinical_variables(arm, study)
    clinical = [name for name in (*card.columns.numeric, *card.columns.categorical) if name in taken]
    reasons = pd.Series("", index=found.table.index)
    if card.columns.features:
        reasons[found.table[card.columns.features].isna().all(axis=1)] = "no feature could be computed from the signals"
    if clinical:
        is_unknown = found.table[clinical].isna().all(axis=1)
        reasons[is_unknown] = "none of the clinical values that the model takes is known"
    if needs_signals(arm, study):
        counts = zip(found.signals["n_segments"], found.signals["n_accepted"], reasons, strict=True)
        return [reason if n_accepted else no_signal(int(n), study.inputs.segment_s) for n, n_accepted, reason in counts]
    return reasons.tolist()


def no_signal(n_segments: int, segment_s: float) -> str:
    if not n_segments:
        return f"no usable signal: no segment of {segment_s:g} s"
    return f"no usable signal: none of {n_segments} segments of {segment_s:g} s is accepted"
