"""Figures of risks keep within their axes and hold every patient, few or many."""

from __future__ import annotations

import numpy as np
import pytest

from ppgssl.report.figures import risk as figures
from tests.support.fake_results import make_results


def test_calibration_panels_share_axes_that_hold_every_group():
    results = make_results()
    arms = figures.calibrated(results)[:9]
    figure = figures.plot_calibration(arms)
    limits = {axes.get_xlim() for axes in figure.axes[: len(arms)]}
    assert len(limits) == 1
    highest = max(group.observed for arm in arms for group in arm.calibration.groups)
    assert limits.pop()[1] >= highest


def test_calibration_without_a_curve_or_groups_has_no_panel():
    results = make_results(with_intervals=False)
    assert figures.calibrated(results) == []
    results = make_results(arms=["covariates"])
    results.arms[0].calibration.curve_predicted = []
    assert len(figures.calibrated(results)) == 1  # its groups remain
    assert figures.plot_calibration(results.arms).axes


@pytest.mark.parametrize("arms", [["covariates"], ["covariates", "ssl-all"], ["ssl-all"]])
def test_decision_curves_show_treating_all_and_none_in_every_panel(arms):
    results = make_results(arms=arms)
    shown = figures.decision_panels(results)
    figure = figures.plot_decisions(results, shown)
    all_curve = results.decision_references["treat all"].net_benefit
    for axes in figure.axes[: len(shown)]:
        drawn = [np.asarray(line.get_ydata()) for line in axes.get_lines()]
        assert any(len(y) == len(all_curve) and np.allclose(y, all_curve) for y in drawn)
        assert axes.get_legend().get_texts()  # every panel names what it shows


@pytest.mark.parametrize(("n_patients", "n_events"), [(20, 5), (20_000, 4_000)])
def test_stability_is_drawn_by_patient_or_as_a_band(n_patients, n_events):
    results = make_results(n_patients=n_patients, n_events=n_events, arms=["covariates"])
    figure = figures.plot_stability(results.stability)
    (collection,) = figure.axes[0].collections
    assert len(collection.get_paths()) == (n_patients if n_patients <= 400 else 1)
    assert figure.axes[0].get_ylim()[1] >= min(1.0, max(results.stability[0].ci_high))
