"""The saturation from the signals against that of the device or of the clinical table."""

from __future__ import annotations

import numpy as np
import pandas as pd

from ppgssl.core.results.data import Spo2Agreement, Spo2Check
from ppgssl.features.spo2_curve import fitted_spo2_curve, spo2_pairs
from ppgssl.signals.oximetry import spo2_by_curve
from ppgssl.store.study_data import StudyData

# Of the reference, in percent; the first includes all.
_RANGES = ((None, None), (None, 70.0), (70.0, 80.0), (80.0, 90.0), (90.0, None))


def spo2_check(data: StudyData) -> Spo2Check | None:
    """Bias and A_rms by range of the saturation; None without red, infrared, or a reference.

    A calibration that is fitted is fitted to the training patients of each fold of the first repeat and tested on the
    fold's test patients.
    """
    cohort = data.labelled.cohort
    pairs = spo2_pairs(data, list(data.y.index)).dropna(subset=["reference"]).reset_index(drop=True)
    if not pairs["ratio_of_ratios"].notna().any():
        return None
    is_fitted = cohort.vitals.spo2_calibration == "fit"
    estimate = _cross_fitted(data, pairs) if is_fitted else pairs["spo2_percent"].astype(float)
    name, reference = cohort.vitals.spo2_reference, "the saturation that the device displayed"
    if name is not None:
        reference = f"the clinical variable {data.clinical.variables[name].label or name}"
    return Spo2Check(
        cohort=cohort.name,
        reference=reference,
        calibration="fit" if is_fitted else "textbook" if cohort.has_uncalibrated_spo2 else "device",
        curve=fitted_spo2_curve(data, list(data.y.index)),
        n_unknown=int(estimate.isna().sum()),
        ranges=agreement_by_range(pairs.assign(estimate=estimate).dropna(subset=["estimate"])),
    )


def _cross_fitted(data: StudyData, pairs: pd.DataFrame) -> pd.Series:
    estimate = pd.Series(np.nan, index=pairs.index)
    for fold in data.folds:
        curve = fitted_spo2_curve(data, fold.train) if fold.repeat == data.folds[0].repeat else None
        if curve is not None:
            is_test = pairs["patient"].isin(fold.test)
            estimate[is_test] = spo2_by_curve(pairs.loc[is_test, "ratio_of_ratios"].to_numpy(), curve)
    return estimate


def agreement_by_range(pairs: pd.DataFrame) -> list[Spo2Agreement]:
    """Of rows with ``patient``, ``reference`` and ``estimate``; ranges without any are left out."""
    found = []
    for low, high in _RANGES:
        is_within = (pairs["reference"] >= (low or 0)) & (pairs["reference"] < (high or np.inf))
        within = pairs[is_within]
        if within.empty:
            continue
        error = (within["estimate"] - within["reference"]).to_numpy(dtype=float)
        found.append(
            Spo2Agreement(
                low=low,
                high=high,
                n_segments=len(within),
                n_patients=within["patient"].nunique(),
                bias=float(error.mean()),
                a_rms=float(np.sqrt(np.mean(error**2))),
            )
        )
    return found
