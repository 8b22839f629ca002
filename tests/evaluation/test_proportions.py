from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.stats.proportion import proportion_confint

from ppgssl.evaluation.proportions import wilson_interval


@given(st.integers(1, 5000), st.data())
def test_the_interval_is_that_of_statsmodels(n, data):
    count = data.draw(st.integers(0, n))
    expected = proportion_confint(count, n, method="wilson")
    assert wilson_interval(count, n) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(
    ("count", "n", "low", "high"),
    # Newcombe, Statistics in Medicine 17, 1998, 10.1002/(SICI)1097-0258(19980430)17:8<857::AID-SIM777>3.0.CO;2-E,
    # table I, method 3.
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_the_interval_is_that_of_newcombes_table(count, n, low, high):
    assert wilson_interval(count, n) == pytest.approx((low, high), abs=5e-5)


def test_none_and_all_leave_an_interval_that_mirrors():
    low, high = wilson_interval(0, 12.5)
    assert low == 0.0
    assert high == pytest.approx(1.959964**2 / (12.5 + 1.959964**2), abs=1e-6)
    assert wilson_interval(12.5, 12.5) == pytest.approx((1 - high, 1 - low))
