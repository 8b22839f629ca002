"""Bayesian logistic regression with a regularised horseshoe prior."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from ppgssl.classifiers.learner import Learned
from ppgssl.classifiers.polya_gamma import draw_polya_gamma
from ppgssl.classifiers.posterior import Design, Posterior, with_products
from ppgssl.classifiers.preparation import Block, Split, fit_scaling
from ppgssl.core.config.fixed import MOST_FEATURES
from ppgssl.core.records import FloatArray, IntArray

N_CHAINS = 4
N_WARMUP = 200
N_DRAWS = 700
# Of all chains together, in a final model: its mean risks are off from those of all draws by a twentieth of a
# risk's SD over draws, typically. In a study all draws count.
N_KEPT = 400
# Scales are drawn so often for each draw of the slopes, which takes thirty times as long.
_N_OF_SCALES = 3
# Features beyond so many become principal components; products are made of so many clinical columns at most.
MOST_FOR_PRODUCTS = 15
# Columns expected to matter, and the slab: log odds for one SD of a column hardly exceed twice its SD.
N_RELEVANT = 5
SLAB_SD = 2.0
INTERCEPT_SD = 5.0
# Above it, chains do not agree on the risks.
MOST_RHAT = 1.05
# Of the proposed change in the log of the common scale: mostly small, sometimes large, never absurd.
_JUMP, _MOST_JUMP = 0.3, 6.0


@dataclass(frozen=True)
class _Fits:
    """Fits of one size, so that one sampler serves all at once: rows and columns of zeros fill up the smaller.

    Attributes
    ----------
    X : float array, shape (n_fits, n_patients, 1 + n_columns); an intercept, then the columns. A row of zeros carries
        no information; the slope of a column of zeros follows its prior.
    sign : float array, shape (n_fits, n_patients); 1 with the event, -1 without, 0 of a row that fills up
    guess : float array, shape (n_fits, 1); scale of the half-Cauchy prior of the common scale
    """

    X: FloatArray
    sign: FloatArray
    guess: FloatArray


def learn_horseshoe(inner: Sequence[Split], whole: Block, seed: int) -> Learned:
    """Draw from the posterior of a logistic regression whose slopes are mostly near 0; risks are posterior means.

    The prior is a regularised horseshoe: a slope is normal with an SD that is the product of a half-Cauchy scale of
    its own and a half-Cauchy scale that all share, whose guess expects ``N_RELEVANT`` columns to matter [1]_; the
    density is multiplied by that of a wide normal slab, which keeps the largest slopes finite. The slab enters as in
    [2]_, as if each slope had once been observed as 0 with SD ``SLAB_SD``, because all conditional laws but that of the
    outcomes then are of known form, and Polya-Gamma variables [3]_ make those of the outcomes normal; a Gibbs sampler
    with inverse-gamma variables for the half-Cauchy scales [4]_ draws from them, for all folds and chains at once.
    Nothing is chosen by inner folds.

    As in the published model [5]_, products of pairs stand alongside the columns; here products of the clinical columns
    alone, where these are ``MOST_FOR_PRODUCTS`` or fewer, because products of a patient's 32 and more features would be
    hundreds for a hundred patients. More than ``MOST_FEATURES`` features become that many principal components of the
    training patients. The draws are the same for a seed on the same machine; where the chains do not agree, a note
    reports it.

    .. [1] Piironen and Vehtari, Sparsity information and regularization in the horseshoe and other shrinkage priors,
       Electron J Stat 11:5018-5051, 2017, doi 10.1214/17-EJS1337SI.
    .. [2] Nishimura and Suchard, Shrinkage with shrunken shoulders: Gibbs sampling shrinkage model posteriors with
       guaranteed convergence rates, Bayesian Anal 18:367-390, 2023, doi 10.1214/22-BA1308, arXiv:1911.02160.
    .. [3] Polson, Scott and Windle, Bayesian inference for logistic models using Polya-Gamma latent variables, J Am
       Stat Assoc 108:1339-1349, 2013, doi 10.1080/01621459.2013.829001.
    .. [4] Makalic and Schmidt, A simple sampler for the horseshoe estimator, IEEE Signal Process Lett 23:179-182, 2016,
       doi 10.1109/LSP.2015.2503725.
    .. [5] Mwaniki et al., Using self-supervised feature learning to improve the use of pulse oximeter signals to
       predict paediatric hospitalization, Wellcome Open Res 6:248, 2023, doi 10.12688/wellcomeopenres.17148.2.
    """
    blocks: list[Block] = [*inner, whole]
    designs = [_fit_design(block.X, block.n_last) for block in blocks]
    seen = [design(block.X) for design, block in zip(designs, blocks, strict=True)]
    draws = _posterior(_stack(seen, [block.y for block in blocks]), np.random.default_rng(seed))
    found = [Posterior(one, draws[:, :, number, : 1 + one.n_columns]) for number, one in enumerate(designs)]
    others = [*(split.X_out for split in inner), whole.X]
    drawn = [one.drawn_risks(X) for one, X in zip(found, others, strict=True)]
    worst = max(_rhat(risks) for risks in drawn)
    notes = () if worst <= MOST_RHAT else ("the chains of the horseshoe model did not agree in every fit",)
    return Learned(found[-1], [risks.mean(axis=(0, 1)) for risks in drawn[:-1]], designs[-1].n_columns, notes)


def _fit_design(X: FloatArray, n_last: int) -> Design:
    """Few columns of features, and products of clinical columns, from those of training patients."""
    start = X.shape[1] - n_last
    chosen = list(combinations(range(start), 2)) if start <= MOST_FOR_PRODUCTS else []
    pairs = np.array(chosen, dtype=np.int64).reshape(-1, 2)
    return Design(pairs, fit_scaling(with_products(X[:, :start], pairs)), _main_axes(X[:, start:]))


def _main_axes(features: FloatArray) -> FloatArray:
    """Where there are many: along the first the SD becomes 1, along the others in proportion. The features, if few."""
    if features.shape[1] <= MOST_FEATURES:
        return np.eye(features.shape[1])
    _, size, axes = np.linalg.svd(features, full_matrices=False)
    return np.asarray(axes[:MOST_FEATURES].T * np.sqrt(len(features)) / max(size[0], np.finfo(float).tiny))


def _stack(seen: Sequence[FloatArray], outcomes: Sequence[IntArray]) -> _Fits:
    n_rows, n_columns = np.max([X.shape for X in seen], axis=0)
    design = np.zeros((len(seen), n_rows, 1 + n_columns))
    sign = np.zeros((len(seen), n_rows))
    for number, (X, y) in enumerate(zip(seen, outcomes, strict=True)):
        n, width = X.shape
        design[number, :n, 0] = 1
        design[number, :n, 1 : 1 + width] = X
        sign[number, :n] = 2 * y - 1
    guess = [_global_scale(X.shape[1], len(y), float(y.mean())) for X, y in zip(seen, outcomes, strict=True)]
    return _Fits(design, sign, np.array(guess)[:, None])


def _global_scale(n_columns: int, n: int, prevalence: float) -> float:
    """Guess of the global scale from the number of columns expected to matter (Piironen and Vehtari, eq. 3.12)."""
    relevant = min(N_RELEVANT, n_columns / 2)
    pseudo_sd = (prevalence * (1 - prevalence)) ** -0.5
    return float(relevant / (n_columns - relevant) * pseudo_sd / np.sqrt(n))


def _posterior(fits: _Fits, rng: np.random.Generator) -> FloatArray:
    """Draws of intercept and slopes, shape (n_chains, n_draws, n_fits, 1 + n_columns)."""
    n_fits, _, width = fits.X.shape
    draws = np.empty((N_CHAINS, N_DRAWS, n_fits, width))
    # Chains start at no effect, and far apart in the scales.
    beta: FloatArray = np.zeros((N_CHAINS, n_fits, width))
    local: FloatArray = 1 / rng.standard_exponential((N_CHAINS, n_fits, width - 1))
    overall: FloatArray = fits.guess**2 / rng.standard_exponential((N_CHAINS, n_fits, 1))
    for step in range(-N_WARMUP, N_DRAWS):
        beta = _draw_coefficients(fits, beta, local * overall, rng)
        for _ in range(_N_OF_SCALES):
            local, overall = _draw_scales(fits.guess, beta[..., 1:], local, overall, rng)
        beta, overall = _rescale(fits, beta, overall, rng)
        if step >= 0:
            draws[:, step] = beta
    return draws


def _draw_coefficients(fits: _Fits, beta: FloatArray, variance: FloatArray, rng: np.random.Generator) -> FloatArray:
    """Intercept and slopes given the scales: normal, once each patient has a Polya-Gamma variable as weight.

    ``variance`` is that of the slopes before the slab. A normal vector of precision Q = A'A + D is Q^-1 times (the
    linear term + A'z + D^1/2 z) for standard normal z: one system to solve, and no factor of Q.
    """
    precision = np.empty(beta.shape)
    precision[..., 0] = INTERCEPT_SD**-2
    precision[..., 1:] = 1 / variance + SLAB_SD**-2
    weight = draw_polya_gamma(_predictors(fits, beta), rng)
    left = np.empty((*beta.shape, beta.shape[-1]))
    right = np.sqrt(precision) * rng.standard_normal(beta.shape) + (fits.sign[:, None] / 2 @ fits.X)[:, 0]
    for chain, root in enumerate(np.sqrt(weight)):
        weighted = root[..., None] * fits.X
        np.matmul(weighted.transpose(0, 2, 1), weighted, out=left[chain])
        right[chain] += (rng.standard_normal(root.shape)[:, None] @ weighted)[:, 0]
    diagonal = np.arange(beta.shape[-1])
    left[..., diagonal, diagonal] += precision
    return np.asarray(np.linalg.solve(left, right[..., None])[..., 0])


def _draw_scales(
    guess: FloatArray, slopes: FloatArray, local: FloatArray, overall: FloatArray, rng: np.random.Generator
) -> tuple[FloatArray, FloatArray]:
    """Squares of each slope's scale and of the common one, given the slopes: inverse gamma (Makalic and Schmidt)."""
    half = slopes**2 / 2
    mixing = (1 + 1 / local) / rng.standard_exponential(local.shape)
    local = (1 / mixing + half / overall) / rng.standard_exponential(local.shape)
    mixing = (guess**-2 + 1 / overall) / rng.standard_exponential(overall.shape)
    shape = (slopes.shape[-1] + 1) / 2
    overall = (1 / mixing + (half / local).sum(-1, keepdims=True)) / rng.standard_gamma(shape, overall.shape)
    return local, overall


def _rescale(
    fits: _Fits, beta: FloatArray, overall: FloatArray, rng: np.random.Generator
) -> tuple[FloatArray, FloatArray]:
    """A Metropolis step that multiplies the common scale and all slopes by one factor.

    Given the slopes the common scale hardly moves, as they fix its size; moved together they cross quickly from all
    slopes near 0 to some large ones, as in interweaving (Yu and Meng, To center or not to center, J Comput Graph Stat
    20:531-570, 2011, doi 10.1198/jcgs.2011.203main). Slopes over scale stay as they are, so their law cancels.
    """
    factor = np.exp(np.clip(_JUMP * rng.standard_cauchy(overall.shape), -_MOST_JUMP, _MOST_JUMP))
    there = np.concatenate([beta[..., :1], factor * beta[..., 1:]], axis=-1)
    gain = _log_density(fits, there, factor**2 * overall) - _log_density(fits, beta, overall)
    is_taken = -rng.standard_exponential(overall.shape) < gain
    return np.where(is_taken, there, beta), np.where(is_taken, factor**2 * overall, overall)


def _log_density(fits: _Fits, beta: FloatArray, overall: FloatArray) -> FloatArray:
    """Of the log of the common scale, given all slopes over it, but for a constant; shape (n_chains, n_fits, 1)."""
    outcomes = -np.logaddexp(0, -fits.sign * _predictors(fits, beta)).sum(-1, keepdims=True)
    slab = -(beta[..., 1:] ** 2).sum(-1, keepdims=True) / (2 * SLAB_SD**2)
    return np.asarray(outcomes + slab + np.log(overall) / 2 - np.log1p(overall / fits.guess**2))


def _predictors(fits: _Fits, beta: FloatArray) -> FloatArray:
    """Log odds, shape (n_chains, n_fits, n_patients)."""
    return np.asarray((fits.X @ beta[..., None])[..., 0])


def _rhat(risks: FloatArray) -> float:
    """The largest split R-hat of any patient's risk, shape (n_chains, n_draws, n_patients) -> one number."""
    halves = np.concatenate(np.split(risks, 2, axis=1), axis=0)
    n = halves.shape[1]
    within = halves.var(axis=1, ddof=1).mean(axis=0)
    between = halves.mean(axis=1).var(axis=0, ddof=1)
    return float(np.sqrt((n - 1) / n + between / np.maximum(within, 1e-12)).max())
