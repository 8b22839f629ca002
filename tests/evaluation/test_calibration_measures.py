import json

import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import brentq
from scipy.special import expit, logit
from sklearn.metrics import brier_score_loss

from ppgssl.evaluation.calibration_measures import (
    CLIP,
    assess_calibration,
    brier_scores,
    risk_groups,
)
from ppgssl.evaluation.resampling import draw_counts, percentile_interval
from tests.support.risk_tables import align_scores, make_risks

NULL = {"estimate": None, "ci_low": None, "ci_high": None}


def assess(y, score, *, n_resamples=20, seed=0, n_folds=1):
    return assess_calibration(align_scores(y, {"a": score}, n_folds=n_folds), n_resamples=n_resamples, seed=seed)["a"]


def glm(y, columns, weights=None, offset=None):
    weights = np.ones(len(y)) if weights is None else weights
    model = sm.GLM(y.astype(float), columns, family=sm.families.Binomial(), freq_weights=weights, offset=offset)
    return model.fit(tol=1e-14, maxiter=200).params


def test_intercept_and_slope_are_those_of_statsmodels():
    logits, y = make_risks(207, 0)
    logits = 0.4 + 1.3 * logits
    found = assess(y, expit(logits), n_folds=5)
    assert found.intercept.estimate == pytest.approx(glm(y, np.ones(207), offset=logits)[0], abs=1e-8)
    assert found.slope.estimate == pytest.approx(glm(y, sm.add_constant(logits))[1], abs=1e-8)


def test_intervals_of_intercept_and_slope_are_as_wide_as_percentiles_of_statsmodels_over_the_same_draws():
    logits, y = make_risks(150, 1, mean_logit=-1)
    found = assess(y, expit(logits), n_resamples=40, seed=9)
    counts = draw_counts(150, 40, np.random.default_rng(9)).T
    slopes = [glm(y, sm.add_constant(logits), weights)[1] for weights in counts]
    intercepts = [glm(y, np.ones(150), weights, logits)[0] for weights in counts]
    for interval, replicates in ((found.slope, slopes), (found.intercept, intercepts)):
        low, high = np.quantile(replicates, [0.025, 0.975])
        assert interval.ci_high - interval.ci_low == pytest.approx(high - low, abs=1e-8)
        assert interval.ci_low + interval.ci_high == pytest.approx(2 * interval.estimate)


@pytest.mark.parametrize(
    ("shift", "factor", "intercept", "slope"),
    [(0.0, 1.0, 0.0, 1.0), (0.7, 1.0, -0.7, 1.0), (0.0, 2.0, None, 0.5), (-0.5, 0.5, None, 2.0)],
)
def test_risks_wrong_by_a_known_amount_are_found_wrong_by_it(shift, factor, intercept, slope):
    logits, y = make_risks(20_000, 3, mean_logit=-1.5)
    wrong = shift + factor * logits
    found = assess(y, expit(wrong), n_resamples=2)
    assert found.slope.estimate == pytest.approx(slope, rel=0.05)
    if intercept is not None:
        assert found.intercept.estimate == pytest.approx(intercept, abs=0.06)
    distance = np.abs(expit(logits) - expit(wrong))
    assert found.ici.estimate == pytest.approx(distance.mean(), abs=0.008)
    assert (found.e50, found.e90) == pytest.approx(np.quantile(distance, [0.5, 0.9]), abs=0.015)
    truth = expit((logit(found.curve_predicted) - shift) / factor)
    np.testing.assert_allclose(found.curve_observed, truth, atol=0.03)


def test_repeats_are_averaged_and_folds_pooled():
    logits, y = make_risks(120, 4, mean_logit=-1)
    scores = expit(logits + np.random.default_rng(0).normal(0, 0.5, (3, 120)))
    together = assess(y, scores, n_folds=4)
    alone = [assess(y, score) for score in scores]
    for name in ("intercept", "slope", "ici"):
        mean = np.mean([getattr(one, name).estimate for one in alone])
        assert getattr(together, name).estimate == pytest.approx(mean, abs=1e-9)
    assert (together.e50, together.e90) == pytest.approx(np.mean([(one.e50, one.e90) for one in alone], axis=0))
    assert together.histogram == alone[0].histogram
    for group, expected in zip(together.groups, alone[0].groups, strict=True):
        assert group.model_dump() == pytest.approx(expected.model_dump())


def test_an_ici_of_true_risks_has_zero_in_its_interval_most_of_the_time():
    found = [assess(y, expit(logits)).ici for logits, y in (make_risks(207, seed) for seed in range(40))]
    assert np.mean([ici.ci_low == 0 for ici in found]) >= 0.85
    assert all(ici.ci_low <= ici.estimate for ici in found)


def test_the_ici_that_chance_makes_is_reported_and_wrong_risks_go_beyond_it():
    logits, y = make_risks(207, 6)
    right, wrong = assess(y, expit(logits), n_resamples=100), assess(y, expit(logits + 1.5), n_resamples=100)
    # Mean of 200 simulated data sets of this size: 0.028.
    assert right.ici_if_perfect == pytest.approx(0.028, abs=0.008)
    assert wrong.ici.ci_low > wrong.ici_if_perfect


@pytest.mark.slow
@pytest.mark.parametrize(("shift", "factor"), [(0.0, 1.0), (-1.4, 0.6), (0.5, 1.3)])
def test_intervals_cover_the_truth_of_200_patients_with_26_events(shift, factor):
    large = 2_000_000
    truth, _ = make_risks(large, 0)
    wrong = shift + factor * truth
    ici = np.abs(expit(truth) - expit(wrong)).mean()
    intercept = brentq(lambda a: expit(a + wrong).mean() - expit(truth).mean(), -5, 5)
    n_covered, n_points = np.zeros(3), np.zeros(50)
    for seed in range(300):
        logits, y = make_risks(200, seed + 1)
        found = assess(y, expit(shift + factor * logits), n_resamples=400, seed=seed)
        intervals = (found.intercept, found.slope, found.ici)
        pairs = zip(intervals, (intercept, 1 / factor, ici), strict=True)
        n_covered += [interval.ci_low <= value <= interval.ci_high for interval, value in pairs]
        observed = expit((logit(found.curve_predicted) - shift) / factor)
        n_points += (found.curve_ci_low <= observed) & (observed <= found.curve_ci_high)
    proportions = [*n_covered / 300, n_points.min() / 300, n_points.mean() / 300]
    print("coverage of intercept, slope, ICI, the worst and the mean point of the curve:", np.round(proportions, 3))
    # 93 to 97 %, and two standard errors of 300 data sets on either side.
    assert (np.abs(np.array(proportions) - 0.95) < 0.02 + 0.025).all()


def is_defined(found):
    return [found.intercept.estimate is not None, found.slope.estimate is not None, bool(found.curve_observed)]


@pytest.mark.parametrize(
    ("y", "score", "defined"),
    [
        (np.arange(40) < 15, np.full(40, 0.3), [True, False, False]),
        (np.arange(40) < 15, np.linspace(0.9, 0.1, 40), [True, False, False]),
        (np.arange(40) < 15, (np.arange(40) < 15).astype(float), [True, False, False]),
        (np.zeros(40), np.linspace(0.1, 0.9, 40), [False, False, False]),
        (np.arange(40) % 3 == 0, (np.arange(40) % 2).astype(float), [True, True, True]),
        (np.arange(40) % 7 == 0, np.linspace(0, 1, 40), [True, True, True]),
    ],
    ids=["constant", "separated", "perfect", "one class", "all 0 or 1", "ends at 0 and 1"],
)
def test_what_is_not_defined_is_null_and_nothing_crashes_or_warns(y, score, defined):
    found = assess(y, score, n_resamples=50)
    assert is_defined(found) == defined
    if not defined[1]:
        assert found.slope.model_dump() == found.ici.model_dump() == NULL
        assert found.e50 is found.e90 is None
        assert found.curve_ci_low == found.curve_predicted == []
    assert sum(found.histogram) == 40
    assert "NaN" not in json.dumps(found.model_dump())


@given(st.integers(0, 2**31), st.integers(2, 30), st.sampled_from([2, 4, 1000]), st.floats(0.5, 6))
def test_small_and_odd_tables_give_numbers_in_order(seed, n, n_levels, sd):
    rng = np.random.default_rng(seed)
    score = np.round(expit(rng.normal(0, sd, n)) * n_levels) / n_levels
    found = assess(rng.random(n) < 0.4, score, n_resamples=15, seed=seed)
    for interval in (found.intercept, found.slope, found.ici):
        numbers = [number for number in (interval.ci_low, interval.estimate, interval.ci_high) if number is not None]
        assert np.isfinite(numbers).all()
    assert len(found.curve_predicted) == len(found.curve_ci_high) in (0, 50)
    assert np.all(np.array(found.curve_ci_low) <= np.array(found.curve_ci_high))
    assert np.all((np.array(found.curve_observed) >= 0) & (np.array(found.curve_observed) <= 1))


def test_risks_of_0_and_1_count_as_the_clipped_ones():
    logits, y = make_risks(60, 7, mean_logit=0)
    score = expit(logits)
    score[:2], score[2:4] = 0.0, 1.0
    clipped = np.clip(score, CLIP, 1 - CLIP)
    found, expected = assess(y, score), assess(y, clipped)
    assert found.model_dump(exclude={"groups"}) == expected.model_dump(exclude={"groups"})


@given(st.integers(0, 2**31), st.integers(10, 400), st.sampled_from([3, 20, 10**6]), st.floats(0.05, 0.95))
def test_groups_hold_every_patient_once_and_no_small_count(seed, n, n_levels, prevalence):
    rng = np.random.default_rng(seed)
    y, score = rng.random(n) < prevalence, np.round(rng.random(n) * n_levels) / n_levels
    groups = risk_groups(y, score)
    if min(y.sum(), (~y).sum()) < 5:
        assert groups == []
        return
    assert sum(group.n for group in groups) == n
    assert sum(group.n * group.mean_predicted for group in groups) == pytest.approx(score.sum())
    for group in groups:
        n_events = round(group.n * group.observed)
        assert min(n_events, group.n - n_events) >= 5
        assert group.ci_low < group.observed < group.ci_high
    means = [group.mean_predicted for group in groups]
    assert means == sorted(set(means))
    assert len(groups) <= 10


def test_enough_patients_make_tenths():
    logits, y = make_risks(2000, 8, mean_logit=0)
    groups = risk_groups(y, expit(logits))
    assert [group.n for group in groups] == [200] * 10
    first = np.argsort(logits)[:200]
    assert groups[0].observed == y[first].mean()
    assert groups[0].mean_predicted == pytest.approx(expit(logits[first]).mean())


def test_estimate_and_interval_are_those_of_a_loop_over_the_patients_drawn():
    _, y = make_risks(60, 0, mean_logit=-1)
    rng = np.random.default_rng(1)
    scores = rng.random((3, 60))
    found = brier_scores(align_scores(y, {"a": scores, "b": scores**2}, n_folds=4), n_resamples=50, seed=7)
    counts = draw_counts(60, 50, np.random.default_rng(7))

    def brier(weights):
        return np.mean([brier_score_loss(y, repeat**2, sample_weight=weights) for repeat in scores])

    def scaled(weights):
        prevalence = np.average(y, weights=weights)
        return 1 - brier(weights) / (prevalence * (1 - prevalence))

    for interval, statistic in ((found["b"].brier, brier), (found["b"].scaled, scaled)):
        assert interval.estimate == pytest.approx(statistic(np.ones(60)), abs=1e-12)
        expected = percentile_interval(np.array([statistic(column) for column in counts.T]))
        assert (interval.ci_low, interval.ci_high) == pytest.approx(expected, abs=1e-12)


def test_the_prevalence_scores_zero_and_the_truth_one():
    y = np.arange(50) < 10
    aligned = align_scores(y, {"prevalence": np.full(50, 0.2), "truth": y.astype(float)})
    found = brier_scores(aligned, n_resamples=20, seed=0)
    assert found["prevalence"].brier.estimate == pytest.approx(0.16)
    assert found["prevalence"].scaled.estimate == pytest.approx(0.0, abs=1e-12)
    assert found["truth"].scaled.model_dump() == {"estimate": 1.0, "ci_low": 1.0, "ci_high": 1.0}
    alone = brier_scores(align_scores(np.zeros(12), {"a": np.full(12, 0.1)}), n_resamples=20, seed=0)["a"]
    assert alone.brier.estimate == pytest.approx(0.01)
    assert alone.scaled.model_dump() == NULL
