"""Whatever interrupts an ingest, kill or full disk, leaves a store that opens and that the same command completes."""

from __future__ import annotations

import itertools
import json
import random
import shutil
import signal as signals
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from pyarrow.fs import PyFileSystem

from ppgssl.core.errors import BusyError, StoreError
from ppgssl.core.provenance import RUN_FILE
from ppgssl.core.reasons import Reason
from ppgssl.stages.ingest.ingest import ingest
from ppgssl.store.tables import COHORT_FILE, FORMAT_FILE, CohortStore, only_writer
from tests.support import oximeter
from tests.support.command_line import CommandLine, Done, session_of, wait_for
from tests.support.same_stores import assert_same_store, copy_signal, reasons
from tests.support.small_cohorts import clinical_row, describe, make_ward, signal, write_clinical, write_signal


@pytest.fixture(scope="module")
def ward(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One of each kind of file: empty, joined, copied; ``cohort.yaml`` and the store of an uninterrupted ingest."""
    folder = tmp_path_factory.mktemp("ward")
    for number in range(1, 17):
        write_signal(folder, f"p{number}_1", signal(number, 24.0 if number == 7 else 12.0))
    (folder / "signals" / "p9_1.csv").write_text("")
    copy_signal(folder, "p1_1", "p1_2")
    write_clinical(folder, [clinical_row(number) for number in range(1, 17)])
    ingest(describe(folder), folder / "whole", n_jobs=1)
    return folder


# A commit every few files, so that much can happen between them.
SMALL_COMMITS = "ingest._COMMIT_BYTES = 25_000;"


# --- kill -9 -----------------------------------------------------------------------------------------------------


def assert_opens(store: Path) -> int:
    """All tables can be read, and agree; the number of recordings."""
    try:
        opened = CohortStore(store)
    except StoreError:
        assert not (store / COHORT_FILE).exists()  # nothing was written yet
        return 0
    recordings = opened.recordings()
    assert recordings["recording_id"].is_unique
    segments = opened.segments(4.0, 2.0)
    assert set(segments["recording_id"]) <= set(recordings["recording_id"])
    assert opened.rejects()["reason"].notna().all()
    opened.patients()
    return len(recordings)


# The moment counts from a result that is handed over to be stored.
KILL_AT_ROWS = """
rows = ingest._rows
def rows_until_killed(*arguments):
    for number, item in enumerate(rows(*arguments)):
        if number == KILL_AT:
            threading.Thread(target=die, args=(KILL_AFTER_S,), daemon=True).start()
        yield item
ingest._rows = rows_until_killed
"""


@dataclass
class Kills:
    """Kills an ingest again and again at random moments, and starts another one when it ends before."""

    commands: CommandLine
    ward: Path
    folder: Path
    before: str = SMALL_COMMITS

    def time(self) -> float:
        """Seconds of an ingest that nobody kills."""
        started = time.monotonic()
        assert self.ingest(self.folder / "timed").code == 0
        return time.monotonic() - started

    def run(self, n_kills: int, moments_s: Callable[[], float]) -> list[int]:
        """Numbers of recordings in the store after each kill."""
        held: list[int] = []
        stores = (self.folder / f"store{number}" for number in itertools.count())
        store = next(stores)
        while len(held) < n_kills:
            done = self.ingest(store, kill_after_s=moments_s())
            if done.code == 0:  # it was faster
                assert_same_store(store, self.ward / "whole")
                store = next(stores)
                continue
            assert done.code == -signals.SIGKILL, done.stderr
            held.append(assert_opens(store))
        assert self.ingest(store).code == 0
        assert_same_store(store, self.ward / "whole")
        return held

    def ingest(self, store: Path, **how: Any) -> Done:
        return self.commands.ingest(self.ward / "cohort.yaml", store, before=self.before, **how)


def test_kill_at_any_moment_leaves_a_store_that_opens_and_that_a_rerun_completes(commands, ward, tmp_path):
    kills, rng = Kills(commands, ward, tmp_path), random.Random(1)
    whole_s = kills.time()
    assert len(kills.run(3, lambda: rng.uniform(0, 0.6 * whole_s))) == 3


@pytest.mark.slow
def test_kill_while_processes_side_by_side_read(commands, ward, tmp_path):
    # They are killed too; the moment counts from the first result that they hand over.
    before = SMALL_COMMITS + KILL_AT_ROWS
    rng = random.Random(2)
    store = tmp_path / "store"
    for _ in range(2):
        moment = f"KILL_AT, KILL_AFTER_S = {rng.randrange(4)}, {rng.uniform(0, 0.1)};"
        done = commands.ingest(ward / "cohort.yaml", store, jobs=2, before=moment + before)
        assert done.code == -signals.SIGKILL
        assert_opens(store)
    assert json.loads(commands("inspect", store, "--json").stdout)["recordings"] == assert_opens(store)
    assert commands.ingest(ward / "cohort.yaml", store).code == 0
    assert_same_store(store, ward / "whole")


@pytest.fixture(scope="module")
def long_ward(tmp_path_factory: pytest.TempPathFactory, commands: CommandLine) -> Path:
    """A recording in eight parts and a short one, neither with a file of device trends; and ``whole``."""
    folder = tmp_path_factory.mktemp("long")
    cohort_file = oximeter.write_long_and_short(folder)
    for number in (1, 2):
        (folder / "signals" / f"{number}_spo2trends.csv").unlink()
    assert commands.ingest(cohort_file, folder / "whole", before=oximeter.SMALL_PARTS).summary["recordings"] == 9
    return folder


def test_kill_between_the_parts_of_a_long_recording(commands, long_ward, tmp_path):
    rng, store = random.Random(3), tmp_path / "store"
    for parts in (2, 3):
        before = f"KILL_AT, KILL_AFTER_S = {parts}, {rng.uniform(0, 0.01)};" + oximeter.SMALL_PARTS + KILL_AT_ROWS
        done = commands.ingest(long_ward / "cohort.yaml", store, before=before)
        assert done.code == -signals.SIGKILL, done.stderr
        assert 0 < assert_opens(store) < 9
    assert commands.ingest(long_ward / "cohort.yaml", store, before=oximeter.SMALL_PARTS).code == 0
    assert_same_store(store, long_ward / "whole")


def test_a_store_that_was_killed_while_it_was_made_is_made_again(commands, ward, tmp_path):
    for names in ([FORMAT_FILE], [FORMAT_FILE, f".{COHORT_FILE}.123"], [FORMAT_FILE, COHORT_FILE]):
        store = tmp_path / f"with {len(names)} {names[-1]}"
        store.mkdir()
        for name in names:
            if (ward / "whole" / name).is_file():
                shutil.copy(ward / "whole" / name, store)
            else:
                (store / name).write_text("name: wa")
        assert commands.ingest(ward / "cohort.yaml", store).code == 0
        assert_same_store(store, ward / "whole")


@pytest.mark.parametrize("table", ["recordings", "segments", "patients"])
def test_a_table_that_was_killed_before_its_first_commit_is_made_again(ward, tmp_path, table):
    store = tmp_path / "store"
    shutil.copytree(ward / "whole", store)
    log = store / table / "_delta_log"
    for number, commit in enumerate(sorted(log.iterdir())):
        commit.rename(log / f"_commit_{number}.json.tmp")
    assert_opens(store)
    ingest(ward / "cohort.yaml", store, n_jobs=1)
    assert_same_store(store, ward / "whole")


def test_notes_of_missing_trends_are_neither_lost_nor_doubled(tmp_path, monkeypatch):
    for patient in (1, 2):
        oximeter.write_binary(tmp_path / "signals", f"{patient}", seed=patient, seconds=20)
    (tmp_path / "signals" / "2_spo2trends.csv").unlink()
    cohort_file = oximeter.describe(tmp_path, "oximeter_binary")
    noted = {"2": Reason.NO_TRENDS}
    write = CohortStore._write

    def power_fails(store: CohortStore, name: str, table: Any) -> None:
        if name == "recordings":
            raise KeyboardInterrupt
        write(store, name, table)

    with monkeypatch.context() as power:
        power.setattr(CohortStore, "_write", power_fails)
        with pytest.raises(KeyboardInterrupt):
            ingest(cohort_file, tmp_path / "store", n_jobs=1)
    for _ in range(3):
        summary = ingest(cohort_file, tmp_path / "store", n_jobs=1)
        assert (len(summary.rejects), reasons(summary.rejects)) == (1, noted)
    (tmp_path / "signals" / "2_spo2trends.csv").write_text(oximeter.trends(20))
    assert ingest(cohort_file, tmp_path / "store", n_jobs=1).rejects.empty


# --- a full disk -------------------------------------------------------------------------------------------------


# Bytes that a file may have: what then fails to be written, and how much is kept.
@pytest.mark.parametrize(
    ("most_bytes", "what"), [(500, "the store"), (2_000, "the table 'segments'"), (15_000, "the table 'recordings'")]
)
def test_a_write_that_fails_is_reported_and_a_rerun_completes_the_store(commands, ward, tmp_path, most_bytes, what):
    store = tmp_path / "store"
    done = commands.ingest(ward / "cohort.yaml", store, before=SMALL_COMMITS, most_bytes=most_bytes)
    assert done.code == 1
    assert f"error: cannot write {what}" in done.error
    assert "File too large" in done.error
    assert "Is there room on the disk" in done.error
    assert "Failed to parse parquet" not in done.error
    assert_opens(store)
    assert commands.ingest(ward / "cohort.yaml", store).code == 0
    assert_same_store(store, ward / "whole")


def test_the_record_of_a_run_is_whole_or_absent(commands, ward, tmp_path):
    store = tmp_path / "store"
    shutil.copytree(ward / "whole", store)
    (store / RUN_FILE).unlink()
    done = commands.ingest(ward / "cohort.yaml", store, most_bytes=2_000)  # of all files, only run.json is longer
    assert done.code == 1
    assert "with room on the disk" in done.error
    assert not (store / RUN_FILE).exists()
    assert commands.ingest(ward / "cohort.yaml", store).summary["files_read_now"] == 0
    assert json.loads((store / RUN_FILE).read_text())["stage"] == "ingest"


@pytest.mark.parametrize("kb", [4, 8, 100])
def test_a_full_disk_is_reported_and_with_room_a_rerun_completes_the_store(commands, ward, small_disk, kb):
    store = small_disk(kb) / "store"
    for _ in range(2):  # the second time, there is no room from the start
        done = commands.ingest(ward / "cohort.yaml", store, before=SMALL_COMMITS)
        assert done.code == 1
        assert "error: cannot write" in done.error
        assert "No space left on device" in done.error
        n_held = assert_opens(store)
    assert (n_held > 0) == (kb >= 60)
    small_disk(20_000)
    assert commands.ingest(ward / "cohort.yaml", store).code == 0
    assert_same_store(store, ward / "whole")


# --- processes that are killed -----------------------------------------------------------------------------------


DEADLY = """
import os, signal
from ppgssl.stages.ingest.file_tasks import do_task
def dies_of_p5(task):
    if any(source.patient_id == "p5" for source in task.sources):
        os.kill(os.getpid(), signal.SIGKILL)
    return do_task(task)
"""


def test_a_file_that_takes_all_memory_is_a_line_and_costs_no_other_file(commands, tmp_path):
    # The system kills the process that asks for more memory than there is, and does not report for which file that was.
    (tmp_path / "deadly.py").write_text(DEADLY)
    before = f"sys.path.insert(0, {str(tmp_path)!r}); import deadly; ingest.do_task = deadly.dies_of_p5;"
    # Nine files: fewer would be read in the process of the command itself.
    done = commands.ingest(make_ward(tmp_path, 9), tmp_path / "store", jobs=2, before=before)
    assert done.summary["recordings"] == 8
    rejects = CohortStore(tmp_path / "store").rejects().query("stage == 'files'")
    assert reasons(rejects) == {"signals/p5_1.csv": Reason.FILE_UNREADABLE}
    assert "the process that read this file was killed" in rejects["detail"].iloc[0]


def start(ward: Path, store: Path, *arguments: str) -> subprocess.Popen[str]:
    """An ingest in another process, which stops once it has begun to read."""
    hold = """
import sys, time
from ppgssl.stages.ingest import ingest
rows = ingest._rows
def hold(*arguments):
    for item in rows(*arguments):
        print("reading", file=sys.stderr, flush=True)
        time.sleep(60)
        yield item
ingest._rows = hold
from ppgssl.cli.app import main
main()
"""
    command = [sys.executable, "-c", hold, "ingest", str(ward / "cohort.yaml"), "--out", str(store), *arguments]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True)
    assert process.stderr is not None
    for line in process.stderr:
        if line == "reading\n":
            return process
    raise AssertionError("it ended before it read anything")


def test_one_process_writes_at_a_time_and_a_killed_one_bars_nobody(commands, ward, tmp_path):
    store = tmp_path / "store"
    process = start(ward, store, "--jobs", "2")
    before = sorted(tmp_path.rglob("*"))
    done = commands.ingest(ward / "cohort.yaml", store)
    assert done.code == 1
    assert f"another process is writing into the store {store}" in done.error
    assert sorted(tmp_path.rglob("*")) == before
    assert assert_opens(store) == 0  # reading is nobody's concern
    assert len(session_of(process.pid)) > 2
    process.kill()
    process.wait(10)
    process.stderr.close()  # type: ignore[union-attr]
    assert commands.ingest(ward / "cohort.yaml", store).code == 0
    assert_same_store(store, ward / "whole")
    wait_for(lambda: session_of(process.pid) == [])  # the processes that it started end, too


def test_the_lock_is_let_go_after_an_error(tmp_path):
    with pytest.raises(KeyError), only_writer(tmp_path / "store"):
        raise KeyError
    again = only_writer(tmp_path / "store")
    with only_writer(tmp_path / "store"), pytest.raises(BusyError, match="another process is writing"), again:
        pass


def test_arrow_does_not_read_files_through_python(ward):
    # Or a process that ends soon after reading may abort: at times one in five did.
    with CohortStore(ward / "whole").reading("segments") as table:
        assert not isinstance(table.filesystem.base_fs, PyFileSystem)
