"""Files of SAS, Stata and SPSS, and Parquet: the same texts as CSV would have, whatever the program wrote."""

from __future__ import annotations

import base64
import datetime
import decimal
import zlib
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pyreadstat
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ppgssl.core.errors import ReadError
from ppgssl.readers.clinical.statistical_files import read_typed_table
from ppgssl.readers.clinical.text_tables import read_text_table
from tests.support.damage import damaged

# Written by ReadStat's own writer, which pyreadstat does not offer: ID $8., AGE, SEX (1, 2, .A), ADMITTED DATE9., SEEN
# DATETIME20. in three rows.
SAS = (
    "eNrtmc+L00AUxydJu20lagoRelAMa8EuaElMre5FG2mUSisLDdqDoGKLu+rWgyksXtS7IHjS/8GbN0EpXjyKB8XDiuJF8LQnf2/jNJlpJ0+zrZ"
    "SCi/OBdPK+ee/NdDKZTBKEhjz7dPv8IzX94sm9JEo9N+5kditpcxaZpiAaQuCiIiQJId0U9phIVZEmCTRP3aprxytVu2w5Vt12tCjQCPrx1G/+"
    "8o3TZ9x3Fi1/c1aCTQDyfF4v6EbtYHWp3VlhdDNv6Hl9v2EU9bxh5A2YbuVw8VyxwOTB9XayO0y6Qf/7j1d7bDsRh8PhcDgcDofD4XA4/xAPyH"
    "Mr5GOc7IgK2oqLN3Jg5qSwX5foGRC/uCUoG2JYX0uR52sqkAf2h0QvA71E9KtAR0QvAb2bBDrhVoReitBRhN5NbKzDZgbMEfe1o35bOq+w3f1w"
    "5eSqpeuHhu9CXn69idj01MblsQPsO5MjwfGnwfHSrtd9+/3dvW+ti5o51rsVDofD4Wxuej88H6irEf5n6Y1tRHwqIt5BMfxbHWSJip+0/RtTQP"
    "JE8TlEb9e9INzbR+wsKePYQ0DxQcRP7LPuiYwy1Ps0iK2xy4eYGF5OxIRBv1FbAXYG2CykKk8fKFkU1KAjiSwbJLKKCupp+GeLZZ3kaDJDBX6X"
    "8b/bOPZCBS/GFi64S622i6wTNrIutbTc8rW2u3h9rm43kFWuVRzHLlvN5SXXbTVxnF237VP90qnU7D91FK2XtisxpetCToTPD+3JGbA+mwH9Io"
    "D2QdsDfnHgFwfjSgD/E9pk+I4cv9/H9PvmTXY9bjY+Y9h+p3zB+CtuYm8Hx9P6LJkJAqSI/DBvFs6vCpxZwuPE+8/Ox7SeR/8Wep2JwJaBvQ3Y"
    "CrCTU/unSWZuVpl6ZH9/55g1x3BL+3cVOaS2BntSdNf4/AKtkBxs"
)

PATIENTS = pd.DataFrame(
    {
        "id": ["007", "B 2", "ä"],
        "number": [1.0, 20.0, 3e6],
        "weight": [11.7, np.nan, 9.25],
        "sex": [1.0, 2.0, 9.0],
        "admitted": [datetime.date(2020, 2, 29), None, datetime.date(1910, 1, 2)],
        "seen": [pd.Timestamp(2020, 2, 29, 1, 2, 3), pd.NaT, pd.Timestamp(2021, 12, 31)],
    }
)
LABELS = {"sex": "Sex of the child"}
LEVELS = {"sex": {1: "Male", 2: "Female", 9: "Unknown"}}
ROWS = [
    ["007", "1", "11.7", "1", "2020-02-29", "2020-02-29T01:02:03"],
    ["B 2", "20", "", "2", "", ""],
    ["ä", "3000000", "9.25", "9", "1910-01-02", "2021-12-31"],
]


def write(path: Path) -> Path:
    """The patients in the format that the suffix gives."""
    if path.suffix == ".dta":
        pyreadstat.write_dta(PATIENTS, path, column_labels=LABELS, variable_value_labels=LEVELS)
    elif path.suffix == ".xpt":
        pyreadstat.write_xport(PATIENTS, path, column_labels=LABELS, file_format_version=8)
    elif path.suffix == ".parquet":
        PATIENTS.to_parquet(path)
    elif path.suffix == ".sas7bdat":
        path.write_bytes(zlib.decompress(base64.b64decode("".join(SAS))))
    else:
        is_packed = path.suffix == ".zsav"
        pyreadstat.write_sav(PATIENTS, path, column_labels=LABELS, variable_value_labels=LEVELS, compress=is_packed)
    return path


@pytest.mark.parametrize("suffix", [".dta", ".xpt", ".sav", ".zsav", ".parquet"])
def test_the_same_patients_are_the_same_texts_in_every_format(tmp_path, suffix):
    table = read_typed_table(write(tmp_path / f"t{suffix}"))
    assert table.columns == list(PATIENTS.columns)
    assert table.rows == ROWS


@pytest.mark.parametrize("suffix", [".dta", ".sav", ".zsav"])
def test_codes_stay_values_and_their_labels_are_returned(tmp_path, suffix):
    table = read_typed_table(write(tmp_path / f"t{suffix}"))
    assert table.labels == LABELS
    assert table.levels == {"sex": {"1": "Male", "2": "Female", "9": "Unknown"}}


def test_a_sas_data_set(tmp_path):
    table = read_typed_table(write(tmp_path / "t.sas7bdat"))
    assert table.columns == ["ID", "AGE", "SEX", "ADMITTED", "SEEN"]
    assert table.rows == [
        ["007", "12.5", "1", "2020-02-29", "2020-02-29T01:02:03"],
        ["B2", "", "2", "", ""],
        ["c 3", "30", "", "2021-12-31", "2021-12-31"],
    ]
    assert table.labels == {"ID": "Patient", "AGE": "Age (months)", "ADMITTED": "Admitted"}


def test_user_missing_values_of_spss_are_missing_and_no_levels(tmp_path):
    missing = {"sex": [9], "number": [{"lo": 15, "hi": 30}]}
    pyreadstat.write_sav(PATIENTS, tmp_path / "t.sav", variable_value_labels=LEVELS, missing_ranges=missing)
    table = read_typed_table(tmp_path / "t.sav")
    assert [row[1] for row in table.rows] == ["1", "", "3000000"]
    assert [row[3] for row in table.rows] == ["1", "2", ""]
    assert table.levels == {"sex": {"1": "Male", "2": "Female"}}


def test_extended_missing_values_of_stata_are_missing_and_no_levels(tmp_path):
    patients = PATIENTS.assign(sex=[1.0, 2.0, "a"])
    levels = {"sex": {1: "Male", 2: "Female", "a": "refused"}}
    pyreadstat.write_dta(patients, tmp_path / "t.dta", variable_value_labels=levels, missing_user_values={"sex": ["a"]})
    table = read_typed_table(tmp_path / "t.dta")
    assert [row[3] for row in table.rows] == ["1", "2", ""]
    assert table.levels == {"sex": {"1": "Male", "2": "Female"}}


SPSS_SECONDS = (datetime.datetime(2020, 2, 29) - datetime.datetime(1582, 10, 14)).total_seconds()


@pytest.mark.parametrize(
    ("suffix", "formats", "number", "text"),
    [
        (".dta", ["%td", "%tdDD/NN/CCYY", "%d", "%-tdD_m_Y"], 21974.0, "2020-02-29"),
        (".dta", ["%tm", "%tq", "%ty", "%9.0g"], 720.0, "720"),
        (".xpt", ["DATE", "MMDDYY10", "E8601DA10", "YYMMDDN8", "WORDDATE"], 21974.0, "2020-02-29"),
        (".xpt", ["DATE"], 1e12, "1000000000000"),  # beyond the calendar
        (".sav", ["DATE11", "ADATE10", "EDATE10", "SDATE10", "DATETIME20"], SPSS_SECONDS, "2020-02-29"),
    ],
)
def test_numbers_with_a_format_of_dates_are_dates_and_others_stay_numbers(tmp_path, suffix, formats, number, text):
    write = {".dta": pyreadstat.write_dta, ".xpt": pyreadstat.write_xport, ".sav": pyreadstat.write_sav}[suffix]
    for name in formats:
        write(pd.DataFrame({"day": [number, None]}), tmp_path / f"t{suffix}", variable_format={"day": name})
        assert read_typed_table(tmp_path / f"t{suffix}").rows == [[text], [""]]


def test_32_bit_numbers_have_the_digits_that_were_typed(tmp_path):
    frame = pd.DataFrame({"x": np.array([36.6, 12, np.nan], dtype=np.float32)})
    frame.to_stata(tmp_path / "t.dta", write_index=False)
    frame.to_parquet(tmp_path / "t.parquet")
    for name in ("t.dta", "t.parquet"):
        assert read_typed_table(tmp_path / name).rows == [["36.6"], ["12"], [""]]


def test_every_type_of_parquet_has_a_text(tmp_path):
    column = {
        "whole": pa.array([1, None]),
        "number": pa.array([2.50, float("nan")]),
        "flag": pa.array([True, None]),
        "level": pa.array(["a", None]).dictionary_encode(),
        "exact": pa.array([decimal.Decimal("1.50"), None]),
        "day": pa.array([datetime.date(2020, 1, 2), None]),
        "moment": pa.array([datetime.datetime(2020, 1, 2, 3, 4), None], pa.timestamp("ns", "Africa/Nairobi")),
        "bytes": pa.array([b"x", None]),
        "list": pa.array([[1], None]),
        "nothing": pa.nulls(2),
    }
    pq.write_table(pa.table(column), tmp_path / "t.parquet")
    table = read_typed_table(tmp_path / "t.parquet")
    first = ["1", "2.5", "TRUE", "a", "1.5", "2020-01-02", "2020-01-02T06:04:00+03:00", "x", "[1]", ""]
    assert table.rows == [first, [""] * 10]


def test_fractions_are_written_as_the_hospital_writes_them(tmp_path):
    for suffix in (".dta", ".parquet"):
        assert read_typed_table(write(tmp_path / f"t{suffix}"), decimal=",").rows[0][2] == "11,7"


def test_rows_count_as_in_the_program_and_empty_ones_are_left_out(tmp_path):
    PATIENTS.iloc[[0]].reindex([5, 0]).to_parquet(tmp_path / "t.parquet", index=False)
    table = read_text_table(tmp_path / "t.parquet")
    assert table.is_typed
    assert table.rows == [(2, ROWS[0])]


@pytest.mark.parametrize("suffix", [".dta", ".xpt", ".sav", ".zsav", ".sas7bdat", ".parquet"])
def test_another_file_under_that_name_is_refused_with_advice(tmp_path, suffix):
    (tmp_path / f"t{suffix}").write_text("id,age\n1,61\n")
    with pytest.raises(ReadError, match=r"or damaged .* save the table as CSV") as caught:
        read_typed_table(tmp_path / f"t{suffix}")
    assert "61" not in str(caught.value).removeprefix(str(tmp_path))


@pytest.mark.parametrize(("place", "byte"), [(180, 255), (200, 0)])
def test_one_wrong_byte_that_crashes_the_library_or_takes_a_name_away_is_a_damaged_file(tmp_path, place, byte):
    # The first variable of an SPSS file: its width, which ReadStat believes and may crash on, and its name.
    content = bytearray(write(tmp_path / "t.sav").read_bytes())
    content[place] = byte
    (tmp_path / "t.sav").write_bytes(content)
    with pytest.raises(ReadError, match=r"t\.sav: not an SPSS file, or damaged"):
        read_typed_table(tmp_path / "t.sav")


@settings(max_examples=20)
@given(st.data())
def test_nothing_but_a_read_error_escapes_from_damaged_files(tmp_path, data):
    suffix = data.draw(st.sampled_from([".dta", ".xpt", ".sav", ".zsav", ".sas7bdat", ".parquet"]))
    sound = tmp_path / f"sound{suffix}"
    content = (sound if sound.exists() else write(sound)).read_bytes()
    (tmp_path / f"t{suffix}").write_bytes(damaged(data, content))
    try:
        table = read_typed_table(tmp_path / f"t{suffix}")
    except ReadError:
        return
    assert all(len(row) == len(table.columns) for row in table.rows)
