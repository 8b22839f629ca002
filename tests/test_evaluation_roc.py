"""ROC curve: its area is the AUROC reported."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import trapezoid
from sklearn.metrics import roc_curve

from ppgssl.errors import EvaluationError
from ppgssl.evaluation.auroc import stratified_auroc
from ppgssl.evaluation.roc import stratified_roc


def area(curve):
    return trapezoid(curve.true_positive_rate, curve.false_positive_rate)


@settings(deadline=None)
@given(st.integers(0, 10_000), st.integers(12, 120), st.integers(1, 5), st.integers(1, 3), st.integers(2, 30))
def test_the_area_under_the_curve_is_the_auroc_reported(seed, n, n_folds, n_repeats, n_levels):
    rng = np.random.default_rng(seed)
    y = rng.random(n) < 0.3
    y[:6], y[6:12] = True, False
    fold = np.concatenate([rng.permutation(np.arange(n) % n_folds) for _ in range(n_repeats)])
    repeat, truth = np.repeat(np.arange(n_repeats), n), np.tile(y, n_repeats)
    score = rng.integers(0, n_levels, n * n_repeats) / n_levels + 0.2 * truth
    try:
        expected = stratified_auroc(truth, score, repeat=repeat, fold=fold)
    except EvaluationError:
        with pytest.raises(EvaluationError, match="no ROC curve"):
            stratified_roc(truth, score, repeat=repeat, fold=fold)
        return
    curve = stratified_roc(truth, score, repeat=repeat, fold=fold)
    fpr, tpr = np.array(curve.false_positive_rate), np.array(curve.true_positive_rate)
    assert area(curve) == pytest.approx(expected, abs=1e-12)
    assert (fpr[0], tpr[0], fpr[-1], tpr[-1]) == (0.0, 0.0, 1.0, 1.0)
    assert (np.diff(fpr) >= 0).all()
    assert (np.diff(tpr) >= -1e-15).all()


def test_a_single_split_gives_the_curve_of_scikit_learn():
    rng = np.random.default_rng(0)
    y = rng.random(80) < 0.4
    score = rng.integers(0, 12, 80) + 2.0 * y
    zero = np.zeros(80, dtype=int)
    curve = stratified_roc(y, score, repeat=zero, fold=zero)
    fpr, tpr, _ = roc_curve(y, score, drop_intermediate=False)
    ours = {
        (round(x, 12), round(z, 12)) for x, z in zip(curve.false_positive_rate, curve.true_positive_rate, strict=True)
    }
    theirs = {(round(x, 12), round(z, 12)) for x, z in zip(fpr, tpr, strict=True)}
    assert ours <= theirs
    assert np.interp(fpr[1:-1] + 1e-9, curve.false_positive_rate, curve.true_positive_rate) == pytest.approx(
        np.interp(fpr[1:-1] + 1e-9, fpr, tpr), abs=1e-6
    )


def test_two_models_average_vertically():
    # One model ranks perfectly, the other the wrong way round: half way up at once, the rest at the end.
    y, score = [1, 0, 1, 0], [1.0, 0.0, 0.0, 1.0]
    curve = stratified_roc(y, score, repeat=[0] * 4, fold=[0, 0, 1, 1])
    assert curve.false_positive_rate == [0.0, 0.0, 1.0, 1.0]
    assert curve.true_positive_rate == [0.0, 0.5, 0.5, 1.0]
