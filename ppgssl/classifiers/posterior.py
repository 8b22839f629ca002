"""A logistic model as draws from the posterior of its coefficients: risks, and how certain they are."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from scipy.special import expit

from ppgssl.classifiers.learner import Arrays, check_shapes
from ppgssl.classifiers.preparation import Scaling
from ppgssl.core.errors import StoreError
from ppgssl.core.records import FloatArray, IntArray


@dataclass(frozen=True)
class Design:
    """The columns of a model, made from standardised ones: clinical ones, products of pairs of them, features.

    Attributes
    ----------
    pairs : int array, shape (n_pairs, 2); clinical columns that are multiplied with each other
    scaling : of the clinical columns and, after them, the products
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
    draws : float array, shape (..., 1 + n_columns)
        The intercept first. As they are drawn, the first axes are chains and draws.
    """

    design: Design = field(repr=False)
    draws: FloatArray = field(repr=False)

    def risks(self, X: FloatArray) -> FloatArray:
        """Probability of the event, shape (n_patients,): the mean over all draws."""
        of_draws = self.drawn_risks(X)
        return np.asarray(of_draws.mean(axis=tuple(range(of_draws.ndim - 1))))

    def drawn_risks(self, X: FloatArray) -> FloatArray:
        """A risk for each draw and patient, shape (..., n_patients).

        ``X``: float array, shape (n_patients, n_clinical + n_features); standardised columns, as learners get them.
        """
        return np.asarray(expit(self.draws[..., :1] + self.draws[..., 1:] @ self.design(X).T))

    def thinned(self, n_draws: int) -> Posterior:
        """The last of every so many draws of each chain, ``n_draws`` in all at most; shape (n_kept, 1 + n_columns)."""
        n_chains, n, width = self.draws.shape
        step = -(-n // max(n_draws // n_chains, 1))
        return Posterior(self.design, self.draws[:, step - 1 :: step].reshape(-1, width))

    def to_arrays(self) -> Arrays:
        design = self.design
        return {
            "pairs": design.pairs,
            "design_mean": design.scaling.mean,
            "design_scale": design.scaling.scale,
            "axes": design.axes,
            "draws": self.draws,
        }

    @classmethod
    def from_arrays(cls, arrays: Arrays, n_columns: int) -> Posterior:
        axes = arrays.get("axes", np.zeros((0, 0)))
        n_features, n_components = axes.shape[0], axes.shape[-1]
        n_clinical, n_pairs = n_columns - n_features, len(arrays.get("pairs", ()))
        draws = arrays.get("draws", np.zeros((1, 0)))
        expected = {
            "pairs": (n_pairs, 2),
            "design_mean": (n_clinical + n_pairs,),
            "design_scale": (n_clinical + n_pairs,),
            "axes": (n_features, n_components),
            "draws": (*(max(n, 1) for n in draws.shape[:-1]), 1 + n_clinical + n_pairs + n_components),
        }
        check_shapes(arrays, expected)
        pairs = arrays["pairs"]
        if not np.isin(pairs, np.arange(n_clinical)).all():
            raise StoreError(
                "the numbers of the model do not fit its columns: 'pairs' must hold numbers of clinical columns, "
                f"0 to {n_clinical - 1}"
            )
        scaling = Scaling(arrays["design_mean"], arrays["design_scale"])
        return cls(Design(pairs.astype(np.int64), scaling, axes), draws)
