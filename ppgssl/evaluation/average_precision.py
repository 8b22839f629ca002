"""Area under the precision-recall curve: how clean the alarms are, where events are rare."""

from __future__ import annotations

import numpy as np

from ppgssl.core.records import FloatArray
from ppgssl.evaluation.event_groups import EventCounts, share


def average_precision(counts: EventCounts) -> FloatArray:
    """Mean over events of the precision at the event's score, patients who share it included [1]_.

    The precision-recall curve is not interpolated linearly, which would be too optimistic [2]_. Scores that know
    nothing reach about the prevalence, somewhat more in small samples.

    Returns
    -------
    float array, shape (n_weightings,)
        NaN where there is no event.

    References
    ----------
    .. [1] Boyd, Eng & Page, Area under the precision-recall curve: point estimates and confidence intervals, ECML PKDD
           2013, 10.1007/978-3-642-40994-3_29.
    .. [2] Davis & Goadrich, The relationship between precision-recall and ROC curves, ICML 2006,
           10.1145/1143844.1143874.
    """
    events = np.cumsum(counts.events, axis=0)
    flagged = events + counts.above + counts.tied
    precision = np.divide(events, flagged, out=np.zeros_like(events), where=flagged > 0)
    return share((counts.events * precision).sum(axis=0), counts.n_events)
