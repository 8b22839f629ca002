"""The oracle: Bayes' rule on the stated model, against models fitted to large samples and closed forms."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit
from sklearn.calibration import calibration_curve
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from ppgssl.simulate.findings import GARDE2016, HIDDEN, MEASURED, MWANIKI2023, RECORDED, Population
from ppgssl.simulate.oracle import InformationSet, expected_auc, information_sets, oracle_aucs, posterior_risk
from ppgssl.simulate.physiology import simulate_clinical_table, simulate_patients

SIGNS = ["difficulty_breathing", "can_drink_or_breastfeed", "irritability"]


@pytest.fixture(scope="module")
def aucs() -> dict[str, float]:
    return oracle_aucs(n=5_000, rng=np.random.default_rng(1))


@pytest.fixture(scope="module")
def children() -> pd.DataFrame:
    return simulate_patients(40_000, prevalence=0.126, rng=np.random.default_rng(2))


def test_each_information_set_is_worth_what_was_asked_for(aucs):
    assert aucs["vitals"] == pytest.approx(0.72, abs=0.01)
    assert aucs["covariates"] == pytest.approx(0.86, abs=0.01)
    assert aucs["covariates+waveform"] == pytest.approx(0.90, abs=0.01)


def test_the_waveform_carries_what_heart_rate_and_saturation_do_not(aucs):
    assert aucs["waveform"] > aucs["vitals"] + 0.1
    assert aucs["parts"] > aucs["covariates+waveform"] > aucs["covariates"] + 0.03


def test_fitted_models_come_near_the_oracle_and_never_above_it(aucs, children):
    clinical = simulate_clinical_table(children, missing_fraction=0.0, rng=np.random.default_rng(3))
    read = ["weight_kg", "muac_cm", "temperature_c", "heart_rate_bpm", "spo2_pct"]
    covariates = clinical[read].astype(float).assign(**{sign: clinical[sign].eq("yes") for sign in SIGNS})
    waveform = children[[name.replace("desaturation", "spo2") for name in RECORDED]]
    is_event = children["is_event"].to_numpy()
    for name, x in {
        "vitals": children[["heart_rate_bpm", "spo2_pct"]],
        "covariates": covariates,
        "waveform": waveform,
        "covariates+waveform": waveform.join(covariates.drop(columns=["heart_rate_bpm", "spo2_pct"])),
    }.items():
        fitted = fitted_auc(x.to_numpy(float), is_event)
        assert aucs[name] - 0.03 < fitted < aucs[name] + 0.012, name  # 0.012: two standard errors of the sample


@pytest.mark.parametrize("population", [GARDE2016, MWANIKI2023.with_hidden_dynamics()], ids=["garde", "hidden"])
def test_fitted_models_come_near_the_oracle_of_other_populations(population: Population):
    aucs = oracle_aucs(n=5_000, population=population, rng=np.random.default_rng(1))
    children = simulate_patients(30_000, population=population, rng=np.random.default_rng(4))
    columns = [name.replace("desaturation", "spo2") for name in population.recorded]
    for name, used in (("named waveform", [one for one in columns if one not in HIDDEN]), ("waveform", columns)):
        if name in aucs:
            fitted = fitted_auc(children[used].to_numpy(float), children["is_event"].to_numpy())
            assert aucs[name] - 0.03 < fitted < aucs[name] + 0.012, name


def test_hidden_dynamics_are_worth_what_was_asked_for():
    aucs = oracle_aucs(n=5_000, population=MWANIKI2023.with_hidden_dynamics(), rng=np.random.default_rng(1))
    assert aucs["named waveform"] == pytest.approx(0.82, abs=0.01)
    assert aucs["waveform"] == pytest.approx(0.875, abs=0.01)


def fitted_auc(x: np.ndarray, is_event: np.ndarray) -> float:
    """Of the better of two models, fitted to half of the children, in the others."""
    half = len(x) // 2
    models = (
        make_pipeline(StandardScaler(), LogisticRegression(max_iter=500)),
        HistGradientBoostingClassifier(max_iter=80, learning_rate=0.07, max_leaf_nodes=8, random_state=0),
    )
    scores = [model.fit(x[:half], is_event[:half]).predict_proba(x[half:])[:, 1] for model in models]
    return max(roc_auc_score(is_event[half:], score) for score in scores)


def test_the_posterior_risk_is_calibrated_and_counting_events_agrees_with_the_expected_auc(children):
    known = information_sets()["waveform"]
    risk = posterior_risk(known, on_scale(children, known), np.zeros((len(children), 0), bool))
    observed, predicted = calibration_curve(children["is_event"], risk, n_bins=10, strategy="quantile")
    assert np.abs(observed - predicted).max() < 0.03
    assert roc_auc_score(children["is_event"], risk) == pytest.approx(expected_auc(risk), abs=0.01)


def on_scale(children: pd.DataFrame, known: InformationSet) -> np.ndarray:
    columns = []
    for name, finding, _ in known.findings():
        if name == "desaturation_pct":
            columns.append(np.log(100 - children["spo2_pct"]))
        elif name == "sinus_arrhythmia":
            columns.append(np.log(children[name] / (1 - children[name])))
        else:
            columns.append(np.log(children[name]) if finding.is_log else children[name])
    return np.stack(columns, axis=1)


def test_the_posterior_is_that_of_weighing_many_children_by_their_likeness():
    """Literally: the mean risk of many made-up children, weighted by how well each explains the findings."""
    known = InformationSet(recorded=("vascular_tone",), read_off=("temperature_c",), signs=("irritability",))
    values, is_yes = np.array([[1.5, 38.5], [-0.5, 37.0]]), np.array([[True], [False]])
    pool = simulate_patients(250_000, prevalence=0.126, rng=np.random.default_rng(5))
    parts = pool[["severity", "respiratory", "circulatory", "febrile"]].to_numpy()
    yes = expit(-1.6 + parts @ np.array([2.2, 0.0, 0.3, 0.4]))
    for row, sign, risk in zip(values, is_yes[:, 0], posterior_risk(known, values, is_yes), strict=True):
        weight = yes if sign else 1 - yes
        for value, finding in zip(row, (RECORDED["vascular_tone"], MEASURED["temperature_c"]), strict=True):
            residual = (value - finding.medians[0] - parts @ np.array(finding.loads)) / finding.own_sd
            weight = weight * np.exp(-0.5 * residual**2)
        assert risk == pytest.approx(np.average(pool["event_probability"], weights=weight), abs=0.01)


def test_in_a_sicker_population_more_information_still_shows_more():
    shifted = oracle_aucs(n=1500, shift=1.0, rng=np.random.default_rng(1))
    assert shifted["vitals"] < shifted["covariates"] < shifted["covariates+waveform"] < shifted["parts"]


@given(st.lists(st.sampled_from([0.05, 0.2, 0.2, 0.5, 0.9]), min_size=2, max_size=30))
def test_the_expected_auc_is_that_of_all_pairs(risks):
    risk = np.array(risks)
    weight = np.outer(risk, 1 - risk)
    wins = (risk[:, None] > risk[None]) + 0.5 * (risk[:, None] == risk[None])
    assert expected_auc(risk) == pytest.approx((weight * wins).sum() / weight.sum(), abs=1e-12)
