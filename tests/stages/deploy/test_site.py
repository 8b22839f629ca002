"""Patients of another place, described as the model's training patients were."""

from __future__ import annotations

import numpy as np
import pytest
import yaml

from ppgssl.core.config.arms import parse_arm
from ppgssl.core.config.study import Study
from ppgssl.core.errors import ConfigError, StoreError
from ppgssl.features.patient_table import clinical_variables, needs_signals, signal_vitals
from ppgssl.features.signal_summary import signal_summary
from ppgssl.stages.deploy.predict import predict
from ppgssl.stages.deploy.risks import patient_risks
from ppgssl.stages.deploy.site import known_as, site_cohort, site_data
from ppgssl.stages.deploy.validate import validate_model
from ppgssl.stages.ingest.ingest import ingest
from ppgssl.store.tables import CohortStore
from tests.support.fitted_models import VARIABLES, fit_hospital, make_hospital
from tests.support.small_cohorts import describe, describe_study, signal, write_clinical, write_signal

LEVELS = {
    "signals__channels": {
        "ppg_red": {"column": "red", "has_baseline": True},
        "ppg_ir": {"column": "ir", "has_baseline": True},
    }
}


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A model that divides the pulse by its level."""
    folder = tmp_path_factory.mktemp("hospital")
    make_hospital(folder, 24, seed=1, **LEVELS)
    return fit_hospital(folder, "covariates+pulse-wave", inputs__normalisation="ac_dc")


@pytest.fixture
def study(tmp_path):
    return Study.model_validate(yaml.safe_load(describe_study(tmp_path, covariates=["age", "stage"]).read_text()))


def test_what_an_arm_takes_comes_from_the_table_or_from_the_signals(study):
    assert clinical_variables(parse_arm("covariates+ssl-all"), study) == ["age", "stage"]
    assert signal_vitals(parse_arm("vitals"), study) == ["spo2_percent", "heart_rate_bpm"]
    named = study.model_copy(update={"heart_rate": "age"})
    assert clinical_variables(parse_arm("vitals"), named) == ["age"]
    assert signal_vitals(parse_arm("vitals"), named) == ["spo2_percent"]
    assert not needs_signals(parse_arm("heart-rate"), named)
    assert needs_signals(parse_arm("covariates+pulse-wave"), study)
    assert needs_signals(parse_arm("covariates+ssl-all+pulse-wave"), named)
    assert not needs_signals(parse_arm("covariates"), study)


def test_a_level_that_cannot_be_divided_by_refuses_one_patient_and_not_all(model, tmp_path):
    write_signal(tmp_path, "good_1", signal(901))
    write_signal(tmp_path, "dark_1", signal(902) - 100)
    write_clinical(tmp_path, ["good,50,a,", "dark,50,a,"])
    files = sorted((tmp_path / "signals").iterdir())
    found = {one.patient_id: one for one in predict(model, files, clinical=tmp_path / "clinical.csv").patients}
    assert found["good"].decision == "predicted"
    assert found["dark"].decision == "refused"
    alone = predict(model, [tmp_path / "signals" / "dark_1.csv"], clinical=tmp_path / "clinical.csv")
    assert alone.patients[0].decision == "refused"


def test_no_level_at_all_is_an_error_of_the_store(model, tmp_path):
    write_signal(tmp_path, "p1_1", signal(903) - 100)
    write_clinical(tmp_path, ["p1,50,a,1"])
    ingest(describe(tmp_path, **{"clinical__variables": VARIABLES, **LEVELS}), tmp_path / "store", n_jobs=1)
    with pytest.raises(StoreError, match="no segment has a raw level above 0"):
        site_data(CohortStore(tmp_path / "store"), model.card)


def test_signals_are_summed_up_for_every_patient_with_or_without_them(model):
    store = CohortStore(model.folder.parent / "store")
    data = site_data(store, model.card, patients=["p1", "nobody"])
    found = signal_summary(data)
    ward = store.cohort.name
    assert list(found.index) == [f"{ward}/nobody", f"{ward}/p1"]
    assert list(found["n_accepted"]) == [0, 5]
    assert np.isnan(found["heart_rate_bpm"].iloc[0])
    assert 50 < found["heart_rate_bpm"].iloc[1] < 130
    assert np.isnan(patient_risks(model, data).distance[0])


def test_a_cohort_keeps_its_files_and_takes_the_models_rules(model):
    here = model.card.cohort_model()
    other = here.model_copy(
        update={
            "signal": here.signal.model_copy(update={"fs_hz": 200.0}),
            "segments": here.segments.model_copy(update={"segment_s": 30.0, "min_sqi": 0.99}),
            "vitals": here.vitals.model_copy(update={"spo2_calibration": [100.0, -20.0]}),
        }
    )
    found, notes = site_cohort(other, model.card)
    assert notes == []
    assert found.signal == here.signal
    assert (found.segments.segment_s, found.segments.min_sqi) == (4.0, 0.5)
    assert found.vitals.spo2_calibration == [100.0, -20.0]
    assert found.signals == other.signals


def test_a_patient_is_remembered_by_key_and_by_pseudonym_but_never_by_name(model):
    store = CohortStore(model.folder.parent / "store")
    plain = known_as(store, "p1")
    assert len(plain) == 1
    assert plain <= set(model.card.seen.patients_sha256)
    assert "p1" not in (model.folder / "model.json").read_text()


# --- transformed values ----------------------------------------------------------------------------------------

LOG_AGE = {"column": "age", "kind": "numeric", "label": "Age", "unit": "years", "range": [1, 120]}
AGE_AS_LOG = {**VARIABLES, "log_age": {**LOG_AGE, "transform": "log10"}}


@pytest.fixture(scope="module")
def log_model(tmp_path_factory):
    """A model of the logarithm of age, from a table that has age alone."""
    folder = tmp_path_factory.mktemp("logarithms")
    make_hospital(folder, 24, seed=1, clinical__variables=AGE_AS_LOG)
    return fit_hospital(folder, "covariates", covariates=["log_age", "stage"], arms=["covariates"])


def test_the_card_shows_the_formula_and_ranges_on_its_scale(log_model):
    age = log_model.card.covariates[0]
    assert (age.name, age.label, age.unit) == ("log_age", "log10(Age in years)", "")
    assert age.plausible == pytest.approx((0, np.log10(120)))
    assert age.plausible[0] < age.typical[0] < age.typical[1] < age.plausible[1]
    assert "log10(Age in years)" in (log_model.folder / "model_card.md").read_text()


def test_a_model_transforms_the_values_of_new_patients_itself(log_model, tmp_path):
    write_clinical(tmp_path, ["young,30,a,", "old,80,a,", "absent,,a,", "typo,800,a,"])
    write_signal(tmp_path, "young_1", signal(911))
    files = sorted((tmp_path / "signals").iterdir())
    found = predict(log_model, files, clinical=tmp_path / "clinical.csv")
    table = site_table(log_model, tmp_path, AGE_AS_LOG)
    assert table["log_age"].tolist() == pytest.approx([np.nan, np.log10(80), np.nan, np.log10(30)], nan_ok=True)
    (young,) = [one for one in found.patients if one.patient_id == "young"]
    assert young.decision == "predicted"
    data = site_data(CohortStore(tmp_path / "store"), log_model.card, patients=["young"])
    assert young.risk == pytest.approx(float(patient_risks(log_model, data).risks[0, 0]))


def site_table(model, folder, variables):
    """The model's variables of the ward in ``folder``, by patient."""
    ingest(describe(folder, clinical__variables=variables), folder / "store", n_jobs=1)
    return site_data(CohortStore(folder / "store"), model.card).covariates


@pytest.mark.parametrize(
    ("described", "message"),
    [
        (LOG_AGE, r"`log_age` is the value in the table itself, and was log10\(value in years\): describe it with"),
        (
            {**LOG_AGE, "transform": {"name": "log10", "offset": 1}},
            r"`log_age` is log10\(1 \+ value in years\), and was log10\(value in years\)",
        ),
        ({**LOG_AGE, "unit": "months", "transform": "log10"}, "`log_age` is in months, and was in years: convert it"),
    ],
)
def test_a_cohort_without_the_models_transform_is_refused(log_model, tmp_path, described, message):
    make_hospital(tmp_path, 8, seed=3, clinical__variables={**VARIABLES, "log_age": described})
    with pytest.raises(ConfigError, match=message):
        predict(log_model, cohort_file=tmp_path / "cohort.yaml")
    with pytest.raises(ConfigError, match=message):
        validate_model(log_model, tmp_path / "cohort.yaml", tmp_path / "out", n_jobs=1)
    ingest(tmp_path / "cohort.yaml", tmp_path / "store", n_jobs=1)
    with pytest.raises(ConfigError, match=message):
        validate_model(log_model, tmp_path / "store", tmp_path / "out", n_jobs=1)


def test_a_transform_that_the_model_does_not_know_is_refused(model, tmp_path):
    age = {"kind": "numeric", "unit": "years", "range": [1, 120], "transform": "log10"}
    make_hospital(tmp_path, 8, seed=3, clinical__variables={**VARIABLES, "age": age}, **LEVELS)
    with pytest.raises(ConfigError, match=r"`age` is log10\(value in years\), and was the value in the table itself"):
        predict(model, cohort_file=tmp_path / "cohort.yaml")


def test_a_unit_that_one_side_does_not_name_is_no_difference(log_model, tmp_path):
    nameless = {**AGE_AS_LOG, "log_age": {**AGE_AS_LOG["log_age"], "unit": ""}}
    make_hospital(tmp_path, 4, seed=3, clinical__variables=nameless)
    assert {one.decision for one in predict(log_model, cohort_file=tmp_path / "cohort.yaml").patients} == {"predicted"}
