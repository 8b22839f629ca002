"""What a figure shows, in words and numbers, for those who do not see it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from ppgssl.core.results.data import ChannelQuality, ExampleWaveform
from ppgssl.core.results.performance import ArmResult
from ppgssl.core.results.pretraining import CurvePoint, PretrainingRun
from ppgssl.core.results.robustness import AcquisitionCheck, CovariateModel, EmbeddingMap, LearningCurve, Stability
from ppgssl.core.results.study import Results
from ppgssl.report.figures.forest import ForestRow
from ppgssl.report.tables.study import cohort_title
from ppgssl.report.text import rounding
from ppgssl.report.text.rounding import enumeration, plural

_MOST_ITEMS = 14
Panels = Sequence[tuple[str, Sequence[ArmResult]]]


def _list(lead: str, items: Iterable[str]) -> str:
    """A lead and its items; of very many, the first and how many more there are."""
    every = list(items)
    shown = every[:_MOST_ITEMS]
    more = f"; and {len(every) - len(shown)} more" if len(every) > len(shown) else ""
    return f"{lead}: {'; '.join(shown)}{more}." if shown else f"{lead}."


def _arms(panels: Panels) -> list[ArmResult]:
    return [arm for _, members in panels for arm in members]


# --- signals ---------------------------------------------------------------------------------------------------


def acquisition(checks: Sequence[AcquisitionCheck]) -> str:
    return _list(
        "Histograms of raw-signal properties by outcome; AUROC of each alone",
        (f"{check.name} {rounding.interval(check.auroc)}" for check in checks),
    )


def quality(results: Results, rows: Sequence[ChannelQuality], min_sqi: float) -> str:
    return _list(
        f"Histograms of the signal quality index; segments accepted at {min_sqi:g}",
        (
            f"{cohort_title(results, row.cohort)} {row.channel} {rounding.n_percent(row.n_accepted, row.n_segments)}"
            for row in rows
        ),
    )


def waveforms(examples: Sequence[ExampleWaveform]) -> str:
    return _list(
        "Filtered waveforms with their accepted and rejected segments shaded",
        (
            f"{one.recording_id} {one.channel}, {sum(mark.accepted for mark in one.segments)} of "
            f"{plural(len(one.segments), 'segment')} accepted"
            for one in examples
        ),
    )


def losses(runs: Sequence[PretrainingRun]) -> str:
    return _list("Pretraining loss over steps; mean held-out loss, first to last", map(_loss_words, runs))


def _loss_words(run: PretrainingRun) -> str:
    first, last = (_mean_loss([curve[place] for curve in run.curves if curve]) for place in (0, -1))
    return f"{run.label} {first} to {last}"


def _mean_loss(points: Sequence[CurvePoint]) -> str:
    known = [point.validation_loss for point in points if point.validation_loss is not None]
    return rounding.number(float(np.mean(known)), 3) if known else rounding.UNDEFINED


def reconstructions(runs: Sequence[PretrainingRun]) -> str:
    items = [(run, one) for run in runs for one in run.reconstructions]
    return _list(
        "Segments of held-out patients with what the encoder gave back; share hidden from it",
        (f"{run.label} {one.channel} {100 * float(np.mean(one.is_masked)):.0f}%" for run, one in items),
    )


# --- arms ------------------------------------------------------------------------------------------------------


def roc(results: Results, panels: Panels) -> str:
    decimals = rounding.auroc_decimals(results)
    return _list(
        "ROC curves, sensitivity over 1 − specificity; AUROC",
        (f"{arm.label} {rounding.interval(arm.auroc, decimals)}" for arm in _arms(panels)),
    )


def forest(lead: str, rows: Sequence[ForestRow], columns: Sequence[str], decimals: int = 2) -> str:
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
    return _list(lead, items)


def calibration(arms: Sequence[ArmResult]) -> str:
    return _list(
        "Observed share of events over predicted risk; calibration slope (1 is ideal)",
        (f"{arm.label} {rounding.interval(arm.calibration.slope)}" for arm in arms if arm.calibration),
    )


def decisions(results: Results, panels: Panels) -> str:
    """Net benefit at the middle of the range of thresholds."""
    curves = [(arm.label, arm.decision_curve) for arm in _arms(panels) if arm.decision_curve]
    curves += list(results.decision_references.items())
    first = next((curve for _, curve in curves if curve.threshold), None)
    if first is None:
        return "Net benefit over thresholds of risk."
    at = first.threshold[len(first.threshold) // 2]
    values = []
    for label, curve in curves:
        nearest = int(np.argmin(np.abs(np.asarray(curve.threshold) - at))) if curve.threshold else None
        benefit = rounding.UNDEFINED if nearest is None else rounding.number(curve.net_benefit[nearest], 3)
        values.append(f"{label} {benefit}")
    return _list(f"Net benefit over thresholds of risk; at {100 * at:.0f}%", values)


def learning(curves: Sequence[LearningCurve]) -> str:
    return _list("AUROC over the number of training patients", map(_learning_words, curves))


def _learning_words(curve: LearningCurve) -> str:
    if not curve.points:
        return f"{curve.label}: no points"
    first, last = curve.points[0], curve.points[-1]
    return (
        f"{curve.label} from {rounding.number(first.auroc.estimate, 2)} with {plural(first.n_patients, 'patient')} to "
        f"{rounding.number(last.auroc.estimate, 2)} with {rounding.count(last.n_patients)}"
    )


def stability(found: Sequence[Stability]) -> str:
    return _list(
        "Risks of each patient over refits; mean absolute change of a risk in percentage points",
        (f"{one.label} {rounding.number(100 * one.mean_absolute_difference, 1)}" for one in found),
    )


def odds(model: CovariateModel) -> str:
    return _list("Odds ratios", (f"{one.label} {rounding.ratio(one.odds_ratio)}" for one in model.odds_ratios))


def embedding_map(found: EmbeddingMap) -> str:
    n_events = sum(bool(one) for one in found.is_event)
    n_unknown = sum(one is None for one in found.is_event)
    cohorts = enumeration([f"{name} {found.cohort.count(name)}" for name in dict.fromkeys(found.cohort)][:8])
    return (
        f"{found.label}: map of {plural(len(found.x), 'patient')} by {found.method}: {n_events} with the event, "
        f"{len(found.x) - n_events - n_unknown} without, {n_unknown} of unknown outcome. Cohorts: {cohorts}."
    )
