"""What may be claimed depends on the interval, the adjusted p-value and the number of events."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ppgssl.core.results.base import Difference, Interval
from ppgssl.report.text import claims
from tests.support.fake_results import PARTS, make_results


def _difference(low: float, high: float, p_value: float | None, p_adjusted: float | None) -> Difference:
    return Difference(
        estimate=(low + high) / 2, ci_low=low, ci_high=high, p_value=p_value, p_adjusted=p_adjusted, reference="x"
    )


@pytest.mark.parametrize(
    ("low", "high", "direction"),
    [
        (0.01, 0.05, "higher"),
        (-0.01, 0.05, "unclear"),
        (0.0, 0.05, "unclear"),
        (-0.05, 0.0, "unclear"),
        (-0.05, -0.01, "lower"),
        (None, None, "undefined"),
        (math.nan, 0.1, "undefined"),
    ],
)
def test_the_direction_is_that_of_the_interval(low, high, direction):
    assert claims.direction(Interval(estimate=0.02, ci_low=low, ci_high=high)) == direction


@pytest.mark.parametrize(
    ("p_value", "p_adjusted", "claim"),
    [
        (0.01, 0.03, "higher"),
        (0.01, 0.05, "unclear"),
        (0.01, 0.2, "unclear"),
        (0.01, None, "higher"),  # one comparison alone is not adjusted
        (0.2, None, "unclear"),
        (None, None, "unclear"),
    ],
)
def test_an_interval_above_zero_is_a_claim_only_with_an_adjusted_p_value_below_5_percent(p_value, p_adjusted, claim):
    results = make_results(without=PARTS)
    assert claims.claim(results, _difference(0.01, 0.05, p_value, p_adjusted)) == claim


@given(low=st.floats(-0.3, 0.3), width=st.floats(0.0, 0.4), p_value=st.floats(0, 1), n_events=st.integers(1, 99))
def test_claims_follow_the_three_rules(low, width, p_value, n_events):
    results = make_results(n_patients=100, n_events=n_events, arms=["covariates"], without=PARTS)
    found = claims.claim(results, _difference(low, low + width, p_value, p_value))
    may_claim = p_value < 0.05 and min(n_events, 100 - n_events) >= 10
    assert (found == "higher") == (low > 0 and may_claim)
    assert (found == "lower") == (low + width < 0 and may_claim)


def test_of_a_single_split_only_the_tested_patients_count():
    study = {"validation": {"scheme": "single-split"}}
    results = make_results(n_patients=1031, n_events=130, study=study, without=PARTS)
    assert claims.n_rare(results) == 26


def test_long_lists_of_arms_end_in_a_number():
    arms = make_results(without=PARTS).arms
    assert claims.named(arms[:2]) == "“SpO2 + heart rate” and “Clinical covariates”"
    assert claims.named(arms).endswith("and 13 more")
