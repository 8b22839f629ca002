from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from ppgssl.classifiers.regression import fit_regression
from ppgssl.classifiers.wide_logistic import fit_predict_wide
from ppgssl.core.errors import EvaluationError
from ppgssl.features.columns import Columns


@pytest.mark.parametrize("n_features", [3, 150])
def test_probabilities_are_those_of_the_ridge_arm(n_features):
    rng = np.random.default_rng(n_features)
    X = rng.normal(size=(60, n_features)) @ rng.normal(size=(n_features, n_features))  # correlated, of any scale
    X[3, 0] = X[50, 1] = np.nan
    y = (np.nan_to_num(X[:, 0]) > 0).astype(int)
    table = pd.DataFrame(X).add_prefix("f")
    columns = Columns(features=tuple(table.columns))
    expected = fit_regression(table[:40], pd.Series(y[:40]), table[40:], columns, seed=1)
    np.testing.assert_allclose(fit_predict_wide(X[:40], y[:40], X[40:], seed=1), expected.y_score, atol=1e-9)


def test_empty_and_constant_columns_do_no_harm():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(40, 2))
    y = (X[:, 0] > 0).astype(int)
    padded = np.column_stack([X, np.full(40, np.nan), np.ones(40)])
    expected = fit_predict_wide(X[:30], y[:30], X[30:], seed=0)
    np.testing.assert_allclose(fit_predict_wide(padded[:30], y[:30], padded[30:], seed=0), expected, atol=1e-9)


def test_one_outcome_cannot_be_learnt():
    with pytest.raises(EvaluationError, match="of 10 training patients, 0 are with the event"):
        fit_predict_wide(np.ones((10, 2)), np.zeros(10), np.ones((1, 2)), seed=0)
