"""The one table that classifiers fill and statistics read: a row for each arm, repeat and tested patient."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ppgssl.core.errors import EvaluationError
from ppgssl.core.records import BoolArray, FloatArray, IntArray
from ppgssl.core.text import suggest

PREDICTION_COLUMNS = ("arm", "repeat", "fold", "patient_id", "y_true", "y_score")


@dataclass(frozen=True)
class AlignedPredictions:
    """Predictions of several arms for the same tests, in the same order.

    Attributes
    ----------
    y_score : float array, shape (n_arms, n_rows)
    y_true : bool array, shape (n_rows,)
    repeat, fold : int array, shape (n_rows,)
    patient : int array, shape (n_rows,); position in ``patient_ids``
    patient_ids : sorted, each once
    """

    arms: tuple[str, ...]
    y_score: FloatArray
    y_true: BoolArray
    repeat: IntArray
    fold: IntArray
    patient: IntArray
    patient_ids: tuple[str, ...]

    @property
    def n_patients(self) -> int:
        return len(self.patient_ids)

    @property
    def is_event(self) -> BoolArray:
        """Of each patient, shape (n_patients,)."""
        found = np.zeros(self.n_patients, dtype=bool)
        found[self.patient[self.y_true]] = True
        return found

    @property
    def n_events(self) -> int:
        """Patients with the event."""
        return int(self.is_event.sum())


def check_predictions(predictions: pd.DataFrame) -> None:
    """Refuse a table that no statistic could read.

    Raises EvaluationError if a column is absent, the table is empty, an outcome is not 0/1, a score is not a
    probability (logits are refused, not squashed), or a patient is predicted twice by the same arm in the same repeat.
    """
    absent = [name for name in PREDICTION_COLUMNS if name not in predictions.columns]
    if absent:
        raise EvaluationError(
            f"the predictions lack the column(s) {', '.join(absent)}; they need {', '.join(PREDICTION_COLUMNS)}"
        )
    if predictions.empty:
        raise EvaluationError("there are no predictions: no arm has tested a patient")
    if not predictions["y_true"].isin([0, 1]).all():
        raise EvaluationError("`y_true` of the predictions must be 0 or 1 in every row")
    is_wrong = ~predictions["y_score"].astype(float).between(0, 1)  # NaN is wrong too
    if is_wrong.any():
        arms = sorted(predictions["arm"][is_wrong].unique())
        raise EvaluationError(
            f"{int(is_wrong.sum())} score(s) of arm(s) {', '.join(map(str, arms))} are missing or outside 0..1: "
            "`y_score` is a probability"
        )
    repeated = predictions.duplicated(["arm", "repeat", "patient_id"])
    if repeated.any():
        first = predictions[repeated].iloc[0]
        raise EvaluationError(
            f"arm {first['arm']!r} predicts {int(repeated.sum())} patient(s) more than once in a repeat, "
            f"for example {first['patient_id']}: a patient is tested in one fold of each repeat"
        )


def align_predictions(predictions: pd.DataFrame, arms: Sequence[str]) -> AlignedPredictions:
    """Put the arms side by side, so that they can be compared patient by patient.

    Raises EvaluationError: see :func:`check_predictions`; or if an arm has no predictions, or the arms were not tested
    on the same patients in the same folds, or an outcome changes between rows of one patient.
    """
    _check_arms(predictions, arms)
    check_predictions(predictions)
    chosen = predictions[predictions["arm"].isin(list(arms))]
    codes, ids = pd.factorize(chosen["patient_id"].astype(str), sort=True)
    keys = np.column_stack([chosen["repeat"], chosen["fold"], codes, chosen["y_true"]]).astype(np.int64)
    tests, scores = _side_by_side(keys, chosen["arm"].to_numpy(), chosen["y_score"].to_numpy(dtype=float), arms)
    repeat, fold, patient, outcome = tests.T
    of_patient = pd.Series(outcome).groupby(patient)
    changing = np.flatnonzero(of_patient.min() != of_patient.max())
    if len(changing):
        raise EvaluationError(
            f"`y_true` differs between predictions of the same patient for {len(changing)} patient(s), "
            f"for example {ids[changing[0]]}"
        )
    return AlignedPredictions(tuple(arms), scores, outcome == 1, repeat, fold, patient, tuple(ids))


def _check_arms(predictions: pd.DataFrame, arms: Sequence[str]) -> None:
    if not arms:
        raise EvaluationError("no arm was named: there is nothing to evaluate")
    known = sorted(predictions["arm"].unique()) if "arm" in predictions.columns else []
    for arm in arms:
        if known and arm not in known:
            raise EvaluationError(f"arm {arm!r} has no predictions{suggest(arm, known)}; there are {', '.join(known)}")


def _side_by_side(
    keys: IntArray, arm_of_row: np.ndarray, scores: FloatArray, arms: Sequence[str]
) -> tuple[IntArray, FloatArray]:
    tests: IntArray | None = None
    columns = []
    for arm in arms:
        rows = np.flatnonzero(arm_of_row == arm)
        rows = rows[np.lexsort(keys[rows].T[::-1])]
        if tests is not None and not np.array_equal(keys[rows], tests):
            raise EvaluationError(
                f"arms {arms[0]!r} ({len(tests)} predictions) and {arm!r} ({len(rows)}) were not tested on the same "
                "patients in the same folds with the same outcomes: a paired comparison needs that. Evaluate all arms "
                "again on one set of folds."
            )
        tests = keys[rows]
        columns.append(scores[rows])
    assert tests is not None  # _check_arms refuses an empty list
    return tests, np.stack(columns)


def models_of(repeat: IntArray, fold: IntArray) -> IntArray:
    """Number of each row's model, from 0, in the order of repeat and fold; shape (n_rows,)."""
    return np.asarray(np.unique(np.column_stack([repeat, fold]), axis=0, return_inverse=True)[1]).reshape(-1)


def rows_of_repeats(aligned: AlignedPredictions) -> list[IntArray]:
    """Rows of each repeat of a cross-validation, in which each patient has at most one row."""
    return [np.flatnonzero(aligned.repeat == repeat) for repeat in np.unique(aligned.repeat)]


def mean_over_repeats(
    aligned: AlignedPredictions, statistic: Callable[[int, IntArray, FloatArray], FloatArray]
) -> Callable[[FloatArray], FloatArray]:
    """A statistic that pools the folds of a repeat, as :func:`ppgssl.evaluation.resampling.resample` takes it.

    Returns a callable: from counts, shape (n_patients, n_draws), to the mean over repeats. A statistic that is not
    defined in one repeat is not defined: means over different repeats would not compare.

    Parameters
    ----------
    statistic : from the number of a repeat (0, 1, ...), its rows and their weights, shape (n_rows_of_repeat, n_draws),
        to values of shape (n_values, n_draws), NaN where not defined
    """
    rows = rows_of_repeats(aligned)

    def averaged(counts: FloatArray) -> FloatArray:
        total = statistic(0, rows[0], counts[aligned.patient[rows[0]]])
        for number, of_repeat in enumerate(rows[1:], start=1):
            total = total + statistic(number, of_repeat, counts[aligned.patient[of_repeat]])
        return np.asarray(total / len(rows))

    return averaged
