"""Made-up patients whose outcome follows their age: clinical values with gaps, and features that are noise."""

from __future__ import annotations

import numpy as np
import pandas as pd

from ppgssl.classifiers.preparation import Split
from ppgssl.features.columns import Columns


def make_patients(
    rng: np.random.Generator, n: int, *, n_features: int = 0, missing: float = 0.1
) -> tuple[pd.DataFrame, pd.Series, Columns]:
    """Age carries the outcome; weight, sex, a three-level ward and features are noise; a tenth of the cells is missing.

    Returns
    -------
    X : DataFrame, index p000, p001, ...
    y : Series of 0/1
    columns : Columns
    """
    names = [f"p{number:03d}" for number in range(n)]
    age = rng.normal(50, 10, n)
    y = pd.Series((rng.random(n) < 1 / (1 + np.exp(1 - (age - 50) / 5))).astype(float), index=names)
    X = pd.DataFrame({"age": age, "weight": rng.normal(60, 9, n)}, index=names)
    X["sex"] = rng.integers(0, 2, n).astype(float)
    X["ward"] = rng.choice(["A", "B", "C"], n)
    X = X.mask(rng.random(X.shape) < missing)
    features = pd.DataFrame(rng.normal(size=(n, n_features)), index=names).add_prefix("e")
    columns = Columns(("age", "weight"), ("sex", "ward"), tuple(features.columns))
    return pd.concat([X, features], axis=1), y, columns


def make_split(rng: np.random.Generator, n: int, n_out: int, *, n_first: int, n_last: int, slope: float = 2.0) -> Split:
    """Standard normal columns, of which the first carries the outcome; the others' outcomes are known."""
    X = rng.normal(size=(n + n_out, n_first + n_last))
    y = (rng.random(n + n_out) < 1 / (1 + np.exp(1 - slope * X[:, 0]))).astype(int)
    y[:2], y[n : n + 2] = (0, 1), (0, 1)
    return Split(X[:n], y[:n], n_last, np.zeros(X.shape[1], dtype=bool), X[n:], y[n:])


def inner_of(split: Split, n_folds: int = 5) -> list[Split]:
    """Every n-th patient of a split held out in turn, by outcome."""
    place = np.empty(len(split.y), dtype=int)
    order = np.argsort(split.y, kind="stable")
    place[order] = np.arange(len(order)) % n_folds
    return [
        Split(
            split.X[place != one],
            split.y[place != one],
            split.n_last,
            split.is_categorical,
            split.X[place == one],
            split.y[place == one],
        )
        for one in range(n_folds)
    ]
