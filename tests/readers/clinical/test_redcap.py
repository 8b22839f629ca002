"""REDCap data dictionaries, as the program downloads them and as its API exports them."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ppgssl.core.errors import ReadError
from ppgssl.readers.clinical.redcap import Field, added_column, dictionary_fields, export_columns, is_dictionary
from ppgssl.readers.clinical.text_tables import TextTable, read_text_table


def divided(text):
    return text.split("|")


DOWNLOADED = divided(
    "Variable / Field Name|Form Name|Section Header|Field Type|Field Label|"
    "Choices, Calculations, OR Slider Labels|Field Note|Text Validation Type OR Show Slider Number|"
    "Text Validation Min|Text Validation Max|Identifier?|Branching Logic (Show field only if...)|Required Field?|"
    "Custom Alignment|Question Number (surveys only)|Matrix Group Name|Matrix Ranking?|Field Annotation"
)
API = divided(
    "field_name|form_name|section_header|field_type|field_label|select_choices_or_calculations|field_note|"
    "text_validation_type_or_show_slider_number|text_validation_min|text_validation_max|identifier|"
    "branching_logic|required_field|custom_alignment|question_number|matrix_group_name|matrix_ranking|"
    "field_annotation"
)
ROWS = [
    ["record_id", "triage", "", "text", "Study ID"],
    ["sex", "triage", "<b>Child</b>", "radio", "Sex of\nthe <i>child</i> &amp; more", "1, Male | 2, Female, or other"],
    ["weight", "triage", "", "text", "Weight", "", "in kg", "number_1dp", "1", "40"],
    ["signs", "triage", "", "checkbox", "Danger signs", "1, Cough|-9, Don't know | A.b, Other"],
    ["name", "triage", "", "text", "Name", "", "", "", "", "", "y"],
    ["total", "triage", "", "calc", "Score", "[a] | [b], 2"],
]


def read_dictionary(path):
    return dictionary_fields(path, read_text_table(path))


def write(path: Path, rows=ROWS, header=DOWNLOADED, encoding="utf-8") -> Path:
    with path.open("w", newline="", encoding=encoding) as file:
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows(row + [""] * (len(header) - len(row)) for row in rows)
    return path


@pytest.mark.parametrize("header", [DOWNLOADED, API])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_the_fields_of_a_dictionary(tmp_path, header, encoding):
    path = write(tmp_path / "d.csv", header=header, encoding=encoding)
    assert is_dictionary(read_text_table(path))
    assert read_dictionary(path) == [
        Field("record_id", "text", "Study ID", "triage"),
        Field("sex", "radio", "Sex of the child & more", "triage", choices={"1": "Male", "2": "Female, or other"}),
        Field("weight", "text", "Weight", "triage", "in kg", {}, "number_1dp", "1", "40"),
        Field(
            "signs", "checkbox", "Danger signs", "triage", choices={"1": "Cough", "-9": "Don't know", "A.b": "Other"}
        ),
        Field("name", "text", "Name", "triage", is_identifier=True),
        Field("total", "calc", "Score", "triage"),
    ]


def test_a_checkbox_is_a_column_for_each_choice(tmp_path):
    signs = read_dictionary(write(tmp_path / "d.csv"))[3]
    assert export_columns(signs) == {
        "signs___1": ("signs___1", "Danger signs (choice=Cough)"),
        "signs____9": ("signs____9", "Danger signs (choice=Don't know)"),
        "signs___a_b": ("signs___a_b", "Danger signs (choice=Other)"),
    }
    assert export_columns(Field("age", "text", "Age")) == {"age": ("age", "Age")}


def test_columns_that_redcap_adds_are_known():
    assert added_column("redcap_event_name") == "redcap_event_name"
    assert added_column("Repeat Instrument") == "redcap_repeat_instrument"
    assert added_column("triage_complete", ["triage"]) == "triage_complete"
    assert added_column("vaccination_complete", ["triage"]) == ""
    assert added_column("age") == ""


def test_a_table_of_patients_is_no_dictionary():
    assert not is_dictionary(TextTable("t", ["record_id", "field_name", "sex"], [], []))


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([], "there are no fields"),
        ([["age", "f", "", "text", "Age"], ["age", "f", "", "text", "Age"]], "two fields are named 'age'"),
        ([["", "f", "", "text", "Age"]], "row 2 has no field name"),
        ([["age", *["f"] * 20]], "row 2 has another number of cells"),
    ],
)
def test_what_is_wrong_with_a_dictionary_is_named(tmp_path, rows, words):
    with pytest.raises(ReadError, match=words):
        read_dictionary(write(tmp_path / "d.csv", rows))


def test_another_table_and_another_encoding_are_refused(tmp_path):
    (tmp_path / "t.csv").write_text("record_id,age\n1,61\n")
    with pytest.raises(ReadError, match="not a REDCap data dictionary: expected the columns 'Variable / Field Name'"):
        read_dictionary(tmp_path / "t.csv")
    path = write(tmp_path / "d.csv", [["age", "f", "", "text", "Âge"]], encoding="latin-1")
    with pytest.raises(ReadError, match="line 2 is not UTF-8"):
        read_dictionary(path)


cells = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)


@given(st.lists(st.lists(cells, max_size=12), max_size=3))
def test_nothing_but_a_read_error_escapes_from_arbitrary_cells(tmp_path, rows):
    try:
        fields = read_dictionary(write(tmp_path / "d.csv", rows))
    except ReadError:
        return
    assert all(one.name and export_columns(one) is not None for one in fields)
