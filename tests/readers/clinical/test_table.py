"""The clinical table: every bad cell is named, none is guessed, no value is shown."""

from __future__ import annotations

import datetime
from pathlib import Path

import numpy as np
import openpyxl
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ppgssl.core.config.cohort import ClinicalTable
from ppgssl.core.config.loading import cohort_root, load_cohort
from ppgssl.core.errors import ConfigError
from ppgssl.core.reasons import Reason
from ppgssl.readers import get_reader
from ppgssl.readers.clinical.table import read_clinical
from ppgssl.readers.files import find_files

EXAMPLES = Path(__file__).parents[3] / "data_schemas" / "examples" / "cohorts"

VARIABLES = {
    "age": {"kind": "numeric", "range": [0, 120], "unit": "years"},
    "sex": {"kind": "categorical", "levels": {"F": "female", "M": "male"}},
    "died": {"kind": "binary", "levels": {"0": "no", "1": "yes"}},
}


def described(variables=VARIABLES, **more) -> ClinicalTable:
    return ClinicalTable.model_validate({"file": "t.csv", "patient_column": "id", "variables": variables, **more})


@pytest.fixture
def read(tmp_path):
    def _read(text: str, table: ClinicalTable | None = None):
        (tmp_path / "t.csv").write_text(text, encoding="utf-8", newline="")
        return read_clinical(table or described(), tmp_path)

    return _read


def test_each_kind_of_variable_has_its_type(read):
    clinical = read("id,age,sex,died\n007,30.5,F,1\nB 2,NA,,0\n")
    expected = pd.DataFrame(
        {"age": [30.5, np.nan], "sex": ["female", None], "died": [1.0, 0.0]},
        index=pd.Index(["007", "B 2"], name="patient_id"),
    )
    pd.testing.assert_frame_equal(clinical.patients, expected)
    assert clinical.problems == []
    assert clinical.n_rows == 2


@pytest.mark.parametrize(
    ("levels", "cells", "expected"),
    [
        # Equal numbers are the same level, as in the table or as in YAML.
        ({"0": "no", "1": "yes"}, ["1", "1.0", " 1", "01", "1e0", "+1"], [1, 1, 1, 1, 1, 1]),
        ({"0.5": "no", "1": "yes"}, ["0,5", "1,0"], [0, 1]),
        ({"0,5": "no", "1": "yes"}, ["0,5", "1,0"], [0, 1]),
        ({0: "no", 1: "yes"}, ["0,0", "1,0"], [0, 1]),
        # The second level is the event, whatever the number of spellings; by default, levels are 0 and 1.
        ({"none": "no", "mild": "yes", "severe": "yes"}, ["none", "severe", "mild"], [0, 1, 1]),
        ({}, ["0", "1"], [0, 1]),
    ],
)
def test_levels_are_compared_as_numbers_or_texts(read, levels, cells, expected):
    table = described({"x": {"kind": "binary", "levels": levels}}, decimal=",", delimiter=";")
    rows = "".join(f"{number};{cell}\n" for number, cell in enumerate(cells))
    assert read(f"id;x\n{rows}", table).patients["x"].tolist() == expected


def test_a_bad_cell_becomes_missing_and_is_named_without_its_value(read):
    clinical = read("id,age,sex,died\na,130,F,0\nb,old,f,2\nc,inf,M,1\n")
    assert clinical.patients["age"].isna().all()
    assert clinical.patients["sex"].tolist() == ["female", None, "male"]
    a_number = "a number from 0 to 120 years"
    assert [(item.subject, item.reason, item.detail) for item in clinical.problems] == [
        (subject, reason, f"t.csv, row {row}, column {subject[2:]}: expected {expected}; taken as missing")
        for row, subject, reason, expected in [
            (2, "a/age", Reason.IMPLAUSIBLE, a_number),
            (3, "b/age", Reason.NOT_A_NUMBER, a_number),
            (3, "b/sex", Reason.UNKNOWN_LEVEL, "one of F, M"),
            (3, "b/died", Reason.UNKNOWN_LEVEL, "one of 0, 1"),
            (4, "c/age", Reason.NOT_A_NUMBER, a_number),
        ]
    ]


@pytest.mark.parametrize("cell", ["1_0", "0x1", "1,5", "١", "1e999", "--1", "1 2"])
def test_only_plain_numbers_are_numbers(read, cell):
    (problem,) = read(f'id,age,sex,died\na,"{cell}",F,0\n').problems
    assert problem.subject == "a/age"
    assert cell not in problem.detail


SHUNT = {"name": "log10", "offset": 103.711, "factor": -1, "slope": 4.314, "intercept": -37.315}
SPO2 = {"column": "Oxygen saturation", "kind": "numeric", "label": "SpO2", "unit": "%", "range": [50, 100]}
TWO_OF_ONE = {"spo2_pct": SPO2, "spo2_transformed": {**SPO2, "transform": SHUNT}}


def test_a_column_may_be_two_variables_one_of_them_transformed(read):
    clinical = read("id,Oxygen saturation\n1,98\n2,\n3,50\n4,100\n", described(TWO_OF_ONE))
    # 103.711 - SpO2 is 5.711, 53.711 and 3.711, whose logarithms are 0.75671, 1.73006 and 0.56949.
    expected = {"1": (98, -34.0505), "2": (np.nan, np.nan), "3": (50, -29.8515), "4": (100, -34.8582)}
    for name, pair in expected.items():
        np.testing.assert_allclose(clinical.patients.loc[name].to_numpy(dtype=float), pair, atol=1e-4)
    assert clinical.problems == []


def test_a_bad_cell_of_two_variables_is_named_once_and_by_the_range_of_the_table(read):
    clinical = read("id,Oxygen saturation\n1,98\n2,105\n3,good\n", described(TWO_OF_ONE))
    assert [(one.subject, one.reason) for one in clinical.problems] == [
        ("2/Oxygen saturation", Reason.IMPLAUSIBLE),
        ("3/Oxygen saturation", Reason.NOT_A_NUMBER),
    ]
    assert "expected a number from 50 to 100 %; taken as missing" in clinical.problems[0].detail
    assert clinical.patients.loc[["2", "3"]].isna().all(axis=None)


def test_variables_of_one_column_are_no_further_reason_to_call_rows_copies(read):
    # Of ten children, two have the same saturation by chance: more variables of the column make that no rarer.
    text = "id,Oxygen saturation\n" + "".join(f"{number},{max(number, 1) + 90}\n" for number in range(10))
    many = {f"spo2_{number}": {**SPO2, "transform": {**SHUNT, "intercept": number}} for number in range(5)}
    assert read(text, described(many)).problems == []


numbers = st.floats(0, 200).map(lambda value: round(value, 6))


@given(
    written=st.lists(numbers, min_size=2, max_size=8),
    above=st.floats(1, 100),
    slope=st.floats(0.01, 100),
    intercept=st.floats(-50, 50),
    sign=st.sampled_from([-1, 1]),
)
def test_what_is_read_is_the_formula_of_what_is_written(read, written, above, slope, intercept, sign):
    offset = above if sign > 0 else 150 + above
    transform = {"name": "log10", "offset": offset, "factor": sign, "slope": slope, "intercept": intercept}
    crp = {"column": "crp", "kind": "numeric", "range": [0, 150]}
    rows = "\n".join(f"{number},{value!r}" for number, value in enumerate(written))
    table = described({"raw": crp, "used": {**crp, "transform": transform}})
    patients = read(f"id,crp\n{rows}\n", table).patients.sort_values("raw")
    assert patients["used"].isna().equals(patients["raw"].isna())
    inside = patients.dropna()
    assert inside["raw"].tolist() == sorted(value for value in written if value <= 150)
    expected = intercept + slope * np.log10(offset + sign * inside["raw"])
    np.testing.assert_allclose(inside["used"], expected, rtol=1e-12, atol=1e-9)
    assert np.all(sign * np.diff(inside["used"]) >= 0)
    low, high = table.variables["used"].used_range
    assert inside["used"].between(low, high).all()


def test_marks_of_missing_are_equal_as_numbers(read):
    clinical = read("id,age,sex,died\na,-9.0,?,0\n", described(missing=["-9", "?"]))
    assert clinical.patients.iloc[0].isna().tolist() == [True, True, False]
    assert clinical.problems == []


def test_decimal_commas_are_read_when_described(read):
    table = described(delimiter=";", decimal=",", missing=["-9.0"])
    clinical = read("id;age;sex;died\na;30,5;F;1,0\nb;-9,0;M;0\nd;-8;M;0\nc;30.5;M;0\n", table)
    assert clinical.patients["age"].tolist()[:1] == [30.5]
    assert clinical.patients["died"].tolist() == [1.0, 0.0, 0.0, 0.0]
    assert [(item.subject, item.reason) for item in clinical.problems] == [
        ("d/age", Reason.IMPLAUSIBLE),
        ("c/age", Reason.NOT_A_NUMBER),
    ]


def test_ids_are_kept_exactly(read):
    clinical = read("id,age,sex,died\n007,1,F,0\n7,2,F,0\n7.0,3,F,0\n 7,4,F,0\n")
    assert list(clinical.patients.index) == ["007", "7", "7.0", " 7"]


def test_identical_rows_of_a_patient_are_one_and_contradictory_rows_none(read):
    clinical = read("id,age,sex,died\na,1,F,0\nb,2,F,0\na,1.0,F,0\nb,3,F,0\nc,4,F,1\n")
    assert list(clinical.patients.index) == ["a", "c"]
    assert clinical.rejected_ids == {"b"}
    assert [(item.unit, item.subject, item.reason, item.detail) for item in clinical.problems] == [
        ("row", "a", Reason.REPEATED_PATIENT, "t.csv, rows 2, 4 have the same values: one is used"),
        ("patient", "b", Reason.CONTRADICTING_ROWS, "t.csv, rows 3, 5 differ in age: none is used"),
    ]


def test_rows_that_cannot_be_used_are_listed_by_their_number(read):
    clinical = read('id,age,sex,died\na,1,F,0\n ,2,F,0\n\nb,3,F\nc,4,F,0,9\n"d",5,"F",0\n')
    assert list(clinical.patients.index) == ["a", "d"]
    assert clinical.n_rows == 5
    assert [(item.subject, item.reason) for item in clinical.problems] == [
        ("row 3", Reason.ROW_WITHOUT_ID),
        ("row 5", Reason.ROW_MISSHAPEN),
        ("row 6", Reason.ROW_MISSHAPEN),
    ]


def test_all_missing_columns_are_listed_with_the_nearest_spelling(read):
    with pytest.raises(ConfigError) as caught:
        read("Id,Age,sex,sex\n")
    assert "Its columns are: Id, Age, sex, sex." in str(caught.value)
    assert caught.value.problems == (
        "`clinical.patient_column`: no column is named 'id'",
        "`clinical.variables.age`: no column is named 'age' (did you mean 'Age'?)",
        "`clinical.variables.sex`: more than one column is named 'sex'",
        "`clinical.variables.died`: no column is named 'died'",
    )


@pytest.mark.parametrize(
    ("text", "more", "words"),
    [
        ("a,61,F,1\n", {}, "Row 1 holds numbers where the names"),
        ("a;61,5;F;1\n", {}, "Row 1 holds numbers where the names"),
        ("id;age;sex;died\n61;2;F;0\n", {}, r"set `clinical\.delimiter: ';'`"),
        ("\n", {}, r"`clinical.file`: .*row 1 is empty"),
        ("", {"file": "absent.csv"}, r"`clinical.file`: .*no such file"),
        ("id,age,sex,died\n" + "61,61,F,1\n" * 2, {"where": {"evnt": ["a"]}}, r"`clinical\.where`: .*named 'evnt'"),
        (
            "id,age,sex,died\n" + "".join(f"{n},{n},F,1\n" for n in range(50, 70)),
            {"where": {"age": ["x"]}},
            "but 20 dif",
        ),
        (
            "id,seen\n61,29/02\n",
            {"variables": {"seen": {"kind": "date", "date_format": "%d/%m"}}},
            r"`clinical.variables.seen.date_format`: '%d/%m' does not give day, month",
        ),
    ],
)
def test_what_does_not_fit_its_description_is_named_without_values(read, text, more, words):
    with pytest.raises(ConfigError, match=words) as caught:
        read(text, described(**more))
    assert "61" not in str(caught.value)


def test_a_variable_without_any_fitting_value_is_a_mistake_of_the_description(read):
    rows = "".join(f'{number},"3,5",female,yes\n' for number in range(5))
    with pytest.raises(ConfigError) as caught:
        read(f"id,age,sex,died\n{rows}")
    assert len(caught.value.problems) == 3
    assert "`clinical.variables.age`: none of the 5 values in column 'age' is a number" in str(caught.value)
    assert "decimal comma (`clinical.decimal`)" in str(caught.value)
    assert "one of the levels F, M" in str(caught.value)
    assert "3,5" not in str(caught.value)


def test_equal_rows_under_two_ids_are_reported_where_chance_cannot_explain_them(read):
    coarse = "".join(f"{number},{number % 5},F,{number % 2}\n" for number in range(40))
    assert read(f"id,age,sex,died\n{coarse}").problems == []
    assert read("id,age,sex,died\n").patients.empty
    variables = {name: {"kind": "numeric"} for name in ("a", "b", "c")}
    rng = np.random.default_rng(0)
    rows = [f"{number},{','.join(f'{value:.3f}' for value in rng.normal(size=3))}" for number in range(40)]
    rows.append("copy" + rows[7][1:])
    clinical = read("id,a,b,c\n" + "\n".join(rows), described(variables))
    (problem,) = clinical.problems
    assert (problem.unit, problem.subject, problem.reason) == ("row", "7, copy", Reason.IDENTICAL_ROWS)
    assert len(clinical.patients) == 41


ADMISSION = {"kind": "date", "dates": ["2019-01-01", "2021-12-31"], "date_format": "%d/%m/%Y"}


def test_dates_are_stored_in_iso_and_bad_ones_are_named_without_their_value(read):
    table = described({"admitted": ADMISSION})
    clinical = read("id,admitted\na,29/02/2020\nb,\nc,31/02/2020\nd,01/01/2018\ne,2020-02-29\n", table)
    assert clinical.patients["admitted"].tolist() == ["2020-02-29", None, None, None, None]
    assert clinical.patients["admitted"].dtype == object
    seen = described({"seen": {"kind": "date", "date_format": "%Y-%m-%d %H:%M"}})
    assert read("id,seen\na,2020-02-29 23:59\n", seen).patients["seen"].tolist() == ["2020-02-29"]
    expected = "expected a date from 2019-01-01 to 2021-12-31, written as %d/%m/%Y; taken as missing"
    assert [(item.subject, item.reason, item.detail) for item in clinical.problems] == [
        ("c/admitted", Reason.NOT_A_DATE, f"t.csv, row 4, column admitted: {expected}"),
        ("d/admitted", Reason.IMPLAUSIBLE, f"t.csv, row 5, column admitted: {expected}"),
        ("e/admitted", Reason.NOT_A_DATE, f"t.csv, row 6, column admitted: {expected}"),
    ]


def test_dates_in_another_format_are_a_mistake_of_the_description_that_names_the_right_one(read):
    rows = "".join(f"{number},{number + 10:02d}/03/2020\n" for number in range(5))
    with pytest.raises(ConfigError) as caught:
        read(f"id,seen\n{rows}", described({"seen": {"kind": "date"}}))
    assert caught.value.problems == (
        "`clinical.variables.seen`: none of the 5 values in column 'seen' is a date as '%Y-%m-%d'. "
        "All fit: '%d/%m/%Y'.",
    )


def test_real_dates_of_excel_are_understood_whatever_the_format(tmp_path):
    book = openpyxl.Workbook()
    for row in (["id", "admitted"], ["a", datetime.date(2020, 2, 29)], ["b", "29/02/2020"], ["c", "2/29/2020"]):
        book.active.append(row)
    book.save(tmp_path / "t.xlsx")
    clinical = read_clinical(described({"admitted": ADMISSION}, file="t.xlsx"), tmp_path)
    assert clinical.patients["admitted"].tolist() == ["2020-02-29", "2020-02-29", None]
    assert [item.subject for item in clinical.problems] == ["c/admitted"]


EVENTS = "id,event,repeat,age,sex,died\na,adm,,1,F,\na,dis,,,,1\na,adm,lab,,,\nb,adm,,2,M,\n"


def test_where_leaves_out_the_other_rows_without_complaint(read):
    clinical = read(EVENTS, described(where={"event": ["adm"], "repeat": ""}))
    assert clinical.patients["age"].to_dict() == {"a": 1.0, "b": 2.0}
    assert clinical.problems == []
    assert (clinical.n_rows, clinical.n_left_out) == (2, 2)
    several = described({"age": {"kind": "numeric"}}, where={"visit": [1, 2]})
    assert list(read("id,visit,age\na,1.0,5\nb,02,6\nc,3,7\n", several).patients.index) == ["a", "b"]


def test_where_that_fits_no_row_names_the_values_there_are(read):
    with pytest.raises(ConfigError) as caught:
        read(EVENTS, described(where={"event": ["admission", "baseline"]}))
    assert str(caught.value) == (
        "`clinical.where.event`: no row of t.csv has one of 'admission', 'baseline' there, but 'adm', 'dis'. "
        "An empty cell is ''."
    )


cells = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=6)


@given(st.lists(st.tuples(cells, cells, cells | st.sampled_from("FM"), cells | st.sampled_from("01")), max_size=4))
def test_every_cell_is_either_used_missing_or_named(read, rows):
    quoted = [",".join(f'"{cell.replace(chr(34), chr(34) * 2)}"' for cell in row) for row in rows]
    clinical = read("\n".join(["id,age,sex,died", *quoted]))
    patients = clinical.patients
    assert patients["age"].dropna().between(0, 120).all()
    assert set(patients["sex"].dropna()) <= {"female", "male"}
    assert set(patients["died"].dropna()) <= {0.0, 1.0}
    assert patients.index.is_unique
    assert {row[0] for row in rows if row[0].strip()} == set(patients.index) | clinical.rejected_ids


def test_the_table_of_ppg_bp_is_without_problems(test_data):
    variables = {
        "age_years": {"kind": "numeric", "range": [0, 120], "unit": "years"},
        "height_cm": {"kind": "numeric", "range": [40, 230], "unit": "cm"},
        "weight_kg": {"kind": "numeric", "range": [1, 300], "unit": "kg"},
        "sbp_mmhg": {"kind": "numeric", "range": [40, 280], "unit": "mmHg"},
        "sex": {"kind": "binary", "levels": {"Female": "female", "Male": "male"}},
        "htn_binary": {"kind": "binary", "levels": {0: "no", 1: "yes"}},
    }
    table = described(variables, file="clinical.csv", patient_column="subject_id")
    clinical = read_clinical(table, test_data / "ppg_bp")
    assert clinical.problems == []
    assert len(clinical.patients) == clinical.n_rows == 146
    assert clinical.patients["htn_binary"].sum() == 36
    assert not clinical.patients.isna().any(axis=None)


EXCEL = {
    "age": {"kind": "numeric", "column": "Age", "unit": "years", "range": [0, 120]},
    "sbp": {"kind": "numeric", "column": "SBP(mmHg)", "unit": "mmHg", "range": [40, 280]},
    "height": {"kind": "numeric", "column": "Height(cm)", "unit": "cm", "range": [40, 230]},
    "weight": {"kind": "numeric", "column": "Weight(kg)", "unit": "kg", "range": [1, 300]},
    "gender": {"kind": "binary", "column": "Gender", "levels": {"female": "female", "male": "male"}},
}


def test_the_workbook_of_mw_ppg_holds_the_same_as_its_csv(test_data):
    excel = described(EXCEL, file="Subjects Information.xlsx", patient_column="ID")
    names = {"age": "age_years", "sbp": "sbp_mmhg", "height": "height_cm", "weight": "weight_kg", "gender": "gender"}
    csv = described(
        {name: {**EXCEL[name], "column": column} for name, column in names.items()},
        file="subjects.csv",
        patient_column="subject_id",
    )
    from_excel, from_csv = (read_clinical(table, test_data / "mw_ppg") for table in (excel, csv))
    assert list(from_excel.patients.index) == [str(number) for number in range(1, 181)]
    pd.testing.assert_frame_equal(from_excel.patients, from_csv.patients, atol=1e-4)
    for clinical in (from_excel, from_csv):
        assert [(item.subject, item.reason) for item in clinical.problems] == [
            ("114, 142", Reason.IDENTICAL_ROWS),
            ("weight", Reason.OTHER_UNIT),
        ]


def test_integers_of_excel_are_ids_without_a_decimal(tmp_path):
    book = openpyxl.Workbook()
    for row in (["id", "age", "sex", "died"], [12.0, 30, "F", 1], ["007", 31.5, "M", 0.0]):
        book.active.append(row)
    book.save(tmp_path / "t.xlsx")
    clinical = read_clinical(described(file="t.xlsx"), tmp_path)
    assert clinical.patients["died"].to_dict() == {"12": 1.0, "007": 0.0}


@pytest.mark.parametrize("name", ["ppg_bp", "mw_ppg", "arrhythmia_pool"])
def test_the_example_cohorts_read_the_public_data(test_data, monkeypatch, name):
    monkeypatch.setenv("PPGSSL_DATA", str(test_data))
    path = EXAMPLES / f"{name}.yaml"
    cohort = load_cohort(path)
    root = cohort_root(cohort, path)
    sources, rejects = find_files(cohort, root)
    reader = get_reader(cohort.signals.reader)
    columns = [channel.column for channel in cohort.signals.channels.values()]
    recordings = reader.open(
        sources[0].path, columns, cohort.signals.fs_hz, reader.parse_options(cohort.signals.options)
    )
    assert rejects == []
    assert recordings[0].duration_s >= cohort.segments.segment_s
    if cohort.clinical is not None:
        patients = read_clinical(cohort.clinical, root).patients
        assert {source.patient_id for source in sources} <= set(patients.index)


def test_pseudonyms_take_the_place_of_ids_everywhere_and_dates_become_days(tmp_path):
    table = described({"age": VARIABLES["age"], "born": {"kind": "date"}, "seen": {"kind": "date"}})
    rows = ["b,2,2019-01-01,2019-01-31", "a,old,2018-01-01,", "c,3,,2020-01-01", "c,4,,2020-01-01", ",5,,"]
    (tmp_path / "t.csv").write_text("\n".join(["id,age,born,seen", *rows]) + "\n")
    named = {"a": "p2", "b": "p1", "c": "p3"}
    clinical = read_clinical(table, tmp_path, pseudonym=named.__getitem__)
    assert clinical.patients.index.tolist() == ["p1", "p2"]  # in the order of the pseudonyms
    assert clinical.patients["born"].tolist() == [0.0, 0.0]
    assert clinical.patients["seen"].fillna(-1).tolist() == [30.0, -1]
    assert clinical.rejected_ids == {"p3"}
    assert sorted(item.subject for item in clinical.problems) == ["p2/age", "p3", "row 6"]
