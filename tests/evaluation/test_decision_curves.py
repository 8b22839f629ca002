from pathlib import Path

import dcurves
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ppgssl.core.config.study import Decisions
from ppgssl.core.errors import EvaluationError
from ppgssl.evaluation.decision_curves import assess_decisions, decision_thresholds, net_benefit_differences
from ppgssl.evaluation.resampling import draw_counts, percentile_interval
from tests.support.risk_tables import align_scores, make_risks


def net_benefit(y, score, threshold, weights=None):
    weights = np.ones(len(y)) if weights is None else weights
    is_positive = score >= threshold
    hits, false_alarms = weights[is_positive & y].sum(), weights[is_positive & ~y].sum()
    return (hits - false_alarms * threshold / (1 - threshold)) / weights.sum()


def of_dcurves(table, arms, thresholds):
    found = dcurves.dca(data=table, outcome="y", modelnames=list(arms), thresholds=thresholds)
    return {arm: rows["net_benefit"].to_numpy() for arm, rows in found.groupby("model")}


def test_the_curves_of_the_dcurves_tutorial_are_those_of_dcurves():
    """750 patients with a biopsy for cancer, 105 of them with it: the example of decisioncurveanalysis.org."""
    table = pd.read_csv(Path(dcurves.data) / "df_binary.csv").rename(columns={"cancer": "y"})
    table["y"] = table["y"].astype(int)
    arms = {name: table[name].to_numpy(dtype=float) for name in ("famhistory", "cancerpredmarker")}
    assessed = assess_decisions(
        align_scores(table["y"].to_numpy(), arms), Decisions(curve=(0.01, 0.35)), n_resamples=10, seed=0
    )
    thresholds = assessed.curves["famhistory"].threshold
    expected = of_dcurves(table[["y", *arms]], arms, thresholds)
    for arm in arms:
        np.testing.assert_allclose(assessed.curves[arm].net_benefit, expected[arm], rtol=0, atol=1e-12)
    np.testing.assert_allclose(assessed.references["treat all"].net_benefit, expected["all"], rtol=0, atol=1e-12)
    np.testing.assert_allclose(assessed.references["treat none"].net_benefit, expected["none"], rtol=0, atol=1e-12)


@settings(max_examples=8)
@given(st.integers(0, 2**31), st.integers(5, 80), st.sampled_from([5, 20, 10**6]))
def test_curves_with_ties_at_the_thresholds_are_those_of_dcurves(seed, n, n_levels):
    rng = np.random.default_rng(seed)
    y, score = rng.permutation(np.arange(n) < n // 2), np.round(rng.random(n) * n_levels) / n_levels
    assessed = assess_decisions(align_scores(y, {"a": score}), Decisions(curve=(0.15, 0.7)), n_resamples=2, seed=0)
    curve = assessed.curves["a"]
    expected = of_dcurves(pd.DataFrame({"y": y.astype(int), "a": score}), ["a"], curve.threshold)
    np.testing.assert_allclose(curve.net_benefit, expected["a"], rtol=0, atol=1e-12)


def test_bands_are_those_of_a_loop_over_the_patients_drawn_and_repeats_are_averaged():
    _, y = make_risks(50, 0, mean_logit=-1)
    scores = np.random.default_rng(1).random((2, 50))
    aligned = align_scores(y, {"a": scores}, n_folds=5)
    assessed = assess_decisions(aligned, Decisions(curve=(0.1, 0.6)), n_resamples=60, seed=4)
    counts = draw_counts(50, 60, np.random.default_rng(4)).T
    curve, always = assessed.curves["a"], assessed.references["treat all"]
    for point in (0, 20, len(curve.threshold) - 1):
        threshold = curve.threshold[point]
        drawn = [np.mean([net_benefit(y, score, threshold, weights) for score in scores]) for weights in counts]
        assert (curve.ci_low[point], curve.ci_high[point]) == pytest.approx(percentile_interval(np.array(drawn)))
        treated = [net_benefit(y, np.ones(50), threshold, weights) for weights in counts]
        assert (always.ci_low[point], always.ci_high[point]) == pytest.approx(percentile_interval(np.array(treated)))


def test_differences_are_paired_and_in_the_order_asked_for():
    logits, y = make_risks(80, 2, mean_logit=-1)
    rng = np.random.default_rng(0)
    arms = {"a": 1 / (1 + np.exp(-logits)), "b": rng.random(80)}
    aligned = align_scores(y, arms)
    thresholds = [0.4, 0.1, 0.25]
    found = net_benefit_differences(aligned, [("a", "b"), ("a", "treat all")], thresholds, n_resamples=70, seed=3)
    counts = draw_counts(80, 70, np.random.default_rng(3)).T
    for reference, other in (("b", arms["b"]), ("treat all", np.ones(80))):
        for threshold, difference in zip(thresholds, found["a", reference], strict=True):
            drawn = [
                net_benefit(y, arms["a"], threshold, weights) - net_benefit(y, other, threshold, weights)
                for weights in counts
            ]
            estimate = net_benefit(y, arms["a"], threshold) - net_benefit(y, other, threshold)
            assert difference.reference == reference
            assert difference.estimate == pytest.approx(estimate, abs=1e-12)
            expected = percentile_interval(np.array(drawn))
            assert (difference.ci_low, difference.ci_high) == pytest.approx(expected, abs=1e-12)
            assert 0 < difference.p_value <= 1


def test_an_arm_equal_to_its_reference_gains_nothing():
    _, y = make_risks(40, 3, mean_logit=-1)
    score = np.random.default_rng(0).random(40)
    aligned = align_scores(y, {"a": score, "copy": score})
    (difference,) = net_benefit_differences(aligned, [("copy", "a")], [0.2], n_resamples=30, seed=0)["copy", "a"]
    assert (difference.estimate, difference.ci_low, difference.ci_high, difference.p_value) == (0, 0, 0, 1)


@pytest.mark.parametrize(
    ("prevalence", "curve", "low", "high", "step"),
    [
        (0.126, None, 0.01, 0.30, 0.005),
        (0.02, None, 0.01, 0.20, 0.002),
        (0.6, None, 0.01, 0.99, 0.01),
        (0.3, (0.05, 0.15), 0.05, 0.15, 0.001),
    ],
)
def test_thresholds_are_round_and_reach_from_end_to_end(prevalence, curve, low, high, step):
    thresholds = decision_thresholds(prevalence, curve)
    assert (thresholds[0], thresholds[-1]) == (low, high)
    assert len(thresholds) <= 102
    np.testing.assert_allclose(np.diff(thresholds), step, atol=1e-9)


@given(st.floats(0.001, 0.99), st.floats(0.001, 0.99))
def test_any_range_makes_rising_thresholds(one, other):
    low, high = sorted([one, other])
    if high - low < 1e-6:
        return
    thresholds = decision_thresholds(0.1, (low, high))
    assert thresholds[-1] == high
    assert thresholds[0] == pytest.approx(low, abs=1e-11)
    assert (np.diff(thresholds) > 0).all()


def test_thresholds_of_0_and_1_and_unknown_arms_are_refused():
    aligned = align_scores([0, 1], {"covariates": np.array([0.1, 0.9])})
    with pytest.raises(EvaluationError, match="between 0 and 1"):
        net_benefit_differences(aligned, [("covariates", "covariates")], [0.2, 1.0], seed=0)
    with pytest.raises(EvaluationError, match=r"'covariate' has no net benefit .did you mean 'covariates'"):
        net_benefit_differences(aligned, [("covariate", "covariates")], [0.2], n_resamples=5, seed=0)


def test_one_class_has_a_curve_and_no_warning():
    assessed = assess_decisions(
        align_scores(np.zeros(20), {"a": np.linspace(0, 1, 20)}), Decisions(), n_resamples=10, seed=0
    )
    assert max(assessed.curves["a"].net_benefit) <= 0
    assert len(assessed.curves["a"].threshold) == 96
