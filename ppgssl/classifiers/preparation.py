"""From a table of patients to matrices: codes of levels, then standardised columns, fitted to training patients."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd

from ppgssl.core.errors import EvaluationError
from ppgssl.core.records import BoolArray, FloatArray, IntArray
from ppgssl.core.text import suggest
from ppgssl.features.columns import Columns

Level = float | str


@dataclass(frozen=True)
class Coded:
    """Patients as numbers: a clinical block, of which levels are codes 0, 1, ..., and a block of features.

    Attributes
    ----------
    ids : array of str, shape (n_patients,)
    clinical : float array, shape (n_patients, n_clinical)
        Numeric columns, then codes; NaN where missing or of a level that no training patient has.
    features : float array, shape (n_patients, n_features); NaN where missing
    n_levels : int array, shape (n_clinical,); levels that training patients have; 0 of a numeric column
    weights : float array, shape (n_features,); see :attr:`ppgssl.features.columns.Columns.feature_weights`
    """

    ids: np.ndarray = field(repr=False)
    clinical: FloatArray = field(repr=False)
    features: FloatArray = field(repr=False)
    n_levels: IntArray = field(repr=False)
    weights: FloatArray = field(repr=False)

    def rows(self, chosen: IntArray) -> Coded:
        return replace(self, ids=self.ids[chosen], clinical=self.clinical[chosen], features=self.features[chosen])


@dataclass(frozen=True)
class Block:
    """Training patients as a learner gets them.

    Attributes
    ----------
    X : float array, shape (n_patients, n_columns); clinical columns first, the ``n_last`` columns of features last
    y : int array of 0/1, shape (n_patients,)
    is_categorical : bool array, shape (n_columns,); codes of levels; only where columns are not standardised
    """

    X: FloatArray = field(repr=False)
    y: IntArray = field(repr=False)
    n_last: int
    is_categorical: BoolArray = field(repr=False)

    @property
    def has_two_blocks(self) -> bool:
        return 0 < self.n_last < self.X.shape[1]


@dataclass(frozen=True)
class Split(Block):
    """Training patients inside an inner fold, and those whom it holds out.

    ``X_out``: float array, shape (n_held_out, n_columns). ``y_out``: int array of 0/1, shape (n_held_out,).
    """

    X_out: FloatArray = field(repr=False)
    y_out: IntArray = field(repr=False)


def check_table(table: pd.DataFrame, columns: Columns, part: str) -> None:
    """Refuse patients whose table cannot be used.

    Raises EvaluationError if a column is absent, or a number is infinite.

    ``part``: the patients in words, such as "the training patients".
    """
    for name in columns.names:
        if name not in table.columns:
            raise EvaluationError(f"{part} have no column {name!r}{suggest(name, table.columns)}")
    numbers = [*columns.numeric, *columns.features]
    is_infinite = np.isinf(table[numbers].to_numpy(dtype=float, na_value=np.nan)).any(axis=0)
    if is_infinite.any():
        bad = [name for name, wrong in zip(numbers, is_infinite, strict=True) if wrong]
        raise EvaluationError(f"{part} have infinite values in {', '.join(bad[:5])}: a missing value is NaN")


def levels_of(table: pd.DataFrame, columns: Columns) -> dict[str, tuple[Level, ...]]:
    """Levels of each categorical column, sorted by their names."""
    return {name: tuple(sorted(table[name].dropna().unique().tolist(), key=str)) for name in columns.categorical}


def code_table(table: pd.DataFrame, columns: Columns, levels: dict[str, tuple[Level, ...]]) -> Coded:
    """Patients as numbers, given the levels of each categorical column in the order of their codes."""
    known = [levels[name] for name in columns.categorical]
    n_levels = np.array([0] * len(columns.numeric) + [len(one) for one in known], dtype=np.int64)
    clinical = np.full((len(table), len(n_levels)), np.nan)
    clinical[:, : len(columns.numeric)] = table[list(columns.numeric)].to_numpy(dtype=float, na_value=np.nan)
    for number, (name, own) in enumerate(zip(columns.categorical, known, strict=True), start=len(columns.numeric)):
        codes = pd.Index(list(own), dtype=object).get_indexer(pd.Index(table[name], dtype=object))
        clinical[:, number] = np.where(codes < 0, np.nan, codes)
    features = table[list(columns.features)].to_numpy(dtype=float, na_value=np.nan)
    return Coded(table.index.to_numpy().astype(str), clinical, features, n_levels, columns.feature_weights)


def indicators(codes: FloatArray, n_levels: IntArray) -> FloatArray:
    """Numeric columns as they are, one indicator for two levels, one a level for more; no missing values."""
    columns = [codes[:, :0]]
    for number, n in enumerate(n_levels):
        column = codes[:, [number]]
        columns.append(column if n == 0 else (column == np.arange(n if n > 2 else 1, dtype=float) + (n <= 2)) * 1.0)
    return np.concatenate(columns, axis=1)


def indicator_names(columns: Columns, levels: dict[str, tuple[Level, ...]]) -> list[str]:
    """Names of the columns of :func:`indicators`, then of the features."""
    names = list(columns.numeric)
    for name in columns.categorical:
        own = levels[name]
        shown = own if len(own) > 2 else own[1:2] or own
        names += [f"{name}={level}" for level in shown]
    return [*names, *columns.features]


@dataclass(frozen=True)
class Scaling:
    """Columns less their mean in the training rows, over their SD there; features times their weight.

    Attributes
    ----------
    mean, scale : float arrays, shape (n_columns,)
        A column that is constant in training is left at its size: its scale is 1.
    """

    mean: FloatArray = field(repr=False)
    scale: FloatArray = field(repr=False)

    def __call__(self, X: FloatArray) -> FloatArray:
        return (X - self.mean) / self.scale


def fit_scaling(*blocks: FloatArray, weights: FloatArray | None = None) -> Scaling:
    """Scaling of the columns of all blocks, one block after another; ``weights`` are of the last block's columns."""
    means = [block.mean(axis=0) for block in blocks]
    mean, sd = np.concatenate(means), np.concatenate([block.std(axis=0) for block in blocks])
    # What varies by rounding alone is constant.
    scale = np.where(sd > 1e-9 * np.maximum(np.abs(mean), 1e-30), sd, 1.0)
    if weights is not None:
        scale[len(scale) - len(weights) :] /= weights
    return Scaling(mean, scale)


def medians(train: FloatArray) -> FloatArray:
    """Of the known values of each column, shape (n_columns,); 0 where there are none."""
    found = np.zeros(train.shape[1])
    is_known = ~np.isnan(train).all(axis=0)
    found[is_known] = np.nanmedian(train[:, is_known], axis=0)
    return found


def filled(values: FloatArray, typical: FloatArray) -> FloatArray:
    """Values, the typical one of the column in place of a missing one."""
    return np.where(np.isnan(values), typical, values)
