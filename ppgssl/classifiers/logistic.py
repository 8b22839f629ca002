"""Penalised logistic regression on patient features: imputed, encoded, scaled, all learned from training patients."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler

from ppgssl.classifiers.block_ridge import BlockRidgeClassifier
from ppgssl.config import suggest
from ppgssl.errors import EvaluationError
from ppgssl.records import FloatArray


@dataclass(frozen=True)
class LogisticFit:
    """A fitted logistic arm and its predictions.

    Attributes
    ----------
    y_score : float array, shape (n_test_patients,)
        Probability of the event, in the order of the test rows.
    n_features : int
        Columns after encoding.
    cost : float
        scikit-learn's ``C``, the inverse of the ridge penalty, chosen by inner cross-validation.
    embedding_scale : float
        How far the embedding block was let in beside covariates: 1 as they are, 0 left out; 1 without covariates.
    notes : tuple of str
        What was done differently from the plan, for example a column left out.
    pipeline : sklearn Pipeline
        Fitted; ``predict_proba`` wants the columns that ``notes`` does not name as left out.
    """

    y_score: FloatArray = field(repr=False)
    n_features: int
    cost: float
    embedding_scale: float
    notes: tuple[str, ...]
    pipeline: Pipeline = field(repr=False)


def build_logistic(
    numeric: Sequence[str], categorical: Sequence[str], *, embedding: Sequence[str] = (), seed: int
) -> Pipeline:
    """An unfitted pipeline from a DataFrame of patients to the probability of the event.

    Missing numbers become the median, missing levels (and levels that no training patient had) the most frequent one;
    levels become indicators, one for a binary variable; everything is standardised, so that a penalty means the same
    for every column. Embeddings form a block with a penalty of its own: see
    :class:`ppgssl.classifiers.block_ridge.BlockRidgeClassifier`. The penalties are chosen on training patients.

    Parameters
    ----------
    numeric, categorical, embedding : sequence of str
        Columns; a binary variable counts as categorical.
    seed : int
        Of the inner folds.
    """
    numbers = make_pipeline(SimpleImputer(strategy="median"), StandardScaler())
    levels = make_pipeline(
        # Codes first: an unknown level becomes missing, and so the most frequent one, as any missing level.
        OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=np.nan, encoded_missing_value=np.nan),
        SimpleImputer(strategy="most_frequent"),
        OneHotEncoder(drop="if_binary", sparse_output=False),
        StandardScaler(),
    )
    columns = ColumnTransformer(
        [
            ("numeric", numbers, list(numeric)),
            ("categorical", levels, list(categorical)),
            ("embedding", numbers, list(embedding)),  # last: the classifier counts them from the end
        ]
    )
    return Pipeline([("columns", columns), ("classifier", BlockRidgeClassifier(n_last=len(embedding), seed=seed))])


def fit_predict(
    X_train: pd.DataFrame,
    y_train: pd.Series,
    X_test: pd.DataFrame,
    *,
    numeric: Sequence[str] = (),
    categorical: Sequence[str] = (),
    embedding: Sequence[str] = (),
    seed: int,
) -> LogisticFit:
    """Fit on training patients, predict test patients.

    Parameters
    ----------
    X_train, X_test : DataFrame
        A row for each patient; missing values are NaN or None.
    y_train : Series of 0/1
        In the order of ``X_train``.
    numeric, categorical, embedding : sequence of str
        Columns to use, at least one in all; see :func:`build_logistic`. A column without a single value among training
        patients is left out, and a note says so.
    seed : int

    Raises
    ------
    EvaluationError
        If a column is absent or infinite, no column is left, rows and outcomes do not match, or all training patients
        have the same outcome.
    """
    blocks = [list(numeric), list(categorical), list(embedding)]
    _check_rows(X_train, y_train, X_test)
    _check_columns(X_train, X_test, blocks)
    empty = {name for block in blocks for name in block if X_train[name].isna().all()}
    numeric, categorical, embedding = ([name for name in block if name not in empty] for block in blocks)
    if not [*numeric, *categorical, *embedding]:
        raise EvaluationError(f"nothing to predict from: no training patient has a value of {', '.join(sorted(empty))}")
    pipeline = build_logistic(numeric, categorical, embedding=embedding, seed=seed)
    pipeline.fit(_as_expected(X_train, numeric, categorical, embedding), y_train.to_numpy(dtype=int))
    classifier = pipeline["classifier"]
    notes = [f"column {name!r} left out: no training patient has a value" for name in sorted(empty)]
    return LogisticFit(
        y_score=pipeline.predict_proba(_as_expected(X_test, numeric, categorical, embedding))[:, 1],
        n_features=classifier.n_features_in_,
        cost=classifier.cost_,
        embedding_scale=classifier.scale_,
        notes=tuple([*notes, classifier.fallback_] if classifier.fallback_ else notes),
        pipeline=pipeline,
    )


def _check_rows(X_train: pd.DataFrame, y_train: pd.Series, X_test: pd.DataFrame) -> None:
    if len(X_train) != len(y_train) or not len(X_test):
        raise EvaluationError(
            f"{len(X_train)} training patients have {len(y_train)} outcomes, and {len(X_test)} patients are to be "
            "tested: give each training patient one outcome, and at least one patient to test"
        )
    if not y_train.isin([0, 1]).all():
        raise EvaluationError("training outcomes must be 0 or 1; leave out patients without an outcome first")
    if y_train.nunique() < 2:
        raise EvaluationError(
            f"all {len(y_train)} training patients have the same outcome, so there is nothing to learn. "
            "Lower `validation.n_folds`, or add patients."
        )


def _check_columns(X_train: pd.DataFrame, X_test: pd.DataFrame, blocks: list[list[str]]) -> None:
    for name in (name for block in blocks for name in block):
        for part, table in (("training", X_train), ("test", X_test)):
            if name not in table.columns:
                raise EvaluationError(f"the {part} patients have no column {name!r}{suggest(name, table.columns)}")
    numbers = [*blocks[0], *blocks[2]]
    for part, table in (("training", X_train), ("test", X_test)):
        is_infinite = np.isinf(table[numbers].to_numpy(dtype=float))
        if is_infinite.any():
            bad = [name for name, wrong in zip(numbers, is_infinite.any(axis=0), strict=True) if wrong]
            raise EvaluationError(
                f"{part} patients have infinite values in {', '.join(bad[:5])}: a missing value is NaN"
            )


def _as_expected(
    X: pd.DataFrame, numeric: Sequence[str], categorical: Sequence[str], embedding: Sequence[str]
) -> pd.DataFrame:
    numbers = X[[*numeric, *embedding]].astype(float)
    levels = X[list(categorical)].astype(object)
    return pd.concat([numbers, levels.where(levels.notna(), np.nan)], axis=1)
