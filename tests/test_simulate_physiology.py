"""Simulated children: plausible, reproducible, and an outcome that signals tell more of than covariates do."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from ppgssl.errors import ConfigError
from ppgssl.simulate.physiology import simulate_clinical_table, simulate_patients

SIGNS = ["difficulty_breathing", "can_drink_or_breastfeed", "irritability"]
MEASURED = ["weight_kg", "muac_cm", "temperature_c", "heart_rate_bpm", "spo2_pct"]
WAVEFORM = ["perfusion_index_pct", "vascular_tone", "heart_rate_variability", "resp_modulation", "resp_rate_per_min"]


@pytest.fixture(scope="module")
def patients() -> pd.DataFrame:
    return simulate_patients(20_000, prevalence=0.3, rng=np.random.default_rng(1))


@pytest.fixture(scope="module")
def clinical(patients: pd.DataFrame) -> pd.DataFrame:
    return simulate_clinical_table(patients, missing_fraction=0.0, rng=np.random.default_rng(2))


@pytest.mark.parametrize("prevalence", [0.03, 0.12, 0.3, 0.7])
def test_the_share_of_events_is_the_chosen_prevalence(prevalence):
    patients = simulate_patients(40_000, prevalence=prevalence, rng=np.random.default_rng(4))
    assert patients["is_event"].mean() == pytest.approx(prevalence, abs=0.01)
    assert patients["event_probability"].mean() == pytest.approx(prevalence, abs=0.01)


@pytest.mark.parametrize("prevalence", [0.0, 1.0, 30.0])
def test_an_impossible_prevalence_is_refused(prevalence):
    with pytest.raises(ConfigError, match="between 0 and 1"):
        simulate_patients(10, prevalence=prevalence, rng=np.random.default_rng(0))


def test_sicker_children_breathe_faster_and_have_less_oxygen_perfusion_and_variability(patients):
    correlation = patients.corr(method="spearman")["severity"]
    assert (correlation[["heart_rate_bpm", "resp_rate_per_min", "temperature_c", "vascular_tone"]] > 0.1).all()
    assert (correlation[["spo2_pct", "perfusion_index_pct", "heart_rate_variability"]] < -0.2).all()


def test_afebrile_children_of_average_severity_have_the_heart_rates_of_the_centile_charts():
    patients = simulate_patients(300_000, prevalence=0.3, rng=np.random.default_rng(6))
    well = patients[patients["severity"].abs().lt(0.3) & patients["temperature_c"].lt(37)]
    infants, two_years = well["age_months"].le(3), well["age_months"].between(22, 26)
    assert well.loc[infants, "heart_rate_bpm"].median() == pytest.approx(143, abs=3)
    assert well.loc[two_years, "heart_rate_bpm"].median() == pytest.approx(113, abs=3)
    assert well.loc[two_years, "resp_rate_per_min"].median() == pytest.approx(26, abs=2)


def test_inpatients_are_sicker():
    inpatients = simulate_patients(5000, prevalence=0.3, mean_severity=1.0, rng=np.random.default_rng(5))
    assert inpatients["severity"].mean() == pytest.approx(1, abs=0.05)
    assert inpatients["event_probability"].mean() > 0.5


def test_severity_tells_the_outcome_better_than_covariates_and_the_waveform_adds_to_them(patients, clinical):
    is_event = patients["is_event"].to_numpy()
    covariates = clinical[MEASURED].astype(float).assign(**{sign: clinical[sign].eq("yes") for sign in SIGNS})
    vitals = covariates[["heart_rate_bpm", "spo2_pct"]]
    oracle = roc_auc_score(is_event, patients["severity"])
    assert 0.85 < oracle < 0.95
    assert 0.75 < _auroc(covariates, is_event) < oracle - 0.05
    assert _auroc(covariates.join(patients[WAVEFORM]), is_event) > _auroc(covariates, is_event) + 0.03
    waveform = patients[WAVEFORM].drop(columns="resp_rate_per_min")
    assert _auroc(vitals.join(waveform), is_event) > _auroc(vitals, is_event) + 0.05


def test_about_the_chosen_share_of_covariates_is_missing_and_no_outcome_is(patients):
    table = simulate_clinical_table(patients, missing_fraction=0.1, rng=np.random.default_rng(3))
    is_missing = table.eq("")
    assert is_missing.drop(columns="hospitalized").to_numpy().mean() == pytest.approx(0.1, abs=0.005)
    assert not is_missing["hospitalized"].any()
    assert table["hospitalized"].eq("yes").equals(patients["is_event"])


def _auroc(features: pd.DataFrame, is_event: np.ndarray) -> float:
    """Of logistic regression fitted to one half of the children, in the other half."""
    x, half = features.to_numpy(float), len(features) // 2
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(x[:half], is_event[:half])
    return float(roc_auc_score(is_event[half:], model.predict_proba(x[half:])[:, 1]))
