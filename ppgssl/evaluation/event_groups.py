"""Events in the order of their risk, and the non-events before them, for many weightings of patients at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array

from ppgssl.core.records import BoolArray, FloatArray, IntArray
from ppgssl.evaluation.placements import count_below, models_of
from ppgssl.evaluation.predictions import AlignedPredictions


@dataclass(frozen=True)
class EventCounts:
    """Weights of each group of events that share a rank, highest risk first.

    Attributes
    ----------
    events, tied, above : float array, shape (n_groups, n_weightings)
        Events in the group; non-events of the same rank; non-events of a strictly higher rank.
    n_events, n_others : float array, shape (n_weightings,)
        Of all rows.
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
    rank : int array, shape (n_rows,)
        0 for the highest risk; equal ranks are a tie.
    patient : int array, shape (n_rows,)
        Position of each row's patient among the weights.
    n_patients : int
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
    ranked by the share of their model's patients whom they are above (half of those they are tied with). The same share
    of each model's patients is then flagged first. An offset of a model changes nothing, and one model gives the
    ordinary ranking.

    The other way would be a curve of each fold, and the mean of the curves. Folds of few events do not allow it [1]_:
    one of five events has no point between the sensitivities 0.8 and 1, and an average precision far above that of many
    events. (200 patients, 26 events, AUROC 0.75: one model that scores all has an average precision of 0.36; of 5 folds
    the mean is 0.43, and this ranking gives 0.35. Of the partial AUROC it is 0.650, 0.693 and 0.650.)

    Two things to know: folds of unequal prevalence, such as sites, cannot reach an average precision of 1; and the
    ranking is part of what is judged, so that it stays the same in every resample.

    References
    ----------
    .. [1] Forman & Scholz, Apples-to-apples in cross-validation studies: pitfalls in classifier performance
           measurement, ACM SIGKDD Explorations 12, 2010, 10.1145/1882471.1882479.
    """
    below = count_below(aligned.y_true, y_score, models_of(aligned.repeat, aligned.fold))
    share_below = (below.events + below.others) / (below.n_events + below.n_others)
    groups = []
    for repeat in np.unique(aligned.repeat):
        rows = np.flatnonzero(aligned.repeat == repeat)
        rank = np.unique(-share_below[rows], return_inverse=True)[1]
        groups.append(EventGroups(aligned.y_true[rows], rank, aligned.patient[rows], aligned.n_patients))
    return groups


def resampled(
    aligned: AlignedPredictions, measure: Callable[[EventCounts], FloatArray]
) -> Callable[[FloatArray], FloatArray]:
    """A measure of all arms under resampling, mean over repeats; folds are combined by :func:`groups_of_repeats`.

    Returns
    -------
    callable
        From counts, shape (n_patients, n_draws), to values, shape (n_arms, n_draws).
    """
    groups = [groups_of_repeats(aligned, y_score) for y_score in aligned.y_score]
    return lambda counts: np.stack([np.mean([measure(one.counts(counts)) for one in arm], axis=0) for arm in groups])


def groups_of_models(aligned: AlignedPredictions, y_score: FloatArray) -> list[list[EventGroups]]:
    """The ranking of each model by itself; a list for each repeat."""
    groups = []
    for repeat in np.unique(aligned.repeat):
        is_repeat = aligned.repeat == repeat
        of_repeat = []
        for fold in np.unique(aligned.fold[is_repeat]):
            rows = np.flatnonzero(is_repeat & (aligned.fold == fold))
            rank = np.unique(-y_score[rows], return_inverse=True)[1]
            of_repeat.append(EventGroups(aligned.y_true[rows], rank, aligned.patient[rows], aligned.n_patients))
        groups.append(of_repeat)
    return groups


def share(part: FloatArray, whole: FloatArray) -> FloatArray:
    """``part / whole``, NaN where the whole is nothing."""
    shape = np.broadcast_shapes(np.shape(part), np.shape(whole))
    return np.divide(part, whole, out=np.full(shape, np.nan), where=np.broadcast_to(whole, shape) > 0)
