import numpy as np
import pandas as pd
import pytest
from scipy.special import expit, logit
from scipy.stats import chi2
from statsmodels.api import GLM, add_constant, families

from ppgssl.core.errors import EvaluationError
from ppgssl.core.results.base import Difference
from ppgssl.evaluation.added_value import added_value, likelihood_ratio, likelihood_ratio_of_risks
from tests.support.risk_tables import prediction_rows

DIFFERENCE = Difference(estimate=0.03, ci_low=-0.01, ci_high=0.07, p_value=0.2, reference="covariates")


def make_risks(rng, *, n=300, gain=1.0):
    """Outcomes, the risk by what the reference sees, and the risk by that and something more."""
    seen, more = rng.normal(size=n), rng.normal(size=n)
    y = rng.random(n) < expit(-1 + seen + gain * more)
    return y.astype(int), expit(-1 + 0.8 * seen), expit(-1 + 0.9 * seen + 0.7 * gain * more + 0.1 * rng.normal(size=n))


def make_predictions(rng, n_repeats=3, **options):
    frames, of_repeats = [], []
    y, reference, added = make_risks(rng, **options)
    for repeat in range(n_repeats):
        for arm, risk in (("covariates", reference), ("covariates+ssl-all", added)):
            noisy = expit(logit(risk) + 0.2 * rng.normal(size=len(y)))
            frames.append(prediction_rows(arm, y, noisy, repeat=repeat, fold=np.arange(len(y)) % 5))
        of_repeats.append((y, frames[-2]["y_score"].to_numpy(), frames[-1]["y_score"].to_numpy()))
    return pd.concat(frames, ignore_index=True).sample(frac=1, random_state=1), of_repeats


def by_statsmodels(y, reference, added):
    """Twice the difference of log likelihoods, by another of its models."""
    smaller = add_constant(logit(reference))
    fits = [
        GLM(y, X, family=families.Binomial()).fit(tol=1e-12)
        for X in (smaller, np.column_stack([smaller, logit(added)]))
    ]
    return 2 * (fits[1].llf - fits[0].llf)


def test_the_table_holds_the_median_over_repeats_and_its_p_value():
    predictions, of_repeats = make_predictions(np.random.default_rng(1), n_repeats=5)
    found = added_value(
        predictions,
        "covariates+ssl-all",
        "covariates",
        auroc=DIFFERENCE,
        thresholds=[0.1, 0.2],
        net_benefit=[DIFFERENCE, DIFFERENCE],
    )
    expected = np.median([by_statsmodels(*risks) for risks in of_repeats])
    assert found.lr_chi2 == pytest.approx(expected, abs=1e-7)
    assert (found.lr_df, found.lr_p_value) == (1, pytest.approx(chi2.sf(expected, 1)))
    assert (found.auroc, found.thresholds, found.net_benefit) == (DIFFERENCE, [0.1, 0.2], [DIFFERENCE, DIFFERENCE])


def test_an_arm_equal_to_its_reference_adds_nothing():
    y, reference, _ = make_risks(np.random.default_rng(2))
    assert likelihood_ratio_of_risks(y, reference, reference) == 0
    assert likelihood_ratio_of_risks(y, reference, expit(2 * logit(reference) - 1)) == 0  # nor one on another scale
    assert likelihood_ratio_of_risks(y, reference, np.full(len(y), 0.3)) == 0


def test_a_risk_that_points_the_wrong_way_adds_nothing():
    y, reference, added = make_risks(np.random.default_rng(4))
    assert by_statsmodels(y, reference, 1 - added) > 10
    assert likelihood_ratio_of_risks(y, reference, 1 - added) == 0


def test_a_reference_that_knows_nothing_is_an_intercept():
    y, _, added = make_risks(np.random.default_rng(5))
    fit = GLM(y, add_constant(logit(added)), family=families.Binomial()).fit(tol=1e-12)
    found = likelihood_ratio_of_risks(y, np.full(len(y), 0.2), added)
    assert found == pytest.approx(fit.null_deviance - fit.deviance, abs=1e-7)


def test_where_there_is_no_finite_likelihood_there_is_no_test():
    y, reference, added = make_risks(np.random.default_rng(6))
    assert likelihood_ratio_of_risks(np.zeros_like(y), reference, added) is None
    assert likelihood_ratio_of_risks(y, reference, np.where(y == 1, 0.9, 0.1)) is None


def test_certain_risks_have_a_finite_logit():
    y, reference, added = make_risks(np.random.default_rng(7))
    certain = added.copy()
    certain[:3] = [0, 1, 0]
    assert np.isfinite(likelihood_ratio_of_risks(y, reference, certain))


def ridge(X, y, penalty):
    """Coefficients of ridge logistic regression, the intercept last and free, by Newton steps."""
    X = np.column_stack([X, np.ones(len(X))])
    shrink = np.diag([penalty] * (X.shape[1] - 1) + [0.0])
    b = np.zeros(X.shape[1])
    for _ in range(8):
        risk = expit(X @ b)
        b += np.linalg.solve(X.T @ (X * (risk * (1 - risk))[:, None]) + shrink, X.T @ (y - risk) - shrink @ b)
    return b


def out_of_fold(X, y, fold):
    risk = np.empty(len(y))
    for one in np.unique(fold):
        b = ridge(X[fold != one], y[fold != one], 1.0)
        risk[fold == one] = expit(X[fold == one] @ b[:-1] + b[-1])
    return risk


def test_useless_features_are_rarely_called_useful():
    rng = np.random.default_rng(8)
    found, plain = [], []
    for _ in range(100):
        x, noise = rng.normal(size=(200, 3)), rng.normal(size=(200, 10))
        y = (rng.random(200) < expit(-2.3 + 0.9 * x[:, 0])).astype(int)
        fold = np.empty(200, dtype=int)
        for one in (0, 1):  # stratified
            fold[y == one] = rng.permutation(np.arange((y == one).sum()) % 5)
        reference, added = out_of_fold(x, y, fold), out_of_fold(np.column_stack([x, noise]), y, fold)
        found.append(likelihood_ratio_of_risks(y, reference, added))
        plain.append(max(found[-1], likelihood_ratio_of_risks(y, reference, 1 - added)))
    limit = chi2.ppf(0.95, 1)
    assert (np.array(found) > limit).mean() < 0.13  # 5 %, and more than three standard errors of 100 draws
    assert (np.array(plain) > limit).mean() > (np.array(found) > limit).mean()  # why the sign matters


def test_what_does_not_fit_together_is_refused():
    predictions, _ = make_predictions(np.random.default_rng(9), n_repeats=1)
    other = DIFFERENCE.model_copy(update={"reference": "vitals"})
    with pytest.raises(EvaluationError, match="a difference is from vitals"):
        added_value(predictions, "covariates+ssl-all", "covariates", auroc=other)
    with pytest.raises(EvaluationError, match="as many net benefits"):
        added_value(predictions, "covariates+ssl-all", "covariates", auroc=DIFFERENCE, thresholds=[0.1])
    with pytest.raises(EvaluationError, match="no predictions"):
        likelihood_ratio(predictions, "covariates+ssl-all", "vitals")
