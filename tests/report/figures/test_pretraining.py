"""Losses are drawn whole, and what was hidden is told from what was seen."""

from __future__ import annotations

import numpy as np
import pytest

from ppgssl.report.figures import pretraining as figures
from tests.support.fake_results import make_results


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
