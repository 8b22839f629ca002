"""What is different between the patients of an external validation and those that the model was fitted to."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from ppgssl.core.reasons import FindingKind
from ppgssl.core.records import FloatArray, IntArray
from ppgssl.core.results.robustness import ShiftMeasure
from ppgssl.core.text import listed
from ppgssl.evaluation.shift import (
    LIMIT_DIFFERENCE,
    LIMIT_INDEX,
    difference_of_levels,
    is_beyond,
    proportion_beyond,
    stability_index,
    standardised_difference,
)
from ppgssl.models.fitted import FittedModel
from ppgssl.models.reference import DISTANCE_QUANTILE, Reference, bin_proportions
from ppgssl.stages.deploy.risks import PatientRisks

_MOST_NAMED = 8
_RARE = 0.05
_GROUPS = {
    "covariate": FindingKind.UNLIKE_COVARIATES,
    "signal": FindingKind.UNLIKE_SIGNALS,
    "feature": FindingKind.UNLIKE_FEATURES,
    "risk": FindingKind.UNLIKE_RISKS,
}


def measure_shift(model: FittedModel, patients: PatientRisks, rows: IntArray) -> list[ShiftMeasure]:
    """Each quantity of the model's summary of its training patients, compared with the analysed rows of patients."""
    return [_measure(one, _values(one, patients).iloc[rows]) for one in model.card.references]


def _values(one: Reference, patients: PatientRisks) -> pd.Series:
    if one.group == "risk":
        return pd.Series(patients.risks[0])
    if one.group == "signal":
        return patients.signals[one.name.removeprefix("signal_")]
    values = patients.table[one.name]
    if one.kind == "categorical" and values.dtype != object:  # 0.0 and 1.0 of a binary variable
        return values.map(dict(enumerate(one.levels)))
    return values


def _measure(one: Reference, values: pd.Series) -> ShiftMeasure:
    known = values.dropna()
    n_missing = len(values) - len(known)
    total = one.n + one.n_missing
    proportion_missing = one.n_missing / total if total else 0.0
    measured = _numeric(one, known.to_numpy(dtype=float)) if one.kind == "numeric" else _levels(one, known)
    missing = difference_of_levels(
        np.array([len(known), n_missing], dtype=float), np.array([1 - proportion_missing, proportion_missing]), total
    )
    is_warning = (
        is_beyond(measured.get("difference"), measured.get("difference_by_chance"), LIMIT_DIFFERENCE)
        or is_beyond(measured.get("index"), measured.get("index_by_chance"), LIMIT_INDEX)
        or is_beyond(*missing, LIMIT_DIFFERENCE)
        or (len(values) > 0 and known.empty and proportion_missing < 1)
    )
    return ShiftMeasure(
        name=one.name,
        label=one.label,
        group=one.group,
        unit=one.unit,
        n=len(known),
        n_missing=n_missing,
        n_reference=one.n,
        proportion_missing_reference=proportion_missing,
        mean_reference=one.mean,
        sd_reference=one.sd,
        **measured,
        is_warning=is_warning,
    )


def _numeric(one: Reference, values: FloatArray) -> dict[str, float | None]:
    if one.mean is None or one.sd is None or not len(values):
        return {}
    difference, by_chance = standardised_difference(values, one.mean, one.sd, one.n)
    return {
        "mean": float(values.mean()),
        "sd": float(values.std(ddof=1)) if len(values) > 1 else None,
        "difference": difference,
        "difference_by_chance": by_chance,
        **_stability(one, bin_proportions(values, np.array(one.edges)) * len(values)),
    }


def _levels(one: Reference, values: pd.Series) -> dict[str, float | None]:
    counts = np.array([(values == level).sum() for level in one.levels], dtype=float)
    difference, by_chance = difference_of_levels(counts, np.array(one.proportions), one.n)
    return {"difference": difference, "difference_by_chance": by_chance, **_stability(one, counts)}


def _stability(one: Reference, counts: FloatArray) -> dict[str, float | None]:
    index, by_chance = stability_index(counts, np.array(one.proportions), one.n)
    return {"index": index, "index_by_chance": by_chance}


def shift_findings(
    model: FittedModel, shift: Sequence[ShiftMeasure], patients: PatientRisks, rows: IntArray
) -> list[tuple[FindingKind, str]]:
    """Kind and text of what deserves a warning, one for each group of quantities."""
    warnings = []
    for group, kind in _GROUPS.items():
        beyond = [one for one in shift if one.group == group and one.is_warning]
        if beyond:
            n = sum(one.group == group for one in shift)
            beyond.sort(key=lambda one: -abs(one.difference or 0.0))
            shown = listed([_difference(one) for one in beyond], most=_MOST_NAMED)
            verb = "differs" if len(beyond) == 1 else "differ"
            text = (
                f"{len(beyond)} of {n} {verb} by more than {LIMIT_DIFFERENCE:g} SD, or in distribution, and by more "
                f"than chance: {shown}. Calibration and discrimination show whether the model still holds."
            )
            warnings.append((kind, text))
    return warnings + _far(model, patients, rows)


def _difference(one: ShiftMeasure) -> str:
    if one.difference is None or abs(one.difference) < 0.1:
        return f"{one.label} (distribution or missing values)"
    return f"{one.label} ({one.difference:+.2f} SD)"


def _far(model: FittedModel, patients: PatientRisks, rows: IntArray) -> list[tuple[FindingKind, str]]:
    """Whether more patients are far from the training patients than there should be, by all features together."""
    domain = model.card.applicability_domain
    if domain is None or patients.distance is None:
        return []
    distances = patients.distance[rows]
    distances = distances[np.isfinite(distances)]
    if not len(distances):
        return []
    proportion, p_value = proportion_beyond(distances, domain.threshold, 1 - DISTANCE_QUANTILE)
    if p_value >= _RARE:
        return []
    return [
        (
            FindingKind.UNLIKE_TOGETHER,
            f"{100 * proportion:.0f} % of the patients are outside the applicability domain: further from the training "
            "patients than 99 % of these are from each other. `ppgssl predict` names them.",
        )
    ]
