"""Tables of subgroups, optimism, covariates, missing values, sample size and leakage."""

from __future__ import annotations

import pytest

from ppgssl.core.results.base import Interval
from ppgssl.report.tables import robustness as tables
from tests.support.composed import cells
from tests.support.fake_results import PARTS, make_results

ALL = ("subgroups_table", "optimism_table", "odds_table", "missing_table", "sample_size_table", "leakage_table")


@pytest.mark.parametrize("make", ALL)
def test_a_table_of_what_was_not_computed_is_left_out(make):
    assert getattr(tables, make)(make_results(without=PARTS)) is None


def test_small_levels_are_suppressed_with_their_numbers():
    results = make_results()
    (row,) = [row for row in cells(tables.subgroups_table(results)) if row[0] == "unknown"]
    assert row == ("unknown", "<5", "<5", "suppressed", "suppressed", "suppressed")


def test_subgroups_show_the_covariates_the_signals_and_both():
    names = [arm.name for arm in tables.subgroup_arms(make_results())]
    assert names == ["covariates", "ssl-all", "covariates+ssl-all"]
    few = make_results(arms=["untrained", "network-random"])
    assert [arm.name for arm in tables.subgroup_arms(few)] == ["network-random", "untrained"]


def test_each_subgroup_ends_in_its_interaction_p_value():
    rows = cells(tables.subgroups_table(make_results()))
    assert [row[0] for row in rows].count("p for interaction") == 2
    assert rows[3] == ("p for interaction", "", "", "0.21", "0.23", "0.27")


def test_missing_values_are_counted_by_outcome():
    rows = cells(tables.missing_table(make_results()))
    assert rows[0] == ("Age", "0", "0", "0")
    assert rows[2] == ("Body mass index", "4 (3%)", "1 (3%)", "3 (3%)")


def test_the_sample_size_table_ends_in_what_is_needed_and_what_there_is():
    rows = cells(tables.sample_size_table(make_results()))
    assert rows[-2:] == [("All of them", "286"), ("Patients of this study", "146")]


def test_odds_ratios_that_separation_made_infinite_are_printed_as_limits():
    results = make_results()
    results.covariate_model.odds_ratios[0].odds_ratio = Interval(estimate=3e8, ci_low=1e-9, ci_high=float("inf"))
    assert cells(tables.odds_table(results))[0][1] == ">9,999 (<0.01 to –)"


def test_what_was_shared_is_counted():
    results = make_results()
    results.leakage[1].n_shared = 4
    assert cells(tables.leakage_table(results))[1] == ("Imputation and scaling", "146", "4", "")
