"""Tables show every arm, every exclusion, and an en dash with a note where nothing is defined."""

from __future__ import annotations

from ppgssl.report import tables
from ppgssl.report.document import Table, plain
from tests.fake_results import make_results


def _cells(table: Table) -> list[tuple[str, ...]]:
    return [tuple(plain(cell) for cell in row.cells) for row in table.rows]


def _notes(table: Table) -> str:
    return " ".join(map(plain, table.notes))


def test_every_arm_has_a_row_and_controls_come_last_and_muted():
    results = make_results()
    table = tables.results_table(results)
    labels = [row.cells[0] for row in table.rows if row.kind != "group"]
    assert sorted(map(plain, labels)) == sorted(arm.label for arm in results.arms)
    kinds = [row.kind for row in table.rows]
    first_control = kinds.index("muted")
    assert set(kinds[first_control:]) == {"muted"}
    assert all(len(row.cells) == len(table.columns) for row in table.rows if row.kind != "group")


def test_undefined_statistics_are_en_dashes_with_a_note():
    table = tables.results_table(make_results(with_intervals=False))
    assert any("–" in row for row in _cells(table))
    assert "– not defined" in _notes(table)
    assert "– not defined" not in _notes(tables.results_table(make_results()))


def test_columns_without_content_are_left_out():
    table = tables.results_table(make_results(arms=["heart-rate", "ssl-all"], with_sensitivity=False))
    assert [column.header for column in table.columns] == ["Arm", "Features", "AUROC (95% interval)"]


def test_transductive_arms_carry_a_dagger_that_a_note_explains():
    table = tables.results_table(make_results(exposure="transductive"))
    assert any(row[0].endswith("†") for row in _cells(table))
    assert "saw the signals of test patients" in _notes(table)
    assert not any("†" in row[0] for row in _cells(tables.results_table(make_results())))


def test_table_one_gives_means_medians_and_counts_with_missing_values():
    rows = _cells(tables.table_one(make_results()))
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
    assert table is not None
    n_exclusions = sum(len(flow.exclusions) for flow in results.flow)
    assert sum(row.kind == "indent" for row in table.rows) == n_exclusions
    assert ("low signal quality", "segment", "17", "") in _cells(table)


def test_the_untrained_table_names_both_arms_of_each_comparison():
    table = tables.untrained_table(make_results())
    assert table is not None
    assert _cells(table)[0][:2] == ("SSL features (labelled cohort)", "Untrained encoder features")
    assert tables.untrained_table(make_results(arms=["covariates", "ssl-all"])) is None


def test_unknown_defects_are_counted_as_other():
    results = make_results()
    results.quality[0].defects["saturated lamp"] = 3
    table = tables.quality_table(results)
    assert table is not None
    assert [column.header for column in table.columns][-2] == "Other"
    assert _cells(table)[1][-2] == "3"
