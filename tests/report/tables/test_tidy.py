"""Tables to compute with: complete, not rounded, explained."""

from __future__ import annotations

import re

import pytest

from ppgssl.core.results.study import Results
from ppgssl.report.tables.tidy import TIDY, tidy_tables
from ppgssl.report.text.prose import load
from tests.report.sections.test_shift import measure
from tests.report.tables.test_build import spo2_check
from tests.support.fake_probe import make_probe
from tests.support.fake_results import make_results

# Fields of results that are words, configuration or pictures of single recordings, and no tables to compute with.
NO_TABLE = {
    *("schema_version", "name", "title", "description", "authors", "outcome", "outcome_label", "event_label"),
    *(
        "covariate_labels",
        "findings",
        "examples",
        "validation",
        "sample_size",
        "probe_note",
        "provenance",
        "refitting_notes",
    ),
}
HELD_BY = {
    "flow": "flow",
    "table_one": "table_one",
    "quality": "quality",
    "acquisition": "acquisition",
    "pretraining": "pretraining_curves",
    "leakage": "leakage",
    "shift": "shift",
    "arms": "arms",
    "decision_references": "decision_curves",
    "missing": "missing",
    "covariate_model": "odds_ratios",
    "added_value": "added_value",
    "subgroups": "subgroups",
    "learning_curves": "learning_curves",
    "stability": "stability",
    "optimism": "optimism",
    "embedding_maps": "embedding_maps",
    "probe": "probes",
    "spo2": "saturation",
}


@pytest.fixture(scope="module")
def results() -> Results:
    """With everything that results may hold, once."""
    found = make_results(arms=["covariates", "ssl-all", "covariates+ssl-all", "untrained"])
    return found.model_copy(update={"probe": make_probe(), "shift": [measure("age")], "spo2": spo2_check()})


def test_everything_found_is_in_a_table_or_known_to_be_none(results):
    assert set(HELD_BY) | NO_TABLE == set(Results.model_fields)
    tables = tidy_tables(results)
    assert set(tables) == set(TIDY) == set(load("tables/codebook.yaml")["files"])
    assert set(HELD_BY.values()) <= set(tables)


def test_every_column_is_explained_and_fits_stata(results):
    columns = {column for frame in tidy_tables(results).values() for column in frame.columns}
    assert columns == set(load("tables/codebook.yaml")["columns"])
    assert all(re.fullmatch(r"[a-z][a-z0-9_]{0,31}", column) for column in columns)


def test_numbers_are_those_of_the_results_to_the_last_digit(results):
    tables = tidy_tables(results)
    for arm in results.arms:
        rows = tables["performance"].query("arm == @arm.name and statistic == 'auroc'")
        assert rows[["estimate", "ci_low", "ci_high"]].to_numpy().tolist() == [
            [arm.auroc.estimate, arm.auroc.ci_low, arm.auroc.ci_high]
        ]
    arm = results.arms[1]
    point, printed = arm.operating_points[0], tables["operating_points"].query("arm == 'ssl-all'").iloc[0]
    assert (printed["threshold"], printed["npv_ci_low"]) == (point.threshold, point.npv.ci_low)
    roc = tables["roc_curves"].query("arm == 'ssl-all'")
    assert roc["true_positive_rate"].tolist() == arm.roc.true_positive_rate
    added = results.added_value[0]
    benefit = tables["added_value"].query("arm == @added.arm and statistic == 'net_benefit'").iloc[0]
    assert (benefit["threshold"], benefit["estimate"]) == (added.thresholds[0], added.net_benefit[0].estimate)
    assert benefit["reference"] == added.net_benefit[0].reference


def test_what_is_suppressed_or_unknown_is_empty_and_truth_is_a_number(results):
    tables = tidy_tables(results)
    unknown = tables["subgroups"].query("level == 'unknown'").iloc[0]
    assert unknown["is_suppressed"] == 1
    assert unknown[["n", "n_events", "arm", "estimate"]].isna().all()
    assert tables["embedding_maps"]["is_event"].isna().any()
    assert tables["arms"]["is_control"].tolist() == [0, 0, 0, 1]
    assert str(tables["subgroups"]["n"].dtype) == "Int64"  # 70, not 70.0, beside an empty cell


def test_a_table_without_a_row_is_not_there(results):
    assert "stability" not in tidy_tables(results.model_copy(update={"stability": []}))
