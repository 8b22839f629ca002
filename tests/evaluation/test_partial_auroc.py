"""Partial AUROC at high sensitivity, against scikit-learn's at low false positive rates by exchanging the outcomes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from ppgssl.evaluation.event_groups import EventGroups, resampled
from ppgssl.evaluation.partial_auroc import partial_auroc
from ppgssl.evaluation.ranked_pairs import auroc
from tests.support.aligned_scores import make_aligned


def counts_of(y, score, weights):
    rank = np.unique(-np.asarray(score), return_inverse=True)[1]
    return EventGroups(np.asarray(y, bool), rank, np.arange(len(y)), len(y)).counts(np.asarray(weights, float)[:, None])


@settings(deadline=None, max_examples=100)
@given(
    st.integers(0, 10_000),
    st.integers(6, 60),
    st.sampled_from([2, 4, 9, None]),
    st.sampled_from([0.5, 0.75, 0.8, 0.95]),
)
def test_it_equals_scikit_learn_with_ties_and_weights(seed, n, n_levels, min_sensitivity):
    aligned = make_aligned(seed, n, n_levels=n_levels)
    y, score = aligned.y_true, aligned.y_score[0]
    weights = np.random.default_rng(seed).integers(0, 4, n)
    weights[[0, -1]] = 1
    # Sensitivity s of a score is specificity 1 - (1 - s) of its negative for the other outcome.
    expected = roc_auc_score(~y, -score, sample_weight=weights, max_fpr=1 - min_sensitivity)
    assert partial_auroc(counts_of(y, score, weights), min_sensitivity)[0] == pytest.approx(expected, abs=1e-12)


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 10_000), st.integers(6, 60), st.sampled_from([3, None]))
def test_over_all_sensitivities_it_is_the_auroc(seed, n, n_levels):
    aligned = make_aligned(seed, n, n_levels=n_levels)
    y, score = aligned.y_true, aligned.y_score[0]
    assert partial_auroc(counts_of(y, score, np.ones(n)), 0.0)[0] == pytest.approx(auroc(y, score), abs=1e-12)


def test_an_area_by_hand():
    # Five events, the lowest below 3 of 4 others: from a sensitivity of 0.8 to 1 the specificity is 1/4.
    y, score = [1, 1, 1, 1, 0, 0, 0, 1, 0], [9, 8, 7, 6, 5, 4, 3, 2, 1]
    area = 0.2 * 0.25
    assert partial_auroc(counts_of(y, score, np.ones(9)))[0] == pytest.approx((1 + (area - 0.02) / 0.18) / 2)


def test_perfect_scores_and_scores_that_are_all_equal_give_one_and_one_half():
    y = np.array([1, 1, 1, 0, 0])
    assert partial_auroc(counts_of(y, y, np.ones(5)))[0] == pytest.approx(1.0)
    assert partial_auroc(counts_of(y, np.zeros(5), np.ones(5)))[0] == pytest.approx(0.5)


def test_without_events_or_without_others_it_is_not_defined():
    assert np.isnan(partial_auroc(counts_of([1, 0, 0], [3, 2, 1], [0, 1, 1]))[0])
    assert np.isnan(partial_auroc(counts_of([1, 0, 0], [3, 2, 1], [1, 0, 0]))[0])


def test_folds_of_a_score_without_information_give_one_half():
    """Curves of single folds of five events, averaged, would give 0.54; see groups_of_repeats."""
    values = []
    for seed in range(150):
        aligned = make_aligned(seed, 200, n_folds=5, signal=0.0, share=0.13)
        values.append(resampled(aligned, partial_auroc)(np.ones((200, 1)))[0, 0])
    assert np.mean(values) == pytest.approx(0.5, abs=0.015)


def test_repeats_are_averaged_and_arms_kept_apart():
    aligned = make_aligned(1, 60, n_folds=3, n_repeats=2, n_arms=2)
    counts = np.random.default_rng(0).integers(0, 3, (60, 4)).astype(float)
    values = resampled(aligned, partial_auroc)(counts)
    assert values.shape == (2, 4)
    of_repeats = []
    for repeat in (0, 1):
        rows = aligned.repeat == repeat
        one = aligned.__class__(
            aligned.arms,
            aligned.y_score[:, rows],
            *(getattr(aligned, name)[rows] for name in ("y_true", "repeat", "fold", "patient")),
            aligned.patient_ids,
        )
        of_repeats.append(resampled(one, partial_auroc)(counts))
    np.testing.assert_allclose(values, np.mean(of_repeats, axis=0), atol=1e-14)
