"""Linear probes: how much of a quantity can be read off frozen features by a straight line."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from sklearn.impute import SimpleImputer
from sklearn.linear_model import RidgeCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler
from threadpoolctl import threadpool_limits

from ppgssl.core.errors import EvaluationError
from ppgssl.core.records import FloatArray
from ppgssl.evaluation.resampling import Replicates, resample, resample_means

# Ridge penalties on standardised columns, in half decades: from next to none to all slopes next to zero.
PENALTIES = tuple(10.0 ** (half / 2) for half in range(-4, 13))


@dataclass(frozen=True)
class ProbeScores:
    """How well each set of features predicts one quantity, on the same patients.

    ``r2``: 1 - (sum of squared errors) / (sum of squared distances from the mean over the patients tested). ``mae``:
    mean absolute error, in the unit of the quantity.
    """

    r2: Replicates
    mae: Replicates


def linear_probe(X_train: FloatArray, y_train: FloatArray, X_test: FloatArray) -> FloatArray:
    """Ridge regression of a quantity on features, fitted to training patients; predictions of test patients.

    Missing features become the median, all features are standardised, and the penalty is chosen by leave-one-out
    cross-validation: all three on training patients alone. A test patient's feature beyond what any training patient
    has is moved to the edge of that range: else one odd recording, far out on a line that nobody there supports, would
    decide the R2 of all. A linear probe with its penalty chosen is the customary measure of what a representation holds
    [1]_: what it cannot read may be there, but not in the open. Returns a float array, shape (n_test_patients,). Raises
    EvaluationError if rows and values do not match, there are fewer than three training patients, or a value is not
    finite.

    ``X_train``, ``X_test``: float arrays, shape (n_patients, n_features); missing features are NaN. ``y_train``: float
    array, shape (n_train_patients,).

    .. [1] Alain and Bengio, Understanding intermediate layers using linear classifier probes, ICLR 2017 workshop,
       arXiv:1610.01644.
    """
    if len(X_train) != len(y_train) or len(y_train) < 3 or not np.isfinite(y_train).all():
        raise EvaluationError(
            f"a linear probe needs three training patients or more, each with a value; it was given {len(X_train)} "
            f"rows of features and {int(np.isfinite(y_train).sum())} values"
        )
    probe = make_pipeline(
        SimpleImputer(strategy="median", keep_empty_features=True),
        MinMaxScaler(clip=True),
        StandardScaler(),
        RidgeCV(PENALTIES),
    )
    with threadpool_limits(1):  # many small systems
        probe.fit(np.asarray(X_train, dtype=np.float64), np.asarray(y_train, dtype=np.float64))
        return np.asarray(probe.predict(np.asarray(X_test, dtype=np.float64)))


def assess_probes(
    y_true: FloatArray, predictions: Mapping[str, FloatArray], *, n_resamples: int = 2000, seed: int
) -> ProbeScores:
    """R2 and mean absolute error of several probes with patient-level bootstrap intervals, paired.

    Every patient was predicted by a probe that was fitted without the patient; predictions of all folds are pooled, and
    the R2 is that of the pool: 0 is what the mean over all patients tested would reach, which no probe knew beforehand,
    so that useless features come out somewhat below. It is not the mean of the R2 of the folds, which a fold of similar
    patients could drag down without limit. Of several repeats of the cross-validation the squared (for the MAE, the
    absolute) errors of a patient are averaged, which is the mean of the R2 over repeats. The intervals show how the
    numbers of these probes vary with the patients tested. Raises EvaluationError if shapes do not match, a number is
    not finite, all patients have the same value, or there are fewer than two.

    ``y_true``: float array, shape (n_patients,). ``predictions``: mapping of name to float array, shape (n_patients,)
    or (n_repeats, n_patients).
    """
    y = np.asarray(y_true, dtype=np.float64)
    errors = _errors(y, predictions)
    if len(y) < 2 or y.min() == y.max():
        raise EvaluationError(f"R2 is not defined: {len(y)} patients with {len(np.unique(y))} different value(s)")
    centred = y - y.mean()
    squared = np.stack([(error**2).mean(axis=0) for error in errors.values()])
    absolute = np.stack([np.abs(error).mean(axis=0) for error in errors.values()])

    def r2(counts: FloatArray) -> FloatArray:
        total = centred**2 @ counts - (centred @ counts) ** 2 / len(y)
        total = np.where(total > 1e-12 * (centred**2).sum(), total, np.nan)  # a draw of one patient, many times
        return np.asarray(1 - squared @ counts / total)

    return ProbeScores(
        r2=resample(r2, list(errors), len(y), n_resamples=n_resamples, seed=seed),
        mae=resample_means(list(errors), absolute, n_resamples=n_resamples, seed=seed),
    )


def _errors(y: FloatArray, predictions: Mapping[str, FloatArray]) -> dict[str, FloatArray]:
    """Errors of each probe, shape (n_repeats, n_patients)."""
    errors: dict[str, FloatArray] = {}
    for name, predicted in predictions.items():
        of_repeats = np.atleast_2d(np.asarray(predicted, dtype=np.float64))
        if of_repeats.ndim != 2 or of_repeats.shape[1] != len(y):
            raise EvaluationError(
                f"the predictions of {name!r} have the shape {np.shape(predicted)}; {len(y)} patients need "
                f"({len(y)},) or (n_repeats, {len(y)})"
            )
        errors[name] = of_repeats - y
        if not np.isfinite(errors[name]).all():
            raise EvaluationError(f"some values or predictions of {name!r} are not finite: leave those patients out")
    return errors
