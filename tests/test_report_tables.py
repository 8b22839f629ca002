"""Tables show every arm, every exclusion, and an en dash with a note where nothing is defined."""

from __future__ import annotations

import pytest

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


def test_the_pretraining_table_tells_the_machine_and_the_energy_where_it_is_counted():
    table = tables.pretraining_table(make_results(cpu_joules=12_340.0))
    assert table is not None
    rows = {row[0]: row[1] for row in _cells(table)}
    assert rows["Processor"] == "Xeon, 8 cores, 63 GB"
    assert rows["Peak memory of a process"] == "812 MB"
    assert rows["Energy of processors and memory"] == "12.3 kJ"
    assert "whole machine" in _notes(table)
    uncounted = tables.pretraining_table(make_results())
    assert uncounted is not None
    assert not any("Energy" in row[0] for row in _cells(uncounted))
    assert "whole machine" not in _notes(uncounted)


@pytest.mark.parametrize(
    ("devices", "nodes", "words"),
    [(1, 1, "GPU"), (4, 1, "GPU, 4 together"), (4, 2, "GPU, 4 on each of 2 machines")],
)
def test_devices_that_trained_together_are_counted(devices, nodes, words):
    results = make_results()
    for number, run in enumerate(results.pretraining):
        found = {"device": "GPU", "hardware": {"devices": devices, "nodes": nodes}}
        results.pretraining[number] = run.model_copy(update=found)
    table = tables.pretraining_table(results)
    assert table is not None
    assert ("Device", words, words) in _cells(table)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("variance explained", "no better than a flat line"),
        ("partner is the nearest of the batch", "guessing reaches 1 divided by"),
        ("balanced accuracy over transformations", "0.5 is guessing"),
    ],
)
def test_every_score_is_explained(name, words):
    results = make_results()
    results.pretraining[0] = results.pretraining[0].model_copy(update={"score_name": name})
    table = tables.pretraining_table(results)
    assert table is not None
    assert words in _notes(table)
