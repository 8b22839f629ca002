"""Linear probes: how much of a quantity can be read off frozen features by a straight line."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge, RidgeCV
from sklearn.model_selection import GroupKFold, StratifiedGroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler
from threadpoolctl import threadpool_limits

from ppgssl.core.errors import EvaluationError
from ppgssl.core.records import FloatArray
from ppgssl.evaluation.ranked_pairs import RankedPairs
from ppgssl.evaluation.resampling import Replicates, resample, resample_means

# Ridge penalties on standardised columns, in half decades: from next to none to all slopes next to zero.
PENALTIES = tuple(10.0 ** (half / 2) for half in range(-4, 13))
# Of logistic regression, the inverse of the penalty, the strongest first.
COSTS = (1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0)
_N_INNER = 5


@dataclass(frozen=True)
class ProbeScores:
    """How well each set of features predicts one quantity, on the same patients.

    ``r2``: 1 - (sum of squared errors) / (sum of squared distances from the mean over the patients tested). ``mae``:
    mean absolute error, in the unit of the quantity. ``r2_within``, of segments: the R2 left when each patient's mean
    is taken from values and predictions; None where no patient has two different values.
    """

    r2: Replicates
    mae: Replicates
    r2_within: Replicates | None = None


def linear_probe(
    X_train: FloatArray, y_train: FloatArray, X_test: FloatArray, patient: np.ndarray | None = None
) -> FloatArray:
    """Ridge regression of a quantity on features, fitted to training patients; predictions of test patients.

    Missing features become the median, all features are standardised, and the penalty is chosen by leave-one-out
    cross-validation: all three on training patients alone. A test patient's feature beyond what any training patient
    has is moved to the edge of that range: else one odd recording, far out on a line that nobody there supports, would
    decide the R2 of all. A linear probe with its penalty chosen is the customary measure of what a representation holds
    [1]_: what it cannot read may be there, but not in the open. Returns a float array, shape (n_test_patients,). Raises
    EvaluationError if rows and values do not match, there are fewer than three training patients, or a value is not
    finite.

    ``X_train``, ``X_test``: float arrays, shape (n_patients, n_features); missing features are NaN. ``y_train``: float
    array, shape (n_train_patients,). ``patient``, where rows are segments: whose each training row is; the penalty is
    then chosen with patients left out, five groups of them in turn, since segments of one patient are near copies.

    .. [1] Alain and Bengio, Understanding intermediate layers using linear classifier probes, ICLR 2017 workshop,
       arXiv:1610.01644.
    """
    if len(X_train) != len(y_train) or len(y_train) < 3 or not np.isfinite(y_train).all():
        raise EvaluationError(
            f"a linear probe needs three training patients or more, each with a value; it was given {len(X_train)} "
            f"rows of features and {int(np.isfinite(y_train).sum())} values"
        )
    y = np.asarray(y_train, dtype=np.float64)
    with threadpool_limits(1):  # many small systems
        X, tested = _scaled(X_train, X_test)
        probe = RidgeCV(PENALTIES) if patient is None else Ridge(_penalty_by_patients(X, y, patient))
        return np.asarray(probe.fit(X, y).predict(tested))


def logistic_probe(X_train: FloatArray, y_train: FloatArray, X_test: FloatArray, patient: np.ndarray) -> FloatArray:
    """The same of segments of two kinds, 0 and 1: the probability of the second by ridge logistic regression.

    The penalty is the one of least log loss in patients left out. Raises EvaluationError if fewer than two training
    patients hold segments of either kind.
    """
    y = np.asarray(y_train).astype(int)
    n_groups = min(_N_INNER, *(len(np.unique(patient[y == kind])) for kind in (0, 1)))
    if n_groups < 2:
        raise EvaluationError("a probe of two kinds of segments needs two training patients or more with each kind")
    with threadpool_limits(1):
        X, tested = _scaled(X_train, X_test)
        losses = np.zeros(len(COSTS))
        for inside, outside in StratifiedGroupKFold(n_groups).split(X, y, patient):
            model = LogisticRegression(warm_start=True, max_iter=1000)
            for number, cost in enumerate(COSTS if len(np.unique(y[inside])) > 1 else ()):
                of_true = model.set_params(C=cost).fit(X[inside], y[inside]).predict_proba(X[outside])
                losses[number] -= np.log(np.maximum(of_true[np.arange(len(outside)), y[outside]], 1e-12)).sum()
        model = LogisticRegression(C=COSTS[int(np.argmin(losses))], max_iter=1000)
        return np.asarray(model.fit(X, y).predict_proba(tested)[:, 1])


def _scaled(X_train: FloatArray, X_test: FloatArray) -> tuple[FloatArray, FloatArray]:
    scaler = make_pipeline(
        SimpleImputer(strategy="median", keep_empty_features=True), MinMaxScaler(clip=True), StandardScaler()
    )
    X = scaler.fit_transform(np.asarray(X_train, dtype=np.float64))
    return X, scaler.transform(np.asarray(X_test, dtype=np.float64))


def _penalty_by_patients(X: FloatArray, y: FloatArray, patient: np.ndarray) -> float:
    """The penalty of least squared error in patients left out; one decomposition a group serves all penalties."""
    n_groups = min(_N_INNER, len(np.unique(patient)))
    if n_groups < 2:
        raise EvaluationError("a linear probe of segments needs those of two training patients or more")
    errors = np.zeros(len(PENALTIES))
    for inside, outside in GroupKFold(n_groups).split(X, y, patient):
        centre, level = X[inside].mean(axis=0), y[inside].mean()
        rows = X[inside] - centre
        values, vectors = np.linalg.eigh(rows.T @ rows)
        turned = vectors.T @ (rows.T @ (y[inside] - level))
        slopes = turned[:, None] / (np.maximum(values, 0.0)[:, None] + np.array(PENALTIES))
        predicted = level + (X[outside] - centre) @ vectors @ slopes
        errors += ((predicted - y[outside, None]) ** 2).sum(axis=0)
    return float(PENALTIES[int(np.argmin(errors))])


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
    squared = np.stack([(error**2).mean(axis=0) for error in errors.values()])
    absolute = np.stack([np.abs(error).mean(axis=0) for error in errors.values()])
    return ProbeScores(
        r2=_resample_r2(list(errors), squared, y, y**2, n_resamples=n_resamples, seed=seed),
        mae=resample_means(list(errors), absolute, n_resamples=n_resamples, seed=seed),
    )


def _resample_r2(
    names: list[str], squared: FloatArray, mean: FloatArray, mean_square: FloatArray, *, n_resamples: int, seed: int
) -> Replicates:
    """R2 from each patient's mean squared error, (n_names, n_patients), and the mean of the true values and squares."""
    centre = mean.mean()
    mean, mean_square = mean - centre, mean_square - 2 * centre * mean + centre**2

    def r2(counts: FloatArray) -> FloatArray:
        total = mean_square @ counts - (mean @ counts) ** 2 / len(mean)
        total = np.where(total > 1e-12 * mean_square.sum(), total, np.nan)  # a draw of one patient, many times
        return np.asarray(1 - squared @ counts / total)

    return resample(r2, names, len(mean), n_resamples=n_resamples, seed=seed)


def segment_errors(y_true: FloatArray, predicted: FloatArray, patient: np.ndarray) -> pd.DataFrame:
    """Each patient's mean ``squared`` and ``absolute`` error over segments, and the variance of the error ``within``.

    All of shape (n_segments,). Returns a DataFrame whose index are the patients, sorted.
    """
    error = pd.Series(np.asarray(predicted, dtype=np.float64) - y_true)
    groups = pd.DataFrame({"squared": error**2, "absolute": error.abs(), "error": error}).groupby(np.asarray(patient))
    means = groups.mean()
    return means.assign(within=groups["error"].var(ddof=0))[["squared", "absolute", "within"]]


def assess_segments(
    y_true: FloatArray,
    patient: np.ndarray,
    errors: Mapping[str, pd.DataFrame],
    *,
    n_resamples: int = 2000,
    seed: int,
) -> ProbeScores:
    """The same of a quantity that is known for segments: patients are drawn, and each weighs the same.

    The R2 compares the mean over patients of the mean squared error of a patient's segments with the variance of the
    values, segments of a patient weighing one over their number. Raises EvaluationError if patients do not match, there
    are fewer than two, or all values are the same.

    ``y_true``, ``patient``: shape (n_segments,). ``errors``: mapping of name to what :func:`segment_errors` gave; of
    several repeats their mean.
    """
    values = pd.Series(np.asarray(y_true, dtype=np.float64)).groupby(np.asarray(patient))
    mean, spread = values.mean(), values.var(ddof=0)
    for name, table in errors.items():
        if not table.index.equals(mean.index):
            raise EvaluationError(f"the errors of {name!r} are not those of the {len(mean)} patients with values")
    if len(mean) < 2 or np.ptp(y_true) == 0:
        raise EvaluationError(f"R2 is not defined: {len(mean)} patients with {len(np.unique(y_true))} different values")
    names, settings = list(errors), {"n_resamples": n_resamples, "seed": seed}
    squared, absolute, within = (
        np.stack([table[column].to_numpy() for table in errors.values()])
        for column in ("squared", "absolute", "within")
    )
    total = spread.to_numpy()

    def r2_within(counts: FloatArray) -> FloatArray:
        drawn = total @ counts
        return np.asarray(1 - within @ counts / np.where(drawn > 1e-12 * total.sum(), drawn, np.nan))

    return ProbeScores(
        r2=_resample_r2(names, squared, mean.to_numpy(), (spread + mean**2).to_numpy(), **settings),
        mae=resample_means(names, absolute, **settings),
        r2_within=resample(r2_within, names, len(mean), **settings) if total.any() else None,
    )


def assess_segment_classes(
    tests: pd.DataFrame, scores: pd.DataFrame, *, n_resamples: int = 2000, seed: int
) -> Replicates:
    """AUROC of segments of two kinds, by the pairs that one model scored; patients are drawn, and each weighs the same.

    ``tests``: ``repeat``, ``fold``, ``patient`` and ``y_true`` (0 or 1) of each segment tested; ``scores``: a column
    for each name, rows in the same order. Raises EvaluationError if a repeat has no fold with both kinds.
    """
    code, patients = pd.factorize(tests["patient"], sort=True)
    weight = 1 / np.bincount(code)[:, None]
    is_event, repeat, fold = (tests[name].to_numpy() for name in ("y_true", "repeat", "fold"))
    ranked = [
        RankedPairs(is_event == 1, score, repeat=repeat, fold=fold, patient=code, n_patients=len(patients))
        for score in scores.to_numpy(dtype=np.float64).T
    ]
    found = resample(
        lambda counts: np.stack([pairs.auroc(counts * weight) for pairs in ranked]),
        [str(name) for name in scores],
        len(patients),
        n_resamples=n_resamples,
        seed=seed,
    )
    if np.isnan(found.estimates).any():
        raise EvaluationError("the AUROC is not defined: in some repeat no fold tests segments of both kinds")
    return found


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
