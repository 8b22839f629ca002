import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from ppgssl.core.errors import EvaluationError
from ppgssl.evaluation.learning_curves import learning_curves, stratified_draw
from ppgssl.evaluation.predictions import align_predictions
from ppgssl.evaluation.ranked_pairs import resample_auroc
from tests.support.risk_tables import prediction_rows

LABELS = {"covariates": "Clinical covariates", "ssl-all": "SSL features"}


def made_up_tests(fractions: tuple[float, ...] = (0.5, 1.0), n_draws: int = 3) -> pd.DataFrame:
    """40 patients in two folds, tested by two arms that know more the more they were trained on."""
    rng = np.random.default_rng(2)
    y = np.arange(40) % 4 == 0
    rows = []
    for arm in LABELS:
        for fraction in fractions:
            for draw in range(n_draws if fraction < 1 else 1):
                for fold in range(2):
                    tested = np.arange(40)[fold::2]
                    score = np.clip(0.3 + fraction * 0.3 * y[tested] + 0.15 * rng.standard_normal(20), 0, 1)
                    sizes = {"n_train": round(20 * fraction) + fold, "n_train_events": round(5 * fraction)}
                    ids = [f"p{number:02d}" for number in tested]
                    found = prediction_rows(arm, y[tested].astype(float), score, fold=fold, ids=ids)
                    rows.append(found.assign(fraction=fraction, draw=draw, **sizes))
    return pd.concat(rows, ignore_index=True)


# Only fold 0 holds events and others in these tests: patients 0, 4, 8, ... are even.
def test_a_point_is_the_mean_over_draws():
    tests = made_up_tests()
    curves = learning_curves(tests, LABELS, n_resamples=50, seed=1)
    assert [curve.arm for curve in curves] == list(LABELS)
    for curve in curves:
        for point, fraction in zip(curve.points, (0.5, 1.0), strict=True):
            rows = tests[(tests["arm"] == curve.arm) & (tests["fraction"] == fraction) & (tests["fold"] == 0)]
            areas = [roc_auc_score(part["y_true"], part["y_score"]) for _, part in rows.groupby("draw")]
            assert point.auroc.estimate == pytest.approx(np.mean(areas), abs=1e-12)
            assert point.auroc.ci_low <= point.auroc.estimate <= point.auroc.ci_high
        first, last = curve.points
        assert (first.n_patients, first.n_events, first.n_fits) == (10, 2.0, 6)
        assert (last.n_patients, last.n_events, last.n_fits) == (20, 5.0, 2)


def test_the_last_point_has_the_interval_of_the_results_table():
    tests = made_up_tests(fractions=(1.0,))
    (curve, _) = learning_curves(tests, LABELS, n_resamples=300, seed=9)
    expected = resample_auroc(align_predictions(tests, list(LABELS)), n_resamples=300, seed=9).interval("covariates")
    found = curve.points[0].auroc
    assert (found.estimate, found.ci_low, found.ci_high) == pytest.approx(
        (expected.estimate, expected.ci_low, expected.ci_high), abs=1e-12
    )


def test_arms_of_other_draws_are_refused():
    tests = made_up_tests()
    is_dropped = (tests["arm"] == "ssl-all") & (tests["draw"] == 2)
    with pytest.raises(EvaluationError, match="not tested on the same patients"):
        learning_curves(tests[~is_dropped], LABELS, seed=1)


def test_absent_columns_are_named():
    with pytest.raises(EvaluationError, match=r"lack the column.* draw, n_train"):
        learning_curves(made_up_tests().drop(columns=["draw", "n_train"]), LABELS, seed=1)


@given(n_events=st.integers(2, 20), n_others=st.integers(2, 20), fraction=st.floats(0.1, 1), seed=st.integers(0, 99))
def test_a_draw_has_the_same_proportion_of_either_outcome(n_events, n_others, fraction, seed):
    y = pd.Series(np.arange(n_events + n_others) < n_events, dtype=float)
    y.index = [f"p{number:02d}" for number in range(len(y))]
    drawn = stratified_draw(y, fraction, seed=seed)
    assert len(set(drawn)) == len(drawn)
    assert y[drawn].sum() == round(fraction * n_events)
    assert len(drawn) - y[drawn].sum() == round(fraction * n_others)
    assert stratified_draw(y.sample(frac=1, random_state=seed), fraction, seed=seed) == drawn
