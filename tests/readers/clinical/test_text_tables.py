"""Tables as text: nothing is guessed, and rows count as in a spreadsheet."""

from __future__ import annotations

import datetime

import openpyxl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ppgssl.core.errors import ReadError
from ppgssl.readers import raw_files
from ppgssl.readers.clinical.text_tables import read_text_table


def written(path, content: bytes | str):
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def workbook(path, *rows):
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(row)
    book.save(path)
    return path


def test_cells_stay_as_they_are_written(tmp_path):
    table = read_text_table(written(tmp_path / "a.csv", '\ufeffid, sex \r\n007,"a, b"\r\n\r\n1e3, NA \r\n'))
    assert table.columns == ["id", "sex"]
    assert table.rows == [(2, ["007", "a, b"]), (4, ["1e3", " NA "])]


def test_rows_of_another_width_are_set_apart(tmp_path):
    table = read_text_table(written(tmp_path / "a.csv", "id,x\n1,2\n2\n3,4,5\n4,5,,\n"))
    assert table.rows == [(2, ["1", "2"]), (5, ["4", "5"])]
    assert table.misshapen == [3, 4]


def test_tabs_divide_tsv_files(tmp_path):
    assert read_text_table(written(tmp_path / "a.tsv", "id\tx\n1\t2\n")).columns == ["id", "x"]
    assert read_text_table(written(tmp_path / "a.csv", "id;x\n1;2\n"), delimiter=";").columns == ["id", "x"]


def test_excel_cells_become_the_text_that_the_user_sees(tmp_path):
    row = ["007", 12, 12.0, 36.5, True, None, datetime.date(2020, 1, 2), "x"]
    path = workbook(tmp_path / "a.xlsx", list("abcdefgh"), row, [None] * 8, [1])
    table = read_text_table(path)
    assert table.rows[0] == (2, ["007", "12", "12", "36.5", "TRUE", "", "2020-01-02", "x"])
    assert table.rows[1] == (4, ["1"] + [""] * 7)
    assert read_text_table(path, decimal=",").rows[0][1][3] == "36,5"


def test_a_sheet_is_chosen_by_its_name(tmp_path):
    book = openpyxl.Workbook()
    book.active.append(["a"])
    book.create_sheet("Data 2020").append(["id"])
    book.save(tmp_path / "a.xlsx")
    assert read_text_table(tmp_path / "a.xlsx").columns == ["a"]
    assert read_text_table(tmp_path / "a.xlsx", sheet="Data 2020").columns == ["id"]
    with pytest.raises(
        ReadError, match=r"no sheet is named 'data 2020' \(did you mean 'Data 2020'\?\); there are: Sheet"
    ):
        read_text_table(tmp_path / "a.xlsx", sheet="data 2020")
    with pytest.raises(ReadError, match=r"only \.xlsx and \.xlsm files have sheets"):
        read_text_table(written(tmp_path / "a.csv", "id\n1\n"), sheet="data")


def test_a_cell_at_the_far_end_of_a_sheet_does_not_fill_the_memory(tmp_path):
    book = openpyxl.Workbook()
    book.active.append(["id", "x"])
    book.active["XFD1048576"] = " "
    book.save(tmp_path / "a.xlsx")
    with pytest.raises(ReadError, match="reaches to row 1048576 and column 16384"):
        read_text_table(tmp_path / "a.xlsx")


def test_a_workbook_that_unpacks_to_gigabytes_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(raw_files, "MAX_BYTES", 40_000)
    with pytest.raises(ReadError, match="the unpacked workbook has"):
        read_text_table(workbook(tmp_path / "a.xlsx", *([["id", number] for number in range(2000)])))


def test_a_formula_without_a_result_is_not_taken_for_an_empty_cell(tmp_path):
    with pytest.raises(ReadError, match="row 2 has a formula"):
        read_text_table(workbook(tmp_path / "a.xlsx", ["id", "x"], [1, "=1+1"]))


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.csv", "", "is empty"),
        ("a.csv", "\n\n1,2\n", "row 1 is empty"),
        ("a.csv", "id,sex\n1,é\n".encode("latin-1"), "line 2 is not UTF-8"),
        ("a.csv", "id,sex\n".encode("utf-16"), "UTF-16"),
        ("a.csv", b"id\0", "binary data"),
        ("a.csv", 'id,x\n1,"2\n3,4\n', "a quote that is never closed"),
        ("a.xlsx", "id,x\n", "not an Excel workbook"),
        ("a.xls", "id,x\n", "old Excel format"),
    ],
)
def test_a_file_that_is_no_table_is_refused_with_advice(tmp_path, name, content, words):
    with pytest.raises(ReadError, match=words):
        read_text_table(written(tmp_path / name, content))


@given(st.binary(min_size=1, max_size=200), st.sampled_from(["a.csv", "a.xlsx", "a.tsv"]), st.booleans())
def test_nothing_but_a_read_error_escapes_from_arbitrary_bytes(tmp_path, content, name, is_zip):
    try:
        table = read_text_table(written(tmp_path / name, (b"PK\x03\x04" if is_zip else b"") + content))
    except ReadError:
        return
    assert all(len(cells) == len(table.columns) for _, cells in table.rows)


@pytest.fixture(scope="module")
def sound_workbook(tmp_path_factory) -> bytes:
    # Made once: a workbook holds the time at which it was made, and Hypothesis wants the same bytes each time.
    return workbook(tmp_path_factory.mktemp("sound") / "a.xlsx", ["id", "x"], [1, 2.5]).read_bytes()


@given(st.data())
def test_nothing_but_a_read_error_escapes_from_damaged_workbooks(tmp_path, sound_workbook, data):
    damaged = bytearray(sound_workbook)
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, len(damaged) - 1))
        damaged[place : place + data.draw(st.integers(0, 8))] = data.draw(st.binary(max_size=8))
    try:
        read_text_table(written(tmp_path / "a.xlsx", bytes(damaged)))
    except ReadError:
        return
