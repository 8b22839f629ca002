import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

from ppgssl.core.errors import EvaluationError
from ppgssl.core.results.performance import ArmResult
from ppgssl.evaluation.discrimination import assess_discrimination
from ppgssl.evaluation.inference import holm
from ppgssl.evaluation.predictions import align_predictions
from ppgssl.evaluation.ranked_pairs import resample_auroc
from tests.support.aligned_scores import make_aligned
from tests.support.risk_tables import prediction_rows

ARMS = ("arm-0", "arm-1", "arm-2")
REFERENCES = {"difference": {"arm-1": "arm-0", "arm-2": "arm-0"}, "difference_from_untrained": {"arm-2": "arm-1"}}


def make_predictions(seed=0, n=80, **options):
    aligned = make_aligned(seed, n, n_arms=3, **options)
    of_rows = {"repeat": aligned.repeat, "fold": aligned.fold, "ids": np.array(aligned.patient_ids)[aligned.patient]}
    scores = zip(aligned.arms, norm.cdf(aligned.y_score - 1), strict=True)
    tables = [prediction_rows(arm, aligned.y_true.astype(int), score, **of_rows) for arm, score in scores]
    return pd.concat(tables, ignore_index=True)


@pytest.fixture(scope="module")
def assessed():
    predictions = make_predictions(n_folds=4, n_repeats=2)
    return assess_discrimination(predictions, ARMS, references=REFERENCES, n_resamples=400, seed=3)


def test_every_field_is_one_of_the_results_and_the_estimates_agree(assessed):
    for one in assessed.arms.values():
        assert set(vars(one)) <= set(ArmResult.model_fields)
        assert one.auroc.estimate == one.auroc_bca.estimate == pytest.approx(one.auroc_delong.estimate, abs=1e-12)
        area = np.trapezoid(one.roc.true_positive_rate, one.roc.false_positive_rate)
        assert area == pytest.approx(one.auroc.estimate, abs=1e-12)
        for interval in (one.auroc, one.auroc_bca, one.auroc_delong, one.partial_auroc, one.auprc):
            assert interval.ci_low < interval.estimate < interval.ci_high


def test_the_percentile_interval_is_that_of_the_same_draws(assessed):
    alone = align_predictions(make_predictions(n_folds=4, n_repeats=2), ["arm-1"])
    assert assessed.arms["arm-1"].auroc == resample_auroc(alone, n_resamples=400, seed=3).interval("arm-1")
    assert (assessed.n_patients, assessed.n_events, assessed.n_skipped) == (80, alone.n_events, 0)


def test_p_values_are_adjusted_within_a_kind_of_reference(assessed):
    for kind, pairs in REFERENCES.items():
        differences = assessed.differences[kind]
        assert {arm: one.reference for arm, one in differences.items()} == pairs
        assert [one.p_adjusted for one in differences.values()] == holm([one.p_value for one in differences.values()])
    assert assessed.differences["difference_from_untrained"]["arm-2"].p_adjusted == pytest.approx(
        assessed.differences["difference_from_untrained"]["arm-2"].p_value
    )


def test_two_ways_to_an_interval_of_a_difference_agree_where_there_are_enough_patients():
    assessed = assess_discrimination(make_predictions(1, 800), ARMS, n_resamples=2000, seed=0)
    percentile, by_theory = (one.difference("arm-1", "arm-0") for one in (assessed.auroc, assessed.delong))
    for limit in ("ci_low", "ci_high"):
        assert getattr(by_theory, limit) == pytest.approx(getattr(percentile, limit), abs=0.006)


def test_a_subset_is_assessed_as_if_the_others_had_not_been_tested():
    predictions = make_predictions(2)
    subset = [*sorted(predictions["patient_id"].unique())[::2], "p001", "p079"]
    kept = predictions[predictions["patient_id"].isin(subset)]
    of_subset = assess_discrimination(predictions, ARMS, n_resamples=50, seed=1, subset=subset)
    assert of_subset.arms == assess_discrimination(kept, ARMS, n_resamples=50, seed=1).arms
    assert of_subset.n_patients == 42


def test_folds_without_one_of_the_outcomes_are_passed_over():
    predictions = make_predictions(4, n_folds=3)
    only_others = predictions["fold"].eq(1)
    predictions = predictions[~only_others | predictions["y_true"].eq(0)]
    only_events = predictions["fold"].eq(2)
    predictions = predictions[~only_events | predictions["y_true"].eq(1)]
    assessed = assess_discrimination(predictions, ARMS, n_resamples=100, seed=0)
    assert all(one.auroc.estimate is not None and one.roc.ci_low for one in assessed.arms.values())


def test_what_cannot_be_compared_is_refused():
    predictions = make_predictions(5)
    with pytest.raises(EvaluationError, match="'arm-9' was not resampled"):
        assess_discrimination(predictions, ARMS, references={"difference": {"arm-1": "arm-9"}}, n_resamples=5, seed=0)
    with pytest.raises(EvaluationError, match="is not defined: in some repeat no fold"):
        assess_discrimination(predictions[predictions["y_true"] == 0], ARMS, n_resamples=5, seed=0)
