"""Principal components of segments: what a representation must beat that learns, but no more than the largest waves."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from sklearn.decomposition import PCA

from ppgssl.core.records import FloatArray

N_COMPONENTS = 64


@dataclass(frozen=True)
class PrincipalComponents:
    """The axes along which training segments vary most [1]_.

    ``mean``: float array, shape (n_channels * length,). ``axes``: float array, shape (n_components, n_channels *
    length); orthonormal.

    .. [1] Jolliffe, Principal Component Analysis, Springer, 2002, doi 10.1007/b98835.
    """

    mean: FloatArray = field(repr=False)
    axes: FloatArray = field(repr=False)

    def __call__(self, segments: FloatArray) -> FloatArray:
        """Scores of segments and their magnitudes, shape (n_segments, 2 * n_components).

        A segment begins at any moment of a beat, so the scores of a patient's segments have any sign and cancel in
        their mean; the magnitudes show how strong each wave is whatever its phase.

        ``segments``: float array, shape (n_segments, n_channels, length).
        """
        scores = (np.asarray(segments).reshape(len(segments), -1) - self.mean) @ self.axes.T
        return np.concatenate([scores, np.abs(scores)], axis=1)


def fit_principal_components(
    segments: FloatArray, *, n_components: int = N_COMPONENTS, seed: int
) -> PrincipalComponents:
    """Find the axes of training segments.

    Parameters
    ----------
    segments : float array, shape (n_segments, n_channels, length); finite
    n_components : fewer where there are fewer segments or samples
    seed : of the randomised decomposition
    """
    rows = np.asarray(segments, dtype=np.float32).reshape(len(segments), -1)
    n = min(n_components, *rows.shape)
    fitted = PCA(n, svd_solver="randomized", random_state=seed).fit(rows)
    return PrincipalComponents(fitted.mean_, fitted.components_)
