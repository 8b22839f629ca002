"""Patient bootstrap of nine arms: ours, a loop over scikit-learn, MLstatkit, and SciPy with a vectorised AUROC.

    OMP_NUM_THREADS=1 python benchmarks/bootstrap.py [--patients 207 10000 1000000] [--resamples 2000 10000]

All run one after the other on one core, on the same predictions: a single split with 13 % events, as in the published
test set; four of the nine arms give risks in whole percent and so have many ties. The others would take hours, and ours
minutes for a million patients: a part of their resamples is timed and scaled up, and the output says how many. Seconds
are of the processor, so that other work on the machine counts little. On the resamples of the loop, which are the first
of ours, the AUROCs of both are compared. Memory is the peak of what the call allocates beside the predictions it is
given.

Needs MLstatkit (pip install MLstatkit).
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import time
import tracemalloc
from collections.abc import Callable

import numpy as np
import pandas as pd
from MLstatkit import Bootstrapping
from scipy import stats
from sklearn.metrics import roc_auc_score

from ppgssl.evaluation.predictions import align_predictions
from ppgssl.evaluation.ranked_pairs import resample_auroc
from ppgssl.evaluation.resampling import Replicates, draw_counts

N_ARMS, SEED = 9, 1
ARMS = [f"arm-{number}" for number in range(N_ARMS)]
N_WITH_TIES = 4
# Resamples of the others that are timed, by the largest number of patients they are meant for. Of more patients than
# this, ours are timed of few resamples, too.
MANY_PATIENTS = 100_000
LOOP_RESAMPLES = {1_000: 100, 100_000: 40, 10_000_000: 2}


def make_predictions(n: int) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    y = (np.arange(n) < 0.13 * n).astype(int)
    patients = [f"patient-{number:07d}" for number in range(n)]
    tables = []
    for number, arm in enumerate(ARMS):
        score = 1 / (1 + np.exp(-rng.normal(size=n) - y))
        score = score.round(2) if number < N_WITH_TIES else score
        columns = {"arm": arm, "repeat": 0, "fold": 0, "patient_id": patients, "y_true": y, "y_score": score}
        tables.append(pd.DataFrame(columns))
    return pd.concat(tables, ignore_index=True)


def best_of(n_runs: int, run: Callable[[], object]) -> float:
    seconds = []
    for _ in range(n_runs):
        started = time.process_time()
        run()
        seconds.append(time.process_time() - started)
    return min(seconds)


def limit(limits: dict[int, int], n: int) -> int:
    return next(value for most, value in limits.items() if n <= most)


# --- the competitors -----------------------------------------------------------------------------------------------


def ours(predictions: pd.DataFrame, n_resamples: int) -> Replicates:
    """Intervals of all arms and differences to the first included."""
    result = resample_auroc(align_predictions(predictions, ARMS), n_resamples=n_resamples, seed=SEED)
    _ = [result.interval(arm) for arm in ARMS], [result.difference(arm, ARMS[0]) for arm in ARMS[1:]]
    return result


def loop(y: np.ndarray, scores: np.ndarray, drawn: list[np.ndarray]) -> np.ndarray:
    """What one would write otherwise: index the patients drawn, call scikit-learn for each arm."""
    return np.array([[roc_auc_score(y[rows], of_arm[rows]) for of_arm in scores] for rows in drawn])


def mlstatkit(y: np.ndarray, scores: np.ndarray, n_resamples: int) -> None:
    with contextlib.redirect_stderr(io.StringIO()):  # its progress bars
        for of_arm in scores:
            Bootstrapping(y, of_arm, "roc_auc", n_bootstraps=n_resamples)


def scipy_bootstrap(y: np.ndarray, scores: np.ndarray, n_resamples: int) -> None:
    def vectorised_auroc(of_arm: np.ndarray, outcome: np.ndarray, axis: int) -> np.ndarray:
        ranks = stats.rankdata(of_arm, axis=axis)
        n_events = outcome.sum(axis=axis)
        n_others = outcome.shape[axis] - n_events
        return ((ranks * outcome).sum(axis=axis) - n_events * (n_events + 1) / 2) / (n_events * n_others)

    for of_arm in scores:
        stats.bootstrap(
            (of_arm, y),
            vectorised_auroc,
            n_resamples=n_resamples,
            paired=True,
            vectorized=True,
            method="percentile",
            batch=max(1, 2_000_000 // len(y)),
            rng=np.random.default_rng(SEED),
        )


# --- side by side --------------------------------------------------------------------------------------------------


def peak_mb(call: Callable[[], object]) -> float:
    tracemalloc.start()
    call()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak / 1e6


def compare(n: int, all_resamples: list[int]) -> float:
    """Print one line a competitor and number of resamples; the ratio of the loop over ours, at the first number."""
    predictions = make_predictions(n)
    y = predictions["y_true"].to_numpy()[:n]
    scores = predictions["y_score"].to_numpy().reshape(N_ARMS, n)
    n_timed = limit(LOOP_RESAMPLES, n)
    counts = draw_counts(n, n_timed, np.random.default_rng(SEED)).astype(int)
    drawn = [np.repeat(np.arange(n), column) for column in counts.T]
    started = time.process_time()
    values = loop(y, scores, drawn)
    others = {
        "loop over scikit-learn": time.process_time() - started,
        "MLstatkit": best_of(1, lambda: mlstatkit(y, scores, n_timed)),
        "SciPy, vectorised": best_of(1, lambda: scipy_bootstrap(y, scores, n_timed)),
    }
    difference = np.abs(values - ours(predictions, n_timed).draws.T).max()
    print(f"n={n:,}: largest difference of an AUROC to the loop, {n_timed} resamples: {difference:.1e}")
    whole = peak_mb(lambda: ours(predictions, 40))
    aligned = align_predictions(predictions, ARMS)
    resampling = peak_mb(lambda: resample_auroc(aligned, n_resamples=40, seed=SEED))
    print(
        f"n={n:,}: peak memory {whole:,.1f} MB beside the table of predictions; of the resampling {resampling:,.1f} MB"
    )
    seconds = _seconds_of_ours(n, predictions)
    ratios = [_compare_times(n, count, seconds(count), n_timed, others) for count in all_resamples]
    return ratios[0]


def _seconds_of_ours(n: int, predictions: pd.DataFrame) -> Callable[[int], float]:
    if n <= MANY_PATIENTS:
        return lambda n_resamples: best_of(3, lambda: ours(predictions, n_resamples))
    # What is done once, such as sorting, must not be scaled.
    few, more = (best_of(1, lambda count=count: ours(predictions, count)) for count in (16, 144))
    print(f"n={n:,}: ours takes {few:.1f} s for 16 resamples and {more:.1f} s for 144; scaled from both")
    return lambda n_resamples: few + (more - few) / 128 * (n_resamples - 16)


def _compare_times(n: int, n_resamples: int, seconds: float, n_timed: int, others: dict[str, float]) -> float:
    print(f"n={n:,}, {n_resamples:,} resamples: ours {seconds:.3f} s")
    for name, of_timed in others.items():
        theirs = of_timed * n_resamples / n_timed
        times = f"{theirs:,.1f} s, {theirs / seconds:,.0f} times ours (scaled from {n_timed} resamples)"
        print(f"n={n:,}, {n_resamples:,} resamples: {name} {times}", flush=True)
    return others["loop over scikit-learn"] * n_resamples / n_timed / seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--patients", type=int, nargs="+", default=[207, 10_000, 1_000_000])
    parser.add_argument("--resamples", type=int, nargs="+", default=[2_000, 10_000])
    options = parser.parse_args()
    print(f"load of the last minute {os.getloadavg()[0]:.1f}, OMP_NUM_THREADS={os.environ.get('OMP_NUM_THREADS')}")
    ratios = {n: compare(n, options.resamples) for n in options.patients}
    print(f"load of the last minute {os.getloadavg()[0]:.1f}")
    for n in sorted(ratios, reverse=True):
        if n > 10_000:
            print(f"n={n:,}: {ratios[n]:.0f} times as fast as the loop")
    for n in sorted(ratios):
        if n <= 10_000:
            print(f"ratio bootstrap_n{n} {ratios[n]:.0f}")


if __name__ == "__main__":
    main()
