"""Patient bootstrap of nine arms, 2,000 resamples: ours, and a loop over scikit-learn's roc_auc_score.

    python benchmarks/bootstrap.py

The loop would take minutes, so a part of its resamples is timed and scaled up; the output says how many. Both run on
one thread, on the same predictions, and their AUROCs of the resamples timed are compared.
"""

from __future__ import annotations

import time

import numpy as np
import pandas as pd
from sklearn.metrics import roc_auc_score

from ppgssl.evaluation.bootstrap import bootstrap_auroc, draw_counts

N_ARMS, N_RESAMPLES, SEED = 9, 2000, 1
ARMS = [f"arm-{number}" for number in range(N_ARMS)]


def make_predictions(n: int) -> pd.DataFrame:
    """A single split: 13 % events, as in the published test set; scores of nine arms with some signal."""
    rng = np.random.default_rng(0)
    y = (np.arange(n) < 0.13 * n).astype(int)
    patients = [f"patient-{number:05d}" for number in range(n)]
    tables = [
        pd.DataFrame(
            {
                "arm": arm,
                "repeat": 0,
                "fold": 0,
                "patient_id": patients,
                "y_true": y,
                "y_score": 1 / (1 + np.exp(-rng.normal(size=n) - y)),
            }
        )
        for arm in ARMS
    ]
    return pd.concat(tables, ignore_index=True)


def time_ours(predictions: pd.DataFrame) -> tuple[float, np.ndarray]:
    """Best of three, intervals and differences included."""
    seconds = []
    for _ in range(3):
        started = time.perf_counter()
        result = bootstrap_auroc(predictions, ARMS, ARMS[0], n_resamples=N_RESAMPLES, seed=SEED)
        _ = result.intervals, result.differences
        seconds.append(time.perf_counter() - started)
    return min(seconds), result.replicates


def time_loop(predictions: pd.DataFrame, n_timed: int) -> tuple[float, np.ndarray]:
    """What one would write otherwise: draw patients, index, call scikit-learn for each arm. Scaled to all resamples."""
    wide = predictions.pivot_table(index="patient_id", columns="arm", values="y_score")[ARMS]
    y = predictions.groupby("patient_id")["y_true"].first().to_numpy()
    scores, n = wide.to_numpy(), len(y)
    counts = draw_counts(n, n_timed, np.random.default_rng(SEED)).astype(int)
    drawn = [np.repeat(np.arange(n), column) for column in counts.T]
    started = time.perf_counter()
    values = np.array([[roc_auc_score(y[rows], scores[rows, arm]) for arm in range(N_ARMS)] for rows in drawn])
    return (time.perf_counter() - started) * N_RESAMPLES / n_timed, values


def compare(n: int, n_timed: int) -> float:
    predictions = make_predictions(n)
    ours, replicates = time_ours(predictions)
    loop, values = time_loop(predictions, n_timed)
    difference = np.abs(values - replicates[:n_timed]).max()
    print(f"n={n}: ours {ours:.3f} s for {N_RESAMPLES} resamples of {N_ARMS} arms")
    print(f"n={n}: loop {loop:.1f} s, scaled from {n_timed} resamples; largest difference of an AUROC {difference:.1e}")
    return loop / ours


def main() -> None:
    ratios = {207: compare(207, n_timed=200), 10_000: compare(10_000, n_timed=40)}
    for n, ratio in ratios.items():
        print(f"ratio bootstrap_n{n} {ratio:.0f}")


if __name__ == "__main__":
    main()
