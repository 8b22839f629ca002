import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import logit

from ppgssl.core.errors import EvaluationError
from ppgssl.evaluation.delong import delong, place
from ppgssl.evaluation.predictions import AlignedPredictions
from ppgssl.evaluation.rank_measures import count_below
from ppgssl.evaluation.ranked_pairs import resample_auroc, stratified_auroc
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
    assessed = delong(place(one_split(("albumin", "protein", "kg"), [*columns[:2], 10 - columns[2]], columns[3] == 1)))
    assert assessed.estimates == pytest.approx([0.7366, 0.6478, 0.7258], abs=5e-5)
    assert np.sqrt(np.diag(assessed.covariance)) == pytest.approx([0.0927, 0.1000, 0.1028], abs=5e-5)
    albumin, protein = assessed.difference("albumin", "kg"), assessed.difference("protein", "kg")
    assert (albumin.estimate, albumin.ci_low, albumin.ci_high) == pytest.approx((0.0108, -0.1761, 0.1976), abs=5e-5)
    assert (protein.estimate, protein.ci_low, protein.ci_high) == pytest.approx((-0.0780, -0.2830, 0.1271), abs=5e-5)
    assert (albumin.p_value, protein.p_value) == pytest.approx((0.9102, 0.4561), abs=5e-5)


@given(st.integers(0, 10_000), st.integers(8, 30), st.sampled_from([2, 5, None]))
def test_the_covariance_equals_its_definition_pair_by_pair(seed, n, n_levels):
    aligned = make_aligned(seed, n, n_levels=n_levels, n_arms=3)
    expected = literal_covariance(aligned.y_score, aligned.y_true)
    np.testing.assert_allclose(delong(place(aligned)).covariance, expected, rtol=0, atol=1e-12)


def test_repeating_the_same_test_adds_no_information():
    once = make_aligned(1, 60, n_arms=2)
    tiled = {name: np.tile(getattr(once, name), 4) for name in ("y_score", "y_true", "fold", "patient")}
    four_times = replace(once, repeat=np.repeat(np.arange(4), 60), **tiled)
    np.testing.assert_allclose(delong(place(four_times)).covariance, delong(place(once)).covariance, rtol=1e-12)


@pytest.mark.parametrize(("n_folds", "n_repeats"), [(1, 1), (5, 1), (5, 3)])
def test_the_standard_error_agrees_with_that_of_the_bootstrap(n_folds, n_repeats):
    """Both estimate the spread over patients: 400 patients, within 6 %."""
    aligned = make_aligned(5, 400, n_folds, n_repeats, n_arms=2)
    by_theory, resampled = delong(place(aligned)), resample_auroc(aligned, n_resamples=4000, seed=0)
    assert np.sqrt(np.diag(by_theory.covariance)) == pytest.approx(resampled.draws.std(axis=1), rel=0.06)
    between = np.cov(resampled.draws)
    weights = np.array([1, -1])
    assert weights @ by_theory.covariance @ weights == pytest.approx(weights @ between @ weights, rel=0.12)


def test_the_interval_is_symmetric_in_logits_and_stays_within_bounds():
    assessed = delong(place(make_aligned(2, 25, signal=2.5)))
    interval = assessed.interval("arm-0")
    assert 0 < interval.ci_low < interval.estimate < interval.ci_high < 1
    middle = (logit(interval.ci_low) + logit(interval.ci_high)) / 2
    assert middle == pytest.approx(logit(interval.estimate), abs=1e-9)


def test_perfect_scores_have_no_interval_and_a_difference_to_themselves_none_in_it():
    assessed = delong(place(one_split(("a", "b"), [[3, 2, 1, 0], [3, 2, 1, 0]], [1, 1, 0, 0])))
    assert assessed.interval("a").model_dump() == {"estimate": 1.0, "ci_low": None, "ci_high": None}
    difference = assessed.difference("a", "b")
    assert (difference.estimate, difference.ci_low, difference.ci_high, difference.p_value) == (0.0, 0.0, 0.0, 1.0)


def test_a_single_event_has_no_variance():
    assessed = delong(place(one_split(("a", "b"), [[3, 2, 4, 0], [3, 2, 1, 0]], [1, 0, 0, 0])))
    assert assessed.interval("a").model_dump() == {"estimate": pytest.approx(2 / 3), "ci_low": None, "ci_high": None}
    assert assessed.difference("a", "b").p_value is None


cases = st.tuples(
    st.integers(0, 10_000), st.integers(8, 30), st.integers(1, 3), st.integers(1, 3), st.sampled_from([3, 10, None])
)


def auroc_of(aligned, weights):
    return stratified_auroc(
        aligned.y_true, aligned.y_score[0], repeat=aligned.repeat, fold=aligned.fold, weights=weights[aligned.patient]
    )


def test_rows_below_counted_by_hand():
    # Model 0: event 3, event 2, other 2, other 1. Model 1: an event alone.
    y, score = np.array([True, True, False, False, True]), np.array([3.0, 2.0, 2.0, 1.0, 9.0])
    below = count_below(y, score, np.array([0, 0, 0, 0, 1]))
    assert below.others.tolist() == [2.0, 1.5, 1.5, 0.5, 0.0]
    assert below.events.tolist() == [1.5, 0.5, 0.5, 0.0, 0.5]
    assert below.n_events.tolist() == [2, 2, 2, 2, 1]
    assert below.n_others.tolist() == [2, 2, 2, 2, 0]


@given(cases)
def test_the_jackknife_is_the_auroc_without_each_patient(case):
    aligned = make_aligned(*case)
    assert place(aligned).auroc[0] == pytest.approx(auroc_of(aligned, np.ones(aligned.n_patients)), abs=1e-12)
    jackknife = place(aligned).jackknife()[0]
    for left_out in range(aligned.n_patients):
        weights = np.ones(aligned.n_patients)
        weights[left_out] = 0
        try:
            expected = auroc_of(aligned, weights)
        except EvaluationError:
            assert np.isnan(jackknife[left_out])
        else:
            assert jackknife[left_out] == pytest.approx(expected, abs=1e-12)


@given(cases)
def test_the_influence_of_a_patient_is_the_slope_of_the_auroc_over_the_patients_weight(case):
    aligned = make_aligned(*case)
    influence = place(aligned).influence()[0]
    assert influence.sum() == pytest.approx(0, abs=1e-12)
    step = 1e-6
    for patient in (0, aligned.n_patients - 1):
        more, fewer = np.ones(aligned.n_patients), np.ones(aligned.n_patients)
        more[patient] += step
        fewer[patient] -= step
        slope = (auroc_of(aligned, more) - auroc_of(aligned, fewer)) / (2 * step)
        assert influence[patient] == pytest.approx(slope, abs=1e-8)


def test_a_patient_whom_one_repeat_does_not_test_changes_the_others_only():
    aligned = make_aligned(3, 20, 1, 2, None)
    kept = ~((aligned.repeat == 1) & (aligned.patient == 0))
    names = ("y_score", "y_true", "repeat", "fold", "patient")
    less = replace(aligned, **{name: getattr(aligned, name)[..., kept] for name in names})
    weights = np.ones(20)
    weights[0] = 0
    assert place(less).jackknife()[0, 0] == pytest.approx(auroc_of(less, weights), abs=1e-12)
