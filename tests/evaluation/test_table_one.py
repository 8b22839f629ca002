import numpy as np
import pandas as pd
import pytest

from ppgssl.core.config.cohort import ClinicalTable
from ppgssl.core.errors import EvaluationError
from ppgssl.evaluation.table_one import standardized_mean_difference, table_one

TABLE = ClinicalTable.model_validate(
    {
        "file": "clinical.csv",
        "patient_column": "id",
        "variables": {
            "age": {"kind": "numeric", "label": "Age", "unit": "years"},
            "sex": {"kind": "binary", "levels": {"F": "female", "M": "male"}},
            "stage": {"kind": "categorical", "levels": {"1": "one", "2": "two", "3": "three"}},
        },
    }
)


def make_patients():
    patients = pd.DataFrame(
        {
            "age": [1.0, 2.0, 3.0, np.nan, 5.0, 7.0],
            "sex": [1.0, 0.0, 0.0, 0.0, 1.0, np.nan],
            "stage": ["one", "two", "one", None, "two", "two"],
        },
        index=list("abcdef"),
    )
    return patients, pd.Series([0.0, 0.0, 0.0, 0.0, 1.0, 1.0], index=list("abcdef"))


def test_a_transformed_variable_is_described_on_its_own_scale_and_labelled_so():
    age = {"kind": "numeric", "label": "Age", "unit": "years", "range": [1, 100], "transform": "log10"}
    table = ClinicalTable.model_validate({**TABLE.model_dump(), "variables": {"age": age}})
    patients, y = make_patients()
    (row,) = table_one(np.log10(patients[["age"]]), y, table, ["age"])
    assert (row.label, row.unit) == ("log10(Age in years)", "")
    assert row.overall.mean == pytest.approx(np.log10([1, 2, 3, 5, 7]).mean())


def test_moments_and_quartiles_of_a_numeric_variable():
    patients, y = make_patients()
    (row,) = table_one(patients, y, TABLE, ["age"])
    assert (row.label, row.unit, row.kind, row.level) == ("Age", "years", "numeric", None)
    assert (row.without_event.n, row.without_event.n_missing) == (3, 1)
    assert (row.without_event.mean, row.without_event.sd, row.without_event.median) == (2.0, 1.0, 2.0)
    assert (row.without_event.q1, row.without_event.q3) == (1.5, 2.5)
    assert (row.overall.n, row.overall.mean) == (5, 3.6)
    assert row.smd == pytest.approx((6 - 2) / np.sqrt((1 + 2) / 2))


def test_a_binary_variable_counts_its_event_level():
    patients, y = make_patients()
    (row,) = table_one(patients, y, TABLE, ["sex"])
    assert (row.kind, row.level, row.label) == ("binary", "male", "sex")
    assert (row.overall.count, row.overall.n, row.overall.n_missing) == (2, 5, 1)
    assert row.without_event.fraction == 0.25
    assert row.smd == pytest.approx((1 - 0.25) / np.sqrt((0.25 * 0.75 + 0) / 2))


def test_a_categorical_variable_has_a_row_for_each_level():
    patients, y = make_patients()
    rows = table_one(patients, y, TABLE, ["stage"])
    assert [row.level for row in rows] == ["one", "two", "three"]
    assert [row.overall.count for row in rows] == [2, 3, 0]
    assert {row.overall.n_missing for row in rows} == {1}
    assert rows[2].smd is None  # nobody has the level: no spread


def test_only_patients_with_an_outcome_are_described():
    patients, y = make_patients()
    (row,) = table_one(patients, y.drop("f"), TABLE, ["age"])
    assert (row.overall.n, row.with_event.n, row.smd) == (4, 1, None)


def test_a_variable_without_a_value_gives_empty_cells():
    patients, y = make_patients()
    (age, sex) = table_one(patients.assign(age=np.nan, sex=np.nan), y, TABLE, ["age", "sex"])
    assert (age.overall.n, age.overall.n_missing, age.overall.mean, age.smd) == (0, 6, None, None)
    assert (sex.overall.count, sex.overall.fraction, sex.smd) == (0, None, None)
    assert standardized_mean_difference(np.full(9, 0.1), np.full(7, 0.1)) is None


def test_unknown_variables_and_patients_are_refused():
    patients, y = make_patients()
    with pytest.raises(EvaluationError, match=r"'agee' is not a variable.*did you mean 'age'"):
        table_one(patients, y, TABLE, ["agee"])
    with pytest.raises(EvaluationError, match=r"1 patient\(s\) have an outcome but no clinical row, for example b"):
        table_one(patients.drop("b"), y, TABLE, ["age"])
