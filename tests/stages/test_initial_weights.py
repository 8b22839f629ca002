"""A study whose encoders start from others: what must be alike, and whom nobody may test any more."""

from __future__ import annotations

import shutil

import pytest
import yaml

from ppgssl.core.config.loading import load_study
from ppgssl.core.config.pretraining import Pretraining
from ppgssl.core.errors import ConfigError, LeakageError, StaleInputError
from ppgssl.core.provenance import read_run
from ppgssl.selfsupervised.encoder_io import load_encoder, read_model
from ppgssl.selfsupervised.initial_weights import init_folder
from ppgssl.selfsupervised.study_encoders import encoder_fingerprint, encoder_jobs, patients_seen
from ppgssl.stages.ingest.ingest import ingest
from ppgssl.stages.pretrain import pretrain
from ppgssl.store.leakage import FittedParts, hashed_patient
from ppgssl.store.study_data import load_study_data
from tests.support.small_cohorts import clinical_row, describe, describe_study, write_clinical


@pytest.fixture(scope="module")
def start(tiny_study, tmp_path_factory):
    """Encoder of the unlabelled cohort alone."""
    data = tiny_study.data(arms=["ssl-all"], pretraining__exposure="disjoint")
    (job,) = pretrain(data, tmp_path_factory.mktemp("start"), n_jobs=1)
    return job


def test_an_encoder_has_seen_the_patients_of_the_one_it_started_from(tiny_study, start, tmp_path):
    data = tiny_study.data(arms=["ssl-labelled"], pretraining__init=str(start.folder))
    for job in pretrain(data, tmp_path, n_jobs=1):
        own = {hashed_patient(name) for name in job.fold.train}
        assert set(patients_seen(job)) == own | set(patients_seen(start))
        parts = FittedParts(job.fold.name, data.shared_signals)
        parts.record_hashed("encoder", patients_seen(job))
        parts.check(job.fold.test)


def test_test_patients_whom_the_first_weights_have_seen_are_refused_before_any_training(tiny_study, tmp_path):
    data = tiny_study.data(arms=["ssl-labelled"])
    seen = pretrain(data, tmp_path / "before", n_jobs=1)[0]
    again = tiny_study.data(arms=["ssl-labelled"], pretraining__init=str(seen.folder))
    with pytest.raises(LeakageError, match=r"the encoder that `pretraining.init: .*` starts from has seen \d+ of the"):
        pretrain(again, tmp_path / "after", n_jobs=1)
    assert not (tmp_path / "after").exists()
    transductive = {"pretraining__exposure": "transductive", "pretraining__init": str(seen.folder)}
    (job,) = pretrain(tiny_study.data(arms=["ssl-labelled"], **transductive), tmp_path / "after", n_jobs=1)
    assert set(patients_seen(seen)) <= set(patients_seen(job))


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"inputs__normalisation": "segment"}, "`inputs.normalisation` ac_dc, and this study has segment"),
        ({"inputs__fs_hz": 20}, "`inputs.fs_hz` 40, and this study has 20"),
        (
            {"inputs__channels": [{"name": "ir", "any_of": ["ppg_ir"]}, {"name": "red", "any_of": ["ppg_red"]}]},
            "`inputs.channels` red, ir, and this study has ir, red",
        ),
    ],
)
def test_a_study_of_other_signals_is_refused(tiny_study, start, tmp_path, changed, message):
    data = tiny_study.data(arms=["ssl-labelled"], pretraining__init=str(start.folder), **changed)
    with pytest.raises(ConfigError, match=message):
        pretrain(data, tmp_path, n_jobs=1)


def test_an_encoder_of_whose_patients_nothing_is_known_is_no_start(tiny_study, start, tmp_path):
    shutil.copytree(start.folder, tmp_path / "start")
    (tmp_path / "start" / "run.json").unlink()
    data = tiny_study.data(arms=["ssl-labelled"], pretraining__init=str(tmp_path / "start"))
    with pytest.raises(StaleInputError, match="does not record which patients its encoder has seen"):
        pretrain(data, tmp_path / "out", n_jobs=1)


def test_the_path_is_relative_to_the_study_and_its_weights_decide_the_encoder(tiny_study, start, tmp_path):
    shutil.copytree(start.folder, tmp_path / "start")
    description = yaml.safe_load(tiny_study.file.read_text())
    description["pretraining"]["init"] = "start"
    description["arms"] = ["ssl-labelled"]
    file = tmp_path / "study.yaml"
    file.write_text(yaml.safe_dump(description))
    study = load_study(file)
    assert study.pretraining.init == str(tmp_path / "start")
    here, there, random = (
        tiny_study.data(arms=["ssl-labelled"], pretraining__init=init)
        for init in (study.pretraining.init, str(start.folder), "random")
    )
    job = encoder_jobs(here.study, here.folds, tmp_path)[0]
    assert encoder_fingerprint(job, here) == encoder_fingerprint(job, there) != encoder_fingerprint(job, random)


def test_a_study_of_people_whom_the_base_encoder_has_seen_is_refused(test_data, tmp_path):
    """Whatever cohort and people are called: their recordings give them away."""
    for number in range(1, 9):
        (tmp_path / f"p{number}").mkdir()
        source = test_data / "stress_predict" / f"S{number:02d}" / "BVP.csv"
        shutil.copy(source, tmp_path / f"p{number}")
    write_clinical(tmp_path, [clinical_row(number) for number in range(1, 9)])
    cohort = describe(
        tmp_path,
        signals__files="{patient}/BVP.csv",
        signals__fs_hz=64,
        signals__options={"skip_rows": 2},
        signals__channels={"ppg": {"column": 0}},
        signal__fs_hz=40,
        segments={"segment_s": 10, "step_s": 10, "min_sqi": 0},
        vitals={"enabled": False},
    )
    ingest(cohort, tmp_path / "store", n_jobs=1)
    file = describe_study(
        tmp_path,
        inputs={
            "channels": [{"name": "ppg", "any_of": ["ppg"]}],
            "fs_hz": 40,
            "segment_s": 10,
            "step_s": 10,
            "normalisation": "segment",
        },
        arms=["ssl-all"],
        validation={"n_folds": 2, "n_repeats": 1},
        pretraining={"init": "base"},
    )
    with pytest.raises(
        LeakageError, match=r"init: base` starts from has seen 4 of the patients .*\(ward/p\d, ward/p\d, "
    ):
        pretrain(load_study_data(load_study(file), file, tmp_path / "out"), tmp_path / "out", n_jobs=1)


def test_the_base_encoder_comes_with_its_card_and_is_small():
    folder = init_folder(Pretraining(init="base"))
    card, run = read_model(folder)["card"], read_run(folder)
    assert load_encoder(folder).n_channels == 1
    assert {one["name"] for one in card["sources"]} == {"simulated children", "stress_predict", "oximetry_phone"}
    assert all(one["licence"] for one in card["sources"])
    assert card["history"][-1]["validation_loss"] < card["history"][0]["validation_loss"]
    assert hashed_patient("stress_predict/S01") in run["patients_sha256"]
    assert sum(path.stat().st_size for path in folder.iterdir()) < 5e6
