"""Tables of predicted risks with a known truth."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.special import expit

from ppgssl.evaluation.predictions import AlignedPredictions, align_predictions


def make_risks(n, seed, *, mean_logit=-2.4, sd=1.2):
    """Logits of true risks, shape (n,), and outcomes drawn from them; by default 13 % have the event."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(mean_logit, sd, n)
    return logits, rng.random(n) < expit(logits)


def prediction_rows(arm, y, score, *, repeat=0, fold=0, ids=None) -> pd.DataFrame:
    """The table of predictions of one arm, a row a patient; by default p000, p001, ... in one fold."""
    ids = [f"p{number:03d}" for number in range(len(y))] if ids is None else ids
    columns = {"repeat": repeat, "fold": fold, "patient_id": ids, "y_true": y, "y_score": score}
    return pd.DataFrame({"arm": arm, **columns})


def align_scores(y, scores, *, n_folds=1, seed=0) -> AlignedPredictions:
    """Predictions of one patient a row: ``scores`` of shape (n_patients,) or (n_repeats, n_patients), by arm."""
    scores = {arm: np.atleast_2d(of_arm) for arm, of_arm in scores.items()}
    rng = np.random.default_rng(seed)
    tables = []
    for repeat in range(len(next(iter(scores.values())))):
        fold = rng.permutation(np.arange(len(y)) % n_folds)
        columns = {"repeat": repeat, "fold": fold, "ids": [f"p{i:05d}" for i in range(len(y))]}
        outcome = np.asarray(y, dtype=int)
        tables += [prediction_rows(arm, outcome, of_arm[repeat], **columns) for arm, of_arm in scores.items()]
    return align_predictions(pd.concat(tables, ignore_index=True), list(scores))
