"""Signal quality and vital signs of each patient, over the patient's segments."""

from __future__ import annotations

import pandas as pd

from ppgssl.features.spo2_curve import Curve
from ppgssl.signals.oximetry import spo2_by_curve
from ppgssl.store.study_data import StudyData

# Columns of :func:`signal_summary`, with label and unit.
SIGNAL_QUANTITIES = {
    "sqi": ("Signal quality index (median of segments)", ""),
    "proportion_accepted": ("Proportion of segments accepted", ""),
    "heart_rate_bpm": ("Heart rate from signals", "1/min"),
    "respiratory_rate_per_min": ("Respiratory rate from signals", "1/min"),
    "spo2_percent": ("SpO2 from signals", "%"),
    "perfusion_index_percent": ("Perfusion index", "%"),
}


def signal_summary(data: StudyData, spo2_curve: Curve | None = None) -> pd.DataFrame:
    """Of each patient of ``data.y``: ``n_segments``, ``n_accepted``, and the columns of :data:`SIGNAL_QUANTITIES`.

    Vital signs are medians over accepted segments; NaN where there is none. The store of a cohort with
    `vitals.spo2_calibration: fit` holds ratios of ratios alone: ``spo2_curve`` makes saturations of them.
    """
    inputs, cohort = data.study.inputs, data.labelled.cohort.name
    decisions = data.segments.decisions[data.segments.decisions["cohort"] == cohort]
    by_patient = decisions.groupby("patient")
    summary = pd.DataFrame(
        {"n_segments": by_patient.size(), "n_accepted": by_patient["accepted"].sum(), "sqi": by_patient["sqi"].median()}
    ).reindex(data.y.index)
    summary[["n_segments", "n_accepted"]] = summary[["n_segments", "n_accepted"]].fillna(0).astype(int)
    summary["proportion_accepted"] = summary["n_accepted"] / summary["n_segments"].where(summary["n_segments"] > 0)
    vitals = [name for name in SIGNAL_QUANTITIES if name not in summary.columns]
    accepted = decisions.loc[decisions["accepted"], ["patient", "recording_id", "start_s"]]
    stored = data.labelled.segments(inputs.segment_s, inputs.step_s)
    if spo2_curve is not None and data.labelled.cohort.vitals.spo2_calibration == "fit":
        stored = stored.assign(spo2_percent=spo2_by_curve(stored["ratio_of_ratios"].to_numpy(), spo2_curve))
    stored = stored[["recording_id", "start_s", *vitals]]
    merged = accepted.merge(stored, on=["recording_id", "start_s"], how="left", validate="one_to_one")
    return summary.join(merged.groupby("patient")[vitals].median().astype(float))
