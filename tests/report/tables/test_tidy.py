"""Tables to compute with: complete, not rounded, explained."""

from __future__ import annotations

import re

import pytest

from ppgssl.core.results.base import Difference, Interval
from ppgssl.core.results.data import LeakageCheck, MissingData, MissingVariable
from ppgssl.core.results.performance import AddedValue, Calibration, DecisionCurve, OperatingPoint, RiskGroup
from ppgssl.core.results.robustness import (
    CovariateModel,
    EmbeddingMap,
    LearningCurve,
    LearningPoint,
    OddsRatio,
    Optimism,
    ShiftMeasure,
    Stability,
    Subgroup,
    SubgroupLevel,
)
from ppgssl.core.results.study import Results
from ppgssl.report.text.prose import load
from ppgssl.report.tables.tidy import TIDY, tidy_tables
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
}


def between(estimate: float) -> Interval:
    return Interval(estimate=estimate, ci_low=estimate - 1 / 7, ci_high=estimate + 1 / 7)


def difference(estimate: float) -> Difference:
    limits = between(estimate).model_dump()
    return Difference(**limits, p_value=1 / 3, p_adjusted=2 / 3, reference="covariates")


@pytest.fixture(scope="module")
def results() -> Results:
    """With everything that results may hold, once."""
    found = make_results(arms=["covariates", "ssl-all", "untrained"])
    arm = found.arms[1]
    arm.calibration = Calibration(
        intercept=between(0.1),
        slope=between(0.9),
        ici=between(0.02),
        e50=0.01,
        e90=0.05,
        curve_predicted=[0.1, 0.2, 0.4],
        curve_observed=[0.12, 0.2, 0.5],
        curve_ci_low=[0.1, 0.1, 0.3],
        curve_ci_high=[0.2, 0.3, 0.7],
        groups=[RiskGroup(n=10, mean_predicted=0.2, observed=0.3, ci_low=0.1, ci_high=0.6)],
        histogram=[3] * 20,
    )
    rates = {name: between(0.5) for name in ("sensitivity", "specificity", "ppv", "npv")}
    point = OperatingPoint(rule="youden", label="Youden index", threshold=1 / 3, n_positive=12.5, **rates)
    arm.operating_points = [point]
    curve = {"threshold": [0.1, 0.2], "net_benefit": [0.2, 0.1], "ci_low": [0.1, 0.0], "ci_high": [0.3, 0.2]}
    arm.decision_curve = DecisionCurve(**curve)
    found.decision_references = {"treat all": DecisionCurve(**curve)}
    missing = MissingVariable(name="age", label="Age", n_missing=3, n_missing_with_event=1, n=146)
    found.missing = MissingData(method="median", n_complete=143, n_patients=146, variables=[missing])
    ratio = OddsRatio(term="age", label="Age, years", odds_ratio=between(1.4), p_value=0.03)
    found.covariate_model = CovariateModel(n_patients=146, n_events=36, odds_ratios=[ratio])
    added = {"auroc": difference(0.02), "net_benefit": [difference(0.01)], "thresholds": [0.2]}
    found.added_value = [
        AddedValue(arm=arm.name, reference="covariates", lr_chi2=4.2, lr_df=1, lr_p_value=0.04, **added)
    ]
    levels = [
        SubgroupLevel(level="Female", n=70, n_events=20, auroc={arm.name: between(0.7)}),
        SubgroupLevel(level="Male", n=None, n_events=None, is_suppressed=True),
    ]
    found.subgroups = [Subgroup(variable="sex", label="Sex", levels=levels, interaction_p={arm.name: 0.5})]
    points = [LearningPoint(n_patients=50, n_events=12.5, auroc=between(0.6), n_fits=5)]
    found.learning_curves = [LearningCurve(arm=arm.name, label=arm.label, points=points)]
    names = {"arm": arm.name, "label": arm.label}
    stable = {"risk": [0.1, 0.2], "ci_low": [0.0, 0.1], "ci_high": [0.3, 0.4], "mean_absolute_difference": 0.05}
    found.stability = [Stability(**names, n_refits=20, **stable)]
    found.optimism = [Optimism(**names, n_resamples=50, apparent=0.9, harrell=between(0.8), b632plus=between(0.81))]
    places = {"x": [0.0, 1.0], "y": [2.0, 3.0], "is_event": [True, None], "cohort": ["a", "b"]}
    found.embedding_maps = [EmbeddingMap(features="ssl-all", label="All", method="t-SNE", **places)]
    found.leakage = [LeakageCheck(what="encoder", n_checked=15, n_shared=0)]
    found.shift = [
        ShiftMeasure(
            name="age",
            label="Age",
            group="covariate",
            n=9,
            n_missing=1,
            n_reference=99,
            share_missing_reference=0.1,
            mean=3.5,
            difference=0.4,
            is_warning=True,
        )
    ]
    found.probe = make_probe()
    return found


def test_everything_found_is_in_a_table_or_known_to_be_none(results):
    assert set(HELD_BY) | NO_TABLE == set(Results.model_fields)
    tables = tidy_tables(results)
    assert set(tables) == set(TIDY)
    assert set(HELD_BY.values()) <= set(tables)


def test_every_column_is_explained_and_fits_stata(results):
    columns = {column for frame in tidy_tables(results).values() for column in frame.columns}
    assert columns == set(load("tables/codebook.yaml"))
    assert all(re.fullmatch(r"[a-z][a-z0-9_]{0,31}", column) for column in columns)


def test_numbers_are_those_of_the_results_to_the_last_digit(results):
    tables = tidy_tables(results)
    for arm in results.arms:
        rows = tables["performance"].query("arm == @arm.name and statistic == 'auroc'")
        assert rows[["estimate", "ci_low", "ci_high"]].to_numpy().tolist() == [
            [arm.auroc.estimate, arm.auroc.ci_low, arm.auroc.ci_high]
        ]
    point = tables["operating_points"].query("arm == 'ssl-all'").iloc[0]
    assert (point["threshold"], point["npv_ci_low"], point["n_positive"]) == (1 / 3, 0.5 - 1 / 7, 12.5)
    roc = tables["roc_curves"].query("arm == 'ssl-all'")
    assert roc["true_positive_rate"].tolist() == results.arms[1].roc.true_positive_rate
    benefit = tables["added_value"].query("statistic == 'net_benefit'").iloc[0]
    assert (benefit["threshold"], benefit["estimate"], benefit["reference"]) == (0.2, 0.01, "covariates")


def test_what_is_suppressed_or_unknown_is_empty_and_truth_is_a_number(results):
    tables = tidy_tables(results)
    male = tables["subgroups"].query("level == 'Male'").iloc[0]
    assert male["is_suppressed"] == 1
    assert male[["n", "n_events", "arm", "estimate"]].isna().all()
    assert tables["embedding_maps"]["is_event"].isna().tolist() == [False, True]
    assert tables["arms"]["is_control"].tolist() == [0, 0, 1]
    assert str(tables["subgroups"]["n"].dtype) == "Int64"  # 70, not 70.0, beside an empty cell


def test_a_table_without_a_row_is_not_there(results):
    assert "stability" not in tidy_tables(results.model_copy(update={"stability": []}))
