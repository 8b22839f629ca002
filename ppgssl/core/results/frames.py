"""``results.json`` as tables: one row an arm, a comparison, an operating point or a threshold."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from ppgssl.core.errors import ConfigError
from ppgssl.core.results.base import Difference, Interval
from ppgssl.core.results.performance import ArmResult
from ppgssl.core.text import suggest

if TYPE_CHECKING:
    import pandas as pd

Row = dict[str, Any]


def results_frame(arms: list[ArmResult], table: str) -> pd.DataFrame:
    """One of the tables of :data:`TABLES`; see :meth:`ppgssl.core.results.study.Results.to_frame`."""
    import pandas as pd  # Results are read without it elsewhere.

    if table not in TABLES:
        raise ConfigError(f"there is no table {table!r} of results{suggest(table, TABLES)}; known: {', '.join(TABLES)}")
    return pd.DataFrame([{"arm": arm.name, **row} for arm in arms for row in TABLES[table](arm)])


def _arm(arm: ArmResult) -> Iterator[Row]:
    calibration = arm.calibration
    row: Row = {"label": arm.label, "learner": arm.learner, "n_features": arm.n_features}
    row |= _interval("auroc", arm.auroc)
    for name in ("partial_auroc", "auprc", "brier", "scaled_brier"):
        row |= _interval(name, getattr(arm, name))
    for name in ("intercept", "slope", "ici"):
        row |= _interval(f"calibration_{name}", getattr(calibration, name) if calibration else None)
    yield row


def _differences(arm: ArmResult) -> Iterator[Row]:
    for name in type(arm).model_fields:
        value = getattr(arm, name)
        if isinstance(value, Difference):
            yield {"kind": name, **value.model_dump()}


def _operating_points(arm: ArmResult) -> Iterator[Row]:
    for point in arm.operating_points:
        row: Row = {"rule": point.rule, "threshold": point.threshold, "n_positive": point.n_positive}
        for name in ("sensitivity", "specificity", "ppv", "npv"):
            row |= _interval(name, getattr(point, name))
        yield row


def _decision_curves(arm: ArmResult) -> Iterator[Row]:
    columns = arm.decision_curve.model_dump() if arm.decision_curve else {}
    for values in zip(*columns.values(), strict=True):
        yield dict(zip(columns, values, strict=True))


def _calibration_curves(arm: ArmResult) -> Iterator[Row]:
    names = ("curve_predicted", "curve_observed", "curve_ci_low", "curve_ci_high")
    columns = [getattr(arm.calibration, name) for name in names] if arm.calibration else []
    for values in zip(*columns, strict=True):
        yield {name.removeprefix("curve_"): value for name, value in zip(names, values, strict=True)}


def _interval(name: str, interval: Interval | None) -> Row:
    limits = (interval.estimate, interval.ci_low, interval.ci_high) if interval else (None, None, None)
    return dict(zip((name, f"{name}_ci_low", f"{name}_ci_high"), limits, strict=True))


TABLES: dict[str, Callable[[ArmResult], Iterator[Row]]] = {
    "arms": _arm,
    "differences": _differences,
    "operating_points": _operating_points,
    "decision_curves": _decision_curves,
    "calibration_curves": _calibration_curves,
}
"""Name of a table -> the rows of one arm."""
