"""The calibration of SpO2 that is fitted to training patients, where a cohort asks for it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from ppgssl.core.errors import EvaluationError, SignalError
from ppgssl.signals.oximetry import fit_spo2_curve
from ppgssl.store.study_data import StudyData

Curve = tuple[float, float]


def spo2_pairs(data: StudyData, patients: Sequence[str]) -> pd.DataFrame:
    """``patient``, ``ratio_of_ratios``, ``spo2_percent`` and ``reference`` of the accepted segments of patients.

    The reference is the clinical variable that `vitals.spo2_reference` names, of which each patient has one value, or
    else the median of the device's trend over the segment; NaN where a cohort has neither.
    """
    cohort, inputs = data.labelled.cohort, data.study.inputs
    decisions = data.segments.decisions[data.segments.decisions["cohort"] == cohort.name]
    is_used = decisions["accepted"] & decisions["patient"].isin(patients)
    used = decisions.loc[is_used, ["patient", "recording_id", "start_s"]]
    stored = data.labelled.segments(inputs.segment_s, inputs.step_s)
    wanted = ["recording_id", "start_s", "ratio_of_ratios", "spo2_percent"]
    device = "device_spo2_percent" if "device_spo2_percent" in stored else None
    merged = used.merge(stored[[*wanted, *([device] if device else [])]], on=["recording_id", "start_s"], how="left")
    if cohort.vitals.spo2_reference is not None:
        reference = merged["patient"].map(data.covariates[cohort.vitals.spo2_reference].astype(float))
    else:
        reference = merged[device] if device else pd.Series(np.nan, index=merged.index)
    return (
        merged[["patient", "ratio_of_ratios", "spo2_percent"]]
        .astype({"ratio_of_ratios": float})
        .assign(reference=reference.astype(float))
    )


def fitted_spo2_curve(data: StudyData, patients: Sequence[str]) -> Curve | None:
    """The line in log R of these patients, each of whom counts as much; None where the cohort does not ask for one.

    Raises
    ------
    EvaluationError
        If the patients have too few pairs, or pairs that are none of oximetry.
    """
    if data.labelled.cohort.vitals.spo2_calibration != "fit":
        return None
    pairs = spo2_pairs(data, patients).dropna(subset=["ratio_of_ratios", "reference"])
    weight = 1 / pairs.groupby("patient")["patient"].transform("size").to_numpy(dtype=float)
    try:
        return fit_spo2_curve(pairs["ratio_of_ratios"].to_numpy(), pairs["reference"].to_numpy(), weight)
    except SignalError as error:
        raise EvaluationError(str(error)) from None
