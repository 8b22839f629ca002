import numpy as np
import statsmodels.api as sm
from scipy.special import expit, logit

from ppgssl.classifiers.stacking import clipped_logits, fit_stack, learn_stack, stacked_risks


def make_risks(rng, n, slopes):
    logits = rng.normal(size=(n, len(slopes)))
    return logits, (rng.random(n) < expit(-0.5 + logits @ np.array(slopes))).astype(int)


def test_the_stack_is_the_logistic_regression_of_statsmodels_where_weights_are_above_zero():
    logits, y = make_risks(np.random.default_rng(0), 500, [1.0, 0.7])
    reference = sm.Logit(y, sm.add_constant(logits)).fit(disp=False)
    np.testing.assert_allclose(fit_stack(logits, y), reference.params, atol=1e-4)


def test_a_part_that_misleads_gets_no_weight_and_the_rest_is_fitted_without_it():
    logits, y = make_risks(np.random.default_rng(1), 500, [1.0, -1.0])
    stack = fit_stack(logits, y)
    alone = sm.Logit(y, sm.add_constant(logits[:, :1])).fit(disp=False).params
    assert stack[2] == 0
    np.testing.assert_allclose(stack[:2], alone, atol=1e-4)


def test_risks_that_separate_outcomes_give_finite_weights():
    logits = np.linspace(-5, 5, 40)[:, None] * [1.0, 1.0]
    assert np.isfinite(fit_stack(logits, (logits[:, 0] > 0).astype(int))).all()


def test_risks_of_a_fold_come_from_a_stack_of_the_other_folds():
    rng = np.random.default_rng(2)
    logits, y = make_risks(rng, 60, [1.0, 1.0])
    folds = np.split(np.arange(60), 3)
    inner = [[expit(logits[rows, one]) for rows in folds] for one in (0, 1)]
    stack, held_out = learn_stack(inner, [y[rows] for rows in folds])
    rest = np.concatenate(folds[1:])
    of_rest = fit_stack(logits[rest], y[rest])
    np.testing.assert_allclose(logit(held_out[0]), of_rest[0] + logits[folds[0]] @ of_rest[1:], atol=1e-8)
    np.testing.assert_allclose(stack, fit_stack(logits, y), atol=1e-8)


def test_certain_risks_are_combined_too():
    inner = [[np.array([0.0, 1.0, 0.5]), np.array([1.0, 0.0, 0.2])]] * 2
    stack, _ = learn_stack(inner, [np.array([0, 1, 1]), np.array([1, 0, 0])])
    risks = stacked_risks(stack, clipped_logits([np.array([0.0, 1.0])] * 2))
    assert ((risks > 0) & (risks < 1)).all()
    assert risks[0] < 0.5 < risks[1]
