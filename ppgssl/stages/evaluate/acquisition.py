"""Whether the acquisition of a signal predicts the outcome, and whether results hold among patients acquired alike."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ppgssl.core.results.robustness import AcquisitionCheck
from ppgssl.core.seeds import derive_seed
from ppgssl.evaluation.acquisition import check_acquisition
from ppgssl.stages.evaluate.performance import Sensitivity
from ppgssl.store.study_data import StudyData

_RAW_PROPERTIES = {"amplitude": "Pulse amplitude", "level": "Raw signal level"}


def acquisition_checks(data: StudyData) -> list[AcquisitionCheck]:
    """Whether amplitude or level of the raw signals of the labelled cohort predict the outcome by themselves."""
    cohort = data.labelled.cohort
    recordings = data.segments.acquisition.query("cohort == @cohort.name")
    labels = {name: variable.label or name for name, variable in data.clinical.variables.items()}
    covariates = data.covariates[data.study.covariates].rename(columns=labels)
    checks = []
    for channel in data.segments.channels_of(cohort.name):
        unit = cohort.signals.channels[channel].unit or "raw units"
        for column, name in _RAW_PROPERTIES.items():
            values = recordings[recordings["channel"] == channel].groupby("patient")[column].median()
            values = values.reindex(data.y.index).dropna()
            checks.append(
                check_acquisition(
                    cohort.name,
                    f"{name} of {channel} ({unit})",
                    values,
                    data.y.loc[values.index],
                    covariates.loc[values.index],
                    seed=derive_seed(data.study.seed, "acquisition", channel, column),
                )
            )
    return checks


def sensitivity_analysis(data: StudyData, checks: Sequence[AcquisitionCheck]) -> Sensitivity | None:
    """The larger group of patients by a raw property, where there are two groups and it holds both outcomes."""
    for check in checks:
        if check.threshold is None:
            continue
        values = np.array(check.values)
        is_low = values < check.threshold
        is_kept = is_low if is_low.sum() * 2 >= len(values) else ~is_low
        names = data.y.index[is_kept] if len(values) == len(data.y) else data.y.index[:0]
        if data.y.loc[names].nunique() == 2:
            side = "below" if is_kept is is_low else "above"
            return Sensitivity(
                list(names), f"patients with {check.name[0].lower()}{check.name[1:]} {side} {check.threshold:.4g}"
            )
    return None
