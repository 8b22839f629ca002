"""What one task reads: files, and the parts of long ones."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from ppgssl.core.config.cohort import Cohort
from ppgssl.core.config.loading import load_cohort
from ppgssl.core.reasons import Reason
from ppgssl.readers.files import SourceFile, find_files
from ppgssl.readers.raw_recordings import at_one_rate
from ppgssl.readers.sources import OpenRecording
from ppgssl.signals.preprocessing import preprocess
from ppgssl.stages.ingest import file_tasks
from ppgssl.stages.ingest import ingest as ingest_module
from ppgssl.stages.ingest.file_tasks import FileTask, do_task, plan
from ppgssl.stages.ingest.ingest import check_cohort, ingest
from ppgssl.store.tables import CohortStore
from tests.support import oximeter
from tests.support.same_stores import Power, assert_same_store
from tests.support.small_cohorts import make_ward


def test_a_file_that_vanishes_between_listing_and_reading_is_a_reject(tmp_path):
    make_ward(tmp_path, 1)
    cohort = load_cohort(tmp_path / "cohort.yaml")
    gone = SourceFile(tmp_path / "gone.csv", "gone.csv", "p9", "p9_1")
    ((reject, sha256),) = do_task(FileTask(cohort, (gone,))).rejects
    assert (reject.unit, reject.subject, reject.reason, sha256) == ("file", "gone.csv", Reason.FILE_UNREADABLE, "")


def test_tasks_are_of_the_size_of_the_samples_that_headers_name(tmp_path):
    with (tmp_path / "samples.dat").open("wb") as file:
        file.truncate(3_000_000)
    for number in range(64):
        (tmp_path / f"{number}.hea").write_text(f"{number} 1 100\nsamples.dat 16 1 16 0 0 0 0 PLETH\n")
    signals = {"files": "{patient}.hea", "reader": "wfdb", "channels": {"ppg": {"column": "PLETH"}}}
    cohort = Cohort.model_validate({"name": "ward", "signals": signals})
    sources, _ = find_files(cohort, tmp_path)
    assert [len(task.sources) for task in plan(sources, cohort, n_workers=1)] == [2] * 32


# --- long recordings ---------------------------------------------------------------------------------------------


@pytest.fixture
def small_parts(monkeypatch):
    """Recordings of more than two minutes are long, and a task reads two parts."""
    monkeypatch.setattr(file_tasks, "PART_S", 120.0)
    monkeypatch.setattr(file_tasks, "TASK_SAMPLES", 2 * 2 * 120 * oximeter.FS_HZ)


def long_ward(folder: Path) -> Path:
    oximeter.write_binary(folder / "signals", "1", seed=1, seconds=700)
    oximeter.write_binary(folder / "signals", "2", seed=2, seconds=60)
    return oximeter.describe(folder, "oximeter_binary")


@pytest.mark.usefixtures("small_parts")
def test_a_long_recording_is_stored_in_parts_as_if_it_were_one(tmp_path):
    cohort_file = long_ward(tmp_path)
    summary = ingest(cohort_file, tmp_path / "store", n_jobs=1)
    assert summary.rejects.empty
    store = CohortStore(tmp_path / "store")
    parts = store.recordings(["recording_id", "start_s", "duration_s", "n_of_source"])
    assert parts["recording_id"].tolist() == ["1@0", "1@120", "1@240", "1@360", "1@480", "1@600", "2"]
    assert parts["start_s"].tolist() == [0, 120, 240, 360, 480, 600, 0]
    assert parts["duration_s"].tolist() == [120] * 5 + [100, 60]
    rows = {row.recording_id: row for row in store.iterate(["ppg_ir"])}
    joined = np.concatenate([rows[f"1@{start}"].channels["ppg_ir"].samples for start in range(0, 700, 120)])
    whole = preprocess(oximeter.oximetry(1, 700)[1], fs_hz=80, fs_out_hz=80, band_hz=(0.5, 8)).samples
    assert len(joined) == len(whole) == 700 * 80
    # The padding that a part is filtered with is long enough that no seam can be seen.
    np.testing.assert_allclose(joined, -whole, atol=1e-3 * np.nanstd(whole))
    baseline = np.concatenate([rows[f"1@{start}"].channels["ppg_ir"].baseline for start in range(0, 700, 120)])
    assert len(baseline) == 700
    assert [len(rows[f"1@{start}"].trends["sqi"]) for start in range(0, 700, 120)] == [120] * 5 + [100]


@pytest.mark.usefixtures("small_parts")
def test_parts_that_are_missing_after_an_interruption_are_made_again(tmp_path, monkeypatch):
    cohort_file = long_ward(tmp_path)
    ingest(cohort_file, tmp_path / "fresh", n_jobs=1)
    monkeypatch.setattr(ingest_module, "_COMMIT_BYTES", 1)
    power = Power(monkeypatch)
    ingest(cohort_file, tmp_path / "counted", n_jobs=1)
    for fail_at in range(1, power.n_writes + 1):
        folder = tmp_path / f"store{fail_at}"
        power.n_writes, power.fail_at = 0, fail_at
        with pytest.raises(KeyboardInterrupt):
            ingest(cohort_file, folder, n_jobs=1)
        power.fail_at = -1
        ingest(cohort_file, folder, n_jobs=1)
        assert_same_store(folder, tmp_path / "fresh")


@pytest.mark.usefixtures("small_parts")
def test_check_reads_long_recordings_in_parts_too(tmp_path):
    summary = check_cohort(long_ward(tmp_path), n_jobs=1)
    assert (summary.n_files, summary.n_recordings, summary.n_patients) == (2, 7, 2)
    assert summary.rejects.empty


def test_parts_are_whole_minutes_and_hold_no_more_than_a_task_reads():
    for channels, fs_hz in ((2, 80.0), (15, 1000.0), (3, 249.89)):
        n_samples = round(86_400 * fs_hz)
        raw = at_one_rate(range(channels), fs_hz, n_samples, lambda _: {})
        source = SourceFile(Path("p1.hea"), "p1.hea", "p1", "p1")
        opened = OpenRecording(source, "p1", {f"ecg_{number}": (raw, number) for number in range(channels)})
        parts = file_tasks.intervals_of([opened])
        assert parts[0].start_s == 0
        assert parts[-1].stop_s == opened.duration_s
        assert all(one.stop_s == other.start_s and one.stop_s % 60 == 0 for one, other in pairwise(parts))
        assert max(part.n_samples for part in parts) <= file_tasks.TASK_SAMPLES
