"""Figures hold all that they should, split into panels that can be read."""

from __future__ import annotations

import numpy as np
import pytest

from ppgssl.report import figures
from ppgssl.results import AcquisitionCheck, Interval
from tests.fake_results import make_results


def test_each_arm_is_drawn_once_in_roc_panels_of_at_most_four_curves():
    results = make_results(n_extra_arms=19)
    panels = figures.roc_panels(results)
    drawn = [arm.name for _, arms in panels for arm in arms]
    assert sorted([*drawn, "covariates"]) == sorted(arm.name for arm in results.arms)
    assert max(len(arms) for _, arms in panels) <= 4


def test_an_rejected_stretch_is_one_that_no_accepted_segment_covers():
    example = make_results().examples[0]
    verdicts = figures._verdicts(example, 60.0)
    rejected = [(start, stop, reason) for start, stop, is_accepted, reason in verdicts if not is_accepted]
    # Segments of 10 s every 5 s; those that start at 5 and 10 s are rejected, their neighbours are not.
    assert rejected == [(10.0, 15.0, "gap")]


def test_the_forest_plot_has_a_row_for_each_arm():
    results = make_results()
    figure = figures.plot_forest(results)
    labels = [label.get_text().replace("\n", " ") for label in figure.axes[0].get_yticklabels()]
    assert sorted(labels) == sorted(arm.label for arm in results.arms)


@pytest.mark.parametrize(
    "values", [[], [3.0] * 8, list(range(1, 9)), list(np.geomspace(0.01, 100, 8)), [-1.0, 2.0] * 4]
)
def test_acquisition_values_of_any_spread_can_be_drawn(values):
    check = AcquisitionCheck(
        cohort="a",
        name="property",
        values=values,
        is_event=[i % 2 == 0 for i in range(len(values))],
        auroc=Interval(estimate=None, ci_low=None, ci_high=None),
        text="",
    )
    assert figures.plot_acquisition([check]).axes


def test_an_example_without_one_good_sample_can_be_drawn():
    results = make_results()
    example = results.examples[0].model_copy(update={"samples": [None] * 100, "segments": []})
    assert figures.plot_waveforms(results, [example]).axes


def test_what_was_not_hidden_is_drawn_as_given_back_and_not_as_filled_in():
    runs = make_results().pretraining
    assert figures.is_filled_in(runs)
    whole = [
        run.model_copy(
            update={
                "reconstructions": [
                    item.model_copy(update={"is_masked": [False] * len(item.original)}) for item in run.reconstructions
                ]
            }
        )
        for run in runs
    ]
    assert not figures.is_filled_in(whole)
    figure = figures.plot_reconstructions(whole)
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["signal", "given back"]
    back = figure.axes[0].get_lines()[1].get_ydata()
    np.testing.assert_array_equal(back, whole[0].reconstructions[0].reconstruction)


@pytest.mark.parametrize("shift", [0.0, -5.0])
def test_losses_below_zero_are_not_cut_off(shift):
    run = make_results().pretraining[0]
    curves = [
        [point.model_copy(update={"validation_loss": point.validation_loss + shift}) for point in curve]
        for curve in run.curves
    ]
    axes = figures.plot_curves([run.model_copy(update={"curves": curves})]).axes[0]
    lowest = min(point.validation_loss for curve in curves for point in curve)
    assert axes.get_ylim()[0] <= lowest
    assert (axes.get_ylim()[0] == 0) == (shift == 0)
