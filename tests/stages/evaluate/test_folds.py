"""Arms of one fold: what they see, who may be seen, and that predictions are kept and repeat themselves."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from ppgssl.core.config.arms import parse_arm
from ppgssl.core.config.study import Missing
from ppgssl.core.errors import ConfigError, EvaluationError
from ppgssl.core.parallel import Workers
from ppgssl.features import fold_features
from ppgssl.stages.evaluate.folds import FoldFitter, check_arms, predict_folds
from tests.support.small_cohorts import make_ward, study_of

ARMS = [
    "heart-rate",
    "covariates",
    "untrained",
    "pulse-wave",
    "untrained+pulse-wave",
    "covariates+untrained:late",
    "covariates+untrained+pulse-wave:late",
    "covariates:elastic-net",
]


@pytest.fixture(scope="module")
def predicted(tiny_study, tmp_path_factory):
    """A study of regression arms: its data, folder and predictions."""
    out = tmp_path_factory.mktemp("predicted")
    data = tiny_study.data(arms=[*ARMS, "vitals"])
    return data, out, predict_folds(data, out, "a" * 64, Workers(1))


def scores(frame):
    return frame.drop(columns="seconds")


def test_every_arm_predicts_each_test_patient_and_each_training_patient_of_a_fold(predicted):
    data, _, found = predicted
    for fold in data.folds:
        for name in data.study.arms:
            for frame, patients in ((found.predictions, fold.test), (found.training, fold.train)):
                rows = frame[(frame["arm"] == name) & (frame["repeat"] == fold.repeat) & (frame["fold"] == fold.fold)]
                assert sorted(rows["patient_id"]) == sorted(patients)
                assert rows["y_score"].between(0, 1).all()
                assert (rows["y_true"].to_numpy() == data.y.loc[rows["patient_id"]].to_numpy()).all()


def test_nobody_is_tested_who_was_seen(predicted):
    _, _, found = predicted
    assert {check.what for check in found.leakage} >= {"Regression models"}
    assert all(check.n_shared == 0 for check in found.leakage)


def test_kept_folds_are_read_and_a_lost_one_is_made_again(predicted):
    data, out, found = predicted
    folder = out / "predictions" / ("a" * 16)
    before = {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}
    again = predict_folds(data, out, "a" * 64, Workers(1))
    assert {path.name: path.stat().st_mtime_ns for path in folder.iterdir()} == before
    pd.testing.assert_frame_equal(again.predictions, found.predictions)
    pd.testing.assert_frame_equal(again.training, found.training)
    assert again.leakage == found.leakage
    (folder / f"{data.folds[0].name}.parquet").unlink()  # as if stopped before the fold was done
    again = predict_folds(data, out, "a" * 64, Workers(1))
    pd.testing.assert_frame_equal(scores(again.predictions), scores(found.predictions))
    pd.testing.assert_frame_equal(scores(again.training), scores(found.training))


def test_outcomes_and_values_of_test_patients_do_not_reach_a_fit(tiny_study, tmp_path):
    data = tiny_study.data(arms=[*ARMS, "network-random"])
    fold = data.folds[0]
    test = list(fold.test)
    before = [FoldFitter(fold, data, tmp_path).fit(arm) for arm in data.study.arm_list]
    data.y.loc[test] = 1 - data.y.loc[test]
    after = [FoldFitter(fold, data, tmp_path).fit(arm) for arm in data.study.arm_list]
    for one, other in zip(before, after, strict=True):
        np.testing.assert_array_equal(one.predictions["y_score"], other.predictions["y_score"])
    numeric = [name for name in data.study.covariates if pd.api.types.is_numeric_dtype(data.covariates[name])]
    data.covariates[numeric] = data.covariates[numeric].astype(float)
    data.covariates.loc[test, numeric] = 1e6
    strange = [FoldFitter(fold, data, tmp_path).fit(arm) for arm in data.study.arm_list]
    for one, other in zip(before, strange, strict=True):
        np.testing.assert_array_equal(one.training["y_score"], other.training["y_score"])


def test_vitals_are_saturation_and_heart_rate_of_the_clinical_table_where_the_study_names_them(tiny_study, tmp_path):
    data = tiny_study.data(arms=["vitals"])
    name = next(name for name, variable in data.clinical.variables.items() if variable.kind == "numeric")
    named = replace(data, study=data.study.model_copy(update={"heart_rate": name, "spo2": None}))
    table, columns = FoldFitter(data.folds[0], named, tmp_path).inputs(parse_arm("vitals"))
    assert columns.numeric == ("spo2_percent", name)
    assert columns.features == ()
    np.testing.assert_array_equal(table[name], data.covariates[name].astype(float))


def test_vitals_of_the_signals_are_medians_over_the_accepted_segments(tiny_study, tmp_path):
    data = tiny_study.data(arms=["vitals"])
    plain = replace(data, study=data.study.model_copy(update={"heart_rate": None, "spo2": None}))
    table, columns = FoldFitter(data.folds[0], plain, tmp_path).inputs(parse_arm("vitals"))
    assert columns.numeric == ("spo2_percent", "heart_rate_bpm")
    segments = data.segments.table
    expected = segments.groupby("patient")["heart_rate_bpm"].median().reindex(data.y.index)
    np.testing.assert_allclose(table["heart_rate_bpm"], expected)
    alone, _ = FoldFitter(data.folds[0], plain, tmp_path).inputs(parse_arm("heart-rate"))
    pd.testing.assert_frame_equal(alone, table[["heart_rate_bpm"]])


def test_minirocket_is_fitted_to_training_patients_alone(tiny_study, tmp_path):
    data = tiny_study.data(arms=["minirocket"])
    fold = data.folds[0]
    fitter = FoldFitter(fold, data, tmp_path)
    found = fitter.fit(parse_arm("minirocket"))
    assert found.predictions["n_features"].unique() > 500
    assert "MiniRocket" in {check.what for check in found.leakage}
    is_test = data.of_patients(list(fold.test))
    again = FoldFitter(fold, data, tmp_path).inputs(parse_arm("minirocket"))[0]
    pd.testing.assert_frame_equal(again, fitter.inputs(parse_arm("minirocket"))[0])
    assert is_test.any()


def test_hand_crafted_features_are_the_same_in_all_folds_and_have_names(predicted):
    data, out, _ = predicted
    common = fold_features.common_features(data, out)["pulse-wave"]
    for fold in data.folds:
        table, columns = FoldFitter(fold, data, out).inputs(parse_arm("pulse-wave"))
        pd.testing.assert_frame_equal(table, common)
        assert any(name.endswith("rise_s") for name in columns.features)


def test_features_of_an_encoder_with_hand_crafted_ones_are_one_set_of_columns(predicted):
    data, out, _ = predicted
    fitter = FoldFitter(data.folds[0], data, out)
    table, columns = fitter.inputs(parse_arm("covariates+untrained+pulse-wave"))
    parts = [fitter.inputs(parse_arm(name))[0] for name in ("covariates", "untrained", "pulse-wave")]
    pd.testing.assert_frame_equal(table, pd.concat(parts, axis=1))
    assert table.columns.is_unique
    assert columns.features == (*parts[1].columns, *parts[2].columns)
    assert set(columns.clinical) == set(parts[0].columns)


def test_hand_crafted_features_with_an_encoders_are_computed_once_for_all_folds(tiny_study, tmp_path):
    data = tiny_study.data(arms=["untrained+pulse-wave"])
    known = fold_features.common_features(data, tmp_path)
    alone = FoldFitter(data.folds[0], data, tmp_path).inputs(parse_arm("pulse-wave"))[0]
    pd.testing.assert_frame_equal(known["pulse-wave"], alone)
    fitter = FoldFitter(data.folds[0], data, tmp_path, known={"pulse-wave": 2 * alone})
    table, _ = fitter.inputs(parse_arm("untrained+pulse-wave"))
    pd.testing.assert_frame_equal(table[alone.columns], 2 * alone)


def test_multiple_imputation_is_used_where_the_study_asks_for_it(tiny_study, tmp_path):
    data = tiny_study.data(arms=["covariates"])
    name = next(name for name in data.study.covariates if data.clinical.variables[name].kind == "numeric")
    data.covariates[name] = data.covariates[name].astype(float)
    data.covariates.iloc[::3, data.covariates.columns.get_loc(name)] = np.nan
    arm = parse_arm("covariates")
    mice = replace(data, study=data.study.model_copy(update={"missing": Missing(method="mice", n_imputations=2)}))
    first, again, median = (FoldFitter(one.folds[0], one, tmp_path).fit(arm) for one in (mice, mice, data))
    pd.testing.assert_frame_equal(scores(first.predictions), scores(again.predictions))
    assert not np.allclose(first.predictions["y_score"], median.predictions["y_score"])


def test_a_test_part_with_one_outcome_is_predicted(tiny_study, tmp_path):
    data = tiny_study.data(arms=["covariates", "covariates+untrained:late"])
    test = tuple(sorted(data.y.index[data.y == 0])[:4])
    fold = replace(data.folds[0], test=test, train=tuple(name for name in data.y.index if name not in test))
    for arm in data.study.arm_list:
        assert len(FoldFitter(fold, data, tmp_path).fit(arm).predictions) == 4


def test_too_few_of_one_outcome_to_train_on_are_reported_with_the_arm_and_the_way_out(tiny_study, tmp_path):
    data = tiny_study.data(arms=["covariates"])
    events = list(data.y.index[data.y == 1])
    train = tuple(sorted([events[0], *data.y.index[data.y == 0][:6]]))
    fold = replace(data.folds[0], train=train, test=tuple(events[1:3]))
    with pytest.raises(EvaluationError, match=r"arm 'covariates', .*1 is with the event.*n_folds"):
        FoldFitter(fold, data, tmp_path).fit(parse_arm("covariates"))


def test_a_covariate_nobody_has_is_left_out_and_noted(tmp_path):
    make_ward(tmp_path, 12)
    data = study_of(tmp_path, covariates=["age"], arms=["covariates"])
    data.covariates["age"] = np.nan
    with pytest.raises(EvaluationError, match=r"arm 'covariates', .*no training patient has a value of age"):
        FoldFitter(data.folds[0], data, tmp_path).fit(parse_arm("covariates"))


@pytest.mark.parametrize(("arm", "module", "extra"), [("minirocket", "aeon", "baselines")])
def test_a_missing_package_is_named_before_anything_is_fitted(tiny_study, tmp_path, monkeypatch, arm, module, extra):
    monkeypatch.setitem(__import__("sys").modules, module, None)  # as if it were not installed
    data = tiny_study.data(arms=["covariates", arm])
    with pytest.raises(ConfigError, match=rf"ppgssl\[{extra}\]"):
        check_arms(data.study)
    with pytest.raises(ConfigError, match=rf"ppgssl\[{extra}\]"):
        predict_folds(data, tmp_path, "b" * 64, Workers(1))
    assert not (tmp_path / "predictions").exists()
