import json

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf
from hypothesis import given
from hypothesis import strategies as st

from ppgssl.core.config.cohort import ClinicalTable, Variable
from ppgssl.core.errors import EvaluationError
from ppgssl.evaluation.covariate_model import covariate_model, readable_step
from ppgssl.evaluation.inference import pool_estimates

TABLE = ClinicalTable(
    file="t.csv",
    patient_column="id",
    variables={
        "weight": Variable(kind="numeric", label="Weight", unit="kg"),
        "rate": Variable(kind="numeric", label="Heart rate", unit="/min"),
        "score": Variable(kind="numeric"),
        "fever": Variable(kind="binary", label="Fever", levels={"n": "no", "y": "yes"}),
        "breath": Variable(
            kind="categorical", label="Breathing", levels={"0": "none", "1": "easy", "2": "hard", "3": "gasping"}
        ),
        "seen": Variable(kind="date"),
    },
)
ALL = ["weight", "rate", "score", "fever", "breath"]


def cohort(seed=1, n=400):
    rng = np.random.default_rng(seed)
    patients = pd.DataFrame(
        {
            "weight": rng.normal(9, 3, n),
            "rate": rng.normal(140, 25, n),
            "score": rng.normal(0, 0.04, n),
            "fever": rng.integers(0, 2, n).astype(float),
            "breath": rng.choice(["easy", "hard", "gasping"], n),
        },
        index=[f"p{number:03d}" for number in range(n)],
    )
    logit = -2 - 0.2 * (patients["weight"] - 9) + 0.02 * (patients["rate"] - 140) + (patients["breath"] == "hard")
    y = (rng.random(n) < 1 / (1 + np.exp(-logit))).astype(float).rename("y")
    return patients, y


def by_term(model):
    return {one.term: one for one in model.odds_ratios}


def test_odds_ratios_are_those_of_statsmodels_in_readable_steps():
    patients, y = cohort()
    model = covariate_model([patients], y, TABLE, ALL)
    formula = "y ~ weight + rate + score + fever + C(breath, Treatment('easy'))"
    fit = smf.logit(formula, patients.assign(y=y)).fit(disp=0)
    steps = {"weight": 1, "rate": 10, "score": 0.01, "fever": 1, "breath=hard": 1, "breath=gasping": 1}
    found = by_term(model)
    assert list(found) == list(steps)
    for term, step in steps.items():
        name = f"C(breath, Treatment('easy'))[T.{term[7:]}]" if term.startswith("breath=") else term
        interval = found[term].odds_ratio
        assert interval.estimate == pytest.approx(np.exp(fit.params[name] * step), rel=1e-5)
        assert [interval.ci_low, interval.ci_high] == pytest.approx(np.exp(fit.conf_int().loc[name] * step), rel=1e-5)
        assert found[term].p_value == pytest.approx(fit.pvalues[name], rel=1e-4)
    assert (model.n_patients, model.n_events, model.note) == (400, int(y.sum()), "")


def test_labels_name_unit_step_level_and_reference():
    patients, y = cohort()
    labels = [one.label for one in covariate_model([patients], y, TABLE, ALL).odds_ratios]
    assert labels == [
        "Weight, per 1 kg",
        "Heart rate, per 10 /min",
        "score, per 0.01 units",
        "Fever: yes (reference: no)",
        "Breathing: hard (reference: easy)",  # no patient has the level `none`
        "Breathing: gasping (reference: easy)",
    ]


@given(st.floats(1e-6, 1e6))
def test_a_step_is_a_power_of_ten_between_a_tenth_of_the_spread_and_twice_of_it(sd):
    step = readable_step(sd)
    assert np.log10(step) == pytest.approx(round(np.log10(step)), abs=1e-9)
    assert 0.0999 < step / sd < 2.0001
    assert readable_step(0.0) == 1


def test_a_two_by_two_table_gives_the_odds_ratio_and_woolfs_interval():
    # 15 of 40 with fever have the event, 10 of 60 without: odds ratio (15/25) / (10/50) = 3, and Woolf's interval.
    patients = pd.DataFrame({"fever": [1.0] * 40 + [0.0] * 60}, index=[str(number) for number in range(100)])
    y = pd.Series([1.0] * 15 + [0.0] * 25 + [1.0] * 10 + [0.0] * 50, index=patients.index)
    interval = covariate_model([patients], y, TABLE, ["fever"]).odds_ratios[0].odds_ratio
    reach = 1.959964 * np.sqrt(1 / 15 + 1 / 25 + 1 / 10 + 1 / 50)
    assert interval.estimate == pytest.approx(3, rel=1e-7)
    assert [interval.ci_low, interval.ci_high] == pytest.approx(3 * np.exp([-reach, reach]), rel=1e-6)


def test_separation_gives_finite_penalised_odds_ratios_and_a_note():
    # A saturated model: Firth's estimate is the odds ratio with half a patient added to each cell of (0, 10; 7, 5).
    patients = pd.DataFrame({"fever": [0.0] * 10 + [1.0] * 12}, index=[str(number) for number in range(22)])
    y = pd.Series([0.0] * 10 + [1.0] * 7 + [0.0] * 5, index=patients.index)
    model = covariate_model([patients], y, TABLE, ["fever"])
    found = model.odds_ratios[0]
    assert found.odds_ratio.estimate == pytest.approx((7.5 / 5.5) / (0.5 / 10.5), rel=1e-6)
    assert 1 < found.odds_ratio.ci_low < found.odds_ratio.estimate < found.odds_ratio.ci_high < 1e5
    assert found.p_value < 0.05
    assert "separation" in model.note
    assert "profile" in model.note


def imputed(n_tables=5):
    """A cohort whose weight is missing here and there, drawn again in each table."""
    patients, y = cohort()
    rng = np.random.default_rng(7)
    is_missing = rng.random(len(y)) < 0.3
    tables = [
        patients.assign(weight=np.where(is_missing, rng.normal(9, 3, len(y)), patients["weight"]))
        for _ in range(n_tables)
    ]
    return tables, y


def test_imputed_tables_are_pooled_by_rubins_rules():
    tables, y = imputed()
    model = covariate_model(tables, y, TABLE, ["weight", "fever"])
    fits = [smf.logit("y ~ weight + fever", one.assign(y=y)).fit(disp=0) for one in tables]
    estimates = np.array([fit.params[["weight", "fever"]] for fit in fits])
    errors = np.array([fit.bse[["weight", "fever"]] for fit in fits])
    pooled = pool_estimates(estimates, errors**2, complete_df=len(y) - 3)
    low, high = pooled.interval()
    for number, one in enumerate(model.odds_ratios):
        expected = np.exp([pooled.estimate[number], low[number], high[number]])
        found = [one.odds_ratio.estimate, one.odds_ratio.ci_low, one.odds_ratio.ci_high]
        assert found == pytest.approx(expected, rel=1e-6)
        assert one.p_value == pytest.approx(pooled.p_values()[number], rel=1e-5)
    assert model.note == "Pooled over 5 imputed tables by Rubin's rules."


def test_values_filled_in_once_are_reported():
    patients, y = cohort()
    assert "In 12 patients" in covariate_model([patients], y, TABLE, ["weight"], n_filled=12).note
    tables, y = imputed(2)
    assert "In 12 patients" not in covariate_model(tables, y, TABLE, ["weight"], n_filled=12).note


def test_imputed_tables_with_separation_are_pooled_after_firths_penalty():
    tables, y = imputed(3)
    tables = [one.assign(fever=np.where(y == 1, 1.0, one["fever"])) for one in tables]
    model = covariate_model(tables, y, TABLE, ["weight", "fever"])
    assert "Firth" in model.note
    assert "Pooled over 3" in model.note
    assert all(np.isfinite(one.odds_ratio.ci_high) for one in model.odds_ratios)


def test_what_cannot_be_estimated_is_left_out_and_named():
    patients, y = cohort()
    patients = patients.assign(rate=140.0, score=2 * patients["weight"] + 1)
    model = covariate_model([patients], y, TABLE, ALL)
    assert set(by_term(model)) == {"weight", "fever", "breath=hard", "breath=gasping"}
    assert "all patients are alike in it: Heart rate" in model.note
    assert "the others determine it: score" in model.note
    alone = covariate_model([patients], y, TABLE, ["rate"])
    assert alone.odds_ratios == []
    assert "Heart rate" in alone.note


def test_more_covariates_than_patients_still_give_numbers():
    patients, y = cohort(n=5)
    y[:] = [0, 1, 0, 1, 0]
    model = covariate_model([patients], y, TABLE, ALL)
    assert len(model.odds_ratios) <= 4
    assert "determine" in model.note
    json.dumps(model.model_dump(), allow_nan=False)


def test_what_has_no_model_is_refused():
    patients, y = cohort()
    for tables, outcome, variable, message in (
        ([], y, "weight", "at least one table"),
        ([patients], y, "wieght", "did you mean 'weight'"),
        ([patients.assign(seen="2020-01-01")], y, "seen", "is a date"),
        ([patients.assign(weight=np.nan)], y, "weight", "missing in weight"),
        ([patients], y * 0, "weight", "with and without"),
        ([patients.iloc[1:]], y, "weight", "no clinical row"),
    ):
        with pytest.raises(EvaluationError, match=message):
            covariate_model(tables, outcome, TABLE, [variable])
