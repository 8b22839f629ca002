"""The first page and the limitations claim what the numbers allow, and say what they do not show."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ppgssl.core.results.study import Results
from ppgssl.report.document import plain
from ppgssl.report.text.summary import certainty, limitations, summary
from tests.support.fake_results import PARTS, make_results

ALL = ["covariates", "untrained", "ssl-all", "covariates+untrained", "covariates+ssl-all"]
FORBIDDEN = re.compile(
    r"improved the prediction|Pretraining helped|[Bb]etter than the covariates:|predicted better than|"
    r"SSL beat the untrained|Net benefit was higher"
)


def _part(results: Results, title: str) -> str:
    return " ".join(map(plain, summary(results, ["ppg_ir"])[title]))


def _summary(results: Results) -> str:
    return " ".join([*(_part(results, title) for title in ("headline", "findings", "not shown")), _certainty(results)])


def _certainty(results: Results) -> str:
    return " ".join(map(plain, certainty(results)))


def _limitations(results: Results) -> str:
    return " ".join(map(plain, limitations(results)))


def _headline(auroc: dict[str, float], **options) -> str:
    return _part(make_results(arms=list(auroc), auroc=auroc, without=PARTS, **options), "headline")


def _may_claim(difference) -> bool:
    """Independent of the report: interval above zero, and the adjusted p-value, or the only one, below 0.05."""
    if difference is None or difference.ci_low is None:
        return False
    p_value = difference.p_value if difference.p_adjusted is None else difference.p_adjusted
    return difference.ci_low > 0 and p_value is not None and p_value < 0.05


def test_no_improvement_is_claimed_when_the_interval_spans_zero():
    auroc = {"covariates": 0.78, "covariates+ssl-all": 0.81, "covariates+untrained": 0.78}
    results = make_results(arms=list(auroc), auroc=auroc, half_width=0.08)
    assert "was not shown to improve the prediction: every 95% interval" in _part(results, "headline")
    assert not FORBIDDEN.search(_summary(results))


def test_no_improvement_is_claimed_when_only_the_unadjusted_p_value_is_small():
    auroc = {"covariates": 0.78, "covariates+ssl-all": 0.823}
    results = make_results(arms=list(auroc), auroc=auroc, half_width=0.08, is_adjusted=False)
    assert "improved the prediction" in _part(results, "headline")
    results.arms[1].difference.p_adjusted = 0.09
    assert "no difference remains once the number of comparisons" in _part(results, "headline")
    text = _summary(results)
    assert "excludes zero, but the p-value adjusted for the number of comparisons is no evidence" in text
    assert not FORBIDDEN.search(text)


@given(
    areas=st.lists(st.floats(0.35, 0.95), min_size=7, max_size=7),
    half_width=st.floats(0.01, 0.2),
    n_events=st.integers(4, 60),
    is_adjusted=st.booleans(),
    is_defined=st.booleans(),
)
def test_whatever_the_numbers_a_claim_has_an_interval_a_p_value_and_events(
    areas, half_width, n_events, is_adjusted, is_defined
):
    names = [*ALL, "ssl-labelled", "covariates+ssl-labelled"]
    results = make_results(
        n_patients=120,
        n_events=n_events,
        arms=names,
        auroc=dict(zip(names, areas, strict=True)),
        half_width=half_width,
        is_adjusted=is_adjusted,
        with_intervals=is_defined,
        without=tuple(set(PARTS) - {"added_value", "calibration"}),
        with_examples=False,
        with_pretraining=False,
        n_cohorts=1,
    )
    text = _summary(results)
    arms = results.arms
    is_enough = n_events >= 10
    to_covariates = [arm for arm in arms if _may_claim(arm.difference)]
    added = [arm for arm in to_covariates if arm.clinical == "covariates" and not arm.is_control]
    to_untrained = [arm for arm in arms if _may_claim(arm.difference_from_untrained)]
    above_chance = [arm for arm in arms if arm.auroc.ci_low is not None and arm.auroc.ci_low > 0.5]
    benefits = [row for row in results.added_value if any(map(_may_claim, row.net_benefit))]
    if "improved the prediction" in text or "Better than the covariates:" in text:
        assert is_enough
        assert added if "improved the prediction" in text else to_covariates
        assert results.arms[0].auroc.estimate >= 0.5
    for phrase in ("Pretraining helped", "SSL beat the untrained"):
        assert phrase not in text or (is_enough and to_untrained)
    assert "Net benefit was higher" not in text or (is_enough and benefits)
    assert "predicted better than guessing" not in text or (is_enough and above_chance)
    assert not re.search(r"\b(no|not any) difference (between|in|to)\b|equally good|\bNone\b|\bnan\b", text)


@pytest.mark.parametrize(
    ("areas", "words"),
    [
        # A gain that an untrained encoder gives too is not credited to pretraining.
        (
            (0.70, 0.80, 0.79),
            "improved the prediction; but features of an untrained encoder were not shown to do worse",
        ),
        ((0.70, 0.80, 0.79), "No arm with SSL was shown to beat the same arm with an untrained encoder."),
        ((0.70, 0.80, 0.71), "improved the prediction."),
        ((0.70, 0.80, 0.71), "Pretraining helped"),
        ((0.80, 0.70, 0.80), "made it worse in “Covariates + SSL features (all recordings)”"),
        ((0.80, 0.70, 0.80), "It did worse in “Covariates + SSL features (all recordings)”"),
        ((0.55, 0.68, 0.60), "The clinical covariates themselves were not shown to be better than guessing."),
    ],
)
def test_the_headline_credits_pretraining_with_what_exceeds_the_untrained_encoder(areas, words):
    arms = ("covariates", "covariates+ssl-all", "covariates+untrained")
    assert words in _headline(dict(zip(arms, areas, strict=True)))


def test_without_a_comparison_with_the_untrained_encoder_nothing_is_claimed_for_pretraining():
    headline = _part(make_results(arms=["covariates", "covariates+ssl-all"]), "headline")
    assert "Whether pretraining helped is unknown" in headline


def test_without_covariates_the_comparison_is_with_guessing():
    better = make_results(arms=["ssl-all", "untrained"], auroc={"ssl-all": 0.8}, half_width=0.05)
    assert "predicted better than guessing" in _part(better, "headline")
    assert "no arm with clinical covariates" in _part(better, "headline")
    unclear = make_results(arms=["ssl-all", "untrained"], auroc={"ssl-all": 0.52}, half_width=0.05)
    assert "No arm with self-supervised features was shown" in _part(unclear, "headline")


@pytest.mark.parametrize("arms", [ALL, ["ssl-all", "untrained"], ["covariates", "ssl-all"], ["covariates"]])
def test_undefined_intervals_give_no_claim_and_no_none(arms):
    text = _summary(make_results(arms=arms, with_intervals=False))
    assert not FORBIDDEN.search(text)
    assert "None" not in text
    assert "nan" not in text


def test_a_difference_from_covariates_that_do_not_predict_is_no_improvement():
    auroc = {"covariates": 0.39, "ssl-all": 0.68, "covariates+ssl-all": 0.68, "covariates+untrained": 0.6}
    results = make_results(arms=list(auroc), auroc=auroc, half_width=0.08)
    assert "not a sign of added value" in _part(results, "headline")
    assert "improved the prediction" not in _summary(results)
    assert "Better than the covariates" not in _summary(results)
    assert "Every arm with self-supervised features predicted better than guessing" in _part(results, "headline")


def test_net_benefit_over_covariates_that_do_not_predict_is_not_reported():
    assert "Decisions." in _summary(make_results())
    assert "Decisions." not in _summary(make_results(auroc={"covariates": 0.4}))


@pytest.mark.parametrize(
    ("both", "words"), [(0.74, "Better than"), (0.70, "No evidence of a difference from"), (0.60, "Worse than")]
)
def test_what_ssl_features_add_to_hand_crafted_ones_is_reported_with_these(both, words):
    arms = ["covariates", "pulse-wave", "ssl-all+pulse-wave"]
    auroc = {"pulse-wave": 0.68, "ssl-all+pulse-wave": both}
    text = _part(make_results(arms=arms, auroc=auroc, half_width=0.08), "findings")
    label = "SSL features (all recordings) + hand-crafted pulse features ["
    assert f"{words} the same arm without SSL features: {label}" in text


def test_hand_crafted_features_with_ssl_are_no_merit_of_ssl():
    arms = ["covariates", "covariates+ssl-all", "covariates+ssl-all+pulse-wave"]
    auroc = {"covariates": 0.7, "covariates+ssl-all": 0.7, "covariates+ssl-all+pulse-wave": 0.85}
    results = make_results(arms=arms, auroc=auroc)
    assert "was not shown to improve the prediction" in _part(results, "headline")
    found = _part(results, "findings")
    assert (
        "SSL features in addition to hand-crafted features. Better than the covariates: Covariates + SSL features"
        in found
    )


def test_gains_by_other_learners_are_counted_apart():
    auroc = {"covariates": 0.70, "covariates+ssl-all": 0.70, "covariates+ssl-all:late": 0.82}
    results = make_results(arms=list(auroc), auroc=auroc)
    text = _summary(results)
    assert "1 of 1 such arm (“Covariates + SSL features (all recordings), stacking”)" in text
    assert "improved the prediction in 1 of 2 arms" in text


def test_with_fewer_than_ten_events_nothing_is_claimed_and_the_headline_shows_it():
    auroc = {"covariates": 0.60, "covariates+ssl-all": 0.90, "covariates+untrained": 0.60}
    results = make_results(n_patients=60, n_events=9, arms=list(auroc), auroc=auroc, half_width=0.05)
    assert "cannot answer its question: 9 tested patients" in _part(results, "headline")
    assert not FORBIDDEN.search(_summary(results))


def test_a_transductive_arm_is_named_as_such():
    results = make_results(arms=ALL, exposure="transductive")
    assert "pretraining had seen the signals of test patients" in _part(results, "headline")
    assert "Transductive" in _limitations(results)
    assert "signals of test patients" not in _part(make_results(arms=ALL), "headline")


def test_what_was_not_assessed_is_on_the_first_page_and_what_was_is_not():
    assert "calibration and benefit were not assessed" in _summary(make_results(without=PARTS))
    assert "not assessed" not in _summary(make_results())


@pytest.mark.parametrize(
    ("n_events", "is_rough", "is_imprecise"), [(12, True, False), (36, False, True), (400, False, False)]
)
def test_few_events_are_reported_by_their_number(n_events, is_rough, is_imprecise):
    text = _certainty(make_results(n_patients=2000, n_events=n_events, without=PARTS))
    assert ("even the intervals are rough" in text) == is_rough
    assert ("results are imprecise" in text) == is_imprecise


def test_a_cohort_below_rileys_minimum_is_reported():
    small = _certainty(make_results())
    assert "smaller than the minimum to develop the model “Clinical covariates” (Riley): 286 patients" in small
    assert "Riley" not in _certainty(make_results(n_patients=2000, n_events=400))


@pytest.mark.parametrize(
    ("slope", "words"),
    [(0.3, "too extreme (slope below 1)"), (1.9, "not extreme enough (slope above 1)"), (1.0, "In every arm")],
)
def test_a_calibration_slope_whose_interval_leaves_1_out_is_reported(slope, words):
    text = _certainty(make_results(slope=slope))
    assert words in text
    assert ("would need recalibration" in text) == (slope != 1.0)


def test_data_defects_and_leaks_are_reported_in_the_certainty():
    results = make_results()
    text = _certainty(results)
    assert "“Identical signals under two patients”" in text
    assert "“Pulse amplitude (adc)”" in text
    assert "had been seen in training" not in text
    results.leakage[0].n_shared = 3
    assert "had been seen in training: “Self-supervised pretraining, every fold”" in _certainty(results)


def test_each_scheme_of_validation_is_named():
    single = {"validation": {"scheme": "single-split"}}
    assert "A single split of the patients was tested" in _certainty(make_results(study=single))
    sites = {"validation": {"scheme": "leave-one-site-out", "site": "smoking"}}
    text = _certainty(make_results(study=sites))
    assert "Patients of each of 2 sites were predicted by models fitted to the other sites" in text


def test_a_fold_without_an_event_is_reported():
    text = _certainty(make_results(validation_notes=["Fold 3 of repeat 1 has no patient with the event"]))
    assert "Fold 3 of repeat 1 has no patient with the event." in text


def test_limitations_name_what_was_not_assessed_and_how_values_were_imputed():
    words = "Not assessed: calibration, classification at thresholds and net benefit."
    assert words in _limitations(make_results(without=PARTS))
    whole, mice = _limitations(make_results()), _limitations(make_results(missing="mice"))
    assert "Not assessed" not in whole
    assert "single imputation" in whole
    assert "single imputation" not in mice
    assert "were imputed as if" in mice
