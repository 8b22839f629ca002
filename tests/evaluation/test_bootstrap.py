"""Patient bootstrap: exactness on each resample, pairing, coverage, honesty about what is not defined."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import bootstrap as scipy_bootstrap
from scipy.stats import norm
from sklearn.metrics import roc_auc_score

from ppgssl.core.errors import EvaluationError
from ppgssl.evaluation import bootstrap
from ppgssl.evaluation.bootstrap import (
    bca_interval,
    bootstrap_auroc,
    bootstrap_scores,
    draw_counts,
    percentile_interval,
    two_sided_p,
)
from ppgssl.evaluation.ranked_pairs import stratified_auroc


def make_predictions(rng, *, n=60, arms=("covariates", "ssl-all"), n_folds=1, n_repeats=1, signal=1.0, n_levels=None):
    """Predictions of several arms whose scores rise with the outcome, with ties where levels are few."""
    y = (np.arange(n) < 0.3 * n).astype(int)
    rows = []
    for repeat in range(n_repeats):
        fold = rng.permutation(np.arange(n) % n_folds)
        for arm in arms:
            score = norm.cdf(rng.normal(size=n) + signal * y)
            score = np.round(score * n_levels) / n_levels if n_levels else score
            table = {"arm": arm, "repeat": repeat, "fold": fold, "y_true": y, "y_score": score}
            rows.append(pd.DataFrame({**table, "patient_id": [f"p{i:03d}" for i in range(n)]}))
    return pd.concat(rows, ignore_index=True).sample(frac=1, random_state=1)


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 10_000), st.integers(8, 60), st.sampled_from([3, 10, None]))
def test_each_resample_equals_scikit_learn_on_the_patients_drawn(seed, n, n_levels):
    predictions = make_predictions(np.random.default_rng(seed), n=n, n_levels=n_levels)
    result = bootstrap_auroc(predictions, ["covariates", "ssl-all"], n_resamples=20, seed=seed)
    counts = draw_counts(n, 20, np.random.default_rng(seed)).astype(int)
    table = predictions.pivot_table(index="patient_id", columns="arm", values="y_score")
    y = predictions.groupby("patient_id")["y_true"].first().to_numpy()
    drawn = [np.repeat(np.arange(n), column) for column in counts.T]
    drawn = [rows for rows in drawn if 0 < y[rows].sum() < n]
    assert result.n_skipped == 20 - len(drawn)
    for column, arm in enumerate(result.arms):
        expected = [roc_auc_score(y[rows], table[arm].to_numpy()[rows]) for rows in drawn]
        np.testing.assert_allclose(result.replicates[:, column], expected, rtol=0, atol=1e-12)


def test_each_resample_of_repeated_folds_is_the_stratified_auroc_with_the_counts_as_weights():
    predictions = make_predictions(np.random.default_rng(1), n=40, n_folds=4, n_repeats=3, n_levels=8)
    result = bootstrap_auroc(predictions, ["ssl-all"], n_resamples=25, seed=5)
    counts = draw_counts(40, 25, np.random.default_rng(5))
    of_arm = predictions[predictions["arm"] == "ssl-all"]
    patient = of_arm["patient_id"].str[1:].astype(int).to_numpy()
    expected = [
        stratified_auroc(
            of_arm["y_true"],
            of_arm["y_score"],
            repeat=of_arm["repeat"],
            fold=of_arm["fold"],
            weights=counts[patient, number],
        )
        for number in range(25)
    ]
    np.testing.assert_allclose(result.replicates[:, 0], expected, rtol=0, atol=1e-12)


def test_the_counts_are_multinomial_over_patients():
    counts = draw_counts(20, 5000, np.random.default_rng(0))
    assert (counts.sum(axis=0) == 20).all()
    # Of one patient: mean 1, variance 1 - 1/20; between two: covariance -1/20. Standard errors are below 0.02.
    covariance = np.cov(counts)
    np.testing.assert_allclose(counts.mean(axis=1), 1.0, atol=0.07)
    np.testing.assert_allclose(np.diag(covariance), 0.95, atol=0.12)
    assert covariance[np.triu_indices(20, 1)].mean() == pytest.approx(-0.05, abs=0.005)


def test_drawing_in_blocks_gives_the_same_result_as_drawing_at_once(monkeypatch):
    predictions = make_predictions(np.random.default_rng(2), n=31)
    whole = bootstrap_auroc(predictions, ["covariates", "ssl-all"], n_resamples=100, seed=3)
    monkeypatch.setattr(bootstrap, "_BLOCK", 31 * 7)
    in_blocks = bootstrap_auroc(predictions, ["covariates", "ssl-all"], n_resamples=100, seed=3)
    np.testing.assert_array_equal(whole.replicates, in_blocks.replicates)


def test_row_order_and_other_arms_change_nothing():
    predictions = make_predictions(np.random.default_rng(4), n=50, n_folds=5, arms=("a", "b", "c"))
    all_arms = bootstrap_auroc(predictions, ["a", "b", "c"], "a", n_resamples=200, seed=1)
    sorted_rows = predictions.sort_values(["y_score"], ignore_index=True)
    two_arms = bootstrap_auroc(sorted_rows, ["b", "a"], "a", n_resamples=200, seed=1)
    assert all_arms.interval("b") == two_arms.interval("b")
    assert all_arms.difference("b", "a") == two_arms.difference("b", "a")


def test_an_arm_equal_to_its_reference_differs_by_nothing():
    predictions = make_predictions(np.random.default_rng(5), arms=("covariates",))
    predictions = pd.concat([predictions, predictions.assign(arm="copy")])
    difference = bootstrap_auroc(predictions, ["covariates", "copy"], "covariates", n_resamples=99, seed=0).differences
    assert set(difference) == {"copy"}
    found = difference["copy"]
    assert (found.estimate, found.ci_low, found.ci_high, found.p_value) == (0.0, 0.0, 0.0, 1.0)
    assert found.reference == "covariates"


def test_a_paired_difference_is_tighter_than_two_separate_intervals():
    rng = np.random.default_rng(6)
    predictions = make_predictions(rng, n=150, arms=("covariates",))
    other = predictions.assign(
        arm="similar", y_score=np.clip(predictions["y_score"] + 0.02 * rng.normal(size=150), 0, 1)
    )
    result = bootstrap_auroc(pd.concat([predictions, other]), ["covariates", "similar"], n_resamples=500, seed=0)
    difference = result.difference("similar", "covariates")
    interval = result.interval("similar")
    assert difference.ci_high - difference.ci_low < 0.3 * (interval.ci_high - interval.ci_low)


def test_the_interval_contains_the_truth_about_as_often_as_it_says():
    """200 samples of 80 patients, binormal truth 0.76; 95 % nominal, percentile intervals run slightly short.

    With a true coverage of 0.94 the standard error of the observed share is 0.017; the bounds are 3.5 of them away
    below, and above the share may reach 1.
    """
    rng = np.random.default_rng(7)
    truth = norm.cdf(1 / np.sqrt(2))
    y = np.arange(80) < 28
    covered = 0
    for seed in range(200):
        interval = bootstrap_scores(y, rng.normal(size=80) + y, n_resamples=300, seed=seed)
        covered += interval.ci_low <= truth <= interval.ci_high
    assert covered / 200 >= 0.88


def test_p_values_under_no_difference_are_not_too_small():
    """Two arms of equal truth: at most 5 % of p-values below 0.05, plus 3 standard errors of 200 samples (0.046)."""
    rng = np.random.default_rng(8)
    small = 0
    for seed in range(200):
        predictions = make_predictions(rng, n=60)
        result = bootstrap_auroc(predictions, ["covariates", "ssl-all"], n_resamples=199, seed=seed)
        small += result.difference("ssl-all", "covariates").p_value < 0.05
    assert small / 200 <= 0.05 + 0.046


def test_two_sided_p_counts_by_hand():
    assert two_sided_p(np.array([1.0, 2.0, 3.0, -1.0])) == pytest.approx(2 * (1 + 1) / 5)
    assert two_sided_p(np.full(1999, 0.1)) == pytest.approx(2 / 2000)
    assert two_sided_p(np.zeros(10)) == 1.0
    assert two_sided_p(np.array([])) is None
    assert percentile_interval(np.array([])) == (None, None)


@settings(deadline=None)
@given(st.integers(0, 1000), st.floats(-3, 3))
def test_p_is_below_5_percent_where_the_interval_leaves_zero_out(seed, shift):
    replicates = np.random.default_rng(seed).normal(shift, 1, 1999)
    low, high = percentile_interval(replicates)
    p = two_sided_p(replicates)
    if abs(p - 0.05) > 2 / 2000:  # beyond the resolution of the resamples
        assert (p < 0.05) == (low > 0 or high < 0)


def test_a_subset_is_judged_as_if_the_others_had_not_been_tested():
    predictions = make_predictions(np.random.default_rng(9), n=60, n_folds=3)
    subset = [f"p{i:03d}" for i in range(0, 60, 2)]
    of_subset = bootstrap_auroc(predictions, ["ssl-all"], n_resamples=50, seed=2, subset=subset)
    alone = bootstrap_auroc(predictions[predictions["patient_id"].isin(subset)], ["ssl-all"], n_resamples=50, seed=2)
    np.testing.assert_array_equal(of_subset.replicates, alone.replicates)
    assert of_subset.n_patients == 30


def test_resamples_without_a_pair_are_counted_not_hidden():
    predictions = make_predictions(np.random.default_rng(10), n=12)
    predictions["y_true"] = (predictions["patient_id"] == "p003").astype(int)
    result = bootstrap_auroc(predictions, ["covariates", "ssl-all"], n_resamples=400, seed=0)
    # The one event is left out of a resample with chance (1 - 1/12)^12 = 0.352; standard error 0.024.
    assert result.n_skipped / 400 == pytest.approx((11 / 12) ** 12, abs=0.08)
    assert len(result.replicates) == 400 - result.n_skipped
    assert np.isfinite(result.replicates).all()


def test_arms_tested_on_different_folds_are_refused():
    predictions = make_predictions(np.random.default_rng(11), n=20, n_folds=2)
    moved = predictions["arm"].eq("ssl-all") & predictions["patient_id"].eq("p004")
    predictions.loc[moved, "fold"] = 1 - predictions.loc[moved, "fold"]
    with pytest.raises(EvaluationError, match="not tested on the same patients in the same folds"):
        bootstrap_auroc(predictions, ["covariates", "ssl-all"], seed=0)


def test_what_cannot_be_resampled_is_refused():
    predictions = make_predictions(np.random.default_rng(12), n=20)
    with pytest.raises(EvaluationError, match=r"no predictions.*did you mean 'covariates'"):
        bootstrap_auroc(predictions, ["covariate"], seed=0)
    with pytest.raises(EvaluationError, match="reference arm 'x' is not among"):
        bootstrap_auroc(predictions, ["covariates"], "x", seed=0)
    with pytest.raises(EvaluationError, match="none of the 1 patients of the subset"):
        bootstrap_auroc(predictions, ["covariates"], seed=0, subset=["q"])
    with pytest.raises(EvaluationError, match="is not defined: in some repeat no fold"):
        bootstrap_auroc(predictions, ["covariates"], seed=0, subset=["p000", "p001"])
    with pytest.raises(EvaluationError, match="n_resamples is 0"):
        bootstrap_auroc(predictions, ["covariates"], n_resamples=0, seed=0)
    with pytest.raises(EvaluationError, match="'z' was not resampled"):
        bootstrap_auroc(predictions, ["covariates"], n_resamples=1, seed=0).interval("z")


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 10_000), st.integers(5, 60), st.booleans())
def test_the_bca_interval_equals_that_of_scipy(seed, n, is_discrete):
    rng = np.random.default_rng(seed)
    x = rng.exponential(size=n)
    x = np.round(x * 3) if is_discrete else x
    x[0] += 1.0  # not all equal
    theirs = scipy_bootstrap((x,), np.mean, n_resamples=499, method="BCa", rng=rng, vectorized=True)
    jackknife = (x.sum() - x) / (n - 1)
    low, high = bca_interval(theirs.bootstrap_distribution, float(x.mean()), jackknife)
    assert (low, high) == pytest.approx(tuple(theirs.confidence_interval), abs=1e-10)


def test_without_bias_and_skewness_the_bca_interval_is_that_of_the_percentiles():
    replicates = np.linspace(-1, 1, 2001)
    assert bca_interval(replicates, 0.0, np.array([-1.0, 1.0])) == pytest.approx(percentile_interval(replicates))
    assert bca_interval(replicates, 0.0, np.array([np.nan])) == pytest.approx(percentile_interval(replicates))


def test_no_bca_interval_where_all_replicates_lie_on_one_side():
    assert bca_interval(np.array([0.1, 0.2]), 0.3, np.array([0.0, 1.0])) == (None, None)
    assert bca_interval(np.array([]), 0.3, np.array([0.0, 1.0])) == (None, None)
    assert bca_interval(np.ones(9), 1.0, np.ones(4)) == (1.0, 1.0)


def test_counts_are_the_same_in_portions_and_in_32_bits():
    whole = draw_counts(17, 50, np.random.default_rng(0))
    rng = np.random.default_rng(0)
    portions = np.hstack([draw_counts(17, size, rng, np.float32) for size in (1, 20, 29)])
    assert portions.dtype == np.float32
    np.testing.assert_array_equal(portions, whole)
