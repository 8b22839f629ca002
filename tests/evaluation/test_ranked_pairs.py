import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold

from ppgssl.core.errors import EvaluationError
from ppgssl.evaluation.ranked_pairs import RankedPairs, auroc, stratified_auroc
from ppgssl.evaluation.resampling import draw_counts
from tests.support.aligned_scores import make_aligned


@st.composite
def scored_patients(draw):
    """Outcomes with both classes, scores with many ties, whole-number weights that leave both classes."""
    n = draw(st.integers(2, 40))
    y = draw(st.lists(st.integers(0, 1), min_size=n, max_size=n).filter(lambda values: 0 < sum(values) < n))
    score = draw(st.lists(st.integers(-4, 4), min_size=n, max_size=n))
    weight = draw(st.lists(st.integers(0, 3), min_size=n, max_size=n))
    return np.array(y), np.array(score) / 7, np.array(weight)


def count_pairs(y, score, repeat, fold):
    """The definition, pair by pair."""
    values = []
    for number in np.unique(repeat):
        won = pairs = 0.0
        for i, j in itertools.product(np.flatnonzero(y == 1), np.flatnonzero(y == 0)):
            if repeat[i] == repeat[j] == number and fold[i] == fold[j]:
                pairs += 1
                won += 1.0 if score[i] > score[j] else 0.5 if score[i] == score[j] else 0.0
        values.append(won / pairs)
    return np.mean(values)


@given(scored_patients())
def test_auroc_equals_scikit_learn_with_ties_and_weights(case):
    y, score, weight = case
    assert auroc(y, score) == pytest.approx(roc_auc_score(y, score), abs=1e-12)
    if weight[y == 1].sum() and weight[y == 0].sum():
        expected = roc_auc_score(y, score, sample_weight=weight)
        assert auroc(y, score, weight) == pytest.approx(expected, abs=1e-12)


def test_pooling_folds_puts_a_null_model_below_one_half_and_pairs_of_one_model_do_not():
    """9 events in 40 patients, 5 stratified folds, a ridge fit on pure noise: truth is 0.5."""
    rng = np.random.default_rng(2)
    y = np.arange(40) < 9
    pooled, paired = [], []
    for seed in range(250):
        X, score, fold = rng.normal(size=(40, 3)), np.zeros(40), np.zeros(40, dtype=int)
        splits = StratifiedKFold(5, shuffle=True, random_state=seed).split(X, y)
        for number, (train, test) in enumerate(splits):
            model = LogisticRegression(C=1 / len(train)).fit(X[train], y[train])
            score[test], fold[test] = model.decision_function(X[test]), number
        pooled.append(auroc(y, score))
        paired.append(stratified_auroc(y, score, repeat=np.zeros(40, dtype=int), fold=fold))
    standard_error = np.std(paired, ddof=1) / np.sqrt(len(paired))
    assert abs(np.mean(paired) - 0.5) < 3 * standard_error
    assert np.mean(pooled) < 0.5 - 5 * standard_error


@pytest.mark.parametrize(
    ("y", "score", "message"),
    [
        ([1, 1], [0.1, 0.2], "at least one patient with the event and one without"),
        ([0, 1, 2], [0.1, 0.2, 0.3], "must be 0 or 1"),
        ([0, 1], [0.1, np.nan], "1 of 2 scores are missing or infinite"),
        ([0, 1], [0.1, 0.2, 0.3], "of one length"),
        ([], [], "not empty"),
    ],
)
def test_what_has_no_auroc_is_refused(y, score, message):
    with pytest.raises(EvaluationError, match=message):
        auroc(y, score)
    with pytest.raises(EvaluationError, match="at least 0"):
        auroc([0, 1], [0.1, 0.2], weights=[1, -1])


@given(st.integers(0, 10_000), st.integers(8, 40), st.integers(1, 4), st.integers(1, 3), st.sampled_from([2, 6, None]))
def test_weights_of_any_fold_structure_equal_the_pairs_counted_out(seed, n, n_folds, n_repeats, n_levels):
    aligned = make_aligned(seed, n, n_folds, n_repeats, n_levels)
    weight = np.random.default_rng(seed).integers(0, 4, n)
    weight[[0, 1, -1]] = 1
    rows = np.repeat(np.arange(n * n_repeats), weight[aligned.patient])
    y, repeat, fold = aligned.y_true.astype(int), aligned.repeat, aligned.fold
    rows = np.random.default_rng(seed).permutation(rows)
    columns = y[rows], aligned.y_score[0, rows], repeat[rows], fold[rows]
    expected = count_pairs(*columns)
    assert stratified_auroc(*columns[:2], repeat=columns[2], fold=columns[3]) == pytest.approx(expected, abs=1e-12)
    for dtype in (np.float32, np.float64):
        order = {"repeat": repeat, "fold": fold, "patient": aligned.patient, "n_patients": n, "dtype": dtype}
        pairs = RankedPairs(aligned.y_true, aligned.y_score[0], **order)
        assert pairs.auroc(weight[:, None].astype(dtype))[0] == pytest.approx(expected, abs=1e-12)


def test_32_bits_are_exact_for_many_patients():
    rng = np.random.default_rng(0)
    n = 300_000
    y, zero = rng.random(n) < 0.5, np.zeros(n, dtype=int)
    score = np.where(rng.random(n) < 0.5, rng.normal(size=n) + y, np.round(rng.normal(size=n) + y, 2))
    counts = draw_counts(n, 1, rng, np.float32)
    pairs = RankedPairs(y, score, repeat=zero, fold=zero, patient=np.arange(n), n_patients=n, dtype=np.float32)
    expected = roc_auc_score(y, score, sample_weight=counts[:, 0].astype(np.float64))
    assert pairs.auroc(counts)[0] == pytest.approx(expected, abs=1e-12)
