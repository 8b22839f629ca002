from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, roc_auc_score

from ppgssl.evaluation.rank_measures import (
    EventGroups,
    average_precision,
    groups_of_models,
    groups_of_repeats,
    partial_auroc,
    resampled,
)
from tests.support.aligned_scores import make_aligned


def test_groups_counted_by_hand():
    # Ranks: 0 event, 1 other, 2 event and two others, 3 event, 4 other.
    y = np.array([True, False, True, False, False, True, False])
    groups = EventGroups(y, np.array([0, 1, 2, 2, 2, 3, 4]), np.arange(7), 7)
    counts = groups.counts(np.ones((7, 1)))
    assert counts.events.ravel().tolist() == [1, 1, 1]
    assert counts.tied.ravel().tolist() == [0, 2, 0]
    assert counts.above.ravel().tolist() == [0, 1, 3]
    assert (counts.n_events[0], counts.n_others[0]) == (3, 4)


@given(st.integers(0, 10_000), st.integers(8, 40), st.sampled_from([3, 8, None]))
def test_many_weightings_are_sums_over_the_rows(seed, n, n_levels):
    aligned = make_aligned(seed, n, n_levels=n_levels)
    y, score = aligned.y_true, aligned.y_score[0]
    weights = np.random.default_rng(seed).integers(0, 4, (n, 3)).astype(float)
    counts = groups_of_models(aligned, score)[0][0].counts(weights)
    for group, value in enumerate(sorted(set(score[y]), reverse=True)):
        np.testing.assert_array_equal(counts.events[group], weights[y & (score == value)].sum(axis=0))
        np.testing.assert_array_equal(counts.tied[group], weights[~y & (score == value)].sum(axis=0))
        np.testing.assert_array_equal(counts.above[group], weights[~y & (score > value)].sum(axis=0))


@given(st.integers(0, 10_000), st.integers(8, 60), st.sampled_from([3, 8, None]))
def test_one_model_gives_the_ordinary_ranking(seed, n, n_levels):
    aligned = make_aligned(seed, n, n_levels=n_levels)
    weights = np.random.default_rng(seed).integers(0, 4, (n, 2)).astype(float)
    one = groups_of_models(aligned, aligned.y_score[0])[0][0].counts(weights)
    other = groups_of_repeats(aligned, aligned.y_score[0])[0].counts(weights)
    for name in ("events", "tied", "above", "n_events", "n_others"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))


def test_an_offset_of_one_model_changes_nothing():
    aligned = make_aligned(4, 90, n_folds=4, n_repeats=2)
    shifted = aligned.y_score[0] + 10.0 * aligned.fold
    for ours, theirs in zip(
        groups_of_repeats(aligned, aligned.y_score[0]), groups_of_repeats(aligned, shifted), strict=True
    ):
        ones = np.ones((90, 1))
        assert average_precision(ours.counts(ones)) == average_precision(theirs.counts(ones))
        assert partial_auroc(ours.counts(ones)) == partial_auroc(theirs.counts(ones))


def test_models_that_rank_perfectly_are_perfect_together_where_they_test_as_many_events():
    fold = np.arange(60) % 3
    aligned = make_aligned(6, 60)
    y = np.arange(60) < 15
    scores = y + np.random.default_rng(0).random(60) - 3 * fold
    perfect = replace(aligned, y_score=scores[None], y_true=y, fold=fold)
    counts = groups_of_repeats(perfect, perfect.y_score[0])[0].counts(np.ones((60, 1)))
    assert average_precision(counts)[0] == 1.0
    assert partial_auroc(counts)[0] == pytest.approx(1.0, abs=1e-12)


@pytest.mark.parametrize(
    ("statistic", "signal", "tolerance"),
    [(average_precision, 0.95, 0.03), (partial_auroc, 0.95, 0.01), (partial_auroc, 0.0, 0.01)],
)
def test_folds_give_what_one_model_that_scores_all_would_give(statistic, signal, tolerance):
    """Mean over 200 samples; averages over folds would be 0.07 and 0.04 too high."""
    differences = []
    for seed in range(200):
        aligned = make_aligned(seed, 200, n_folds=5, signal=signal, prevalence=0.13)
        score, ones = aligned.y_score[0], np.ones((200, 1))
        whole = np.unique(-score, return_inverse=True)[1]
        of_one = EventGroups(aligned.y_true, whole, aligned.patient, 200).counts(ones)
        of_five = groups_of_repeats(aligned, score + 5.0 * aligned.fold)[0].counts(ones)
        differences.append(statistic(of_five)[0] - statistic(of_one)[0])
    assert abs(np.mean(differences)) < tolerance


@given(st.integers(0, 10_000), st.integers(6, 60), st.sampled_from([2, 4, 9, None]))
def test_average_precision_equals_scikit_learn_with_ties_and_weights(seed, n, n_levels):
    aligned = make_aligned(seed, n, n_levels=n_levels)
    weights = np.random.default_rng(seed).integers(0, 4, (n, 3))
    weights[[0, -1]] = 1
    values = average_precision(groups_of_models(aligned, aligned.y_score[0])[0][0].counts(weights.astype(float)))
    for column in range(3):
        expected = average_precision_score(aligned.y_true, aligned.y_score[0], sample_weight=weights[:, column])
        assert values[column] == pytest.approx(expected, abs=1e-12)


def counts_of(y, score, weights):
    rank = np.unique(-np.asarray(score), return_inverse=True)[1]
    return EventGroups(np.asarray(y, bool), rank, np.arange(len(y)), len(y)).counts(np.asarray(weights, float)[:, None])


@given(
    st.integers(0, 10_000),
    st.integers(6, 60),
    st.sampled_from([2, 4, 9, None]),
    st.sampled_from([0.5, 0.75, 0.8, 0.95]),
)
def test_the_partial_auroc_equals_scikit_learn_with_ties_and_weights(seed, n, n_levels, min_sensitivity):
    aligned = make_aligned(seed, n, n_levels=n_levels)
    y, score = aligned.y_true, aligned.y_score[0]
    weights = np.random.default_rng(seed).integers(0, 4, n)
    weights[[0, -1]] = 1
    # Sensitivity s of a score is specificity 1 - (1 - s) of its negative for the other outcome.
    expected = roc_auc_score(~y, -score, sample_weight=weights, max_fpr=1 - min_sensitivity)
    assert partial_auroc(counts_of(y, score, weights), min_sensitivity)[0] == pytest.approx(expected, abs=1e-12)


def test_without_events_or_without_others_it_is_not_defined():
    assert np.isnan(average_precision(counts_of([1, 0, 0], [3, 2, 1], [0, 1, 1]))[0])
    assert np.isnan(partial_auroc(counts_of([1, 0, 0], [3, 2, 1], [0, 1, 1]))[0])
    assert np.isnan(partial_auroc(counts_of([1, 0, 0], [3, 2, 1], [1, 0, 0]))[0])


def test_repeats_are_averaged_and_arms_kept_apart():
    aligned = make_aligned(1, 60, n_folds=3, n_repeats=2, n_arms=2)
    counts = np.random.default_rng(0).integers(0, 3, (60, 4)).astype(float)
    values = resampled(aligned, partial_auroc)(counts)
    assert values.shape == (2, 4)
    of_repeats = []
    for repeat in (0, 1):
        rows = aligned.repeat == repeat
        names = ("y_score", "y_true", "repeat", "fold", "patient")
        one = replace(aligned, **{name: getattr(aligned, name)[..., rows] for name in names})
        of_repeats.append(resampled(one, partial_auroc)(counts))
    np.testing.assert_allclose(values, np.mean(of_repeats, axis=0), atol=1e-14)
