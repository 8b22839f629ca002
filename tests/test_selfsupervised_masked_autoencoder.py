"""What is hidden, and what the loss counts."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ppgssl.pretraining_options import Pretraining, ResNet1dShape
from ppgssl.errors import TrainingError
from ppgssl.selfsupervised.encoders import make_encoder
from ppgssl.selfsupervised.objectives.masked_autoencoder import MaskedAutoencoder


def make_objective(n_channels=1, fs_hz=100.0, **changed):
    chosen = Pretraining(encoder=ResNet1dShape(width=8, n_stages=2), **changed)
    return MaskedAutoencoder(make_encoder(n_channels, chosen.encoder, seed=0), chosen, fs_hz=fs_hz)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("mask_ratio", [0.1, 0.5, 0.75, 0.9])
def test_the_chosen_share_of_every_segment_is_hidden(mask_ratio):
    mask = make_objective(mask_ratio=mask_ratio, mask_group_s=0.1).draw_mask(50, 1000, generator())
    assert mask.shape == (50, 1, 1000)
    np.testing.assert_allclose(mask.float().mean(dim=-1), mask_ratio)


@settings(deadline=None)
@given(length=st.integers(41, 3000), mask_ratio=st.floats(0.01, 0.99), seed=st.integers(0, 1000))
def test_hidden_groups_are_whole_and_a_segment_is_never_hidden_nor_shown_entirely(length, mask_ratio, seed):
    mask = make_objective(mask_ratio=mask_ratio, mask_group_s=0.2).draw_mask(3, length, generator(seed))
    for segment in mask[:, 0].numpy():
        groups = [segment[first : first + 20] for first in range(0, length, 20)]
        assert all(group.all() or not group.any() for group in groups)
        assert any(group.all() for group in groups)
        assert not all(group.all() for group in groups)


def test_every_place_is_hidden_equally_often():
    mask = make_objective(mask_ratio=0.5, mask_group_s=0.2).draw_mask(4000, 200, generator())
    np.testing.assert_allclose(mask.float().mean(dim=(0, 1)), 0.5, atol=0.04)


def test_segments_are_masked_differently_and_one_seed_masks_alike():
    objective = make_objective()
    mask = objective.draw_mask(8, 200, generator(1))
    assert len({tuple(row) for row in mask[:, 0].tolist()}) > 1
    assert torch.equal(mask, objective.draw_mask(8, 200, generator(1)))
    assert not torch.equal(mask, objective.draw_mask(8, 200, generator(2)))


def literal_loss(objective, batch, seed):
    """The loss, sample by sample."""
    mask = objective.draw_mask(len(batch), batch.shape[-1], generator(seed))
    hidden = batch.clone()
    for segment, channel, time in np.ndindex(*batch.shape):
        if mask[segment, 0, time]:
            hidden[segment, channel, time] = objective.mask_value[channel, 0]
    output = objective.decoder(objective.encoder(hidden), batch.shape[-1])
    errors = [
        float((output[where] - batch[where]) ** 2) for where in np.ndindex(*batch.shape) if mask[where[0], 0, where[2]]
    ]
    return np.mean(errors)


def test_the_loss_equals_its_definition_written_out_sample_by_sample():
    objective = make_objective(n_channels=2, mask_ratio=0.4, mask_group_s=0.2)
    torch.nn.init.constant_(objective.mask_value, 0.3)
    batch = torch.randn(3, 2, 90, generator=generator(5))
    with torch.no_grad():
        assert float(objective.loss(batch, generator(7))) == pytest.approx(literal_loss(objective, batch, 7), rel=1e-5)


def test_hidden_samples_never_reach_the_encoder():
    objective = make_objective(n_channels=2)
    batch = torch.randn(2, 2, 200, generator=generator())
    mask, before = objective.reconstruct(batch, generator(3))
    changed = torch.where(mask, batch + 100.0, batch)
    _, after = objective.reconstruct(changed, generator(3))
    assert torch.equal(before, after)


def test_without_a_mask_it_is_a_plain_autoencoder_and_all_samples_count():
    objective = make_objective(mask_ratio=0)
    batch = torch.randn(4, 1, 200, generator=generator())
    mask, reconstruction = objective.reconstruct(batch, generator())
    assert not mask.any()
    assert objective.judged(mask).all()
    expected = (reconstruction - batch).square().mean()
    torch.testing.assert_close(objective.loss(batch, generator()), expected)


def test_a_stretch_as_long_as_the_segment_is_refused_with_the_way_out():
    objective = make_objective(mask_group_s=2.0)
    with pytest.raises(TrainingError, match=r"stretches of 2 s in segments of 2 s.*`pretraining.mask_group_s`"):
        objective.draw_mask(1, 200, generator())
