"""A regression arm as plain numbers says what its fit says, of patients whom the fit has not seen."""

from __future__ import annotations

import numpy as np
import pytest

from ppgssl.classifiers.regression import fit_regression
from ppgssl.core.config.study import Missing
from ppgssl.core.errors import EvaluationError, StoreError
from ppgssl.models.linear import LinearModel, freeze, joined, refreeze
from tests.support.patient_tables import make_patients

LEARNERS = [("ridge", False), ("elastic-net", False), ("ridge", True)]


@pytest.fixture(scope="module")
def patients():
    """Training patients and others, among whom is everything that can go wrong with a value."""
    rng = np.random.default_rng(5)
    X, y, columns = make_patients(rng, 90, n_features=4)
    others, _, _ = make_patients(rng, 40, n_features=4, missing=0.3)
    others.index = [f"new {name}" for name in others.index]
    others.iloc[0, others.columns.get_loc("ward")] = "a ward that nobody knew"
    others.iloc[1] = np.nan
    others.iloc[2, others.columns.get_loc("age")] = 500.0
    levels = {name: tuple(sorted(X[name].dropna().unique().tolist(), key=str)) for name in columns.categorical}
    return X, y, columns, levels, others


@pytest.mark.parametrize(("learner", "is_late_fusion"), LEARNERS)
def test_the_numbers_say_of_new_patients_what_the_fit_says(patients, learner, is_late_fusion):
    X, y, columns, levels, others = patients
    model, fit = freeze(X, y, columns, levels=levels, learner=learner, is_late_fusion=is_late_fusion, seed=3)
    direct = fit_regression(
        X, y, others, columns, learner=learner, is_late_fusion=is_late_fusion, missing=Missing(), seed=3
    )
    # Late fusion moves risks nearer to 0 or 1 than one in a million there; the numbers do not.
    tolerance = 1e-5 if is_late_fusion else 1e-9
    np.testing.assert_allclose(model.risks(others)[0], direct.y_score, atol=tolerance)
    np.testing.assert_allclose(fit.training_score, direct.training_score, atol=1e-12)


def test_a_risk_does_not_depend_on_who_else_is_predicted(patients):
    X, y, columns, levels, others = patients
    model, _ = freeze(X, y, columns, levels=levels, learner="ridge", is_late_fusion=False, seed=3)
    alone = np.concatenate([model.risks(others.iloc[[row]]) for row in range(len(others))], axis=1)
    np.testing.assert_allclose(model.risks(others), alone, rtol=1e-12)


@pytest.mark.parametrize("is_late_fusion", [False, True])
def test_models_joined_say_what_each_says(patients, is_late_fusion):
    X, y, columns, levels, others = patients
    settings = {"levels": levels, "learner": "ridge", "is_late_fusion": is_late_fusion, "seed": 3}
    rng = np.random.default_rng(0)
    samples = [np.arange(len(X)), *(rng.integers(0, len(X), len(X)) for _ in range(3))]
    models = [refreeze(X.iloc[rows], y.iloc[rows], columns, **settings) for rows in samples]
    together = joined(models).risks(others)
    assert together.shape == (4, len(others))
    np.testing.assert_allclose(together, np.concatenate([one.risks(others) for one in models]), atol=1e-12)


def test_numbers_that_went_through_a_file_are_the_same_model(patients):
    X, y, columns, levels, others = patients
    model, _ = freeze(X, y, columns, levels=levels, learner="ridge", is_late_fusion=False, seed=3)
    again = LinearModel.from_arrays(columns, levels, model.arrays())
    np.testing.assert_array_equal(again.risks(others), model.risks(others))


def test_numbers_that_do_not_fit_the_columns_are_refused(patients):
    X, y, columns, levels, _ = patients
    arrays = freeze(X, y, columns, levels=levels, learner="ridge", is_late_fusion=False, seed=3)[0].arrays()
    with pytest.raises(StoreError, match=r"slope.*must hold finite numbers of shape"):
        LinearModel.from_arrays(columns, levels, {**arrays, "slope": arrays["slope"][:, 1:]})
    with pytest.raises(StoreError, match="must hold finite numbers"):
        LinearModel.from_arrays(columns, levels, {**arrays, "centre": arrays["centre"] * np.nan})
    with pytest.raises(StoreError, match="lacks effect"):
        LinearModel.from_arrays(columns, levels, {name: one for name, one in arrays.items() if name != "effect"})


def test_a_fit_that_is_no_sum_over_columns_is_refused(patients):
    X, y, columns, levels, _ = patients
    with pytest.raises(EvaluationError, match="cannot be written as a sum over columns"):
        freeze(X, y, columns, levels=levels, learner="gradient-boosting", is_late_fusion=False, seed=3)
