"""ppgssl/stages/evaluate/spo2.py and ppgssl/features/spo2_curve.py."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from ppgssl.core.config.arms import parse_arm
from ppgssl.core.errors import EvaluationError
from ppgssl.core.reasons import Reason
from ppgssl.features.patient_table import ArmTable
from ppgssl.features.spo2_curve import fitted_spo2_curve
from ppgssl.stages.evaluate.flow import findings
from ppgssl.stages.evaluate.spo2 import agreement_by_range, spo2_check
from ppgssl.stages.ingest.ingest import check_cohort
from tests.support.small_cohorts import FS_HZ, clinical_row, describe, study_of, write_signal
from tests.support.synthetic import make_ppg

N_PATIENTS = 18
CHANNELS = {name: {"column": name[4:], "has_baseline": True} for name in ("ppg_red", "ppg_ir")}
SAO2 = {"kind": "numeric", "range": [50, 100], "label": "SaO2"}


def true_ratio(number):
    return 0.4 + 0.04 * number


def oximeter_ward(folder, **changes):
    """Patients of rising ratios of ratios, and a saturation in the table that is a line in their logarithm."""
    rows = []
    for number in range(1, N_PATIENTS + 1):
        rng = np.random.default_rng(number)
        pulse = make_ppg(12, FS_HZ, rng.uniform(60, 100), rng=rng)
        pulse = (pulse - pulse.mean()) / np.ptp(pulse)
        write_signal(folder, f"p{number}_1", np.stack([300 - 6 * true_ratio(number) * pulse, 600 - 12 * pulse]))
        rows.append(f"{clinical_row(number)},{82 - 15 * np.log(true_ratio(number)):.6f}")
    (folder / "clinical.csv").write_text("\n".join(["id,age,stage,died,sao2", *rows]) + "\n")
    return describe(folder, signals__channels=CHANNELS, clinical__variables__sao2=SAO2, **changes)


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fit")
    oximeter_ward(folder, vitals={"spo2_calibration": "fit", "spo2_reference": "sao2"})
    return study_of(folder, arms=["vitals"])


def test_the_curve_is_that_of_the_patients_it_is_fitted_to(fitted):
    assert fitted_spo2_curve(fitted, list(fitted.y.index)) == pytest.approx((82, -15), rel=0.02)
    others = fitted.covariates.assign(sao2=np.where(fitted.y == 1, 1.0, fitted.covariates["sao2"]))
    changed = type(fitted)(**{**vars(fitted), "covariates": others})
    train = list(fitted.y.index[fitted.y == 0])
    assert fitted_spo2_curve(changed, train) == fitted_spo2_curve(fitted, train)


def test_an_arm_sees_the_saturation_of_its_training_patients_curve(fitted):
    arm = parse_arm("vitals")
    stored = fitted.labelled.segments(4.0, 2.0)
    assert stored["spo2_percent"].isna().all()
    assert stored["ratio_of_ratios"].notna().all()
    for curve in ((88.0, -25.0), (80.0, -10.0)):
        table = ArmTable(arm, fitted.study, fitted.clinical.variables, {}, spo2_curve=curve).transform(fitted)
        ratio = np.array([true_ratio(int(name.split("/p")[1])) for name in table.index])
        np.testing.assert_allclose(
            table["spo2_percent"], np.minimum(curve[0] + curve[1] * np.log(ratio), 100), atol=0.4
        )


def test_the_check_tests_a_fitted_curve_on_other_patients_by_range(fitted):
    check = spo2_check(fitted)
    assert (check.calibration, check.reference, check.n_unknown) == ("fit", "the clinical variable SaO2", 0)
    assert check.curve == pytest.approx((82, -15), rel=0.02)
    assert [(row.low, row.high) for row in check.ranges] == [(None, None), (80.0, 90.0), (90.0, None)]
    assert check.ranges[0].n_patients == N_PATIENTS
    assert all(row.a_rms < 0.5 for row in check.ranges)


def test_agreement_is_bias_and_root_mean_square_of_the_differences():
    pairs = pd.DataFrame({"patient": list("aab"), "reference": [69.0, 85.0, 80.0], "estimate": [72.0, 84.0, 84.0]})
    everything, below, between = agreement_by_range(pairs)
    assert (everything.n_segments, everything.n_patients, everything.bias) == (3, 2, 2.0)
    assert everything.a_rms == pytest.approx(np.sqrt((9 + 1 + 16) / 3))
    assert (below.high, below.bias, below.a_rms) == (70.0, 3.0, 3.0)
    assert (between.low, between.n_segments, between.bias) == (80.0, 2, 1.5)


def test_a_curve_of_too_few_patients_is_an_error_with_a_way_out(fitted):
    with pytest.raises(EvaluationError, match=r"needs 10 segments .* `vitals.spo2_calibration`"):
        fitted_spo2_curve(fitted, list(fitted.y.index[:1]))


def test_the_textbooks_curve_is_called_uncalibrated_where_an_arm_takes_it(tmp_path):
    cohort_file = oximeter_ward(tmp_path)
    assert Reason.SPO2_UNCALIBRATED in set(check_cohort(cohort_file, n_jobs=1).rejects["reason"])
    data = study_of(tmp_path, arms=["covariates", "vitals"])
    (found,) = findings(data, data.labelled)
    assert (found.kind, found.severity) == (Reason.SPO2_UNCALIBRATED, "caution")
    assert "110 - 25 R" in found.text
    assert "input of vitals:" in found.text
    assert spo2_check(data) is None  # there is nothing to compare it with


@pytest.mark.parametrize("vitals", [{"spo2_calibration": [108, -22]}, {"enabled": False}])
def test_a_curve_of_the_device_or_no_saturation_is_no_finding(tmp_path, vitals):
    oximeter_ward(tmp_path, vitals=vitals)
    data = study_of(tmp_path, arms=["vitals"])
    assert findings(data, data.labelled) == []
