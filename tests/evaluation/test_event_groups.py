"""Rankings of events among non-events, by one model or by several."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ppgssl.evaluation.average_precision import average_precision
from ppgssl.evaluation.event_groups import EventGroups, groups_of_models, groups_of_repeats
from ppgssl.evaluation.partial_auroc import partial_auroc
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


@settings(deadline=None, max_examples=50)
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


@settings(deadline=None, max_examples=30)
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
    perfect = aligned.__class__(
        aligned.arms,
        (y + np.random.default_rng(0).random(60) - 3 * fold)[None],
        y,
        aligned.repeat,
        fold,
        aligned.patient,
        aligned.patient_ids,
    )
    counts = groups_of_repeats(perfect, perfect.y_score[0])[0].counts(np.ones((60, 1)))
    assert average_precision(counts)[0] == 1.0
    assert partial_auroc(counts)[0] == pytest.approx(1.0, abs=1e-12)


@pytest.mark.parametrize(("statistic", "tolerance"), [(average_precision, 0.03), (partial_auroc, 0.01)])
def test_folds_give_what_one_model_that_scores_all_would_give(statistic, tolerance):
    """Mean over 200 samples; averages over folds would be 0.07 and 0.04 too high."""
    differences = []
    for seed in range(200):
        aligned = make_aligned(seed, 200, n_folds=5, signal=0.95, share=0.13)
        score, ones = aligned.y_score[0], np.ones((200, 1))
        whole = np.unique(-score, return_inverse=True)[1]
        of_one = EventGroups(aligned.y_true, whole, aligned.patient, 200).counts(ones)
        of_five = groups_of_repeats(aligned, score + 5.0 * aligned.fold)[0].counts(ones)
        differences.append(statistic(of_five)[0] - statistic(of_one)[0])
    assert abs(np.mean(differences)) < tolerance
