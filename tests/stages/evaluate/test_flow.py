from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from ppgssl.core.config.loading import load_study
from ppgssl.core.results.data import CohortFlow
from ppgssl.stages.evaluate.flow import cohort_flow, findings
from ppgssl.stages.ingest.ingest import ingest
from ppgssl.store.study_data import StudyData, load_study_data
from tests.support.small_cohorts import (
    FS_HZ,
    N_SEGMENTS,
    clinical_row,
    describe,
    describe_study,
    make_ward,
    signal,
    write_clinical,
    write_signal,
)


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> StudyData:
    """A labelled cohort with every kind of loss, and an unlabelled one that shares three recordings with it."""
    folder = tmp_path_factory.mktemp("flow")
    make_labelled(folder / "ward")
    make_unlabelled(folder / "other", folder / "ward")
    cohorts = [
        {"store": f"{name}/store", "role": role} for name, role in (("ward", "labelled"), ("other", "unlabelled"))
    ]
    study_file = describe_study(folder, cohorts=cohorts)
    return load_study_data(load_study(study_file), study_file, folder / "out")


def make_labelled(folder: Path) -> None:
    folder.mkdir()
    make_ward(folder, 30)
    signals = folder / "signals"
    (signals / "p1_2.csv").write_bytes((signals / "p1_1.csv").read_bytes())  # a copy within a patient
    (signals / "p3_1.csv").write_bytes((signals / "p2_1.csv").read_bytes())  # and across patients
    write_signal(folder, "p4_1", signal(4, 24.0))  # two recordings joined
    write_signal(folder, "p5_1", signal(5, 3.0))  # shorter than a segment
    (signals / "p6_1.csv").write_text("")  # not readable
    (signals / "P30_1.CSV").write_text("")  # its name nearly matches
    gap, flat = signal(7), signal(8)
    gap[:, 5 * FS_HZ : 6 * FS_HZ] = np.nan  # two of the five segments
    flat[:] = 30.0
    write_signal(folder, "p7_1", gap)
    write_signal(folder, "p8_1", flat)
    rows = [clinical_row(number) for number in range(1, 31)]
    rows[8] = "p9,40,a,"  # no outcome
    rows[9] = "p10,400,a,1"  # no such age
    rows[10] += "\np11,77,a,0"  # contradicts itself
    rows[11] = "p99,30,a,0"  # no signals; and p12 has no row
    write_clinical(folder, rows)
    ingest(describe(folder), folder / "store", n_jobs=1)


def make_unlabelled(folder: Path, labelled: Path) -> None:
    folder.mkdir()
    make_ward(folder, 3, first_seed=100)
    for source, target in (("p1_1", "a_1"), ("p2_1", "b_1"), ("p2_1", "b_2")):
        (folder / "signals" / f"{target}.csv").write_bytes((labelled / "signals" / f"{source}.csv").read_bytes())
    ingest(describe(folder, name="other", clinical=None), folder / "store", n_jobs=1)


def lost(flow: CohortFlow, unit: str) -> Counter[str]:
    return Counter({item.reason.text: item.n for item in flow.exclusions if item.unit == unit})


def test_files_are_those_read_and_those_excluded(data):
    flow = cohort_flow(data, data.labelled)
    assert lost(flow, "file") == {"file cannot be read": 1, "file name nearly matches": 1}
    assert flow.n_files == 32
    assert flow.n_files - lost(flow, "file").total() == data.labelled.recordings(["source"])["source"].nunique()


def test_recordings_used_are_those_stored_without_those_excluded(data):
    flow = cohort_flow(data, data.labelled)
    assert lost(flow, "recording") == {
        "identical to another recording of the patient": 1,
        "identical signals under two patients": 2,
        "shorter than one segment": 1,
        "no accepted segment": 1,
    }
    assert flow.n_recordings == 31  # 30 patients but p6, a copy, and a file of two
    assert flow.n_recordings_used == flow.n_recordings - lost(flow, "recording").total()


def test_segments_accepted_are_those_cut_without_those_excluded(data):
    flow = cohort_flow(data, data.labelled)
    assert lost(flow, "segment") == {"missing samples": 2, "flat line": N_SEGMENTS}
    assert flow.n_segments == 27 * N_SEGMENTS
    assert flow.n_segments_accepted == flow.n_segments - lost(flow, "segment").total()
    assert flow.n_segments_accepted == data.is_labelled_cohort().sum()


def test_patients_analysed_are_those_of_the_table_without_those_excluded(data):
    flow = cohort_flow(data, data.labelled)
    of_table = lost(flow, "patient")
    assert of_table.pop("signals without a patient") == 1  # not of the table
    assert of_table == {
        "patient without signals": 1,
        "patient twice in the table, other values": 1,
        "no file could be read": 1,
        "outcome missing": 1,
        "no accepted segment": 4,
    }
    assert flow.n_patients_table == 30
    assert flow.n_patients_analysed == flow.n_patients_table - of_table.total() == len(data.y)
    assert flow.n_events == data.y.sum()
    assert lost(flow, "cell") == {"outside the plausible range": 1}


def test_a_recording_that_is_both_shared_and_a_duplicate_is_counted_once(data):
    flow = cohort_flow(data, data.stores[1])
    assert lost(flow, "recording") == {
        "identical to another recording of the patient": 1,  # b_2, and it is shared, too
        "signals shared with another cohort": 2,
    }
    assert (flow.n_recordings, flow.n_recordings_used) == (6, 3)
    assert (flow.n_patients_table, flow.n_events, flow.n_patients_analysed) == (None, None, 3)


def test_exclusions_name_examples(data):
    examples = {item.reason.text: item.examples for item in cohort_flow(data, data.labelled).exclusions}
    assert examples["identical signals under two patients"] == ["p2_1", "p3_1"]
    assert examples["outcome missing"] == ["p9"]
    assert all(len(names) <= 5 for names in examples.values())


@pytest.mark.parametrize(
    ("kind", "subject"),
    [
        ("Identical signals under two patients", "p2_1, p3_1"),
        ("Identical to another recording of the patient", "p1_2"),
        ("Joined recordings, split", "signals/p4_1.csv"),
        ("File cannot be read", "signals/p6_1.csv"),
        ("File name nearly matches", "signals/P30_1.CSV"),
        ("Patient without signals", "p99"),
        ("Signals without a patient", "p12"),
        ("Patient twice in the table, other values", "p11"),
        ("Outside the plausible range", "p10/age"),
        ("Missing samples", "p7_1"),
        ("Flat line", "p8_1"),
    ],
)
def test_each_defect_is_a_finding_that_names_where(data, kind, subject):
    texts = {finding.kind.heading: finding.text for finding in findings(data, data.labelled)}
    assert subject in texts[kind]


def test_nothing_else_is_found(data):
    kinds = [finding.kind for finding in findings(data, data.labelled)]
    assert len(kinds) == len(set(kinds)) == 11


def test_a_doubt_about_who_is_who_asks_for_caution(data):
    severity = {finding.kind.heading: finding.severity for finding in findings(data, data.labelled)}
    assert severity["Identical signals under two patients"] == "caution"
    assert severity["Patient without signals"] == "note"


def test_findings_name_signals_shared_between_cohorts(data):
    texts = {finding.kind.heading: finding.text for finding in findings(data, data.stores[1])}
    assert "a_1, b_1, b_2" in texts["Signals shared with another cohort"]


def test_findings_show_no_clinical_value(data):
    text = " ".join(finding.text for finding in findings(data, data.labelled))
    assert "400" not in text
    assert "77" not in text
