import pytest

from ppgssl.core.results.base import Interval
from ppgssl.models.card import Performance
from ppgssl.models.card_text import card_text


@pytest.fixture(scope="module")
def card(clinical_model):
    return clinical_model.card


def test_every_section_is_there_once_and_in_order(card):
    titles = [line.removeprefix("## ") for line in card_text(card).splitlines() if line.startswith("## ")]
    assert titles[:4] == ["Intended use", "What it takes", "Whom it was made of", "Performance"]
    assert titles[4:] == ["Thresholds", "Limits", "Where it comes from"]


def test_units_levels_and_ranges_of_the_covariates_are_listed(card):
    text = card_text(card)
    low, high = card.covariates[0].typical
    assert f"| Age (`age`) | years | {low:.4g} to {high:.4g} | 12 % |" in text
    assert "| Stage (`stage`) | early, late |" in text


def test_performance_comes_with_its_interval_and_with_what_it_is_not(card):
    assert "Not known. The study was not evaluated" in card_text(card)
    interval = Interval(estimate=0.81, ci_low=0.7, ci_high=0.9)
    nothing = Interval(estimate=None, ci_low=None, ci_high=None)
    cohort = {"scheme": "5-fold cross-validation", "n_patients": 24, "n_events": 9}
    measures = {"auroc": interval, "calibration_slope": nothing}
    found = Performance(**cohort, **measures, created_utc="2026-01-01", results_sha256="0" * 64)
    text = card_text(card.model_copy(update={"performance": found}))
    assert "| AUROC | 0.810 (0.700 to 0.900) |" in text
    assert "| Calibration slope (1 is ideal) | not defined |" in text
    assert "This very model has been tested on nobody" in text


def test_the_card_denies_a_medical_use_and_what_the_interval_covers(card):
    text = card_text(card)
    assert "Not a medical device" in text
    assert f"Intervals of a risk come from {card.n_refits} refits" in text
    of_draws = card_text(card.model_copy(update={"n_refits": 0, "n_draws": 400}))
    assert "A risk is the mean over 400 draws" in of_draws
    assert "95 % credible interval" in of_draws
    assert "bootstrap" not in of_draws
    assert "Risks have no interval" in card_text(card.model_copy(update={"n_refits": 0}))


def test_what_becomes_of_missing_values_is_described(card):
    assert "becomes the median" in card_text(card)
    mice = card.model_copy(update={"classifier": {"missing": {"method": "mice", "n_imputations": 7}}})
    assert "is drawn 7 times by chained equations" in card_text(mice)
    assert "is taken as it is" in card_text(card.model_copy(update={"learner": "gradient-boosting"}))
