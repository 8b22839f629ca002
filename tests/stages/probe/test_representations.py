from __future__ import annotations

import re

import numpy as np
import pytest
import yaml

from ppgssl.core.config.study import Study
from ppgssl.core.errors import LeakageError
from ppgssl.core.provenance import Stopwatch
from ppgssl.selfsupervised.input_description import describe_study_input, study_bank
from ppgssl.selfsupervised.study_encoders import encoder_fingerprint, initial_encoder, seen_segments
from ppgssl.stages.probe.representations import describe, probe_job, representations
from ppgssl.stages.probe.targets import probe_folds, probed_cohorts
from ppgssl.store.leakage import hashed_patient
from tests.conftest import REPOSITORY


def study(**probe):
    return Study.model_validate(
        {
            "name": "x",
            "out": "out",
            "cohorts": [{"store": "store", "role": "labelled"}],
            "inputs": {"channels": [{"name": "ppg", "any_of": ["ppg"]}], "fs_hz": 50, "segment_s": 4, "step_s": 2},
            "outcome": "died",
            "arms": ["heart-rate"],
            "probe": probe,
        }
    )


def test_by_default_the_studys_own_objective_is_probed():
    of_study = study()
    found = representations(of_study)
    assert [(one.name, one.kind) for one in found] == [
        (of_study.pretraining.objective.name, "ssl"),
        ("untrained", "baseline"),
        ("pca", "baseline"),
        ("pulse-wave", "baseline"),
    ]


def test_two_of_one_objective_have_names_and_labels_of_their_own():
    objectives = ["vicreg", {"name": "vicreg", "pairs": "segment"}, "autoencoder"]
    found = representations(study(objectives=objectives, baselines=["untrained", "untrained"]))
    assert [one.name for one in found] == ["vicreg", "vicreg-2", "autoencoder", "untrained"]
    assert [one.label for one in found] == ["VICReg", "VICReg (pairs segment)", "Autoencoder", "Untrained encoder"]


def test_the_example_in_the_document_is_a_probe():
    text = (REPOSITORY / "docs" / "probe.md").read_text("utf-8")
    block = yaml.safe_load(re.search(r"^```yaml\n(.*?)^```", text, re.M | re.S)[1])
    assert len(representations(study(**block["probe"]))) == 7


@pytest.fixture
def fold(tiny_study):
    data = tiny_study.data(probe={"min_patients": 5})
    return data, probe_folds(data, probed_cohorts(data))[0]


def test_an_encoder_sees_everybody_but_the_folds_patients(fold, tmp_path):
    data, one = fold
    representation = representations(data.study)[0]
    job, of_job = probe_job(representation, one, data, tmp_path)
    seen = set(data.segments.table.loc[seen_segments(job, of_job), "patient"])
    assert seen == set(data.segments.table["patient"]) - set(one.test)
    assert job.folder == tmp_path / "probe" / "encoders" / representation.name / one.name


def test_each_objective_has_encoders_of_its_own(fold, tmp_path):
    data, one = fold
    both = representations(study(objectives=["autoencoder", "masked-autoencoder"]))[:2]
    made_of = [encoder_fingerprint(*probe_job(representation, one, data, tmp_path)) for representation in both]
    assert made_of[0] != made_of[1]


def test_an_encoder_that_saw_a_test_patient_is_refused(fold, tmp_path):
    data, one = fold
    representation = representations(data.study)[0]
    job, _ = probe_job(representation, one, data, tmp_path)
    job.folder.mkdir(parents=True)
    Stopwatch().write(job.folder, "pretrain", made_of="", patients_sha256=[hashed_patient(one.test[0])])
    bank = study_bank(data, describe_study_input(data, ~data.of_patients(one.test)))
    with pytest.raises(LeakageError, match="has seen 1 of the patients"):
        describe(representation, one, data, tmp_path, bank, np.arange(10))


def test_the_untrained_encoder_is_the_first_state_of_the_pretrained_one(fold, tmp_path):
    data, one = fold
    bank = study_bank(data, describe_study_input(data, ~data.of_patients(one.test)))
    untrained = next(item for item in representations(data.study) if item.name == "untrained")
    described = describe(untrained, one, data, tmp_path, bank, np.arange(10))
    segments = bank.gather(np.arange(3))
    expected = initial_encoder(data, one).eval().embed(segments).detach().numpy()
    features = described.represent(segments.numpy())[:, described.parts[described.own_part]]
    np.testing.assert_allclose(features, expected, rtol=1e-5)


def test_baselines_are_fitted_to_training_segments_alone(fold, tmp_path):
    data, one = fold
    is_training = ~data.of_patients(one.test)
    bank = study_bank(data, describe_study_input(data, is_training))
    pca = next(item for item in representations(data.study) if item.name == "pca")
    described = describe(pca, one, data, tmp_path, bank, np.flatnonzero(is_training))
    rows = bank.gather(np.flatnonzero(is_training)).numpy().reshape(is_training.sum(), -1)
    np.testing.assert_allclose(described.represent.mean, rows.mean(axis=0), atol=1e-4)
