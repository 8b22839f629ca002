from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import numpy as np
import pandas as pd
import pytest
import yaml
from ppgssl.data_schemas import FOLDER, MODELS, schema_text

from ppgssl.core.config.loading import load_cohort, load_study
from ppgssl.core.reasons import Reason
from ppgssl.simulate.published import simulate_published
from ppgssl.stages.ingest.ingest import ingest
from ppgssl.store.tables import CohortStore


@pytest.mark.parametrize("name", MODELS)
def test_the_kept_schema_is_that_of_the_model(name):
    kept = (FOLDER / f"{name}.schema.json").read_text(encoding="utf-8")
    assert kept == schema_text(name), "write it again with: python -m ppgssl.data_schemas"


@pytest.mark.parametrize("kind", ["cohort", "study"])
def test_the_examples_follow_the_schema(kind):
    schema = json.loads(schema_text(kind))
    folder = {"cohort": "cohorts", "study": "studies"}[kind]
    examples = sorted((FOLDER / "examples" / folder).glob("*.yaml"))
    assert examples
    for path in examples:
        # JSON has text keys only: `levels: {1: yes}` is `{"1": "yes"}` to it.
        jsonschema.validate(json.loads(json.dumps(yaml.safe_load(path.read_text(encoding="utf-8")))), schema)


# --- the recipe of the published study -------------------------------------------------------------------------

RECIPE = FOLDER / "examples" / "mwaniki2023"
RECIPE_COHORTS = ("triage", "sepsis_6_60_months", "sepsis_0_6_months")


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A few simulated patients, in files of the published names and layouts."""
    out = tmp_path_factory.mktemp("published") / "data"
    simulate_published(out, n_labelled=12, n_unlabelled=10, duration_s=30, seed=4)
    return out


@pytest.fixture
def _data(published: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PPGSSL_DATA", str(published))


@pytest.mark.parametrize("path", sorted(RECIPE.glob("*.yaml")), ids=lambda path: path.stem)
def test_the_recipe_follows_the_schema(path):
    kind = "study" if path.stem.startswith("study") else "cohort"
    jsonschema.validate(
        json.loads(json.dumps(yaml.safe_load(path.read_text(encoding="utf-8")))), json.loads(schema_text(kind))
    )


@pytest.mark.parametrize("name", RECIPE_COHORTS)
@pytest.mark.usefixtures("_data")
def test_the_recipe_reads_files_of_the_published_layouts(name, published, tmp_path):
    summary = ingest(RECIPE / f"{name}.yaml", tmp_path / "store", n_jobs=1)
    truth = pd.read_csv(published / "truth.csv").query("cohort == @name")
    assert list(summary.rejects["reason"]) == [Reason.SPO2_UNCALIBRATED]
    assert summary.n_recordings == len(truth)
    assert summary.n_patients == truth["patient_id"].nunique()
    # 10 s every 2 s of 30 s, of which the device's SQI leaves out those that are all motion.
    assert 0.5 * 11 * len(truth) < summary.n_segments_accepted <= 11 * len(truth)


@pytest.mark.usefixtures("_data")
def test_the_recipe_understands_every_cell_of_the_published_table(published, tmp_path):
    cohort = load_cohort(RECIPE / "triage.yaml")
    assert cohort.clinical is not None
    ingest(RECIPE / "triage.yaml", tmp_path / "store", n_jobs=1)
    patients = CohortStore(tmp_path / "store").patients()
    written = pd.read_csv(published / "triage" / "data.csv").set_index("Study No")
    assert len(patients) == 12
    for name, variable in cohort.clinical.variables.items():
        column = next(one for one in written if one.strip() == (variable.column or name))
        is_empty = written[column].isna().reindex(patients.index)
        assert patients[name].isna().equals(is_empty), name
    assert patients["hospitalized"].sum() == (written["Was child admitted (this illness)?"] == "Yes").sum()
    spo2 = written["Oxygen saturation"].reindex(patients.index)
    np.testing.assert_allclose(patients["spo2_pct"], spo2)
    np.testing.assert_allclose(patients["spo2_transformed"], 4.314 * np.log10(103.711 - spo2) - 37.315)


def test_the_recipe_is_the_published_protocol():
    study = load_study(RECIPE / "study.yaml")
    objective, encoder = study.pretraining.objective, study.pretraining.encoder
    assert (study.inputs.fs_hz, study.inputs.segment_s, study.inputs.step_s) == (80, 10, 2)
    assert study.inputs.fixed == {"red": (0.3, 0.09), "ir": (0.6, 0.13)}
    assert (study.validation.scheme, study.validation.test_fraction) == ("single-split", 0.2)
    assert (objective.name, objective.min_segments) == ("contrastive-patient", 16)
    assert [augmentation.name for augmentation in objective.augmentations] == ["noise", "permutation"]
    assert (encoder.name, encoder.n_features) == ("resnet50-1d", 32)
    assert study.network.n_models == 10
    for name in RECIPE_COHORTS:
        segments = load_cohort(RECIPE / f"{name}.yaml").segments
        assert (segments.step_s, segments.accept, segments.min_device_sqi) == (2, "device-any", 50)
    clinical = load_cohort(RECIPE / "triage.yaml").clinical
    assert clinical is not None
    assert {study.outcome, *study.covariates, study.heart_rate, study.spo2} <= set(clinical.variables)
    assert clinical.variables["spo2_transformed"].label == "4.314 log10(103.711 - SpO2 in %) - 37.315"
    assert "spo2_transformed" in study.covariates
    assert "spo2_pct" not in study.covariates
    assert "spo2_pct" in load_study(RECIPE / "study_defaults.yaml").covariates
