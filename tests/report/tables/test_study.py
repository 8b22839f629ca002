"""Tables of patients, signals and files: means, counts, every exclusion."""

from __future__ import annotations

from ppgssl.report.tables import study as tables
from tests.support.composed import cells
from tests.support.fake_results import make_results


def test_table_one_gives_means_medians_and_counts_with_missing_values():
    rows = cells(tables.table_one(make_results()))
    assert ("Age, years, mean (SD)", "57 (16)", "55 (16)", "65 (12)", "0", "0.71") in rows
    assert rows[1][0] == "Body mass index, kg/m², median [IQR]"
    assert rows[1][1] == "21.5 [18.8 to 24.2]"
    assert rows[1][4] == "4 (3%)"
    assert rows[2][0] == "Female sex, n (%)"
    assert rows[3][:2] == ("Smoking, n (%)", "")
    assert rows[4][:2] == ("never", "84 (60%)")


def test_every_exclusion_is_listed_with_its_reason_and_count():
    results = make_results(n_cohorts=3)
    table = tables.exclusions_table(results)
    n_exclusions = sum(len(flow.exclusions) for flow in results.flow)
    assert sum(row.kind == "indent" for row in table.rows) == n_exclusions
    assert ("low signal quality index", "segment", "17", "") in cells(table)


def test_unknown_defects_are_counted_as_other():
    results = make_results()
    results.quality[0].defects["saturated lamp"] = 3
    table = tables.quality_table(results)
    assert [column.header for column in table.columns][-2] == "Other"
    assert cells(table)[1][-2] == "3"
