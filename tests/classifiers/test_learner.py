import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import log_loss

from ppgssl.classifiers.learner import inner_folds, log_losses
from ppgssl.core.errors import EvaluationError


@given(st.integers(0, 10_000), st.integers(2, 30), st.integers(2, 30), st.booleans())
def test_inner_folds_hold_each_patient_out_once_with_both_outcomes_on_either_side(seed, n_events, n_others, is_drawn):
    rng = np.random.default_rng(seed)
    ids, y = np.array([f"p{i}" for i in range(n_events + n_others)]), np.repeat([1, 0], [n_events, n_others])
    if is_drawn:  # rows as a bootstrap sample has them, and two patients of each outcome at least
        rows = np.concatenate([rng.integers(0, len(y), len(y)), [0, 1, n_events, n_events + 1]])
        ids, y = ids[rows], y[rows]
    folds = inner_folds(y, ids, seed=seed)
    assert sorted(np.concatenate([outside for _, outside in folds])) == list(range(len(y)))
    for inside, outside in folds:
        assert set(inside) | set(outside) == set(range(len(y)))
        assert not set(ids[inside]) & set(ids[outside])
        assert set(y[inside]) == {0, 1} == set(y[outside])


def test_proportions_of_outcomes_differ_by_a_patient_at_most():
    y = np.repeat([1, 0], [13, 34])
    folds = inner_folds(y, np.arange(47).astype(str), seed=1)
    assert {int(y[outside].sum()) for _, outside in folds} == {2, 3}
    assert {len(outside) for _, outside in folds} == {9, 10}


def test_a_single_patient_of_one_outcome_is_too_few():
    with pytest.raises(EvaluationError, match="of 10 training patients, 1 is without the event, and at least 2"):
        inner_folds(np.repeat([1, 0], [9, 1]), np.arange(10).astype(str), seed=0)
    repeated = np.array(["a", "a", "b", "c"])  # one patient with the event, drawn twice
    with pytest.raises(EvaluationError, match="of 3 training patients, 1 is with the event"):
        inner_folds(np.array([1, 1, 0, 0]), repeated, seed=0)


def test_log_losses_are_those_of_scikit_learn():
    rng = np.random.default_rng(0)
    risks, y = rng.random((2, 3, 20)), rng.integers(0, 2, 20)
    expected = [[log_loss(y, row) for row in rows] for rows in risks]
    np.testing.assert_allclose(log_losses(risks, y), expected)
    assert np.isfinite(log_losses(np.array([0.0, 1.0]), np.array([1, 0])))
