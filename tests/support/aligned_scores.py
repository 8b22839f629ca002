"""Aligned predictions of made-up scores, for statistics that read nothing else."""

from __future__ import annotations

import numpy as np

from ppgssl.evaluation.predictions import AlignedPredictions


def make_aligned(seed, n=40, n_folds=1, n_repeats=1, n_levels=None, *, n_arms=1, signal=1.0, prevalence=0.3):
    """Several arms; the first two patients have the event, the last two do not. Few levels make many ties.

    Folds are drawn without a thought for the outcome, but that the first fold of each repeat holds both.
    """
    rng = np.random.default_rng(seed)
    y = rng.random(n) < prevalence
    y[:2], y[-2:] = True, False
    fold = rng.integers(0, n_folds, (n_repeats, n))
    fold[:, [0, 1, -1, -2]] = 0
    score = rng.normal(size=(n_arms, n_repeats, n)) + signal * y
    if n_levels:
        score = np.floor(np.clip((score + 2) / 5, 0, 0.999) * n_levels)
    return AlignedPredictions(
        arms=tuple(f"arm-{number}" for number in range(n_arms)),
        y_score=score.reshape(n_arms, -1),
        y_true=np.tile(y, n_repeats),
        repeat=np.repeat(np.arange(n_repeats), n),
        fold=fold.ravel(),
        patient=np.tile(np.arange(n), n_repeats),
        patient_ids=tuple(f"p{number:03d}" for number in range(n)),
    )
