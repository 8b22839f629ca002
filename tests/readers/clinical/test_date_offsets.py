"""Dates become days from the patient's first date."""

from __future__ import annotations

import datetime

import numpy as np
import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from ppgssl.readers.clinical.date_offsets import days_from_first

DATES = st.one_of(st.none(), st.dates(min_value=datetime.date(1, 1, 1)))


def frame(rows) -> pd.DataFrame:
    texts = [[None if day is None else day.isoformat() for day in row] for row in rows]
    return pd.DataFrame(texts, columns=["born", "admitted", "left"], dtype=object)


@given(st.lists(st.tuples(DATES, DATES, DATES), min_size=1, max_size=5))
def test_intervals_stay_and_the_first_date_is_zero(rows):
    days = days_from_first(frame(rows), ["born", "admitted", "left"])
    for (_, found), row in zip(days.iterrows(), rows, strict=True):
        known = [day for day in row if day is not None]
        for value, day in zip(found, row, strict=True):
            assert np.isnan(value) if day is None else value == (day - min(known)).days


@given(
    st.lists(st.tuples(*[st.dates(datetime.date(1800, 1, 1), datetime.date(2200, 1, 1))] * 3), min_size=1, max_size=5)
)
def test_nothing_is_left_of_the_calendar(rows):
    later = [tuple(day + datetime.timedelta(days=1234) for day in row) for row in rows]
    columns = ["born", "admitted", "left"]
    pd.testing.assert_frame_equal(days_from_first(frame(rows), columns), days_from_first(frame(later), columns))


def test_other_columns_and_their_order_are_left_as_they_are():
    patients = pd.DataFrame({"age": [1.5], "left": ["2019-03-04"], "born": ["2019-03-01"], "stage": ["a"]})
    days = days_from_first(patients, ["left", "born"])
    assert days.to_dict("records") == [{"age": 1.5, "left": 3.0, "born": 0.0, "stage": "a"}]
    assert list(days) == list(patients)
    assert days_from_first(patients, []) is patients
