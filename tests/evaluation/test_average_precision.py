"""Average precision, against scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score

from ppgssl.evaluation.average_precision import average_precision
from ppgssl.evaluation.event_groups import groups_of_models, resampled
from tests.support.aligned_scores import make_aligned


@settings(deadline=None, max_examples=100)
@given(st.integers(0, 10_000), st.integers(6, 60), st.sampled_from([2, 4, 9, None]))
def test_it_equals_scikit_learn_with_ties_and_weights(seed, n, n_levels):
    aligned = make_aligned(seed, n, n_levels=n_levels)
    weights = np.random.default_rng(seed).integers(0, 4, (n, 3))
    weights[[0, -1]] = 1
    values = average_precision(groups_of_models(aligned, aligned.y_score[0])[0][0].counts(weights.astype(float)))
    for column in range(3):
        expected = average_precision_score(aligned.y_true, aligned.y_score[0], sample_weight=weights[:, column])
        assert values[column] == pytest.approx(expected, abs=1e-12)


def test_a_tied_case_by_hand():
    # Event first; then one event tied with one other; then an other: (1/1 + 2/3) / 2.
    aligned = make_aligned(0, 4)
    groups = groups_of_models(aligned, np.array([3.0, 2.0, 2.0, 1.0]))[0][0]
    assert average_precision(groups.counts(np.ones((4, 1))))[0] == pytest.approx((1 + 2 / 3) / 2)


def test_without_an_event_it_is_not_defined():
    aligned = make_aligned(0, 10)
    statistic = resampled(aligned, average_precision)
    counts = np.where(aligned.y_true, 0.0, 1.0)[:, None]
    assert np.isnan(statistic(counts)).all()


def test_folds_of_a_score_without_information_stay_near_the_prevalence():
    """0.02 above it, as in a single split of 26 events; averages over folds of five each would be 0.07 above."""
    excess = []
    for seed in range(150):
        aligned = make_aligned(seed, 200, n_folds=5, signal=0.0, share=0.13)
        excess.append(resampled(aligned, average_precision)(np.ones((200, 1)))[0, 0] - aligned.y_true.mean())
    assert np.mean(excess) == pytest.approx(0.02, abs=0.015)


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 10_000), st.integers(1, 4), st.integers(1, 3))
def test_better_scores_of_every_event_never_lower_it(seed, n_folds, n_repeats):
    aligned = make_aligned(seed, 40, n_folds, n_repeats)
    better = aligned.__class__(
        aligned.arms,
        aligned.y_score + 1.0 * aligned.y_true,
        *(getattr(aligned, name) for name in ("y_true", "repeat", "fold", "patient")),
        aligned.patient_ids,
    )
    ones = np.ones((40, 1))
    assert resampled(better, average_precision)(ones) >= resampled(aligned, average_precision)(ones) - 1e-12
