"""Gradient boosting of small trees: the strong reference for tables, which takes missing values as they are."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier

from ppgssl.classifiers.learner import Learned, inner_losses
from ppgssl.classifiers.preparation import Split
from ppgssl.core.records import FloatArray

# Two leaves: no interactions. Cohorts of hundreds bear no deep trees.
LEAVES = (2, 4, 8)
N_TREES = (5, 10, 20, 40, 80, 120)
LEARNING_RATE = 0.1
MIN_LEAF = 10
N_BINS = 32


def learn_gradient_boosting(inner: Sequence[Split], whole: Split, seed: int) -> Learned:
    """Choose the size and the number of trees by inner folds, then fit all training patients.

    Trees are boosted on histograms [1]_; a missing value goes to the side of a split that suits the training patients,
    a level stands for itself. The log loss of inner folds decides; of equal losses the simplest model is taken. The
    inner risks are those of the settings chosen on all training patients, by models fitted without the patients held
    out.

    References
    ----------
    .. [1] Ke et al., LightGBM: a highly efficient gradient boosting decision tree, NeurIPS 2017, after Friedman, Greedy
       function approximation: a gradient boosting machine, Ann Stat 29:1189-1232, 2001, doi 10.1214/aos/1013203451.
    """
    risks = [np.stack([_staged(split, leaves, seed) for leaves in LEAVES]) for split in inner]
    losses = inner_losses(risks, inner)
    leaves, stage = np.unravel_index(np.argmin(losses), losses.shape)
    test = _staged(whole, LEAVES[leaves], seed, n_trees=N_TREES[stage])[-1]
    return Learned([one[leaves, stage] for one in risks], test, whole.X.shape[1])


def _staged(split: Split, leaves: int, seed: int, n_trees: int = N_TREES[-1]) -> FloatArray:
    """Risks of the others after each of ``N_TREES`` up to ``n_trees``, shape (n_stages, n_others)."""
    model = HistGradientBoostingClassifier(
        learning_rate=LEARNING_RATE,
        max_iter=n_trees,
        max_leaf_nodes=leaves,
        min_samples_leaf=min(MIN_LEAF, max(1, len(split.y) // 5)),
        categorical_features=split.is_categorical,
        early_stopping=False,
        max_bins=N_BINS,
        random_state=seed,
    ).fit(split.X, split.y)
    stages = model.staged_predict_proba(split.X_out)
    return np.array([risks[:, 1] for number, risks in enumerate(stages, start=1) if number in N_TREES])
