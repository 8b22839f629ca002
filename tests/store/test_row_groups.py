from __future__ import annotations

import numpy as np
import pytest

from ppgssl.core.errors import StoreError
from ppgssl.signals.resampling import resample
from ppgssl.store import rows
from ppgssl.store.row_groups import row_groups
from ppgssl.store.tables import CohortStore
from tests.support.stored_cohorts import FS_HZ, random_store

COMMITS = [["p1_1", "p1_2", "p2_1"], ["p3_1", "p4_1"]]
ALL = {name for names in COMMITS for name in names}


def stored(store: CohortStore) -> dict[str, rows.StoredRecording]:
    return {row.recording_id: row for row in store.iterate(store.channels)}


def test_each_commit_of_small_recordings_is_a_block(tmp_path):
    store = random_store(tmp_path / "store", COMMITS)
    groups = row_groups(store, ALL, ("ppg_ir",), FS_HZ)
    assert [group.scan()[2].recording_id for group in groups] == COMMITS


def test_large_commits_are_cut_into_row_groups(tmp_path, monkeypatch):
    monkeypatch.setattr(rows, "_ROW_GROUP_BYTES", 7000)  # Two recordings of 600 samples and their flags.
    names = [f"p{number}_1" for number in range(1, 10)]
    store = random_store(tmp_path / "store", [names])
    groups = row_groups(store, set(names), ("ppg_ir",), FS_HZ)
    assert [group.scan()[2].recording_id for group in groups] == [names[i : i + 2] for i in range(0, 9, 2)]
    store.forget_sources(["p4_1.csv"])
    groups = row_groups(store, set(names), ("ppg_ir",), FS_HZ)
    assert max(len(group.scan()[2].recording_id) for group in groups) <= 2


def test_a_block_holds_the_samples_and_all_else_that_is_stored(tmp_path):
    store = random_store(tmp_path / "store", COMMITS, channels=("ppg_red", "ppg_ir"))
    group = row_groups(store, ALL, ("ppg_ir", "ppg_red"), FS_HZ)[0]
    samples, sizes, described = group.scan()
    assert (samples.dtype, samples.shape, sizes.tolist()) == (np.float32, (2, 1800), [600, 600, 600])
    np.testing.assert_array_equal(group.samples()[0], samples)
    for number, name in enumerate(described.recording_id):
        row = stored(store)[name]
        for input_number, channel in enumerate(("ppg_ir", "ppg_red")):
            held = row.channels[channel]
            np.testing.assert_array_equal(samples[input_number, 600 * number : 600 * (number + 1)], held.samples)
            np.testing.assert_array_equal(described.baseline[channel][number], held.baseline)
            assert described.amplitude[channel][number] == held.amplitude
        assert described.patient_id[number] == row.patient_id


def test_only_recordings_that_are_wanted_are_in_a_block(tmp_path):
    store = random_store(tmp_path / "store", COMMITS)
    (group,) = row_groups(store, {"p1_1", "p2_1"}, ("ppg_ir",), FS_HZ)
    samples, sizes, described = group.scan()
    assert described.recording_id == ["p1_1", "p2_1"]
    np.testing.assert_array_equal(samples[0, 600:], stored(store)["p2_1"].channels["ppg_ir"].samples)
    assert sizes.tolist() == [600, 600]
    assert row_groups(store, set(), ("ppg_ir",), FS_HZ) == []


def test_an_input_without_a_channel_is_zero(tmp_path):
    store = random_store(tmp_path / "store", COMMITS)
    samples, _ = row_groups(store, ALL, (None, "ppg_ir"), FS_HZ)[0].samples()
    assert (samples[0] == 0).all()
    assert (samples[1] != 0).all()


def test_each_recording_is_resampled_by_itself(tmp_path):
    store = random_store(tmp_path / "store", COMMITS)
    samples, sizes = row_groups(store, ALL, ("ppg_ir",), 40.0)[0].samples()
    assert sizes.tolist() == [480, 480, 480]
    expected = resample(stored(store)["p1_2"].channels["ppg_ir"].samples, fs_in_hz=FS_HZ, fs_out_hz=40.0)
    np.testing.assert_array_equal(samples[0, 480:960], expected.astype(np.float32))


def test_the_order_of_blocks_does_not_depend_on_the_order_of_commits(tmp_path):
    groups = row_groups(random_store(tmp_path / "store", COMMITS[::-1]), ALL, ("ppg_ir",), FS_HZ)
    assert [group.scan()[2].recording_id for group in groups] == COMMITS


@pytest.mark.parametrize("what", ["damaged", "gone"])
def test_a_file_that_cannot_be_read_is_named(tmp_path, what):
    store = random_store(tmp_path / "store", COMMITS)
    group = row_groups(store, ALL, ("ppg_ir",), FS_HZ)[0]
    if what == "gone":
        group.file.unlink()
    else:
        group.file.write_bytes(group.file.read_bytes()[:1000])
    with pytest.raises(StoreError, match=rf"cannot read {group.file}.*run the same command again"):
        group.samples()
