from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit
from sklearn.impute import SimpleImputer

from ppgssl.classifiers.imputation import Imputer, chained_equations, fit_imputers, missing_data
from ppgssl.classifiers.preparation import code_table, levels_of
from ppgssl.core.config.cohort import Variable
from ppgssl.core.config.study import Missing
from ppgssl.core.errors import StoreError
from ppgssl.features.columns import Columns
from tests.support.patient_tables import make_patients

MICE = Missing(method="mice", n_imputations=5)


def code_patients(train, test, columns):
    levels = levels_of(train, columns)
    return code_table(train, columns, levels), code_table(test, columns, levels)


def completed(train, test, missing, *, seed):
    """Completed clinical blocks of training and test patients, for each imputation."""
    return [(block, imputer(test)) for imputer, block in fit_imputers(train, missing, seed=seed)]


def chained(train, test, seed=(0,)):
    imputer, block = chained_equations(train, seed=seed)
    return block, imputer(test)


def coded_patients(seed, n=120, n_test=30):
    X, _, columns = make_patients(np.random.default_rng(seed), n, missing=0.2)
    return code_patients(X[:-n_test], X[-n_test:], columns)


def test_medians_and_most_frequent_levels_are_those_of_scikit_learn():
    train, test = coded_patients(0)
    (found,) = completed(train, test, Missing(), seed=0)
    for strategy, block in (("median", slice(0, 2)), ("most_frequent", slice(2, 4))):
        imputer = SimpleImputer(strategy=strategy).fit(train.clinical[:, block])
        for filled, part in zip(found, (train, test), strict=True):
            np.testing.assert_array_equal(filled[:, block], imputer.transform(part.clinical[:, block]))


def test_known_values_stay_and_filled_in_ones_occur_among_training_patients():
    train, test = coded_patients(1)
    imputations = completed(train, test, MICE, seed=3)
    assert len(imputations) == 5
    for pair in imputations:
        for filled, part in zip(pair, (train, test), strict=True):
            is_known = ~np.isnan(part.clinical)
            np.testing.assert_array_equal(filled[is_known], part.clinical[is_known])
            for column in range(4):
                assert np.isin(filled[~is_known[:, column], column], train.clinical[:, column]).all()


def test_imputations_differ_and_repeat_themselves_by_seed():
    train, test = coded_patients(2)
    first, again, other = (completed(train, test, MICE, seed=seed) for seed in (1, 1, 2))
    for one, same, different in zip(first, again, other, strict=True):
        np.testing.assert_array_equal(one[0], same[0])
        np.testing.assert_array_equal(one[1], same[1])
        assert (one[0] != different[0]).any()
    assert (first[0][0] != first[1][0]).any()


def test_tested_patients_change_neither_the_training_patients_nor_each_other():
    train, test = coded_patients(3)
    strange = replace(test, clinical=test.clinical.copy())
    strange.clinical[1:, 0] = 1e9
    strange.clinical[1:, 2:] = np.nan
    plain, odd = (chained(train, one) for one in (test, strange))
    np.testing.assert_array_equal(plain[0], odd[0])
    np.testing.assert_array_equal(plain[1][0], odd[1][0])
    alone = chained(train, test.rows(np.array([7])))
    np.testing.assert_array_equal(alone[0], plain[0])
    np.testing.assert_array_equal(alone[1][0], plain[1][7])


def make_dependent(rng, n, n_test):
    """A number and a binary variable that follow another number, known for all; 40 % of each missing at random."""
    base = rng.normal(size=n)
    number = 10 + 3 * base + rng.normal(size=n)
    level = (rng.random(n) < expit(2 * base)).astype(float)
    truth = pd.DataFrame({"base": base, "number": number, "level": level})
    is_missing = rng.random((n, 2)) < 0.6 * expit(base)[:, None]  # the larger `base`, the likelier
    held = truth.copy()
    held[["number", "level"]] = held[["number", "level"]].mask(is_missing)
    columns = Columns(("base", "number"), ("level",))
    return truth, is_missing, code_patients(held[:-n_test], held[-n_test:], columns)


def test_means_are_right_where_the_median_would_be_wrong_for_training_and_tested_patients():
    truth, is_missing, (train, test) = make_dependent(np.random.default_rng(4), 1500, 500)
    pairs = completed(train, test, MICE, seed=5)
    for part, rows in ((0, slice(0, 1000)), (1, slice(1000, 1500))):
        for column, name in ((1, "number"), (2, "level")):
            drawn = np.mean([pair[part][:, column] for pair in pairs], axis=0)[is_missing[rows, column - 1]]
            wanted = truth[name].to_numpy()[rows][is_missing[rows, column - 1]]
            # The standard error of the mean of some 150 is 0.08 of the spread; the median would be wrong by 0.3 of it.
            assert abs(drawn.mean() - wanted.mean()) < 0.2 * truth[name].std()


def test_the_spread_of_drawn_values_is_that_of_the_values_and_not_that_of_predictions():
    _, is_missing, (train, test) = make_dependent(np.random.default_rng(5), 1500, 500)
    filled, _ = chained(train, test)
    where = is_missing[:1000, 0]
    residual = filled[where, 1] - 10 - 3 * filled[where, 0]
    assert residual.std() == pytest.approx(1.0, abs=0.15)


def test_three_levels_are_drawn_in_the_right_proportions():
    rng = np.random.default_rng(6)
    base = rng.normal(size=3000)
    level = np.select([base < -0.5, base < 0.5], ["a", "b"], "c").astype(object)
    held = pd.DataFrame({"base": base, "level": level})
    is_missing = rng.random(3000) < 0.5 * expit(2 * base)
    held.loc[is_missing, "level"] = None
    train, test = code_patients(held[:2500], held[2500:], Columns(("base",), ("level",)))
    filled, _ = chained(train, test)
    codes = pd.Categorical(level).codes[:2500][is_missing[:2500]]
    drawn = filled[is_missing[:2500], 1].astype(int)
    assert (drawn == codes).mean() > 0.8
    proportions = [np.bincount(one, minlength=3) / len(codes) for one in (drawn, codes)]
    np.testing.assert_allclose(proportions[0], proportions[1], atol=0.08)


@pytest.mark.parametrize("missing", [Missing(), MICE])
def test_an_imputer_that_went_through_numbers_completes_patients_in_the_same_way(missing):
    train, test = coded_patients(7)
    for imputer, block in fit_imputers(train, missing, seed=2):
        np.testing.assert_array_equal(imputer(train), block)
        again = Imputer.from_arrays(imputer.to_arrays(), train.n_levels)
        np.testing.assert_array_equal(again(test), imputer(test))


def test_equations_that_do_not_fit_the_columns_are_refused():
    train, _ = coded_patients(8)
    imputer, _ = chained_equations(train, seed=(0,))
    arrays = imputer.to_arrays()
    for wrong in (
        {"slopes": arrays["slopes"][1:]},
        {"donors": arrays["donors"] * np.nan},
        {"place": arrays["place"] + [0, 7]},
        {"place": arrays["place"] + [9, 0]},
        {"choices_sizes": arrays["choices_sizes"][::-1].copy()},
    ):
        with pytest.raises(StoreError, match="the chained equations of the model do not fit its columns"):
            Imputer.from_arrays({**arrays, **wrong}, train.n_levels)
    with pytest.raises(StoreError, match="the chained equations"):
        Imputer.from_arrays({name: one for name, one in arrays.items() if name != "seed"}, train.n_levels)


def test_patients_who_lack_what_every_training_patient_had_are_completed_too():
    X, _, columns = make_patients(np.random.default_rng(9), 60, missing=0)
    train, test = code_patients(X[:50], X[50:].assign(age=np.nan, ward=None), columns)
    blocks = completed(train, test, MICE, seed=0)
    for block, others in blocks:
        np.testing.assert_array_equal(block, train.clinical)
        assert np.isin(others[:, 0], train.clinical[:, 0]).all()
    assert (blocks[0][1] != blocks[1][1]).any()


def test_a_single_column_and_one_that_is_empty_are_filled_in():
    table = pd.DataFrame({"age": [1.0, 2.0, np.nan, 4.0, 5.0, 6.0], "empty": [np.nan] * 6})
    train, test = code_patients(table[:5], table[5:].assign(age=np.nan), Columns(("age", "empty")))
    filled, others = chained(train, test)
    assert filled[2, 0] in {1, 2, 4, 5}
    assert others[0, 0] in {1, 2, 4, 5}
    assert (filled[:, 1] == 0).all()
    alone, _ = code_patients(table[["age"]], table[["age"]], Columns(("age",)))
    assert np.isfinite(chained(alone, alone)[0]).all()


def test_missing_values_are_counted():
    covariates = pd.DataFrame({"age": [1.0, np.nan, 3.0, np.nan], "ward": ["a", None, "b", "b"]}, index=list("wxyz"))
    y = pd.Series([1.0, 1.0, 0.0, 0.0], index=list("zxwy"))
    variables = {
        "age": Variable(kind="numeric", label="Age"),
        "ward": Variable(kind="categorical", levels={"a": "a", "b": "b"}),
    }
    found = missing_data(covariates, y, variables, Missing())
    assert (found.n_patients, found.n_complete, found.n_imputations) == (4, 2, 1)
    assert [(one.label, one.n_missing, one.n_missing_with_event) for one in found.variables] == [
        ("Age", 2, 2),
        ("ward", 1, 1),
    ]
    assert missing_data(covariates, y, variables, MICE).n_imputations == 5
