"""Figures of what the results rest on: subgroups, number of patients, covariates, and a map of the patients."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from ppgssl.core.records import BoolArray
from ppgssl.core.results.performance import ArmResult
from ppgssl.core.results.robustness import CovariateModel, EmbeddingMap, LearningCurve
from ppgssl.core.results.study import Results
from ppgssl.report.figures.discrimination import CURVES, coloured, label_lines
from ppgssl.report.figures.forest import ForestColumn, ForestRow, plot_rows
from ppgssl.report.figures.layout import grid, label_width, multiples, wrap
from ppgssl.report.figures.style import BLUE, GREEN, GREY, INK, ORANGE, PALE, PURPLE, RED, SKY, drawing
from ppgssl.report.tables.robustness import subgroup_arms
from ppgssl.report.tables.study import cohort_title
from ppgssl.report.text.claims import direction
from ppgssl.report.text.families import panels

SUBGROUP_LABEL_WIDTH = 34
_MARKERS = ("o", "^", "s", "D", "v", "P")
# Not those of the outcomes in the neighbouring panel.
_COHORT_COLOURS = (GREEN, PURPLE, ORANGE, SKY, INK, GREY)
_MANY_POINTS = 3000
_MOST_COHORTS = len(_MARKERS) - 1


def subgroup_rows(results: Results) -> list[ForestRow]:
    """All patients, then a heading for each variable and a row for each of its levels."""
    arms = subgroup_arms(results)
    every = tuple(arm.auroc for arm in arms)
    rows = [ForestRow("All patients", every, tuple(direction(value, 0.5) != "unclear" for value in every))]
    for group in results.subgroups:
        rows.append(ForestRow(group.label))
        for level in group.levels:
            values = tuple(level.auroc.get(arm.name) for arm in arms)
            numbers = "too few, suppressed" if level.is_suppressed else f"{level.n_events} of {level.n}"
            filled = tuple(direction(value, 0.5) != "unclear" for value in values)
            rows.append(ForestRow(f"{level.level} ({numbers})", values, filled, level.is_suppressed))
    return rows


def plot_subgroups(results: Results, rows: Sequence[ForestRow]) -> Figure:
    """AUROC by subgroup, a column for each of a few arms."""
    columns = [ForestColumn(f"AUROC\n{wrap(arm.label, 26, 3)}", 0.5) for arm in subgroup_arms(results)]
    return plot_rows(rows, columns, label_width=SUBGROUP_LABEL_WIDTH, is_one_quantity=True)


def plot_odds(model: CovariateModel) -> Figure:
    """Odds ratios on a logarithmic axis."""
    rows = [
        ForestRow(one.label, (one.odds_ratio,), (direction(one.odds_ratio, 1.0) != "unclear",))
        for one in model.odds_ratios
    ]
    return plot_rows(rows, [ForestColumn("odds ratio (95% interval)", 1.0, is_ratio=True)], label_width=56)


def learning_panels(results: Results) -> list[tuple[str, list[ArmResult]]]:
    """Two arms a panel, as for ROC curves."""
    known = {curve.arm for curve in results.learning_curves}
    return panels(results, (arm for arm in results.arms if arm.name in known), CURVES)


def plot_learning(results: Results, shown: Sequence[tuple[str, list[ArmResult]]]) -> Figure:
    """AUROC over the number of labelled training patients; the same axes in all panels."""
    curves, width = {curve.arm: curve for curve in results.learning_curves}, label_width(len(shown))
    with drawing():
        figure, axes_list = multiples(len(shown), 2.2)
        for axes, (title, arms) in zip(axes_list, shown, strict=True):
            for arm, colour, line in coloured(results, arms):
                if (curve := curves.get(arm.name)) is not None:
                    label = wrap(arm.label, width, 3) if arm in arms or not arms else None
                    _plot_learning_curve(axes, curve, colour, line, label)
            axes.set_title(wrap(title, 32, 2), fontsize=8)
            axes.set(xlabel="training patients", ylabel="AUROC")
            axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))
            axes.grid()
        _share_limits(axes_list)
        for axes in axes_list:
            label_lines(axes, "lower right")
    return figure


def _plot_learning_curve(axes: Axes, curve: LearningCurve, colour: str, line: Any, label: str | None) -> None:
    """A line and, of one that has a label, its band."""
    points = [point for point in curve.points if point.auroc.estimate is not None]
    n = [point.n_patients for point in points]
    values = np.array([[p.auroc.estimate, p.auroc.ci_low, p.auroc.ci_high] for p in points], dtype=float)
    if len(points):
        axes.plot(n, values[:, 0], "o", color=colour, linestyle=line, markersize=3, label=label)
        if label is not None:
            axes.fill_between(n, values[:, 1], values[:, 2], color=colour, alpha=0.15, linewidth=0)


def _share_limits(axes_list: Sequence[Axes]) -> None:
    """Equal axes, with room for the labels below the curves."""
    low, high = (edge(axes.get_ylim()[i] for axes in axes_list) for i, edge in ((0, min), (1, max)))
    n_lines = max(sum(label.count("\n") + 1 for label in axes.get_legend_handles_labels()[1]) for axes in axes_list)
    room = min(0.05 + 0.075 * n_lines, 0.6)  # of the panel
    for axes in axes_list:
        axes.set_ylim(low - room / (1 - room) * (high - low), high)


def plot_maps(results: Results, maps: Sequence[EmbeddingMap]) -> Figure:
    """Each patient as a point, by outcome and, where there are several, by cohort."""
    by_cohort = any(len(set(found.cohort)) > 1 for found in maps)
    with drawing():
        figure, axes_list = grid(len(maps) * (1 + by_cohort), 2, 2.75)
        for number, found in enumerate(maps):
            own = axes_list[2 * number : 2 * number + 2] if by_cohort else axes_list[number : number + 1]
            _plot_outcomes(own[0], found)
            if by_cohort:
                _plot_cohorts(own[1], results, found)
        for axes in axes_list:
            axes.set_xticks([])
            axes.set_yticks([])
            axes.spines[:].set(visible=True, color=PALE)
            axes.set_aspect("equal", adjustable="datalim")
    return figure


def _plot_outcomes(axes: Axes, found: EmbeddingMap) -> None:
    looks: tuple[tuple[bool | None, str, str, str, float], ...] = (
        (None, "outcome not known", GREY, "s", 0.3),
        (False, "without the event", BLUE, "o", 0.5),
        (True, "with the event", RED, "^", 0.85),
    )
    handles = []
    for value, label, colour, marker, alpha in looks:
        chosen = np.array([one is value for one in found.is_event], dtype=bool)
        if chosen.any():
            _scatter(axes, found, chosen, colour, marker, alpha)
            handles.append(_handle(label, colour, marker))
    _legend(axes, handles)
    axes.set_title(wrap(f"{found.label}: by outcome", 52, 2), fontsize=8)


def _plot_cohorts(axes: Axes, results: Results, found: EmbeddingMap) -> None:
    names = list(dict.fromkeys(found.cohort))
    handles = []
    for number, name in enumerate(names):
        is_rest = number >= _MOST_COHORTS
        place = min(number, _MOST_COHORTS)
        chosen = np.array([one == name for one in found.cohort], dtype=bool)
        _scatter(axes, found, chosen, _COHORT_COLOURS[place], _MARKERS[place], 0.55)
        if number <= _MOST_COHORTS:
            words = f"{len(names) - _MOST_COHORTS} more" if is_rest else cohort_title(results, name)
            handles.append(_handle(wrap(words, 52, 1), _COHORT_COLOURS[place], _MARKERS[place]))
    _legend(axes, handles)
    axes.set_title("By cohort", fontsize=8)


def _scatter(axes: Axes, found: EmbeddingMap, chosen: BoolArray, colour: str, marker: str, alpha: float) -> None:
    x, y = np.asarray(found.x)[chosen], np.asarray(found.y)[chosen]
    alpha = alpha if len(found.x) <= _MANY_POINTS else 0.5 * alpha
    axes.scatter(x, y, _size(len(found.x)), color=colour, marker=marker, alpha=alpha, linewidths=0)


def _size(n_points: int) -> float:
    return 14.0 if n_points <= 300 else 7.0 if n_points <= _MANY_POINTS else 3.0


def _handle(label: str, colour: str, marker: str) -> Line2D:
    return Line2D([], [], color=colour, marker=marker, linestyle="none", markersize=5, label=label)


def _legend(axes: Axes, handles: list[Line2D]) -> None:
    look: dict[str, Any] = {"fontsize": 7, "ncols": 1, "borderaxespad": 0, "labelspacing": 0.3}
    axes.legend(handles=handles, loc="upper left", bbox_to_anchor=(0, -0.02), **look)
