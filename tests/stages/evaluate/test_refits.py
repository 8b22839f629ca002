"""Refits of a study's arms: which, to whom, and that they are the arms of the results table."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from ppgssl.classifiers.risk_model import RiskModel
from ppgssl.core.config.arms import DEFAULT_ARMS, parse_arm
from ppgssl.core.config.study import Study
from ppgssl.core.parallel import Workers, workers
from ppgssl.core.seeds import derive_seed
from ppgssl.evaluation.predictions import align_predictions
from ppgssl.evaluation.ranked_pairs import resample_auroc
from ppgssl.evaluation.refits import drawable_counts
from ppgssl.stages.evaluate.folds import FoldFitter, predict_folds
from ppgssl.stages.evaluate.refits import arms_of_curves, arms_of_optimism, refit_arms
from ppgssl.stages.pretrain import pretrain
from tests.support.small_cohorts import make_ward, study_of

ARMS = ["covariates", "ssl-all", "covariates+ssl-all", "untrained"]
N_REFITS = 4


@pytest.fixture(scope="module")
def refitted(tiny_study, tmp_path_factory):
    """A study refitted: its data, folder and results."""
    out = tmp_path_factory.mktemp("refitted")
    data = tiny_study.data(
        arms=ARMS, validation__n_optimism=N_REFITS, learning_curve={"fractions": [0.1, 0.9, 1.0], "n_draws": 2}
    )
    pretrain(data, out, n_jobs=1)
    seen = []
    results = refit_arms(data, out, Workers(1), progress=lambda done, n, what: seen.append((done, n, what)))
    assert seen[-1][0] == seen[-1][1]
    return data, out, results


def test_every_arm_is_refitted_as_far_as_its_features_allow(refitted):
    data, _, results = refitted
    assert [one.arm for one in results.optimism] == ["covariates", "untrained"]
    assert [one.arm for one in results.stability] == ["covariates", "ssl-all", "covariates+ssl-all"]
    assert [one.arm for one in results.learning_curves] == ["covariates", "ssl-all", "covariates+ssl-all"]
    assert all(one.n_resamples == N_REFITS for one in results.optimism)
    assert all(len(one.risk) == len(data.y) and one.n_refits == N_REFITS for one in results.stability)
    assert results.notes[0].startswith("Optimism-corrected performance is not given for SSL features (all recordings)")


def test_the_apparent_performance_is_that_of_the_arm_fitted_to_all_patients(refitted):
    data, out, results = refitted
    fold = data.folds[0]
    table, columns = FoldFitter(fold, data, out).inputs(parse_arm("covariates"))
    y = data.y.astype(int)
    seed = derive_seed(data.study.seed, "inner folds", fold.name)
    model = RiskModel(columns=columns, missing=data.study.missing, seed=seed)
    risk = model.fit(table, y).predict_proba(table)[:, 1]
    found = results.optimism[0]
    assert found.apparent == pytest.approx(roc_auc_score(y, risk), abs=1e-12)
    assert results.stability[0].risk == pytest.approx(sorted(risk), abs=1e-12)
    counts = drawable_counts(
        y.to_numpy() == 1, N_REFITS, groups=list(y.index), seed=derive_seed(data.study.seed, "refits")
    )
    gains = []
    for sample in counts:
        rows = np.repeat(np.arange(len(y)), sample.astype(int))
        again = model.fit(table.iloc[rows], y.iloc[rows]).predict_proba(table)[:, 1]
        gains.append(roc_auc_score(y.iloc[rows], again[rows]) - roc_auc_score(y, again))
    assert found.harrell.estimate == pytest.approx(found.apparent - np.mean(gains), abs=1e-12)


def test_the_curve_ends_in_the_results_table(refitted):
    """All training patients, all arms: the same models on the same patients as in the results table."""
    data, out, results = refitted
    predictions = predict_folds(data, out, "a" * 64, Workers(1)).predictions
    evaluated = resample_auroc(
        align_predictions(predictions, data.study.arms),
        n_resamples=data.study.validation.n_bootstrap,
        seed=derive_seed(data.study.seed, "bootstrap"),
    )
    for curve in results.learning_curves:
        last, expected = curve.points[-1], evaluated.interval(curve.arm)
        assert last.auroc.model_dump() == pytest.approx(expected.model_dump(), abs=1e-12)
        assert last.n_fits == len(data.folds)


def test_points_have_the_patients_that_were_asked_for(refitted):
    data, _, results = refitted
    n_train = np.mean([len(fold.train) for fold in data.folds])
    for curve in results.learning_curves:
        first, last = curve.points  # a tenth of the training patients would be too few
        assert last.n_patients == round(n_train)
        assert first.n_patients == pytest.approx(0.9 * n_train, abs=1)
        assert first.n_fits == 2 * len(data.folds)
    assert results.notes[1].startswith("The learning curve has no point at 10% of the training patients")


def test_refits_do_not_depend_on_the_number_of_processes(refitted):
    data, out, results = refitted
    with workers(2) as pool:
        assert refit_arms(data, out, pool) == results


def test_nothing_is_refitted_where_nothing_is_asked_for(tmp_path):
    make_ward(tmp_path, 12)
    options = {"validation": {"n_folds": 2, "n_repeats": 1, "n_optimism": 0}, "learning_curve": {"n_draws": 0}}
    results = refit_arms(study_of(tmp_path, **options), tmp_path / "out", Workers(1))
    assert results.optimism == results.stability == results.learning_curves == []
    assert results.notes == ()


def study(arms, **changes) -> Study:
    base = {
        "name": "study",
        "out": "out",
        "cohorts": [{"store": "a", "role": "labelled"}, {"store": "b", "role": "unlabelled"}],
        "inputs": {"channels": [{"name": "ppg", "any_of": ["ppg"]}], "fs_hz": 50, "segment_s": 4, "step_s": 2},
        "outcome": "died",
        "covariates": ["age"],
        "arms": list(arms),
    }
    return Study.model_validate(base | changes)


def test_arms_with_learned_features_have_no_optimism_unless_one_foreign_encoder_serves_all():
    names = [arm.name for arm in arms_of_optimism(study(DEFAULT_ARMS))]
    plain = ["vitals", "covariates", "untrained", "covariates+untrained", "pulse-wave", "covariates:gradient-boosting"]
    assert names == plain
    disjoint = study(DEFAULT_ARMS, pretraining={"exposure": "disjoint"})
    with_all = [name for name in DEFAULT_ARMS if name in plain or (name.endswith("ssl-all") and "network" not in name)]
    assert [arm.name for arm in arms_of_optimism(disjoint)] == with_all
    transductive = study(DEFAULT_ARMS, pretraining={"exposure": "transductive"})
    assert [arm.name for arm in arms_of_optimism(transductive)] == plain
    beside = ["untrained+pulse-wave", "covariates+ssl-all+pulse-wave"]
    assert [arm.name for arm in arms_of_optimism(study(beside))] == beside[:1]
    assert [arm.name for arm in arms_of_optimism(study(beside, pretraining={"exposure": "disjoint"}))] == beside
    assert arms_of_optimism(study(["covariates:horseshoe", "minirocket", "network-random"])) == []


@pytest.mark.parametrize(
    ("arms", "expected"),
    [
        (DEFAULT_ARMS, ["covariates", "ssl-all", "covariates+ssl-all"]),
        (["vitals", "ssl-labelled", "vitals+ssl-labelled"], ["vitals", "ssl-labelled", "vitals+ssl-labelled"]),
        (["heart-rate", "vitals"], ["vitals"]),
        (["covariates", "ssl-all", "ssl-all+pulse-wave", "covariates+ssl-all+pulse-wave"], ["covariates", "ssl-all"]),
        (["covariates:elastic-net", "covariates+ssl-all:late", "network-random"], []),
    ],
)
def test_curves_are_those_of_clinical_input_signals_and_both(arms, expected):
    assert [arm.name for arm in arms_of_curves(study(arms))] == expected
