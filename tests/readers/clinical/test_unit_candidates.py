"""Values in another unit are found, and unusual people are not."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from ppgssl.core.config.cohort import ClinicalTable
from ppgssl.core.reasons import Reason
from ppgssl.readers.clinical.table import read_clinical
from ppgssl.readers.clinical.unit_candidates import find_unit_candidates, unit_candidates


def table(**units: str) -> ClinicalTable:
    variables = {name: {"kind": "numeric", "unit": unit} for name, unit in units.items()}
    return ClinicalTable.model_validate({"file": "a.csv", "patient_column": "id", "variables": variables})


def people(n: int, seed: int = 0) -> pd.DataFrame:
    """Adults with a spread of weights like that of a general population: BMI 15 to 45."""
    rng = np.random.default_rng(seed)
    height_cm = rng.normal(168, 9, n)
    weight_kg = np.exp(rng.normal(np.log(25), 0.2, n)) * (height_cm / 100) ** 2
    frame = pd.DataFrame({"weight_kg": weight_kg, "height_cm": height_cm, "temperature_c": rng.normal(37, 0.7, n)})
    frame.index = pd.Index([f"P{number}" for number in range(n)], name="patient_id")
    return frame


ADULTS = table(weight_kg="kg", height_cm="cm", temperature_c="°C")


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("n", [30, 300, 3000])
def test_a_population_in_one_unit_has_no_candidates(seed, n):
    assert find_unit_candidates(people(n, seed), ADULTS) == []


@pytest.mark.parametrize(
    ("variable", "written", "unit"),
    [
        ("weight_kg", lambda kg: kg * 1000, "g"),
        ("height_cm", lambda cm: cm / 100, "m"),
        ("height_cm", lambda cm: cm / 2.54, "inches"),
        ("height_cm", lambda cm: cm * 10, "mm"),
        ("temperature_c", lambda c: 1.8 * c + 32, "°F"),
    ],
)
@pytest.mark.parametrize("n_wrong", [1, 2, 50])
def test_values_in_another_unit_are_found(variable, written, unit, n_wrong):
    patients = people(200)
    wrong = patients.index[5 : 5 + n_wrong]
    patients.loc[wrong, variable] = written(patients.loc[wrong, variable])
    (found,) = [item for item in find_unit_candidates(patients, ADULTS) if item.variable == variable]
    assert unit in found.other_units
    assert found.patient_ids == list(wrong)


def test_weight_is_compared_by_height():
    rng = np.random.default_rng(1)
    patients = people(200)
    patients["weight_kg"] = np.exp(rng.normal(np.log(22), 0.12, 200)) * (patients["height_cm"] / 100) ** 2
    wrong = patients.index[::8]
    patients.loc[wrong, "weight_kg"] *= 2
    (found,) = find_unit_candidates(patients, ADULTS)
    assert found.by_height
    assert "jin (500 g)" in found.other_units
    assert found.patient_ids == list(wrong)


def test_missing_values_and_small_or_constant_columns_are_no_obstacle():
    patients = people(100)
    patients.iloc[::3, 0] = np.nan
    patients["temperature_c"] = 37.0
    assert find_unit_candidates(patients, ADULTS) == []
    assert find_unit_candidates(patients.iloc[:5], ADULTS) == []
    patients["weight_kg"] = np.nan
    assert find_unit_candidates(patients, ADULTS) == []


def test_children_among_adults_are_no_mistake_of_units():
    rng = np.random.default_rng(2)
    patients = people(120)
    children = patients.index[:40]
    patients.loc[children, "height_cm"] = rng.normal(85, 8, 40)
    patients.loc[children, "weight_kg"] = rng.normal(12, 1.5, 40)
    assert find_unit_candidates(patients, ADULTS) == []


def test_transformed_values_are_not_taken_for_another_unit():
    # 1000 times the weight is 3 more in the logarithm: on the scale of the table this is a group of its own.
    patients = people(200)
    weight = patients["weight_kg"].where(np.arange(200) >= 20, patients["weight_kg"] * 1000)
    described = {"column": "weight", "kind": "numeric", "unit": "kg", "range": [1, 1e6]}
    variables = {"weight_kg": described, "weight_kg_log": {**described, "transform": "log10"}}
    both = ClinicalTable.model_validate({"file": "a.csv", "patient_column": "id", "variables": variables})
    frame = pd.DataFrame({"weight_kg": weight, "weight_kg_log": np.log10(weight)})
    assert [one.variable for one in find_unit_candidates(frame, both)] == ["weight_kg"]


def test_the_text_names_patients_and_units_and_no_values():
    patients = people(100)
    patients.iloc[:30, 1] /= 100
    (finding,) = [item for item in unit_candidates(patients, ADULTS) if item.subject == "height_cm"]
    assert (finding.unit, finding.reason) == ("variable", Reason.OTHER_UNIT)
    assert finding.detail == (
        "30 of the values, apart from all others, would lie among them if written in m instead of cm: "
        "patients P0, P1, P2, P3, P4, P5, P6, P7, P8, P9 and 20 more"
    )


def test_the_weights_of_mw_ppg_that_are_probably_jin_are_found(test_data):
    variables = {
        "height_cm": {"kind": "numeric", "unit": "cm"},
        "weight_kg": {"kind": "numeric", "unit": "kg"},
        "age_years": {"kind": "numeric", "unit": "years"},
        "sbp_mmhg": {"kind": "numeric", "unit": "mmHg"},
    }
    described = {"file": "subjects.csv", "patient_column": "subject_id", "variables": variables}
    description = ClinicalTable.model_validate(described)
    patients = read_clinical(description, test_data / "mw_ppg").patients
    (found,) = find_unit_candidates(patients, description)
    assert found.variable == "weight_kg"
    assert found.patient_ids == [*map(str, range(99, 130)), "142"]
    assert "jin (500 g)" in found.other_units


def test_ppg_bp_has_no_candidates(test_data):
    units = {"age_years": "years", "height_cm": "cm", "weight_kg": "kg", "sbp_mmhg": "mmHg", "dbp_mmhg": "mmHg"}
    description = table(**units).model_copy(update={"file": "clinical.csv", "patient_column": "subject_id"})
    patients = read_clinical(description, test_data / "ppg_bp").patients
    assert find_unit_candidates(patients, description) == []
