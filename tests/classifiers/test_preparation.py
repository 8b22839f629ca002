from __future__ import annotations

import numpy as np
import pandas as pd
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from ppgssl.classifiers.preparation import (
    code_patients,
    indicators,
    raw_split,
    standard_split,
    standardised,
    with_medians,
)
from ppgssl.features.columns import Columns


def test_levels_are_those_of_training_patients_and_an_unknown_one_is_missing():
    train = pd.DataFrame({"ward": ["B", "A", None, "C"], "sex": pd.array([1, 0, None, 1], dtype="Int64")})
    test = pd.DataFrame({"ward": ["C", "Z", np.nan], "sex": [1.0, np.nan, 0.0]})
    coded, others = code_patients(train, test, Columns(categorical=("ward", "sex")))
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
    scaler = StandardScaler().fit(train)
    for found, rows in zip(standardised(train, others), (train, others), strict=True):
        kept = [0, 1, 3]
        np.testing.assert_allclose(found[:, kept], scaler.transform(rows)[:, kept])
    np.testing.assert_allclose(standardised(train, others)[0][:, 2], 0, atol=1e-12)


def test_missing_features_become_the_median_of_the_training_rows_and_empty_ones_zero():
    train = np.array([[1.0, np.nan], [3.0, np.nan], [np.nan, np.nan], [8.0, np.nan]])
    filled, others = with_medians(train, np.array([[np.nan, 7.0]]))
    np.testing.assert_array_equal(filled, [[1, 0], [3, 0], [3, 0], [8, 0]])
    np.testing.assert_array_equal(others, [[3, 7]])


def test_a_split_has_clinical_columns_first_and_features_last():
    table = pd.DataFrame({"age": [1.0, 2.0, 4.0], "ward": ["a", "b", "c"], "e0": [0.0, np.nan, 1.0]})
    coded, others = code_patients(table, table[:1], Columns(("age",), ("ward",), ("e0",)))
    y = np.array([0, 1, 1])
    standard = standard_split(coded, y, others, None, (coded.clinical, others.clinical))
    assert standard.X.shape == (3, 5)
    assert (standard.n_last, standard.has_two_blocks, standard.y_out) == (1, True, None)
    np.testing.assert_allclose(standard.X.mean(axis=0), 0, atol=1e-12)
    raw = raw_split(coded, y, others, None)
    np.testing.assert_array_equal(raw.X, [[1, 0, 0], [2, 1, np.nan], [4, 2, 1]])
    assert list(raw.is_categorical) == [False, True, False]
