"""Leakage: a seen patient is never tested in silence."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.preprocessing import StandardScaler

from ppgssl.core.errors import LeakageError
from ppgssl.core.results.data import LeakageCheck
from ppgssl.store.leakage import SHARED_SIGNALS, FittedParts, check_no_leakage, hashed_patient, merge_checks

PATIENTS = st.sets(st.integers(0, 8).map(lambda number: f"p{number}"))


def test_disjoint_patients_pass():
    check_no_leakage(["a", "b"], ["c"], "the encoder")
    check_no_leakage([], [], "the encoder")


def test_up_to_five_shared_patients_are_named():
    seen = [f"p{i}" for i in range(9)]
    with pytest.raises(LeakageError, match=r"encoder 'ssl-all' has seen 7 .*\(p0, p1, p2, p3, p4, \.\.\.\)"):
        check_no_leakage(seen[:7], iter(seen), "encoder 'ssl-all'")
    with pytest.raises(LeakageError, match=r"has seen 1 .*\(p3\)"):
        check_no_leakage(["p3", "x"], seen, "it")


@given(seen=st.lists(PATIENTS, max_size=4), tested=PATIENTS)
def test_a_test_passes_if_and_only_if_no_part_has_seen_a_patient_of_it(seen, tested):
    parts = FittedParts("fold 1")
    for number, patients in enumerate(seen):
        parts.record(f"part {number}", patients)
    if tested & set().union(*seen):
        with pytest.raises(LeakageError, match="fold 1: part"):
            parts.check(tested)
    else:
        assert [check.n_checked for check in parts.check(tested)] == [*(len(tested) for _ in seen), 0]


def test_the_error_names_part_fold_and_number():
    parts = FittedParts("repeat2-fold0")
    parts.record("scaler", ["a", "b"])
    parts.record("scaler", ["c", "c"])
    with pytest.raises(LeakageError, match=r"repeat2-fold0: scaler has seen 2 of the patients to be tested \(b, c\)"):
        parts.check(["b", "c", "d"])


def test_a_fit_is_recorded_by_the_rows_that_it_was_given():
    table = pd.DataFrame({"x": np.arange(4.0)}, index=list("abcd"))
    parts = FittedParts("fold 1")
    scaler = parts.fit("scaler", StandardScaler(), table.loc[["a", "b"]])
    assert scaler.mean_ == [0.5]
    assert parts.check(["c", "d"])[0] == LeakageCheck(what="scaler", n_checked=2, n_shared=0)
    parts.fit("scaler", StandardScaler(), table)
    with pytest.raises(LeakageError, match="scaler has seen 2"):
        parts.check(["c", "d"])


def test_an_encoder_is_known_by_hashes():
    parts = FittedParts("fold 1")
    parts.record_hashed("encoder", [hashed_patient("a")])
    assert parts.check(["b"])[0].n_shared == 0
    with pytest.raises(LeakageError, match=r"encoder has seen 1 .*\(a\)"):
        parts.check(["a"])


def test_a_transductive_encoder_is_reported_and_not_refused():
    parts = FittedParts("fold 1", {"a": {"s"}, "x": {"s"}})
    parts.record_hashed("encoder", map(hashed_patient, ["a", "b", "x"]), is_transductive=True)
    encoder, signals = parts.check(["a", "c"])
    assert (encoder.n_checked, encoder.n_shared) == (2, 1)
    assert "Asked for by the study" in encoder.text
    assert signals == LeakageCheck(what=SHARED_SIGNALS, n_checked=1, n_shared=0)


def test_a_recording_seen_under_another_id_is_refused():
    parts = FittedParts("fold 1", {"a": {"s1"}, "twin": {"s1", "s2"}, "other": {"s2"}})
    parts.record("network", ["twin", "b"])
    assert parts.check(["c"])[-1].n_checked == 0
    with pytest.raises(LeakageError, match=r"fold 1: network has seen recordings of 1 .*\(a\) under another patient's"):
        parts.check(["a", "c"])


def test_checks_of_folds_are_added_up():
    first = [
        LeakageCheck(what="scaler", n_checked=3, n_shared=0),
        LeakageCheck(what="encoder", n_checked=3, n_shared=1),
    ]
    second = [LeakageCheck(what="scaler", n_checked=4, n_shared=0, text="why")]
    assert merge_checks([*first, *second]) == [
        LeakageCheck(what="scaler", n_checked=7, n_shared=0, text="why"),
        LeakageCheck(what="encoder", n_checked=3, n_shared=1),
    ]
