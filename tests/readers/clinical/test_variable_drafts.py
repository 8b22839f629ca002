"""A first description of a variable: what is not sure is asked, and nobody's values are shown."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ppgssl.core.config.cohort import Variable
from ppgssl.readers.clinical.redcap import Field
from ppgssl.readers.clinical.variable_drafts import (
    MAX_LEVELS,
    Cells,
    LeftOut,
    VariableDraft,
    draft_of_column,
    draft_of_field,
    label_and_unit,
    missing_marks,
)


def of_column(column: str, texts, label="", levels=None, **more):
    return draft_of_column(column, Cells([str(text) for text in texts], **more), label, levels)


def of_field(kind: str, texts=None, **more):
    one = Field("x", kind, **({"label": "X"} | more))
    return draft_of_field(one, "x", cells=None if texts is None else Cells([str(text) for text in texts]))


@pytest.mark.parametrize(
    ("texts", "kind"),
    [
        ([36.5, 37.25, 38], "numeric"),
        (range(40), "numeric"),
        ([0, 1] * 10, "binary"),
        ([1, 2, 3] * 10, "categorical"),
        (["yes", "no"] * 10, "binary"),
        (["a", "b", "c"] * 10, "categorical"),
        (["2020-02-29", "2021-01-01"], "date"),
        (["29/02/2020", "01/02/2021"], "date"),
    ],
)
def test_the_kind_of_a_column_shows_in_its_values_and_its_range_does_not(texts, kind):
    draft = of_column("x", texts)
    assert (draft.kind, draft.range, draft.dates) == (kind, None, None)


def test_a_column_is_described_by_its_name_and_spellings_too():
    for column, label in (("age", ""), ("x", "Duration (days)"), ("stay_days", "")):
        assert of_column(column, [1, 2, 3] * 10, label).kind == "numeric"
    draft = of_column("x", ["Male", "male", "Female", "FEMALE"] * 5)
    assert draft.levels == {"Male": "Male", "male": "Male", "FEMALE": "FEMALE", "Female": "FEMALE"}
    assert "spellings were joined" in draft.notes
    assert of_column("x", ["1", "1.0", "01", "2"] * 5).levels == {"1": "1", "2": "2"}
    draft = of_column("x", ["03/04/2020", "05/06/2020"])
    assert draft.date_format == "%d/%m/%Y"
    assert draft.notes == ("all dates would also fit '%m/%d/%Y': which is right?",)


def test_values_that_do_not_fit_are_counted_and_not_shown():
    draft = of_column("x", [*range(30), "see notes"])
    assert draft.kind == "numeric"
    assert draft.notes == ("1 value is no number: marks of missing belong in `missing`",)
    draft = of_field("radio", ["1", "2", "refers to B"], choices={"1": "a", "2": "b"})
    assert draft.notes[-1] == "the table has other values too, 1 different: see `missing`"


@pytest.mark.parametrize(
    ("texts", "event"),
    [
        (["yes", "no"], "yes"),
        (["No", "Yes"], "Yes"),
        (["died", "alive"], "died"),
        (["False", "True"], "True"),
        (["absent", "Present"], "Present"),
        (["1", "2"], "2"),
    ],
)
def test_the_negative_level_is_the_first(texts, event):
    draft = of_column("x", texts * 10)
    assert list(draft.levels.values())[-1] == event
    assert f"the event is {event!r}" in draft.notes[0]


def test_value_labels_of_the_file_are_the_levels():
    draft = of_column("x", [1, 2] * 5, levels={"1": "male", "2": "female", "3": "other"})
    assert (draft.kind, draft.levels) == ("categorical", {"1": "male", "2": "female", "3": "other"})
    draft = of_column("x", [1, 0] * 5, levels={"1": "yes", "0": "no"})
    assert (draft.kind, draft.levels) == ("binary", {"0": "no", "1": "yes"})
    draft = of_column("age", [*range(40), 888], levels={"888": "not known"})
    assert draft.kind == "numeric"
    assert "888 = not known" in draft.notes[0]


@pytest.mark.parametrize(
    "column",
    ["name", "First Name", "patientName", "dob", "Date of Birth", "phone_number", "home_address", "GPS", "comments"],
)
def test_columns_that_may_identify_a_person_are_left_out(column):
    draft = of_column(column, ["a", "b"] * 20)
    assert isinstance(draft, LeftOut)
    assert "may identify a person" in draft.reason
    for harmless in ("birth_weight", "hospitalized", "oxygen", "tb_contact", "pregnant"):
        assert isinstance(of_column(harmless, [0, 1] * 20), VariableDraft)


@pytest.mark.parametrize(
    ("column", "texts", "reason"),
    [
        ("x", [], "no values"),
        ("x", ["a"] * 20, "the same value"),
        ("ward_no", range(1000, 1040), "looks like an identifier"),
        ("x", [f"text {number}" for number in range(30)], "30 different texts among 30"),
        ("x", ["Ann", "Ben", "Cem"], "3 different texts among 3"),
    ],
)
def test_a_column_that_cannot_be_a_variable_is_left_out_with_the_reason(column, texts, reason):
    draft = of_column(column, texts)
    assert isinstance(draft, LeftOut)
    assert reason in draft.reason


words = st.text(st.characters(categories=["L", "N", "P", "Zs"]), min_size=1, max_size=8).filter(str.strip)


@given(st.lists(words | st.sampled_from("01") | st.floats().map(str), max_size=60), words)
def test_every_draft_is_a_description_and_shows_few_levels(texts, column):
    draft = of_column(column, [text.strip() for text in texts])
    if isinstance(draft, VariableDraft):
        assert len(draft.levels) <= MAX_LEVELS
        assert_is_description(draft)


def assert_is_description(draft: VariableDraft) -> None:
    keys = ("kind", "levels", "range", "dates", "date_format")
    Variable.model_validate({key: getattr(draft, key) for key in keys})


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({"kind": "yesno"}, {"kind": "binary", "levels": {"0": "No", "1": "Yes"}}),
        ({"kind": "truefalse"}, {"kind": "binary", "levels": {"0": "False", "1": "True"}}),
        ({"kind": "radio", "choices": {"1": "Yes", "0": "No"}}, {"kind": "binary", "levels": {"0": "No", "1": "Yes"}}),
        (
            {"kind": "dropdown", "choices": {"1": "a", "2": "b", "3": "c"}},
            {"kind": "categorical", "levels": {"1": "a", "2": "b", "3": "c"}},
        ),
        ({"kind": "checkbox", "choices": {"1": "a"}}, {"kind": "binary", "levels": {"0": "no", "1": "yes"}}),
        ({"kind": "calc"}, {"kind": "numeric"}),
        ({"kind": "slider"}, {"kind": "numeric", "range": (0.0, 100.0)}),
        ({"kind": "slider", "low": "-1", "high": "11"}, {"kind": "numeric", "range": (-1.0, 11.0)}),
        (
            {"kind": "text", "validation": "number_2dp", "low": "0.5", "high": "40", "note": "kg"},
            {"kind": "numeric", "range": (0.5, 40.0), "unit": "kg"},
        ),
        (
            {"kind": "text", "validation": "date_dmy", "low": "2019-01-01", "high": "31/12/2021"},
            {"kind": "date", "dates": ("2019-01-01", "2021-12-31"), "date_format": "%Y-%m-%d"},
        ),
        ({"kind": "text", "validation": "datetime_seconds_mdy"}, {"kind": "date", "date_format": "%Y-%m-%d %H:%M:%S"}),
    ],
)
def test_a_field_describes_its_column(more, expected):
    draft = of_field(**more)
    assert isinstance(draft, VariableDraft)
    assert {name: getattr(draft, name) for name in expected} == expected
    assert_is_description(draft)


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"kind": "text", "is_identifier": True}, "an identifier by the dictionary"),
        ({"kind": "radio", "choices": {"1": "a"}, "is_identifier": True}, "an identifier by the dictionary"),
        ({"kind": "notes"}, "free text"),
        ({"kind": "text"}, "free text"),
        ({"kind": "text", "validation": "email"}, "text checked as 'email'"),
        ({"kind": "text", "validation": "time"}, "text checked as 'time'"),
        ({"kind": "file"}, "a file"),
        ({"kind": "descriptive"}, "no variable"),
        ({"kind": "sql"}, "its choices come from a query"),
    ],
)
def test_a_field_that_is_no_variable_is_left_out_with_the_reason(more, reason):
    draft = of_field(**more)
    assert isinstance(draft, LeftOut)
    assert reason in draft.reason


def test_half_a_range_is_asked_about():
    draft = of_field("text", validation="number", low="30")
    assert (draft.range, draft.notes) == (None, ("the dictionary has from 30: complete the range",))
    draft = of_field("text", validation="date_ymd", low="2019-01-01", high="today")
    assert (draft.dates, draft.notes) == (None, ("the dictionary has from 2019-01-01 to today: complete `dates`",))


def test_the_table_decides_between_codes_and_labels():
    choices = {"1": "Male", "2": "Female"}
    assert of_field("radio", ["1.0", "2"], choices=choices).levels == {"1": "Male", "2": "Female"}
    assert of_field("radio", ["Male", "Female"], choices=choices).levels == {"Male": "Male", "Female": "Female"}
    assert of_field("yesno", ["Yes", "No"]).levels == {"No": "No", "Yes": "Yes"}
    assert of_field("checkbox", ["Checked", "Unchecked"]).levels == {"Unchecked": "no", "Checked": "yes"}


def test_the_table_decides_how_dates_are_written():
    def date_format(validation, *texts):
        return of_field("text", texts, validation=validation).date_format

    assert date_format("date_dmy", "2020-02-29") == "%Y-%m-%d"
    assert date_format("date_mdy", "03/04/2020") == "%m/%d/%Y"
    assert date_format("date_dmy", "03/04/2020") == "%d/%m/%Y"
    assert date_format("datetime_seconds_ymd", "2020-02-29 10:11") == "%Y-%m-%d %H:%M"
    assert "not all values are dates" in of_field("text", ["soon"], validation="date_ymd").notes[0]


def test_marks_of_missing_stand_apart_from_the_values_of_their_column():
    weight = ["11.5", "12", "-99", "UNK", "", "NA"]
    assert missing_marks([weight], ".") == ["-99", "UNK"]
    assert missing_marks([["2020-02-29", "2020-03-01", "ND"]], ".") == ["ND"]


def test_what_is_likely_a_value_somewhere_is_no_mark():
    weight, base_excess = ["11.5", "12", "-9"], ["-3", "-9", "2"]
    assert missing_marks([weight], ".") == ["-9"]
    assert missing_marks([weight, base_excess], ".") == []
    assert missing_marks([weight], ".", codes=["-9"]) == []
    assert missing_marks([["1", "2", "none"], ["none", "mask", "tube"]], ".") == []
    assert missing_marks([[str(number) for number in range(1000)]], ".") == []


@pytest.mark.parametrize(
    ("label", "column", "note", "expected"),
    [
        ("Weight (kg)", "w", "", ("Weight", "kg")),
        ("Weight [kilograms]:", "w", "", ("Weight", "kg")),
        ("Weight, kg", "w", "", ("Weight", "kg")),
        ("Age in months", "a", "", ("Age", "months")),
        ("Age in years at screening", "a", "", ("Age in years at screening", "years")),
        ("Weight", "w", "in kg", ("Weight", "kg")),
        ("Temperature", "t", "°C", ("Temperature", "°C")),
        ("", "Height(cm)", "", ("Height", "cm")),
        ("", "muac_cm", "", ("", "cm")),
        ("", "bmi_kg_m2", "", ("", "kg/m²")),
        ("Race (all that apply)", "r", "", ("Race (all that apply)", "")),
        ("Died?", "d", "", ("Died", "")),
        ("", "group_c", "", ("", "")),
        ("", "kg", "", ("", "")),
    ],
)
def test_units_are_found_where_people_write_them(label, column, note, expected):
    assert label_and_unit(label, column, note) == expected
