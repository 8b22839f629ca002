import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import Ridge
from sklearn.metrics import mean_absolute_error, r2_score
from sklearn.model_selection import LeaveOneOut, cross_val_score
from sklearn.preprocessing import StandardScaler

from ppgssl.core.errors import EvaluationError
from ppgssl.evaluation.probes import PENALTIES, assess_probes, linear_probe
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
