"""Several comparisons at once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """P-values adjusted so that the chance of any false finding among all comparisons stays at the level [1]_.

    The smallest of ``m`` is multiplied by ``m``, the next by ``m - 1`` and so on; none may become smaller than one
    before it, nor exceed 1. This needs no assumption about how the comparisons depend on each other.

    Parameters
    ----------
    p_values : sequence of float in 0..1, or None
        None where a comparison was not possible; it does not count among the ``m``.

    Returns
    -------
    list
        In the order given.

    References
    ----------
    .. [1] Holm, A simple sequentially rejective multiple test procedure, Scandinavian Journal of Statistics 6, 1979,
           https://www.jstor.org/stable/4615733.
    """
    known = [position for position, p in enumerate(p_values) if p is not None]
    values = np.array([p_values[position] for position in known], dtype=np.float64)
    order = np.argsort(values, kind="stable")
    adjusted = np.empty(len(known))
    adjusted[order] = np.minimum(np.maximum.accumulate(values[order] * np.arange(len(known), 0, -1)), 1.0)
    result: list[float | None] = [None] * len(p_values)
    for position, value in zip(known, adjusted, strict=True):
        result[position] = float(value)
    return result
