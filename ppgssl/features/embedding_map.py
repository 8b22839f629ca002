"""A picture of patients' features in two dimensions. Nothing but the picture is made of it."""

from __future__ import annotations

import numpy as np
import pandas as pd
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE
from threadpoolctl import threadpool_limits

from ppgssl.core.records import FloatArray
from ppgssl.core.results.robustness import EmbeddingMap

N_COMPONENTS = 30
# 5,000 patients take half a minute of one core, and the time grows a little faster than their number.
MAX_PATIENTS = 5000
# Of fewer patients every neighbourhood is most of the cohort: principal components show as much, and bend nothing.
MIN_PATIENTS_TSNE = 50
_PERPLEXITY = 30.0


def embedding_map(
    features: pd.DataFrame, y: pd.Series, cohort: pd.Series, *, name: str, label: str, seed: int
) -> EmbeddingMap:
    """Two coordinates of each patient, from features that no outcome has touched.

    Features are standardised over the patients shown, reduced to the first ``N_COMPONENTS`` principal components, and
    laid out by t-SNE [1]_, started from the first two components so that the large arrangement means something [2]_. In
    such a map neighbours are alike; distances between groups, their sizes and densities mean nothing. Fewer than
    ``MIN_PATIENTS_TSNE`` patients are shown by their first two principal components. Of more than ``MAX_PATIENTS``, so
    many are drawn at random, which bounds the time; ``method`` reports it. One thread does it all: the sums of several
    come out in another order, and t-SNE makes another picture of that.

    Parameters
    ----------
    features : DataFrame, index patient; one row a patient; a missing value becomes the column's median
    y : Series of 0/1, index patient; outcome; NaN or absent where a patient has none
    cohort : Series of str, index patient; the cohort of each patient of ``features``
    name, label : what the features are called, and in words
    seed : of the draw of patients, the decomposition and the layout

    .. [1] van der Maaten & Hinton, Visualizing data using t-SNE, Journal of Machine Learning Research 9, 2008.
    .. [2] Kobak & Berens, The art of using t-SNE for single-cell transcriptomics, Nature Communications 10, 2019,
           10.1038/s41467-019-13056-x.
    """
    shown = features
    if len(features) > MAX_PATIENTS:
        rows = np.random.default_rng(seed).choice(len(features), MAX_PATIENTS, replace=False)
        shown = features.iloc[np.sort(rows)]
    scaled = _standardise(shown.to_numpy(dtype=np.float64, na_value=np.nan))
    with threadpool_limits(1):
        points, method = _layout(scaled, seed)
    if len(shown) < len(features):
        method += f", of {len(shown):,} patients drawn at random from {len(features):,}"
    outcome = y.reindex(shown.index)
    return EmbeddingMap(
        features=name,
        label=label,
        method=method,
        x=points[:, 0].tolist(),
        y=points[:, 1].tolist(),
        is_event=[None if np.isnan(one) else bool(one) for one in outcome.to_numpy(dtype=float)],
        cohort=[str(one) for one in cohort.loc[shown.index]],
    )


def _standardise(values: FloatArray) -> FloatArray:
    """Columns of mean 0 and SD 1, medians for what is missing; without columns that are empty or constant."""
    values = np.where(np.isfinite(values), values, np.nan)
    values = values[:, np.isfinite(values).any(axis=0)]
    if not values.size:
        return np.zeros((len(values), 0))
    filled = np.where(np.isnan(values), np.nanmedian(values, axis=0), values)
    spread = filled.std(axis=0)
    # Rounding leaves a constant column a spread of about 1e-16 of its size.
    varies = spread > 1e-12 * np.abs(filled).max(axis=0)
    return np.asarray((filled[:, varies] - filled[:, varies].mean(axis=0)) / spread[varies])


def _layout(scaled: FloatArray, seed: int) -> tuple[FloatArray, str]:
    """Coordinates, shape (n_patients, 2), and how they were found."""
    n = min(N_COMPONENTS, len(scaled) - 1, scaled.shape[1])
    if n < 1:
        return np.zeros((len(scaled), 2)), "no two patients differ"
    scores = PCA(n, svd_solver="randomized", random_state=seed).fit_transform(scaled)
    if len(scaled) < MIN_PATIENTS_TSNE or n < 3:
        # Of one component alone, the second coordinate is zero.
        return np.column_stack([scores, np.zeros(len(scores))])[:, :2], "first two principal components"
    perplexity = min(_PERPLEXITY, (len(scores) - 1) / 3)
    points = TSNE(perplexity=perplexity, init="pca", random_state=seed, n_jobs=1).fit_transform(scores)
    return points.astype(np.float64), f"t-SNE of the first {n} principal components (perplexity {perplexity:.3g})"
