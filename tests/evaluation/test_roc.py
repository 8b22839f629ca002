import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import trapezoid
from sklearn.metrics import roc_curve

from ppgssl.core.errors import EvaluationError
from ppgssl.evaluation.ranked_pairs import stratified_auroc
from ppgssl.evaluation.resampling import draw_counts
from ppgssl.evaluation.roc import roc_curves, stratified_roc
from tests.support.aligned_scores import make_aligned


def area(curve):
    return trapezoid(curve.true_positive_rate, curve.false_positive_rate)


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
    ours = np.column_stack([curve.false_positive_rate, curve.true_positive_rate]).round(12)
    assert set(map(tuple, ours)) <= set(map(tuple, np.column_stack([fpr, tpr]).round(12)))
    assert np.interp(fpr[1:-1] + 1e-9, curve.false_positive_rate, curve.true_positive_rate) == pytest.approx(
        np.interp(fpr[1:-1] + 1e-9, fpr, tpr), abs=1e-6
    )


def test_two_models_average_vertically():
    # One model ranks perfectly, the other the wrong way round: half way up at once, the rest at the end.
    y, score = [1, 0, 1, 0], [1.0, 0.0, 0.0, 1.0]
    curve = stratified_roc(y, score, repeat=[0] * 4, fold=[0, 0, 1, 1])
    assert curve.false_positive_rate == [0.0, 0.0, 1.0, 1.0]
    assert curve.true_positive_rate == [0.0, 0.5, 0.5, 1.0]


def height(y, score, repeat, fold, weights, grid):
    """The curve of weighted rows at each false positive rate, at the top of vertical lines: rows counted out."""
    rows = np.repeat(np.arange(len(y)), weights)
    curve = stratified_roc(y[rows], score[rows], repeat=repeat[rows], fold=fold[rows])
    fpr, tpr = np.array(curve.false_positive_rate), np.array(curve.true_positive_rate)
    above = [tpr[np.isclose(fpr, x, rtol=0, atol=1e-12)] for x in grid]
    return np.array([top.max() if len(top) else np.interp(x, fpr, tpr) for x, top in zip(grid, above, strict=True)])


@pytest.mark.parametrize(("n_folds", "n_repeats", "n_levels"), [(1, 1, None), (1, 1, 6), (3, 2, None), (3, 2, 5)])
def test_the_band_is_that_of_the_curves_of_the_patients_drawn(n_folds, n_repeats, n_levels):
    aligned = make_aligned(3, 40, n_folds, n_repeats, n_levels, n_arms=2, prevalence=0.4)
    grid = np.linspace(0, 1, 101)
    counts = draw_counts(40, 30, np.random.default_rng(8)).astype(int)
    heights = [
        height(aligned.y_true, aligned.y_score[1], aligned.repeat, aligned.fold, column[aligned.patient], grid)
        for column in counts.T
    ]
    low, high = np.quantile(heights, [0.025, 0.975], axis=0)
    curve = roc_curves(aligned, n_resamples=30, seed=8)[1]
    assert curve.ci_low == pytest.approx(np.interp(curve.false_positive_rate, grid, low), abs=1e-9)
    assert curve.ci_high == pytest.approx(np.interp(curve.false_positive_rate, grid, high), abs=1e-9)


def test_a_curve_of_very_many_points_is_thinned_out_and_hardly_changes():
    aligned = make_aligned(0, 20_000)
    columns = {"repeat": aligned.repeat, "fold": aligned.fold}
    curve = stratified_roc(aligned.y_true, aligned.y_score[0], **columns)
    assert len(curve.false_positive_rate) == 2000
    assert area(curve) == pytest.approx(stratified_auroc(aligned.y_true, aligned.y_score[0], **columns), abs=1e-4)
