"""Oxygen saturation of real recordings against other oximeters, people or parts of the session left out.

``benchmarks/vitals.py`` prints these tables among its own.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from ppgssl.core.config.fixed import BANDS_HZ
from ppgssl.core.records import FloatArray
from ppgssl.signals.oximetry import fit_spo2_curve, ratio_of_ratios, spo2, spo2_by_curve
from ppgssl.signals.preprocessing import preprocess
from ppgssl.signals.segmentation import segment_starts

Table = Callable[[str, Sequence[str], list[list[object]]], None]
FS_HZ = 100
CAMERA_HZ = 30
N_BLOCKS = 6
# The oximeter shows the camera's saturation 14 to 25 s later (README of the recordings).
LAG_S = 20
RANGES = ((0, 101), (0, 80), (80, 90), (90, 101))


def ratios(light: Sequence[FloatArray], fs_hz: float, segment_s: float, step_s: float) -> FloatArray:
    """Ratio of ratios of the first light over the second, in segments."""
    numerator, denominator = (preprocess(x, fs_hz=fs_hz, fs_out_hz=FS_HZ, band_hz=BANDS_HZ["ppg"]) for x in light)
    starts = segment_starts(len(numerator.samples), fs_hz=FS_HZ, segment_s=segment_s, step_s=step_s)
    pairs = (numerator.samples, denominator.samples, numerator.baseline, denominator.baseline)
    return ratio_of_ratios(*pairs, starts, round(segment_s * FS_HZ), fs_hz=FS_HZ)


def finger_recordings(folder: Path) -> Iterator[tuple[FloatArray, FloatArray, FloatArray, float]]:
    """Infrared, red and ambient counts at 64 Hz, and the saturation read from another oximeter, in order of time."""
    for row in csv.DictReader((folder / "oxiwear/reference.csv").read_text().splitlines()):
        lines = (folder / "oxiwear" / row["file"]).read_text().splitlines()
        header = next(number for number, line in enumerate(lines) if line.startswith("timestamp"))
        columns = [lines[header].split(",").index(name) for name in ("LEDC1", "LEDC2", "LEDC3")]
        cells = [line.split(",") for line in lines[header + 1 : header + 1 + int(row["n_samples"])]]
        infrared, red, ambient = np.array([[float(line[place]) for place in columns] for line in cells]).T
        yield infrared, red, ambient, float(row["spo2_ref_pct"])


def blocks_left_out(ratio: FloatArray, reference: FloatArray) -> FloatArray:
    """Saturation by a curve of the other blocks of the session."""
    block, found = np.arange(len(ratio)) * N_BLOCKS // len(ratio), np.full(len(ratio), np.nan)
    for number in range(N_BLOCKS):
        is_other = block != number
        curve = fit_spo2_curve(ratio[is_other], reference[is_other], np.ones(int(is_other.sum())))
        found[~is_other] = spo2_by_curve(ratio[~is_other], curve)
    return found


def by_range(name: str, found: FloatArray, reference: FloatArray) -> list[list[object]]:
    rows: list[list[object]] = []
    for low, high in RANGES:
        is_within = (reference >= low) & (reference < high)
        error = (found - reference)[is_within]
        known = error[np.isfinite(error)]
        words = "all" if (low, high) == RANGES[0] else f"below {high}" if not low else f"{low} to {min(high, 100)}"
        rows.append([name, words, len(error), len(known), float(known.mean()), float(np.sqrt(np.mean(known**2)))])
    return rows


def finger_table(folder: Path, table: Table) -> None:
    recordings = list(finger_recordings(folder))
    reference = np.array([one[3] for one in recordings])
    for subtracted in (True, False):
        light = [(red - subtracted * dark, infrared - subtracted * dark) for infrared, red, dark, _ in recordings]
        found = [ratios(both, 64, 2.5, 0.5) for both in light]
        ratio = np.array([np.nanmedian(one) if np.isfinite(one).any() else np.nan for one in found])
        rows = by_range("110 - 25 R", spo2(ratio, (110.0, -25.0)), reference)
        rows += by_range("fitted to other blocks", blocks_left_out(ratio, reference), reference)
        title = "SpO2 of finger recordings of 2.6 to 6.8 s (oxiwear) against another oximeter, ambient light "
        title += "subtracted" if subtracted else "left in"
        table(title, ["calibration", "reference %", "recordings", "known", "bias", "A_rms"], rows)


def phone_table(folder: Path, table: Table) -> None:
    """Every pair of colours, the person left out; a line of either direction, since no theory says which."""
    seconds = list(csv.DictReader((folder / "oximetry_phone/reference.csv").read_text().splitlines()))
    names = ("red", "green", "blue")
    rows: list[list[object]] = []
    for first, second in ((0, 1), (1, 2), (0, 2)):
        person, found, expected = [], [], []
        for path in sorted((folder / "oximetry_phone/camera").glob("*/*.csv")):
            light = np.loadtxt(path, delimiter=",", skiprows=1).T
            ratio = ratios((light[first], light[second]), CAMERA_HZ, 10, 10)
            shown = [float(row["spo2_5_pct"] or "nan") for row in seconds if row["subject"] == path.stem]
            at = 10 * np.arange(len(ratio)) + 5 + LAG_S
            is_shown = at < len(shown)
            person += [path.stem] * int(is_shown.sum())
            found.append(np.log(ratio[is_shown]))
            expected.append(np.array(shown)[at[is_shown]])
        x, y, who = np.concatenate(found), np.concatenate(expected), np.array(person)
        is_known = np.isfinite(x) & np.isfinite(y)
        errors, constant = [], []
        for name in sorted(set(person)):
            others, own = is_known & (who != name), is_known & (who == name)
            errors.append(np.polyval(np.polyfit(x[others], y[others], 1), x[own]) - y[own])
            constant.append(y[others].mean() - y[own])
        a_rms = [float(np.sqrt(np.mean(np.concatenate(one) ** 2))) for one in (errors, constant)]
        of_people = [float(np.sqrt(np.mean(one**2))) for one in errors]
        pair = f"{names[first]} / {names[second]}"
        rows.append([pair, len(x), float(is_known.mean()), a_rms[0], min(of_people), max(of_people), a_rms[1]])
    header = ["colours", "segments", "known", "A_rms", "best person", "worst person", "A_rms of the others' mean"]
    table("SpO2 from a phone's camera (oximetry_phone, 6 people, 10 s), the person left out", header, rows)
