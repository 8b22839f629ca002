"""Effective rank of representations whose rank is known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ppgssl.selfsupervised.health import check_health, dimension_variance, effective_rank


def make_embeddings(n_directions, n_dimensions=12, n_segments=400, seed=0):
    """Embeddings that spread equally over ``n_directions`` orthogonal directions, away from the origin."""
    rng = np.random.default_rng(seed)
    scores, _ = np.linalg.qr(rng.standard_normal((n_segments, n_directions + 1)) + 5)
    scores = np.linalg.qr(scores - scores.mean(axis=0))[0][:, :n_directions]
    directions, _ = np.linalg.qr(rng.standard_normal((n_dimensions, n_directions)))
    return 7.0 + scores @ directions.T


@pytest.mark.parametrize("n_directions", [1, 2, 5, 12])
def test_the_effective_rank_counts_equal_directions(n_directions):
    assert effective_rank(make_embeddings(n_directions)) == pytest.approx(n_directions, rel=1e-6)


def test_unequal_directions_count_less():
    singular = np.array([1.0, 0.1]) / 1.1
    expected = np.exp(-(singular * np.log(singular)).sum())
    rng = np.random.default_rng(0)
    left, _ = np.linalg.qr(rng.standard_normal((50, 3)))
    left = np.linalg.qr(left - left.mean(axis=0))[0][:, :2]
    assert effective_rank(left * [1.0, 0.1]) == pytest.approx(expected)


@settings(deadline=None)
@given(shift=st.floats(-100, 100), gain=st.floats(0.01, 100), seed=st.integers(0, 100))
def test_shift_gain_and_rotation_do_not_change_the_effective_rank(shift, gain, seed):
    rng = np.random.default_rng(seed)
    embeddings = rng.standard_normal((60, 5)) * [1, 2, 3, 4, 5]
    rotation, _ = np.linalg.qr(rng.standard_normal((5, 5)))
    assert effective_rank(shift + gain * embeddings @ rotation) == pytest.approx(effective_rank(embeddings), rel=1e-4)


def test_equal_embeddings_are_a_collapse():
    health = check_health(np.full((50, 8), 3.3, dtype=np.float32))
    assert health.effective_rank == 0
    assert health.dead_fraction == 1
    assert health.is_collapsed


def test_a_single_direction_is_a_collapse_and_many_are_not():
    assert check_health(make_embeddings(1)).is_collapsed
    assert not check_health(make_embeddings(6)).is_collapsed


def test_values_that_are_not_finite_are_a_collapse():
    assert check_health(np.array([[1.0, np.nan], [0.0, 1.0]])).is_collapsed


def test_dead_dimensions_are_counted():
    embeddings = np.random.default_rng(0).standard_normal((100, 8))
    embeddings[:, :2] = 1.0
    np.testing.assert_allclose(dimension_variance(embeddings)[:2], 0)
    assert check_health(embeddings).dead_fraction == 0.25
