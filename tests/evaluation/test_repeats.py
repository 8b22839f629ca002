from __future__ import annotations

import numpy as np

from ppgssl.evaluation.repeats import mean_over_repeats, rows_of_repeats
from tests.support.risk_tables import align_scores


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
