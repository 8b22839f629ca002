"""Values that look as if they were written in another unit than the rest of their column."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd

from ppgssl.core.config.cohort import ClinicalTable
from ppgssl.core.reasons import Reason
from ppgssl.core.records import FloatArray, Reject

# Unit of a variable -> another unit, and the factor from a value in the other unit to the right one.
_FACTORS: dict[str, dict[str, float]] = {
    "kg": {"jin (500 g)": 0.5, "pounds": 0.45359237, "g": 0.001, "stone": 6.35029318},
    "g": {"kg": 1000.0},
    "cm": {"m": 100.0, "inches": 2.54, "mm": 0.1, "feet": 30.48},
    "mm": {"cm": 10.0},
    "m": {"cm": 0.01},
    "years": {"months": 1 / 12},
    "months": {"years": 12.0},
    "mmhg": {"kPa": 7.50062},
    "%": {"a fraction of 1": 100.0},
}
_ALIASES = {"kilogram": "kg", "y": "years", "yr": "years", "year": "years", "mo": "months", "month": "months"}
_CELSIUS = {"°c", "c", "degc", "deg c", "celsius"}

# How strict: few rows must stand far off, and many may stand nearer, for a gap to be no accident.
_MIN_ROWS = 20
_MAX_PROPORTION = 0.4
_MIN_GAP_SD = 0.5
_MIN_EVIDENCE = 7.0
_MAX_SHIFT = 0.15
_N_GAPS = 20
_N_SHOWN = 10


@dataclass(frozen=True)
class UnitCandidate:
    """Patients whose values of one variable stand apart, and the units that would explain it."""

    variable: str
    unit: str
    other_units: list[str]
    patient_ids: list[str]
    by_height: bool


def find_unit_candidates(patients: pd.DataFrame, table: ClinicalTable) -> list[UnitCandidate]:
    """Find groups of values that fall among the others if a known factor is undone.

    A group is a candidate if (1) it holds at most 40 % of the values and lies wholly above, or below, all others;
    (2) the gap between it and them, in the logarithm, is at least half a standard deviation of the others, and no
    accident of an exponential tail: (size of the group) * gap / SD >= 7; (3) in the other unit all of its values lie
    within the range of the others (give or take their SD), and its median within 15 % of theirs. Patients are then
    counted to the group if they are nearer to its median than to that of the others.

    Where a table holds body weight (kg or g) and height (cm or m), weight is compared as weight over height squared, so
    that a small person's weight in another unit shows among tall persons. Two units that both explain a group are
    both named: the data alone cannot decide.

    ``patients`` are those of :func:`ppgssl.readers.clinical.table.read_clinical`. Variables without a known unit, such
    as transformed ones, are passed over. There is at most one candidate for each variable; values are never changed.
    """
    height = _height_m(patients, table)
    found = []
    for name, variable in table.variables.items():
        ways_back = _ways_back(_plain(variable.unit)) if variable.kind == "numeric" else {}
        use_height = height is not None and _is_weight(name, _plain(variable.unit))
        if ways_back:
            reference = height**2 if height is not None and use_height else pd.Series(1.0, index=patients.index)
            names, ids = _separate_group(patients[name], reference, ways_back)
            if ids:
                found.append(UnitCandidate(name, variable.unit, names, ids, use_height))
    return found


def unit_candidates(patients: pd.DataFrame, table: ClinicalTable) -> list[Reject]:
    """The same as findings: ``unit`` is "variable", ``subject`` its name, ``detail`` the text. No values are shown."""
    return [Reject(Reason.OTHER_UNIT, item.variable, _text(item)) for item in find_unit_candidates(patients, table)]


def _text(item: UnitCandidate) -> str:
    n = len(item.patient_ids)
    more = f" and {n - _N_SHOWN} more" if n > _N_SHOWN else ""
    compared = " (compared by weight over height squared)" if item.by_height else ""
    return (
        f"{n} of the values, apart from all others, would lie among them if written in "
        f"{' or '.join(item.other_units)} instead of {item.unit}{compared}: "
        f"patient{'s' if n > 1 else ''} {', '.join(item.patient_ids[:_N_SHOWN])}{more}"
    )


def _plain(unit: str) -> str:
    text = unit.strip().lower()
    return _ALIASES.get(text, text)


def _ways_back(unit: str) -> dict[str, Callable[[FloatArray], FloatArray]]:
    """Other unit -> function from values in it to values in ``unit``."""
    if unit in _CELSIUS:
        return {"°F": lambda values: (values - 32) / 1.8}
    return {other: partial(np.multiply, factor) for other, factor in _FACTORS.get(unit, {}).items()}


def _is_weight(name: str, unit: str) -> bool:
    return unit in ("kg", "g") and ("weight" in name.lower() or "mass" in name.lower())


def _height_m(patients: pd.DataFrame, table: ClinicalTable) -> pd.Series | None:
    metres = {"cm": 0.01, "m": 1.0}
    for name, variable in table.variables.items():
        is_length = variable.kind == "numeric" and _plain(variable.unit) in metres
        if is_length and "height" in name.lower() and patients[name].notna().mean() >= 1 - _MAX_PROPORTION / 2:
            return patients[name] * metres[_plain(variable.unit)]
    return None


def _separate_group(
    values: pd.Series, reference: pd.Series, ways_back: dict[str, Callable[[FloatArray], FloatArray]]
) -> tuple[list[str], list[str]]:
    """Units that explain a group that stands apart, and the patients in it, in the order of the table."""
    usable = (values > 0) & (reference > 0)
    raw, base = values[usable].to_numpy(dtype=float), reference[usable].to_numpy(dtype=float)
    if len(raw) < _MIN_ROWS:
        return [], []
    level = np.log(raw / base)
    best: tuple[float, list[str], np.ndarray] = (0.0, [], np.zeros(len(raw), dtype=bool))
    for is_apart, evidence in _groups_apart(level):
        names = [
            name for name, back in ways_back.items() if _explains(level, is_apart, back(raw[is_apart]) / base[is_apart])
        ]
        if names and evidence > best[0]:
            best = evidence, names, is_apart
    if not best[1]:
        return [], []
    return best[1], list(map(str, values[usable].index[_nearer_to_group(level, best[2])]))


def _groups_apart(level: FloatArray) -> list[tuple[np.ndarray, float]]:
    """Groups above or below one of the widest gaps, with the evidence for each."""
    ordered = np.sort(level)
    gaps = np.diff(ordered)
    groups = []
    for place in np.argsort(gaps)[-_N_GAPS:]:
        is_above = level > ordered[place]
        is_apart = is_above if is_above.sum() <= len(level) / 2 else ~is_above
        evidence = _evidence(level[~is_apart], float(gaps[place]), int(is_apart.sum()))
        if is_apart.mean() <= _MAX_PROPORTION and evidence >= _MIN_EVIDENCE:
            groups.append((is_apart, evidence))
    return groups


def _evidence(others: FloatArray, gap: float, n_apart: int) -> float:
    # A constant column has no spread of its own; 1 % is the rounding of a two-digit number.
    sd = max(float(np.std(others)), 0.01)
    return n_apart * gap / sd if gap >= _MIN_GAP_SD * sd else 0.0


def _explains(level: FloatArray, is_apart: np.ndarray, undone: FloatArray) -> bool:
    if np.any(undone <= 0):
        return False
    others, undone = level[~is_apart], np.log(undone)
    sd = float(np.std(others))
    inside = (undone >= others.min() - sd) & (undone <= others.max() + sd)
    return bool(inside.all() and abs(np.median(undone) - np.median(others)) <= _MAX_SHIFT)


def _nearer_to_group(level: FloatArray, is_apart: np.ndarray) -> np.ndarray:
    """The group by the midpoint between its median and that of the others: the widest gap may miss some of it."""
    group, others = float(np.median(level[is_apart])), float(np.median(level[~is_apart]))
    midpoint = (group + others) / 2
    return level > midpoint if group > others else level < midpoint
