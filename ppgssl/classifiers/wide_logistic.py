"""The logistic arm for features by the thousand: the same probabilities, from as many columns as patients."""

from __future__ import annotations

import numpy as np
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from ppgssl.classifiers.block_ridge import BlockRidgeClassifier
from ppgssl.records import FloatArray, IntArray


def fit_predict_wide(X_train: FloatArray, y_train: IntArray, X_test: FloatArray, *, seed: int) -> FloatArray:
    """Fit features of training patients, predict test patients.

    What :func:`ppgssl.classifiers.logistic.fit_predict` gives for embeddings without covariates: missing values become
    the median, columns are standardised, the ridge penalty is chosen by inner folds. A ridge penalty does not see
    rotations, and the slopes that it leaves lie in the space that the training patients span; so the fit is made in an
    orthonormal basis of that space [1]_, exactly the same and, with 2,000 columns and 100 patients, some hundred times
    as fast.

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
        If all training patients have the same outcome.

    References
    ----------
    .. [1] Hastie and Tibshirani, Efficient quadratic regularization for expression arrays, Biostatistics 5:329-340,
       2004, doi 10.1093/biostatistics/5.3.329.
    """
    prepare = make_pipeline(SimpleImputer(strategy="median", keep_empty_features=True), StandardScaler())
    with threadpool_limits(1):  # small systems
        scaled = prepare.fit_transform(np.asarray(X_train, dtype=np.float64))
        basis = np.linalg.svd(scaled, full_matrices=False)[2].T
        classifier = BlockRidgeClassifier(seed=seed).fit(scaled @ basis, np.asarray(y_train, dtype=int))
        return classifier.predict_proba(prepare.transform(np.asarray(X_test, dtype=np.float64)) @ basis)[:, 1]
