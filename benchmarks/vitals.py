"""Vital signs and polarity on real recordings with a reference, on simulated ones, and beside neurokit2.

    python benchmarks/vitals.py [--data FOLDER]

FOLDER holds the public recordings (ppg_bp, mw_ppg, arrhythmia_pool, wfdb_samples, oximetry_phone, spc2015, oxiwear);
without it, that of the environment variable PPGSSL_TEST_DATA, or ../shared/data. Prints one table a question, as in
docs/vitals.md, and ends with ratios of time, neurokit2's over ours. Signals are prepared as ingest prepares them, at
100 Hz; neurokit2 sees the same samples, gaps filled with 0.
"""

from __future__ import annotations

import argparse
import csv
import os
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import neurokit2 as nk
import numpy as np
import wfdb
from oximetry import finger_table, phone_table
from scipy.io import loadmat

from ppgssl.core.config.fixed import BANDS_HZ
from ppgssl.core.records import FloatArray
from ppgssl.signals.beat_times import BeatTimes, ecg_beats, ppg_beats
from ppgssl.signals.oximetry import perfusion_index, ratio_of_ratios, spo2
from ppgssl.signals.polarity import is_inverted, polarity
from ppgssl.signals.preprocessing import Processed, preprocess
from ppgssl.signals.pulse_arrival import pulse_arrival_time
from ppgssl.signals.pulse_rate import beat_rate, heart_rate
from ppgssl.signals.quality_indices import index_table, sqi
from ppgssl.signals.respiration import MIN_QUALITY, Respiration, respiration, respiratory_rate
from ppgssl.signals.segmentation import cut, segment_starts
from ppgssl.signals.variability import Variability, heart_rate_variability
from ppgssl.signals.vitals import SegmentedRecording, VitalChannel, segment_quality, segment_vitals
from ppgssl.simulate.devices import Device, acquire
from ppgssl.simulate.physiology import simulate_patients
from ppgssl.simulate.waveform import Vitals, simulate_light

FS_HZ = 100
LENGTH = 10 * FS_HZ
LEADS = {"i", "ii", "iii", "v", "v5", "mcl1", "mlii"}


class Record(NamedTuple):
    """Prepared PPG and ECG of one WFDB record, and its breathing channel as it is, with that one's rate."""

    ppg: dict[str, FloatArray]
    ecg: dict[str, FloatArray]
    resp: tuple[FloatArray, float] | None


def prepare(raw: FloatArray, fs_hz: float, kind: str) -> Processed:
    return preprocess(raw, fs_hz=fs_hz, fs_out_hz=FS_HZ, band_hz=BANDS_HZ[kind])


def read_record(folder: Path, name: str) -> Record:
    record = wfdb.rdrecord(str(folder / "wfdb_samples" / name), smooth_frames=False)
    result = Record({}, {}, None)
    for label, raw, per_frame in zip(record.sig_name, record.e_p_signal, record.samps_per_frame, strict=True):
        fs_hz = record.fs * per_frame
        if label.lower() == "pleth":
            result.ppg[label] = prepare(raw, fs_hz, "ppg").samples
        elif label.lower() in LEADS:
            result.ecg[label] = prepare(raw, fs_hz, "ecg").samples
        elif label.lower() == "resp":
            result = result._replace(resp=(raw, fs_hz))
    return result


def grid(samples: FloatArray, step_s: float = 10.0) -> np.ndarray:
    return segment_starts(len(samples), fs_hz=FS_HZ, segment_s=LENGTH / FS_HZ, step_s=step_s)


def neurokit_peaks(find: Callable[..., Any], samples: FloatArray) -> FloatArray:
    """Peaks in samples; none where neurokit2 raises."""
    try:
        found = find(np.nan_to_num(samples.astype(np.float64)), sampling_rate=FS_HZ)
    except (IndexError, ValueError, TypeError, ZeroDivisionError):
        return np.zeros(0)
    info = found[1] if isinstance(found, tuple) else found
    return np.asarray(info.get("ECG_R_Peaks", info.get("PPG_Peaks")), dtype=np.float64)


def as_beats(sample: FloatArray) -> BeatTimes:
    sample = np.unique(sample)
    return BeatTimes(sample, np.diff(sample) <= 2 * FS_HZ)


def rates(sample: FloatArray, starts: np.ndarray) -> FloatArray:
    """60 over the median interval of each segment, NaN with fewer than two beats."""
    pieces = [sample[(sample >= start) & (sample < start + LENGTH)] for start in starts]
    return np.array([60 * FS_HZ / np.median(np.diff(p)) if len(p) > 1 else np.nan for p in pieces])


def table(title: str, header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    print(f"\n**{title}**\n")
    print("| " + " | ".join(header) + " |\n|" + "---|" * len(header))
    for row in rows:
        print("| " + " | ".join(f"{cell:.2f}" if isinstance(cell, float) else str(cell) for cell in row) + " |")


def errors(found: FloatArray, expected: FloatArray, *limits: float) -> list[object]:
    """Number with a reference, share known, median and mean absolute error, and share within each limit."""
    has_reference = np.isfinite(expected)
    known = has_reference & np.isfinite(found)
    error = np.abs(found - expected)[known]
    if not len(error):
        return [int(has_reference.sum()), 0.0, *["-"] * (2 + len(limits))]
    within = [float(np.mean(error <= limit)) for limit in limits]
    return [
        int(has_reference.sum()),
        float(known.sum() / has_reference.sum()),
        float(np.median(error)),
        float(error.mean()),
        *within,
    ]


# Beats


def nearest(of: FloatArray, among: FloatArray) -> FloatArray:
    """Distance in seconds of each beat from the nearest of others."""
    after = np.clip(np.searchsorted(among, of), 1, len(among) - 1)
    return np.minimum(np.abs(of - among[after - 1]), np.abs(of - among[after])) / FS_HZ


def reference_beats(folder: Path) -> tuple[FloatArray, np.ndarray]:
    """Annotated beats of record 100 in samples at 100 Hz, and their symbols."""
    notes = wfdb.rdann(str(folder / "wfdb_samples" / "100"), "atr")
    symbols = np.array(notes.symbol)
    return notes.sample[symbols != "+"] * (FS_HZ / 360), symbols[symbols != "+"]


def beats_against_annotations(folder: Path) -> None:
    true, _ = reference_beats(folder)
    rows: list[list[object]] = []
    for lead, samples in read_record(folder, "100").ecg.items():
        finders = {"ours": ecg_beats(samples, fs_hz=FS_HZ).sample, "neurokit2": neurokit_peaks(nk.ecg_peaks, samples)}
        for name, found in finders.items():
            sensitivity, predictive = np.mean(nearest(true, found) <= 0.1), np.mean(nearest(found, true) <= 0.1)
            distance_ms = 1000 * nearest(true, found)
            rows.append([lead, name, len(found), *(f"{v:.4f}" for v in (sensitivity, predictive))])
            rows[-1].append(float(np.sqrt(np.mean(distance_ms[distance_ms <= 100] ** 2))))
    title = f"R peaks of record 100 (30 min, {len(true)} annotated beats, tolerance 100 ms)"
    table(title, ["lead", "method", "found", "sensitivity", "PPV", "RMS ms"], rows)


def beats_across_signals(folder: Path) -> None:
    rows: list[list[object]] = []
    for name in ("a103l", "mixedsignals", "multi-segment/041s/041s"):
        record = read_record(folder, name)
        lead = "V"
        peaks = ecg_beats(record.ecg[lead], fs_hz=FS_HZ).sample
        (samples,) = record.ppg.values()
        finders = {
            "ours": ppg_beats(samples, fs_hz=FS_HZ).sample,
            "neurokit2": neurokit_peaks(nk.ppg_findpeaks, samples),
        }
        for method, found in finders.items():
            after = np.searchsorted(found, peaks + 0.05 * FS_HZ)
            delay_s = (found[np.minimum(after, len(found) - 1)] - peaks) / FS_HZ
            delay_s = delay_s[(delay_s > 0) & (delay_s < 0.8)]
            near = delay_s[np.abs(delay_s - np.median(delay_s)) < 0.06]
            rows.append([f"{name}, {lead}", method, len(peaks), len(found), len(near) / len(peaks), 1000 * near.std()])
    header = ["record", "method", "R peaks", "pulses", "share of R peaks followed at the usual delay", "SD of delay ms"]
    table("Pulses that follow R peaks (60 ms around the median delay)", header, rows)


# Heart rate


def heart_rate_clinic(folder: Path) -> None:
    with (folder / "ppg_bp/clinical.csv").open(newline="") as file:
        reference = {row["subject_id"]: float(row["heart_rate_bpm"]) for row in csv.DictReader(file)}
    ours, theirs, expected = [], [], []
    for patient, rate in reference.items():
        for path in sorted((folder / "ppg_bp/signals").glob(f"{patient}_*.txt")):
            samples = prepare(np.array(path.read_text().split(), dtype=float)[:2100], 1000, "ppg").samples
            ours.append(heart_rate(samples[None], fs_hz=FS_HZ)[0])
            theirs.append(rates(neurokit_peaks(nk.ppg_findpeaks, samples), np.array([0]))[0])
            expected.append(rate)
    rows = [
        [name, *errors(np.array(v), np.array(expected), 5, 10)] for name, v in (("ours", ours), ("neurokit2", theirs))
    ]
    header = ["method", "recordings", "known", "median", "mean", "within 5", "within 10"]
    table("Heart rate of 2.1 s (ppg_bp) against the clinical table, error in bpm", header, rows)


def heart_rate_records(folder: Path) -> None:
    rows: list[list[object]] = []
    true, _ = reference_beats(folder)
    samples = read_record(folder, "100").ecg["MLII"]
    rows += heart_rate_rows("100, ECG MLII", samples, true, neurokit_peaks(nk.ecg_peaks, samples))
    for name in ("a103l", "mixedsignals", "multi-segment/041s/041s", "v102s"):
        record = read_record(folder, name)
        peaks = ecg_beats(record.ecg["V"], fs_hz=FS_HZ).sample
        (samples,) = record.ppg.values()
        rows += heart_rate_rows(f"{name}, PPG", samples, peaks, neurokit_peaks(nk.ppg_findpeaks, samples))
    header = ["record", "method", "segments", "known", "median", "mean", "within 2", "within 5"]
    table(
        "Heart rate of 10 s against annotations (100) or the median R-R interval of lead V, error in bpm", header, rows
    )


def heart_rate_rows(name: str, samples: FloatArray, reference: FloatArray, theirs: FloatArray) -> list[list[object]]:
    starts = grid(samples)
    segments, expected = cut(samples, starts, LENGTH), rates(reference, starts)
    whole = np.isfinite(segments).all(axis=1)
    if "ECG" in name:
        ours = beat_rate(ecg_beats(samples, fs_hz=FS_HZ), starts, LENGTH, fs_hz=FS_HZ)
    else:
        ours = heart_rate(segments, fs_hz=FS_HZ)
    peaks = np.where(whole, rates(theirs, starts), np.nan)
    return [[name, "ours", *errors(ours, expected, 2, 5)], [name, "neurokit2", *errors(peaks, expected, 2, 5)]]


def finger_minutes(folder: Path) -> Iterator[FloatArray]:
    """The 78 recordings of mw_ppg, three channels each."""
    for number in range(1, 79):
        path = folder / f"mw_ppg/recordings/bp_dataset_{number}.csv"
        for raw in np.loadtxt(path, delimiter=",", skiprows=1).T:
            yield prepare(raw, 200, "ppg").samples


def heart_rate_minutes(folder: Path) -> None:
    ours, theirs, quality = [], [], []
    for samples in finger_minutes(folder):
        starts = grid(samples)
        segments = cut(samples, starts, LENGTH)
        ours.append(heart_rate(segments, fs_hz=FS_HZ))
        theirs.append(rates(neurokit_peaks(nk.ppg_findpeaks, samples), starts))
        quality.append(sqi(segments, fs_hz=FS_HZ))
    found, expected, good = np.concatenate(ours), np.concatenate(theirs), np.concatenate(quality) >= 0.5
    rows = [
        ["all", *errors(found, expected, 2, 5)],
        ["SQI at least 0.5", *errors(found[good], expected[good], 2, 5)],
        ["SQI below 0.5", *errors(found[~good], expected[~good], 2, 5)],
    ]
    header = ["segments", "number", "known", "median", "mean", "within 2", "within 5"]
    table("Heart rate of 10 s (mw_ppg, 234 one-minute channels), ours against neurokit2's peaks, in bpm", header, rows)


# Variability


def neurokit_variability(peaks: FloatArray, starts: np.ndarray, length: int, *, corrected: bool) -> Variability:
    values = np.full((2, len(starts)), np.nan)
    for number, start in enumerate(starts):
        inside = peaks[(peaks >= start) & (peaks < start + length)].astype(int)
        if len(inside) < 6:
            continue
        try:
            if corrected:
                _, inside = nk.signal_fixpeaks(inside, sampling_rate=FS_HZ, method="Kubios")
            found = nk.hrv_time(inside, sampling_rate=FS_HZ)
        except (IndexError, ValueError, TypeError):
            continue
        values[:, number] = found["HRV_SDNN"].iloc[0], found["HRV_RMSSD"].iloc[0]
    return Variability(*values)


def annotated_variability(sample: FloatArray, symbols: np.ndarray, starts: np.ndarray, length: int) -> Variability:
    """Of the intervals between two annotated normal beats."""
    values = np.full((2, len(starts)), np.nan)
    is_normal = (symbols[1:] == "N") & (symbols[:-1] == "N")
    for number, start in enumerate(starts):
        inside = (sample[:-1] >= start) & (sample[1:] < start + length)
        intervals = np.diff(sample)[inside] * (1000 / FS_HZ)
        normal = is_normal[inside]
        pairs = normal[1:] & normal[:-1]
        if normal.sum() > 4:
            values[0, number] = intervals[normal].std(ddof=1)
            values[1, number] = np.sqrt(np.mean(np.diff(intervals)[pairs] ** 2))
    return Variability(*values)


def variability_annotated(folder: Path) -> None:
    true, symbols = reference_beats(folder)
    samples = read_record(folder, "100").ecg["MLII"]
    peaks = neurokit_peaks(nk.ecg_peaks, samples)
    rows: list[list[object]] = []
    for length in (LENGTH, 6 * LENGTH):
        starts = np.arange(0, len(samples) - length, length)
        expected = annotated_variability(true, symbols, starts, length)
        methods = {
            "ours": heart_rate_variability(ecg_beats(samples, fs_hz=FS_HZ), starts, length, fs_hz=FS_HZ),
            "neurokit2": neurokit_variability(peaks, starts, length, corrected=False),
            "neurokit2, Kubios correction": neurokit_variability(peaks, starts, length, corrected=True),
        }
        for method, found in methods.items():
            for number, vital in enumerate(("SDNN", "RMSSD")):
                median = float(np.nanmedian(expected[number]))
                rows.append([length // FS_HZ, vital, median, method, *errors(found[number], expected[number], 5)])
    header = ["s", "vital", "median of reference", "method", "segments", "known", "median", "mean", "within 5 ms"]
    table("Variability of record 100 against its annotated normal beats (error in ms)", header, rows)


def variability_of_pulses(folder: Path) -> None:
    rows: list[list[object]] = []
    for name in ("a103l", "mixedsignals"):
        record = read_record(folder, name)
        (samples,) = record.ppg.values()
        starts = grid(samples)
        found = heart_rate_variability(ppg_beats(samples, fs_hz=FS_HZ), starts, LENGTH, fs_hz=FS_HZ)
        expected = heart_rate_variability(ecg_beats(record.ecg["V"], fs_hz=FS_HZ), starts, LENGTH, fs_hz=FS_HZ)
        for number, vital in enumerate(("SDNN", "RMSSD")):
            both = np.isfinite(found[number]) & np.isfinite(expected[number])
            bias = float(np.median((found[number] - expected[number])[both]))
            rows.append([name, vital, float(np.median(expected[number][both])), bias])
            rows[-1] += errors(found[number], expected[number], 5)
    header = ["record", "vital", "median of ECG", "bias", "segments", "known", "median", "mean", "within 5 ms"]
    table("Variability of 10 s from pulses against R peaks (ms)", header, rows)


def variability_by_rhythm(folder: Path) -> None:
    known: dict[int, list[bool]] = {rhythm: [] for rhythm in range(6)}
    for path in sorted((folder / "arrhythmia_pool").glob("*.npz")):
        with np.load(path) as arrays:
            for raw, rhythm in zip(arrays["ppg"].astype(float), arrays["rhythm"].tolist(), strict=True):
                beats = ppg_beats(prepare(raw, 100, "ppg").samples, fs_hz=FS_HZ)
                sdnn, _ = heart_rate_variability(beats, np.array([0]), LENGTH, fs_hz=FS_HZ)
                known[rhythm].append(bool(np.isfinite(sdnn[0])))
    names = ("sinus rhythm", "PVC", "PAC", "VT", "SVT", "atrial fibrillation")
    rows = [[names[rhythm], len(values), float(np.mean(values))] for rhythm, values in known.items()]
    table("Segments whose intervals pass as normal (arrhythmia_pool, PPG, 10 s)", ["rhythm", "segments", "share"], rows)


# Respiration


def breathing_rate(resp: FloatArray, fs_hz: float, middle_s: float) -> tuple[float, float]:
    """Highest peak of the breathing channel's spectrum in the 32 s around, and the share of power within 4 per min."""
    first = int(np.clip((middle_s - 16) * fs_hz, 0, max(len(resp) - 32 * fs_hz, 0)))
    window = resp[first : first + int(32 * fs_hz)]
    window = np.where(np.isfinite(window), window, np.nanmean(window))
    n_fft = int(256 * fs_hz)
    power = np.abs(np.fft.rfft((window - window.mean()) * np.hanning(len(window)), n_fft)) ** 2
    per_min = 60 * np.fft.rfftfreq(n_fft, 1 / fs_hz)
    power[(per_min < 4) | (per_min > 65)] = 0
    rate = per_min[power.argmax()]
    return float(rate), float(power[np.abs(per_min - rate) <= 4].sum() / power.sum())


def respiration_records(folder: Path) -> None:
    rows: list[list[object]] = []
    for name in ("03700181", "v102s", "mixedsignals", "multi-segment/041s/041s"):
        record = read_record(folder, name)
        assert record.resp is not None
        for label, samples in [*record.ppg.items(), *record.ecg.items()]:
            kind = "ppg" if label in record.ppg else "ecg"
            beats = (ppg_beats if kind == "ppg" else ecg_beats)(samples, fs_hz=FS_HZ)
            starts = grid(samples, 2.0)
            found = respiratory_rate(samples, beats, starts, LENGTH, fs_hz=FS_HZ, modality=kind)
            reference = np.array([breathing_rate(*record.resp, (start + LENGTH / 2) / FS_HZ) for start in starts])
            for which, chosen in (("all", reference[:, 1] >= 0), ("regular", reference[:, 1] >= 0.5)):
                expected = np.where(chosen, reference[:, 0], np.nan)
                if np.isfinite(expected).any():
                    rows.append([name, label, which, *errors(found, expected, 2, 4)])
    header = ["record", "channel", "breathing", "segments", "known", "median", "mean", "within 2", "within 4"]
    table("Respiratory rate against the breathing channel, error per minute (segments every 2 s)", header, rows)


def phone_minutes(folder: Path, colour: str) -> Iterator[tuple[str, Respiration, FloatArray, FloatArray]]:
    """Person, respiration and the CO2 monitor's mean rate, at once and 30 s later, of minutes every 30 s, by hand."""
    reference: dict[str, list[float]] = {}
    with (folder / "oximetry_phone/reference.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            reference.setdefault(row["subject"], []).append(float(row["rr_co2_per_min"] or "nan"))
    for path in sorted((folder / "oximetry_phone/camera").glob("*/*.csv")):
        light = np.loadtxt(path, delimiter=",", skiprows=1, usecols="RGB".index(colour))
        samples = prepare(-light, 30, "ppg").samples
        starts = np.arange(0, len(samples) - 60 * FS_HZ + 1, 30 * FS_HZ)
        beats = ppg_beats(samples, fs_hz=FS_HZ)
        found = respiration(samples, beats, starts, 60 * FS_HZ, fs_hz=FS_HZ, modality="ppg")
        monitor = np.array(reference[path.stem])
        expected = [
            [np.nanmean(monitor[second : second + 60]) if len(monitor) >= second + 30 else np.nan for second in seconds]
            for seconds in (starts // FS_HZ, starts // FS_HZ + 30)
        ]
        yield path.stem, found, np.array(expected[0]), np.array(expected[1])


def respiration_phone(folder: Path) -> None:
    rows: list[list[object]] = []
    for colour, name in (("G", "green"), ("R", "red"), ("B", "blue")):
        minutes = list(phone_minutes(folder, colour))
        people = ["all", *sorted({minute[0] for minute in minutes})] if colour == "G" else ["all"]
        for person in people:
            of_person = [minute for minute in minutes if person in ("all", minute[0])]
            rate = np.concatenate([found.rate_per_min for _, found, _, _ in of_person])
            quality = np.concatenate([found.quality for _, found, _, _ in of_person])
            given = np.where(quality >= MIN_QUALITY, rate, np.nan)
            for delay, number in (("none", 2), ("30 s", 3)):
                expected = np.concatenate([minute[number] for minute in of_person])
                rows.append([name, person, delay, *errors(given, expected, 2, 4)])
                if colour == "G" and person == "all" and delay == "30 s":
                    reliability = reliability_rows("finger, CO2 30 s later", quality, np.abs(rate - expected))
    header = ["colour", "person", "delay", "segments", "known", "median", "mean", "within 2", "within 4"]
    title = "Respiratory rate of 60 s (oximetry_phone, six persons, both hands) against CO2, error per minute"
    table(title, header, rows)
    for who, adults in (("simulated children with movement", False), ("simulated adults with movement", True)):
        found, expected = respiration_of_simulated(adults=adults, disturbed=True)
        reliability += reliability_rows(who, found.quality, np.abs(found.rate_per_min - expected))
    header = ["recordings", "quality", "segments", "mean quality", "share within 2 per minute"]
    table("Quality of respiratory rates, and how many were right", header, reliability)


def reliability_rows(name: str, quality: FloatArray, error: FloatArray) -> list[list[object]]:
    edges = (0.0, 0.3, 0.6, 0.8, 0.95, 1.0)
    rows: list[list[object]] = []
    for low, high in pairwise(edges):
        inside = np.isfinite(error) & (quality >= low) & ((quality < high) | (high == 1))
        if inside.any():
            right = float(np.mean(error[inside] <= 2))
            rows.append([name, f"{low:g} to {high:g}", int(inside.sum()), float(quality[inside].mean()), right])
    return rows


def respiration_running(folder: Path) -> None:
    """Share given among 10 s of the wrist, by part of the protocol: rest of 30 s before and after the exercise."""
    given: dict[str, list[np.ndarray]] = {"rest": [], "exercise": []}
    for path in sorted((folder / "spc2015/recordings").glob("*.mat")):
        for raw in loadmat(path)["sig"][1:3]:
            samples = prepare(raw, 125, "ppg").samples
            starts = grid(samples, 2.0)
            beats = ppg_beats(samples, fs_hz=FS_HZ)
            found = respiratory_rate(samples, beats, starts, LENGTH, fs_hz=FS_HZ, modality="ppg")
            is_exercise = (starts >= 30 * FS_HZ) & (starts + LENGTH <= len(samples) - 30 * FS_HZ)
            given["exercise"].append(np.isfinite(found[is_exercise]))
            given["rest"].append(np.isfinite(found[~is_exercise]))
    rows = [[part, sum(map(len, values)), float(np.mean(np.concatenate(values)))] for part, values in given.items()]
    table("Respiratory rate of runners' wrists (spc2015; there is no reference)", ["part", "segments", "known"], rows)


class Simulated(NamedTuple):
    truth: Vitals
    resp_phase: FloatArray
    red: Processed
    infrared: Processed


def simulate(n: int, *, adults: bool, disturbed: bool) -> list[Simulated]:
    """Minutes of a clip oximeter, pulses upright."""
    rng = np.random.default_rng(5)
    device = Device() if disturbed else Device(motion_per_min=0, lost_contact_per_min=0)
    result = []
    for row in simulate_patients(n, prevalence=0.3, rng=rng).to_dict("records"):
        truth = Vitals.of(row)
        if adults:
            truth = replace(truth, heart_rate_bpm=rng.uniform(50, 100), resp_rate_per_min=rng.uniform(8, 24))
        light = simulate_light(truth, duration_s=60, fs_hz=80, rng=rng)
        acquired = acquire(light, device, fs_hz=80, rng=rng)
        red, infrared = (prepare(counts.astype(float), 80, "ppg") for counts in (acquired.red, acquired.infrared))
        result.append(Simulated(truth, light.resp_phase, upright(red), upright(infrared)))
    return result


def upright(light: Processed) -> Processed:
    return replace(light, samples=-light.samples)


def respiration_of_simulated(*, adults: bool, disturbed: bool) -> tuple[Respiration, FloatArray]:
    """Respiration of 150 minutes, segments every 2 s, and the true rate of the 32 s around each."""
    found, expected = [], []
    for minute in simulate(150, adults=adults, disturbed=disturbed):
        samples = minute.infrared.samples
        starts = grid(samples, 2.0)
        beats = ppg_beats(samples, fs_hz=FS_HZ)
        found.append(respiration(samples, beats, starts, LENGTH, fs_hz=FS_HZ, modality="ppg"))
        first = np.clip(starts / FS_HZ + LENGTH / FS_HZ / 2 - 16, 0, 28)
        phase = np.unwrap(minute.resp_phase)[np.minimum((first * 80 + [[0], [2560]]).astype(int), 4799)]
        expected.append((phase[1] - phase[0]) / (2 * np.pi) * 60 / 32)
    return Respiration(*np.concatenate(found, axis=1)), np.concatenate(expected)


def respiration_simulated() -> None:
    rows: list[list[object]] = []
    for who, adults in (("children", False), ("adults", True)):
        for device, disturbed in (("undisturbed", False), ("with movement", True)):
            found, expected = respiration_of_simulated(adults=adults, disturbed=disturbed)
            given = np.where(found.quality >= MIN_QUALITY, found.rate_per_min, np.nan)
            rows.append([who, device, *errors(given, expected, 2, 4)])
    header = ["who", "device", "segments", "known", "median", "mean", "within 2", "within 4"]
    table("Respiratory rate of simulated infrared PPG against the truth, error per minute", header, rows)


# Oximetry and pulse arrival


def oximetry_simulated() -> None:
    rows: list[list[object]] = []
    for device, disturbed in (("undisturbed", False), ("with movement", True)):
        found: dict[str, list[FloatArray]] = {"SpO2": [], "perfusion index": []}
        expected: dict[str, list[FloatArray]] = {"SpO2": [], "perfusion index": []}
        for minute in simulate(150, adults=False, disturbed=disturbed):
            red, infrared = minute.red, minute.infrared
            starts = grid(red.samples, 2.0)
            beats = ppg_beats(infrared.samples, fs_hz=FS_HZ)
            levels = (red.baseline, infrared.baseline)
            ratio = ratio_of_ratios(red.samples, infrared.samples, *levels, starts, LENGTH, fs_hz=FS_HZ)
            found["SpO2"].append(spo2(ratio, (110.0, -25.0)))
            index = perfusion_index(infrared.samples, infrared.baseline, beats, starts, LENGTH, fs_hz=FS_HZ)
            found["perfusion index"].append(index)
            expected["SpO2"].append(np.full(len(starts), minute.truth.spo2_pct))
            expected["perfusion index"].append(np.full(len(starts), minute.truth.perfusion_index_pct))
        for vital, limit in (("SpO2", 2.0), ("perfusion index", 0.5)):
            truth = np.concatenate(expected[vital])
            rows.append([vital, device, *errors(np.concatenate(found[vital]), truth, limit), limit])
    header = ["vital", "device", "segments", "known", "median", "mean", "share within", "limit"]
    table("Oximetry on simulated children against the truth, error in percentage points", header, rows)


def pulse_arrival_records(folder: Path) -> None:
    rows: list[list[object]] = []
    for name in ("a103l", "mixedsignals", "multi-segment/041s/041s"):
        record = read_record(folder, name)
        (samples,) = record.ppg.values()
        for lead in ("II", "V") if "II" in record.ecg else ("III", "V"):
            starts = grid(samples, 2.0)
            peaks, pulses = ecg_beats(record.ecg[lead], fs_hz=FS_HZ), ppg_beats(samples, fs_hz=FS_HZ)
            found = pulse_arrival_time(peaks, pulses, starts, LENGTH, fs_hz=FS_HZ)
            quartiles = np.nanpercentile(found, [25, 50, 75]).round().astype(int)
            rows.append([name, lead, len(starts), float(np.isfinite(found).mean()), *quartiles])
    header = ["record", "lead", "segments", "known", "lower quartile", "median ms", "upper quartile"]
    table("Pulse arrival time (there is no reference)", header, rows)


# Polarity


def polarity_scores(folder: Path) -> dict[str, list[float]]:
    scores = {"mw_ppg, 60 s": [polarity(samples, fs_hz=FS_HZ) for samples in finger_minutes(folder)]}
    paths = sorted((folder / "ppg_bp/signals").glob("*.txt"))
    short = [prepare(np.array(path.read_text().split(), dtype=float)[:2100], 1000, "ppg").samples for path in paths]
    scores["ppg_bp, 2.1 s"] = [polarity(samples, fs_hz=FS_HZ) for samples in short]
    names = ("sinus", "PVC", "PAC", "VT", "SVT", "AF")
    rhythms: dict[str, list[float]] = {f"arrhythmia_pool {name}, 10 s": [] for name in names}
    for path in sorted((folder / "arrhythmia_pool").glob("*.npz")):
        with np.load(path) as arrays:
            for raw, rhythm in zip(arrays["ppg"].astype(float), arrays["rhythm"].tolist(), strict=True):
                score = polarity(prepare(raw, 100, "ppg").samples, fs_hz=FS_HZ)
                rhythms[f"arrhythmia_pool {names[rhythm]}, 10 s"].append(score)
    simulated = simulate(300, adults=False, disturbed=True)
    scores |= rhythms
    scores["simulated oximeter, 60 s"] = [polarity(minute.infrared.samples, fs_hz=FS_HZ) for minute in simulated]
    return scores


def polarity_table(folder: Path) -> None:
    scores = polarity_scores(folder)
    scores["all real"] = [value for name, values in scores.items() if "simulated" not in name for value in values]
    rows = [
        [
            name,
            len(values),
            sum(is_inverted(value) for value in values),
            sum(not is_inverted(-value) for value in values),
            *np.nanpercentile(values, [0, 1, 50]).tolist(),
        ]
        for name, values in scores.items()
    ]
    header = ["recordings", "number", "wrongly called inverted", "missed when negated", "lowest score", "1 %", "median"]
    table("Polarity of upright recordings, and of the same negated", header, rows)


# Speed


def best_time(function: Callable[[], object], n_repeats: int = 20) -> float:
    """Seconds of the fastest call."""
    seconds = []
    for _ in range(n_repeats):
        started = time.perf_counter()
        function()
        seconds.append(time.perf_counter() - started)
    return min(seconds)


def speed(folder: Path) -> dict[str, float]:
    minute = simulate(1, adults=False, disturbed=False)[0]
    starts = grid(minute.infrared.samples, 2.0)
    channels = {
        name: VitalChannel(p.samples, p.baseline, True)
        for name, p in (("ppg_red", minute.red), ("ppg_ir", minute.infrared))
    }
    indices = {name: index_table(cut(one.samples, starts, LENGTH), fs_hz=FS_HZ) for name, one in channels.items()}

    def quality_and_vitals() -> None:
        recording = SegmentedRecording(channels, starts, LENGTH, FS_HZ, indices=indices)
        segment_vitals(recording, segment_quality(recording), spo2_calibration=(110, -25))

    ppg, ecg = minute.infrared.samples, read_record(folder, "100").ecg["MLII"][:6000]
    wide_ppg, wide_ecg = ppg.astype(np.float64), ecg.astype(np.float64)
    beats, peaks = ecg_beats(ecg, fs_hz=FS_HZ), neurokit_peaks(nk.ecg_peaks, ecg)
    whole = best_time(quality_and_vitals)
    rate = best_time(lambda: heart_rate(cut(ppg, starts, LENGTH), fs_hz=FS_HZ))
    pulses = ppg_beats(ppg, fs_hz=FS_HZ)
    breaths = best_time(lambda: respiratory_rate(ppg, pulses, starts, LENGTH, fs_hz=FS_HZ, modality="ppg"))
    pairs = {
        "vitals_ppg_beats": (
            best_time(lambda: ppg_beats(ppg, fs_hz=FS_HZ)),
            best_time(lambda: nk.ppg_findpeaks(wide_ppg, sampling_rate=FS_HZ)),
        ),
        "vitals_ecg_beats": (
            best_time(lambda: ecg_beats(ecg, fs_hz=FS_HZ)),
            best_time(lambda: nk.ecg_peaks(wide_ecg, sampling_rate=FS_HZ)),
        ),
        "vitals_variability": (
            best_time(lambda: heart_rate_variability(beats, starts, LENGTH, fs_hz=FS_HZ)),
            best_time(lambda: neurokit_variability(peaks, starts, LENGTH, corrected=False)),
        ),
    }
    rows = [[name, f"{1000 * ours:.3f}", f"{1000 * theirs:.3f}"] for name, (ours, theirs) in pairs.items()]
    rows.append(["vitals_all, red + infrared", f"{1000 * whole:.3f}", "-"])
    rows.append(["of that, heart rate", f"{1000 * rate:.3f}", "-"])
    rows.append(["of that, respiratory rate", f"{1000 * breaths:.3f}", "-"])
    rows.append(["polarity of one channel", f"{1000 * best_time(lambda: polarity(ppg, fs_hz=FS_HZ)):.3f}", "-"])
    title = "Time in ms for one minute at 100 Hz, 26 segments of 10 s every 2 s (best of several)"
    table(title, ["what", "ours", "neurokit2"], rows)
    return {name: theirs / ours for name, (ours, theirs) in pairs.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("PPGSSL_TEST_DATA", "../shared/data")))
    folder = parser.parse_args().data
    warnings.simplefilter("ignore")  # neurokit2 warns of short signals, numpy of segments without beats.
    beats_against_annotations(folder)
    beats_across_signals(folder)
    heart_rate_clinic(folder)
    heart_rate_records(folder)
    heart_rate_minutes(folder)
    variability_annotated(folder)
    variability_of_pulses(folder)
    variability_by_rhythm(folder)
    respiration_phone(folder)
    respiration_running(folder)
    respiration_records(folder)
    respiration_simulated()
    oximetry_simulated()
    finger_table(folder, table)
    phone_table(folder, table)
    pulse_arrival_records(folder)
    polarity_table(folder)
    for name, ratio in speed(folder).items():
        print(f"ratio {name} {ratio:.1f}")


if __name__ == "__main__":
    main()
