"""The raw files of one simulated cohort, and the truth about each recording."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ppgssl.core.errors import ConfigError
from ppgssl.core.parallel import Progress
from ppgssl.core.records import FloatArray
from ppgssl.core.text import suggest
from ppgssl.simulate.devices import ARTEFACTS, Acquired, Device, acquire, simulate_devices
from ppgssl.simulate.findings import MWANIKI2023, POPULATIONS, Population
from ppgssl.simulate.layouts import FS_HZ, LAYOUTS, RecordingName
from ppgssl.simulate.physiology import simulate_patients, simulate_reading
from ppgssl.simulate.trends import device_trends, trends_text
from ppgssl.simulate.waveform import Vitals, simulate_light

MAX_RECORDINGS = 99_999
N_DEVICES = 5
MISSING_FRACTION = 0.04
# In the text layout a child has two readings at admission and two at discharge.
READINGS = ((1, "adm"), (2, "adm"), (1, "dis"), (2, "dis"))


@dataclass(frozen=True)
class Source:
    """One cohort to be written, called ``name`` in the truth table, its raw files in ``folder``, which is made.

    ``patients`` are from :func:`simulate_patients`, ids as index. Each has one recording; where there are more, up to
    four, as ``READINGS`` has them. ``seed`` is that of its random streams, ``artefacts`` a key of ``ARTEFACTS``.
    """

    name: str
    folder: Path
    layout: str
    patients: pd.DataFrame
    n_recordings: int
    seed: tuple[int, ...]
    population: Population = MWANIKI2023
    artefacts: str = "clinic"


def make_patients(prefix: str, n: int, *, seed: tuple[int, ...], **options: Any) -> pd.DataFrame:
    """Children with ids of their own: no child is in two cohorts with different prefixes.

    Options are those of :func:`simulate_patients`.
    """
    patients = simulate_patients(n, rng=np.random.default_rng(list(seed)), **options)
    patients.index = pd.Index([f"{prefix}{number:05d}" for number in range(1, n + 1)], name="patient_id")
    return patients


def write_sources(sources: list[Source], out: Path, *, duration_s: float, progress: Progress) -> None:
    """Write the recordings of all sources, and ``truth.csv`` about them."""
    total, done = sum(source.n_recordings for source in sources), 0

    def count() -> None:
        nonlocal done
        done += 1
        progress(done, total)

    truth = [_write_source(source, duration_s=duration_s, on_written=count) for source in sources]
    pd.concat(truth).round(4).to_csv(out / "truth.csv", index=False, lineterminator="\n")


def record(
    vitals: Vitals, device: Device, *, duration_s: float, rng: np.random.Generator
) -> tuple[Acquired, dict[str, FloatArray]]:
    """One recording at ``FS_HZ``: samples in counts, and what the device displayed."""
    light = simulate_light(vitals, duration_s=duration_s, fs_hz=FS_HZ, rng=rng)
    acquired = acquire(light, device, fs_hz=FS_HZ, rng=rng)
    return acquired, device_trends(vitals, light, acquired, fs_hz=FS_HZ, rng=rng)


def check_parameters(rules: list[tuple[bool, str]], out: Path) -> None:
    """Raise a ``ConfigError`` for parameters, all at once, or for a folder that would be overwritten."""
    problems = tuple(text for is_fine, text in rules if not is_fine)
    if problems:
        raise ConfigError("cannot simulate a study:", problems)
    if out.exists() and not out.is_dir():
        raise ConfigError(f"cannot simulate into {out}: it is a file. Name a new folder.")
    if out.is_dir() and any(out.iterdir()):
        raise ConfigError(
            f"cannot simulate into {out}: the folder is not empty. Name a new folder, or remove it first."
        )


def common_rules(
    n_labelled: int,
    n_unlabelled: int,
    duration_s: float,
    prevalence: float | None,
    shifts: dict[str, float],
    seed: int,
    children: str,
    artefacts: str,
) -> list[tuple[bool, str]]:
    """What holds of the parameters of every simulated study, and what to say if it does not."""
    counts = {"n_labelled": n_labelled, "n_unlabelled": n_unlabelled}
    words: list[tuple[str, str, Collection[str]]] = [
        ("children", children, POPULATIONS),
        ("artefacts", artefacts, ARTEFACTS),
    ]
    return [
        *(
            (word in known, f"{key} is {word!r}{suggest(word, known)}: it must be {', '.join(known)}")
            for key, word, known in words
        ),
        *((1 <= n <= MAX_RECORDINGS, f"{key} is {n}: it must be 1 to {MAX_RECORDINGS}") for key, n in counts.items()),
        (10 <= duration_s <= 3600, f"duration_s is {duration_s:g}: it must be 10 (one segment) to 3600"),
        (
            prevalence is None or 0 < prevalence < 1,
            f"prevalence is {prevalence}: it must lie between 0 and 1, for example 0.126",
        ),
        *((-3 <= shift <= 3, f"{key} is {shift:g}: it must be -3 to 3 SDs") for key, shift in shifts.items()),
        (0 <= seed < 2**31, f"seed is {seed}: it must be 0 to {2**31 - 1}"),
    ]


def _write_source(source: Source, *, duration_s: float, on_written: Callable[[], None]) -> pd.DataFrame:
    """Write the recordings of a cohort, one after the other; a row of truth for each."""
    source.folder.mkdir(parents=True)
    devices = simulate_devices(N_DEVICES, np.random.default_rng([*source.seed, 0]), source.artefacts)
    recordings = _recordings(source)
    which = np.random.default_rng([*source.seed, 1]).integers(N_DEVICES, size=len(recordings))
    disturbed = np.zeros((len(recordings), 2))
    for number, row in enumerate(recordings.to_dict("records")):
        name = RecordingName(str(row["patient_id"]), int(row["reading"]), str(row["visit"]))
        vitals = Vitals.of(row)
        # A random stream for each recording: they could be made in any order.
        rng = np.random.default_rng([*source.seed, 2, number])
        acquired, trends = record(vitals, devices[which[number]], duration_s=duration_s, rng=rng)
        LAYOUTS[source.layout](source.folder, name, acquired, trends_text(trends))
        disturbed[number] = acquired.is_motion.sum() / FS_HZ, acquired.is_lost.sum() / FS_HZ
        on_written()
    recordings.insert(0, "cohort", source.name)
    is_own = recordings.columns.str.startswith("own_")
    return recordings.loc[:, ~is_own].assign(device=which, motion_s=disturbed[:, 0], lost_contact_s=disturbed[:, 1])


def _recordings(source: Source) -> pd.DataFrame:
    """One row a recording, children in order."""
    first = source.patients
    needed = -(-source.n_recordings // len(first))
    rng = np.random.default_rng([*source.seed, 3])
    readings = [first]
    for _, visit in READINGS[1:needed]:
        # The second reading at discharge follows the first there, any other that at admission.
        before = readings[2] if len(readings) == 3 else first
        is_discharge = visit == "dis" and len(readings) == 2
        readings.append(simulate_reading(before, is_discharge=is_discharge, population=source.population, rng=rng))
    rows = [
        table.assign(reading=reading, visit=visit) for table, (reading, visit) in zip(readings, READINGS, strict=False)
    ]
    joined = pd.concat(rows).sort_index(kind="stable").drop(columns="is_event").reset_index()
    return joined.head(source.n_recordings)
