"""Features of recordings: what band-pass and sampling rate do to the waves of an ECG, and what the features cost.

    python benchmarks/recordings.py --data FOLDER

``FOLDER`` holds `wfdb_samples`. The tables are in docs/statistics.md.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import wfdb

from ppgssl.core.records import FloatArray
from ppgssl.signals.arrays import preprocess
from ppgssl.signals.beat_times import ecg_beats, ppg_beats
from ppgssl.signals.ecg_waves import ECG_WAVE_NAMES, ecg_wave_features
from ppgssl.signals.rhythm import rhythm_features

LEADS = (("s0010_re", "ii"), ("s0010_re", "v2"), ("s0010_re", "v5"), ("100", "MLII"), ("100", "V5"), ("a103l", "II"))
SHOWN = ("p_to_r_ms", "pr_ms", "qrs_ms", "qt_ms", "r_amplitude", "p_amplitude", "t_amplitude", "st_level")


def lead(folder: Path, record: str, name: str, *, fs_hz: float, band_hz: tuple[float, float]) -> FloatArray:
    read = wfdb.rdrecord(str(folder / "wfdb_samples" / record), channel_names=[name])
    raw = read.p_signal[: 60 * read.fs, 0]
    return preprocess(raw, fs_hz=read.fs, fs_out_hz=fs_hz, band_hz=band_hz, modality="ecg").samples


def waves(samples: FloatArray, fs_hz: float) -> list[str]:
    found = ecg_wave_features(samples, ecg_beats(samples, fs_hz=fs_hz), fs_hz=fs_hz)
    values = dict(zip(ECG_WAVE_NAMES, found, strict=True))
    return [f"{values[name]:.0f}" if name.endswith("ms") else f"{values[name]:.2f}" for name in SHOWN]


def settings() -> Iterator[tuple[str, float, tuple[float, float]]]:
    """Rate and band: nearly unfiltered, as ingest filters, and with less of either."""
    yield "250 Hz, 0.05 to 100 Hz", 250, (0.05, 100)
    yield "250 Hz, 0.5 to 40 Hz", 250, (0.5, 40)
    yield "250 Hz, 1 to 40 Hz", 250, (1, 40)
    yield "100 Hz, 0.5 to 40 Hz", 100, (0.5, 40)
    yield "64 Hz, 0.5 to 28 Hz", 64, (0.5, 28)
    yield "40 Hz, 0.5 to 18 Hz", 40, (0.5, 18)


def seconds(function: Callable[[], object]) -> float:
    """Time of a processor, the least of three calls after the first."""
    function()
    taken = []
    for _ in range(3):
        start = time.process_time()
        function()
        taken.append(time.process_time() - start)
    return min(taken)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    folder = parser.parse_args().data
    print(f"| record, lead | rate, band | {' | '.join(SHOWN)} |\n|{'---|' * (2 + len(SHOWN))}")
    for record, name in LEADS:
        for words, fs_hz, band_hz in settings():
            samples = lead(folder, record, name, fs_hz=fs_hz, band_hz=band_hz)
            print(f"| {record}, {name} | {words} | {' | '.join(waves(samples, fs_hz))} |")
    ecg = lead(folder, "100", "MLII", fs_hz=100, band_hz=(0.5, 40))
    half = np.concatenate([ecg, ecg, ecg, ecg, ecg])
    print("\n| what | ms |\n|---|---|")
    for words, samples in (("a minute", ecg), ("five minutes", half)):
        for kind, find in (("ecg", ecg_beats), ("ppg", ppg_beats)):
            beats = find(samples, fs_hz=100)
            ms = 1000 * seconds(lambda s=samples, b=beats, k=kind: rhythm_features(s, b, fs_hz=100, modality=k))
            print(f"| rhythm, {words}, beats of {kind} | {ms:.0f} |")
    beats = ecg_beats(ecg, fs_hz=100)
    print(f"| ecg-wave, a minute of a lead | {1000 * seconds(lambda: ecg_wave_features(ecg, beats, fs_hz=100)):.0f} |")


if __name__ == "__main__":
    main()
