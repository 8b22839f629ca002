"""Words of a table come from a file; every row of every table has a cell for each column."""

from __future__ import annotations

import pytest

from ppgssl.core.results.data import Spo2Agreement, Spo2Check
from ppgssl.report.document import Row, Table, plain
from ppgssl.report.sections.contents import make_sections
from ppgssl.report.tables.build import build_table, grouped_rows
from ppgssl.report.tables.study import spo2_table
from ppgssl.report.text.methods import configuration
from ppgssl.report.text.prose import load
from tests.report.sections.test_shift import external, measure
from tests.support.fake_probe import make_probe
from tests.support.fake_results import make_results


def _tables(results) -> list[Table]:
    sections = make_sections(results, configuration(results))
    return [block for section in sections for block in section.blocks if isinstance(block, Table)]


@pytest.mark.parametrize(
    "options",
    [{}, {"with_intervals": False}, {"n_patients": 20, "n_events": 5}, {"missing": "mice", "n_extra_arms": 2}],
)
def test_every_row_has_a_cell_for_each_column_and_no_none(options):
    results = make_results(
        arms=["covariates", "ssl-all", "covariates+ssl-all", "untrained", "network-random"], **options
    )
    tables = _tables(results.model_copy(update={"probe": make_probe(is_defined=options == {}), "spo2": spo2_check()}))
    assert len(tables) > 15
    for table in tables:
        assert all(len(row.cells) == len(table.columns) for row in table.rows if row.kind != "group"), table.label
        printed = str([plain(cell) for row in table.rows for cell in row.cells])
        assert "None" not in printed
        assert "nan" not in printed


def test_every_table_of_the_file_is_made_and_no_other():
    arms = ["covariates", "covariates+ssl-all", "covariates+untrained", "pulse-wave", "ssl-all+pulse-wave"]
    whole = make_results(arms=arms).model_copy(update={"probe": make_probe(), "spo2": spo2_check()})
    made = {table.label for table in [*_tables(whole), *_tables(external(shift=[measure("age")]))]}
    assert made - {"table-tripod", "table-probast"} == set(load("tables/tables.yaml"))


def test_a_table_without_rows_is_none_and_members_stand_below_their_group():
    assert build_table("table-optimism", []) is None
    rows = grouped_rows([("a", [1, 2])], lambda n: (str(n),), lambda n: n == 2)
    assert rows == [Row(("a",), "group"), Row(("1",), "indent"), Row(("2",), "muted")]


def spo2_check(calibration="fit"):
    limits = [(None, None), (None, 70), (70, 80), (90, None)]
    rows = [
        Spo2Agreement(low=low, high=high, n_segments=12, n_patients=5, bias=-1.26, a_rms=3.04) for low, high in limits
    ]
    curve = (87.0, -24.5) if calibration == "fit" else None
    return Spo2Check(
        cohort="cohort-0",
        reference="the saturation that the device displayed",
        calibration=calibration,
        curve=curve,
        n_unknown=1,
        ranges=rows,
    )


@pytest.mark.parametrize(
    ("calibration", "words"),
    [("fit", "87.0 -24.5 ln R"), ("textbook", "Uncalibrated"), ("device", "gives for the device")],
)
def test_the_saturation_is_compared_by_range_and_its_calibration_named(calibration, words):
    table = spo2_table(make_results().model_copy(update={"spo2": spo2_check(calibration)}))
    first = [plain(row.cells[0]) for row in table.rows]
    assert first == ["all", "below 70 %", "70 to 80 %", "90 % and above"]
    assert [plain(cell) for cell in table.rows[0].cells[1:]] == ["12", "5", "\u22121.3", "3.0"]
    assert words in " ".join(plain(note) for note in table.notes)
    assert spo2_table(make_results()) is None
