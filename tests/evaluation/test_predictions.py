"""The table of predictions: what is refused before any statistic is computed."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from ppgssl.core.errors import EvaluationError
from ppgssl.evaluation.predictions import align_predictions, check_predictions


def make_table():
    return pd.DataFrame(
        {
            "arm": ["a", "a", "b", "b"],
            "repeat": 0,
            "fold": [0, 1, 1, 0],
            "patient_id": ["p2", "p1", "p1", "p2"],
            "y_true": [1.0, 0.0, 0.0, 1.0],
            "y_score": [0.9, 0.2, 0.3, 0.8],
        }
    )


def test_arms_come_side_by_side_whatever_the_order_of_rows():
    aligned = align_predictions(make_table(), ["b", "a"])
    assert aligned.patient_ids == ("p1", "p2")
    assert [aligned.patient_ids[i] for i in aligned.patient] == ["p2", "p1"]  # fold 0 first
    np.testing.assert_array_equal(aligned.y_score, [[0.8, 0.3], [0.9, 0.2]])
    np.testing.assert_array_equal(aligned.y_true, [True, False])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"y_score": [2.3, 0.2, 0.3, 0.8]}, r"1 score\(s\) of arm\(s\) a are missing or outside 0..1"),
        ({"y_score": [0.9, np.nan, 0.3, 0.8]}, "is a probability"),
        ({"y_true": [1, 0, 0, 2]}, "must be 0 or 1"),
        ({"patient_id": ["p2", "p2", "p1", "p2"]}, "predicts 1 patient.* more than once in a repeat, for example p2"),
    ],
)
def test_a_table_that_no_statistic_could_read_is_refused(change, message):
    with pytest.raises(EvaluationError, match=message):
        check_predictions(make_table().assign(**change))


def test_absent_columns_and_an_empty_table_are_named():
    with pytest.raises(EvaluationError, match=r"lack the column.* fold, y_score"):
        check_predictions(make_table().drop(columns=["fold", "y_score"]))
    with pytest.raises(EvaluationError, match="no arm has tested a patient"):
        check_predictions(make_table().iloc[:0])
    with pytest.raises(EvaluationError, match="no arm was named"):
        align_predictions(make_table(), [])


def test_an_outcome_that_changes_between_repeats_is_refused():
    table = make_table()
    again = table.assign(repeat=1, y_true=table["y_true"].where(table["patient_id"] != "p1", 1.0))
    with pytest.raises(EvaluationError, match=r"differs between predictions of the same patient for 1 patient.*p1"):
        align_predictions(pd.concat([table, again]), ["a"])
