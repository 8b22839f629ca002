"""Draws of coefficients: risks are those that a loop over draws and patients gives."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ppgssl.classifiers.posterior import Design, Posterior
from ppgssl.classifiers.preparation import Scaling


def make_posterior(rng, *, n_clinical, n_features, n_components, pairs, shape):
    pairs = np.array(pairs, dtype=np.int64).reshape(-1, 2)
    n = n_clinical + len(pairs)
    design = Design(
        pairs, Scaling(rng.normal(size=n), rng.uniform(0.5, 2, n)), rng.normal(size=(n_features, n_components))
    )
    return Posterior(design, rng.normal(size=(*shape, 1 + n + n_components)))


@given(seed=st.integers(0, 2**32 - 1), n_features=st.integers(0, 4), n_pairs=st.integers(0, 3))
def test_a_risk_is_the_logistic_of_what_a_draw_adds_up(seed, n_features, n_pairs):
    rng = np.random.default_rng(seed)
    pairs = [(0, 1), (0, 2), (1, 2)][:n_pairs]
    one = make_posterior(rng, n_clinical=3, n_features=n_features, n_components=n_features, pairs=pairs, shape=(5,))
    X = rng.normal(size=(4, 3 + n_features))
    scaling = one.design.scaling
    for draw, row in zip(one.draws, one.risks(X), strict=True):
        for patient, risk in zip(X, row, strict=True):
            columns = [
                *patient[:3],
                *(patient[first] * second for first, second in ((i, patient[j]) for i, j in pairs)),
            ]
            columns = [(value - m) / s for value, m, s in zip(columns, scaling.mean, scaling.scale, strict=True)]
            columns += [sum(patient[3:] * axis) for axis in one.design.axes.T]
            eta = draw[0] + sum(slope * value for slope, value in zip(draw[1:], columns, strict=True))
            assert risk == pytest.approx(1 / (1 + math.exp(-eta)), rel=1e-9)


def test_chains_and_draws_stay_apart_in_the_risks():
    rng = np.random.default_rng(1)
    one = make_posterior(rng, n_clinical=2, n_features=3, n_components=2, pairs=[(0, 1)], shape=(4, 6))
    X = rng.normal(size=(7, 5))
    assert one.risks(X).shape == (4, 6, 7)
    np.testing.assert_allclose(one.risks(X)[2, 5], Posterior(one.design, one.draws[2, 5]).risks(X))


@pytest.mark.parametrize(
    ("n", "most", "kept"),
    [(700, 400, range(6, 700, 7)), (90, 400, range(90)), (250, 400, range(2, 250, 3)), (5, 2, [4])],
)
def test_thinning_takes_draws_of_every_chain_at_even_steps(n, most, kept):
    one = make_posterior(np.random.default_rng(2), n_clinical=1, n_features=0, n_components=0, pairs=[], shape=(4, n))
    found = one.thinned(most).draws
    np.testing.assert_array_equal(found, one.draws[:, list(kept)].reshape(-1, 2))
