"""Judging an objective on held-out segments."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ppgssl.pretraining_options import Pretraining, ResNet1dShape
from ppgssl.selfsupervised.bank import SegmentBank
from ppgssl.selfsupervised.encoders import make_encoder
from ppgssl.selfsupervised.objectives.masked_autoencoder import MaskedAutoencoder
from ppgssl.selfsupervised.validation import MAX_SEGMENTS, judge, spread_out


def make_case(mask_ratio=0.5, n_channels=2):
    rng = np.random.default_rng(0)
    samples = rng.normal([[1.0], [5.0]], size=(n_channels, 2000))
    bank = SegmentBank(samples, 100 * np.arange(20), 100, np.zeros((20, n_channels)), np.ones((20, n_channels)))
    chosen = Pretraining(encoder=ResNet1dShape(width=8, n_stages=1), mask_ratio=mask_ratio)
    return MaskedAutoencoder(make_encoder(n_channels, chosen.encoder, seed=0), chosen, fs_hz=100), bank


@pytest.mark.parametrize("mask_ratio", [0.0, 0.5])
def test_the_judgement_is_the_error_of_the_judged_samples_over_their_variance(mask_ratio):
    objective, bank = make_case(mask_ratio)
    judgement = judge(objective, bank, torch.arange(20), batch_size=20)
    batch = bank.gather(np.arange(20))
    with torch.no_grad():
        mask, output = objective.reconstruct(batch, torch.Generator().manual_seed(0))
    judged = objective.judged(mask).expand_as(batch).numpy()
    errors = ((output - batch) ** 2).numpy()[judged]
    variance = np.mean([batch[:, channel].numpy()[judged[:, channel]].var() for channel in (0, 1)])
    assert judgement.loss == pytest.approx(errors.mean(), rel=1e-5)
    assert judgement.variance_explained == pytest.approx(1 - errors.mean() / variance, abs=1e-4)


def test_judging_twice_gives_the_same_and_changes_nothing():
    objective, bank = make_case()
    objective.train()
    before = {name: value.clone() for name, value in objective.state_dict().items()}
    state = torch.random.get_rng_state()
    first, second = (judge(objective, bank, torch.arange(20), batch_size=8) for _ in range(2))
    assert first == second
    assert objective.training
    assert torch.equal(state, torch.random.get_rng_state())
    assert all(torch.equal(value, before[name]) for name, value in objective.state_dict().items())


def test_a_constant_signal_has_no_variance_to_explain():
    objective, _ = make_case()
    bank = SegmentBank(np.ones((2, 100)), [0, 0], 100, np.zeros((2, 2)), np.ones((2, 2)))
    assert judge(objective, bank, torch.arange(2), batch_size=2).variance_explained is None


def test_a_large_validation_set_is_thinned_evenly():
    index = torch.arange(10 * MAX_SEGMENTS)
    thinned = spread_out(index, MAX_SEGMENTS)
    assert len(thinned.unique()) == MAX_SEGMENTS
    assert thinned[0] == 0
    assert thinned[-1] == index[-1]
    assert torch.equal(spread_out(index[:5], 5), index[:5])
