"""Figures of the signals hold all that they should, split into panels that can be read."""

from __future__ import annotations

import numpy as np
import pytest

from ppgssl.core.results.base import Interval
from ppgssl.core.results.robustness import AcquisitionCheck
from ppgssl.report.figures import signals as figures
from tests.support.fake_results import make_results


def test_a_rejected_interval_is_one_that_no_accepted_segment_covers():
    example = make_results().examples[0]
    intervals = figures._intervals(example, 60.0)
    rejected = [(start, stop, reason) for start, stop, is_accepted, reason in intervals if not is_accepted]
    # Segments of 10 s every 5 s; those that start at 5 and 10 s are rejected, their neighbours are not.
    assert rejected == [(10.0, 15.0, "gap")]


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
