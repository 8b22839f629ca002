"""Hints about ids that differ only in writing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ppgssl.readers.clinical.patient_ids import id_hint


@pytest.mark.parametrize(
    ("a", "b", "words"),
    [
        ("7", "007", "leading zeros"),
        ("P7", "P007", "leading zeros"),
        ("p7", "P7", "upper and lower case"),
        ("P 7", "P7", "white space"),
        ("7 ", "7", "white space"),
        ("7.0", "7", "a decimal .0"),
        ("p7", "P 007", "leading zeros, upper and lower case, white space or a decimal .0"),
    ],
)
def test_the_hint_names_the_only_difference(a, b, words):
    assert id_hint([a, "same"], [b, "same"]) == f"{a!r} and {b!r} differ only by {words}"
    assert id_hint([b], [a]) == f"{b!r} and {a!r} differ only by {words}"


def test_further_pairs_are_counted():
    assert id_hint(["1", "2", "3"], ["01", "02", "03", "4"]).endswith("leading zeros, as do 2 other pairs of ids")


def test_pairs_are_counted_where_ids_may_not_be_shown():
    assert id_hint(["1", "2"], ["01", "02"], show_ids=False) == "the ids of 2 pairs differ only by leading zeros"
    assert id_hint(["p7"], ["P7"], show_ids=False) == "the ids of 1 pair differ only by upper and lower case"
    assert id_hint(["1"], ["2"], show_ids=False) == ""


def test_ids_that_have_a_counterpart_need_no_hint():
    assert id_hint(["1", "2"], ["1", "2", "3"]) == ""
    assert id_hint(["7", "007"], ["7", "007"]) == ""
    assert id_hint([], ["1"]) == ""


def test_zeros_inside_an_id_matter():
    assert id_hint(["P100"], ["P10"]) == ""
    assert id_hint(["0"], ["00"]) == "'0' and '00' differ only by leading zeros"


@given(st.sets(st.text(max_size=5)), st.sets(st.text(max_size=5)))
def test_any_ids_can_be_compared(a, b):
    assert isinstance(id_hint(a, b), str)
    assert id_hint(a, a) == ""
