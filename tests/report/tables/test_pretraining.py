"""The table of pretraining tells what each encoder saw and what it cost."""

from __future__ import annotations

import pytest

from ppgssl.report.document import Table, plain
from ppgssl.report.tables import pretraining as tables
from tests.support.fake_results import make_results


def _cells(table: Table) -> list[tuple[str, ...]]:
    return [tuple(plain(cell) for cell in row.cells) for row in table.rows]


def _notes(table: Table) -> str:
    return " ".join(map(plain, table.notes))


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
