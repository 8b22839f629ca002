import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_curve
from statsmodels.stats.proportion import proportion_confint

from ppgssl.core.config.study import Decisions
from ppgssl.core.errors import EvaluationError
from ppgssl.evaluation.operating_points import assess_operating_points, sensitivity_threshold, youden_threshold
from ppgssl.evaluation.predictions import align_predictions
from tests.support.risk_tables import align_scores

NULL = {"estimate": None, "ci_low": None, "ci_high": None}
NO_TRAINING = pd.DataFrame(columns=["arm", "repeat", "fold", "patient_id", "y_true", "y_score"])


def make_table(rows):
    """Columns of predictions from (repeat, fold, patient, outcome, score)."""
    table = pd.DataFrame(rows, columns=["repeat", "fold", "patient_id", "y_true", "y_score"])
    return table.assign(arm="a")


@given(st.integers(0, 2**31), st.integers(4, 60), st.sampled_from([3, 10, 10**6]))
def test_youdens_threshold_has_the_best_index_that_scikit_learn_finds(seed, n, n_levels):
    rng = np.random.default_rng(seed)
    y, score = np.arange(n) < max(1, n // 3), np.round(rng.random(n) * n_levels) / n_levels
    threshold = youden_threshold(y, score)
    fpr, tpr, thresholds = roc_curve(y, score, drop_intermediate=False)
    index = (score[y] >= threshold).mean() - (score[~y] >= threshold).mean()
    assert index == pytest.approx(max((tpr - fpr)[1:]))
    best = thresholds[1:][(tpr - fpr)[1:] > max((tpr - fpr)[1:]) - 1e-12]
    assert (score[y] >= threshold).mean() == pytest.approx((score[y] >= best.min()).mean())


@given(st.integers(0, 2**31), st.integers(4, 60), st.sampled_from([3, 10**6]), st.floats(0.05, 0.99))
def test_the_sensitivity_is_reached_and_no_higher_threshold_reaches_it(seed, n, n_levels, sensitivity):
    rng = np.random.default_rng(seed)
    y, score = np.arange(n) < max(1, n // 3), np.round(rng.random(n) * n_levels) / n_levels
    threshold = sensitivity_threshold(y, score, sensitivity)
    assert (score[y] >= threshold).mean() >= sensitivity - 1e-9
    higher = np.unique(score[score >= threshold])[1:]
    assert all((score[y] >= other).mean() < sensitivity for other in higher)


def test_a_threshold_lies_between_the_scores_it_parts():
    y, score = np.array([False, False, True, True]), np.array([0.1, 0.2, 0.4, 0.5])
    assert youden_threshold(y, score) == pytest.approx(0.3)
    assert sensitivity_threshold(y, score, 0.5) == pytest.approx(0.45)
    assert sensitivity_threshold(y, score, 0.51) == pytest.approx(0.3)
    # Nothing lies below the lowest score: everybody is positive.
    assert sensitivity_threshold(~y, score, 1.0) == 0.0


def test_the_liver_scans_of_altman_and_bland():
    """Of 258 patients with abnormal pathology 231 had an abnormal scan, of 86 without 32.

    Altman & Bland, Diagnostic tests 1 and 2, BMJ 308:1552 and 309:102, 1994, 10.1136/bmj.308.6943.1552 and
    10.1136/bmj.309.6947.102: sensitivity 0.90, specificity 0.63, PPV 0.88, NPV 0.67.
    """
    y = np.arange(344) < 258
    scan = np.concatenate([np.arange(258) < 231, np.arange(86) < 32])
    aligned = align_scores(y, {"scan": np.where(scan, 0.8, 0.2)})
    (point,) = assess_operating_points(aligned, NO_TRAINING, Decisions(risks=[0.5]))["scan"]
    assert (point.rule, point.label, point.threshold, point.n_positive) == ("given", "risk of 50 % or more", 0.5, 263)
    for interval, published, counts in (
        (point.sensitivity, 0.90, (231, 258)),
        (point.specificity, 0.63, (54, 86)),
        (point.ppv, 0.88, (231, 263)),
        (point.npv, 0.67, (54, 81)),
    ):
        assert interval.estimate == pytest.approx(published, abs=0.005)
        expected = proportion_confint(*counts, method="wilson")
        assert (interval.ci_low, interval.ci_high) == pytest.approx(expected, abs=1e-12)


def test_each_model_classifies_by_the_threshold_of_its_own_training_patients():
    test = make_table([(0, 0, "p1", 1, 0.30), (0, 0, "p2", 0, 0.10), (0, 1, "p3", 1, 0.70), (0, 1, "p4", 0, 0.60)])
    training = make_table([(0, 0, "p3", 1, 0.40), (0, 0, "p4", 0, 0.00), (0, 1, "p1", 1, 0.90), (0, 1, "p2", 0, 0.40)])
    points = assess_operating_points(align_predictions(test, ["a"]), training, Decisions(risks=[]))["a"]
    assert [point.rule for point in points] == ["youden", "sensitivity"]
    assert points[1].label == "sensitivity of 90 % in training"
    youden = points[0]
    # 0.2 parts p1 from p2, 0.65 parts p3 from p4; one threshold for both folds would call one of them wrong.
    assert youden.threshold == pytest.approx((0.2 + 0.65) / 2)
    assert youden.n_positive == 2
    assert youden.sensitivity.estimate == youden.specificity.estimate == youden.ppv.estimate == 1.0


def test_repeats_are_averaged_and_add_no_patients():
    y = np.arange(30) < 10
    scores = np.array([np.where(np.arange(30) < 8, 0.9, 0.1), np.where(np.arange(30) < 12, 0.9, 0.1)])
    aligned = align_scores(y, {"a": scores}, n_folds=3)
    (point,) = assess_operating_points(aligned, NO_TRAINING, Decisions(risks=[0.5]))["a"]
    assert point.n_positive == 10
    assert point.sensitivity.estimate == pytest.approx((0.8 + 1.0) / 2)
    assert point.ppv.estimate == pytest.approx((1.0 + 10 / 12) / 2)
    expected = proportion_confint(9, 10, method="wilson")
    assert (point.sensitivity.ci_low, point.sensitivity.ci_high) == pytest.approx(expected, abs=1e-12)


def test_all_found_is_no_certainty():
    y = np.arange(40) < 12
    (point,) = assess_operating_points(align_scores(y, {"a": y * 0.8}), NO_TRAINING, Decisions(risks=[0.5]))["a"]
    assert point.sensitivity.estimate == point.sensitivity.ci_high == 1.0
    assert point.sensitivity.ci_low == pytest.approx(12 / (12 + 1.959964**2), abs=1e-6)


def test_what_is_a_proportion_of_nobody_is_null():
    y = np.arange(20) < 8
    aligned = align_scores(y, {"a": np.full(20, 0.3)})
    points = assess_operating_points(aligned, NO_TRAINING, Decisions(risks=[0.5, 0.2]))["a"]
    assert [point.threshold for point in points] == [0.2, 0.5]
    assert points[0].npv.model_dump() == points[1].ppv.model_dump() == NULL
    assert points[0].sensitivity.estimate == points[1].specificity.estimate == 1.0
    nobody = align_scores(np.zeros(20), {"a": np.full(20, 0.3)})
    assert assess_operating_points(nobody, NO_TRAINING, Decisions(risks=[0.2]))["a"][0].sensitivity.model_dump() == NULL


def test_training_patients_of_one_class_choose_no_threshold():
    test = make_table([(0, 0, "p1", 1, 0.3), (0, 0, "p2", 0, 0.1)])
    training = make_table([(0, 0, "p3", 0, 0.4), (0, 0, "p4", 0, 0.0)])
    points = assess_operating_points(align_predictions(test, ["a"]), training, Decisions(risks=[0.2]))["a"]
    assert [point.rule for point in points] == ["given"]


def test_a_model_without_training_scores_alongside_others_that_have_them_is_refused():
    test = make_table([(0, 0, "p1", 1, 0.3), (0, 1, "p2", 0, 0.1)])
    training = make_table([(0, 0, "p2", 0, 0.4), (0, 0, "p3", 1, 0.0)])
    with pytest.raises(EvaluationError, match=r"arm 'a' has no scores of training patients in repeat 0, fold 1"):
        assess_operating_points(align_predictions(test, ["a"]), training, Decisions())


@pytest.mark.parametrize(
    ("change", "message"),
    [({"y_score": 1.2}, "`y_score` between 0 and 1"), ({"y_true": 2}, "`y_true` of 0 or 1"), (None, "lack.* fold")],
)
def test_a_training_table_that_is_none_is_refused(change, message):
    training = make_table([(0, 0, "p1", 1, 0.3)])
    training = training.assign(**change) if change else training.drop(columns="fold")
    with pytest.raises(EvaluationError, match=message):
        assess_operating_points(align_scores([0, 1], {"a": np.array([0.1, 0.9])}), training, Decisions())
