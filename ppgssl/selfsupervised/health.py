"""Does the representation use its dimensions, or has it collapsed?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ppgssl.core.records import FloatArray

# A representation that lives in fewer directions than this describes segments by hardly more than one number.
MIN_EFFECTIVE_RANK = 2.0
# Fewer segments span few directions whatever the network does.
MIN_SEGMENTS = 10
# Relative to the root mean square of the dimension: below, it is a constant with a trace of noise.
_DEAD_SD = 1e-3
# Relative to the root mean square of all dimensions: below, it is 0 with a trace of noise.
_TRACE = 1e-5
_MANY_DEAD = 0.5


@dataclass(frozen=True)
class Health:
    """State of a set of embeddings.

    ``effective_rank`` is that of the dimensions that are not dead, each divided by its SD; 0 where all are dead. A
    dimension is dead if its SD is under a thousandth of its root mean square, or of next to nothing in the size of the
    others. ``is_collapsed``: all dimensions are dead, the effective rank is under 2, or a value is not finite.
    ``warning`` is a sentence, empty where nothing is wrong.
    """

    effective_rank: float
    dead_fraction: float
    is_collapsed: bool
    warning: str = ""


def check_health(embeddings: FloatArray, depth_dims: Sequence[int] = ()) -> Health:
    """Health of embeddings of shape (n_segments, n_dimensions); of fewer than ten, only whether they are all equal is
    checked.

    Dimensions are brought to one variance before the effective rank is taken. A representation pooled over depths mixes
    means and SDs of feature maps of different sizes, and those of the largest would decide the rank alone; the
    classifiers that follow standardise, too. Dead dimensions are left out: divided by its SD, noise of rounding would
    look like full rank.

    ``depth_dims`` gives how many of the dimensions, in order, belong to each depth. First layers separate segments even
    untrained, so a collapse of later ones does not show in the whole; the warning names a depth that has collapsed.

    References
    ----------
    .. [1] Garrido et al., RankMe: assessing the downstream performance of pretrained self-supervised representations
       by their rank, ICML 2023, arXiv:2210.02885.
    """
    if not np.isfinite(embeddings).all():
        return Health(0.0, 1.0, True, "the representation has values that are not finite")
    alive = _standardised(np.asarray(embeddings, dtype=np.float64))
    rank = effective_rank(alive)
    dead = 1 - alive.shape[1] / embeddings.shape[1]
    is_collapsed = rank == 0 or (rank < MIN_EFFECTIVE_RANK and len(embeddings) >= MIN_SEGMENTS)
    warning = _warning(rank, dead, is_collapsed=is_collapsed) or _depth_warning(embeddings, depth_dims)
    return Health(rank, dead, is_collapsed, warning)


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
    part = singular / singular.sum()
    part = part[part > 0]
    return float(np.exp(-(part * np.log(part)).sum()))


def _standardised(embeddings: FloatArray) -> FloatArray:
    """Dimensions that are not dead, with mean 0 and SD 1."""
    sd = np.sqrt(dimension_variance(embeddings))
    mean_square = np.square(embeddings).mean(axis=0)
    is_alive = (sd > _DEAD_SD * np.sqrt(mean_square)) & (sd > _TRACE * np.sqrt(mean_square.mean()))
    return (embeddings - embeddings.mean(axis=0))[:, is_alive] / sd[is_alive]


def _warning(rank: float, dead: float, *, is_collapsed: bool) -> str:
    if rank == 0:
        return "the representation has collapsed: it is the same for all segments"
    if is_collapsed:
        return (
            f"the representation has collapsed: its effective rank is {rank:.2g}, so it is hardly more than one number"
        )
    if dead > _MANY_DEAD:
        return f"{dead:.0%} of the representation's dimensions are the same for all segments"
    return ""


def _depth_warning(embeddings: FloatArray, depth_dims: Sequence[int]) -> str:
    """Names the depths that have collapsed, where the representation as a whole has not."""
    parts = np.split(np.asarray(embeddings), np.cumsum(depth_dims)[:-1], axis=1) if depth_dims else []
    collapsed = [str(depth) for depth, part in enumerate(parts, start=1) if check_health(part).is_collapsed]
    if not collapsed:
        return ""
    return f"of the representation's {len(parts)} depths, collapsed: {', '.join(collapsed)} (counted from the input)"
