import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import average_precision_score, brier_score_loss, roc_auc_score

from ppgssl import evaluation
from ppgssl.core.errors import EvaluationError


def two_models(n: int = 150) -> tuple[np.ndarray, pd.DataFrame]:
    rng = np.random.default_rng(8)
    y = (rng.random(n) < 0.3).astype(int)
    risks = {name: 1 / (1 + np.exp(1 - gain * y - rng.normal(0, 1, n))) for name, gain in (("age", 0.5), ("all", 1.5))}
    return y, pd.DataFrame(risks)


def test_estimates_are_those_of_scikit_learn():
    y, risks = two_models()
    ranks = evaluation.auroc(y, risks, n_resamples=200).to_frame()["estimate"]
    errors = evaluation.calibration(y, risks, n_resamples=20).to_frame()["estimate"]
    for name in risks:
        assert ranks[name, "auroc"] == pytest.approx(roc_auc_score(y, risks[name]), abs=1e-12)
        assert ranks[name, "auprc"] == pytest.approx(average_precision_score(y, risks[name]), abs=1e-12)
        assert errors[name, "brier"] == pytest.approx(brier_score_loss(y, risks[name]), abs=1e-12)


def test_one_array_is_one_model_and_equal_seeds_give_equal_intervals():
    y, risks = two_models()
    alone = evaluation.auroc(y, risks["all"], n_resamples=200, seed=3)
    both = evaluation.auroc(y, dict(risks), n_resamples=200, seed=3)
    assert list(alone.models) == ["risk"]
    assert alone.models["risk"].auroc == both.models["all"].auroc
    assert (alone.n_patients, alone.n_events) == (len(y), y.sum())


def test_a_comparison_is_paired_and_turns_its_sign_with_the_reference():
    y, risks = two_models()
    forth = evaluation.compare(y, risks, n_resamples=300).to_frame().loc["all"]
    back = evaluation.compare(y, risks, reference="all", n_resamples=300).to_frame().loc["age"]
    gain = roc_auc_score(y, risks["all"]) - roc_auc_score(y, risks["age"])
    assert forth["estimate"] == pytest.approx(gain, abs=1e-12)
    assert [back["estimate"], back["ci_low"], back["ci_high"]] == pytest.approx(
        [-forth["estimate"], -forth["ci_high"], -forth["ci_low"]], abs=1e-12
    )
    assert forth["p_delong"] == pytest.approx(back["p_delong"], abs=1e-12)


def test_net_benefit_is_counted_as_defined():
    y, risks = two_models()
    frame = evaluation.decision_curve(y, risks["all"], thresholds=(0.1, 0.4), n_resamples=20).to_frame()
    positive = risks["all"] >= 0.25
    expected = ((positive & (y == 1)).sum() - (positive & (y == 0)).sum() * 0.25 / 0.75) / len(y)
    at = frame.loc["risk"].index.get_indexer([0.25], method="nearest")
    assert frame.loc["risk"]["net_benefit"].iloc[at[0]] == pytest.approx(expected, abs=1e-12)
    assert set(frame.index.get_level_values("strategy")) == {"risk", "treat all", "treat none"}


def test_every_result_shows_itself_as_a_table():
    y, risks = two_models()
    found = evaluation.calibration(y, risks, n_resamples=20)
    for result in (
        found,
        evaluation.auroc(y, risks, n_resamples=20),
        evaluation.compare(y, risks, n_resamples=20),
        evaluation.decision_curve(y, risks, n_resamples=20),
    ):
        assert "<table" in result._repr_html_()
    assert list(found.curve("all")) == ["predicted", "observed", "ci_low", "ci_high"]


def test_what_is_no_set_of_risks_is_refused():
    y, risks = two_models()
    for wrong, message in (
        ({"risks": risks["all"] * 2}, "outside 0..1"),
        ({"risks": risks["all"][:-1]}, r"`risk` has the shape \(149,\)"),
        ({"risks": {}}, "no risks"),
        ({"y_true": y + 1}, "must be 0 or 1"),
        ({"y_true": y * 0}, "not defined"),
        ({"patient_id": np.repeat(np.arange(75), 2)}, "more than once in a repeat"),
    ):
        with pytest.raises(EvaluationError, match=message):
            evaluation.auroc(**{"y_true": y, "risks": risks["all"], **wrong})
    with pytest.raises(EvaluationError, match="did you mean 'age'"):
        evaluation.compare(y, risks, reference="agee")
    with pytest.raises(EvaluationError, match="two models or more"):
        evaluation.compare(y, {"all": risks["all"]})
