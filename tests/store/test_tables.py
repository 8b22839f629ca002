from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ppgssl.core.config.cohort import Cohort
from ppgssl.core.errors import StoreError
from ppgssl.core.reasons import Reason
from ppgssl.core.records import Reject
from ppgssl.signals.vitals import VITALS
from ppgssl.store.rows import StoredChannel, StoredRecording, rejects_frame, sourced_rejects_frame
from ppgssl.store.tables import CohortStore

COHORT = Cohort.model_validate(
    {
        "name": "ward",
        "signals": {
            "files": "{patient}.csv",
            "reader": "delimited",
            "channels": {"ppg_red": {"column": "red"}, "ppg_ir": {"column": "ir"}},
        },
    }
)
NO_REJECTS = rejects_frame("files", [])


def recording(name: str, source: str = "a.csv", n: int = 300, seed: int = 0) -> StoredRecording:
    rng = np.random.default_rng(seed)
    channel = StoredChannel(
        samples=rng.normal(size=n).astype(np.float32),
        flags=rng.integers(0, 4, n).astype(np.uint8),
        baseline=np.ones(3, dtype=np.float32),
        amplitude=2.5,
    )
    return StoredRecording(
        recording_id=name,
        patient_id=name.split("_")[0],
        visit="",
        source=source,
        source_sha256="0" * 64,
        signal_sha256=f"{seed:064d}",
        source_fs_hz=80.0,
        duration_s=n / 100,
        fs_hz=100.0,
        channels={"ppg_red": channel, "ppg_ir": channel},
    )


def segments(name: str, starts: list[float]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "recording_id": name,
            "patient_id": name.split("_")[0],
            "segment_s": 1.0,
            "step_s": 0.5,
            "start_s": starts,
            "sqi_ppg_red": 0.9,
            "defect_ppg_red": "",
            "sqi_ppg_ir": 0.2,
            "defect_ppg_ir": "flat",
            "accepted": True,
            **dict.fromkeys(VITALS, 80.0),
        }
    )


@pytest.fixture
def store(tmp_path) -> CohortStore:
    return CohortStore.create(tmp_path / "store", COHORT)


@settings(max_examples=10)
@given(n=st.integers(1, 2000), seed=st.integers(0, 1000))
def test_a_recording_comes_back_as_it_was_stored(tmp_path_factory, n, seed):
    store = CohortStore.create(tmp_path_factory.mktemp("stores") / "store", COHORT)
    put = recording("p1_1", n=n, seed=seed)
    store.append([put], segments("p1_1", [0.0]), NO_REJECTS)
    (got,) = store.iterate(["ppg_red"])
    np.testing.assert_array_equal(got.channels["ppg_red"].samples, put.channels["ppg_red"].samples)
    np.testing.assert_array_equal(got.channels["ppg_red"].flags, put.channels["ppg_red"].flags)
    assert (got.recording_id, got.fs_hz, got.duration_s) == ("p1_1", 100.0, n / 100)
    assert set(got.channels) == {"ppg_red"}


def test_segments_are_found_by_their_length_and_step(store):
    store.append([recording("p1_1")], segments("p1_1", [0.5, 0.0]), NO_REJECTS)
    assert store.segments(1.0, 0.5)["start_s"].tolist() == [0.0, 0.5]
    assert store.segments(2.0, 0.5).empty


def test_segments_without_a_recording_are_dropped(store):
    store.append([recording("p1_1")], segments("p1_1", [0.0]), NO_REJECTS)
    store.append_segments(segments("p2_1", [0.0, 0.5]))
    store.drop_orphans()
    assert set(store.segments(1.0, 0.5)["recording_id"]) == {"p1_1"}


def test_a_forgotten_source_takes_its_recordings_segments_and_rejects_along(store):
    failed = sourced_rejects_frame("files", [(Reject(Reason.FILE_UNREADABLE, "b.csv", "empty"), "1" * 64)])
    store.append([recording("p1_1")], segments("p1_1", [0.0]), failed)
    store.append([recording("p2_1", source="c.csv")], segments("p2_1", [0.0]), NO_REJECTS)
    store.forget_sources(["a.csv", "b.csv"])
    assert store.recordings(["recording_id"])["recording_id"].tolist() == ["p2_1"]
    assert set(store.segments(1.0, 0.5)["recording_id"]) == {"p2_1"}
    assert store.rejects().empty


def test_the_same_rejects_change_nothing(store):
    rejects = [Reject(Reason.NO_SIGNALS, "p9"), Reject(Reason.IMPLAUSIBLE, "p1/age")]
    assert store.replace_rejects("clinical", rejects)
    assert not store.replace_rejects("clinical", reversed(rejects))
    assert store.replace_rejects("clinical", rejects[:1])
    assert len(store.rejects()) == 1


def test_the_same_patients_change_nothing_and_a_column_may_be_all_missing(store):
    index = pd.Index(["p1", "p2"], name="patient_id")
    patients = pd.DataFrame({"age": [1.0, np.nan], "ward": [None, None]}, index=index)
    assert store.replace_patients(patients)
    assert not store.replace_patients(patients)
    assert store.patients()["age"].isna().tolist() == [False, True]


def test_the_content_hash_does_not_depend_on_the_order_of_commits(tmp_path):
    stores = [CohortStore.create(tmp_path / name, COHORT) for name in ("one", "two")]
    rows = [recording("p1_1", seed=1), recording("p2_1", source="b.csv", seed=2)]
    for store, order in zip(stores, (rows, rows[::-1]), strict=True):
        for row in order:
            store.append([row], segments(row.recording_id, [0.0]), NO_REJECTS)
    assert stores[0].fingerprint() == stores[1].fingerprint()


def test_the_content_hash_sees_a_changed_signal(tmp_path):
    stores = [CohortStore.create(tmp_path / name, COHORT) for name in ("one", "two")]
    for seed, store in enumerate(stores):
        store.append([recording("p1_1", seed=seed)], segments("p1_1", [0.0]), NO_REJECTS)
    assert stores[0].fingerprint() != stores[1].fingerprint()


def test_a_folder_without_a_store_is_refused_with_the_command_that_makes_one(tmp_path):
    with pytest.raises(StoreError, match="ppgssl ingest"):
        CohortStore(tmp_path)


def test_a_folder_with_other_files_is_not_made_a_store(tmp_path):
    (tmp_path / "thesis.docx").touch()
    with pytest.raises(StoreError, match="holds other files"):
        CohortStore.create(tmp_path, COHORT)


def test_a_store_of_other_settings_is_refused_by_key(store):
    other = COHORT.model_copy(update={"signal": COHORT.signal.model_copy(update={"fs_hz": 50.0})})
    with pytest.raises(StoreError, match="`signal`"):
        CohortStore.create(store.folder, other)


def test_a_new_title_does_not_need_a_new_store(store):
    renamed = COHORT.model_copy(update={"title": "The ward"})
    assert CohortStore.create(store.folder, renamed).cohort.title == "The ward"
