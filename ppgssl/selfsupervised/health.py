"""Does the representation use its dimensions, or has it collapsed?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ppgssl.records import FloatArray

# A representation that lives in fewer directions than this tells segments apart by hardly more than one number.
MIN_EFFECTIVE_RANK = 2.0
# Relative to the mean variance of all dimensions.
_DEAD_SHARE = 1e-4


@dataclass(frozen=True)
class Health:
    """State of a set of embeddings.

    Attributes
    ----------
    effective_rank : float
        See :func:`effective_rank`; 0 where all embeddings are equal.
    dead_fraction : float
        Share of dimensions whose variance is under a ten-thousandth of the mean variance.
    is_collapsed : bool
        True where the effective rank is under 2, or a value is not finite.
    """

    effective_rank: float
    dead_fraction: float
    is_collapsed: bool


def check_health(embeddings: FloatArray) -> Health:
    """Health of embeddings of shape (n_segments, n_dimensions)."""
    if not np.isfinite(embeddings).all():
        return Health(0.0, 1.0, True)
    variance = dimension_variance(embeddings)
    rank = effective_rank(embeddings)
    dead = float(np.mean(variance <= _DEAD_SHARE * variance.mean()))
    return Health(rank, dead, rank < MIN_EFFECTIVE_RANK)


def dimension_variance(embeddings: FloatArray) -> FloatArray:
    """Variance of each dimension over segments, shape (n_dimensions,)."""
    return np.asarray(embeddings, dtype=np.float64).var(axis=0)


def effective_rank(embeddings: FloatArray) -> float:
    """How many directions the embeddings spread over: exp of the entropy of the singular values [1]_.

    Embeddings are centred first. The value lies between 1 (one direction) and the smaller of n_segments - 1 and
    n_dimensions (all directions alike); it is 0 where all embeddings are equal.

    References
    ----------
    .. [1] Roy and Vetterli, The effective rank: a measure of effective dimensionality, EUSIPCO 2007.
    """
    centred = np.asarray(embeddings, dtype=np.float64)
    centred = centred - centred.mean(axis=0)
    singular = np.linalg.svd(centred, compute_uv=False)
    if not singular.size or singular[0] <= np.finfo(np.float32).eps * max(1.0, float(np.abs(embeddings).max())):
        return 0.0
    share = singular / singular.sum()
    share = share[share > 0]
    return float(np.exp(-(share * np.log(share)).sum()))
