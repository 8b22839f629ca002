"""From segments to patients."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from ppgssl.core.errors import ConfigError
from ppgssl.core.records import FloatArray, IntArray
from ppgssl.core.text import suggest


def mean_of_groups(values: FloatArray, first: IntArray) -> FloatArray:
    """Mean of consecutive groups of rows; ``first`` holds the first row of each group."""
    n = np.diff(np.append(first, len(values)))
    return np.asarray(np.add.reduceat(values, first, axis=0, dtype=np.float64) / n[:, None])


# Each takes rows (n_segments, n_dimensions) sorted by patient, and the first row of each patient.
POOLERS: dict[str, Callable[[FloatArray, IntArray], FloatArray]] = {"mean": mean_of_groups}


def feature_names(n: int, prefix: str = "ssl") -> list[str]:
    """``ssl_000``, ``ssl_001`` and so on."""
    return [f"{prefix}_{number:03d}" for number in range(n)]


def pool_to_patients(
    embeddings: FloatArray, patient_ids: ArrayLike, *, pooler: str = "mean", prefix: str = "ssl"
) -> pd.DataFrame:
    """One row a patient.

    Returns a DataFrame of float64: index ``patient``, sorted. Raises ConfigError if there is no pooler of that name.
    Raises ValueError if there is not one patient for each row.

    Parameters
    ----------
    embeddings : float array, shape (n_segments, n_dimensions)
    patient_ids : array of str, shape (n_segments,); patient of each segment, in any order
    pooler : a key of ``POOLERS``
    prefix : columns are named ``{prefix}_000``, ``{prefix}_001``,
    """
    if pooler not in POOLERS:
        raise ConfigError(f"unknown pooler {pooler!r}{suggest(pooler, POOLERS)}; the poolers are: {', '.join(POOLERS)}")
    ids = np.asarray(patient_ids, dtype=object).astype(str)
    if len(ids) != len(embeddings):
        raise ValueError(f"{len(embeddings)} embeddings need a patient each, and {len(ids)} were given")
    order = np.argsort(ids, kind="stable")
    patients, first = np.unique(ids[order], return_index=True)
    columns = feature_names(embeddings.shape[1], prefix)
    pooled = POOLERS[pooler](embeddings[order], first) if len(ids) else np.empty((0, len(columns)))
    return pd.DataFrame(pooled, index=pd.Index(patients, name="patient"), columns=columns)
