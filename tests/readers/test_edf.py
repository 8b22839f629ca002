"""EDF and EDF+: values, gaps, intervals, and headers that lie."""

from __future__ import annotations

import contextlib
import itertools
import os

import edfio
import numpy as np
import pytest
import wfdb
from hypothesis import given
from hypothesis import strategies as st

from ppgssl.core.errors import ReadError
from ppgssl.readers import edf
from ppgssl.readers.edf import EdfOptions, open_edf
from tests.support.damage import damaged

NAN = float("nan")
RATES = {"ppg": 50, "resp": 4}


def made(*labels, n_records=12, seed=0, plus=True):
    """A recording with records of 1 s, and a channel of annotations if ``plus``."""
    rng = np.random.default_rng(seed)
    signals = [
        edfio.EdfSignal(rng.normal(size=RATES[label] * n_records), RATES[label], label=label, physical_dimension="mV")
        for label in labels or RATES
    ]
    return edfio.Edf(signals, annotations=[edfio.EdfAnnotation(0.5, None, "moved")] if plus else None)


def interrupted(content, *onsets):
    """The same records as EDF+D, each with an onset of its own."""
    n_channels = int(content[252:256])
    length = 2 * int(content[256 * (1 + n_channels) - 40 * n_channels :][8 * (n_channels - 1) : 8 * n_channels])
    size = (len(content) - 256 * (1 + n_channels)) // len(onsets)
    out = bytearray(content)
    out[192:197] = b"EDF+D"
    for record, onset in enumerate(onsets):
        end = 256 * (1 + n_channels) + size * (record + 1)
        out[end - length : end] = f"{onset:+}\x14\x14".encode().ljust(length, b"\0")
    return bytes(out)


def changed(content, start, text):
    """The header with another text in the field at byte ``start``."""
    return content[:start] + text.encode("latin-1") + content[start + len(text) :]


def write(folder, content):
    (folder / "a.edf").write_bytes(content if isinstance(content, bytes) else content.to_bytes())
    return folder / "a.edf"


def opened(path, *columns, fs_hz=None, **options):
    (recording,) = open_edf(path, columns or list(RATES), fs_hz, EdfOptions(**options))
    return recording


def refused(path, words, *columns, **options):
    with pytest.raises(ReadError, match=words) as caught:
        opened(path, *columns, **options).whole()
    assert str(caught.value).startswith(f"{path}: ")


@given(st.integers(0, 99), st.booleans(), st.integers(1, 20), st.sampled_from([0, 10**9]))
def test_values_are_those_that_edfio_reads(tmp_path, seed, plus, n_records, block_bytes):
    path = write(tmp_path, made(n_records=n_records, seed=seed, plus=plus))
    expected = {signal.label: signal.data for signal in edfio.read_edf(path).signals}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(edf, "_BLOCK_BYTES", block_bytes)
        recording = opened(path, "resp", 0)
        signals = recording.whole()
    assert (recording.fs_hz, recording.duration_s) == ({"resp": 4.0, 0: 50.0}, n_records)
    np.testing.assert_array_equal(signals["resp"].samples, expected["resp"])
    np.testing.assert_array_equal(signals[0].samples, expected["ppg"])


def test_the_generator_file_holds_what_its_wfdb_version_holds(test_data):
    folder = test_data / "wfdb_samples"
    reference = wfdb.rdrecord(str(folder / "test_generator_2"), smooth_frames=False, physical=False)
    names = [name for name in reference.sig_name if name != "EDF Annotations"]
    signals = opened(folder / "test_generator_2.edf", *names).whole()
    for name, digital in zip(names, reference.e_d_signal, strict=False):
        # -1000 to 1000 on -32768 to 32767; the unit of two channels is one byte that is no ASCII.
        np.testing.assert_allclose(signals[name].samples, (digital + 0.5) * 2000 / 65535, rtol=0, atol=1e-9)
        assert signals[name].fs_hz == 200.0
    refused(folder / "test_edfann.edf", "holds annotations only, and no signal", 0)


def test_channels_are_found_by_label_or_by_number_without_annotations(tmp_path):
    path = write(tmp_path, made())
    assert opened(path, 1).fs_hz == {1: 4.0}
    refused(path, r"no channel is named 'pgg' .did you mean 'ppg'.*: the file has 2 channels: ppg, resp", "pgg")
    refused(path, "no channel number 2, counted from 0: the file has 2 channels", 2)
    content = made().to_bytes()
    assert opened(write(tmp_path, changed(content, 256, "Pulsoxim\xe8tre")), "Pulsoximètre").n_samples
    assert opened(write(tmp_path, changed(content, 256, "Plé".encode().decode("latin-1"))), "Plé").n_samples


def test_a_stated_rate_must_be_that_of_the_file(tmp_path):
    path = write(tmp_path, made())
    assert opened(path, "ppg", fs_hz=50.0).fs_hz == {"ppg": 50.0}
    refused(path, r"'resp' has 4 samples a second, and `signals\.fs_hz` is 50", fs_hz=50.0)


def test_gaps_are_missing_samples(tmp_path):
    content = made(n_records=3).to_bytes()
    whole = opened(write(tmp_path, content)).whole()
    # Time counts from the first record, half a second after the time that the header states.
    recording = opened(write(tmp_path, interrupted(content, 0.5, 1.5, 4.25)))
    assert recording.n_samples == {"ppg": 238, "resp": 19}
    for column, n_gap in {"ppg": 88, "resp": 7}.items():
        found, expected = recording.whole()[column].samples, whole[column].samples
        first = 2 * RATES[column]
        np.testing.assert_array_equal(found, np.concatenate([expected[:first], np.full(n_gap, NAN), expected[first:]]))
    assert np.isnan(recording.read(2.0, 3.5)["ppg"].samples).all()


def test_clocks_may_be_inaccurate_by_a_sample(tmp_path):
    content = made(n_records=4).to_bytes()
    recording = opened(write(tmp_path, interrupted(content, 0, 1.015, 1.995, 3.01)))
    np.testing.assert_array_equal(
        recording.whole()["ppg"].samples, opened(write(tmp_path, content)).whole()["ppg"].samples
    )


@pytest.mark.parametrize(
    ("onsets", "words"),
    [
        ([0, 1, 1.9], "record 2, counted from 0, begins before the one before it ends"),
        ([0, 5, 1], "record 2, counted from 0, begins before"),
        ([0, 1, 9_999_999], "gaps of 115.7 days, and up to 7 can be read"),
    ],
)
def test_records_out_of_order_or_without_onset_and_endless_gaps_are_refused(tmp_path, onsets, words):
    content = interrupted(made(n_records=3).to_bytes(), *onsets)
    refused(write(tmp_path, content), words)
    without = content.replace(b"+0\x14\x14", b"+x\x14\x14")
    refused(write(tmp_path, without), "record 0, counted from 0, does not state when")
    refused(write(tmp_path, changed(made(plus=False).to_bytes(), 192, "EDF+D")), "must state when each of its records")


@given(
    gaps=st.lists(st.sampled_from([0, 0, 0, 0.25, 1, 3.3]), min_size=7, max_size=7),
    edges=st.lists(st.floats(0, 40), max_size=6),
    block_bytes=st.sampled_from([0, 400, 10**9]),
)
def test_intervals_that_meet_are_the_whole(tmp_path, gaps, edges, block_bytes):
    onsets = np.round(np.arange(8) + np.concatenate([[0], np.cumsum(gaps)]), 3)
    path = write(tmp_path, interrupted(made(n_records=8).to_bytes(), *onsets.tolist()))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(edf, "_BLOCK_BYTES", block_bytes)
        recording = opened(path)
        assert recording.duration_s == pytest.approx(onsets[-1] + 1, abs=0.25)
        whole = recording.whole()
        parts = [recording.read(*step) for step in itertools.pairwise([0.0, *sorted(edges), 50.0])]
    for column in RATES:
        joined = np.concatenate([part[column].samples for part in parts])
        np.testing.assert_array_equal(joined, whole[column].samples)
        assert np.isfinite(joined).sum() == 8 * RATES[column]


def test_a_recording_that_was_not_finished_is_read_as_far_as_it_goes(tmp_path):
    content = made().to_bytes()
    expected = opened(write(tmp_path, content), "ppg").whole()["ppg"].samples
    path = write(tmp_path, changed(content, 236, "-1      ")[:-20])
    np.testing.assert_array_equal(opened(path, "ppg").whole()["ppg"].samples, expected[:-50])


def test_more_or_fewer_records_than_promised_are_refused(tmp_path):
    content = made(n_records=12).to_bytes()
    refused(write(tmp_path, content[:-1]), r"promises 12 records of 1 s, and the file holds 11 and 1\d\d bytes. Was")
    refused(write(tmp_path, changed(content, 236, "11 ")), "promises 11 records of 1 s, and the file holds 12. ")
    refused(write(tmp_path, content + b"x"), "holds 12 and 1 bytes")
    refused(write(tmp_path, changed(content, 236, "-1 ")[: 256 * 4]), "has no data records")


@pytest.mark.parametrize(
    ("start", "text", "words"),
    [
        (0, "1", "does not begin as an EDF file does"),
        (0, "\xffBIOSEMI", "a BDF file"),
        (184, "512     ", "a header of 512 bytes for 3 channels"),
        (252, "0   ", "for 0 channels"),
        (252, "99  ", "for 99 channels"),
        (252, "x   ", "damaged, or not an EDF file .ValueError"),
        (236, "many    ", "damaged, or not an EDF file .ValueError"),
        (244, "0       ", "records of 0 s"),
        (244, "nan     ", "records of nan s"),
        (244, "1e-300  ", r"'ppg' has .* samples a second"),
        (256 + 3 * 216, "-1      ", "with -1 samples"),
        (256 + 3 * 216, "99999999", "holds 0 and"),
        (256 + 3 * 104, "x       ", "damaged, or not an EDF file"),
        (256 + 3 * 104, "nan     ", "'ppg' cannot be converted to its unit"),
        (256 + 3 * 104, "1e39    ", "'ppg' cannot be converted to its unit"),
        (256 + 3 * 120, "32767   ", "'ppg' cannot be converted to its unit: digital 32767 to 32767"),
    ],
)
def test_headers_that_make_no_sense_are_refused(tmp_path, start, text, words):
    refused(write(tmp_path, changed(made().to_bytes(), start, text)), words)


def test_what_is_not_read_may_be_wrong(tmp_path):
    content = made().to_bytes()
    expected = opened(write(tmp_path, content), "ppg").whole()["ppg"].samples
    texts = {8: "\xe9", 168: "99.99.99", 176: "ab.cd.ef", 256 + 3 * 96: "\xb0C", 256 + 3 * 104 + 8: "x"}
    for start, text in texts.items():
        path = write(tmp_path, changed(content, start, text))
        np.testing.assert_array_equal(opened(path, "ppg").whole()["ppg"].samples, expected)


def test_marks_of_missing_samples_are_values_of_the_file(tmp_path):
    digital = np.array([0, 1, -32768, 3, -1], dtype=np.int16)
    signal = edfio.EdfSignal.from_digital(digital, 5, label="ppg", physical_range=(-3276.8, 3276.7))
    path = write(tmp_path, edfio.Edf([signal]))
    np.testing.assert_allclose(
        opened(path, "ppg", missing=[-32768, -1]).whole()["ppg"].samples, [0, 0.1, NAN, 0.3, NAN], atol=1e-9
    )


def test_a_file_that_changes_while_it_is_read_is_refused(tmp_path):
    path = write(tmp_path, made())
    recording = opened(path, "ppg")
    os.truncate(path, 2000)
    with pytest.raises(ReadError, match="became shorter while it was read"):
        recording.whole()
    path.unlink()
    with pytest.raises(ReadError, match="no such file"):
        recording.whole()
    refused(path, "no such file")
    refused(write(tmp_path, b""), "is empty")


@given(st.data(), st.booleans())
def test_nothing_but_a_read_error_escapes_from_damaged_files(tmp_path, data, has_gaps):
    content = made(n_records=3).to_bytes()
    path = write(tmp_path, damaged(data, interrupted(content, 0, 2, 3) if has_gaps else content))
    with contextlib.suppress(ReadError):
        recording = opened(path, 0, 1)
        recording.read(0.5, 3.0)
        recording.read(recording.duration_s - 1, recording.duration_s)
