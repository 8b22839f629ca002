"""Placements: of each prediction, how the patients of the other outcome lie around it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ppgssl.core.records import BoolArray, FloatArray, IntArray
from ppgssl.evaluation.predictions import AlignedPredictions


@dataclass(frozen=True)
class BelowCounts:
    """Of each row, the rows of the same model below it, a tie counting one half, and how many the model has.

    Attributes
    ----------
    events, others : float array, shape (n_rows,)
        Events below, non-events below.
    n_events, n_others : int array, shape (n_rows,)
        Of the row's model.
    """

    events: FloatArray
    others: FloatArray
    n_events: IntArray
    n_others: IntArray


def count_below(y_true: BoolArray, y_score: FloatArray, model: IntArray) -> BelowCounts:
    """Count by sorting once.

    Parameters
    ----------
    y_true : bool array, shape (n_rows,)
    y_score : float array, shape (n_rows,)
    model : int array, shape (n_rows,)
        Which model scored the row, numbered from 0; only rows of one model are compared.
    """
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
class Placements:
    """What every patient contributes to the AUROC of :mod:`ppgssl.evaluation.ranked_pairs`, of several arms.

    Attributes
    ----------
    arms : tuple of str
    won : float array, shape (n_arms, n_rows)
        Pairs of the row with a patient of the other outcome, same model, that are ranked rightly; a tie is one half.
    pairs : int array, shape (n_rows,)
        How many such pairs there are.
    repeat, patient : int array, shape (n_rows,)
        Numbered from 0.
    is_event : bool array, shape (n_patients,)
    """

    arms: tuple[str, ...]
    won: FloatArray
    pairs: IntArray
    repeat: IntArray
    patient: IntArray
    is_event: BoolArray

    @property
    def n_pairs(self) -> FloatArray:
        """Shape (n_repeats,)."""
        return np.bincount(self.repeat, self.pairs) / 2  # each pair is met from both its sides

    @property
    def auroc_of_repeats(self) -> FloatArray:
        """Shape (n_arms, n_repeats); NaN in a repeat without a pair."""
        won = np.stack([np.bincount(self.repeat, of_arm) / 2 for of_arm in self.won])
        return np.divide(won, self.n_pairs, out=np.full_like(won, np.nan), where=self.n_pairs > 0)

    @property
    def auroc(self) -> FloatArray:
        """Shape (n_arms,)."""
        return np.asarray(self.auroc_of_repeats.mean(axis=1))

    def influence(self) -> FloatArray:
        """Derivative of the AUROC by the weight of each patient: the infinitesimal jackknife.

        Of one repeat, ``(won - AUROC * pairs) / n_pairs`` of the patient's row, averaged over repeats. The sum over
        patients is 0. Of a single split it is DeLong's placement value minus the AUROC, over the number of patients
        with the same outcome.

        Returns
        -------
        float array, shape (n_arms, n_patients)
        """
        of_rows = (self.won - self.auroc_of_repeats[:, self.repeat] * self.pairs) / self.n_pairs[self.repeat]
        return self._sum_patients(of_rows) / len(self.n_pairs)

    def jackknife(self) -> FloatArray:
        """AUROC without each patient in turn.

        Returns
        -------
        float array, shape (n_arms, n_patients)
            NaN where nothing is left to compare.
        """
        won = np.stack([np.bincount(self.repeat, of_arm) / 2 for of_arm in self.won])
        left = (self.n_pairs[self.repeat] - self.pairs).astype(np.float64)
        without = np.divide(won[:, self.repeat] - self.won, left, out=np.full(self.won.shape, np.nan), where=left > 0)
        # A repeat that does not test the patient keeps its AUROC.
        changes = self._sum_patients(without - self.auroc_of_repeats[:, self.repeat]) / len(self.n_pairs)
        return self.auroc[:, None] + changes

    def _sum_patients(self, of_rows: FloatArray) -> FloatArray:
        return np.stack([np.bincount(self.patient, of_arm, len(self.is_event)) for of_arm in of_rows])


def place(aligned: AlignedPredictions) -> Placements:
    """Placements of all arms, of patients who are tested at most once in each repeat."""
    repeat = np.unique(aligned.repeat, return_inverse=True)[1]
    model = models_of(aligned.repeat, aligned.fold)
    won = np.empty(aligned.y_score.shape)
    for row, y_score in enumerate(aligned.y_score):
        below = count_below(aligned.y_true, y_score, model)
        won[row] = np.where(aligned.y_true, below.others, below.n_events - below.events)
    pairs = np.where(aligned.y_true, below.n_others, below.n_events)
    is_event = np.zeros(aligned.n_patients, dtype=bool)
    is_event[aligned.patient[aligned.y_true]] = True
    return Placements(aligned.arms, won, pairs, repeat, aligned.patient, is_event)


def models_of(repeat: IntArray, fold: IntArray) -> IntArray:
    """Number of each row's model, from 0, in the order of repeat and fold; shape (n_rows,)."""
    return np.asarray(np.unique(np.column_stack([repeat, fold]), axis=0, return_inverse=True)[1]).reshape(-1)
