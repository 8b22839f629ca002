"""What a figure shows, one by one in numbers, for those who do not see it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ppgssl.core.results.performance import ArmResult
from ppgssl.core.results.pretraining import PretrainingRun
from ppgssl.core.results.study import Results
from ppgssl.report.figures.forest import ForestRow
from ppgssl.report.text import rounding


def losses(runs: Sequence[PretrainingRun]) -> list[str]:
    return [f"{run.label} {_mean_loss(run, 0)} to {_mean_loss(run, -1)}" for run in runs]


def _mean_loss(run: PretrainingRun, place: int) -> str:
    values = [curve[place].validation_loss for curve in run.curves if curve]
    known = [value for value in values if value is not None]
    return rounding.number(float(np.mean(known)), 3) if known else rounding.UNDEFINED


def reconstructions(runs: Sequence[PretrainingRun]) -> list[str]:
    items = [(run, one) for run in runs for one in run.reconstructions]
    return [f"{run.label} {one.channel} {100 * float(np.mean(one.is_masked)):.0f}%" for run, one in items]


def forest(rows: Sequence[ForestRow], columns: Sequence[str], decimals: int) -> list[str]:
    """Every row with the value of each column that has one."""
    names = [f"{name} " if len(columns) > 1 else "" for name in columns]
    found = [(row.label, [pair for pair in zip(names, row.values, strict=False) if pair[1]]) for row in rows]
    words = [(label, [name + rounding.interval(value, decimals) for name, value in pairs]) for label, pairs in found]
    return [f"{label} {', '.join(values)}" for label, values in words if values]


def decisions(results: Results, panels: Sequence[tuple[str, Sequence[ArmResult]]]) -> tuple[float | None, list[str]]:
    """The middle of the range of thresholds, and the net benefit of each curve there."""
    curves = [(arm.label, arm.decision_curve) for _, arms in panels for arm in arms if arm.decision_curve]
    curves += list(results.decision_references.items())
    first = next((curve for _, curve in curves if curve.threshold), None)
    if first is None:
        return None, []
    at = first.threshold[len(first.threshold) // 2]
    values = []
    for label, curve in curves:
        nearest = int(np.argmin(np.abs(np.asarray(curve.threshold) - at))) if curve.threshold else None
        benefit = rounding.UNDEFINED if nearest is None else rounding.number(curve.net_benefit[nearest], 3)
        values.append(f"{label} {benefit}")
    return at, values
