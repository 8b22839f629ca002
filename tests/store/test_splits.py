from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.model_selection import RepeatedStratifiedKFold

from ppgssl.core.config.study import Validation
from ppgssl.core.errors import EvaluationError
from ppgssl.store.linked_patients import linked_patients
from ppgssl.store.splits import make_folds, site_counts, split_notes


def outcome(n_patients: int, n_events: int) -> pd.Series:
    names = [f"ward/{number:04d}" for number in range(n_patients)]
    return pd.Series(np.arange(n_patients) < n_events, index=names, dtype=float)


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


def test_folds_hold_equal_proportions_of_events():
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


@given(
    pairs=st.lists(st.tuples(st.integers(0, 39), st.integers(0, 39)), max_size=6),
    scheme=st.sampled_from(["repeated-kfold", "single-split"]),
    seed=st.integers(0, 1000),
)
def test_linked_patients_are_never_on_both_sides_of_a_random_split(pairs, scheme, seed):
    y = outcome(40, 16)
    linked = linked_patients(
        {
            name: frozenset(f"{pair}" for pair in pairs if number in pair)
            for number, name in enumerate(y.index)
            if any(number in pair for pair in pairs)
        }
    )
    folds = make_folds(y, Validation(scheme=scheme, n_folds=3, n_repeats=2), seed=seed, linked=linked)
    for fold in folds:
        groups_tested = {linked.get(name, name) for name in fold.test}
        assert not groups_tested & {linked.get(name, name) for name in fold.train}
        assert set(fold.train) | set(fold.test) == set(y.index)
        assert fold.linked == ()


def test_without_linked_patients_the_folds_are_those_of_a_stratified_cross_validation():
    y = outcome(40, 12)
    splitter = RepeatedStratifiedKFold(n_splits=4, n_repeats=2, random_state=7)
    expected = [tuple(y.index[test]) for _, test in splitter.split(np.zeros((40, 1)), y)]
    folds = make_folds(y, Validation(n_folds=4, n_repeats=2), seed=7)
    assert [fold.test for fold in folds] == expected


def test_linked_patients_of_other_cohorts_are_linked_and_nothing_may_see_them():
    y = outcome(20, 10)
    linked = {"ward/0003": "a", "clinic/7": "a", "clinic/8": "b", "clinic/9": "b"}
    for fold in make_folds(y, Validation(n_folds=5, n_repeats=1), seed=0, linked=linked):
        assert fold.linked == (("clinic/7",) if "ward/0003" in fold.test else ())
        assert set(fold.unseen) == {*fold.test, *fold.linked}


def test_the_notes_name_who_shares_a_recording():
    y = outcome(20, 10)
    linked = {"ward/0003": "a", "ward/0012": "a", "clinic/7": "a"}
    folds = make_folds(y, Validation(n_folds=5, n_repeats=1), seed=0, linked=linked)
    together, note = split_notes(folds, y, linked)
    assert together.startswith("2 patients in 1 group share a recording")
    assert note.startswith("1 patients without an analysed outcome, or of other cohorts, share a recording")
    assert split_notes(folds, y, {}) == [note]


BY_SITE = Validation(scheme="leave-one-site-out", site="hospital")


def sites(y: pd.Series, names: str) -> pd.Series:
    return pd.Series(list(names), index=y.index)


def test_each_site_is_tested_once_on_models_of_all_others():
    y = outcome(12, 6).sample(frac=1, random_state=1)
    of = sites(y.sort_index(), "abcabcabcabc")
    folds = make_folds(y, BY_SITE, seed=0, sites=of)
    assert [fold.site for fold in folds] == ["a", "b", "c"]
    for fold in folds:
        assert set(fold.test) == set(of.index[of == fold.site])
        assert set(fold.train) == set(of.index[of != fold.site])
    assert site_counts(folds) == {"a": 4, "b": 4, "c": 4}
    assert split_notes(folds, y, {}) == []


def test_a_site_without_an_event_is_tested_and_reported():
    y = outcome(12, 6)
    folds = make_folds(y, BY_SITE, seed=0, sites=sites(y, "aabbabccccab"))
    (note,) = split_notes(folds, y, {})
    assert note.startswith("The test part of 'c' holds no patient with the event")


@pytest.mark.parametrize(
    ("n_patients", "n_events", "names", "message"),
    [
        (40, 3, "", "3 with the event"),
        (12, 3, "aabbbbbbbbbb", "cannot test site 'a': without them 1 patients with the event"),
        (12, 6, "a" * 12, "at least two sites, and all 12 patients are of 'a'"),
    ],
)
def test_what_cannot_be_split_is_refused_with_the_counts(n_patients, n_events, names, message):
    y = outcome(n_patients, n_events)
    with pytest.raises(EvaluationError, match=message):
        make_folds(y, BY_SITE if names else Validation(n_folds=5), seed=0, sites=sites(y, names) if names else None)


def test_a_patient_linked_to_another_site_does_not_train_for_it():
    y = outcome(12, 6)
    linked = {"ward/0000": "one", "ward/0001": "one"}
    folds = make_folds(y, BY_SITE, seed=0, linked=linked, sites=sites(y, "abababababab"))
    assert folds[0].linked == ("ward/0001",)
    assert "ward/0001" not in folds[0].train
    assert "ward/0001" in folds[1].test
    assert any("a patient of another site" in note for note in split_notes(folds, y, linked))


def test_folds_of_one_outcome_are_counted():
    y = outcome(10, 3)
    folds = make_folds(y, Validation(n_folds=3, n_repeats=1), seed=0)
    assert split_notes(folds, 0 * y, {})[0].startswith("The test part of 3 of 3 folds holds no patient with the event")
