from __future__ import annotations

import shutil
from typing import Any

import numpy as np
import pytest

from ppgssl.core.config.loading import load_cohort, load_study
from ppgssl.core.errors import ConfigError, EvaluationError, StoreError
from ppgssl.stages.ingest.ingest import ingest
from ppgssl.store.splits import site_counts
from ppgssl.store.study_data import StudyData, check_variables, cohort_file, load_study_data, store_folder
from ppgssl.store.tables import CohortStore
from tests.support.small_cohorts import (
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


def by_site(name: str) -> dict[str, Any]:
    return {"scheme": "leave-one-site-out", "site": name}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"spo2": "oxigen"}, r"'oxigen' is not a variable of cohort 'ward' \(did you mean 'oxygen'\?\)"),
        ({"spo2": "died", "covariates": []}, "the outcome 'died' may not predict itself"),
        ({"covariates": ["age", "death"]}, "'death' is of the same column as the outcome 'died'"),
        ({"spo2": "hospital"}, "`heart_rate` and `spo2` name numeric variables, and 'hospital' is categorical"),
        ({"heart_rate": "seen"}, "'seen' is a date, which cannot be a covariate"),
        ({"validation": by_site("hosptal")}, r"'hosptal' is not a variable .* \(did you mean 'hospital'\?\)"),
        (
            {"validation": by_site("age")},
            "`validation.site` must be a categorical or binary variable, and 'age' is num",
        ),
        ({"validation": by_site("died")}, "the outcome 'died' cannot be the site"),
        ({"validation": by_site("hospital"), "covariates": ["hospital"]}, "leave it out of `covariates`"),
        ({"subgroups": [{"variable": "agee"}]}, r"'agee' is not a variable .* \(did you mean 'age'\?\)"),
        ({"subgroups": [{"variable": "died"}]}, "subgroups by the outcome 'died' hold one outcome each"),
        ({"subgroups": [{"variable": "seen"}]}, "'seen' is a date, which makes no subgroups"),
        ({"subgroups": [{"variable": "hospital", "cuts": [1]}]}, "`cuts` are limits of a numeric variable"),
    ],
)
def test_variables_of_sites_vitals_and_subgroups_are_checked(described, changes, message):
    changes.setdefault("arms", ["heart-rate"])
    with pytest.raises(ConfigError, match=message):
        check_variables(load_study(describe_study(described.folder, **changes)), described)


def test_variables_that_fit_are_accepted(described):
    changes = {"validation": by_site("hospital"), "spo2": "oxygen", "subgroups": [{"variable": "age", "cuts": [5]}]}
    check_variables(load_study(describe_study(described.folder, **changes)), described)


@pytest.fixture(scope="module")
def described(tmp_path_factory):
    """An empty store whose clinical table has variables of every kind."""
    folder = tmp_path_factory.mktemp("described")
    variables = {
        "age": {"kind": "numeric"},
        "oxygen": {"kind": "numeric"},
        "hospital": {"kind": "categorical", "levels": {"n": "North", "s": "South"}},
        "seen": {"kind": "date"},
        "died": {"kind": "binary"},
        "death": {"kind": "numeric", "column": "died "},
    }
    return CohortStore.create(folder / "store", load_cohort(describe(folder, clinical__variables=variables)))


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


def test_a_store_lies_where_the_study_names_it_or_in_its_outputs(tmp_path):
    make_ward(tmp_path, 1)
    described = {"cohort": "cohort.yaml", "role": "unlabelled"}
    study_file = describe_study(tmp_path, cohorts=[LABELLED, described])
    labelled, unlabelled = load_study(study_file).cohorts
    assert store_folder(labelled, study_file, tmp_path / "out") == tmp_path / "store"
    assert store_folder(unlabelled, study_file, tmp_path / "out") == tmp_path / "out" / "stores" / "ward"
    assert cohort_file(unlabelled, study_file) == tmp_path / "cohort.yaml"
    with pytest.raises(ConfigError, match="'store' names no cohort"):
        cohort_file(labelled, study_file)


DIED: dict[str, Any] = {"died": {"kind": "binary"}}


@pytest.fixture(scope="module")
def hospitals(tmp_path_factory):
    """p1 to p12 in three hospitals, that of p12 unknown; p13, of no table, and p12 hold the recording of p1."""
    folder = tmp_path_factory.mktemp("hospitals")
    for number in range(1, 14):
        write_signal(folder, f"p{number}_1", signal(number))
    for name in ("p12_2", "p13_2"):
        write_signal(folder, name, signal(1))
    write_signal(folder, "p1_2", signal(99))
    rows = [f"p{number},{20 + number},{'nse'[number % 3]},{number // 3 % 2}" for number in range(1, 12)]
    (folder / "clinical.csv").write_text("\n".join(["id,age,hospital,died", *rows, "p12,50,,1"]) + "\n")
    levels = {"n": "North", "s": "South", "e": "East"}
    variables = {
        "age": {"kind": "numeric"},
        "hospital": {"kind": "categorical", "levels": levels},
        "died": {"kind": "binary"},
        "death": {"kind": "numeric", "column": "died "},
    }
    describe(folder, clinical__variables=variables)
    ingest(folder / "cohort.yaml", folder / "store", n_jobs=1)
    return folder


def test_sites_are_tested_one_by_one_and_patients_of_unknown_site_are_left_out(hospitals):
    data = load(hospitals, validation=by_site("hospital"))
    assert site_counts(data.folds) == {"East": 4, "North": 3, "South": 4}
    assert data.without_site == ("ward/p12",)
    assert "ward/p12" not in data.y.index
    assert data.notes[0].startswith("Patients of unknown site (hospital) were left out, 1 of them")
    sites = data.covariates["hospital"]
    assert all(set(sites[list(fold.test)]) == {fold.site} for fold in data.folds)


def test_patients_who_share_a_recording_stay_on_one_side_of_every_split(hospitals):
    data = load(hospitals, validation={"n_folds": 3, "n_repeats": 4})
    assert sorted(data.shared_signals) == ["ward/p1", "ward/p12", "ward/p13"]
    for fold in data.folds:
        assert ("ward/p1" in fold.test) == ("ward/p12" in fold.test)
        assert fold.linked == (("ward/p13",) if "ward/p1" in fold.test else ())
    assert data.linked == ("ward/p13",)
    assert any(note.startswith("2 patients in 1 group share a recording") for note in data.notes)


def test_nobody_is_linked_in_a_clean_cohort(ward):
    data = load(ward)
    assert data.shared_signals == {}
    assert data.linked == data.without_site == data.notes == ()


def test_a_site_that_nobody_has_is_refused(tmp_path):
    make_ward(tmp_path, 8, clinical__variables={"ward": {"kind": "categorical", "levels": {"a": "A"}}, **DIED})
    (tmp_path / "clinical.csv").write_text("\n".join(["id,ward,died", *(f"p{n},,{n % 2}" for n in range(1, 9))]))
    with pytest.raises(EvaluationError, match="no patient has a value of 'ward'"):
        study_of(tmp_path, validation=by_site("ward"), covariates=[], arms=["heart-rate"])


def test_a_binary_site_is_named_by_its_levels(tmp_path):
    levels = {"r": "rural", "c": "city"}
    make_ward(tmp_path, 8, clinical__variables={"place": {"kind": "binary", "levels": levels}, **DIED})
    rows = [f"p{n},{'rc'[n // 2 % 2]},{n % 2}" for n in range(1, 9)]
    (tmp_path / "clinical.csv").write_text("\n".join(["id,place,died", *rows]))
    data = study_of(tmp_path, validation=by_site("place"), covariates=[], arms=["heart-rate"])
    assert site_counts(data.folds) == {"city": 4, "rural": 4}


@pytest.mark.parametrize("changes", [{"seed": 7}, {"inputs__min_sqi": 0.6}, {"validation": {"n_folds": 3}}])
def test_the_content_hash_depends_on_what_decides_the_data(ward, changes):
    assert load(ward).content == load(ward).content
    assert load(ward, **changes).content != load(ward).content


def test_the_content_hash_does_not_depend_on_words(ward):
    assert load(ward, title="A new title", covariates=["age"]).content == load(ward).content


def test_the_content_hash_does_not_depend_on_how_often_is_resampled(ward):
    settings = {"n_folds": 3, "n_repeats": 1}
    assert load(ward, validation=settings | {"n_bootstrap": 300, "n_optimism": 7}).content == load(ward).content


def test_the_content_hash_does_not_depend_on_the_memory_for_samples(ward):
    assert load(ward, inputs__memory_gb=1e-6).content == load(ward).content


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
