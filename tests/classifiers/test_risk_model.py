import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load, save
from scipy.special import logit
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from ppgssl.classifiers import block_ridge, elastic_net, gradient_boosting, horseshoe
from ppgssl.classifiers.learner import inner_folds
from ppgssl.classifiers.risk_model import RiskModel
from ppgssl.classifiers.stacking import fit_stack
from ppgssl.core.config.study import Missing
from ppgssl.core.errors import ConfigError, EvaluationError, StoreError
from ppgssl.features.columns import Columns
from tests.support.patient_tables import make_patients

FAST = ["ridge", "elastic-net", "gradient-boosting"]
MICE = Missing(method="mice", n_imputations=2)


@pytest.fixture(autouse=True)
def small_grids(monkeypatch):
    """Fewer settings to choose from: tests of each learner try all of them."""
    monkeypatch.setattr(gradient_boosting, "LEAVES", (2, 4))
    monkeypatch.setattr(gradient_boosting, "N_TREES", (5, 20))
    monkeypatch.setattr(elastic_net, "COSTS", (0.1, 1.0))


def fitted(X, y, columns, learner="ridge", **options):
    return RiskModel(learner, columns=columns, **options).fit(X, y)


def risk(model, X):
    return model.predict_proba(X)[:, 1]


@pytest.mark.parametrize("learner", FAST)
def test_it_learns_and_out_of_fold_predictions_are_as_good_as_those_of_test_patients(learner):
    X, y, columns = make_patients(np.random.default_rng(0), 900)
    fit = fitted(X[:450], y[:450], columns, learner)
    risks = risk(fit, X[450:])
    tested, trained = roc_auc_score(y[450:], risks), roc_auc_score(y[:450], fit.oof_)
    assert tested > 0.78
    assert trained == pytest.approx(tested, abs=0.06)
    assert fit.n_columns_ == (4 if learner == "gradient-boosting" else 2 + 1 + 3)
    assert ((risks > 0) & (risks < 1)).all()
    # Standard error of the mean outcome of 450 patients: 0.022.
    assert risks.mean() == pytest.approx(y[450:].mean(), abs=0.06)
    assert fit.notes_ == ()


def test_risks_are_those_of_a_scikit_learn_pipeline(monkeypatch):
    monkeypatch.setattr(block_ridge, "COSTS", (0.1,))
    X, y, columns = make_patients(np.random.default_rng(1), 200)
    X = X.astype({"ward": object})
    numbers = make_pipeline(SimpleImputer(strategy="median"), StandardScaler())
    levels = make_pipeline(
        SimpleImputer(strategy="most_frequent", missing_values=None),
        OneHotEncoder(drop="if_binary", sparse_output=False),
        StandardScaler(),
    )
    sex = make_pipeline(SimpleImputer(strategy="most_frequent"), StandardScaler())
    prepare = ColumnTransformer([("n", numbers, ["age", "weight"]), ("sex", sex, ["sex"]), ("ward", levels, ["ward"])])
    pipeline = make_pipeline(prepare, LogisticRegression(C=0.1, solver="newton-cholesky", tol=1e-10))
    table = X.assign(ward=X["ward"].where(X["ward"].notna(), None))
    fit = fitted(X[:150], y[:150], columns)
    expected = pipeline.fit(table[:150], y[:150]).predict_proba(table[150:])[:, 1]
    np.testing.assert_allclose(risk(fit, X[150:]), expected, atol=1e-6)
    for inside, outside in inner_folds(y[:150].to_numpy(int), X.index[:150].to_numpy().astype(str), seed=0):
        expected = pipeline.fit(table.iloc[inside], y.iloc[inside]).predict_proba(table.iloc[outside])[:, 1]
        np.testing.assert_allclose(fit.oof_[outside], expected, atol=1e-6)


@pytest.mark.parametrize(
    ("learner", "stacking", "missing"),
    [("ridge", True, MICE), ("ridge", False, Missing()), ("elastic-net", False, MICE), (FAST[-1], False, MICE)],
)
def test_no_test_patient_changes_the_risk_of_another(learner, stacking, missing):
    X, y, columns = make_patients(np.random.default_rng(2), 120, n_features=20)
    strange = X[80:].copy()
    strange.iloc[1:, strange.columns.get_indexer(["age", "weight", "e0", "e7"])] = 1e6
    strange.iloc[1:, strange.columns.get_indexer(["sex", "ward"])] = np.nan
    fit = fitted(X[:80], y[:80], columns, learner, stacking=stacking, missing=missing)
    plain, odd, alone = (risk(fit, test) for test in (X[80:], strange, X[80:81]))
    np.testing.assert_allclose(odd[0], plain[0], atol=1e-14)
    np.testing.assert_allclose(alone[0], plain[0], atol=1e-14)


def test_no_outcome_enters_its_own_out_of_fold_prediction():
    """Without information, out-of-fold predictions are no better than chance; those of the fit itself would be."""
    aurocs = []
    for seed in range(12):
        rng = np.random.default_rng(seed)
        table = pd.DataFrame(rng.normal(size=(81, 40)), index=[f"p{i}" for i in range(81)]).add_prefix("e")
        y = pd.Series(rng.permutation(np.arange(81) % 3 == 0).astype(float), index=table.index)
        fit = RiskModel(seed=seed).fit(table[:80], y[:80])
        aurocs.append(roc_auc_score(y[:80], fit.oof_))
    assert np.mean(aurocs) < 0.55


def test_patients_drawn_twice_stay_in_one_inner_fold():
    X, y, columns = make_patients(np.random.default_rng(3), 60, n_features=5)
    rows = np.random.default_rng(0).integers(0, 60, 60)
    fit = fitted(X.iloc[rows], y.iloc[rows], columns)
    risks = pd.Series(fit.oof_, index=X.index[rows])
    assert all(len(set(of_patient)) == 1 for _, of_patient in risks.groupby(level=0))
    assert fit.fitted_on_ == tuple(dict.fromkeys(X.index[rows]))


def test_rows_of_one_group_stay_in_one_inner_fold():
    X, y, columns = make_patients(np.random.default_rng(3), 60, n_features=5)
    siblings = np.repeat(np.arange(20), 3)
    outcome = pd.Series(np.repeat(y.to_numpy()[::3], 3), index=X.index)
    plain = fitted(X, outcome, columns)
    grouped = RiskModel(columns=columns).fit(X, outcome, groups=siblings)
    same = RiskModel(columns=columns).fit(X.set_axis(siblings.astype(str)), outcome)
    np.testing.assert_array_equal(grouped.oof_, same.oof_)
    assert (grouped.oof_ != plain.oof_).any()


@settings(max_examples=8)
@given(st.integers(0, 10_000), st.integers(2, 5), st.sampled_from([0, 64]), st.sampled_from(FAST), st.booleans())
def test_forty_patients_with_few_events_get_finite_probabilities(seed, n_events, n_features, learner, stacking):
    rng = np.random.default_rng(seed)
    X, _, columns = make_patients(rng, 50, n_features=n_features, missing=0.3)
    y = pd.Series((np.arange(40) < n_events).astype(float), index=X.index[:40])
    fit = fitted(X[:40], y, columns, learner, stacking=stacking, seed=seed)
    assert np.isfinite([*risk(fit, X[40:]), *fit.oof_]).all()
    assert bool(fit.notes_) == (n_events < 3 and learner == "ridge")


def test_levels_and_missing_values_that_training_never_saw_are_predicted_as_the_most_frequent_level():
    X = pd.DataFrame({"ward": ["A"] * 12 + ["B"] * 8})
    y = pd.Series([0.0, 1.0] * 6 + [1.0] * 8)
    test = pd.DataFrame({"ward": ["A", "Z", None, np.nan]})
    risks = risk(fitted(X, y, Columns(categorical=("ward",))), test)
    np.testing.assert_array_equal(risks, np.repeat(risks[0], 4))


@pytest.mark.parametrize("learner", FAST)
def test_a_column_without_a_value_in_training_is_left_out_with_a_note(learner):
    X, y, columns = make_patients(np.random.default_rng(4), 60)
    X.loc[X.index[:40], "weight"] = np.nan
    X.loc[X.index[:40], "ward"] = None
    fit = fitted(X[:40], y[:40], columns, learner)
    assert fit.n_columns_ == 2
    assert fit.columns_ == Columns(("age",), ("sex",))
    assert fit.notes_ == ("columns 'ward', 'weight' left out: no training patient has a value",)


def test_constant_columns_are_harmless():
    X, y, columns = make_patients(np.random.default_rng(5), 60)
    X = X.assign(weight=0.1, sex=1.0, ward="A")
    fit, alone = (fitted(X[:40], y[:40], one) for one in (columns, Columns(("age",))))
    np.testing.assert_allclose(risk(fit, X[40:]), risk(alone, X[40:]), atol=1e-6)


def test_stacking_combines_the_out_of_fold_predictions_of_both_models():
    X, y, columns = make_patients(np.random.default_rng(6), 160, n_features=10)
    blocks = Columns(columns.numeric, columns.categorical), Columns(features=columns.features)
    parts = [fitted(X[:120], y[:120], one) for one in blocks]
    stacked = fitted(X[:120], y[:120], columns, stacking=True)
    stack = fit_stack(logit(np.column_stack([one.oof_ for one in parts])), y[:120].to_numpy(int))
    expected = stack[0] + logit(np.column_stack([risk(one, X[120:]) for one in parts])) @ stack[1:]
    np.testing.assert_allclose(logit(risk(stacked, X[120:])), expected, atol=1e-5)
    assert stacked.n_columns_ == sum(one.n_columns_ for one in parts)


def test_risks_of_several_imputations_are_averaged_and_repeat_themselves():
    X, y, columns = make_patients(np.random.default_rng(7), 160, missing=0.3)
    fits = [fitted(X[:120], y[:120], columns, missing=MICE, seed=seed) for seed in (0, 0, 1)]
    first, again, other = (risk(one, X[120:]) for one in fits)
    np.testing.assert_array_equal(first, again)
    np.testing.assert_array_equal(fits[0].oof_, fits[1].oof_)
    assert (first != other).any()
    blocks = list(fits[0].parts_[0].blocks(X[120:]))
    assert len(blocks) == 2
    np.testing.assert_allclose(first, np.mean([model.risks(block) for block, model in blocks], axis=0))
    complete, y, _ = make_patients(np.random.default_rng(7), 60, missing=0)
    plain, mice = (fitted(complete[:40], y[:40], columns, missing=missing) for missing in (Missing(), MICE))
    np.testing.assert_array_equal(risk(plain, complete[40:]), risk(mice, complete[40:]))
    # Of patients who lack what no training patient lacked, several values are drawn.
    assert (risk(mice, complete[40:].assign(age=np.nan)) != risk(plain, complete[40:].assign(age=np.nan))).any()


def test_what_cannot_be_fitted_is_refused():
    X, y, columns = make_patients(np.random.default_rng(8), 30)
    age = Columns(("age",))
    for table, outcome, own, message in (
        (X, y * 0, columns, "of 30 training patients, 0 are with the event"),
        (X, y, Columns(("agee",)), r"training patients have no column 'agee' \(did you mean 'age'"),
        (X.assign(age=np.inf), y, age, "the training patients have infinite values in age"),
        (X.assign(age=np.nan), y, age, "no training patient has a value of age"),
        (X, y[1:], columns, "30 training patients have 29 outcomes"),
        (X, y.mask(y == 1), columns, "must be 0 or 1"),
        (X.to_numpy(), y, columns, "takes a DataFrame"),
    ):
        with pytest.raises(EvaluationError, match=message):
            fitted(table, outcome, own)
    with pytest.raises(ConfigError, match=r"unknown learner 'rige' \(did you mean 'ridge'"):
        fitted(X, y, columns, "rige")
    model = fitted(X, y, age)
    with pytest.raises(EvaluationError, match="the patients have infinite values in age"):
        model.predict_proba(X.assign(age=np.inf))
    with pytest.raises(EvaluationError, match="the patients have no column 'age'"):
        model.predict_proba(X.drop(columns="age"))


# What check_estimator asks for and is not so, each with its reason.
EXCEPTIONS = {
    "check_classifiers_one_label": "one outcome alone cannot be learnt: EvaluationError, as for too few patients",
    "check_fit2d_1sample": "one patient cannot be learnt from: EvaluationError",
}


@parametrize_with_checks(
    [RiskModel(), RiskModel("elastic-net"), RiskModel("gradient-boosting")], expected_failed_checks=lambda _: EXCEPTIONS
)
def test_it_is_an_estimator_of_scikit_learn(estimator, check):
    check(estimator)


def test_cloning_and_grid_search_see_columns_and_settings():
    X, y, columns = make_patients(np.random.default_rng(9), 90)
    model = RiskModel(columns=columns, missing=MICE, seed=3)
    copy = clone(model)
    assert copy.get_params() == model.get_params()
    np.testing.assert_array_equal(risk(copy.fit(X[:60], y[:60]), X[60:]), risk(model.fit(X[:60], y[:60]), X[60:]))
    search = GridSearchCV(RiskModel(columns=columns), {"learner": ["ridge", "gradient-boosting"]}, cv=2)
    assert search.fit(X, y).best_params_["learner"] in FAST


def test_coefficients_are_log_odds_for_one_sd():
    X, y, columns = make_patients(np.random.default_rng(10), 120, n_features=3, missing=0)
    model = fitted(X, y, columns, "elastic-net")
    assert model.coef_names_ == ["age", "weight", "sex=1.0", "ward=A", "ward=B", "ward=C", "e0", "e1", "e2"]
    assert model.coef_.shape == (1, 9)
    moved = X.assign(age=X.age + X.age.std(ddof=0))
    np.testing.assert_allclose(logit(risk(model, moved)) - logit(risk(model, X)), model.coef_[0, 0], atol=1e-9)
    stacked = fitted(X, y, columns, stacking=True)
    np.testing.assert_allclose(logit(risk(stacked, moved)) - logit(risk(stacked, X)), stacked.coef_[0, 0], atol=1e-6)
    assert not hasattr(fitted(X, y, columns, "gradient-boosting"), "coef_")


@pytest.fixture
def few_draws(monkeypatch):
    monkeypatch.setattr(horseshoe, "N_WARMUP", 10)
    monkeypatch.setattr(horseshoe, "N_DRAWS", 24)


def strange_patients():
    """All that can go wrong with a value."""
    others, _, _ = make_patients(np.random.default_rng(6), 40, n_features=4, missing=0.3)
    others.index = [f"new {name}" for name in others.index]
    others.iloc[0, others.columns.get_loc("ward")] = "a ward that nobody knew"
    others.iloc[1] = np.nan
    others.iloc[2, others.columns.get_loc("age")] = 500.0
    return others


def in_numbers(model):
    """The model after a file of numbers and one of names."""
    arrays, spec = load(save(model.to_arrays())), json.loads(json.dumps(model.spec()))
    assert not any(name in json.dumps(spec) for name in model.fitted_on_)
    return arrays, spec


@pytest.mark.usefixtures("few_draws")
@pytest.mark.parametrize(("stacking", "missing"), [(False, MICE), (True, Missing())])
@pytest.mark.parametrize("learner", [*FAST, "horseshoe"])
def test_a_model_in_numbers_is_the_same_model(learner, stacking, missing):
    X, y, columns = make_patients(np.random.default_rng(5), 90, n_features=4)
    X.loc[X.index[:5], "e1"] = np.nan
    model = fitted(X, y, columns, learner, stacking=stacking, missing=missing, seed=3)
    again = RiskModel.from_arrays(*in_numbers(model))
    others = strange_patients()
    np.testing.assert_array_equal(again.predict_proba(others), model.predict_proba(others))
    assert again.spec() == model.spec()
    assert (again.n_columns_, again.n_draws_) == (model.n_columns_, model.n_draws_)
    alone = np.concatenate([risk(again, others.iloc[[row]]) for row in range(len(others))])
    np.testing.assert_allclose(risk(model, others), alone, rtol=1e-12)


@pytest.mark.usefixtures("few_draws")
def test_the_risk_of_a_horseshoe_model_is_the_mean_of_its_draws_which_are_thinned_to_be_kept(monkeypatch):
    monkeypatch.setattr("ppgssl.classifiers.risk_model.N_KEPT", 48)
    X, y, columns = make_patients(np.random.default_rng(5), 90, n_features=4)
    for missing, n in ((Missing(), 1), (MICE, 2)):
        model = fitted(X, y, columns, "horseshoe", missing=missing)
        assert model.n_draws_ == 4 * 24 * n
        kept = model.thinned()
        assert (kept.n_draws_, kept.thinned()) == (48, kept)
        for one in (model, kept):
            drawn = one.drawn_risks(X)
            assert drawn.shape == (one.n_draws_, 90)
            np.testing.assert_allclose(drawn.mean(axis=0), risk(one, X), atol=1e-12)
    assert fitted(X, y, columns, "horseshoe", stacking=True).drawn_risks(X) is None
    assert fitted(X, y, columns).drawn_risks(X) is None


def test_numbers_that_do_not_fit_the_columns_are_refused():
    X, y, columns = make_patients(np.random.default_rng(5), 90, n_features=4)
    arrays, spec = in_numbers(fitted(X, y, columns, stacking=True))
    slopes, stack = arrays["part.0.model.0.slopes"], arrays["stack"]
    for wrong in (
        {"part.0.model.0.slopes": slopes[1:]},
        {"part.1.scaling.0.mean": arrays["part.1.scaling.0.mean"] * np.nan},
        {"stack": stack[1:]},
        {"part.0.imputer.0.typical": np.zeros(9)},
    ):
        with pytest.raises(StoreError, match="must hold finite numbers of shape"):
            RiskModel.from_arrays(arrays | wrong, spec)
    for name in ("part.0.model.0.slopes", "part.0.scaling.0.mean", "part.1.imputer.0.typical", "stack"):
        with pytest.raises(StoreError, match="not complete"):
            RiskModel.from_arrays({key: one for key, one in arrays.items() if key != name}, spec)
    without_columns = {name: one for name, one in spec.items() if name != "columns"}
    for numbers, description, message in (
        ({"stack": stack}, spec, "not complete: 0 of 2 parts"),
        (arrays, {**spec, "levels": {"sex": [0.0, 1.0]}}, "it lacks levels"),
        (arrays, without_columns, r"is not complete \('columns'\)"),
        (arrays, {**spec, "learner": "forest"}, r"of the learner 'forest'.*install the ppgssl that made it"),
    ):
        with pytest.raises(StoreError, match=message):
            RiskModel.from_arrays(numbers, description)
