"""Measures of ranking beyond the AUROC, partial AUROC and average precision, for many weightings at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.sparse import csr_array

from ppgssl.core.records import BoolArray, FloatArray, IntArray
from ppgssl.evaluation.predictions import AlignedPredictions, models_of, rows_of_repeats

MIN_SENSITIVITY = 0.8
"""The partial AUROC looks at sensitivities from here to 1: where few events are missed."""


class BelowCounts(NamedTuple):
    """Of each row, the events and the others of its model below it, a tie counting one half, and how many there are."""

    events: FloatArray
    others: FloatArray
    n_events: IntArray
    n_others: IntArray


def count_below(y_true: BoolArray, y_score: FloatArray, model: IntArray) -> BelowCounts:
    """Count by sorting once; ``model``, numbered from 0, is the model that scored each row."""
    order = np.lexsort([y_score, model])
    y, score, sorted_model = y_true[order], y_score[order], model[order]
    is_new_tie = np.append(True, (score[1:] != score[:-1]) | (sorted_model[1:] != sorted_model[:-1]))
    tie = np.cumsum(is_new_tie) - 1
    n_events, n_others = np.bincount(model, y_true).astype(np.int64), np.bincount(model, ~y_true).astype(np.int64)
    below = []
    for is_counted, of_model in ((y, n_events), (~y, n_others)):
        in_tie = np.bincount(tie, is_counted)
        before = np.cumsum(in_tie) - 0.5 * in_tie
        of_rows = np.empty(len(y))
        of_rows[order] = before[tie] - (np.cumsum(of_model) - of_model)[sorted_model]
        below.append(of_rows)
    return BelowCounts(below[0], below[1], n_events[model], n_others[model])


@dataclass(frozen=True)
class EventCounts:
    """Weights of each group of events that share a rank, highest risk first.

    Attributes
    ----------
    events, tied, above : float array, shape (n_groups, n_weightings)
        Events in the group; non-events of the same rank; non-events of a strictly higher rank.
    n_events, n_others : float array, shape (n_weightings,); of all rows
    """

    events: FloatArray
    tied: FloatArray
    above: FloatArray
    n_events: FloatArray
    n_others: FloatArray


class EventGroups:
    """A ranking of patients, sorted once.

    Parameters
    ----------
    y_true : bool array, shape (n_rows,)
    rank : int array, shape (n_rows,); 0 for the highest risk; equal ranks are a tie
    patient : int array, shape (n_rows,); position of each row's patient among the weights
    """

    def __init__(self, y_true: BoolArray, rank: IntArray, patient: IntArray, n_patients: int) -> None:
        ranks_with_events = np.unique(rank[y_true])
        shape = (len(ranks_with_events), n_patients)
        events, others = np.flatnonzero(y_true), np.flatnonzero(~y_true)
        at_or_after = np.searchsorted(ranks_with_events, rank)
        is_tied = np.isin(rank, ranks_with_events)
        self._events = _ones(at_or_after[events], patient[events], shape)
        tied = others[is_tied[others]]
        self._tied = _ones(at_or_after[tied], patient[tied], shape)
        # A non-event enters the running sum with the first group that is strictly below it.
        enters = (at_or_after + is_tied)[others]
        is_above_some = enters < shape[0]
        self._entering = _ones(enters[is_above_some], patient[others[is_above_some]], shape)
        self._n_others = np.bincount(patient[others], minlength=n_patients).astype(np.float64)

    def counts(self, weights: FloatArray) -> EventCounts:
        """Sums of weights, of shape (n_patients, n_weightings)."""
        events = self._events @ weights
        return EventCounts(
            events=events,
            tied=self._tied @ weights,
            above=np.cumsum(self._entering @ weights, axis=0),
            n_events=events.sum(axis=0),
            n_others=self._n_others @ weights,
        )


def _ones(rows: IntArray, columns: IntArray, shape: tuple[int, int]) -> csr_array:
    return csr_array((np.ones(len(rows)), (rows, columns)), shape=shape)


def groups_of_repeats(aligned: AlignedPredictions, y_score: FloatArray) -> list[EventGroups]:
    """One ranking of all patients of each repeat, although several models scored them.

    Scores of two models have no common scale, and a score is compared with those of the same model only: patients are
    ranked by the proportion of their model's patients whom they are above (half of those they are tied with). The same
    proportion of each model's patients is then flagged first. An offset of a model changes nothing, and one model gives
    the ordinary ranking.

    The other way would be a curve of each fold, and the mean of the curves. Folds of few events do not allow it [1]_:
    one of five events has no point between the sensitivities 0.8 and 1, and an average precision far above that of many
    events. (200 patients, 26 events, AUROC 0.75: one model that scores all has an average precision of 0.36; of 5 folds
    the mean is 0.43, and this ranking gives 0.35. Of the partial AUROC it is 0.650, 0.693 and 0.650.)

    Two things to know: folds of unequal prevalence, such as sites, cannot reach an average precision of 1; and the
    ranking is part of the statistic, so that it stays the same in every resample.

    .. [1] Forman & Scholz, Apples-to-apples in cross-validation studies: pitfalls in classifier performance
           measurement, ACM SIGKDD Explorations 12, 2010, 10.1145/1882471.1882479.
    """
    below = count_below(aligned.y_true, y_score, models_of(aligned.repeat, aligned.fold))
    proportion_below = (below.events + below.others) / (below.n_events + below.n_others)
    return [_rank_rows(aligned, rows, -proportion_below[rows]) for rows in rows_of_repeats(aligned)]


def resampled(
    aligned: AlignedPredictions, measure: Callable[[EventCounts], FloatArray]
) -> Callable[[FloatArray], FloatArray]:
    """A measure of all arms, mean over repeats, from counts, shape (n_patients, n_draws), to (n_arms, n_draws).

    Folds are combined by :func:`groups_of_repeats`.
    """
    groups = [groups_of_repeats(aligned, y_score) for y_score in aligned.y_score]
    return lambda counts: np.stack([np.mean([measure(one.counts(counts)) for one in arm], axis=0) for arm in groups])


def groups_of_models(aligned: AlignedPredictions, y_score: FloatArray) -> list[list[EventGroups]]:
    """The ranking of each model by itself; a list for each repeat."""
    groups = []
    for of_repeat in rows_of_repeats(aligned):
        folds = aligned.fold[of_repeat]
        in_folds = [of_repeat[folds == fold] for fold in np.unique(folds)]
        groups.append([_rank_rows(aligned, rows, -y_score[rows]) for rows in in_folds])
    return groups


def _rank_rows(aligned: AlignedPredictions, rows: IntArray, key: FloatArray) -> EventGroups:
    rank = np.unique(key, return_inverse=True)[1]
    return EventGroups(aligned.y_true[rows], rank, aligned.patient[rows], aligned.n_patients)


def proportion(part: FloatArray, whole: FloatArray) -> FloatArray:
    """``part / whole``, NaN where the whole is nothing."""
    shape = np.broadcast_shapes(np.shape(part), np.shape(whole))
    return np.divide(part, whole, out=np.full(shape, np.nan), where=np.broadcast_to(whole, shape) > 0)


def average_precision(counts: EventCounts) -> FloatArray:
    """Mean over events of the precision at the event's score, patients who share it included [1]_.

    The precision-recall curve is not interpolated linearly, which would be too optimistic [2]_. Scores that know
    nothing reach about the prevalence, somewhat more in small samples. Returns a float array, shape (n_weightings,):
    NaN where there is no event.

    .. [1] Boyd, Eng & Page, Area under the precision-recall curve: point estimates and confidence intervals, ECML PKDD
           2013, 10.1007/978-3-642-40994-3_29.
    .. [2] Davis & Goadrich, The relationship between precision-recall and ROC curves, ICML 2006,
           10.1145/1143844.1143874.
    """
    events = np.cumsum(counts.events, axis=0)
    flagged = events + counts.above + counts.tied
    precision = np.divide(events, flagged, out=np.zeros_like(events), where=flagged > 0)
    return proportion((counts.events * precision).sum(axis=0), counts.n_events)


def partial_auroc(counts: EventCounts, min_sensitivity: float = MIN_SENSITIVITY) -> FloatArray:
    """Standardised area between the curve and the line of ``min_sensitivity``: specificity over sensitivity [1]_, [2]_.

    The area is ``A``, the integral of the specificity over sensitivities from ``min_sensitivity`` to 1, a tie being a
    sloped line. With ``w = 1 - min_sensitivity`` it is ``w`` of perfect scores and ``w**2 / 2`` of guessing; McClish's
    standardised area is ``(1 + (A - w**2 / 2) / (w - w**2 / 2)) / 2``, 1 for the one and 0.5 for the other. Returns a
    float array, shape (n_weightings,): NaN where there is no event or no non-event.

    ``min_sensitivity``: in 0..1; 0 gives the AUROC.

    .. [1] McClish, Analyzing a portion of the ROC curve, Medical Decision Making 9, 1989, 10.1177/0272989X8900900307.
    .. [2] Jiang, Metz & Nishikawa, A receiver operating characteristic partial area index for highly sensitive
           diagnostic tests, Radiology 201, 1996, 10.1148/radiology.201.3.8939225.
    """
    until = proportion(np.cumsum(counts.events, axis=0), counts.n_events)
    gained = proportion(counts.events, counts.n_events)
    cut_off = np.clip(min_sensitivity - (until - gained), 0.0, gained)
    left = proportion(counts.above, counts.n_others)
    right = proportion(counts.above + counts.tied, counts.n_others)
    # Where the line cuts through a tie, the part of the slope above it counts.
    below_line = np.divide(cut_off, gained, out=np.zeros_like(gained), where=gained > 0)
    left += (right - left) * below_line
    area = ((gained - cut_off) * (1 - (left + right) / 2)).sum(axis=0)
    area = np.where((counts.n_events > 0) & (counts.n_others > 0), area, np.nan)
    width = 1 - min_sensitivity
    of_guessing = width**2 / 2
    return np.asarray((1 + (area - of_guessing) / (width - of_guessing)) / 2)
