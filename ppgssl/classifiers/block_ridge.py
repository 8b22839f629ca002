"""Ridge logistic regression with a penalty of its own for clinical columns and for features."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from scipy.special import expit, logit

from ppgssl.classifiers.learner import Learned, LinearFit, fit_scaled, inner_losses, minority_size
from ppgssl.classifiers.preparation import Block, Split
from ppgssl.core.records import FloatArray, IntArray

# scikit-learn's C, strongest penalty first: at 0.0001 every slope is all but zero, at 10 all but free.
COSTS = (0.0001, 0.001, 0.01, 0.1, 1.0, 10.0)
# Factor on the columns of the second block: its penalty is that of the first over the square; at 0 it is left out.
SCALES = (0.0, 0.03, 0.1, 0.3, 1.0)
MIN_CLASS_TO_CHOOSE = 3
FALLBACK_COST, FALLBACK_SCALE = 0.01, 0.1
_MOST_STEPS = 100
_MOST_HALVINGS = 30
# Newton's decrement, in log likelihood, at which a fit is done.
_DONE = 1e-12
_NEGLIGIBLE = 1e-10


def learn_block_ridge(inner: Sequence[Split], whole: Block, seed: int) -> Learned:  # noqa: ARG001 (nothing is drawn)
    """Choose both penalties by inner folds, then fit all training patients.

    Alongside ten covariates, a hundred learned features under one common penalty hold ten times the variance and drown
    them; so each block has its own penalty, as in IPF-LASSO [1]_ and multi-penalty ridge [2]_: ridge on columns of
    which the last are multiplied by a scale penalises their slopes by one over its square more. Both penalties are
    chosen together, by the log loss of inner folds, and the choice includes a scale of 0: where the features add
    nothing, the model is that of the covariates. Of equal losses the strongest shrinkage is taken.

    The inner risks are those of the penalties chosen on all training patients, by models fitted without the patients
    held out.

    .. [1] Boulesteix et al., IPF-LASSO: integrative L1-penalized regression with penalty factors for prediction based
           on multi-omics data, Computational and Mathematical Methods in Medicine, 2017, 10.1155/2017/7691937.
    .. [2] van de Wiel, van Nee & Rauschenberger, Fast cross-validation for multi-penalty high-dimensional ridge
           regression, Journal of Computational and Graphical Statistics 30, 2021, 10.1080/10618600.2021.1904962.
    """
    scales = SCALES if whole.has_two_blocks else (1.0,)
    n_minority = minority_size(whole.y)
    costs: tuple[float, ...] = COSTS
    notes: tuple[str, ...] = ()
    if n_minority < MIN_CLASS_TO_CHOOSE:
        costs, scales = (FALLBACK_COST,), (FALLBACK_SCALE if whole.has_two_blocks else 1.0,)
        notes = (
            f"only {n_minority} training patient(s) of the minority class: too few to choose penalties by inner folds, "
            "so they are fixed in advance",
        )
    risks = [_grid_risks(split, costs, scales) for split in inner]
    losses = inner_losses(risks, inner)
    # Costs run first: the first of equal losses has the strongest common penalty, then the smaller scale.
    cost, scale = np.unravel_index(np.argmin(losses), losses.shape)
    model = _fit(whole, costs[cost], scales[scale])
    return Learned(model, [one[cost, scale] for one in risks], whole.X.shape[1], notes)


def _fit(block: Block, cost: float, scale: float) -> LinearFit:
    axes = _feature_axes(block)
    if axes is not None:
        block = replace(block, X=_rotate(block.X, block.n_last, axes), n_last=axes.shape[1])
    intercepts, (slopes,) = fit_scaled(lambda X, y: fit_ridge(X, y, (cost,)), block, scale)
    if axes is not None:
        start = block.X.shape[1] - block.n_last
        slopes = np.concatenate([slopes[:start], axes @ slopes[start:]])
    return LinearFit(float(intercepts[0]), slopes)


def _grid_risks(split: Split, costs: Sequence[float], scales: Sequence[float]) -> FloatArray:
    """Risks of those held out, shape (n_costs, n_scales, n_held_out)."""
    axes = _feature_axes(split)
    if axes is not None:
        X, X_out = (_rotate(one, split.n_last, axes) for one in (split.X, split.X_out))
        split = replace(split, X=X, X_out=X_out, n_last=axes.shape[1])
    fits = [fit_scaled(lambda X, y: fit_ridge(X, y, costs), split, scale) for scale in scales]
    return np.stack([expit(intercepts[:, None] + slopes @ split.X_out.T) for intercepts, slopes in fits], axis=1)


def _feature_axes(block: Block) -> FloatArray | None:
    """An orthonormal basis of the space that the patients' features span; None where it is no smaller than theirs.

    A ridge penalty does not see rotations, and the slopes that it leaves lie in the space that the patients span; so a
    fit in that basis is exactly the same (Hastie and Tibshirani, Efficient quadratic regularization for expression
    arrays, Biostatistics 5:329-340, 2004, doi 10.1093/biostatistics/5.3.329). Returns a float array, shape (n_features,
    n_axes), or None.
    """
    if block.n_last <= len(block.X):
        return None
    features = block.X[:, block.X.shape[1] - block.n_last :]
    size, axes = np.linalg.eigh(features @ features.T)
    is_kept = size > _NEGLIGIBLE * size[-1]
    return np.asarray(features.T @ (axes[:, is_kept] / np.sqrt(size[is_kept])))


def _rotate(X: FloatArray, n_last: int, axes: FloatArray) -> FloatArray:
    start = X.shape[1] - n_last
    return np.concatenate([X[:, :start], X[:, start:] @ axes], axis=1)


def fit_ridge(X: FloatArray, y: IntArray, costs: Sequence[float]) -> tuple[FloatArray, FloatArray]:
    """Logistic regressions with a ridge penalty, one a cost, by Newton's method.

    Minimises the sum of log losses plus the sum of squared slopes over twice the cost; the intercept is free. The
    same as scikit-learn's ``LogisticRegression(C=cost)``, which takes some twenty times as long for a few dozen
    patients.

    Parameters
    ----------
    X : float array, shape (n_patients, n_columns)
    y : int array of 0/1, shape (n_patients,); of either outcome one patient at least
    costs : above 0

    Returns
    -------
    intercepts : float array, shape (n_costs,)
    slopes : float array, shape (n_costs, n_columns)
    """
    design = np.column_stack([np.ones(len(X)), X])
    penalty = np.concatenate([[0.0], np.ones(X.shape[1])]) / np.asarray(costs)[:, None]
    beta = np.zeros((len(costs), design.shape[1]))
    beta[:, 0] = logit(y.mean())
    is_open = np.ones(len(costs), dtype=bool)
    for _ in range(_MOST_STEPS):
        step, decrement = _newton(design, y, beta[is_open], penalty[is_open])
        beta[is_open] = _descend(design, y, beta[is_open], penalty[is_open], step)
        is_open[is_open] = decrement > _DONE
        if not is_open.any():
            break
    return beta[:, 0], beta[:, 1:]


def _newton(design: FloatArray, y: IntArray, beta: FloatArray, penalty: FloatArray) -> tuple[FloatArray, FloatArray]:
    risk = expit(beta @ design.T)
    gradient = (risk - y) @ design + penalty * beta
    weight = risk * (1 - risk)
    hessian = (design.T * weight[:, None, :]) @ design
    diagonal = np.arange(design.shape[1])
    hessian[:, diagonal, diagonal] += penalty
    step = np.linalg.solve(hessian, gradient[..., None])[..., 0]
    return step, (step * gradient).sum(axis=1)


def _descend(design: FloatArray, y: IntArray, beta: FloatArray, penalty: FloatArray, step: FloatArray) -> FloatArray:
    """Steps taken whole, or halved as long as they lead upwards."""
    before = _objective(design, y, beta, penalty)
    part = np.ones((len(beta), 1))
    for _ in range(_MOST_HALVINGS):
        is_worse = _objective(design, y, beta - part * step, penalty) > before + _DONE
        if not is_worse.any():
            break
        part[is_worse] /= 2
    return beta - part * step


def _objective(design: FloatArray, y: IntArray, beta: FloatArray, penalty: FloatArray) -> FloatArray:
    eta = beta @ design.T
    return np.asarray((np.logaddexp(0, eta) - y * eta).sum(axis=1) + (penalty * beta**2).sum(axis=1) / 2)
