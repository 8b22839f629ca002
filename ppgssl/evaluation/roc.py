"""The ROC curve that belongs to the AUROC reported: its area is that number; and a band around it."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from ppgssl.core.errors import EvaluationError
from ppgssl.core.records import BoolArray, FloatArray
from ppgssl.core.results.performance import RocCurve
from ppgssl.evaluation.predictions import AlignedPredictions
from ppgssl.evaluation.rank_measures import EventCounts, EventGroups, groups_of_models
from ppgssl.evaluation.ranked_pairs import check_scores
from ppgssl.evaluation.resampling import resample

# The band is computed at false positive rates in steps of 1 / 100, from so many resamples at most: a pointwise
# percentile does not need more, and results of many arms stay small.
_N_STEPS = 100
_MAX_RESAMPLES = 2000
# Points of a curve that the results keep. Beyond, neighbours are less than a printed pixel apart.
_MAX_POINTS = 2000


def stratified_roc(y_true: ArrayLike, y_score: ArrayLike, *, repeat: ArrayLike, fold: ArrayLike) -> RocCurve:
    """ROC curve of cross-validated predictions: the mean of the models' own curves.

    Curves are averaged vertically [1]_, true positive rate at each false positive rate, with the weights of
    :func:`ppgssl.evaluation.ranked_pairs.stratified_auroc` (pairs of the fold within its repeat, repeats alike). An
    integral of a weighted mean is the weighted mean of the integrals, so the area under this curve is exactly that
    AUROC. A single split gives the ordinary empirical curve; a tie is a sloped line. Returns a RocCurve: from (0, 0) to
    (1, 1); two points of the same false positive rate are a vertical line. A curve of more than 2,000 corners is
    thinned out to so many points, and the area exact no longer. Raises EvaluationError if the AUROC is not defined.

    Parameters
    ----------
    y_true : array of 0/1, shape (n_rows,)
    y_score : float array, shape (n_rows,)
    repeat, fold : int array, shape (n_rows,); which model scored the row

    .. [1] Fawcett, An introduction to ROC analysis, Pattern Recognition Letters 27, 2006,
           10.1016/j.patrec.2005.10.010.
    """
    y, score, repeats, folds = check_scores(y_true, y_score, repeat, fold)
    curves, weights = [], []
    for number in np.unique(repeats):
        in_repeat = repeats == number
        in_folds = [in_repeat & (folds == one) for one in np.unique(folds[in_repeat])]
        of_repeat = [(y[rows], score[rows]) for rows in in_folds]
        pairs = np.array([float(events.sum()) * float((~events).sum()) for events, _ in of_repeat])
        if not pairs.any():
            raise EvaluationError(
                f"repeat {number} has no fold that tests both a patient with the event and one without: no ROC curve"
            )
        curves += [_curve(*rows) for rows, n_pairs in zip(of_repeat, pairs, strict=True) if n_pairs]
        weights += list(pairs[pairs > 0] / pairs.sum())
    return _vertical_mean(curves, np.array(weights) / len(np.unique(repeats)))


def _curve(y: BoolArray, score: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """False positive rates, each once, with the lowest and the highest true positive rate there."""
    order = np.argsort(-score, kind="stable")
    y, score = y[order], score[order]
    last_of_tie = np.append(score[1:] != score[:-1], True)
    fpr = np.append(0.0, np.cumsum(~y)[last_of_tie] / (~y).sum())
    tpr = np.append(0.0, np.cumsum(y)[last_of_tie] / y.sum())
    rates, first = np.unique(fpr, return_index=True)
    return rates, tpr[first], tpr[np.append(first[1:], len(fpr)) - 1]


def _vertical_mean(curves: list[tuple[FloatArray, FloatArray, FloatArray]], weights: FloatArray) -> RocCurve:
    rates = np.unique(np.concatenate([fpr for fpr, _, _ in curves]))
    low, high = np.zeros(len(rates)), np.zeros(len(rates))
    for (fpr, lowest, highest), weight in zip(curves, weights, strict=True):
        # Left of a vertical line the curve ends at its foot, right of it the curve starts at its top.
        low += weight * _at(rates, fpr, lowest, highest, side="left")
        high += weight * _at(rates, fpr, lowest, highest, side="right")
    # The weights add up to 1 but for rounding.
    points = np.column_stack([np.repeat(rates, 2), np.clip(np.column_stack([low, high]).ravel(), 0.0, 1.0)])
    points[0, 1], points[-1, 1] = 0.0, 1.0
    points = _corners(points)
    if len(points) > _MAX_POINTS:
        points = points[np.linspace(0, len(points) - 1, _MAX_POINTS).round().astype(np.int64)]
    return RocCurve(false_positive_rate=points[:, 0].tolist(), true_positive_rate=points[:, 1].tolist())


def _at(rates: FloatArray, fpr: FloatArray, lowest: FloatArray, highest: FloatArray, *, side: str) -> FloatArray:
    """True positive rate at each of ``rates``: at the foot (``left``) or the top (``right``) of a vertical line."""
    inner = np.interp(rates, np.repeat(fpr, 2), np.column_stack([lowest, highest]).ravel())
    at_knot = np.searchsorted(fpr, rates)
    return np.where(fpr[at_knot] == rates, (lowest if side == "left" else highest)[at_knot], inner)


def _corners(points: FloatArray) -> FloatArray:
    """The curve without repeated points and those inside a vertical or horizontal line: they change nothing."""
    points = points[np.append(True, (points[1:] != points[:-1]).any(axis=1))]
    stays = points[1:] == points[:-1]
    is_inside = (stays[1:] & stays[:-1]).any(axis=1)
    return points[np.concatenate([[True], ~is_inside, [True]])]


def roc_curves(aligned: AlignedPredictions, *, n_resamples: int = 2000, seed: int) -> list[RocCurve]:
    """ROC curve of every arm with a band of pointwise 95 % percentile intervals, at each point of the curve.

    Patients are drawn as for the AUROC, the same draws for every arm, and the curve of each draw is that of
    :func:`stratified_roc`, at the top of a vertical line. The band is computed on a grid of 101 false positive rates
    and from 2,000 resamples at most. It shows where the sensitivity at one false positive rate may lie; a whole curve
    leaves a band of pointwise intervals more often than 1 time in 20. Returns a list of RocCurve: in the order of
    ``aligned.arms``.
    """
    curves = [
        stratified_roc(aligned.y_true, y_score, repeat=aligned.repeat, fold=aligned.fold) for y_score in aligned.y_score
    ]
    groups = [groups_of_models(aligned, y_score) for y_score in aligned.y_score]
    values = resample(
        lambda counts: np.concatenate([_sensitivities(of_arm, counts) for of_arm in groups]),
        [f"{arm} at {step}" for arm in aligned.arms for step in range(_N_STEPS + 1)],
        aligned.n_patients,
        n_resamples=min(n_resamples, _MAX_RESAMPLES),
        seed=seed,
    ).draws
    values = values[:, np.isfinite(values).all(axis=0)]
    if not values.shape[1]:
        return curves
    bands = np.quantile(values, [0.025, 0.975], axis=1).reshape(2, len(curves), _N_STEPS + 1)
    grid, found = np.linspace(0, 1, _N_STEPS + 1), []
    for number, curve in enumerate(curves):
        ci_low, ci_high = (np.interp(curve.false_positive_rate, grid, limit).tolist() for limit in bands[:, number])
        found.append(curve.model_copy(update={"ci_low": ci_low, "ci_high": ci_high}))
    return found


def _sensitivities(repeats: list[list[EventGroups]], counts: FloatArray) -> FloatArray:
    """True positive rate on the grid, shape (n_steps + 1, n_draws); NaN where some repeat has no pair."""
    of_repeats = []
    for models in repeats:
        pairs, hits = np.zeros(counts.shape[1]), np.zeros((_N_STEPS + 1, counts.shape[1]))
        for model in models:
            of_model = model.counts(counts)
            pairs += of_model.n_events * of_model.n_others
            hits += of_model.n_others * _events_found(of_model)
        of_repeats.append(np.divide(hits, pairs, out=np.full_like(hits, np.nan), where=pairs > 0))
    return np.asarray(np.mean(of_repeats, axis=0))


def _events_found(counts: EventCounts) -> FloatArray:
    """Events at or before each false positive rate of the grid; of a tie, the part up to there."""
    n_others = np.maximum(counts.n_others, 1)
    is_sloped = counts.tied > 0
    start = _first_step(counts.above, n_others)
    found = _sum_by_step(start, np.where(is_sloped, 0.0, counts.events))
    rows = np.flatnonzero(is_sloped.any(axis=1))
    if len(rows):
        # A slope that begins at a and ends at b is slope * ((x - a)+ - (x - b)+).
        events, above, tied = (
            np.where(is_sloped, one, 0.0)[rows] for one in (counts.events, counts.above, counts.tied)
        )
        slope = np.divide(events * n_others, tied, out=np.zeros_like(events), where=tied > 0)
        begin, end = above / n_others, (above + tied) / n_others
        end_step = _first_step(above + tied, n_others)
        grid = np.linspace(0, 1, _N_STEPS + 1)[:, None]
        rising = _sum_by_step(start[rows], slope) - _sum_by_step(end_step, slope)
        offset = _sum_by_step(start[rows], slope * begin) - _sum_by_step(end_step, slope * end)
        found += grid * rising - offset
    return found


def _first_step(others: FloatArray, n_others: FloatArray) -> np.ndarray:
    """First step of the grid at or after ``others / n_others``, in whole numbers so that equal is equal."""
    return -((-others * _N_STEPS).astype(np.int64) // n_others.astype(np.int64))


def _sum_by_step(step: np.ndarray, values: FloatArray) -> FloatArray:
    """Running sum over steps of the grid of values that begin to count at a step; per column."""
    n_columns = values.shape[1]
    flat = np.bincount((step * n_columns + np.arange(n_columns)).ravel(), values.ravel(), (_N_STEPS + 1) * n_columns)
    return np.cumsum(flat.reshape(_N_STEPS + 1, n_columns), axis=0)
