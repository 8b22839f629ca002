"""Two-block ridge: covariates are not drowned, and features that tell something are let in."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from ppgssl.classifiers.block_ridge import (
    FALLBACK_COST,
    FALLBACK_SCALE,
    BlockRidgeClassifier,
    BlockScaler,
)
from ppgssl.errors import EvaluationError


def make_patients(rng, n, *, n_first, n_last, slope, in_last=False):
    """Standard normal columns; the outcome follows one column of the first block, or twenty of the last."""
    X = rng.normal(size=(n, n_first + n_last))
    signal = X[:, n_first : n_first + 20].sum(axis=1) / np.sqrt(20) if in_last else X[:, 0]
    return X, rng.random(n) < 1 / (1 + np.exp(1.0 - slope * signal))


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 10_000), st.integers(1, 6), st.integers(1, 6), st.floats(0.0, 2.0))
def test_only_the_last_columns_are_scaled(seed, n_first, n_last, scale):
    X = np.random.default_rng(seed).normal(size=(5, n_first + n_last))
    scaled = BlockScaler(n_last, scale).fit_transform(X)
    np.testing.assert_array_equal(scaled[:, :n_first], X[:, :n_first])
    np.testing.assert_array_equal(scaled[:, n_first:], X[:, n_first:] * scale)


def test_without_a_second_block_all_columns_are_left_as_they_are():
    X = np.ones((3, 4))
    np.testing.assert_array_equal(BlockScaler(0, 0.1).fit_transform(X), X)


def test_the_fit_is_ridge_on_columns_multiplied_by_the_chosen_scale():
    rng = np.random.default_rng(1)
    X, event = make_patients(rng, 50, n_first=3, n_last=90, slope=2.0)
    model = BlockRidgeClassifier(n_last=90, seed=0).fit(X, event)
    factors = np.repeat([1.0, model.scale_], [3, 90])
    plain = LogisticRegression(C=model.cost_, solver="newton-cholesky").fit(X * factors, event)
    probability = model.predict_proba(X)
    np.testing.assert_allclose(probability, plain.predict_proba(X * factors), atol=1e-6)
    np.testing.assert_array_equal(model.predict(X), probability[:, 1] > 0.5)


def test_a_hundred_columns_of_noise_do_not_drown_one_covariate():
    rng = np.random.default_rng(2)
    both, alone, drowned = [], [], []
    for seed in range(8):
        X, event = make_patients(rng, 1120, n_first=4, n_last=120, slope=2.0)
        train, test = slice(0, 120), slice(120, None)
        fits = {
            "both": BlockRidgeClassifier(n_last=120, seed=seed).fit(X[train], event[train]),
            "one penalty": BlockRidgeClassifier(n_last=0, seed=seed).fit(X[train], event[train]),
        }
        covariates = BlockRidgeClassifier(n_last=0, seed=seed).fit(X[train, :4], event[train])
        both.append(roc_auc_score(event[test], fits["both"].decision_function(X[test])))
        drowned.append(roc_auc_score(event[test], fits["one penalty"].decision_function(X[test])))
        alone.append(roc_auc_score(event[test], covariates.decision_function(X[test, :4])))
    assert np.mean(both) > np.mean(alone) - 0.03
    assert np.mean(both) > np.mean(drowned) + 0.05


def test_features_that_carry_the_outcome_are_let_in():
    rng = np.random.default_rng(3)
    X, event = make_patients(rng, 1300, n_first=4, n_last=60, slope=3.0, in_last=True)
    model = BlockRidgeClassifier(n_last=60, seed=0).fit(X[:300], event[:300])
    assert model.scale_ >= 0.3
    assert roc_auc_score(event[300:], model.decision_function(X[300:])) > 0.8


@pytest.mark.parametrize("n_last", [0, 6])
def test_a_single_block_is_not_scaled(n_last):
    X, event = make_patients(np.random.default_rng(4), 50, n_first=6, n_last=0, slope=1.0)
    assert BlockRidgeClassifier(n_last=n_last, seed=0).fit(X, event).scale_ == 1.0


def test_too_few_events_for_inner_folds_fall_back_with_a_reason():
    X, event = np.random.default_rng(5).normal(size=(20, 10)), np.arange(20) < 2
    model = BlockRidgeClassifier(n_last=6, seed=0).fit(X, event)
    assert (model.cost_, model.scale_) == (FALLBACK_COST, FALLBACK_SCALE)
    assert "only 2 training patient(s) of the rarer outcome" in model.fallback_


def test_the_choice_depends_on_the_seed_alone():
    X, event = make_patients(np.random.default_rng(6), 40, n_first=4, n_last=30, slope=1.0)
    first, again = (BlockRidgeClassifier(n_last=30, seed=9).fit(X, event) for _ in range(2))
    np.testing.assert_array_equal(first.predict_proba(X), again.predict_proba(X))


def test_one_class_is_refused():
    with pytest.raises(EvaluationError, match="all 5 training patients have the same outcome"):
        BlockRidgeClassifier().fit(np.zeros((5, 2)), np.ones(5))
