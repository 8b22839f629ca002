"""Damaged files for every reader: nothing but our own errors may come out, in bounded time and memory.

    python benchmarks/fuzz_readers.py --data ../shared/data [--inputs 2000] [--seed 1] [READER ...]

Sound files (real WFDB and EDF records of ``--data``, generated ones of the other formats) are damaged by bytes that are
changed, moved, cut out or replaced by suspicious numbers, and by an end that is cut off. Each is opened and read whole
and in intervals, in a process with little memory (1.6 GB) and an alarm (20 s). What is counted:

read      samples came out, finite or NaN
refused   a ReadError
other     any other exception: a fault of ours
died      the process ended or the alarm rang: a fault of ours
"""

from __future__ import annotations

import argparse
import io
import multiprocessing
import random
import resource
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import edfio
import h5py
import numpy as np
import pandas as pd
import pyreadstat
import scipy.io

from ppgssl.core.config.cohort import ClinicalTable, DeviceTrends
from ppgssl.core.errors import ConfigError, ReadError
from ppgssl.core.provenance import peak_memory_mb
from ppgssl.readers import READERS
from ppgssl.readers.clinical.table import read_clinical
from ppgssl.readers.isolated import end_process
from ppgssl.readers.trends import read_trends

MEMORY_BYTES, ALARM_S = 1_600_000_000, 20
SUSPICIOUS = [b"\0" * 8, b"\xff" * 8, b"99999999", b"-1      ", b"1e300   ", b"nan     ", b"        ", b"../../x "]
WFDB = (
    "100_3chan",
    "a103l",
    "3000003_0003",
    "310derive",
    "binformats",
    "flacformats",
    "mixedsignals",
    "test01_00s_frame",
)
WFDB_LAYOUTS = ("multi-segment/041s/041s", "multi-segment/s25047/s25047-2704-05-04-10-44")
# Files of one seed: name -> content; the first is opened.
Seed = dict[str, bytes]


def seeds(data: Path) -> dict[str, list[Seed]]:
    """Sound files of each reader."""
    rng = np.random.default_rng(0)
    samples = rng.normal(size=(2, 3000)).astype(np.float32)
    table = pd.DataFrame({"ppg": samples[0], "ecg": samples[1]})
    lists = pd.DataFrame({"ppg": [row.tolist() for row in samples]})
    text = table.to_csv(index=False).encode()
    clinical = pd.DataFrame(
        {"id": [f"p{n}" for n in range(40)], "age": rng.integers(0, 90, 40), "sex": ["f", "m"] * 20}
    )
    return {
        "wfdb": [_wfdb(data / "wfdb_samples", name) for name in (*WFDB, *WFDB_LAYOUTS)],
        "edf": [_edf(samples), {"a.edf": (data / "wfdb_samples" / "test_generator_2.edf").read_bytes()[:60_000]}],
        "arrays": [
            {"a.npy": _written(lambda file: np.save(file, samples))},
            {"a.npz": _written(lambda file: np.savez_compressed(file, ppg=samples[0], ecg=samples[1]))},
            {"a.mat": _written(lambda file: scipy.io.savemat(file, {"ppg": samples[0]}, do_compression=True))},
            {"a.mat": _hdf5(samples)},
        ],
        "binary": [{"a.ts": samples.tobytes()}],
        "parquet": [{"a.parquet": _written(table.to_parquet)}, {"a.parquet": _written(lists.to_parquet)}],
        "delimited": [{"a.csv": text}, {"a.csv": text.replace(b",", b";")}],
        "trends": [{"a.csv": b"device\nTime, SQI, HeartRate\n" + b"".join(b"%d, 90, 120\n" % n for n in range(60))}],
        "clinical": [
            {"a.csv": clinical.to_csv(index=False).encode()},
            {"a.xlsx": _written(lambda file: clinical.to_excel(file, index=False))},
            {"a.parquet": _written(clinical.to_parquet)},
        ],
        "statistical": [
            _statistical(pyreadstat.write_sav, "a.sav", clinical),
            _statistical(pyreadstat.write_dta, "a.dta", clinical),
            _statistical(pyreadstat.write_xport, "a.xpt", clinical),
        ],
    }


def _written(write: Callable[[Any], object]) -> bytes:
    file = io.BytesIO()
    write(file)
    return file.getvalue()


def _statistical(write: Callable[..., object], name: str, table: pd.DataFrame) -> Seed:
    with tempfile.TemporaryDirectory() as folder:
        write(table, Path(folder, name))
        return {name: Path(folder, name).read_bytes()}


def _edf(samples: np.ndarray) -> Seed:
    channels = [
        edfio.EdfSignal(row, sampling_frequency=100, label=label) for row, label in zip(samples, "ab", strict=True)
    ]
    return {"a.edf": edfio.Edf(channels).to_bytes()}


def _hdf5(samples: np.ndarray) -> bytes:
    file = io.BytesIO()
    with h5py.File(file, "w") as store:
        store.create_dataset("ppg", data=samples[:1].T, chunks=(500, 1), compression="gzip")
        store["ppg"].attrs["MATLAB_class"] = np.bytes_("single")
    return file.getvalue()


def _wfdb(folder: Path, record: str) -> Seed:
    """A header and all that lies next to it under the names that it lists."""
    header = folder / f"{record}.hea"
    names = READERS["wfdb"].files(header)
    return {path.name: path.read_bytes()[:40_000] for path in [header, *names] if path.is_file()}


# --- damage ----------------------------------------------------------------------------------------------------


def damaged(content: bytes, rng: random.Random) -> bytes:
    changed = bytearray(content)
    for _ in range(rng.choice([1, 1, 2, 4, 8])):
        if len(changed) < 8:
            break
        _damage(changed, rng)
    if rng.random() < 0.1:
        del changed[rng.randrange(len(changed) + 1) :]
    return bytes(changed)


def _damage(changed: bytearray, rng: random.Random) -> None:
    # Headers, at the start or the end of a file, are hit more often than samples.
    near = rng.randrange(min(len(changed), 1500))
    at = rng.choice([near, len(changed) - 1 - near, rng.randrange(len(changed))])
    kind = rng.randrange(5)
    if kind == 0:
        changed[at] = rng.choice([0, 1, 45, 48, 57, 127, 128, 255, rng.randrange(256)])
    elif kind == 1:
        number = rng.choice([*SUSPICIOUS, (1 << rng.randrange(63)).to_bytes(8, "little")])
        changed[at : at + 8] = number
    elif kind == 2:
        source, length = rng.randrange(len(changed)), rng.randrange(1, 64)
        changed[at : at + length] = changed[source : source + length]
    elif kind == 3:
        del changed[at : at + rng.randrange(1, 9)]
    else:
        changed[at] ^= 1 << rng.randrange(8)


# --- reading ---------------------------------------------------------------------------------------------------


def read(reader: str, path: Path, columns: Sequence[str | int]) -> None:
    if reader == "trends":
        described = DeviceTrends(
            file="{patient}.csv", columns={"sqi": "SQI", "heart_rate_bpm": "HeartRate"}, skip_rows=1
        )
        read_trends(path, described)
        return
    if reader in ("clinical", "statistical"):
        variables = {"age": {"kind": "numeric"}, "sex": {"kind": "binary", "levels": {"f": "female", "m": "male"}}}
        table = {"file": path.name, "patient_column": "id", "variables": variables}
        read_clinical(ClinicalTable.model_validate(table), path.parent)
        return
    how = READERS[reader]
    fs_hz = None if reader in ("wfdb", "edf") else 100.0
    for recording in how.open(path, columns, fs_hz, how.parse_options({}))[:5]:
        for start_s in (0.0, 1.3, recording.duration_s - 1):
            recording.read(start_s, start_s + 1.7)
        if max(recording.n_samples.values()) < 5_000_000:
            recording.whole()


def work(reader: str, files: list[Seed], seed: int, first: int, last: int, results: Any) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with tempfile.TemporaryDirectory() as scratch:
        for number in range(first, last):
            rng = random.Random(f"{reader}-{seed}-{number}")
            files_of_one = rng.choice(files)
            victim = rng.choice([next(iter(files_of_one)), rng.choice(list(files_of_one))])
            for name, content in files_of_one.items():
                Path(scratch, name).write_bytes(damaged(content, rng) if name == victim else content)
            columns: list[str | int] = [rng.choice([0, 0, 0, 1, "ppg"])]
            signal.alarm(ALARM_S)
            started = time.perf_counter()
            outcome = _outcome(reader, Path(scratch, next(iter(files_of_one))), columns)
            signal.alarm(0)
            results.put((number, outcome, time.perf_counter() - started, peak_memory_mb()))
    end_process()  # Then the memory of the isolated process counts too.
    results.put((last - 1, "", 0.0, peak_memory_mb()))


def _outcome(reader: str, path: Path, columns: Sequence[str | int]) -> str:
    try:
        read(reader, path, columns)
    except (ReadError, ConfigError):
        return "refused"
    except Exception as error:
        print(f"{reader}: {type(error).__name__}: {error}", file=sys.stderr)
        return "other"
    return "read"


def campaign(reader: str, files: list[Seed], seed: int, n_inputs: int) -> tuple[Counter[str], float, float]:
    """Outcomes, seconds of the slowest input, and the largest memory in MB."""
    context = multiprocessing.get_context("spawn")
    counts: Counter[str] = Counter()
    slowest = memory = 0.0
    done = 0
    while done < n_inputs:
        results = context.SimpleQueue()
        process = context.Process(target=work, args=(reader, files, seed, done, n_inputs, results))
        process.start()
        while process.is_alive() or not results.empty():
            if results.empty():
                process.join(0.01)
                continue
            number, outcome, seconds, megabytes = results.get()
            counts.update([outcome] if outcome else [])
            slowest, memory, done = max(slowest, seconds), max(memory, megabytes), number + 1
        if done < n_inputs:
            print(f"{reader}: input {done} of seed {seed} ended the process", file=sys.stderr)
            counts["died"] += 1
            done += 1
    return counts, slowest, memory


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("readers", nargs="*")
    parser.add_argument("--data", type=Path, required=True, help="folder with wfdb_samples")
    parser.add_argument("--inputs", type=int, default=2000, help="damaged files for each reader")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    of_reader = seeds(options.data)
    print(f"{'reader':12}{'inputs':>8}{'read':>8}{'refused':>9}{'other':>7}{'died':>6}{'slowest s':>11}{'peak MB':>9}")
    n_faults = 0
    for reader in options.readers or of_reader:
        counts, slowest, memory = campaign(reader, of_reader[reader], options.seed, options.inputs)
        n_faults += counts["other"] + counts["died"]
        print(
            f"{reader:12}{counts.total():8}{counts['read']:8}{counts['refused']:9}{counts['other']:7}{counts['died']:6}"
            f"{slowest:11.2f}{memory:9.0f}",
            flush=True,
        )
    sys.exit(1 if n_faults else 0)


if __name__ == "__main__":
    main()
