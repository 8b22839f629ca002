"""From segments to patients."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from ppgssl.core.records import FloatArray


def feature_names(n: int) -> list[str]:
    """``ssl_000``, ``ssl_001`` and so on."""
    return [f"ssl_{number:03d}" for number in range(n)]


def pool_to_patients(embeddings: FloatArray, patient_ids: ArrayLike) -> pd.DataFrame:
    """Mean over each patient's segments: one row a patient, index ``patient``, sorted; columns are named by number.

    Raises ValueError if there is not one patient for each row.

    ``embeddings``: float array, shape (n_segments, n_dimensions). ``patient_ids``: array of str, shape (n_segments,);
    patient of each segment, in any order.
    """
    ids = np.asarray(patient_ids, dtype=object).astype(str)
    if len(ids) != len(embeddings):
        raise ValueError(f"{len(embeddings)} embeddings need a patient each, and {len(ids)} were given")
    order = np.argsort(ids, kind="stable")
    patients, first, counts = np.unique(ids[order], return_index=True, return_counts=True)
    columns = feature_names(embeddings.shape[1])
    pooled = np.empty((0, len(columns)))
    if len(ids):
        pooled = np.add.reduceat(embeddings[order], first, axis=0, dtype=np.float64) / counts[:, None]
    return pd.DataFrame(pooled, index=pd.Index(patients, name="patient"), columns=columns)
