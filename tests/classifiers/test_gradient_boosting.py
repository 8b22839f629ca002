from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import roc_auc_score

from ppgssl.classifiers import gradient_boosting
from ppgssl.classifiers.gradient_boosting import Trees, frozen_trees, learn_gradient_boosting
from ppgssl.core.errors import StoreError
from tests.support.patient_tables import inner_of, make_split


def test_values_that_are_missing_may_predict_by_themselves():
    rng = np.random.default_rng(1)
    base = make_split(rng, 200, 200, n_first=2, n_last=0)
    X, X_out = (np.where(y[:, None] == 1, np.nan, X) for X, y in ((base.X, base.y), (base.X_out, base.y_out)))
    split = replace(base, X=X, X_out=X_out)
    learned = learn_gradient_boosting(inner_of(split), split, 0)
    assert roc_auc_score(split.y_out, learned.model.risks(split.X_out)) > 0.99


def test_the_risks_are_those_of_scikit_learn_with_the_number_of_trees_chosen(monkeypatch):
    monkeypatch.setattr(gradient_boosting, "LEAVES", (4,))
    split = make_split(np.random.default_rng(2), 120, 40, n_first=4, n_last=0)
    risks = learn_gradient_boosting(inner_of(split), split, 7).model.risks(split.X_out)
    options = {"learning_rate": 0.1, "max_leaf_nodes": 4, "min_samples_leaf": 10, "max_bins": 32}
    found = []
    for n in gradient_boosting.N_TREES:
        reference = HistGradientBoostingClassifier(max_iter=n, early_stopping=False, **options).fit(split.X, split.y)
        found.append(np.allclose(risks, reference.predict_proba(split.X_out)[:, 1], atol=1e-12))
    assert any(found)


def test_levels_stand_for_themselves():
    rng = np.random.default_rng(3)
    base = make_split(rng, 300, 300, n_first=2, n_last=0)
    codes = rng.integers(0, 5, 600)
    y = (rng.random(600) < np.isin(codes, [1, 3]) * 0.8 + 0.1).astype(int)  # in no order
    X = np.column_stack([codes, rng.normal(size=600)]).astype(float)
    split = replace(base, X=X[:300], y=y[:300], X_out=X[300:], y_out=y[300:], is_categorical=np.array([True, False]))
    learned = learn_gradient_boosting(inner_of(split), split, 0)
    assert roc_auc_score(split.y_out, learned.model.risks(split.X_out)) > 0.85


def make_table(seed, n_levels, missing):
    """Codes of levels between numbers, missing values among both; a level and large numbers that training never saw."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(260, 4))
    X[:, 1] = rng.integers(0, n_levels, 260)
    y = (rng.random(260) < expit(X[:, 0] + np.where(X[:, 1] % 2 == 0, 1.5, -1.5) + (X[:, 2] > 0))).astype(int)
    X[rng.random(X.shape) < missing] = np.nan
    X[200:210, 1], X[210:220, 1], X[220:, 3] = n_levels, -1, 1e9
    return X, y


@settings(max_examples=15)
@given(st.integers(0, 10_000), st.sampled_from([2, 3, 20]), st.sampled_from([0.0, 0.2]), st.sampled_from([2, 8]))
def test_frozen_trees_predict_what_scikit_learn_predicts(seed, n_levels, missing, leaves):
    X, y = make_table(seed, n_levels, missing)
    for is_categorical in ([False, True, False, False], [False] * 4):
        options = {"max_iter": 30, "max_leaf_nodes": leaves, "max_bins": 32, "early_stopping": False}
        reference = HistGradientBoostingClassifier(**options, categorical_features=is_categorical).fit(X[:200], y[:200])
        trees = frozen_trees(reference, 4)
        again = Trees.from_arrays(trees.to_arrays(), 4)
        for model in (trees, again):
            np.testing.assert_allclose(model.risks(X), reference.predict_proba(X)[:, 1], rtol=0, atol=1e-12)


def test_trees_that_are_not_whole_are_refused():
    X, y = make_table(0, 3, 0.1)
    model = HistGradientBoostingClassifier(max_iter=5, categorical_features=[False, True, False, False]).fit(X, y)
    arrays = frozen_trees(model, 4).to_arrays()
    n = len(arrays["feature"])
    for name, wrong in {
        "feature": np.full(n, 4),
        "left": np.full(n, n),
        "root": arrays["root"] - 1,
        "levels": np.full(n, 99),
        "value": arrays["value"] * np.nan,
        "threshold": arrays["threshold"][1:],
        "baseline": np.zeros(2),
    }.items():
        with pytest.raises(StoreError, match="the numbers of the model do not fit"):
            Trees.from_arrays({**arrays, name: wrong}, 4)
    with pytest.raises(StoreError, match="they lack missing_left"):
        Trees.from_arrays({name: one for name, one in arrays.items() if name != "missing_left"}, 4)
