import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ppgssl.classifiers.posterior import Design, Posterior
from ppgssl.classifiers.preparation import Scaling
from ppgssl.core.errors import StoreError


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
    for draw, row in zip(one.draws, one.drawn_risks(X), strict=True):
        for patient, risk in zip(X, row, strict=True):
            columns = [*patient[:3], *(patient[i] * patient[j] for i, j in pairs)]
            columns = [(value - m) / s for value, m, s in zip(columns, scaling.mean, scaling.scale, strict=True)]
            columns += [sum(patient[3:] * axis) for axis in one.design.axes.T]
            eta = draw[0] + sum(slope * value for slope, value in zip(draw[1:], columns, strict=True))
            assert risk == pytest.approx(1 / (1 + math.exp(-eta)), rel=1e-9)


def test_chains_and_draws_stay_apart_in_the_risks():
    rng = np.random.default_rng(1)
    one = make_posterior(rng, n_clinical=2, n_features=3, n_components=2, pairs=[(0, 1)], shape=(4, 6))
    X = rng.normal(size=(7, 5))
    assert one.drawn_risks(X).shape == (4, 6, 7)
    np.testing.assert_allclose(one.risks(X), one.drawn_risks(X).reshape(24, 7).mean(axis=0))
    np.testing.assert_allclose(one.drawn_risks(X)[2, 5], Posterior(one.design, one.draws[2, 5]).drawn_risks(X))


@pytest.mark.parametrize(
    ("n", "most", "kept"),
    [(700, 400, range(6, 700, 7)), (90, 400, range(90)), (250, 400, range(2, 250, 3)), (5, 2, [4])],
)
def test_thinning_takes_draws_of_every_chain_at_even_steps(n, most, kept):
    one = make_posterior(np.random.default_rng(2), n_clinical=1, n_features=0, n_components=0, pairs=[], shape=(4, n))
    found = one.thinned(most).draws
    np.testing.assert_array_equal(found, one.draws[:, list(kept)].reshape(-1, 2))


def test_numbers_are_the_same_model_and_others_are_refused():
    rng = np.random.default_rng(3)
    one = make_posterior(rng, n_clinical=3, n_features=2, n_components=2, pairs=[(0, 1), (0, 2)], shape=(6,))
    X, arrays = rng.normal(size=(7, 5)), one.to_arrays()
    np.testing.assert_array_equal(Posterior.from_arrays(arrays, 5).drawn_risks(X), one.drawn_risks(X))
    for name, wrong in {
        "design_scale": arrays["design_scale"] * np.nan,
        "design_mean": arrays["design_mean"][1:],
        "draws": arrays["draws"][:, 1:],
    }.items():
        with pytest.raises(StoreError, match=f"'{name}' must hold finite numbers of shape"):
            Posterior.from_arrays({**arrays, name: wrong}, 5)
    with pytest.raises(StoreError, match=r"'draws' must hold .* has shape \(0, "):
        Posterior.from_arrays({**arrays, "draws": arrays["draws"][:0]}, 5)
    for pairs in (arrays["pairs"] + 1, arrays["pairs"] - 1, arrays["pairs"] * 0.5):
        with pytest.raises(StoreError, match=r"'pairs' must hold numbers of clinical columns, 0 to 2"):
            Posterior.from_arrays({**arrays, "pairs": pairs}, 5)
    with pytest.raises(StoreError, match="lack axes"):
        Posterior.from_arrays({name: values for name, values in arrays.items() if name != "axes"}, 3)
