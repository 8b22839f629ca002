"""Shapes, round trips and invariances of the encoders."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ppgssl.pretraining_options import ResNet1dShape
from ppgssl.errors import ConfigError
from ppgssl.selfsupervised.encoders import ENCODERS, STEM_STRIDE, ResNet1dDecoder, make_encoder, n_parameters

SMALL = ResNet1dShape(width=8, n_stages=2, blocks_per_stage=1, kernel_size=5)


def make_segments(n_segments=4, n_channels=1, length=200, seed=0):
    return torch.randn(n_segments, n_channels, length, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("name", list(ENCODERS))
@pytest.mark.parametrize("n_channels", [1, 2, 3, 4])
@pytest.mark.parametrize("length", [200, 333, 1000, 3000])
def test_a_segment_goes_in_and_as_many_samples_come_back(name, n_channels, length):
    encoder = make_encoder(n_channels, SMALL, seed=0, name=name)
    segments = make_segments(2, n_channels, length)
    feature_map = encoder(segments)
    assert feature_map.shape == (2, encoder.n_features, -(-length // (STEM_STRIDE * 4)))
    assert ResNet1dDecoder(encoder)(feature_map, length).shape == segments.shape


@settings(deadline=None, max_examples=30)
@given(
    length=st.integers(1, 400),
    n_stages=st.integers(1, 6),
    blocks=st.integers(1, 3),
    kernel_size=st.sampled_from([3, 7, 15]),
)
def test_every_length_and_shape_makes_the_round_trip(length, n_stages, blocks, kernel_size):
    shape = ResNet1dShape(width=4, n_stages=n_stages, blocks_per_stage=blocks, kernel_size=kernel_size)
    encoder = make_encoder(2, shape, seed=0)
    segments = make_segments(1, 2, length)
    assert ResNet1dDecoder(encoder)(encoder(segments), length).shape == segments.shape
    assert encoder.embed(segments).shape == (1, encoder.embedding_dim)


def test_the_embedding_is_mean_and_sd_over_time_of_the_feature_maps_of_every_depth():
    encoder = make_encoder(2, SMALL, seed=0)
    maps = [depth.detach().numpy().astype(np.float64) for depth in encoder.feature_maps(make_segments(3, 2))]
    assert len(maps) == 1 + SMALL.n_stages
    expected = np.concatenate(
        [moment for depth in maps for moment in (depth.mean(axis=-1), depth.std(axis=-1))], axis=1
    )
    np.testing.assert_allclose(encoder.embed(make_segments(3, 2)).detach().numpy(), expected, atol=2e-3)


@pytest.mark.parametrize("is_training", [True, False])
def test_a_segment_is_embedded_alike_whatever_else_is_in_its_batch(is_training):
    encoder = make_encoder(1, SMALL, seed=0).train(is_training)
    segments = make_segments(16)
    alone = torch.cat([encoder.embed(segment[None]) for segment in segments])
    among_others = encoder.embed(torch.cat([segments, 100 * make_segments(16, seed=1)]))[:16]
    torch.testing.assert_close(among_others, alone, rtol=1e-4, atol=1e-5)


def test_the_amplitude_of_a_segment_stays_in_its_embedding():
    encoder = make_encoder(2, SMALL, seed=0)
    segments = make_segments(1, 2)
    sd = encoder.embed(torch.cat([segments, 3 * segments]))[:, encoder.n_features :].mean(dim=1)
    assert sd[1] > 1.5 * sd[0]


def test_a_constant_segment_gives_finite_gradients():
    encoder = make_encoder(1, SMALL, seed=0)
    encoder.embed(torch.zeros(2, 1, 200)).sum().backward()
    assert all(torch.isfinite(parameter.grad).all() for parameter in encoder.parameters())


def test_one_seed_gives_the_same_weights_and_leaves_the_global_generator_alone():
    before = torch.random.get_rng_state()
    one, same, other = make_encoder(1, SMALL, seed=3), make_encoder(1, SMALL, seed=3), make_encoder(1, SMALL, seed=4)
    assert torch.equal(before, torch.random.get_rng_state())
    assert torch.equal(one.stem.weight, same.stem.weight)
    assert not torch.equal(one.stem.weight, other.stem.weight)


def test_a_copy_of_an_encoder_is_its_own():
    encoder = make_encoder(1, SMALL, seed=0)
    twin = copy.deepcopy(encoder)
    with torch.no_grad():
        twin.stem.weight.zero_()
    assert encoder.stem.weight.abs().sum() > 0


def test_feature_maps_double_from_stage_to_stage():
    encoder = make_encoder(1, ResNet1dShape(width=8, n_stages=3), seed=0)
    assert encoder.widths == [8, 16, 32]
    assert encoder.embedding_dim == 2 * (8 + 8 + 16 + 32)  # the stem has the width of the first stage
    assert n_parameters(encoder) == sum(value.numel() for value in encoder.state_dict().values())


def test_an_unknown_encoder_is_refused_by_name():
    with pytest.raises(ConfigError, match=r"unknown encoder 'resnet2d' \(did you mean 'resnet1d'\?\)"):
        make_encoder(1, SMALL, seed=0, name="resnet2d")
