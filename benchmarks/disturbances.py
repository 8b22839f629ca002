"""How often signals are disturbed, in the shared real recordings and in simulated ones.

    python benchmarks/disturbances.py [--data FOLDER]

Recordings are cut into minutes and prepared as in an ingest, one PPG channel each. A segment of 10 s is disturbed if
its quality is under 0.5, or it has a defect, such as a lost contact or a jump. Weak is a pulse under 0.5 % of the
light's level: only oxiwear's samples are proportional to the light. Its recordings last 3 to 7 s and are one segment
each. Simulated are the children of `ppgssl simulate`, with each of `--artefacts`. Tables are in Markdown, as in
docs/simulator.md.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.io import loadmat

from ppgssl.core.config.fixed import BANDS_HZ
from ppgssl.core.records import FloatArray
from ppgssl.signals.polarity import is_inverted, polarity
from ppgssl.signals.preprocessing import preprocess
from ppgssl.signals.quality_indices import index_table, segment_defects
from ppgssl.signals.vitals import SegmentedRecording, VitalChannel, segment_quality, segment_vitals
from ppgssl.simulate.devices import ARTEFACTS, simulate_devices
from ppgssl.simulate.layouts import FS_HZ
from ppgssl.simulate.physiology import simulate_patients
from ppgssl.simulate.sources import record
from ppgssl.simulate.waveform import Vitals

STORED_HZ, SEGMENT_S, MINUTE_S = 100.0, 10.0, 60.0
MIN_QUALITY, WEAK_PCT = 0.5, 0.5
N_MINUTES = 12

Minutes = Iterator[tuple[str, FloatArray, float]]
"""Person, raw samples, and sampling rate."""


def minutes_of(person: str, raw: FloatArray, fs_hz: float) -> Minutes:
    """At most so many whole minutes of a recording, evenly spread; the whole of a shorter one."""
    length = round(MINUTE_S * fs_hz)
    n = max(len(raw) // length, 1)
    for number in np.unique(np.linspace(0, n - 1, min(n, N_MINUTES)).round().astype(int)):
        yield person, raw[number * length : (number + 1) * length], fs_hz


def mw_ppg(folder: Path) -> Minutes:
    for path in sorted((folder / "recordings").glob("*.csv")):
        yield path.stem, pd.read_csv(path)["ir_channel"].to_numpy(float), 200.0


def oximetry_phone(folder: Path) -> Minutes:
    for path in sorted((folder / "camera").glob("*/*.csv")):
        yield from minutes_of(path.stem, pd.read_csv(path)["G"].to_numpy(float), 30.0)


def oxiwear(folder: Path) -> Minutes:
    for path in sorted((folder / "proto1").glob("*.csv")):
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
        start = next(number for number, line in enumerate(lines) if line.startswith("timestamp"))
        columns = lines[start].split(",")
        light, dark = columns.index("LEDC1"), columns.index("LEDC3")
        rows = [line.split(",") for line in lines[start + 1 :]]
        rows = [row for row in rows if len(row) > dark and row[columns.index("sampleNum")].isdigit() and row[light]]
        # The first two samples are the start of the device.
        yield path.stem, np.array([float(row[light]) - float(row[dark]) for row in rows])[2:], 64.0


def stress_predict(folder: Path) -> Minutes:
    for path in sorted(folder.glob("S*/BVP.csv")):
        yield from minutes_of(path.parent.name, pd.read_csv(path, skiprows=2, header=None)[0].to_numpy(float), 64.0)


def spc2015(folder: Path) -> Minutes:
    for path in sorted((folder / "recordings").glob("*.mat")):
        yield from minutes_of(path.stem, loadmat(path)["sig"][1], 125.0)


def simulated(artefacts: str, n: int, seed: int = 7) -> Minutes:
    """Infrared light of children as by default, one minute each."""
    rng = np.random.default_rng(seed)
    devices = simulate_devices(5, rng, artefacts)
    for number, row in enumerate(simulate_patients(n, rng=rng).to_dict("records")):
        acquired, _ = record(Vitals.of(row), devices[int(rng.integers(5))], duration_s=MINUTE_S, rng=rng)
        yield str(number), acquired.infrared.astype(float), float(FS_HZ)


# Name -> reader, and whether the samples hold the light's level.
REAL = {
    "mw_ppg": (mw_ppg, False),
    "oximetry_phone": (oximetry_phone, False),
    "oxiwear": (oxiwear, True),
    "stress_predict": (stress_predict, False),
    "spc2015": (spc2015, False),
}


def measured(raw: FloatArray, fs_hz: float, *, has_level: bool) -> pd.DataFrame:
    """A row a segment: ``is_disturbed``, ``is_lost`` (a defect) and ``perfusion_pct``, NaN where disturbed."""
    done = preprocess(raw, fs_hz=fs_hz, fs_out_hz=STORED_HZ, band_hz=BANDS_HZ["ppg"])
    samples = np.asarray(done.samples, dtype=np.float64)
    samples = -samples if is_inverted(polarity(samples, fs_hz=STORED_HZ)) else samples
    length = min(round(SEGMENT_S * STORED_HZ), len(samples))
    starts = np.arange(0, len(samples) - length + 1, length)
    channels = {"ppg_ir": VitalChannel(samples, np.asarray(done.baseline, dtype=np.float64), has_level)}
    recording = SegmentedRecording(channels, starts, length, STORED_HZ)
    indices = {"ppg_ir": index_table(recording.segments("ppg_ir"), fs_hz=STORED_HZ)}
    recording = SegmentedRecording(channels, starts, length, STORED_HZ, indices=indices)
    quality = segment_quality(recording)
    is_lost = segment_defects(done.flags, starts, length) != ""
    is_disturbed = is_lost | (quality["ppg_ir"] < MIN_QUALITY)
    perfusion = segment_vitals(recording, quality, spo2_calibration=())["perfusion_index_percent"]
    return pd.DataFrame(
        {"is_disturbed": is_disturbed, "is_lost": is_lost, "perfusion_pct": np.where(is_disturbed, np.nan, perfusion)}
    )


def rates(minutes: Minutes, *, has_level: bool = True) -> dict[str, float]:
    """Proportions of segments and minutes, and the perfusion of undisturbed segments; persons count alike."""
    rows = []
    for number, (person, raw, fs_hz) in enumerate(minutes):
        rows.append(measured(raw, fs_hz, has_level=has_level).assign(person=person, minute=number))
    table = pd.concat(rows)
    weight = 1 / table.groupby("person")["minute"].transform("size")
    proportion = table.groupby(["person", "minute"])["is_disturbed"].mean().reset_index()
    of_minutes = proportion.groupby("person")["is_disturbed"]
    perfusion = table["perfusion_pct"].dropna()
    return {
        "persons": table["person"].nunique(),
        "segments": len(table),
        "disturbed": float(np.average(table["is_disturbed"], weights=weight)),
        "lost": float(np.average(table["is_lost"], weights=weight)),
        "minutes_without": float(of_minutes.agg(lambda part: (part == 0).mean()).mean()),
        "minutes_throughout": float(of_minutes.agg(lambda part: (part == 1).mean()).mean()),
        "perfusion_pct": float(perfusion.median()) if has_level else np.nan,
        "perfusion_p10_pct": float(perfusion.quantile(0.1)) if has_level else np.nan,
        "weak": float((perfusion < WEAK_PCT).mean()) if has_level else np.nan,
    }


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--children", type=int, default=300)
    options = parser.parse_args()
    found = {name: rates(read(options.data / name), has_level=level) for name, (read, level) in REAL.items()}
    for artefacts in ARTEFACTS:
        found[f"simulated, {artefacts}"] = rates(simulated(artefacts, options.children))
    columns = list(next(iter(found.values())))
    print(f"| | {' | '.join(columns)} |\n|{'---|' * (len(columns) + 1)}")
    for name, row in found.items():
        cells = [f"{value:.2f}" if isinstance(value, float) else str(value) for value in row.values()]
        print(f"| {name} | {' | '.join('' if cell == 'nan' else cell for cell in cells)} |")


if __name__ == "__main__":
    main()
