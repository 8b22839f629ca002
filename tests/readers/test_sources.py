from __future__ import annotations

import numpy as np
import pytest

from ppgssl.core.config.cohort import Cohort
from ppgssl.core.config.loading import load_cohort
from ppgssl.core.errors import ReadError
from ppgssl.core.reasons import Reason
from ppgssl.readers import sources
from ppgssl.readers.files import find_files
from ppgssl.readers.raw_recordings import RawRecording
from ppgssl.readers.sources import lacks_trends, open_source, source_bytes, source_sha256
from tests.support import oximeter


@pytest.fixture
def ward(tmp_path):
    oximeter.write_binary(tmp_path / "signals", "7", seed=1, seconds=12)
    return tmp_path


def found(folder):
    cohort = load_cohort(oximeter.describe(folder, "oximeter_binary"))
    sources, rejects = find_files(cohort, folder)
    return cohort, sources, rejects


def test_a_recording_is_put_together_from_its_files(ward):
    cohort, (source,), rejects = found(ward)
    assert rejects == []
    (opened,) = open_source(source, cohort)
    red, infrared = oximeter.oximetry(1, 12)
    recording = opened.read()
    np.testing.assert_array_equal(recording.signals["ppg_red"].samples, red)
    np.testing.assert_array_equal(recording.signals["ppg_ir"].samples, infrared)
    assert recording.signals["ppg_ir"].fs_hz == 80
    assert (recording.recording_id, recording.patient_id, recording.source) == ("7", "7", "signals/7_spo2red.ts")
    assert opened.trends["sqi"].tolist() == [90] * 12
    assert not lacks_trends(source, cohort)


def test_an_interval_holds_its_samples_and_its_trends(ward):
    cohort, (source,), _ = found(ward)
    (opened,) = open_source(source, cohort)
    part = opened.read(2.0, 5.0)
    np.testing.assert_array_equal(part.signals["ppg_ir"].samples, oximeter.oximetry(1, 12)[1][160:400])
    assert len(opened.trends_between(2.0, 5.0)["spo2_percent"]) == 3


def test_a_missing_channel_file_is_named(ward):
    (ward / "signals" / "7_spo2infra.ts").unlink()
    cohort, (source,), _ = found(ward)
    with pytest.raises(ReadError, match=r"no file for ppg_ir: expected signals/\{patient\}_spo2infra.ts"):
        open_source(source, cohort)


def test_a_missing_file_of_trends_leaves_the_recording(ward):
    (ward / "signals" / "7_spo2trends.csv").unlink()
    cohort, (source,), _ = found(ward)
    (opened,) = open_source(source, cohort)
    assert lacks_trends(source, cohort)
    assert opened.trends == {}


def test_companions_without_their_recording_are_named(ward):
    (ward / "signals" / "7_spo2red.ts").unlink()
    _, sources, rejects = found(ward)
    assert sources == []
    assert {reject.subject: reject.reason for reject in rejects} == {
        "signals/7_spo2infra.ts": Reason.FILE_WITHOUT_RECORDING,
        "signals/7_spo2trends.csv": Reason.FILE_WITHOUT_RECORDING,
    }


@pytest.mark.parametrize("name", ["red.ts", "infra.ts", "trends.csv"])
def test_the_hash_sees_a_change_in_any_file(ward, name):
    cohort, (source,), _ = found(ward)
    before = source_sha256(source, cohort)
    assert source_sha256(source, cohort) == before
    path = ward / "signals" / f"7_spo2{name}"
    path.write_bytes(path.read_bytes() + b"    ")
    assert source_sha256(source, cohort) != before


def test_visit_and_reading_come_from_the_name(tmp_path):
    for reading, visit in ((1, "adm"), (2, "adm"), (1, "dis")):
        oximeter.write_text(tmp_path, "31", reading, visit, seed=reading, seconds=3)
    cohort = load_cohort(oximeter.describe(tmp_path, "oximeter_text"))
    sources, rejects = find_files(cohort, tmp_path)
    assert rejects == []
    assert [(item.patient_id, item.visit, item.recording) for item in sources] == [
        ("31", "adm", "1"),
        ("31", "dis", "1"),
        ("31", "adm", "2"),
    ]
    recording = open_source(sources[0], cohort)[0].read()
    assert recording.visit == "adm"
    np.testing.assert_allclose(recording.signals["ppg_red"].samples, oximeter.oximetry(1, 3)[0], atol=1e-6)


def test_the_size_of_a_source_is_that_of_all_its_files(ward):
    cohort, (source,), _ = found(ward)
    assert source_bytes(source, cohort) == sum(file.stat().st_size for file in (ward / "signals").iterdir())


def test_the_size_of_a_record_counts_the_samples_that_its_header_names(tmp_path):
    header = "7 2 100\n7.dat 16 1 16 0 0 0 0 PLETH\nabsent.dat 16 1 16 0 0 0 0 II\n"
    (tmp_path / "7.hea").write_text(header)
    (tmp_path / "7.dat").write_bytes(bytes(1000))
    signals = {"files": "{patient}.hea", "reader": "wfdb", "channels": {"ppg": {"column": "PLETH"}}}
    cohort = Cohort.model_validate({"name": "ward", "signals": signals})
    (source,), _ = find_files(cohort, tmp_path)
    assert source_bytes(source, cohort) == len(header) + 1000


def dark_ward(folder, *, columns="ir,red,dark", ambient="dark", n_rows=200):
    """A source whose channels have their ambient light in the same file, or in an array of another length."""
    rng = np.random.default_rng(1)
    rows = rng.integers(500, 90_000, (n_rows, 3))
    np.savetxt(folder / "7.csv", rows, fmt="%d", delimiter=",", header=columns, comments="")
    channels = {
        name: {"column": column, "has_baseline": True, "ambient": ambient}
        for name, column in (("ppg_ir", "ir"), ("ppg_red", "red"))
    }
    signals = {"files": "{patient}.csv", "reader": "delimited", "fs_hz": 64, "channels": channels}
    cohort = Cohort.model_validate({"name": "ward", "signals": signals})
    return cohort, find_files(cohort, folder)[0][0], rows


def test_ambient_light_is_subtracted_from_each_channel_that_names_it(tmp_path):
    cohort, source, rows = dark_ward(tmp_path)
    (opened,) = open_source(source, cohort)
    for part, chosen in ((opened.read(), slice(None)), (opened.read(1.0, 2.0), slice(64, 128))):
        assert list(part.signals) == ["ppg_ir", "ppg_red"]
        for place, name in enumerate(part.signals):
            np.testing.assert_array_equal(part.signals[name].samples, (rows[:, place] - rows[:, 2])[chosen])


def test_a_missing_column_of_ambient_light_is_named(tmp_path):
    cohort, source, _ = dark_ward(tmp_path, columns="ir,red,temperature")
    with pytest.raises(ReadError, match=r"no column is named 'dark'.*ir, red, temperature"):
        open_source(source, cohort)


def test_ambient_light_of_another_rate_is_refused(tmp_path, monkeypatch):
    """As in formats that have a rate for each channel."""
    cohort, source, _ = dark_ward(tmp_path)
    rates, lengths = {"ir": 64.0, "red": 64.0, "dark": 32.0}, {"ir": 200, "red": 200, "dark": 100}
    raw = RawRecording(rates, lengths, lambda *_: {})
    monkeypatch.setattr(sources, "_open_file", lambda *_: [raw])
    with pytest.raises(ReadError, match=r"ppg_ir has 200 samples at 64 Hz, and its ambient light 'dark' 100 at 32 Hz"):
        open_source(source, cohort)


@pytest.mark.parametrize(
    ("name", "column", "message"), [("ecg_ii", "II", "is no light"), ("ppg_ir", "dark", "are one column, 'dark'")]
)
def test_ambient_light_is_that_of_another_column_and_of_light(name, column, message):
    channel = {"column": column, "ambient": "dark"}
    signals = {"files": "{patient}.csv", "reader": "delimited", "fs_hz": 64, "channels": {name: channel}}
    with pytest.raises(ValueError, match=message):
        Cohort.model_validate({"name": "ward", "signals": signals})
