"""The section on the representation shows every quantity and depth, and says what was not measurable."""

from __future__ import annotations

import pytest
from pypdf import PdfReader

from ppgssl.report.document import Bullets, Callout, Picture, Strong, Table, plain
from ppgssl.report.sections.representation import (
    depth_table,
    plot_depths,
    plot_probes,
    probe_table,
    representation_section,
)
from ppgssl.report.text import rounding
from tests.support.composed import LEAST, cells, write_report
from tests.support.fake_probe import make_probe
from tests.support.fake_results import PARTS, SPECIAL, make_results


def test_without_a_probe_there_is_no_section():
    assert representation_section(make_results()).blocks == ()


def test_a_probe_that_is_out_of_date_leaves_a_sentence_in_place_of_its_tables():
    section = representation_section(make_results().model_copy(update={"probe_note": "Run `ppgssl probe` again."}))
    (block,) = section.blocks
    assert isinstance(block, Callout)
    assert plain(block.text) == "Run ppgssl probe again."


def test_encoders_that_learnt_nothing_are_named_before_their_numbers():
    probe = make_probe()
    probe.representations[0] = probe.representations[0].model_copy(update={"warnings": ["vicreg, fold0: collapsed"]})
    section = representation_section(make_results().model_copy(update={"probe": probe}))
    callout = next(block for block in section.blocks if isinstance(block, Callout))
    assert "VICReg" in plain(callout.title)
    assert "vicreg, fold0: collapsed." in plain(callout.text)


def test_each_measured_quantity_has_a_row_for_each_representation():
    results, probe = make_results(), make_probe()
    rows = cells(probe_table(results, probe, "cohort-0", "table-probe"))
    groups = [row[0] for row in rows if len(row) == 1]
    assert [text.split(" (")[0] for text in groups] == ["Heart rate, /min", "Same patient found", "Hypertension"]
    assert "chance 0.020" in groups[1]
    labels = [row[0] for row in rows if len(row) > 1]
    assert labels == 3 * ["VICReg", "Untrained encoder", "Principal components"]
    value = next(one.value for one in probe.measures if (one.statistic, one.part) == ("r2", "moments"))
    assert rows[1][2] == rounding.interval(value)
    assert rows[1][3] != ""  # the mean error of a heart rate; a retrieval has none
    assert rows[5][3] == ""


def test_the_best_depth_of_each_encoder_is_bold():
    table = depth_table(make_results(), make_probe(), "cohort-0", "table-depth")
    rows = [row for row in table.rows if row.kind != "group"]
    assert [plain(row.cells[0]) for row in rows] == 2 * [
        "Moments of every depth (as used)",
        "Depth 1",
        "Depth 2",
        "Deepest, mean alone",
    ]
    for column in range(2, 5):
        for first in (0, 4):  # of each encoder
            depths = [rows[first + 1].cells[column], rows[first + 2].cells[column]]
            is_bold = [isinstance(cell, tuple) and isinstance(cell[0], Strong) for cell in depths]
            assert is_bold.count(True) == 1
            best = max(float(plain(cell)) for cell in depths)
            assert float(plain(depths[is_bold.index(True)])) == best


def test_what_is_not_measurable_is_reported_with_the_number_of_patients():
    section = representation_section(make_results().model_copy(update={"probe": make_probe()}))
    bullets = next(block for block in section.blocks if isinstance(block, Bullets))
    assert "SpO2 is not measurable" in plain(bullets.items[0])
    assert "4 patients with a value" in plain(bullets.items[0])


def test_each_cohort_has_tables_and_figures_of_its_own():
    probe = make_probe(("cohort-0", "cohort-1"))
    section = representation_section(make_results().model_copy(update={"probe": probe}))
    labels = [block.label for block in section.blocks if isinstance(block, Table | Picture)]
    kinds = ["table-probe", "figure-probe", "table-depth", "figure-depth"]
    assert labels == [*kinds, *(f"{kind}-2" for kind in kinds)]


def test_figures_have_a_panel_for_each_quantity():
    probe = make_probe()
    for figure in (plot_probes(probe, "cohort-0"), plot_depths(probe, "cohort-0")):
        titles = [axes.get_title(loc="left") for axes in figure.axes]
        assert titles == ["Heart rate", "Same patient found", "Hypertension"]
    assert len(plot_depths(probe, "cohort-0").axes[0].lines) == 3  # two encoders, and chance


@pytest.mark.parametrize("probe", [make_probe(suffix=f" {SPECIAL}"), make_probe(is_defined=False)])
def test_the_section_can_be_typeset_whatever_its_labels_and_gaps(tmp_path, probe):
    results = make_results(**LEAST, without=PARTS).model_copy(update={"probe": probe})
    text = "\n".join(page.extract_text() for page in PdfReader(write_report(results, tmp_path)).pages)
    assert "What the representation holds" in text
    printed = str(cells(probe_table(results, probe, "cohort-0", "table-probe")))
    assert "nan" not in printed
    assert "None" not in printed
