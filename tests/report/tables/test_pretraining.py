"""The table of pretraining tells what each encoder saw and what it cost."""

from __future__ import annotations

import pytest

from ppgssl.report.tables import pretraining as tables
from tests.support.composed import cells, notes
from tests.support.fake_results import make_results


def test_the_pretraining_table_names_the_machine_and_the_energy_where_it_is_counted():
    table = tables.pretraining_table(make_results(cpu_joules=12_340.0))
    rows = {row[0]: row[1] for row in cells(table)}
    assert rows["Processor"] == "Xeon, 8 cores, 63 GB"
    assert rows["Peak memory of a process"] == "812 MB"
    assert rows["Energy of processors and memory"] == "12.3 kJ"
    assert "whole machine" in notes(table)
    uncounted = tables.pretraining_table(make_results())
    assert not any("Energy" in row[0] for row in cells(uncounted))
    assert "whole machine" not in notes(uncounted)


@pytest.mark.parametrize(
    ("devices", "nodes", "words"), [(1, 1, "GPU"), (4, 1, "GPU, 4 together"), (4, 2, "GPU, 4 on each of 2 machines")]
)
def test_devices_that_trained_together_are_counted(devices, nodes, words):
    results = make_results()
    for number, run in enumerate(results.pretraining):
        found = {"device": "GPU", "hardware": {"devices": devices, "nodes": nodes}}
        results.pretraining[number] = run.model_copy(update=found)
    table = tables.pretraining_table(results)
    assert ("Device", words, words) in cells(table)


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
    assert words in notes(table)
