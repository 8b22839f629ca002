import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ppgssl.classifiers.network_training import balanced_draws
from ppgssl.classifiers.patient_segments import bootstrap, collect, split
from ppgssl.core.errors import TrainingError


def patients_of(n_events, n_others, seed=0):
    rng = np.random.default_rng(seed)
    names = [f"p{number}" for number in range(n_events + n_others)]
    owner = rng.permutation(np.repeat(names, rng.integers(1, 6, size=len(names))))
    y = pd.Series((np.arange(len(names)) < n_events).astype(float), index=names)
    return collect(owner, names, y.to_numpy()), owner


def test_segments_are_those_of_each_patient_in_the_order_asked_for():
    patients, owner = patients_of(3, 5)
    for name, own in zip(patients.ids, patients.segments, strict=True):
        np.testing.assert_array_equal(own, np.flatnonzero(owner == name))


@given(st.integers(2, 8), st.integers(2, 8), st.integers(0, 99))
def test_a_bootstrap_sample_is_as_large_in_each_class_and_leaves_somebody_of_each_out(n_events, n_others, seed):
    patients, _ = patients_of(n_events, n_others)
    drawn, left = bootstrap(patients, np.random.default_rng(seed))
    assert (drawn.y.sum(), (1 - drawn.y).sum()) == (n_events, n_others)
    assert set(left.y) == {0.0, 1.0}
    assert set(drawn.ids) | set(left.ids) == set(patients.ids)
    assert not set(drawn.ids) & set(left.ids)


@given(st.integers(2, 8), st.integers(2, 8), st.floats(0.01, 0.89), st.integers(0, 99))
def test_a_split_leaves_somebody_of_each_class_on_either_side(n_events, n_others, fraction, seed):
    patients, _ = patients_of(n_events, n_others)
    kept, out = split(patients, fraction, np.random.default_rng(seed))
    assert set(kept.y) == set(out.y) == {0.0, 1.0}
    assert sorted([*kept.ids, *out.ids]) == sorted(patients.ids)


@pytest.mark.parametrize("divide", [lambda p, rng: split(p, 0.5, rng), bootstrap])
def test_one_patient_of_a_class_cannot_both_teach_and_assess(divide):
    with pytest.raises(TrainingError, match=r"1 training patient\(s\) have outcome 1: the network needs two"):
        divide(patients_of(1, 5)[0], np.random.default_rng(0))


@given(st.integers(1, 9), st.integers(2, 64), st.integers(0, 99))
def test_bags_hold_segments_of_one_patient_and_either_class_equally_often(bag_size, batch_size, seed):
    patients, owner = patients_of(4, 12)
    outcome = dict(zip(patients.ids, patients.y, strict=True))
    for bags, y in balanced_draws(patients, bag_size, batch_size, np.random.default_rng(seed)):
        assert bags.shape == (len(y), bag_size)
        for bag, truth in zip(bags, y, strict=True):
            assert len(set(owner[bag])) == 1
            assert outcome[owner[bag][0]] == truth


def test_the_rare_class_is_drawn_half_of_the_time():
    patients, _ = patients_of(3, 200)
    drawn = [y for seed in range(30) for _, y in balanced_draws(patients, 1, 64, np.random.default_rng(seed))]
    assert np.concatenate(drawn).mean() == pytest.approx(0.5, abs=0.02)
