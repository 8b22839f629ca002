"""Several processes compute what one would, agree, and end together."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import textwrap
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ppgssl.core.config.pretraining import Pretraining, ResNet1dShape
from ppgssl.core.errors import ConfigError, TrainingError
from ppgssl.selfsupervised.checkpoints import CHECKPOINT_FILE
from ppgssl.selfsupervised.devices import make_fabric
from ppgssl.selfsupervised.distributed import (
    Team,
    any_of,
    cluster_environment,
    first_does,
    gather_samples,
    is_first_process,
    mean_over,
    n_processes_started,
    part_of,
)
from ppgssl.selfsupervised.pretraining_result import load_result
from ppgssl.selfsupervised.processes import work_together
from tests.conftest import REPOSITORY
from tests.selfsupervised.test_loop import run
from tests.stages.test_pretrain import free_port
from tests.support.misbehaviour import misbehave
from tests.support.pretext_tasks import generator, make_batch, make_task

PAIR = Team(devices=2)
OBJECTIVES = ["masked-autoencoder", "contrastive-patient", "vicreg", "transformation-recognition"]


def settings_of(objective, **changes):
    """Of a short run on patients who all have six segments, so that there are pairs to train on and to evaluate by."""
    encoder = ResNet1dShape(width=4, n_stages=2)
    options = {"objective": objective, "n_steps": 20, "batch_size": 16, "evaluate_every": 10, "encoder": encoder}
    return Pretraining.model_validate({**options, **changes})


# --- who is there ----------------------------------------------------------------------------------------------

TORCHRUN = {"RANK": "5", "LOCAL_RANK": "1", "GROUP_RANK": "2", "WORLD_SIZE": "6"}
SRUN = {"SLURM_PROCID": "3", "SLURM_LOCALID": "1", "SLURM_STEP_NUM_TASKS": "4", "SLURM_NODEID": "1"}
SBATCH = {"SLURM_PROCID": "0", "SLURM_NTASKS": "4", "SLURM_JOB_ID": "7"}


@pytest.mark.parametrize(
    ("environ", "n_started", "is_first"),
    [
        ({}, None, True),
        (TORCHRUN, 6, False),
        ({**TORCHRUN, "RANK": "0"}, 6, True),
        (SRUN, 4, False),
        (SBATCH, None, True),
    ],
)
def test_a_process_knows_who_started_it_and_whether_it_is_the_first(environ, n_started, is_first):
    assert n_processes_started(environ) == n_started
    assert is_first_process(environ) == is_first


def test_fabric_knows_where_the_others_are(monkeypatch):
    for name, value in {**TORCHRUN, "MASTER_ADDR": "there", "MASTER_PORT": "123"}.items():
        monkeypatch.setenv(name, value)
    found = cluster_environment()
    assert (found.main_address, found.main_port, found.node_rank(), found.local_rank()) == ("there", 123, 2, 1)
    for name in TORCHRUN:
        monkeypatch.delenv(name)
    for name, value in {**SRUN, "SLURM_NODELIST": "here[1-4]", "SLURM_NTASKS": "4"}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ConfigError, match="--ntasks-per-node=4"):
        cluster_environment()
    monkeypatch.setenv("SLURM_NTASKS_PER_NODE", "2")
    found = cluster_environment()
    assert (found.global_rank(), found.local_rank(), found.node_rank()) == (3, 1, 1)


@pytest.mark.parametrize(
    ("team", "batch_size", "accumulate", "message"),
    [
        (Team(0, 1), 16, 1, "at least one device on at least one node"),
        (Team(3, 1), 16, 1, r"`pretraining.batch_size` 16 cannot be shared equally by 3 processes.*a multiple of 3"),
        (Team(2, 1), 8, 8, r"in 8 parts each \(`pretraining.accumulate`\): choose a multiple of 16"),
        (Team(2, 2), 16, 1, r"--nodes 2: start the command on every node, with torchrun or srun"),
    ],
)
def test_a_team_that_cannot_be_is_refused(team, batch_size, accumulate, message):
    with pytest.raises(ConfigError, match=message):
        team.check(batch_size, accumulate)


def test_more_processes_than_cores_are_refused_before_they_take_all_memory():
    n = max(2, os.cpu_count() or 1) + 1
    with pytest.raises(ConfigError, match=rf"--devices {n}: (without a GPU|there are)"):
        Team(n).check(n, 1)


def test_processes_that_torchrun_started_and_nobody_asked_for_are_refused(monkeypatch):
    for name, value in TORCHRUN.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ConfigError, match=r"6 processes were started .* --devices 1 --nodes 1 make 1"):
        Team().check(16, 1)
    Team(2, 3).check(12, 1)


@given(st.integers(1, 5), st.integers(1, 6))
def test_parts_are_equal_and_together_are_the_whole(n_parts, size):
    values = torch.arange(n_parts * size)
    parts = [part_of(values, number, n_parts) for number in range(n_parts)]
    assert {len(part) for part in parts} == {size}
    assert torch.equal(torch.cat(parts), values)


# --- several processes -----------------------------------------------------------------------------------------


def talk(fabric, is_stopped):
    """Each process in turn does what the name says."""
    rank = fabric.global_rank
    mean = mean_over(fabric, torch.tensor([1.0, 10.0]) * rank).tolist()
    first = first_does(fabric, lambda: f"of {os.getpid()}")
    caught = ""
    try:
        first_does(fabric, lambda: [].pop() if rank == 0 else None)
    except IndexError as error:
        caught = str(error)
    return os.getpid(), mean, first, caught, [any_of(fabric, rank == number) for number in range(3)], is_stopped()


def gather(rank):
    """Loss and gradients of one process for its part, averaged over processes as data-parallel training does."""
    found = {"order": gather_samples(torch.full((2, 3), float(rank)))}
    for name in TASKS:
        objective, batch, draws = make_case(name)
        own = {key: value.chunk(2)[rank] for key, value in draws.items()}
        loss, gradients = loss_and_gradients(objective, batch.chunk(2)[rank], own)
        for value in (loss, *gradients.values()):
            torch.distributed.all_reduce(value)
            value /= 2
        objective.eval()  # nobody else evaluates now: this must not wait for the others
        found[name] = loss, gradients, objective.tally(batch.chunk(2)[rank], own) if rank == 0 else None
    return found


def work(report, is_stopped, folder, settings):
    """Talk, gather, and train by all settings in turn, as one of two processes; the last training fails, then one."""
    fabric = make_fabric(team=PAIR)
    rank = fabric.global_rank
    report("talk", rank, talk(fabric, is_stopped))
    report("gather", rank, gather(rank))
    train(report, is_stopped, folder, settings)
    diverging = settings_of("masked-autoencoder", learning_rate=1e30, warmup_fraction=0.0)
    try:
        train(report, is_stopped, folder, {"diverging": diverging})
    except TrainingError as error:
        report("error", rank, str(error))
    misbehave(lambda _rank: None, is_stopped, "raise")


def train(report, is_stopped, folder, settings):
    """Train by all settings in turn, as one of two processes, reporting the steps."""
    torch.set_num_threads(1)
    for name, chosen in settings.items():
        team = replace(PAIR, is_stopped=is_stopped)
        result = run(folder / name, settings=chosen, team=team, progress=lambda at: report("step", at.step))
        report("result", name, result)


TASKS = {
    "contrastive-patient": {"decoupled": True, "margin": 0.1},
    "vicreg": {"pairs": "segment"},
    "masked-autoencoder": {},
    "transformation-recognition": {},
}


def make_case(name):
    objective = make_task(name, **TASKS[name])
    return objective, make_batch(objective, n=6), objective.draw(6, 200, generator())


def loss_and_gradients(objective, batch, draws):
    loss = objective.loss(batch, draws)
    loss.backward()
    return loss.detach(), {name: parameter.grad for name, parameter in objective.named_parameters()}


TRAININGS = {name: settings_of(name) for name in OBJECTIVES}
TRAININGS["accumulated"] = settings_of("masked-autoencoder", accumulate=2)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("two")


@pytest.fixture(scope="module")
def reports(folder):
    """What two processes report that do all that takes two, in one go."""
    found = []
    with pytest.raises(TrainingError, match="no more"):  # of one process, which the other does not outlive
        work_together(work, (folder, TRAININGS), n=2, report=lambda kind, *values: found.append((kind, values)))
    return {
        kind: [values for one, values in found if one == kind] for kind in ("talk", "gather", "step", "result", "error")
    }


def test_processes_agree(reports):
    values_of = dict(reports["talk"])
    assert sorted(values_of) == [0, 1]
    for _, mean, first, caught, is_any, is_stopped in values_of.values():
        assert mean == [0.5, 5.0]
        assert first == f"of {values_of[0][0]}"
        assert caught == "pop from empty list"
        assert is_any == [True, True, False]
        assert not is_stopped


@pytest.mark.parametrize("name", TASKS)
def test_the_mean_of_the_gradients_of_several_processes_is_the_gradient_of_one_with_the_whole_batch(name, reports):
    expected_loss, expected = loss_and_gradients(*make_case(name))
    for _, found in reports["gather"]:
        loss, gradients, _ = found[name]
        torch.testing.assert_close(loss, expected_loss, rtol=1e-5, atol=1e-6)
        for key, gradient in gradients.items():
            torch.testing.assert_close(
                gradient, expected[key], rtol=1e-3, atol=1e-6, msg=lambda text, key=key: key + text
            )


def test_samples_come_in_order_of_rank(reports):
    for _, found in reports["gather"]:
        assert found["order"][:, 0].tolist() == [0, 0, 1, 1]
    x = torch.randn(3, 2)
    assert gather_samples(x) is x  # of one process


def test_to_evaluate_a_process_looks_at_its_own_samples(reports):
    objective, batch, draws = make_case("vicreg")
    own = {key: value.chunk(2)[0] for key, value in draws.items()}
    expected = objective.eval().tally(batch.chunk(2)[0], own)
    torch.testing.assert_close(dict(reports["gather"])[0]["vicreg"][2], expected)


def curve(result):
    return np.array([[row.train_loss or 0, row.validation_loss, row.effective_rank] for row in result.history])


@pytest.mark.parametrize("name", TRAININGS)
def test_two_processes_learn_what_one_learns_from_the_same_batches(name, reports, tmp_path):
    one = run(tmp_path, settings=TRAININGS[name])
    two = [result for trained, result in reports["result"] if trained == name]
    assert len(two) == 2
    for result in two:
        np.testing.assert_allclose(curve(result), curve(one), rtol=1e-4)
        assert (result.hardware["devices"], result.hardware["nodes"]) == (2, 1)
        for key, value in one.encoder.state_dict().items():
            torch.testing.assert_close(result.encoder.state_dict()[key], value, rtol=1e-2, atol=2e-4)


def test_the_first_process_alone_reports_steps(reports):
    n_before = reports["step"][: 2 * len(TRAININGS)]
    assert n_before == [(10,), (20,)] * len(TRAININGS)


def test_a_loss_that_is_not_finite_stops_all_processes_with_one_error(reports, folder):
    errors = dict(reports["error"])
    assert sorted(errors) == [0, 1]
    assert errors[0] == errors[1]
    assert re.search(r"Lower `pretraining.learning_rate`.*last good weights are kept", errors[0])
    assert (folder / "diverging" / CHECKPOINT_FILE).is_file()


@pytest.mark.slow
def test_statistics_of_batches_are_those_of_the_first_process(tmp_path):
    encoder = {"name": "resnet50-1d", "width": 4, "n_features": 4}
    settings = settings_of("masked-autoencoder", encoder=encoder, n_steps=10, accumulate=2)
    results = []
    work_together(train, (tmp_path, {"run": settings}), n=2, report=lambda *values: results.append(values))
    first, second = (values[2] for values in results if values[0] == "result")
    assert first.history == second.history
    assert np.isfinite(curve(first)).all()
    assert load_result(tmp_path / "run").history == first.history


def test_ctrl_c_stops_all_processes_with_a_checkpoint_from_which_one_goes_on(tmp_path):
    settings = settings_of("masked-autoencoder")

    def press(kind, step, *_):
        if (kind, step) == ("step", 10):
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        work_together(train, (tmp_path, {"parts": settings}), n=2, report=press)
    state = torch.load(tmp_path / "parts" / CHECKPOINT_FILE, weights_only=True)
    assert state["counters"]["step"] in (10, 20)
    resumed = run(tmp_path / "parts", settings=settings)
    np.testing.assert_allclose(curve(resumed), curve(run(tmp_path / "whole", settings=settings)), rtol=1e-4)


@pytest.mark.slow
def test_two_nodes_of_a_slurm_job_learn_what_one_process_learns(tmp_path):
    script = """
        import sys, torch
        from pathlib import Path
        torch.set_num_threads(1)
        from ppgssl.selfsupervised.distributed import Team
        from tests.selfsupervised.test_distributed import settings_of
        from tests.selfsupervised.test_loop import run
        run(Path(sys.argv[1]), settings=settings_of("contrastive-patient"), team=Team(1, 2))
    """
    slurm = {"SLURM_JOB_ID": "7", "SLURM_JOB_NAME": "x", "SLURM_NTASKS": "2", "SLURM_NTASKS_PER_NODE": "1"}
    slurm |= {"SLURM_STEP_NUM_TASKS": "2", "SLURM_NODELIST": "localhost", "SLURM_LOCALID": "0"}
    slurm["MASTER_PORT"] = free_port()
    tasks = [
        subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(script), str(tmp_path / "two")],
            env={**os.environ, **slurm, "SLURM_PROCID": str(number), "SLURM_NODEID": str(number)},
            cwd=REPOSITORY,
            stderr=subprocess.PIPE,
            text=True,
        )
        for number in range(2)
    ]
    assert [task.communicate(timeout=120)[1] for task in tasks] == ["", ""]
    two, one = load_result(tmp_path / "two"), run(tmp_path / "one", settings=settings_of("contrastive-patient"))
    np.testing.assert_allclose(curve(two), curve(one), rtol=1e-4)
    assert (two.hardware["devices"], two.hardware["nodes"]) == (1, 2)


@pytest.mark.parametrize(
    ("how", "error", "message"),
    [
        ("die", TrainingError, r"process 1 of 2 was killed \(SIGKILL\).*run the same command again to go on"),
        pytest.param("stop", KeyboardInterrupt, "^$", marks=pytest.mark.slow),
    ],
)
def test_no_process_outlives_the_others(monkeypatch, how, error, message):
    monkeypatch.setattr("ppgssl.selfsupervised.processes._GRACE_S", 0.5)

    def receive(_rank):
        if how == "stop":
            raise KeyboardInterrupt

    with pytest.raises(error, match=message):
        work_together(misbehave, (how,), n=2, report=receive)
