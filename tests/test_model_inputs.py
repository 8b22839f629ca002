"""Patients of another place, described as the model's training patients were."""

from __future__ import annotations

import numpy as np
import pytest
import yaml

from ppgssl.arms import parse_arm
from ppgssl.config import Study
from ppgssl.errors import StoreError
from ppgssl.ingest import ingest
from ppgssl.model_inputs import (
    clinical_inputs,
    known_as,
    needs_signals,
    signal_summary,
    signal_vitals,
    site_cohort,
    site_data,
)
from ppgssl.predict import predict, risks_of
from ppgssl.store.tables import CohortStore
from tests.fitted_models import VARIABLES, fit_hospital, make_hospital
from tests.small_cohorts import describe, describe_study, signal, write_clinical, write_signal

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
    assert clinical_inputs(parse_arm("covariates+ssl-all"), study) == ["age", "stage"]
    assert signal_vitals(parse_arm("vitals"), study) == ["spo2_percent", "heart_rate_bpm"]
    named = study.model_copy(update={"heart_rate": "age"})
    assert clinical_inputs(parse_arm("vitals"), named) == ["age"]
    assert signal_vitals(parse_arm("vitals"), named) == ["spo2_percent"]
    assert not needs_signals(parse_arm("heart-rate"), named)
    assert needs_signals(parse_arm("covariates+pulse-wave"), study)
    assert not needs_signals(parse_arm("covariates"), study)


def test_a_level_that_cannot_be_divided_by_refuses_one_patient_and_not_all(model, tmp_path):
    write_signal(tmp_path, "good_1", signal(901))
    write_signal(tmp_path, "dark_1", signal(902) - 100)
    write_clinical(tmp_path, ["good,50,a,", "dark,50,a,"])
    files = sorted((tmp_path / "signals").iterdir())
    found = {one.patient_id: one for one in predict(model, files, clinical=tmp_path / "clinical.csv").patients}
    assert found["good"].verdict == "predicted"
    assert found["dark"].verdict == "refused"
    alone = predict(model, [tmp_path / "signals" / "dark_1.csv"], clinical=tmp_path / "clinical.csv")
    assert alone.patients[0].verdict == "refused"


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
    assert np.isnan(risks_of(model, data).distance[0])


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
