"""Several processes find the gradient that one would."""

from __future__ import annotations

import pytest
import torch
from torch import distributed, multiprocessing

from ppgssl.selfsupervised.gathering import gather_samples
from tests.support.pretext_tasks import generator, make_batch, make_task

N_PROCESSES = 2
TASKS = {
    "contrastive-patient": {"decoupled": True, "margin": 0.1},
    "vicreg": {"pairs": "segment"},
    "masked-autoencoder": {},
    "transformation-recognition": {},
}


def loss_and_gradients(objective, batch, draws):
    loss = objective.loss(batch, draws)
    loss.backward()
    return loss.detach(), {name: parameter.grad for name, parameter in objective.named_parameters()}


def make_case(name):
    objective = make_task(name, **TASKS[name])
    return objective, make_batch(objective, n=6), objective.draw(6, 200, generator())


def share_of(rank, values):
    return values.chunk(N_PROCESSES)[rank]


def run_process(rank, folder):
    """Loss and gradients of one process for its share, averaged over processes as data-parallel training does."""
    torch.set_num_threads(1)
    distributed.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=N_PROCESSES)
    found = {"order": gather_samples(torch.full((2, 3), float(rank)))}
    for name in TASKS:
        objective, batch, draws = make_case(name)
        share = {key: share_of(rank, value) for key, value in draws.items()}
        loss, gradients = loss_and_gradients(objective, share_of(rank, batch), share)
        for value in (loss, *gradients.values()):
            distributed.all_reduce(value)
            value /= N_PROCESSES
        objective.eval()  # nobody else judges now: this must not wait for the others
        judged = objective.tally(share_of(rank, batch), share) if rank == 0 else None
        found[name] = loss, gradients, judged
    distributed.barrier()
    distributed.destroy_process_group()
    torch.save(found, f"{folder}/{rank}.pt")


@pytest.fixture(scope="module")
def processes(tmp_path_factory):
    folder = tmp_path_factory.mktemp("processes")
    multiprocessing.spawn(run_process, (str(folder),), nprocs=N_PROCESSES)
    return [torch.load(folder / f"{rank}.pt") for rank in range(N_PROCESSES)]


@pytest.mark.parametrize("name", TASKS)
def test_the_mean_of_the_gradients_of_several_processes_is_the_gradient_of_one_with_the_whole_batch(name, processes):
    expected_loss, expected = loss_and_gradients(*make_case(name))
    for found in processes:
        loss, gradients, _ = found[name]
        torch.testing.assert_close(loss, expected_loss, rtol=1e-5, atol=1e-6)
        for key, gradient in gradients.items():
            torch.testing.assert_close(
                gradient, expected[key], rtol=1e-3, atol=1e-6, msg=lambda text, key=key: key + text
            )


def test_samples_come_in_order_of_rank(processes):
    for found in processes:
        assert found["order"][:, 0].tolist() == [0, 0, 1, 1]


def test_to_judge_a_process_looks_at_its_own_samples(processes):
    objective, batch, draws = make_case("vicreg")
    share = {key: share_of(0, value) for key, value in draws.items()}
    torch.testing.assert_close(processes[0]["vicreg"][2], objective.eval().tally(share_of(0, batch), share))


def test_one_process_has_its_own_samples_alone():
    x = torch.randn(3, 2)
    assert gather_samples(x) is x
