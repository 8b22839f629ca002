"""Summary of the training patients in few numbers, with which other patients are compared later."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import numpy as np
import pandas as pd
from pydantic import Field
from sklearn.covariance import LedoitWolf

from ppgssl.core.errors import EvaluationError
from ppgssl.core.records import FloatArray
from ppgssl.core.schema import Schema

N_BINS = 10
# Quantiles of training patients: numbers outside the first two, and distances beyond the last, are atypical.
_LOW, _HIGH = 0.01, 0.99
DISTANCE_QUANTILE = 0.99
_N_PARTS = 5

Group = Literal["covariate", "signal", "feature", "risk"]


class Reference(Schema):
    """One quantity over training patients. No value of a single patient is in it but, for few patients, nearly so."""

    name: str
    label: str
    kind: Literal["numeric", "categorical"]
    group: Group
    unit: str = ""
    n: int = Field(description="Patients with a value.")
    n_missing: int
    mean: float | None = None
    sd: float | None = None
    low: float | None = Field(None, description="1st percentile.")
    high: float | None = Field(None, description="99th percentile.")
    edges: list[float] = Field(default_factory=list, description="Inner limits of about equally full bins.")
    levels: list[str] = Field(default_factory=list)
    proportions: list[float] = Field(default_factory=list, description="Of the bins, or of the levels.")


def numeric_reference(name: str, label: str, group: Group, values: FloatArray, *, unit: str = "") -> Reference:
    """Of numbers, NaN where missing."""
    known = values[np.isfinite(values)]
    counts = {"n": len(known), "n_missing": len(values) - len(known)}
    reference = Reference(name=name, label=label, kind="numeric", group=group, unit=unit, **counts)
    if not len(known):
        return reference
    edges = np.unique(np.quantile(known, np.arange(1, N_BINS) / N_BINS))
    low, high = np.quantile(known, [_LOW, _HIGH])
    return reference.model_copy(
        update={
            "mean": float(known.mean()),
            "sd": float(known.std(ddof=1)) if len(known) > 1 else None,
            "low": float(low),
            "high": float(high),
            "edges": edges.tolist(),
            "proportions": bin_proportions(known, edges).tolist(),
        }
    )


def level_reference(name: str, label: str, levels: Mapping[object, str], values: pd.Series) -> Reference:
    """Of levels, None or NaN where missing; ``levels`` maps values to the names of levels."""
    known = values.dropna()
    proportions = [float((known == value).mean()) if len(known) else 0.0 for value in levels]
    return Reference(
        name=name,
        label=label,
        kind="categorical",
        group="covariate",
        n=len(known),
        n_missing=len(values) - len(known),
        levels=list(levels.values()),
        proportions=proportions,
    )


def bin_proportions(values: FloatArray, edges: FloatArray) -> FloatArray:
    """Proportions of values in the bins between inner edges, shape (n_edges + 1,); an edge belongs to the bin above."""
    counts = np.bincount(np.searchsorted(edges, values, side="right"), minlength=len(edges) + 1)
    return np.asarray(counts / max(len(values), 1))


class ApplicabilityDomain(Schema):
    """Where the features of the training patients lie, and how far from them is far."""

    centre: list[float]
    scale: list[float]
    threshold: float = Field(description="99th percentile of the distances of training patients.")

    def distances(self, X: FloatArray, precision: FloatArray) -> FloatArray:
        """Mahalanobis distances from the training patients over the root of the number of features, about 1 if typical.

        Returns a float array, shape (n_patients,): NaN for patients without any feature.

        ``X``: float array, shape (n_patients, n_features). ``precision``: float array, shape (n_features, n_features);
        of :func:`fit_domain`.
        """
        found = _distances(X, np.array(self.centre), np.array(self.scale), precision)
        return np.where(np.isnan(X).all(axis=1), np.nan, found)


def fit_domain(X: FloatArray) -> tuple[ApplicabilityDomain, FloatArray]:
    """The applicability domain of features, by Mahalanobis distance with a shrunk covariance [1]_.

    The threshold is made of the distance of each training patient from the others, by a covariance of these alone: a
    covariance of many features always seems close to its own patients. Raises EvaluationError if there are fewer
    patients than ten.

    ``X``: float array, shape (n_patients, n_features); NaN where missing; taken as the mean.

    Returns
    -------
    ApplicabilityDomain
    precision : float array, shape (n_features, n_features); of the standardised features

    .. [1] Ledoit and Wolf, A well-conditioned estimator for large-dimensional covariance matrices, Journal of
           Multivariate Analysis 88:365-411, 2004, doi 10.1016/S0047-259X(03)00096-4.
    """
    if len(X) < 2 * _N_PARTS:
        raise EvaluationError(f"{len(X)} patients are too few for an applicability domain: at least {2 * _N_PARTS}")
    centre, scale, precision = _shape(X)
    held_out = np.empty(len(X))
    part = np.arange(len(X)) % _N_PARTS
    for number in range(_N_PARTS):
        held_out[part == number] = _distances(X[part == number], *_shape(X[part != number]))
    threshold = float(np.quantile(held_out, DISTANCE_QUANTILE))
    return ApplicabilityDomain(centre=centre.tolist(), scale=scale.tolist(), threshold=threshold), precision


def _distances(X: FloatArray, centre: FloatArray, scale: FloatArray, precision: FloatArray) -> FloatArray:
    z = np.nan_to_num((X - centre) / scale)
    squares = np.einsum("ij,jk,ik->i", z, precision, z)
    return np.asarray(np.sqrt(np.maximum(squares, 0) / X.shape[1]))


def _shape(X: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    is_known = np.isfinite(X)
    n = np.maximum(is_known.sum(axis=0), 1)
    filled = np.where(is_known, X, 0.0)
    centre = filled.sum(axis=0) / n
    sd = np.sqrt(np.where(is_known, (X - centre) ** 2, 0.0).sum(axis=0) / n)
    scale = np.where(sd > 1e-9 * np.maximum(np.abs(centre), 1e-30), sd, 1.0)
    z = np.nan_to_num((X - centre) / scale)
    return centre, scale, np.asarray(LedoitWolf().fit(z).precision_)
