"""Simulated children: plausible, reproducible, and as sick as the stated model says."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from benchmarks.simulate import measured_vitals, odds_ratio
from ppgssl.core.errors import ConfigError
from ppgssl.simulate.findings import GARDE2016, PARTS, SIGNS
from ppgssl.simulate.physiology import simulate_clinical_table, simulate_patients, simulate_reading


@pytest.fixture(scope="module")
def patients() -> pd.DataFrame:
    return simulate_patients(20_000, prevalence=0.126, rng=np.random.default_rng(1))


@pytest.mark.parametrize("prevalence", [0.03, 0.126, 0.3, 0.7])
def test_the_proportion_of_events_is_the_chosen_prevalence(prevalence):
    patients = simulate_patients(40_000, prevalence=prevalence, rng=np.random.default_rng(4))
    assert patients["is_event"].mean() == pytest.approx(prevalence, abs=0.01)
    assert patients["event_probability"].mean() == pytest.approx(prevalence, abs=0.01)


@pytest.mark.parametrize("prevalence", [0.0, 1.0, 30.0])
def test_an_impossible_prevalence_is_refused(prevalence):
    with pytest.raises(ConfigError, match="between 0 and 1"):
        simulate_patients(10, prevalence=prevalence, rng=np.random.default_rng(0))


def test_sicker_children_breathe_faster_and_have_less_oxygen_perfusion_and_variability(patients):
    correlation = patients.corr(method="spearman")["severity"]
    assert (correlation[["heart_rate_bpm", "resp_rate_per_min", "temperature_c", "vascular_tone"]] > 0.05).all()
    assert (correlation[["spo2_pct", "perfusion_index_pct", "heart_rate_variability", "muac_cm"]] < -0.05).all()


def test_each_system_shows_in_its_own_findings(patients):
    correlation = patients.corr(method="spearman")
    assert correlation["respiratory"][["spo2_pct", "resp_rate_per_min"]].abs().min() > 0.4
    assert correlation["circulatory"][["perfusion_index_pct", "vascular_tone", "reflection"]].abs().min() > 0.3
    assert correlation["febrile"][["temperature_c", "heart_rate_bpm"]].min() > 0.3
    assert correlation["respiratory"][["temperature_c", "perfusion_index_pct"]].abs().max() < 0.03


def test_children_without_illness_have_the_heart_rates_of_the_centile_charts():
    patients = simulate_patients(300_000, prevalence=0.3, rng=np.random.default_rng(6))
    well = patients[(patients[list(PARTS)].abs() < 0.7).all(axis=1)]
    infants, two_years = well["age_months"].le(3), well["age_months"].between(22, 26)
    assert well.loc[infants, "heart_rate_bpm"].median() == pytest.approx(143, abs=3)
    assert well.loc[two_years, "heart_rate_bpm"].median() == pytest.approx(113, abs=3)
    assert well.loc[two_years, "resp_rate_per_min"].median() == pytest.approx(26, abs=2)


def test_a_degree_of_fever_raises_the_heart_rate_by_about_ten(patients):
    slope = np.polyfit(patients["temperature_c"], patients["heart_rate_bpm"], 1)[0]
    # Fever itself, with some of it from the scatter of temperatures, which dilutes the slope.
    assert 6 < slope < 12


def test_inpatients_are_sicker():
    inpatients = simulate_patients(20_000, prevalence=0.126, shift=1.0, rng=np.random.default_rng(5))
    assert inpatients["severity"].mean() == pytest.approx(1, abs=0.05)
    assert inpatients["circulatory"].mean() == pytest.approx(0.5, abs=0.05)
    assert inpatients["event_probability"].mean() > 0.4


def test_ages_are_those_asked_for():
    infants = simulate_patients(500, prevalence=0.2, months=(1, 5), rng=np.random.default_rng(0))
    assert set(infants["age_months"]) == {1, 2, 3, 4, 5}


def test_a_second_reading_is_nearly_the_first_and_discharge_finds_the_child_better(patients):
    rng = np.random.default_rng(8)
    again = simulate_reading(patients, is_discharge=False, rng=rng)
    discharge = simulate_reading(patients, is_discharge=True, rng=rng)
    for column in ("heart_rate_bpm", "perfusion_index_pct", "vascular_tone"):
        close, far = (np.corrcoef(patients[column], other[column])[0, 1] for other in (again, discharge))
        assert close > 0.9 > far > 0.4
    assert discharge["severity"].std() == pytest.approx(0.5, abs=0.02)
    assert (discharge["age_months"] == patients["age_months"]).all()


def test_about_the_chosen_proportion_of_covariates_is_missing_and_no_outcome_is(patients):
    table = simulate_clinical_table(patients, missing_fraction=0.1, rng=np.random.default_rng(3))
    share = table.eq("").mean()
    assert share[["age_months", "sex", "hospitalized"]].eq(0).all()
    assert share["muac_cm"] == pytest.approx(0.2, abs=0.01)
    assert share[["weight_kg", "spo2_pct", *SIGNS]].to_numpy() == pytest.approx(0.1, abs=0.01)
    assert table["hospitalized"].eq("yes").equals(patients["is_event"])


def test_the_table_reads_off_what_is_true_of_the_child(patients):
    table = simulate_clinical_table(patients, missing_fraction=0.0, rng=np.random.default_rng(3))
    for column, error in (("heart_rate_bpm", 8), ("spo2_pct", 1.5), ("weight_kg", 0.1), ("temperature_c", 0.1)):
        difference = table[column].astype(float) - patients[column]
        assert abs(difference.mean()) < error / 5
        assert difference.std() < error


def test_of_garde_2016_the_product_measures_the_published_medians_and_odds_ratios():
    rng = np.random.default_rng(3)
    children = simulate_patients(600, population=GARDE2016, rng=rng)
    measured = measured_vitals(children, rng)
    assert children["is_event"].mean() == pytest.approx(0.3, abs=0.04)
    medians = measured.groupby(children["is_event"]).median()
    for is_admitted, published in ((True, (140, 16, 16)), (False, (125, 22, 21))):
        for name, value, tolerance in zip(("heart_rate_bpm", "sdnn_ms", "rmssd_ms"), published, (4, 2, 2), strict=True):
            assert medians.loc[is_admitted, name] == pytest.approx(value, abs=tolerance), name
    assert odds_ratio(measured["under_98_s"], children) == pytest.approx(1.4, abs=0.15)
    assert odds_ratio(measured["under_94_s"], children) == pytest.approx(1.5, abs=0.2)
