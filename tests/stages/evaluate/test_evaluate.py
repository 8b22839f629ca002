from __future__ import annotations

import json
import math

import jsonschema
import numpy as np
import pandas as pd
import pytest
from ppgssl.data_schemas import schema_text

from ppgssl.core.config.arms import DEFAULT_ARMS, parse_arm
from ppgssl.core.errors import LeakageError, StaleInputError
from ppgssl.core.parallel import Workers
from ppgssl.core.provenance import read_run
from ppgssl.core.results.base import Interval
from ppgssl.core.results.robustness import AcquisitionCheck
from ppgssl.stages.evaluate.acquisition import acquisition_checks, sensitivity_analysis
from ppgssl.stages.evaluate.evaluate import evaluate
from ppgssl.stages.evaluate.folds import FoldFitter, predict_folds
from ppgssl.stages.pretrain import pretrain
from ppgssl.store.leakage import hashed_patient

NO_REFITS = {"validation__n_optimism": 0, "learning_curve__n_draws": 0}


@pytest.fixture(scope="module")
def evaluated(tiny_study, tmp_path_factory):
    """A whole study, every arm: its data, folder and results."""
    out = tmp_path_factory.mktemp("evaluated")
    data = tiny_study.data()
    pretrain(data, out, n_jobs=1)
    return data, out, evaluate(data, out, n_jobs=1)


def test_every_arm_predicts_every_patient_once_a_repeat(evaluated):
    data, out, _ = evaluated
    predictions = pd.read_parquet(out / "predictions.parquet")
    assert set(predictions["arm"]) == set(DEFAULT_ARMS)
    for _, rows in predictions.groupby(["arm", "repeat"]):
        assert sorted(rows["patient_id"]) == sorted(data.y.index)
    assert predictions["y_score"].between(0, 1).all()
    truth = predictions.groupby("patient_id")["y_true"].agg(["min", "max"])
    assert (truth["min"] == data.y.loc[truth.index]).all()
    assert (truth["max"] == truth["min"]).all()


def test_results_follow_their_schema(evaluated):
    _, out, _ = evaluated
    jsonschema.validate(json.loads((out / "results.json").read_text()), json.loads(schema_text("results")))


def test_every_arm_has_an_interval_and_a_paired_difference(evaluated):
    _, _, results = evaluated
    for arm in results.arms:
        assert arm.auroc.ci_low <= arm.auroc.estimate <= arm.auroc.ci_high
        assert (arm.difference is None) == (arm.name == "covariates")
        assert not arm.is_transductive


def test_an_arm_is_compared_with_its_own_untrained_control(evaluated):
    _, _, results = evaluated
    found = {arm.name: arm.difference_from_untrained for arm in results.arms if "ssl" in arm.name}
    references = {name: difference.reference if difference else None for name, difference in found.items()}
    assert references == {
        "ssl-labelled": "untrained",
        "ssl-all": "untrained",
        "covariates+ssl-labelled": "covariates+untrained",
        "covariates+ssl-all": "covariates+untrained",
        "vitals+ssl-labelled": None,
        "vitals+ssl-all": None,
        "network-ssl-labelled": "network-random",
        "network-ssl-all": "network-random",
    }


def test_an_evaluation_that_is_done_is_read_and_not_done_again(evaluated):
    data, out, results = evaluated
    before = {path: path.stat().st_mtime_ns for path in (out / "predictions").rglob("*.parquet")}
    assert evaluate(data, out, n_jobs=1) == results
    assert {path: path.stat().st_mtime_ns for path in (out / "predictions").rglob("*.parquet")} == before


def test_an_interrupted_evaluation_ends_in_the_same_predictions(evaluated):
    data, out, _ = evaluated
    folder = next((out / "predictions").iterdir())
    whole = pd.read_parquet(out / "predictions.parquet").drop(columns="seconds")
    sorted(folder.glob("repeat?-fold?.parquet"))[-1].unlink()  # as if stopped before the last fold was done
    again = predict_folds(data, out, folder.name, Workers(1)).predictions.drop(columns="seconds")
    pd.testing.assert_frame_equal(again, whole)


def test_other_subgroups_are_evaluated_from_the_predictions_that_are_there(evaluated, tiny_study):
    _, out, results = evaluated
    folds = {path: path.stat().st_mtime_ns for path in (out / "predictions").rglob("*.parquet")}
    data = tiny_study.data(subgroups=[{"variable": "muac_cm"}], **NO_REFITS)
    again = evaluate(data, out, n_jobs=1)
    assert [group.variable for group in again.subgroups] == ["muac_cm"]
    assert [arm.auroc for arm in again.arms] == [arm.auroc for arm in results.arms]
    assert {path: path.stat().st_mtime_ns for path in (out / "predictions").rglob("*.parquet")} == folds


def test_the_results_hold_every_part_that_the_data_allow(evaluated):
    _, _, results = evaluated
    for arm in results.arms:
        assert all((arm.calibration, arm.decision_curve, arm.brier, arm.auprc))
        assert {point.rule for point in arm.operating_points} == {"youden", "sensitivity"}
    assert all((results.missing, results.sample_size, results.covariate_model, results.embedding_maps))
    assert all((results.optimism, results.stability, results.learning_curves))
    assert {value.arm for value in results.added_value} == {
        f"{clinical}+{ssl}" for clinical in ("vitals", "covariates") for ssl in ("ssl-labelled", "ssl-all")
    }
    assert all(check.n_shared == 0 for check in results.leakage)


def test_the_run_is_recorded(evaluated):
    data, out, results = evaluated
    run = read_run(out)
    assert run["seed"] == data.study.seed
    assert run["study"]["pretraining"]["n_steps"] == 8
    assert "torch" in run["versions"]
    assert {file.name for file in results.provenance.inputs} >= {f"store {name}" for name in data.segments.channel_of}


def test_missing_encoders_are_named_with_the_command_that_makes_them(tiny_study, tmp_path):
    with pytest.raises(StaleInputError, match="ppgssl pretrain"):
        evaluate(tiny_study.data(), tmp_path, n_jobs=1)


def test_encoders_of_other_settings_are_refused(evaluated, tiny_study):
    _, out, _ = evaluated
    with pytest.raises(StaleInputError, match="other data or settings"):
        evaluate(tiny_study.data(pretraining__objective="masked-autoencoder"), out, n_jobs=1)


def test_an_encoder_that_saw_a_test_patient_is_refused(tiny_study, tmp_path):
    data = tiny_study.data(arms=["ssl-labelled"])
    job = pretrain(data, tmp_path, n_jobs=1)[0]
    record = json.loads((job.folder / "run.json").read_text())
    record["patients_sha256"].append(hashed_patient(job.fold.test[0]))
    (job.folder / "run.json").write_text(json.dumps(record))
    with pytest.raises(LeakageError, match="has seen 1 of the patients"):
        FoldFitter(job.fold, data, tmp_path).fit(parse_arm("ssl-labelled"))


def test_the_single_split_tests_the_proportion_that_the_study_names(tiny_study, tmp_path):
    data = tiny_study.data(
        arms=["covariates", "heart-rate"], validation__scheme="single-split", validation__test_fraction=0.4, **NO_REFITS
    )
    results = evaluate(data, tmp_path, n_jobs=1)
    assert results.validation.n_test_patients == math.ceil(0.4 * len(data.y))
    assert results.validation.n_folds == 1


def test_amplitude_and_level_of_every_channel_are_checked(evaluated):
    data, _, _ = evaluated
    names = [check.name for check in acquisition_checks(data)]
    assert len(names) == 4
    assert any("amplitude of ppg_red" in name for name in names)
    assert any("level of ppg_ir" in name for name in names)


def test_the_sensitivity_analysis_keeps_the_larger_group(evaluated):
    data, _, _ = evaluated
    values = np.where(np.arange(len(data.y)) < 5, 900.0, 100.0)
    check = AcquisitionCheck(
        cohort="labelled",
        name="Raw signal level",
        values=values.tolist(),
        is_event=(data.y == 1).tolist(),
        auroc=Interval(estimate=0.5, ci_low=0.4, ci_high=0.6),
        threshold=500.0,
        text="",
    )
    analysis = sensitivity_analysis(data, [check])
    assert analysis.patients == list(data.y.index[5:])
    assert "below 500" in analysis.description


def test_without_two_groups_there_is_no_sensitivity_analysis(evaluated):
    data, _, _ = evaluated
    assert sensitivity_analysis(data, []) is None
