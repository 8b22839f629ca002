"""Dates: what a format says, and which formats fit."""

from __future__ import annotations

import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ppgssl.readers.clinical.dates import COMMON_FORMATS, fitting_formats, is_date_format, read_date, read_iso_date

DAY = datetime.date(2020, 2, 29)


@pytest.mark.parametrize(
    ("text", "date_format"),
    [
        ("2020-02-29", "%Y-%m-%d"),
        (" 29/02/2020 ", "%d/%m/%Y"),
        ("02-29-2020", "%m-%d-%Y"),
        ("29feb2020", "%d%b%Y"),
        ("29-Feb-20", "%d-%b-%y"),
        ("2020-02-29 23:59", "%Y-%m-%d %H:%M"),
    ],
)
def test_a_date_is_read_by_its_format(text, date_format):
    assert read_date(text, date_format) == DAY


@pytest.mark.parametrize("text", ["", "2019-02-29", "29/02/2020", "2020-02", "2020-02-29 10:00", "x", "\0"])
def test_another_text_is_no_date(text):
    assert read_date(text, "%Y-%m-%d") is None


def test_iso_dates_may_have_a_time():
    for text in ("2020-02-29", "2020-02-29T01:02:03", "2020-02-29 01:02", "2020-02-29T01:02:03.5+02:00"):
        assert read_iso_date(text) == DAY
    for text in ("20200229", "2019-02-29", "2020-02-29 at noon", "29-02-2020"):
        assert read_iso_date(text) is None


@pytest.mark.parametrize("date_format", ["%d/%m", "%Y", "%Q", "%", "", "day", "\0"])
def test_a_format_without_day_month_and_year_is_none(date_format):
    assert not is_date_format(date_format)


def test_a_day_that_may_be_a_month_leaves_two_formats_and_one_that_cannot_leaves_one():
    assert fitting_formats(["03/04/2020", "12/11/2020"]) == ["%d/%m/%Y", "%m/%d/%Y"]
    assert fitting_formats(["03/04/2020", "13/11/2020"]) == ["%d/%m/%Y"]
    assert fitting_formats(["03/04/2020", "11/13/2020"]) == ["%m/%d/%Y"]
    assert fitting_formats(["03/04/2020", "13/13/2020"]) == []


@pytest.mark.parametrize("texts", [[], ["2020"], ["12"], ["0101"], ["37.5"], ["F"], ["12:30"]])
def test_numbers_and_words_fit_no_format(texts):
    assert fitting_formats(texts) == []


@given(st.dates(datetime.date(1969, 1, 1), datetime.date(2068, 12, 31)), st.sampled_from(COMMON_FORMATS))
def test_what_a_common_format_writes_it_reads_and_is_found_again(day, date_format):
    written = datetime.datetime.combine(day, datetime.time(1, 2, 3)).strftime(date_format)
    assert is_date_format(date_format)
    assert read_date(written, date_format) == day
    assert date_format in fitting_formats([written])


@given(st.text(max_size=30), st.text(max_size=10))
def test_arbitrary_texts_and_formats_are_answered(text, date_format):
    read_date(text, date_format)
    read_iso_date(text)
    fitting_formats([text])
    is_date_format(date_format)
