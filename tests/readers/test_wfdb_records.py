"""WFDB records: real samples agree with the package wfdb, any interval can be read, and damaged ones are refused."""

from __future__ import annotations

import contextlib
import csv
import shutil
import tracemalloc
from itertools import pairwise

import numpy as np
import pytest
import wfdb
from hypothesis import given
from hypothesis import strategies as st

from ppgssl.core.errors import ReadError
from ppgssl.readers import wfdb_records
from ppgssl.readers.wfdb_records import WfdbOptions, open_wfdb, wfdb_files
from tests.readers.test_wfdb_headers import write_header
from tests.support.damage import damaged

GAPS = WfdbOptions(missing_segments="gap")
FOLDER = "wfdb_samples"
SINGLE = ["8", "16", "24", "32", "61", "80", "160", "212", "310", "311", "508", "516", "524"]


def record(path, *columns, fs_hz=None, options=None):
    (found,) = open_wfdb(path, columns, fs_hz, options or WfdbOptions())
    return found


def whole(path, *columns, **keywords):
    return [record(path, *columns, **keywords).whole()[column].samples for column in columns]


def write_record(folder, line="a 1 100 4", signal="a.dat 16 1 16 0 0 0 0 ppg", samples=(1, 2, 3, 4), name="a"):
    np.array(samples, dtype="<i2").tofile(folder / f"{name}.dat")
    return write_header(folder, f"{line}\n{signal}\n", name)


def entries(test_data):
    with (test_data / FOLDER / "records.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if not row["layout"].startswith("EDF")]
    assert len(rows) == 28
    return [(test_data / FOLDER / f"{row['record']}.hea", row) for row in rows]


def reference(path, **options):
    """Physical samples of each signal at its own rate, as wfdb reads them."""
    return wfdb.rdrecord(str(path.with_suffix("")), smooth_frames=False, **options)


def test_every_real_record_agrees_with_wfdb(test_data):
    for path, row in entries(test_data):
        n_signals = len(row["channels"].split("; "))
        found = record(path, *range(n_signals), options=GAPS)
        is_incomplete = "INCOMPLETE" in row["note"]
        expected = reference(path, sampto=7500 if is_incomplete else None)
        assert found.duration_s == pytest.approx(float(row["seconds"]), abs=0.005)
        signals = found.read(0, 60 if is_incomplete else found.duration_s)
        for number, name in enumerate(expected.sig_name):
            spf = expected.samps_per_frame[number]
            assert signals[number].fs_hz == found.fs_hz[number] == pytest.approx(expected.fs * spf)
            assert found.n_samples[number] == int(row["n_frames"]) * spf
            np.testing.assert_array_equal(
                signals[number].samples, expected.e_p_signal[number], err_msg=f"{path} {name}"
            )


def test_samples_have_the_checksums_of_their_header(test_data):
    n_checked = 0
    for path, row in entries(test_data):
        header = wfdb.rdheader(str(path.with_suffix("")))
        if row["layout"] != "single" or "invented" in row["note"] or any(header.skew):
            continue
        found = record(path, *range(header.n_sig)).whole()
        for number in range(header.n_sig):
            digital = found[number].samples * header.adc_gain[number] + header.baseline[number]
            digital = np.where(np.isnan(digital), -(2 ** (wfdb_bits(header.fmt[number]) - 1)), np.rint(digital))
            assert int(digital.astype(np.int64).sum()) % 65536 == header.checksum[number] % 65536, (path, number)
            n_checked += 1
    assert n_checked > 80


def wfdb_bits(storage):
    return {"8": 32, "212": 12, "310": 10, "311": 10, "61": 16, "80": 8, "160": 16}.get(storage, int(storage[-2:]))


def test_records_are_found_with_all_their_files(test_data):
    counts = {"100": 2, "binformats": 11, "multi-segment/041s/041s": 5, "multi-segment/fixed1/v102s": 5}
    for name, count in counts.items():
        files = wfdb_files(test_data / FOLDER / f"{name}.hea")
        assert files[0] == test_data / FOLDER / f"{name}.hea"
        assert len(files) == len(set(files)) == count
        assert all(file.is_file() for file in files)
    incomplete = wfdb_files(test_data / FOLDER / "multi-segment/p000878/p000878-2137-10-26-16-57.hea")
    assert len(incomplete) == 1 + 1 + 32 + 2
    assert sum(file.is_file() for file in incomplete) == 6


def test_an_incomplete_record_is_refused_or_has_gaps(test_data):
    path = test_data / FOLDER / "multi-segment/p000878/p000878-2137-10-26-16-57.hea"
    with pytest.raises(ReadError, match=r"needs '3269321_0003\.hea', which is not there.*missing_segments: gap"):
        open_wfdb(path, ["PLETH"], None, WfdbOptions())
    found = record(path, "PLETH", "II", "ABP", options=GAPS)
    assert found.duration_s == 421_800
    signals = found.read(0, 600)
    assert np.isnan(signals["PLETH"].samples[:3750]).all()
    assert np.isfinite(signals["PLETH"].samples[3750:7500]).any()
    assert np.isnan(signals["II"].samples[:5750]).all()
    assert np.isfinite(signals["II"].samples[5750:7500]).any()
    assert np.isnan(signals["PLETH"].samples[7500:]).all()
    assert np.isnan(signals["ABP"].samples).all()
    # Segments of a variable layout may lack a signal.
    abp, ii = whole(test_data / FOLDER / "multi-segment/s25047/s25047-2704-05-04-10-44.hea", "ABP", "II")
    for samples, first in ((abp, 543_240 - 3525 - 93_975), (ii, 25_740)):
        assert np.isnan(samples[:first]).all()
        assert np.isfinite(samples[first:]).mean() > 0.9


VARIOUS = ["03700181", "binformats", "flacformats", "mixedsignals", "test01_00s_skewframe", "a103l-no-len", "041s"]


@pytest.mark.parametrize("name", [*VARIOUS, "s25047-2704-05-04-10-44"])
def test_intervals_of_real_records_join_to_the_whole(test_data, name, monkeypatch):
    monkeypatch.setattr(wfdb_records, "_BLOCK_SAMPLES", 5000)
    (path,) = (test_data / FOLDER).rglob(f"{name}.hea")
    found = record(path, *range(wfdb.rdheader(str(path.with_suffix(""))).n_sig))
    edges = np.linspace(0, found.duration_s, 8)
    parts = [found.read(*edge) for edge in pairwise(edges)]
    for column, signal in found.whole().items():
        joined = np.concatenate([part[column].samples for part in parts])
        np.testing.assert_array_equal(joined, signal.samples)


def test_signals_are_named_or_numbered(tmp_path):
    signals = [f"a.dat 16 1 16 0 0 0 0 {name}" for name in ("PLETH", "II", "PLETH", "red light")]
    path = write_header(tmp_path, "\n".join(["a 4 100 2", *signals]))
    np.arange(8, dtype="<i2").tofile(tmp_path / "a.dat")
    assert [samples.tolist() for samples in whole(path, "II", 0, 2, "red light")] == [[1, 5], [0, 4], [2, 6], [3, 7]]
    with pytest.raises(ReadError, match=r"2 signals are named 'PLETH'\. Give the signal's 0-based number"):
        open_wfdb(path, ["PLETH"], None, WfdbOptions())
    with pytest.raises(ReadError, match=r"no signal is named 'red Light'.*did you mean 'red light'"):
        open_wfdb(path, ["red Light"], None, WfdbOptions())
    with pytest.raises(ReadError, match="there is no signal number 4"):
        open_wfdb(path, [4], None, WfdbOptions())


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ("16", [0.05, 0.005, -0.005]),
        ("16 0", [0.05, 0.005, -0.005]),
        ("16 /mV", [0.05, 0.005, -0.005]),
        ("16 2(4)/mV", [3, -1.5, -2.5]),
        ("16 2/mV 12 -10", [10, 5.5, 4.5]),
        ("16 -2(4)/mV 12 3", [-3, 1.5, 2.5]),
        ("16 5e-1", [20, 2, -2]),
    ],
)
def test_numbers_become_physical_values(tmp_path, fields, expected):
    path = write_record(tmp_path, "a 1 100", f"a.dat {fields}", (10, 1, -1, -32768))
    np.testing.assert_allclose(whole(path, 0)[0], [*expected, np.nan])


@pytest.mark.parametrize("line", ["a 1 100", "a 1 100 0", "a 1 1e2 4", "a 1 100/1000(5) 4 12:00:00 31/31/2020"])
def test_lengths_may_be_left_out_and_dates_need_not_exist(tmp_path, line):
    found = record(write_record(tmp_path, line), "ppg")
    assert found.fs_hz == {"ppg": 100}
    assert found.whole()["ppg"].samples.tolist() == [1, 2, 3, 4]


def test_the_rate_of_the_header_must_be_the_stated_one(tmp_path):
    path = write_record(tmp_path, "a 1 62.5 2", "a.dat 16x2 1 16 0 0 0 0 ppg")
    assert record(path, "ppg").fs_hz == record(path, "ppg", fs_hz=125.0).fs_hz == {"ppg": 125}
    with pytest.raises(ReadError, match=r"'ppg' has 125 Hz, and `signals\.fs_hz` is 62\.5"):
        record(path, "ppg", fs_hz=62.5)
    path = write_record(tmp_path, "a 1")
    assert record(path, "ppg", fs_hz=80.0).fs_hz == {"ppg": 80}
    with pytest.raises(ReadError, match="states no sampling rate"):
        record(path, "ppg")


def test_a_skewed_signal_is_moved_to_its_true_time(tmp_path):
    np.arange(12, dtype="<i2").tofile(tmp_path / "a.dat")
    path = write_header(tmp_path, "a 2 1 4\na.dat 16x2:1 1 16 0 0 0 0 ppg\na.dat 16:3 1 16 0 0 0 0 ecg\n")
    ppg, ecg = whole(path, "ppg", "ecg")
    np.testing.assert_array_equal(ppg, [3, 4, 6, 7, 9, 10, np.nan, np.nan])
    np.testing.assert_array_equal(ecg, [11, np.nan, np.nan, np.nan])
    np.testing.assert_array_equal(record(path, "ecg").read(1, 4)["ecg"].samples, [np.nan] * 3)


def test_compressed_signals_may_have_a_skew_an_offset_and_no_length(tmp_path):
    ppg = np.arange(40.0).reshape(20, 2)
    options = {"fmt": ["516"] * 2, "adc_gain": [10.0] * 2, "baseline": [5] * 2, "sig_name": ["ppg", "ecg"]}
    wfdb.wrsamp("a", fs=10, units=["NU"] * 2, p_signal=ppg, write_dir=str(tmp_path), **options)
    for length in ("", " 17"):
        lines = [f"a 2 10{length}", "a.dat 516+3 10(5)/NU 16 0 0 0 0 ppg", "a.dat 516:2+3 10(5)/NU 16 0 0 0 0 ecg"]
        found = record(write_header(tmp_path, "\n".join(lines)), "ppg", "ecg")
        signals = found.whole()
        np.testing.assert_array_equal(signals["ppg"].samples, ppg[3:, 0])
        np.testing.assert_array_equal(signals["ecg"].samples, [*ppg[5:, 1], np.nan, np.nan])
        np.testing.assert_array_equal(found.read(1.4, 1.6)["ecg"].samples, [ppg[19, 1], np.nan])
    with pytest.raises(ReadError, match=r"promises 1 signals in 'a\.dat', which has 2"):
        record(write_header(tmp_path, "a 1 10\na.dat 516\n"), 0)


def test_null_signals_are_missing_throughout(tmp_path):
    path = write_record(tmp_path, "a 2 100 4", "a.dat 16 1 16 0 0 0 0 ppg\n~ 0 1 16 0 0 0 0 ecg")
    ppg, ecg = whole(path, "ppg", "ecg")
    assert ppg.tolist() == [1, 2, 3, 4]
    assert np.isnan(ecg).tolist() == [True] * 4


def test_the_unused_bits_of_format_311_are_ignored(tmp_path):
    words = np.array([-1 & 0x3FF | 5 << 10 | (-7 & 0x3FF) << 20], dtype="<u4")
    for unused in (0, 1 << 30, 2 << 30, 3 << 30):
        (words | np.uint32(unused)).astype("<u4").tofile(tmp_path / "a.dat")
        path = write_header(tmp_path, "a 1 100 3\na.dat 311 1 10 0 0 0 0 ppg\n")
        assert whole(path, "ppg")[0].tolist() == [-1, 5, -7]


def write_divided(folder, lines="layout 0\nb 2\n~ 3\nc 4", line="a/4 2 10 9"):
    write_header(folder, "layout 2 10 0\n~ 0 1 16 0 0 0 0 ppg\n~ 0x2 1 16 0 0 0 0 ecg\n", "layout")
    write_header(folder, "b 1 10 2\nb.dat 16x2 1 16 0 0 0 0 ecg\n", "b")
    write_header(folder, "c 2 10 4\nc.dat 16x2 10 16 0 0 0 0 ecg\nc.dat 16 2 16 0 0 0 0 ppg\n", "c")
    np.arange(4, dtype="<i2").tofile(folder / "b.dat")
    np.arange(12, dtype="<i2").tofile(folder / "c.dat")
    return write_header(folder, f"{line}\n{lines}\n")


def test_segments_of_a_variable_layout_have_their_own_signals_and_gains(tmp_path):
    path = write_divided(tmp_path)
    found = record(path, "ppg", "ecg")
    assert (found.fs_hz, found.n_samples) == ({"ppg": 10, "ecg": 20}, {"ppg": 9, "ecg": 18})
    signals = found.whole()
    np.testing.assert_array_equal(signals["ppg"].samples, [np.nan] * 5 + [1, 2.5, 4, 5.5])
    ecg = [0, 1, 2, 3, *[np.nan] * 6, 0, 0.1, 0.3, 0.4, 0.6, 0.7, 0.9, 1.0]
    np.testing.assert_allclose(signals["ecg"].samples, ecg)
    np.testing.assert_allclose(found.read(0.1, 0.65)["ecg"].samples, ecg[2:13])


@pytest.mark.parametrize("absent", ["c.hea", "c.dat"])
def test_a_segment_without_its_files_is_an_error_or_a_gap(tmp_path, absent):
    path = write_divided(tmp_path)
    (tmp_path / absent).unlink()
    assert tmp_path / absent in wfdb_files(path) or absent == "c.dat"
    with pytest.raises(ReadError, match=f"needs '{absent}', which is not there"):
        record(path, "ecg")
    np.testing.assert_array_equal(whole(path, "ecg", options=GAPS)[0], [0, 1, 2, 3, *[np.nan] * 14])


def test_a_file_that_nothing_asked_for_may_be_absent(tmp_path):
    path = write_record(tmp_path, "a 2 100 4", "a.dat 16 1 16 0 0 0 0 ppg\nb.dat 16 1 16 0 0 0 0 ecg")
    assert whole(path, "ppg")[0].tolist() == [1, 2, 3, 4]
    for options in (WfdbOptions(), GAPS):
        with pytest.raises(ReadError, match=r"needs 'b\.dat', which is not there"):
            record(path, "ecg", options=options)


@pytest.mark.parametrize(
    ("lines", "line", "message"),
    [
        ("layout 0\nb 2\n~ 3", "a/4 2 10 9", "promises 4 segments, and 3 lines follow"),
        ("layout 0\nb 2\n~ 3\nc 4", "a/4 2 10 10", "promises 10 frames, and its segments 9"),
        ("layout 0\nb 3", "a/2 2 10", "a segment of 2 frames, and a.hea promises 3"),
        ("layout 0\nb 2", "a/2 2 20", "a segment at 10 Hz of a record at 20 Hz"),
        ("b 2\nc 4", "a/2 2 10", "a segment of 2 signals, next to one of 1"),
        ("layout 0\nlayout 4\n", "a/2 2 10", None),
        ("a 2", "a/1 2 10", "a segment of a.hea, and divided into segments itself"),
        ("layout 0\na 2", "a/2 2 10", "a segment of a.hea, and divided into segments itself"),
        ("~ 2", "a/1 2 10", "no header of a segment lists the signals"),
        ("~ 0\nb 2", "a/2 2 10", "no header of a segment lists the signals"),
        ("layout 0", "a/1 2 10", "has no samples"),
        ("layout 0\n../b 2", "a/2 2 10", "a file outside its folder"),
        ("layout 0\n~ 99999999999", "a/2 2 10", "up to 2000000000 are read, and 1000 days"),
    ],
)
def test_divided_records_that_contradict_themselves_are_refused(tmp_path, lines, line, message):
    path = write_divided(tmp_path, lines, line)
    if message is None:
        assert np.isnan(whole(path, 0)[0]).all()
        return
    with pytest.raises(ReadError, match=message):
        whole(path, 0)


def test_a_segment_with_another_number_of_samples_per_frame_is_refused(tmp_path):
    path = write_divided(tmp_path)
    write_header(tmp_path, "b 1 10 2\nb.dat 16 1 16 0 0 0 0 ecg\n", "b")
    with pytest.raises(ReadError, match=r"'ecg' has 1 samples per frame, and 2 in layout\.hea"):
        record(path, "ecg")
    assert np.isnan(whole(path, "ppg")[0][:5]).all()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a 1 100 5\na.dat 16\n", r"promises 5 frames, and 'a\.dat' holds 4"),
        ("a 1 100 999999999999\na.dat 16\n", "promises 999999999999 samples"),
        ("a 1 100 4\na.dat 16+9\n", r"promises 4 frames, and 'a\.dat' holds 0"),
        ("a 1 100\na.dat 16+9\n", "has no samples"),
        ("a 1 100 4\na.dat 16x999999\n", r"promises 4 frames, and 'a\.dat' holds 0"),
        ("a 2 100 1\na.dat 16x999999\na.dat 16x9\n", "1000008 samples per frame"),
        ("a 1 100 4\nb.dat 16\n", r"needs 'b\.dat', which is not there"),
        ("a 1 100 4\na.dat 516\n", "it does not begin as a FLAC file does"),
        ("a 0 100 4\n", "there is no signal number 0"),
    ],
)
def test_what_a_header_promises_is_compared_with_the_files(tmp_path, text, message):
    write_record(tmp_path)
    with pytest.raises(ReadError, match=message):
        whole(write_header(tmp_path, text), 0)


@pytest.mark.parametrize("name", ["../b.dat", "link.dat", "folder"])
def test_what_a_header_must_not_name_is_neither_opened_nor_listed(tmp_path, name):
    inside = tmp_path / "in"
    (inside / "folder").mkdir(parents=True)
    np.arange(4, dtype="<i2").tofile(tmp_path / "b.dat")
    (inside / "link.dat").symlink_to(tmp_path / "b.dat")
    path = write_header(inside, f"a 1 100 4\n{name} 16 1 16 0 0 0 0 ppg\n")
    with pytest.raises(ReadError, match=r"outside its folder|is a folder, a pipe or a device"):
        record(path, "ppg")
    assert wfdb_files(path) == [path]


def test_only_headers_are_opened_and_no_chain_of_addresses(tmp_path):
    (tmp_path / "a::b").mkdir()
    with pytest.raises(ReadError, match="with :: in its name"):
        record(write_record(tmp_path / "a::b"), 0)
    path = write_record(tmp_path, signal="a.dat 16 1e-300 16 0 0 0 0 ppg")
    with pytest.raises(ReadError, match="channel 'ppg' has 4 infinite or too large values"):
        whole(path, "ppg")
    with pytest.raises(ReadError, match=r"opens headers \(\.hea\)"):
        record(tmp_path / "a.dat", 0)
    with pytest.raises(ReadError, match="there is no such file"):
        record(tmp_path / "b.hea", 0)
    assert wfdb_files(tmp_path / "b.hea") == [tmp_path / "b.hea"]


def test_a_file_that_shrinks_or_vanishes_after_it_was_opened_is_named(tmp_path):
    path = write_record(tmp_path)
    found = record(path, "ppg")
    (tmp_path / "a.dat").write_bytes(b"12")
    with pytest.raises(ReadError, match=r"a\.dat: damaged, or not of the format that its header states"):
        found.whole()
    (tmp_path / "a.dat").unlink()
    with pytest.raises(ReadError, match=r"a\.dat: there is no such file \(any more\)"):
        found.whole()


def test_a_day_is_read_in_intervals_without_being_held(tmp_path):
    n_frames = 24 * 3600 * 125
    with (tmp_path / "a.dat").open("wb") as file:
        file.truncate(n_frames * 3 * 2)
        hour = np.tile(np.array([[1, 2, 3]], dtype="<i2"), (3600 * 125, 1))
        file.seek(23 * 3600 * 125 * 6)
        file.write(hour.tobytes())
    lines = [f"a.dat 16 1 16 0 0 0 0 {name}" for name in ("ppg", "ecg", "resp")]
    for length in ("", f" {n_frames}"):
        found = record(write_header(tmp_path, "\n".join([f"a 3 125{length}", *lines])), "ppg", "ecg")
        assert found.duration_s == 86_400
        tracemalloc.start()
        part = found.read(23.5 * 3600, 23.6 * 3600)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert len(part["ppg"].samples) == 45_000
        assert (part["ppg"].samples == 1).all()
        assert (part["ecg"].samples == 2).all()
        assert (found.read(22.9 * 3600, 23 * 3600)["ppg"].samples == 0).all()
        assert peak < 10_000_000


def test_an_interval_that_memory_may_not_hold_is_refused(tmp_path):
    write_header(tmp_path, "b 1 125\n~ 0 1 16 0 0 0 0 ppg\n", "b")
    found = record(write_header(tmp_path, "a/1 1 125 300000000\nb 300000000\n"), "ppg")
    assert np.isnan(found.read(2e6, 2e6 + 1)["ppg"].samples).sum() == 125
    with pytest.raises(ReadError, match=r"2\.4 GB of samples are asked for at once"):
        found.whole()


@given(
    storage=st.sampled_from(["16", "24", "32", "80", "212", "508", "516", "524"]),
    per_frame=st.lists(st.integers(1, 3), min_size=1, max_size=4),
    n_frames=st.integers(1, 60),
    cuts=st.lists(st.floats(0, 1), max_size=3),
    block=st.integers(1, 50),
    seed=st.integers(0, 2**32 - 1),
)
def test_what_wfdb_writes_comes_back_whole_and_in_intervals(tmp_path, storage, per_frame, n_frames, cuts, block, seed):
    rng = np.random.default_rng(seed)
    is_flac = storage.startswith("5")
    per_frame = [per_frame[0]] * len(per_frame) if is_flac else per_frame
    written = [rng.normal(0, 3, n_frames * count) for count in per_frame]
    for samples in written:
        samples[rng.random(len(samples)) < 0.1] = np.nan
    top = 2 ** (int(storage) - 501 if is_flac else {"80": 7, "212": 11}.get(storage, int(storage) - 1))
    gains = [0.9 * top / 15] * len(per_frame)
    names = [f"signal {number}" for number in range(len(per_frame))]
    wfdb.wrsamp(
        "a",
        fs=50,
        units=["mV"] * len(names),
        sig_name=names,
        e_p_signal=[samples.copy() for samples in written],
        samps_per_frame=per_frame,
        fmt=[storage] * len(names),
        adc_gain=gains,
        baseline=[0] * len(names),
        write_dir=str(tmp_path),
    )
    found = record(tmp_path / "a.hea", *names)
    signals = found.whole()
    edges = [0.0, *sorted(cut * found.duration_s for cut in cuts), found.duration_s]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(wfdb_records, "_BLOCK_SAMPLES", block)
        parts = [found.read(*edge) for edge in pairwise(edges)]
    for name, samples, count, gain in zip(names, written, per_frame, gains, strict=True):
        assert signals[name].fs_hz == 50 * count
        np.testing.assert_allclose(signals[name].samples, samples, atol=0.5001 / gain)
        np.testing.assert_array_equal(np.concatenate([part[name].samples for part in parts]), signals[name].samples)


@given(
    storage=st.sampled_from([name for name in SINGLE if name not in ("508", "516", "524")]),
    content=st.binary(min_size=36, max_size=300),
    per_frame=st.lists(st.integers(1, 3), min_size=1, max_size=3),
    edges=st.lists(st.floats(0, 1), min_size=2, max_size=2),
    skews=st.lists(st.integers(0, 3), min_size=3, max_size=3),
    block=st.integers(1, 50),
)
def test_any_interval_of_any_format_is_that_of_the_whole(tmp_path, storage, content, per_frame, edges, skews, block):
    (tmp_path / "a.dat").write_bytes(content)
    lines = [
        f"a.dat {storage}x{count}:{skew} 1 16 0 7 0 0 {number}"
        for number, (count, skew) in enumerate(zip(per_frame, skews, strict=False))
    ]
    path = write_header(tmp_path, "\n".join([f"a {len(lines)} 10", *lines]))
    columns = list(range(len(lines)))
    found = record(path, *columns)
    signals = found.whole()
    # Without a stated length, wfdb 4.3.1 expects a sample too many of format 310, and fails.
    write_header(tmp_path, "\n".join([f"a {len(lines)} 10 {found.n_samples[0] // per_frame[0]}", *lines]))
    expected = reference(path, ignore_skew=True).e_p_signal
    for column in columns:
        skew = skews[column] * per_frame[column]
        whole_signal = signals[column].samples
        if storage != "311":  # Its unused bits, which are random here, are wrong in wfdb 4.3.1.
            np.testing.assert_array_equal(whole_signal[: max(0, len(whole_signal) - skew)], expected[column][skew:])
        assert np.isnan(whole_signal[max(0, len(whole_signal) - skew) :]).all()
    start_s, stop_s = (edge * found.duration_s for edge in sorted(edges))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(wfdb_records, "_BLOCK_SAMPLES", block)
        part = found.read(start_s, stop_s)
    for column in columns:
        rate = found.fs_hz[column]
        np.testing.assert_array_equal(
            part[column].samples, signals[column].samples[round(start_s * rate) : round(stop_s * rate)]
        )


SMALL = ["100_3chan", "3000003_0003", "310derive", "311derive", "binformats", "flacformats", "mixedsignals"]
DIVIDED = ["multi-segment/041s/041s", "multi-segment/s00001/s00001-2896-10-09-01-56"]


def copy_record(path, folder):
    """Copy a record into an empty folder, and return its header there."""
    for file in folder.iterdir():
        file.unlink()
    for file in wfdb_files(path):
        shutil.copyfile(file, folder / file.name)
    return folder / path.name


@given(st.data())
def test_nothing_but_a_read_error_escapes_from_damaged_records(test_data, tmp_path, data):
    name = data.draw(st.sampled_from(SMALL + DIVIDED))
    path = copy_record(test_data / FOLDER / f"{name}.hea", tmp_path)
    files = sorted(tmp_path.iterdir())
    headers = [file for file in files if file.suffix == ".hea"]
    target = data.draw(st.sampled_from(headers) | st.sampled_from(files))
    target.write_bytes(damaged(data, target.read_bytes()))
    assert wfdb_files(path)[0] == path
    with contextlib.suppress(ReadError):
        found = record(path, 0, options=data.draw(st.sampled_from([WfdbOptions(), GAPS])))
        assert len(found.read(0, 5)[0].samples) == min(round(5 * found.fs_hz[0]), found.n_samples[0])
