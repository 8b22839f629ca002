"""Area under the ROC curve, of one model or of the many models of a repeated cross-validation.

Cross-validation makes a model per fold, and each model has its own offset: when a fold happens to test more events,
its model was trained on fewer and scores everybody lower. Pooling scores over folds compares patients across models
and so ranks events too low: a model that knows nothing falls below 0.5 [1]_, [2]_. Here an event and a non-event are
therefore compared only if the same model scored both:

    AUROC = mean over repeats of  sum_f U_f / sum_f (events_f * non-events_f)

with ``U_f`` the Mann-Whitney count of fold f, a tie counting one half [3]_. Folds weigh by their number of pairs, so a
fold with two events does not count as much as one with six; the models of a single split give the ordinary AUROC.

.. [1] Airola et al., An experimental comparison of cross-validation techniques for estimating the area under the ROC
       curve, Computational Statistics & Data Analysis 55, 2011, 10.1016/j.csda.2010.11.018.
.. [2] LeDell, Petersen & van der Laan, Computationally efficient confidence intervals for cross-validated area under
       the ROC curve estimates, Electronic Journal of Statistics 9, 2015, 10.1214/15-EJS1035.
.. [3] Hanley & McNeil, The meaning and use of the area under a ROC curve, Radiology 143, 1982,
       10.1148/radiology.143.1.7063747.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy.sparse import csr_array

from ppgssl.core.errors import EvaluationError
from ppgssl.core.records import BoolArray, FloatArray, IntArray
from ppgssl.core.results.base import Interval
from ppgssl.evaluation.predictions import AlignedPredictions
from ppgssl.evaluation.resampling import Replicates, counts_dtype, resample

# Rows that one matrix product sums up.
_GROUP = 32


class RankedPairs:
    """The scores of one arm, sorted once, so that the AUROC of many weightings of its patients is cheap.

    Events with no non-event among or between them are one *run*. What a run wins are the non-events below it, and half
    of those that share its score. A weighting costs two sparse products (runs x patients) and one cumulative sum over
    runs, of which there are at most as many as events.

    Parameters
    ----------
    y_true : bool array, shape (n_rows,)
    y_score : float array, shape (n_rows,); higher means more risk
    repeat, fold : int array, shape (n_rows,); rows are compared only within the same repeat and fold
    patient : int array, shape (n_rows,); position of each row's patient among the weights
    dtype : of the weights to come. Whole numbers are exact in 32 bits while twice their sum over all rows stays below
        2**24; they take half the time.
    """

    def __init__(
        self,
        y_true: BoolArray,
        y_score: FloatArray,
        *,
        repeat: IntArray,
        fold: IntArray,
        patient: IntArray,
        n_patients: int,
        dtype: type[np.floating] = np.float64,
    ) -> None:
        order = np.lexsort([y_score, fold, repeat])
        y, score, patient = y_true[order], y_score[order], patient[order]
        new_repeat = _changes(repeat[order])
        new_fold = _changes(fold[order]) | new_repeat
        event_row, other_row, is_tied = _rows_of_runs(y, new_fold, new_fold | _changes(score))
        # The last row of a fold holds no event, but the non-events above all its events.
        self._fold_ends = event_row[np.append(np.flatnonzero(new_fold)[1:] - 1, len(y) - 1)] + 1
        n_rows = int(self._fold_ends[-1]) + 1
        shape = (n_rows + -n_rows % _GROUP, n_patients)
        self._events = csr_array((np.ones(int(y.sum()), dtype), (event_row[y], patient[y])), shape=shape)
        # A tied non-event counts half below the run it is tied with, and whole from the next run on.
        rows = np.concatenate([other_row[~y], other_row[~y & is_tied] + 1])
        portions = np.concatenate([np.where(is_tied[~y], 0.5, 1.0), np.full(int((~y & is_tied).sum()), 0.5)])
        columns = np.concatenate([patient[~y], patient[~y & is_tied]])
        self._others = csr_array((portions.astype(dtype), (rows, columns)), shape=shape)
        self._fold_starts = np.append(0, self._fold_ends[:-1] + 1)
        self._repeat_starts = np.cumsum(new_fold)[new_repeat] - 1
        self._triangle = np.tri(_GROUP, dtype=dtype)

    def auroc(self, weights: FloatArray) -> FloatArray:
        """AUROC of each weighting.

        Returns a float array, shape (n_weightings,): NaN where some repeat has no pair to compare.

        ``weights``: float array, shape (n_patients, n_weightings); how often each patient counts, at least 0.
        """
        events = self._events @ weights
        below = self._running_sums(self._others @ weights)
        # Products of counts need 64 bits, whatever the counts need.
        won = self._sum_folds(np.multiply(events, below, dtype=np.float64))
        events_of_fold = self._sum_folds(events).astype(np.float64)
        until_fold_end = below[self._fold_ends].astype(np.float64)
        before_fold = np.concatenate([np.zeros_like(until_fold_end[:1]), until_fold_end[:-1]])
        won -= events_of_fold * before_fold
        pairs = events_of_fold * (until_fold_end - before_fold)
        won, pairs = (np.add.reduceat(counts, self._repeat_starts, axis=0) for counts in (won, pairs))
        area = np.divide(won, pairs, out=np.full_like(won, np.nan), where=pairs > 0)
        return area.mean(axis=0)

    def _running_sums(self, of_rows: FloatArray) -> FloatArray:
        """Cumulative sums over rows, whose number is a multiple of the group; a matrix product is the fastest way."""
        groups = of_rows.reshape(-1, _GROUP, of_rows.shape[1])
        sums = np.matmul(self._triangle, groups)
        sums[1:] += np.cumsum(sums[:-1, -1], axis=0)[:, None]
        return sums.reshape(of_rows.shape)

    def _sum_folds(self, of_rows: FloatArray) -> FloatArray:
        return np.add.reduceat(of_rows, self._fold_starts, axis=0)


def _changes(sorted_values: np.ndarray) -> BoolArray:
    """True where a value differs from the one before; True for the first."""
    return np.concatenate([[True], sorted_values[1:] != sorted_values[:-1]])


def _rows_of_runs(y: BoolArray, new_fold: BoolArray, new_tie: BoolArray) -> tuple[IntArray, IntArray, BoolArray]:
    """Of rows sorted by fold and score: the run of each event, the first run above each non-event or tied with it.

    A fold's runs are numbered upwards, one further number stands for what is above them all. The third array is
    true where its tie holds both events and non-events.
    """
    tie = np.cumsum(new_tie) - 1
    tie_starts = np.flatnonzero(new_tie)
    has_event = np.logical_or.reduceat(y, tie_starts)
    has_other = np.logical_or.reduceat(~y, tie_starts)
    is_first = new_fold[tie_starts]
    follows_events = np.concatenate([[False], (has_event & ~has_other)[:-1]]) & ~is_first
    opens_run = has_event & (has_other | ~follows_events)
    n_opened = np.cumsum(opens_run) + np.cumsum(is_first) - 1
    return (n_opened - 1)[tie], (n_opened - opens_run)[tie], (has_event & has_other)[tie]


def auroc(y_true: ArrayLike, y_score: ArrayLike, weights: ArrayLike | None = None) -> float:
    """Area under the ROC curve: the chance that an event scores above a non-event, ties counting one half.

    Raises EvaluationError if shapes differ, a value is not finite, or there is no event or no non-event (of weight over
    0).

    Parameters
    ----------
    y_true : array of 0/1, shape (n_rows,); event indicator
    y_score : float array, shape (n_rows,); higher means more risk; any scale
    weights : float array, shape (n_rows,), optional; how often each row counts, at least 0
    """
    n_rows = len(np.asarray(y_true))
    one = np.zeros(n_rows, dtype=np.int64)
    return stratified_auroc(y_true, y_score, repeat=one, fold=one, weights=weights)


def stratified_auroc(
    y_true: ArrayLike, y_score: ArrayLike, *, repeat: ArrayLike, fold: ArrayLike, weights: ArrayLike | None = None
) -> float:
    """AUROC of cross-validated predictions, from pairs that the same model scored; see the module's head.

    Raises EvaluationError: as in :func:`auroc`; also if in some repeat no fold holds both an event and a non-event.

    Parameters
    ----------
    y_true, y_score, weights : as in :func:`auroc`, one row for each patient and repeat
    repeat, fold : int array, shape (n_rows,)
        Which model scored the row. A fold without an event, or without a non-event, has no pair and does not count.
    """
    y, score, repeats, folds = check_scores(y_true, y_score, repeat, fold)
    weight = np.ones(len(y)) if weights is None else _check_weights(weights, len(y))
    pairs = RankedPairs(y, score, repeat=repeats, fold=folds, patient=np.arange(len(y)), n_patients=len(y))
    value = float(pairs.auroc(weight[:, None])[0])
    if np.isnan(value):
        raise EvaluationError(
            f"the AUROC of these {len(y)} predictions ({int(y.sum())} of patients with the event) is not defined: it "
            "needs, in every repeat, a fold that tests at least one patient with the event and one without"
        )
    return value


def rank_arms(aligned: AlignedPredictions, rows: IntArray | None = None) -> list[RankedPairs]:
    """The scores of each arm, of all rows or of some, sorted for many weightings of the patients."""
    chosen = np.arange(len(aligned.patient)) if rows is None else rows
    return [
        RankedPairs(
            aligned.y_true[chosen],
            scores[chosen],
            repeat=aligned.repeat[chosen],
            fold=aligned.fold[chosen],
            patient=aligned.patient[chosen],
            n_patients=aligned.n_patients,
            dtype=counts_dtype(len(aligned.patient)),
        )
        for scores in aligned.y_score
    ]


def resample_auroc(aligned: AlignedPredictions, *, n_resamples: int = 2000, seed: int) -> Replicates:
    """AUROC of every arm with its resamples; see :mod:`ppgssl.evaluation.resampling` for what an interval covers.

    Events are not held fixed: their number varies as in a new sample of patients. Raises EvaluationError if an AUROC is
    not defined, or there is nothing to resample.
    """
    ranked = rank_arms(aligned)
    found = resample(
        lambda counts: np.stack([pairs.auroc(counts) for pairs in ranked]),
        aligned.arms,
        aligned.n_patients,
        n_resamples=n_resamples,
        seed=seed,
        n_rows=len(aligned.patient),
    )
    if np.isnan(found.estimates).any():
        raise EvaluationError(
            f"the AUROC of {aligned.n_patients} patients, {aligned.n_events} with the event, is not defined: in some "
            "repeat no fold tests both a patient with the event and one without"
        )
    return found


def bootstrap_scores(y_true: ArrayLike, y_score: ArrayLike, *, n_resamples: int = 2000, seed: int) -> Interval:
    """AUROC of one score for each patient, on any scale, with its percentile interval; refuses what :func:`auroc` does.

    ``y_true``: array of 0/1, shape (n_patients,). ``y_score``: float array, shape (n_patients,).
    """
    auroc(y_true, y_score)
    n = len(np.asarray(y_true))
    one = np.zeros(n, dtype=np.int64)
    y, score, _, _ = check_scores(y_true, y_score, one, one)
    aligned = AlignedPredictions(("score",), score[None], y, one, one, np.arange(n), tuple(map(str, range(n))))
    return resample_auroc(aligned, n_resamples=n_resamples, seed=seed).interval("score")


def check_scores(
    y_true: ArrayLike, y_score: ArrayLike, repeat: ArrayLike, fold: ArrayLike
) -> tuple[BoolArray, FloatArray, IntArray, IntArray]:
    """The four columns as arrays of one length.

    Raises EvaluationError if they are empty, differ in length, hold an outcome other than 0/1, or a score that is not
    finite.
    """
    y, score = np.asarray(y_true), np.asarray(y_score, dtype=float)
    repeats, folds = np.asarray(repeat), np.asarray(fold)
    shapes = {y.shape, score.shape, repeats.shape, folds.shape}
    if len(shapes) > 1 or y.ndim != 1 or not len(y):
        raise EvaluationError(
            f"outcomes {y.shape}, scores {score.shape}, repeats {repeats.shape} and folds {folds.shape} must be "
            "one-dimensional, of one length, and not empty"
        )
    if not np.isin(y, (0, 1)).all():
        raise EvaluationError("outcomes must be 0 or 1; leave out patients without an outcome first")
    if not np.isfinite(score).all():
        raise EvaluationError(f"{int((~np.isfinite(score)).sum())} of {len(score)} scores are missing or infinite")
    return y.astype(bool), score, repeats.astype(np.int64), folds.astype(np.int64)


def _check_weights(weights: ArrayLike, n_rows: int) -> FloatArray:
    weight = np.asarray(weights, dtype=float)
    if weight.shape != (n_rows,) or not np.isfinite(weight).all() or (weight < 0).any():
        raise EvaluationError(f"weights must be {n_rows} finite numbers of at least 0, one for each prediction")
    return weight
