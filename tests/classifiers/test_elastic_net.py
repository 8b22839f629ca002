import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from ppgssl.classifiers.elastic_net import COSTS, fit_elastic_net, learn_elastic_net
from tests.support.patient_tables import inner_of, make_split


@pytest.mark.parametrize("ratio", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("n_columns", [3, 30, 80])
def test_slopes_are_those_of_scikit_learn(ratio, n_columns):
    split = make_split(np.random.default_rng(n_columns), 60, 3, n_first=n_columns, n_last=0)
    intercepts, slopes = fit_elastic_net(split.X, split.y, [0.05, 0.5], [ratio, ratio])
    for cost, intercept, slope in zip([0.05, 0.5], intercepts, slopes, strict=True):
        options = {"solver": "saga", "tol": 1e-9, "max_iter": 100_000, "random_state": 0}
        reference = LogisticRegression(C=cost, l1_ratio=ratio, **options).fit(split.X, split.y)
        np.testing.assert_allclose(slope, reference.coef_[0], atol=2e-4)
        if slope.any():  # else `saga` stops before its intercept is right
            assert intercept == pytest.approx(reference.intercept_[0], abs=2e-4)


@given(st.integers(0, 10_000), st.integers(1, 60), st.sampled_from(COSTS), st.floats(0, 1))
def test_no_small_change_of_the_slopes_would_lower_the_penalised_loss(seed, n_columns, cost, ratio):
    split = make_split(np.random.default_rng(seed), 40, 3, n_first=n_columns, n_last=0)
    intercepts, slopes = fit_elastic_net(split.X, split.y, [cost], [ratio])
    residual = expit(intercepts[0] + split.X @ slopes[0]) - split.y
    gradient = residual @ split.X + (1 - ratio) / cost * slopes[0]
    lasso = ratio / cost
    is_in = slopes[0] != 0
    assert residual.sum() == pytest.approx(0, abs=1e-3)
    np.testing.assert_allclose(gradient[is_in], -lasso * np.sign(slopes[0][is_in]), atol=1e-3)
    assert (np.abs(gradient[~is_in]) <= lasso + 1e-3).all()


def test_it_finds_the_column_that_carries_the_outcome_and_predicts_from_it():
    split = make_split(np.random.default_rng(1), 150, 1000, n_first=5, n_last=40)
    learned = learn_elastic_net(inner_of(split), split, 0)
    areas = [roc_auc_score(split.y_out, score) for score in (learned.model.risks(split.X_out), split.X_out[:, 0])]
    assert areas[0] > areas[1] - 0.03
    assert [len(one) for one in learned.inner] == [len(one.y_out) for one in inner_of(split)]
