"""Rounding rules: what a journal would print."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ppgssl.core.results.base import Interval
from ppgssl.report.text import rounding
from tests.support.fake_results import make_results


@pytest.mark.parametrize(
    ("p", "n_bootstrap", "text"),
    [
        (0.0, 2000, "<0.001"),
        (0.0004, 10_000, "<0.001"),
        (0.0042, 2000, "0.004"),
        (0.0123, 2000, "0.01"),
        (0.032, 2000, "0.03"),
        (0.0496, 2000, "0.050"),
        (0.0512, 2000, "0.051"),
        (0.27, 2000, "0.27"),
        (0.994, 2000, ">0.99"),
        (1.0, 2000, ">0.99"),
        (0.0, 200, "<0.01"),
        (2 / 501, 500, "<0.004"),
        (None, 2000, "–"),
        (math.nan, 2000, "–"),
    ],
)
def test_p_values_follow_journal_rules_and_the_resolution_of_the_bootstrap(p, n_bootstrap, text):
    assert rounding.p_value(p, n_bootstrap) == text


@pytest.mark.parametrize(
    ("value", "decimals", "signed", "text"),
    [
        (1234.5, 1, False, "1,234.5"),
        (-0.004, 2, True, "0.00"),
        (0.004, 2, True, "0.00"),
        (-0.031, 2, True, "−0.03"),
        (0.031, 2, True, "+0.03"),
        (None, 2, False, "–"),
        (math.inf, 2, False, "–"),
    ],
)
def test_numbers_have_a_true_minus_sign_and_no_signed_zero(value, decimals, signed, text):
    assert rounding.number(value, decimals, signed=signed) == text


def test_wide_intervals_get_two_decimals_and_narrow_ones_three():
    same = {"covariates": 0.70, "ssl-all": 0.70, "untrained": 0.70}
    assert rounding.auroc_decimals(make_results(arms=list(same), auroc=same, half_width=0.08)) == 2
    assert rounding.auroc_decimals(make_results(arms=list(same), auroc=same, half_width=0.01)) == 3


def test_a_third_decimal_appears_where_two_would_hide_that_an_interval_leaves_zero_out():
    # Difference 0.042 with half-width 0.04: the lower limit, 0.002, would print as 0.00.
    arms = {"covariates": 0.700, "ssl-all": 0.742}
    results = make_results(arms=list(arms), auroc=arms, half_width=0.08)
    assert rounding.auroc_decimals(results) == 3


@pytest.mark.parametrize(
    ("part", "whole", "text"), [(1, 3, "33%"), (36, 146, "25%"), (4100, 20000, "20.5%"), (0, 0, "–"), (None, 5, "–")]
)
def test_percents_have_a_decimal_only_where_the_group_is_large_enough(part, whole, text):
    assert rounding.percent(part, whole) == text


@pytest.mark.parametrize(
    ("words", "values", "printed"),
    [
        (rounding.sd_decimals, (15.8, 4.0, 0.31, 0.00001, 0.0, None), (0, 1, 2, 4, 1, 1)),  # two significant digits
        (rounding.duration, (4.21, 42.0, 420.0, 6270.0, None), ("4.2 s", "42 s", "7 min", "1 h 44 min", "–")),
        (rounding.energy, (None, 0.4, 840, 12_340, 345_600), ("–", "0 J", "840 J", "12.3 kJ", "346 kJ")),
        (rounding.energy, (4.56e6,), ("4.6 MJ",)),
        (rounding.risk, (0.2, 0.025, 0.0012, 0.1), ("20%", "2.5%", "0.12%", "10%")),
        (rounding.p_exact, (1e-12, 0.0113, None), ("<0.001", "0.01", "–")),  # limited by print alone
    ],
)
def test_numbers_have_the_unit_and_the_decimals_that_a_reader_would_use(words, values, printed):
    assert tuple(map(words, values)) == printed


@given(value=st.floats(allow_nan=True, allow_infinity=True), decimals=st.integers(0, 4))
def test_no_number_prints_as_nan_inf_or_negative_zero(value, decimals):
    text = rounding.number(value, decimals)
    assert "nan" not in text
    assert "inf" not in text
    assert not (text.startswith("−") and set(text) <= set("−0.,"))


@given(p=st.floats(0, 1), n_bootstrap=st.integers(100, 100_000))
def test_no_p_value_prints_as_zero(p, n_bootstrap):
    text = rounding.p_value(p, n_bootstrap)
    assert text.lstrip("<>").strip("0.") != ""


def test_enumerations_read_like_english():
    assert [rounding.enumeration("abc"[:n]) for n in range(4)] == ["", "a", "a and b", "a, b and c"]


def test_intervals_use_the_word_to_and_show_where_they_are_missing():
    value, none = (
        Interval(estimate=0.782, ci_low=0.7, ci_high=0.851),
        Interval(estimate=None, ci_low=None, ci_high=None),
    )
    assert rounding.interval(value) == "0.78 (0.70 to 0.85)"
    assert rounding.interval(Interval(estimate=0.78, ci_low=None, ci_high=None)) == "0.78 (no interval)"
    assert rounding.interval(none) == rounding.interval(None) == "–"
    assert rounding.percent_interval(value) == "78 (70 to 85)"
    assert rounding.percent_interval(value, 1, signed=True) == "+78.2 (+70.0 to +85.1)"
    assert rounding.percent_interval(None) == "–"
    assert rounding.interval_words(value) == "0.78, 0.70 to 0.85"
    assert rounding.interval_words(Interval(estimate=0.5, ci_low=None, ci_high=None)) == "0.50"


@pytest.mark.parametrize(
    ("limits", "text"),
    [
        ((1.524, 1.2, 1.934), "1.52 (1.20 to 1.93)"),
        ((12.34, 3.0, 140.6), "12.3 (3.00 to 141)"),
        ((0.001, 0.0, 5e6), "<0.01 (<0.01 to >9,999)"),
        ((1.5, None, None), "1.50 (no interval)"),
        ((None, None, None), "–"),
    ],
)
def test_ratios_have_decimals_by_their_size(limits, text):
    assert rounding.ratio(Interval(estimate=limits[0], ci_low=limits[1], ci_high=limits[2])) == text


def test_long_labels_are_shortened_between_words():
    assert rounding.short("Hypertension, stage 1 or 2") == "Hypertension, stage 1 or 2"
    assert rounding.short("word " * 30).endswith(" …")
    assert len(rounding.short("word " * 30)) <= 60
