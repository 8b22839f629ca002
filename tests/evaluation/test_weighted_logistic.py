import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit

from ppgssl.evaluation import weighted_logistic
from ppgssl.evaluation.resampling import draw_counts
from ppgssl.evaluation.weighted_logistic import fit_weightings, is_separated
from tests.support.risk_tables import make_risks


def glm(columns, y, weights, offset=None):
    model = sm.GLM(y.astype(float), columns, family=sm.families.Binomial(), freq_weights=weights, offset=offset)
    return model.fit(tol=1e-14, maxiter=200).params


@pytest.mark.parametrize(("columns", "has_offset"), [("1", True), ("1x", False), ("1xx", False)])
def test_each_weighting_equals_statsmodels(columns, has_offset):
    x, y = make_risks(207, 1)
    X = np.column_stack([x**power for power in range(len(columns))])
    offset = x if has_offset else None
    counts = draw_counts(207, 40, np.random.default_rng(2))
    found = fit_weightings(X, y, counts, offset=offset)
    expected = np.column_stack([glm(X, y, column, offset) for column in counts.T])
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-8)


@given(st.integers(0, 2**31), st.integers(6, 60), st.floats(0.1, 8), st.floats(-4, 4))
def test_where_classes_overlap_the_gradient_is_zero_at_what_is_found(seed, n, sd, mean):
    rng = np.random.default_rng(seed)
    x = rng.normal(mean, sd, n)
    y = rng.random(n) < expit(x)
    counts = draw_counts(n, 20, rng)
    counts = counts[:, ~is_separated(x, y, counts)]
    X = np.column_stack([np.ones(n), x])
    found = fit_weightings(X, y, counts) if counts.shape[1] else np.zeros((2, 0))
    gradient = X.T @ (counts * (y[:, None] - expit(X @ found)))
    np.testing.assert_allclose(gradient, 0, atol=1e-6 * n * (1 + abs(mean) + sd))


def test_a_long_way_from_the_start_is_found_in_spite_of_newtons_overshooting():
    # One patient with the event at the far end: the fit to the mean weighting is no good start for the others.
    x = np.array([-30.0, -1.0, -0.9, 0.0, 0.1, 1.0, 30.0])
    y = np.array([False, True, False, True, False, True, True])
    weights = np.array([[1, 1, 1, 1, 1, 1, 1], [0, 500, 501, 1, 3, 0, 0], [50, 1, 0, 0, 1, 0, 1]], dtype=float).T
    weights = weights[:, ~is_separated(x, y, weights)]
    X = np.column_stack([np.ones(7), x])
    found = fit_weightings(X, y, weights)
    np.testing.assert_allclose(X.T @ (weights * (y[:, None] - expit(X @ found))), 0, atol=1e-5)


def test_separation_is_distinguished_from_overlap():
    x = np.array([0.1, 0.2, 0.3, 0.4])
    y = np.array([False, True, False, True])
    weights = np.array([[1, 1, 1, 1], [1, 0, 0, 2], [0, 3, 1, 0], [1, 0, 1, 0], [1, 1, 1, 0]]).T
    assert is_separated(x, y, weights).tolist() == [False, True, True, True, False]
    assert is_separated(np.full(4, 0.5), y, weights).all()
    assert is_separated(x, np.ones(4, dtype=bool), weights).all()
    # Classes that touch at one value are separated, too: the likelihood grows without end.
    assert is_separated(np.array([0.0, 1.0, 1.0, 2.0]), np.array([False, False, True, True]), np.ones((4, 1))).all()


def test_a_weighting_with_one_class_has_no_coefficients_and_the_others_keep_theirs():
    x, y = make_risks(50, 3, mean_logit=0.0)
    X = np.column_stack([np.ones(50), x])
    weights = np.column_stack([np.ones(50), y, ~y, np.zeros(50), np.ones(50)]).astype(float)
    found = fit_weightings(X, y, weights)
    assert np.isnan(found[:, 1:4]).all()
    np.testing.assert_array_equal(found[:, 0], found[:, 4])
    assert np.isnan(fit_weightings(X, y, weights[:, 1:4])).all()


def test_separated_classes_have_probabilities_at_their_limits():
    x = np.linspace(-1, 1, 10)
    X = np.column_stack([np.ones(10), x])
    found = fit_weightings(X, x > 0, np.ones((10, 1)))
    np.testing.assert_allclose(expit(X @ found)[:, 0], x > 0, atol=1e-6)


def test_blocks_change_nothing_and_so_does_the_size_of_the_weights(monkeypatch):
    x, y = make_risks(60, 4, mean_logit=-1)
    X = np.column_stack([np.ones(60), x])
    counts = draw_counts(60, 15, np.random.default_rng(0))
    whole = fit_weightings(X, y, counts)
    np.testing.assert_allclose(fit_weightings(X, y, 1000 * counts), whole, atol=1e-9)
    monkeypatch.setattr(weighted_logistic, "_BLOCK", 120)
    np.testing.assert_allclose(fit_weightings(X, y, counts), whole, atol=1e-9)
