"""Stacking: the risks of a clinical model and of a model of the features, combined."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit, logit

from ppgssl.core.records import FloatArray, IntArray

# Risks nearer to 0 or 1 than this are set to it.
NEAREST = 1e-6
# Keeps the weights finite where the risks separate the outcomes; so weak that it is not seen elsewhere.
_PENALTY = 1e-3


def learn_stack(inner: Sequence[Sequence[FloatArray]], y: Sequence[IntArray]) -> tuple[FloatArray, list[FloatArray]]:
    """Combine risks by a logistic model of their logits, a stack [1]_ with weights of 0 or more [2]_.

    The stack is fitted to the risks of training patients whom the parts' inner models had not seen. Its own inner
    risks, of the patients of one inner fold, come from a stack fitted to those of the other folds.

    ``inner``: for each part, for each inner fold, float array; risks of the patients whom the fold held out. ``y``:
    outcomes of the training patients whom each inner fold held out.

    Returns
    -------
    stack : float array, shape (1 + n_parts,); intercept and weights
    held_out : list of float arrays; combined risks of the patients whom each inner fold held out

    .. [1] Wolpert, Stacked generalization, Neural Networks 5:241-259, 1992, doi 10.1016/S0893-6080(05)80023-1.
    .. [2] Breiman, Stacked regressions, Mach Learn 24:49-64, 1996, doi 10.1007/BF00117832.
    """
    logits = [clipped_logits(risks) for risks in zip(*inner, strict=True)]
    held_out = []
    for number, own in enumerate(logits):
        others = [*range(number), *range(number + 1, len(logits))]
        stack = fit_stack(np.concatenate([logits[one] for one in others]), np.concatenate([y[one] for one in others]))
        held_out.append(stacked_risks(stack, own))
    return fit_stack(np.concatenate(logits), np.concatenate(y)), held_out


def fit_stack(logits: FloatArray, y: IntArray) -> FloatArray:
    """Intercept and a weight of 0 or more for each column, shape (1 + n_parts,), of the largest likelihood.

    ``logits``: float array, shape (n_patients, n_parts). ``y``: int array of 0/1, shape (n_patients,).
    """
    design = np.column_stack([np.ones(len(logits)), logits])
    penalty = _PENALTY * np.concatenate([[0.0], np.ones(logits.shape[1])])

    def loss(beta: FloatArray) -> tuple[float, FloatArray]:
        eta = design @ beta
        value = (np.logaddexp(0, eta) - y * eta).sum() + (penalty * beta**2).sum() / 2
        return float(value), (expit(eta) - y) @ design + penalty * beta

    start = np.concatenate([[0.0], np.full(logits.shape[1], 1 / logits.shape[1])])
    bounds = [(None, None), *[(0, None)] * logits.shape[1]]
    found = minimize(loss, start, jac=True, bounds=bounds, method="L-BFGS-B", options={"ftol": 1e-14, "gtol": 1e-9})
    return np.asarray(found.x)


def clipped_logits(risks: Sequence[FloatArray]) -> FloatArray:
    """Logits of the parts' risks, shape (n_patients, n_parts); finite."""
    return np.asarray(logit(np.clip(np.column_stack(list(risks)), NEAREST, 1 - NEAREST)))


def stacked_risks(stack: FloatArray, logits: FloatArray) -> FloatArray:
    """Risks of the stack, shape (n_patients,), from the logits of the parts."""
    return np.asarray(np.clip(expit(stack[0] + logits @ stack[1:]), NEAREST, 1 - NEAREST))
