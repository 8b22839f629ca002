"""Augmentations, by what they keep."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from ppgssl.core.config.pretraining import AugmentationOptions
from ppgssl.selfsupervised.augmentations import AUGMENTATIONS, augment, draw_augmentations
from tests.support.pretext_tasks import generator

lengths, seeds = st.integers(2, 400), st.integers(0, 10_000)


def make_options(name, **options):
    return TypeAdapter(AugmentationOptions).validate_python({"name": name, **options})


def make_segments(n=6, n_channels=2, length=200, seed=0):
    return 3 + torch.randn(n, n_channels, length, generator=generator(seed))


def changed(x, name, seed=0, **options):
    """The segments after one augmentation that all of them go through."""
    chosen = [make_options(name, **{"probability": 1, **options})]
    return augment(x, chosen, draw_augmentations(chosen, *x.shape, generator(seed)))


def all_options(**options):
    return [make_options(name, **options) for name in AUGMENTATIONS]


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_an_absent_channel_stays_absent(name):
    x = make_segments()
    x[:, 1] = 0
    outcome = changed(x, name)
    assert outcome.shape == x.shape
    assert (outcome[:, 1] == 0).all()
    assert not torch.equal(outcome[:, 0], x[:, 0])


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_the_probability_is_the_proportion_of_segments_that_change(name):
    x = make_segments(n=2000, n_channels=1, length=20)
    assert torch.equal(changed(x, name, probability=0), x)
    is_changed = (changed(x, name, probability=0.3) != x).any(dim=-1).any(dim=-1)
    assert float(is_changed.float().mean()) == pytest.approx(0.3, abs=0.04)
    assert (changed(x, name) != x).any(dim=-1).any(dim=-1).all()


def test_draws_belong_to_segments_and_repeat_with_the_generator():
    chosen = [*all_options(), make_options("noise")]
    draws = draw_augmentations(chosen, 6, 2, 200, generator(1))
    assert all(len(value) == 6 for value in draws.values())
    again = draw_augmentations(chosen, 6, 2, 200, generator(1))
    assert all(torch.equal(value, again[key]) for key, value in draws.items())
    x = make_segments()
    whole = augment(x, chosen, draws)
    part = augment(x[2:4], chosen, {key: value[2:4] for key, value in draws.items()})
    torch.testing.assert_close(part, whole[2:4])


def test_augmentations_follow_one_another_in_the_order_of_the_list():
    x = make_segments()
    chosen = [make_options("scaling"), make_options("negation", probability=1), make_options("scaling")]
    draws = draw_augmentations(chosen, *x.shape, generator())
    torch.testing.assert_close(augment(x, chosen, draws), -x * draws["0.factor"] * draws["2.factor"])
    assert not torch.equal(draws["0.factor"], draws["2.factor"])
    assert augment(x, [], {}) is x


def test_neither_the_segments_nor_the_global_generator_are_touched():
    x = make_segments()
    before, state = x.clone(), torch.random.get_rng_state()
    augment(x, all_options(probability=1), draw_augmentations(all_options(probability=1), *x.shape, generator()))
    assert torch.equal(x, before)
    assert torch.equal(torch.random.get_rng_state(), state)


@given(sd=st.floats(0.01, 10), gain=st.floats(0.01, 100), seed=seeds)
def test_noise_has_its_sd_relative_to_the_segments_channel(sd, gain, seed):
    x = make_segments(n=3, length=2000) * torch.tensor([[1.0], [gain]])
    noise = changed(x, "noise", seed, sd=sd) - x
    np.testing.assert_allclose(noise.std(dim=-1) / x.std(dim=-1), sd, rtol=0.1)
    np.testing.assert_allclose(noise.mean(dim=-1) / x.std(dim=-1) / sd, 0, atol=0.12)


@given(sd=st.floats(0.01, 3), seed=seeds)
def test_scaling_keeps_the_zero_crossings_and_the_shape_of_each_channel(sd, seed):
    x = make_segments() - 3
    factor = changed(x, "scaling", seed, sd=sd) / x
    assert (factor > 0).all()
    torch.testing.assert_close(factor, factor[..., :1].expand_as(factor))


def test_the_logarithm_of_the_scale_has_the_chosen_sd():
    x = torch.ones(4000, 1, 2)
    logarithm = changed(x, "scaling", sd=0.3)[..., 0].log()
    assert float(logarithm.std()) == pytest.approx(0.3, rel=0.05)
    assert float(logarithm.mean()) == pytest.approx(0, abs=0.02)


@pytest.mark.parametrize(("name", "expected"), [("negation", lambda x: -x), ("time-reversal", lambda x: x.flip(-1))])
def test_negation_and_reversal_undo_themselves(name, expected):
    x = make_segments()
    assert torch.equal(changed(x, name), expected(x))
    assert torch.equal(changed(changed(x, name), name), x)


@given(length=lengths, max_chunks=st.integers(2, 50), seed=seeds)
def test_permutation_keeps_all_samples_and_moves_channels_alike(length, max_chunks, seed):
    x = torch.arange(length).float().expand(4, 2, length)
    outcome = changed(x, "permutation", seed, max_chunks=max_chunks)
    assert torch.equal(outcome[:, 0], outcome[:, 1])
    assert torch.equal(outcome.sort(dim=-1).values, x)
    n_chunks = 1 + (outcome[:, 0].diff(dim=-1) != 1).sum(dim=-1)  # neighbours that stay neighbours look like one
    assert (n_chunks >= 2).all()
    assert (n_chunks <= max_chunks).all()


def literal_permutation(x, cuts, order):
    """Of one segment: chunks between cuts, in their new order."""
    edges = [0, *cuts, x.shape[-1]]
    return np.concatenate([x[:, edges[chunk] : edges[chunk + 1]] for chunk in order], axis=-1)


def test_permutation_equals_cutting_and_joining_one_segment_after_another():
    x, chosen = make_segments(n=40), [make_options("permutation", max_chunks=6)]
    draws = draw_augmentations(chosen, *x.shape, generator())
    outcome = augment(x, chosen, draws)
    for segment, cuts, order, found in zip(
        x, draws["0.cuts"].tolist(), draws["0.order"].tolist(), outcome, strict=True
    ):
        np.testing.assert_array_equal(found, literal_permutation(segment.numpy(), cuts, order))


def test_permutation_draws_every_number_of_chunks_and_every_cut_equally_often():
    chosen = [make_options("permutation", max_chunks=4)]
    cuts = draw_augmentations(chosen, 6000, 1, 11, generator())["0.cuts"].numpy()
    n_chunks = 1 + (cuts < 11).sum(axis=1)
    np.testing.assert_allclose(np.bincount(n_chunks)[2:] / 6000, 1 / 3, atol=0.03)
    places = np.bincount(cuts[cuts < 11])
    np.testing.assert_allclose(places[1:] / places.sum(), 0.1, atol=0.02)
    assert all(len(set(row[row < 11])) == (row < 11).sum() for row in cuts)


@given(length=lengths, n_knots=st.integers(2, 50), sd=st.floats(0.01, 1), seed=seeds)
def test_warping_moves_time_forwards_from_begin_to_end_and_channels_alike(length, n_knots, sd, seed):
    time = torch.arange(length).float()
    outcome = changed(time.expand(3, 2, length), "time-warping", seed, sd=sd, n_knots=n_knots)
    assert torch.equal(outcome[:, 0], outcome[:, 1])
    assert (outcome[..., 0] == 0).all()
    assert (outcome[..., -1] == length - 1).all()
    assert (outcome.diff(dim=-1) > 0).all()


@given(seed=seeds)
def test_warping_stays_within_the_range_of_the_samples_and_does_nothing_without_sd(seed):
    x = make_segments(seed=seed)
    outcome = changed(x, "time-warping", seed, sd=1)
    assert (outcome <= x.amax(dim=-1, keepdim=True) + 1e-5).all()
    assert (outcome >= x.amin(dim=-1, keepdim=True) - 1e-5).all()
    assert torch.equal(outcome[..., [0, -1]], x[..., [0, -1]])
    torch.testing.assert_close(changed(x, "time-warping", seed, sd=1e-9), x, atol=1e-3, rtol=0)


def test_the_local_speed_has_the_chosen_sd():
    x = torch.arange(1000).float().expand(2000, 1, -1)
    speed = changed(x, "time-warping", sd=0.2, n_knots=2).diff(dim=-1).log()
    between_ends = speed[..., 0] - speed[..., -1]  # the mean speed is fixed, so only differences are free
    assert float(between_ends.std()) == pytest.approx(0.2 * np.sqrt(2), rel=0.06)
