import numpy as np
import pytest
import statsmodels.api as sm
from patsy import dmatrix

from ppgssl.evaluation.calibration_curve import CalibrationCurve
from ppgssl.evaluation.resampling import draw_counts
from tests.support.risk_tables import make_risks


def test_the_curve_is_the_natural_spline_of_patsy_fitted_by_statsmodels():
    logits, y = make_risks(207, 0)
    curve = CalibrationCurve(logits)
    low, middle, high = np.quantile(logits, [0.1, 0.5, 0.9])
    basis = "cr(x, knots=[middle], lower_bound=low, upper_bound=high) - 1"
    columns = np.asarray(dmatrix(basis, {"x": logits, "middle": middle, "low": low, "high": high}))
    once = np.ones((207, 1))
    coefficients = curve.fit(y, once)[:, 0]
    alone = sm.GLM(y.astype(float), columns, family=sm.families.Binomial()).fit(tol=1e-14, maxiter=200)
    errors = np.sqrt(np.einsum("ij,jk,ik->i", columns, alone.cov_params(), columns))
    np.testing.assert_allclose(curve.standard_error(logits, coefficients), errors, rtol=1e-6)
    counts = draw_counts(207, 5, np.random.default_rng(1))
    fitted = curve.at(logits, curve.fit(y, counts))
    for column, of_draw in zip(fitted.T, counts.T, strict=True):
        model = sm.GLM(y.astype(float), columns, family=sm.families.Binomial(), freq_weights=of_draw)
        np.testing.assert_allclose(column, model.fit(tol=1e-14, maxiter=200).fittedvalues, atol=1e-8)


def test_beyond_the_outer_knots_the_curve_is_straight_on_the_logit_scale():
    logits, y = make_risks(500, 1, mean_logit=0)
    curve = CalibrationCurve(logits)
    coefficients = curve.fit(y, np.ones((500, 1)))
    low, high = np.quantile(logits, [0.1, 0.9])
    for beyond in (np.linspace(low - 4, low, 9), np.linspace(high, high + 4, 9)):
        risk = curve.at(beyond, coefficients)[:, 0]
        np.testing.assert_allclose(np.diff(np.log(risk / (1 - risk)), n=2), 0, atol=1e-9)


def test_outcomes_side_by_side_are_each_outcome_alone():
    logits, y = make_risks(80, 2, mean_logit=-1)
    outcomes = np.column_stack([y, ~y, np.random.default_rng(0).permutation(y)])
    curve = CalibrationCurve(logits)
    alone = [curve.fit(outcome, np.ones((80, 1)))[:, 0] for outcome in outcomes.T]
    np.testing.assert_allclose(curve.fit_outcomes(outcomes), np.column_stack(alone), atol=1e-8)


@pytest.mark.parametrize("levels", [(0.1, 0.3), (0.1, 0.3, 0.6)])
def test_with_few_values_the_curve_passes_through_the_proportion_of_events_at_each(levels):
    rng = np.random.default_rng(3)
    risk = rng.permutation(np.repeat(levels, 40))
    y = rng.random(len(risk)) < risk
    logits = np.log(risk / (1 - risk))
    curve = CalibrationCurve(logits)
    observed = curve.at(logits, curve.fit(y, np.ones((len(y), 1))))[:, 0]
    for level in levels:
        assert observed[risk == level] == pytest.approx(y[risk == level].mean(), abs=1e-7)


def test_a_risk_that_does_not_vary_or_separates_the_classes_has_no_curve():
    y = np.arange(30) < 12
    for logits in (np.zeros(30), np.linspace(3, -3, 30)):
        curve = CalibrationCurve(logits)
        assert np.isnan(curve.at(np.array([0.0]), curve.fit(y, np.ones((30, 2))))).all()


def test_a_curve_at_its_limits_has_a_large_standard_error():
    logits = np.repeat([-3.0, -2.0, -1.0, 0.0, 1.0], 8)
    y = np.tile(np.arange(8) % 2 == 0, 5) & (logits == -1)
    curve = CalibrationCurve(logits)
    coefficients = curve.fit(y, np.ones((40, 1)))
    assert curve.at(np.array([-3.0, 1.0]), coefficients) == pytest.approx(0, abs=1e-4)
    assert (curve.standard_error(np.array([-3.0, 1.0]), coefficients[:, 0]) > 2).all()


def test_draws_of_few_patients_leave_no_nonsense():
    logits, y = make_risks(12, 5, mean_logit=0)
    counts = draw_counts(12, 500, np.random.default_rng(0))
    curve = CalibrationCurve(logits)
    found = curve.at(np.linspace(-3, 1, 9), curve.fit(y, counts))
    is_defined = np.isfinite(found).all(axis=0)
    assert is_defined.mean() > 0.5
    assert (is_defined == np.isfinite(found).any(axis=0)).all()
    assert ((found >= 0) & (found <= 1))[:, is_defined].all()
