import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import Ridge
from sklearn.metrics import mean_absolute_error, r2_score, roc_auc_score
from sklearn.model_selection import GroupKFold, LeaveOneOut, cross_val_score
from sklearn.preprocessing import StandardScaler

from ppgssl.core.errors import EvaluationError
from ppgssl.evaluation.probes import (
    PENALTIES,
    assess_probes,
    assess_segment_classes,
    assess_segments,
    linear_probe,
    logistic_probe,
    segment_errors,
)
from ppgssl.evaluation.resampling import draw_counts


def test_what_is_linear_in_the_features_is_read_almost_whole():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(80, 5))
    y = 70 + X @ [10, -5, 3, 0, 1]
    predicted = linear_probe(X[:60], y[:60], X[60:])
    assert r2_score(y[60:], predicted) > 0.99


def test_an_odd_patient_is_not_followed_beyond_what_training_patients_show():
    rng = np.random.default_rng(5)
    X = rng.normal(size=(60, 3))
    y = X @ [10, -5, 3]
    odd = X[:1].copy()
    odd[0, 0] = 1e3
    edge = X[:1].copy()
    edge[0, 0] = X[:, 0].max()
    np.testing.assert_allclose(linear_probe(X, y, odd), linear_probe(X, y, edge))


def test_the_penalty_is_the_one_of_least_leave_one_out_error():
    rng = np.random.default_rng(1)
    X = rng.normal(size=(40, 30))
    y = X[:, 0] + rng.normal(size=40)
    scaled = StandardScaler().fit_transform(X)
    errors = [
        -cross_val_score(Ridge(alpha), scaled, y, cv=LeaveOneOut(), scoring="neg_mean_squared_error").mean()
        for alpha in PENALTIES
    ]
    expected = Ridge(PENALTIES[int(np.argmin(errors))]).fit(scaled, y).predict(scaled)
    np.testing.assert_allclose(linear_probe(X, y, X), expected, rtol=1e-6)


def test_missing_and_empty_and_constant_features_do_no_harm():
    rng = np.random.default_rng(2)
    X = rng.normal(size=(50, 3))
    y = X[:, 0].copy()
    holed = np.column_stack([X, np.full(50, np.nan), np.ones(50)])
    holed[5, 1] = holed[45, 2] = np.nan
    predicted = linear_probe(holed[:40], y[:40], holed[40:])
    assert np.isfinite(predicted).all()
    assert r2_score(y[40:], predicted) > 0.98


def test_without_enough_patients_there_is_no_probe():
    with pytest.raises(EvaluationError, match="three training patients"):
        linear_probe(np.zeros((2, 1)), np.zeros(2), np.zeros((1, 1)))
    with pytest.raises(EvaluationError, match="2 values"):
        linear_probe(np.zeros((3, 1)), np.array([1, np.nan, 2]), np.zeros((1, 1)))


@given(seed=st.integers(0, 2**31), n=st.integers(3, 40))
def test_estimates_are_those_of_scikit_learn(seed, n):
    rng = np.random.default_rng(seed)
    y, predicted = 60 + 20 * rng.normal(size=n), 60 + 20 * rng.normal(size=n)
    scores = assess_probes(y, {"p": predicted}, n_resamples=20, seed=0)
    assert scores.r2.interval("p").estimate == pytest.approx(r2_score(y, predicted))
    assert scores.mae.interval("p").estimate == pytest.approx(mean_absolute_error(y, predicted))


def test_resamples_are_those_of_scikit_learn_on_the_patients_drawn():
    rng = np.random.default_rng(3)
    y, a, b = rng.normal(size=(3, 25)) + 90
    scores = assess_probes(y, {"a": a, "b": b}, n_resamples=50, seed=7)
    counts = draw_counts(25, 50, np.random.default_rng(7)).astype(int)
    for draw in range(50):
        drawn = np.repeat(np.arange(25), counts[:, draw])
        assert scores.r2.draws[:, draw] == pytest.approx([r2_score(y[drawn], p[drawn]) for p in (a, b)])
        assert scores.mae.draws[0, draw] == pytest.approx(mean_absolute_error(y[drawn], a[drawn]))


def test_of_several_repeats_the_mean_counts():
    rng = np.random.default_rng(4)
    y, repeats = rng.normal(size=30), rng.normal(size=(3, 30))
    scores = assess_probes(y, {"p": repeats}, n_resamples=10, seed=0)
    assert scores.r2.interval("p").estimate == pytest.approx(np.mean([r2_score(y, one) for one in repeats]))
    assert scores.mae.interval("p").estimate == pytest.approx(np.mean([mean_absolute_error(y, one) for one in repeats]))


def test_what_cannot_be_assessed_is_refused():
    with pytest.raises(EvaluationError, match="1 different value"):
        assess_probes(np.ones(5), {"p": np.zeros(5)}, seed=0)
    with pytest.raises(EvaluationError, match=r"shape \(4,\)"):
        assess_probes(np.arange(5.0), {"p": np.zeros(4)}, seed=0)
    with pytest.raises(EvaluationError, match="not finite"):
        assess_probes(np.arange(5.0), {"p": np.full(5, np.nan)}, seed=0)


def segments(n_patients=12, seed=0):
    """Values of segments, predictions, and patients, of 2 to 13 segments each."""
    rng = np.random.default_rng(seed)
    patient = np.repeat(np.arange(n_patients), np.arange(n_patients) + 2)
    y = 70 + 10 * rng.normal(size=n_patients)[patient] + 3 * rng.normal(size=len(patient))
    return y, y + 4 * rng.normal(size=len(y)), patient


def test_the_penalty_of_segments_is_the_one_of_least_error_in_patients_left_out():
    rng = np.random.default_rng(1)
    patient = np.repeat(np.arange(15), 6)
    X = rng.normal(size=(15, 20))[patient] + 0.1 * rng.normal(size=(90, 20))  # near copies
    y = X[:, 0] + rng.normal(size=15)[patient]
    scaled = StandardScaler().fit_transform(X)
    errors = np.zeros(len(PENALTIES))
    for inside, outside in GroupKFold(5).split(scaled, y, patient):
        fits = [Ridge(alpha).fit(scaled[inside], y[inside]) for alpha in PENALTIES]
        errors += [((fit.predict(scaled[outside]) - y[outside]) ** 2).sum() for fit in fits]
    expected = Ridge(PENALTIES[int(np.argmin(errors))]).fit(scaled, y).predict(scaled)
    np.testing.assert_allclose(linear_probe(X, y, X, patient), expected, rtol=1e-6)
    assert np.abs(linear_probe(X, y, X) - expected).max() > 0.1  # one segment left out is known from its copies


def test_two_kinds_of_segments_are_told_apart_in_patients_left_out():
    rng = np.random.default_rng(2)
    patient, y = np.repeat(np.arange(20), 10), rng.integers(0, 2, 200)
    X = rng.normal(size=(200, 4)) + 2 * y[:, None] * [1, 0, 0, 0]
    is_train = patient < 12
    risk = logistic_probe(X[is_train], y[is_train], X[~is_train], patient[is_train])
    assert roc_auc_score(y[~is_train], risk) > 0.85
    assert risk.mean() == pytest.approx(y[~is_train].mean(), abs=0.1)
    with pytest.raises(EvaluationError, match="two training patients or more with each kind"):
        logistic_probe(X, (patient == 3).astype(int), X, patient)


def test_statistics_of_segments_weigh_patients_alike():
    y, predicted, patient = segments()
    errors = {"p": segment_errors(y, predicted, patient)}
    scores = assess_segments(y, patient, errors, n_resamples=30, seed=3)
    weight = 1 / np.bincount(patient)[patient]
    assert scores.r2.interval("p").estimate == pytest.approx(r2_score(y, predicted, sample_weight=weight))
    mae = mean_absolute_error(y, predicted, sample_weight=weight)
    assert scores.mae.interval("p").estimate == pytest.approx(mae)
    centred = [one - pd.Series(one).groupby(patient).transform("mean") for one in (y, predicted)]
    within = r2_score(*centred, sample_weight=weight)
    assert scores.r2_within.interval("p").estimate == pytest.approx(within)
    counts = draw_counts(12, 30, np.random.default_rng(3))
    expected = [r2_score(y, predicted, sample_weight=weight * counts[patient, draw]) for draw in range(30)]
    assert scores.r2.draws[0] == pytest.approx(expected)


def test_without_a_change_in_any_patient_nothing_is_known_of_changes():
    y, predicted, patient = segments()
    errors = {"p": segment_errors(patient * 1.0, predicted, patient)}
    assert assess_segments(patient * 1.0, patient, errors, n_resamples=10, seed=0).r2_within is None
    with pytest.raises(EvaluationError, match="1 different value"):
        assess_segments(np.ones(len(y)), patient, errors, seed=0)
    with pytest.raises(EvaluationError, match="are not those of the 11 patients"):
        assess_segments(y[patient > 0], patient[patient > 0], errors, seed=0)


def test_the_auroc_of_segments_is_that_of_pairs_of_one_fold_with_patients_weighing_alike():
    rng = np.random.default_rng(4)
    _, _, patient = segments()
    y, fold, score = rng.integers(0, 2, len(patient)), patient % 2, rng.normal(size=len(patient))
    tests = pd.DataFrame({"repeat": 0, "fold": fold, "patient": patient, "y_true": y})
    found = assess_segment_classes(tests, pd.DataFrame({"p": score + y}), n_resamples=20, seed=5)
    weight = 1 / np.bincount(patient)[patient]
    counts = draw_counts(12, 20, np.random.default_rng(5))
    for draw, value in zip([None, *range(20)], [found.estimates[0], *found.draws[0]], strict=True):
        drawn = weight if draw is None else weight * counts[patient, draw]
        won = pairs = 0.0
        for one in (0, 1):
            events, others = (np.flatnonzero((fold == one) & (y == kind)) for kind in (1, 0))
            of_pairs = drawn[events][:, None] * drawn[others]
            won += (of_pairs * ((score + y)[events][:, None] > (score + y)[others])).sum()
            pairs += of_pairs.sum()
        assert value == pytest.approx(won / pairs)
    with pytest.raises(EvaluationError, match="no fold tests segments of both kinds"):
        assess_segment_classes(tests.assign(y_true=fold), pd.DataFrame({"p": score}), seed=0)
