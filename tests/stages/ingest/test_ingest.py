from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from ppgssl.core.errors import ConfigError, StoreError
from ppgssl.core.provenance import RUN_FILE
from ppgssl.core.reasons import Reason
from ppgssl.stages.ingest import ingest as ingest_module
from ppgssl.stages.ingest.ingest import check_cohort
from ppgssl.store import tables
from ppgssl.store.tables import CohortStore
from tests.conftest import REPOSITORY
from tests.support import oximeter
from tests.support.same_stores import Power, assert_same_store, content, copy_signal, reasons, table_versions
from tests.support.small_cohorts import (
    FS_HZ,
    N_SEGMENTS,
    SECONDS,
    clinical_row,
    describe,
    describe_bad_ward,
    expected_of_bad_ward,
    make_ward,
    signal,
    write_clinical,
    write_signal,
)

GRID = (4.0, 2.0)


def ingest(cohort_file: Path, folder: Path, **how):
    return ingest_module.ingest(cohort_file, folder, n_jobs=1, **how)


# --- what is wrong with a cohort ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def bad_ward(tmp_path_factory) -> Path:
    """Eight good patients, and one of everything that goes wrong."""
    folder = tmp_path_factory.mktemp("bad")
    describe_bad_ward(folder)
    return folder


def test_each_defect_of_a_cohort_is_a_row_of_rejects_and_the_rest_is_ingested(bad_ward, tmp_path):
    summary = ingest(bad_ward / "cohort.yaml", tmp_path / "store")
    assert reasons(summary.rejects) == expected_of_bad_ward()
    assert (summary.n_files, summary.n_recordings, summary.n_segments) == (12, 9, 9 * N_SEGMENTS)
    patients = CohortStore(tmp_path / "store").patients()
    assert "p2" not in patients.index
    assert patients.index.is_unique
    assert np.isnan(patients.loc["p8", "age"])
    assert patients.loc["p7", "age"] == 23.5


def test_no_complaint_shows_a_clinical_value(bad_ward, tmp_path):
    rejects = ingest(bad_ward / "cohort.yaml", tmp_path / "store").rejects
    text = " ".join(rejects[["subject", "reason", "detail"]].to_numpy().ravel())
    for value in ("187", "77", "20.5", "early", "late"):
        assert value not in text


def test_check_reports_the_same_as_ingest(bad_ward, tmp_path):
    checked = check_cohort(bad_ward / "cohort.yaml", n_jobs=1)
    ingested = ingest(bad_ward / "cohort.yaml", tmp_path / "store")
    columns = ["unit", "subject", "reason", "detail"]
    output, done = (
        rejects[columns].sort_values(columns, ignore_index=True) for rejects in (checked.rejects, ingested.rejects)
    )
    pd.testing.assert_frame_equal(output, done)
    assert (checked.n_files, checked.n_recordings, checked.n_patients) == (12, 9, 9)


def test_check_finds_nothing_in_a_clean_cohort(tmp_path):
    assert check_cohort(make_ward(tmp_path, 2), n_jobs=1).rejects.empty


def test_a_cohort_without_a_readable_file_is_an_empty_store_with_reasons(tmp_path):
    cohort_file = make_ward(tmp_path, 2)
    for path in (tmp_path / "signals").iterdir():
        path.write_text("")
    summary = ingest(cohort_file, tmp_path / "store")
    assert (summary.n_recordings, summary.n_segments, summary.n_segments_accepted) == (0, 0, 0)
    assert list(summary.rejects["reason"]) == [Reason.FILE_UNREADABLE] * 2
    assert check_cohort(cohort_file, n_jobs=1).n_recordings == 0


def test_ids_that_differ_by_leading_zeros_alone_are_pointed_out(tmp_path):
    cohort_file = make_ward(tmp_path, 2)
    write_clinical(tmp_path, ["p01,30,a,0", "p02,31,b,1"])
    rejects = ingest(cohort_file, tmp_path / "store").rejects
    assert set(rejects["reason"]) == {Reason.NOT_IN_TABLE, Reason.NO_SIGNALS}
    assert rejects["detail"].str.contains("leading zeros").all()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"segmments": {}}, r"unknown key `segmments` \(did you mean 'segments'\?\)"),
        ({"signals__reader": "delimitd"}, r"unknown reader 'delimitd' \(did you mean 'delimited'\?\)"),
        ({"signals__options": {"delimeter": ","}}, r"unknown key `delimeter` \(did you mean 'delimiter'\?\)"),
        ({"signals__files": "signals/{patient}.txt"}, "no file under .* matches `signals.files`"),
        ({"clinical__patient_column": "idd"}, r"no column is named 'idd' \(did you mean 'id'\?\)"),
        ({"clinical__file": "table.csv"}, "clinical.file"),
    ],
)
def test_a_wrong_description_is_refused_before_a_store_is_made(tmp_path, changes, message):
    make_ward(tmp_path, 1)
    with pytest.raises(ConfigError, match=message):
        ingest(describe(tmp_path, **changes), tmp_path / "store")
    assert not (tmp_path / "store").exists()


def test_other_signal_settings_need_another_store(tmp_path):
    ingest(make_ward(tmp_path, 1), tmp_path / "store")
    with pytest.raises(StoreError, match="`segments`"):
        ingest(describe(tmp_path, segments__min_sqi=0.7), tmp_path / "store")


def test_a_cohort_without_a_clinical_table_has_no_complaints_about_patients(tmp_path):
    make_ward(tmp_path, 2)
    summary = ingest(describe(tmp_path, clinical=None), tmp_path / "store")
    assert summary.rejects.empty
    assert CohortStore(tmp_path / "store").patients().empty


# --- a second ingest ---------------------------------------------------------------------------------------------


def test_a_second_ingest_of_the_same_files_changes_nothing(bad_ward, tmp_path):
    folder = tmp_path / "store"
    ingest(bad_ward / "cohort.yaml", folder)
    before = table_versions(folder), (folder / RUN_FILE).read_bytes()
    again = ingest(bad_ward / "cohort.yaml", folder)
    assert (table_versions(folder), (folder / RUN_FILE).read_bytes()) == before
    assert (again.n_files_new, again.n_files_gone) == (0, 0)


@pytest.mark.parametrize(
    ("name", "seconds", "n_recordings", "n_segments"),
    [("p1_2", SECONDS, 4, 4 * N_SEGMENTS), ("p2_1", SECONDS - 4, 3, 3 * N_SEGMENTS - 2)],
    ids=["new", "changed"],
)
def test_a_new_file_is_added_and_a_changed_one_replaces_its_recordings(
    tmp_path, name, seconds, n_recordings, n_segments
):
    cohort_file = make_ward(tmp_path, 3)
    ingest(cohort_file, tmp_path / "store")
    write_signal(tmp_path, name, signal(50, seconds))
    summary = ingest(cohort_file, tmp_path / "store")
    assert (summary.n_files_new, summary.n_recordings, summary.n_segments) == (1, n_recordings, n_segments)
    ingest(cohort_file, tmp_path / "fresh")
    assert_same_store(tmp_path / "store", tmp_path / "fresh")


def test_a_fixed_file_is_taken_in_and_its_complaint_goes(tmp_path):
    cohort_file = make_ward(tmp_path, 3)
    (tmp_path / "signals" / "p2_1.csv").write_text("")
    assert len(ingest(cohort_file, tmp_path / "store").rejects) == 1
    write_signal(tmp_path, "p2_1", signal(2))
    summary = ingest(cohort_file, tmp_path / "store")
    assert summary.rejects.empty
    assert (summary.n_files_new, summary.n_recordings) == (1, 3)


def test_recordings_of_a_file_that_is_gone_are_kept_and_named(tmp_path):
    cohort_file = make_ward(tmp_path, 3)
    (tmp_path / "signals" / "p2_1.csv").write_text("")
    ingest(cohort_file, tmp_path / "store")
    for name in ("p2_1", "p3_1"):  # the one was never read, the other was
        (tmp_path / "signals" / f"{name}.csv").unlink()
    summary = ingest(cohort_file, tmp_path / "store")
    assert (summary.n_files_gone, summary.n_recordings, summary.n_segments) == (1, 2, 2 * N_SEGMENTS)
    assert reasons(summary.rejects) == {"p2": Reason.NO_SIGNALS, "signals/p3_1.csv": Reason.FILE_GONE}


def test_a_corrected_clinical_table_needs_no_file_to_be_read_again(tmp_path):
    cohort_file = make_ward(tmp_path, 2)
    write_clinical(tmp_path, [clinical_row(1)])
    ingest(cohort_file, tmp_path / "store")
    run = json.loads((tmp_path / "store" / RUN_FILE).read_text())
    write_clinical(tmp_path, [clinical_row(1), clinical_row(2)])
    summary = ingest(cohort_file, tmp_path / "store")
    assert (summary.n_files_new, len(summary.rejects)) == (0, 0)
    assert json.loads((tmp_path / "store" / RUN_FILE).read_text())["made_of"] != run["made_of"]


def mixed_ward(folder: Path) -> Path:
    """Files that commit, that fail, that hold two recordings joined, and that repeat one another."""
    cohort_file = make_ward(folder, 5)
    write_signal(folder, "p5_1", signal(5, 2 * SECONDS))
    (folder / "signals" / "p6_1.csv").write_text("")
    copy_signal(folder, "p1_1", "p1_2")
    return cohort_file


# --- interruptions -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n_done", [1, 3, 5])
def test_an_ingest_that_stops_after_some_files_goes_on_from_there(tmp_path, n_done):
    cohort_file = make_ward(tmp_path, 5)

    def stop(done: int, _total: int) -> None:
        if done == n_done:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ingest(cohort_file, tmp_path / "store", progress=stop)
    summary = ingest(cohort_file, tmp_path / "store")
    assert summary.n_files_new == 5 - n_done
    ingest(cohort_file, tmp_path / "fresh")
    assert_same_store(tmp_path / "store", tmp_path / "fresh")


def test_power_may_fail_between_any_two_writes(tmp_path, monkeypatch):
    monkeypatch.setattr(ingest_module, "_COMMIT_BYTES", 15_000)  # two or three files
    cohort_file = mixed_ward(tmp_path)
    power = Power(monkeypatch)
    ingest(cohort_file, tmp_path / "fresh")
    n_writes = power.n_writes
    assert n_writes > 8
    for fail_at in range(1, n_writes + 1):
        folder = tmp_path / f"store{fail_at}"
        power.n_writes, power.fail_at = 0, fail_at
        with pytest.raises(KeyboardInterrupt):
            ingest(cohort_file, folder)
        power.fail_at = -1
        ingest(cohort_file, folder)
        assert_same_store(folder, tmp_path / "fresh")


def test_segments_that_lost_their_recording_are_neither_shown_nor_kept(tmp_path):
    cohort_file = make_ward(tmp_path, 2)
    ingest(cohort_file, tmp_path / "store")
    store = CohortStore(tmp_path / "store")
    orphans = store.segments(*GRID).query("recording_id == 'p1_1'").assign(recording_id="p7_1")
    store.append_segments(orphans)
    assert set(store.segments(*GRID)["recording_id"]) == {"p1_1", "p2_1"}
    ingest(cohort_file, tmp_path / "store")
    assert set(content(tmp_path / "store")[1]["recording_id"]) == {"p1_1", "p2_1"}


# --- what only the whole cohort shows ----------------------------------------------------------------------------


def test_identical_signals_of_one_patient_count_once_and_of_two_patients_not_at_all(tmp_path):
    cohort_file = make_ward(tmp_path, 3)
    copy_signal(tmp_path, "p1_1", "p1_2")
    copy_signal(tmp_path, "p2_1", "p3_2")
    rejects = ingest(cohort_file, tmp_path / "store").rejects
    assert reasons(rejects) == {
        "p1_2": Reason.COPY_OF_PATIENT,
        "p2_1": Reason.COPY_OF_OTHER,
        "p3_2": Reason.COPY_OF_OTHER,
    }
    assert rejects.set_index("subject").loc["p2_1", "detail"] == "identical signals: p2_1, p3_2"


def test_joined_recordings_are_split_and_no_segment_spans_the_seam(tmp_path):
    cohort_file = make_ward(tmp_path, 6)
    halves = signal(60), signal(61)
    write_signal(tmp_path, "p6_1", np.concatenate(halves, axis=1))
    summary = ingest(cohort_file, tmp_path / "store")
    assert reasons(summary.rejects) == {"signals/p6_1.csv": Reason.JOINED}
    assert summary.n_recordings == 7
    store = CohortStore(tmp_path / "store")
    segments = store.segments(*GRID)
    for number, half in enumerate(halves):
        of_half = segments[segments["recording_id"] == f"p6_1#{number}"]
        assert of_half["start_s"].tolist() == [0, 2, 4, 6, 8]
        write_signal(tmp_path / "alone", f"p{number}_1", half)
    # Each half is stored as if it had come in a file of its own.
    write_clinical(tmp_path / "alone", [clinical_row(1)])
    ingest(describe(tmp_path / "alone"), tmp_path / "alone" / "store")
    alone = {row.recording_id: row for row in CohortStore(tmp_path / "alone" / "store").iterate(["ppg_red"])}
    joined = {row.recording_id: row for row in store.iterate(["ppg_red"])}
    for number in (0, 1):
        np.testing.assert_array_equal(
            joined[f"p6_1#{number}"].channels["ppg_red"].samples, alone[f"p{number}_1"].channels["ppg_red"].samples
        )


def test_a_joined_file_that_is_replaced_is_no_longer_called_joined(tmp_path):
    cohort_file = make_ward(tmp_path, 6)
    write_signal(tmp_path, "p6_1", signal(60, 2 * SECONDS))
    assert len(ingest(cohort_file, tmp_path / "store").rejects) == 1
    write_signal(tmp_path, "p6_1", signal(60))
    summary = ingest(cohort_file, tmp_path / "store")
    assert (len(summary.rejects), summary.n_recordings) == (0, 6)


def test_a_recording_shorter_than_a_segment_is_kept_without_segments(tmp_path):
    cohort_file = make_ward(tmp_path, 2)
    write_signal(tmp_path, "p2_1", signal(70, 3.0))
    summary = ingest(cohort_file, tmp_path / "store")
    assert (summary.n_recordings, summary.n_segments, len(summary.rejects)) == (2, N_SEGMENTS, 0)


def test_a_file_without_one_of_the_channels_is_left_out_and_reports_which(tmp_path):
    cohort_file = make_ward(tmp_path, 2)
    path = tmp_path / "signals" / "p2_1.csv"
    path.write_text("\n".join(line.split(",")[0] for line in path.read_text().splitlines()))
    rejects = ingest(cohort_file, tmp_path / "store").rejects
    assert reasons(rejects) == {"signals/p2_1.csv": Reason.FILE_UNREADABLE}
    assert "'ir'" in rejects["detail"].iloc[0]


def test_a_band_that_the_rate_cannot_hold_rejects_files_and_not_the_run(tmp_path):
    make_ward(tmp_path, 1)
    cohort_file = describe(tmp_path, signal={"fs_hz": 10.0})
    for rejects in (ingest(cohort_file, tmp_path / "store").rejects, check_cohort(cohort_file, n_jobs=1).rejects):
        assert list(rejects["reason"]) == [Reason.SIGNAL_UNUSABLE]
        assert "cannot band-pass 0.5-8 Hz at fs = 10 Hz" in rejects["detail"].iloc[0]


def test_a_stack_of_chunks_is_a_recording_each(tmp_path):
    cohort_file = stack_ward(tmp_path)
    summary = ingest(cohort_file, tmp_path / "store")
    assert (summary.n_files, summary.n_recordings, summary.n_patients, summary.n_segments) == (2, 6, 2, 6 * N_SEGMENTS)
    names = CohortStore(tmp_path / "store").recordings(["recording_id"])["recording_id"].tolist()
    assert names == [f"p{patient}#{chunk}" for patient in (1, 2) for chunk in (0, 1, 2)]


def stack_ward(folder: Path) -> Path:
    for number in (1, 2):
        chunks = np.stack([signal(10 * number + chunk) for chunk in range(3)], axis=1)
        np.savez(folder / f"p{number}.npz", red=chunks[0], ir=chunks[1])
    files = {"signals__reader": "arrays", "signals__options": {}, "signals__files": "{patient}.npz"}
    return describe(folder, clinical=None, **files)


def test_an_inverted_channel_is_stored_the_right_way_up(tmp_path):
    stored = []
    for name, is_inverted in (("up", False), ("down", True)):
        (tmp_path / name).mkdir()
        make_ward(tmp_path / name, 1)
        channels = {"ppg_red": {"column": "red", "inverted": is_inverted}}
        ingest(describe(tmp_path / name, signals__channels=channels), tmp_path / name / "store")
        (row,) = CohortStore(tmp_path / name / "store").iterate(["ppg_red"])
        stored.append(row.channels["ppg_red"].samples)
    np.testing.assert_array_equal(stored[0], -stored[1])


def test_a_gap_is_not_stored_as_signal_and_its_segments_are_not_accepted(tmp_path):
    cohort_file = make_ward(tmp_path, 2)
    samples = signal(2)
    samples[:, 5 * FS_HZ : 6 * FS_HZ] = np.nan
    write_signal(tmp_path, "p2_1", samples)
    ingest(cohort_file, tmp_path / "store")
    store = CohortStore(tmp_path / "store")
    rows = {row.recording_id: row for row in store.iterate(["ppg_red"])}
    is_lost = np.isnan(rows["p2_1"].channels["ppg_red"].samples)
    assert is_lost[5 * FS_HZ : 6 * FS_HZ].all()
    assert not is_lost[: 5 * FS_HZ].any()
    labels = store.segments(*GRID).query("recording_id == 'p2_1'").set_index("start_s")
    assert labels["defect_ppg_red"].to_dict() == {0: "", 2: "gap", 4: "gap", 6: "", 8: ""}
    assert labels["accepted"].tolist() == [True, False, False, True, True]


# --- real recordings ---------------------------------------------------------------------------------------------


def real_cohort(test_data: Path, tmp_path: Path, name: str, files: str) -> Path:
    """The example description of a public data set, with another pattern of files and no clinical table."""
    source = REPOSITORY / "data_schemas" / "examples" / "cohorts" / f"{name}.yaml"
    description = yaml.safe_load(source.read_text(encoding="utf-8"))
    description.pop("clinical", None)
    description["root"] = str(test_data / name)
    description["signals"]["files"] = files
    path = tmp_path / "cohort.yaml"
    path.write_text(yaml.safe_dump(description))
    return path


def test_the_known_defects_of_ppg_bp_are_found(test_data, tmp_path, monkeypatch):
    monkeypatch.setenv("PPGSSL_DATA", str(test_data))
    cohort_file = REPOSITORY / "data_schemas" / "examples" / "cohorts" / "ppg_bp.yaml"
    summary = ingest(cohort_file, tmp_path / "store")
    found = {
        reason: set(rows["subject"])
        for reason, rows in summary.rejects[summary.rejects["unit"] == "recording"].groupby("reason")
    }
    assert found[Reason.COPY_OF_OTHER] == {"23_3", "24_1"}
    assert found[Reason.COPY_OF_PATIENT] == {"216_2", "66_2"}
    assert found[Reason.JOINED] == {"signals/231_1.txt", "signals/231_2.txt"}
    assert (summary.n_files, summary.n_recordings, summary.n_patients) == (438, 440, 146)
    segments = CohortStore(tmp_path / "store").segments(2.0, 1.0).set_index("recording_id")
    assert not segments.loc["245_3", "accepted"]
    assert segments.loc["245_3", "defect_ppg"] in ("clipped", "flat")
    assert summary.n_segments_accepted > 0.8 * summary.n_segments


def test_a_file_of_arrhythmia_pool_is_a_stack_of_ten_second_chunks(test_data, tmp_path):
    cohort_file = real_cohort(test_data, tmp_path, "arrhythmia_pool", "{patient:MPA_181220.*}.npz")
    summary = ingest(cohort_file, tmp_path / "store")
    assert (summary.n_files, summary.n_recordings, summary.n_segments) == (1, 199, 199)
    assert summary.rejects.empty
    rates = CohortStore(tmp_path / "store").segments(10.0, 5.0)["heart_rate_bpm"]
    assert rates.between(30, 240).mean() > 0.9


def test_files_of_mw_ppg_hold_three_channels_of_one_minute(test_data, tmp_path):
    cohort_file = real_cohort(test_data, tmp_path, "mw_ppg", "recordings/bp_dataset_{patient:[12]}.csv")
    summary = ingest(cohort_file, tmp_path / "store")
    assert (summary.n_files, summary.n_recordings, summary.n_segments) == (2, 2, 22)
    for row in CohortStore(tmp_path / "store").iterate(["ppg_green", "ppg_red", "ppg_ir"]):
        assert row.duration_s == pytest.approx(60, abs=0.1)
        assert {len(channel.samples) for channel in row.channels.values()} == {round(row.duration_s * 100)}


# --- the layouts of the published study --------------------------------------------------------------------------


def test_binary_channels_with_device_trends(tmp_path):
    for patient in (1, 2, 3):
        oximeter.write_binary(tmp_path / "signals", f"{patient}", seed=patient, seconds=30)
    (tmp_path / "signals" / "2_spo2trends.csv").unlink()
    (tmp_path / "signals" / "3_spo2infra.ts").unlink()
    summary = ingest(oximeter.describe(tmp_path, "oximeter_binary"), tmp_path / "store")
    assert summary.n_recordings == 2
    assert reasons(summary.rejects) == {"2": Reason.NO_TRENDS, "signals/3_spo2red.ts": Reason.FILE_UNREADABLE}
    store = CohortStore(tmp_path / "store")
    segments = store.segments(10.0, 2.0).set_index("recording_id")
    assert segments["accepted"].all()
    assert segments.loc["1", "device_sqi"].tolist() == [90.0] * 11
    assert segments.loc["2", "device_sqi"].isna().all()
    # The ratio of ratios is 0.6, so the default curve says 95 %.
    assert segments["spo2_percent"].to_numpy() == pytest.approx(95, abs=1)
    assert segments["ratio_of_ratios"].to_numpy() == pytest.approx(0.6, abs=0.04)
    for row in store.iterate(["ppg_red", "ppg_ir"]):
        assert all(channel.inverted for channel in row.channels.values())  # light, not volume: systole points down
        assert (len(row.trends["sqi"]) == 30) == (row.recording_id == "1")


def test_text_channels_with_visits_readings_and_the_published_rule(tmp_path):
    oximeter.write_text(tmp_path, "31", 1, "adm", seed=1, seconds=20)
    oximeter.write_text(tmp_path, "31", 2, "adm", seed=2, seconds=20)
    oximeter.write_text(tmp_path, "31", 1, "dis", seed=3, seconds=20)
    bad = tmp_path / "31_hospitalization_an_arm_1_spo2trends1_oxi_dis.csv"
    bad.write_text(oximeter.trends(20, sqi=49))
    summary = ingest(oximeter.describe(tmp_path, "oximeter_text"), tmp_path / "store")
    assert (summary.n_recordings, summary.n_patients, len(summary.rejects)) == (3, 1, 0)
    store = CohortStore(tmp_path / "store")
    visits = store.recordings(["recording_id", "visit"]).set_index("recording_id")["visit"]
    assert visits.to_dict() == {"31_adm_1": "adm", "31_adm_2": "adm", "31_dis_1": "dis"}
    accepted = store.segments(10.0, 2.0).groupby("recording_id")["accepted"].all()
    assert accepted.to_dict() == {"31_adm_1": True, "31_adm_2": True, "31_dis_1": False}


def test_a_changed_companion_is_read_again(tmp_path):
    for patient in (1, 2):
        oximeter.write_binary(tmp_path / "signals", f"{patient}", seed=patient, seconds=20)
    cohort_file = oximeter.describe(tmp_path, "oximeter_binary")
    ingest(cohort_file, tmp_path / "store")
    (tmp_path / "signals" / "2_spo2trends.csv").write_text(oximeter.trends(20, sqi=30))
    assert ingest(cohort_file, tmp_path / "store").n_files_new == 1
    segments = CohortStore(tmp_path / "store").segments(10.0, 2.0)
    assert set(segments.loc[segments["recording_id"] == "2", "device_sqi"]) == {30.0}


# --- elsewhere, and under fire -----------------------------------------------------------------------------------


def test_a_dask_cluster_makes_the_same_store(tmp_path, dask_cluster):
    cohort_file = mixed_ward(tmp_path)
    for number in range(10, 20):
        write_signal(tmp_path, f"p{number}_1", signal(number))
    ingest(cohort_file, tmp_path / "here")
    ingest_module.ingest(cohort_file, tmp_path / "there", scheduler=dask_cluster)
    assert_same_store(tmp_path / "here", tmp_path / "there")


def test_a_store_of_another_version_is_refused(tmp_path):
    cohort_file = make_ward(tmp_path, 2)
    ingest(cohort_file, tmp_path / "store")
    (tmp_path / "store" / tables.FORMAT_FILE).unlink()
    with pytest.raises(StoreError, match="another version of ppgssl"):
        ingest(cohort_file, tmp_path / "store")


def test_recordings_in_which_nothing_varies_are_not_called_identical(tmp_path):
    cohort_file = make_ward(tmp_path, 2)
    for patient in (1, 2):
        write_signal(tmp_path, f"p{patient}_9", np.full((2, 600), np.nan))
    summary = ingest(cohort_file, tmp_path / "store")
    assert summary.n_recordings == 4
    assert summary.rejects.query("stage == 'duplicates'").empty
