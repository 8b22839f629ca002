"""DeLong's variance: against a published example, the literal definition, and the spread over simulated studies."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import logit

from ppgssl.core.errors import EvaluationError
from ppgssl.evaluation.bootstrap import resample_auroc
from ppgssl.evaluation.delong import delong
from ppgssl.evaluation.placements import place
from ppgssl.evaluation.predictions import AlignedPredictions
from tests.support.aligned_scores import make_aligned

# Albumin, total protein, K-G score and outcome of 43 of the patients of DeLong et al. 1988 with ovarian cancer, as
# listed in SAS/STAT User's Guide, The LOGISTIC Procedure, "Comparing Receiver Operating Characteristic Curves".
OVARIAN = """
3.0 5.8 10 0  3.2 6.3 5 1  3.9 6.8 3 1  2.8 4.8 6 0  3.2 5.8 3 1  0.9 4.0 5 0  2.5 5.7 8 0  1.6 5.6 5 1  3.8 5.7 5 1
3.7 6.7 6 1  3.2 5.4 4 1  3.8 6.6 6 1  4.1 6.6 5 1  3.6 5.7 5 1  4.3 7.0 4 1  3.6 6.7 4 0  2.3 4.4 6 1  4.2 7.6 4 0
4.0 6.6 6 0  3.5 5.8 6 1  3.8 6.8 7 1  3.0 4.7 8 0  4.5 7.4 5 1  3.7 7.4 5 1  3.1 6.6 6 1  4.1 8.2 6 1  4.3 7.0 5 1
4.3 6.5 4 1  3.2 5.1 5 1  2.6 4.7 6 1  3.3 6.8 6 0  1.7 4.0 7 0  3.7 6.1 5 1  3.3 6.3 7 1  4.2 7.7 6 1  3.5 6.2 5 1
2.9 5.7 9 0  2.1 4.8 7 1  2.8 6.2 8 0  4.0 7.0 7 1  3.3 5.7 6 1  3.7 6.9 5 1  3.6 6.6 5 1
"""


def one_split(arms, y_score, y_true):
    zero = np.zeros(len(y_true), dtype=int)
    ids = tuple(str(number) for number in range(len(y_true)))
    return AlignedPredictions(arms, np.asarray(y_score), np.asarray(y_true, bool), zero, zero, np.arange(len(ids)), ids)


def literal_covariance(y_score, y_true):
    """Equations 4 to 6 of DeLong et al. 1988, pair by pair."""
    events, others = np.flatnonzero(y_true), np.flatnonzero(~y_true)
    v10, v01 = np.zeros((len(y_score), len(events))), np.zeros((len(y_score), len(others)))
    for arm, (i, j) in itertools.product(range(len(y_score)), np.ndindex(len(events), len(others))):
        above = np.sign(y_score[arm, events[i]] - y_score[arm, others[j]])
        v10[arm, i] += (1 + above) / 2 / len(others)
        v01[arm, j] += (1 + above) / 2 / len(events)
    return np.cov(v10, ddof=1) / len(events) + np.cov(v01, ddof=1) / len(others)


def test_the_published_example_comes_out():
    """Areas, standard errors, differences and p-values that SAS prints for the data, to all four digits."""
    columns = np.array(OVARIAN.split(), dtype=float).reshape(-1, 4).T
    judged = delong(place(one_split(("albumin", "protein", "kg"), [*columns[:2], 10 - columns[2]], columns[3] == 1)))
    assert judged.estimates == pytest.approx([0.7366, 0.6478, 0.7258], abs=5e-5)
    assert np.sqrt(np.diag(judged.covariance)) == pytest.approx([0.0927, 0.1000, 0.1028], abs=5e-5)
    albumin, protein = judged.difference("albumin", "kg"), judged.difference("protein", "kg")
    assert (albumin.estimate, albumin.ci_low, albumin.ci_high) == pytest.approx((0.0108, -0.1761, 0.1976), abs=5e-5)
    assert (protein.estimate, protein.ci_low, protein.ci_high) == pytest.approx((-0.0780, -0.2830, 0.1271), abs=5e-5)
    assert (albumin.p_value, protein.p_value) == pytest.approx((0.9102, 0.4561), abs=5e-5)


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10_000), st.integers(8, 30), st.sampled_from([2, 5, None]))
def test_the_covariance_equals_its_definition_pair_by_pair(seed, n, n_levels):
    aligned = make_aligned(seed, n, n_levels=n_levels, n_arms=3)
    expected = literal_covariance(aligned.y_score, aligned.y_true)
    np.testing.assert_allclose(delong(place(aligned)).covariance, expected, rtol=0, atol=1e-12)


def test_repeating_the_same_test_adds_no_information():
    once = make_aligned(1, 60, n_arms=2)
    tiled = {name: np.tile(getattr(once, name), 4) for name in ("y_true", "fold", "patient")}
    repeat = np.repeat(np.arange(4), 60)
    four_times = AlignedPredictions(
        once.arms,
        np.tile(once.y_score, 4),
        tiled["y_true"],
        repeat,
        tiled["fold"],
        tiled["patient"],
        once.patient_ids,
    )
    np.testing.assert_allclose(delong(place(four_times)).covariance, delong(place(once)).covariance, rtol=1e-12)


@pytest.mark.parametrize(("n_folds", "n_repeats"), [(1, 1), (5, 1), (5, 3)])
def test_the_standard_error_agrees_with_that_of_the_bootstrap(n_folds, n_repeats):
    """Both estimate the spread over patients: 400 patients, within 6 %."""
    aligned = make_aligned(5, 400, n_folds, n_repeats, n_arms=2)
    by_theory, resampled = delong(place(aligned)), resample_auroc(aligned, n_resamples=4000, seed=0)
    assert np.sqrt(np.diag(by_theory.covariance)) == pytest.approx(resampled.replicates.std(axis=0), rel=0.06)
    between = np.cov(resampled.replicates.T)
    weights = np.array([1, -1])
    assert weights @ by_theory.covariance @ weights == pytest.approx(weights @ between @ weights, rel=0.12)


def test_the_interval_is_symmetric_in_logits_and_stays_within_bounds():
    judged = delong(place(make_aligned(2, 25, signal=2.5)))
    interval = judged.interval("arm-0")
    assert 0 < interval.ci_low < interval.estimate < interval.ci_high < 1
    middle = (logit(interval.ci_low) + logit(interval.ci_high)) / 2
    assert middle == pytest.approx(logit(interval.estimate), abs=1e-9)
    assert judged.plain_interval("arm-0").ci_high > interval.ci_high


def test_perfect_scores_have_no_interval_and_a_difference_to_themselves_none_in_it():
    judged = delong(place(one_split(("a", "b"), [[3, 2, 1, 0], [3, 2, 1, 0]], [1, 1, 0, 0])))
    assert judged.interval("a").model_dump() == {"estimate": 1.0, "ci_low": None, "ci_high": None}
    difference = judged.difference("a", "b")
    assert (difference.estimate, difference.ci_low, difference.ci_high, difference.p_value) == (0.0, 0.0, 0.0, 1.0)


def test_a_single_event_has_no_variance():
    judged = delong(place(one_split(("a", "b"), [[3, 2, 4, 0], [3, 2, 1, 0]], [1, 0, 0, 0])))
    assert judged.interval("a").model_dump() == {"estimate": pytest.approx(2 / 3), "ci_low": None, "ci_high": None}
    assert judged.plain_interval("a").ci_low is None
    assert judged.difference("a", "b").p_value is None


def test_an_unknown_arm_is_refused():
    with pytest.raises(EvaluationError, match="did you mean 'arm-0'"):
        delong(place(make_aligned(0))).interval("arm0")
