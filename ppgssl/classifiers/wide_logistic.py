"""The ridge arm for features by the thousand, as plain arrays."""

from __future__ import annotations

import numpy as np
import pandas as pd

from ppgssl.classifiers.regression import fit_regression
from ppgssl.core.records import FloatArray, IntArray
from ppgssl.features.columns import Columns


def fit_predict_wide(X_train: FloatArray, y_train: IntArray, X_test: FloatArray, *, seed: int) -> FloatArray:
    """Fit features of training patients, predict test patients.

    What :func:`ppgssl.classifiers.regression.fit_regression` gives for features without a clinical input: missing
    values become the median, columns are standardised, the ridge penalty is chosen by inner folds.

    Parameters
    ----------
    X_train, X_test : float arrays, shape (n_patients, n_features)
        Missing features are NaN.
    y_train : array of 0/1, shape (n_train_patients,)
    seed : int
        Of the inner folds.

    Returns
    -------
    float array, shape (n_test_patients,)
        Probability of the event.

    Raises
    ------
    EvaluationError
        If fewer than two training patients have, or have not, the event.
    """
    names = tuple(f"feature_{number}" for number in range(np.shape(X_train)[1]))
    train, test = (pd.DataFrame(np.asarray(X, dtype=float), columns=list(names)) for X in (X_train, X_test))
    y = pd.Series(np.asarray(y_train, dtype=int))
    return fit_regression(train, y, test, Columns(features=names), seed=seed).y_score
