"""Recordings as the pulse oximeters of the published study write them, made up."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import yaml

from ppgssl.core.records import FloatArray
from tests.conftest import REPOSITORY
from tests.support.synthetic import make_ppg

FS_HZ = 80
# For a command's process: a recording of more than a minute is long, a task reads a part, and each is a commit.
SMALL_PARTS = "file_tasks.PART_S = 60.0; file_tasks.TASK_SAMPLES = 10_000; ingest._COMMIT_BYTES = 1;"
EXAMPLES = REPOSITORY / "data_schemas" / "examples" / "cohorts"


def oximetry(seed: int, seconds: float = 60.0, *, ratio: float = 0.6) -> tuple[FloatArray, FloatArray]:
    """Red and infrared light as float32: systole points down; ``ratio`` is the ratio of ratios."""
    rng = np.random.default_rng(seed)
    rate = rng.uniform(90, 150)
    pulse = make_ppg(seconds, FS_HZ, rate, rng=rng)
    pulse = pulse - pulse.mean()
    noise = rng.normal(0, 1e-4, (2, len(pulse)))
    red, infrared = 0.3 * (1 - 0.02 * ratio * pulse + noise[0]), 0.6 * (1 - 0.02 * pulse + noise[1])
    return red.astype("<f4"), infrared.astype("<f4")


def trends(seconds: int, sqi: float = 90, heart_rate: float = 120) -> str:
    rows = [f"{second}, {sqi:g}, {heart_rate:g}, 95, 1.5" for second in range(seconds)]
    return "\n".join(["Masimo 1.0, exported", "Time, SQI, HeartRate, Saturation, Perfusion", *rows]) + "\n"


def write_binary(folder: Path, patient: str, seed: int, seconds: float = 60.0) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, samples in zip(("red", "infra"), oximetry(seed, seconds), strict=True):
        samples.tofile(folder / f"{patient}_spo2{name}.ts")
    (folder / f"{patient}_spo2trends.csv").write_text(trends(int(seconds)))


def write_text(folder: Path, patient: str, reading: int, visit: str, seed: int, seconds: float = 60.0) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    start = f"{patient}_hospitalization_an_arm_1"
    for name, samples in zip(("red", "infra"), oximetry(seed, seconds), strict=True):
        np.savetxt(folder / f"{start}_spo2{name}{reading}_wav_oxi_{visit}.txt", samples, fmt="%.6f")
    (folder / f"{start}_spo2trends{reading}_oxi_{visit}.csv").write_text(trends(int(seconds)))


def write_long_and_short(folder: Path, seconds: float = 480) -> Path:
    """A long recording of patient 1 and one of half a minute of patient 2; their ``cohort.yaml``."""
    write_binary(folder / "signals", "1", seed=1, seconds=seconds)
    write_binary(folder / "signals", "2", seed=2, seconds=30)
    return describe(folder, "oximeter_binary")


def describe(folder: Path, name: str, **keys: object) -> Path:
    """The example description ``name`` for the files in ``folder``, with top-level keys changed."""
    description = yaml.safe_load((EXAMPLES / f"{name}.yaml").read_text(encoding="utf-8"))
    description |= {"root": ".", "vitals": {"spo2_calibration": [110, -25]}, **keys}
    path = folder / "cohort.yaml"
    path.write_text(yaml.safe_dump(description, sort_keys=False))
    return path
