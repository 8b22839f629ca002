from __future__ import annotations

import pickle
import shutil

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ppgssl.core.config.study import Inputs
from ppgssl.core.errors import StoreError
from ppgssl.store.assembly import StudySegments, assemble
from ppgssl.store.streaming import StreamedSamples
from ppgssl.store.tables import CohortStore
from tests.support.stored_cohorts import random_store

# Not in the order of their names, so that blocks and the study's numbering of samples disagree.
COMMITS = [["p3_1", "p1_1"], ["p2_1", "p5_1", "p4_2"], ["p4_1"], ["p6_1", "p1_2"]]
LENGTH = 200


def inputs(**changes: object) -> Inputs:
    channels = [{"name": "ppg", "any_of": ["ppg_ir"]}, {"name": "red", "any_of": ["ppg_red"], "optional": True}]
    settings_ = {"channels": channels, "fs_hz": 50, "segment_s": 4, "step_s": 2, "memory_gb": 1e-6}
    return Inputs.model_validate(settings_ | changes)


@pytest.fixture(scope="module")
def stores(tmp_path_factory) -> list[CohortStore]:
    folder = tmp_path_factory.mktemp("stores")
    return [
        random_store(folder / "ward", COMMITS, channels=("ppg_ir", "ppg_red")),
        random_store(folder / "other", COMMITS[:2]),
    ]


@pytest.fixture(scope="module")
def resident(stores) -> StudySegments:
    return assemble(stores, inputs(memory_gb=1.0))


@pytest.fixture(scope="module")
def streamed(stores) -> StudySegments:
    return assemble(stores, inputs())


def with_budget(samples: StreamedSamples, budget_bytes: int) -> StreamedSamples:
    return StreamedSamples(samples.blocks, samples.places, budget_bytes)


def test_a_study_is_streamed_where_its_samples_exceed_the_memory(resident, streamed):
    assert isinstance(resident.samples, np.ndarray)
    assert isinstance(streamed.samples, StreamedSamples)
    assert streamed.samples.shape == resident.samples.shape == (2, 13 * 600)
    assert streamed.samples.block_bytes.sum() == resident.samples.nbytes


def test_all_but_the_samples_is_the_same_streamed(resident, streamed):
    for name in ("table", "decisions", "acquisition"):
        assert getattr(streamed, name).equals(getattr(resident, name))
    np.testing.assert_array_equal(streamed.baseline, resident.baseline)
    np.testing.assert_array_equal(streamed.moments.mean, resident.moments.mean)
    np.testing.assert_array_equal(streamed.moments.sd, resident.moments.sd)
    assert streamed.samples_sha256 == resident.samples_sha256
    assert streamed.channel_of == resident.channel_of


@settings(deadline=None, max_examples=40)
@given(numbers=st.lists(st.integers(0, 64), max_size=30), budget_bytes=st.integers(0, 70_000))
def test_streamed_segments_equal_resident_ones_whatever_is_asked_for(resident, streamed, numbers, budget_bytes):
    starts = resident.table["start"].to_numpy()[numbers]
    expected = np.array([resident.samples[:, start : start + LENGTH] for start in starts]).reshape(-1, 2, LENGTH)
    samples = with_budget(streamed.samples, budget_bytes)
    np.testing.assert_array_equal(samples.segments(starts, LENGTH), expected)
    assert samples.held_bytes <= max(budget_bytes, samples.block_bytes.max())


def test_the_study_at_another_rate_is_the_same_streamed(stores):
    resident, streamed = (assemble(stores, inputs(fs_hz=37.5, memory_gb=memory)) for memory in (1.0, 1e-6))
    assert streamed.samples_sha256 == resident.samples_sha256
    assert streamed.table.equals(resident.table)
    numbers, segments = next(streamed.parts())
    expected = [resident.samples[:, start : start + 150] for start in resident.table["start"].to_numpy()[numbers]]
    np.testing.assert_array_equal(segments, expected)


def test_the_hash_follows_the_samples(stores, streamed):
    assert assemble(stores[:1], inputs()).samples_sha256 != streamed.samples_sha256
    assert assemble(stores, inputs(fs_hz=40)).samples_sha256 != streamed.samples_sha256


def test_all_samples_read_at_once_are_the_resident_ones(resident, streamed):
    np.testing.assert_array_equal(streamed.samples.read_all(), resident.samples)


def test_blocks_that_fit_are_read_once(streamed, tmp_path):
    samples = with_budget(streamed.samples, int(streamed.samples.block_bytes.sum()))
    starts = streamed.table["start"].to_numpy()
    first = samples.segments(starts, LENGTH)
    files = {block.file for block in samples.blocks}
    for file in files:
        shutil.move(file, tmp_path / file.name)
    try:
        np.testing.assert_array_equal(samples.segments(starts, LENGTH), first)
    finally:
        for file in files:
            shutil.move(tmp_path / file.name, file)


def test_the_block_that_was_used_last_stays_longest(streamed):
    samples = with_budget(streamed.samples, int(streamed.samples.block_bytes[:2].sum()))
    starts = streamed.table["start"].to_numpy()
    block = samples.block_of(starts)
    for number in (0, 1, 0):
        samples.segments(starts[block == number], LENGTH)
    smallest = int(np.argmin(samples.block_bytes))
    samples.segments(starts[block == smallest], LENGTH)
    samples.blocks[0].file.rename(samples.blocks[0].file.with_suffix(".away"))
    try:
        samples.segments(starts[block == 0], LENGTH)  # from memory
        with pytest.raises(StoreError, match="cannot read"):
            with_budget(samples, 0).segments(starts[block == 0], LENGTH)
    finally:
        samples.blocks[0].file.with_suffix(".away").rename(samples.blocks[0].file)


def test_samples_are_left_behind_when_sent_to_another_process(streamed):
    samples = with_budget(streamed.samples, 10**6)
    starts = streamed.table["start"].to_numpy()
    expected = samples.segments(starts, LENGTH)
    assert samples.held_bytes == samples.block_bytes.sum()
    sent = pickle.dumps(samples)
    assert len(sent) < 10_000 < samples.held_bytes
    again = pickle.loads(sent)
    assert again.held_bytes == 0
    np.testing.assert_array_equal(again.segments(starts, LENGTH), expected)


def test_processes_share_the_memory(streamed, resident):
    assert streamed.sharing(4).samples.budget_bytes == streamed.samples.budget_bytes // 4
    assert resident.sharing(4) is resident


def test_parts_hold_each_segment_once_and_a_block_at_a_time(streamed):
    numbers = np.concatenate([numbers for numbers, _ in streamed.parts()])
    assert sorted(numbers) == list(range(len(streamed.table)))
    block = streamed.samples.block_of(streamed.table["start"].to_numpy())[numbers]
    assert (np.diff(block) >= 0).all()


def test_a_store_that_changed_meanwhile_is_told(streamed):
    samples = with_budget(streamed.samples, 0)
    samples.block_bytes[:] += 4
    with pytest.raises(StoreError, match="has changed since the study was loaded"):
        samples.segments(np.array([0]), LENGTH)
