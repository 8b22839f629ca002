from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import mannwhitneyu

from ppgssl.core.errors import EvaluationError, ReadError
from ppgssl.core.results.study import load_results
from ppgssl.report.composition import compose
from ppgssl.stages.evaluate.external_predictions import evaluate_predictions, read_predictions

MEASURES = ("auroc", "auroc_bca", "auroc_delong", "partial_auroc", "auprc", "brier", "scaled_brier", "difference")


def risks_of(folder: Path) -> pd.DataFrame:
    """The predictions of a study, a column for each arm."""
    table = pd.read_parquet(folder / "predictions.parquet")
    wide = table.set_index(["patient_id", "repeat", "fold", "y_true", "arm"])["y_score"].unstack()  # noqa: PD010
    return wide.reset_index().rename(columns={"patient_id": "patient"})


def made(n: int = 60) -> pd.DataFrame:
    rng = np.random.default_rng(4)
    y = (np.arange(n) % 3 == 0).astype(int)
    risks = {"new": (rng.random(n) + y) / 2, "old": rng.random(n)}
    return pd.DataFrame({"patient": [f"p{i}" for i in range(n)], "y_true": y, **risks})


def written(frame: pd.DataFrame, folder: Path, name: str = "risks.csv") -> Path:
    file = folder / name
    frame.to_csv(file, index=False)
    return file


def test_the_predictions_of_a_study_give_its_numbers(evaluated_study, tmp_path):
    data, folder = evaluated_study
    file = written(risks_of(folder), tmp_path)
    n_resamples = data.study.validation.n_bootstrap
    found = evaluate_predictions(file, tmp_path, reference="covariates", n_resamples=n_resamples, seed=data.study.seed)
    expected = {arm.name: arm for arm in load_results(folder / "results.json").arms}
    assert {arm.name for arm in found.arms} == set(expected)
    for arm in found.arms:
        for name in MEASURES:
            ours, theirs = getattr(arm, name), getattr(expected[arm.name], name)
            assert (ours is None) == (theirs is None)
            if ours is not None:
                assert ours.model_dump(exclude={"reference"}) == pytest.approx(
                    theirs.model_dump(exclude={"reference"}), abs=1e-12
                )
        assert arm.calibration.model_dump() == expected[arm.name].calibration.model_dump()
    assert load_results(tmp_path / "results.json") == found


def test_the_command_writes_a_report_of_a_table_alone(ppgssl, tmp_path, monkeypatch):
    file = written(made(), tmp_path)
    monkeypatch.chdir(tmp_path)
    output = json.loads(ppgssl("evaluate", "--predictions", file, "--reference", "old", "--json").stdout)
    assert Path(output["report"]).read_bytes().startswith(b"%PDF")
    page = Path(output["page"]).read_text()
    assert "What is not available" in page
    assert "Difference from old" in page
    results = load_results(tmp_path / "risks" / "results.json")
    y, new = made()["y_true"] == 1, made()["new"]
    expected = mannwhitneyu(new[y], new[~y]).statistic / (y.sum() * (~y).sum())
    assert results.arms[0].auroc.estimate == pytest.approx(expected, abs=1e-12)
    assert results.arms[0].difference.reference == "old"
    assert results.arms[1].difference is None


def test_a_parquet_file_and_repeats_are_read_alike(evaluated_study, tmp_path):
    wide = risks_of(evaluated_study[1])
    wide.to_parquet(tmp_path / "risks.parquet")
    from_csv, from_parquet = read_predictions(written(wide, tmp_path)), read_predictions(tmp_path / "risks.parquet")
    pd.testing.assert_frame_equal(from_csv.predictions, from_parquet.predictions)
    assert from_csv.models == ("covariates", "covariates+pulse-wave", "pulse-wave")


def test_one_model_needs_no_reference(tmp_path):
    results = evaluate_predictions(written(made()[["patient", "y_true", "new"]], tmp_path), tmp_path, n_resamples=50)
    assert results.arms[0].difference is None
    assert compose(results).sections


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"new": {2: 1.2}}, r"column 'new', row 4: expected a risk in 0 to 1, and found 1.2 \(1 of 60 rows\)"),
        ({"new": {2: "high"}}, "column 'new', row 4: expected a risk in 0 to 1, and found 'high'"),
        ({"old": {0: None}}, "column 'old', row 2: expected a value"),
        ({"y_true": {1: 2}}, "column 'y_true', row 3: expected 0 or 1, and found 2"),
        ({"patient": {5: "p1"}}, "row 7: patient p1 is twice in repeat 0"),
        ({"y_true": dict.fromkeys(range(60), 0)}, "0 of 60 patients have the event"),
    ],
)
def test_a_wrong_value_is_named_with_its_column_and_row(tmp_path, change, message):
    frame = made().astype(object)
    for column, values in change.items():
        for row, value in values.items():
            frame.loc[row, column] = value
    with pytest.raises(EvaluationError, match=message):
        read_predictions(written(frame, tmp_path))


def test_an_outcome_that_changes_within_a_patient_is_refused(tmp_path):
    again = made().assign(repeat=1)
    again.loc[3, "y_true"] = 1 - again.loc[3, "y_true"]
    with pytest.raises(EvaluationError, match=r"the outcome of 1 patient\(s\) differs between rows, for example of p3"):
        read_predictions(written(pd.concat([made().assign(repeat=0), again]), tmp_path))


def test_a_file_that_is_no_table_of_risks_is_refused(tmp_path):
    with pytest.raises(EvaluationError, match="patient is missing"):
        read_predictions(written(made().drop(columns="patient"), tmp_path))
    with pytest.raises(EvaluationError, match="no risks"):
        read_predictions(written(made()[["patient", "y_true"]], tmp_path))
    with pytest.raises(ReadError, match="there is no"):
        read_predictions(tmp_path / "absent.csv")
    with pytest.raises(ReadError, match=r"\.csv and \.parquet"):
        read_predictions(tmp_path / "risks.xlsx")
    with pytest.raises(EvaluationError, match="did you mean 'old'"):
        evaluate_predictions(written(made(), tmp_path), tmp_path, reference="olt")
