"""Damaged, hostile and unreadable files, wrong descriptions and places: a line each, and no harm to other files."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import edfio
import h5py
import numpy as np
import pandas as pd
import pytest
import scipy.io
import yaml

from ppgssl.core.reasons import Reason
from ppgssl.core.records import FloatArray
from ppgssl.stages.ingest.ingest import ingest
from ppgssl.store.tables import CohortStore
from tests.support import oximeter
from tests.support.same_stores import assert_same_store, content, reasons
from tests.support.small_cohorts import describe, make_ward, signal

FS_HZ = 50
N_SAMPLES = 20 * FS_HZ


def pulse(seed: int) -> FloatArray:
    return signal(seed, N_SAMPLES / FS_HZ)[0]


def cut(path: Path, n_bytes: int) -> None:
    """Take the last bytes away."""
    os.truncate(path, path.stat().st_size - n_bytes)


def write_wfdb(folder: Path, name: str, samples: FloatArray, *, n_samples: int = N_SAMPLES, file: str = "") -> None:
    """A record of one 16-bit signal, whose header promises ``n_samples`` in ``file``."""
    np.round(100 * samples).astype("<i2").tofile(folder / f"{name}.dat")
    header = f"{name} 1 {FS_HZ} {n_samples}\n{file or f'{name}.dat'} 16 100/NU 16 0 0 0 0 pleth\n"
    (folder / f"{name}.hea").write_text(header)


def bad_wfdb(folder: Path) -> None:
    outside, samples = folder.parent / "outside", pulse(0)
    outside.mkdir()
    write_wfdb(outside, "secret", samples)
    write_wfdb(folder, "liar", samples, n_samples=N_SAMPLES + 1)
    write_wfdb(folder, "boaster", samples, n_samples=10**14)
    write_wfdb(folder, "upward", samples, file="../outside/secret.dat")
    write_wfdb(folder, "absolute", samples, file=str(outside / "secret.dat"))
    write_wfdb(folder, "linked", samples)
    (folder / "linked.dat").unlink()
    (folder / "linked.dat").symlink_to(outside / "secret.dat")
    write_wfdb(folder, "lonely", samples, file="gone.dat")


def write_edf(path: Path, samples: FloatArray) -> None:
    edfio.Edf([edfio.EdfSignal(samples, FS_HZ, label="pleth")]).write(path)


def write_mat73(path: Path, samples: FloatArray) -> None:
    with h5py.File(path, "w", userblock_size=512) as file:
        file["array"] = samples
    with path.open("r+b") as head:
        head.write(b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM")


# Reader, column, and how a good file is written; by the ending of the name.
FORMATS: dict[str, tuple[str, str | int, Callable[[Path, FloatArray], object]]] = {
    "hea": ("wfdb", "pleth", lambda path, samples: write_wfdb(path.parent, path.stem, samples)),
    "edf": ("edf", "pleth", write_edf),
    "npy": ("arrays", 0, np.save),
    "npz": ("arrays", 0, lambda path, samples: np.savez_compressed(path, array=samples)),
    "mat": ("arrays", "array", lambda path, samples: scipy.io.savemat(path, {"array": samples}, do_compression=True)),
    "bin": ("binary", 0, lambda path, samples: samples.astype("<f4").tofile(path)),
    "parquet": ("parquet", "array", lambda path, samples: pd.DataFrame({"array": samples}).to_parquet(path)),
    "csv": ("delimited", "array", lambda path, x: np.savetxt(path, x, fmt="%.4f", header="array", comments="")),
}


def write(folder: Path, name: str, seed: int = 0) -> Path:
    """A good file."""
    path = folder / name
    FORMATS[path.suffix[1:]][2](path, pulse(seed))
    return path


def bad_edf(folder: Path) -> None:
    for name, n_records in (("liar", 21), ("modest", 3), ("boaster", 99_999_999)):
        with write(folder, f"{name}.edf").open("r+b") as file:
            file.seek(236)
            file.write(str(n_records).ljust(8).encode())


def bad_npy(folder: Path) -> None:
    path = write(folder, "liar.npy")
    path.write_bytes(path.read_bytes().replace(b"(1000,)", b"(9000,)"))
    np.save(folder / "object.npy", np.array([{"run": "a program"}], dtype=object), allow_pickle=True)


def sparse(path: Path, n_bytes: int, head: bytes = b"") -> None:
    """A file of zeros after its first bytes, which takes no space on the disk."""
    path.write_bytes(head)
    os.truncate(path, n_bytes)


def bad_npz(folder: Path) -> None:
    sparse(folder / "huge.npz", 400_000_000, b"PK\3\4")
    np.savez_compressed(folder / "bomb.npz", array=np.zeros(40_000_000))  # 0.3 GB once unpacked


def bad_mat(folder: Path) -> None:
    write_mat73(folder / "cut73.mat", pulse(0))
    cut(folder / "cut73.mat", 100)
    sparse(folder / "huge.mat", 400_000_000, write(folder, "huge.mat").read_bytes()[:128])


def bad_binary(folder: Path) -> None:
    (folder / "infinite.bin").write_bytes(np.array([1, np.inf], dtype="<f4").tobytes())
    (folder / "folder.bin").mkdir()


def bad_text(folder: Path) -> None:
    sparse(folder / "late.csv", 20_100_000, b"array\n" + b"0.5\n" * 5_000_000)


# Beyond a file that is cut off: what else may be wrong.
BAD: dict[str, Callable[[Path], None]] = {
    "hea": bad_wfdb,
    "edf": bad_edf,
    "npy": bad_npy,
    "npz": bad_npz,
    "mat": bad_mat,
    "bin": bad_binary,
    "parquet": lambda folder: sparse(folder / "huge.parquet", 20_000_000, b"PAR1"),
    "csv": bad_text,
}


def describe_files(folder: Path, suffix: str) -> Path:
    reader, column, _ = FORMATS[suffix]
    signals: dict[str, Any] = {
        "files": f"{{patient}}.{suffix}",
        "reader": reader,
        "channels": {"ppg": {"column": column}},
    }
    signals["fs_hz"] = None if reader in ("wfdb", "edf") else FS_HZ
    segments = {"segment_s": 4.0, "step_s": 2.0}
    path = folder / "cohort.yaml"
    path.write_text(yaml.safe_dump({"name": "ward", "root": "raw", "signals": signals, "segments": segments}))
    return path


@pytest.fixture
def raw(tmp_path) -> Path:
    (tmp_path / "raw").mkdir()
    return tmp_path / "raw"


@pytest.mark.parametrize("suffix", FORMATS)
def test_bad_files_are_a_line_each_and_cost_no_other_file(commands, raw, tmp_path, suffix):
    last = write(raw, f"cut.{suffix}").with_suffix(".dat" if suffix == "hea" else f".{suffix}")
    if suffix == "csv":
        last.write_text(last.read_text() + "0.5,\n0.")
    else:
        cut(last, 1 if suffix == "bin" else 100)
    BAD[suffix](raw)
    bad = {path.name for path in raw.glob(f"*.{suffix}") if not path.is_dir()}
    for number in (1, 2):
        write(raw, f"good{number}.{suffix}", number)
    cohort_file = describe_files(tmp_path, suffix)
    done = commands.ingest(cohort_file, tmp_path / "store")
    assert done.summary["recordings"] == 2
    store = CohortStore(tmp_path / "store")
    assert store.recordings(["recording_id"])["recording_id"].tolist() == ["good1", "good2"]
    rejects = store.rejects()
    assert dict.fromkeys(sorted(bad), Reason.FILE_UNREADABLE) == reasons(rejects)
    assert len(rejects) == len(bad)
    assert rejects["detail"].str.len().max() < 600
    assert not rejects["detail"].str.contains("\n").any()
    assert done.peak_mb < 600
    assert commands.ingest(cohort_file, tmp_path / "store").summary["files_read_now"] == 0


def test_two_gigabytes_that_are_called_text_are_refused_and_cost_no_memory(commands, raw, tmp_path):
    sparse(raw / "huge.csv", 2_000_000_000)
    write(raw, "good.csv", 1)
    done = commands.ingest(describe_files(tmp_path, "csv"), tmp_path / "store")
    assert done.summary["rejects"] == {"file-unreadable": 1}
    assert done.summary["recordings"] == 1
    assert "binary data" in CohortStore(tmp_path / "store").rejects()["detail"].iloc[0]
    assert done.peak_mb < 400


def test_long_text_is_read_in_intervals(commands, raw, tmp_path):
    # Columns that nobody asks for make the text long, and not the recording.
    rows = [f"{value:.4f}" + ",0.123456789" * 80 for value in pulse(1)]
    write(raw, "short.csv", 2)
    peaks_mb = []
    for n_repeats in (1, 42):
        header = "array" + "".join(f",unused{number}" for number in range(80))
        (raw / "long.csv").write_text("\n".join([header, *rows * n_repeats]))
        store = tmp_path / f"store{n_repeats}"
        before = "file_tasks.PART_S = 60.0; file_tasks.TASK_SAMPLES = 3_000;"
        done = commands.ingest(describe_files(tmp_path, "csv"), store, before=before)
        assert done.summary["recordings"] == (2 if n_repeats == 1 else 15)
        peaks_mb.append(done.peak_mb)
    assert (raw / "long.csv").stat().st_size > 40_000_000
    assert peaks_mb[1] < peaks_mb[0] + 40  # less than the text


# What happens to the file of patient p2 between the moment when the files are listed and the one when it is read.
AFTER_LISTING = """
original = ingest.find_files
def find_files(*arguments):
    listed = original(*arguments)
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
def test_a_file_that_changes_between_listing_and_reading(commands, tmp_path, do, words):
    done = commands.ingest(make_ward(tmp_path, 3), tmp_path / "store", before=AFTER_LISTING.format(do=do))
    assert done.summary["recordings"] == 2
    rejects = CohortStore(tmp_path / "store").rejects().query("stage == 'files'")
    assert reasons(rejects) == {"signals/p2_1.csv": Reason.FILE_UNREADABLE}
    assert words in rejects["detail"].iloc[0]
    # It is back.
    shutil.rmtree(tmp_path / "signals")
    cohort_file = make_ward(tmp_path, 3)
    assert commands.ingest(cohort_file, tmp_path / "store").summary["files_read_now"] == 1
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


def test_a_file_without_permission(commands, tmp_path):
    cohort_file = make_ward(tmp_path, 3)
    (tmp_path / "signals" / "p2_1.csv").chmod(0)
    assert commands.ingest(cohort_file, tmp_path / "store", before=AS_ANYBODY).summary["recordings"] == 2
    rejects = CohortStore(tmp_path / "store").rejects().query("stage == 'files'")
    assert reasons(rejects) == {"signals/p2_1.csv": Reason.FILE_UNREADABLE}
    assert "no permission to read this file" in rejects["detail"].iloc[0]


CUT_WHILE_READ = """
do_task, n_done = ingest.do_task, 0
def cut_then_do(task):
    global n_done
    n_done += task.long is not None
    if n_done == 4:
        os.truncate(task.long.source.path, 40_000)
    return do_task(task)
ingest.do_task = cut_then_do
"""


@pytest.mark.parametrize("is_cut", [True, False], ids=["cut while it is read", "bad samples in two parts"])
def test_a_long_file_with_a_bad_part_leaves_one_line_and_no_part(commands, tmp_path, is_cut):
    cohort_file, store = oximeter.write_long_and_short(tmp_path), tmp_path / "store"
    for second in () if is_cut else (200, 300):
        with (tmp_path / "signals" / "1_spo2red.ts").open("r+b") as file:
            file.seek(4 * 80 * second)
            file.write(np.array(np.inf, dtype="<f4").tobytes())
    before = oximeter.SMALL_PARTS + "sys.modules['ppgssl.readers.binary']._SHORT_BYTES = 0;"
    done = commands.ingest(cohort_file, store, before=before + (CUT_WHILE_READ if is_cut else ""))
    assert done.summary["recordings"] == 1
    rejects = CohortStore(store).rejects()
    assert reasons(rejects) == {"signals/1_spo2red.ts": Reason.FILE_UNREADABLE}
    assert len(rejects) == 1
    assert set(content(store)[1]["recording_id"]) == {"2"}
    # A file that was cut is not the one that was read.
    assert commands.ingest(cohort_file, store, before=before).summary["files_read_now"] == int(is_cut)


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
def test_a_pattern_that_leaves_the_folder_is_refused(commands, tmp_path, changes):
    make_ward(tmp_path, 1)
    done = commands.ingest(describe(tmp_path, **changes), tmp_path / "store")
    assert done.code == 2
    assert "must be a path under `root`, without a leading / and without .." in done.error
    assert not (tmp_path / "store").exists()


def test_links_out_of_the_folder_are_a_line_each_and_are_not_read(commands, tmp_path):
    inside, outside = tmp_path / "inside", tmp_path / "outside"
    inside.mkdir()
    outside.mkdir()
    make_ward(outside, 9)
    cohort_file = make_ward(inside, 2)
    (inside / "signals" / "p8_1.csv").symlink_to(outside / "signals" / "p8_1.csv")
    (inside / "signals" / "p9_1.csv").symlink_to("../../outside/signals/p9_1.csv")
    (inside / "signals" / "circle_1.csv").symlink_to("circle_1.csv")
    done = commands.ingest(cohort_file, tmp_path / "store")
    assert done.summary["recordings"] == 2
    rejects = CohortStore(tmp_path / "store").rejects().query("unit == 'file'")
    assert reasons(rejects) == {
        "signals/circle_1.csv": Reason.FILE_UNREADABLE,
        "signals/p8_1.csv": Reason.OUTSIDE_ROOT,
        "signals/p9_1.csv": Reason.OUTSIDE_ROOT,
    }
    shutil.rmtree(inside / "signals")
    (inside / "signals").symlink_to(outside / "signals")
    assert "no file under" in commands.ingest(cohort_file, tmp_path / "other").error


# --- wrong usage and places --------------------------------------------------------------------------------------


WRONG: dict[str, tuple[Callable[[Path], object], str]] = {
    "a folder": (lambda file: (file.unlink(), file.mkdir()), "Is a directory"),
    "binary": (lambda file: file.write_bytes(bytes(range(256))), "cannot read"),
    "missing": (Path.unlink, "there is no file"),
    "no files": (lambda file: shutil.rmtree(file.parent / "signals"), "no file under"),
    "a list": (lambda file: file.write_text("- a\n- b\n"), "must be a mapping"),
}


@pytest.mark.parametrize("kind", WRONG)
def test_a_wrong_description_is_exit_code_2(commands, tmp_path, kind):
    cohort_file = make_ward(tmp_path, 1)
    spoil, words = WRONG[kind]
    spoil(cohort_file)
    done = commands.ingest(cohort_file, tmp_path / "store")
    assert done.code == 2
    assert words in done.error
    assert len(done.error) < 1000
    assert not (tmp_path / "store").exists()


def test_a_store_that_is_a_file_or_somebody_elses_folder_is_left_alone(commands, tmp_path):
    cohort_file = make_ward(tmp_path, 1)
    done = commands.ingest(cohort_file, cohort_file)
    assert (done.code, "Not a directory" in done.error) == (1, True)
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs" / "thesis.txt").touch()
    done = commands.ingest(cohort_file, tmp_path / "theirs")
    assert (done.code, "holds other files and no store" in done.error) == (1, True)
    assert [path.name for path in (tmp_path / "theirs").iterdir()] == ["thesis.txt"]


def test_a_store_where_one_may_not_write(commands, tmp_path):
    cohort_file = make_ward(tmp_path, 1)
    (tmp_path / "closed").mkdir(mode=0o555)
    done = commands.ingest(cohort_file, tmp_path / "closed" / "store", before=AS_ANYBODY)
    assert (done.code, "Permission denied" in done.error) == (1, True)
    assert str(tmp_path / "closed" / "store") in done.error
    ingest(cohort_file, tmp_path / "store", n_jobs=1)
    for path in (tmp_path / "store", *(tmp_path / "store").rglob("*")):
        path.chmod(0o555 if path.is_dir() else 0o444)
    done = commands.ingest(cohort_file, tmp_path / "store", before=AS_ANYBODY)
    assert (done.code, "Permission denied" in done.error) == (1, True)


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:1", "nonsense", "http://127.0.0.1:1"])
def test_a_scheduler_that_does_not_answer_is_exit_code_2(commands, tmp_path, address):
    cohort_file = make_ward(tmp_path, 1)
    before = "cluster._CONNECT_S = 0.3"
    done = commands("ingest", cohort_file, "--out", tmp_path / "store", "--scheduler", address, before=before)
    assert done.code == 2
    assert f"--scheduler {address}: no Dask cluster with workers answers there" in done.error


def test_a_damaged_store_is_reported_without_a_traceback(commands, tmp_path):
    cohort_file = make_ward(tmp_path, 2)
    ingest(cohort_file, tmp_path / "whole", n_jobs=1)
    for table in ("recordings", "segments"):
        store = tmp_path / table
        shutil.copytree(tmp_path / "whole", store)
        for data in (store / table).glob("*.parquet"):
            cut(data, 100)
        for done in (commands.ingest(cohort_file, store), commands("inspect", store)):
            assert done.code == 1
            assert f"error: cannot read the table '{table}' of the store" in done.error
