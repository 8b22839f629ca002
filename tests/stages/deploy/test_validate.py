"""A frozen model on another cohort: what is evaluated, who is left out, what differs, and that the report shows it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import jsonschema
import numpy as np
import pandas as pd
import pytest
from ppgssl.data_schemas import schema_text
from sklearn.metrics import brier_score_loss, roc_auc_score

from ppgssl.core.errors import ConfigError, EvaluationError, LeakageError, StoreError
from ppgssl.core.reasons import FindingKind, Reason
from ppgssl.core.results.study import load_results
from ppgssl.evaluation.recalibration import Recalibration
from ppgssl.report.composition import compose
from ppgssl.stages.deploy.predict import predict
from ppgssl.stages.deploy.validate import validate_model
from ppgssl.stages.ingest.ingest import ingest
from tests.support.fitted_models import VARIABLES, make_hospital
from tests.support.small_cohorts import describe, signal, write_signal

N = 50


@pytest.fixture(scope="module")
def model(hospital_model):
    return hospital_model


@pytest.fixture(scope="module")
def shifted(tmp_path_factory) -> Path:
    """Patients twenty years older, as ill."""
    folder = tmp_path_factory.mktemp("older")
    make_hospital(folder, N, seed=2, older_by=20)
    return folder


@pytest.fixture(scope="module")
def validated(model, shifted, tmp_path_factory):
    out = tmp_path_factory.mktemp("validated")
    return validate_model(model, shifted / "cohort.yaml", out, n_jobs=1), out


@pytest.fixture
def again(shifted, validated, tmp_path) -> tuple[Path, Path]:
    """The same hospital, to be changed, and a folder for its results with what was ingested of it."""
    shutil.copytree(shifted, tmp_path / shifted.name)
    shutil.copytree(validated[1], tmp_path / "out")
    return tmp_path / shifted.name, tmp_path / "out"


def test_results_are_kept_and_follow_their_schema(validated):
    found, out = validated
    assert load_results(out / "results.json") == found.results
    jsonschema.validate(json.loads((out / "results.json").read_text()), json.loads(schema_text("results")))
    assert found.results.validation.scheme == "external"


def test_the_risks_are_those_of_predict(model, shifted, validated):
    _, out = validated
    table = pd.read_parquet(out / "predictions.parquet").query("arm == 'frozen'").set_index("patient_id")
    for one in predict(model, cohort_file=shifted / "cohort.yaml").patients:
        row = table.loc[f"{shifted.name}/{one.patient_id}"]
        assert (one.risk, one.ci_low, one.ci_high) == pytest.approx((row["y_score"], row["ci_low"], row["ci_high"]))


def test_the_frozen_model_is_evaluated_as_it_is(validated):
    found, out = validated
    table = pd.read_parquet(out / "predictions.parquet").query("arm == 'frozen'")
    frozen = found.results.arms[0]
    assert frozen.auroc.estimate == pytest.approx(roc_auc_score(table["y_true"], table["y_score"]))
    assert frozen.brier.estimate == pytest.approx(brier_score_loss(table["y_true"], table["y_score"]))
    assert [point.rule for point in frozen.operating_points] == ["youden", "sensitivity", "given"]
    assert [point.threshold for point in frozen.operating_points][2] == 0.3


def test_recalibration_is_reported_next_to_the_frozen_model_and_changes_no_ranking(validated):
    found, out = validated
    frozen, *others = found.results.arms
    assert [arm.name for arm in others] == ["recalibrated-in-the-large", "recalibrated-by-slope"]
    for arm in others:
        assert arm.auroc == frozen.auroc
        assert arm.roc == frozen.roc
    # Patients are twenty years older at the same risk: frozen risks are far too high, recalibrated ones are not.
    assert frozen.calibration.intercept.estimate < -0.8
    assert abs(others[0].calibration.intercept.estimate) < 0.3
    assert others[1].brier.estimate < frozen.brier.estimate
    kept = Recalibration.model_validate_json((out / "recalibration-in-the-large.json").read_text())
    assert kept.intercept == pytest.approx(frozen.calibration.intercept.estimate, abs=1e-6)
    assert any("Offered, not applied" in note for note in found.results.validation.notes)


def test_what_differs_is_measured_and_warned_of(validated):
    found, _ = validated
    by_name = {one.name: one for one in found.results.shift}
    assert by_name["age"].is_warning
    assert by_name["age"].difference == pytest.approx(2, abs=0.5)
    assert by_name["age"].mean - by_name["age"].mean_reference == pytest.approx(20, abs=5)
    assert by_name["risk"].is_warning
    assert not by_name["stage"].is_warning
    assert any("Age (+" in warning for warning in found.warnings)
    assert any(one.kind == FindingKind.UNLIKE_COVARIATES for one in found.results.findings)


def test_patients_of_the_same_kind_are_no_warning(model, tmp_path):
    make_hospital(tmp_path, N, seed=5)
    found = validate_model(model, tmp_path / "cohort.yaml", tmp_path / "out", n_jobs=1)
    shifted = [one.name for one in found.results.shift if one.is_warning and one.group != "feature"]
    assert len(shifted) <= 1  # of ten, by chance


def test_the_report_shows_it(validated):
    found, _ = validated
    sections = {section.title: section for section in compose(found.results).sections}
    assert "Shift" in sections
    table = next(block for block in sections["Shift"].blocks if getattr(block, "label", "") == "table-shift")
    assert any("Age (years)" in str(row.cells[0]) for row in table.rows)


def test_a_store_made_by_the_models_rules_gives_the_same(model, validated, tmp_path):
    again = validate_model(model, validated[1] / "store", tmp_path / "out", n_jobs=1)
    assert again.results.arms[0].auroc == validated[0].results.arms[0].auroc
    assert again.results.arms[0].calibration.slope.estimate == pytest.approx(
        validated[0].results.arms[0].calibration.slope.estimate
    )


def test_a_store_made_by_other_rules_is_refused_with_the_way_out(model, shifted, tmp_path):
    shutil.copytree(shifted, tmp_path / "copy")
    other = describe(tmp_path / "copy", **{"clinical__variables": VARIABLES, "signal__fs_hz": 40})
    ingest(other, tmp_path / "store", n_jobs=1)
    with pytest.raises(StoreError, match=r"other settings of `signal`.*Give the cohort.yaml instead"):
        validate_model(model, tmp_path / "store", tmp_path / "out", n_jobs=1)


def test_patients_whom_the_model_has_seen_are_left_out_and_named(model, again):
    folder, out = again
    write_signal(folder, "p3_1", signal(1000 + 5))  # what p5 of the training cohort recorded
    found = validate_model(model, folder / "cohort.yaml", out, n_jobs=1)
    assert found.results.validation.n_patients == N - 1
    assert any("1 patients" in one.text and f"{folder.name}/p3" in one.text for one in found.results.findings)
    flow = found.results.flow[0]
    assert flow.n_patients_analysed == N - 1
    assert [one.n for one in flow.exclusions if one.reason is Reason.SEEN_BY_MODEL] == [1]
    assert not any(one.n_shared for one in found.results.leakage)


def test_a_folder_of_raw_files_and_a_cohort_without_the_light_are_refused_before_anything_is_read(
    model, shifted, tmp_path
):
    with pytest.raises(ConfigError, match=r"is no store: name the description in it, .*cohort\.yaml"):
        validate_model(model, shifted, tmp_path / "out", n_jobs=1)
    path = describe(tmp_path, root=str(shifted), signals__channels={"ppg_green": {"column": "red"}})
    with pytest.raises(ConfigError, match=r"'ppg' is one of the channels ppg_ir, ppg_red, .* has ppg_green"):
        validate_model(model, path, tmp_path / "out", n_jobs=1)
    path = describe(tmp_path, root=str(shifted), signals__files="none/{patient}.csv", clinical__variables=VARIABLES)
    with pytest.raises(ConfigError, match=f"{path}: no file under .* matches"):
        validate_model(model, path, tmp_path / "out", n_jobs=1)


def test_a_cohort_that_the_model_knows_whole_is_refused(model, tmp_path):
    with pytest.raises(LeakageError, match="has seen all 40 patients"):
        validate_model(model, model.folder.parent / "cohort.yaml", tmp_path / "out", n_jobs=1)


def test_without_an_outcome_a_model_cannot_be_evaluated(model, shifted, tmp_path):
    variables = {name: one for name, one in VARIABLES.items() if name != "died"}
    path = describe(tmp_path, root=str(shifted), clinical__variables=variables)
    with pytest.raises(ConfigError, match="no clinical variable 'died', the model's outcome"):
        validate_model(model, path, tmp_path / "out", n_jobs=1)


def test_a_covariate_that_the_cohort_does_not_have_is_reported(model, again):
    folder, out = again
    variables = {name: one for name, one in VARIABLES.items() if name != "stage"}
    found = validate_model(model, describe(folder, clinical__variables=variables, name=folder.name), out, n_jobs=1)
    assert any("Stage: taken as missing of everybody" in one for one in found.warnings)
    assert next(one for one in found.results.shift if one.name == "stage").is_warning


def test_one_outcome_alone_is_refused(model, again):
    folder, out = again
    pd.read_csv(folder / "clinical.csv").assign(died=0).to_csv(folder / "clinical.csv", index=False)
    with pytest.raises(EvaluationError, match=r"0 of 50 patients .* both outcomes are needed"):
        validate_model(model, folder / "cohort.yaml", out, n_jobs=1)


def test_few_events_leave_recalibration_out_and_say_why(model, tmp_path):
    make_hospital(tmp_path, 24, seed=8)
    table = pd.read_csv(tmp_path / "clinical.csv")
    table["died"] = (np.arange(24) < 6).astype(int)
    table.to_csv(tmp_path / "clinical.csv", index=False)
    found = validate_model(model, tmp_path / "cohort.yaml", tmp_path / "out", n_jobs=1)
    assert [one.method for one in found.recalibrations] == ["in-the-large"]
    assert any("Not recalibrated by slope: 6 patient" in note for note in found.results.validation.notes)


def test_patients_of_whom_nothing_is_known_are_counted_and_not_evaluated(model, again):
    folder, out = again
    table = pd.read_csv(folder / "clinical.csv")
    table.loc[:1, ["age", "stage"]] = None
    table.to_csv(folder / "clinical.csv", index=False)
    found = validate_model(model, folder / "cohort.yaml", out, n_jobs=1)
    flow = found.results.flow[0]
    assert flow.n_patients_analysed == N - 2
    reasons = {one.reason: one.n for one in flow.exclusions if one.unit == "patient"}
    assert reasons == {Reason.NOTHING_KNOWN: 2}
