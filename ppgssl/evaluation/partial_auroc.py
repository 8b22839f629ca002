"""Partial area under the ROC curve: performance where few events are missed, which is where a triage tool works."""

from __future__ import annotations

import numpy as np

from ppgssl.core.records import FloatArray
from ppgssl.evaluation.event_groups import EventCounts, share

MIN_SENSITIVITY = 0.8


def partial_auroc(counts: EventCounts, min_sensitivity: float = MIN_SENSITIVITY) -> FloatArray:
    """Standardised area between the curve and the line of ``min_sensitivity``: specificity over sensitivity [1]_, [2]_.

    The area is ``A``, the integral of the specificity over sensitivities from ``min_sensitivity`` to 1, a tie being a
    sloped line. With ``w = 1 - min_sensitivity`` it is ``w`` of perfect scores and ``w**2 / 2`` of guessing; McClish's
    standardised area is ``(1 + (A - w**2 / 2) / (w - w**2 / 2)) / 2``, 1 for the one and 0.5 for the other.

    Parameters
    ----------
    counts : EventCounts
    min_sensitivity : float
        In 0..1; 0 gives the AUROC.

    Returns
    -------
    float array, shape (n_weightings,)
        NaN where there is no event or no non-event.

    References
    ----------
    .. [1] McClish, Analyzing a portion of the ROC curve, Medical Decision Making 9, 1989, 10.1177/0272989X8900900307.
    .. [2] Jiang, Metz & Nishikawa, A receiver operating characteristic partial area index for highly sensitive
           diagnostic tests, Radiology 201, 1996, 10.1148/radiology.201.3.8939225.
    """
    until = share(np.cumsum(counts.events, axis=0), counts.n_events)
    gained = share(counts.events, counts.n_events)
    cut_off = np.clip(min_sensitivity - (until - gained), 0.0, gained)
    left = share(counts.above, counts.n_others)
    right = share(counts.above + counts.tied, counts.n_others)
    # Where the line cuts through a tie, the part of the slope above it counts.
    below_line = np.divide(cut_off, gained, out=np.zeros_like(gained), where=gained > 0)
    left += (right - left) * below_line
    area = ((gained - cut_off) * (1 - (left + right) / 2)).sum(axis=0)
    area = np.where((counts.n_events > 0) & (counts.n_others > 0), area, np.nan)
    width = 1 - min_sensitivity
    of_guessing = width**2 / 2
    return np.asarray((1 + (area - of_guessing) / (width - of_guessing)) / 2)
