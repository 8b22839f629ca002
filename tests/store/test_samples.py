"""Samples in a file of their own give the same segments as samples in memory."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ppgssl.core.config.study import Inputs
from ppgssl.core.errors import StoreError
from ppgssl.store.assembly import StudySegments, assemble
from ppgssl.store.samples import SamplesFile, segment_levels, write_samples
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
def on_disk(stores, tmp_path_factory) -> StudySegments:
    return assemble(stores, inputs(), tmp_path_factory.mktemp("out"))


def test_samples_are_in_a_file_where_they_exceed_the_memory(resident, on_disk):
    assert isinstance(resident.samples, np.ndarray)
    assert isinstance(on_disk.samples, SamplesFile)
    assert on_disk.samples.shape == resident.samples.shape == (2, 13 * 600)
    assert on_disk.samples.path.stat().st_size == on_disk.samples.nbytes == resident.samples.nbytes


def test_all_but_the_samples_is_the_same(resident, on_disk):
    for name in ("table", "decisions", "acquisition"):
        assert getattr(on_disk, name).equals(getattr(resident, name))
    for name in ("start", "baseline", "is_present"):
        np.testing.assert_array_equal(getattr(on_disk, name), getattr(resident, name))
    np.testing.assert_array_equal(on_disk.moments.mean, resident.moments.mean)
    np.testing.assert_array_equal(on_disk.moments.sd, resident.moments.sd)
    assert on_disk.samples_sha256 == resident.samples_sha256
    assert on_disk.channel_of == resident.channel_of


@given(numbers=st.lists(st.integers(0, 64), max_size=30))
def test_segments_from_a_file_equal_resident_ones_whatever_is_asked_for(resident, on_disk, numbers):
    starts = resident.start[numbers]
    expected = np.array([resident.samples[:, start : start + LENGTH] for start in starts]).reshape(-1, 2, LENGTH)
    np.testing.assert_array_equal(on_disk.samples.segments(starts, LENGTH), expected)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(on_disk.samples)).segments(starts, LENGTH), expected)


def test_the_study_at_another_rate_is_the_same_from_a_file(stores, tmp_path):
    resident, on_disk = (assemble(stores, inputs(fs_hz=37.5, memory_gb=memory), tmp_path) for memory in (1.0, 1e-6))
    assert on_disk.samples_sha256 == resident.samples_sha256
    expected = [resident.samples[:, start : start + 150] for start in resident.start]
    np.testing.assert_array_equal(on_disk.samples.segments(on_disk.start, 150), expected)


def test_the_hash_follows_the_samples_and_the_file_of_others_goes(stores, tmp_path):
    one = assemble(stores, inputs(), tmp_path)
    at = one.samples.path.stat().st_mtime_ns
    assert assemble(stores, inputs(), tmp_path).samples.path.stat().st_mtime_ns == at  # used again
    other = assemble(stores, inputs(fs_hz=40), tmp_path)
    assert assemble(stores[:1], inputs(memory_gb=1.0)).samples_sha256 != one.samples_sha256 != other.samples_sha256
    assert [file.name for file in (tmp_path / "samples").iterdir()] == [other.samples.path.name]
    with pytest.raises(StoreError, match="Run the same command again"):
        one.samples.segments(one.start, LENGTH)


def test_a_file_that_cannot_be_written_leaves_nothing_and_the_error_gives_how_large_it_is(tmp_path):
    def broken():
        yield 0, np.ones((2, 5), dtype=np.float32)
        raise OSError(28, "No space left on device")

    with pytest.raises(StoreError, match=r"No space left on device\. They take 0\.1 GB .*`inputs\.memory_gb`"):
        write_samples(tmp_path / "a.f32", (2, 10_000_000), broken())
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_file_is_refused(on_disk):
    samples = SamplesFile(on_disk.samples.path, on_disk.samples.shape)
    with pytest.raises(StoreError, match="cannot read the study's samples"):
        samples.segments(np.array([13 * 600 - LENGTH + 1]), LENGTH)  # beyond its end


def test_some_segments_alone_keep_what_is_theirs(resident):
    is_kept = np.arange(len(resident.start)) % 3 == 0
    some = resident.only(is_kept)
    np.testing.assert_array_equal(some.moments.mean, resident.moments.mean[is_kept])
    assert some.table["patient"].tolist() == resident.table["patient"][is_kept].tolist()
    assert some.decisions is resident.decisions


@given(
    seconds=st.lists(st.one_of(st.just(float("nan")), st.floats(1, 100, width=32)), min_size=1, max_size=12),
    start_s=st.floats(0, 10),
    segment_s=st.floats(0.1, 6),
)
def test_the_level_of_a_segment_is_the_median_of_the_seconds_that_it_touches(seconds, start_s, segment_s):
    last = max(int(np.ceil(start_s + segment_s)), int(start_s) + 1)
    known = np.array(seconds, dtype=np.float32)[int(start_s) : last]
    known = known[np.isfinite(known)]
    expected = np.median(known) if len(known) else np.nan
    found = segment_levels(np.array(seconds, dtype=np.float32), np.array([start_s]), segment_s)
    np.testing.assert_allclose(found, [expected], rtol=1e-6)
