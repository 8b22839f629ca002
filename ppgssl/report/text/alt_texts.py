"""What a figure shows, one by one in numbers, for those who do not see it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ppgssl.core.results.data import ChannelQuality, ExampleWaveform
from ppgssl.core.results.performance import ArmResult
from ppgssl.core.results.pretraining import PretrainingRun
from ppgssl.core.results.robustness import AcquisitionCheck, CovariateModel, EmbeddingMap, LearningCurve, Stability
from ppgssl.core.results.study import Results
from ppgssl.report.figures.forest import ForestRow
from ppgssl.report.tables.study import cohort_title
from ppgssl.report.text import rounding
from ppgssl.report.text.rounding import enumeration, plural

Panels = Sequence[tuple[str, Sequence[ArmResult]]]


def _arms(panels: Panels) -> list[ArmResult]:
    return [arm for _, members in panels for arm in members]


def acquisition(checks: Sequence[AcquisitionCheck]) -> list[str]:
    return [f"{check.name} {rounding.interval(check.auroc)}" for check in checks]


def quality(results: Results, rows: Sequence[ChannelQuality]) -> list[str]:
    return [
        f"{cohort_title(results, row.cohort)} {row.channel} {rounding.n_percent(row.n_accepted, row.n_segments)}"
        for row in rows
    ]


def waveforms(examples: Sequence[ExampleWaveform]) -> list[str]:
    return [
        f"{one.recording_id} {one.channel}, {sum(mark.accepted for mark in one.segments)} of "
        f"{plural(len(one.segments), 'segment')} accepted"
        for one in examples
    ]


def losses(runs: Sequence[PretrainingRun]) -> list[str]:
    return [f"{run.label} {_mean_loss(run, 0)} to {_mean_loss(run, -1)}" for run in runs]


def _mean_loss(run: PretrainingRun, place: int) -> str:
    values = [curve[place].validation_loss for curve in run.curves if curve]
    known = [value for value in values if value is not None]
    return rounding.number(float(np.mean(known)), 3) if known else rounding.UNDEFINED


def reconstructions(runs: Sequence[PretrainingRun]) -> list[str]:
    items = [(run, one) for run in runs for one in run.reconstructions]
    return [f"{run.label} {one.channel} {100 * float(np.mean(one.is_masked)):.0f}%" for run, one in items]


def roc(results: Results, panels: Panels) -> list[str]:
    decimals = rounding.auroc_decimals(results)
    return [f"{arm.label} {rounding.interval(arm.auroc, decimals)}" for arm in _arms(panels)]


def forest(rows: Sequence[ForestRow], columns: Sequence[str], decimals: int) -> list[str]:
    """Every row with the value of each column that has one."""
    items = []
    for row in rows:
        values = [
            f"{f'{name} ' if len(columns) > 1 else ''}{rounding.interval(value, decimals)}"
            for name, value in zip(columns, row.values, strict=False)
            if value is not None
        ]
        if values:
            items.append(f"{row.label} {', '.join(values)}")
    return items


def calibration(arms: Sequence[ArmResult]) -> list[str]:
    return [f"{arm.label} {rounding.interval(arm.calibration.slope)}" for arm in arms if arm.calibration]


def decisions(results: Results, panels: Panels) -> tuple[float | None, list[str]]:
    """The middle of the range of thresholds, and the net benefit of each curve there."""
    curves = [(arm.label, arm.decision_curve) for arm in _arms(panels) if arm.decision_curve]
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


def learning(curves: Sequence[LearningCurve]) -> list[str]:
    return [_learning_words(curve) for curve in curves]


def _learning_words(curve: LearningCurve) -> str:
    if not curve.points:
        return f"{curve.label}: no points"
    first, last = curve.points[0], curve.points[-1]
    return (
        f"{curve.label} from {rounding.number(first.auroc.estimate, 2)} with {plural(first.n_patients, 'patient')} to "
        f"{rounding.number(last.auroc.estimate, 2)} with {rounding.count(last.n_patients)}"
    )


def stability(found: Sequence[Stability]) -> list[str]:
    return [f"{one.label} {rounding.number(100 * one.mean_absolute_difference, 1)}" for one in found]


def odds(model: CovariateModel) -> list[str]:
    return [f"{one.label} {rounding.ratio(one.odds_ratio)}" for one in model.odds_ratios]


def embedding_map(found: EmbeddingMap) -> str:
    n_events = sum(bool(one) for one in found.is_event)
    n_unknown = sum(one is None for one in found.is_event)
    cohorts = enumeration([f"{name} {found.cohort.count(name)}" for name in dict.fromkeys(found.cohort)][:8])
    return (
        f"{found.label}: map of {plural(len(found.x), 'patient')} by {found.method}: {n_events} with the event, "
        f"{len(found.x) - n_events - n_unknown} without, {n_unknown} of unknown outcome. Cohorts: {cohorts}"
    )
