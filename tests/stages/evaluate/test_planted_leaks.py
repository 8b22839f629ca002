"""Leaks of each kind, planted in a study as they happen in practice, are caught; a pipeline without leaks passes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from sklearn.impute import SimpleImputer
from sklearn.preprocessing import StandardScaler

from ppgssl.classifiers.risk_model import RiskModel
from ppgssl.core.config.arms import parse_arm
from ppgssl.core.config.loading import load_study
from ppgssl.core.config.study import Missing
from ppgssl.core.errors import LeakageError
from ppgssl.features.columns import Columns
from ppgssl.selfsupervised.study_encoders import job_for, patients_seen
from ppgssl.stages.evaluate.folds import FoldFitter
from ppgssl.stages.ingest.ingest import ingest
from ppgssl.stages.pretrain import pretrain
from ppgssl.store.leakage import FittedParts, hashed_patient
from ppgssl.store.splits import make_folds
from ppgssl.store.study_data import StudyData, load_study_data
from tests.support.small_cohorts import describe_study, make_ward, signal, write_signal


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> StudyData:
    """Twelve patients with a recording each; p12 also holds that of p1, as one person under two ids would."""
    folder = tmp_path_factory.mktemp("leaks")
    make_ward(folder, 12)
    write_signal(folder, "p12_2", signal(1))
    write_signal(folder, "p1_2", signal(77))
    ingest(folder / "cohort.yaml", folder / "store", n_jobs=1)
    path = describe_study(folder, validation={"n_folds": 3, "n_repeats": 2})
    return load_study_data(load_study(path), path, folder / "out")


@pytest.fixture
def parts(data) -> FittedParts:
    return FittedParts(data.folds[0].name, data.shared_signals)


@pytest.mark.parametrize("estimator", [StandardScaler(), SimpleImputer(strategy="median")])
def test_a_scaler_or_imputer_fitted_to_everybody_is_caught(data, parts, estimator):
    fold, ages = data.folds[0], data.covariates[["age"]]
    parts.fit("leak-free one", estimator, ages.loc[list(fold.train)])
    parts.check(fold.test)
    parts.fit("scaler of everybody", estimator, ages)
    with pytest.raises(LeakageError, match=f"{fold.name}: scaler of everybody has seen {len(fold.test)} of the patie"):
        parts.check(fold.test)


def test_a_test_patient_among_those_trained_on_is_caught(data):
    """All that is fitted from the rows that a fold trains on: imputer, scaler, penalties, classifier."""
    fold = data.folds[0]
    leaky = replace(fold, train=(*fold.train, fold.test[0]))
    with pytest.raises(LeakageError, match=rf"Regression models has seen 1 .*\({fold.test[0]}\)"):
        FoldFitter(leaky, data, data.labelled.folder).fit(parse_arm("covariates"))


def test_constants_of_normalisation_that_saw_test_patients_are_caught(tiny_study):
    data = tiny_study.data(arms=["untrained"], inputs__normalisation="cohort")
    fold = data.folds[0]
    fitter = FoldFitter(fold, data, tiny_study.out)
    assert all(check.n_shared == 0 for check in fitter.fit(parse_arm("untrained")).leakage)
    # The fold's own parts, asked about the patients that it trains on.
    with pytest.raises(LeakageError, match="Normalisation of segments has seen"):
        fitter.parts.check(fold.train)


def test_an_encoder_of_another_fold_is_caught(tiny_study, tmp_path):
    data = tiny_study.data(arms=["ssl-labelled"])
    pretrain(data, tmp_path, n_jobs=1)
    first, second = data.folds
    jobs = [job_for("ssl-labelled", fold, data.study, tmp_path) for fold in data.folds]
    clean = FittedParts(first.name, data.shared_signals)
    clean.record_hashed(jobs[0].name, patients_seen(jobs[0]))
    assert all(check.n_shared == 0 for check in clean.check(first.test))
    leaky = FittedParts(first.name, data.shared_signals)
    leaky.record_hashed(jobs[1].name, patients_seen(jobs[1]))
    with pytest.raises(LeakageError, match=f"ssl-labelled, {second.name} has seen {len(first.test)} of the patients"):
        leaky.check(first.test)


def test_a_split_of_segments_instead_of_patients_is_caught(data, parts):
    patients = data.segments.table["patient"].to_numpy()
    order = np.random.default_rng(0).permutation(len(patients))
    train, test = order[: len(order) * 2 // 3], order[len(order) * 2 // 3 :]
    parts.record("network", patients[train])
    with pytest.raises(LeakageError, match="network has seen"):
        parts.check(set(patients[test]))


def test_a_split_between_two_ids_of_one_person_is_caught(data):
    """Folds made without regard to shared recordings part p1 from p12 sooner or later."""
    careless = make_folds(data.y, data.study.validation, seed=data.study.seed)
    parted = [fold for fold in careless if ("ward/p1" in fold.test) != ("ward/p12" in fold.test)]
    assert parted
    parts = FittedParts(parted[0].name, data.shared_signals)
    parts.record("classifier", parted[0].train)
    refused = pytest.raises(
        LeakageError, match=r"has seen recordings of 1 of the patients .* under another patient's id"
    )
    with refused:
        parts.check(parted[0].test)
    with refused:
        FoldFitter(parted[0], data, data.labelled.folder).fit(parse_arm("covariates"))


def test_an_encoder_that_saw_a_test_patient_under_another_id_is_caught(data, parts):
    """The other id need not be analysed itself: an encoder sees patients without outcomes, too."""
    fold = replace(data.folds[0], test=("ward/p1",), linked=("ward/p12",))
    seen = data.segments.table.loc[~data.of_patients(fold.test), "patient"]  # instead of `fold.unseen`
    parts.record_hashed("encoder", map(hashed_patient, seen.unique()))
    with pytest.raises(LeakageError, match="encoder has seen recordings of 1"):
        parts.check(fold.test)


@pytest.mark.parametrize("method", ["median", "mice"])
def test_a_prediction_does_not_depend_on_who_else_is_tested(method):
    """Imputation or scaling that looks at test patients would show here, whatever it says of itself."""
    rng = np.random.default_rng(3)
    names = [f"p{number:02d}" for number in range(40)]
    table = pd.DataFrame(rng.standard_normal((40, 3)), index=names, columns=list("abc"))
    y = pd.Series((table["a"] + rng.standard_normal(40) > 0.5).astype(int), index=names)
    table = table.mask(rng.random(table.shape) < 0.2)
    train, test = names[:28], names[28:]
    settings = {
        "columns": Columns(numeric=("a", "b", "c")),
        "missing": Missing(method=method, n_imputations=2),
        "seed": 1,
    }
    model = RiskModel(**settings).fit(table.loc[train], y[train])
    together = model.predict_proba(table.loc[test])[:, 1]
    others_changed = table.copy()
    others_changed.loc[test[1:]] = 50.0
    alone = model.predict_proba(others_changed.loc[test])[:, 1]
    assert alone[0] == pytest.approx(together[0], abs=1e-9)


def test_leak_free_folds_pass(data):
    for fold in data.folds:
        fitted = FoldFitter(fold, data, data.labelled.folder).fit(parse_arm("covariates"))
        assert [check.n_shared for check in fitted.leakage] == [0, 0]
        parts = FittedParts(fold.name, data.shared_signals)
        parts.record("classifier", fold.train)
        parts.record("encoder", data.segments.table.loc[~data.of_patients(fold.unseen), "patient"])
        assert [check.n_shared for check in parts.check(fold.test)] == [0, 0, 0]
