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
    """Risks of patients, with the ``table`` (index patient key) that the model takes and their signal summary.

    Attributes
    ----------
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
        """Ends of the interval of each patient, which includes the model's own risk; NaN of a model without one."""
        if len(self.risks) == 1:
            nothing = np.full(self.risks.shape[1], np.nan)
            return nothing, nothing
        low, high = np.quantile(self.risks[1:], [0.025, 0.975], axis=0)
        return np.minimum(low, self.risks[0]), np.maximum(high, self.risks[0])


def patient_risks(model: FittedModel, data: StudyData) -> PatientRisks:
    """Risks of the patients of ``data.y``, usable or not.

    Raises StoreError if the encoder does not compute what it should.
    """
    rows = model.table().transform(data)
    table = rows if isinstance(rows, pd.DataFrame) else pd.DataFrame(index=rows.index)
    domain, distance = model.card.applicability_domain, None
    if domain is not None and model.precision is not None:
        distance = domain.distances(table[model.card.columns.features].to_numpy(dtype=float), model.precision)
    return PatientRisks(table, signal_summary(data, model.card.spo2_curve), model.risks(rows), distance)


def refusals(card: ModelCard, patients: PatientRisks) -> list[str]:
    """Why each patient can have no risk; empty for those who can."""
    arm, study = parse_arm(card.arm), card.study_model()
    taken = clinical_variables(arm, study)
    clinical = [name for name in (*card.columns.numeric, *card.columns.categorical) if name in taken]
    reasons = pd.Series("", index=patients.table.index)
    if card.columns.features:
        reasons[patients.table[card.columns.features].isna().all(axis=1)] = (
            "no feature could be computed from the signals"
        )
    if clinical:
        is_unknown = patients.table[clinical].isna().all(axis=1)
        reasons[is_unknown] = "none of the clinical values that the model takes is known"
    if needs_signals(arm, study):
        length = f"{study.inputs.segment_s:g} s"
        for number, (n, n_accepted) in enumerate(patients.signals[["n_segments", "n_accepted"]].to_numpy(dtype=int)):
            if not n_accepted:
                detail = f"none of {n} segments of {length} is accepted" if n else f"no segment of {length}"
                reasons.iloc[number] = f"no usable signal: {detail}"
    return reasons.tolist()
