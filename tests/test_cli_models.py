"""fit, predict and evaluate --model as a user meets them: processes with exit code, stdout and stderr."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

import pandas as pd
import pytest
from ppgssl.cli.app import main

from ppgssl.models.folder import load_model
from ppgssl.predict import predict
from tests.fitted_models import hospital_data, make_hospital

CLI = [sys.executable, "-c", "from ppgssl.cli.app import main; main()"]


def process(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [*CLI, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


@dataclass(frozen=True)
class Done:
    returncode: int
    stdout: str
    stderr: str


@pytest.fixture
def ppgssl(monkeypatch, capsys):
    """The same without a process, whose start would take seconds."""

    def run(*arguments: object) -> Done:
        monkeypatch.setattr(sys, "argv", ["ppgssl", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as stop:
            main()
        said = capsys.readouterr()
        return Done(int(stop.value.code or 0), said.out, said.err)

    return run


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A hospital with its model, made by the command; and a second hospital."""
    folder = tmp_path_factory.mktemp("hospital")
    hospital_data(folder)
    done = process("fit", folder / "study.yaml", "--arm", "covariates", "--out", folder / "model", "--json")
    other = tmp_path_factory.mktemp("elsewhere")
    make_hospital(other, 30, seed=3)
    return done, folder, other


def test_fit_says_what_it_made_and_what_it_does_not_know(made):
    done, folder, _ = made
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert (told["arm"], told["patients"], told["auroc"]) == ("covariates", 24, None)
    assert told["fingerprint"] == load_model(folder / "model").fingerprint
    assert "warning: The study was not evaluated" in done.stderr


def test_predict_writes_a_table_that_a_spreadsheet_reads(made, ppgssl):
    _, folder, other = made
    done = ppgssl("predict", folder / "model", "--cohort", other / "cohort.yaml")
    assert done.returncode == 0, done.stderr
    table = pd.read_csv(StringIO(done.stdout))
    expected = predict(load_model(folder / "model"), cohort_file=other / "cohort.yaml").table()
    pd.testing.assert_frame_equal(
        table[["patient_id", "verdict", "risk"]], expected[["patient_id", "verdict", "risk"]], rtol=1e-6
    )
    assert done.stderr == ""


def test_predict_of_one_file_from_its_own_folder_as_json(made, ppgssl, monkeypatch, tmp_path):
    _, folder, other = made
    monkeypatch.chdir(other)
    arguments = ["predict", folder / "model", "signals/p2_1.csv", "--clinical", "clinical.csv", "--format", "json"]
    done = ppgssl(*arguments, "--out", tmp_path / "p2.json")
    assert (done.returncode, done.stdout) == (0, "")
    told = json.loads((tmp_path / "p2.json").read_text())
    assert [one["patient_id"] for one in told["patients"]] == ["p2"]
    assert "Not in it: the encoder" in told["interval"]


def test_external_validation_writes_results_and_the_report(made, ppgssl, tmp_path):
    _, folder, other = made
    done = ppgssl(
        "evaluate", "--model", folder / "model", other / "cohort.yaml", "--out", tmp_path / "out", "--jobs", 1, "--json"
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert "Frozen model: Clinical covariates" in told
    assert Path(told["results"]).is_file()
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


def test_a_tampered_model_is_refused_without_a_traceback(made, tmp_path):
    _, folder, other = made
    shutil.copytree(folder / "model", tmp_path / "model")
    card = (tmp_path / "model" / "model.json").read_text()
    (tmp_path / "model" / "model.json").write_text(card.replace('"covariates"', '"vitals"'))
    done = process("predict", tmp_path / "model", "--cohort", other / "cohort.yaml")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"error: {tmp_path / 'model' / 'model.json'} is not the file that was written")
    assert "Traceback" not in done.stderr


def test_an_unknown_arm_and_an_absent_model_say_the_way_out(made, ppgssl, tmp_path):
    _, folder, _ = made
    done = ppgssl("fit", folder / "study.yaml", "--arm", "covariate", "--out", tmp_path / "model")
    assert done.returncode == 2
    assert "did you mean 'covariates'?" in done.stderr
    done = ppgssl("predict", tmp_path / "model", "x.csv")
    assert done.returncode == 1
    assert "there is no model in" in done.stderr


def test_help_is_quick_because_it_imports_nothing_heavy():
    program = """
import sys
from typer.testing import CliRunner
from ppgssl.cli.app import app
for arguments in (["fit", "--help"], ["predict", "--help"], ["evaluate", "--help"]):
    assert CliRunner().invoke(app, arguments).exit_code == 0
heavy = {"torch", "pandas", "numpy", "scipy", "sklearn", "pyarrow", "deltalake", "matplotlib"}
sys.exit(", ".join(sorted(heavy & set(sys.modules))) or 0)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
