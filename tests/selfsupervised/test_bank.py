"""The segment bank against slicing by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ppgssl.core.errors import TrainingError
from ppgssl.selfsupervised import bank as bank_module
from ppgssl.selfsupervised.bank import SegmentBank


@given(
    n_channels=st.integers(1, 4),
    length=st.integers(1, 50),
    n_spare=st.integers(0, 200),
    n_segments=st.integers(1, 20),
    seed=st.integers(0, 2**31),
)
def test_gather_equals_slicing_and_scaling_each_segment(n_channels, length, n_spare, n_segments, seed):
    rng = np.random.default_rng(seed)
    samples = rng.standard_normal((n_channels, length + n_spare)).astype(np.float32)
    starts = rng.integers(0, n_spare + 1, n_segments)
    offset, scale = rng.standard_normal((2, n_segments, n_channels)).astype(np.float32)
    bank = SegmentBank(samples, starts, length, offset, scale)
    index = rng.integers(0, n_segments, 7)
    expected = [(samples[:, starts[i] : starts[i] + length] - offset[i][:, None]) * scale[i][:, None] for i in index]
    gathered = bank.gather(index)
    np.testing.assert_array_equal(gathered.numpy(), np.stack(expected))
    assert gathered.is_contiguous()
    assert len(bank) == n_segments
    assert bank.n_channels == n_channels


def make_bank(**changed):
    given_ = {
        "samples": np.arange(40, dtype=np.float32).reshape(2, 20),
        "starts": [0, 10],
        "length": 10,
        "offset": np.zeros((2, 2)),
        "scale": np.ones((2, 2)),
    }
    return SegmentBank(**{**given_, **changed})


def test_index_may_be_a_list_an_array_or_a_tensor():
    bank = make_bank()
    for index in ([1, 0], np.array([1, 0], dtype=np.int32), torch.tensor([1, 0])):
        assert bank.gather(index)[:, 0, 0].tolist() == [10.0, 0.0]


@pytest.mark.parametrize("shape", [(), (1,), (0,), (3, 2), (0, 2), (2, 2, 3)])
def test_the_segments_have_the_shape_of_the_index(shape):
    bank = make_bank()
    index = torch.randint(2, shape, generator=torch.Generator().manual_seed(0))
    gathered = bank.gather(index)
    assert gathered.shape == (*shape, 2, 10)
    assert gathered.is_contiguous()
    assert torch.equal(gathered[..., 0, 0], 10.0 * index)


def test_a_gpu_is_given_the_same_segments_by_other_means(monkeypatch):
    samples, starts = np.random.default_rng(0).standard_normal((3, 500)), np.arange(0, 400, 7)
    bank = SegmentBank(samples, starts, 90, np.ones((len(starts), 3)), 2 * np.ones((len(starts), 3)))
    index = torch.arange(len(starts)).flip(0).reshape(-1, 2)
    expected = bank.gather(index)
    monkeypatch.setattr(bank_module, "_cut_on_cpu", bank_module._cut)
    gathered = bank.gather(index)
    assert torch.equal(gathered, expected)
    assert gathered.is_contiguous()


def test_gathered_segments_are_copies():
    bank = make_bank()
    bank.gather([0, 1]).zero_()
    assert bank.gather([1])[0, 1].tolist() == list(range(30, 40))


def test_missing_samples_outside_all_segments_do_no_harm():
    samples = np.full((1, 30), np.nan)
    samples[:, 10:20] = 1.0
    bank = make_bank(samples=samples, starts=[10, 10], offset=np.zeros((2, 1)), scale=np.ones((2, 1)))
    assert torch.isfinite(bank.gather([0, 1])).all()


@pytest.mark.parametrize("is_writeable", [True, False])
def test_samples_are_not_copied_even_if_they_are_read_only(is_writeable):
    samples = np.zeros((2, 20), dtype=np.float32)
    samples.flags.writeable = is_writeable
    bank = make_bank(samples=samples)
    assert bank.samples.data_ptr() == samples.ctypes.data
    assert bank.gather([0]).shape == (1, 2, 10)


def test_a_bank_on_its_own_device_is_itself():
    bank = make_bank()
    assert bank.to("cpu") is bank


@pytest.mark.parametrize(
    "changed",
    [
        {"samples": np.ones((2, 20))},
        {"starts": [0, 9]},
        {"length": 9},
        {"offset": np.ones((2, 2))},
        {"scale": 2 * np.ones((2, 2))},
    ],
)
def test_the_hash_follows_everything_that_decides_a_segment(changed):
    assert make_bank(**changed).sha256() != make_bank().sha256()
    assert make_bank().sha256() == make_bank().sha256()


def test_a_known_hash_stands_for_the_samples():
    assert make_bank(samples_sha256="a").sha256() == make_bank(samples_sha256="a", samples=np.ones((2, 20))).sha256()
    assert make_bank(samples_sha256="a").sha256() != make_bank(samples_sha256="b").sha256()


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"samples": np.zeros(20)}, "n_channels, n_samples"),
        ({"starts": [0, 11]}, r"1 of 2 segments of 10 samples reach beyond the 20 samples: starts must lie in 0\.\.10"),
        ({"starts": [-1, 0]}, "reach beyond"),
        ({"offset": np.zeros((2, 1))}, r"offset must have the shape \(n_segments, n_channels\) = \(2, 2\)"),
        ({"scale": np.ones(2)}, "scale must have the shape"),
    ],
)
def test_what_does_not_fit_together_is_refused(changed, message):
    with pytest.raises(TrainingError, match=message):
        make_bank(**changed)
