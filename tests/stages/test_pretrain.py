from __future__ import annotations

import json
import socket
import subprocess
import sys

import numpy as np
import pytest
import yaml
from safetensors.numpy import load_file

from ppgssl.core.errors import ConfigError, StaleInputError, TrainingError
from ppgssl.core.provenance import read_run
from ppgssl.core.seeds import derive_seed
from ppgssl.selfsupervised.distributed import Team
from ppgssl.selfsupervised.study_encoders import (
    encoder_jobs,
    held_out_patients,
    initial_encoder,
    patients_seen,
    seen_segments,
)
from ppgssl.stages.evaluate.encoder_summary import summarize_encoders
from ppgssl.stages.ingest.ingest import ingest
from ppgssl.stages.pretrain import pretrain
from ppgssl.store.leakage import hashed_patient
from tests.conftest import REPOSITORY
from tests.support.small_cohorts import make_ward, study_of

CLI = [sys.executable, "-c", "from ppgssl.cli.app import main; main()"]


def write_study(tiny_study, folder, **changes):
    """``study.yaml`` in a folder of its own, and in its ``run`` the stores that are there already."""
    description = tiny_study.data(**changes).study.model_dump(mode="json", exclude_unset=True)
    for cohort in description["cohorts"]:
        cohort["cohort"] = str(tiny_study.file.parent / cohort["cohort"])
    (folder / "run").mkdir()
    (folder / "run" / "stores").symlink_to(tiny_study.out / "stores")
    study = folder / "study.yaml"
    study.write_text(yaml.safe_dump(description | {"out": "run"}))
    return study


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


def weights(folder):
    return load_file(folder / "encoder.safetensors")


def test_no_encoder_of_a_fold_has_seen_its_test_patients(tiny_study, tmp_path):
    data = tiny_study.data()
    jobs = pretrain(data, tmp_path, n_jobs=1)
    assert {job.encoder for job in jobs} == {"ssl-labelled", "ssl-all"}
    assert len(jobs) == 2 * len(data.folds)
    for job in jobs:
        seen = set(patients_seen(job))
        assert not seen & {hashed_patient(name) for name in job.fold.test}
        assert {hashed_patient(name) for name in job.fold.train} <= seen


def test_ssl_on_the_labelled_cohort_sees_no_other_cohort(tiny_study, tmp_path):
    data = tiny_study.data()
    for job in encoder_jobs(data.study, data.folds, tmp_path):
        cohorts = set(data.segments.table.loc[seen_segments(job, data), "cohort"])
        assert cohorts == (
            {data.labelled.cohort.name} if job.encoder == "ssl-labelled" else set(data.segments.channel_of)
        )


@pytest.mark.parametrize(
    ("exposure", "n_jobs", "sees_labelled", "is_transductive"),
    [("per-fold", 4, True, False), ("disjoint", 3, False, False), ("transductive", 2, True, True)],
)
def test_exposure_decides_how_many_encoders_there_are_and_whom_they_see(
    tiny_study, tmp_path, exposure, n_jobs, sees_labelled, is_transductive
):
    data = tiny_study.data(pretraining__exposure=exposure)
    jobs = encoder_jobs(data.study, data.folds, tmp_path)
    assert len(jobs) == n_jobs
    of_all = next(job for job in jobs if job.encoder == "ssl-all")
    assert (seen_segments(of_all, data) & data.is_labelled_cohort()).any() == sees_labelled
    assert of_all.is_transductive == is_transductive


def test_only_encoders_that_an_arm_needs_are_pretrained(tiny_study, tmp_path):
    data = tiny_study.data(arms=["covariates", "untrained", "network-random"])
    assert encoder_jobs(data.study, data.folds, tmp_path) == []
    assert pretrain(data, tmp_path, n_jobs=1) == []


def test_a_finished_encoder_is_kept_and_one_of_other_settings_is_made_again(tiny_study, tmp_path):
    arms = ["ssl-labelled"]
    data = tiny_study.data(arms=arms)
    first, second = pretrain(data, tmp_path, n_jobs=1)
    before = (first.folder / "encoder.safetensors").stat().st_mtime_ns
    pretrain(data, tmp_path, n_jobs=1)
    assert (first.folder / "encoder.safetensors").stat().st_mtime_ns == before
    pretrain(tiny_study.data(arms=arms, pretraining__n_steps=4), tmp_path, n_jobs=1)
    assert (first.folder / "encoder.safetensors").stat().st_mtime_ns > before
    assert read_run(second.folder)["pretraining"]["n_steps"] == 4


def test_interrupted_pretraining_ends_in_the_same_weights(tiny_study, tmp_path):
    data = tiny_study.data(arms=["ssl-all"], pretraining__n_steps=24)

    def interrupt(done, _total, _text):
        if done >= 34:  # in the second of two encoders
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pretrain(data, tmp_path / "interrupted", n_jobs=1, progress=interrupt)
    resumed = pretrain(data, tmp_path / "interrupted", n_jobs=1)
    whole = pretrain(data, tmp_path / "whole", n_jobs=1)
    for one, other in zip(resumed, whole, strict=True):
        ours, theirs = weights(one.folder), weights(other.folder)
        assert ours.keys() == theirs.keys()
        assert all(np.array_equal(ours[name], theirs[name]) for name in ours)


def test_processes_side_by_side_give_what_one_process_gives(tiny_study, tmp_path):
    data = tiny_study.data(arms=["ssl-labelled"])
    steps = []
    two = pretrain(data, tmp_path / "two", n_jobs=2, progress=lambda done, total, _text: steps.append((done, total)))
    one = pretrain(data, tmp_path / "one", n_jobs=1)
    for a, b in zip(one, two, strict=True):
        assert_nearly_same_weights(a, b)
    assert steps[-1] == (16, 16)


def assert_nearly_same_weights(one, other):
    for name, values in weights(one.folder).items():
        # Sums are taken in another order, which changes the last digits.
        np.testing.assert_allclose(values, weights(other.folder)[name], atol=1e-4)


@pytest.mark.slow
def test_two_devices_give_what_one_gives_and_the_record_reports_so(tiny_study, tmp_path):
    data = tiny_study.data(arms=["ssl-labelled"], pretraining__objective="contrastive-patient")
    reports = []
    two = pretrain(data, tmp_path / "two", team=Team(2), progress=lambda *report: reports.append(report))
    one = pretrain(data, tmp_path / "one", n_jobs=1)
    for a, b in zip(one, two, strict=True):
        assert_nearly_same_weights(a, b)
        record = read_run(b.folder)
        assert (record["hardware"]["devices"], record["hardware"]["nodes"]) == (2, 1)
        assert record["n_patients"] == read_run(a.folder)["n_patients"]
    assert [done for done, *_ in reports] == [8, 16]
    assert read_run(tmp_path / "two" / "encoders")["devices"] == 2


@pytest.mark.slow
def test_processes_that_torchrun_starts_train_together(tiny_study, tmp_path):
    study = write_study(tiny_study, tmp_path, arms=["ssl-labelled"])
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--master-port", free_port()]
    command = [*torchrun, "--no-python", *CLI, "pretrain", str(study), "--devices", "2", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=REPOSITORY)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["encoders"] == 2  # one of the two processes speaks
    folder = tmp_path / "run" / "encoders" / "ssl-labelled"
    alone = pretrain(tiny_study.data(arms=["ssl-labelled"]), tmp_path / "alone", n_jobs=1)
    for job in alone:
        for name, values in weights(job.folder).items():
            np.testing.assert_allclose(values, weights(folder / job.folder.name)[name], atol=1e-4)
        assert read_run(folder / job.folder.name)["hardware"]["devices"] == 2


def test_a_batch_that_devices_cannot_share_is_refused_before_any_work(tiny_study, tmp_path):
    with pytest.raises(ConfigError, match=r"`pretraining.batch_size` 16 cannot be shared equally by 3 processes"):
        pretrain(tiny_study.data(), tmp_path, team=Team(3))
    assert not list(tmp_path.iterdir())


def test_the_record_holds_what_the_encoder_took(tiny_study, tmp_path):
    job = pretrain(tiny_study.data(arms=["ssl-labelled"]), tmp_path, n_jobs=1)[0]
    record = read_run(job.folder)
    assert record["hardware"]["cpu"]
    assert record["hardware"]["peak_memory_mb"] > 0
    assert record["energy"]["cpu_joules"] is not None or "not counted" in record["energy"]["note"]
    assert record["training_seconds"] > 0
    assert record["pretraining"]["n_steps"] == 8


def test_the_report_shows_warnings_machine_and_energy(tiny_study, tmp_path):
    data = tiny_study.data(arms=["ssl-labelled"])
    jobs = pretrain(data, tmp_path, n_jobs=1)
    record = read_run(jobs[1].folder)
    for job in jobs:
        warnings = ["it has collapsed"] if job is jobs[1] else []
        (job.folder / "run.json").write_text(json.dumps(read_run(job.folder) | {"warnings": warnings}))
    summary = summarize_encoders(jobs, data)
    assert summary["warnings"] == [f"{jobs[1].name}: it has collapsed"]
    assert summary["hardware"]["cpu"] == record["hardware"]["cpu"]
    joules = [read_run(job.folder)["energy"]["cpu_joules"] for job in jobs]
    assert summary["cpu_joules"] == (None if None in joules else sum(joules))


def test_examples_show_a_channel_that_the_cohort_has(tmp_path):
    (tmp_path / "home").mkdir()
    make_ward(tmp_path, 8)
    home = make_ward(tmp_path / "home", 8, first_seed=10, name="home", signals__channels={"ppg_ir": {"column": "ir"}})
    ingest(home, tmp_path / "home" / "store", n_jobs=1)
    data = study_of(
        tmp_path,
        cohorts=[{"store": "store", "role": "labelled"}, {"store": "home/store", "role": "unlabelled"}],
        inputs__channels=[
            {"name": "red", "any_of": ["ppg_red"], "optional": True},
            {"name": "infrared", "any_of": ["ppg_ir"]},
        ],
        arms=["ssl-all"],
        pretraining={"exposure": "transductive", "n_steps": 1, "batch_size": 4, "encoder": {"width": 4, "n_stages": 1}},
    )
    shown = summarize_encoders(pretrain(data, tmp_path / "out", n_jobs=1), data)["reconstructions"]
    assert {(one.cohort, one.channel) for one in shown} == {("ward", "red"), ("home", "infrared")}
    assert all(np.any(one.original) for one in shown)


def test_the_untrained_control_has_the_first_weights_of_the_folds_encoders(tiny_study):
    data = tiny_study.data()
    one, again = initial_encoder(data, data.folds[0]), initial_encoder(data, data.folds[0])
    other = initial_encoder(data, data.folds[1])
    pairs = list(zip(one.parameters(), again.parameters(), other.parameters(), strict=True))
    assert all((a == b).all() for a, b, _ in pairs)
    assert any((a != c).any() for a, _, c in pairs)


def test_held_out_patients_come_from_every_cohort_and_never_are_all_of_one(tiny_study):
    data = tiny_study.data()
    everything = np.ones(len(data.segments.table), dtype=bool)
    held_out = held_out_patients(data, everything, seed=0)
    for _, patients in data.segments.table.groupby("cohort")["patient"]:
        names = set(patients)
        assert 0 < len(names & held_out) < len(names)


def test_a_single_patient_cannot_be_pretrained_on(tiny_study):
    data = tiny_study.data()
    one = data.of_patients([data.y.index[0]])
    with pytest.raises(TrainingError, match="at least two patients"):
        held_out_patients(data, one, seed=0)


def test_an_encoder_that_does_not_say_whom_it_saw_cannot_be_used(tiny_study, tmp_path):
    data = tiny_study.data(arms=["ssl-labelled"])
    job = pretrain(data, tmp_path, n_jobs=1)[0]
    record = json.loads((job.folder / "run.json").read_text())
    del record["patients_sha256"]
    (job.folder / "run.json").write_text(json.dumps(record))
    with pytest.raises(StaleInputError, match="does not record which patients"):
        patients_seen(job)


def test_seeds_differ_by_use_and_are_the_same_everywhere():
    assert derive_seed(2023, "bootstrap") == derive_seed(2023, "bootstrap")
    assert len({derive_seed(seed, use) for seed in (1, 2) for use in ("bootstrap", "network")}) == 4
    assert 0 <= derive_seed(0, "x") < 2**31
