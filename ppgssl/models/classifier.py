"""What every classifier of a model folder is: plain arrays that turn a table of patients into risks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pandas as pd

from ppgssl.core.errors import EvaluationError, StoreError
from ppgssl.core.records import FloatArray
from ppgssl.features.columns import Columns

Level = float | str
Arrays = dict[str, npt.NDArray[Any]]


class Classifier(Protocol):
    """A classifier without code, as :data:`ppgssl.models.kinds.KINDS` lists them."""

    @property
    def columns(self) -> Columns:
        """What it takes of a patient."""

    @property
    def levels(self) -> Mapping[str, tuple[Level, ...]]:
        """Of each categorical column, as they stand in the table."""

    @property
    def n_refits(self) -> int:
        """Refits to bootstrap samples beside the model."""

    @property
    def n_draws(self) -> int:
        """Draws from the posterior of which the model consists; 0 if it is one set of coefficients."""

    def risks(self, X: pd.DataFrame) -> FloatArray:
        """Risks of the patients (rows), shape (1 + n_refits + n_draws, n_patients).

        Row 0 is the model's risk. The others are by its refits or draws, of which the interval is made.

        Raises
        ------
        EvaluationError
            If a column is absent, or a number is infinite.
        """

    def arrays(self) -> Arrays:
        """The numbers, by name."""


def check_table(X: pd.DataFrame, columns: Columns) -> None:
    """Refuse patients of whom a model cannot say anything.

    Raises
    ------
    EvaluationError
        If a column is absent, or a number is infinite.
    """
    absent = [name for name in columns.names if name not in X.columns]
    if absent:
        raise EvaluationError(f"the model needs the column(s) {', '.join(absent)}, which the patients do not have")
    numbers = X[[*columns.numeric, *columns.features]].to_numpy(dtype=float, na_value=np.nan)
    if np.isinf(numbers).any():
        raise EvaluationError("a value of a patient is infinite: the model takes finite numbers, NaN where missing")


def check_complete(arrays: Mapping[str, Any], names: tuple[str, ...], *, has_levels: bool) -> None:
    """Refuse a classifier that lacks arrays, or the levels of a categorical column.

    Raises
    ------
    StoreError
        Naming what is absent.
    """
    absent = [name for name in names if name not in arrays]
    if absent or not has_levels:
        raise StoreError(f"the classifier of the model is not complete: it lacks {', '.join(absent) or 'levels'}")


def check_shapes(arrays: Mapping[str, npt.NDArray[Any]], expected: Mapping[str, tuple[int, ...]]) -> None:
    """Refuse arrays of other shapes than the columns ask for, or that are not finite.

    Raises
    ------
    StoreError
        Naming the array and both shapes.
    """
    for name, shape in expected.items():
        if arrays[name].shape != shape or not np.isfinite(arrays[name]).all():
            raise StoreError(
                f"the classifier of the model does not fit its columns: {name!r} must hold finite numbers of shape "
                f"{shape}, and has shape {arrays[name].shape}"
            )
