"""Each format as a user describes it in docs/formats.md: from files to what the store holds."""

from __future__ import annotations

import copy
import datetime
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import edfio
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pyreadstat
import pytest
import scipy.io
import yaml

from ppgssl.core.config.cohort import Cohort
from ppgssl.core.reasons import Reason
from ppgssl.core.records import FloatArray
from ppgssl.readers import READERS, get_reader
from ppgssl.readers.files import find_files
from ppgssl.stages.ingest.ingest import check_cohort, ingest
from ppgssl.store.tables import CohortStore
from tests.conftest import REPOSITORY
from tests.readers.test_edf import interrupted
from tests.readers.test_isolated_child import saved
from tests.support.oximeter import EXAMPLES, write_binary, write_text
from tests.support.synthetic import make_ecg, make_ppg

BLOCKS = re.findall(r"^```yaml\n(.*?)^```", (REPOSITORY / "docs" / "formats.md").read_text("utf-8"), re.M | re.S)
DOCUMENTED = {block["name"]: block for block in map(yaml.safe_load, BLOCKS) if "name" in block}

FS_HZ, SECONDS = 100, 60.0
HEART_RATE, BREATHS, ARRIVAL_MS = 75.0, 15.0, 250.0
GAP_S = (40.0, 43.0)


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.split("\n")[0])
def test_every_description_in_the_document_is_one(block, tmp_path):
    description = yaml.safe_load(block)
    cohort = Cohort.model_validate(description if "name" in description else DOCUMENTED["oximeter"] | description)
    get_reader(cohort.signals.reader).parse_options(cohort.signals.options)
    assert find_files(cohort, tmp_path) == ([], [])


def test_the_document_describes_every_reader():
    assert {description["signals"]["reader"] for description in DOCUMENTED.values()} == set(READERS)


@dataclass(frozen=True)
class Stored:
    """What a store holds: its recordings and, for each segment, defects and vitals; both by recording."""

    store: CohortStore
    recordings: pd.DataFrame
    segments: pd.DataFrame

    def of(self, recording_id: str) -> pd.DataFrame:
        return self.segments[self.segments["recording_id"] == recording_id]

    def samples(self, channel: str, recording_id: str) -> FloatArray:
        (found,) = [row for row in self.store.iterate([channel]) if row.recording_id == recording_id]
        return found.channels[channel].samples

    def has_gap(self, channel: str) -> list[float]:
        """Starts of the segments that are rejected for a gap."""
        return self.segments.loc[self.segments[f"defect_{channel}"] == "gap", "start_s"].tolist()


def describe(folder: Path, name: str, signals: dict[str, Any] | None = None, **keys: Any) -> Path:
    """The documented description ``name`` in ``folder``, with some keys changed."""
    description = copy.deepcopy(DOCUMENTED[name]) | keys
    description["signals"] |= signals or {}
    path = folder / "cohort.yaml"
    path.write_text(yaml.safe_dump(description, sort_keys=False))
    return path


def opened(folder: Path) -> Stored:
    store = CohortStore(folder)
    grid = store.cohort.segments
    recordings = store.recordings(["recording_id", "patient_id", "visit", "duration_s", "source_fs_hz"])
    return Stored(store, recordings.set_index("recording_id"), store.segments(grid.segment_s, grid.step_s))


def ingested(cohort_file: Path, out: Path) -> Stored:
    """The store of a cohort about which there is nothing to complain, its saturation by the textbooks' curve aside."""
    for rejects in (check_cohort(cohort_file, n_jobs=1).rejects, ingest(cohort_file, out, n_jobs=1).rejects):
        assert set(rejects["reason"]) <= {Reason.SPO2_UNCALIBRATED}
    return opened(out)


def ingested_by_commands(ppgssl: Callable[..., Any], cohort_file: Path, out: Path, *options: object) -> Stored:
    """As :func:`ingested`, by the commands that a user types."""
    checked = ppgssl("check", cohort_file, "--jobs", 1, *options)
    assert checked.returncode == 0, checked.stderr
    done = ppgssl("ingest", cohort_file, "--out", out, "--jobs", 1, "--json", *options)
    assert done.returncode == 0, done.stderr
    rejects = json.loads(done.stdout)["rejects"]
    assert set(rejects) <= {Reason.SPO2_UNCALIBRATED}
    assert re.search(rf"complaints +{sum(rejects.values())}\n", checked.stdout)
    return opened(out)


def assert_oximetry(stored: Stored, seed_of: dict[str, int]) -> None:
    assert list(stored.recordings.index) == list(seed_of)
    assert (stored.recordings["duration_s"] == SECONDS).all()
    assert stored.segments["accepted"].all()
    for recording_id, seed in seed_of.items():
        rate = np.random.default_rng(seed).uniform(90, 150)
        vitals = stored.of(recording_id)
        np.testing.assert_allclose(vitals["heart_rate_bpm"], rate, atol=1)
        np.testing.assert_allclose(vitals["spo2_percent"], 95, atol=0.5)  # 110 - 25 * 0.6
        np.testing.assert_allclose(vitals["perfusion_index_percent"], 2, atol=0.3)
    device = {"sqi": 90, "sqi_max": 90, "heart_rate_bpm": 120, "spo2_percent": 95, "perfusion_index_percent": 1.5}
    for name, value in device.items():
        np.testing.assert_allclose(stored.segments[f"device_{name}"], value)
    for row in stored.store.iterate(["ppg_red", "ppg_ir"]):
        assert all(channel.inverted for channel in row.channels.values())


def test_binary_files_of_a_pulse_oximeter(ppgssl, tmp_path):
    for patient, seed in {"1001": 1, "1002": 2}.items():
        write_binary(tmp_path, patient, seed)
    stored = ingested_by_commands(ppgssl, describe(tmp_path, "oximeter"), tmp_path / "store")
    assert_oximetry(stored, {"1001": 1, "1002": 2})


def test_text_files_of_a_pulse_oximeter(tmp_path):
    files = {("1001", 1, "adm"): 1, ("1001", 2, "adm"): 2, ("1001", 1, "dis"): 3, ("1002", 1, "adm"): 4}
    for (patient, reading, visit), seed in files.items():
        write_text(tmp_path, patient, reading, visit, seed)
    stored = ingested(describe(tmp_path, "oximeter_text"), tmp_path / "store")
    assert_oximetry(stored, {f"{patient}_{visit}_{reading}": seed for (patient, reading, visit), seed in files.items()})
    assert stored.recordings["patient_id"].tolist() == ["1001"] * 3 + ["1002"]
    assert stored.recordings["visit"].tolist() == ["adm", "adm", "dis", "adm"]


def breathing_ppg_and_ecg(seed: int) -> FloatArray:
    """PPG, with a gap, and ECG, shape (2, n_samples): of one heart, the pulse 250 ms after the R wave."""
    longer = SECONDS + 1
    # R waves come at 0.30 of a beat; upstrokes are steepest at 0.16.
    delay = round((ARRIVAL_MS / 1000 + (0.30 - 0.16) * 60 / HEART_RATE) * FS_HZ)
    ppg = make_ppg(longer, FS_HZ, HEART_RATE, noise=0.005, rng=np.random.default_rng(seed))
    ecg = make_ecg(longer, FS_HZ, HEART_RATE, noise=0.005, rng=np.random.default_rng(seed))
    n_samples = round(SECONDS * FS_HZ)
    breath = np.sin(2 * np.pi * BREATHS / 60 * np.arange(n_samples) / FS_HZ)
    ppg = 5 + ppg[:n_samples] * (1 + 0.2 * breath) + 0.2 * breath
    ppg[round(GAP_S[0] * FS_HZ) : round(GAP_S[1] * FS_HZ)] = np.nan
    return np.stack([ppg, ecg[delay : delay + n_samples]])


def assert_both_channels(stored: Stored, *recording_ids: str) -> None:
    assert list(stored.recordings.index) == list(recording_ids)
    assert (stored.recordings["duration_s"] == SECONDS).all()
    for recording_id in recording_ids:
        assert_vitals(stored.of(recording_id), has_ecg="ecg_ii" in stored.store.channels)
        is_missing = np.isnan(stored.samples("ppg", recording_id))
        gap = slice(*(round(edge_s * FS_HZ) for edge_s in GAP_S))
        assert is_missing[gap].all()
        assert is_missing.sum() == gap.stop - gap.start


def assert_vitals(segments: pd.DataFrame, *, has_ecg: bool) -> None:
    starts = segments["start_s"]
    assert starts.tolist() == list(np.arange(0.0, SECONDS - 9, 5))
    touches = (starts < GAP_S[1]) & (starts + 10 > GAP_S[0])
    assert (segments["defect_ppg"] == np.where(touches, "gap", "")).all()
    assert (segments["accepted"] == (has_ecg | ~touches)).all()
    clean = segments[~touches]
    np.testing.assert_allclose(clean["heart_rate_bpm"], HEART_RATE, atol=1)
    breaths = clean["respiratory_rate_per_min"].dropna()
    assert len(breaths) >= 3
    np.testing.assert_allclose(breaths, BREATHS, atol=1)
    if has_ecg:
        assert (segments["defect_ecg_ii"] == "").all()
        np.testing.assert_allclose(clean["pulse_arrival_time_ms"], ARRIVAL_MS, atol=20)


def decimal_comma(value: float) -> str:
    return "" if np.isnan(value) else f"{value:.5f}".replace(".", ",")


def write_columns(path: Path, both: FloatArray) -> None:
    rows = (";".join(map(decimal_comma, row)) for row in both.T)
    path.write_text("\n".join(["pleth;ecg", *rows]) + "\n")


def write_matlab_7_3(path: Path, both: FloatArray) -> None:
    saved(path.parent, {"ppg": both[0], "ecg": both[1].astype(np.float32)}, compression="gzip").rename(path)


# Description and name of the file.
TWO_CHANNELS: dict[str, tuple[str, str, Callable[[Path, FloatArray], object]]] = {
    "delimited, columns": ("text_columns", "1001_1.csv", write_columns),
    "delimited, lines": ("text_lines", "1001_1.txt", lambda path, both: np.savetxt(path, both, "%.5f", "\t")),
    "MATLAB 5": (
        "matlab",
        "1001.mat",
        lambda path, both: scipy.io.savemat(path, {"ppg": both[0], "ecg": both[1], "note": "on the left hand"}),
    ),
    "MATLAB 7.3": ("matlab", "1001.mat", write_matlab_7_3),
    "npz": ("numpy_arrays", "1001.npz", lambda path, both: np.savez_compressed(path, ppg=both[0], ecg=both[1])),
    "Parquet, a row a sample": (
        "parquet_tables",
        "1001.parquet",
        lambda path, both: pq.write_table(pa.table({"ppg": both[0], "ecg": both[1]}), path),
    ),
}


@pytest.mark.parametrize(("name", "file", "write"), TWO_CHANNELS.values(), ids=TWO_CHANNELS)
def test_ppg_and_ecg_of_one_recording(name, file, write, tmp_path):
    write(tmp_path / file, breathing_ppg_and_ecg(1))
    assert_both_channels(ingested(describe(tmp_path, name), tmp_path / "store"), Path(file).stem)


@pytest.mark.parametrize("name", ["numpy_arrays", "parquet_tables"])
def test_several_recordings_in_a_file(name, tmp_path):
    ppg, ecg = np.stack([breathing_ppg_and_ecg(seed) for seed in (1, 2)], axis=1)
    if name == "numpy_arrays":
        np.savez(tmp_path / "1001.npz", ppg=ppg, ecg=ecg)
    else:
        pq.write_table(pa.table({"ppg": list(ppg), "ecg": list(ecg)}), tmp_path / "1001.parquet")
    assert_both_channels(ingested(describe(tmp_path, name), tmp_path / "store"), "1001#0", "1001#1")


def test_a_single_array(tmp_path):
    np.save(tmp_path / "1001.npy", breathing_ppg_and_ecg(1)[0].astype(np.float32))
    changes = {"files": "{patient}.npy", "channels": {"ppg": {"column": 0}}}
    assert_both_channels(ingested(describe(tmp_path, "numpy_arrays", changes), tmp_path / "store"), "1001")


def test_alternating_channels_of_16_bits(tmp_path):
    both = breathing_ppg_and_ecg(1)
    counts = np.where(np.isnan(both), -32768, np.round(4000 * both)).astype(">i2")
    (tmp_path / "1001.bin").write_bytes(b"device 1" + counts.T.tobytes())
    options = {"dtype": "int16", "byte_order": "big", "n_channels": 2, "header_bytes": 8, "missing": [-32768]}
    channels = {"ppg": {"column": 0}, "ecg_ii": {"column": 1}}
    changes = {"files": "{patient}.bin", "fs_hz": FS_HZ, "options": options, "channels": channels}
    description = describe(tmp_path, "oximeter", changes | {"trends": None})
    assert_both_channels(ingested(description, tmp_path / "store"), "1001")


def test_edf_with_interruptions(tmp_path):
    both = np.nan_to_num(breathing_ppg_and_ecg(1))[:, : round(GAP_S[0] * FS_HZ)]
    labels = {"Pleth": both[0], "ECG II": np.repeat(both[1], 2)}
    signals = [edfio.EdfSignal(samples, len(samples) / 40, label=label) for label, samples in labels.items()]
    edf = edfio.Edf(signals, annotations=[edfio.EdfAnnotation(1, None, "moved")])
    # 20 records, 12 s without any, 20 records.
    onsets = [second + 12 * (second >= 20) for second in range(40)]
    (tmp_path / "1001_adm.edf").write_bytes(interrupted(edf.to_bytes(), *onsets))
    stored = ingested(describe(tmp_path, "edf_recordings"), tmp_path / "store")
    assert stored.recordings.loc["1001_adm"].tolist() == ["1001", "adm", 52, 200]
    assert stored.has_gap("ppg") == stored.has_gap("ecg_ii") == [15, 20, 25, 30]
    accepted = stored.segments[stored.segments["accepted"]]
    assert accepted["start_s"].tolist() == [0, 5, 10, 35, 40]
    np.testing.assert_allclose(accepted["heart_rate_bpm"], HEART_RATE, atol=1)
    np.testing.assert_allclose(accepted["pulse_arrival_time_ms"], ARRIVAL_MS, atol=20)


def test_a_real_edf_file(ppgssl, test_data, tmp_path):
    channels = {"ppg": {"column": "sine 1 Hz", "inverted": False}}
    channels |= {"ppg_noise": {"column": "noise"}, "ecg_ii": {"column": "ECG"}}
    changes = {"files": "{patient:test_generator_2}.edf", "channels": channels}
    cohort_file = describe(tmp_path, "edf_recordings", changes, root=str(test_data / "wfdb_samples"))
    stored = ingested_by_commands(ppgssl, cohort_file, tmp_path / "store")
    assert stored.recordings.loc["test_generator_2", ["duration_s", "source_fs_hz"]].tolist() == [600, 200]
    assert len(stored.segments) == 119
    np.testing.assert_allclose(stored.segments["heart_rate_bpm"], 60, atol=0.5)
    assert (stored.segments["sqi_ppg_noise"] < 0.5).all()
    # Between its waves, the generator's ECG does not change at all.
    assert (stored.segments["defect_ecg_ii"] == "flat").all()


def wfdb_cohort(test_data: Path, folder: Path, files: str, channels: dict[str, str | int], **keys: Any) -> Path:
    changes = {"files": files, "channels": {name: {"column": column} for name, column in channels.items()}}
    options = {"options": keys.pop("options", {})}
    return describe(folder, "wfdb_records", changes | options, root=str(test_data / "wfdb_samples"), **keys)


def test_the_example_of_wfdb_records(ppgssl, test_data, tmp_path):
    stored = ingested_by_commands(ppgssl, EXAMPLES / "wfdb_example.yaml", tmp_path / "store", "--data", test_data)
    assert stored.recordings["duration_s"].to_dict() == {"a103l": 330, "v102s": 300}
    assert (stored.recordings["source_fs_hz"] == 250).all()
    medians = stored.segments[stored.segments["accepted"]].groupby("recording_id").median(numeric_only=True)
    assert medians["heart_rate_bpm"].to_dict() == pytest.approx({"a103l": 127, "v102s": 103}, abs=1)
    # Its 12 bits overflow in every beat.
    assert (stored.of("v102s")["defect_ppg"] == "jump").all()
    assert (stored.of("v102s")["defect_ecg_ii"] == "").mean() > 0.7
    assert (stored.of("a103l")["defect_ppg"] == "").mean() > 0.8


def test_compressed_signals_of_three_rates(test_data, tmp_path):
    cohort_file = wfdb_cohort(test_data, tmp_path, "{patient:mixedsignals}.hea", {"ppg": "Pleth", "ecg_ii": "II"})
    stored = ingested(cohort_file, tmp_path / "store")
    (recording,) = stored.recordings.itertuples()
    assert recording.duration_s == pytest.approx(230.5, abs=0.1)
    assert recording.source_fs_hz == pytest.approx(249.89)
    segments = stored.of("mixedsignals")
    assert segments["heart_rate_bpm"].median() == pytest.approx(104, abs=1)
    arrival = segments["pulse_arrival_time_ms"].dropna()
    assert len(arrival) > 0.9 * len(segments)
    assert arrival.between(150, 500).all()
    assert segments["defect_ppg"].iloc[0] == "flat"  # for 3.6 s
    assert (segments["defect_ecg_ii"] == "gap").any()


def test_segments_of_fixed_layout(test_data, tmp_path):
    files = "multi-segment/{recording:041s|fixed1}/{patient:041s|v102s}.hea"
    cohort_file = wfdb_cohort(test_data, tmp_path, files, {"ppg": "PLETH", "ecg_i": 0})
    stored = ingested(cohort_file, tmp_path / "store")
    assert stored.recordings["duration_s"].to_dict() == {"041s_041s": 16, "v102s_fixed1": 900}
    assert stored.recordings["source_fs_hz"].to_dict() == {"041s_041s": 500, "v102s_fixed1": 250}
    whole = stored.of("041s_041s")
    assert whole["accepted"].all()
    assert whole["heart_rate_bpm"].tolist() == pytest.approx([96, 96], abs=1)
    assert whole["pulse_arrival_time_ms"].between(250, 400).all()
    assert whole["respiratory_rate_per_min"].notna().all()
    assert stored.of("v102s_fixed1")["heart_rate_bpm"].median() == pytest.approx(103, abs=1)


def test_segments_of_variable_layout_over_more_than_an_hour(test_data, tmp_path):
    files = "multi-segment/{patient}/{recording:s25047-[-0-9]+}.hea"
    cohort_file = wfdb_cohort(test_data, tmp_path, files, {"ecg_ii": "II", "ecg_v": "V"})
    stored = ingested(cohort_file, tmp_path / "store")
    name = "s25047_s25047-2704-05-04-10-44"
    assert stored.recordings["duration_s"].to_dict() == pytest.approx({f"{name}@0": 3600, f"{name}@3600": 745.92})
    first = stored.of(f"{name}@0")
    # A gap of 25,740 samples at 125 Hz comes before the first segment with samples.
    assert np.isnan(stored.samples("ecg_ii", f"{name}@0")[:20_592]).all()
    begins = first["start_s"] + 10 <= 25_740 / 125
    assert (first.loc[begins, "defect_ecg_ii"] == "gap").all()
    assert (first.loc[~begins, "defect_ecg_ii"] == "").mean() > 0.7
    assert first.loc[first["accepted"], "heart_rate_bpm"].median() == pytest.approx(61, abs=2)


def test_segments_that_were_not_copied(test_data, tmp_path):
    files = "multi-segment/{patient}/{recording:p000878-[-0-9]+}.hea"
    summary = ingest(wfdb_cohort(test_data, tmp_path, files, {"ppg": "PLETH"}), tmp_path / "store", n_jobs=1)
    assert summary.n_recordings == 0
    (reject,) = summary.rejects.itertuples()
    assert reject.reason == Reason.FILE_UNREADABLE
    assert "missing_segments: gap" in reject.detail


def test_a_record_without_a_sample(test_data, tmp_path):
    files = "multi-segment/{patient}/{recording:s00001-[-0-9]+}.hea"
    stored = ingested(wfdb_cohort(test_data, tmp_path, files, {"ecg_ii": "II"}), tmp_path / "store")
    assert stored.recordings["duration_s"].tolist() == [60]
    assert (stored.segments["defect_ecg_ii"] == "gap").all()
    assert stored.segments["heart_rate_bpm"].isna().all()


@pytest.mark.parametrize(("record", "n_formats"), [("binformats", 10), ("flacformats", 3)])
def test_every_storage_format(test_data, tmp_path, record, n_formats):
    channels = {f"ecg_{number}": number for number in range(n_formats)}
    cohort_file = wfdb_cohort(
        test_data, tmp_path, f"{{patient:{record}}}.hea", channels, segments={"segment_s": 2, "step_s": 2}
    )
    stored = ingested(cohort_file, tmp_path / "store")
    assert stored.store.channels == list(channels)
    assert stored.recordings["duration_s"].tolist() == [499 / 200]
    assert all(len(stored.samples(channel, record)) == 250 for channel in channels)


ECG_RATES = {"100": 75.5, "03700181": 122, "s0010_re": 82}


def test_ecg_alone_in_several_files_and_formats(test_data, tmp_path):
    files = f"{{patient:{'|'.join(ECG_RATES)}}}.hea"
    stored = ingested(wfdb_cohort(test_data, tmp_path, files, {"ecg_lead": 0}), tmp_path / "store")
    medians = stored.segments.groupby("recording_id")["heart_rate_bpm"].median()
    assert medians.to_dict() == pytest.approx(ECG_RATES, abs=1.5)
    assert stored.segments["accepted"].mean() > 0.95


TABLE = pd.DataFrame(
    {
        "id": ["007", "B 2", "ä"],
        "weight": [11.7, np.nan, 9.25],
        "sex": [1.0, 2.0, 2.0],
        "died": [0.0, 1.0, np.nan],
        "admitted": [datetime.date(2020, 2, 29), None, datetime.date(2019, 1, 2)],
    }
)
CLINICAL = {
    "patient_column": "id",
    "variables": {
        "weight": {"kind": "numeric", "range": [1, 40]},
        "sex": {"kind": "categorical", "levels": {"1": "male", "2": "female"}},
        "died": {"kind": "binary"},
        "admitted": {"kind": "date"},
    },
}
TABLE_WRITERS: dict[str, Callable[[Path], object]] = {
    "csv": lambda path: TABLE.to_csv(path, index=False),
    "tsv": lambda path: TABLE.to_csv(path, index=False, sep="\t"),
    "xlsx": lambda path: TABLE.to_excel(path, index=False),
    "parquet": lambda path: TABLE.to_parquet(path),
    "dta": lambda path: pyreadstat.write_dta(TABLE, path),
    "sav": lambda path: pyreadstat.write_sav(TABLE, path),
    "xpt": lambda path: pyreadstat.write_xport(TABLE, path, file_format_version=8),
}


@pytest.mark.parametrize("suffix", TABLE_WRITERS)
def test_a_clinical_table_is_the_same_in_every_format(tmp_path, suffix):
    TABLE_WRITERS[suffix](tmp_path / f"clinical.{suffix}")
    for number, patient in enumerate(TABLE["id"]):
        np.save(tmp_path / f"{patient}.npy", breathing_ppg_and_ecg(number)[0])
    signals = {"files": "{patient}.npy", "channels": {"ppg": {"column": 0}}}
    clinical = CLINICAL | {"file": f"clinical.{suffix}"} | ({"delimiter": "\t"} if suffix == "tsv" else {})
    stored = ingested(describe(tmp_path, "numpy_arrays", signals, clinical=clinical), tmp_path / "store")
    texts = {"sex": ["male", "female", "female"], "admitted": ["2020-02-29", None, "2019-01-02"]}
    expected = TABLE.assign(**texts).set_index("id").rename_axis("patient_id")
    pd.testing.assert_frame_equal(stored.store.patients(), expected, check_column_type=False)
