"""WFDB headers: what wfdb reads is read, what cannot be is refused, and no file outside the folder is ever opened."""

from __future__ import annotations

import contextlib
import os

import numpy as np
import pytest
import wfdb
from hypothesis import example, given
from hypothesis import strategies as st

from ppgssl.core.errors import ReadError
from ppgssl.readers.wfdb_headers import named_file, read_header, size_of

REAL = "wfdb_samples"
DIVIDED = [("041s/041s", ["041s01", "041s02"]), ("s00001/s00001-2896-10-09-01-56", ["3248903_layout", "~"])]


def write_header(folder, text, name="a"):
    path = folder / f"{name}.hea"
    path.write_text(text)
    return path


def test_real_headers_are_read_as_by_wfdb(test_data):
    paths = [path for path in sorted((test_data / REAL).glob("*.hea")) if path.stem != "test_generator_2"]
    assert len(paths) == 20
    for path in paths:
        found, expected = read_header(path), wfdb.rdheader(str(path.with_suffix("")))
        assert (found.path, found.frame_hz, found.n_frames) == (path, expected.fs, expected.sig_len)
        assert [signal.file for signal in found.signals] == expected.file_name
        assert [signal.format for signal in found.signals] == expected.fmt
        assert [signal.per_frame for signal in found.signals] == expected.samps_per_frame
        assert [signal.skew for signal in found.signals] == [skew or 0 for skew in expected.skew]
        assert [signal.gain for signal in found.signals] == expected.adc_gain
        assert [signal.baseline for signal in found.signals] == expected.baseline
        assert [signal.name for signal in found.signals] == [name or "" for name in expected.sig_name]


@pytest.mark.parametrize(("name", "segments"), DIVIDED)
def test_headers_of_divided_records_name_their_segments(test_data, name, segments):
    path = test_data / REAL / "multi-segment" / f"{name}.hea"
    found, expected = read_header(path), wfdb.rdheader(str(path.with_suffix("")))
    assert [segment for segment, _ in found.segments] == expected.seg_name == segments
    assert [n_frames for _, n_frames in found.segments] == expected.seg_len
    assert found.signals == found.groups == ()


def test_signals_are_grouped_by_the_file_that_holds_them(test_data):
    groups = read_header(test_data / REAL / "mixedsignals.hea").groups
    assert [(group.file, group.first, len(group.signals)) for group in groups] == [
        ("mixedsignals_e.dat", 0, 3),
        ("mixedsignals_p.dat", 3, 2),
        ("mixedsignals_r.dat", 5, 1),
    ]


def test_names_and_units_beyond_ascii_are_kept(tmp_path):
    for encoding in ("utf-8", "utf-8-sig", "latin-1"):
        (tmp_path / "a.hea").write_bytes("a 1 100 4\na.dat 16 2/°C 12 0 0 0 0 Température\n".encode(encoding))
        (signal,) = read_header(tmp_path / "a.hea").signals
        assert (signal.name, signal.gain) == ("Température", 2)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_comments_and_empty_lines_count_for_nothing(tmp_path, end):
    lines = ["# by a device", "", "a 1 100 4 # 12", "  ", "a.dat 16", "# Age: 55", "#"]
    (tmp_path / "a.hea").write_bytes(end.join(lines).encode())
    found = read_header(tmp_path / "a.hea")
    assert (found.frame_hz, found.n_frames, len(found.signals)) == (100, 4, 1)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the file is empty"),
        ("\n# a comment\n", "no record line"),
        ("a\n", "line 1 of the header is not a record line"),
        ("a x 100\n", "line 1 of the header is not a record line"),
        ("a 1 1OO 4\na.dat 16\n", "line 1 of the header is not a record line"),
        ("a 1 100 4x\na.dat 16\n", "line 1 of the header is not a record line"),
        ("a 1 100 4\n", "promises 1 signals, and 0 lines follow"),
        ("a 1 100 4\na.dat 16\nAge 55\n", "promises 1 signals, and 2 lines follow"),
        ("a 501 100 1\n" + "a.dat 16\n" * 501, "promises 501 signals, and up to 500"),
        ("a/20001 1 100\n" + "b 1\n" * 20001, "promises 20001 segments, and up to 20000"),
        ("a/0 2 10\n", "promises 1 segments, and 0 lines follow"),
        ("a/2 2 10\nlayout 0\nb -2\n", "line 3 of the header is not a segment"),
        ("a 1 0 4\na.dat 16\n", "a rate of 0 Hz"),
        ("a 1 1e300 4\na.dat 16\n", r"a rate of 1e\+300 Hz"),
        ("a 1 100 4\na.dat\n", "line 2 of the header is not a signal"),
        ("a 1 100 4\na.dat 16 200abc\n", "line 2 of the header is not a signal"),
        (f"a 1 100 4\na.dat 16 1 {'9' * 2000}\n", "line 2 of the header is not a signal"),
        ("a 1 100 4\na.dat 16 1e999\n", "a gain of inf"),
        ("a 1 100 4\na.dat 16x0\n", "0 samples per frame"),
        ("a 1 100 4\na.dat 17\n", "storage formats 8, 16"),
        ("a 2 100 2\na.dat 16\na.dat 8\n", "one of the storage formats"),
        ("a 2 100 2\na.dat 16+2\na.dat 16+4\n", "with one offset"),
        ("a 3 100 1\na.dat 16\nb.dat 16\na.dat 16\n", "'a.dat' must stand together"),
    ],
    ids=lambda text: text[:40],
)
def test_headers_that_cannot_be_are_refused(tmp_path, text, message):
    with pytest.raises(ReadError, match=message):
        read_header(write_header(tmp_path, text))


def test_what_stands_in_a_header_is_never_quoted(tmp_path):
    with pytest.raises(ReadError) as error:
        read_header(write_header(tmp_path, "a 1 100 4\nAnna Example, 55, sepsis\n"))
    assert "Anna" not in str(error.value)


def test_a_header_beyond_all_measure_is_refused_unread(tmp_path):
    with (tmp_path / "a.hea").open("wb") as file:
        file.truncate(3_000_000_000)
    with pytest.raises(ReadError, match="3000000000 bytes are no WFDB header"):
        read_header(tmp_path / "a.hea")


@example(b"\xff\xfe\x00")
@given(st.binary(min_size=1, max_size=300) | st.text(alphabet="a/~ 0129.x:+-(\n#", min_size=1).map(str.encode))
def test_nothing_but_a_read_error_escapes_from_arbitrary_headers(tmp_path, content):
    (tmp_path / "a.hea").write_bytes(content)
    with contextlib.suppress(ReadError):
        read_header(tmp_path / "a.hea")


@pytest.mark.parametrize(
    "name", ["../b.dat", "/etc/hostname", "sub/b.dat", "..", "link.dat", "C:\\b.dat", "http://b/c"]
)
def test_files_outside_the_folder_are_refused(tmp_path, name):
    inside = tmp_path / "in"
    (inside / "sub").mkdir(parents=True)
    for file in (tmp_path / "b.dat", inside / "sub/b.dat"):
        np.arange(4, dtype="<i2").tofile(file)
    (inside / "link.dat").symlink_to(tmp_path / "b.dat")
    with pytest.raises(ReadError, match="names a file outside its folder"):
        named_file(inside / "a.hea", name)


def test_links_inside_the_folder_and_to_the_folder_are_followed(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in/a.dat").write_bytes(b"1234")
    (tmp_path / "in/b.dat").symlink_to("a.dat")
    (tmp_path / "folder").symlink_to("in")
    path = tmp_path / "folder/a.hea"
    assert size_of(path, named_file(path, "b.dat")) == 4


@pytest.mark.parametrize("kind", ["folder", "pipe", "circle"])
def test_what_is_no_plain_file_is_refused(tmp_path, kind):
    make = {"folder": os.mkdir, "pipe": os.mkfifo, "circle": lambda link: os.symlink("b.dat", link)}
    make[kind](tmp_path / "b.dat")
    with pytest.raises(ReadError, match=r"'b\.dat' (is a folder, a pipe or a device|cannot be read)"):
        named_file(tmp_path / "a.hea", "b.dat")


def test_an_absent_file_has_a_place_and_no_size(tmp_path):
    path = tmp_path / "a.hea"
    assert named_file(path, "b.dat") == tmp_path / "b.dat"
    assert size_of(path, tmp_path / "b.dat") is None
