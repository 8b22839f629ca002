from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ppgssl.config import Validation
from ppgssl.errors import EvaluationError
from ppgssl.store.splits import make_folds


def outcome(n_patients: int, n_events: int) -> pd.Series:
    names = [f"ward/{number:04d}" for number in range(n_patients)]
    return pd.Series(np.arange(n_patients) < n_events, index=names, dtype=float)


@settings(deadline=None, max_examples=30)
@given(n_events=st.integers(5, 30), n_others=st.integers(5, 60), n_repeats=st.integers(1, 3), seed=st.integers(0, 1000))
def test_each_repeat_tests_every_patient_once_and_never_trains_on_a_test_patient(n_events, n_others, n_repeats, seed):
    y = outcome(n_events + n_others, n_events)
    folds = make_folds(y, Validation(n_folds=5, n_repeats=n_repeats), seed=seed)
    for repeat in range(n_repeats):
        tested = [name for fold in folds if fold.repeat == repeat for name in fold.test]
        assert sorted(tested) == sorted(y.index)
    for fold in folds:
        assert not set(fold.train) & set(fold.test)
        assert set(fold.train) | set(fold.test) == set(y.index)


def test_folds_hold_equal_shares_of_events():
    y = outcome(100, 25)
    events = [y[list(fold.test)].sum() for fold in make_folds(y, Validation(n_folds=5, n_repeats=2), seed=0)]
    assert events == [5] * 10


def test_the_single_split_tests_the_published_fifth():
    y = outcome(1031, 130)
    (fold,) = make_folds(y, Validation(scheme="single-split"), seed=3)
    assert len(fold.test) == 207
    assert y[list(fold.test)].sum() == 26


def test_splits_depend_on_the_seed_and_not_on_the_order_of_rows():
    y = outcome(40, 12)
    shuffled = y.sample(frac=1, random_state=5)
    settings_ = Validation(n_folds=4, n_repeats=1)
    assert make_folds(y, settings_, seed=1) == make_folds(shuffled, settings_, seed=1)
    assert make_folds(y, settings_, seed=1) != make_folds(y, settings_, seed=2)


def test_too_few_events_are_refused_with_the_counts():
    with pytest.raises(EvaluationError, match="3 with the event"):
        make_folds(outcome(40, 3), Validation(n_folds=5), seed=0)
