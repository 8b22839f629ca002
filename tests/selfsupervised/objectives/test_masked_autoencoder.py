"""What is hidden, and what the loss counts."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ppgssl.core.errors import TrainingError
from tests.support.pretext_tasks import generator, make_task


def make_masked(**options):
    return make_task("masked-autoencoder", **options)


def draw_mask(n, length, seed=0, **options):
    return make_masked(**options).draw(n, length, generator(seed))["mask"]


@pytest.mark.parametrize("mask_ratio", [0.1, 0.5, 0.75, 0.9])
@pytest.mark.parametrize(("mask_channels", "n_masks"), [("together", 1), ("apart", 2)])
def test_the_chosen_proportion_of_every_segment_is_hidden(mask_ratio, mask_channels, n_masks):
    mask = draw_mask(50, 1000, mask_ratio=mask_ratio, mask_group_s=0.1, mask_channels=mask_channels)
    assert mask.shape == (50, n_masks, 1000)
    np.testing.assert_allclose(mask.float().mean(dim=-1), mask_ratio)


@given(length=st.integers(41, 3000), mask_ratio=st.floats(0.01, 0.99), seed=st.integers(0, 1000))
def test_hidden_groups_are_whole_and_a_segment_is_never_hidden_nor_shown_entirely(length, mask_ratio, seed):
    mask = draw_mask(3, length, seed, mask_ratio=mask_ratio, mask_group_s=0.2)
    for segment in mask[:, 0].numpy():
        groups = [segment[first : first + 20] for first in range(0, length, 20)]
        assert all(group.all() or not group.any() for group in groups)
        assert any(group.all() for group in groups)
        assert not all(group.all() for group in groups)


def test_every_place_is_hidden_equally_often():
    mask = draw_mask(4000, 200, mask_ratio=0.5, mask_group_s=0.2)
    np.testing.assert_allclose(mask.float().mean(dim=(0, 1)), 0.5, atol=0.04)


def test_segments_are_masked_differently_and_one_seed_masks_alike():
    mask = draw_mask(8, 200, seed=1)
    assert len({tuple(row) for row in mask[:, 0].tolist()}) > 1
    assert torch.equal(mask, draw_mask(8, 200, seed=1))
    assert not torch.equal(mask, draw_mask(8, 200, seed=2))


def test_channels_are_hidden_at_the_same_times_or_by_option_at_their_own():
    batch = torch.randn(6, 2, 200, generator=generator())
    for mask_channels, is_same in [("together", True), ("apart", False)]:
        objective = make_masked(mask_channels=mask_channels)
        hidden = objective.hidden(batch, objective.draw(6, 200, generator()))
        assert hidden.shape == batch.shape
        assert torch.equal(hidden[:, 0], hidden[:, 1]) is is_same


def literal_loss(objective, batch, draws):
    """The loss, sample by sample: the mean over segments of the mean over their hidden samples."""
    mask = draws["mask"].expand_as(batch)
    hidden = batch.clone()
    for segment, channel, time in np.ndindex(*batch.shape):
        if mask[segment, channel, time]:
            hidden[segment, channel, time] = objective.mask_value[channel, 0]
    output = objective.decoder(objective.encoder(hidden), batch.shape[-1])
    of_segments = []
    for segment in range(len(batch)):
        places = [where for where in np.ndindex(*batch.shape[1:]) if mask[segment][where]]
        of_segments.append(np.mean([float(output[segment][where] - batch[segment][where]) ** 2 for where in places]))
    return np.mean(of_segments)


@pytest.mark.parametrize("mask_channels", ["together", "apart"])
def test_the_loss_equals_its_definition_written_out_sample_by_sample(mask_channels):
    objective = make_masked(mask_ratio=0.4, mask_group_s=0.2, mask_channels=mask_channels)
    torch.nn.init.constant_(objective.mask_value, 0.3)
    batch = torch.randn(3, 2, 90, generator=generator(5))
    draws = objective.draw(3, 90, generator(7))
    with torch.no_grad():
        assert float(objective.loss(batch, draws)) == pytest.approx(literal_loss(objective, batch, draws), rel=1e-5)


def test_hidden_samples_never_reach_the_encoder():
    objective = make_masked(mask_channels="apart")
    batch = torch.randn(2, 2, 200, generator=generator())
    draws = objective.draw(2, 200, generator(3))
    changed = torch.where(objective.hidden(batch, draws), batch + 100.0, batch)
    assert torch.equal(objective.reconstruct(batch, draws), objective.reconstruct(changed, draws))


def test_an_absent_channel_is_neither_filled_with_the_mask_value_nor_counted():
    objective = make_masked()
    torch.nn.init.constant_(objective.mask_value, 0.3)
    batch = torch.randn(4, 2, 200, generator=generator())
    batch[:, 1] = 0
    draws = objective.draw(4, 200, generator())
    assert not objective.counted(batch, draws)[:, 1].any()
    seen = torch.where(draws["mask"], objective.mask_value, batch) * torch.tensor([[1.0], [0.0]])
    expected = objective.decoder(objective.encoder(seen), 200)
    torch.testing.assert_close(objective.reconstruct(batch, draws), expected)


def test_a_dropped_channel_has_to_be_filled_in_from_the_other():
    objective = make_masked(channel_dropout=0.9)
    batch = torch.randn(16, 2, 200, generator=generator())
    draws = objective.draw(16, 200, generator())
    is_dropped = draws["keep"][:, :, 0] == 0
    assert is_dropped.any()
    assert not is_dropped.all(dim=1).any()
    assert torch.equal(objective.counted(batch, draws), draws["mask"].expand_as(batch))
    changed = torch.where(is_dropped.unsqueeze(-1), batch + 100, batch)
    assert torch.equal(objective.reconstruct(batch, draws), objective.reconstruct(changed, draws))


def test_an_interval_as_long_as_the_segment_is_refused_with_the_way_out():
    objective = make_masked(mask_group_s=2.0)
    with pytest.raises(
        TrainingError, match=r"intervals of 2 s in segments of 2 s.*`pretraining.objective.mask_group_s`"
    ):
        objective.draw(1, 200, generator())
