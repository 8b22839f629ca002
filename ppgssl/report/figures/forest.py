"""Forest plots: a row for each arm, subgroup or term, a column for each quantity, all with their intervals."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter

from ppgssl.core.results.base import Interval
from ppgssl.report.figures.layout import wrap
from ppgssl.report.figures.style import BLUE, GREY, INK, PALE, drawing, new_figure

# An interval that reaches further than this many times the estimates is cut, with an arrow.
_MOST_RATIO = 12.0
_PAGE_IN = 6.6
LABEL_WIDTH = 44
# Of rows with labels of one, two and three lines.
_HEIGHTS_IN = (0.19, 0.31, 0.44)


@dataclass(frozen=True)
class ForestRow:
    """One row: a value for each column; a heading has none.

    ``is_filled`` holds whether each column's marker is full: what a claim may rest on. A row that ``is_muted``, a
    control, is grey, with a square.
    """

    label: str
    values: tuple[Interval | None, ...] = ()
    is_filled: tuple[bool, ...] = ()
    is_muted: bool = False


@dataclass(frozen=True)
class ForestColumn:
    """A quantity: words of its axis, the value of no effect, and whether it is a ratio."""

    label: str
    null: float
    is_ratio: bool = False


def forest_pages(rows: Sequence[ForestRow], label_width: int = LABEL_WIDTH) -> list[list[ForestRow]]:
    """Rows for one figure each: as many as a page holds, a heading never last."""
    pages: list[list[ForestRow]] = [[]]
    for row in rows:
        height_in = sum(_height_in(one, label_width) for one in pages[-1])
        if height_in > (_PAGE_IN if row.values else 0.8 * _PAGE_IN):
            pages.append([])
        pages[-1].append(row)
    return [page for page in pages if page]


def _height_in(row: ForestRow, label_width: int) -> float:
    return _HEIGHTS_IN[wrap(row.label, label_width, 3).count("\n")]


def plot_rows(
    rows: Sequence[ForestRow],
    columns: Sequence[ForestColumn],
    label_width: int = LABEL_WIDTH,
    *,
    is_one_quantity: bool = False,
) -> Figure:
    """One forest plot; rows share their labels, on the left, and columns of one quantity their axis."""
    labels = [wrap(row.label, label_width, 3) for row in rows]
    heights = np.array([_height_in(row, label_width) for row in rows])
    ends = np.cumsum(heights)
    with drawing():
        figure = new_figure(0.6 + float(ends[-1]))
        panels = figure.subplots(1, len(columns), sharey=True, squeeze=False)[0]
        limits = [_limits(_values(rows, number), column) for number, column in enumerate(columns)]
        if is_one_quantity:
            limits = [(min(low for low, _ in limits), max(high for _, high in limits))] * len(columns)
        for number, (axes, column) in enumerate(zip(panels, columns, strict=True)):
            axes.set_xlim(*limits[number])
            _draw(axes, rows, (ends - heights / 2).tolist(), number, column)
        panels[0].set_yticks(ends - heights / 2, labels, fontsize=8, linespacing=1.0)
        panels[0].set_ylim(float(ends[-1]), 0.0)
        for text, row in zip(panels[0].get_yticklabels(), rows, strict=True):
            text.set_fontweight("normal" if row.values else "bold")
    return figure


def _values(rows: Sequence[ForestRow], number: int) -> list[Interval]:
    return [value for row in rows if row.values and (value := row.values[number]) is not None]


def _draw(axes: Axes, rows: Sequence[ForestRow], positions: Sequence[float], number: int, column: ForestColumn) -> None:
    low, high = axes.get_xlim()
    if column.is_ratio:
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0), numticks=8))
        axes.xaxis.set_major_formatter("{x:g}")
        axes.xaxis.set_minor_formatter(NullFormatter())
    else:
        axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.axvline(column.null, color=GREY, linewidth=0.8)
    for position, row in zip(positions, rows, strict=True):
        if not row.values:
            axes.axhline(position - _HEIGHTS_IN[0] / 2, color=PALE, linewidth=0.6)
        elif (value := row.values[number]) is not None and value.estimate is not None:
            _draw_value(axes, position, value, row, row.is_filled[number], (low, high))
    axes.set_xlabel(column.label)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.grid(axis="x")


def _draw_value(
    axes: Axes, position: float, value: Interval, row: ForestRow, is_filled: bool, limits: tuple[float, float]
) -> None:
    colour, shape = (GREY, "s") if row.is_muted else (BLUE, "o")
    if value.ci_low is not None and value.ci_high is not None:
        ends = (max(value.ci_low, limits[0]), min(value.ci_high, limits[1]))
        axes.plot(ends, [position, position], color=colour, linewidth=1.2)
        for end, limit, arrow in ((value.ci_low, limits[0], "<"), (value.ci_high, limits[1], ">")):
            if (end < limit) if arrow == "<" else (end > limit):
                axes.plot([limit], [position], arrow, color=INK, markersize=4, clip_on=False)
    size = 3.8 if row.is_muted else 4.4
    fill = colour if is_filled else "white"
    assert value.estimate is not None
    axes.plot([value.estimate], [position], shape, color=colour, markersize=size, markerfacecolor=fill)


def _limits(values: Sequence[Interval], column: ForestColumn) -> tuple[float, float]:
    """Limits that hold every estimate and the null; an interval far wider than the estimates is cut."""
    middle = [*_on_axis([value.estimate for value in values], column), column.null]
    ends = _on_axis([end for value in values for end in (value.ci_low, value.ci_high)], column)
    low, high = min(middle + ends), max(middle + ends)
    if column.is_ratio:
        low, high = max(low, min(middle) / _MOST_RATIO), min(high, max(middle) * _MOST_RATIO)
        return low / 1.15, high * 1.15
    margin = 0.04 * (high - low) or 0.05
    return low - margin, high + margin


def _on_axis(values: Sequence[float | None], column: ForestColumn) -> list[float]:
    known = [value for value in values if value is not None and math.isfinite(value)]
    return [value for value in known if value > 0 or not column.is_ratio]
