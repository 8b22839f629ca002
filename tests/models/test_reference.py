import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import mahalanobis
from sklearn.covariance import LedoitWolf

from ppgssl.core.errors import EvaluationError
from ppgssl.models.reference import bin_proportions, fit_domain, level_reference, numeric_reference


def test_a_reference_holds_moments_and_the_middle_98_per_cent():
    values = np.append(np.random.default_rng(1).normal(10, 2, 5000), [np.nan] * 50)
    found = numeric_reference("age", "Age", "covariate", values, unit="years")
    assert (found.n, found.n_missing) == (5000, 50)
    assert found.mean == pytest.approx(10, abs=0.1)
    assert found.sd == pytest.approx(2, abs=0.1)
    assert (found.low, found.high) == (pytest.approx(10 - 2.326 * 2, abs=0.2), pytest.approx(10 + 2.326 * 2, abs=0.2))
    np.testing.assert_allclose(found.proportions, 0.1, atol=0.001)


def test_proportions_are_of_those_known():
    found = numeric_reference("age", "Age", "covariate", np.array([np.nan, np.nan]))
    assert (found.n, found.n_missing, found.mean, found.proportions) == (0, 2, None, [])
    found = level_reference("sex", "Sex", {0.0: "male", 1.0: "female"}, pd.Series([0.0, 1.0, 1.0, None]))
    assert (found.levels, found.proportions, found.n_missing) == (["male", "female"], [1 / 3, 2 / 3], 1)


@given(st.lists(st.floats(-5, 5), min_size=1, max_size=50), st.lists(st.floats(-5, 5), max_size=5, unique=True))
def test_proportions_of_bins_add_up_to_one(values, edges):
    proportions = bin_proportions(np.array(values), np.sort(np.array(edges)))
    assert proportions.sum() == pytest.approx(1)
    assert len(proportions) == len(edges) + 1


def test_the_distance_is_that_of_mahalanobis_over_the_root_of_the_number_of_features():
    rng = np.random.default_rng(2)
    X = rng.normal(size=(80, 3)) @ rng.normal(size=(3, 3))
    near, precision = fit_domain(X)
    new = rng.normal(size=(5, 3))
    z = (X - X.mean(axis=0)) / X.std(axis=0)
    inverse = LedoitWolf().fit(z).precision_
    at = (new - X.mean(axis=0)) / X.std(axis=0)
    expected = [mahalanobis(row, np.zeros(3), inverse) / np.sqrt(3) for row in at]
    np.testing.assert_allclose(near.distances(new, precision), expected)


def test_of_patients_of_the_same_kind_about_one_in_a_hundred_is_beyond_the_threshold():
    rng = np.random.default_rng(3)
    near, precision = fit_domain(rng.normal(size=(400, 20)))
    others = near.distances(rng.normal(size=(4000, 20)), precision)
    assert 0.002 < (others > near.threshold).mean() < 0.03
    # Within the training patients, a covariance of their own would make all of them look near.
    assert (near.distances(rng.normal(2, 1, size=(100, 20)), precision) > near.threshold).all()


def test_a_missing_feature_and_a_constant_one_do_not_count():
    rng = np.random.default_rng(4)
    X = np.column_stack([rng.normal(size=30), np.ones(30)])
    X[3, 0] = np.nan
    near, precision = fit_domain(X)
    distances = near.distances(X, precision)
    assert np.isfinite(distances).all()
    assert near.distances(np.array([[np.nan, 1.0]]), precision)[0] == 0


def test_too_few_patients_are_refused():
    with pytest.raises(EvaluationError, match="too few"):
        fit_domain(np.zeros((9, 2)))
