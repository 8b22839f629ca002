"""Missing covariates: the median or most frequent level, or several draws from chained equations."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Mapping
from itertools import product

import numpy as np
import pandas as pd
from scipy.special import expit
from sklearn.linear_model import LogisticRegression

from ppgssl.classifiers.block_ridge import fit_ridge
from ppgssl.classifiers.preparation import Coded, indicators, standardised
from ppgssl.core.config.cohort import Variable
from ppgssl.core.config.study import Missing
from ppgssl.core.records import FloatArray, IntArray
from ppgssl.core.results.data import MissingData, MissingVariable

N_CYCLES = 5
N_DONORS = 5
# Keeps the least-squares equations solvable where columns say the same; of the number of patients.
_STABILITY = 1e-5


def completed(train: Coded, others: Coded, missing: Missing, *, seed: int) -> Iterator[tuple[FloatArray, FloatArray]]:
    """Clinical blocks without missing values, as often as the method says.

    ``median`` gives one pair: a missing number becomes the median of the training patients, a missing level (and one
    that no training patient has) their most frequent one. ``mice`` gives ``missing.n_imputations`` pairs, see
    :func:`chained_equations`, or one where nothing is missing.

    Parameters
    ----------
    train, others : Coded
        Everything is learnt from ``train``; what is filled in for one of ``others`` depends on nobody else among them.
    missing : Missing
    seed : int
    """
    if missing.method == "median" or not (np.isnan(train.clinical).any() or np.isnan(others.clinical).any()):
        yield _filled(train, others)
        return
    for number in range(missing.n_imputations):
        yield chained_equations(train, others, seed=[seed, number])


def missing_data(
    covariates: pd.DataFrame, y: pd.Series, variables: Mapping[str, Variable], settings: Missing
) -> MissingData:
    """How many values are missing.

    Parameters
    ----------
    covariates : DataFrame, a row a patient
        The study's covariates.
    y : Series of 0/1, the same index
    variables : mapping of name to Variable
        For the labels.
    settings : Missing
    """
    is_missing = covariates.isna()
    has_event = y.loc[covariates.index].to_numpy() == 1
    return MissingData(
        method=settings.method,
        n_imputations=settings.n_imputations if settings.method == "mice" else 1,
        n_complete=int((~is_missing.any(axis=1)).sum()),
        n_patients=len(covariates),
        variables=[
            MissingVariable(
                name=str(name),
                label=variables[str(name)].label or str(name),
                n_missing=int(is_missing[name].sum()),
                n_missing_with_event=int(is_missing[name][has_event].sum()),
                n=len(covariates),
            )
            for name in covariates.columns
        ],
    )


def usual_values(train: Coded) -> FloatArray:
    """Median of each number and most frequent code of each level among training patients, shape (n_clinical,)."""
    return np.array([_usual(column, n) for column, n in zip(train.clinical.T, train.n_levels, strict=True)])


def _filled(train: Coded, others: Coded) -> tuple[FloatArray, FloatArray]:
    values = usual_values(train)
    return tuple(np.where(np.isnan(one.clinical), values, one.clinical) for one in (train, others))  # type: ignore[return-value]


def _usual(column: FloatArray, n_levels: int) -> float:
    """Median of a number, most frequent of levels; of equally frequent ones, the first."""
    known = column[~np.isnan(column)]
    if not len(known):
        return 0.0
    return float(np.bincount(known.astype(np.int64)).argmax() if n_levels else np.median(known))


def chained_equations(train: Coded, others: Coded, *, seed: list[int]) -> tuple[FloatArray, FloatArray]:
    """One draw of the missing values by chained equations [1]_, learnt from training patients alone.

    Starting from medians and most frequent levels, each variable in turn is predicted from all others, ``N_CYCLES``
    times. Each equation is fitted to a bootstrap sample of the training patients who have the variable, which carries
    the uncertainty of its coefficients. A number is drawn by predictive mean matching [2]_: it is that of one of the
    ``N_DONORS`` training patients with the nearest predictions, so it is always a value that occurs. A level is drawn
    with its probability by a logistic regression, multinomial for more than two. Other patients pass through the same
    equations and take part in none.

    The outcome is in no equation. Beside the outcome, imputation is better for inference [1]_, but then training
    patients are filled in by what is not known of a patient to be predicted; where patients to be predicted may lack
    values, too, as here, leaving it out predicts better [3]_.

    Libraries were not used: scikit-learn's ``IterativeImputer`` takes levels for numbers, and ``MICEData`` of
    statsmodels cannot be applied to patients other than those it was fitted to.

    Parameters
    ----------
    train, others : Coded
    seed : list of int
        Together with a patient's id it decides the patient's draws, whatever the order of rows.

    References
    ----------
    .. [1] White, Royston and Wood, Multiple imputation using chained equations: issues and guidance for practice,
       Stat Med 30:377-399, 2011, doi 10.1002/sim.4067.
    .. [2] Little, Missing-data adjustments in large surveys, J Bus Econ Stat 6:287-296, 1988,
       doi 10.1080/07350015.1988.10509663.
    .. [3] Sisk et al., Imputation and missing indicators for handling missing data in the development and deployment of
       clinical prediction models: a simulation study, Stat Methods Med Res 32:1461-1477, 2023,
       doi 10.1177/09622802231165001.
    """
    parts = (train, others)
    is_missing = [np.isnan(one.clinical) for one in parts]
    chance = [_uniforms(one.ids, len(train.n_levels), seed) for one in parts]
    filled = list(_filled(train, others))
    # The order and every equation depend on training patients alone; one that nobody needs is skipped.
    order = np.argsort(is_missing[0].sum(axis=0), kind="stable")
    for cycle, column in product(range(N_CYCLES), order):
        rows = [np.flatnonzero(where[:, column]) for where in is_missing]
        known = np.flatnonzero(~is_missing[0][:, column])
        if not len(known) or not any(map(len, rows)):
            continue
        rest = np.arange(len(train.n_levels)) != column
        designs = standardised(*(indicators(block[:, rest], train.n_levels[rest]) for block in filled))
        values, sample = filled[0][known, column], _bootstrap(len(known), [*seed, cycle, int(column)])
        equation = _levels if train.n_levels[column] else _numbers
        draw = equation(designs[0][known], values, sample)
        for block, X, of_part, u in zip(filled, designs, rows, chance, strict=True):
            block[of_part, column] = draw(X[of_part], u[of_part, cycle, column])
    return filled[0], filled[1]


def _uniforms(ids: np.ndarray, n_columns: int, seed: list[int]) -> FloatArray:
    """Each patient's own random numbers, shape (n_patients, N_CYCLES, n_columns)."""
    shape = (N_CYCLES, n_columns)
    rows = [np.random.default_rng([*seed, zlib.crc32(str(name).encode())]).random(shape) for name in ids]
    return np.array(rows).reshape(len(ids), *shape)


def _bootstrap(n: int, seed: list[int]) -> IntArray:
    return np.random.default_rng(seed).integers(0, n, n)


# From predictors and a random number in 0..1 for each patient, to a value.
_Draw = Callable[[FloatArray, FloatArray], FloatArray]


def _numbers(X: FloatArray, values: FloatArray, sample: IntArray) -> _Draw:
    """Draws by predictive mean matching: donors are predicted by all patients' slopes, others by the sample's."""
    of_sample = values[sample]
    donors = X @ _least_squares(X, values)
    order = np.argsort(donors, kind="stable")
    donors, values = donors[order], values[order]
    slopes = _least_squares(X[sample], of_sample)
    n = min(N_DONORS, len(donors))
    neighbours = np.arange(min(2 * n, len(donors)))

    def draw(others: FloatArray, u: FloatArray) -> FloatArray:
        predicted = others @ slopes
        first = np.clip(np.searchsorted(donors, predicted) - n, 0, len(donors) - len(neighbours))
        near = first[:, None] + neighbours  # the nearest n are among n on either side
        nearest = np.argsort(np.abs(predicted[:, None] - donors[near]), axis=1, kind="stable")
        chosen = nearest[np.arange(len(others)), (u * n).astype(np.int64)]
        return np.asarray(values[near[np.arange(len(others)), chosen]])

    return draw


def _least_squares(X: FloatArray, values: FloatArray) -> FloatArray:
    """Slopes without the intercept, which matching does not need."""
    centred = X - X.mean(axis=0)
    return np.linalg.solve(
        centred.T @ centred + _STABILITY * len(X) * np.eye(X.shape[1]), centred.T @ (values - values.mean())
    )


def _levels(X: FloatArray, codes: FloatArray, sample: IntArray) -> _Draw:
    found, of_sample = np.unique(codes[sample], return_inverse=True)
    probability = _probability(X[sample], of_sample, len(found))

    def draw(others: FloatArray, u: FloatArray) -> FloatArray:
        place = (u[:, None] >= np.cumsum(probability(others), axis=1)).sum(axis=1)
        return np.asarray(found[np.minimum(place, len(found) - 1)])

    return draw


def _probability(X: FloatArray, level: IntArray, n_levels: int) -> Callable[[FloatArray], FloatArray]:
    """From predictors to the probability of each level, by a logistic regression with a weak ridge penalty."""
    if n_levels == 1 or not X.shape[1]:
        shares = np.bincount(level) / len(level)
        return lambda others: np.tile(shares, (len(others), 1))
    if n_levels > 2:
        model: Callable[[FloatArray], FloatArray] = LogisticRegression(max_iter=1000).fit(X, level).predict_proba
        return lambda others: model(others) if len(others) else np.empty((0, n_levels))
    intercepts, slopes = fit_ridge(X, level, (1.0,))
    return lambda others: expit((intercepts[0] + others @ slopes[0])[:, None] * [-1.0, 1.0])
