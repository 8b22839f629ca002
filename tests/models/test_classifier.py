from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from ppgssl.core.errors import EvaluationError, StoreError
from ppgssl.features.columns import Columns
from ppgssl.models.classifier import check_complete, check_shapes, check_table

COLUMNS = Columns(("age",), ("ward",), ("e0",))


def test_an_absent_column_and_an_infinite_value_are_named():
    X = pd.DataFrame({"age": [50.0, np.nan], "ward": ["A", None], "e0": [0.1, 0.2]})
    check_table(X, COLUMNS)
    with pytest.raises(EvaluationError, match=r"needs the column.s. age"):
        check_table(X.rename(columns={"age": "years"}), COLUMNS)
    with pytest.raises(EvaluationError, match="infinite"):
        check_table(X.assign(e0=np.inf), COLUMNS)


def test_what_is_absent_of_a_classifier_is_named():
    check_complete({"a": 1, "b": 2}, ("a", "b"), has_levels=True)
    with pytest.raises(StoreError, match="lacks b, c"):
        check_complete({"a": 1}, ("a", "b", "c"), has_levels=True)
    with pytest.raises(StoreError, match="lacks levels"):
        check_complete({"a": 1}, ("a",), has_levels=False)


@pytest.mark.parametrize("values", [np.zeros((2, 4)), np.array([[0.0, 1.0, np.nan]] * 2)])
def test_arrays_of_another_shape_or_not_finite_are_refused(values):
    with pytest.raises(StoreError, match=r"'slope' must hold finite numbers of shape \(2, 3\)"):
        check_shapes({"slope": values}, {"slope": (2, 3)})
