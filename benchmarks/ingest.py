"""Ingest of one-minute pulse-oximeter recordings, beside the way of the published study.

The same files (red and infrared, float32 at 80 Hz, with a device's trends) are read by

1. the published way, written plainly: a sample at a time, a 10 s segment every 2 s, kept if any second of the device's
   SQI is 50 or more, each segment a pickle of Python lists;
2. ``ppgssl ingest`` with our quality and vital signs switched off, in one process, the commits of the store included;
3. ``ppgssl ingest`` with everything on, in as many processes as there are cores.

    python benchmarks/ingest.py [--recordings 1000] [--naive 60] [--profile]

The published way is timed on the first ``--naive`` recordings, for want of patience. Each is timed in a process of its
own, after its imports. Ratios are over 1 where we are better.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import pickle
import struct
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from ppgssl.core.provenance import peak_memory_mb
from ppgssl.stages.ingest.ingest import ingest

FS_HZ, SECONDS = 80, 60
SEGMENT_S, STEP_S, MIN_SQI = 10, 2, 50
DESCRIPTION = {
    "name": "benchmark",
    "signals": {
        "files": "{patient}_spo2red.ts",
        "reader": "binary",
        "fs_hz": FS_HZ,
        "channels": {
            "ppg_red": {"column": 0, "has_baseline": True},
            "ppg_ir": {"column": 0, "has_baseline": True, "file": "{patient}_spo2infra.ts"},
        },
        "trends": {
            "file": "{patient}_spo2trends.csv",
            "skip_rows": 1,
            "columns": {
                "sqi": "SQI",
                "heart_rate_bpm": "HeartRate",
                "spo2_percent": "Saturation",
                "perfusion_index_percent": "Perfusion",
            },
        },
    },
    "signal": {"fs_hz": FS_HZ},
    "segments": {
        "segment_s": SEGMENT_S,
        "step_s": STEP_S,
        "accept": "device-any",
        "min_device_sqi": MIN_SQI,
    },
}
OFF = {"quality": False, "vitals": {"enabled": False}}


# --- data ------------------------------------------------------------------------------------------------------


def write_recordings(folder: Path, n: int) -> None:
    """Pulse waves with noise and a slow change of level; about a fifth of the seconds have a poor device SQI."""
    rng = np.random.default_rng(1)
    time_s = np.arange(FS_HZ * SECONDS) / FS_HZ
    for number in range(n):
        phase = 2 * np.pi * rng.uniform(1.2, 2.6) * time_s + 0.3 * np.sin(2 * np.pi * rng.uniform(0.2, 0.6) * time_s)
        pulse = np.sin(phase) + 0.4 * np.sin(2 * phase + 0.6) + 0.1 * np.sin(3 * phase)
        for name, level, depth in (("red", 0.3, 0.006), ("infra", 0.6, 0.012)):
            noise = rng.normal(0, 0.03, len(time_s)) + 0.2 * np.sin(2 * np.pi * 0.25 * time_s)
            (level * (1 - depth * (pulse + noise))).astype("<f4").tofile(folder / f"{number:05d}_spo2{name}.ts")
        sqi = np.where(rng.random(SECONDS) < 0.2, 20, 95)
        rows = [f"{second}, {value}, 120, 96, 1.6" for second, value in enumerate(sqi)]
        header = "Exported by the device\nTime, SQI, HeartRate, Saturation, Perfusion\n"
        (folder / f"{number:05d}_spo2trends.csv").write_text(header + "\n".join(rows) + "\n")


# --- the published way -----------------------------------------------------------------------------------------


def naive(folder: Path, out: Path, n: int) -> None:
    for number in range(n):
        channels = []
        for name in ("red", "infra"):
            samples = []
            with (folder / f"{number:05d}_spo2{name}.ts").open("rb") as file:
                while True:
                    four = file.read(4)
                    if len(four) < 4:
                        break
                    samples.append(struct.unpack("<f", four)[0])
            channels.append(samples)
        sqi = []
        with (folder / f"{number:05d}_spo2trends.csv").open() as file:
            file.readline()
            column = [name.strip() for name in file.readline().split(",")].index("SQI")
            for line in file:
                sqi.append(float(line.split(",")[column]))
        start = 0
        while start + SEGMENT_S <= SECONDS:
            is_good = False
            for second in range(start, start + SEGMENT_S):
                if second < len(sqi) and sqi[second] >= MIN_SQI:
                    is_good = True
            if is_good:
                segment = [channel[start * FS_HZ : (start + SEGMENT_S) * FS_HZ] for channel in channels]
                with (out / f"{number:05d}_{start:02d}.pickle").open("wb") as file:
                    pickle.dump(segment, file)
            start += STEP_S


# --- measuring -------------------------------------------------------------------------------------------------


def measured(work: Callable[[], object]) -> tuple[float, float]:
    """Seconds, and peak memory in MB of a fresh process that does the work (or of its largest child)."""
    context = multiprocessing.get_context("spawn")
    results = context.Queue()
    process = context.Process(target=_measure, args=(work, results))
    process.start()
    process.join()
    if process.exitcode:
        raise SystemExit("a measurement failed")
    seconds, megabytes = results.get()
    return seconds, megabytes


def _measure(work: Callable[[], object], results: Any) -> None:
    started = time.perf_counter()
    work()
    results.put((time.perf_counter() - started, peak_memory_mb()))


def bytes_in(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def described(folder: Path, **keys: object) -> Path:
    path = folder / f"cohort_{len(keys)}.yaml"
    path.write_text(yaml.safe_dump(DESCRIPTION | keys))
    return path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recordings", type=int, default=1000)
    parser.add_argument("--naive", type=int, default=60)
    parser.add_argument("--profile", action="store_true", help="say where our time goes, with quality and vitals on")
    options = parser.parse_args()
    n, n_naive = options.recordings, min(options.naive, options.recordings)
    with tempfile.TemporaryDirectory() as scratch:
        raw, pickles = Path(scratch, "raw"), Path(scratch, "pickles")
        raw.mkdir()
        pickles.mkdir()
        write_recordings(raw, n)
        lean, full = described(raw, **OFF), described(raw)
        if options.profile:
            profile(full, Path(scratch, "profiled"))
            return
        rows = {
            "published way": (n_naive, pickles, measured(partial(naive, raw, pickles, n_naive))),
            "ours, lean, 1 process": (
                n,
                Path(scratch, "lean"),
                measured(partial(ingest, lean, Path(scratch, "lean"), n_jobs=1)),
            ),
            f"ours, all, {os.cpu_count()} processes": (
                n,
                Path(scratch, "full"),
                measured(partial(ingest, full, Path(scratch, "full"), n_jobs=-1)),
            ),
        }
        print(f"{'':26}{'recordings/s':>14}{'kB/recording':>14}{'peak MB':>10}")
        figures = []
        for name, (count, folder, (seconds, megabytes)) in rows.items():
            figures.append((count / seconds, bytes_in(folder) / count, megabytes))
            print(f"{name:26}{count / seconds:14.1f}{bytes_in(folder) / count / 1e3:14.1f}{megabytes:10.0f}")
    published, lean_figures, full_figures = figures
    print(f"ratio ingest_recordings_per_s_with_everything {full_figures[0] / published[0]:.1f}")
    print(f"ratio ingest_peak_memory {published[2] / lean_figures[2]:.2f}")
    print(f"ratio ingest_recordings_per_s {lean_figures[0] / published[0]:.1f}")
    print(f"ratio ingest_bytes {published[1] / full_figures[1]:.1f}")


def profile(cohort_file: Path, out: Path) -> None:
    """Share of the time by function, in one process with everything on."""
    import cProfile
    import pstats

    profiler = cProfile.Profile()
    profiler.runcall(ingest, cohort_file, out, n_jobs=1)
    pstats.Stats(profiler).sort_stats("cumulative").print_stats("ppgssl|deltalake", 45)


if __name__ == "__main__":
    main()
