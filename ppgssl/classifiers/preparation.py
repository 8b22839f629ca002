"""From a table of patients to matrices: codes of levels, then standardised columns, learnt from training patients."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd

from ppgssl.core.errors import EvaluationError
from ppgssl.core.records import BoolArray, FloatArray, IntArray
from ppgssl.core.text import suggest
from ppgssl.features.columns import Columns


@dataclass(frozen=True)
class Coded:
    """Patients as numbers: a clinical block, of which levels are codes 0, 1, ..., and a block of features.

    Attributes
    ----------
    ids : array of str, shape (n_patients,)
    clinical : float array, shape (n_patients, n_clinical)
        Numeric columns, then codes; NaN where missing or of a level that no training patient has.
    features : float array, shape (n_patients, n_features)
        NaN where missing.
    n_levels : int array, shape (n_clinical,)
        Levels that training patients have; 0 of a numeric column.
    """

    ids: np.ndarray = field(repr=False)
    clinical: FloatArray = field(repr=False)
    features: FloatArray = field(repr=False)
    n_levels: IntArray = field(repr=False)

    def rows(self, chosen: IntArray) -> Coded:
        return replace(self, ids=self.ids[chosen], clinical=self.clinical[chosen], features=self.features[chosen])


@dataclass(frozen=True)
class Split:
    """Patients to learn from, and others to predict: what a learner gets.

    Attributes
    ----------
    X : float array, shape (n_patients, n_columns)
        Clinical columns first, the ``n_last`` columns of features last.
    y : int array of 0/1, shape (n_patients,)
    X_out : float array, shape (n_others, n_columns)
    y_out : int array or None
        Of the others, where they are training patients whom an inner fold holds out; None for test patients, whose
        outcomes no learner sees.
    n_last : int
    is_categorical : bool array, shape (n_columns,)
        Codes of levels; only where columns are not standardised.
    """

    X: FloatArray = field(repr=False)
    y: IntArray = field(repr=False)
    X_out: FloatArray = field(repr=False)
    y_out: IntArray | None = field(repr=False)
    n_last: int
    is_categorical: BoolArray = field(repr=False)

    @property
    def has_two_blocks(self) -> bool:
        return 0 < self.n_last < self.X.shape[1]


def check_patients(X_train: pd.DataFrame, y_train: pd.Series, X_test: pd.DataFrame, columns: Columns) -> None:
    """Refuse what cannot be fitted.

    Raises
    ------
    EvaluationError
        If a column is absent or infinite, rows and outcomes do not match, or an outcome is neither 0 nor 1.
    """
    if len(X_train) != len(y_train) or not len(X_test):
        raise EvaluationError(
            f"{len(X_train)} training patients have {len(y_train)} outcomes, and {len(X_test)} patients are to be "
            "tested: give each training patient one outcome, and at least one patient to test"
        )
    if not y_train.isin([0, 1]).all():
        raise EvaluationError("training outcomes must be 0 or 1; leave out patients without an outcome first")
    for part, table in (("training", X_train), ("test", X_test)):
        for name in columns.names:
            if name not in table.columns:
                raise EvaluationError(f"the {part} patients have no column {name!r}{suggest(name, table.columns)}")
        _check_finite(part, table, [*columns.numeric, *columns.features])


def _check_finite(part: str, table: pd.DataFrame, numbers: Sequence[str]) -> None:
    is_infinite = np.isinf(table[list(numbers)].to_numpy(dtype=float)).any(axis=0)
    if is_infinite.any():
        bad = [name for name, wrong in zip(numbers, is_infinite, strict=True) if wrong]
        raise EvaluationError(f"{part} patients have infinite values in {', '.join(bad[:5])}: a missing value is NaN")


def code_patients(X_train: pd.DataFrame, X_test: pd.DataFrame, columns: Columns) -> tuple[Coded, Coded]:
    """Training and test patients as numbers; levels are those of the training patients, sorted."""
    levels = [sorted(X_train[name].dropna().unique(), key=str) for name in columns.categorical]
    return code_table(X_train, columns, levels), code_table(X_test, columns, levels)


def code_table(table: pd.DataFrame, columns: Columns, levels: Sequence[Sequence[object]]) -> Coded:
    """Patients as numbers, given the levels of each categorical column in the order of their codes."""
    n_levels = np.array([0] * len(columns.numeric) + [len(known) for known in levels], dtype=np.int64)
    clinical = np.full((len(table), len(n_levels)), np.nan)
    clinical[:, : len(columns.numeric)] = table[list(columns.numeric)].to_numpy(dtype=float, na_value=np.nan)
    for number, (name, known) in enumerate(zip(columns.categorical, levels, strict=True), start=len(columns.numeric)):
        codes = pd.Index(list(known), dtype=object).get_indexer(pd.Index(table[name], dtype=object))
        clinical[:, number] = np.where(codes < 0, np.nan, codes)
    features = table[list(columns.features)].to_numpy(dtype=float, na_value=np.nan)
    return Coded(table.index.to_numpy().astype(str), clinical, features, n_levels)


def indicators(codes: FloatArray, n_levels: IntArray) -> FloatArray:
    """Numeric columns as they are, one indicator for two levels, one a level for more; no missing values."""
    columns = [codes[:, :0]]
    for number, n in enumerate(n_levels):
        column = codes[:, [number]]
        columns.append(column if n == 0 else (column == np.arange(n if n > 2 else 1, dtype=float) + (n <= 2)) * 1.0)
    return np.concatenate(columns, axis=1)


@dataclass(frozen=True)
class Scaling:
    """Columns less their mean in the training rows, over their SD there.

    Attributes
    ----------
    mean, scale : float arrays, shape (n_columns,)
        A column that is constant in training is left at its size: its scale is 1.
    """

    mean: FloatArray = field(repr=False)
    scale: FloatArray = field(repr=False)

    def __call__(self, X: FloatArray) -> FloatArray:
        return (X - self.mean) / self.scale


def learn_scaling(train: FloatArray) -> Scaling:
    mean, sd = train.mean(axis=0), train.std(axis=0)
    # What varies by rounding alone is constant.
    return Scaling(mean, np.where(sd > 1e-9 * np.maximum(np.abs(mean), 1e-30), sd, 1.0))


def standardised(train: FloatArray, others: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Both by the scaling of the training rows."""
    scaling = learn_scaling(train)
    return scaling(train), scaling(others)


def medians(train: FloatArray) -> FloatArray:
    """Of the known values of each column, shape (n_columns,); 0 where there are none."""
    found = np.zeros(train.shape[1])
    is_known = ~np.isnan(train).all(axis=0)
    found[is_known] = np.nanmedian(train[:, is_known], axis=0)
    return found


def with_medians(train: FloatArray, others: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Both with missing values replaced by the median of the training rows; by 0 where those have none."""
    if not (np.isnan(train).any() or np.isnan(others).any()):
        return train, others
    usual = medians(train)
    return np.where(np.isnan(train), usual, train), np.where(np.isnan(others), usual, others)


def standard_split(
    train: Coded, y: IntArray, others: Coded, y_out: IntArray | None, completed: tuple[FloatArray, FloatArray]
) -> Split:
    """A split for learners that take neither missing values nor codes.

    Parameters
    ----------
    train, others : Coded
        Features are taken from them, the median in place of a missing one.
    y, y_out : int arrays
    completed : pair of float arrays
        The clinical blocks of both without missing values.
    """
    clinical = standardised(*(indicators(block, train.n_levels) for block in completed))
    features = standardised(*with_medians(train.features, others.features))
    X, X_out = (np.concatenate(blocks, axis=1) for blocks in zip(clinical, features, strict=True))
    return Split(X, y, X_out, y_out, features[0].shape[1], np.zeros(X.shape[1], dtype=bool))


def raw_split(train: Coded, y: IntArray, others: Coded, y_out: IntArray | None) -> Split:
    """A split for learners that take missing values and codes as they are."""
    X, X_out = (np.concatenate([one.clinical, one.features], axis=1) for one in (train, others))
    is_categorical = np.append(train.n_levels > 0, np.zeros(train.features.shape[1], dtype=bool))
    return Split(X, y, X_out, y_out, train.features.shape[1], is_categorical)
