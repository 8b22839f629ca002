"""What ``ppgssl ingest`` makes of kills, full disks, damaged and hostile files: always a store that can be finished.

At the end, what ``ppgssl pretrain`` makes of kills and full disks: always a run that can be gone on with.

Each command runs in a process of its own. To save the time of importing everything each time, it is forked from one
that has done so, and that has started no thread and opened no store.
"""

from __future__ import annotations

import itertools
import json
import os
import random
import shutil
import signal as signals
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import edfio
import h5py
import numpy as np
import pandas as pd
import pytest
import scipy.io
import torch
import yaml
from distributed import KilledWorker
from distributed.client import FutureCancelledError
from distributed.comm import CommClosedError
from pyarrow.fs import PyFileSystem
from safetensors.numpy import load_file

from ppgssl.core.errors import BusyError, PpgsslError, StoreError, TrainingError
from ppgssl.core.parallel import Workers
from ppgssl.core.provenance import RUN_FILE
from ppgssl.core.reasons import Reason
from ppgssl.core.records import FloatArray
from ppgssl.selfsupervised.checkpoints import CHECKPOINT_FILE
from ppgssl.selfsupervised.pretraining_result import save_result
from ppgssl.stages.ingest.ingest import ingest
from ppgssl.stages.pretrain import pretrain
from ppgssl.store.tables import COHORT_FILE, FORMAT_FILE, CohortStore, only_writer
from tests.conftest import REPOSITORY, TinyStudy
from tests.selfsupervised.test_loop import TINY
from tests.selfsupervised.test_loop import run as train
from tests.stages.ingest.test_ingest import assert_same_store, content, copy_signal, reasons
from tests.stages.test_pretrain import write_study
from tests.support import oximeter
from tests.support.small_cohorts import clinical_row, describe, make_ward, signal, write_clinical, write_signal

# --- the command line, as a process that can be starved and killed -----------------------------------------------

_SERVER = """
import gc, json, os, resource, signal, sys, threading, time

import ppgssl.stages.ingest.ingest, ppgssl.stages.inspect
from ppgssl.stages.ingest import file_tasks, ingest
from ppgssl.core import cluster
from ppgssl.cli.app import main

gc.freeze()  # or each process would copy and release all that was imported
for line in sys.stdin:
    job = json.loads(line)
    child = os.fork()
    if not child:
        os.setsid()
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        for number, path in ((1, job["out"]), (2, job["err"])):
            os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
        break
    status, usage = os.wait4(child, 0)[1:]
    print(json.dumps([os.waitstatus_to_exitcode(status), usage.ru_maxrss / 1000]), flush=True)
else:
    sys.exit()

def die(after_s):
    time.sleep(after_s)
    os.killpg(0, signal.SIGKILL)

if job["kill_after_s"] is not None:
    threading.Thread(target=die, args=(job["kill_after_s"],), daemon=True).start()
if job["most_bytes"] is not None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (job["most_bytes"],) * 2)
exec(job["before"])
sys.argv = ["ppgssl", *job["arguments"]]
main()
"""


@dataclass(frozen=True)
class Done:
    """What a command said, how it ended, and the most memory that its main process had."""

    code: int
    stdout: str
    stderr: str
    peak_mb: float

    @property
    def summary(self) -> dict[str, Any]:
        assert self.code == 0, self.stderr
        found: dict[str, Any] = json.loads(self.stdout)
        return found

    @property
    def error(self) -> str:
        """The one message of a command that failed: no traceback, and nothing of a panic without its reason."""
        assert self.code in (1, 2), (self.code, self.stderr)
        assert "Traceback" not in self.stderr
        assert (
            "panicked" not in self.stderr
            or "If a line above reports that a thread panicked: this is why" in self.stderr
        )
        message = self.stderr[self.stderr.index("error: ") :]
        assert message.count("error: ") == 1
        return message


class CommandLine:
    def __init__(self, folder: Path) -> None:
        self.said = folder / "stdout", folder / "stderr"
        environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
        self.process = subprocess.Popen(
            [sys.executable, "-c", _SERVER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=REPOSITORY,
            env=environment,
        )

    def __call__(
        self, *arguments: object, before: str = "", kill_after_s: float | None = None, most_bytes: int | None = None
    ) -> Done:
        """Run a command; ``before`` is a program that its process runs first."""
        job = {
            "arguments": [*map(str, arguments)],
            "before": before,
            "kill_after_s": kill_after_s,
            "most_bytes": most_bytes,
            "out": str(self.said[0]),
            "err": str(self.said[1]),
        }
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        print(json.dumps(job), file=self.process.stdin, flush=True)
        code, peak_mb = json.loads(self.process.stdout.readline())
        stdout, stderr = (path.read_text() for path in self.said)
        return Done(code, stdout, stderr, peak_mb)

    def ingest(self, cohort_file: Path, store: Path, *, jobs: int = 1, **how: Any) -> Done:
        return self("ingest", cohort_file, "--out", store, "--jobs", jobs, "--json", **how)


@pytest.fixture(scope="module")
def ppgssl(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CommandLine]:
    server = CommandLine(tmp_path_factory.mktemp("said"))
    yield server
    server.process.stdin.close()  # type: ignore[union-attr]
    server.process.stdout.close()  # type: ignore[union-attr]
    server.process.wait(60)


def write_ward(folder: Path, n_patients: int, seconds: float) -> Path:
    """A cohort with one of each kind of file that is treated in its own way: empty, joined, copied, long."""
    for number in range(1, n_patients + 1):
        write_signal(folder, f"p{number}_1", signal(number, seconds * (2 if number == 7 else 1)))
    (folder / "signals" / "p9_1.csv").write_text("")
    copy_signal(folder, "p1_1", "p1_2")
    write_clinical(folder, [clinical_row(number) for number in range(1, n_patients + 1)])
    return describe(folder)


@pytest.fixture(scope="module")
def ward(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``cohort.yaml``, and the store ``whole`` of an uninterrupted ingest."""
    folder = tmp_path_factory.mktemp("ward")
    ingest(write_ward(folder, 16, 12.0), folder / "whole", n_jobs=1)
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


@dataclass
class Kills:
    """Kills an ingest again and again at random moments, and starts anew when one comes to its end."""

    ppgssl: CommandLine
    cohort_file: Path
    whole: Path
    folder: Path
    before: str = SMALL_COMMITS
    jobs: int = 1

    def run(self, n_kills: int, moments_s: Callable[[], float]) -> list[int]:
        """The numbers of recordings that were found in the store after each kill."""
        held: list[int] = []
        stores = (self.folder / f"store{number}" for number in itertools.count())
        store = next(stores)
        while len(held) < n_kills:
            done = self.ingest(store, kill_after_s=moments_s())
            if done.code == 0:  # it was faster
                assert_same_store(store, self.whole)
                store = next(stores)
                continue
            assert done.code == -signals.SIGKILL, done.stderr
            held.append(assert_opens(store))
        assert self.ingest(store).code == 0
        assert_same_store(store, self.whole)
        return held

    def ingest(self, store: Path, **how: Any) -> Done:
        return self.ppgssl.ingest(self.cohort_file, store, before=self.before, jobs=self.jobs, **how)


def test_kill_at_any_moment_leaves_a_store_that_opens_and_that_a_rerun_completes(ppgssl, ward, tmp_path):
    kills = Kills(ppgssl, ward / "cohort.yaml", ward / "whole", tmp_path)
    started = time.monotonic()
    assert kills.ingest(tmp_path / "timed").code == 0
    whole_s = time.monotonic() - started
    rng = random.Random(1)
    held = kills.run(3, lambda: rng.uniform(0, 0.6 * whole_s))
    assert len(held) == 3


@pytest.mark.slow
def test_kill_while_processes_side_by_side_read(ppgssl, ward, tmp_path):
    # They are killed too; the moment counts from the first result that they hand over.
    before = (
        SMALL_COMMITS
        + """
rows = ingest._rows
def rows_until_killed(*arguments):
    for number, item in enumerate(rows(*arguments)):
        if number == KILL_AT:
            threading.Thread(target=die, args=(KILL_AFTER_S,), daemon=True).start()
        yield item
ingest._rows = rows_until_killed
"""
    )
    rng = random.Random(2)
    store = tmp_path / "store"
    for _ in range(2):
        moment = f"KILL_AT, KILL_AFTER_S = {rng.randrange(4)}, {rng.uniform(0, 0.1)};"
        done = ppgssl.ingest(ward / "cohort.yaml", store, jobs=2, before=moment + before)
        assert done.code == -signals.SIGKILL
        assert_opens(store)
    assert json.loads(ppgssl("inspect", store, "--json").stdout)["recordings"] == assert_opens(store)
    assert ppgssl.ingest(ward / "cohort.yaml", store).code == 0
    assert_same_store(store, ward / "whole")


# A recording of more than a minute is long, a task reads a part, and each is a commit.
SMALL_PARTS = "file_tasks.PART_S = 60.0; file_tasks.TASK_SAMPLES = 10_000; ingest._COMMIT_BYTES = 1;"


@pytest.fixture(scope="module")
def long_ward(tmp_path_factory: pytest.TempPathFactory, ppgssl: CommandLine) -> Path:
    """A recording in eight parts and a short one, neither with a file of device trends; and ``whole``."""
    folder = tmp_path_factory.mktemp("long")
    oximeter.write_binary(folder / "signals", "1", seed=1, seconds=480)
    oximeter.write_binary(folder / "signals", "2", seed=2, seconds=30)
    for number in (1, 2):
        (folder / "signals" / f"{number}_spo2trends.csv").unlink()
    cohort_file = oximeter.describe(folder, "oximeter_binary")
    assert ppgssl.ingest(cohort_file, folder / "whole", before=SMALL_PARTS).summary["recordings"] == 9
    return folder


def test_kill_between_the_parts_of_a_long_recording(ppgssl, long_ward, tmp_path):
    kills = Kills(ppgssl, long_ward / "cohort.yaml", long_ward / "whole", tmp_path, before=SMALL_PARTS)
    started = time.monotonic()
    assert kills.ingest(tmp_path / "timed").code == 0
    whole_s = time.monotonic() - started
    rng = random.Random(3)
    # As often as it takes to meet a store that holds some of the parts.
    rounds = (kills.run(2, lambda: rng.uniform(0.2, 1.0) * whole_s) for _ in range(10))
    assert any(n not in (0, 9) for held in rounds for n in held)


def test_a_store_that_was_killed_while_it_was_made_is_made_again(ppgssl, ward, tmp_path):
    for names in ([FORMAT_FILE], [FORMAT_FILE, f".{COHORT_FILE}.123"], [FORMAT_FILE, COHORT_FILE]):
        store = tmp_path / f"with {len(names)} {names[-1]}"
        store.mkdir()
        for name in names:
            if (ward / "whole" / name).is_file():
                shutil.copy(ward / "whole" / name, store)
            else:
                (store / name).write_text("name: wa")
        assert ppgssl.ingest(ward / "cohort.yaml", store).code == 0
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
def test_a_write_that_fails_is_told_and_a_rerun_completes_the_store(ppgssl, ward, tmp_path, most_bytes, what):
    store = tmp_path / "store"
    done = ppgssl.ingest(ward / "cohort.yaml", store, before=SMALL_COMMITS, most_bytes=most_bytes)
    assert done.code == 1
    assert f"error: cannot write {what}" in done.error
    assert "File too large" in done.error
    assert "Is there room on the disk" in done.error
    assert "Failed to parse parquet" not in done.error
    assert_opens(store)
    assert ppgssl.ingest(ward / "cohort.yaml", store).code == 0
    assert_same_store(store, ward / "whole")


def test_the_record_of_a_run_is_whole_or_absent(ppgssl, ward, tmp_path):
    store = tmp_path / "store"
    shutil.copytree(ward / "whole", store)
    (store / RUN_FILE).unlink()
    done = ppgssl.ingest(ward / "cohort.yaml", store, most_bytes=2_000)  # of all files, only run.json is longer
    assert done.code == 1
    assert "with room on the disk" in done.error
    assert not (store / RUN_FILE).exists()
    assert ppgssl.ingest(ward / "cohort.yaml", store).summary["files_read_now"] == 0
    assert json.loads((store / RUN_FILE).read_text())["stage"] == "ingest"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Callable[[int], Path]]:
    """``small_disk(kb)``: a disk with room for so much; called again, the same disk has room for so much instead."""
    place = tmp_path / "disk"

    def resize(kb: int) -> Path:
        is_new = not place.exists()
        place.mkdir(exist_ok=True)
        options = f"size={kb}k" if is_new else f"remount,size={kb}k"
        command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(place)]
        if subprocess.run(command, capture_output=True, check=False).returncode:
            pytest.skip("no permission to mount a small disk")
        return place

    yield resize
    subprocess.run(["umount", str(place)], capture_output=True, check=False)


@pytest.mark.parametrize("kb", [4, 8, 100])
def test_a_full_disk_is_told_and_with_room_a_rerun_completes_the_store(ppgssl, ward, small_disk, kb):
    store = small_disk(kb) / "store"
    for _ in range(2):  # the second time, there is no room from the start
        done = ppgssl.ingest(ward / "cohort.yaml", store, before=SMALL_COMMITS)
        assert done.code == 1
        assert "error: cannot write" in done.error
        assert "No space left on device" in done.error
        n_held = assert_opens(store)
    assert (n_held > 0) == (kb >= 60)
    small_disk(20_000)
    assert ppgssl.ingest(ward / "cohort.yaml", store).code == 0
    assert_same_store(store, ward / "whole")


# --- damaged and hostile files -----------------------------------------------------------------------------------


FS_HZ = 50
N_SAMPLES = 20 * FS_HZ


def pulse(seed: int) -> FloatArray:
    return signal(seed, N_SAMPLES / FS_HZ)[0]


def cut(path: Path, n_bytes: int) -> None:
    """Take the last bytes away."""
    os.truncate(path, path.stat().st_size - n_bytes)


def write_wfdb(folder: Path, name: str, seed: int = 0, *, n_samples: int = N_SAMPLES, file: str = "") -> None:
    """A record of one 16-bit signal, whose header promises ``n_samples`` and says that they lie in ``file``."""
    np.round(100 * pulse(seed)).astype("<i2").tofile(folder / f"{name}.dat")
    header = f"{name} 1 {FS_HZ} {n_samples}\n{file or f'{name}.dat'} 16 100/NU 16 0 0 0 0 pleth\n"
    (folder / f"{name}.hea").write_text(header)


def bad_wfdb(folder: Path) -> None:
    write_wfdb(folder, "cut")
    cut(folder / "cut.dat", 100)
    write_wfdb(folder, "liar", n_samples=N_SAMPLES + 1)
    write_wfdb(folder, "boaster", n_samples=10**14)
    outside = folder.parent / "outside"
    outside.mkdir()
    write_wfdb(outside, "secret")
    write_wfdb(folder, "upward", file="../outside/secret.dat")
    write_wfdb(folder, "absolute", file=str(outside / "secret.dat"))
    write_wfdb(folder, "linked")
    (folder / "linked.dat").unlink()
    (folder / "linked.dat").symlink_to(outside / "secret.dat")
    write_wfdb(folder, "lonely", file="gone.dat")


def write_edf(folder: Path, name: str, seed: int = 0) -> Path:
    path = folder / f"{name}.edf"
    edfio.Edf([edfio.EdfSignal(pulse(seed), FS_HZ, label="pleth")]).write(path)
    return path


def bad_edf(folder: Path) -> None:
    cut(write_edf(folder, "cut"), 100)
    for name, n_records in (("liar", 21), ("modest", 3), ("boaster", 99_999_999)):
        with write_edf(folder, name).open("r+b") as file:
            file.seek(236)
            file.write(str(n_records).ljust(8).encode())


def write_npy(folder: Path, name: str, seed: int = 0) -> Path:
    path = folder / f"{name}.npy"
    np.save(path, pulse(seed))
    return path


def bad_npy(folder: Path) -> None:
    cut(write_npy(folder, "cut"), 100)
    path = write_npy(folder, "liar")
    path.write_bytes(path.read_bytes().replace(b"(1000,)", b"(9000,)"))
    np.save(folder / "object.npy", np.array([{"run": "a program"}], dtype=object), allow_pickle=True)


def write_npz(folder: Path, name: str, seed: int = 0) -> Path:
    path = folder / f"{name}.npz"
    np.savez_compressed(path, array=pulse(seed))
    return path


def sparse(path: Path, n_bytes: int, head: bytes = b"") -> None:
    """A file of zeros after its first bytes, which has no place on the disk."""
    path.write_bytes(head)
    os.truncate(path, n_bytes)


def bad_npz(folder: Path) -> None:
    cut(write_npz(folder, "cut"), 100)
    sparse(folder / "huge.npz", 400_000_000, b"PK\3\4")
    np.savez_compressed(folder / "bomb.npz", array=np.zeros(40_000_000))  # 0.3 GB once unpacked


def write_mat(folder: Path, name: str, seed: int = 0) -> Path:
    path = folder / f"{name}.mat"
    scipy.io.savemat(path, {"array": pulse(seed)}, do_compression=True)
    return path


def write_mat73(folder: Path, name: str, seed: int = 0) -> Path:
    path = folder / f"{name}.mat"
    with h5py.File(path, "w", userblock_size=512) as file:
        file["array"] = pulse(seed)
    with path.open("r+b") as head:
        head.write(b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM")
    return path


def bad_mat(folder: Path) -> None:
    cut(write_mat(folder, "cut"), 100)
    cut(write_mat73(folder, "cut73"), 100)
    sparse(folder / "huge.mat", 400_000_000, write_mat(folder, "huge").read_bytes()[:128])


def write_binary(folder: Path, name: str, seed: int = 0) -> Path:
    path = folder / f"{name}.bin"
    pulse(seed).astype("<f4").tofile(path)
    return path


def bad_binary(folder: Path) -> None:
    cut(write_binary(folder, "cut"), 1)
    (folder / "infinite.bin").write_bytes(np.array([1, np.inf], dtype="<f4").tobytes())
    (folder / "folder.bin").mkdir()


def write_parquet(folder: Path, name: str, seed: int = 0) -> Path:
    path = folder / f"{name}.parquet"
    pd.DataFrame({"array": pulse(seed)}).to_parquet(path)
    return path


def bad_parquet(folder: Path) -> None:
    cut(write_parquet(folder, "cut"), 100)
    sparse(folder / "huge.parquet", 20_000_000, b"PAR1")


def write_text(folder: Path, name: str, seed: int = 0) -> Path:
    path = folder / f"{name}.csv"
    np.savetxt(path, pulse(seed), fmt="%.4f", header="array", comments="")
    return path


def bad_text(folder: Path) -> None:
    with write_text(folder, "cut").open("a") as file:
        file.write("0.5,\n0.")
    sparse(folder / "late.csv", 20_100_000, b"array\n" + b"0.5\n" * 5_000_000)


FORMATS: dict[str, tuple[Callable[[Path, str, int], object], Callable[[Path], None], dict[str, Any]]] = {
    "wfdb": (write_wfdb, bad_wfdb, {"files": "{patient}.hea", "reader": "wfdb", "column": "pleth", "fs_hz": None}),
    "edf": (write_edf, bad_edf, {"files": "{patient}.edf", "reader": "edf", "column": "pleth", "fs_hz": None}),
    "npy": (write_npy, bad_npy, {"files": "{patient}.npy", "reader": "arrays", "column": 0}),
    "npz": (write_npz, bad_npz, {"files": "{patient}.npz", "reader": "arrays", "column": 0}),
    "mat": (write_mat, bad_mat, {"files": "{patient}.mat", "reader": "arrays", "column": "array"}),
    "binary": (write_binary, bad_binary, {"files": "{patient}.bin", "reader": "binary", "column": 0}),
    "parquet": (write_parquet, bad_parquet, {"files": "{patient}.parquet", "reader": "parquet", "column": "array"}),
    "text": (write_text, bad_text, {"files": "{patient}.csv", "reader": "delimited", "column": "array"}),
}


def describe_files(folder: Path, files: str, reader: str, column: str | int, fs_hz: float | None = FS_HZ) -> Path:
    description = {
        "name": "ward",
        "root": "raw",
        "signals": {"files": files, "reader": reader, "fs_hz": fs_hz, "channels": {"ppg": {"column": column}}},
        "segments": {"segment_s": 4.0, "step_s": 2.0},
    }
    path = folder / "cohort.yaml"
    path.write_text(yaml.safe_dump(description))
    return path


@pytest.mark.parametrize("name", FORMATS)
def test_bad_files_are_a_line_each_and_cost_no_other_file(ppgssl, tmp_path, name):
    write_good, write_bad, description = FORMATS[name]
    raw = tmp_path / "raw"
    raw.mkdir()
    write_bad(raw)
    suffix = description["files"].removeprefix("{patient}")
    bad = {path.name for path in raw.glob(f"*{suffix}") if not path.is_dir()}
    for number in (1, 2):
        write_good(raw, f"good{number}", number)
    cohort_file = describe_files(tmp_path, **description)
    done = ppgssl.ingest(cohort_file, tmp_path / "store")
    assert done.summary["recordings"] == 2
    store = CohortStore(tmp_path / "store")
    assert store.recordings(["recording_id"])["recording_id"].tolist() == ["good1", "good2"]
    rejects = store.rejects()
    assert dict.fromkeys(sorted(bad), Reason.FILE_UNREADABLE) == reasons(rejects)
    assert len(rejects) == len(bad)
    assert rejects["detail"].str.len().max() < 600
    assert not rejects["detail"].str.contains("\n").any()
    assert done.peak_mb < 600
    assert ppgssl.ingest(cohort_file, tmp_path / "store").summary["files_read_now"] == 0


def test_two_gigabytes_that_are_called_text_are_refused_and_cost_no_memory(ppgssl, tmp_path):
    raw = tmp_path / "raw"
    raw.mkdir()
    sparse(raw / "huge.csv", 2_000_000_000)
    write_text(raw, "good", 1)
    done = ppgssl.ingest(describe_files(tmp_path, **FORMATS["text"][2]), tmp_path / "store")
    assert done.summary["rejects"] == {"file-unreadable": 1}
    assert done.summary["recordings"] == 1
    assert "binary data" in CohortStore(tmp_path / "store").rejects()["detail"].iloc[0]
    assert done.peak_mb < 400


def test_long_text_is_read_in_intervals(ppgssl, tmp_path):
    # Columns that nobody asks for make the text long, and not the recording.
    raw = tmp_path / "raw"
    raw.mkdir()
    rows = [f"{value:.4f}" + ",0.123456789" * 80 for value in pulse(1)]
    write_text(raw, "short", 2)
    peaks_mb = []
    for n_repeats in (1, 42):
        header = "array" + "".join(f",unused{number}" for number in range(80))
        (raw / "long.csv").write_text("\n".join([header, *rows * n_repeats]))
        store = tmp_path / f"store{n_repeats}"
        before = "file_tasks.PART_S = 60.0; file_tasks.TASK_SAMPLES = 3_000;"
        done = ppgssl.ingest(describe_files(tmp_path, **FORMATS["text"][2]), store, before=before)
        assert done.summary["recordings"] == (2 if n_repeats == 1 else 15)
        peaks_mb.append(done.peak_mb)
    assert (raw / "long.csv").stat().st_size > 40_000_000
    assert peaks_mb[1] < peaks_mb[0] + 40  # less than the text


# What happens to the file of patient p2 between the moment when the files are listed and the one when it is read.
AFTER_LISTING = """
found = ingest.find_files
def find_files(*arguments):
    listed = found(*arguments)
    for source in listed[0]:
        if source.patient_id == "p2":
            {do}
    return listed
ingest.find_files = find_files
"""


@pytest.mark.parametrize(
    ("do", "words"),
    [
        ("source.path.unlink()", "there is no such file (any more)"),
        ("source.path.unlink(); source.path.mkdir()", "found a folder"),
        ("source.path.write_text('red,ir')", "no samples below the header line"),
    ],
)
def test_a_file_that_changes_between_listing_and_reading(ppgssl, tmp_path, do, words):
    done = ppgssl.ingest(make_ward(tmp_path, 3), tmp_path / "store", before=AFTER_LISTING.format(do=do))
    assert done.summary["recordings"] == 2
    rejects = CohortStore(tmp_path / "store").rejects().query("stage == 'files'")
    assert reasons(rejects) == {"signals/p2_1.csv": Reason.FILE_UNREADABLE}
    assert words in rejects["detail"].iloc[0]
    # It is back.
    shutil.rmtree(tmp_path / "signals")
    cohort_file = make_ward(tmp_path, 3)
    assert ppgssl.ingest(cohort_file, tmp_path / "store").summary["files_read_now"] == 1
    ingest(cohort_file, tmp_path / "fresh", n_jobs=1)
    assert_same_store(tmp_path / "store", tmp_path / "fresh")


# Root may read and write everything, until it gives that up.
AS_ANYBODY = """
import ctypes
header, capabilities = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()
ctypes.CDLL(None).capget(header, capabilities)
capabilities[0] &= ~0b110  # CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH
ctypes.CDLL(None).capset(header, capabilities)
"""


def test_a_file_without_permission(ppgssl, tmp_path):
    cohort_file = make_ward(tmp_path, 3)
    (tmp_path / "signals" / "p2_1.csv").chmod(0)
    assert ppgssl.ingest(cohort_file, tmp_path / "store", before=AS_ANYBODY).summary["recordings"] == 2
    rejects = CohortStore(tmp_path / "store").rejects().query("stage == 'files'")
    assert reasons(rejects) == {"signals/p2_1.csv": Reason.FILE_UNREADABLE}
    assert "no permission to read this file" in rejects["detail"].iloc[0]


def test_a_long_file_that_is_cut_while_it_is_read_leaves_one_line_and_no_part(ppgssl, tmp_path):
    for number, seconds in ((1, 480), (2, 30)):
        oximeter.write_binary(tmp_path / "signals", f"{number}", seed=number, seconds=seconds)
    cohort_file = oximeter.describe(tmp_path, "oximeter_binary")
    cut_it = """
do_task, n_done = ingest.do_task, 0
def cut_then_do(task):
    global n_done
    n_done += task.long is not None
    if n_done == 4:
        os.truncate(task.long.source.path, 40_000)
    return do_task(task)
ingest.do_task = cut_then_do
binary = sys.modules["ppgssl.readers.binary"]
binary._SHORT_BYTES = 0
"""
    done = ppgssl.ingest(cohort_file, tmp_path / "store", before=SMALL_PARTS + cut_it)
    assert done.summary["recordings"] == 1
    rejects = CohortStore(tmp_path / "store").rejects()
    assert reasons(rejects) == {"signals/1_spo2red.ts": Reason.FILE_UNREADABLE}
    assert len(rejects) == 1
    assert set(content(tmp_path / "store")[1]["recording_id"]) == {"2"}


def test_a_bad_part_of_a_long_recording_leaves_one_line_and_no_part(ppgssl, tmp_path):
    for number, seconds in ((1, 480), (2, 30)):
        oximeter.write_binary(tmp_path / "signals", f"{number}", seed=number, seconds=seconds)
    cohort_file = oximeter.describe(tmp_path, "oximeter_binary")
    for second in (200, 300):
        with (tmp_path / "signals" / "1_spo2red.ts").open("r+b") as file:
            file.seek(4 * 80 * second)
            file.write(np.array(np.inf, dtype="<f4").tobytes())
    before = SMALL_PARTS + "sys.modules['ppgssl.readers.binary']._SHORT_BYTES = 0"
    store = tmp_path / "store"
    assert ppgssl.ingest(cohort_file, store, before=before).summary["recordings"] == 1
    rejects = CohortStore(store).rejects()
    assert reasons(rejects) == {"signals/1_spo2red.ts": Reason.FILE_UNREADABLE}
    assert len(rejects) == 1
    assert set(content(store)[1]["recording_id"]) == {"2"}
    assert ppgssl.ingest(cohort_file, store, before=before).summary["files_read_now"] == 0


@pytest.mark.parametrize(
    "changes",
    [
        {"signals__files": "/etc/{patient}"},
        {"signals__files": "../{patient}_{recording}.csv"},
        {"signals__files": "signals/../../{patient}.csv"},
        {"signals__files": "~/{patient}.csv"},
        {"signals__channels__ppg_ir__file": "../{patient}_ir.csv"},
        {"signals__channels__ppg_ir__file": "/etc/{patient}"},
        {"signals__trends": {"file": "../{patient}.csv", "columns": {"sqi": "SQI"}}},
    ],
)
def test_a_pattern_that_leaves_the_folder_is_refused(ppgssl, tmp_path, changes):
    make_ward(tmp_path, 1)
    done = ppgssl.ingest(describe(tmp_path, **changes), tmp_path / "store")
    assert done.code == 2
    assert "must be a path under `root`, without a leading / and without .." in done.error
    assert not (tmp_path / "store").exists()


def test_links_out_of_the_folder_are_a_line_each_and_are_not_read(ppgssl, tmp_path):
    inside, outside = tmp_path / "inside", tmp_path / "outside"
    inside.mkdir()
    outside.mkdir()
    make_ward(outside, 9)
    cohort_file = make_ward(inside, 2)
    (inside / "signals" / "p8_1.csv").symlink_to(outside / "signals" / "p8_1.csv")
    (inside / "signals" / "p9_1.csv").symlink_to("../../outside/signals/p9_1.csv")
    (inside / "signals" / "circle_1.csv").symlink_to("circle_1.csv")
    done = ppgssl.ingest(cohort_file, tmp_path / "store")
    assert done.summary["recordings"] == 2
    rejects = CohortStore(tmp_path / "store").rejects().query("unit == 'file'")
    assert reasons(rejects) == {
        "signals/circle_1.csv": Reason.FILE_UNREADABLE,
        "signals/p8_1.csv": Reason.OUTSIDE_ROOT,
        "signals/p9_1.csv": Reason.OUTSIDE_ROOT,
    }
    shutil.rmtree(inside / "signals")
    (inside / "signals").symlink_to(outside / "signals")
    assert "no file under" in ppgssl.ingest(cohort_file, tmp_path / "other").error


# --- processes that are killed -----------------------------------------------------------------------------------


DEADLY = """
import os, signal
from ppgssl.stages.ingest.file_tasks import do_task
def dies_of_p5(task):
    if any(source.patient_id == "p5" for source in task.sources):
        os.kill(os.getpid(), signal.SIGKILL)
    return do_task(task)
"""


def test_a_file_that_takes_all_memory_is_a_line_and_costs_no_other_file(ppgssl, tmp_path):
    # The system kills the process that asks for more memory than there is, and says nobody for which file that was.
    (tmp_path / "deadly.py").write_text(DEADLY)
    before = f"sys.path.insert(0, {str(tmp_path)!r}); import deadly; ingest.do_task = deadly.dies_of_p5;"
    # Nine files: fewer would be read in the process of the command itself.
    done = ppgssl.ingest(make_ward(tmp_path, 9), tmp_path / "store", jobs=2, before=before)
    assert done.summary["recordings"] == 8
    rejects = CohortStore(tmp_path / "store").rejects().query("stage == 'files'")
    assert reasons(rejects) == {"signals/p5_1.csv": Reason.FILE_UNREADABLE}
    assert "the process that read this file was killed" in rejects["detail"].iloc[0]


def session_of(pid: int) -> list[int]:
    """Processes that the process with this number and its children have started."""
    listed = subprocess.run(["ps", "-o", "pid=", "-s", str(pid)], capture_output=True, text=True, check=False)
    return [int(number) for number in listed.stdout.split()]


def start(ward: Path, store: Path, *arguments: str) -> subprocess.Popen[str]:
    """An ingest that goes on beside the test, and holds still once it has begun to read."""
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


def test_one_process_writes_at_a_time_and_a_killed_one_bars_nobody(ppgssl, ward, tmp_path):
    store = tmp_path / "store"
    process = start(ward, store, "--jobs", "2")
    before = sorted(tmp_path.rglob("*"))
    done = ppgssl.ingest(ward / "cohort.yaml", store)
    assert done.code == 1
    assert f"another process is writing into the store {store}" in done.error
    assert sorted(tmp_path.rglob("*")) == before
    assert assert_opens(store) == 0  # reading is nobody's concern
    assert len(session_of(process.pid)) > 2
    process.kill()
    process.wait(10)
    process.stderr.close()  # type: ignore[union-attr]
    assert ppgssl.ingest(ward / "cohort.yaml", store).code == 0
    assert_same_store(store, ward / "whole")
    # The processes that it started end, too, and give their memory back.
    deadline = time.monotonic() + 20
    while session_of(process.pid) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert session_of(process.pid) == []


class LostFuture:
    def __init__(self, error: Exception) -> None:
        self.error = error

    def result(self) -> int:
        raise self.error


class LostCluster:
    """Stands in for the client of a cluster on which a task kills its worker, or which goes away."""

    scheduler = SimpleNamespace(address="tcp://there:8786")

    def __init__(self, error: Exception) -> None:
        self.error = error

    def nthreads(self) -> dict[str, int]:
        return {"tcp://there:1": 2}

    def map(self, _function: object, tasks: Sequence[object], *, pure: bool) -> list[LostFuture]:
        assert not pure  # or files that changed meanwhile would not be read again
        return [LostFuture(self.error) for _ in tasks]


def test_what_kills_the_workers_of_a_cluster_is_tried_here():
    pool = Workers(-1, LostCluster(KilledWorker("abs", None, 3)))
    assert list(pool.run(abs, [-1, -2, -3])) == [1, 2, 3]


@pytest.mark.parametrize("error", [FutureCancelledError("abs", "scheduler-connection-lost"), CommClosedError()])
def test_a_cluster_that_goes_away_is_told(error):
    with pytest.raises(PpgsslError, match="connection to the Dask cluster was lost") as caught:
        list(Workers(-1, LostCluster(error)).run(abs, [-1, -2, -3]))
    assert caught.value.exit_code == 1


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


# --- wrong usage and places --------------------------------------------------------------------------------------


def wrong_description(folder: Path, kind: str) -> Path:
    cohort_file = make_ward(folder, 1)
    if kind == "folder":
        cohort_file.unlink()
        cohort_file.mkdir()
    elif kind == "binary":
        cohort_file.write_bytes(bytes(range(256)))
    elif kind == "missing":
        cohort_file.unlink()
    elif kind == "no files":
        shutil.rmtree(folder / "signals")
    else:
        cohort_file.write_text("- a\n- b\n")
    return cohort_file


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("folder", "Is a directory"),
        ("binary", "cannot read"),
        ("missing", "there is no file"),
        ("no files", "no file under"),
        ("list", "must be a mapping"),
    ],
)
def test_a_wrong_description_is_exit_code_2(ppgssl, tmp_path, kind, words):
    done = ppgssl.ingest(wrong_description(tmp_path, kind), tmp_path / "store")
    assert done.code == 2
    assert words in done.error
    assert len(done.error) < 1000
    assert not (tmp_path / "store").exists()


def test_a_store_that_is_a_file_or_somebody_elses_folder_is_left_alone(ppgssl, tmp_path):
    cohort_file = make_ward(tmp_path, 1)
    done = ppgssl.ingest(cohort_file, cohort_file)
    assert (done.code, "Not a directory" in done.error) == (1, True)
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs" / "thesis.txt").touch()
    done = ppgssl.ingest(cohort_file, tmp_path / "theirs")
    assert (done.code, "holds other files and no store" in done.error) == (1, True)
    assert [path.name for path in (tmp_path / "theirs").iterdir()] == ["thesis.txt"]


def test_a_store_where_one_may_not_write(ppgssl, tmp_path):
    cohort_file = make_ward(tmp_path, 1)
    (tmp_path / "closed").mkdir(mode=0o555)
    done = ppgssl.ingest(cohort_file, tmp_path / "closed" / "store", before=AS_ANYBODY)
    assert (done.code, "Permission denied" in done.error) == (1, True)
    assert str(tmp_path / "closed" / "store") in done.error
    ingest(cohort_file, tmp_path / "store", n_jobs=1)
    for path in (tmp_path / "store", *(tmp_path / "store").rglob("*")):
        path.chmod(0o555 if path.is_dir() else 0o444)
    done = ppgssl.ingest(cohort_file, tmp_path / "store", before=AS_ANYBODY)
    assert (done.code, "Permission denied" in done.error) == (1, True)


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:1", "nonsense", "http://127.0.0.1:1"])
def test_a_scheduler_that_does_not_answer_is_exit_code_2(ppgssl, tmp_path, address):
    cohort_file = make_ward(tmp_path, 1)
    before = "cluster._CONNECT_S = 0.3"
    done = ppgssl("ingest", cohort_file, "--out", tmp_path / "store", "--scheduler", address, before=before)
    assert done.code == 2
    assert f"--scheduler {address}: no Dask cluster with workers answers there" in done.error


def test_a_damaged_store_is_told_and_not_a_traceback(ppgssl, ward, tmp_path):
    for table in ("recordings", "segments"):
        store = tmp_path / table
        shutil.copytree(ward / "whole", store)
        for data in (store / table).glob("*.parquet"):
            cut(data, 100)
        for done in (ppgssl.ingest(ward / "cohort.yaml", store), ppgssl("inspect", store)):
            assert done.code == 1
            assert f"error: cannot read the table '{table}' of the store" in done.error


# --- pretraining -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def pretrained(tiny_study: TinyStudy, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the one encoder of the tiny study, which nobody interrupted."""
    folder = tmp_path_factory.mktemp("pretrained")
    pretrain(tiny_study.data(**ONE_ENCODER), folder, n_jobs=1)
    return folder / ENCODER


ONE_ENCODER: dict[str, Any] = {
    "arms": ["ssl-all"],
    "pretraining__exposure": "disjoint",
    "pretraining__objective": "masked-autoencoder",  # six patients hold out too few for pairs
}
ENCODER = Path("encoders") / "ssl-all" / "disjoint"


def assert_same_encoder(folder: Path, other: Path) -> None:
    ours, theirs = (load_file(place / "encoder.safetensors") for place in (folder, other))
    assert ours.keys() == theirs.keys()
    assert all(np.array_equal(ours[name], theirs[name]) for name in ours)
    assert not list(folder.glob(".*"))
    assert not (folder / CHECKPOINT_FILE).exists()


def run_pretrain(ppgssl: CommandLine, tiny_study: TinyStudy, folder: Path, **how: Any) -> Done:
    if not (folder / "study.yaml").is_file():
        write_study(tiny_study, folder, **ONE_ENCODER)
    return ppgssl("pretrain", folder / "study.yaml", "--jobs", 1, "--json", **how)


def test_a_pretraining_that_is_killed_while_it_saves_keeps_the_checkpoint_before(
    ppgssl, tiny_study, pretrained, tmp_path
):
    # It is saved before the first step, after 4 and after 8.
    kill_it = """
fsync, n_saved = os.fsync, 0
def killed_at_the_second(descriptor):
    global n_saved
    n_saved += 1
    if n_saved == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    fsync(descriptor)
os.fsync = killed_at_the_second
"""
    done = run_pretrain(ppgssl, tiny_study, tmp_path, before=kill_it)
    assert done.code == -signals.SIGKILL
    folder = tmp_path / "run" / ENCODER
    assert [path.suffix for path in folder.glob(".*")] != []  # half a checkpoint
    assert torch.load(folder / CHECKPOINT_FILE, weights_only=True)["counters"]["step"] == 0
    assert run_pretrain(ppgssl, tiny_study, tmp_path).summary["encoders"] == 1
    assert_same_encoder(folder, pretrained)


def test_a_pretraining_without_room_for_a_checkpoint_says_so_and_goes_on_later(
    ppgssl, tiny_study, pretrained, tmp_path
):
    done = run_pretrain(ppgssl, tiny_study, tmp_path, most_bytes=20_000)
    assert done.code == 1
    assert "cannot write the checkpoint" in done.error
    assert "File too large" in done.error
    assert "run the same command again to go on" in done.error
    folder = tmp_path / "run" / ENCODER
    assert list(folder.iterdir()) == []
    assert run_pretrain(ppgssl, tiny_study, tmp_path).summary["encoders"] == 1
    assert_same_encoder(folder, pretrained)


def test_on_a_disk_that_fills_up_the_last_checkpoint_stays_and_with_room_the_run_ends_the_same(small_disk, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "sized", settings=TINY, progress=interrupt)
    size_kb = (tmp_path / "sized" / CHECKPOINT_FILE).stat().st_size // 1000 + 1
    folder = small_disk(size_kb + size_kb // 2) / "run"  # one fits, and not the next one beside it
    for _ in range(2):
        with pytest.raises(TrainingError, match=r"cannot write the checkpoint .*No space left on device.*is kept"):
            train(folder, settings=TINY)
        assert [path.name for path in folder.iterdir()] == [CHECKPOINT_FILE]
        assert torch.load(folder / CHECKPOINT_FILE, weights_only=True)["counters"]["step"] == 0
    small_disk(20 * size_kb)
    resumed, whole = train(folder, settings=TINY), train(tmp_path / "whole", settings=TINY)
    assert resumed.history == whole.history
    assert_same_encoder(folder, tmp_path / "whole")


def test_on_a_disk_without_room_for_the_encoder_the_last_checkpoint_stays(small_disk, tmp_path):
    result = train(tmp_path / "whole", settings=TINY)
    folder = small_disk(12) / "run"
    folder.mkdir()
    (folder / CHECKPOINT_FILE).write_bytes(b"the last one")
    with pytest.raises(TrainingError, match=r"cannot write the encoder .*The checkpoint of the last step is kept"):
        save_result(folder, "made of", result)
    assert [path.name for path in folder.iterdir()] == [CHECKPOINT_FILE]


def interrupt(_standing: object) -> None:
    raise KeyboardInterrupt


@pytest.mark.slow
def test_ctrl_c_reaches_all_processes_that_train_together_and_they_end_with_a_checkpoint(tiny_study, tmp_path):
    study = write_study(tiny_study, tmp_path, **ONE_ENCODER, pretraining__n_steps=100_000)
    command = [sys.executable, "-c", "from ppgssl.cli.app import main; main()", "pretrain", str(study)]
    process = subprocess.Popen(
        [*command, "--devices", "2"], stderr=subprocess.PIPE, text=True, start_new_session=True, cwd=REPOSITORY
    )
    checkpoint = tmp_path / "run" / ENCODER / CHECKPOINT_FILE
    wait_for(checkpoint.is_file)
    assert len(session_of(process.pid)) >= 3
    os.killpg(process.pid, signals.SIGINT)  # as a terminal does
    _, said = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "interrupted: what was finished is kept; run the same command again to go on" in said
    assert "Traceback" not in said
    assert torch.load(checkpoint, weights_only=True)["counters"]["step"] > 0
    wait_for(lambda: session_of(process.pid) == [])


@pytest.mark.slow
def test_processes_that_train_together_end_when_the_first_is_killed(tiny_study, tmp_path):
    study = write_study(tiny_study, tmp_path, **ONE_ENCODER, pretraining__n_steps=100_000)
    command = [sys.executable, "-c", "from ppgssl.cli.app import main; main()", "pretrain", str(study)]
    process = subprocess.Popen([*command, "--devices", "2"], start_new_session=True, cwd=REPOSITORY)
    wait_for((tmp_path / "run" / ENCODER / CHECKPOINT_FILE).is_file)
    process.kill()
    process.wait(10)
    wait_for(lambda: session_of(process.pid) == [])


def wait_for(is_so: Callable[[], bool], most_s: float = 60.0) -> None:
    deadline = time.monotonic() + most_s
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.1)
