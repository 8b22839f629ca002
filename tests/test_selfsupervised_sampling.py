"""The order of segments."""

from __future__ import annotations

import torch

from ppgssl.selfsupervised.sampling import EpochSampler


def test_every_segment_comes_once_an_epoch():
    sampler = EpochSampler(torch.arange(100, 112), 4, seed=0)
    for _ in range(3):
        assert sorted(torch.cat([sampler.draw() for _ in range(3)]).tolist()) == list(range(100, 112))


def test_batches_are_of_one_size_even_with_fewer_segments_than_that():
    sampler = EpochSampler(torch.arange(3), 8, seed=0)
    batches = [sampler.draw() for _ in range(3)]
    assert [len(batch) for batch in batches] == [8, 8, 8]
    assert torch.bincount(torch.cat(batches)).tolist() == [8, 8, 8]


def test_the_seed_decides_the_order():
    def first(seed):
        return EpochSampler(torch.arange(50), 50, seed=seed).draw().tolist()

    assert first(1) == first(1) != first(2)


def test_a_saved_state_goes_on_with_the_same_batches():
    sampler = EpochSampler(torch.arange(10), 4, seed=0)
    sampler.draw()
    state = sampler.state_dict()
    expected = [sampler.draw().tolist() for _ in range(9)]
    other = EpochSampler(torch.arange(10), 4, seed=5)
    other.load_state_dict(state)
    assert [other.draw().tolist() for _ in range(9)] == expected
