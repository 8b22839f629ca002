"""Files of one recording, as oximeters and databases write them. A layout is a function and one line of ``LAYOUTS``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ppgssl.simulate.devices import FULL_SCALE, Acquired

FS_HZ = 80


@dataclass(frozen=True)
class RecordingName:
    """Whose recording it is: ``reading`` 1 or 2 of the ``visit`` ``adm`` (admission) or ``dis`` (discharge)."""

    patient_id: str
    reading: int = 1
    visit: str = "adm"


Write = Callable[[Path, RecordingName, Acquired, str], None]


def write_ts(folder: Path, name: RecordingName, acquired: Acquired, trends: str) -> None:
    """The first published layout: little-endian float32, 0 to 1, for each channel, and trends; one a patient."""
    for channel, counts in (("red", acquired.red), ("infra", acquired.infrared)):
        (counts / FULL_SCALE).astype("<f4").tofile(folder / f"{name.patient_id}_spo2{channel}.ts")
    (folder / f"{name.patient_id}_spo2trends.csv").write_text(trends, encoding="utf-8", newline="\n")


def write_text(folder: Path, name: RecordingName, acquired: Acquired, trends: str) -> None:
    """The second published layout: text with a sample a line, reading and visit in the file names, and trends."""
    start = f"{name.patient_id}_hospitalization_an_arm_1_spo2"
    for channel, counts in (("red", acquired.red), ("infra", acquired.infrared)):
        path = folder / f"{start}{channel}{name.reading}_wav_oxi_{name.visit}.txt"
        path.write_bytes(_lines()[counts].tobytes())
    path = folder / f"{start}trends{name.reading}_oxi_{name.visit}.csv"
    path.write_text(trends, encoding="utf-8", newline="\n")


def write_wfdb(folder: Path, name: RecordingName, acquired: Acquired, trends: str) -> None:  # noqa: ARG001
    """A WFDB record for each patient: a header and 16-bit samples (format 16), 0 to 1, and no place for trends.

    Format: header(5) and signal(5) of the *WFDB Applications Guide*, https://physionet.org/physiotools/wag.
    """
    record = name.patient_id
    samples = np.stack([acquired.red, acquired.infrared], axis=1) - 2**15
    # The lowest number stands for a missing sample.
    samples = np.maximum(samples, 1 - 2**15)
    (folder / f"{record}.dat").write_bytes(samples.astype("<i2").tobytes())
    lines = [f"{record} 2 {FS_HZ} {len(samples)}"]
    for channel, label in enumerate(("RED", "INFRARED")):
        checksum = (int(samples[:, channel].sum()) + 2**15) % 2**16 - 2**15
        lines.append(f"{record}.dat 16 {FULL_SCALE}({-(2**15)})/NU 16 0 {samples[0, channel]} {checksum} 0 {label}")
    (folder / f"{record}.hea").write_text("\n".join(lines) + "\n", encoding="ascii", newline="\n")


@lru_cache(maxsize=1)
def _lines() -> NDArray[np.bytes_]:
    """Each count as a line of text: to look lines up is many times faster than to format them."""
    return np.array([f"{count / FULL_SCALE:.6f}\n".encode() for count in range(FULL_SCALE + 1)])


LAYOUTS: dict[str, Write] = {"ts": write_ts, "text": write_text, "wfdb": write_wfdb}
