import numpy as np
import pandas as pd
import pytest
from scipy.special import expit, logit
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from ppgssl.classifiers.preparation import (
    code_table,
    filled,
    fit_scaling,
    indicator_names,
    indicators,
    levels_of,
    medians,
)
from ppgssl.classifiers.risk_model import RiskModel
from ppgssl.features.columns import MOMENT_WEIGHT, Columns


def test_levels_are_those_of_training_patients_and_an_unknown_one_is_missing():
    train = pd.DataFrame({"ward": ["B", "A", None, "C"], "sex": pd.array([1, 0, None, 1], dtype="Int64")})
    test = pd.DataFrame({"ward": ["C", "Z", np.nan], "sex": [1.0, np.nan, 0.0]})
    columns = Columns(categorical=("ward", "sex"))
    levels = levels_of(train, columns)
    assert levels == {"ward": ("A", "B", "C"), "sex": (0, 1)}
    coded, others = code_table(train, columns, levels), code_table(test, columns, levels)
    np.testing.assert_array_equal(coded.clinical, [[1, 1], [0, 0], [np.nan, np.nan], [2, 1]])
    np.testing.assert_array_equal(others.clinical, [[2, 1], [np.nan, np.nan], [np.nan, 0]])
    assert list(coded.n_levels) == [3, 2]


def test_indicators_are_those_of_scikit_learn():
    codes = np.array([[0.5, 0, 1], [1.5, 1, 0], [2.5, 2, 1], [0.1, 0, 0]])
    expected = OneHotEncoder(drop="if_binary", sparse_output=False).fit_transform(codes[:, 1:])
    np.testing.assert_array_equal(indicators(codes, np.array([0, 3, 2])), np.column_stack([codes[:, 0], expected]))


def test_columns_are_standardised_by_the_training_rows_and_constant_ones_become_zero():
    rng = np.random.default_rng(0)
    train, others = rng.normal(5, 3, (30, 4)), rng.normal(5, 3, (6, 4))
    train[:, 2] = 0.1
    scaler, scaling = StandardScaler().fit(train), fit_scaling(train[:, :1], train[:, 1:])
    for rows in (train, others):
        kept = [0, 1, 3]
        np.testing.assert_allclose(scaling(rows)[:, kept], scaler.transform(rows)[:, kept])
    np.testing.assert_allclose(scaling(train)[:, 2], 0, atol=1e-12)


def test_missing_features_become_the_median_of_the_training_rows_and_empty_ones_zero():
    train = np.array([[1.0, np.nan], [3.0, np.nan], [np.nan, np.nan], [8.0, np.nan]])
    np.testing.assert_array_equal(filled(train, medians(train)), [[1, 0], [3, 0], [3, 0], [8, 0]])
    np.testing.assert_array_equal(filled(np.array([[np.nan, 7.0]]), medians(train)), [[3, 7]])


def test_names_are_those_of_the_indicators():
    columns = Columns(("age",), ("ward", "sex"), ("e0",))
    names = indicator_names(columns, {"ward": ("A", "B", "C"), "sex": (0.0, 1.0)})
    assert names == ["age", "ward=A", "ward=B", "ward=C", "sex=1.0", "e0"]


def test_moments_get_less_weight_than_other_features_and_coefficients_are_still_of_one_sd():
    rng = np.random.default_rng(0)
    table = pd.DataFrame(rng.normal(3, 2, size=(120, 3)), columns=["ssl_000", "ssl_interval_log_sd", "ssl_001"])
    y = (table["ssl_000"] + table["ssl_interval_log_sd"] + rng.normal(0, 2, 120) > 6).to_numpy().astype(int)
    columns = Columns(features=tuple(table.columns), moments=("ssl_000", "ssl_001"))
    scaling = fit_scaling(table.to_numpy(), weights=columns.feature_weights)
    assert scaling(table.to_numpy()).std(axis=0) == pytest.approx([MOMENT_WEIGHT, 1, MOMENT_WEIGHT])
    weighed, plain = (
        RiskModel("ridge", columns=one).fit(table, y) for one in (columns, Columns(features=columns.features))
    )
    z = (table - table.mean()) / table.std(ddof=0)
    risk = expit(weighed.coef_[0] @ z.to_numpy().T + logit(weighed.predict_proba(table.mean().to_frame().T)[0, 1]))
    np.testing.assert_allclose(risk, weighed.predict_proba(table)[:, 1], rtol=1e-6)
    assert weighed.coef_[0, 1] > plain.coef_[0, 1]
