"""Judging an objective on held-out segments."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ppgssl.selfsupervised.bank import SegmentBank
from ppgssl.selfsupervised.objectives import OBJECTIVES
from ppgssl.selfsupervised.validation import MAX_SEGMENTS, evaluate, spread_out, validation_batches
from tests.support.pretext_tasks import generator, make_task


def make_bank(n_channels=2):
    rng = np.random.default_rng(0)
    samples = rng.normal([[1.0], [5.0]], size=(n_channels, 2000))
    return SegmentBank(samples, 100 * np.arange(20), 100, np.zeros((20, n_channels)), np.ones((20, n_channels)))


def make_index(objective):
    return torch.arange(20).reshape(-1, 2) if objective.segments_per_sample == 2 else torch.arange(20)


@pytest.mark.parametrize("name", ["autoencoder", "masked-autoencoder"])
def test_the_evaluation_is_the_error_of_the_evaluated_samples_over_their_variance(name):
    objective, bank = make_task(name), make_bank()
    found = evaluate(objective, bank, torch.arange(20), batch_size=20)
    batch, draws = bank.gather(np.arange(20)), objective.draw(20, 100, generator())
    with torch.no_grad():
        output = objective.reconstruct(batch, draws)
    counted = objective.counted(batch, draws).numpy()
    errors = ((output - batch) ** 2).numpy()[counted]
    variance = np.mean([batch[:, channel].numpy()[counted[:, channel]].var() for channel in (0, 1)])
    assert found.loss == pytest.approx(errors.mean(), rel=1e-5)
    assert found.score == pytest.approx(1 - errors.mean() / variance, abs=1e-4)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_evaluating_twice_gives_the_same_and_changes_nothing(name):
    objective, bank = make_task(name), make_bank()
    objective.train()
    before = {key: value.clone() for key, value in objective.state_dict().items()}
    state = torch.random.get_rng_state()
    first, second = (evaluate(objective, bank, make_index(objective), batch_size=8) for _ in range(2))
    assert first == second
    assert first.score is not None
    assert objective.training
    assert torch.equal(state, torch.random.get_rng_state())
    assert all(torch.equal(value, before[key]) for key, value in objective.state_dict().items())


@pytest.mark.parametrize("name", ["masked-autoencoder", "contrastive-patient", "vicreg"])
def test_the_loss_is_the_mean_over_batches_weighted_by_their_samples(name):
    objective, bank = make_task(name), make_bank()
    index = make_index(objective)
    expected, n = 0.0, 0
    objective.eval()
    with torch.no_grad():
        for batch, draws in validation_batches(objective, bank, index, batch_size=8):
            expected += float(objective.loss(batch, draws)) * len(batch)
            n += len(batch)
    assert n == len(index)
    assert evaluate(objective, bank, index, batch_size=8).loss == pytest.approx(expected / n, rel=1e-5)


def test_a_constant_signal_has_no_variance_to_explain_and_no_health():
    bank = SegmentBank(np.ones((2, 100)), [0, 0], 100, np.zeros((2, 2)), np.ones((2, 2)))
    found = evaluate(make_task("masked-autoencoder"), bank, torch.arange(2), batch_size=2)
    assert found.score is None
    assert found.health.is_collapsed


def test_a_large_validation_set_is_thinned_evenly():
    index = torch.arange(10 * MAX_SEGMENTS)
    thinned = spread_out(index, MAX_SEGMENTS)
    assert len(thinned.unique()) == MAX_SEGMENTS
    assert thinned[0] == 0
    assert thinned[-1] == index[-1]
    assert torch.equal(spread_out(index[:5], 5), index[:5])
