"""Polya-Gamma variables: given them, a logistic likelihood is a normal one."""

from __future__ import annotations

import numpy as np

from ppgssl.core.records import FloatArray

# Terms of the infinite sum that are drawn one by one; the rest is one gamma variable.
_N_TERMS = 10


def draw_polya_gamma(z: FloatArray, rng: np.random.Generator) -> FloatArray:
    """Draws from PG(1, z), one for each element.

    PG(1, z) is a weighted sum of infinitely many exponential variables ([1]_, eq. 1). The first ten are drawn; the sum
    of the others is drawn as one gamma variable that has its mean for every z and, within 2 % where abs(z) <= 10, its
    variance, of which these others hold two thousandths at most. The Laplace transform of the law is that of PG(1, z)
    within 1e-6 where abs(z) <= 6, and 3e-5 where abs(z) <= 20: less than draws can show. Returns a float array of the
    shape of ``z``, above 0.

    ``z``: float array of any shape; linear predictors (log odds).

    .. [1] Polson, Scott and Windle, Bayesian inference for logistic models using Polya-Gamma latent variables, J Am
       Stat Assoc 108:1339-1349, 2013, doi 10.1080/01621459.2013.829001.
    """
    first, rest = weights(z)
    terms = rng.standard_exponential(first.shape)
    terms *= first
    # The variance of the rest is its squared mean over 3 times the number of terms before it, but for O(1 / terms).
    shape = 3.0 * _N_TERMS
    return np.asarray(terms.sum(axis=0) + rest / shape * rng.standard_gamma(shape, z.shape))


def weights(z: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Of the first exponential variables, shape (n_terms, ...), and the mean of the sum of all others, shape (...)."""
    half = np.maximum(np.abs(z) / 2, 1e-8)
    steps = (np.arange(_N_TERMS) + 0.5).reshape(-1, *(1,) * z.ndim)
    first = 0.5 / ((np.pi * steps) ** 2 + half**2)
    return first, np.tanh(half) / (4 * half) - first.sum(axis=0)
