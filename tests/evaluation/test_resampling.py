from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import bootstrap as scipy_bootstrap
from sklearn.metrics import roc_auc_score

from ppgssl.core.errors import EvaluationError
from ppgssl.evaluation.ranked_pairs import resample_auroc, stratified_auroc
from ppgssl.evaluation.resampling import (
    bca_interval,
    draw_counts,
    percentile_interval,
    resample,
    resample_means,
    two_sided_p,
)
from tests.support.aligned_scores import make_aligned


def test_the_counts_are_multinomial_over_patients():
    counts = draw_counts(20, 5000, np.random.default_rng(0))
    assert (counts.sum(axis=0) == 20).all()
    # Of one patient: mean 1, variance 1 - 1/20; between two: covariance -1/20. Standard errors are below 0.02.
    covariance = np.cov(counts)
    np.testing.assert_allclose(counts.mean(axis=1), 1.0, atol=0.07)
    np.testing.assert_allclose(np.diag(covariance), 0.95, atol=0.12)
    assert covariance[np.triu_indices(20, 1)].mean() == pytest.approx(-0.05, abs=0.005)


def test_counts_are_the_same_in_portions_and_in_32_bits():
    whole = draw_counts(17, 50, np.random.default_rng(0))
    rng = np.random.default_rng(0)
    portions = np.hstack([draw_counts(17, size, rng, np.float32) for size in (1, 20, 29)])
    assert portions.dtype == np.float32
    np.testing.assert_array_equal(portions, whole)


@pytest.mark.parametrize(("block", "n_rows"), [("_BLOCK", None), ("_CACHED_BLOCK", 12)])
def test_blocks_of_draws_are_the_draws_at_once(monkeypatch, block, n_rows):
    values = np.random.default_rng(2).normal(size=(2, 12))
    whole = resample(lambda counts: values @ counts, ["a", "b"], 12, n_resamples=50, seed=5, n_rows=n_rows)
    monkeypatch.setattr(f"ppgssl.evaluation.resampling.{block}", 84)
    in_blocks = resample(lambda counts: values @ counts, ["a", "b"], 12, n_resamples=50, seed=5, n_rows=n_rows)
    np.testing.assert_allclose(in_blocks.draws, whole.draws, rtol=0, atol=1e-12)


@given(st.integers(0, 10_000), st.integers(8, 60), st.sampled_from([3, 10, None]))
def test_each_resample_equals_scikit_learn_on_the_patients_drawn(seed, n, n_levels):
    aligned = make_aligned(seed, n, n_levels=n_levels, n_arms=2)
    result = resample_auroc(aligned, n_resamples=20, seed=seed)
    counts = draw_counts(n, 20, np.random.default_rng(seed)).astype(int)
    y = aligned.y_true
    drawn = [np.repeat(np.arange(n), column) for column in counts.T]
    is_defined = np.array([0 < y[rows].sum() < n for rows in drawn])
    assert result.n_undefined == (~is_defined).sum()
    assert np.isnan(result.draws[:, ~is_defined]).all()
    for number in np.flatnonzero(is_defined):
        expected = [roc_auc_score(y[drawn[number]], scores[drawn[number]]) for scores in aligned.y_score]
        np.testing.assert_allclose(result.draws[:, number], expected, rtol=0, atol=1e-12)


def test_each_resample_of_repeated_folds_is_the_stratified_auroc_with_the_counts_as_weights():
    aligned = make_aligned(1, n_folds=4, n_repeats=3, n_levels=8)
    result = resample_auroc(aligned, n_resamples=25, seed=5)
    counts = draw_counts(40, 25, np.random.default_rng(5))
    columns = {"repeat": aligned.repeat, "fold": aligned.fold}
    expected = [
        stratified_auroc(aligned.y_true, aligned.y_score[0], **columns, weights=counts[aligned.patient, number])
        for number in range(25)
    ]
    np.testing.assert_allclose(result.draws[0], expected, rtol=0, atol=1e-12)


def test_p_values_under_no_difference_are_not_too_small():
    """Two arms of equal truth: at most 5 % of p-values below 0.05, plus 3 standard errors of 200 samples (0.046)."""
    small = 0
    for seed in range(200):
        result = resample_auroc(make_aligned(seed, 60, n_arms=2), n_resamples=199, seed=seed)
        small += result.difference("arm-1", "arm-0").p_value < 0.05
    assert small / 200 <= 0.05 + 0.046


def test_resamples_without_a_pair_are_counted_and_do_not_count():
    y = np.arange(12) == 3
    result = resample_auroc(replace(make_aligned(10, 12), y_true=y), n_resamples=400, seed=0)
    # The one event is left out of a resample with chance (1 - 1/12)^12 = 0.352; standard error 0.024.
    assert result.n_undefined / 400 == pytest.approx((11 / 12) ** 12, abs=0.08)
    assert result.interval("arm-0").ci_low is not None


def test_the_spread_of_resampled_means_is_the_standard_error():
    values = np.random.default_rng(0).normal(size=(1, 400))
    replicates = resample_means(["one"], values, n_resamples=4000, seed=1)
    assert replicates.draws.std() == pytest.approx(values.std() / 20, rel=0.05)
    interval = replicates.interval("one")
    assert interval.estimate == pytest.approx(values.mean())
    assert interval.ci_high - interval.ci_low == pytest.approx(2 * 1.96 * values.std() / 20, rel=0.06)


@given(seed=st.integers(0, 2**31), shift=st.floats(-5, 5))
@settings(max_examples=20)
def test_a_difference_is_paired_so_that_what_both_share_cancels(seed, shift):
    rng = np.random.default_rng(seed)
    one = rng.normal(size=30)
    replicates = resample_means(["one", "other"], np.stack([one, one - shift]), n_resamples=50, seed=seed)
    difference = replicates.difference("one", "other")
    assert (difference.estimate, difference.ci_low, difference.ci_high) == pytest.approx((shift,) * 3, abs=1e-9)
    assert difference.reference == "other"
    same = replicates.difference("one", "one")
    assert (same.estimate, same.ci_low, same.ci_high, same.p_value) == (0.0, 0.0, 0.0, 1.0)


def test_two_sided_p_counts_by_hand():
    assert two_sided_p(np.array([1.0, 2.0, 3.0, -1.0])) == pytest.approx(2 * (1 + 1) / 5)
    assert two_sided_p(np.array([1.0, 2.0, np.nan, 3.0, -1.0])) == pytest.approx(2 * (1 + 1) / 5)
    assert two_sided_p(np.full(1999, 0.1)) == pytest.approx(2 / 2000)
    assert two_sided_p(np.zeros(10)) == 1.0
    assert two_sided_p(np.array([])) is None
    assert percentile_interval(np.array([])) == (None, None)


@given(st.integers(0, 1000), st.floats(-3, 3))
def test_p_is_below_5_percent_where_the_interval_excludes_zero(seed, shift):
    replicates = np.random.default_rng(seed).normal(shift, 1, 1999)
    low, high = percentile_interval(replicates)
    p = two_sided_p(replicates)
    if abs(p - 0.05) > 2 / 2000:  # beyond the resolution of the resamples
        assert (p < 0.05) == (low > 0 or high < 0)


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


def test_the_bca_interval_is_that_of_the_percentiles_without_bias_and_none_on_one_side():
    replicates = np.linspace(-1, 1, 2001)
    for jackknife in ([-1.0, 1.0], [np.nan]):
        assert bca_interval(replicates, 0.0, np.array(jackknife)) == pytest.approx(percentile_interval(replicates))
    assert bca_interval(np.array([0.1, 0.2]), 0.3, np.array([0.0, 1.0])) == (None, None)
    assert bca_interval(np.array([]), 0.3, np.array([0.0, 1.0])) == (None, None)
    assert bca_interval(np.ones(9), 1.0, np.ones(4)) == (1.0, 1.0)


def test_what_cannot_be_resampled_is_refused():
    aligned = make_aligned(12, 20)
    with pytest.raises(EvaluationError, match="did you mean 'arm-0'"):
        resample_auroc(aligned, n_resamples=1, seed=0).interval("arm-00")
    with pytest.raises(EvaluationError, match="20 patients 0 times"):
        resample_auroc(aligned, n_resamples=0, seed=0)
    with pytest.raises(EvaluationError, match="1 patients"):
        resample_means(["x"], np.ones((1, 1)), seed=0)
    single = replace(aligned, y_true=np.ones(20, dtype=bool))
    with pytest.raises(EvaluationError, match="20 with the event, is not defined: in some repeat no fold"):
        resample_auroc(single, n_resamples=5, seed=0)
