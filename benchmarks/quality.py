"""The signal quality index on labelled artefacts of real PPG and on disturbed ECG, beside neurokit2's quality methods.

    python benchmarks/quality.py [--data FOLDER] [--out FOLDER]

PPG: the 78 one-minute recordings of ``mw_ppg``, three channels each, with one labeller's artefact intervals. A segment
is an artefact if more than half (a tenth) of its samples of that channel are labelled. Intervals come from 1000 draws
of patients. neurokit2 is used as its documentation shows, on the whole cleaned recording, the quality then averaged
over each segment; and, for the methods that need beats, on each segment as well, where an exception is the lowest
quality. ECG: five records of ``wfdb_samples``, as they are and with disturbances of known size added.

Tables are in Markdown, as in docs/quality.md. ``--out`` also saves the precision-recall curves.
"""

from __future__ import annotations

import argparse
import os
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import neurokit2 as nk
import numpy as np
import pandas as pd
import wfdb
from scipy.signal import butter, lfilter, sosfiltfilt

from ppgssl.core.config.fixed import BANDS_HZ
from ppgssl.core.records import BoolArray, FloatArray, IntArray
from ppgssl.evaluation.resampling import draw_counts
from ppgssl.signals.filters import bandpass
from ppgssl.signals.polarity import is_inverted, polarity
from ppgssl.signals.preprocessing import preprocess
from ppgssl.signals.quality_indices import index_table, segment_defects, sqi
from ppgssl.signals.resampling import resample
from ppgssl.signals.segmentation import cut, segment_starts
from ppgssl.signals.vitals import SegmentedRecording, VitalChannel, segment_quality

FS_HZ, STORED_HZ = 200.0, 100.0
GRIDS_S = {10.0: 5.0, 2.0: 2.0}
SHARES = (0.5, 0.1)
N_RESAMPLES, SEED = 1000, 1
CHANNELS = {"green_channel": 0, "red_channel": 1, "ir_channel": 2}
WHOLE = ("templatematch", "dissimilarity", "ho2025", "skewness", "kurtosis", "entropy", "relative_power")
BY_BEAT = WHOLE[:3]
# Of these a low value is taken as good quality. The documentation says so of the first only; of kurtosis it says the
# opposite, and of entropy nothing: these two get the direction in which they do better here.
DESCENDING = ("dissimilarity", "kurtosis")
OURS, RULES, INDEX = "ppgssl", "ppgssl, rules", "ppgssl, rules alone"
REFERENCE = "templatematch"


# --- PPG: labelled artefacts -----------------------------------------------------------------------------------


@dataclass
class Segments:
    """Of one length: a row for each segment of each channel; ``scores`` are higher for better quality."""

    patient: IntArray
    channel: IntArray
    start: IntArray
    share: FloatArray
    defect: BoolArray
    scores: dict[str, FloatArray] = field(default_factory=dict)


@dataclass
class Recordings:
    raw: FloatArray
    """Shape (n_patients, 3, n_samples)."""
    labelled: BoolArray


def read_recordings(folder: Path) -> Recordings:
    files = sorted((folder / "recordings").glob("*.csv"), key=lambda path: int(path.stem.rsplit("_", 1)[1]))
    raw = np.stack([np.loadtxt(file, delimiter=",", skiprows=1).T for file in files])
    labelled = np.zeros(raw.shape, dtype=bool)
    intervals = pd.read_csv(folder / "artefact_labels" / "intervals.csv")
    columns = (intervals[name].tolist() for name in ("subject", "channel", "start_sample", "end_sample"))
    for subject, channel, start, end in zip(*columns, strict=True):
        labelled[subject - 1, CHANNELS[channel], start:end] = True
    return Recordings(raw, labelled)


def cut_segments(recordings: Recordings, segment_s: float, step_s: float) -> tuple[Segments, FloatArray]:
    """Segments with our scores, and their samples as stored."""
    n_patients, n_channels, n_samples = recordings.raw.shape
    raw_starts, length = starts_of(n_samples, FS_HZ, segment_s, step_s)
    share = cut(recordings.labelled.astype(np.float64), raw_starts, length).mean(axis=-1)
    patient, channel, start = (
        axis.ravel()
        for axis in np.meshgrid(np.arange(1, n_patients + 1), np.arange(n_channels), raw_starts, indexing="ij")
    )
    samples, defect, scores, probability = [], [], [], []
    for of_patient in recordings.raw:
        probability.append(probabilities(of_patient, segment_s, step_s))
        for x in of_patient:
            found = assess(x, FS_HZ, "ppg", segment_s, step_s)
            samples.append(found[0])
            defect.append(found[1])
            scores.append(found[2])
    segments = Segments(patient, channel, start, share.ravel(), np.concatenate(defect))
    segments.scores[OURS] = np.where(segments.defect, 0.0, np.concatenate(probability))
    segments.scores[RULES] = np.concatenate(scores)
    low_hz, high_hz = BANDS_HZ["ppg"]
    filtered = bandpass(recordings.raw, fs_hz=FS_HZ, low_hz=low_hz, high_hz=high_hz)
    stored = resample(filtered, fs_in_hz=FS_HZ, fs_out_hz=STORED_HZ)
    starts, length = starts_of(stored.shape[-1], STORED_HZ, segment_s, step_s)
    segments.scores[INDEX] = np.nan_to_num(sqi(cut(stored, starts, length).reshape(-1, length), fs_hz=STORED_HZ))
    return segments, np.concatenate(samples)


def probabilities(
    raw: FloatArray, segment_s: float, step_s: float, *, fs_hz: float = FS_HZ, modality: str = "ppg"
) -> FloatArray:
    """Of one patient's channels, shape (n_channels * n_segments,): as the product computes them, polarity included."""
    channels = {}
    for number, x in enumerate(raw):
        samples = preprocess(x, fs_hz=fs_hz, fs_out_hz=STORED_HZ, band_hz=BANDS_HZ[modality]).samples
        is_down = modality == "ppg" and is_inverted(polarity(samples, fs_hz=STORED_HZ))
        channels[f"{modality}_{number}"] = VitalChannel(-samples if is_down else samples, np.zeros(0), False)
    starts, length = starts_of(len(channels[f"{modality}_0"].samples), STORED_HZ, segment_s, step_s)
    recording = SegmentedRecording(channels, starts, length, STORED_HZ)
    indices = {name: index_table(recording.segments(name), fs_hz=STORED_HZ, modality=modality) for name in channels}
    return np.concatenate(list(segment_quality(replace(recording, indices=indices)).values()))


def assess(
    x: FloatArray, fs_hz: float, modality: str, segment_s: float, step_s: float
) -> tuple[FloatArray, BoolArray, FloatArray]:
    """Samples as stored, whether each segment is defective, and its quality: 0 where it is."""
    out = preprocess(x, fs_hz=fs_hz, fs_out_hz=STORED_HZ, band_hz=BANDS_HZ[modality])
    starts, length = starts_of(len(out.samples), STORED_HZ, segment_s, step_s)
    samples = cut(out.samples, starts, length)
    defect = segment_defects(out.flags, starts, length) != ""
    quality = np.nan_to_num(sqi(samples, fs_hz=STORED_HZ, modality=modality))
    return samples, defect, np.where(defect, 0.0, quality)


def starts_of(n_samples: int, fs_hz: float, segment_s: float, step_s: float) -> tuple[IntArray, int]:
    starts = segment_starts(n_samples, fs_hz=fs_hz, segment_s=segment_s, step_s=step_s)
    return starts, round(segment_s * fs_hz)


def add_neurokit(segments: Segments, recordings: Recordings, whole: dict[str, FloatArray], segment_s: float) -> None:
    """Scores of neurokit2: averages over the recording's continuous quality, and of each segment on its own."""
    length = round(segment_s * FS_HZ)
    rows = list(zip(segments.patient - 1, segments.channel, segments.start, strict=True))
    failures: Counter[str] = Counter()
    for method in WHOLE:
        sign = -1.0 if method in DESCENDING else 1.0
        pieces = np.stack([whole[method][p, c, s : s + length] for p, c, s in rows])
        segments.scores[method] = as_lowest(sign * mean_or_nan(pieces))
    for method in BY_BEAT:
        sign = -1.0 if method in DESCENDING else 1.0
        values = [one_quality(recordings.raw[p, c, s : s + length], method, failures, ppg_quality) for p, c, s in rows]
        segments.scores[f"{method}, by segment"] = as_lowest(sign * np.array(values))
    segments.scores["templatematch, and 0 at our defects"] = np.where(segments.defect, -1.0, segments.scores[REFERENCE])
    report_failures(failures, len(rows), f"{segment_s:g} s segments")


def ppg_quality(x: FloatArray, method: str, fs_hz: float = FS_HZ) -> FloatArray:
    cleaned = nk.ppg_clean(x, sampling_rate=int(fs_hz))
    return np.asarray(nk.ppg_quality(cleaned, sampling_rate=int(fs_hz), method=method, ppg_raw=x), dtype=np.float64)


def one_quality(x: FloatArray, method: str, failures: Counter[str], quality: Callable[..., FloatArray]) -> float:
    try:
        value = float(mean_or_nan(quality(x, method)))
    except Exception as error:  # The point is to count whatever comes out.
        failures[f"{method}: {type(error).__name__}"] += 1
        return np.nan
    failures[f"{method}: NaN"] += bool(np.isnan(value))
    return value


def mean_or_nan(x: FloatArray) -> FloatArray:
    """Mean of the finite values along the last axis; NaN where there are none."""
    good = np.isfinite(x)
    total = np.where(good, x, 0.0).sum(axis=-1)
    return np.where(good.any(axis=-1), total / np.maximum(good.sum(axis=-1), 1), np.nan)


def as_lowest(quality: FloatArray) -> FloatArray:
    """NaN becomes worse than the worst; all NaN, of a method that never worked, stays."""
    is_missing = np.isnan(quality)
    return quality if is_missing.all() else np.where(is_missing, np.nanmin(quality) - 1, quality)


def whole_quality(recordings: Recordings) -> dict[str, FloatArray]:
    """Of each method, its quality sample by sample, NaN for recordings where it fails; shape of ``recordings.raw``."""
    flat = recordings.raw.reshape(-1, recordings.raw.shape[-1])
    failures: Counter[str] = Counter()
    result = {}
    for method in WHOLE:
        rows = np.full(flat.shape, np.nan)
        for number, x in enumerate(flat):
            try:
                rows[number] = ppg_quality(x, method)
            except Exception as error:  # The point is to count whatever comes out.
                failures[f"{method}: {type(error).__name__}"] += 1
        result[method] = rows.reshape(recordings.raw.shape)
    report_failures(failures, len(flat), "recordings")
    return result


def report_failures(failures: Counter[str], n: int, what: str) -> None:
    named = ", ".join(f"{name} in {count}" for name, count in sorted(failures.items()) if count)
    print(f"neurokit2 without a result, of {n} {what}: {named or 'none'}")


# --- statistics ------------------------------------------------------------------------------------------------


def areas(quality: FloatArray, y: BoolArray, weights: FloatArray) -> tuple[FloatArray, FloatArray]:
    """AUROC and average precision for artefacts, for each column of weights, shape (n_segments, n_resamples)."""
    true, false = cumulative(quality, y, weights)
    with np.errstate(invalid="ignore", divide="ignore"):
        recall, fallout = true / true[-1], false / false[-1]
        precision = np.nan_to_num(true / (true + false))
        average_precision = (np.diff(recall, axis=0, prepend=0) * precision).sum(axis=0)
        before = np.concatenate([np.zeros((1, recall.shape[1])), recall[:-1]])
        auroc = (np.diff(fallout, axis=0, prepend=0) * (recall + before) / 2).sum(axis=0)
    return auroc, average_precision


def cumulative(quality: FloatArray, y: BoolArray, weights: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Weight of artefacts and of other segments up to each distinct quality, from the worst on."""
    order = np.argsort(quality, kind="stable")
    last = np.flatnonzero(np.diff(quality[order], append=np.inf))
    weights, is_bad = weights[order], y[order, None]
    return np.cumsum(weights * is_bad, axis=0)[last], np.cumsum(weights * ~is_bad, axis=0)[last]


def rates(quality: FloatArray, y: BoolArray, weights: FloatArray, limit: float) -> FloatArray:
    """Sensitivity, specificity, positive predictive value of ``quality < limit``; share rejected. (4, n_resamples)"""
    flagged = (quality < limit)[:, None] * weights
    hit = flagged[y].sum(axis=0)
    false = flagged[~y].sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        specificity = 1 - false / weights[~y].sum(axis=0)
        return np.stack(
            [hit / weights[y].sum(axis=0), specificity, hit / (hit + false), (hit + false) / weights.sum(axis=0)]
        )


def resample_weights(patient: IntArray, n_resamples: int = N_RESAMPLES) -> FloatArray:
    """How often each row counts: first column as it is, then the draws of patients. Shape (n_rows, 1 + n_resamples)."""
    patients, row = np.unique(patient, return_inverse=True)
    counts = draw_counts(len(patients), n_resamples, np.random.default_rng(SEED))
    return np.hstack([np.ones((len(patients), 1)), counts])[row]


def with_interval(values: FloatArray, digits: int = 2) -> str:
    """The first value, and the 2.5th and 97.5th percentile of the others that are defined."""
    drawn = values[1:][np.isfinite(values[1:])]
    shown = (values[0], *np.quantile(drawn, [0.025, 0.975]))
    estimate, low, high = (f"{round(value, digits) + 0.0:.{digits}f}" for value in shown)  # No "-0.00".
    return f"{estimate} ({low} to {high})"


def compare(segments: Segments, share: float, rows: BoolArray, names: list[str]) -> None:
    """One table: AUROC and average precision of every score, and the paired difference of ours to each."""
    y, weights = segments.share[rows] > share, resample_weights(segments.patient[rows])
    names = [name for name in names if np.isfinite(segments.scores[name]).all()]
    found = {name: areas(segments.scores[name][rows], y, weights) for name in names}
    print(
        f"{rows.sum()} segments, {y.sum()} artefacts ({y.mean():.1%}) in "
        f"{len(np.unique(segments.patient[rows][y]))} patients\n"
    )
    print("| quality | AUROC | average precision | AUROC: ppgssl minus this | average precision: ppgssl minus this |")
    print("|---|---|---|---|---|")
    for name, (auroc, precision) in found.items():
        ours = found[names[0]]
        deltas = [
            "" if name == names[0] else with_interval(mine - other, digits)
            for mine, other, digits in zip(ours, (auroc, precision), (3, 2), strict=True)
        ]
        print(f"| {name} | {with_interval(auroc, 3)} | {with_interval(precision)} | {' | '.join(deltas)} |")
    print()


def at_limits(segments: Segments, share: float) -> None:
    y, weights = segments.share > share, resample_weights(segments.patient)
    print("| rejected if | sensitivity | specificity | positive predictive value | share rejected |")
    print("|---|---|---|---|---|")
    for name, limit in (
        (OURS, 0.5),
        (RULES, 0.5),
        (INDEX, 0.5),
        ("templatematch", 0.86),
        ("templatematch, by segment", 0.86),
    ):
        if np.isnan(segments.scores[name]).any():
            continue
        values = rates(segments.scores[name], y, weights, limit)
        print(f"| {name} < {limit:g} | {' | '.join(with_interval(value) for value in values)} |")
    print()


def list_missed(segments: Segments) -> None:
    """Where the artefacts that were accepted lie, and the rejected segments that nobody labelled."""
    missed = Counter(zip_rows(segments, (segments.share > SHARES[0]) & (segments.scores[OURS] >= 0.5)))
    total = Counter(zip_rows(segments, segments.share > SHARES[0]))
    named = [f"{patient} {channel}: {missed[key]} of {total[key]}" for key in total for patient, channel in [key]]
    print("accepted artefact segments: " + "; ".join(named))
    unlabelled = Counter(zip_rows(segments, (segments.share == 0) & (segments.scores[OURS] < 0.5)))
    most = [f"{patient} {channel}: {count}" for (patient, channel), count in unlabelled.most_common(12)]
    print(
        f"rejected without any label: {sum(unlabelled.values())} of {(segments.share == 0).sum()}; " + "; ".join(most)
    )
    print()


def zip_rows(segments: Segments, rows: BoolArray) -> Iterator[tuple[int, str]]:
    names = list(CHANNELS)
    return zip(segments.patient[rows].tolist(), [names[number] for number in segments.channel[rows]], strict=True)


def plot_curves(segments: Segments, names: list[str], file: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5, 4), layout="constrained")
    axes = figure.subplots()
    y = segments.share > SHARES[0]
    for name in names:
        true, false = cumulative(segments.scores[name], y, np.ones((len(y), 1)))
        axes.step(true / y.sum(), true / (true + false), where="pre", label=name, linewidth=1.2)
    axes.axhline(y.mean(), color="0.6", linewidth=0.8, linestyle=":", label="prevalence")
    axes.set(xlabel="share of artefact segments found (recall)", ylabel="share of artefacts among found (precision)")
    axes.set(xlim=(0, 1), ylim=(0, 1.02))
    axes.legend(fontsize=7, frameon=False)
    figure.savefig(file, dpi=150)


def ppg_part(folder: Path, out: Path | None) -> float:
    recordings = read_recordings(folder / "mw_ppg")
    whole = whole_quality(recordings)
    speed = 0.0
    for segment_s, step_s in GRIDS_S.items():
        segments, samples = cut_segments(recordings, segment_s, step_s)
        add_neurokit(segments, recordings, whole, segment_s)
        everything = np.ones(len(segments.share), dtype=bool)
        for share in SHARES:
            print(f"\n### {segment_s:g} s segments, artefact if over {share:.0%} is labelled\n")
            compare(segments, share, everything, list(segments.scores))
            at_limits(segments, share)
        print(f"### {segment_s:g} s segments without a defect, artefact if over {SHARES[0]:.0%} is labelled\n")
        compare(
            segments, SHARES[0], ~segments.defect, [INDEX, *WHOLE, *(f"{method}, by segment" for method in BY_BEAT)]
        )
        list_missed(segments)
        if out is not None:
            plot_curves(segments, [OURS, RULES, *WHOLE[:3]], out / f"precision_recall_{segment_s:g}s.png")
        speed = speed or compare_speed(samples[~segments.defect])
    return speed


def compare_speed(samples: FloatArray, n_timed: int = 200) -> float:
    """Filtered segments in, quality out, on one thread; neurokit2 gets some of the same segments, one at a time."""
    samples = samples.astype(np.float64)
    chosen = samples[:: max(1, len(samples) // n_timed)]
    ours, theirs = [], []
    for _ in range(3):
        started = time.perf_counter()
        sqi(samples, fs_hz=STORED_HZ)
        ours.append((time.perf_counter() - started) / len(samples))
        started = time.perf_counter()
        for x in chosen:
            one_quality(x, REFERENCE, Counter(), quality_of_cleaned)
        theirs.append((time.perf_counter() - started) / len(chosen))
    print(f"10 s segments per second: ours {1 / min(ours):.0f}, neurokit2 {REFERENCE} {1 / min(theirs):.0f}\n")
    return min(theirs) / min(ours)


def quality_of_cleaned(x: FloatArray, method: str) -> FloatArray:
    return np.asarray(nk.ppg_quality(x, sampling_rate=int(STORED_HZ), method=method), dtype=np.float64)


# --- ECG: disturbances of known size ---------------------------------------------------------------------------

ECG_LEADS: dict[str, tuple[str, ...]] = {
    "03700181": ("MCL1",),
    "100": ("MLII", "V5"),
    "a103l": ("II", "V"),
    "v102s": ("II", "V"),
    "s0010_re": (),
}
ECG_S = 300


@dataclass(frozen=True)
class Lead:
    record: str
    name: str
    samples: FloatArray
    fs_hz: float

    def disturbed(self, kind: str) -> FloatArray:
        """The lead with a disturbance that is scaled to the typical height, or to the power, of its beats."""
        name, size = kind.split()
        return DISTURB[name](self.samples, self.fs_hz, float(size), np.random.default_rng(SEED))


def read_leads(folder: Path, wanted: dict[str, tuple[str, ...]]) -> list[Lead]:
    leads = []
    for record, names in wanted.items():
        header = wfdb.rdrecord(str(folder / record), smooth_frames=False)
        for number, name in enumerate(header.sig_name):
            if name in names or not names:
                fs_hz = float(header.fs * header.samps_per_frame[number])
                x = np.asarray(header.e_p_signal[number], dtype=np.float64)[: round(ECG_S * fs_hz)]
                leads.append(Lead(record, name, x, fs_hz))
    return leads


KINDS = {
    "as recorded": "none 0",
    "noise 12 dB below the ECG": "white 12",
    "noise 6 dB below": "white 6",
    "noise as strong": "white 0",
    "noise 6 dB above": "white -6",
    "mains, height of the beats": "mains 1",
    "mains, 3 times": "mains 3",
    "electrode motion 6 dB below": "motion 6",
    "electrode motion as strong": "motion 0",
    "electrode motion 6 dB above": "motion -6",
    "baseline jumps, height of the beats": "jump 1",
    "baseline jumps, 3 times": "jump 3",
    "lead off for half of each segment": "flat 0.5",
    "white noise only": "only 0",
    "brown noise only": "only 1",
}


def in_band(x: FloatArray, fs_hz: float) -> FloatArray:
    low_hz, high_hz = BANDS_HZ["ecg"]
    return bandpass(np.nan_to_num(x), fs_hz=fs_hz, low_hz=low_hz, high_hz=high_hz)


def height(x: FloatArray, fs_hz: float) -> float:
    """Median over pieces of 2 s of the peak-to-peak height in the pass band."""
    filtered, length = in_band(x, fs_hz), round(2 * fs_hz)
    n_pieces = len(filtered) // length
    return float(np.median(np.ptp(filtered[: n_pieces * length].reshape(n_pieces, length), axis=1)))


def undisturbed(x: FloatArray, fs_hz: float, size: float, rng: np.random.Generator) -> FloatArray:  # noqa: ARG001
    return x


def with_noise(x: FloatArray, fs_hz: float, below_db: float, rng: np.random.Generator) -> FloatArray:
    """White noise, as of muscles."""
    noise = rng.standard_normal(len(x))
    return x + noise * in_band(x, fs_hz).std() / in_band(noise, fs_hz).std() * 10 ** (-below_db / 20)


def with_motion(x: FloatArray, fs_hz: float, below_db: float, rng: np.random.Generator) -> FloatArray:
    """Noise of 1 to 8 Hz, where electrodes that move on the skin resemble complexes."""
    sections = butter(2, (1, 8), btype="bandpass", fs=fs_hz, output="sos")
    noise = sosfiltfilt(sections, rng.standard_normal(len(x)))
    return np.asarray(x + noise * in_band(x, fs_hz).std() / noise.std() * 10 ** (-below_db / 20))


def with_mains(x: FloatArray, fs_hz: float, times: float, rng: np.random.Generator) -> FloatArray:  # noqa: ARG001
    return x + times * height(x, fs_hz) / 2 * np.sin(2 * np.pi * 50 * np.arange(len(x)) / fs_hz)


def with_jumps(x: FloatArray, fs_hz: float, times: float, rng: np.random.Generator) -> FloatArray:
    """A step every 2 s, at a random moment, that the amplifier forgets within about a second."""
    steps = np.zeros(len(x))
    first = np.arange(0, len(x) - 2 * fs_hz, 2 * fs_hz)
    at = np.round(first + rng.uniform(0.2, 1.8, len(first)) * fs_hz).astype(np.int64)
    steps[at] = rng.choice([-1, 1], len(at)) * times * height(x, fs_hz)
    return np.asarray(x + lfilter([1], [1, -np.exp(-1 / (0.4 * fs_hz))], steps))


def lead_off(x: FloatArray, fs_hz: float, share: float, rng: np.random.Generator) -> FloatArray:  # noqa: ARG001
    """Constant for a share of every 2 s."""
    number = np.arange(len(x))
    is_off = number / fs_hz % 2 < 2 * share
    return x[np.maximum.accumulate(np.where(is_off & (number > 0), 0, number))]


def noise_only(x: FloatArray, fs_hz: float, colour: float, rng: np.random.Generator) -> FloatArray:  # noqa: ARG001
    noise = rng.standard_normal(len(x))
    return np.cumsum(noise) if colour else noise


DISTURB: dict[str, Callable[[FloatArray, float, float, np.random.Generator], FloatArray]] = {
    "none": undisturbed,
    "white": with_noise,
    "motion": with_motion,
    "mains": with_mains,
    "jump": with_jumps,
    "flat": lead_off,
    "only": noise_only,
}
ECG_METHODS = ("zhao2018", "averageQRS", "templatematch")
GRADES = {"Unacceptable": 0.0, "Barely acceptable": 0.5, "Excellent": 1.0}


def ecg_quality(x: FloatArray, method: str, fs_hz: float) -> FloatArray:
    cleaned = nk.ecg_clean(np.nan_to_num(x), sampling_rate=int(fs_hz))
    quality = nk.ecg_quality(cleaned, sampling_rate=int(fs_hz), method=method)
    return np.asarray(GRADES[quality] if isinstance(quality, str) else quality, dtype=np.float64).reshape(-1)


def lead_scores(
    lead: Lead, kind: str, segment_s: float, methods: tuple[str, ...], failures: Counter[str]
) -> dict[str, FloatArray]:
    x = lead.disturbed(kind)
    _, defect, rules = assess(x, lead.fs_hz, "ecg", segment_s, segment_s)
    probability = probabilities(x[None], segment_s, segment_s, fs_hz=lead.fs_hz, modality="ecg")
    scores = {OURS: np.where(defect, 0.0, probability), RULES: rules}
    starts, length = starts_of(len(x), lead.fs_hz, segment_s, segment_s)
    starts = starts[: len(scores[OURS])]
    for method in methods:
        values = [
            one_quality(piece, method, failures, lambda y, name: ecg_quality(y, name, lead.fs_hz))
            for piece in cut(x, starts, length)
        ]
        scores[method] = np.nan_to_num(np.array(values), nan=-1.0)
    return scores


def ecg_part(folder: Path, segment_s: float, methods: tuple[str, ...]) -> None:
    leads = read_leads(folder / "wfdb_samples", ECG_LEADS)
    failures: Counter[str] = Counter()
    scores = {
        label: [lead_scores(lead, kind, segment_s, methods, failures) for lead in leads]
        for label, kind in KINDS.items()
    }
    n_segments = sum(len(of_lead[OURS]) for of_lead in scores["as recorded"])
    print(f"\n### ECG, {segment_s:g} s segments: {n_segments} of {len(leads)} leads, {len(ECG_LEADS)} records\n")
    report_failures(failures, n_segments * len(KINDS), "segments")
    print("\nProportion accepted (quality of at least 0.5), mean of the leads of each record, by rules in brackets:\n")
    print(f"| disturbance | {' | '.join(ECG_LEADS)} |")
    print("|---" * (len(ECG_LEADS) + 1) + "|")
    for label, of_leads in scores.items():
        cells = []
        for record in ECG_LEADS:
            some = [of_lead for of_lead, lead in zip(of_leads, leads, strict=True) if lead.record == record]
            both = [np.mean([np.mean(of_lead[name] >= 0.5) for of_lead in some]) for name in (OURS, RULES)]
            cells.append(f"{both[0]:.2f} ({both[1]:.2f})")
        print(f"| {label} | {' | '.join(cells)} |")
    print("\nAUROC of each disturbance against the same leads as recorded, mean of the records (least):\n")
    names = list(scores["as recorded"][0])
    print(f"| disturbance | {' | '.join(names)} |")
    print("|---" * (len(names) + 1) + "|")
    for label in list(KINDS)[1:]:
        print(f"| {label} | {' | '.join(separation(scores, label, name, leads) for name in names)} |")


def separation(scores: dict[str, list[dict[str, FloatArray]]], label: str, name: str, leads: list[Lead]) -> str:
    by_lead = []
    for clean, disturbed in zip(scores["as recorded"], scores[label], strict=True):
        quality = np.concatenate([clean[name], disturbed[name]])
        y = np.arange(len(quality)) >= len(clean[name])
        by_lead.append(float(areas(quality, y, np.ones((len(y), 1)))[0][0]))
    by_record = pd.Series(by_lead).groupby([lead.record for lead in leads]).mean()
    return f"{by_record.mean():.2f} ({by_record.min():.2f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0] if __doc__ else "")
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("PPGSSL_TEST_DATA", "../shared/data")))
    parser.add_argument("--out", type=Path, help="folder for the precision-recall curves")
    options = parser.parse_args()
    if options.out is not None:
        options.out.mkdir(parents=True, exist_ok=True)
    warnings.simplefilter("ignore")  # neurokit2 warns of nearly every short segment.
    ecg_part(options.data, 10.0, ECG_METHODS)
    ecg_part(options.data, 2.0, ECG_METHODS[:1])  # The others find too few beats in any 2 s.
    ratio = ppg_part(options.data, options.out)
    print(f"ratio quality_speed {ratio:.0f}")


if __name__ == "__main__":
    main()
