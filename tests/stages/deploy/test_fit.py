"""The final model of all patients: what is in it, and that it is the recipe which cross-validation evaluated."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import jsonschema
import numpy as np
import pytest
from ppgssl.data_schemas import schema_text
from sklearn.base import clone

from ppgssl.classifiers.factory import make_risk_model
from ppgssl.classifiers.horseshoe import N_KEPT
from ppgssl.core.config.arms import parse_arm
from ppgssl.core.config.study import Missing
from ppgssl.core.errors import ConfigError, EvaluationError, StoreError
from ppgssl.core.provenance import read_run
from ppgssl.features.columns import Columns
from ppgssl.features.fold_features import FoldFeatures
from ppgssl.models.folder import load_model, save_model
from ppgssl.models.refits import fit_refits, read_refits
from ppgssl.stages.deploy.fit import fit_model
from ppgssl.stages.deploy.risks import patient_risks
from ppgssl.stages.evaluate.evaluate import evaluate
from ppgssl.stages.pretrain import pretrain
from ppgssl.store.leakage import FittedParts, hashed_patient
from ppgssl.store.splits import Fold
from tests.support.fitted_models import fit_hospital, hospital_data
from tests.support.patient_tables import make_patients
from tests.support.small_cohorts import make_ward, study_of


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
    """A hospital whose study was run to its end, and the model of its best arm."""
    folder = tmp_path_factory.mktemp("hospital")
    data = hospital_data(folder, arms=["covariates", "covariates+ssl-all"])
    pretrain(data, folder / "out", n_jobs=1)
    results = evaluate(data, folder / "out", n_jobs=1)
    return data, results, fit_model(data, "covariates+ssl-all", folder / "out", folder / "model", n_refits=20)


def test_the_card_follows_its_schema(fitted):
    _, _, model = fitted
    jsonschema.validate(json.loads((model.folder / "model.json").read_text()), json.loads(schema_text("model")))


def test_the_encoder_has_seen_everybody_and_the_card_reports_whom(fitted):
    data, _, model = fitted
    run = read_run(model.folder.parent / "out" / "encoders" / "ssl-all" / "final")
    everybody = {hashed_patient(name) for name in data.segments.table["patient"]}
    assert set(run["patients_sha256"]) == everybody
    assert set(model.card.seen.patients_sha256) == everybody
    signals = data.labelled.recordings(["signal_sha256"])["signal_sha256"]
    assert set(model.card.seen.signals_sha256) == set(signals)
    assert (model.card.n_patients, model.card.n_events) == (len(data.y), data.y.sum())


def test_performance_is_what_cross_validation_of_the_arm_found(fitted):
    _, results, model = fitted
    evaluated = next(arm for arm in results.arms if arm.name == "covariates+ssl-all")
    assert model.card.performance.auroc == evaluated.auroc
    assert model.card.performance.calibration_slope == evaluated.calibration.slope
    assert model.card.performance.scheme == "2-fold cross-validation, repeated 1 times"
    assert f"{evaluated.auroc.estimate:.3f}" in (model.folder / "model_card.md").read_text()


def test_performance_is_not_reported_where_results_are_absent_or_of_other_settings(fitted, tmp_path):
    data, _, model = fitted
    bare = fit_model(data, "covariates", tmp_path / "out", tmp_path / "bare", n_refits=2)
    assert bare.card.performance is None
    assert "ppgssl evaluate" in bare.card.performance_note
    study_folder = model.folder.parent / "out"
    other = hospital_data(model.folder.parent, arms=["covariates"], covariates=["age"])
    found = fit_model(other, "covariates", study_folder, tmp_path / "other", n_refits=2)
    assert found.card.performance is None
    assert "other data or settings" in found.card.performance_note
    found = fit_model(data, "covariates:elastic-net", study_folder, tmp_path / "absent", n_refits=2)
    assert "did not compare the arm" in found.card.performance_note


def test_it_is_the_fit_that_a_fold_of_all_patients_would_make(fitted):
    data, _, model = fitted
    everybody = Fold(0, 0, train=tuple(data.y.index), test=())
    features = patient_risks(model, data).table[model.card.columns.features]
    inputs = FoldFeatures(everybody, data, model.folder, FittedParts("all"), {"ssl-all": features})
    arm_table = inputs.arm_table(parse_arm("covariates+ssl-all"))
    table = arm_table.transform(data)
    columns = arm_table.columns(table)
    direct = make_risk_model(parse_arm("covariates+ssl-all"), columns, data.study, fold="all").fit(table, data.y)
    np.testing.assert_allclose(patient_risks(model, data).risks[0], direct.predict_proba(table)[:, 1], atol=1e-9)


@pytest.mark.parametrize(
    "arm",
    [
        "vitals+pulse-wave",
        "heart-rate",
        "untrained:elastic-net",
        "covariates+untrained:late",
        "vitals+untrained+pulse-wave",
        "covariates+untrained+pulse-wave:late",
    ],
)
def test_other_arms_see_what_they_see_in_the_study(fitted, tmp_path, arm):
    data, _, _ = fitted
    model = fit_model(data, arm, tmp_path / "out", tmp_path / "model", n_refits=2)
    everybody = Fold(0, 0, train=tuple(data.y.index), test=())
    parsed, found = parse_arm(arm), patient_risks(model, data).table
    embeddings = found[[name for name in model.card.columns.features if name.startswith("ssl_")]]
    known = {"untrained": embeddings} if parsed.features == "untrained" else None
    arm_table = FoldFeatures(everybody, data, tmp_path, FittedParts("all"), known).arm_table(parsed)
    table = arm_table.transform(data)
    columns = arm_table.columns(table)
    assert list(found.columns) == list(columns.names)
    np.testing.assert_allclose(
        found[list(columns.numeric + columns.features)].astype(float),
        table[list(columns.numeric + columns.features)].astype(float),
        rtol=1e-5,
    )


@pytest.mark.parametrize("arm", ["covariates+ssl-all:horseshoe", "vitals:horseshoe", "ssl-all+pulse-wave:horseshoe"])
def test_a_horseshoe_model_is_the_fit_of_a_fold_of_all_patients_but_for_the_draws_left_out(fitted, tmp_path, arm):
    data, _, of_ridge = fitted
    model = fit_model(data, arm, of_ridge.folder.parent / "out", tmp_path / "model")
    found = patient_risks(model, data)
    risks = found.risks
    direct = make_risk_model(parse_arm(arm), model.card.columns.as_columns(), data.study, fold="all")
    direct.fit(found.table, data.y)
    assert (model.card.n_refits, model.card.n_draws, len(risks)) == (0, N_KEPT, 1 + N_KEPT)
    # Their mean is off from that of all draws by chance, within five standard errors of it.
    difference = np.abs(risks[0] - direct.predict_proba(found.table)[:, 1])
    assert (difference < 5 * risks[1:].std(axis=0) / np.sqrt(N_KEPT)).all()
    np.testing.assert_allclose(risks[0], direct.thinned().predict_proba(found.table)[:, 1], atol=1e-12)
    assert model.card.references[-1].mean == pytest.approx(direct.oof_.mean())
    low, high = found.interval()
    np.testing.assert_allclose(low, np.minimum(np.quantile(risks[1:], 0.025, axis=0), risks[0]))
    np.testing.assert_allclose(high, np.maximum(np.quantile(risks[1:], 0.975, axis=0), risks[0]))


KINDS = [
    "covariates",
    "covariates+untrained:elastic-net",
    "covariates:gradient-boosting",
    "covariates:horseshoe",
    "covariates+untrained:late",
    "covariates+untrained:gradient-boosting:late",
    "covariates+untrained:horseshoe:late",
    "covariates+minirocket",
    "network-random",
]
WITHOUT_INTERVAL = ("covariates+untrained:horseshoe:late", "network-random")
NETWORK = {"n_epochs": 1, "freeze_epochs": 0, "n_models": 2}


# Boosting takes missing values as they are; the other arms are made of the parts of these.
OF_MICE = ["covariates", "covariates:horseshoe", "covariates+untrained:late", "covariates+untrained:horseshoe:late"]


@pytest.mark.parametrize(("arm", "method"), [*((arm, "median") for arm in KINDS), *((arm, "mice") for arm in OF_MICE)])
def test_every_arm_is_the_same_after_it_was_saved_and_loaded(fitted, tmp_path, monkeypatch, arm, method):
    """The model in memory, as it was before it went into the folder, against the one that is read from there."""
    made = []

    def keep_and_save(out, model, text, **more):
        made.append(model)
        return save_model(out, model, text, **more)

    monkeypatch.setattr("ppgssl.stages.deploy.fit.save_model", keep_and_save)
    folder = fitted[2].folder.parent
    data = hospital_data(folder, network=NETWORK, missing={"method": method, "n_imputations": 2})
    loaded = fit_model(data, arm, tmp_path / "out", tmp_path / "model", n_refits=2)
    before = replace(made[0], folder=loaded.folder)
    found, expected = patient_risks(loaded, data), patient_risks(before, data)
    np.testing.assert_allclose(found.risks, expected.risks, rtol=0, atol=1e-12)
    assert np.isfinite(found.risks).all()
    assert loaded.card == before.card
    is_horseshoe = parse_arm(arm).learner == "horseshoe" and not parse_arm(arm).is_stacking
    n_others = 0 if arm in WITHOUT_INTERVAL else N_KEPT if is_horseshoe else 2
    assert len(found.risks) == 1 + n_others
    assert np.isnan(found.interval()[0]).all() == (arm in WITHOUT_INTERVAL) == (not loaded.card.has_interval)
    assert not any(name.split("/")[1].encode() in _words(loaded.folder) for name in data.y.index)
    with (loaded.folder / "classifier.safetensors").open("r+b") as file:
        file.seek(-1, 2)
        last = file.read(1)
        file.seek(-1, 2)
        file.write(bytes([last[0] ^ 1]))
    with pytest.raises(StoreError, match=r"classifier.safetensors is not the file that was written"):
        load_model(loaded.folder)


def _words(folder):
    """Names and texts of a model, in which a patient's id would stand."""
    return set(re.findall(rb"[A-Za-z0-9_]+", (folder / "model.json").read_bytes()))


def test_refits_are_the_model_fitted_to_bootstrap_samples(fitted):
    """Compact refits say what the refitted models say: also of levels and columns that a sample lacks."""
    data = fitted[0]
    for arm, missing in (("covariates", "median"), ("covariates+ssl-all:late", "median"), ("covariates", "mice")):
        X, y, columns = make_patients(np.random.default_rng(3), 60, n_features=3, missing=0.2)
        study = data.study.model_copy(update={"missing": Missing(method=missing, n_imputations=2)})
        columns = columns if "+" in arm else Columns(columns.numeric, columns.categorical)
        model = make_risk_model(parse_arm(arm), columns, study, fold="all").fit(X, y)
        few = np.flatnonzero((X["ward"] != "A").to_numpy())
        empty = np.flatnonzero(X["weight"].isna().to_numpy() | (np.arange(60) < 10))
        samples = [np.arange(60), few, empty, np.random.default_rng(0).integers(0, 60, 60)]
        refits = fit_refits(model, X, y, samples)
        others = X.sample(40, random_state=1).assign(ward=["A", "B", "C", None, "a ward that nobody knew"] * 8)
        direct = np.array(
            [clone(model).fit(X.iloc[rows], y.iloc[rows]).predict_proba(others)[:, 1] for rows in samples]
        )
        if missing == "median":
            np.testing.assert_allclose(refits.risks(model, others), direct, atol=1e-9)
        else:  # of all patients the imputations are the model's own, so the first refit is the model
            np.testing.assert_allclose(refits.risks(model, others)[0], direct[0], atol=1e-9)
        again = read_refits(refits.to_arrays(), refits.spec(), model)
        np.testing.assert_array_equal(again.risks(model, others), refits.risks(model, others))


@pytest.mark.parametrize("arm", ["covariates+ssl-all", "covariates+ssl-all:horseshoe"])
def test_the_same_study_makes_the_same_model(fitted, tmp_path, arm):
    data, _, made = fitted
    model, again = (
        fit_model(data, arm, made.folder.parent / "out", tmp_path / name, n_refits=20) for name in ("model", "again")
    )
    for name, values in model.model.to_arrays().items():
        np.testing.assert_array_equal(again.model.to_arrays()[name], values)
    assert again.card.model_copy(update={"created_utc": ""}) == model.card.model_copy(update={"created_utc": ""})


def test_refits_vary_around_the_model(fitted):
    data, _, model = fitted
    risks = patient_risks(model, data).risks
    assert risks.shape == (21, len(data.y))
    assert (risks[1:].std(axis=0) > 0).all()


def test_thresholds_are_those_of_training_and_of_the_study(fitted):
    _, _, model = fitted
    assert [one.rule for one in model.card.thresholds] == ["youden", "sensitivity", "given"]
    assert model.card.thresholds[1].sensitivity >= 0.9
    assert model.card.thresholds[2].threshold == 0.3


def test_descriptions_in_the_card_name_no_place(fitted):
    _, _, model = fitted
    assert model.card.study_model().out == "."
    assert model.card.cohort_model().root == "."


def test_normalisation_by_cohort_is_kept_as_its_constants(tmp_path):
    model = fit_hospital(tmp_path, "untrained", n=14, inputs__normalisation="cohort")
    data = hospital_data(tmp_path, inputs__normalisation="cohort")
    few = data.y.index[:3]
    alone = patient_risks(model, type(data)(**{**vars(data), "y": data.y.loc[few]}))
    np.testing.assert_allclose(alone.risks, patient_risks(model, data).risks[:, :3], rtol=1e-5)
    assert list(model.card.input.cohorts) == [data.labelled.cohort.name]


def test_chained_equations_are_kept_and_the_card_reports_so(tmp_path):
    data = hospital_data(tmp_path, missing={"method": "mice", "n_imputations": 2})
    model = fit_model(data, "covariates", tmp_path / "out", tmp_path / "model", n_refits=2)
    table = patient_risks(model, data).table
    assert table["age"].isna().any()
    direct = make_risk_model(parse_arm("covariates"), model.model.columns_, data.study, fold="all").fit(table, data.y)
    np.testing.assert_allclose(patient_risks(model, data).risks[0], direct.predict_proba(table)[:, 1], atol=1e-12)
    assert "is drawn 2 times by chained equations" in (model.folder / "model_card.md").read_text()


def test_an_unknown_arm_is_refused_before_anything_is_trained(fitted, tmp_path):
    with pytest.raises(ConfigError, match=r"unknown 'covariate' .did you mean 'covariates'"):
        fit_model(fitted[0], "covariate", tmp_path / "out", tmp_path / "model")
    assert not (tmp_path / "out").exists()


def test_too_few_events_make_no_model(tmp_path):
    make_ward(tmp_path, 8)
    with pytest.raises(EvaluationError, match=r"4 of 8 patients have the event.*at least 5"):
        fit_model(study_of(tmp_path), "covariates", tmp_path / "out", tmp_path / "model")
