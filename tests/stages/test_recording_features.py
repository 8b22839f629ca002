"""Features of recordings, `rhythm` and `ecg-wave`, through evaluation, final model, prediction, validation, probe."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from ppgssl.core.errors import ConfigError
from ppgssl.models.fitted import FittedModel
from ppgssl.models.folder import load_model
from ppgssl.stages.deploy.fit import fit_model
from ppgssl.stages.deploy.predict import predict
from ppgssl.stages.deploy.validate import validate_model
from ppgssl.stages.evaluate.evaluate import evaluate
from ppgssl.stages.probe.probe import make_plan, probe
from tests.support.hearts import PULSE, hearts_data, make_hearts

ARM = "covariates+pulse-wave+rhythm+ecg-wave"
ARMS = ["covariates", "rhythm", "covariates+rhythm", "untrained+rhythm", "ecg-wave", ARM]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("hearts")


@pytest.fixture(scope="module")
def data(folder):
    return hearts_data(folder, 20, arms=ARMS, validation__n_optimism=2, learning_curve={"n_draws": 0})


@pytest.fixture(scope="module")
def results(data, folder):
    return evaluate(data, folder / "out", n_jobs=1)


@pytest.fixture(scope="module")
def model(data, folder) -> FittedModel:
    return fit_model(data, ARM, folder / "out", folder / "model", n_refits=4, n_jobs=1)


def test_arms_of_the_rhythm_are_evaluated_like_any_other(results, folder):
    arms = {arm.name: arm for arm in results.arms}
    assert arms["rhythm"].auroc.estimate > 0.9
    assert arms["rhythm"].is_control
    assert arms[ARM].added == ["rhythm", "ecg-wave"]
    assert arms["untrained+rhythm"].difference_from_hand_crafted.reference == "rhythm"
    assert {one.arm for one in results.optimism} == set(ARMS)
    notes = [one.text for one in results.findings if "rhythm log_lf_ms2" in one.text]
    assert len(notes) == sum("rhythm" in name for name in ARMS)  # a minute supports no LF
    assert len(list((folder / "out" / "features").iterdir())) == 2


def test_a_model_of_recordings_predicts_other_patients_as_it_is_validated_on_them(model, tmp_path):
    cohort_file = make_hearts(tmp_path, 8, seed=1, name="elsewhere")
    table = predict(model, cohort_file=cohort_file).table().set_index("patient_id")
    assert (table["decision"] == "predicted").all()
    validate_model(model, cohort_file, tmp_path / "evaluated", n_jobs=1)
    evaluated = pd.read_parquet(tmp_path / "evaluated" / "predictions.parquet").query("arm == 'frozen'")
    found = dict(zip(evaluated["patient_id"].str.split("/").str[1], evaluated["y_score"], strict=True))
    assert found == pytest.approx(table["risk"].to_dict(), abs=1e-6)


def test_a_model_sees_the_features_that_it_was_fitted_to(model, data):
    table = model.table().transform(data)
    names = [name for name in table.columns if name.startswith("rhythm ") or name.startswith("lead ")]
    assert {"rhythm rmssd_ms", "lead qtc_bazett_ms", "lead rise_s"} <= set(names)
    risks = model.risks(table)[0]
    assert np.corrcoef(risks, data.y)[0, 1] > 0.5


def test_another_neurokit2_is_named_where_the_model_takes_its_indices(model, clinical_model, monkeypatch):
    here = {**model.card.versions, "neurokit2": "0.0.1"}
    monkeypatch.setattr("ppgssl.models.folder.versions", lambda: here)
    assert "here is neurokit2 0.0.1" in load_model(model.folder).warnings[0]
    assert load_model(clinical_model.folder).warnings == ()


def test_fitting_ecg_waves_without_a_lead_is_refused(data, folder):
    study = data.study.model_copy(
        update={
            "inputs": data.study.inputs.model_copy(update={"channels": [type(data.study.inputs.channels[0])(**PULSE)]})
        }
    )
    with pytest.raises(ConfigError, match="arm 'ecg-wave': ecg-wave needs an ECG lead"):
        fit_model(replace(data, study=study), "ecg-wave", folder / "out", folder / "none", n_jobs=1)


def test_the_probe_measures_the_rhythm_and_leaves_retrieval_out(tmp_path_factory, folder):
    settings = {"objectives": ["autoencoder"], "baselines": ["untrained", "rhythm"], "min_patients": 10, "n_folds": 2}
    data = hearts_data(folder, 20, arms=["covariates"], probe=settings)
    out = tmp_path_factory.mktemp("probed")
    found = probe(make_plan(data), data, out, n_jobs=1)
    values = {
        (one.quantity, one.statistic): one.value.estimate for one in found.measures if one.representation == "rhythm"
    }
    assert values["heart_rate", "r2"] > 0.7
    assert values["outcome", "auroc"] > 0.9
    assert values["retrieval", "top1"] is None
    ssl = next(one for one in found.measures if (one.representation, one.statistic) == ("autoencoder", "top1"))
    assert [one.reference for one in ssl.differences] == ["untrained"]
