"""From the summary of training patients and new ones to measures and warnings."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from ppgssl.core.reasons import FindingKind
from ppgssl.stages.deploy.risks import patient_risks
from ppgssl.stages.deploy.shift import measure_shift, shift_findings
from ppgssl.stages.deploy.site import site_data
from ppgssl.store.tables import CohortStore
from tests.support.fitted_models import fit_hospital, make_hospital


@pytest.fixture(scope="module")
def known(hospital_model):
    """A model, and its risks of its own training patients."""
    model = hospital_model
    data = site_data(CohortStore(model.folder.parent / "store"), model.card)
    return model, patient_risks(model, data), np.arange(len(data.y))


def changed(found, **columns):
    return replace(found, table=found.table.assign(**columns))


def test_training_patients_do_not_differ_from_themselves(known):
    model, found, rows = known
    for one in measure_shift(model, found, rows):
        if one.group != "risk":  # its summary is of models that were not fitted to the patient
            assert not one.is_warning
            assert one.difference is None or one.difference == pytest.approx(0, abs=1e-6)
            assert one.index is None or one.index == pytest.approx(0, abs=1e-6)
    titles = [title for title, _ in shift_findings(model, measure_shift(model, found, rows), found, rows)]
    assert set(titles) <= {FindingKind.UNLIKE_RISKS}


def test_levels_that_moved_are_found(known):
    model, found, rows = known
    moved = changed(found, stage="late")
    stage = next(one for one in measure_shift(model, moved, rows) if one.name == "stage")
    assert stage.is_warning
    assert stage.difference > 1


def test_values_that_went_missing_are_found(known):
    model, found, rows = known
    age = found.table["age"].where(np.arange(len(rows)) % 3 == 0)
    measure = next(one for one in measure_shift(model, changed(found, age=age), rows) if one.name == "age")
    assert measure.is_warning
    assert measure.n_missing > len(rows) / 2
    nothing = changed(found, age=np.nan)
    measure = next(one for one in measure_shift(model, nothing, rows) if one.name == "age")
    assert (measure.is_warning, measure.mean, measure.difference) == (True, None, None)


def test_binary_values_are_compared_by_their_levels(tmp_path):
    variables = {
        "age": {"kind": "numeric"},
        "stage": {"kind": "binary", "levels": {"a": "early", "b": "late"}},
        "died": {"kind": "binary"},
    }
    make_hospital(tmp_path, 40, seed=1, clinical__variables=variables)
    model = fit_hospital(tmp_path, "covariates")
    data = site_data(CohortStore(tmp_path / "store"), model.card)
    found, rows = patient_risks(model, data), np.arange(len(data.y))
    stage = next(one for one in measure_shift(model, found, rows) if one.name == "stage")
    assert stage.difference == pytest.approx(0)
    moved = next(one for one in measure_shift(model, changed(found, stage=1.0), rows) if one.name == "stage")
    assert moved.is_warning


def test_patients_far_away_in_all_features_together_are_reported(known):
    model, found, rows = known
    far = replace(found, distance=np.full(len(rows), model.card.applicability_domain.threshold * 2))
    titles = dict(shift_findings(model, [], far, rows))
    assert titles[FindingKind.UNLIKE_TOGETHER].startswith("100 % of the patients")
    unknown = replace(found, distance=np.full(len(rows), np.nan))
    assert shift_findings(model, [], unknown, rows) == []


def test_only_the_patients_asked_for_count(known):
    model, found, _ = known
    ages = pd.Series(np.where(np.arange(len(found.table)) < 20, 50.0, 500.0), index=found.table.index)
    measures = measure_shift(model, changed(found, age=ages), np.arange(20))
    age = next(one for one in measures if one.name == "age")
    assert (age.n, age.mean) == (20, 50.0)
