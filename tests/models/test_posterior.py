"""A horseshoe arm as plain numbers says what the learner says, of patients with all that can go wrong with a value."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ppgssl.classifiers import horseshoe
from ppgssl.classifiers.regression import fit_regression
from ppgssl.core.errors import EvaluationError, StoreError
from ppgssl.features.columns import Columns
from ppgssl.models.posterior import PosteriorModel, freeze_posterior
from tests.support.patient_tables import make_patients


def levels_of(X, columns):
    return {name: tuple(sorted(X[name].dropna().unique().tolist(), key=str)) for name in columns.categorical}


def frozen(X, y, columns, seed=3):
    return freeze_posterior(X, y, columns, levels=levels_of(X, columns), learner="horseshoe", seed=seed)


@pytest.fixture
def few_draws(monkeypatch):
    """So few that all are kept."""
    monkeypatch.setattr(horseshoe, "N_WARMUP", 10)
    monkeypatch.setattr(horseshoe, "N_DRAWS", 24)


@pytest.fixture(scope="module")
def patients():
    X, y, columns = make_patients(np.random.default_rng(5), 90, n_features=4)
    others, _, _ = make_patients(np.random.default_rng(6), 40, n_features=4, missing=0.3)
    return X, y, columns, others


@pytest.mark.usefixtures("few_draws")
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    seed=st.integers(0, 2**32 - 1),
    n_features=st.sampled_from([0, 1, 5, 33]),
    missing=st.sampled_from([0.0, 0.1, 0.5]),
    blocks=st.sampled_from(["both", "clinical", "features"]),
)
def test_over_the_draws_that_are_kept_the_risk_is_that_of_the_learner(seed, n_features, missing, blocks):
    rng = np.random.default_rng(seed)
    X, y, columns = make_patients(rng, 40, n_features=n_features, missing=missing)
    y.iloc[:4] = [0.0, 0.0, 1.0, 1.0]
    X[list(columns.features)] = X[list(columns.features)].mask(rng.random((40, n_features)) < missing / 2)
    if n_features and blocks == "features":
        columns = Columns(features=columns.features)
    elif blocks == "clinical":
        columns = Columns(columns.numeric, columns.categorical)
    others, _, _ = make_patients(rng, 12, n_features=n_features, missing=0.3)
    others.index = [f"new {name}" for name in others.index]
    others.iloc[0, others.columns.get_loc("ward")] = "a ward that nobody knew"
    others.iloc[1] = np.nan
    others.iloc[2, others.columns.get_loc("age")] = 500.0
    model, fit = frozen(X, y, columns)
    direct = fit_regression(X, y, others, columns, learner="horseshoe", seed=3)
    assert model.n_draws == horseshoe.N_CHAINS * 24
    risks = model.risks(others)
    np.testing.assert_allclose(risks[0], direct.y_score, atol=1e-12)
    np.testing.assert_allclose(risks[0], risks[1:].mean(axis=0), atol=1e-12)
    np.testing.assert_allclose(fit.training_score, direct.training_score, atol=1e-12)
    again = PosteriorModel.from_arrays(columns, {name: list(one) for name, one in model.levels.items()}, model.arrays())
    np.testing.assert_allclose(again.risks(others), risks, atol=1e-12)


def test_of_the_draws_that_a_study_averages_some_are_kept_and_risks_hardly_move(patients):
    X, y, columns, others = patients
    model, _ = frozen(X, y, columns)
    direct = fit_regression(X, y, others, columns, learner="horseshoe", seed=3)
    assert (model.n_refits, model.n_draws) == (0, horseshoe.N_KEPT)
    risks = model.risks(others)
    assert risks.shape == (1 + horseshoe.N_KEPT, len(others))
    np.testing.assert_allclose(risks[0], direct.y_score, atol=0.03)
    assert np.sqrt(np.mean((risks[0] - direct.y_score) ** 2)) < 0.01


@pytest.mark.usefixtures("few_draws")
def test_a_risk_does_not_depend_on_who_else_is_predicted(patients):
    X, y, columns, others = patients
    model, _ = frozen(X, y, columns)
    alone = np.concatenate([model.risks(others.iloc[[row]]) for row in range(len(others))], axis=1)
    np.testing.assert_allclose(model.risks(others), alone, rtol=1e-12)


@pytest.mark.usefixtures("few_draws")
def test_what_is_missing_becomes_the_median_or_the_most_frequent_level(patients):
    X, y, columns, _ = patients
    model, _ = frozen(X, y, columns)
    nothing = pd.DataFrame([dict.fromkeys(columns.names, np.nan)]).astype({"ward": object})
    numbers = [*columns.numeric, *columns.features]
    usual = X[numbers].median().to_dict() | {name: X[name].mode()[0] for name in columns.categorical}
    np.testing.assert_allclose(model.risks(nothing), model.risks(pd.DataFrame([usual])), rtol=1e-12)


@pytest.mark.usefixtures("few_draws")
def test_numbers_that_do_not_fit_the_columns_are_refused(patients):
    X, y, columns, _ = patients
    model, _ = frozen(X, y, columns)
    arrays, levels = model.arrays(), model.levels
    for name, wrong in {
        "usual": arrays["usual"][1:],
        "scale": arrays["scale"] * np.nan,
        "design_mean": arrays["design_mean"][1:],
        "axes": arrays["axes"][1:],
        "draws": arrays["draws"][:, 1:],
    }.items():
        with pytest.raises(StoreError, match=f"'{name}' must hold finite numbers of shape"):
            PosteriorModel.from_arrays(columns, levels, {**arrays, name: wrong})
    with pytest.raises(StoreError, match=r"'draws' must hold .* has shape \(0, "):
        PosteriorModel.from_arrays(columns, levels, {**arrays, "draws": arrays["draws"][:0]})
    for pairs in (arrays["pairs"] + 1, arrays["pairs"] - 1, arrays["pairs"] * 0.5):
        with pytest.raises(StoreError, match=r"'pairs' must hold numbers of clinical columns, 0 to 5"):
            PosteriorModel.from_arrays(columns, levels, {**arrays, "pairs": pairs})
    with pytest.raises(StoreError, match="lacks axes"):
        PosteriorModel.from_arrays(columns, levels, {name: one for name, one in arrays.items() if name != "axes"})
    with pytest.raises(StoreError, match="lacks levels"):
        PosteriorModel.from_arrays(columns, {"sex": (0.0, 1.0)}, arrays)


@pytest.mark.usefixtures("few_draws")
def test_an_infinite_value_is_refused(patients):
    X, y, columns, others = patients
    model, _ = frozen(X, y, columns)
    with pytest.raises(EvaluationError, match="infinite"):
        model.risks(others.assign(age=np.inf))
