"""Every way in which a file can fail to be read has its own words."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from ppgssl.core.errors import ConfigError, ReadError
from ppgssl.core.text import Message
from ppgssl.readers import raw_files
from ppgssl.readers.raw_files import (
    as_samples,
    check_rate,
    check_samples,
    file_size,
    in_words,
    position,
    read_bytes,
    read_range,
)


def test_a_file_too_large_for_memory_is_refused_with_its_size(tmp_path, monkeypatch):
    (tmp_path / "a").write_bytes(b"1" * 11)
    monkeypatch.setattr(raw_files, "MAX_BYTES", 10)
    with pytest.raises(ReadError, match="Split the recording"):
        read_bytes(tmp_path / "a")


def test_a_missing_sampling_rate_is_a_mistake_of_the_description():
    assert check_rate(80.0) == 80.0
    with pytest.raises(ConfigError, match=r"signals.fs_hz"):
        check_rate(None)


def test_missing_samples_pass_and_infinite_ones_do_not():
    samples = np.array([1.0, np.nan])
    assert check_samples(Path("a"), "ppg", samples) is samples
    for bad in (np.inf, -np.inf, 1e39):
        with pytest.raises(ReadError, match=r"'ppg' has 1 infinite .* at sample 2"):
            check_samples(Path("a"), "ppg", np.array([1.0, np.nan, bad]))
    with pytest.raises(ReadError, match="no samples"):
        check_samples(Path("a"), "ppg", np.array([]))


def test_a_column_is_found_by_name_or_number():
    names = ["red", "infrared", "red"]
    assert position(Path("a"), "infrared", names, Message("column")) == 1
    assert position(Path("a"), 2, names, Message("column")) == 2
    with pytest.raises(ReadError, match=r"did you mean 'infrared'\?.*3 columns: red, infrared, red"):
        position(Path("a"), "infra_red", names, Message("column"))
    with pytest.raises(ReadError, match="2 columns are named 'red'"):
        position(Path("a"), "red", names, Message("column"))
    with pytest.raises(ReadError, match=r"no column number 660, counted from 0.*needs quotes"):
        position(Path("a"), 660, names, Message("column"))
    with pytest.raises(ReadError, match="no column number -1"):
        position(Path("a"), -1, names, Message("column"))


def test_a_message_lists_at_most_twenty_names():
    with pytest.raises(ReadError) as caught:
        position(Path("a"), "x", [f"channel {number}" for number in range(1000)], Message("column"))
    assert "and 980 more" in str(caught.value)
    assert len(str(caught.value)) < 600


def test_an_interval_of_a_file(tmp_path):
    (tmp_path / "a").write_bytes(b"0123456789")
    assert read_bytes(tmp_path / "a") == b"0123456789"
    assert file_size(tmp_path / "a") == 10
    assert read_range(tmp_path / "a", 3, 4) == b"3456"
    assert read_range(tmp_path / "a", 10, 0) == b""
    with pytest.raises(ReadError, match="a: became shorter while it was read"):
        read_range(tmp_path / "a", 8, 3)


def test_each_kind_of_path_that_is_no_plain_file_with_content_has_its_message(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "empty").touch()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    words = {"gone": "no such file", "link": "no such file", "folder": "found a folder", "pipe": "not a plain file"}
    words |= {"empty": "is empty", "a\0b": "cannot be read", "a" * 300: "cannot be read"}
    for name, expected in words.items():
        with pytest.raises(ReadError, match=expected):
            read_bytes(tmp_path / name)


@pytest.mark.parametrize(
    ("error", "words"), [(PermissionError(13, "denied"), "no permission"), (OSError(5, "I/O error"), "cannot be read")]
)
def test_errors_of_the_system_are_read_errors(error, words):
    with pytest.raises(ReadError, match=words), in_words(Path("a")):
        raise error


def test_numbers_become_samples():
    signalling = np.array([0x7F800001, 0x3F800000], dtype="u4").view("f4")
    np.testing.assert_array_equal(as_samples(Path("a"), 0, signalling, []), [np.nan, 1])
    for kind in ("f4", "f8", "i8"):
        samples = as_samples(Path("a"), 0, np.array([7, 1], dtype=kind), [7.0, 0.5, -999.9])
        assert samples.dtype == np.float64
        np.testing.assert_array_equal(samples, [np.nan, 1])
    assert as_samples(Path("a"), 0, np.array([], dtype="i2"), [1.0]).size == 0
    with pytest.raises(ReadError, match=r"'ppg, from sample 30' has 1 infinite .* at sample 1"):
        as_samples(Path("a"), "ppg", np.array([1, np.inf]), [], first=30)
