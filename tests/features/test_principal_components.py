import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ppgssl.features.principal_components import fit_principal_components


def waves(n, length=100, seed=0):
    """Segments of two orthogonal waves of their own strengths, shape (n, 1, length)."""
    rng = np.random.default_rng(seed)
    time = np.arange(length) / length
    basis = np.stack([np.sin(2 * np.pi * 3 * time), np.cos(2 * np.pi * 7 * time)]) * np.sqrt(2 / length)
    strength = rng.normal(size=(n, 2)) * [5, 1]
    return (strength @ basis)[:, None], strength, basis


def test_scores_are_the_strengths_of_the_waves_that_segments_are_made_of():
    segments, strength, basis = waves(500)
    components = fit_principal_components(segments, n_components=2, seed=0)
    np.testing.assert_allclose(np.abs(components.axes @ basis.T), np.eye(2), atol=0.05)
    features = components(segments)
    for column in range(2):
        assert abs(np.corrcoef(features[:, column], strength[:, column])[0, 1]) > 0.999
    np.testing.assert_allclose(features[:, 2:], np.abs(features[:, :2]))


@given(seed=st.integers(0, 2**31), n_channels=st.integers(1, 3))
@settings(max_examples=15)
def test_axes_are_orthonormal_and_reach_over_all_channels(seed, n_channels):
    rng = np.random.default_rng(seed)
    segments = rng.normal(size=(40, n_channels, 25))
    components = fit_principal_components(segments, n_components=10, seed=seed)
    np.testing.assert_allclose(components.axes @ components.axes.T, np.eye(10), atol=1e-4)
    assert components(segments).shape == (40, 20)


def test_the_first_axes_hold_no_less_variance_than_a_full_decomposition_gives():
    segments = np.random.default_rng(1).normal(size=(200, 2, 30)) * np.linspace(1, 5, 30)
    rows = segments.reshape(200, -1)
    singular = np.linalg.svd(rows - rows.mean(axis=0), compute_uv=False)
    scores = fit_principal_components(segments, n_components=5, seed=0)(segments)[:, :5]
    assert scores.var(axis=0).sum() == pytest.approx((singular[:5] ** 2).sum() / 200, rel=0.02)


def test_magnitudes_survive_the_mean_over_segments_of_any_phase():
    rng = np.random.default_rng(2)
    phase = rng.uniform(0, 2 * np.pi, 400)
    segments = np.sin(2 * np.pi * 5 * np.arange(100) / 100 + phase[:, None])[:, None]
    features = fit_principal_components(segments, n_components=2, seed=0)(segments).mean(axis=0)
    assert np.abs(features[:2]).max() < 0.1 * features[2:].min()


def test_few_segments_have_few_components():
    assert fit_principal_components(np.random.default_rng(0).normal(size=(4, 1, 50)), seed=0).axes.shape == (4, 50)
