"""The order of segments, and which of them are paired."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ppgssl.core.errors import TrainingError
from ppgssl.selfsupervised.sampling import EpochSampler, PairSampler

LENGTH = 10


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


def test_the_order_is_that_of_torch_for_the_seed():
    generator = torch.Generator().manual_seed(5)
    epochs = [torch.randperm(30, generator=generator) for _ in range(2)]
    sampler = EpochSampler(torch.arange(30), 15, seed=5)
    assert torch.equal(torch.cat([sampler.draw() for _ in range(4)]), torch.cat(epochs))


def make_segments(seed: int, n_patients: int = 8, most: int = 4, step: int = 4) -> dict[str, np.ndarray]:
    """Patients with some recordings of some segments each, in the order of a shuffled bank."""
    rng = np.random.default_rng(seed)
    rows = [
        (patient, 10 * patient + recording, 1000 * (10 * patient + recording) + step * number)
        for patient in range(n_patients)
        for recording in range(rng.integers(1, 4))
        for number in range(rng.integers(1, most + 1))
    ]
    patient, recording, start = np.array([rows[place] for place in rng.permutation(len(rows))]).T
    return {"patient": patient, "recording": recording, "start": start}


def pair_sampler(segments: dict[str, np.ndarray], batch_size: int = 64, **changes: object) -> PairSampler:
    index = torch.arange(len(segments["patient"]))
    settings_ = {"index": index, "length": LENGTH, "min_segments": 2, "seed": 0, **segments}
    return PairSampler(batch_size=batch_size, **(settings_ | changes))


def partners_of(anchor: int, segments: dict[str, np.ndarray]) -> list[int]:
    """As the definition has it, one by one."""
    patient, recording, start = segments["patient"], segments["recording"], segments["start"]
    return [
        other
        for other in range(len(patient))
        if patient[other] == patient[anchor]
        and (recording[other] != recording[anchor] or abs(start[other] - start[anchor]) >= LENGTH)
    ]


@given(seed=st.integers(0, 10_000), most=st.integers(2, 12), step=st.integers(1, 15), min_segments=st.integers(2, 6))
def test_each_segment_with_a_partner_is_an_anchor_once_an_epoch(seed, most, step, min_segments):
    segments = make_segments(seed, most=most, step=step)
    count = Counter(segments["patient"].tolist())
    expected = {
        anchor: partners
        for anchor in range(len(segments["patient"]))
        if count[int(segments["patient"][anchor])] >= min_segments and (partners := partners_of(anchor, segments))
    }
    if not expected:
        with pytest.raises(TrainingError, match=r"pretraining\.objective\.min_segments"):
            pair_sampler(segments, min_segments=min_segments)
        return
    sampler = pair_sampler(segments, len(expected), min_segments=min_segments, seed=seed)
    for _ in range(2):
        pairs = sampler.draw()
        assert pairs.shape == (len(expected), 2)
        assert sorted(pairs[:, 0].tolist()) == sorted(expected)
        assert all(partner in expected[anchor] for anchor, partner in pairs.tolist())


def test_every_partner_has_the_same_chance():
    segments = make_segments(1, n_patients=1, most=8)
    sampler = pair_sampler(segments, 1000)
    drawn = Counter(tuple(pair) for _ in range(60) for pair in sampler.draw().tolist())
    of_anchor = Counter(anchor for anchor, _ in drawn.elements())
    for anchor, n in of_anchor.items():
        partners = partners_of(anchor, segments)
        counts = np.array([drawn[anchor, partner] for partner in partners])
        expected = n / len(partners)
        chi_square = ((counts - expected) ** 2 / expected).sum()
        assert chi_square < len(partners) - 1 + 5 * np.sqrt(2 * len(partners))


def test_only_segments_of_the_index_are_paired():
    segments = make_segments(3, most=10)
    index = torch.arange(0, len(segments["patient"]), 2)
    assert set(pair_sampler(segments, 200, index=index).draw().unique().tolist()) <= set(index.tolist())


def test_a_batch_seldom_holds_two_pairs_of_one_patient():
    patient = np.repeat(np.arange(100), 40)
    recording, start = patient, np.tile(np.arange(40), 100) * LENGTH
    sampler = pair_sampler({"patient": patient, "recording": recording, "start": start}, 20)
    repeats = [20 - len(set(patient[sampler.draw()[:, 0]])) for _ in range(190)]
    assert np.mean(repeats) < 0.4  # 1.8 at random


def test_patients_with_many_segments_do_not_have_the_end_of_the_epoch_to_themselves():
    patient = np.concatenate([np.repeat(np.arange(50), 4), np.repeat(50, 200)])
    recording, start = patient, np.arange(400) * LENGTH
    sampler = pair_sampler({"patient": patient, "recording": recording, "start": start}, 100)
    proportions = [(patient[sampler.draw()[:, 0]] == 50).mean() for _ in range(4)]
    assert proportions == pytest.approx([0.5] * 4, abs=0.1)


def test_patients_without_pairs_are_refused_with_the_way_out():
    single = {"patient": np.zeros(20, int), "recording": np.zeros(20, int), "start": np.arange(20) % LENGTH}
    with pytest.raises(TrainingError, match=r"no patient has 16 segments.*most has 20.*objective\.min_segments"):
        pair_sampler(single, min_segments=16)
    with pytest.raises(TrainingError, match="of the 0 patients"):
        pair_sampler(single, index=torch.arange(0))


def test_a_saved_state_goes_on_with_the_same_batches():
    segments = {"patient": np.arange(40) % 2, "recording": np.arange(40) % 8, "start": 100 * np.arange(40)}

    def samplers(seed: int) -> list[EpochSampler | PairSampler]:
        return [EpochSampler(torch.arange(40), 4, seed=seed), pair_sampler(segments, 4, seed=seed)]

    for sampler, other in zip(samplers(0), samplers(5), strict=True):
        sampler.draw()
        state = sampler.state_dict()
        expected = [sampler.draw().tolist() for _ in range(25)]
        other.load_state_dict(state)
        assert [other.draw().tolist() for _ in range(25)] == expected
