"""Tables of performance show every arm, in the order of the published table, with intervals and adjusted p-values."""

from __future__ import annotations

import pytest

from ppgssl.report.document import plain
from ppgssl.report.tables import performance as tables
from ppgssl.report.text import rounding
from ppgssl.report.text.families import Family
from tests.support.composed import cells, notes
from tests.support.fake_results import PARTS, make_results

LATER = ("metrics_table", "intervals_table", "calibration_table", "operating_table", "added_value_table")


def test_every_arm_has_a_row_and_only_controls_are_muted():
    results = make_results()
    table = tables.results_table(results)
    labels = [row.cells[0] for row in table.rows if row.kind != "group"]
    assert sorted(map(plain, labels)) == sorted(arm.label for arm in results.arms)
    controls = {arm.label for arm in results.arms if arm.is_control}
    assert {plain(row.cells[0]) for row in table.rows if row.kind == "muted"} == controls
    assert all(len(row.cells) == len(table.columns) for row in table.rows if row.kind != "group")


def test_undefined_statistics_are_en_dashes_with_a_note():
    table = tables.results_table(make_results(with_intervals=False))
    assert any("–" in row for row in cells(table))
    assert "– not defined" in notes(table)
    assert "– not defined" not in notes(tables.results_table(make_results()))


def test_columns_without_content_are_left_out():
    table = tables.results_table(make_results(arms=["heart-rate", "ssl-all"], with_sensitivity=False))
    assert [column.header for column in table.columns] == ["Arm", "Features", "AUROC (95% interval)"]


def test_transductive_arms_carry_a_dagger_that_a_note_explains():
    table = tables.results_table(make_results(exposure="transductive"))
    assert any(row[0].endswith("†") for row in cells(table))
    assert "saw the signals of test patients" in notes(table)
    assert not any("†" in row[0] for row in cells(tables.results_table(make_results())))


def test_the_untrained_table_names_both_arms_of_each_comparison():
    table = tables.paired_table(make_results(), "table-untrained")
    assert cells(table)[0][:2] == ("SSL features (labelled cohort)", "Untrained encoder features")
    assert tables.paired_table(make_results(arms=["covariates", "ssl-all"]), "table-untrained") is None


def test_arms_stand_in_the_order_of_the_published_table():
    rows = tables.results_table(make_results()).rows
    groups = [plain(row.cells[0]) for row in rows if row.kind == "group"]
    absent = {Family.EXTERNAL, Family.HAND_CRAFTED_SSL, Family.OTHERS}
    assert groups == [family for family in Family if family not in absent]


def test_p_values_are_the_adjusted_ones_where_there_are_any():
    results = make_results()
    found = {row[0]: row for row in cells(tables.results_table(results)) if len(row) > 1}
    assert [column.header for column in tables.results_table(results).columns][4] == "p (Holm)"
    for arm in results.arms:
        if arm.difference is not None:
            assert found[arm.label][4] == rounding.p_value(arm.difference.p_adjusted, 2000)
    assert "adjusted by Holm" in notes(tables.results_table(results))
    raw = tables.results_table(make_results(is_adjusted=False))
    assert raw.columns[4].header == "p"
    assert "not adjusted" in notes(raw)


@pytest.mark.parametrize("make", LATER)
def test_a_table_of_what_was_not_computed_is_left_out(make):
    assert getattr(tables, make)(make_results(without=PARTS)) is None


def test_arms_without_further_measures_are_not_listed_among_them():
    results = make_results(n_extra_arms=2)
    table = tables.metrics_table(results)
    assert "Extra arm number 0" not in str(cells(table))
    assert "AUPRC" in [column.header for column in table.columns]


def test_the_operating_table_has_a_block_for_each_rule_and_percents():
    results = make_results(arms=["covariates", "ssl-all"])
    table = tables.operating_table(results)
    assert [row.kind for row in table.rows] == 3 * ["group", "indent", "indent"]
    point = results.arms[0].operating_points[0]
    assert cells(table)[1][3] == rounding.percent_interval(point.sensitivity)
    assert cells(table)[1][3].split(" ")[0] == f"{100 * point.sensitivity.estimate:.0f}"


def test_the_clinical_table_compares_with_the_same_learner():
    arms = ["covariates", "covariates+ssl-all"]
    results = make_results(arms=[*arms, *(f"{arm}:gradient-boosting" for arm in arms)])
    table = tables.paired_table(results, "table-clinical")
    assert [row[1] for row in cells(table)] == ["Clinical covariates", "Clinical covariates, gradient boosting"]


def test_the_hand_crafted_table_compares_with_the_same_arm_without_an_encoder():
    arms = ["pulse-wave", "covariates", "covariates+pulse-wave", "ssl-all+pulse-wave", "covariates+ssl-all+pulse-wave"]
    results = make_results(arms=arms)
    table = tables.paired_table(results, "table-hand-crafted")
    assert [row[1] for row in cells(table)] == [
        "Hand-crafted pulse features",
        "Covariates + hand-crafted pulse features",
    ]
    assert {(row.arm, row.reference) for row in results.added_value} == set(zip(arms[3:], arms[::2], strict=False))


def test_added_value_has_a_column_of_net_benefit_for_each_threshold_per_100_patients():
    results = make_results()
    table = tables.added_value_table(results)
    headers = [column.header for column in table.columns]
    assert headers[4:] == ["Net benefit at 10%, per 100", "Net benefit at 20%, per 100"]
    benefit = results.added_value[0].net_benefit[0]
    assert cells(table)[0][4].startswith(rounding.number(100 * benefit.estimate, 1, signed=True))
