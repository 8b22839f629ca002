"""What frozen features hold of what ECG, CO2 monitors, oximeters and cardiologists say, people left out.

    python benchmarks/real_references.py --out DIR [--steps 200] [--sets spc2015,oxiwear] [--clean] \
        [--encoder "default"] [--encoder "NAME: pretraining.objective=beat-sequence; KEY=VALUE"] [--given NAME=FOLDER]

For each set of recordings (:mod:`real_studies`) and each ``--encoder`` (a name and changes of the study, as in
``choices.py``) the product pretrains an encoder a fold on everybody but the fold's people, and embeds segments. Linear
probes are fitted to the other people's segments. ``--given`` is the folder of an encoder that exists; it is used where
its channels fit, and refused where it records that it has seen a person tested. Beside them, on the same segments: the
untrained encoder and the hand-crafted features ``pulse-wave`` with the same probes, the product's own vital signs, and
neurokit2. Noise and movement (:func:`real_studies.disturb`) are added to the recordings tested; probes are those of the
undisturbed ones. Without ``--clean`` these tables come last.

Intervals are 95 % percentile intervals over people, each of whom weighs the same; a difference is the mean absolute
error (or AUROC) of a learnt representation minus that of the row, on the segments that both know.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import neurokit2 as nk
import numpy as np
import pandas as pd
import torch
from choices import changed_study
from fit_quality import tracks_without
from fit_rate_track import examples
from motion import by_segment
from oximetry import RANGES
from real_studies import MOTION, SOURCES, Disturbance, Source, write_study
from references import FS_HZ, Reference, spc2015
from vitals import neurokit_peaks, table

from ppgssl.core.provenance import read_run
from ppgssl.core.records import FloatArray, IntArray
from ppgssl.core.results.base import Interval
from ppgssl.evaluation.probes import (
    assess_segment_classes,
    assess_segments,
    linear_probe,
    logistic_probe,
    segment_errors,
)
from ppgssl.evaluation.resampling import Replicates, resample, resample_means
from ppgssl.features.pulse_wave import PulseWave
from ppgssl.selfsupervised.encoder_io import load_encoder
from ppgssl.selfsupervised.encoders.base import EncoderNetwork
from ppgssl.selfsupervised.input_description import describe_study_input, study_bank
from ppgssl.selfsupervised.study_encoders import initial_encoder
from ppgssl.signals.beat_times import ppg_beats
from ppgssl.signals.oximetry import ratio_of_ratios
from ppgssl.signals.rate_track import STEP_S, Network, track_of
from ppgssl.stages.ingest.ingest import ingest
from ppgssl.stages.probe.measuring import Plan
from ppgssl.stages.probe.probe import make_plan, pretrain_probes
from ppgssl.stages.probe.representations import probe_job
from ppgssl.stages.probe.targets import Target
from ppgssl.store.leakage import check_no_leakage, hashed_patient
from ppgssl.store.rows import StoredRecording
from ppgssl.store.splits import Fold
from ppgssl.store.study_data import StudyData, load_study_data

SEED = 15
NOISES: tuple[Disturbance, ...] = (20.0, 10.0, 5.0, 0.0, MOTION)
DISTURBED = ("spc2015", "arrhythmia-pool")
HAND_CRAFTED = "pulse-wave"
KEY = ["recording_id", "start_s"]
TRACK_PARTS = ("hidden", "output")
BATCH = 512
# Under 2 ms, SDNN and RMSSD are the error of the R peaks' times.
LEAST_MS = 2.0
# Of a method that knows a value of fewer people, only the proportion known is shown.
LEAST_PEOPLE = 5
Represent = Callable[[FloatArray], FloatArray]


@dataclass(frozen=True)
class Question:
    """A column of a set's references, and what else answers it: name of a method -> column of :func:`scalars`.

    ``is_log``: probes and R2 are of the logarithm, the mean absolute error of the value. ``within``: the proportion of
    all segments with an error up to this. ``lines``: methods whose logarithm a line turns into the value, fitted to
    the other people. ``by_recording``: the median over a recording's segments counts.
    """

    source: str
    quantity: str
    title: str
    scalars: dict[str, str]
    unit: str = ""
    is_log: bool = False
    within: float | None = None
    lines: dict[str, str] = field(default_factory=dict)
    by_recording: bool = False
    is_oximetry: bool = False


RATE = {"tracked rate": "track_bpm", "each segment's own rate": "own_rate_bpm", "neurokit2": "nk_rate_bpm"}
FIXED = "neurokit2, Kubios correction"
INTERVAL = {"60,000 / tracked rate": "track_interval_ms", FIXED: "nk_fixed_interval_ms"}
SPREAD = {name: {"beats": f"{name}_ms", FIXED: f"nk_fixed_{name}_ms"} for name in ("sdnn", "rmssd")}
WRIST = "the device's own intervals (stress_predict, 10 s, where it trusts them)"
QUESTIONS = (
    Question("spc2015", "hr_bpm", "Heart rate while running against ECG, 8 s, two channels", RATE, "/min", within=5),
    Question("spc2015-one-channel", "hr_bpm", "The same from one channel", RATE, "/min", within=5),
    Question("spc2015", "interval_ms", "Mean interval while running against ECG, 8 s", INTERVAL, "ms"),
    Question("spc2015", "sdnn_ms", "SDNN while running against ECG, 8 s", SPREAD["sdnn"], "ms", is_log=True),
    Question("spc2015", "rmssd_ms", "RMSSD while running against ECG, 8 s", SPREAD["rmssd"], "ms", is_log=True),
    Question(
        "stress-predict",
        "interval_ms",
        f"Mean interval against {WRIST}",
        {"60,000 / heart rate": "interval_ms", FIXED: "nk_fixed_interval_ms"},
        "ms",
    ),
    Question("stress-predict", "sdnn_ms", f"SDNN against {WRIST}", SPREAD["sdnn"], "ms", is_log=True),
    Question("stress-predict", "rmssd_ms", f"RMSSD against {WRIST}", SPREAD["rmssd"], "ms", is_log=True),
    Question(
        "oxiwear",
        "spo2_pct",
        "SpO2 of a finger (one person: six parts of the session stand for people), by recording",
        {"110 - 25 R": "spo2_percent"},
        "%",
        lines={"ratio of ratios, a line fitted": "ratio_of_ratios"},
        by_recording=True,
        is_oximetry=True,
    ),
    Question(
        "oximetry-phone",
        "spo2_pct",
        "SpO2 of a phone's camera, 30 s, against an oximeter 20 s later",
        {},
        "%",
        lines={"green / blue, a line fitted": "green_blue", "red / green, a line fitted": "red_green"},
        is_oximetry=True,
    ),
    Question(
        "oximetry-phone",
        "breaths_per_min",
        "Respiratory rate of a phone's camera, 30 s, against CO2 30 s later (settings of the product's own were chosen "
        "with these people)",
        {"respiratory rate": "respiratory_rate_per_min", "neurokit2": "nk_breaths_per_min"},
        "/min",
        within=2,
    ),
    Question(
        "arrhythmia-pool",
        "is_af",
        "Atrial fibrillation against sinus rhythm, 10 s",
        {"beats: RMSSD / mean interval": "irregularity", "neurokit2: RMSSD / mean interval": "nk_irregularity"},
    ),
)


@dataclass(frozen=True)
class Studied:
    """A set of recordings as one encoder's study sees it; ``disturbed`` are the same recordings, disturbed."""

    source: Source
    data: StudyData
    plan: Plan
    out: Path
    disturbed: dict[Disturbance, StudyData]

    def target(self, quantity: str) -> Target:
        targets = self.plan.targets[self.source.name]
        return next(one for one in targets if one.name == f"reference_{quantity}")

    @property
    def segments(self) -> pd.DataFrame:
        """``recording_id``, ``start_s``, ``patient`` and ``sqi`` of the accepted segments, by number."""
        return accepted(self.data)


def accepted(data: StudyData) -> pd.DataFrame:
    decisions = data.segments.decisions
    return decisions[decisions["accepted"]].reset_index(drop=True)


def opened(source: Source, changes: str, options: argparse.Namespace, out: Path) -> Studied:
    def load(how: Disturbance) -> StudyData:
        folder = options.out / "studies" / (source.name if how is None else f"{source.name}-{how}")
        file = folder / "study.yaml"
        if not file.is_file():
            write_study(source, folder, how)
        ingest(folder / "cohort.yaml", folder / "out" / "stores" / source.name, n_jobs=1)
        given = f"pretraining.n_steps={options.steps}; probe.n_folds={options.folds}; {changes}"
        return load_study_data(changed_study(file, given), file, out)

    data = load(None)
    noises = () if options.clean or source.name not in DISTURBED else NOISES
    return Studied(source, data, make_plan(data), out, {how: load(how) for how in noises})


# Representations, and their predictions


def embedding(encoder: EncoderNetwork) -> Represent:
    encoder = encoder.eval()

    def of(segments: FloatArray) -> FloatArray:
        with torch.inference_mode():
            return encoder.embed(torch.as_tensor(segments, dtype=torch.float32)).numpy()

    return of


def features(represent: Represent, data: StudyData) -> FloatArray:
    n = len(data.segments.start)
    bank = study_bank(data, describe_study_input(data, np.ones(n, dtype=bool)))
    parts = [np.arange(first, min(first + BATCH, n)) for first in range(0, n, BATCH)]
    return np.concatenate([represent(bank.gather(part).numpy()) for part in parts])


def predict(study: Studied, quantities: Sequence[Question], represent: Callable[[Fold], Represent]) -> dict[Any, Any]:
    """(disturbance, quantity) -> prediction of each segment with that reference, by probes of other people."""
    found = {
        (how, one.quantity): np.full(len(study.target(one.quantity).truth), np.nan)
        for how in (None, *study.disturbed)
        for one in quantities
    }
    before = None
    for fold in study.plan.folds:
        of_fold = represent(fold)
        if of_fold is not before:  # else it is the same in every fold
            before, held = of_fold, embedded(study, of_fold)
        for one in quantities:
            target = study.target(one.quantity)
            is_train, is_test = (target.truth.index.isin(who) for who in (fold.train, fold.test))
            y, patient = scaled(one, target.truth.to_numpy()), target.truth.index.to_numpy()
            probe = logistic_probe if target.is_class else linear_probe
            places = [place[target.segment[is_test]] for _, place in held.values()]
            X_test = [X[np.maximum(at, 0)] for (X, _), at in zip(held.values(), places, strict=True)]
            X_train = held[None][0][target.segment[is_train]]
            predicted = probe(X_train, y[is_train], np.concatenate(X_test), patient[is_train])
            for how, at, of_how in zip(held, places, np.split(predicted, len(held)), strict=True):
                found[how, one.quantity][is_test] = np.where(at >= 0, of_how, np.nan)
    return found


def embedded(study: Studied, represent: Represent) -> dict[Disturbance, tuple[FloatArray, IntArray]]:
    """Features of the segments as they are and disturbed, and the row of each segment in them; -1 where it was lost."""
    keys = pd.MultiIndex.from_frame(study.segments[KEY])
    return {
        how: (features(represent, data), pd.MultiIndex.from_frame(accepted(data)[KEY]).get_indexer(keys))
        for how, data in {None: study.data, **study.disturbed}.items()
    }


def scaled(question: Question, values: FloatArray) -> FloatArray:
    return np.log(np.maximum(values, LEAST_MS)) if question.is_log else values


def line_through(question: Question, study: Studied, values: FloatArray) -> FloatArray:
    """A line in the logarithm of a ratio, fitted to the segments of other people."""
    target, found = study.target(question.quantity), np.full(len(values), np.nan)
    x, y = np.log(values), target.truth.to_numpy()
    for fold in study.plan.folds:
        is_train = target.truth.index.isin(fold.train) & np.isfinite(x)
        is_test = target.truth.index.isin(fold.test)
        found[is_test] = np.polyval(np.polyfit(x[is_train], y[is_train], 1), x[is_test])
    return found


# The product's vital signs, and neurokit2


def scalars(study: Studied, data: StudyData, folder: Path) -> pd.DataFrame:
    """Vital signs of the product and of neurokit2 (by the first channel), by recording and start of the segment."""
    inputs, store = data.study.inputs, data.labelled
    vitals = store.segments(inputs.segment_s, inputs.step_s).set_index(KEY)
    vitals["interval_ms"] = 60_000 / vitals["heart_rate_bpm"]
    starts = vitals.reset_index().groupby("recording_id")["start_s"].apply(np.array)
    rows: list[pd.DataFrame] = []
    for recording in store.iterate(study.source.channels):
        start_s = starts[recording.recording_id]
        first = recording.channels[study.source.channels[0]].samples
        peaks = neurokit_peaks(nk.ppg_findpeaks, first)
        found = from_beats(peaks / FS_HZ, start_s, inputs.segment_s, "nk_")
        with suppress(IndexError, ValueError, TypeError):  # too few beats
            _, fixed = nk.signal_fixpeaks(peaks.astype(int), sampling_rate=FS_HZ, method="Kubios")
            found |= from_beats(np.asarray(fixed) / FS_HZ, start_s, inputs.segment_s, "nk_fixed_")
        beats_s = ppg_beats(first, fs_hz=FS_HZ).sample / FS_HZ
        found |= {"irregularity": from_beats(beats_s, start_s, inputs.segment_s, "")["irregularity"]}
        if study.source.name.startswith("spc2015"):
            found |= of_runner(recording, start_s, folder)
        if study.source.name == "oximetry-phone":
            found |= of_phone(recording.channels, start_s, inputs.segment_s)
        rows.append(pd.DataFrame({"recording_id": recording.recording_id, "start_s": start_s, **found}))
    return vitals.join(pd.concat(rows).set_index(KEY))


def from_beats(beats_s: FloatArray, start_s: FloatArray, segment_s: float, prefix: str) -> dict[str, FloatArray]:
    """Rate, mean interval, SDNN, RMSSD (defined as in neurokit2) and the last over the mean; NaN under three beats."""
    values = np.full((5, len(start_s)), np.nan)
    for number, start in enumerate(start_s):
        ms = 1000 * np.diff(beats_s[(beats_s >= start) & (beats_s < start + segment_s)])
        if len(ms) > 1:
            rmssd = np.sqrt(np.mean(np.diff(ms) ** 2))
            values[:, number] = 60_000 / ms.mean(), ms.mean(), ms.std(ddof=1), rmssd, rmssd / ms.mean()
    names = ("rate_bpm", "interval_ms", "sdnn_ms", "rmssd_ms", "irregularity")
    return {prefix + name: of_name for name, of_name in zip(names, values, strict=True)}


def of_runner(recording: StoredRecording, start_s: FloatArray, folder: Path) -> dict[str, FloatArray]:
    """The rate tracked by a network that never saw the person, as in ``motion.py``, and each segment's own rate.

    The network that comes with the product was fitted to these people, too.
    """
    channels = {name: np.nan_to_num(one.samples.astype(np.float64)) for name, one in recording.channels.items()}
    person = recording.patient_id.replace("-", "_")
    reference = Reference(person, person, channels, [], np.zeros(0), np.zeros(0, bool))
    evidence = examples(reference, with_acceleration=False).evidence.astype(np.float64)
    track = track_of(evidence, tracks(folder)[person]).heart_rate_bpm
    window = np.round(start_s / STEP_S).astype(np.int64)
    own = by_segment(reference, acceleration=False)
    return {"track_bpm": track[window], "track_interval_ms": 60_000 / track[window], "own_rate_bpm": own[window]}


@cache
def tracks(folder: Path) -> dict[str, Network]:
    """Of each person, a network that was fitted without the person; kept in a file, since it takes minutes."""
    file = folder / "rate_tracks.npz"
    if not file.is_file():
        made = tracks_without(list(spc2015()), with_acceleration=False)
        np.savez(file, **{f"{name} {part}": getattr(one, part) for name, one in made.items() for part in TRACK_PARTS})
    with np.load(file) as held:
        people = dict.fromkeys(key.rsplit(" ", 1)[0] for key in held)
        return {name: Network(*(held[f"{name} {part}"] for part in TRACK_PARTS)) for name in people}


def of_phone(channels: Any, start_s: FloatArray, segment_s: float) -> dict[str, FloatArray]:
    """Ratios of ratios of two pairs of colours, and neurokit2's respiratory rate from the rate of green."""
    starts, length = np.round(start_s * FS_HZ).astype(np.int64), round(segment_s * FS_HZ)
    found = {}
    for one, other in (("green", "blue"), ("red", "green")):
        pair = [channels[f"ppg_{name}"] for name in (one, other)]
        light = [one.samples for one in pair] + [one.baseline for one in pair]
        found[f"{one}_{other}"] = ratio_of_ratios(*light, starts, length, fs_hz=FS_HZ)
    green = channels["ppg_green"].samples
    rate = nk.signal_rate(neurokit_peaks(nk.ppg_findpeaks, green), sampling_rate=FS_HZ, desired_length=len(green))
    breaths = nk.rsp_rate(nk.ecg_rsp(rate, sampling_rate=FS_HZ), sampling_rate=FS_HZ)
    found["nk_breaths_per_min"] = np.array([np.mean(breaths[start : start + length]) for start in starts])
    return found


# Statistics


def shown(value: Interval, digits: int) -> str:
    if value.estimate is None or value.ci_low is None or value.ci_high is None:
        return "-"
    return f"{value.estimate:.{digits}f} ({value.ci_low:.{digits}f} to {value.ci_high:.{digits}f})"


def by_person(values: FloatArray, patient: np.ndarray) -> FloatArray:
    return pd.Series(values).groupby(patient).mean().to_numpy()


def numbers(question: Question, y: FloatArray, predicted: FloatArray, patient: np.ndarray) -> dict[str, str]:
    """The cells of a method's row; of what it knows, but for the proportion within a limit."""
    known = np.isfinite(predicted)
    if len(np.unique(patient[known])) < LEAST_PEOPLE:
        return {"known": f"{known.mean():.2f}"}
    value, guess = (np.exp(one[known]) if question.is_log else one[known] for one in (y, predicted))
    who, error = patient[known], guess - value
    of_scaled = {"m": segment_errors(y[known], predicted[known], who)}
    scores = assess_segments(y[known], who, of_scaled, seed=SEED)
    mae = resample_means(["m"], by_person(np.abs(error), who)[None], seed=SEED)
    cells = {
        "known": f"{known.mean():.2f}",
        "R2": shown(scores.r2.interval("m"), 2),
        "R2 within people": shown(scores.r2_within.interval("m"), 2) if scores.r2_within else "-",
        f"mean absolute error, {question.unit}": shown(mae.interval("m"), 2),
    }
    if question.within is not None:
        is_near = np.where(known, np.abs(predicted - y) <= question.within, 0.0)
        near = resample_means(["m"], by_person(is_near, patient)[None], seed=SEED)
        cells[f"within {question.within:g}{question.unit}, of all"] = shown(near.interval("m"), 3)
    if question.is_oximetry:
        square = by_person(error**2, who)
        bias = resample_means(["m"], by_person(error, who)[None], seed=SEED)
        root = resample(lambda counts: np.sqrt(square @ counts / len(square))[None], ["m"], len(square), seed=SEED)
        cells |= {"bias": shown(bias.interval("m"), 1), "A_rms": shown(root.interval("m"), 1)}
        for low, high in RANGES[1:]:
            is_in = (value >= low) & (value < high)
            inside = np.sqrt(np.mean(error[is_in] ** 2)) if is_in.any() else np.nan
            cells[f"A_rms {'below' if not low else f'{low} to'} {min(high, 100)}"] = f"{inside:.1f}"
    return cells


def difference(question: Question, y: FloatArray, both: Sequence[FloatArray], patient: np.ndarray) -> str:
    """Mean absolute error of the first minus that of the second, where both are known."""
    known = np.isfinite(both).all(axis=0)
    if len(np.unique(patient[known])) < LEAST_PEOPLE:
        return "-"
    values = [np.exp(one[known]) if question.is_log else one[known] for one in (y, *both)]
    means = np.stack([by_person(np.abs(one - values[0]), patient[known]) for one in values[1:]])
    return shown(resample_means(["a", "b"], means, seed=SEED).difference("a", "b"), 2)


def classes(study: Studied, y: FloatArray, scores: dict[str, FloatArray], learnt: Sequence[str]) -> list[list[str]]:
    """AUROC of each method, and the learnt ones' differences from it; a segment without a score gets the median."""
    target = study.target("is_af")
    patient, fold = target.truth.index.to_numpy(), np.zeros(len(y), dtype=np.int64)
    for one in study.plan.folds:
        fold[target.truth.index.isin(one.test)] = one.fold
    filled = pd.DataFrame(scores)
    filled = filled.fillna(filled.median())
    tests = pd.DataFrame({"repeat": 0, "fold": fold, "patient": patient, "y_true": y})
    found: Replicates = assess_segment_classes(tests, filled, seed=SEED)
    return [
        [
            name,
            f"{np.isfinite(scores[name]).mean():.2f}",
            shown(found.interval(name), 3),
            *("" if one == name else shown(found.difference(one, name), 3) for one in learnt),
        ]
        for name in scores
    ]


# Tables


def answers(
    question: Question, study: Studied, methods: dict[str, dict[Any, Any]], own: dict[Any, pd.DataFrame]
) -> Any:
    """Disturbance -> method -> value of each segment with the reference, on the question's scale."""
    target = study.target(question.quantity)
    keys = pd.MultiIndex.from_frame(study.segments.loc[target.segment, KEY])
    found: dict[Any, dict[str, FloatArray]] = {}
    for how in (None, *study.disturbed):
        found[how] = {name: of_one[how, question.quantity] for name, of_one in methods.items()}
        for name, column in {**question.scalars, **question.lines}.items():
            values = own[how][column].reindex(keys).to_numpy(dtype=np.float64)
            is_line = name in question.lines
            found[how][name] = line_through(question, study, values) if is_line else scaled(question, values)
    return found


def report(question: Question, study: Studied, found: Any, learnt: Sequence[str]) -> None:
    target = study.target(question.quantity)
    y, patient = scaled(question, target.truth.to_numpy()), target.truth.index.to_numpy()
    segments, clean = study.segments.loc[target.segment], found[None]
    n = f"{len(np.unique(patient))} people, {len(y)} segments of {study.source.segment_s:g} s"
    if target.is_class:
        n += f", {int(y.sum())} of them of {len(np.unique(patient[y == 1]))} people with it"
        header = ["method", "known", "AUROC", *(f"{name} minus this" for name in learnt)]
        table(f"{question.title} ({n})", header, classes(study, y, clean, learnt))
    else:
        if question.by_recording:
            recording = segments["recording_id"].to_numpy()
            n += f", {len(np.unique(recording))} recordings"
            patient = pd.Series(patient).groupby(recording).first().to_numpy()
            y, *values = (pd.Series(one).groupby(recording).median().to_numpy() for one in (y, *clean.values()))
            clean = dict(zip(clean, values, strict=True))
        rows = {name: numbers(question, y, one, patient) for name, one in clean.items()}
        columns = list(max(rows.values(), key=len))
        header = ["method", *columns, *(f"{name} minus this" for name in learnt)]
        minus = {
            name: ["" if other == name else difference(question, y, (clean[other], one), patient) for other in learnt]
            for name, one in clean.items()
        }
        cells = [
            [name, *(of_one.get(column, "-") for column in columns), *minus[name]] for name, of_one in rows.items()
        ]
        table(f"{question.title} ({n})", header, cells)
    if question.quantity == "hr_bpm" and not target.is_class:
        by_quality(question, y, clean, segments["sqi"].to_numpy())
    if study.disturbed:
        robustness(question, study, found)


def by_quality(question: Question, y: FloatArray, clean: dict[str, FloatArray], sqi: FloatArray) -> None:
    limits = np.quantile(sqi, [0, 0.25, 0.5, 0.75, 1])
    quarters = [(sqi >= limits[q]) & ((sqi < limits[q + 1]) | (q == 3)) for q in range(4)]
    header = ["method", *(f"{limits[q]:.2f} to {limits[q + 1]:.2f} (n {quarters[q].sum()})" for q in range(4))]
    rows = [[name, *(f"{np.nanmean(np.abs(one - y)[is_in]):.1f}" for is_in in quarters)] for name, one in clean.items()]
    table(f"{question.title}: mean absolute error over segments by quarter of the signal quality index", header, rows)


def robustness(question: Question, study: Studied, found: Any) -> None:
    target = study.target(question.quantity)
    y, patient = scaled(question, target.truth.to_numpy()), target.truth.index.to_numpy()
    names = ["undisturbed" if how is None else how if how == MOTION else f"{how:g} dB" for how in found]
    if target.is_class:
        what = "AUROC"
        columns = [{name: cell for name, _, cell in classes(study, y, of_how, ())} for of_how in found.values()]
    else:
        what = f"mean absolute error, {question.unit}" if question.within is None else ""
        what = "R2" if question.is_log else what or f"within {question.within:g}{question.unit}, of all"
        cells = [
            {name: numbers(question, y, one, patient) for name, one in of_how.items()} for of_how in found.values()
        ]
        columns = [{name: f"{one.get(what, '-')} [{one['known']}]" for name, one in of_how.items()} for of_how in cells]
        what += " of the logarithm [proportion known]" if question.is_log else " [proportion known]"
    rows = [[name, *(column[name] for column in columns)] for name in found[None]]
    table(f"{question.title}: {what}, with noise added, or movement", ["method", *names], rows)


def learnt_of(study: Studied, given: EncoderNetwork | None, folder: Path | None) -> Callable[[Fold], Represent]:
    """The encoder of each fold; a given one is checked against the people tested where it records whom it has seen."""
    if given is not None and folder is not None:
        seen, one = (read_run(folder) or {}).get("patients_sha256", []), embedding(given)

        def of_given(fold: Fold) -> Represent:
            check_no_leakage(map(hashed_patient, fold.test), seen, f"the encoder in {folder}")
            return one

        return of_given
    pretrain_probes(study.plan, study.data, study.out, n_jobs=1)
    ssl = study.plan.representations[0]
    return lambda fold: embedding(load_encoder(probe_job(ssl, fold, study.data, study.out)[0].folder))


def representations(source: Source, base: Studied, options: argparse.Namespace) -> Iterator[tuple[str, Studied, Any]]:
    """Name, study and what represents segments in each fold: the learnt ones first, then the baselines."""
    untrained: dict[str, tuple[str, Studied]] = {}
    for text in options.encoder:
        name, _, changes = text.partition(":")
        study = opened(
            source, changes, options, options.out / "encoders" / name.strip().replace(" ", "-") / source.name
        )
        shape = study.data.study.pretraining.encoder.model_dump_json()
        untrained.setdefault(shape, ("untrained" if not untrained else f"untrained, of {name.strip()}", study))
        yield name.strip(), study, learnt_of(study, None, None)
    for text in options.given:
        name, _, folder = text.partition("=")
        encoder = load_encoder(Path(folder))
        if encoder.n_channels == len(source.channels):
            yield name, base, learnt_of(base, encoder, Path(folder))
    for name, study in untrained.values():
        yield name, study, lambda fold, study=study: embedding(initial_encoder(study.data, fold))
    wave = PulseWave(base.data.study.inputs.fs_hz)
    yield HAND_CRAFTED, base, lambda _: wave


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--steps", default="200", help="of pretraining, for each set and fold; a number or auto")
    parser.add_argument("--folds", type=int, default=4)
    parser.add_argument("--sets", default=",".join(SOURCES))
    parser.add_argument("--encoder", action="append", default=[])
    parser.add_argument("--given", action="append", default=[])
    parser.add_argument("--clean", action="store_true", help="without noise and movement")
    options = parser.parse_args()
    options.encoder = options.encoder or ([] if options.given else ["default"])
    warnings.simplefilter("ignore")  # neurokit2 warns of short signals.
    for name in options.sets.split(","):
        started, source = time.process_time(), SOURCES[name]
        base = opened(source, "", options, options.out / "base" / name)
        questions = [one for one in QUESTIONS if one.source == name]
        methods: dict[str, dict[Any, Any]] = {}
        for method, study, represent in representations(source, base, options):
            for one in questions:
                assert np.array_equal(study.target(one.quantity).segment, base.target(one.quantity).segment)
            methods[method] = predict(study, questions, represent)
        learnt = [one for one in methods if one != HAND_CRAFTED and not one.startswith("untrained")]
        own = {how: scalars(base, data, options.out) for how, data in {None: base.data, **base.disturbed}.items()}
        for question in questions:
            report(question, base, answers(question, base, methods, own), learnt)
        print(f"\n{name}: {time.process_time() - started:.0f} s of processor time", flush=True)


if __name__ == "__main__":
    main()
