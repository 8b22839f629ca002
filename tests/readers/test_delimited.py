"""Text files: what is understood, what is refused, and with which words."""

from __future__ import annotations

import contextlib
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ppgssl.core.errors import ReadError
from ppgssl.readers.delimited import DelimitedOptions, open_delimited

# tmp_path is shared by the examples of one test; each overwrites the file.
NAN = float("nan")


@pytest.fixture
def read(tmp_path):
    def _read(content: bytes | str, *columns: str | int, **options) -> list[list[float]]:
        path = tmp_path / "recording.csv"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        recordings = [raw.whole() for raw in open_delimited(path, columns, 100.0, DelimitedOptions(**options))]
        assert len(recordings) == 1
        assert all(recordings[0][column].fs_hz == 100.0 for column in columns)
        assert all(recordings[0][column].samples.dtype == np.float64 for column in columns)
        return [recordings[0][column].samples.tolist() for column in columns]

    return _read


@pytest.mark.parametrize(
    "text",
    [
        "red,ir\n1,10\n2.5,20\n",
        "red,ir\r\n1,10\r\n2.5,20",
        "red,ir\r1,10\r2.5,20\r",
        "\ufeffred,ir\n1,10\n2.5,20\n\n\n",
        "\n\nred,ir\n1,10\n2.5,20\n",
        "red,ir\n1,10,\n2.5,20,\n",
        "red,ir,\n1,10\n2.5,20\n",
        "red,ir,\n1,10,\n2.5,20,\n",
        '"red","ir"\n"1","10"\n"2.5","20"\n',
        "red , ir\n 1 , 10 \n+2.5 ,2e1\n",
        "red;ir\n1;10\n2.5;20\n",
        "red\tir\n1\t10\n2.5\t20\n",
        "red|ir\n1|10\n2.5|20\n",
        "red ir\n1 10\n2.5 20\n",
        "  red    ir  \n  1     10  \n  2.5   20  \n",
        "time,red,ir,note\n10:00,1,10,start\n10:01,2.5,20,\n",
    ],
)
def test_the_same_samples_are_read_from_every_dialect(read, text):
    assert read(text, "red", "ir") == [[1, 2.5], [10, 20]]


def test_columns_are_found_by_name_or_number_with_and_without_a_header(read):
    assert read("1,10\n2,20\n", 1) == [[10, 20]]
    assert read("red,ir\n1,10\n2,20\n", 1, 0) == [[10, 20], [1, 2]]
    assert read("1\n2\n3\n", 0) == [[1, 2, 3]]
    assert read("ppg\n1\n", "ppg") == [[1]]
    with pytest.raises(ReadError, match="line 1 mixes numbers with other text"):
        read("time,660\n1,2\n", 1)
    assert read("time,660\n1,2\n", "660") == [[2]]
    # Another encoding does not matter where its names are not used.
    assert read("Höhe,ppg\n1,2\n".encode("latin-1"), "ppg") == [[2]]
    with pytest.raises(ReadError, match="no column is named 'Höhe'"):
        read("Höhe,ppg\n1,2\n".encode("latin-1"), "Höhe")


def test_decimal_commas_are_read_when_asked_for_and_hinted_at_when_not(read):
    text = "red;ir\n1,5;10\n2,5;20\n"
    assert read(text, "red", decimal=",") == [[1.5, 2.5]]
    assert read("1,5 10\n2,5 20\n", 0, decimal=",") == [[1.5, 2.5]]
    with pytest.raises(ReadError, match=r"line 2, column 0 .* found '1,5'.*decimal: ','"):
        read(text, "red")
    with pytest.raises(ReadError, match=r"found '1\.000'"):  # A point is no thousands mark.
        read("red;ir\n1.000;2\n", "red", decimal=",")


def test_marks_of_missing_samples_become_nan(read):
    text = "red,ir\n1,NA\n,\n nan , - \n-9999.0,4\n"
    red, ir = read(text, "red", "ir", missing=["", "NA", "nan", "-", -9999])
    np.testing.assert_array_equal(red, [1, NAN, NAN, NAN])
    np.testing.assert_array_equal(ir, [NAN, NAN, NAN, 4])
    np.testing.assert_array_equal(read("a,b\n1,\n", "b")[0], [NAN])
    with pytest.raises(ReadError, match=r"line 2, column 1 .* lists ''"):
        read("a,b\n1,\n", "b", missing=["NA"])


def test_lines_before_the_header_are_passed_over_and_still_counted(read):
    text = "Device 7\nsep=;\n\nred;ir\n1;2\nx;3\n"
    assert read(text.replace("x", "5"), "red", skip_rows=2) == [[1, 5]]
    with pytest.raises(ReadError, match="line 6, column 0"):
        read(text, "red", skip_rows=2)


def test_a_line_holds_the_samples_of_a_channel(read):
    assert read("1994.0\t1992.0\t1992.0\t", 0, layout="line") == [[1994, 1992, 1992]]
    assert read("1 2 3\n4 5 6\n", 1, 0, layout="line") == [[4, 5, 6], [1, 2, 3]]
    np.testing.assert_array_equal(read(",1,,2,,", 0, layout="line")[0], [NAN, 1, NAN, 2, NAN])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("1 2 3\n4 5\n", "line 1 has 3 values and line 2 has 2"),
        ("1 2\n3 4\n5 6\n", "set `layout: columns`"),
        ("1 2 x\n", "line 1, value 3: expected a number and found 'x'"),
    ],
)
def test_lines_that_are_no_channels_are_refused(read, text, words):
    with pytest.raises(ReadError, match=words):
        read(text, 0, layout="line")
    with pytest.raises(ReadError, match="no line is named 'ppg'"):
        read("1 2 3", "ppg", layout="line")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "the file is empty"),
        ("\n \n", "there is no text"),
        ("\ufeff", "there is no text"),
        ("red,ir\n", "no samples below the header"),
        ("red,ir\n1,2\n3\n", r"line 3 has 1 value where 2 are expected \(delimiter: comma\)"),
        ("red,ir\n1,2\n3,4,5\n", "line 3 has 3 values where 2 are expected"),
        ("red,ir\n1,2\n\n3,4\n", "line 3 has 1 value where 2"),
        ("red,ir\n1,2\nfive,4\n", "line 3, column 0 .* found 'five'"),
        ("red,ir\n1,2\n1_0,4\n", "found '1_0'"),
        ("red,ir\n1,2\ninf,4\n", "infinite .* the first at sample 1"),
        ("red,ir\n1,2\n1e300,4\n", "too large"),
        ("Red,ir\n1,2\n", r"no column is named 'red' \(did you mean 'Red'\?\): the file has 2 columns: Red, ir"),
        ("red,red\n1,2\n", "2 columns are named 'red'"),
        ("1,2\n3,4\n", "no column is named 'red'.*: 1, 2"),
        ("red,ir\n1,2\n".encode("utf-16"), "UTF-16"),
        (b"\x00\x01\x02\xff" * 9, "binary data"),
        (b"\x89PNG\r\n\x1a\n\xff\xd8", "no column is named 'red'"),
        ("<html><body>Session expired</body></html>", "no column is named 'red'"),
        (" ".join(["1"] * 200_000), "holds 200000 values.*`layout: line`"),
        ("x" * 3_000_000, "no column is named 'red'"),
    ],
)
def test_a_file_that_is_not_what_was_described_is_refused_with_place_and_advice(read, content, words):
    with pytest.raises(ReadError, match=words) as caught:
        read(content, "red")
    assert str(caught.value).count("recording.csv") == 1
    assert len(str(caught.value)) < 700


def test_two_megabytes_are_read_in_a_fifth_of_a_second(read, tmp_path):
    text = "red,ir,green\n" + "51234,40321,1234\n" * 120_000
    read(text[:100].rpartition("\n")[0], "red")  # Libraries load parts of themselves at the first call.
    (tmp_path / "long.csv").write_text(text)
    seconds = []
    for _ in range(5):
        start = time.perf_counter()
        open_delimited(tmp_path / "long.csv", ["red", "ir", "green"], 200.0, DelimitedOptions())
        seconds.append(time.perf_counter() - start)
    assert min(seconds) < 0.2


numbers = st.floats(allow_nan=False, allow_infinity=False, width=32)


@given(
    st.lists(st.tuples(numbers, numbers), min_size=1, max_size=30),
    st.sampled_from([(",", "."), (";", ","), ("\t", "."), (" ", ",")]),
)
def test_written_numbers_come_back_exactly(read, rows, dialect):
    delimiter, decimal = dialect
    lines = [delimiter.join(repr(float(value)).replace(".", decimal) for value in row) for row in rows]
    text = "\n".join([f"a{delimiter}b", *lines])
    assert read(text, "a", "b", decimal=decimal) == [[row[0] for row in rows], [row[1] for row in rows]]


@given(st.lists(st.lists(numbers, min_size=2, max_size=2), min_size=1, max_size=20))
def test_the_quick_and_the_exact_way_agree(read, rows):
    lines = [",".join(map(repr, row)) for row in rows]
    plain = "\n".join(["a,b", *lines])
    # A mark with a blank next to it is beyond the quick way.
    exact = "\n".join(["a,b", *lines, " NA ,1"])
    assert read(plain, "a")[0] == read(exact, "a")[0][:-1]


@given(st.binary(max_size=200), st.sampled_from(["columns", "line"]), st.sampled_from([0, "a"]))
def test_nothing_but_a_read_error_escapes_from_arbitrary_bytes(read, content, layout, column):
    with contextlib.suppress(ReadError):
        read(content, column, layout=layout)


@given(st.data())
def test_nothing_but_a_read_error_escapes_from_damaged_samples(read, data):
    sample = data.draw(
        st.sampled_from([b"a,b\r\n1,2\r\n-3.5,4e2\r\nNA,6\r\n", b"1994.0\t1992.0\t1\t", b"a b\n1 2\n\n3 4"])
    )
    damaged = bytearray(sample)
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(damaged)))
        length = data.draw(st.integers(0, 5))
        damaged[place : place + length] = data.draw(st.binary(max_size=5) | st.sampled_from([b",", b"\n", b'"', b"\r"]))
    options = data.draw(
        st.fixed_dictionaries({"layout": st.sampled_from(["columns", "line"]), "decimal": st.sampled_from(".,")})
    )
    try:
        (samples,) = read(bytes(damaged), 0, **options)
    except ReadError:
        return
    assert samples


def test_all_recordings_of_ppg_bp_are_read(test_data):
    files = sorted((test_data / "ppg_bp" / "signals").glob("*.txt"))
    options = DelimitedOptions(layout="line")
    lengths = [len(open_delimited(path, [0], 1000.0, options)[0].whole()[0].samples) for path in files]
    assert len(files) == 438
    assert sorted(set(lengths)) == [2100, 4200]
    assert lengths.count(4200) == 2


def test_all_recordings_of_mw_ppg_are_read(test_data):
    files = sorted((test_data / "mw_ppg" / "recordings").glob("*.csv"))
    columns = ["green_channel", "red_channel", "ir_channel"]
    assert len(files) == 78
    for path in files:
        (raw,) = open_delimited(path, columns, 200.0, DelimitedOptions())
        recording = raw.whole()
        assert all(recording[column].duration_s == 60.0 for column in columns)
        assert recording["green_channel"].samples.max() <= 65535
