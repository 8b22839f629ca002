"""Figures of discrimination: ROC curves with bands, forest plots of AUROCs and of paired differences."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ppgssl.core.results.base import Difference
from ppgssl.core.results.performance import ArmResult
from ppgssl.core.results.study import Results
from ppgssl.report.figures import style
from ppgssl.report.figures.forest import ForestColumn, ForestRow, plot_rows
from ppgssl.report.figures.layout import label_width, multiples, wrap
from ppgssl.report.figures.style import GREY, PALE, drawing
from ppgssl.report.text import rounding
from ppgssl.report.text.claims import chance_claim, claim
from ppgssl.report.text.families import grouped, panels, reference_arm, reference_words

CURVES = 2


def roc_panels(results: Results) -> list[tuple[str, list[ArmResult]]]:
    """Two curves a panel, families together; the reference is drawn in every panel and has none of its own."""
    return panels(results, (arm for arm in results.arms if arm.roc.false_positive_rate), CURVES)


def plot_roc(results: Results, shown: Sequence[tuple[str, list[ArmResult]]]) -> Figure:
    """ROC curves in small multiples, with bands where they were computed."""
    with drawing():
        figure, axes_list = multiples(len(shown), 2.3)
        for axes, (title, arms) in zip(axes_list, shown, strict=True):
            _plot_roc_panel(axes, results, title, arms, label_width(len(shown)))
    return figure


def _plot_roc_panel(axes: Axes, results: Results, title: str, arms: Sequence[ArmResult], width: int) -> None:
    decimals = rounding.auroc_decimals(results)
    axes.plot([0, 1], [0, 1], color=PALE, linewidth=0.8)
    for arm, colour, line in coloured(results, arms):
        words = wrap(f"{rounding.number(arm.auroc.estimate, decimals)}  {arm.label}", width, 3)
        label = words if arm in arms or not arms else None  # the caption names the reference
        rate = arm.roc.false_positive_rate
        axes.plot(rate, arm.roc.true_positive_rate, color=colour, linestyle=line, label=label)
        if arm.roc.ci_low and arm in arms:
            axes.fill_between(rate, arm.roc.ci_low, arm.roc.ci_high, color=colour, alpha=0.15, linewidth=0)
    axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01), xlabel="1 − specificity", ylabel="sensitivity", aspect="equal")
    axes.set_xticks(np.linspace(0, 1, 3))
    axes.set_yticks(np.linspace(0, 1, 3))
    axes.grid()
    axes.set_title(wrap(title, 32, 2), fontsize=8)
    label_lines(axes, "lower right")


def coloured(results: Results, arms: Sequence[ArmResult]) -> list[tuple[ArmResult, str, Any]]:
    """Arms of one panel with colour and line, the reference first, in dotted grey."""
    reference = reference_arm(results)
    first = [(reference, GREY, (0, (1, 1)))] if reference is not None and reference not in arms else []
    return [*first, *zip(arms, style.SERIES, style.LINE_STYLES, strict=False)]


def label_lines(axes: Axes, place: Literal["lower right", "upper right"]) -> None:
    """Name the lines inside the panel; there may be none, where nothing was defined."""
    if not axes.get_legend_handles_labels()[0]:
        return
    legend = axes.legend(
        loc=place, fontsize=6.5, handlelength=1.7, labelspacing=0.25, borderaxespad=0.15, handletextpad=0.5
    )
    for text in legend.get_texts():
        text.set_linespacing(0.9)
    legend.set_frame_on(True)
    legend.get_frame().set(facecolor="white", alpha=0.8, linewidth=0)


def auroc_rows(results: Results) -> list[ForestRow]:
    """AUROC of every arm and the paired difference from the reference arm."""
    return _rows(
        results.arms,
        lambda arm: ForestRow(
            arm.label,
            (arm.auroc, arm.difference),
            (chance_claim(results, arm) != "unclear", claim(results, arm.difference) != "unclear"),
            arm.is_control,
        ),
    )


# Letters below the axes of one figure, all columns together.
_AXIS_WIDTH = 80
# What the columns of a forest of differences are differences from.
REFERENCES = ("from the untrained encoder", "from the clinical input alone", "from hand-crafted features alone")


def difference_rows(results: Results) -> list[ForestRow]:
    """Paired differences of each arm from its untrained counterpart, clinical input, and hand-crafted features."""

    def values_of(arm: ArmResult) -> tuple[Difference | None, ...]:
        return arm.difference_from_untrained, arm.difference_from_clinical, arm.difference_from_hand_crafted

    def row(arm: ArmResult) -> ForestRow:
        is_filled = tuple(claim(results, value) != "unclear" for value in values_of(arm))
        return ForestRow(arm.label, values_of(arm), is_filled, arm.is_control)

    return _rows([arm for arm in results.arms if any(values_of(arm))], row)


def _rows(arms: Sequence[ArmResult], row: Callable[[ArmResult], ForestRow]) -> list[ForestRow]:
    found = []
    for name, members in grouped(arms).items():
        found += [ForestRow(name), *map(row, members)]
    return found


def plot_auroc_forest(results: Results, rows: Sequence[ForestRow]) -> Figure:
    columns = [ForestColumn("AUROC (95% interval)", 0.5)]
    if any(arm.difference for arm in results.arms):
        columns.append(ForestColumn(wrap(f"difference from {reference_words(results)}", _AXIS_WIDTH // 2), 0.0))
    return plot_rows([_chosen(row, range(len(columns))) for row in rows], columns)


def plot_difference_forest(rows: Sequence[ForestRow]) -> Figure:
    """Only the columns that hold something."""
    used = [i for i in range(len(REFERENCES)) if any(row.values and row.values[i] is not None for row in rows)]
    columns = [ForestColumn(wrap(f"difference {REFERENCES[i]}", _AXIS_WIDTH // len(used)), 0.0) for i in used]
    return plot_rows([_chosen(row, used) for row in rows], columns)


def _chosen(row: ForestRow, columns: Sequence[int]) -> ForestRow:
    """A row with some of its columns; a heading has none."""
    if not row.values:
        return row
    values, is_filled = tuple(row.values[i] for i in columns), tuple(row.is_filled[i] for i in columns)
    return ForestRow(row.label, values, is_filled, row.is_muted)
