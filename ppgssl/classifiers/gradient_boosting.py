"""Gradient boosting of small trees: the strong reference for tables, which takes missing values as they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
from scipy.special import expit
from sklearn.ensemble import HistGradientBoostingClassifier

from ppgssl.classifiers.learner import Arrays, Learned, inner_losses
from ppgssl.classifiers.preparation import Block, Split
from ppgssl.core.errors import StoreError
from ppgssl.core.records import BoolArray, FloatArray, IntArray

# Two leaves: no interactions. Cohorts of hundreds bear no deep trees.
LEAVES = (2, 4, 8)
N_TREES = (5, 10, 20, 40, 80, 120)
LEARNING_RATE = 0.1
MIN_LEAF = 10
N_BINS = 32


@dataclass(frozen=True)
class Trees:
    """Boosted trees as plain arrays, the nodes of all trees one after another.

    A node either is a leaf, which is its own child, or sends a patient on: a missing value to the side that suited the
    training patients, a number left where it is at most the threshold, a code of a level by ``goes_left``.

    Attributes
    ----------
    baseline : float array, shape (1,); log odds before the first tree
    root : int array, shape (n_trees,); the first node of each tree
    depth : int array, shape (1,); steps from a root to the deepest leaf
    feature, left, right, levels : int arrays, shape (n_nodes,)
        Column of the node; children; row of ``goes_left`` and ``is_known``, or -1 of a node that splits by a number.
    threshold, value : float arrays, shape (n_nodes,); ``value`` is what a leaf adds to the log odds
    missing_left : bool array, shape (n_nodes,)
    goes_left, is_known : bool arrays, shape (n_splits_by_level, n_codes)
        Of each code; codes that no training patient had are not known and count as missing.
    """

    baseline: FloatArray = field(repr=False)
    root: IntArray = field(repr=False)
    depth: IntArray = field(repr=False)
    feature: IntArray = field(repr=False)
    left: IntArray = field(repr=False)
    right: IntArray = field(repr=False)
    levels: IntArray = field(repr=False)
    threshold: FloatArray = field(repr=False)
    value: FloatArray = field(repr=False)
    missing_left: BoolArray = field(repr=False)
    goes_left: BoolArray = field(repr=False)
    is_known: BoolArray = field(repr=False)

    def risks(self, X: FloatArray) -> FloatArray:
        """Probability of the event; NaN is a missing value, levels are codes."""
        rows = np.arange(len(X))[:, None]
        node = np.tile(self.root, (len(X), 1))
        for _ in range(int(self.depth[0])):
            node = np.where(self._is_left(X[rows, self.feature[node]], node), self.left[node], self.right[node])
        # Tree after tree, as scikit-learn adds them: equal patients get equal risks to the last bit.
        start = np.full((len(X), 1), self.baseline[0])
        return np.asarray(expit(np.cumsum(np.concatenate([start, self.value[node]], axis=1), axis=1)[:, -1]))

    def _is_left(self, values: FloatArray, node: IntArray) -> BoolArray:
        with np.errstate(invalid="ignore"):
            is_left = values <= self.threshold[node]
        is_missing = np.isnan(values)
        n_codes = self.goes_left.shape[1]
        if len(self.goes_left):
            by_level = self.levels[node] >= 0
            is_code = by_level & (values >= 0) & (values < n_codes)
            code = np.where(is_code, values, 0).astype(np.int64)
            is_left = np.where(by_level, self.goes_left[self.levels[node], code], is_left)
            is_missing |= by_level & ~(is_code & self.is_known[self.levels[node], code])
        return np.where(is_missing, self.missing_left[node], is_left)

    def to_arrays(self) -> Arrays:
        return {one.name: np.ascontiguousarray(getattr(self, one.name)) for one in fields(self)}

    @classmethod
    def from_arrays(cls, arrays: Arrays, n_columns: int) -> Trees:
        names = [one.name for one in fields(cls)]
        absent = [name for name in names if name not in arrays]
        if absent:
            raise StoreError(f"the numbers of the model are not complete: they lack {', '.join(absent)}")
        found = cls(*(arrays[name] for name in names))
        n = len(found.feature)
        inside = {
            "root": (found.root, n),
            "left": (found.left, n),
            "right": (found.right, n),
            "feature": (found.feature, n_columns),
            "levels": (found.levels + 1, len(found.goes_left) + 1),
        }
        for name, (numbers, end) in inside.items():
            if (name != "root" and numbers.shape != (n,)) or not ((numbers >= 0) & (numbers < end)).all():
                raise StoreError(f"the numbers of the model do not fit its columns: {name!r} of its trees is not valid")
        same = all(one.shape == (n,) for one in (found.threshold, found.value, found.missing_left))
        same = same and found.goes_left.shape == found.is_known.shape and found.goes_left.ndim == 2
        if not (same and found.baseline.shape == found.depth.shape == (1,) and np.isfinite(found.value).all()):
            raise StoreError("the numbers of the model do not fit each other: its trees are not whole")
        return found


def learn_gradient_boosting(inner: Sequence[Split], whole: Block, seed: int) -> Learned:
    """Choose the size and the number of trees by inner folds, then fit all training patients.

    Trees are boosted on histograms [1]_; a missing value goes to the side of a split that suits the training patients,
    a level stands for itself. The log loss of inner folds decides; of equal losses the simplest model is taken. The
    inner risks are those of the settings chosen on all training patients, by models fitted without the patients held
    out.

    .. [1] Ke et al., LightGBM: a highly efficient gradient boosting decision tree, NeurIPS 2017, after Friedman, Greedy
       function approximation: a gradient boosting machine, Ann Stat 29:1189-1232, 2001, doi 10.1214/aos/1013203451.
    """
    risks = [np.stack([_risks_by_stage(split, leaves, seed) for leaves in LEAVES]) for split in inner]
    losses = inner_losses(risks, inner)
    leaves, stage = np.unravel_index(np.argmin(losses), losses.shape)
    model = frozen_trees(_boost(whole, LEAVES[leaves], N_TREES[stage], seed), whole.X.shape[1])
    return Learned(model, [one[leaves, stage] for one in risks], whole.X.shape[1])


def _risks_by_stage(split: Split, leaves: int, seed: int) -> FloatArray:
    """Risks of those held out after each of ``N_TREES``, shape (n_stages, n_held_out)."""
    stages = _boost(split, leaves, N_TREES[-1], seed).staged_predict_proba(split.X_out)
    return np.array([risks[:, 1] for number, risks in enumerate(stages, start=1) if number in N_TREES])


def _boost(block: Block, leaves: int, n_trees: int, seed: int) -> HistGradientBoostingClassifier:
    return HistGradientBoostingClassifier(
        learning_rate=LEARNING_RATE,
        max_iter=n_trees,
        max_leaf_nodes=leaves,
        min_samples_leaf=min(MIN_LEAF, max(1, len(block.y) // 5)),
        categorical_features=block.is_categorical,
        early_stopping=False,
        max_bins=N_BINS,
        random_state=seed,
    ).fit(block.X, block.y)


def frozen_trees(model: HistGradientBoostingClassifier, n_columns: int) -> Trees:
    """The trees of a fitted binary classifier whose categorical columns hold codes from 0 on."""
    of_column, known = _column_order(model, n_columns)
    trees = [of_iteration[0] for of_iteration in model._predictors]
    nodes: list[np.ndarray] = [tree.nodes for tree in trees]
    start = np.cumsum([0, *map(len, nodes)])
    joined: Any = np.concatenate(nodes)
    offset = np.repeat(start[:-1], [len(one) for one in nodes])
    is_leaf, own = joined["is_leaf"].astype(bool), np.arange(len(joined))
    by_level = joined["is_categorical"].astype(bool) & ~is_leaf
    levels = np.full(len(joined), -1, dtype=np.int64)
    levels[by_level] = np.arange(by_level.sum())
    feature = np.where(is_leaf, 0, joined["feature_idx"]).astype(np.int64)
    n_codes = int(max((codes.max(initial=-1) for codes in known.values()), default=-1)) + 1
    goes_left, is_known = np.zeros((2, int(by_level.sum()), n_codes), dtype=bool)
    bitsets = [tree.raw_left_cat_bitsets[number] for tree in trees for number in _bitset_order(tree.nodes)]
    for row, (column, bits) in enumerate(zip(feature[by_level], bitsets, strict=True)):
        codes = known[int(column)]
        is_known[row, codes] = True
        place = np.arange(len(codes))  # within the model, the levels that it saw are counted from 0
        goes_left[row, codes] = (bits[place // 32] >> (place % 32).astype(np.uint32)) & 1
    return Trees(
        baseline=np.asarray(model._baseline_prediction, dtype=float).reshape(1),
        root=start[:-1].astype(np.int64),
        depth=np.array([max((int(one["depth"].max()) for one in nodes), default=0)], dtype=np.int64),
        feature=of_column[feature],
        left=np.where(is_leaf, own, joined["left"] + offset).astype(np.int64),
        right=np.where(is_leaf, own, joined["right"] + offset).astype(np.int64),
        levels=levels,
        threshold=np.where(by_level | is_leaf, 0.0, joined["num_threshold"]).astype(float),
        value=np.where(is_leaf, joined["value"], 0.0).astype(float),
        missing_left=joined["missing_go_to_left"].astype(bool),
        goes_left=goes_left,
        is_known=is_known,
    )


def _bitset_order(nodes: np.ndarray) -> IntArray:
    """Rows of a tree's bitsets, in the order of its nodes that split by levels."""
    is_split = nodes["is_categorical"].astype(bool) & ~nodes["is_leaf"].astype(bool)
    return np.asarray(nodes["bitset_idx"][is_split], dtype=np.int64)


def _column_order(model: HistGradientBoostingClassifier, n_columns: int) -> tuple[IntArray, dict[int, IntArray]]:
    """Which column each of the model's features is, and the codes that the model saw of each categorical feature.

    scikit-learn puts categorical columns before the others, and counts the levels that it saw from 0.
    """
    if model.is_categorical_ is None:
        return np.arange(n_columns), {}
    order = np.concatenate([np.flatnonzero(model.is_categorical_), np.flatnonzero(~model.is_categorical_)])
    seen = model._preprocessor.named_transformers_["encoder"].categories_
    return order, {number: one[~np.isnan(one)].astype(np.int64) for number, one in enumerate(seen)}
