from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ppgssl.core.errors import ReadError
from ppgssl.readers import delimited, long_text
from ppgssl.readers.delimited import DelimitedOptions, open_delimited
from ppgssl.readers.long_text import index_lines


@pytest.fixture
def tiny_chunks(monkeypatch):
    monkeypatch.setattr(long_text, "_CHUNK_BYTES", 40)


@pytest.fixture
def all_is_long(monkeypatch, tiny_chunks):  # noqa: ARG001 - both are needed
    monkeypatch.setattr(delimited, "_LONG_BYTES", 0)


@pytest.mark.usefixtures("tiny_chunks")
@given(st.lists(st.text("ab1,", min_size=1, max_size=20), min_size=1, max_size=30), st.data())
def test_any_lines_can_be_read(tmp_path, lines, data):
    path = tmp_path / "long.csv"
    path.write_text("\n".join(lines) + data.draw(st.sampled_from(["", "\n", "\n\n \n"])))
    index = index_lines(path)
    assert index.n_lines == len(lines)
    first = data.draw(st.integers(0, len(lines) - 1))
    stop = data.draw(st.integers(first + 1, len(lines)))
    assert index.read(first, stop).decode() == "\n".join(lines[first:stop])


@pytest.mark.usefixtures("all_is_long")
@given(
    st.lists(st.floats(-1e3, 1e3) | st.none(), min_size=1, max_size=60), st.booleans(), st.sampled_from(["\n", "\r\n"])
)
def test_a_long_recording_reads_as_a_short_one(tmp_path, values, has_header, end):
    rows = [f"{'NA' if value is None else repr(value)},{number}" for number, value in enumerate(values)]
    path = tmp_path / "recording.csv"
    path.write_bytes(end.join([*(["ppg,n"] if has_header else []), *rows, ""]).encode())
    (recording,) = open_delimited(path, [0, 1], 10.0, DelimitedOptions())
    expected = np.array([np.nan if value is None else value for value in values])
    assert recording.n_samples == {0: len(values), 1: len(values)}
    np.testing.assert_array_equal(recording.whole()[0].samples, expected)
    half = len(values) // 2
    parts = [recording.read(0, half / 10)[0].samples, recording.read(half / 10, len(values) / 10)[0].samples]
    np.testing.assert_array_equal(np.concatenate(parts), expected)


@pytest.mark.usefixtures("all_is_long")
def test_a_bad_cell_of_a_long_recording_is_named_by_its_line(tmp_path):
    path = tmp_path / "recording.csv"
    path.write_text("\n".join(["ppg", *(str(number) for number in range(100)), "oops", "7"]))
    (recording,) = open_delimited(path, ["ppg"], 1.0, DelimitedOptions())
    assert recording.read(90, 100)["ppg"].samples.tolist() == list(range(90, 100))
    with pytest.raises(ReadError, match="line 102: expected a number and found 'oops'"):
        recording.read(95, 102)


def test_a_file_of_one_endless_line_and_binary_data_are_refused(tmp_path):
    path = tmp_path / "recording.csv"
    path.write_bytes(b"1," * 2_000_000)
    with pytest.raises(ReadError, match="a line of more than 1 MB"):
        index_lines(path)
    path.write_bytes(b"1\n2\n\0")
    with pytest.raises(ReadError, match="binary data"):
        index_lines(path)


def test_memory_is_that_of_the_interval_and_not_of_the_file(tmp_path):
    path = tmp_path / "recording.csv"
    path.write_bytes(b"0.123,0.456\n" * 3_000_000)  # 36 MB
    tracemalloc.start()
    (recording,) = open_delimited(path, [0, 1], 100.0, DelimitedOptions())
    samples = recording.read(20_000, 20_060)[1].samples
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert samples.tolist() == [0.456] * 6000
    assert recording.duration_s == 30_000
    assert peak < 12_000_000
