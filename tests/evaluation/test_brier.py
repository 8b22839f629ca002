"""Brier score: equal to scikit-learn's on each draw, and to what its definition says of simple risks."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import brier_score_loss

from ppgssl.evaluation.bootstrap import draw_counts, percentile_interval
from ppgssl.evaluation.brier import judge_brier
from tests.support.risk_tables import align_scores, make_risks


def test_estimate_and_interval_are_those_of_a_loop_over_the_patients_drawn():
    _, y = make_risks(60, 0, mean_logit=-1)
    rng = np.random.default_rng(1)
    scores = rng.random((3, 60))
    found = judge_brier(align_scores(y, {"a": scores, "b": scores**2}, n_folds=4), n_resamples=50, seed=7)
    counts = draw_counts(60, 50, np.random.default_rng(7))

    def brier(weights):
        return np.mean([brier_score_loss(y, repeat**2, sample_weight=weights) for repeat in scores])

    def scaled(weights):
        prevalence = np.average(y, weights=weights)
        return 1 - brier(weights) / (prevalence * (1 - prevalence))

    for interval, statistic in ((found["b"].brier, brier), (found["b"].scaled, scaled)):
        assert interval.estimate == pytest.approx(statistic(np.ones(60)), abs=1e-12)
        expected = percentile_interval(np.array([statistic(column) for column in counts.T]))
        assert (interval.ci_low, interval.ci_high) == pytest.approx(expected, abs=1e-12)


def test_the_prevalence_scores_zero_and_the_truth_one():
    y = np.arange(50) < 10
    found = judge_brier(
        align_scores(y, {"prevalence": np.full(50, 0.2), "truth": y.astype(float)}), n_resamples=20, seed=0
    )
    assert found["prevalence"].brier.estimate == pytest.approx(0.16)
    assert found["prevalence"].scaled.estimate == pytest.approx(0.0, abs=1e-12)
    assert found["truth"].scaled.model_dump() == {"estimate": 1.0, "ci_low": 1.0, "ci_high": 1.0}


def test_a_single_class_has_a_brier_score_but_no_scaled_one():
    found = judge_brier(align_scores(np.zeros(12), {"a": np.full(12, 0.1)}), n_resamples=20, seed=0)["a"]
    assert found.brier.estimate == pytest.approx(0.01)
    assert found.scaled.model_dump() == {"estimate": None, "ci_low": None, "ci_high": None}
