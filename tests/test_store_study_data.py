from __future__ import annotations

import shutil
from typing import Any

import numpy as np
import pytest

from ppgssl.config import load_study
from ppgssl.errors import ConfigError, EvaluationError, StoreError
from ppgssl.ingest import ingest
from ppgssl.store.study_data import StudyData, cohort_file, load_study_data, store_folder
from tests.small_cohorts import (
    N_SEGMENTS,
    clinical_row,
    describe,
    describe_study,
    make_ward,
    signal,
    study_of,
    write_clinical,
    write_signal,
)

LABELLED = {"store": "store", "role": "labelled"}


@pytest.fixture(scope="module")
def ward(tmp_path_factory):
    """Eight patients with an outcome, one without, and one without signals, ingested."""
    folder = tmp_path_factory.mktemp("ward")
    make_ward(folder, 9)
    rows = [clinical_row(number) for number in (*range(1, 9), 10)]
    write_clinical(folder, [*rows, "p9,40,a,"])
    ingest(folder / "cohort.yaml", folder / "store", n_jobs=1)
    return folder


def load(folder, **changes: Any) -> StudyData:
    path = describe_study(folder, **changes)
    return load_study_data(load_study(path), path, folder / "out")


def test_patients_with_an_outcome_and_signals_are_analysed(ward):
    data = load(ward)
    assert data.y.to_dict() == {f"ward/p{number}": float(number % 2) for number in range(1, 9)}
    assert data.covariates["age"].tolist() == [number / 2 + 20 for number in range(1, 9)]
    assert data.is_labelled_cohort().sum() == 9 * N_SEGMENTS  # the patient without outcome can be learned from
    assert data.of_patients(["ward/p9", "ward/p1"]).sum() == 2 * N_SEGMENTS


def test_each_patient_analysed_is_tested_once(ward):
    tested = [name for fold in load(ward).folds for name in fold.test]
    assert sorted(tested) == [f"ward/p{number}" for number in range(1, 9)]


def test_unlabelled_cohorts_come_after_the_labelled_one(ward, tmp_path):
    make_ward(tmp_path, 2, first_seed=100)
    ingest(describe(tmp_path, name="other", clinical=None), tmp_path / "store", n_jobs=1)
    data = load(ward, cohorts=[{"store": str(tmp_path / "store"), "role": "unlabelled"}, LABELLED])
    assert [store.cohort.name for store in data.stores] == ["ward", "other"]
    assert (~data.is_labelled_cohort()).sum() == 2 * N_SEGMENTS
    assert all(name.startswith("ward/") for name in data.y.index)


def test_two_cohorts_of_one_name_are_refused(ward, tmp_path):
    shutil.copytree(ward / "store", tmp_path / "copy")
    with pytest.raises(ConfigError, match="two cohorts have the same name"):
        load(ward, cohorts=[LABELLED, {"store": str(tmp_path / "copy"), "role": "unlabelled"}])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"covariates": ["age", "stage"]}, "'stage' defines the outcome 'died', so it may not predict it"),
        ({"heart_rate": "stage"}, "'stage' defines the outcome 'died'"),
        ({"covariates": ["aeg"]}, r"'aeg' is not a variable of cohort 'ward' \(did you mean 'age'\?\)"),
        ({"outcome": "dead"}, r"'dead' is not a variable of cohort 'ward' \(did you mean 'died'\?\)"),
        ({"outcome": "age", "covariates": ["died"]}, "the outcome 'age' must be a binary variable"),
        ({"outcome": "stage"}, "the outcome 'stage' must be a binary variable"),
    ],
)
def test_variables_that_do_not_fit_the_cohort_are_refused(ward, changes, message):
    with pytest.raises(ConfigError, match=message):
        load(ward, **changes)


def test_every_variable_that_does_not_fit_is_listed(ward):
    with pytest.raises(ConfigError) as caught:
        load(ward, covariates=["aeg", "stage"])
    assert len(caught.value.problems) == 2


def test_a_labelled_cohort_needs_a_clinical_table(tmp_path):
    make_ward(tmp_path, 1)
    describe(tmp_path, clinical=None)
    with pytest.raises(ConfigError, match=r"`labelled` in the study, but .* no `clinical` table"):
        study_of(tmp_path)


def test_an_outcome_that_is_too_rare_is_refused_with_the_counts(tmp_path):
    make_ward(tmp_path, 4)
    with pytest.raises(EvaluationError, match="4 patients, 2 with the event"):
        study_of(tmp_path)


def test_a_missing_store_names_the_command_that_makes_it(tmp_path):
    described = {"cohort": "cohort.yaml", "role": "labelled"}
    make_ward(tmp_path, 1)
    folder = tmp_path / "out" / "stores" / "ward"
    with pytest.raises(StoreError, match=f"ppgssl ingest {tmp_path / 'cohort.yaml'} --out {folder}"):
        load(tmp_path, cohorts=[described])
    with pytest.raises(StoreError, match=f"ppgssl ingest COHORT.yaml --out {tmp_path / 'store'}"):
        load(tmp_path)


def test_a_store_lies_where_the_study_says_or_in_its_outputs(tmp_path):
    make_ward(tmp_path, 1)
    described = {"cohort": "cohort.yaml", "role": "unlabelled"}
    study_file = describe_study(tmp_path, cohorts=[LABELLED, described])
    labelled, unlabelled = load_study(study_file).cohorts
    assert store_folder(labelled, study_file, tmp_path / "out") == tmp_path / "store"
    assert store_folder(unlabelled, study_file, tmp_path / "out") == tmp_path / "out" / "stores" / "ward"
    assert cohort_file(unlabelled, study_file) == tmp_path / "cohort.yaml"
    with pytest.raises(ConfigError, match="'store' names no cohort"):
        cohort_file(labelled, study_file)


@pytest.mark.parametrize("changes", [{"seed": 7}, {"inputs__min_sqi": 0.6}, {"validation": {"n_folds": 3}}])
def test_the_content_hash_depends_on_what_decides_the_data(ward, changes):
    assert load(ward).content == load(ward).content
    assert load(ward, **changes).content != load(ward).content


def test_the_content_hash_does_not_depend_on_words(ward):
    assert load(ward, title="A new title", covariates=["age"]).content == load(ward).content


def test_the_content_hash_does_not_depend_on_the_memory_for_samples(ward):
    assert load(ward, inputs__memory_gb=1e-6).content == load(ward).content


def test_processes_share_the_memory_for_streamed_samples(ward):
    data = load(ward, inputs__memory_gb=1e-6)
    assert data.sharing(10).segments.samples.budget_bytes == 80
    assert data.sharing(10).content == data.content


def test_the_content_hash_depends_on_the_signals_and_on_the_table(tmp_path):
    make_ward(tmp_path, 8)
    first = study_of(tmp_path).content
    write_signal(tmp_path, "p1_2", signal(50))
    second = study_of(tmp_path).content
    write_clinical(tmp_path, [clinical_row(number).replace(",a,", ",b,") for number in range(1, 9)])
    third = study_of(tmp_path).content
    assert len({first, second, third}) == 3


def test_the_order_of_segments_and_patients_is_reproducible(ward):
    one, other = load(ward), load(ward)
    np.testing.assert_array_equal(one.segments.samples, other.segments.samples)
    assert one.segments.table.equals(other.segments.table)
    assert one.folds == other.folds
