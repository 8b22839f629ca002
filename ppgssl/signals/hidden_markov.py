"""Posterior distribution of a state that changes slowly, from the evidence of all windows of a recording."""

from __future__ import annotations

import numpy as np

from ppgssl.core.records import FloatArray

# Windows of a long recording are followed in chunks, side by side, each with so many more on either side.
_CHUNK, _MARGIN = 128, 32


def smoothed(likelihood: FloatArray, transition: FloatArray) -> FloatArray:
    """Probability of each state at each window given all windows, by forward and backward recursion [1]_.

    Parameters
    ----------
    likelihood : float array, shape (n_windows, n_states)
        Of each state, up to a factor for each window; at least one of a row over 0.
    transition : float array, shape (n_states, n_states)
        Probability of each state (column) one window after each state (row).

    Returns
    -------
    float array, shape (n_windows, n_states)
        Rows add up to 1. All states are as probable before the first window. In recordings of more than 128 windows the
        evidence of windows 32 or more away from a chunk of 128 does not reach it.

    References
    ----------
    .. [1] Rabiner, A tutorial on hidden Markov models and selected applications in speech recognition, Proc IEEE
       77:257-286, 1989, doi 10.1109/5.18626.
    """
    n_windows = len(likelihood)
    length = min(_CHUNK + 2 * _MARGIN, n_windows)
    kept = np.arange(0, n_windows, _CHUNK) if length < n_windows else np.zeros(1, dtype=np.int64)
    starts = np.clip(kept - _MARGIN, 0, n_windows - length)
    chunks = likelihood[starts + np.arange(length)[:, None]]
    found = np.ones(chunks.shape)
    found[0] = chunks[0]
    for at in range(1, length):
        found[at] = chunks[at] * (found[at - 1] @ transition)
        found[at] /= found[at].sum(axis=1, keepdims=True)
    backward = np.ones(chunks.shape[1:])
    for at in range(length - 2, -1, -1):
        backward = (chunks[at + 1] * backward) @ transition.T
        backward /= backward.sum(axis=1, keepdims=True)
        found[at] *= backward
    chunk = np.searchsorted(kept, np.arange(n_windows), side="right") - 1
    joint = found[np.arange(n_windows) - starts[chunk], chunk]
    return np.asarray(joint / joint.sum(axis=1, keepdims=True))
