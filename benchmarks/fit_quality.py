"""Fit the probabilities of ``ppgssl/signals/segment_quality.py``, people left out, and write their numbers.

    python benchmarks/fit_quality.py [--out FILE] [--report] [--figure FILE]

A segment of a channel is right if its heart rate is within 5 per minute of the true one and the F1 of its beats, found
within 150 ms or 0.3 beat intervals, is at least 0.9. The rates of a person come from a track that was fitted without
that person. ``--report`` prints discrimination and calibration, people left out of the logistic regression as well,
and writes nothing.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import fit_rate_track
import numpy as np
import pandas as pd
from references import (
    DATA,
    FS_HZ,
    Reference,
    arrhythmias,
    beats_agreement,
    best_delay,
    clean_fingers,
    disturbed,
    simulated_children,
    spc2015,
)
from scipy.io import loadmat
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GroupKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from ppgssl.core.records import FloatArray
from ppgssl.evaluation.inference import wilson_interval
from ppgssl.signals import arrays, rate_track, vitals
from ppgssl.signals.quality_indices import index_table
from ppgssl.signals.rate_track import Network
from ppgssl.signals.segment_quality import INPUTS
from ppgssl.signals.segmentation import segment_starts
from ppgssl.signals.vitals import SegmentedRecording, VitalChannel

OUT = Path("ppgssl/signals/fitted/segment_quality.json")
# Length and step of segments: those of a study by default, and short ones of long recordings.
GRIDS_S = ((10.0, 5.0), (3.0, 9.0))
SHORT_S = (2.0, 4.0, 6.0)
N_FOLDS = 4
F1 = 0.9


def pulses() -> list[Reference]:
    """With all channels and with one: running people; and movement added to fingers, children and arrhythmias."""
    rng = np.random.default_rng(4)
    measured = [
        replace(one, channels={name: one.channels[name] for name in names})
        for one in spc2015()
        for names in (list(one.channels), *([name] for name in one.channels))
    ]
    irregular = list(arrhythmias(250))
    clean = [*clean_fingers(), *simulated_children(90), *irregular]
    return [*measured, *irregular] + [
        disturbed(one, rng, n_channels=min(1 + number % 2, len(one.channels))) for number, one in enumerate(clean)
    ]


def leads() -> Iterator[Reference]:
    """ECG of running people, in their rhythm and in an irregular one, with noise and wander of known size added."""
    rng = np.random.default_rng(5)
    for one in spc2015():
        raw = loadmat(DATA / "spc2015" / "recordings" / f"{one.name}.mat")["sig"][0]
        clean = arrays.preprocess(raw, fs_hz=125, fs_out_hz=FS_HZ, modality="ecg", find_defects=False).samples
        regular = replace(one, channels={"ecg_chest": np.asarray(clean, float)}, acceleration=[], delay_s=0.0)
        for strength in (0.0, 0.25, 0.5, 1.0, 2.0, 4.0):
            for rhythm in (regular, irregular(regular, rng)):
                samples = rhythm.channels["ecg_chest"]
                wander = np.convolve(rng.standard_normal(len(samples)), np.ones(20) / 20, mode="same")
                active = np.repeat(rng.uniform(size=len(samples) // 1000 + 1) < 0.7, 1000)[: len(samples)]
                noise = strength * np.std(samples) * active * (rng.standard_normal(len(samples)) + 2 * wander)
                yield replace(rhythm, channels={"ecg_chest": samples + noise})


def irregular(reference: Reference, rng: np.random.Generator) -> Reference:
    """Every beat played at a speed of its own, as in atrial fibrillation."""
    duration_s = reference.duration_s
    edges = np.concatenate([[0.0], reference.beats_s - 0.15, [duration_s]])
    edges = np.maximum.accumulate(np.clip(edges, 0, duration_s))
    moved = np.concatenate([[0.0], np.cumsum(np.diff(edges) * rng.lognormal(0, 0.2, len(edges) - 1))])
    time_s = np.arange(round(moved[-1] * FS_HZ)) / FS_HZ
    source_s = np.interp(time_s, moved, edges)
    at = np.arange(round(duration_s * FS_HZ)) / FS_HZ
    return replace(
        reference,
        channels={name: np.interp(source_s, at, samples) for name, samples in reference.channels.items()},
        beats_s=np.interp(reference.beats_s, edges, moved),
    )


def short(reference: Reference, length_s: float, rng: np.random.Generator) -> Reference:
    """An excerpt, too short for a track."""
    start = rng.uniform(0, max(reference.duration_s - length_s, 0))
    first, last = round(start * FS_HZ), round((start + length_s) * FS_HZ)
    inside = (reference.beats_s >= start) & (reference.beats_s < start + length_s)
    at = np.flatnonzero(inside)
    delay = reference.delay_s
    return replace(
        reference,
        channels={name: samples[first:last] for name, samples in reference.channels.items()},
        acceleration=[],
        beats_s=reference.beats_s[at] - start,
        usable=reference.usable[at[0] : at[-1]] if len(at) else np.zeros(0, bool),
        delay_s=delay,
    )


def delays(reference: Reference) -> dict[str, float]:
    """From true beats to each channel's pulses."""
    if reference.delay_s is not None:
        return dict.fromkeys(reference.channels, reference.delay_s)
    recording = segmented(reference, 10.0, 10.0)
    return {name: best_delay(beats.sample / FS_HZ, reference.beats_s) for name, beats in recording.beats.items()}


def segmented(
    reference: Reference, segment_s: float, step_s: float, *, with_acceleration: bool = False
) -> SegmentedRecording:
    unknown = np.zeros(0)
    return SegmentedRecording(
        {name: VitalChannel(samples, unknown, False) for name, samples in reference.channels.items()},
        segment_starts(round(reference.duration_s * FS_HZ), fs_hz=FS_HZ, segment_s=segment_s, step_s=step_s),
        round(segment_s * FS_HZ),
        FS_HZ,
        reference.acceleration if with_acceleration else (),
    )


def rows(
    reference: Reference, delay_s: Mapping[str, float], grid_s: tuple[float, float], *, with_acceleration: bool = False
) -> pd.DataFrame:
    """One row a segment and channel: inputs of the probability, and whether rate and beats were right."""
    recording = segmented(reference, *grid_s, with_acceleration=with_acceleration)
    indices = {
        name: index_table(recording.segments(name), fs_hz=FS_HZ, modality=name.split("_")[0])
        for name in reference.channels
    }
    recording = replace(recording, indices=indices)
    start_s = recording.starts / FS_HZ
    true = reference.rates(start_s, grid_s[0])
    tables = []
    for name in reference.channels:
        inputs, _ = vitals.inputs_of(recording, name)
        f1 = [
            _f1(recording.beats[name].sample / FS_HZ, reference.beats_s + delay_s[name], start, grid_s[0])
            for start in start_s
        ]
        table = pd.DataFrame(inputs, columns=list(INPUTS))
        tables.append(
            table.assign(
                source=reference.name.split(" ")[0].split("_")[0],
                person=reference.person,
                recording=reference.name,
                segment_s=grid_s[0],
                channel=name,
                n_channels=len(reference.channels),
                start_s=start_s,
                true_bpm=true,
                rate_bpm=recording.rate(name),
                index=np.fmin.reduce(indices[name], axis=1),
                f1=f1,
            )
        )
    found = pd.concat(tables, ignore_index=True)
    rate_right = np.abs(found["rate_bpm"] - found["true_bpm"]) <= 5
    return found.assign(rate_right=rate_right, right=rate_right & (found["f1"] >= F1))


def _f1(found_s: FloatArray, true_s: FloatArray, start_s: float, length_s: float) -> float:
    """The pulse's delay may differ from that of the recording by up to 0.1 s: it changes with effort."""
    found = found_s[(found_s >= start_s) & (found_s < start_s + length_s)]
    best = 0.0
    for shift in (0.0, -0.1, -0.05, 0.05, 0.1):
        true = true_s[(true_s + shift >= start_s) & (true_s + shift < start_s + length_s)] + shift
        tolerance = min(0.15, 0.3 * float(np.median(np.diff(true)))) if len(true) > 1 else 0.15
        best = max(best, beats_agreement(found, true, tolerance if shift == 0 else min(tolerance, 0.1)))
    return best


def tracks_without(references: Sequence[Reference], *, with_acceleration: bool) -> dict[str, Network]:
    """For each person, a network that was fitted without that person."""
    held = [fit_rate_track.examples(one, with_acceleration=with_acceleration) for one in fit_rate_track.corpus()]
    people = list(dict.fromkeys(one.person for one in references))
    np.random.default_rng(0).shuffle(people)
    found: dict[str, Network] = {}
    for fold in range(N_FOLDS):
        out = set(people[fold::N_FOLDS])
        model = fit_rate_track.fit([one for one in held if one.person not in out])
        found |= dict.fromkeys(out, model)
    return found


def table_of_pulses(*, with_acceleration: bool) -> pd.DataFrame:
    references = pulses()
    models = tracks_without(references, with_acceleration=with_acceleration)
    tables = []
    for one in references:
        with patch.object(rate_track, "network", lambda has, person=one.person: models[person]):  # noqa: ARG005
            of_one = delays(one)
            tables += [rows(one, of_one, grid_s, with_acceleration=with_acceleration) for grid_s in GRIDS_S]
    return known(pd.concat(tables, ignore_index=True))


def table_of_short_pulses() -> pd.DataFrame:
    rng = np.random.default_rng(6)
    tables = []
    for one in pulses():
        of_one = delays(one)
        for length_s in SHORT_S:
            for _ in range(4 if one.name.startswith("DATA") else 1):
                tables.append(rows(short(one, length_s, rng), of_one, (length_s, length_s)))
    return known(pd.concat(tables, ignore_index=True))


def table_of_leads() -> pd.DataFrame:
    return known(
        pd.concat([rows(one, {"ecg_chest": 0.0}, grid_s) for one in leads() for grid_s in GRIDS_S], ignore_index=True)
    )


def known(table: pd.DataFrame) -> pd.DataFrame:
    return table[table["true_bpm"].notna()].reset_index(drop=True)


def regression() -> LogisticRegression:
    return make_pipeline(StandardScaler(), LogisticRegression(C=1.0))


def numbers(table: pd.DataFrame) -> dict[str, object]:
    fitted = regression().fit(table[list(INPUTS)], table["right"])
    scaler, logistic = fitted[0], fitted[1]
    weights = logistic.coef_[0] / scaler.scale_
    intercept = float(logistic.intercept_[0] - weights @ scaler.mean_)
    return {
        "intercept": round(intercept, 5),
        "weights": {name: round(float(weight), 5) for name, weight in zip(INPUTS, weights, strict=True)},
    }


def calibration(right: FloatArray, probability: FloatArray) -> tuple[float, float]:
    """Slope and intercept of the logistic recalibration."""
    held = np.clip(probability, 1e-4, 1 - 1e-4)
    fitted = LogisticRegression(C=1e6).fit(np.log(held / (1 - held))[:, None], right)
    return float(fitted.coef_[0, 0]), float(fitted.intercept_[0])


def left_out(table: pd.DataFrame) -> pd.DataFrame:
    """With the probability of each segment, by regressions that did not see its person."""
    probability = cross_val_predict(
        regression(),
        table[list(INPUTS)],
        table["right"],
        groups=table["person"],
        cv=GroupKFold(5),
        method="predict_proba",
    )
    return table.assign(probability=probability[:, 1])


SOURCES = {
    "DATA": "running people (spc2015)",
    "bp": "fingers with movement added (mw_ppg)",
    "child": "simulated children with movement added",
    "rhythm": "arrhythmias, half of them with movement added (arrhythmia_pool)",
}


def report(title: str, table: pd.DataFrame) -> None:
    """Discrimination and calibration by source, and a reliability table, in Markdown."""
    held = left_out(table)
    print(f"\n**{title}**\n")
    print(
        "| segments of | number | right | AUROC | AUROC of the rules | slope | probability >= 0.5 | of these right "
        "| their rate right | rules >= 0.5 | of these right | their rate right |\n|" + "---|" * 12
    )
    for source, some in [("all", held), *held.groupby("source")]:
        right, rules = some["right"].to_numpy(), some["index"].fillna(0).to_numpy()
        if right.all() or not right.any():
            continue
        cells = [right.mean(), roc_auc_score(right, some["probability"]), roc_auc_score(right, rules)]
        cells.append(calibration(right, some["probability"].to_numpy())[0])
        for score in (some["probability"].to_numpy(), rules):
            good = score >= 0.5
            cells += [good.mean(), right[good].mean(), some["rate_right"].to_numpy()[good].mean()]
        named = SOURCES.get(str(source), str(source))
        print(f"| {named} | {len(some)} | " + " | ".join(f"{cell:.2f}" for cell in cells) + " |")
    print(f"\n**Reliability: {title}**\n")
    print("| probability | segments | mean probability | right | rate right |\n|" + "---|" * 5)
    for tenth, some in held.groupby(np.minimum((10 * held["probability"]).astype(int), 9)):
        numbers_ = [some[name].mean() for name in ("probability", "right", "rate_right")]
        print(
            f"| {tenth / 10:.1f} to {(tenth + 1) / 10:.1f} | {len(some)} | "
            + " | ".join(f"{n:.2f}" for n in numbers_)
            + " |"
        )


def plot(tables: dict[str, pd.DataFrame], file: Path) -> None:
    """Reliability curves: proportion right by tenth of probability, people left out, with 95 % intervals (Wilson)."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.6, 4.2), layout="constrained")
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], color="0.7", linewidth=0.8)
    for name, table in tables.items():
        held = left_out(table)
        tenths = held.groupby(np.minimum((10 * held["probability"]).astype(int), 9))
        x, right, n = tenths["probability"].mean(), tenths["right"].mean(), tenths.size()
        ends = np.array([wilson_interval(round(p * m), m) for p, m in zip(right, n, strict=True)]).T
        axes.errorbar(x, right, yerr=np.abs(ends - right.to_numpy()), marker="o", markersize=3, label=TITLES[name])
    axes.set_xlabel("probability that rate and beats are right")
    axes.set_ylabel("proportion right")
    axes.legend(fontsize=7, frameon=False)
    figure.savefig(file, dpi=130)


TITLES = {
    "ppg_without": "PPG, no accelerometer",
    "ppg_with": "PPG with an accelerometer",
    "short_ppg": "PPG of 2, 4 and 6 s, too short for a track",
    "ecg": "ECG with noise added",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=OUT)
    parser.add_argument("--report", action="store_true")
    parser.add_argument("--save", type=Path, help="folder for the tables of segments")
    parser.add_argument("--figure", type=Path, help="file for the reliability curves")
    options = parser.parse_args()
    tables = {
        "ppg_without": table_of_pulses(with_acceleration=False),
        "ppg_with": table_of_pulses(with_acceleration=True),
        "short_ppg": table_of_short_pulses(),
        "ecg": table_of_leads(),
    }
    if options.save:
        for name, table in tables.items():
            table.to_parquet(options.save / f"{name}.parquet")
    for name, table in tables.items():
        report(TITLES[name], table)
    if options.figure:
        plot(tables, options.figure)
    if not options.report:
        tables["ppg"] = pd.concat([tables.pop("ppg_without"), tables.pop("ppg_with")], ignore_index=True)
        found = {name: numbers(table) for name, table in sorted(tables.items())}
        options.out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
