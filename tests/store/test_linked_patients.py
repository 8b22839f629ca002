"""Patients who share a recording: who they are, and that chains of them are one group."""

from __future__ import annotations

import networkx as nx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ppgssl.stages.ingest.ingest import ingest
from ppgssl.store.linked_patients import linked_patients, shared_signals
from ppgssl.store.tables import CohortStore
from tests.support.small_cohorts import describe, make_ward, signal, write_signal


@pytest.fixture(scope="module")
def stores(tmp_path_factory):
    """p2 holds the recording of p1 beside its own; so does q1 of a second cohort, which also holds that of p3."""
    folder = tmp_path_factory.mktemp("linked")
    make_ward(folder / "one", 4)
    write_signal(folder / "one", "p2_2", signal(1))
    write_signal(folder / "other", "q1_1", signal(1))
    write_signal(folder / "other", "q1_2", signal(3))
    write_signal(folder / "other", "q2_1", signal(50))
    describe(folder / "other", name="other", clinical=None)
    for name in ("one", "other"):
        ingest(folder / name / "cohort.yaml", folder / name / "store", n_jobs=1)
    return [CohortStore(folder / name / "store") for name in ("one", "other")]


def test_patients_of_all_cohorts_are_linked_by_the_signals_they_share(stores):
    shared = shared_signals(stores)
    assert sorted(shared) == ["other/q1", "ward/p1", "ward/p2", "ward/p3"]
    assert {name: len(hashes) for name, hashes in shared.items()} == {
        "ward/p1": 1,
        "ward/p2": 1,  # its own recording is held by nobody else
        "other/q1": 2,
        "ward/p3": 1,
    }
    assert set(linked_patients(shared).values()) == {"other/q1"}


def test_copies_within_a_patient_link_nobody(tmp_path):
    make_ward(tmp_path, 3)
    write_signal(tmp_path, "p1_2", signal(1))
    ingest(tmp_path / "cohort.yaml", tmp_path / "store", n_jobs=1)
    assert shared_signals([CohortStore(tmp_path / "store")]) == {}
    assert linked_patients({}) == {}


@given(st.dictionaries(st.integers(0, 12), st.frozensets(st.integers(0, 12), min_size=1, max_size=3), max_size=12))
def test_groups_are_the_connected_components(held):
    shared = {f"p{patient:02d}": frozenset(f"s{one}" for one in signals) for patient, signals in held.items()}
    graph = nx.Graph([(patient, one) for patient, signals in shared.items() for one in signals])
    expected = {frozenset(part & shared.keys()) for part in nx.connected_components(graph)}
    groups = linked_patients(shared)
    found = {frozenset(name for name in groups if groups[name] == group) for group in groups.values()}
    assert found == expected
    assert all(group == min(name for name in groups if groups[name] == group) for group in groups.values())
