"""Claims follow from intervals: no improvement is claimed where the interval of the difference spans zero."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ppgssl.report import wording
from ppgssl.report.document import plain
from ppgssl.results import Interval
from tests.fake_results import make_results

ALL = ["covariates", "untrained", "ssl-all", "covariates+untrained", "covariates+ssl-all"]


def _summary(results) -> str:
    texts = [wording.headline(results), *wording.findings(results), *wording.certainty(results)]
    return " ".join(map(plain, texts))


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (0.01, 0.05, "higher"),
        (-0.01, 0.05, "unclear"),
        (0.0, 0.05, "unclear"),
        (-0.05, 0.0, "unclear"),
        (-0.05, -0.01, "lower"),
        (None, None, "undefined"),
        (math.nan, 0.1, "undefined"),
    ],
)
def test_the_verdict_is_that_of_the_interval(low, high, verdict):
    assert wording.verdict(Interval(estimate=0.02, ci_low=low, ci_high=high)) == verdict


def test_no_improvement_is_claimed_when_the_interval_spans_zero():
    auroc = {"covariates": 0.78, "covariates+ssl-all": 0.81, "covariates+untrained": 0.78}
    results = make_results(arms=list(auroc), auroc=auroc, half_width=0.08)
    assert "was not shown to improve the prediction" in wording.headline(results)
    assert "improved the prediction" not in _summary(results)
    assert "Better than the covariates" not in _summary(results)


@given(
    covariates=st.floats(0.55, 0.9),
    both=st.floats(0.55, 0.9),
    untrained=st.floats(0.55, 0.9),
    width=st.floats(0.02, 0.2),
)
@settings(deadline=None, max_examples=25)
def test_improvement_is_claimed_exactly_when_the_whole_interval_lies_above_zero(covariates, both, untrained, width):
    auroc = {"covariates": covariates, "covariates+ssl-all": both, "covariates+untrained": untrained}
    results = make_results(
        arms=list(auroc), auroc=auroc, half_width=width, with_examples=False, with_pretraining=False, n_cohorts=1
    )
    is_above = both - covariates - width / 2 > 0
    assert ("improved the prediction" in wording.headline(results)) == is_above
    beats_untrained = both - untrained - width / 2 > 0
    assert ("Pretraining helped" in wording.headline(results)) == beats_untrained


def test_an_improvement_that_an_untrained_encoder_gives_too_is_not_credited_to_pretraining():
    auroc = {"covariates": 0.70, "covariates+ssl-all": 0.80, "covariates+untrained": 0.79}
    results = make_results(arms=list(auroc), auroc=auroc, half_width=0.08)
    headline = wording.headline(results)
    assert (
        "improved the prediction; but features of an encoder that had learnt nothing were not shown to do less"
        in headline
    )
    assert "No arm with SSL was shown to beat the same arm with an untrained encoder." in headline


def test_an_improvement_beyond_the_untrained_encoder_is_said_plainly():
    auroc = {"covariates": 0.70, "covariates+ssl-all": 0.80, "covariates+untrained": 0.71}
    headline = wording.headline(make_results(arms=list(auroc), auroc=auroc, half_width=0.08))
    assert "improved the prediction." in headline
    assert "Pretraining helped" in headline


def test_harm_is_said():
    auroc = {"covariates": 0.80, "covariates+ssl-all": 0.70, "covariates+untrained": 0.80}
    headline = wording.headline(make_results(arms=list(auroc), auroc=auroc, half_width=0.08))
    assert "made it worse in “Covariates + SSL features (all recordings)”" in headline
    assert "It did worse in “Covariates + SSL features (all recordings)”" in headline


def test_without_a_comparison_with_the_untrained_encoder_nothing_is_said_for_pretraining():
    headline = wording.headline(make_results(arms=["covariates", "covariates+ssl-all"]))
    assert "Whether pretraining helped cannot be said" in headline


def test_without_covariates_the_comparison_is_with_guessing():
    better = make_results(arms=["ssl-all", "untrained"], auroc={"ssl-all": 0.8}, half_width=0.05)
    assert "predicted better than guessing" in wording.headline(better)
    assert "no arm with clinical covariates" in wording.headline(better)
    unclear = make_results(arms=["ssl-all", "untrained"], auroc={"ssl-all": 0.52}, half_width=0.05)
    assert "No arm with self-supervised features was shown" in wording.headline(unclear)


@pytest.mark.parametrize("arms", [ALL, ["ssl-all", "untrained"], ["covariates", "ssl-all"], ["covariates"]])
def test_undefined_intervals_give_no_claim_and_no_none(arms):
    results = make_results(arms=arms, with_intervals=False)
    text = _summary(results)
    assert "improved" not in text
    assert "beat the same arm with an untrained encoder in every" not in text
    assert "None" not in text
    assert "nan" not in text


def test_a_transductive_arm_is_named_as_such():
    results = make_results(arms=ALL, exposure="transductive")
    assert "pretraining had seen the signals of test patients" in wording.headline(results)
    assert any("Transductive" in plain(text) for text in wording.limitations(results))
    assert "test patients" not in wording.headline(make_results(arms=ALL))


def test_few_events_and_data_defects_are_said_in_the_summary():
    text = _summary(make_results(n_patients=146, n_events=36))
    assert "With 36 patients in the smaller outcome group" in text
    assert "“Identical signals under two patients”" in text
    assert "“Pulse amplitude (adc)”" in text
    assert "smaller outcome group" not in _summary(make_results(n_patients=2000, n_events=400))


def test_a_single_split_is_called_one():
    study = {"validation": {"scheme": "single-split"}}
    assert "A single split of the patients was tested" in _summary(make_results(study=study))


def test_what_is_not_shown_is_always_said():
    assert any("calibration" in plain(text) for text in wording.not_shown(make_results()))


def test_a_difference_to_covariates_that_do_not_predict_is_no_improvement():
    auroc = {"covariates": 0.39, "ssl-all": 0.68, "covariates+ssl-all": 0.68, "covariates+untrained": 0.6}
    results = make_results(arms=list(auroc), auroc=auroc, half_width=0.08)
    assert "not a sign of added value" in wording.headline(results)
    assert "improved the prediction" not in _summary(results)
    assert "Better than the covariates" not in _summary(results)
    assert "Every arm with self-supervised features predicted better than guessing" in wording.headline(results)
