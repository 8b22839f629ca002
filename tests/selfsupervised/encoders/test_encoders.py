"""Shapes, round trips and invariances: of every encoder, and of each one's own."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError
from torch import nn
from torch.nn import functional

from ppgssl.core.config.pretraining import EncoderShape, PatchTransformerShape, ResNet1dShape, ResNet50Shape
from ppgssl.selfsupervised.encoders import ENCODERS, make_encoder
from ppgssl.selfsupervised.encoders.base import n_parameters
from ppgssl.selfsupervised.encoders.patch_transformer import positions
from ppgssl.selfsupervised.encoders.resnet1d import STEM_STRIDE

SMALL = {
    "resnet1d": ResNet1dShape(width=8, n_stages=2, blocks_per_stage=1, kernel_size=5),
    "resnet50-1d": ResNet50Shape(name="resnet50-1d", width=4, n_features=8),
    "patch-transformer": PatchTransformerShape(
        name="patch-transformer", patch_samples=16, width=12, n_blocks=2, n_heads=3
    ),
}
EVERY_ENCODER = pytest.mark.parametrize("name", list(ENCODERS))


def make_small(name, n_channels=1, seed=0, **changed):
    return make_encoder(n_channels, SMALL[name].model_copy(update=changed), fs_hz=40.0, seed=seed)


def make_segments(n_segments=4, n_channels=1, length=200, seed=0):
    return torch.randn(n_segments, n_channels, length, generator=torch.Generator().manual_seed(seed))


def test_every_encoder_is_tested_here():
    assert set(ENCODERS) == set(SMALL)


@EVERY_ENCODER
def test_a_name_alone_stands_for_the_default_size(name):
    shape = TypeAdapter(EncoderShape).validate_python(name)
    assert make_encoder(2, shape, fs_hz=40.0, seed=0).name == name


@EVERY_ENCODER
@pytest.mark.parametrize("n_channels", [1, 2, 3, 4])
@pytest.mark.parametrize("length", [200, 333, 1000, 3000])
def test_a_segment_goes_in_and_as_many_samples_come_back(name, n_channels, length):
    encoder = make_small(name, n_channels)
    segments = make_segments(2, n_channels, length)
    feature_map = encoder(segments)
    assert feature_map.shape[:2] == (2, encoder.n_features)
    assert feature_map.shape[2] < length / 8
    assert encoder.make_decoder()(feature_map, length).shape == segments.shape


@settings(max_examples=15)
@given(length=st.integers(1, 400), n_channels=st.integers(1, 3), n_segments=st.integers(2, 4))
@EVERY_ENCODER
def test_every_length_makes_the_round_trip(name, length, n_channels, n_segments):
    encoder = make_small(name, n_channels)
    segments = make_segments(n_segments, n_channels, length)
    samples = encoder.make_decoder()(encoder(segments), length)
    assert samples.shape == segments.shape
    assert torch.isfinite(samples).all()
    assert encoder.embed(segments).shape == (n_segments, encoder.embedding_dim)


@EVERY_ENCODER
def test_depth_dims_are_those_of_the_feature_maps(name):
    encoder = make_small(name, 2)
    maps = encoder.feature_maps(make_segments(3, 2))
    assert [feature_map.shape[1] for feature_map in maps] == encoder.depth_dims
    assert encoder.n_features == encoder.depth_dims[-1]
    assert torch.equal(maps[-1], encoder(make_segments(3, 2)))


@EVERY_ENCODER
def test_the_embedding_is_mean_and_sd_over_time_of_the_feature_maps_of_every_depth(name):
    encoder = make_small(name, 2, representation="moments").eval()
    maps = [depth.detach().numpy().astype(np.float64) for depth in encoder.feature_maps(make_segments(3, 2))]
    expected = np.concatenate(
        [moment for depth in maps for moment in (depth.mean(axis=-1), depth.std(axis=-1))], axis=1
    )
    assert encoder.embedding_dim == expected.shape[1]
    np.testing.assert_allclose(encoder.embed(make_segments(3, 2)).detach().numpy(), expected, atol=2e-3)


@EVERY_ENCODER
def test_the_published_embedding_is_the_mean_over_time_of_the_last_map(name):
    encoder = make_small(name, 2, representation="last").eval()
    assert encoder.embedding_dim == encoder.n_features
    torch.testing.assert_close(encoder.embed(make_segments(3, 2)), encoder(make_segments(3, 2)).mean(dim=-1))


@EVERY_ENCODER
def test_an_evaluated_segment_is_embedded_alike_whatever_else_is_in_its_batch(name):
    encoder = make_small(name)
    encoder.embed(make_segments(64, seed=2))  # batch statistics, where there are any
    encoder.eval()
    segments = make_segments(16)
    alone = torch.cat([encoder.embed(segment[None]) for segment in segments])
    among_others = encoder.embed(torch.cat([segments, 100 * make_segments(16, seed=1)]))[:16]
    torch.testing.assert_close(among_others, alone, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["resnet1d", "patch-transformer"])
def test_without_batch_statistics_that_holds_in_training_too(name):
    encoder, segments = make_small(name).train(), make_segments(8)
    alone = torch.cat([encoder.embed(segment[None]) for segment in segments])
    torch.testing.assert_close(encoder.embed(torch.cat([segments, 100 + segments]))[:8], alone, rtol=1e-4, atol=1e-5)


@EVERY_ENCODER
def test_the_amplitude_of_a_segment_stays_in_its_embedding(name):
    encoder = make_small(name, 2, representation="moments").eval()
    segments = make_segments(1, 2)
    small, large = encoder.embed(torch.cat([segments, 3 * segments]))
    assert (large - small).norm() > 0.2 * small.norm()


@EVERY_ENCODER
@pytest.mark.parametrize("value", [0.0, 3.0])
def test_a_constant_segment_gives_finite_gradients(name, value):
    encoder = make_small(name)
    encoder.embed(torch.full((2, 1, 200), value)).sum().backward()
    assert all(torch.isfinite(parameter.grad).all() for parameter in encoder.parameters() if parameter.grad is not None)
    assert all(parameter.grad is not None for parameter in make_trained(name).parameters())


def make_trained(name):
    encoder = make_small(name, representation="moments")
    encoder.embed(make_segments()).square().sum().backward()
    return encoder


@EVERY_ENCODER
def test_a_channel_that_a_cohort_lacks_is_no_obstacle(name):
    encoder = make_small(name, 2)
    segments = make_segments(4, 2)
    segments[:2, 1] = 0
    embedding = encoder.embed(segments)
    embedding.sum().backward()
    assert torch.isfinite(embedding).all()
    assert all(torch.isfinite(value.grad).all() for value in encoder.parameters() if value.grad is not None)


@EVERY_ENCODER
def test_one_seed_gives_the_same_weights_and_leaves_the_global_generator_alone(name):
    before = torch.random.get_rng_state()
    one, same, other = (make_small(name, seed=seed).state_dict() for seed in (3, 3, 4))
    assert torch.equal(before, torch.random.get_rng_state())
    assert all(torch.equal(one[key], same[key]) for key in one)
    assert any(not torch.equal(one[key], other[key]) for key in one)


@EVERY_ENCODER
def test_a_copy_of_an_encoder_is_its_own_and_saved_weights_make_an_equal_one(name):
    encoder = make_small(name, 2)
    encoder.embed(make_segments(8, 2))
    twin, loaded = copy.deepcopy(encoder), make_small(name, 2, seed=9)
    loaded.load_state_dict(encoder.state_dict())
    with torch.no_grad():
        next(iter(twin.parameters())).zero_()
    assert next(iter(encoder.parameters())).abs().sum() > 0
    segments = make_segments(3, 2)
    assert torch.equal(encoder.eval().embed(segments), loaded.eval().embed(segments))


@EVERY_ENCODER
def test_gradients_lie_in_memory_as_the_weights_do_so_that_a_fused_optimizer_may_take_them(name):
    for parameter in make_trained(name).parameters():
        assert parameter.is_contiguous()
        assert parameter.grad.stride() == parameter.stride()


@EVERY_ENCODER
def test_training_lowers_the_loss_of_a_batch(name):
    encoder, segments = make_small(name, 2), make_segments(8, 2).cumsum(dim=-1) / 10
    with torch.random.fork_rng():
        torch.manual_seed(0)
        decoder = encoder.make_decoder()
    optimizer = torch.optim.AdamW([*encoder.parameters(), *decoder.parameters()], lr=3e-3, fused=True)
    losses = []
    for _ in range(20):
        loss = functional.mse_loss(decoder(encoder(segments), 200), segments)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.9 * losses[0]


@given(
    length=st.integers(1, 400),
    n_stages=st.integers(1, 6),
    blocks=st.integers(1, 3),
    kernel_size=st.sampled_from([3, 7, 15]),
)
def test_resnet1d_of_every_shape_makes_the_round_trip(length, n_stages, blocks, kernel_size):
    shape = ResNet1dShape(width=4, n_stages=n_stages, blocks_per_stage=blocks, kernel_size=kernel_size)
    encoder = make_encoder(2, shape, fs_hz=40.0, seed=0)
    segments = make_segments(1, 2, length)
    feature_map = encoder(segments)
    assert feature_map.shape[2] == -(-length // (STEM_STRIDE * 2**n_stages))
    assert encoder.make_decoder()(feature_map, length).shape == segments.shape


def test_feature_maps_of_resnet1d_double_from_stage_to_stage():
    encoder = make_encoder(1, ResNet1dShape(width=8, n_stages=3), fs_hz=40.0, seed=0)
    assert encoder.depth_dims == [8, 8, 16, 32]  # the stem has the width of the first stage
    assert encoder.embedding_dim == 2 * (8 + 8 + 16 + 32)
    assert n_parameters(encoder) == sum(value.numel() for value in encoder.state_dict().values())


def published_features(encoder, x):
    """The published network written out in one-dimensional layers of torch, with our weights."""

    def convolve(layer, x):
        weight, dilation = layer.weight.squeeze(2), layer.dilation[1]
        return functional.conv1d(x, weight, padding=layer.padding[1], dilation=dilation)

    def normalise(layer, x):
        return functional.batch_norm(x, layer.running_mean, layer.running_var, layer.weight, layer.bias)

    x = functional.relu(normalise(encoder.stem[1], convolve(encoder.stem[0], x)))
    for stage in encoder.stages:
        x = functional.max_pool1d(x, 7, stride=3, padding=3)
        for block in stage:
            y, layers = x, list(block.branch)
            for convolution, normalisation in zip(layers[0::3], layers[1::3], strict=True):
                y = normalise(normalisation, convolve(convolution, y))
                y = functional.relu(y) if normalisation is not layers[-1] else y
            if not isinstance(block.shortcut, nn.Identity):
                x = normalise(block.shortcut[1], convolve(block.shortcut[0], x))
            x = functional.relu(x + y)
    return functional.linear(x.mean(dim=-1), encoder.head.weight.flatten(1), encoder.head.bias)


@pytest.mark.parametrize("length", [5, 200, 800])
def test_resnet50_gives_the_features_of_the_published_network(length):
    encoder = make_small("resnet50-1d", 2)
    encoder.embed(3 * make_segments(32, 2, seed=1))  # statistics that are not those of the first moment
    encoder.eval()
    segments = make_segments(3, 2, length)
    torch.testing.assert_close(encoder.embed(segments), published_features(encoder, segments), rtol=1e-3, atol=1e-4)


def test_resnet50_has_the_published_size():
    encoder = make_encoder(2, ResNet50Shape(name="resnet50-1d"), fs_hz=40.0, seed=0)
    assert encoder.depth_dims == [64, 128, 256, 512, 1024, 32]
    assert encoder.embedding_dim == 32
    assert n_parameters(encoder) == 9_218_336
    convolutions = [layer for layer in encoder.modules() if isinstance(layer, nn.Conv2d)]
    assert len(convolutions) == 1 + 3 * (3 + 4 + 6 + 3) + 4 + 1  # stem, bottlenecks, shortcuts of four stages, head
    # Of a strided convolution of kernel size 1, torch 2.13 ruins memory in this layout.
    assert all(layer.stride == (1, 1) for layer in convolutions)


def test_a_patch_more_is_a_token_more_and_the_last_one_is_filled_up_with_zeros():
    encoder = make_small("patch-transformer", 2)
    segments = make_segments(2, 2, 200)
    assert [encoder(segments[..., :length]).shape[2] for length in (1, 16, 17, 200)] == [1, 1, 2, 13]
    padded = functional.pad(segments, (0, 8))
    assert torch.equal(encoder(segments), encoder(padded))


def test_tokens_know_where_they_are():
    encoder = make_small("patch-transformer").eval()
    halves = make_segments(1, 1, 160).chunk(2, dim=-1)
    there, back = (encoder.embed(torch.cat(order, dim=-1)) for order in (halves, halves[::-1]))
    assert (there - back).abs().max() > 1e-3


@pytest.mark.parametrize("width", [8, 9])
def test_positions_are_sines_and_cosines_of_ever_longer_waves(width):
    found = positions(50, width, like=torch.empty(0)).numpy()
    n_waves = -(-width // 2)
    per_token = 10_000.0 ** (-np.arange(n_waves) / n_waves)
    phase = np.arange(50)[:, None] * per_token
    expected = np.concatenate([np.sin(phase), np.cos(phase)], axis=1)[:, :width]
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_attention_is_the_weighted_mean_that_it_is_defined_as():
    block = make_small("patch-transformer").blocks[0]
    tokens = make_segments(2, 7, 12)
    found = block(tokens)
    x = block.before_attention(tokens)
    queries, keys, values = block.queries_keys_values(x).chunk(3, dim=-1)
    mixed = []
    for q, k, v in zip(*(part.split(4, dim=-1) for part in (queries, keys, values)), strict=True):  # a head each
        mixed.append((q @ k.transpose(1, 2) / 2.0).softmax(dim=-1) @ v)
    after = tokens + block.attended(torch.cat(mixed, dim=-1))
    torch.testing.assert_close(found, after + block.mlp(block.before_mlp(after)), rtol=1e-4, atol=1e-5)


def test_the_width_must_be_a_multiple_of_the_heads():
    with pytest.raises(ValidationError, match="must be a multiple of `n_heads`, and 10 is none of 4"):
        PatchTransformerShape(name="patch-transformer", width=10, n_heads=4)
