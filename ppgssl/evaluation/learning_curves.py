"""Performance over the number of labelled patients that a model was fitted to."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from ppgssl.core.errors import EvaluationError
from ppgssl.core.results.robustness import LearningCurve, LearningPoint
from ppgssl.evaluation.predictions import PREDICTION_COLUMNS, align_predictions
from ppgssl.evaluation.ranked_pairs import resample_auroc
from ppgssl.evaluation.resampling import Replicates

LEARNING_COLUMNS = (*PREDICTION_COLUMNS, "fraction", "draw", "n_train", "n_train_events")


def stratified_draw(y: pd.Series, fraction: float, *, seed: int) -> list[str]:
    """The same proportion of the patients with the event and of those without, drawn without replacement.

    ``fraction`` is above 0 and at most 1; the numbers of either outcome are rounded. Patient keys come sorted.
    """
    rng = np.random.default_rng(seed)
    drawn: list[str] = []
    for outcome in (0, 1):
        names = np.sort(y.index[y == outcome].to_numpy(dtype=str))
        drawn += rng.choice(names, round(fraction * len(names)), replace=False).tolist()
    return sorted(drawn)


def learning_curves(
    tests: pd.DataFrame, labels: Mapping[str, str], *, n_resamples: int = 2000, seed: int
) -> list[LearningCurve]:
    """AUROC of each arm over the number of patients that it was fitted to.

    The AUROCs of a point's draws are averaged as those of repeats are, and the intervals are those of
    :mod:`ppgssl.evaluation.resampling`, of the same draws at every point and for every arm: they describe how the
    points vary with the patients tested, not with those trained on. Raises EvaluationError if a column is absent, or
    the predictions do not fit together.

    Parameters
    ----------
    tests : predictions, and of each row: ``fraction`` of the training patients that the model was fitted to, ``draw``
        of that many, ``n_train`` and ``n_train_events`` of the draw
    labels : arms in order; all must have been tested in the same draws
    """
    absent = [name for name in LEARNING_COLUMNS if name not in tests.columns]
    if absent:
        raise EvaluationError(f"the predictions of the learning curve lack the column(s) {', '.join(absent)}")
    points: dict[str, list[LearningPoint]] = {arm: [] for arm in labels}
    for _, rows in tests.groupby("fraction", sort=True):
        # A draw of a repeat is a cross-validation of its own.
        numbered = rows.assign(repeat=rows.groupby(["repeat", "draw"]).ngroup())
        replicates = resample_auroc(align_predictions(numbered, list(labels)), n_resamples=n_resamples, seed=seed)
        for arm in labels:
            points[arm].append(_point(rows[rows["arm"] == arm], replicates, arm))
    return [LearningCurve(arm=arm, label=label, points=points[arm]) for arm, label in labels.items()]


def _point(rows: pd.DataFrame, replicates: Replicates, arm: str) -> LearningPoint:
    fits = rows.groupby(["repeat", "fold", "draw"])[["n_train", "n_train_events"]].first()
    return LearningPoint(
        n_patients=round(fits["n_train"].mean()),
        n_events=float(fits["n_train_events"].mean()),
        auroc=replicates.interval(arm),
        n_fits=len(fits),
    )
