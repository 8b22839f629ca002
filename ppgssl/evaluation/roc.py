"""The ROC curve that belongs to the AUROC reported: its area is that number."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from ppgssl.errors import EvaluationError
from ppgssl.evaluation.auroc import check_scores
from ppgssl.records import BoolArray, FloatArray
from ppgssl.results import RocCurve


def stratified_roc(y_true: ArrayLike, y_score: ArrayLike, *, repeat: ArrayLike, fold: ArrayLike) -> RocCurve:
    """ROC curve of cross-validated predictions: the mean of the models' own curves.

    Curves are averaged vertically [1]_, true positive rate at each false positive rate, with the weights of
    :func:`ppgssl.evaluation.auroc.stratified_auroc` (pairs of the fold within its repeat, repeats alike). An integral
    of a weighted mean is the weighted mean of the integrals, so the area under this curve is exactly that AUROC. A
    single split gives the ordinary empirical curve; a tie is a sloped line.

    Parameters
    ----------
    y_true : array of 0/1, shape (n_rows,)
    y_score : float array, shape (n_rows,)
    repeat, fold : int array, shape (n_rows,)
        Which model scored the row.

    Returns
    -------
    RocCurve
        From (0, 0) to (1, 1); two points of the same false positive rate are a vertical line.

    Raises
    ------
    EvaluationError
        If the AUROC is not defined.

    References
    ----------
    .. [1] Fawcett, An introduction to ROC analysis, Pattern Recognition Letters 27, 2006,
           10.1016/j.patrec.2005.10.010.
    """
    y, score, repeats, folds = check_scores(y_true, y_score, repeat, fold)
    curves, weights = [], []
    for number in np.unique(repeats):
        of_repeat = [(y[rows], score[rows]) for rows in _rows_of_folds(repeats == number, folds)]
        pairs = np.array([float(events.sum()) * float((~events).sum()) for events, _ in of_repeat])
        if not pairs.any():
            raise EvaluationError(
                f"repeat {number} has no fold that tests both a patient with the event and one without: no ROC curve"
            )
        curves += [_curve(*rows) for rows, n_pairs in zip(of_repeat, pairs, strict=True) if n_pairs]
        weights += list(pairs[pairs > 0] / pairs.sum())
    return _vertical_mean(curves, np.array(weights) / len(np.unique(repeats)))


def _rows_of_folds(is_repeat: BoolArray, folds: np.ndarray) -> list[BoolArray]:
    return [is_repeat & (folds == fold) for fold in np.unique(folds[is_repeat])]


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
    return RocCurve(false_positive_rate=points[:, 0].tolist(), true_positive_rate=points[:, 1].tolist())


def _at(rates: FloatArray, fpr: FloatArray, lowest: FloatArray, highest: FloatArray, *, side: str) -> FloatArray:
    """True positive rate at each of ``rates``: at the foot (``left``) or the top (``right``) of a vertical line."""
    inner = np.interp(rates, *_polyline(fpr, lowest, highest))
    at_knot = np.searchsorted(fpr, rates)
    is_knot = fpr[at_knot] == rates
    return np.where(is_knot, (lowest if side == "left" else highest)[at_knot], inner)


def _polyline(fpr: FloatArray, lowest: FloatArray, highest: FloatArray) -> tuple[FloatArray, FloatArray]:
    return np.repeat(fpr, 2), np.column_stack([lowest, highest]).ravel()


def _corners(points: FloatArray) -> FloatArray:
    """The curve without repeated points and those inside a vertical or horizontal line: they change nothing."""
    points = points[np.append(True, (points[1:] != points[:-1]).any(axis=1))]
    stays = points[1:] == points[:-1]
    is_inside = (stays[1:] & stays[:-1]).any(axis=1)
    return points[np.concatenate([[True], ~is_inside, [True]])]
