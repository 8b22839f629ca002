"""Figures of subgroups, learning curves, odds ratios and maps."""

from __future__ import annotations

import numpy as np
import pytest

from ppgssl.core.results.base import Interval
from ppgssl.report.figures import robustness as figures
from tests.support.fake_results import LONG, NON_LATIN, make_results


def test_the_subgroup_forest_has_a_column_for_each_of_a_few_arms_and_a_row_for_each_level():
    results = make_results()
    rows = figures.subgroup_rows(results)
    n_levels = sum(len(group.levels) for group in results.subgroups)
    assert len(rows) == 1 + len(results.subgroups) + n_levels
    assert rows[-1].label == "unknown (too few, suppressed)"
    assert rows[-1].values == (None, None, None)
    assert len(figures.plot_subgroups(results, rows).axes) == 3


def test_learning_curves_stand_above_their_labels_on_shared_axes():
    results = make_results()
    shown = figures.learning_panels(results)
    figure = figures.plot_learning(results, shown)
    figure.canvas.draw()
    panels = figure.axes[: len(shown)]
    assert len({axes.get_ylim() for axes in panels}) == 1
    for axes in panels:
        top = axes.get_legend().get_window_extent().transformed(axes.transData.inverted()).y1
        lowest = min(np.min(line.get_ydata()) for line in axes.get_lines())
        assert top < lowest


def test_an_odds_ratio_without_limits_leaves_finite_axes():
    model = make_results().covariate_model
    model.odds_ratios[0].odds_ratio = Interval(estimate=3e8, ci_low=0.0, ci_high=float("inf"))
    model.odds_ratios[1].odds_ratio = Interval(estimate=None, ci_low=None, ci_high=None)
    axes = figures.plot_odds(model).axes[0]
    assert axes.get_xscale() == "log"
    assert np.all(np.isfinite(axes.get_xlim()))


@pytest.mark.parametrize("n_cohorts", [1, 2, 9])
def test_every_patient_is_a_point_of_the_map(n_cohorts):
    results = make_results(n_cohorts=n_cohorts, label_suffix=f" {NON_LATIN} {LONG}")
    figure = figures.plot_maps(results, results.embedding_maps)
    n_panels = 2 if n_cohorts == 1 else 4
    assert len(figure.axes) == n_panels
    for axes in figure.axes:
        drawn = sum(len(points.get_offsets()) for points in axes.collections)
        assert drawn == len(results.embedding_maps[0].x)


def test_the_maps_of_cohorts_and_of_outcomes_share_no_colour():
    results = make_results(n_cohorts=5)
    by_outcome, by_cohort = figures.plot_maps(results, results.embedding_maps[:1]).axes
    colours = [
        {tuple(points.get_facecolor()[0][:3]) for points in axes.collections} for axes in (by_outcome, by_cohort)
    ]
    assert not colours[0] & colours[1]
