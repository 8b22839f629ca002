from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from ppgssl.core.config.cohort import Cohort, Segmentation
from ppgssl.signals.artefacts import Defect
from ppgssl.signals.vitals import VITALS
from ppgssl.stages.ingest.ingest import ingest
from ppgssl.store.rows import StoredChannel, StoredRecording
from ppgssl.store.segmenting import ensure_grid, is_accepted, segment_rows
from ppgssl.store.tables import CohortStore
from tests.support.small_cohorts import FS_HZ, make_ward
from tests.support.synthetic import make_ppg

GRID = Segmentation(segment_s=4.0, step_s=2.0, min_sqi=0.5)
TRENDS = {"file": "{patient}_trends.csv", "columns": {"sqi": "SQI", "spo2_percent": "Saturation"}}


def cohort(*channels: str, **keys) -> Cohort:
    signals = {"files": "{patient}.csv", "reader": "delimited", "trends": keys.pop("trends", None)}
    signals["channels"] = {name: {"column": 0} for name in channels}
    return Cohort.model_validate(
        {"name": "ward", "signals": signals, "segments": GRID.model_dump() | keys.pop("segments", {}), **keys}
    )


def channel(seconds: float, heart_rate_bpm: float = 75.0, *, noise: float = 0.0, seed: int = 0) -> StoredChannel:
    samples = make_ppg(seconds, FS_HZ, heart_rate_bpm, noise=noise, rng=np.random.default_rng(seed))
    return StoredChannel(
        samples=(samples - samples.mean()).astype(np.float32),
        flags=np.zeros(len(samples), dtype=np.uint8),
        baseline=np.ones(int(np.ceil(seconds)), dtype=np.float32),
        amplitude=1.0,
    )


def recording(name: str, **channels: StoredChannel) -> StoredRecording:
    n_samples = len(next(iter(channels.values())).samples)
    return StoredRecording(
        recording_id=name,
        patient_id=name.split("_")[0],
        visit="",
        source=f"{name}.csv",
        source_sha256="0" * 64,
        signal_sha256=name,
        source_fs_hz=FS_HZ,
        duration_s=n_samples / FS_HZ,
        fs_hz=FS_HZ,
        channels=channels,
    )


def test_a_recording_is_cut_wherever_a_segment_fits_whole():
    rows = segment_rows([recording("p1_1", ppg=channel(11.0))], cohort("ppg"))
    assert rows["start_s"].tolist() == [0, 2, 4, 6]
    assert set(rows["recording_id"]) == {"p1_1"}
    assert set(rows["patient_id"]) == {"p1"}
    assert rows["accepted"].all()


def test_a_recording_shorter_than_a_segment_has_no_row():
    assert segment_rows([recording("p1_1", ppg=channel(3.9))], cohort("ppg")).empty
    assert segment_rows([], cohort("ppg")).empty


def test_recordings_assessed_together_are_assessed_as_if_alone():
    recordings = [
        recording(f"p{seed}_1", ppg=channel(seconds, 60 + 7 * seed, noise=0.05 * seed, seed=seed))
        for seed, seconds in enumerate([12.0, 3.0, 9.0, 4.0])
    ]
    alone = pd.concat([segment_rows([one], cohort("ppg")) for one in recordings], ignore_index=True)
    pd.testing.assert_frame_equal(segment_rows(recordings, cohort("ppg")), alone)


def test_the_heart_rate_is_that_of_the_better_channel():
    good, bad = channel(8.0, 90), channel(8.0, 60, noise=0.6, seed=3)
    rows = segment_rows([recording("p1_1", ppg_red=bad, ppg_ir=good)], cohort("ppg_red", "ppg_ir"))
    assert (rows["sqi_ppg_ir"] > rows["sqi_ppg_red"]).all()
    assert rows["heart_rate_bpm"].to_numpy() == pytest.approx(90, abs=2)


def test_a_segment_is_accepted_if_one_channel_is_good():
    good = channel(8.0)
    flagged = replace(good, flags=np.full(len(good.flags), Defect.FLAT, dtype=np.uint8))
    rows = segment_rows([recording("p1_1", ppg_red=flagged, ppg_ir=good)], cohort("ppg_red", "ppg_ir"))
    assert rows["accepted"].all()
    assert set(rows["defect_ppg_red"]) == {"flat"}
    rows = segment_rows([recording("p1_1", ppg_red=flagged, ppg_ir=flagged)], cohort("ppg_red", "ppg_ir"))
    assert not rows["accepted"].any()


def test_a_segment_of_constant_samples_has_the_lowest_quality_no_vitals_and_is_not_accepted():
    constant = replace(channel(8.0), samples=np.zeros(8 * FS_HZ, dtype=np.float32))
    rows = segment_rows([recording("p1_1", ppg=constant)], cohort("ppg"))
    assert (rows["sqi_ppg"] == 0).all()
    assert rows["heart_rate_bpm"].isna().all()
    assert not rows["accepted"].any()


@pytest.mark.parametrize(
    ("quality", "defect", "accepted"), [(0.5, "", True), (0.49, "", False), (0.9, "gap", False), (np.nan, "", False)]
)
def test_a_channel_is_accepted_without_defect_and_from_the_least_quality_on(quality, defect, accepted):
    rows = pd.DataFrame({"sqi_ppg": [quality], "defect_ppg": [defect]})
    assert is_accepted(rows, ["ppg"], GRID)["ppg"].tolist() == [accepted]


def test_another_grid_is_cut_once_and_then_kept(tmp_path):
    ingest(make_ward(tmp_path, 2), tmp_path / "store", n_jobs=1)
    store = CohortStore(tmp_path / "store")
    other = Segmentation(segment_s=6.0, step_s=3.0)
    assert ensure_grid(store, other) == 2 * 3
    assert store.segments(6.0, 3.0)["start_s"].tolist() == [0, 3, 6] * 2
    assert ensure_grid(store, other) == 0
    assert len(store.segments(4.0, 2.0)) == 2 * 5  # the first grid is as it was


def with_trends(sqi: list[float], **keys) -> pd.DataFrame:
    one = replace(
        recording("p1_1", ppg=channel(8.0)),
        trends={"sqi": np.array(sqi, dtype=float), "spo2_percent": np.arange(90.0, 98.0)},
    )
    return segment_rows([one], cohort("ppg", trends=TRENDS, **keys))


def test_what_the_device_displayed_is_kept_as_the_median_of_each_segment():
    rows = with_trends([10, 20, 30, 40, 90, 90, 90, np.nan])
    assert rows["start_s"].tolist() == [0, 2, 4]
    assert rows["device_sqi"].tolist() == [25, 65, 90]
    assert rows["device_sqi_max"].tolist() == [40, 90, 90]
    assert rows["device_spo2_percent"].tolist() == [91.5, 93.5, 95.5]


@pytest.mark.parametrize(
    ("accept", "accepted"), [("device", [False, True, True]), ("device-any", [False, True, True]), ("sqi", [True] * 3)]
)
def test_the_device_can_decide_what_is_accepted(accept, accepted):
    rows = with_trends([10, 20, 30, 40, 90, 90, 90, 90], segments={"accept": accept, "min_device_sqi": 50})
    assert rows["accepted"].tolist() == accepted


def test_the_published_rule_takes_a_segment_with_one_good_second():
    sqi = [0, 0, 0, 50, 0, 0, 0, 0]
    by_any = with_trends(sqi, segments={"accept": "device-any"})
    assert by_any["accepted"].tolist() == [True, True, False]
    by_median = with_trends(sqi, segments={"accept": "device"})
    assert not by_median["accepted"].any()


def test_where_the_device_shows_nothing_it_accepts_nothing():
    rows = with_trends([90, 90, 90], segments={"accept": "device"})
    assert rows["device_sqi"].isna().tolist() == [False, False, True]
    assert rows["accepted"].tolist() == [True, True, False]


def test_quality_and_vitals_can_be_left_out():
    rows = with_trends([90] * 8, segments={"accept": "device"}, quality=False, vitals={"enabled": False})
    assert rows["sqi_ppg"].isna().all()
    assert rows[list(VITALS)].isna().all(axis=None)
    assert rows["accepted"].all()
