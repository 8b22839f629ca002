"""Holm's adjustment."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats.multitest import multipletests

from ppgssl.evaluation.multiplicity import holm

p_values = st.lists(st.floats(0, 1), max_size=20)


@settings(deadline=None, max_examples=5)  # statsmodels takes most of a second for each
@given(p_values.filter(len))
def test_it_equals_statsmodels(values):
    assert holm(values) == pytest.approx(multipletests(values, method="holm")[1].tolist(), abs=1e-15)


def test_three_comparisons_by_hand():
    # 3 * 0.01; 2 * 0.04; and 1 * 0.05, which may not fall below the one before it.
    assert holm([0.04, 0.01, 0.05]) == pytest.approx([0.08, 0.03, 0.08])


@given(p_values)
def test_what_was_not_possible_does_not_count(values):
    with_gaps = [None, *(x for value in values for x in (value, None))]
    adjusted = holm(with_gaps)
    assert adjusted[1::2] == holm(values)
    assert set(adjusted[::2]) == {None}


def test_nothing_to_compare_is_fine():
    assert holm([]) == []
    assert holm([None]) == [None]
