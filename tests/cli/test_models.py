"""fit, predict and evaluate --model as a user meets them: exit code, stdout and stderr."""

from __future__ import annotations

import json
import shutil
from io import StringIO
from pathlib import Path

import pandas as pd
import pytest

from ppgssl.core.provenance import file_sha256
from ppgssl.models.folder import load_model
from ppgssl.stages.deploy.fit import fit_model
from ppgssl.stages.deploy.predict import predict
from ppgssl.stages.deploy.validate import validate_model
from tests.support.fitted_models import hospital_data, make_hospital


@pytest.fixture(scope="module")
def made(tmp_path_factory, ppgssl):
    """A hospital with its model, made by the command; and a second hospital."""
    folder = tmp_path_factory.mktemp("hospital")
    hospital_data(folder)
    done = ppgssl("fit", folder / "study.yaml", "--arm", "covariates", "--out", folder / "model", "--json")
    other = tmp_path_factory.mktemp("elsewhere")
    make_hospital(other, 30, seed=3)
    return done, folder, other


def test_fit_reports_what_it_made_and_what_it_does_not_know(made):
    done, folder, _ = made
    assert done.returncode == 0, done.stderr
    reported = json.loads(done.stdout)
    assert (reported["arm"], reported["patients"], reported["auroc"]) == ("covariates", 24, None)
    assert reported["fingerprint"] == load_model(folder / "model").fingerprint
    assert "warning: The study was not evaluated" in done.stderr


def test_predict_writes_a_table_that_a_spreadsheet_reads(made, ppgssl):
    _, folder, other = made
    done = ppgssl("predict", folder / "model", "--cohort", other / "cohort.yaml")
    assert done.returncode == 0, done.stderr
    table = pd.read_csv(StringIO(done.stdout))
    expected = predict(load_model(folder / "model"), cohort_file=other / "cohort.yaml").table()
    pd.testing.assert_frame_equal(
        table[["patient_id", "decision", "risk"]], expected[["patient_id", "decision", "risk"]], rtol=1e-6
    )
    assert done.stderr == ""


def test_predict_of_one_file_from_its_own_folder_as_json(made, ppgssl, monkeypatch, tmp_path):
    _, folder, other = made
    monkeypatch.chdir(other)
    arguments = ["predict", folder / "model", "signals/p2_1.csv", "--clinical", "clinical.csv", "--format", "json"]
    done = ppgssl(*arguments, "--out", tmp_path / "p2.json")
    assert (done.returncode, done.stdout) == (0, "")
    reported = json.loads((tmp_path / "p2.json").read_text())
    assert [one["patient_id"] for one in reported["patients"]] == ["p2"]
    assert "Not in it: the encoder" in reported["interval"]


def test_external_validation_writes_results_and_the_report(made, ppgssl, tmp_path):
    _, folder, other = made
    done = ppgssl(
        "evaluate", "--model", folder / "model", other / "cohort.yaml", "--out", tmp_path / "out", "--jobs", 1, "--json"
    )
    assert done.returncode == 0, done.stderr
    reported = json.loads(done.stdout)
    assert "Frozen model: Clinical covariates" in reported
    assert Path(reported["results"]).is_file()
    assert (tmp_path / "out" / "report.pdf").is_file()
    again = ppgssl(
        "predict",
        folder / "model",
        *["--cohort", other / "cohort.yaml", "--recalibration", tmp_path / "out" / "recalibration-in-the-large.json"],
    )
    assert "risk_recalibrated" in again.stdout.splitlines()[0]


def test_external_validation_needs_a_place_for_its_results(made, ppgssl):
    _, folder, other = made
    done = ppgssl("evaluate", "--model", folder / "model", other / "cohort.yaml")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "error: `ppgssl evaluate --model` needs --out: the folder of its results\n"


def test_a_tampered_model_is_refused_without_a_traceback(made, ppgssl, tmp_path):
    _, folder, other = made
    shutil.copytree(folder / "model", tmp_path / "model")
    card = (tmp_path / "model" / "model.json").read_text()
    (tmp_path / "model" / "model.json").write_text(card.replace('"covariates"', '"vitals"'))
    done = ppgssl("predict", tmp_path / "model", "--cohort", other / "cohort.yaml")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"error: {tmp_path / 'model' / 'model.json'} is not the file that was written")
    assert "Traceback" not in done.stderr


def test_a_place_that_cannot_be_written_to_is_refused_before_anybody_is_predicted(made, ppgssl, tmp_path):
    _, folder, other = made
    for out, message in (
        (tmp_path, "is a folder: name a file in it"),
        (tmp_path / "absent" / "risks.csv", "there is no folder"),
        (other / "cohort.yaml" / "risks.csv", "there is no folder"),
    ):
        done = ppgssl("predict", folder / "model", "--cohort", other / "cohort.yaml", "--out", out)
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr.startswith(f"error: --out {out}")
        assert message in done.stderr


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": 3}, "is a model of format 3, and this ppgssl"),
        ({"arm": "nonsense"}, "is not a model of this version (arm 'nonsense'"),
        ({"study": {"name": 1}}, "is not a model of this version"),
        (None, "is missing: the model is not whole"),
    ],
)
def test_a_model_of_another_version_is_refused_even_where_its_checksums_are_right(
    change, message, made, ppgssl, tmp_path
):
    _, folder, other = made
    copy = shutil.copytree(folder / "model", tmp_path / "model")
    card = copy / "model.json"
    if change is None:
        card.unlink()
    else:
        card.write_text(json.dumps(json.loads(card.read_text()) | change))
        sums = [line.split("  ")[1] for line in (copy / "SHA256SUMS").read_text().splitlines()]
        (copy / "SHA256SUMS").write_text("".join(f"{file_sha256(copy / name)}  {name}\n" for name in sums))
    done = ppgssl("predict", copy, "--cohort", other / "cohort.yaml")
    assert (done.returncode, done.stdout) == (1, "")
    assert message in done.stderr


def test_an_unknown_arm_and_an_absent_model_say_the_way_out(made, ppgssl, tmp_path):
    _, folder, _ = made
    done = ppgssl("fit", folder / "study.yaml", "--arm", "covariate", "--out", tmp_path / "model")
    assert done.returncode == 2
    assert "did you mean 'covariates'?" in done.stderr
    done = ppgssl("predict", tmp_path / "model", "x.csv")
    assert done.returncode == 1
    assert "there is no model in" in done.stderr


@pytest.mark.slow
def test_hand_crafted_features_with_those_of_an_encoder_go_from_a_study_to_another_hospital(made, ppgssl, tmp_path):
    *_, other = made
    arm = "covariates+ssl-all+pulse-wave"
    arms = ["covariates", "pulse-wave", "covariates+pulse-wave", "ssl-all+pulse-wave", arm]
    here = tmp_path / "here"
    data = hospital_data(here, arms=arms, learning_curve={"n_draws": 0})
    for command in ("pretrain", "evaluate"):
        done = ppgssl(command, here / "study.yaml")
        assert done.returncode == 0, done.stderr
    results = json.loads((here / "out" / "results.json").read_text())
    found = {one["name"]: one["difference_from_hand_crafted"] for one in results["arms"]}
    references = {name: difference["reference"] for name, difference in found.items() if difference}
    assert references == {"ssl-all+pulse-wave": "pulse-wave", arm: "covariates+pulse-wave"}
    assert {(one["arm"], one["reference"]) for one in results["added_value"]} == set(references.items())
    model = fit_model(data, arm, here / "out", tmp_path / "model", n_refits=5)
    table = predict(model, cohort_file=other / "cohort.yaml").table()
    risks = table.set_index("patient_id")["risk"].dropna()
    elsewhere = validate_model(model, other / "cohort.yaml", tmp_path / "evaluated", n_jobs=1)
    assert all(one.has_hand_crafted for one in elsewhere.results.arms)
    evaluated = pd.read_parquet(tmp_path / "evaluated" / "predictions.parquet").query("arm == 'frozen'")
    assert dict(zip(evaluated["patient_id"].str.split("/").str[1], evaluated["y_score"], strict=True)) == pytest.approx(
        risks.to_dict(), abs=1e-6
    )
