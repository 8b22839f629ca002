"""A logistic model as draws from the posterior of its coefficients: all that a risk needs, and how sure it is."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from scipy.special import expit

from ppgssl.classifiers.preparation import Scaling
from ppgssl.core.records import FloatArray, IntArray


@dataclass(frozen=True)
class Design:
    """The columns of a model, made from standardised ones: clinical ones, products of pairs of them, features.

    Attributes
    ----------
    pairs : int array, shape (n_pairs, 2)
        Clinical columns that are multiplied with each other.
    scaling : Scaling
        Of the clinical columns and, after them, the products.
    axes : float array, shape (n_features, n_components)
        Along which the features are taken; where they are taken as they are, the identity.
    """

    pairs: IntArray = field(repr=False)
    scaling: Scaling = field(repr=False)
    axes: FloatArray = field(repr=False)

    @property
    def n_columns(self) -> int:
        return len(self.scaling.mean) + self.axes.shape[1]

    def __call__(self, X: FloatArray) -> FloatArray:
        """Columns of patients, shape (n_patients, n_columns), from standardised ones, the features last."""
        start = X.shape[1] - len(self.axes)
        clinical = self.scaling(with_products(X[:, :start], self.pairs))
        return np.concatenate([clinical, X[:, start:] @ self.axes], axis=1)


def with_products(clinical: FloatArray, pairs: IntArray) -> FloatArray:
    """Columns, then the products of pairs of them, shape (n_patients, n_clinical + n_pairs)."""
    return np.concatenate([clinical, clinical[:, pairs[:, 0]] * clinical[:, pairs[:, 1]]], axis=1)


@dataclass(frozen=True)
class Posterior:
    """Draws of the intercept and slopes of a logistic model.

    Attributes
    ----------
    design : Design
    draws : float array, shape (..., 1 + n_columns)
        The intercept first. As they are drawn, the first axes are chains and draws.
    """

    design: Design = field(repr=False)
    draws: FloatArray = field(repr=False)

    def risks(self, X: FloatArray) -> FloatArray:
        """A risk for each draw and patient, shape (..., n_patients); their mean over draws is the patient's risk.

        Parameters
        ----------
        X : float array, shape (n_patients, n_clinical + n_features)
            Standardised columns, as learners get them.
        """
        return np.asarray(expit(self.draws[..., :1] + self.draws[..., 1:] @ self.design(X).T))

    def thinned(self, n_draws: int) -> Posterior:
        """The last of every so many draws of each chain, ``n_draws`` in all at most; shape (n_kept, 1 + n_columns)."""
        n_chains, n, width = self.draws.shape
        step = -(-n // max(n_draws // n_chains, 1))
        return Posterior(self.design, self.draws[:, step - 1 :: step].reshape(-1, width))
