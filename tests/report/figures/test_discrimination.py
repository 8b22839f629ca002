"""ROC curves and forests: every arm once, few to a panel, claims told from what is none."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from ppgssl.report.figures import discrimination as figures
from ppgssl.report.text import claims
from tests.support.fake_results import make_results
from tests.support.many_arms import MANY_ARMS


@pytest.mark.parametrize("arms", [None, MANY_ARMS, ["covariates", "ssl-all", "covariates+ssl-all"]])
def test_each_arm_is_drawn_once_in_roc_panels_of_at_most_two_curves(arms):
    results = make_results(arms=arms, n_extra_arms=3)
    panels = figures.roc_panels(results)
    drawn = [arm.name for _, members in panels for arm in members]
    assert sorted([*drawn, "covariates"]) == sorted(arm.name for arm in results.arms)
    assert max(len(members) for _, members in panels) <= 2


def test_a_band_is_drawn_for_each_arm_of_a_panel_that_has_one():
    results = make_results()
    shown = figures.roc_panels(results)
    for axes, (_, arms) in zip(figures.plot_roc(results, shown).axes, shown, strict=True):
        assert len(axes.collections) == len(arms)
    bare = make_results(without=("bands",))
    assert not any(axes.collections for axes in figures.plot_roc(bare, figures.roc_panels(bare)).axes)


def test_curves_of_a_panel_differ_in_line_and_colour():
    results = make_results()
    for axes in figures.plot_roc(results, figures.roc_panels(results)).axes:
        looks = [(line.get_color(), line.get_linestyle()) for line in axes.get_lines()[1:]]
        assert len({colour for colour, _ in looks}) == len(looks)
        patterns = [str(line._dash_pattern) for line in axes.get_lines()[1:]]
        assert len(set(patterns)) == len(patterns)


def test_the_forest_plot_has_a_row_for_each_arm_and_family():
    results = make_results()
    rows = figures.auroc_rows(results)
    figure = figures.plot_auroc_forest(results, rows)
    labels = [label.get_text().replace("\n", " ") for label in figure.axes[0].get_yticklabels()]
    assert labels == [row.label for row in rows]
    assert {arm.label for arm in results.arms} < set(labels)
    assert len(figure.axes) == 2


def test_only_a_claim_fills_the_marker_of_a_difference():
    results = make_results()
    rows = {row.label: row for row in figures.auroc_rows(results)}
    for arm in results.arms:
        if arm.difference is not None:
            is_claim = claims.claim(results, arm.difference) in ("higher", "lower")
            assert rows[arm.label].is_filled[1] == is_claim
    assert {row.is_filled[1] for row in rows.values() if row.values} == {True, False}


def test_the_forest_of_differences_leaves_out_a_column_without_values():
    results = make_results(arms=["ssl-all", "untrained"])
    figure = figures.plot_difference_forest(figures.difference_rows(results))
    assert [axes.get_xlabel() for axes in figure.axes] == ["difference from the untrained encoder"]


def test_three_columns_of_differences_have_axes_whose_words_do_not_meet():
    results = make_results(arms=["covariates", "pulse-wave", "untrained+pulse-wave", "covariates+ssl-all+pulse-wave"])
    results.arms[3].difference_from_untrained = results.arms[3].difference
    figure = figures.plot_difference_forest(figures.difference_rows(results))
    figure.canvas.draw()
    boxes = [axes.xaxis.label.get_window_extent() for axes in figure.axes]
    assert len(boxes) == 3
    assert all(left.x1 < right.x0 for left, right in pairwise(boxes))


def test_undefined_aurocs_leave_empty_rows():
    results = make_results(with_intervals=False)
    figure = figures.plot_auroc_forest(results, figures.auroc_rows(results))
    assert np.all(np.isfinite(figure.axes[0].get_xlim()))
