"""Logistic arms: everything is learned from training patients, and small or broken data do not break them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from ppgssl.classifiers.logistic import fit_predict
from ppgssl.errors import EvaluationError


def make_patients(rng, n, *, n_embedding=0, missing=0.1):
    """Age carries the outcome; sex, a three-level ward and embeddings are noise; a tenth of the cells is missing."""
    age = rng.normal(50, 10, n)
    y = pd.Series((rng.random(n) < 1 / (1 + np.exp(1 - (age - 50) / 5))).astype(float))
    X = pd.DataFrame({"age": age, "weight": rng.normal(60, 9, n)})
    X["sex"] = rng.integers(0, 2, n).astype(float)
    X["ward"] = rng.choice(["A", "B", "C"], n)
    X = X.mask(rng.random(X.shape) < missing)
    embedding = pd.DataFrame(rng.normal(size=(n, n_embedding))).add_prefix("e")
    return pd.concat([X, embedding], axis=1), y


COLUMNS = {"numeric": ["age", "weight"], "categorical": ["sex", "ward"]}


def test_it_learns_and_counts_the_columns_after_encoding():
    X, y = make_patients(np.random.default_rng(0), 600)
    fit = fit_predict(X[:300], y[:300], X[300:], **COLUMNS, seed=0)
    assert roc_auc_score(y[300:], fit.y_score) > 0.8
    assert fit.n_features == 2 + 1 + 3  # a binary variable is one column, three levels are three
    assert ((fit.y_score > 0) & (fit.y_score < 1)).all()
    assert fit.notes == ()


def test_predicted_risks_are_calibrated_on_average():
    X, y = make_patients(np.random.default_rng(1), 3000)
    fit = fit_predict(X[:1500], y[:1500], X[1500:], **COLUMNS, seed=0)
    # Standard error of the mean outcome of 1500 patients: 0.013.
    assert fit.y_score.mean() == pytest.approx(y[1500:].mean(), abs=0.05)


def test_a_test_patient_scores_the_same_whoever_else_is_tested():
    X, y = make_patients(np.random.default_rng(2), 120, n_embedding=20)
    columns = {**COLUMNS, "embedding": [f"e{i}" for i in range(20)]}
    others = X[80:].copy()
    others["age"] = others["age"] * 1000
    alone = fit_predict(X[:80], y[:80], X[80:81], **columns, seed=0).y_score
    others.iloc[0] = X.iloc[80]
    together = fit_predict(X[:80], y[:80], others, **columns, seed=0).y_score
    assert together[0] == pytest.approx(alone[0], abs=1e-15)


def test_the_unit_of_a_covariate_changes_nothing():
    X, y = make_patients(np.random.default_rng(3), 200)
    fits = [fit_predict(table[:150], y[:150], table[150:], **COLUMNS, seed=0) for table in (X, X.assign(age=X.age / 7))]
    np.testing.assert_allclose(fits[0].y_score, fits[1].y_score, atol=1e-6)


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 10_000), st.integers(1, 5), st.sampled_from([0, 64]))
def test_forty_patients_with_few_events_get_finite_probabilities(seed, n_events, n_embedding):
    rng = np.random.default_rng(seed)
    X, _ = make_patients(rng, 50, n_embedding=n_embedding, missing=0.3)
    y = pd.Series((np.arange(40) < n_events).astype(float))
    embedding = [f"e{i}" for i in range(n_embedding)]
    fit = fit_predict(X[:40], y, X[40:], **COLUMNS, embedding=embedding, seed=seed)
    assert np.isfinite(fit.y_score).all()
    assert bool(fit.notes) == (n_events < 3)


def test_levels_and_missing_values_that_training_never_saw_are_predicted_as_the_most_frequent_level():
    X = pd.DataFrame({"ward": ["A"] * 12 + ["B"] * 8})
    y = pd.Series([0.0, 1.0] * 6 + [1.0] * 8)
    test = pd.DataFrame({"ward": ["A", "Z", None, np.nan]})
    fit = fit_predict(X, y, test, categorical=["ward"], seed=0)
    np.testing.assert_array_equal(fit.y_score, np.repeat(fit.y_score[0], 4))


def test_a_column_without_a_value_in_training_is_left_out_and_said():
    X, y = make_patients(np.random.default_rng(4), 60)
    X.loc[:39, "weight"] = np.nan
    X.loc[:39, "ward"] = None
    fit = fit_predict(X[:40], y[:40], X[40:], **COLUMNS, seed=0)
    assert fit.n_features == 2
    assert fit.notes == (
        "column 'ward' left out: no training patient has a value",
        "column 'weight' left out: no training patient has a value",
    )


def test_constant_columns_are_harmless():
    X, y = make_patients(np.random.default_rng(5), 60)
    X = X.assign(weight=0.1, sex=1.0, ward="A")
    fit = fit_predict(X[:40], y[:40], X[40:], **COLUMNS, seed=0)
    alone = fit_predict(X[:40], y[:40], X[40:], numeric=["age"], seed=0)
    np.testing.assert_allclose(fit.y_score, alone.y_score, atol=1e-6)


def test_embeddings_left_out_by_the_choice_leave_exactly_the_covariates_model():
    rng = np.random.default_rng(6)
    for _ in range(20):
        X, y = make_patients(rng, 160, n_embedding=100)
        fit = fit_predict(X[:120], y[:120], X[120:], **COLUMNS, embedding=[f"e{i}" for i in range(100)], seed=0)
        if fit.embedding_scale == 0:
            break
    alone = fit_predict(X[:120], y[:120], X[120:], **COLUMNS, seed=0)
    assert fit.embedding_scale == 0
    np.testing.assert_allclose(fit.y_score, alone.y_score, atol=1e-12)


def test_what_cannot_be_fitted_is_refused():
    X, y = make_patients(np.random.default_rng(8), 30)
    with pytest.raises(EvaluationError, match="all 30 training patients have the same outcome"):
        fit_predict(X, y * 0, X, **COLUMNS, seed=0)
    with pytest.raises(EvaluationError, match=r"training patients have no column 'agee' \(did you mean 'age'"):
        fit_predict(X, y, X, numeric=["agee"], seed=0)
    with pytest.raises(EvaluationError, match="test patients have infinite values in age"):
        fit_predict(X, y, X.assign(age=np.inf), numeric=["age"], seed=0)
    with pytest.raises(EvaluationError, match="no training patient has a value of age"):
        fit_predict(X.assign(age=np.nan), y, X, numeric=["age"], seed=0)
    with pytest.raises(EvaluationError, match="30 training patients have 29 outcomes"):
        fit_predict(X, y[1:], X, **COLUMNS, seed=0)
    with pytest.raises(EvaluationError, match="must be 0 or 1"):
        fit_predict(X, y.mask(y == 1), X, **COLUMNS, seed=0)
