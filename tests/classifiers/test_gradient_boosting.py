from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.special import expit
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import roc_auc_score
from threadpoolctl import threadpool_limits

from ppgssl.classifiers import gradient_boosting
from ppgssl.classifiers.gradient_boosting import learn_gradient_boosting
from tests.support.patient_tables import inner_of, make_split


@pytest.fixture(autouse=True)
def _one_thread():
    with threadpool_limits(1):  # as the arms are fitted
        yield


def test_it_learns_what_no_straight_line_tells():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(800, 3))
    y = (rng.random(800) < expit(4 * (np.abs(X[:, 0]) - 0.8))).astype(int)
    base = make_split(rng, 400, 400, n_first=3, n_last=0)
    split = replace(base, X=X[:400], y=y[:400], X_out=X[400:], y_out=y[400:])
    assert roc_auc_score(split.y_out, learn_gradient_boosting(inner_of(split), split, 0).test) > 0.85


def test_values_that_are_missing_may_tell_by_themselves():
    rng = np.random.default_rng(1)
    base = make_split(rng, 200, 200, n_first=2, n_last=0)
    X, X_out = (np.where(y[:, None] == 1, np.nan, X) for X, y in ((base.X, base.y), (base.X_out, base.y_out)))
    split = replace(base, X=X, X_out=X_out)
    assert roc_auc_score(split.y_out, learn_gradient_boosting(inner_of(split), split, 0).test) > 0.99


def test_the_risks_are_those_of_scikit_learn_with_the_number_of_trees_chosen(monkeypatch):
    monkeypatch.setattr(gradient_boosting, "LEAVES", (4,))
    split = make_split(np.random.default_rng(2), 120, 40, n_first=4, n_last=0)
    learned = learn_gradient_boosting(inner_of(split), split, 7)
    candidates = [
        HistGradientBoostingClassifier(
            learning_rate=0.1, max_iter=n, max_leaf_nodes=4, min_samples_leaf=10, max_bins=32, early_stopping=False
        )
        .fit(split.X, split.y)
        .predict_proba(split.X_out)[:, 1]
        for n in gradient_boosting.N_TREES
    ]
    assert any(np.allclose(learned.test, one, atol=1e-12) for one in candidates)


def test_levels_stand_for_themselves():
    rng = np.random.default_rng(3)
    base = make_split(rng, 300, 300, n_first=2, n_last=0)
    codes = rng.integers(0, 5, 600)
    y = (rng.random(600) < np.isin(codes, [1, 3]) * 0.8 + 0.1).astype(int)  # in no order
    X = np.column_stack([codes, rng.normal(size=600)]).astype(float)
    split = replace(base, X=X[:300], y=y[:300], X_out=X[300:], y_out=y[300:], is_categorical=np.array([True, False]))
    learned = learn_gradient_boosting(inner_of(split), split, 0)
    assert roc_auc_score(split.y_out, learned.test) > 0.85
