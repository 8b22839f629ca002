"""Regression arms: everything is learned from training patients, and small or broken data do not break them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import logit
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from ppgssl.classifiers import block_ridge
from ppgssl.classifiers.late_fusion import fit_stack
from ppgssl.classifiers.learner import inner_folds
from ppgssl.classifiers.regression import fit_regression
from ppgssl.core.config.study import Missing
from ppgssl.core.errors import ConfigError, EvaluationError
from ppgssl.features.columns import Columns
from tests.support.patient_tables import make_patients

FAST = ["ridge", "elastic-net", "gradient-boosting"]
MICE = Missing(method="mice", n_imputations=2)


@pytest.mark.parametrize("learner", FAST)
def test_it_learns_and_tells_risks_of_training_patients_as_honestly_as_of_test_patients(learner):
    X, y, columns = make_patients(np.random.default_rng(0), 900)
    fit = fit_regression(X[:450], y[:450], X[450:], columns, learner=learner, seed=0)
    tested, trained = roc_auc_score(y[450:], fit.y_score), roc_auc_score(y[:450], fit.training_score)
    assert tested > 0.78
    assert trained == pytest.approx(tested, abs=0.06)
    assert fit.n_features == (4 if learner == "gradient-boosting" else 2 + 1 + 3)
    assert ((fit.y_score > 0) & (fit.y_score < 1)).all()
    # Standard error of the mean outcome of 450 patients: 0.022.
    assert fit.y_score.mean() == pytest.approx(y[450:].mean(), abs=0.06)
    assert fit.notes == ()


def test_risks_are_those_of_a_scikit_learn_pipeline(monkeypatch):
    monkeypatch.setattr(block_ridge, "COSTS", (0.1,))
    X, y, columns = make_patients(np.random.default_rng(1), 200)
    X = X.astype({"ward": object})
    numbers = make_pipeline(SimpleImputer(strategy="median"), StandardScaler())
    levels = make_pipeline(
        SimpleImputer(strategy="most_frequent", missing_values=None),
        OneHotEncoder(drop="if_binary", sparse_output=False),
        StandardScaler(),
    )
    sex = make_pipeline(SimpleImputer(strategy="most_frequent"), StandardScaler())
    prepare = ColumnTransformer([("n", numbers, ["age", "weight"]), ("sex", sex, ["sex"]), ("ward", levels, ["ward"])])
    pipeline = make_pipeline(prepare, LogisticRegression(C=0.1, solver="newton-cholesky", tol=1e-10))
    table = X.assign(ward=X["ward"].where(X["ward"].notna(), None))
    fit = fit_regression(X[:150], y[:150], X[150:], columns, seed=0)
    expected = pipeline.fit(table[:150], y[:150]).predict_proba(table[150:])[:, 1]
    np.testing.assert_allclose(fit.y_score, expected, atol=1e-6)
    for inside, outside in inner_folds(y[:150].to_numpy(int), X.index[:150].to_numpy().astype(str), seed=0):
        expected = pipeline.fit(table.iloc[inside], y.iloc[inside]).predict_proba(table.iloc[outside])[:, 1]
        np.testing.assert_allclose(fit.training_score[outside], expected, atol=1e-6)


@pytest.mark.parametrize(
    ("learner", "is_late", "missing"),
    [
        ("ridge", True, MICE),
        ("ridge", False, Missing()),
        ("elastic-net", False, MICE),
        ("gradient-boosting", False, MICE),
    ],
)
def test_no_test_patient_changes_a_training_risk_or_the_risk_of_another(learner, is_late, missing):
    X, y, columns = make_patients(np.random.default_rng(2), 120, n_features=20)
    strange = X[80:].copy()
    strange.iloc[1:, strange.columns.get_indexer(["age", "weight", "e0", "e7"])] = 1e6
    strange.iloc[1:, strange.columns.get_indexer(["sex", "ward"])] = np.nan
    options = {"learner": learner, "is_late_fusion": is_late, "missing": missing, "seed": 0}
    plain, odd, alone = (
        fit_regression(X[:80], y[:80], test, columns, **options) for test in (X[80:], strange, X[80:81])
    )
    np.testing.assert_array_equal(plain.training_score, odd.training_score)
    np.testing.assert_allclose(odd.y_score[0], plain.y_score[0], atol=1e-14)
    np.testing.assert_allclose(alone.y_score[0], plain.y_score[0], atol=1e-14)


def test_no_training_patient_tells_in_its_own_risk_which_outcome_it_has():
    """Without information, honest risks are no better than chance; risks of the fit itself would be."""
    aurocs = []
    for seed in range(12):
        rng = np.random.default_rng(seed)
        table = pd.DataFrame(rng.normal(size=(81, 40)), index=[f"p{i}" for i in range(81)]).add_prefix("e")
        y = pd.Series(rng.permutation(np.arange(81) % 3 == 0).astype(float), index=table.index)
        fit = fit_regression(table[:80], y[:80], table[80:], Columns(features=tuple(table.columns)), seed=seed)
        aurocs.append(roc_auc_score(y[:80], fit.training_score))
    assert np.mean(aurocs) < 0.55


def test_patients_drawn_twice_share_an_inner_fold():
    X, y, columns = make_patients(np.random.default_rng(3), 60, n_features=5)
    rows = np.random.default_rng(0).integers(0, 60, 60)
    fit = fit_regression(X.iloc[rows], y.iloc[rows], X, columns, seed=0)
    risks = pd.Series(fit.training_score, index=X.index[rows])
    assert all(len(set(of_patient)) == 1 for _, of_patient in risks.groupby(level=0))


def test_the_unit_of_a_covariate_changes_nothing():
    X, y, columns = make_patients(np.random.default_rng(3), 200)
    fits = [
        fit_regression(table[:150], y[:150], table[150:], columns, seed=0) for table in (X, X.assign(age=X.age / 7))
    ]
    np.testing.assert_allclose(fits[0].y_score, fits[1].y_score, atol=1e-6)


@settings(deadline=None, max_examples=12)
@given(st.integers(0, 10_000), st.integers(2, 5), st.sampled_from([0, 64]), st.sampled_from(FAST), st.booleans())
def test_forty_patients_with_few_events_get_finite_probabilities(seed, n_events, n_features, learner, is_late):
    rng = np.random.default_rng(seed)
    X, _, columns = make_patients(rng, 50, n_features=n_features, missing=0.3)
    y = pd.Series((np.arange(40) < n_events).astype(float), index=X.index[:40])
    fit = fit_regression(X[:40], y, X[40:], columns, learner=learner, is_late_fusion=is_late, seed=seed)
    assert np.isfinite([*fit.y_score, *fit.training_score]).all()
    assert bool(fit.notes) == (n_events < 3 and learner == "ridge")


def test_levels_and_missing_values_that_training_never_saw_are_predicted_as_the_most_frequent_level():
    X = pd.DataFrame({"ward": ["A"] * 12 + ["B"] * 8})
    y = pd.Series([0.0, 1.0] * 6 + [1.0] * 8)
    test = pd.DataFrame({"ward": ["A", "Z", None, np.nan]})
    fit = fit_regression(X, y, test, Columns(categorical=("ward",)), seed=0)
    np.testing.assert_array_equal(fit.y_score, np.repeat(fit.y_score[0], 4))


@pytest.mark.parametrize("learner", FAST)
def test_a_column_without_a_value_in_training_is_left_out_and_said(learner):
    X, y, columns = make_patients(np.random.default_rng(4), 60)
    X.loc[X.index[:40], "weight"] = np.nan
    X.loc[X.index[:40], "ward"] = None
    fit = fit_regression(X[:40], y[:40], X[40:], columns, learner=learner, seed=0)
    assert fit.n_features == 2
    assert fit.notes == (
        "column 'ward' left out: no training patient has a value",
        "column 'weight' left out: no training patient has a value",
    )


def test_constant_columns_are_harmless():
    X, y, columns = make_patients(np.random.default_rng(5), 60)
    X = X.assign(weight=0.1, sex=1.0, ward="A")
    fit = fit_regression(X[:40], y[:40], X[40:], columns, seed=0)
    alone = fit_regression(X[:40], y[:40], X[40:], Columns(("age",)), seed=0)
    np.testing.assert_allclose(fit.y_score, alone.y_score, atol=1e-6)


def test_late_fusion_stacks_the_honest_risks_of_both_models():
    X, y, columns = make_patients(np.random.default_rng(6), 160, n_features=10)
    parts = [
        fit_regression(X[:120], y[:120], X[120:], one, seed=0)
        for one in (Columns(columns.numeric, columns.categorical), Columns(features=columns.features))
    ]
    late = fit_regression(X[:120], y[:120], X[120:], columns, is_late_fusion=True, seed=0)
    stack = fit_stack(logit(np.column_stack([one.training_score for one in parts])), y[:120].to_numpy(int))
    expected = stack[0] + logit(np.column_stack([one.y_score for one in parts])) @ stack[1:]
    np.testing.assert_allclose(logit(late.y_score), expected, atol=1e-5)
    assert late.n_features == sum(one.n_features for one in parts)


def test_risks_of_several_imputations_are_averaged_and_repeat_themselves():
    X, y, columns = make_patients(np.random.default_rng(7), 160, missing=0.3)
    first, again, other = (
        fit_regression(X[:120], y[:120], X[120:], columns, missing=MICE, seed=seed) for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(first.y_score, again.y_score)
    np.testing.assert_array_equal(first.training_score, again.training_score)
    assert (first.y_score != other.y_score).any()
    complete, y, _ = make_patients(np.random.default_rng(7), 60, missing=0)
    fits = [
        fit_regression(complete[:40], y[:40], complete[40:], columns, missing=missing, seed=0)
        for missing in (Missing(), MICE)
    ]
    np.testing.assert_array_equal(fits[0].y_score, fits[1].y_score)


def test_what_cannot_be_fitted_is_refused():
    X, y, columns = make_patients(np.random.default_rng(8), 30)
    age = Columns(("age",))
    with pytest.raises(EvaluationError, match="of 30 training patients, 0 are with the event"):
        fit_regression(X, y * 0, X, columns, seed=0)
    with pytest.raises(EvaluationError, match=r"training patients have no column 'agee' \(did you mean 'age'"):
        fit_regression(X, y, X, Columns(("agee",)), seed=0)
    with pytest.raises(EvaluationError, match="test patients have infinite values in age"):
        fit_regression(X, y, X.assign(age=np.inf), age, seed=0)
    with pytest.raises(EvaluationError, match="no training patient has a value of age"):
        fit_regression(X.assign(age=np.nan), y, X, age, seed=0)
    with pytest.raises(EvaluationError, match="30 training patients have 29 outcomes"):
        fit_regression(X, y[1:], X, columns, seed=0)
    with pytest.raises(EvaluationError, match="must be 0 or 1"):
        fit_regression(X, y.mask(y == 1), X, columns, seed=0)
    with pytest.raises(ConfigError, match=r"unknown learner 'rige' \(did you mean 'ridge'"):
        fit_regression(X, y, X, columns, learner="rige", seed=0)
