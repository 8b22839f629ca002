from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ppgssl.core.config.study import InputChannel, Inputs
from ppgssl.core.errors import ConfigError, StoreError
from ppgssl.signals.resampling import resample
from ppgssl.stages.ingest.ingest import ingest
from ppgssl.store.assembly import assemble, choose_channels, shared_recordings
from ppgssl.store.tables import CohortStore
from tests.support.small_cohorts import FS_HZ, N_SEGMENTS, describe, make_ward, signal, write_signal

IR_OR_RED = [{"name": "ppg", "any_of": ["ppg_ir", "ppg_red"]}]


def inputs(**changes: Any) -> Inputs:
    return Inputs.model_validate({"channels": IR_OR_RED, "fs_hz": FS_HZ, "segment_s": 4.0, "step_s": 2.0, **changes})


def make_store(folder: Path, n_patients: int = 2, *, first_seed: int = 0, **changes: Any) -> CohortStore:
    folder.mkdir(exist_ok=True)
    ingest(make_ward(folder, n_patients, first_seed=first_seed, **changes), folder / "store", n_jobs=1)
    return CohortStore(folder / "store")


def stored(store: CohortStore, name: str, channel: str) -> np.ndarray:
    return next(row for row in store.iterate([channel]) if row.recording_id == name).channels[channel].samples


def other_ward(folder: Path, n_patients: int = 2, **changes: Any) -> CohortStore:
    return make_store(folder, n_patients, first_seed=100, name="other", **changes)


def test_each_segment_starts_at_its_samples_of_its_recording(tmp_path):
    stores = [make_store(tmp_path / "a"), other_ward(tmp_path / "b", 1)]
    data = assemble(stores, inputs())
    assert len(data.table) == 3 * N_SEGMENTS
    for cohort, recording, start, start_s in zip(
        data.table["cohort"], data.table["recording_id"], data.start, data.decisions["start_s"], strict=True
    ):
        store = stores[0] if cohort == "ward" else stores[1]
        first = round(start_s * FS_HZ)
        expected = stored(store, recording, "ppg_ir")[first : first + data.length]
        np.testing.assert_array_equal(data.samples[0, start : start + data.length], expected)
    assert data.samples.dtype == np.float32
    assert data.table["patient"].unique().tolist() == ["ward/p1", "ward/p2", "other/p1"]


def test_recordings_are_resampled_to_the_rate_of_the_study(tmp_path):
    store = make_store(tmp_path, 1)
    data = assemble([store], inputs(fs_hz=40.0))
    assert (data.length, data.fs_hz) == (160, 40.0)
    assert data.start.tolist() == [0, 80, 160, 240, 320]
    expected = resample(stored(store, "p1_1", "ppg_ir"), fs_in_hz=FS_HZ, fs_out_hz=40.0)
    np.testing.assert_allclose(data.samples[0], expected, rtol=1e-6, atol=1e-6)


def test_a_segment_that_does_not_fit_at_the_rate_of_the_study_is_not_counted(tmp_path):
    folder = tmp_path
    make_ward(folder, 1)
    # 609 samples last 12.18 s; at 18 Hz, 219 samples: the last of the segments that step by 0.09 s does not fit.
    write_signal(folder, "p1_1", signal(1, 12.18))
    ingest(describe(folder), folder / "store", n_jobs=1)
    data = assemble([CohortStore(folder / "store")], inputs(fs_hz=18.0, step_s=0.09))
    assert (data.start + data.length <= data.samples.shape[1]).all()
    assert data.decisions["accepted"].sum() == len(data.table)


def test_only_accepted_segments_are_gathered_and_the_others_have_a_reason(tmp_path):
    make_ward(tmp_path, 2)
    samples = signal(2)
    samples[:, 5 * FS_HZ : 6 * FS_HZ] = np.nan
    write_signal(tmp_path, "p2_1", samples)
    ingest(describe(tmp_path), tmp_path / "store", n_jobs=1)
    data = assemble([CohortStore(tmp_path / "store")], inputs())
    assert (data.table["recording_id"] == "p2_1").sum() == 3
    rejected = data.decisions[~data.decisions["accepted"]]
    assert rejected[["start_s", "defect"]].to_numpy().tolist() == [[2.0, "gap"], [4.0, "gap"]]
    assert np.isfinite(data.samples).all()


def test_the_study_decides_what_quality_is_enough(tmp_path):
    store = make_store(tmp_path)
    quality = assemble([store], inputs()).decisions["sqi"]
    data = assemble([store], inputs(min_sqi=float(quality.median())))
    assert len(data.table) == (quality >= quality.median()).sum() < len(quality)
    assert set(data.decisions.loc[~data.decisions["accepted"], "defect"]) == {"low-sqi"}


def test_with_two_inputs_both_must_be_good(tmp_path):
    make_ward(tmp_path, 1)
    samples = signal(1)
    samples[0, 5 * FS_HZ : 6 * FS_HZ] = np.nan  # red alone
    write_signal(tmp_path, "p1_1", samples)
    ingest(describe(tmp_path), tmp_path / "store", n_jobs=1)
    store = CohortStore(tmp_path / "store")
    both = [{"name": name, "any_of": [f"ppg_{name}"]} for name in ("red", "ir")]
    data = assemble([store], inputs(channels=both))
    assert data.samples.shape[0] == 2
    assert (len(data.table), len(assemble([store], inputs()).table)) == (3, 5)


def test_the_first_channel_that_a_cohort_has_fills_an_input(tmp_path):
    red_alone = {"ppg_red": {"column": "red"}}
    stores = [make_store(tmp_path / "a"), other_ward(tmp_path / "b", signals__channels=red_alone)]
    data = assemble(stores, inputs())
    assert data.channel_of == {"ward": ("ppg_ir",), "other": ("ppg_red",)}
    assert set(data.acquisition["channel"]) == {"ppg_ir", "ppg_red"}


def test_a_cohort_without_any_of_the_channels_is_refused_with_what_it_has(tmp_path):
    wanted = [InputChannel(name="ppg", any_of=["ppg_green"])]
    with pytest.raises(
        ConfigError, match=r"no channel for the input 'ppg': it has ppg_red, ppg_ir.*`optional: true` for this input"
    ):
        choose_channels(make_store(tmp_path, 1), wanted)


BOTH = [{"name": name, "any_of": [f"ppg_{name}"], "optional": name == "ir"} for name in ("red", "ir")]
RED_ALONE = {"ppg_red": {"column": "red"}}


@pytest.mark.parametrize("memory_gb", [1.0, 1e-6])
def test_a_channel_that_a_cohort_lacks_is_zero_there_if_the_input_is_optional(tmp_path, memory_gb):
    stores = [make_store(tmp_path / "a"), other_ward(tmp_path / "b", signals__channels=RED_ALONE)]
    data = assemble(stores, inputs(channels=BOTH, memory_gb=memory_gb))
    assert data.channel_of == {"ward": ("ppg_red", "ppg_ir"), "other": ("ppg_red", None)}
    assert data.channels_of("other") == ["ppg_red"]
    is_other = (data.table["cohort"] == "other").to_numpy()
    assert is_other.sum() == 2 * N_SEGMENTS
    np.testing.assert_array_equal(data.is_present, np.stack([np.ones_like(is_other), ~is_other], axis=1))
    for numbers, segments in data.parts():
        np.testing.assert_array_equal((segments != 0).any(axis=-1), data.is_present[numbers])
    assert np.isnan(data.baseline[is_other, 1]).all()
    assert np.isfinite(data.baseline[data.is_present]).all()
    channels = data.acquisition.groupby("cohort")["channel"].unique().map(list).to_dict()
    assert channels == {"ward": ["ppg_red", "ppg_ir"], "other": ["ppg_red"]}


def test_only_the_channels_that_a_cohort_has_are_assessed(tmp_path):
    stores = [make_store(tmp_path / "a"), other_ward(tmp_path / "b", signals__channels=RED_ALONE)]
    apart = [assemble([store], inputs(channels=BOTH[:1])) for store in stores]
    together = assemble(stores, inputs(channels=BOTH))
    other = together.decisions.query("cohort == 'other'").reset_index(drop=True)
    assert other.equals(apart[1].decisions)
    ward = together.decisions.query("cohort == 'ward'")
    assert (ward["sqi"] <= apart[0].decisions["sqi"]).all()


def test_a_cohort_needs_a_channel_for_some_input_even_if_all_are_optional(tmp_path):
    green = InputChannel(name="green", any_of=["ppg_green"], optional=True)
    infrared = InputChannel(name="ir", any_of=["ppg_ir"], optional=True)
    store = other_ward(tmp_path, signals__channels=RED_ALONE)
    with pytest.raises(ConfigError, match=r"'other' has no channel for any input.*green \(ppg_green\), ir \(ppg_ir\)"):
        choose_channels(store, [green, infrared])
    red = InputChannel(name="red", any_of=["ppg_red"], optional=True)
    assert choose_channels(store, [green, red]) == (None, "ppg_red")


def test_patients_and_recordings_have_codes_over_all_cohorts(tmp_path):
    data = assemble([make_store(tmp_path / "a"), other_ward(tmp_path / "b", 1)], inputs())  # p1_1 is in both
    assert data.patient_code.tolist() == [0] * N_SEGMENTS + [1] * N_SEGMENTS + [2] * N_SEGMENTS
    assert data.recording_code.tolist() == data.patient_code.tolist()


def test_duplicates_are_left_out(tmp_path):
    make_ward(tmp_path, 3)
    content = (tmp_path / "signals" / "p1_1.csv").read_bytes()
    (tmp_path / "signals" / "p1_2.csv").write_bytes(content)
    (tmp_path / "signals" / "p3_1.csv").write_bytes((tmp_path / "signals" / "p2_1.csv").read_bytes())
    ingest(describe(tmp_path), tmp_path / "store", n_jobs=1)
    data = assemble([CohortStore(tmp_path / "store")], inputs())
    assert set(data.table["recording_id"]) == set(data.decisions["recording_id"]) == {"p1_1"}


def test_recordings_that_an_earlier_cohort_holds_are_left_out_of_later_ones(tmp_path):
    stores = [make_store(tmp_path / "a", 2), make_store(tmp_path / "b", 3, name="other")]  # p1 and p2 are the same
    assert shared_recordings(stores) == {"ward": set(), "other": {"p1_1", "p2_1"}}
    data = assemble(stores, inputs())
    assert data.table.groupby("cohort")["recording_id"].unique().map(sorted).to_dict() == {
        "ward": ["p1_1", "p2_1"],
        "other": ["p3_1"],
    }


def test_the_baseline_of_a_segment_is_the_raw_level_during_it(tmp_path):
    make_ward(tmp_path, 1)
    samples = signal(1)
    samples[1] += np.arange(samples.shape[1]) / FS_HZ  # infrared rises by 1 a second
    write_signal(tmp_path, "p1_1", samples)
    ingest(describe(tmp_path), tmp_path / "store", n_jobs=1)
    data = assemble([CohortStore(tmp_path / "store")], inputs())
    assert data.baseline.shape == (N_SEGMENTS, 1)
    np.testing.assert_allclose(np.diff(data.baseline[:, 0]), 2.0, atol=0.2)
    level = next(CohortStore(tmp_path / "store").iterate(["ppg_ir"])).channels["ppg_ir"].baseline
    assert data.baseline[:, 0].tolist() == [np.median(level[start : start + 4]) for start in range(0, 10, 2)]
    assert data.baseline[0, 0] == pytest.approx(60 + 2 + 0.35, abs=0.4)


def test_acquisition_holds_level_and_amplitude_of_each_recording(tmp_path):
    rows = assemble([make_store(tmp_path, 2)], inputs()).acquisition
    assert rows["patient"].tolist() == ["ward/p1", "ward/p2"]
    assert rows["level"].to_numpy() == pytest.approx(60.35, abs=0.2)
    assert rows["amplitude"].between(0.5, 1.5).all()


def test_a_cohort_without_segments_adds_nothing(tmp_path):
    folder = tmp_path / "short"
    folder.mkdir()
    make_ward(folder, 1)
    write_signal(folder, "p1_1", signal(9, 2.0))
    ingest(describe(folder, name="short"), folder / "store", n_jobs=1)
    store = CohortStore(folder / "store")
    assert len(assemble([make_store(tmp_path / "a", 1), store], inputs()).table) == N_SEGMENTS
    with pytest.raises(StoreError, match="no segment of 4 s is accepted"):
        assemble([store], inputs())


def test_a_cohort_without_recordings_adds_nothing(tmp_path):
    folder = tmp_path / "empty"
    folder.mkdir()
    make_ward(folder, 1)
    (folder / "signals" / "p1_1.csv").write_text("")
    ingest(describe(folder, name="empty"), folder / "store", n_jobs=1)
    data = assemble([make_store(tmp_path / "a", 1), CohortStore(folder / "store")], inputs())
    assert set(data.table["cohort"]) == {"ward"}


@pytest.mark.parametrize("memory_gb", [1.0, 1e-6])
def test_a_recording_runs_from_its_first_accepted_segment_to_its_last(tmp_path, memory_gb):
    make_ward(tmp_path, 3)
    samples = signal(2, 20.0)
    samples[:, 5 * FS_HZ : 6 * FS_HZ] = np.nan
    write_signal(tmp_path, "p2_1", samples)
    ingest(describe(tmp_path), tmp_path / "store", n_jobs=1)
    store = CohortStore(tmp_path / "store")
    data = assemble([store], inputs(memory_gb=memory_gb))
    found = list(data.recordings(["ward/p3", "ward/p2", "ward/nobody"]))
    assert [patient for patient, _ in found] == ["ward/p2", "ward/p3"]
    gap, whole = (channels[0] for _, channels in found)
    np.testing.assert_array_equal(whole, stored(store, "p3_1", "ppg_ir"))
    expected = stored(store, "p2_1", "ppg_ir")
    is_accepted = np.r_[np.ones(4 * FS_HZ), np.zeros(2 * FS_HZ), np.ones(14 * FS_HZ)].astype(bool)
    np.testing.assert_array_equal(gap, np.where(is_accepted, expected, np.nan))
