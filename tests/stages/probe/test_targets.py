from __future__ import annotations

import pandas as pd
import pytest

from ppgssl.core.config.loading import load_cohort
from ppgssl.core.errors import ConfigError, EvaluationError
from ppgssl.stages.probe.targets import cohort_targets, probe_folds, probed_cohorts
from tests.support.oximeter import describe, write_binary
from tests.support.small_cohorts import clinical_row, make_ward, study_of


@pytest.fixture(scope="module")
def ward(tmp_path_factory):
    """Twelve patients of one cohort, half of whom died."""
    folder = tmp_path_factory.mktemp("ward")
    make_ward(folder, 12)
    with (folder / "clinical.csv").open("a") as file:
        file.write(clinical_row(99) + "\n")  # without a recording
    return study_of(folder, probe={"min_patients": 5, "variables": ["age"]})


def targets_of(data):
    return {target.name: target for target in cohort_targets(data, data.labelled)}


def test_a_patients_vital_sign_is_the_median_over_its_accepted_segments(ward):
    heart_rate = targets_of(ward)["heart_rate"]
    table = ward.segments.table
    expected = table.groupby("patient")["heart_rate_bpm"].median().dropna()
    pd.testing.assert_series_equal(heart_rate.truth, expected, check_names=False, check_dtype=False, rtol=1e-6)
    assert heart_rate.source == "computed from the signals"


def test_what_cannot_be_measured_is_known_for_nobody(ward):
    targets = targets_of(ward)
    assert targets["spo2"].truth.empty  # the ward's channels have no baseline
    assert targets["perfusion"].truth.empty
    assert targets["respiratory_rate"].truth.empty  # 12 s are too short


def test_what_the_device_displayed_is_preferred_to_what_the_signals_say(tmp_path):
    for number in range(6):
        write_binary(tmp_path / "signals", f"{number}", seed=number, seconds=20)
    rows = [f"{number},{number % 2}" for number in range(6)]
    (tmp_path / "clinical.csv").write_text("\n".join(["id,died", *rows]) + "\n")
    table = {"file": "clinical.csv", "patient_column": "id", "variables": {"died": {"kind": "binary"}}}
    cohort = describe(tmp_path, "oximeter_binary", clinical=table)
    name = load_cohort(cohort).name
    inputs = {"channels": [{"name": "ppg", "any_of": ["ppg_ir"]}], "fs_hz": 40, "segment_s": 10, "step_s": 5}
    data = study_of(tmp_path, inputs=inputs, covariates=[], arms=["heart-rate"])
    targets = targets_of(data)
    # The display always showed 120; the pulses of the four recordings differ.
    assert targets["heart_rate"].source == "device's display"
    assert targets["heart_rate"].truth.to_dict() == {f"{name}/{number}": 120.0 for number in range(6)}
    assert targets["spo2"].truth.eq(95).all()
    assert targets["respiratory_rate"].source == "computed from the signals"


def test_clinical_variables_are_targets_of_the_labelled_cohort(ward):
    age = targets_of(ward)["clinical_age"]
    assert age.source == "clinical table"
    assert age.truth["ward/p1"] == 20.5
    assert len(age.truth) == 12


@pytest.mark.parametrize(
    ("variable", "message"), [("stage", "is categorical: linear probes need"), ("agee", "did you mean 'age'")]
)
def test_a_variable_that_is_not_a_number_is_refused(tmp_path, variable, message):
    make_ward(tmp_path, 8)
    data = study_of(tmp_path, probe={"min_patients": 5, "variables": [variable]})
    with pytest.raises(ConfigError, match=message):
        cohort_targets(data, data.labelled)


def test_folds_hold_each_patient_once_a_repeat_and_each_outcome_in_equal_parts(tmp_path):
    make_ward(tmp_path, 14)
    data = study_of(tmp_path, probe={"min_patients": 5, "n_folds": 3, "n_repeats": 2})
    cohorts = probed_cohorts(data)
    folds = probe_folds(data, cohorts)
    assert [(fold.repeat, fold.fold) for fold in folds] == [(r, f) for r in range(2) for f in range(3)]
    for repeat in range(2):
        tested = [name for fold in folds if fold.repeat == repeat for name in fold.test]
        assert sorted(tested) == cohorts["ward"]
    for fold in folds:
        assert set(fold.train) | set(fold.test) == set(cohorts["ward"])
        assert not set(fold.train) & set(fold.test)
        assert abs(data.y.loc[list(fold.test)].sum() - 7 / 3) < 1
    assert folds[0].test != folds[3].test
    assert folds == probe_folds(data, cohorts)


def test_cohorts_that_are_absent_or_too_small_are_named(tmp_path):
    make_ward(tmp_path, 6)
    with pytest.raises(ConfigError, match="did you mean 'ward'"):
        probed_cohorts(study_of(tmp_path, probe={"cohorts": ["wart"]}))
    with pytest.raises(ConfigError, match=r"ward has 6, and `probe\.min_patients` asks for 20"):
        probed_cohorts(study_of(tmp_path))
    few = study_of(tmp_path, probe={"min_patients": 5, "n_folds": 7})
    with pytest.raises(EvaluationError, match="6 patients cannot be split into 7 folds"):
        probe_folds(few, probed_cohorts(few))
