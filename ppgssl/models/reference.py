"""What training patients were like, in few numbers: to tell later whether others are like them."""

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
# Of training patients, as a share: a number outside their middle, a distance beyond it, is out of the ordinary.
_LOW, _HIGH = 0.01, 0.99
DISTANCE_QUANTILE = 0.99
_N_PARTS = 5


class Reference(Schema):
    """One quantity over training patients. No value of a single patient is in it but, for few patients, nearly so."""

    name: str
    label: str
    kind: Literal["numeric", "categorical"]
    group: Literal["covariate", "signal", "feature", "risk"]
    unit: str = ""
    n: int = Field(description="Patients with a value.")
    n_missing: int
    mean: float | None = None
    sd: float | None = None
    low: float | None = Field(None, description="1st percentile.")
    high: float | None = Field(None, description="99th percentile.")
    edges: list[float] = Field(default_factory=list, description="Inner limits of about equally full bins.")
    levels: list[str] = Field(default_factory=list)
    shares: list[float] = Field(default_factory=list, description="Of the bins, or of the levels.")


Group = Literal["covariate", "signal", "feature", "risk"]


def numeric_reference(name: str, label: str, group: Group, values: FloatArray, *, unit: str = "") -> Reference:
    """Of numbers, NaN where missing."""
    known = values[np.isfinite(values)]
    counts = {"n": len(known), "n_missing": len(values) - len(known)}
    if not len(known):
        return Reference(name=name, label=label, kind="numeric", group=group, unit=unit, **counts)
    edges = np.unique(np.quantile(known, np.arange(1, N_BINS) / N_BINS))
    low, high = np.quantile(known, [_LOW, _HIGH])
    return Reference(
        name=name,
        label=label,
        kind="numeric",
        group=group,
        unit=unit,
        **counts,
        mean=float(known.mean()),
        sd=float(known.std(ddof=1)) if len(known) > 1 else None,
        low=float(low),
        high=float(high),
        edges=edges.tolist(),
        shares=bin_shares(known, edges).tolist(),
    )


def level_reference(name: str, label: str, levels: Mapping[object, str], values: pd.Series) -> Reference:
    """Of levels, None or NaN where missing; ``levels`` maps values to the names of levels."""
    known = values.dropna()
    shares = [float((known == value).mean()) if len(known) else 0.0 for value in levels]
    return Reference(
        name=name,
        label=label,
        kind="categorical",
        group="covariate",
        n=len(known),
        n_missing=len(values) - len(known),
        levels=list(levels.values()),
        shares=shares,
    )


def bin_shares(values: FloatArray, edges: FloatArray) -> FloatArray:
    """Shares of values in the bins between inner edges, shape (n_edges + 1,); an edge belongs to the bin above."""
    counts = np.bincount(np.searchsorted(edges, values, side="right"), minlength=len(edges) + 1)
    return np.asarray(counts / max(len(values), 1))


class Neighbourhood(Schema):
    """How far features are from those of training patients."""

    centre: list[float]
    scale: list[float]
    threshold: float = Field(description="99th percentile of the distances of training patients.")


def learn_distance(X: FloatArray) -> tuple[Neighbourhood, FloatArray, FloatArray]:
    """Mahalanobis distance from training patients, with a shrunk covariance [1]_.

    Parameters
    ----------
    X : float array, shape (n_patients, n_features)
        NaN where missing; taken as the mean.

    Returns
    -------
    Neighbourhood
    precision : float array, shape (n_features, n_features)
        Of the standardised features.
    distances : float array, shape (n_patients,)
        Of each training patient from the others, by a covariance of patients of which it is none: near its own
        patients a covariance of many features always seems close.

    Raises
    ------
    EvaluationError
        If there are fewer patients than ten.

    References
    ----------
    .. [1] Ledoit and Wolf, A well-conditioned estimator for large-dimensional covariance matrices, Journal of
           Multivariate Analysis 88:365-411, 2004, doi 10.1016/S0047-259X(03)00096-4.
    """
    if len(X) < 2 * _N_PARTS:
        raise EvaluationError(f"{len(X)} patients are too few to tell who is unlike them: at least {2 * _N_PARTS}")
    centre, scale, precision = _shape(X)
    distances = np.empty(len(X))
    part = np.arange(len(X)) % _N_PARTS
    for number in range(_N_PARTS):
        distances[part == number] = distance(X[part == number], *_shape(X[part != number]))
    threshold = float(np.quantile(distances, DISTANCE_QUANTILE))
    return Neighbourhood(centre=centre.tolist(), scale=scale.tolist(), threshold=threshold), precision, distances


def distance(X: FloatArray, centre: FloatArray, scale: FloatArray, precision: FloatArray) -> FloatArray:
    """Mahalanobis distances over the root of the number of features, shape (n_patients,): about 1 if usual."""
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
