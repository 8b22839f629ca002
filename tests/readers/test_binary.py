"""Files of raw numbers: every type and layout, and what a file without a header can still say about damage."""

from __future__ import annotations

import contextlib
import os

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ppgssl.core.errors import ReadError
from ppgssl.readers import binary
from ppgssl.readers.binary import BinaryOptions, open_binary

NUMBERS = np.array([1, 2, 3, 40, 50, 60])


def opened(path, *columns, fs_hz=80.0, **options):
    (recording,) = open_binary(path, columns, fs_hz, BinaryOptions(**options))
    return recording


def read(path, *columns, **options):
    signals = opened(path, *columns, **options).whole()
    assert all(signals[column].samples.dtype == np.float64 for column in columns)
    return [signals[column].samples.tolist() for column in columns]


def test_the_published_layout_is_the_default(tmp_path):
    NUMBERS.astype("<f4").tofile(tmp_path / "7_spo2red.ts")
    recording = opened(tmp_path / "7_spo2red.ts", 0)
    assert (recording.fs_hz, recording.n_samples) == ({0: 80.0}, {0: 6})
    assert recording.whole()[0].samples.tolist() == NUMBERS.tolist()


@pytest.mark.parametrize("order", ["little", "big"])
@pytest.mark.parametrize("dtype", ["float32", "float64", "int8", "int16", "int32", "uint8", "uint16", "uint32"])
def test_every_type_in_both_byte_orders(tmp_path, dtype, order):
    NUMBERS.astype(np.dtype(dtype).newbyteorder("<" if order == "little" else ">")).tofile(tmp_path / "a")
    assert read(tmp_path / "a", 0, dtype=dtype, byte_order=order) == [NUMBERS.tolist()]


def test_channels_alternate_after_the_header(tmp_path):
    (tmp_path / "a").write_bytes(b"HEADER" + NUMBERS.astype("<i2").tobytes())
    layout = {"dtype": "int16", "n_channels": 2, "header_bytes": 6}
    assert read(tmp_path / "a", 1, 0, **layout) == [[2, 40, 60], [1, 3, 50]]
    with pytest.raises(ReadError, match="no channel number 2, counted from 0: the file has 2 channels: 0, 1"):
        read(tmp_path / "a", 2, **layout)
    with pytest.raises(ReadError, match="no channel is named 'red'"):
        read(tmp_path / "a", "red", **layout)


def test_marks_of_missing_samples_are_compared_as_numbers_of_the_file(tmp_path):
    np.array([1, -999.9, np.nan, np.inf], dtype="<f4").tofile(tmp_path / "a")
    # -999.9 has no 32-bit float of its own.
    np.testing.assert_array_equal(
        read(tmp_path / "a", 0, missing=[-999.9, float("inf")])[0], [1, np.nan, np.nan, np.nan]
    )
    with pytest.raises(ReadError, match=r"channel 0 has 1 infinite .* at sample 3"):
        read(tmp_path / "a", 0)
    np.array([1, 255], dtype="u1").tofile(tmp_path / "b")
    np.testing.assert_array_equal(read(tmp_path / "b", 0, dtype="uint8", missing=[255, -1, 1.5])[0], [1, np.nan])


def test_a_file_that_is_cut_off_is_refused(tmp_path):
    (tmp_path / "a").write_bytes(NUMBERS.astype("<f4").tobytes()[:-1])
    with pytest.raises(ReadError, match=r"23 bytes of samples are no whole number of frames of 4 bytes .*cut off"):
        read(tmp_path / "a", 0)
    with pytest.raises(ReadError, match="too few for a header of 30 and one frame of 4"):
        read(tmp_path / "a", 0, header_bytes=30)


def test_a_long_file_is_read_in_intervals_and_never_whole(tmp_path, monkeypatch):
    numbers = np.arange(3_000_000, dtype="<i2")
    numbers.tofile(tmp_path / "a")
    lengths = []
    read_range = binary.read_range
    monkeypatch.setattr(
        binary, "read_range", lambda path, start, n_bytes: lengths.append(n_bytes) or read_range(path, start, n_bytes)
    )
    recording = opened(tmp_path / "a", 1, fs_hz=100.0, dtype="int16", n_channels=2)
    assert recording.duration_s == 15_000.0
    assert recording.read(10.0, 10.05)[1].samples.tolist() == [2001, 2003, 2005, 2007, 2009]
    assert lengths == [20]
    os.truncate(tmp_path / "a", 100)
    with pytest.raises(ReadError, match="became shorter while it was read"):
        recording.read(10.0, 10.05)
    (tmp_path / "a").unlink()
    with pytest.raises(ReadError, match="no such file"):
        recording.whole()


def test_an_infinite_sample_late_in_a_long_file_is_named_with_its_place(tmp_path, monkeypatch):
    monkeypatch.setattr(binary, "_SHORT_BYTES", 0)
    np.array([1, 2, 3, 4, np.inf], dtype="<f4").tofile(tmp_path / "a")
    recording = opened(tmp_path / "a", 0, fs_hz=1.0)
    assert recording.read(0.0, 4.0)[0].samples.tolist() == [1, 2, 3, 4]
    with pytest.raises(ReadError, match=r"'0, from sample 3' has 1 infinite .* at sample 1"):
        recording.read(3.0, 5.0)


@given(st.lists(st.floats(0, 20), max_size=6), st.sampled_from([0, 10**9]), st.integers(1, 3))
def test_intervals_that_meet_are_the_whole(tmp_path, edges, short_bytes, n_channels):
    np.arange(300 * n_channels, dtype="<f4").tofile(tmp_path / "a")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(binary, "_SHORT_BYTES", short_bytes)
        recording = opened(tmp_path / "a", n_channels - 1, fs_hz=30.0, n_channels=n_channels)
    edges = [0.0, *sorted(edges), recording.duration_s + 20]
    parts = [recording.read(*edges[place : place + 2])[n_channels - 1].samples for place in range(len(edges) - 1)]
    np.testing.assert_array_equal(np.concatenate(parts), np.arange(300) * n_channels + n_channels - 1)


@given(
    st.binary(max_size=100),
    st.sampled_from(["float32", "float64", "int8", "uint32"]),
    st.integers(1, 3),
    st.integers(0, 9),
)
def test_nothing_but_a_read_error_escapes_from_arbitrary_bytes(tmp_path, content, dtype, n_channels, header_bytes):
    (tmp_path / "a").write_bytes(content)
    with contextlib.suppress(ReadError):
        (samples,) = read(tmp_path / "a", 0, dtype=dtype, n_channels=n_channels, header_bytes=header_bytes)
        assert len(samples) * n_channels * np.dtype(dtype).itemsize == len(content) - header_bytes
