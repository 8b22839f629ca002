"""Heart rate of running people: the track against published ways, people left out, with and without acceleration.

    python benchmarks/motion.py [--wrist]

With ``--wrist`` the hour-long wrist recordings of ``stress_predict`` instead, against the device's own beat intervals
where it trusts them (at least 80 % of a segment of 10 s): these are the quieter parts, chosen by the device.

The windows are those of the IEEE Signal Processing Cup 2015 (``spc2015``: 8 s every 2 s), the reference is its ECG,
doubtful windows left out. The track's networks never saw the person (:mod:`fit_rate_track`, four folds). The Wiener
filter with Viterbi decoding is after Temko (IEEE Trans Biomed Eng 64:2016, 2017), without his phase vocoder.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from fit_quality import segmented, tracks_without
from fit_rate_track import examples
from references import DATA, FS_HZ, Reference, filtered, spc2015, window_starts
from scipy.signal.windows import hann

from ppgssl.core.records import FloatArray
from ppgssl.signals.pulse_rate import heart_rate
from ppgssl.signals.quality_indices import index_table, sqi
from ppgssl.signals.rate_track import WINDOW_S, Network, track_of
from ppgssl.signals.segmentation import cut
from ppgssl.signals.vitals import segment_quality, segment_vitals

PULSE_HZ = (0.67, 3.5)
# Windows whose spectra the filter averages, as published; rates that are decoded, how much they change from one window
# to the next, and the weight of an amplitude: tried with 3 to 8 per minute and 1 to 6, the middle was taken.
N_HISTORY = 15
PATH_BPM = np.arange(40, 211.0)
CHANGE_BPM, WEIGHT = 5.0, 3.0
NONE = np.zeros(0)


def spectra(signals: Sequence[FloatArray]) -> tuple[FloatArray, FloatArray]:
    """Amplitude spectra of 8 s windows, shape (n_signals, n_windows, n_frequencies), and the rates in 1/min."""
    starts = np.round(window_starts(len(signals[0]) / FS_HZ) * FS_HZ).astype(np.int64)
    length = round(WINDOW_S * FS_HZ)
    windows = np.stack([cut(signal, starts, length) for signal in signals])
    windows = windows - windows.mean(axis=-1, keepdims=True)
    windows /= np.maximum(windows.std(axis=-1, keepdims=True), 1e-12)
    n_fft = 8 * 1024
    rates = 60 * np.fft.rfftfreq(n_fft, 1 / FS_HZ)
    inside = (rates >= 60 * PULSE_HZ[0]) & (rates <= 60 * PULSE_HZ[1])
    return np.abs(np.fft.rfft(windows * hann(length), n_fft))[..., inside], rates[inside]


def largest_peak(reference: Reference, *, acceleration: bool) -> FloatArray:  # noqa: ARG001
    amplitude, rates = spectra(list(reference.channels.values())[:1])
    return np.asarray(rates[amplitude[0].argmax(axis=1)])


def wiener_viterbi(reference: Reference, *, acceleration: bool) -> FloatArray:
    pulse, rates = spectra(list(reference.channels.values()))
    pulse = relative(pulse.mean(axis=0))
    if acceleration:
        motion, _ = spectra(reference.acceleration)
        motion = relative(motion).mean(axis=0)
        past = np.stack([pulse[max(0, at - N_HISTORY + 1) : at + 1].mean(axis=0) for at in range(len(pulse))])
        filters = (np.maximum(1 - motion / np.maximum(relative(past), 1e-6), 0), past / (past + motion))
        cleaned = [relative(pulse * one) for one in filters]
        pulse = relative(sum(one / np.maximum(one.std(axis=-1, keepdims=True), 1e-9) for one in cleaned))
    return most_probable_path(np.stack([np.interp(PATH_BPM, rates, row) for row in pulse]))


def most_probable_path(spectrum: FloatArray) -> FloatArray:
    """Viterbi decoding: rates with large amplitudes that change by some 5 per minute from window to window."""
    change = -0.5 * ((PATH_BPM[:, None] - PATH_BPM) / CHANGE_BPM) ** 2
    score, back = WEIGHT * spectrum[0], []
    for row in spectrum[1:]:
        candidates = score[:, None] + change
        back.append(candidates.argmax(axis=0))
        score = candidates.max(axis=0) + WEIGHT * row
    path = [int(score.argmax())]
    for best in back[::-1]:
        path.append(int(best[path[-1]]))
    return np.asarray(PATH_BPM[path[::-1]])


def relative(spectrum: FloatArray) -> FloatArray:
    return np.asarray(spectrum / np.maximum(spectrum.max(axis=-1, keepdims=True), 1e-12))


def by_segment(reference: Reference, *, acceleration: bool) -> FloatArray:  # noqa: ARG001
    """Each window's own rate, from the channel with the better index: what the product gave before the track."""
    starts = np.round(window_starts(reference.duration_s) * FS_HZ).astype(np.int64)
    segments = [cut(samples, starts, round(WINDOW_S * FS_HZ)) for samples in reference.channels.values()]
    rates = np.stack([heart_rate(one, fs_hz=FS_HZ) for one in segments])
    quality = np.stack([np.nan_to_num(sqi(one, fs_hz=FS_HZ)) for one in segments])
    return np.asarray(rates[quality.argmax(axis=0), np.arange(len(starts))])


def tracked(models: dict[bool, dict[str, Network]]) -> Callable[..., FloatArray]:
    def of(reference: Reference, *, acceleration: bool) -> FloatArray:
        evidence = examples(reference, with_acceleration=acceleration).evidence.astype(np.float64)
        return track_of(evidence, models[acceleration][reference.person]).heart_rate_bpm

    return of


def wrist(folder: Path) -> None:
    """Share of segments accepted, and agreement with the device's intervals, by quality."""
    tables = []
    for path in sorted(folder.glob("S[0-9][0-9]")):
        raw = np.loadtxt(path / "BVP.csv", skiprows=2)
        intervals = pd.read_csv(path / "IBI.csv", skiprows=1, names=["time_s", "interval_s"]).astype(float)
        recording = segmented(Reference(path.name, path.name, {"ppg": filtered(raw, 64)}, [], NONE, NONE), 10.0, 10.0)
        table = index_table(recording.segments("ppg"), fs_hz=FS_HZ)
        recording = replace(recording, indices={"ppg": table})
        start_s = recording.starts / FS_HZ
        of_device = [
            intervals["interval_s"][intervals["time_s"].between(start, start + 10)].to_numpy() for start in start_s
        ]
        expected = [60 / one.mean() if one.sum() >= 8 else np.nan for one in of_device]
        rmssd = [rmssd_ms(one) if one.sum() >= 8 else np.nan for one in of_device]
        quality = segment_quality(recording)["ppg"]
        vitals = segment_vitals(recording, {"ppg": quality}, spo2_calibration=(110, -25))
        tables.append(
            pd.DataFrame(
                {
                    "subject": path.name,
                    "quality": quality,
                    "rules": np.nan_to_num(np.fmin.reduce(table, axis=1)),
                    "rate_error": np.abs(vitals["heart_rate_bpm"] - expected),
                    "has_reference": np.isfinite(expected),
                    "rmssd_error": vitals["rmssd_ms"] - rmssd,
                }
            )
        )
    held = pd.concat(tables, ignore_index=True)
    print("| segments of 10 s | number | proportion | with the device's intervals | rate within 5/min | mean error |"
          " RMSSD known | median difference, ms |\n|" + "---|" * 8)  # fmt: skip
    chosen = {
        "all": held["quality"] >= 0,
        "probability at least 0.5": held["quality"] >= 0.5,
        "probability under 0.5": held["quality"] < 0.5,
        "rules at least 0.5": held["rules"] >= 0.5,
    }
    for name, rows in chosen.items():
        some = held[rows]
        known = some[some["has_reference"]]
        print(
            f"| {name} | {len(some)} | {len(some) / len(held):.2f} | {len(known)} | "
            f"{(known['rate_error'] <= 5).mean():.3f} | {known['rate_error'].mean():.2f} | "
            f"{known['rmssd_error'].notna().mean():.2f} | {known['rmssd_error'].median():.1f} |"
        )
    by_subject = held.assign(good=held["quality"] >= 0.5).groupby("subject")["good"].mean()
    print(f"\naccepted by subject: {by_subject.min():.2f} to {by_subject.max():.2f}, median {by_subject.median():.2f}")


def rmssd_ms(intervals_s: FloatArray) -> float:
    return float(1000 * np.sqrt(np.mean(np.diff(intervals_s) ** 2)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--wrist", action="store_true")
    if parser.parse_args().wrist:
        wrist(DATA / "stress_predict")
        return
    references = list(spc2015())
    truth = pd.read_csv(DATA / "spc2015" / "reference_hr.csv")
    models = {has: tracks_without(references, with_acceleration=has) for has in (False, True)}
    methods = {
        "largest spectral peak of one channel": (largest_peak, (False,)),
        "each window alone (before)": (by_segment, (False,)),
        "Wiener filter and Viterbi decoding (after Temko)": (wiener_viterbi, (False, True)),
        "track": (tracked(models), (False, True)),
    }
    print("| method | acceleration | windows | known | within 5/min | mean error | median error |\n|" + "---|" * 7)
    seconds: dict[str, float] = {}
    for name, (method, kinds) in methods.items():
        for acceleration in kinds:
            errors = []
            for reference in references:
                of_one = truth[truth["recording"] == reference.name]
                start = time.perf_counter()
                found = method(reference, acceleration=acceleration)
                seconds[name] = seconds.get(name, 0.0) + time.perf_counter() - start
                n = min(len(found), len(of_one))
                sure = of_one["ref_doubtful"].to_numpy()[:n] != 1
                errors.append(np.abs(found[:n] - of_one["hr_ref_bpm"].to_numpy()[:n])[sure])
            error = np.concatenate(errors)
            known = error[np.isfinite(error)]
            print(
                f"| {name} | {'yes' if acceleration else 'no'} | {len(error)} | {len(known) / len(error):.2f} | "
                f"{np.sum(known <= 5) / len(error):.3f} | {known.mean():.2f} | {np.median(known):.2f} |"
            )
    ratio = seconds["Wiener filter and Viterbi decoding (after Temko)"] / seconds["track"]
    print(f"\nratio track_against_wiener_seconds {ratio:.2f}")


if __name__ == "__main__":
    main()
