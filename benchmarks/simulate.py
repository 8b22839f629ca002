"""Simulated recordings beside real ones, the oracles, and how long a cohort of the published size takes.

    python benchmarks/simulate.py oracle
    python benchmarks/simulate.py reach [--patients 4000]
    python benchmarks/simulate.py likeness --data FOLDER [--figures docs/figures]
    python benchmarks/simulate.py speed [--out FOLDER]
    python benchmarks/simulate.py garde2016 [--patients 4000]

``likeness`` needs ``mw_ppg`` (78 young adults, one minute of reflected light, of which the infrared channel is used)
and ``arrhythmia_pool`` (26 adults with arrhythmias, pieces of 10 s) in FOLDER. All signals are prepared as in an
ingest, and compared in segments of 10 s at 100 Hz. Beside the simulated children stand simulated adults:
the same simulator at the heart and breathing rates of the young adults, so that only what is not age is compared.
Tables are in Markdown, as in docs/simulator.md.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from scipy.signal import welch
from scipy.stats import ks_2samp
from sklearn.linear_model import LogisticRegression

from ppgssl.core.config.fixed import BANDS_HZ
from ppgssl.core.records import FloatArray, IntArray
from ppgssl.features.pulse_wave import PulseWave
from ppgssl.signals import arrays
from ppgssl.signals.oximetry import ratio_of_ratios, spo2
from ppgssl.signals.polarity import is_inverted, polarity
from ppgssl.signals.preprocessing import preprocess
from ppgssl.signals.pulse_rate import heart_rate
from ppgssl.signals.quality_indices import sqi
from ppgssl.signals.segmentation import cut
from ppgssl.simulate.devices import FULL_SCALE, simulate_devices
from ppgssl.simulate.findings import GARDE2016
from ppgssl.simulate.layouts import FS_HZ
from ppgssl.simulate.oracle import oracle_aucs
from ppgssl.simulate.physiology import simulate_clinical_table, simulate_patients
from ppgssl.simulate.published import N_LABELLED, N_UNLABELLED, simulate_published
from ppgssl.simulate.sources import record
from ppgssl.simulate.waveform import Vitals

STORED_HZ, SEGMENT_S = 100.0, 10.0
LENGTH = round(SEGMENT_S * STORED_HZ)
N_SIMULATED, N_PIECES = 150, 40
ADULT_BPM, ADULT_BREATHS = (79.0, 0.13), (16.0, 0.15)
MIN_SQI = 0.5
MULTIPLES = np.linspace(0.3, 6, 400)
FEATURES = {
    "heart_rate_bpm": "heart rate, 1/min",
    "sdnn_s": "SD of intervals, s",
    "rise_proportion": "rise time, share of the beat",
    "width_0.25": "width at 1/4 height, share of the beat",
    "width_0.5": "width at 1/2 height",
    "width_0.75": "width at 3/4 height",
    "area_after_peak": "area after the peak, share",
    "height_at_0.35": "height at 0.35 of the beat",
    "height_at_0.5": "height at 0.50 of the beat",
    "b_over_a": "b/a of the second derivative",
    "beat_similarity": "likeness of the beats",
    "height_cv": "variation of the heights",
    "log_harmonic_2": "2nd harmonic, log of its share",
    "log_harmonic_3": "3rd harmonic",
    "log_harmonic_4": "4th harmonic",
    "centroid_hz": "centre of the spectrum, Hz",
    "entropy": "entropy of the spectrum",
    "skewness": "skewness of the samples",
    "sqi": "signal quality index",
}
COVARIATES = (
    "weight_kg",
    "muac_cm",
    "temperature_c",
    "heart_rate_bpm",
    "spo2_pct",
    "difficulty_breathing",
    "can_drink_or_breastfeed",
    "irritability",
)
# Medians (quartiles) of admitted and other children, and odds ratios (95 % interval): Garde et al. 2016.
GARDE_MEDIANS = {
    "heart_rate_bpm": ("140 (126..154)", "125 (112..138)"),
    "sdnn_ms": ("16 (11..25)", "22 (14..37)"),
    "rmssd_ms": ("16 (13..25)", "21 (15..39)"),
}
GARDE_ODDS = {"under_98_s": "1.4 (1.3..1.4)", "under_94_s": "1.5 (1.4..1.6)"}
REAL = ("young adults", "arrhythmia")
SIMULATED = ("simulated adults", "simulated children")


@dataclass
class Segments:
    """Of one source, 10 s at 100 Hz, upright and band-passed, shape (n, 1000); and whose they are."""

    samples: FloatArray
    patient: IntArray

    def measured(self) -> pd.DataFrame:
        """Features of the good segments and SQI of all; a row a segment."""
        quality = sqi(self.samples, fs_hz=STORED_HZ)
        extractor = PulseWave(STORED_HZ)
        names = [name.removeprefix("x ") for name in extractor.names(["x"])]
        table = pd.DataFrame(extractor(standardised(self.samples)[:, None]), columns=names)
        table.loc[quality < MIN_SQI] = np.nan
        return table.assign(sqi=quality, patient=self.patient)


def standardised(samples: FloatArray) -> FloatArray:
    return np.asarray((samples - samples.mean(axis=1, keepdims=True)) / samples.std(axis=1, keepdims=True))


# --- sources ---------------------------------------------------------------------------------------------------


def prepared(raw: FloatArray, fs_hz: float) -> FloatArray:
    """One recording as an ingest stores it, pulses upright."""
    samples = preprocess(raw, fs_hz=fs_hz, fs_out_hz=STORED_HZ, band_hz=BANDS_HZ["ppg"]).samples.astype(float)
    return -samples if is_inverted(polarity(samples, fs_hz=STORED_HZ)) else samples


def gathered(recordings: Iterator[tuple[FloatArray, float]]) -> Segments:
    pieces, patients = [], []
    for number, (raw, fs_hz) in enumerate(recordings):
        samples = prepared(raw, fs_hz)
        found = cut(samples, np.arange(0, len(samples) - LENGTH + 1, LENGTH), LENGTH)
        found = found[np.isfinite(found).all(axis=1) & (found.std(axis=1) > 0)]
        pieces.append(found)
        patients.append(np.full(len(found), number))
    return Segments(np.concatenate(pieces), np.concatenate(patients))


def young_adults(folder: Path) -> Iterator[tuple[FloatArray, float]]:
    for path in sorted((folder / "mw_ppg" / "recordings").glob("*.csv")):
        yield pd.read_csv(path)["ir_channel"].to_numpy(float), 200.0


def arrhythmia(folder: Path) -> Segments:
    rng = np.random.default_rng(1)
    pieces, patients = [], []
    for number, path in enumerate(sorted((folder / "arrhythmia_pool").glob("*.npz"))):
        rows = np.load(path)["ppg"].astype(float)
        chosen = rows[np.sort(rng.choice(len(rows), min(N_PIECES, len(rows)), replace=False))]
        found = np.stack([prepared(row, 100.0) for row in chosen])
        found = found[np.isfinite(found).all(axis=1) & (found.std(axis=1) > 0)]
        pieces.append(found)
        patients.append(np.full(len(found), number))
    return Segments(np.concatenate(pieces), np.concatenate(patients))


def simulated(n: int, *, adults: bool) -> Iterator[tuple[FloatArray, float]]:
    for vitals, rng, device in simulated_vitals(n, adults=adults):
        acquired, _ = record(vitals, device, duration_s=60, rng=rng)
        yield -acquired.infrared.astype(float), float(FS_HZ)


def simulated_vitals(n: int, *, adults: bool) -> Iterator[tuple[Vitals, np.random.Generator, object]]:
    rng = np.random.default_rng(11)
    devices = simulate_devices(5, rng)
    for row in simulate_patients(n, prevalence=0.126, rng=rng).to_dict("records"):
        vitals = Vitals.of(row)
        if adults:
            vitals = replace(
                vitals,
                heart_rate_bpm=ADULT_BPM[0] * rng.lognormal(0, ADULT_BPM[1]),
                resp_rate_per_min=ADULT_BREATHS[0] * rng.lognormal(0, ADULT_BREATHS[1]),
            )
        yield vitals, rng, devices[int(rng.integers(len(devices)))]


def all_sources(folder: Path) -> dict[str, Segments]:
    return {
        "young adults": gathered(young_adults(folder)),
        "arrhythmia": arrhythmia(folder),
        "simulated adults": gathered(simulated(N_SIMULATED, adults=True)),
        "simulated children": gathered(simulated(N_SIMULATED, adults=False)),
    }


# --- tables ----------------------------------------------------------------------------------------------------


def print_table(title: str, header: list[str], rows: list[list[str]]) -> None:
    print(f"\n{title}\n\n| {' | '.join(header)} |\n|{'---|' * len(header)}")
    for row in rows:
        print(f"| {' | '.join(row)} |")


def feature_table(measured: dict[str, pd.DataFrame]) -> None:
    """Medians of patients with their 10th and 90th centiles, and the KS distance of simulated and real adults."""
    by_patient = {name: table.groupby("patient").median() for name, table in measured.items()}
    rows = []
    for feature, label in FEATURES.items():
        cells = [label]
        for name in (*REAL, *SIMULATED):
            low, middle, high = by_patient[name][feature].dropna().quantile([0.1, 0.5, 0.9])
            cells.append(f"{middle:.2f} ({low:.2f}..{high:.2f})")
        values = [by_patient[name][feature].dropna() for name in ("young adults", "simulated adults")]
        rows.append([*cells, f"{ks_2samp(*values).statistic:.2f}"])
    header = ["", *REAL, *SIMULATED, "KS distance of adults"]
    print_table("Medians over patients (10th..90th centile) of each patient's median segment", header, rows)


def quality_table(measured: dict[str, pd.DataFrame]) -> None:
    rows = []
    for name, table in measured.items():
        quality = table["sqi"]
        levels = [f"{quality.quantile(level):.2f}" for level in (0.05, 0.25, 0.5, 0.75)]
        rows.append([name, str(len(quality)), f"{(quality >= MIN_SQI).mean():.2f}", *levels])
    print_table(
        "Signal quality of all segments", ["source", "segments", "SQI >= 0.5", "5 %", "25 %", "50 %", "75 %"], rows
    )


# --- spectra ---------------------------------------------------------------------------------------------------


@dataclass
class Spectrum:
    """Median over good segments, of samples of SD 1; ``by_multiple`` at ``MULTIPLES`` of each one's heart rate."""

    frequency_hz: FloatArray
    power: FloatArray
    by_multiple: FloatArray


def spectrum(segments: Segments) -> Spectrum:
    good = segments.samples[sqi(segments.samples, fs_hz=STORED_HZ) >= MIN_SQI]
    frequency_hz, power = welch(standardised(good), STORED_HZ, nperseg=LENGTH)
    rates_hz = heart_rate(good, fs_hz=STORED_HZ) / 60
    scaled = [
        np.interp(MULTIPLES * rate, frequency_hz, row) * rate
        for rate, row in zip(rates_hz, power, strict=True)
        if rate > 0
    ]
    return Spectrum(frequency_hz, np.median(power, axis=0), np.median(scaled, axis=0))


def spectrum_table(spectra: dict[str, Spectrum]) -> None:
    """RMS difference of two median spectra in decibels, over the first five harmonics and what lies between them."""
    inside = (MULTIPLES >= 0.5) & (MULTIPLES <= 5.5)
    decibels = {name: 10 * np.log10(one.by_multiple[inside]) for name, one in spectra.items()}
    rows = [
        [name, *(f"{np.sqrt(np.mean((values - other) ** 2)):.1f}" for other in decibels.values())]
        for name, values in decibels.items()
    ]
    print_table("Distance of median spectra at multiples of the heart rate, RMS in dB", ["", *decibels], rows)


# --- figures ---------------------------------------------------------------------------------------------------


def chosen(segments: Segments, n: int, seed: int = 3) -> FloatArray:
    """Good segments of different patients, drawn and not picked."""
    rng = np.random.default_rng(seed)
    good = sqi(segments.samples, fs_hz=STORED_HZ) >= MIN_SQI
    patients = rng.permutation(np.unique(segments.patient[good]))[:n]
    rows = [rng.choice(np.flatnonzero(good & (segments.patient == patient))) for patient in patients]
    return standardised(segments.samples[rows])


def plot_segments(sources: dict[str, Segments], path: Path) -> None:
    figure, axes = plt.subplots(4, len(sources), figsize=(13, 6), sharex=True, sharey=True)
    for column, (name, segments) in enumerate(sources.items()):
        for row, samples in enumerate(chosen(segments, 4)):
            axes[row, column].plot(np.arange(LENGTH) / STORED_HZ, samples, lw=0.8, color=colour(name))
            axes[row, column].set_ylim(-3, 4)
        axes[0, column].set_title(name)
        axes[-1, column].set_xlabel("s")
    save(figure, path)


def plot_pulses(sources: dict[str, Segments], path: Path) -> None:
    """Mean beats of patients, from the upstroke on, in shares of the beat."""
    figure, axes = plt.subplots(1, len(sources), figsize=(13, 3), sharey=True)
    for axis, (name, segments) in zip(axes, sources.items(), strict=True):
        for beat in mean_beats(segments, 40):
            axis.plot(np.linspace(0, 1, len(beat)), beat, lw=0.5, alpha=0.6, color=colour(name))
        axis.set_title(name)
        axis.set_xlabel("share of the beat, from its foot")
    save(figure, path)


def mean_beats(segments: Segments, n: int) -> Iterator[FloatArray]:
    for samples in chosen(segments, n, seed=4):
        rate = heart_rate(samples[None], fs_hz=STORED_HZ)[0]
        if not np.isfinite(rate):
            continue
        period = 60 / rate * STORED_HZ
        slope = np.diff(samples)
        ups = [i for i in range(round(0.4 * period), len(slope) - round(1.2 * period)) if is_steepest(slope, i, period)]
        beats = [np.interp(np.linspace(-0.25, 0.95, 121) * period + i, np.arange(LENGTH), samples) for i in ups]
        if len(beats) >= 3:
            beat = np.mean(beats, axis=0)
            foot = int(np.argmin(beat[:30]))
            beat = beat[foot : foot + 91] - beat[foot]
            yield np.asarray(beat / beat.max())


def is_steepest(slope: FloatArray, i: int, period: float) -> bool:
    half = round(0.4 * period)
    near = slope[max(0, i - half) : i + half + 1]
    return bool(slope[i] == near.max() and slope[i] > 0.3 * np.quantile(slope, 0.99))


def plot_spectra(spectra: dict[str, Spectrum], path: Path) -> None:
    """Median spectra, against frequency in Hz and in multiples of the heart rate."""
    figure, axes = plt.subplots(1, 2, figsize=(11, 3.5))
    for name, spectrum in spectra.items():
        axes[0].semilogy(spectrum.frequency_hz, spectrum.power, lw=1, color=colour(name), label=name)
        axes[1].semilogy(MULTIPLES, spectrum.by_multiple, lw=1, color=colour(name))
    axes[0].set(xlim=(0, 15), ylim=(1e-6, 3), xlabel="Hz", ylabel="power density of SD 1")
    axes[1].set(ylim=(1e-5, 30), xlabel="multiples of the heart rate")
    axes[0].legend(frameon=False, fontsize=8)
    save(figure, path)


def plot_quality(measured: dict[str, pd.DataFrame], path: Path) -> None:
    figure, axis = plt.subplots(figsize=(5.5, 3.2))
    for name, table in measured.items():
        axis.plot(np.sort(table["sqi"]), np.linspace(0, 1, len(table)), color=colour(name), label=name)
    axis.set(xlabel="signal quality index", ylabel="share of segments up to it")
    axis.legend(frameon=False, fontsize=8)
    save(figure, path)


def plot_channels(path: Path) -> None:
    """Raw light of four of 24 simulated children, from the least to the most disturbed, and five seconds of it."""
    made = [
        (vitals, *record(vitals, device, duration_s=60, rng=rng))
        for vitals, rng, device in simulated_vitals(24, adults=False)
    ]
    made.sort(key=lambda one: float((one[1].is_motion | one[1].is_lost).sum()))
    figure, axes = plt.subplots(4, 2, figsize=(12, 6.5), width_ratios=[3, 1])
    for (axis, detail), (vitals, acquired, trends) in zip(axes, [made[place] for place in (0, 8, 16, 23)], strict=True):
        time_s = np.arange(len(acquired.red)) / FS_HZ
        for counts, hue in ((acquired.red, "C3"), (acquired.infrared, "0.3")):
            axis.plot(time_s, counts / FULL_SCALE, lw=0.6, color=hue)
        axis.set_ylim(0, 1.05)
        axis.set_ylabel("of full scale")
        axis.set_title(
            f"{vitals.heart_rate_bpm:.0f} beats/min, {vitals.resp_rate_per_min:.0f} breaths/min, SpO2 "
            f"{vitals.spo2_pct:.0f} %, perfusion {vitals.perfusion_index_pct:.1f} %; median SQI of the device "
            f"{np.median(trends['SQI']):.0f}",
            fontsize=8,
        )
        detail.plot(time_s[:400], acquired.infrared[:400] / FULL_SCALE, lw=0.8, color="0.3")
    axes[0, 1].set_title("infrared, first 5 s", fontsize=8)
    for axis in axes[-1]:
        axis.set_xlabel("s")
    save(figure, path)


def colour(name: str) -> str:
    return {"young adults": "C0", "arrhythmia": "C2", "simulated adults": "C1", "simulated children": "C3"}[name]


def save(figure: plt.Figure, path: Path) -> None:
    figure.tight_layout()
    figure.savefig(path, dpi=80, metadata={"Software": None})
    plt.close(figure)


# --- the parts -------------------------------------------------------------------------------------------------


def likeness(folder: Path, figures: Path | None) -> None:
    sources = all_sources(folder)
    measured = {name: segments.measured() for name, segments in sources.items()}
    feature_table(measured)
    quality_table(measured)
    spectra = {name: spectrum(segments) for name, segments in sources.items()}
    spectrum_table(spectra)
    if figures is not None:
        figures.mkdir(parents=True, exist_ok=True)
        mpl.rcParams.update({"font.size": 8, "axes.spines.top": False, "axes.spines.right": False})
        plot_segments(sources, figures / "simulator_segments.png")
        plot_pulses(sources, figures / "simulator_pulses.png")
        plot_spectra(spectra, figures / "simulator_spectra.png")
        plot_quality(measured, figures / "simulator_quality.png")
        plot_channels(figures / "simulator_recordings.png")


def oracle() -> None:
    rows = []
    for shift in (0.0, 0.5, 1.0):
        aucs = oracle_aucs(n=40_000, shift=shift, rng=np.random.default_rng(1))
        rows.append([f"{shift:g}", *(f"{auc:.3f}" for auc in aucs.values())])
    print_table("AUROC of the best possible predictions", ["shift", *aucs], rows)


def reach(n: int) -> None:
    """How much of the oracles is in the files: hand-crafted features of recordings, the table, and many patients."""
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegressionCV
    from sklearn.metrics import roc_auc_score
    from sklearn.model_selection import StratifiedKFold, cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    rng = np.random.default_rng(21)
    children = simulate_patients(n, prevalence=0.126, rng=rng)
    devices = simulate_devices(5, rng)
    rows = []
    for row in children.to_dict("records"):
        vitals = Vitals.of(row)
        acquired, trends = record(vitals, devices[int(rng.integers(5))], duration_s=60, rng=rng)
        rows.append(recording_features(acquired.red, acquired.infrared) | shown(trends))
    recorded = pd.DataFrame(rows)
    clinical = simulate_clinical_table(children, missing_fraction=0.04, rng=rng)[list(COVARIATES)]
    clinical = clinical.replace({"yes": "1", "no": "0", "": None}).astype(float)
    oracles = oracle_aucs(n=40_000, rng=np.random.default_rng(1))
    is_event = children["is_event"].to_numpy()
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    table = []
    for name, x in {
        "vitals": recorded[["HeartRate", "Saturation"]],
        "covariates": clinical,
        "waveform": recorded,
        "covariates+waveform": recorded.join(clinical),
    }.items():
        ridge = LogisticRegressionCV(
            Cs=7, scoring="neg_log_loss", max_iter=2000, use_legacy_attributes=False, l1_ratios=(0,)
        )
        models = {
            "ridge": make_pipeline(SimpleImputer(strategy="median"), StandardScaler(), ridge),
            "boosting": HistGradientBoostingClassifier(
                max_iter=150, learning_rate=0.05, max_leaf_nodes=6, l2_regularization=5, random_state=0
            ),
        }
        found = {
            label: roc_auc_score(
                is_event, cross_val_predict(model, x, is_event, cv=folds, method="predict_proba")[:, 1]
            )
            for label, model in models.items()
        }
        table.append([name, f"{oracles[name]:.3f}", f"{found['ridge']:.3f}", f"{found['boosting']:.3f}"])
    print_table(
        f"AUROC reached from the files of {n} children, {is_event.sum()} hospitalized (5-fold cross-validation)",
        ["information", "oracle", "ridge", "boosting"],
        table,
    )


def recording_features(red: IntArray, infrared: IntArray) -> dict[str, float]:
    """Median over good segments of the hand-crafted features of both channels, over their baselines."""
    prepared_channels = []
    for counts in (red, infrared):
        whole = preprocess(counts.astype(float), fs_hz=FS_HZ, fs_out_hz=STORED_HZ, band_hz=BANDS_HZ["ppg"])
        samples = -whole.samples.astype(float)
        prepared_channels.append(100 * samples / np.nanmedian(whole.baseline))
    starts = np.arange(0, len(samples) - LENGTH + 1, LENGTH // 2)
    segments = np.stack([cut(channel, starts, LENGTH) for channel in prepared_channels], axis=1)
    segments = segments[np.isfinite(segments).all(axis=(1, 2)) & (segments.std(axis=2) > 0).all(axis=1)]
    segments = segments[sqi(segments[:, 1], fs_hz=STORED_HZ) >= MIN_SQI] if len(segments) else segments
    extractor = PulseWave(STORED_HZ)
    names = extractor.names(["red", "infrared"])
    values = (
        pd.DataFrame(extractor(segments), columns=names).median() if len(segments) else dict.fromkeys(names, np.nan)
    )
    return dict(values)


def measured_vitals(children: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """What the product measures in a minute of each child, and seconds with SpO2 under 98 and 94 %."""
    devices = simulate_devices(5, rng)
    rows = []
    for row in children.to_dict("records"):
        acquired, _ = record(Vitals.of(row), devices[int(rng.integers(5))], duration_s=60, rng=rng)
        raw = np.stack([acquired.red, acquired.infrared]).astype(float)
        done = arrays.preprocess(raw, fs_hz=FS_HZ, fs_out_hz=STORED_HZ)
        red, infrared = -np.asarray(done.samples, dtype=float)
        rates = arrays.heart_rate(arrays.segments(infrared, fs_hz=STORED_HZ, segment_s=SEGMENT_S), fs_hz=STORED_HZ)
        starts = np.arange(0, len(red) - LENGTH + 1, 2 * round(STORED_HZ))
        ratios = ratio_of_ratios(red, infrared, *done.baseline.astype(float), starts, LENGTH, fs_hz=STORED_HZ)
        saturation = spo2(ratios[np.isfinite(ratios)], (110, -25))
        known = np.mean if len(saturation) else lambda _: np.nan
        rows.append(
            {
                "heart_rate_bpm": np.median(rates[np.isfinite(rates)]) if np.isfinite(rates).any() else np.nan,
                **{name: float(value) for name, value in arrays.hrv(infrared, fs_hz=STORED_HZ)._asdict().items()},
                **{f"under_{limit}_s": 60 * known(saturation < limit) for limit in (98, 94)},
            }
        )
    return pd.DataFrame(rows, index=children.index)


def odds_ratio(seconds: pd.Series, children: pd.DataFrame) -> float:
    """Of admission, for 10 s more, adjusted for age."""
    age = children["age_months"]
    x = pd.DataFrame({"seconds": seconds / 10, "age": age / 12, "log_age": np.log(age)}).loc[seconds.notna()]
    fitted = LogisticRegression(C=1e6, max_iter=5000).fit(x, children["is_event"][seconds.notna()])
    return float(np.exp(fitted.coef_[0, 0]))


def garde(n: int) -> None:
    """What the product measures in admitted and other children of that population, beside what was published."""
    rng = np.random.default_rng(3)
    children = simulate_patients(n, population=GARDE2016, rng=rng)
    measured = measured_vitals(children, rng)
    rows = []
    for name, published in GARDE_MEDIANS.items():
        cells = [
            "{1:.1f} ({0:.1f}..{2:.1f})".format(
                *measured[name][children["is_event"] == is_event].quantile([0.25, 0.5, 0.75])
            )
            for is_event in (True, False)
        ]
        rows.append([name, published[0], cells[0], published[1], cells[1]])
    print_table(
        f"Medians (quartiles) of {n} children, {children['is_event'].sum()} admitted",
        ["", "admitted, published", "simulated", "not admitted, published", "simulated"],
        rows,
    )
    for name, published in GARDE_ODDS.items():
        print(f"{name}: odds ratio for 10 s {odds_ratio(measured[name], children):.2f}, published {published}")
    print(f"ages {children['age_months'].quantile([0.25, 0.5, 0.75]).tolist()} months")


def shown(trends: dict[str, FloatArray]) -> dict[str, float]:
    return {name: float(np.nanmedian(trends[name])) for name in ("HeartRate", "Saturation", "Perfusion")}


def speed(out: Path) -> None:
    started = time.perf_counter()
    simulate_published(out / "published", n_labelled=N_LABELLED, n_unlabelled=N_UNLABELLED)
    seconds = time.perf_counter() - started
    n = N_LABELLED + N_UNLABELLED
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    size_gb = sum(path.stat().st_size for path in (out / "published").rglob("*") if path.is_file()) / 1e9
    print(f"{n} recordings: {seconds:.0f} s in one process, {1000 * seconds / n:.1f} ms each, peak {peak_mb:.0f} MB")
    print(f"{size_gb:.2f} GB of files")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=("oracle", "reach", "likeness", "speed", "garde2016"))
    parser.add_argument("--patients", type=int, default=4000, help="of `reach` and `garde2016`")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--figures", type=Path)
    parser.add_argument("--out", type=Path, help="folder for the files of `speed`; a temporary one by default")
    arguments = parser.parse_args()
    if arguments.part == "oracle":
        oracle()
    elif arguments.part == "reach":
        reach(arguments.patients)
    elif arguments.part == "garde2016":
        garde(arguments.patients)
    elif arguments.part == "likeness":
        likeness(arguments.data, arguments.figures)
    elif arguments.out is not None:
        speed(arguments.out)
    else:
        with tempfile.TemporaryDirectory() as folder:
            speed(Path(folder))


if __name__ == "__main__":
    main()
