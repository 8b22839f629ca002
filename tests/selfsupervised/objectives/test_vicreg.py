"""The terms of VICReg, against their formulas written out."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ppgssl.selfsupervised.objectives.vicreg import covariance, invariance, variance
from tests.support.pretext_tasks import generator, make_batch, make_task

cases = given(n=st.integers(2, 8), n_dimensions=st.integers(1, 6), scale=st.floats(0.1, 3), seed=st.integers(0, 1000))


def make_projections(n, n_dimensions, scale, seed):
    return scale * torch.randn(n, n_dimensions, generator=generator(seed)) + 5


def literal_variance(z):
    short = [
        max(0, 1 - np.sqrt(sum((v - np.mean(column)) ** 2 for v in column) / (len(z) - 1) + 1e-4)) for column in z.T
    ]
    return np.mean(short)


def literal_covariance(z):
    n, n_dimensions = z.shape
    matrix = sum(np.outer(row - z.mean(axis=0), row - z.mean(axis=0)) for row in z) / (n - 1)
    off = sum(matrix[i, j] ** 2 for i in range(n_dimensions) for j in range(n_dimensions) if i != j)
    return off / n_dimensions


@cases
def test_each_term_equals_its_formula_written_out(n, n_dimensions, scale, seed):
    z = make_projections(n, n_dimensions, scale, seed)
    other = make_projections(n, n_dimensions, scale, seed + 1)
    exact = z.double().numpy()
    assert float(variance(z)) == pytest.approx(literal_variance(exact), rel=1e-4, abs=1e-5)
    assert float(covariance(z)) == pytest.approx(literal_covariance(exact), rel=1e-3, abs=1e-5)
    assert float(invariance(z, other)) == pytest.approx(np.mean((exact - other.double().numpy()) ** 2), rel=1e-4)


@cases
def test_where_the_mean_lies_does_not_matter_to_variance_and_covariance(n, n_dimensions, scale, seed):
    z = make_projections(n, n_dimensions, scale, seed)
    torch.testing.assert_close(variance(z - 5), variance(z), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(covariance(z - 5), covariance(z), rtol=1e-3, atol=1e-5)


def test_independent_dimensions_of_unit_variance_cost_nothing_and_equal_ones_do():
    z = torch.tensor([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]])
    assert float(variance(z)) == float(covariance(z)) == 0
    assert float(covariance(z[:, [0, 0]])) == pytest.approx((4 / 3) ** 2)
    assert float(variance(0 * z)) == pytest.approx(0.99)  # 1 - sqrt(1e-4)


def test_the_loss_is_the_weighted_sum_of_the_terms_of_both_views():
    objective = make_task("vicreg", similarity_weight=2, variance_weight=3, covariance_weight=5)
    projections = torch.randn(6, 2, 7, generator=generator())
    first, second = projections[:, 0], projections[:, 1]
    expected = (
        2 * invariance(first, second)
        + 3 * (variance(first) + variance(second))
        + 5 * (covariance(first) + covariance(second))
    )
    torch.testing.assert_close(objective.compare(projections), expected)


def test_a_lone_pair_has_no_variance_and_counts_for_the_first_term():
    objective = make_task("vicreg", similarity_weight=2)
    batch, draws = make_batch(objective, 1), objective.draw(1, 200, generator())
    projections = objective.project(batch, draws)
    torch.testing.assert_close(objective.loss(batch, draws), 2 * invariance(projections[:, 0], projections[:, 1]))
