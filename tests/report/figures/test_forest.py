"""A forest plot holds every estimate, and cuts intervals that would hide the others."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from ppgssl.core.results.base import Interval
from ppgssl.report.figures.forest import ForestColumn, ForestRow, forest_pages, plot_rows


def _row(estimate: float, half_width: float) -> ForestRow:
    value = Interval(estimate=estimate, ci_low=estimate - half_width, ci_high=estimate + half_width)
    return ForestRow("an arm", (value,), (True,))


@given(values=st.lists(st.tuples(st.floats(-1, 1), st.floats(0, 1)), min_size=1, max_size=6))
@settings(max_examples=15)
def test_the_axis_holds_every_interval_and_the_null(values):
    rows = [_row(*value) for value in values]
    low, high = plot_rows(rows, [ForestColumn("difference", 0.0)]).axes[0].get_xlim()
    assert low < 0 < high
    assert all(low < row.values[0].ci_low and row.values[0].ci_high < high for row in rows)


def test_a_ratio_with_an_interval_far_beyond_the_others_is_cut_with_an_arrow():
    wide = ForestRow("separated", (Interval(estimate=2.0, ci_low=0.001, ci_high=5000.0),), (False,))
    axes = plot_rows([wide], [ForestColumn("odds ratio", 1.0, is_ratio=True)]).axes[0]
    low, high = axes.get_xlim()
    assert 0.001 < low < 1 < 2 < high < 5000
    assert {"<", ">"} <= {line.get_marker() for line in axes.get_lines()}


def test_rows_with_longer_labels_take_more_room():
    short = ForestRow("short", (None,), (False,))
    long = ForestRow(" ".join(["word"] * 20), (None,), (False,))
    heights = [plot_rows(rows, [ForestColumn("x", 0.0)]).get_figheight() for rows in ([short] * 3, [long] * 3)]
    assert heights[1] > heights[0]
    ticks = plot_rows([short, long, short], [ForestColumn("x", 0.0)]).axes[0].get_yticks()
    assert np.all(np.diff(ticks) > 0)


@given(n_lines=st.lists(st.integers(0, 3), min_size=1, max_size=70))
@settings(max_examples=20)
def test_rows_go_on_as_many_pages_as_they_need_and_a_heading_is_never_last(n_lines):
    headed = ((ForestRow("heading"), ForestRow("word " * 9 * n, (None,), (False,))) for n in n_lines)
    rows = [row for pair in headed for row in pair]
    pages = forest_pages(rows)
    assert [row for page in pages for row in page] == rows
    assert all(page[-1].values for page in pages)
    for page in pages:
        assert plot_rows(page, [ForestColumn("x", 0.0)]).get_figheight() < 7.8
