from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ppgssl.core.config.cohort import DeviceTrends
from ppgssl.core.errors import ReadError
from ppgssl.readers.trends import read_trends

COLUMNS = {
    "sqi": "SQI",
    "heart_rate_bpm": "HeartRate",
    "spo2_percent": "Saturation",
    "perfusion_index_percent": "Perfusion",
}
# As the device of the published study writes them: a line to skip, and names with leading spaces.
PUBLISHED = DeviceTrends(file="{patient}.csv", columns=COLUMNS, skip_rows=1)
HEADER = "Device 1.2, exported\nTime, SQI, HeartRate, Saturation, Perfusion\n"


def write(tmp_path, text):
    path = tmp_path / "p1_spo2trends.csv"
    path.write_text(text)
    return path


def test_the_published_layout_is_read(tmp_path):
    path = write(tmp_path, HEADER + "0, 90, 121, 98, 1.5\n1, 40.5, 122, 97, 1.6\n")
    trends = read_trends(path, PUBLISHED)
    assert trends["sqi"].tolist() == [90.0, 40.5]
    assert trends["heart_rate_bpm"].tolist() == [121.0, 122.0]
    assert trends["spo2_percent"].tolist() == [98.0, 97.0]
    assert trends["perfusion_index_percent"].tolist() == [1.5, 1.6]


def test_missing_values_are_nan_and_the_rest_is_kept(tmp_path):
    trends = read_trends(write(tmp_path, HEADER + "0, 90, --, 98, 1.5\n1, , 122, NA, 1.6\n"), PUBLISHED)
    assert np.isnan(trends["heart_rate_bpm"]).tolist() == [True, False]
    assert math.isnan(trends["sqi"][1])
    assert math.isnan(trends["spo2_percent"][1])
    assert trends["perfusion_index_percent"].tolist() == [1.5, 1.6]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (HEADER + "0, 90, fast, 98, 1.5\n", "line 3, heart_rate_bpm: expected a number and found 'fast'"),
        (HEADER + "0, 90, 120, 98, 1.5\n1, 90\n", "line 4 has 2 cells and 5 are needed"),
        ("only\nTime, SQI, HeartRat, Saturation, Perfusion\n", "did you mean 'HeartRat'"),
        ("only\n", "no header line"),
        ("", "empty"),
    ],
)
def test_what_is_wrong_is_named(tmp_path, text, message):
    with pytest.raises(ReadError, match=message):
        read_trends(write(tmp_path, text), PUBLISHED)


@given(st.lists(st.tuples(st.floats(0, 100), st.floats(20, 300) | st.none()), max_size=30))
def test_what_was_written_is_read(tmp_path, rows):
    text = "Time,SQI,HR\n" + "".join(
        f"{n},{sqi!r},{'' if hr is None else repr(hr)}\n" for n, (sqi, hr) in enumerate(rows)
    )
    described = DeviceTrends(file="{patient}.csv", columns={"sqi": "SQI", "heart_rate_bpm": "HR"})
    trends = read_trends(write(tmp_path, text), described)
    np.testing.assert_array_equal(trends["sqi"], [sqi for sqi, _ in rows])
    np.testing.assert_array_equal(trends["heart_rate_bpm"], [np.nan if hr is None else hr for _, hr in rows])


@given(st.binary(max_size=200))
def test_any_content_is_read_or_refused(tmp_path, content):
    path = tmp_path / "t.csv"
    path.write_bytes(b"x\nTime, SQI, HeartRate, Saturation, Perfusion\n" + content)
    try:
        trends = read_trends(path, PUBLISHED)
    except ReadError:
        return
    assert set(trends) == set(COLUMNS)
