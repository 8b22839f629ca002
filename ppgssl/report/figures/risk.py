"""Figures of predicted risks: calibration, net benefit, stability of one patient's risk."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from ppgssl.core.results.performance import ArmResult, Calibration
from ppgssl.core.results.robustness import Stability
from ppgssl.core.results.study import Results
from ppgssl.report.figures.discrimination import CURVES, coloured, label_lines
from ppgssl.report.figures.layout import label_width, multiples, wrap
from ppgssl.report.figures.style import BLUE, GREY, INK, PALE, drawing
from ppgssl.report.text import rounding
from ppgssl.report.text.families import ordered, panels

_MOST_BARS = 400
_N_BINS = 100


def calibrated(results: Results) -> list[ArmResult]:
    """Arms with a calibration curve or groups, in the order of the results table; controls last."""
    arms = [arm for arm in ordered(results.arms) if (c := arm.calibration) and (c.curve_predicted or c.groups)]
    return sorted(arms, key=lambda arm: arm.is_control)


def plot_calibration(arms: Sequence[ArmResult]) -> Figure:
    """Observed over predicted risk, one panel an arm, on the same axes; below, how often each risk was predicted."""
    found = [(arm, arm.calibration) for arm in arms if arm.calibration is not None]
    limit = _risk_limit([one for _, one in found])
    with drawing():
        figure, axes_list = multiples(len(found), 2.25)
        for axes, (arm, one) in zip(axes_list, found, strict=True):
            _plot_calibration_panel(axes, arm, one, limit)
    return figure


def _risk_limit(found: Sequence[Calibration]) -> float:
    values = [
        value
        for one in found
        for value in (*one.curve_predicted, *one.curve_observed, *(group.observed for group in one.groups))
        if math.isfinite(value)
    ]
    return min(1.0, math.ceil(10 * max(values, default=1.0) + 0.3) / 10)


def _plot_calibration_panel(axes: Axes, arm: ArmResult, found: Calibration, limit: float) -> None:
    axes.plot([0, 1], [0, 1], color=GREY, linewidth=0.8, linestyle=(0, (1, 1)))
    _draw_histogram(axes, found.histogram, limit)
    if found.curve_predicted:
        axes.fill_between(found.curve_predicted, found.curve_ci_low, found.curve_ci_high, color=BLUE, alpha=0.17, lw=0)
        axes.plot(found.curve_predicted, found.curve_observed, color=BLUE)
    for group in found.groups:
        axes.plot([group.mean_predicted] * 2, [group.ci_low, group.ci_high], color=INK, linewidth=0.7)
    x, y = [group.mean_predicted for group in found.groups], [group.observed for group in found.groups]
    axes.plot(x, y, "o", color=INK, markersize=2.8)
    axes.set(xlim=(0, limit), ylim=(-0.16 * limit, limit), xlabel="predicted risk", ylabel="observed proportion")
    axes.xaxis.set_major_locator(MaxNLocator(4))
    axes.set_yticks([tick for tick in MaxNLocator(4).tick_values(0, limit) if 0 <= tick <= limit + 1e-9])
    axes.set_title(wrap(arm.label, 36, 2), fontsize=8)
    place: dict[str, Any] = {"ha": "left", "va": "top", "fontsize": 7, "transform": axes.transAxes}
    axes.text(0.03, 0.97, f"slope {rounding.interval(found.slope, 2)}", **place)


def _draw_histogram(axes: Axes, counts: Sequence[int], limit: float) -> None:
    """Counts as bars below zero, the highest as tall as the room there."""
    if not any(counts):
        return
    edges = np.linspace(0, 1, len(counts) + 1)
    heights = 0.14 * limit * np.asarray(counts, dtype=float) / max(counts)
    axes.bar(edges[:-1], heights, np.diff(edges), bottom=-0.16 * limit, align="edge", color=GREY, linewidth=0)
    axes.axhline(0, color=PALE, linewidth=0.6)


def decision_panels(results: Results) -> list[tuple[str, list[ArmResult]]]:
    """Two curves a panel, as for ROC curves."""
    return panels(results, (arm for arm in results.arms if arm.decision_curve), CURVES)


def plot_decisions(results: Results, shown: Sequence[tuple[str, list[ArmResult]]]) -> Figure:
    """Net benefit over the threshold, with treating everybody and nobody; the same axes in all panels."""
    low, high = _benefit_limits(results)
    with drawing():
        figure, axes_list = multiples(len(shown), 2.1)
        for axes, (title, arms) in zip(axes_list, shown, strict=True):
            _plot_decision_panel(axes, results, title, arms, label_width(len(shown)))
            axes.set_ylim(low, high)
    return figure


def _benefit_limits(results: Results) -> tuple[float, float]:
    curves = [arm.decision_curve for arm in results.arms if arm.decision_curve]
    curves += list(results.decision_references.values())
    highest = max((value for curve in curves for value in curve.net_benefit if math.isfinite(value)), default=0.1)
    highest = max(highest, 0.01)
    return -0.25 * highest, 1.5 * highest


def _plot_decision_panel(axes: Axes, results: Results, title: str, arms: Sequence[ArmResult], width: int) -> None:
    looks: tuple[tuple[Literal["treat all", "treat none"], Any], ...]
    looks = (("treat all", (0, (4, 2))), ("treat none", "-"))
    for name, dashes in looks:
        if (curve := results.decision_references.get(name)) is not None:
            axes.plot(curve.threshold, curve.net_benefit, color=INK, linewidth=0.6, linestyle=dashes)
    for arm, colour, line in coloured(results, arms):
        if (curve := arm.decision_curve) is None:
            continue
        label = wrap(arm.label, width, 3) if arm in arms or not arms else None  # the caption names the reference
        axes.plot(curve.threshold, curve.net_benefit, color=colour, linestyle=line, label=label)
        if curve.ci_low and arm in arms:
            axes.fill_between(curve.threshold, curve.ci_low, curve.ci_high, color=colour, alpha=0.15, linewidth=0)
    axes.set(xlabel="risk from which to act", ylabel="net benefit")
    axes.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    axes.xaxis.set_major_locator(MaxNLocator(4))
    axes.yaxis.set_major_locator(MaxNLocator(4))
    axes.margins(x=0)
    axes.grid()
    axes.set_title(wrap(title, 32, 2), fontsize=8)
    label_lines(axes, "upper right")


def plot_stability(found: Sequence[Stability]) -> Figure:
    """Where refits put the risk of a patient, over the risk by the model of all patients."""
    limit = min(1.0, 1.05 * max((value for one in found for value in one.ci_high), default=1.0))
    with drawing():
        figure, axes_list = multiples(len(found), 2.2)
        for axes, one in zip(axes_list, found, strict=True):
            _plot_stability_panel(axes, one, limit)
    return figure


def _plot_stability_panel(axes: Axes, one: Stability, limit: float) -> None:
    risk, low, high = (np.asarray(values, dtype=float) for values in (one.risk, one.ci_low, one.ci_high))
    if len(risk) <= _MOST_BARS:
        axes.vlines(risk, low, high, color=BLUE, linewidth=0.6, alpha=0.55)
    else:  # lines of thousands of patients would be one blot
        middle, bottom, top = (_binned(values) for values in (risk, low, high))
        axes.fill_between(middle, bottom, top, color=BLUE, alpha=0.3, linewidth=0)
    axes.plot([0, limit], [0, limit], color=INK, linewidth=0.7)
    axes.set(xlim=(0, limit), ylim=(0, limit), xlabel="risk, all patients", ylabel="risk over refits", aspect="equal")
    axes.xaxis.set_major_locator(MaxNLocator(4))
    axes.yaxis.set_major_locator(MaxNLocator(4))
    axes.grid()
    axes.set_title(wrap(one.label, 36, 2), fontsize=8)
    change = f"mean change {rounding.number(100 * one.mean_absolute_difference, 1)} points"
    axes.text(0.03, 0.97, change, ha="left", va="top", fontsize=7, transform=axes.transAxes)


def _binned(values: np.ndarray) -> np.ndarray:
    """Means over neighbours in the order of risk."""
    return np.array([part.mean() for part in np.array_split(values, _N_BINS)])
