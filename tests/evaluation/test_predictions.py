import numpy as np
import pandas as pd
import pytest

from ppgssl.core.errors import EvaluationError
from ppgssl.evaluation.predictions import align_predictions, check_predictions, mean_over_repeats, rows_of_repeats
from tests.support.risk_tables import align_scores


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


def test_weights_follow_the_patients_and_repeats_count_alike():
    y = np.array([0, 1, 0, 1])
    aligned = align_scores(y, {"a": np.array([[0.1, 0.2, 0.3, 0.4], [0.5, 0.6, 0.7, 0.8]])}, n_folds=2)
    counts = np.array([[1.0, 4.0], [1.0, 0.0], [1.0, 0.0], [1.0, 0.0]])

    def weighted_sum(number, rows, weights):
        assert (aligned.repeat[rows] == number).all()
        return aligned.y_score[:, rows] @ weights

    np.testing.assert_allclose(mean_over_repeats(aligned, weighted_sum)(counts), [[(1.0 + 2.6) / 2, 4 * 0.3]])
    assert [len(rows) for rows in rows_of_repeats(aligned)] == [4, 4]


def test_what_is_not_defined_in_one_repeat_is_not_defined():
    aligned = align_scores(np.array([0, 1]), {"a": np.full((2, 2), 0.5)})

    def undefined_in_the_second(number, _rows, weights):
        return np.where([[number == 1, False]], np.nan, weights.sum(axis=0))

    averaged = mean_over_repeats(aligned, undefined_in_the_second)
    np.testing.assert_array_equal(averaged(np.ones((2, 2))), [[np.nan, 2.0]])
