"""From segments to patients."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from ppgssl.core.records import FloatArray
from ppgssl.selfsupervised.encoders.base import EncoderNetwork


def feature_names(encoder: EncoderNetwork) -> list[str]:
    """``ssl_000``, ``ssl_001`` and so on of moments; of readouts, what they are: ``ssl_interval_log_rmssd``."""
    moments = [f"ssl_{number:03d}" for number in range(encoder.moments_dim)]
    return [*moments, *(f"ssl_{name}" for name in encoder.readout_names)]


def is_moment(name: str) -> bool:
    """Whether a column of :func:`feature_names` is a moment, and no readout."""
    return name.startswith("ssl_") and name.removeprefix("ssl_").isdecimal()


def pool_to_patients(embeddings: FloatArray, patient_ids: ArrayLike, names: Sequence[str]) -> pd.DataFrame:
    """Mean over each patient's segments: one row a patient, index ``patient``, sorted; columns of these names.

    Raises ValueError if there is not one patient for each row.

    ``embeddings``: float array, shape (n_segments, n_dimensions). ``patient_ids``: array of str, shape (n_segments,);
    patient of each segment, in any order.
    """
    ids = np.asarray(patient_ids, dtype=object).astype(str)
    if len(ids) != len(embeddings):
        raise ValueError(f"{len(embeddings)} embeddings need a patient each, and {len(ids)} were given")
    order = np.argsort(ids, kind="stable")
    patients, first, counts = np.unique(ids[order], return_index=True, return_counts=True)
    pooled = np.empty((0, len(names)))
    if len(ids):
        pooled = np.add.reduceat(embeddings[order], first, axis=0, dtype=np.float64) / counts[:, None]
    return pd.DataFrame(pooled, index=pd.Index(patients, name="patient"), columns=list(names))
