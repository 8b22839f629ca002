"""Logistic regression with a penalty of its own for each of two blocks of columns."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, TransformerMixin
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.pipeline import Pipeline
from threadpoolctl import threadpool_limits

from ppgssl.errors import EvaluationError
from ppgssl.records import FloatArray

# scikit-learn's C, strongest penalty first: at 0.0001 every slope is all but zero, at 10 all but free.
COSTS = (0.0001, 0.001, 0.01, 0.1, 1.0, 10.0)
# Factor on the columns of the second block: its penalty is that of the first over the square; at 0 it is left out.
SCALES = (0.0, 0.03, 0.1, 0.3, 1.0)
N_INNER_FOLDS = 5
MIN_CLASS_FOR_INNER_FOLDS = 3
FALLBACK_COST, FALLBACK_SCALE = 0.01, 0.1


class BlockScaler(TransformerMixin, BaseEstimator):
    """Multiplies the last ``n_last`` columns by ``scale``."""

    def __init__(self, n_last: int = 0, scale: float = 1.0) -> None:
        self.n_last = n_last
        self.scale = scale

    def fit(self, X: Any, y: Any = None) -> Self:  # noqa: ARG002 (scikit-learn passes y to every step)
        self.n_features_in_ = np.shape(X)[1]
        return self

    def transform(self, X: Any) -> FloatArray:
        factors = np.ones(self.n_features_in_)
        factors[self.n_features_in_ - self.n_last :] = self.scale
        return np.asarray(X, dtype=float) * factors


class BlockRidgeClassifier(ClassifierMixin, BaseEstimator):
    """Ridge-penalised logistic regression whose last columns may be shrunk more than the first.

    Beside ten covariates, a hundred learned features under one common penalty hold ten times the variance and drown
    them; so each block has its own penalty, as in IPF-LASSO [1]_ and multi-penalty ridge [2]_: ridge on columns of
    which the last are multiplied by ``scale`` penalises their slopes by ``1 / scale**2`` more. Both penalties are
    chosen together, by the log loss of stratified inner folds, and the choice includes ``scale = 0``: where the
    features add nothing, the model is that of the covariates.

    Parameters
    ----------
    n_last : int
        Columns of the second block, at the end; with none or all of them there is one block, and ``scale`` is 1.
    seed : int
        Of the inner folds.

    Attributes
    ----------
    model_ : Pipeline
        :class:`BlockScaler` and scikit-learn's ``LogisticRegression``, fitted to all rows.
    cost_, scale_ : float
        ``C`` and the factor, as chosen.
    fallback_ : str
        Why they were not chosen but fixed; empty where they were chosen.

    References
    ----------
    .. [1] Boulesteix et al., IPF-LASSO: integrative L1-penalized regression with penalty factors for prediction based
           on multi-omics data, Computational and Mathematical Methods in Medicine, 2017, 10.1155/2017/7691937.
    .. [2] van de Wiel, van Nee & Rauschenberger, Fast cross-validation for multi-penalty high-dimensional ridge
           regression, Journal of Computational and Graphical Statistics 30, 2021, 10.1080/10618600.2021.1904962.
    """

    def __init__(self, n_last: int = 0, seed: int = 0) -> None:
        self.n_last = n_last
        self.seed = seed

    def fit(self, X: Any, y: Any) -> Self:
        """Choose the penalties, then fit all rows.

        Parameters
        ----------
        X : float array, shape (n_patients, n_columns)
            Standardised, without missing values.
        y : array, shape (n_patients,)
            Two classes, the larger value is the event.

        Raises
        ------
        EvaluationError
            If ``y`` has a single class.
        """
        X, y = np.asarray(X, dtype=float), np.asarray(y)
        self.classes_, counts = np.unique(y, return_counts=True)
        if len(self.classes_) != 2:
            raise EvaluationError(
                f"a logistic regression needs two classes, and all {len(y)} training patients have the same outcome. "
                "Use fewer folds, so that every training set holds both."
            )
        self.n_features_in_ = X.shape[1]
        has_two_blocks = 0 < self.n_last < X.shape[1]
        with threadpool_limits(1):  # hundreds of small systems: threads would only wait for each other
            self.model_, self.fallback_ = self._fitted(X, y, int(counts.min()), has_two_blocks)
        self.cost_, self.scale_ = self.model_["logistic"].C, self.model_["scale"].scale
        return self

    def _fitted(self, X: FloatArray, y: np.ndarray, n_rarer: int, has_two_blocks: bool) -> tuple[Pipeline, str]:
        model = Pipeline(
            [
                ("scale", BlockScaler(self.n_last if has_two_blocks else 0)),
                ("logistic", LogisticRegression(solver="newton-cholesky")),
            ]
        )
        if n_rarer < MIN_CLASS_FOR_INNER_FOLDS:
            model.set_params(logistic__C=FALLBACK_COST, scale__scale=FALLBACK_SCALE if has_two_blocks else 1.0)
            reason = (
                f"only {n_rarer} training patient(s) of the rarer outcome: too few for inner folds, so the penalties "
                "are fixed in advance"
            )
            return model.fit(X, y), reason
        # Of equal losses the search takes the first, and so the strongest shrinkage.
        grid = {"logistic__C": COSTS, "scale__scale": SCALES if has_two_blocks else (1.0,)}
        folds = StratifiedKFold(min(N_INNER_FOLDS, n_rarer), shuffle=True, random_state=self.seed)
        return GridSearchCV(model, grid, scoring="neg_log_loss", cv=folds).fit(X, y).best_estimator_, ""

    def decision_function(self, X: Any) -> FloatArray:
        """Log odds of the event, shape (n_patients,)."""
        return np.asarray(self.model_.decision_function(X))

    def predict_proba(self, X: Any) -> FloatArray:
        """Probability of each class, shape (n_patients, 2), the event last."""
        return np.asarray(self.model_.predict_proba(X))

    def predict(self, X: Any) -> np.ndarray:
        """The likelier class, shape (n_patients,)."""
        return np.asarray(self.model_.predict(X))
