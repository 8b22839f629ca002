from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss, roc_auc_score

from ppgssl.classifiers.block_ridge import COSTS, SCALES, fit_ridge, learn_block_ridge
from tests.support.patient_tables import inner_of, make_split


@settings(max_examples=15)
@given(st.integers(0, 10_000), st.integers(1, 12), st.floats(0, 5), st.floats(0.1, 30))
def test_slopes_are_those_of_scikit_learn(seed, n_columns, slope, spread):
    split = make_split(np.random.default_rng(seed), 40, 3, n_first=n_columns, n_last=0, slope=slope)
    X = split.X * spread
    intercepts, slopes = fit_ridge(X, split.y, COSTS)
    for cost, intercept, slope_of_cost in zip(COSTS, intercepts, slopes, strict=True):
        reference = LogisticRegression(C=cost, solver="newton-cholesky", tol=1e-10, max_iter=1000).fit(X, split.y)
        np.testing.assert_allclose(slope_of_cost, reference.coef_[0], atol=1e-5)
        assert intercept == pytest.approx(reference.intercept_[0], abs=1e-5)


def test_outcomes_that_a_column_separates_give_finite_slopes():
    X = np.linspace(-50, 50, 30)[:, None]
    intercepts, slopes = fit_ridge(X, (X[:, 0] > 0).astype(int), (10.0, 1e6))
    assert np.isfinite([*intercepts, *slopes[:, 0]]).all()
    assert (slopes > 0).all()


def literal(inner, whole):
    """The same choice by scikit-learn, one fit at a time."""
    n_first = whole.X.shape[1] - whole.n_last
    best = (np.inf,)
    for cost in COSTS:
        for scale in SCALES if whole.has_two_blocks else (1.0,):
            factors = np.where(np.arange(whole.X.shape[1]) < n_first, 1.0, scale)

            def risks(split, cost=cost, factors=factors):
                model = LogisticRegression(C=cost, solver="newton-cholesky", tol=1e-10, max_iter=1000)
                return model.fit(split.X * factors, split.y).predict_proba(split.X_out * factors)[:, 1]

            held_out = [risks(split) for split in inner]
            loss = np.mean([log_loss(split.y_out, p, labels=[0, 1]) for split, p in zip(inner, held_out, strict=True)])
            if loss < best[0] - 1e-9:
                best = (loss, held_out, risks)
    _, held_out, risks = best
    return held_out, risks(whole)


@pytest.mark.parametrize(("n_first", "n_last"), [(4, 0), (4, 10), (0, 12), (4, 70), (0, 70)])
def test_risks_are_those_of_scikit_learn_at_the_penalties_of_least_inner_loss(n_first, n_last):
    whole = make_split(np.random.default_rng(n_last), 60, 20, n_first=n_first, n_last=n_last)
    inner = inner_of(whole)
    learned = learn_block_ridge(inner, whole, 0)
    held_out, test = literal(inner, whole)
    np.testing.assert_allclose(learned.model.risks(whole.X_out), test, atol=1e-5)
    for found, expected in zip(learned.inner, held_out, strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-5)
    assert learned.notes == ()


def test_a_hundred_columns_of_noise_do_not_drown_one_covariate():
    rng = np.random.default_rng(2)
    both, alone, drowned = [], [], []
    for _ in range(5):
        split = make_split(rng, 120, 1000, n_first=4, n_last=120)
        clinical = replace(split, X=split.X[:, :4], X_out=split.X_out[:, :4], n_last=0)
        for scores, one in ((both, split), (drowned, replace(split, n_last=0)), (alone, clinical)):
            scores.append(roc_auc_score(split.y_out, learn_block_ridge(inner_of(one), one, 0).model.risks(one.X_out)))
    assert np.mean(both) > np.mean(alone) - 0.03
    assert np.mean(both) > np.mean(drowned) + 0.05


def test_features_that_add_nothing_are_left_out_altogether():
    rng = np.random.default_rng(6)
    for _ in range(20):
        split = make_split(rng, 120, 30, n_first=4, n_last=100)
        clinical = replace(split, X=split.X[:, :4], X_out=split.X_out[:, :4], n_last=0)
        both, alone = (learn_block_ridge(inner_of(one), one, 0).model.risks(one.X_out) for one in (split, clinical))
        if np.allclose(both, alone, atol=1e-12):
            return
    raise AssertionError("noise was let in each of twenty times")


def test_too_few_events_to_choose_penalties_give_a_note():
    split = make_split(np.random.default_rng(5), 20, 4, n_first=4, n_last=6)
    split = replace(split, y=(np.arange(20) % 10 == 0).astype(int))
    learned = learn_block_ridge(inner_of(split, 2), split, 0)
    assert "only 2 training patient(s) of the minority class" in learned.notes[0]
    assert np.isfinite(learned.model.risks(split.X_out)).all()
