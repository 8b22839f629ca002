from __future__ import annotations

import numpy as np
import pytest

from ppgssl.core.config.loading import load_study
from ppgssl.stages.evaluate.examples import channel_quality, example_waveforms
from ppgssl.stages.ingest.ingest import ingest
from ppgssl.store.study_data import StudyData, load_study_data
from tests.support.small_cohorts import FS_HZ, N_SEGMENTS, describe_study, make_ward, signal, study_of, write_signal


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> StudyData:
    """Nine patients: p7 has a gap in the middle, p8 is flat, p9 is long and has a gap near its end."""
    folder = tmp_path_factory.mktemp("examples")
    make_ward(folder, 9)
    gap, flat, long = signal(7), signal(8), signal(9, 90.0)
    gap[:, 5 * FS_HZ : 6 * FS_HZ] = np.nan
    flat[:] = 30.0
    long[:, 70 * FS_HZ : 71 * FS_HZ] = np.nan
    for name, samples in (("p7_1", gap), ("p8_1", flat), ("p9_1", long)):
        write_signal(folder, name, samples)
    return study_of(folder)


def test_quality_counts_every_segment_once(data):
    (quality,) = channel_quality(data, data.labelled)
    assert (quality.cohort, quality.channel) == ("ward", "ppg_ir")
    assert quality.n_segments == 8 * N_SEGMENTS + 44
    assert quality.defects == {"flat": N_SEGMENTS, "gap": 4}
    assert quality.n_accepted + sum(quality.defects.values()) == quality.n_segments


def test_the_histogram_holds_the_segments_whose_quality_is_defined(data):
    (quality,) = channel_quality(data, data.labelled)
    assert len(quality.sqi_histogram) == 20
    assert sum(quality.sqi_histogram) == quality.n_segments - N_SEGMENTS - 4


def test_heart_rates_are_in_order_and_within_those_simulated(data):
    (quality,) = channel_quality(data, data.labelled)
    low, middle, high = quality.heart_rate_bpm_quartiles
    assert 58 < low <= middle <= high < 122


def test_one_example_of_each_kind_is_shown(data):
    captions = {example.caption: example.recording_id for example in example_waveforms(data, data.labelled)}
    assert set(captions) == {"typical: every segment accepted", "some segments accepted", "no segment accepted"}
    assert captions["some segments accepted"] == "p7_1"
    assert captions["no segment accepted"] == "p8_1"


def test_an_example_shows_the_samples_as_stored_and_a_gap_as_null(data):
    example = next(item for item in example_waveforms(data, data.labelled) if item.recording_id == "p7_1")
    row = next(row for row in data.labelled.iterate(["ppg_ir"]) if row.recording_id == "p7_1")
    shown = np.array([np.nan if value is None else value for value in example.samples])
    np.testing.assert_array_equal(shown, row.channels["ppg_ir"].samples)
    assert any(value is None for value in example.samples)


def test_segments_shown_lie_end_to_end(data):
    for example in example_waveforms(data, data.labelled):
        starts = [mark.start_s for mark in example.segments]
        assert starts == [4.0 * number for number in range(len(starts))]
        assert starts[-1] + 4.0 <= len(example.samples) / example.fs_hz + 1e-9


def test_the_decisions_shown_are_those_of_the_study(data):
    marks = {
        example.recording_id: [(mark.start_s, mark.accepted, mark.defect) for mark in example.segments]
        for example in example_waveforms(data, data.labelled)
    }
    assert marks["p7_1"] == [(0.0, True, ""), (4.0, False, "gap"), (8.0, True, "")]
    assert all(defect == "flat" for _, _, defect in marks["p8_1"])


def test_a_long_recording_is_shown_where_its_first_bad_segment_is(tmp_path):
    make_ward(tmp_path, 8)
    samples = signal(8, 90.0)
    samples[:, 70 * FS_HZ : 71 * FS_HZ] = np.nan
    write_signal(tmp_path, "p8_1", samples)
    data = study_of(tmp_path)
    example = next(item for item in example_waveforms(data, data.labelled) if item.recording_id == "p8_1")
    assert len(example.samples) / example.fs_hz == pytest.approx(20)
    assert any(value is None for value in example.samples)
    assert not all(mark.accepted for mark in example.segments)


def test_an_example_has_no_more_samples_than_a_figure_can_show(tmp_path):
    # 12 s at 400 Hz are 4,800 samples.
    make_ward(tmp_path, 8, signal={"fs_hz": 400.0})
    data = study_of(tmp_path)
    example = example_waveforms(data, data.labelled)[0]
    assert len(example.samples) <= 3000
    assert len(example.samples) / example.fs_hz == pytest.approx(12.0, abs=0.01)


def test_a_cohort_without_any_segment_has_no_examples_and_an_empty_quality(data, tmp_path):
    make_ward(tmp_path, 1, name="short", clinical=None)
    write_signal(tmp_path, "p1_1", signal(50, 2.0))
    ingest(tmp_path / "cohort.yaml", tmp_path / "store", n_jobs=1)
    folder = data.labelled.folder.parent
    cohorts = [{"store": "store", "role": "labelled"}, {"store": str(tmp_path / "store"), "role": "unlabelled"}]
    path = describe_study(folder, cohorts=cohorts)
    both = load_study_data(load_study(path), path, folder / "out")
    assert example_waveforms(both, both.stores[1]) == []
    (quality,) = channel_quality(both, both.stores[1])
    assert (quality.n_segments, quality.n_accepted, quality.defects) == (0, 0, {})
    assert quality.heart_rate_bpm_quartiles is None
