"""What hand-crafted features know of the simulator's hidden dynamics, and what an expert knows who looks for them.

    python -m benchmarks.hidden_dynamics [--patients 2000]

Children are those of `ppgssl simulate --hidden-dynamics`, 60 s each. Hand-crafted: the features of `pulse-wave` of both
channels, median over the good segments, and SDNN and RMSSD of the whole recording. The expert measures the three
relations of :data:`ppgssl.simulate.findings.HIDDEN` beat by beat. R2 and AUROC are of ridge regressions, and of
boosting, in five folds.
"""

from __future__ import annotations

import argparse

import numpy as np
import pandas as pd
from scipy.interpolate import CubicSpline
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.metrics import r2_score, roc_auc_score
from sklearn.model_selection import KFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from benchmarks.simulate import recording_features
from ppgssl.core.records import BoolArray, FloatArray, IntArray
from ppgssl.signals import arrays
from ppgssl.simulate.devices import simulate_devices
from ppgssl.simulate.findings import HIDDEN, MWANIKI2023
from ppgssl.simulate.layouts import FS_HZ
from ppgssl.simulate.oracle import oracle_aucs
from ppgssl.simulate.physiology import simulate_patients
from ppgssl.simulate.sources import record
from ppgssl.simulate.waveform import Vitals, pulse_shape

POPULATION = MWANIKI2023.with_hidden_dynamics()
MIN_BEATS = 40
# Series of beats are read at so many samples a second, and looked at near the breathing rate, within so much of it.
GRID_HZ, NEAR_HZ = 8.0, 0.12
BREATHING_HZ = (0.2, 1.4)
# Places of a beat, in intervals from its steepest point, and what may be added to it without meaning anything.
PLACES = np.linspace(-0.22, 0.76, 50)
OTHERS = np.stack([np.ones_like(PLACES), PLACES], axis=1)
FOLDS = KFold(5, shuffle=True, random_state=0)
PENALTIES = np.logspace(-1, 5, 13)


class Series:
    """Good beats of a recording: rate, height and tension of each, at even times, and which of these lie among them."""

    def __init__(self, infrared: IntArray) -> None:
        light = -infrared.astype(float)
        time_s = np.arange(len(light)) / FS_HZ
        samples = np.asarray(arrays.preprocess(light, fs_hz=FS_HZ).samples, dtype=float)
        found = arrays.beats(samples, fs_hz=FS_HZ)
        start, interval = found.time_s[:-1], np.diff(found.time_s)
        place = start[:, None] + interval[:, None] * PLACES
        is_good = (np.abs(interval / np.median(interval) - 1) < 0.25) & (found.likeness[1:] > 0.9)
        is_good &= (found.likeness[:-1] > 0.9) & np.isfinite(np.interp(place, time_s, samples)).all(axis=1)
        self.n_good = int(is_good.sum())
        if self.n_good < MIN_BEATS:
            return
        middle = start + interval / 2
        # Means over beats follow the baseline, which would otherwise look like breathing in the heights.
        total = np.interp(found.time_s, time_s + 1 / FS_HZ, np.cumsum(light) / FS_HZ)
        level = np.diff(total) / interval
        baseline = CubicSpline(middle[is_good], level[is_good])
        beats = np.where(is_good[:, None], np.interp(place, time_s, light) - baseline(place), 0.0)
        height, tension = _height_and_tension(beats, is_good, 60 / float(np.median(interval)))
        self.grid = np.arange(middle[is_good][0], middle[is_good][-1], 1 / GRID_HZ)
        self.is_known = np.interp(self.grid, middle, is_good.astype(float)) > 0.99
        upstroke = start + interval / 4

        def even(values: FloatArray, at_s: FloatArray) -> FloatArray:
            return np.interp(self.grid, at_s[is_good], values[is_good])

        self.rate = -even(np.log(interval), middle)
        self.level = even(level, middle)
        self.level -= np.convolve(np.pad(self.level, 32, mode="edge"), np.ones(65) / 65, "valid")
        self.height = even(np.log(np.maximum(_smooth(height), 0.2)), upstroke)
        self.tension = even(_smooth(tension), upstroke)
        # A missed beat changes which ones are strong: the sign is that of the seconds around.
        number = np.cumsum(np.round(interval / np.median(interval)))
        alternating = even((1 - 2 * (number % 2)) * (height - _smooth(height)), upstroke)
        self.alternation = alternating * np.sign(np.convolve(alternating, np.ones(int(6 * GRID_HZ)), "same"))


def _smooth(x: FloatArray) -> FloatArray:
    """Without what alternates from beat to beat."""
    padded = np.pad(x, 1, mode="edge")
    return np.asarray((padded[:-2] + 2 * x + padded[2:]) / 4)


def _height_and_tension(beats: FloatArray, is_good: BoolArray, rate_bpm: float) -> tuple[FloatArray, FloatArray]:
    """Of each beat: its size over the mean beat's, and how far its shape lies towards that of tenser vessels."""
    mean = beats[is_good].mean(axis=0)
    model = np.column_stack([mean, OTHERS])
    weight = np.linalg.lstsq(model, beats.T, rcond=None)[0]
    tenser = _tenser(mean, rate_bpm)
    tenser -= model @ np.linalg.lstsq(model, tenser, rcond=None)[0]
    left = beats - (model @ weight).T
    return weight[0], np.where(is_good, left @ tenser / np.where(is_good, weight[0], 1.0), 0.0)


def _tenser(mean: FloatArray, rate_bpm: float) -> FloatArray:
    """How the pulse shape that is nearest to this beat changes with tone."""
    shapes = [(a, b, c) for a in np.arange(-2, 2.1, 0.5) for b in (-2, 0, 2) for c in (0.85, 1, 1.15)]

    def misfit(shape: tuple[float, float, float]) -> float:
        model = np.column_stack([_placed(shape[0], shape[1], rate_bpm, shape[2]), OTHERS])
        return float(np.linalg.lstsq(model, mean, rcond=None)[1][0])

    tone, reflection, systole = min(shapes, key=misfit)
    return _placed(tone + 0.25, reflection, rate_bpm, systole) - _placed(tone - 0.25, reflection, rate_bpm, systole)


def _placed(tone: float, reflection: float, rate_bpm: float, systole: float) -> FloatArray:
    shape = pulse_shape(tone, reflection, rate_bpm, systole)
    shape = np.roll(shape, -int(np.argmax(np.diff(shape))))
    return np.interp(PLACES % 1, np.arange(len(shape) + 1) / len(shape), np.append(shape, shape[0]))


def _breathing_hz(series: list[FloatArray]) -> float:
    """Where the series have most power together, each of SD 1."""
    frequency = np.fft.rfftfreq(4096, 1 / GRID_HZ)
    windowed = [(one - one.mean()) / one.std() * np.hanning(len(one)) for one in series]
    power = np.sum([np.abs(np.fft.rfft(one, 4096)) ** 2 for one in windowed], axis=0)
    inside = (frequency >= BREATHING_HZ[0]) & (frequency <= BREATHING_HZ[1])
    return float(frequency[inside][np.argmax(power[inside])])


def _near(x: FloatArray, centre_hz: float) -> FloatArray:
    """Analytic signal of what varies near a frequency."""
    spectrum = np.fft.fft(x - x.mean())
    frequency = np.fft.fftfreq(len(x), 1 / GRID_HZ)
    return np.asarray(np.fft.ifft(2 * spectrum * (np.abs(frequency - centre_hz) < NEAR_HZ)))


def expert(infrared: IntArray) -> dict[str, float]:
    """The hidden dynamics as they show in the raw infrared light; empty with too few good beats."""
    series = Series(infrared)
    if series.n_good < MIN_BEATS:
        return {}
    centre, known = _breathing_hz([series.rate, series.height, series.level]), series.is_known
    rate, height = (_near(x, centre)[known] for x in (series.rate, series.height))
    rate, height = rate / np.linalg.norm(rate), height / np.linalg.norm(height)
    lag = np.vdot(height, rate)
    breath = rate + height * lag / np.abs(lag)
    alternation = series.alternation[known]
    coupling = 2 * np.mean(alternation * np.conj(breath) / np.abs(breath)) / alternation.mean()
    wavering = [(x - _near(x, centre).real)[known] for x in (series.height, series.tension)]
    return {
        "lag_rad": float(np.angle(lag)),
        "clear_lag": float(np.angle(lag) * np.abs(lag)),
        "lag_sine": float(lag.imag),
        "tone": float(np.corrcoef(*wavering)[0, 1]),
        "alternans": float(np.clip(coupling.real, -2, 2)),
        "alternans_late": float(np.clip(coupling.imag, -2, 2)),
    }


def simulated(n: int, artefacts: str = "clinic", seed: int = 5) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Children, their hand-crafted features and the expert's, a row a child."""
    rng = np.random.default_rng(seed)
    children = simulate_patients(n, population=POPULATION, rng=rng)
    devices = simulate_devices(5, rng, artefacts)
    hand_crafted, looked_for = [], []
    for row in children.to_dict("records"):
        acquired, _ = record(Vitals.of(row), devices[int(rng.integers(5))], duration_s=60, rng=rng)
        samples = arrays.preprocess(-acquired.infrared.astype(float), fs_hz=FS_HZ).samples
        variability = arrays.hrv(samples, fs_hz=FS_HZ)._asdict()
        hand_crafted.append(recording_features(acquired.red, acquired.infrared) | variability)
        looked_for.append(expert(acquired.infrared))
    return children, pd.DataFrame(hand_crafted), pd.DataFrame(looked_for)


def r2(features: pd.DataFrame, values: pd.Series, model: object = None) -> float:
    """Of ridge regression, or another model, in children who were not fitted to."""
    model = RidgeCV(PENALTIES) if model is None else model
    pipeline = make_pipeline(SimpleImputer(), StandardScaler(), model)
    return float(r2_score(values, cross_val_predict(pipeline, features.astype(float), values, cv=FOLDS)))


def auroc(features: pd.DataFrame, is_event: pd.Series) -> float:
    pipeline = make_pipeline(SimpleImputer(), StandardScaler(), LogisticRegression(C=0.01, max_iter=2000))
    risk = cross_val_predict(pipeline, features.astype(float), is_event, cv=FOLDS, method="predict_proba")[:, 1]
    return float(roc_auc_score(is_event, risk))


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--patients", type=int, default=2000)
    options = parser.parse_args()
    children, hand_crafted, looked_for = simulated(options.patients)
    boosting = HistGradientBoostingRegressor(max_iter=100, learning_rate=0.05, max_leaf_nodes=6, random_state=0)
    print(f"R2 in {len(children)} children\n")
    print("| | hand-crafted, ridge | hand-crafted, boosting | expert |\n|---|---|---|---|")
    for name in [*HIDDEN, POPULATION.parts[-1]]:
        values = children[name]
        cells = r2(hand_crafted, values), r2(hand_crafted, values, boosting), r2(looked_for, values)
        print(f"| {name} | {' | '.join(f'{cell:.2f}' for cell in cells)} |")
    aucs = oracle_aucs(n=40_000, population=POPULATION, rng=np.random.default_rng(1))
    print(f"\n| oracle | {' | '.join(aucs)} |\n|{'---|' * (len(aucs) + 1)}")
    print(f"| AUROC | {' | '.join(f'{auc:.3f}' for auc in aucs.values())} |")
    both = hand_crafted.join(looked_for)
    reached = (auroc(hand_crafted, children["is_event"]), auroc(both, children["is_event"]))
    print(f"\nAUROC of hand-crafted features {reached[0]:.3f}, with the expert's {reached[1]:.3f}")


if __name__ == "__main__":
    main()
