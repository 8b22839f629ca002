"""Parquet files: tables of samples and tables of recordings, and what is refused."""

from __future__ import annotations

import contextlib
import itertools

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ppgssl.core.errors import ReadError
from ppgssl.readers import parquet
from ppgssl.readers.parquet import ParquetOptions, open_parquet
from tests.support.damage import damaged

NAN = float("nan")


def written(folder, columns, **options):
    pq.write_table(columns if isinstance(columns, pa.Table) else pa.table(columns), folder / "a.parquet", **options)
    return folder / "a.parquet"


def read(path, *columns, **options):
    recordings = [recording.whole() for recording in open_parquet(path, columns, 50.0, ParquetOptions(**options))]
    assert all(recording[column].samples.dtype == np.float64 for recording in recordings for column in columns)
    return [[recording[column].samples.tolist() for column in columns] for recording in recordings]


@pytest.mark.parametrize("kind", [pa.float16(), pa.float32(), pa.float64(), pa.int8(), pa.uint16(), pa.int64()])
def test_a_row_is_a_sample(tmp_path, kind):
    numbers = pa.array(np.array([1, 2, 3], dtype=kind.to_pandas_dtype()))
    path = written(tmp_path, {"time": ["a", "b", "c"], "ppg": numbers, "ir": [4.0, 5.0, 6.0]})
    assert read(path, "ppg") == [[[1, 2, 3]]]
    assert read(path, 2, "ppg", "ir") == [[[4, 5, 6], [1, 2, 3], [4, 5, 6]]]


@pytest.mark.parametrize("kind", [pa.list_(pa.float32()), pa.large_list(pa.int32()), pa.list_(pa.int16(), 2)])
def test_a_row_of_lists_is_a_recording(tmp_path, kind):
    path = written(tmp_path, {"id": ["x", "y"], "ppg": pa.array([[1, 2], [3, 4]], kind), "ir": [[5, 6], [7, 8]]})
    assert read(path, "ppg", 2) == [[[1, 2], [5, 6]], [[3, 4], [7, 8]]]


def test_recordings_may_differ_in_length_but_not_their_channels(tmp_path):
    path = written(tmp_path, {"ppg": [[1.0], [2.0, None, 4.0]], "ir": [[1.0], [2.0, 3.0]], "gone": [[1.0], None]})
    np.testing.assert_equal(read(path, "ppg"), [[[1.0]], [[2.0, NAN, 4.0]]])
    with pytest.raises(ReadError, match=r"row 1, .* 'ppg' 3, 'ir' 2"):
        read(path, "ppg", "ir")
    with pytest.raises(ReadError, match=r"row 1, .* 'gone' 0"):
        read(path, "gone")


def test_missing_samples_are_null_nan_or_the_values_named(tmp_path):
    samples = pa.array([1.0, None, NAN, -999.9, np.inf], pa.float32())
    path = written(tmp_path, {"ppg": samples, "count": [1, None, 3, 4, -1]})
    missing = [-999.9, float("inf"), -1]
    np.testing.assert_array_equal(read(path, "ppg", missing=missing)[0][0], [1, NAN, NAN, NAN, NAN])
    np.testing.assert_array_equal(read(path, "count", missing=missing)[0][0], [1, NAN, 3, 4, NAN])
    with pytest.raises(ReadError, match="'ppg' has 1 infinite"):
        read(path, "ppg")
    path = written(tmp_path, {"ppg": [[1.0], [2.0, np.inf]]})
    with pytest.raises(ReadError, match="'ppg, row 1' has 1 infinite"):
        read(path, "ppg")


@pytest.mark.parametrize(
    ("column", "words"),
    [
        (["1", "2"], "has the type string; expected real numbers, or lists of them"),
        ([True, False], "has the type bool"),
        ([{"a": 1.0}, {"a": 2.0}], "has the type struct"),
        ([[[1.0]], [[2.0]]], "has the type list<"),
        ([["1"], ["2"]], "has the type list<"),
        (pa.array(["a", "b"]).dictionary_encode(), "has the type dictionary"),
    ],
)
def test_columns_that_are_no_samples_are_refused(tmp_path, column, words):
    path = written(tmp_path, {"ppg": column})
    with pytest.raises(ReadError, match=words):
        read(path, "ppg")


def test_columns_of_two_kinds_and_of_one_name_are_refused(tmp_path):
    with pytest.raises(ReadError, match="'ppg' numbers, 'ir' lists"):
        read(written(tmp_path, {"ppg": [1.0], "ir": [[1.0]]}), "ppg", "ir")
    path = written(tmp_path, pa.Table.from_arrays([pa.array([1.0]), pa.array([2]), pa.array([3.0])], ["a", "b", "a"]))
    assert read(path, "b") == [[[2]]]
    for column in ("a", 2):
        with pytest.raises(ReadError, match="2 columns are named 'a'"):
            read(path, column)
    with pytest.raises(ReadError, match="no column number 3"):
        read(path, 3)


def test_a_file_that_holds_nothing_or_is_something_else(tmp_path):
    with pytest.raises(ReadError, match="has 0 rows"):
        read(written(tmp_path, {"ppg": pa.array([], pa.float32())}), "ppg")
    for content, words in {b"": "is empty", b"PAR1": "damaged", b"text" * 9: "not a Parquet file"}.items():
        (tmp_path / "b.parquet").write_bytes(content)
        with pytest.raises(ReadError, match=words):
            read(tmp_path / "b.parquet", "ppg")


def test_more_rows_than_a_recording_can_have_are_refused_before_any_is_read(tmp_path, monkeypatch):
    path = written(tmp_path, {"ppg": np.zeros(100), "list": [[0.0]] * 100})
    monkeypatch.setattr(parquet, "_MAX_ROWS", 99)
    with pytest.raises(ReadError, match="has 100 rows, and 1 to 99 can be read"):
        read(path, "ppg")
    monkeypatch.undo()
    monkeypatch.setattr("ppgssl.readers.raw_files.MAX_BYTES", 10)
    with pytest.raises(ReadError, match="the content of the wanted columns has"):
        read(path, "list")


def test_a_file_with_fewer_rows_than_it_states_is_refused(tmp_path):
    path = written(tmp_path, {"ppg": np.arange(500.0)}, use_dictionary=False, compression="none", store_schema=False)
    content = path.read_bytes()
    # As Thrift writes 500 and 502: the rows of the row group and of the file, and the values of the column.
    footer = content.rindex(b"schema")
    path.write_bytes(content[:footer] + content[footer:].replace(b"\xe8\x07", b"\xec\x07"))
    assert pq.read_metadata(path).num_rows == 502
    with pytest.raises(ReadError, match="damaged"):
        read(path, "ppg")


def test_statistics_that_do_not_fit_their_column_do_not_end_the_process(tmp_path):
    path = written(tmp_path, {"ppg": [[1.0], [2.0]]}, store_schema=False)
    # "May be null" becomes "never null", and the counts of nulls are one too many: pyarrow 26 calls `abort` when asked
    # for the sizes of such a column.
    content = path.read_bytes().replace(b"\x25\x02\x18\x07element", b"\x25\x00\x18\x07element")
    path.write_bytes(content)
    with pytest.raises(ReadError, match="damaged"):
        read(path, "ppg")


@given(
    st.lists(st.floats(0, 9), max_size=6),
    st.sampled_from([0, 10**9]),
    st.integers(1, 400),
    st.integers(1, 200),
    st.booleans(),
)
def test_intervals_that_meet_are_the_whole(tmp_path, edges, short_rows, group_rows, batch_rows, is_list):
    numbers = np.arange(400.0)
    path = written(tmp_path, {"ppg": [numbers] if is_list else numbers}, row_group_size=group_rows)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parquet, "_SHORT_ROWS", short_rows)
        patch.setattr(parquet, "_BATCH_ROWS", batch_rows)
        (recording,) = open_parquet(path, ["ppg"], 50.0, ParquetOptions())
        assert recording.duration_s == 8.0
        steps = itertools.pairwise([0.0, *sorted(edges), 9.0])
        parts = [recording.read(start_s, stop_s)["ppg"].samples for start_s, stop_s in steps]
        np.testing.assert_array_equal(np.concatenate(parts), numbers)
        path.unlink()
        if not short_rows and not is_list:
            with pytest.raises(ReadError, match=r"a\.parquet: there is no such file .any more"):
                recording.read(0.0, 1.0)


@given(st.data())
def test_nothing_but_a_read_error_escapes_from_damaged_files(tmp_path, data):
    numbers = np.arange(60.0)
    columns = {"ppg": numbers, "list": [numbers[:5]] * 60, "text": ["a"] * 60}
    path = written(tmp_path, columns, compression=data.draw(st.sampled_from(["none", "snappy", "zstd"])))
    path.write_bytes(damaged(data, path.read_bytes()))
    with contextlib.suppress(ReadError):
        read(path, data.draw(st.sampled_from(["ppg", "list", 0])))
