"""The first page says how sure the answer is: few events, small cohorts, wrong risks, leaks, defects."""

from __future__ import annotations

import pytest

from ppgssl.core.results.study import Results
from ppgssl.report.document import plain
from ppgssl.report.text.certainty import certainty
from tests.support.fake_results import PARTS, make_results


def _text(results: Results) -> str:
    return " ".join(map(plain, certainty(results)))


@pytest.mark.parametrize(
    ("n_events", "is_rough", "is_imprecise"), [(12, True, False), (36, False, True), (400, False, False)]
)
def test_few_events_are_said_by_their_number(n_events, is_rough, is_imprecise):
    text = _text(make_results(n_patients=2000, n_events=n_events, without=PARTS))
    assert ("even the intervals are rough" in text) == is_rough
    assert ("results are imprecise" in text) == is_imprecise


def test_a_cohort_below_rileys_minimum_is_said():
    small = _text(make_results())
    assert "smaller than the minimum to develop the model “Clinical covariates” (Riley): 286 patients" in small
    assert "Riley" not in _text(make_results(n_patients=2000, n_events=400))


@pytest.mark.parametrize(
    ("slope", "words"),
    [(0.3, "too extreme (slope below 1)"), (1.9, "too timid (slope above 1)"), (1.0, "In every arm")],
)
def test_a_calibration_slope_whose_interval_leaves_1_out_is_said(slope, words):
    text = _text(make_results(slope=slope))
    assert words in text
    assert ("would need recalibration" in text) == (slope != 1.0)


def test_data_defects_and_leaks_are_said_in_the_text():
    results = make_results()
    text = _text(results)
    assert "“Identical signals under two patients”" in text
    assert "“Pulse amplitude (adc)”" in text
    assert "had been seen in training" not in text
    results.leakage[0].n_shared = 3
    assert "had been seen in training: “Self-supervised pretraining, every fold”" in _text(results)


def test_each_scheme_of_validation_is_said_as_it_is():
    single = {"validation": {"scheme": "single-split"}}
    assert "A single split of the patients was tested" in _text(make_results(study=single))
    sites = {"validation": {"scheme": "leave-one-site-out", "site": "smoking"}}
    text = _text(make_results(study=sites))
    assert "Patients of each of 2 sites were predicted by models fitted to the other sites" in text


def test_a_fold_without_an_event_is_said():
    text = _text(make_results(validation_notes=["Fold 3 of repeat 1 has no patient with the event"]))
    assert "Fold 3 of repeat 1 has no patient with the event." in text
