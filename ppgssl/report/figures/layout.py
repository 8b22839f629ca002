"""Shared layout of the figures: panels in rows, labels that keep to their place."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from itertools import pairwise
from typing import TypeVar

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ppgssl.report.figures.style import new_figure

PANELS_A_ROW = 3
MOST_PANELS = 9
"""Of one figure of :func:`multiples`, so that it fits on a page of either paper size, with its caption."""

Item = TypeVar("Item")


def chunks(items: Sequence[Item], size: int) -> list[Sequence[Item]]:
    """Items in groups of at most ``size``, all about as large: one group a figure."""
    n_groups = -(-len(items) // size)
    edges = [len(items) * number // n_groups for number in range(n_groups + 1)] if n_groups else [0]
    return [items[start:stop] for start, stop in pairwise(edges)]


def wrap(text: str, width: int, lines: int = 3) -> str:
    """At most ``lines`` lines; what does not fit ends in an ellipsis (the tables hold the full text)."""
    wrapped = textwrap.wrap(text, width) or [""]
    if len(wrapped) > lines:
        wrapped[lines - 1 :] = [textwrap.shorten(" ".join(wrapped[lines - 1 :]), width, placeholder="…")]
    return "\n".join(wrapped)


def grid(n_panels: int, n_columns: int, row_height_in: float, *, share_rows: bool = False) -> tuple[Figure, list[Axes]]:
    """A figure with ``n_panels`` axes in rows of ``n_columns``."""
    n_rows = -(-n_panels // n_columns)
    figure = new_figure(n_rows * row_height_in)
    axes = figure.subplots(n_rows, n_columns, squeeze=False, sharey="row" if share_rows else False).ravel()
    for unused in axes[n_panels:]:
        unused.remove()
    return figure, list(axes[:n_panels])


def panel_chunks(panels: Sequence[Item]) -> list[Sequence[Item]]:
    """Panels in groups of at most :data:`MOST_PANELS`, in full rows but for the last: one group a figure."""
    n_figures = max(-(-len(panels) // MOST_PANELS), 1)
    size = max(-(-len(panels) // (n_figures * PANELS_A_ROW)), 1) * PANELS_A_ROW
    return [panels[i : i + size] for i in range(0, len(panels), size)]


def columns_of(n_panels: int) -> int:
    return 2 if n_panels in (2, 4) else PANELS_A_ROW


def label_width(n_panels: int) -> int:
    """Letters that a line of a label inside a panel of :func:`multiples` may have."""
    return 38 if columns_of(n_panels) == 2 else 27


def multiples(n_panels: int, row_height_in: float) -> tuple[Figure, list[Axes]]:
    """Small multiples, three a row; fewer panels are as large as those of a full row, or fill half of it."""
    n_columns = columns_of(n_panels)
    figure = new_figure(-(-n_panels // n_columns) * row_height_in * (1.25 if n_columns == 2 else 1.0))
    axes = figure.subplots(-(-n_panels // n_columns), n_columns, squeeze=False).ravel()
    for unused in axes[n_panels:]:
        unused.set_axis_off()
    return figure, list(axes[:n_panels])
