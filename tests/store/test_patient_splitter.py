from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_predict

from ppgssl.core.config.study import Validation
from ppgssl.core.errors import EvaluationError
from ppgssl.store.patient_splitter import PatientKFold
from ppgssl.store.splits import make_folds


def rows(n_patients: int = 40, n_rows: int = 3) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(2)
    patients = np.repeat([f"p{i:02d}" for i in range(n_patients)], n_rows)
    y = np.repeat(np.arange(n_patients) % 4 == 0, n_rows).astype(int)
    return rng.normal(size=(len(y), 2)) + y[:, None], y, patients


def test_the_folds_are_those_of_a_study():
    X, y, patients = rows()
    of_patients = pd.Series(y, dtype=float).groupby(patients).first()
    linked = {"p01": "shared", "p07": "shared"}
    folds = make_folds(of_patients, Validation(n_folds=4, n_repeats=2), seed=9, linked=linked)
    splitter = PatientKFold(4, n_repeats=2, random_state=9, linked=linked)
    found = list(splitter.split(X, y, patients))
    assert len(found) == splitter.get_n_splits() == len(folds) == 8
    for (train, test), fold in zip(found, folds, strict=True):
        assert set(patients[test]) == set(fold.test)
        assert set(patients[train]) == set(fold.train)


def test_no_patient_is_on_both_sides_and_every_row_is_tested_once_a_repeat():
    X, y, patients = rows()
    counts = np.zeros(len(y))
    for train, test in PatientKFold(5).split(X, y, patients):
        assert not set(patients[train]) & set(patients[test])
        assert y[test].any()
        counts[test] += 1
    assert (counts == 1).all()


def test_scikit_learn_takes_it():
    X, y, patients = rows()
    risks = cross_val_predict(LogisticRegression(), X, y, groups=patients, cv=PatientKFold(4), method="predict_proba")
    assert risks.shape == (len(y), 2)
    search = GridSearchCV(LogisticRegression(), {"C": [0.1, 1.0]}, cv=PatientKFold(3, n_repeats=2))
    assert search.fit(X, y, groups=patients).n_splits_ == 6


def test_what_cannot_be_split_is_refused():
    X, y, patients = rows()
    with pytest.raises(EvaluationError, match="give `y`"):
        next(PatientKFold().split(X))
    with pytest.raises(EvaluationError, match="0 or 1"):
        next(PatientKFold().split(X, y + 1, patients))
    with pytest.raises(EvaluationError, match="as many outcomes and groups"):
        next(PatientKFold().split(X, y[:-1], patients))
    with pytest.raises(EvaluationError, match="cannot split 40 patients"):
        next(PatientKFold(20).split(X, y, patients))
