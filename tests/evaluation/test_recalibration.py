import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit, logit
from sklearn.metrics import log_loss

from ppgssl.core.errors import EvaluationError
from ppgssl.evaluation.recalibration import Recalibration, cross_recalibrated, fit_recalibration


def drawn(n: int, *, intercept: float = 0.0, slope: float = 1.0, seed: int = 1):
    """Risks, and outcomes whose true logit is ``intercept + slope * logit(risk)``."""
    rng = np.random.default_rng(seed)
    risk = expit(rng.normal(-1, 1.2, n))
    return rng.random(n) < expit(intercept + slope * logit(risk)), risk


def test_it_is_the_logistic_regression_on_the_logit_of_the_risk():
    y, risk = drawn(300, intercept=0.7, slope=0.5)
    x = logit(risk)
    large = sm.GLM(y, np.ones((len(y), 1)), family=sm.families.Binomial(), offset=x).fit()
    line = sm.GLM(y, sm.add_constant(x), family=sm.families.Binomial()).fit()
    assert fit_recalibration(y, risk, "in-the-large").intercept == pytest.approx(large.params[0], abs=1e-6)
    found = fit_recalibration(y, risk, "by-slope")
    assert (found.intercept, found.slope) == pytest.approx(tuple(line.params), abs=1e-6)


@given(st.floats(-3, 3), st.floats(0.05, 4), st.lists(st.floats(0, 1), min_size=2, max_size=30))
def test_the_order_of_patients_stays_and_risks_stay_risks(intercept, slope, risks):
    one = Recalibration(method="by-slope", intercept=intercept, slope=slope, n_patients=9, n_events=3)
    found = one.apply(np.array(risks))
    assert ((found >= 0) & (found <= 1)).all()
    assert (np.diff(found[np.argsort(risks)]) >= -1e-12).all()


@settings(max_examples=20)
@given(st.integers(0, 10_000))
def test_a_patient_has_no_part_in_the_recalibration_of_the_own_risk(seed):
    y, risk = drawn(60, intercept=1.0, seed=seed)
    before = cross_recalibrated(y, risk, "in-the-large", seed=1)
    changed = risk.copy()
    changed[30] = 1 - risk[30]
    after = cross_recalibrated(y, changed, "in-the-large", seed=1)
    noticed = before != after
    # Patients of other parts notice; those of the same part do not, and the patient's own offset stays.
    assert noticed[30]
    assert 60 - 10 <= noticed.sum() < 60
    offset = (logit(after) - logit(changed))[30]
    assert offset == pytest.approx((logit(before) - logit(risk))[30])


def test_on_new_patients_recalibration_is_worth_what_cross_validation_estimates():
    y, risk = drawn(400, intercept=1.2, slope=0.4, seed=3)
    new_y, new_risk = drawn(50_000, intercept=1.2, slope=0.4, seed=4)
    of_others = log_loss(y, cross_recalibrated(y, risk, "by-slope", seed=1))
    apparent = log_loss(y, fit_recalibration(y, risk, "by-slope").apply(risk))
    assert apparent < of_others < log_loss(y, risk)
    assert log_loss(new_y, fit_recalibration(y, risk, "by-slope").apply(new_risk)) == pytest.approx(of_others, abs=0.05)


def test_too_few_patients_of_an_outcome_are_refused_by_number():
    y, risk = drawn(100)
    y = np.arange(100) < 4
    with pytest.raises(EvaluationError, match=r"4 patient.s. of the minority class, and at least 5"):
        fit_recalibration(y, risk, "in-the-large")
    y[:9] = True
    fit_recalibration(y, risk, "in-the-large")
    with pytest.raises(EvaluationError, match="at least 10"):
        cross_recalibrated(y, risk, "by-slope", seed=1)


def test_a_wrong_order_is_not_fixed_and_separated_outcomes_have_no_slope():
    y, risk = drawn(300, slope=-1.0)
    with pytest.raises(EvaluationError, match="their order is wrong"):
        fit_recalibration(y, risk, "by-slope")
    risk = np.linspace(0.1, 0.9, 40)
    with pytest.raises(EvaluationError, match="separate the outcomes"):
        fit_recalibration(risk > 0.5, risk, "by-slope")
