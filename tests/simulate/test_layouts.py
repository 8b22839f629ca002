"""Each layout holds the counts that were recorded, as readers that are not ours find them too."""

from __future__ import annotations

import numpy as np
import pytest
import wfdb

from ppgssl.simulate.devices import FULL_SCALE, Acquired
from ppgssl.simulate.layouts import LAYOUTS, RecordingName


@pytest.fixture
def acquired() -> Acquired:
    rng = np.random.default_rng(1)
    red, infrared = rng.integers(0, FULL_SCALE, (2, 800), endpoint=True)
    red[:2] = 0, FULL_SCALE
    nothing = np.zeros(800, dtype=bool)
    return Acquired(red, infrared, nothing, nothing)


def test_binary_files_hold_float32(tmp_path, acquired):
    LAYOUTS["ts"](tmp_path, RecordingName("M1"), acquired, "trends\n")
    for name, counts in (("red", acquired.red), ("infra", acquired.infrared)):
        found = np.fromfile(tmp_path / f"M1_spo2{name}.ts", dtype="<f4")
        np.testing.assert_array_equal(np.round(found * FULL_SCALE), counts)
    assert (tmp_path / "M1_spo2trends.csv").read_text() == "trends\n"


def test_text_files_hold_a_sample_a_line(tmp_path, acquired):
    LAYOUTS["text"](tmp_path, RecordingName("7", 2, "dis"), acquired, "trends\n")
    names = {path.name for path in tmp_path.iterdir()}
    start = "7_hospitalization_an_arm_1_spo2"
    assert names == {
        f"{start}{end}" for end in ("red2_wav_oxi_dis.txt", "infra2_wav_oxi_dis.txt", "trends2_oxi_dis.csv")
    }
    for name, counts in (("red", acquired.red), ("infra", acquired.infrared)):
        found = np.loadtxt(tmp_path / f"{start}{name}2_wav_oxi_dis.txt")
        np.testing.assert_array_equal(np.round(found * FULL_SCALE), counts)


def test_records_read_by_the_wfdb_package_with_their_checksums(tmp_path, acquired):
    LAYOUTS["wfdb"](tmp_path, RecordingName("U1"), acquired, "")
    record = wfdb.rdrecord(str(tmp_path / "U1"), physical=False)
    assert (record.fs, record.sig_name) == (80, ["RED", "INFRARED"])
    assert record.calc_checksum() == [value % 2**16 for value in record.checksum] or list(
        np.array(record.calc_checksum()) % 2**16
    ) == [value % 2**16 for value in record.checksum]
    physical = wfdb.rdrecord(str(tmp_path / "U1")).p_signal
    assert np.isfinite(physical).all()
    expected = np.maximum(np.stack([acquired.red, acquired.infrared], axis=1), 1) / FULL_SCALE
    np.testing.assert_allclose(physical, expected, atol=1e-9)
