"""Effective rank of representations whose rank is known."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ppgssl.selfsupervised.encoders import make_encoder
from ppgssl.selfsupervised.health import MIN_SEGMENTS, check_health, dimension_variance, effective_rank
from tests.support.pretext_tasks import SHAPE, make_patients, make_task


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


@given(shift=st.floats(-100, 100), gain=st.floats(0.01, 100), seed=st.integers(0, 100))
def test_shift_gain_and_rotation_do_not_change_the_effective_rank(shift, gain, seed):
    rng = np.random.default_rng(seed)
    embeddings = rng.standard_normal((60, 5)) * [1, 2, 3, 4, 5]
    rotation, _ = np.linalg.qr(rng.standard_normal((5, 5)))
    assert effective_rank(shift + gain * embeddings @ rotation) == pytest.approx(effective_rank(embeddings), rel=1e-4)


def test_equal_embeddings_are_a_collapse_with_and_without_noise_of_rounding():
    rng = np.random.default_rng(0)
    for noise in (0.0, 1e-6):
        health = check_health(np.full((50, 8), 3.3) * (1 + noise * rng.standard_normal((50, 8))))
        assert health.effective_rank == 0
        assert health.dead_fraction == 1
        assert health.is_collapsed
        assert "it is the same for all segments" in health.warning


def test_a_single_direction_is_a_collapse_and_many_are_not():
    collapsed, healthy = check_health(make_embeddings(1)), check_health(make_embeddings(6))
    assert collapsed.is_collapsed
    assert "its effective rank is 1" in collapsed.warning
    assert not healthy.is_collapsed
    assert healthy.warning == ""


def test_values_that_are_not_finite_are_a_collapse():
    health = check_health(np.array([[1.0, np.nan], [0.0, 1.0]]))
    assert health.is_collapsed
    assert "not finite" in health.warning


@given(scales=st.lists(st.floats(0.02, 50), min_size=8, max_size=8), seed=st.integers(0, 100))
def test_the_scales_of_dimensions_do_not_change_their_health(scales, seed):
    embeddings = np.random.default_rng(seed).standard_normal((100, 8))
    health, scaled = check_health(embeddings), check_health(embeddings * scales)
    assert scaled.effective_rank == pytest.approx(health.effective_rank, rel=1e-6)
    assert scaled.dead_fraction == 0


def test_dead_dimensions_are_counted_left_out_and_warned_of_where_they_are_most():
    embeddings = np.random.default_rng(0).standard_normal((100, 8))
    expected = check_health(embeddings[:, 5:]).effective_rank
    embeddings[:, :2] = [1.0, 0.0]
    np.testing.assert_allclose(dimension_variance(embeddings)[:2], 0)
    assert check_health(embeddings).dead_fraction == 0.25
    assert check_health(embeddings).warning == ""
    embeddings[:, 2:5] = 1 + 1e-6 * embeddings[:, 2:5]
    health = check_health(embeddings)
    assert health.effective_rank == pytest.approx(expected, rel=1e-6)
    assert health.warning.startswith("62%")
    assert not health.is_collapsed


def test_a_depth_that_has_collapsed_is_named_though_the_others_are_well():
    embeddings = np.random.default_rng(0).standard_normal((100, 12))
    assert check_health(embeddings, [4, 4, 4]).warning == ""
    embeddings[:, 8:] = embeddings[:, 8:9] * [1, -2, 3, 1] + 5
    health = check_health(embeddings, [4, 4, 4])
    assert not health.is_collapsed
    assert health.warning == "of the representation's 3 depths, collapsed: 3 (counted from the input)"


@pytest.mark.parametrize("n_segments", [2, 3, MIN_SEGMENTS - 1])
def test_few_segments_are_collapsed_only_if_they_are_all_equal(n_segments):
    embeddings = np.random.default_rng(0).standard_normal((n_segments, 8))
    assert not check_health(embeddings).is_collapsed
    assert check_health(0 * embeddings + 1).is_collapsed


def pulses_through(encoder):
    with torch.no_grad():
        return encoder.embed(make_patients(make_task("autoencoder"), n=40)).numpy()


def test_a_network_is_healthy_until_it_gives_one_answer_or_one_number():
    encoder = make_encoder(2, SHAPE, fs_hz=40.0, seed=0)
    assert check_health(pulses_through(encoder)).warning == ""
    with torch.no_grad():
        for parameter in encoder.stem.parameters():
            parameter.mul_(1e-9)
    assert check_health(pulses_through(encoder)).effective_rank == 0


def test_a_network_of_which_all_features_are_copies_of_one_is_collapsed():
    encoder = make_encoder(1, SHAPE.model_copy(update={"n_stages": 1, "representation": "last"}), fs_hz=40.0, seed=0)
    with torch.no_grad():
        for parameter in encoder.parameters():
            parameter.copy_(parameter.mean(dim=0, keepdim=True).expand_as(parameter))
        segments = make_patients(make_task("autoencoder", n_channels=1), n=40)
        health = check_health(encoder.embed(segments).numpy())
    assert health.effective_rank == pytest.approx(1, abs=0.01)
    assert health.is_collapsed
