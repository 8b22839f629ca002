import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit, logit
from sklearn.metrics import roc_auc_score

from ppgssl.classifiers.block_ridge import fit_ridge
from ppgssl.core.errors import EvaluationError
from ppgssl.core.records import BoolArray, FloatArray
from ppgssl.evaluation.refits import Refits, b632plus, drawable_counts, optimism, stability

Y = np.array([1, 0, 0, 1, 0], dtype=bool)
RISK = np.linspace(0.1, 0.9, 5)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"risk": RISK[:4]}, "do not fit together"),
        ({"counts": np.ones((3, 5))}, "do not fit together"),
        ({"counts": np.ones((0, 5)), "refit_risk": np.ones((0, 5))}, "at least one refit"),
        ({"risk": RISK + 0.2}, "between 0 and 1"),
        ({"refit_risk": np.full((2, 5), np.nan)}, "between 0 and 1"),
        ({"y": np.ones(5, dtype=bool)}, "all 5 patients have the same outcome"),
    ],
)
def test_what_does_not_fit_together_is_refused(changes, message):
    whole = {"y": Y, "risk": RISK, "counts": np.ones((2, 5)), "refit_risk": np.stack([RISK, RISK])}
    assert Refits(**whole).n_refits == 2
    with pytest.raises(EvaluationError, match=message):
        Refits(**{**whole, **changes})


@given(n_events=st.integers(2, 6), n_others=st.integers(2, 12), n_pairs=st.integers(0, 2), seed=st.integers(0, 99))
def test_every_sample_can_be_fitted_and_keeps_groups_together(n_events, n_others, n_pairs, seed):
    y = np.arange(n_events + n_others) < n_events
    names = [f"p{number}" for number in range(len(y))]
    groups = [names[-1 - number] if number < n_pairs else name for number, name in enumerate(names)]
    counts = drawable_counts(y, 20, groups=groups, seed=seed)
    assert counts.shape == (20, len(y))
    assert (((counts > 0) & y).sum(axis=1) >= 2).all()
    assert (((counts > 0) & ~y).sum(axis=1) >= 2).all()
    for number in range(n_pairs):
        np.testing.assert_array_equal(counts[:, number], counts[:, -1 - number])
    if not n_pairs:
        assert (counts.sum(axis=1) == len(y)).all()


def test_samples_of_many_patients_are_ordinary_bootstrap_samples():
    y = np.arange(60) < 20
    counts = drawable_counts(y, 3000, groups=[str(number) for number in range(60)], seed=1)
    assert counts.mean() == pytest.approx(1.0)
    assert counts.var() == pytest.approx(1 - 1 / 60, rel=0.02)
    assert (counts == 0).mean() == pytest.approx((1 - 1 / 60) ** 60, abs=0.005)


def test_too_few_events_for_any_sample_are_refused():
    with pytest.raises(EvaluationError, match=r"1 of 9 patients have the event.*n_optimism: 0"):
        drawable_counts(np.arange(9) < 1, 5, groups=[str(number) for number in range(9)], seed=0)


PROPORTIONS = st.floats(0, 1)


def refitted(X: FloatArray, y: BoolArray, *, n_refits: int, cost: float = 1.0, seed: int) -> Refits:
    """Ridge regressions of a fixed penalty, refitted to bootstrap samples."""
    counts = drawable_counts(y, n_refits, groups=[f"{number:04d}" for number in range(len(y))], seed=seed)
    risks = [_risk(X, y, weights, cost) for weights in (np.ones(len(y)), *counts)]
    return Refits(y, risks[0], counts, np.stack(risks[1:]))


def _risk(X: FloatArray, y: BoolArray, counts: FloatArray, cost: float, of: FloatArray | None = None) -> FloatArray:
    rows = np.repeat(np.arange(len(y)), counts.astype(int))
    intercepts, slopes = fit_ridge(X[rows], y[rows].astype(int), [cost])
    return expit(intercepts[0] + (X if of is None else of) @ slopes[0])


def draw(n: int, slopes: FloatArray, *, seed: int) -> tuple[FloatArray, BoolArray]:
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, len(slopes)))
    return X, rng.random(n) < expit(-1.5 + X @ slopes)


@pytest.fixture(scope="module")
def refits():
    X, y = draw(90, np.array([1.0, 0.5, 0, 0, 0, 0]), seed=4)
    return refitted(X, y, n_refits=40, seed=5)


def test_all_numbers_are_those_of_a_literal_bootstrap(refits):
    y = refits.y.astype(int)
    gain_auc, gain_slope, in_sample, left_out = [], [], [], []
    for counts, risk in zip(refits.counts, refits.refit_risk, strict=True):
        rows = np.repeat(np.arange(len(y)), counts.astype(int))
        outside = counts == 0
        in_sample.append(roc_auc_score(y[rows], risk[rows]))
        gain_auc.append(in_sample[-1] - roc_auc_score(y, risk))
        left_out.append(roc_auc_score(y[outside], risk[outside]))
        gain_slope.append(_slope(y[rows], risk[rows]) - _slope(y, risk))
    apparent = roc_auc_score(y, refits.risk)
    rate = (apparent - np.mean(left_out)) / (apparent - 0.5)
    weight = 0.632 / (1 - 0.368 * rate)
    found = optimism(refits, arm="covariates", label="Covariates")
    assert found.n_resamples == 40
    assert found.apparent == pytest.approx(apparent, abs=1e-12)
    assert found.harrell.estimate == pytest.approx(apparent - np.mean(gain_auc), abs=1e-12)
    plus = (1 - weight) * apparent + weight * np.mean(left_out)
    assert found.b632plus.estimate == pytest.approx(plus, abs=1e-12)
    assert found.calibration_slope == pytest.approx(_slope(y, refits.risk) - np.mean(gain_slope), abs=1e-6)
    # Location-shifted: percentiles of the refits' apparent AUROC, moved as the estimate was.
    for interval in (found.harrell, found.b632plus):
        low, high = np.quantile(in_sample, [0.025, 0.975]) + interval.estimate - apparent
        assert (interval.ci_low, interval.ci_high) == pytest.approx((low, high), abs=1e-12)


def _slope(y: np.ndarray, risk: FloatArray) -> float:
    return float(sm.Logit(y, sm.add_constant(logit(risk))).fit(disp=0).params[1])


@given(apparent=PROPORTIONS, left_out=PROPORTIONS)
def test_632plus_lies_between_its_parts(apparent, left_out):
    found = b632plus(apparent, left_out)
    known = max(left_out, 0.5)
    assert min(apparent, known) - 1e-12 <= found <= max(apparent, known) + 1e-12


@pytest.mark.parametrize(
    ("apparent", "left_out", "expected"),
    [
        (0.8, 0.8, 0.8),  # nothing is lost
        (0.9, 0.5, 0.5),  # all information is: the relative overfitting rate is 1
        (0.9, 0.3, 0.5),  # worse than guessing counts as guessing
        (0.9, 0.7, 0.9 - 0.2 * 0.632 / (1 - 0.368 * 0.5)),  # by hand: half of what was above 0.5 is lost
        (0.7, 0.8, 0.368 * 0.7 + 0.632 * 0.8),  # better outside: the plain .632
    ],
)
def test_632plus_of_cases_computed_by_hand(apparent, left_out, expected):
    assert b632plus(apparent, left_out) == pytest.approx(expected)


def test_corrected_values_are_near_the_truth_where_the_apparent_ones_are_not():
    """Over 25 cohorts of 120 patients, 12 columns of which 2 matter; the truth of each model is its AUC in 20,000."""
    slopes = np.concatenate([[1.0, 0.7], np.zeros(10)])
    X_others, y_others = draw(20_000, slopes, seed=1000)
    rows = []
    for seed in range(25):
        X, y = draw(120, slopes, seed=seed)
        found = optimism(refitted(X, y, n_refits=30, seed=seed), arm="", label="")
        truth = roc_auc_score(y_others, _risk(X, y, np.ones(120), 1.0, of=X_others))
        rows.append([truth, found.apparent, found.harrell.estimate, found.b632plus.estimate, found.calibration_slope])
    truth, apparent, harrell, plus, slope = np.mean(rows, axis=0)
    assert apparent > truth + 0.1
    assert truth < harrell < truth + 0.05  # less than half of the optimism is left
    assert abs(plus - truth) < min(0.03, harrell - truth)
    assert slope < 0.8  # the models are too sure of themselves


def test_a_model_without_information_is_seen_through():
    """Over 25 cohorts in which nothing predicts, with 8 columns: the true AUC is 0.5."""
    rows = []
    for seed in range(25):
        X, y = draw(100, np.zeros(8), seed=seed)
        found = optimism(refitted(X, y, n_refits=30, seed=seed), arm="", label="")
        rows.append([found.apparent, found.harrell.estimate, found.b632plus.estimate])
        assert rows[-1][2] < rows[-1][0]
    apparent, harrell, plus = np.mean(rows, axis=0)
    assert apparent > 0.66
    assert harrell < 0.60  # too high still, as is known of Harrell's correction
    assert plus == pytest.approx(0.53, abs=0.03)


@pytest.mark.parametrize("area", [0.5, 1.0])
def test_a_model_of_one_risk_and_one_that_separates_the_outcomes_have_no_slope(area):
    y = np.arange(12) < 4
    counts = drawable_counts(y, 3, groups=[str(number) for number in range(12)], seed=0)
    risk = np.full(12, 0.3) if area == 0.5 else np.where(y, 0.9, 0.1) + np.linspace(0, 0.05, 12)
    found = optimism(Refits(y, risk, counts, np.stack([risk] * 3)), arm="", label="")
    assert found.apparent == found.harrell.estimate == found.b632plus.estimate == area
    assert found.harrell.ci_low is None  # all refits agree: that is no evidence of certainty
    assert found.calibration_slope is None


def test_an_interval_that_would_leave_out_its_estimate_is_not_given():
    """Each refit is nearly perfect in its own sample, far more so than the model itself."""
    rng = np.random.default_rng(1)
    y = np.arange(40) < 12
    counts = drawable_counts(y, 20, groups=[str(number) for number in range(40)], seed=0)
    learned = np.where(counts > 0, y, 0.5) * 0.6 + 0.2 + 0.2 * rng.random(counts.shape)
    found = optimism(Refits(y, 0.3 * y + 0.7 * rng.random(40), counts, learned), arm="", label="")
    assert found.apparent < 0.9
    assert found.harrell.estimate is not None
    assert found.harrell.ci_low is None
    assert found.b632plus.ci_high is None


def test_spread_and_mean_distance_are_those_of_a_loop_over_patients():
    rng = np.random.default_rng(0)
    y = np.arange(30) < 10
    refits = Refits(y, rng.random(30), np.ones((41, 30)), rng.random((41, 30)))
    found = stability(refits, arm="covariates", label="Covariates")
    assert found.risk == sorted(refits.risk)
    distances = []
    for place, patient in enumerate(np.argsort(refits.risk)):
        risks = refits.refit_risk[:, patient]
        assert found.ci_low[place] == pytest.approx(np.percentile(risks, 2.5))
        assert found.ci_high[place] == pytest.approx(np.percentile(risks, 97.5))
        distances.append(np.mean(abs(risks - refits.risk[patient])))
    assert found.mean_absolute_difference == pytest.approx(np.mean(distances))
    assert found.n_refits == 41
