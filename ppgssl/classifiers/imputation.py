"""Missing covariates: the median or most frequent level, or several draws from chained equations."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product

import numpy as np
import pandas as pd
from scipy.special import softmax
from sklearn.linear_model import LogisticRegression

from ppgssl.classifiers.block_ridge import fit_ridge
from ppgssl.classifiers.learner import Arrays, check_shapes
from ppgssl.classifiers.preparation import Coded, Scaling, filled, fit_scaling, indicators, medians
from ppgssl.core.config.cohort import Variable
from ppgssl.core.config.study import Missing
from ppgssl.core.errors import StoreError
from ppgssl.core.records import BoolArray, FloatArray, IntArray
from ppgssl.core.results.data import MissingData, MissingVariable

N_CYCLES = 5
N_DONORS = 5
# Keeps the least-squares equations solvable where columns are redundant; times the number of patients.
_STABILITY = 1e-5


def missing_data(
    covariates: pd.DataFrame, y: pd.Series, variables: Mapping[str, Variable], settings: Missing
) -> MissingData:
    """How many values are missing.

    Parameters
    ----------
    covariates : DataFrame, a row a patient; the study's covariates
    y : Series of 0/1, the same index
    variables : for the labels
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


@dataclass(frozen=True)
class Equation:
    """One variable from all others, fitted to training patients who have it.

    Attributes
    ----------
    scaling : of the indicators of the other columns, shape (n_predictors,)
    slopes : float array, shape (n_predictors,) of a number, (n_levels, n_predictors) of levels
    intercept : float array, shape (n_levels,); of levels; empty of a number
    donors : float array, shape (n_donors,)
        Of a number: what is predicted of the training patients who have it, ascending.
    choices : float array, shape (n_donors,) or (n_levels,); the donors' values; or the codes of the levels
    """

    cycle: int
    column: int
    scaling: Scaling = field(repr=False)
    slopes: FloatArray = field(repr=False)
    intercept: FloatArray = field(repr=False)
    donors: FloatArray = field(repr=False)
    choices: FloatArray = field(repr=False)

    def draw(self, X: FloatArray, u: FloatArray) -> FloatArray:
        """Values of patients, shape (n_patients,), from their other columns and a random number in 0..1 of each."""
        scaled = self.scaling(X)
        if len(self.intercept):
            probability = softmax(self.intercept + scaled @ self.slopes.T, axis=1)
            place = (u[:, None] >= np.cumsum(probability, axis=1)).sum(axis=1)
            return np.asarray(self.choices[np.minimum(place, len(self.choices) - 1)])
        predicted = scaled @ self.slopes
        n = min(N_DONORS, len(self.donors))
        neighbours = np.arange(min(2 * n, len(self.donors)))
        first = np.clip(np.searchsorted(self.donors, predicted) - n, 0, len(self.donors) - len(neighbours))
        near = first[:, None] + neighbours  # the nearest n are among n on either side
        nearest = np.argsort(np.abs(predicted[:, None] - self.donors[near]), axis=1, kind="stable")
        chosen = nearest[np.arange(len(X)), (u * n).astype(np.int64)]
        return np.asarray(self.choices[near[np.arange(len(X)), chosen]])


@dataclass(frozen=True)
class Imputer:
    """Completes clinical blocks by what training patients had.

    Attributes
    ----------
    typical : float array, shape (n_clinical,); median of each number and most frequent code of each level
    equations : in the order in which they are applied; none where typical values are all that is filled in
    seed : together with a patient's id it decides the patient's draws, whatever the order of rows
    """

    typical: FloatArray = field(repr=False)
    equations: tuple[Equation, ...] = field(default=(), repr=False)
    seed: tuple[int, ...] = ()

    def __call__(self, patients: Coded) -> FloatArray:
        """The clinical block without missing values; what is filled in for one patient depends on no other."""
        block = filled(patients.clinical, self.typical)
        is_missing = np.isnan(patients.clinical)
        if not self.equations or not is_missing.any():
            return block
        incomplete = np.flatnonzero(is_missing.any(axis=1))
        chance, own = _uniforms(patients.ids[incomplete], block.shape[1], self.seed), block[incomplete]
        for one in self.equations:
            rows = np.flatnonzero(is_missing[incomplete, one.column])
            if len(rows):
                others = _others(own[rows], patients.n_levels, one.column)
                own[rows, one.column] = one.draw(others, chance[rows, one.cycle, one.column])
        block[incomplete] = own
        return block

    def to_arrays(self) -> Arrays:
        """Numbers of all equations, one after another, with the sizes of each."""
        found: Arrays = {"typical": self.typical}
        if self.equations:
            found["seed"] = np.array(self.seed, dtype=np.int64)
            found["place"] = np.array([[one.cycle, one.column] for one in self.equations], dtype=np.int64)
            for name in _RAGGED:
                parts = [_part(one, name) for one in self.equations]
                found[name] = np.concatenate(parts)
                found[f"{name}_sizes"] = np.array([len(one) for one in parts], dtype=np.int64)
        return found

    @classmethod
    def from_arrays(cls, arrays: Arrays, n_levels: IntArray) -> Imputer:
        """The imputer of :meth:`to_arrays`.

        Raises StoreError if numbers are absent or do not fit the columns.
        """
        check_shapes(arrays, {"typical": (len(n_levels),)})
        if "place" not in arrays:
            return cls(arrays["typical"])
        try:
            parts = [np.split(arrays[name], np.cumsum(arrays[f"{name}_sizes"])[:-1]) for name in _RAGGED]
            equations = [
                Equation(
                    int(place[0]),
                    int(place[1]),
                    Scaling(mean, scale),
                    slopes.reshape(len(intercept), -1) if len(intercept) else slopes,
                    intercept,
                    donors,
                    choices,
                )
                for place, mean, scale, slopes, intercept, donors, choices in zip(arrays["place"], *parts, strict=True)
            ]
            for one in equations:
                _check_equation(one, n_levels)
            return cls(arrays["typical"], tuple(equations), tuple(map(int, arrays["seed"])))
        except (KeyError, ValueError, IndexError) as error:
            raise StoreError(f"the chained equations of the model do not fit its columns ({error})") from None


_RAGGED = ("mean", "scale", "slopes", "intercept", "donors", "choices")


def _part(one: Equation, name: str) -> FloatArray:
    values: FloatArray = getattr(one.scaling if name in ("mean", "scale") else one, name)
    return values.ravel()


def _check_equation(one: Equation, n_levels: IntArray) -> None:
    n_predictors = _others(np.zeros((1, len(n_levels))), n_levels, one.column).shape[1]
    n_values = len(one.intercept) or len(one.donors)
    shapes = (one.scaling.mean.shape, one.scaling.scale.shape, one.slopes.shape[-1:], one.choices.shape)
    is_level = bool(n_levels[one.column])
    if shapes != ((n_predictors,),) * 3 + ((n_values,),) or is_level != bool(len(one.intercept)) or not n_values:
        raise ValueError(f"equation of column {one.column}")
    if not 0 <= one.cycle < N_CYCLES or not all(np.isfinite(_part(one, name)).all() for name in _RAGGED):
        raise ValueError(f"equation of column {one.column}")


def fit_imputers(
    train: Coded, missing: Missing, *, seed: int, columns: BoolArray | None = None
) -> Iterator[tuple[Imputer, FloatArray]]:
    """Imputers, and the training patients' clinical block as each completes it.

    ``median`` gives one: a missing number becomes the median of the training patients, a missing level (and one that
    no training patient has) their most frequent one. ``mice`` gives ``missing.n_imputations``, see
    :func:`chained_equations`.

    ``columns``: bool array, shape (n_clinical,), optional; columns that patients to be completed may lack; by default
    all.
    """
    if missing.method == "median" or not train.clinical.shape[1]:
        imputer = Imputer(typical_values(train))
        yield imputer, imputer(train)
        return
    for number in range(missing.n_imputations):
        yield chained_equations(train, seed=(seed, number), columns=columns)


def typical_values(train: Coded) -> FloatArray:
    """Median of each number and most frequent code of each level (of equally frequent ones, the first)."""
    typical = medians(train.clinical)
    for number in np.flatnonzero(train.n_levels):
        column = train.clinical[:, number]
        known = column[~np.isnan(column)]
        typical[number] = float(np.bincount(known.astype(np.int64)).argmax()) if len(known) else 0.0
    return typical


def chained_equations(
    train: Coded, *, seed: tuple[int, ...], columns: BoolArray | None = None
) -> tuple[Imputer, FloatArray]:
    """One draw of the missing values by chained equations [1]_, fitted to training patients.

    Starting from medians and most frequent levels, each variable in turn is predicted from all others, ``N_CYCLES``
    times. Each equation is fitted to a bootstrap sample of the training patients who have the variable, which carries
    the uncertainty of its coefficients. A number is drawn by predictive mean matching [2]_: it is that of one of the
    ``N_DONORS`` training patients with the nearest predictions, so it is always a value that occurs. A level is drawn
    with its probability by a logistic regression, multinomial for more than two. Other patients pass through the same
    equations later and take part in none.

    The outcome is in no equation. With the outcome, imputation is better for inference [1]_, but then training
    patients are filled in by what is not known of a patient to be predicted; where patients to be predicted may lack
    values, too, as here, leaving it out predicts better [3]_.

    Libraries were not used: scikit-learn's ``IterativeImputer`` takes levels for numbers, and ``MICEData`` of
    statsmodels cannot be applied to patients other than those it was fitted to.

    ``columns``: bool array, shape (n_clinical,), optional; as in :func:`fit_imputers`.

    Returns
    -------
    Imputer
    float array, shape (n_patients, n_clinical); the clinical block of the training patients, completed

    .. [1] White, Royston and Wood, Multiple imputation using chained equations: issues and guidance for practice,
       Stat Med 30:377-399, 2011, doi 10.1002/sim.4067.
    .. [2] Little, Missing-data adjustments in large surveys, J Bus Econ Stat 6:287-296, 1988,
       doi 10.1080/07350015.1988.10509663.
    .. [3] Sisk et al., Imputation and missing indicators for handling missing data in the development and deployment of
       clinical prediction models: a simulation study, Stat Methods Med Res 32:1461-1477, 2023,
       doi 10.1177/09622802231165001.
    """
    is_missing = np.isnan(train.clinical)
    chance = _uniforms(train.ids, len(train.n_levels), seed)
    typical = typical_values(train)
    block = filled(train.clinical, typical)
    wanted = np.asarray(is_missing.any(axis=0) | (columns is None or columns))
    equations = []
    for cycle, column in product(range(N_CYCLES), np.argsort(is_missing.sum(axis=0), kind="stable")):
        known = np.flatnonzero(~is_missing[:, column])
        if not wanted[column] or not len(known):
            continue
        X = _others(block, train.n_levels, column)
        scaling = fit_scaling(X)
        sample = np.random.default_rng([*seed, cycle, int(column)]).integers(0, len(known), len(known))
        fit = _fit_levels if train.n_levels[column] else _fit_numbers
        parts = fit(scaling(X)[known], block[known, column], sample)
        one = Equation(cycle, int(column), scaling, *parts)
        rows = np.flatnonzero(is_missing[:, column])
        if len(rows):
            block[rows, column] = one.draw(X[rows], chance[rows, cycle, column])
        equations.append(one)
    return Imputer(typical, tuple(equations), tuple(seed)), block


def _others(block: FloatArray, n_levels: IntArray, column: int) -> FloatArray:
    """Indicators of all columns but one."""
    rest = np.arange(len(n_levels)) != column
    return indicators(block[:, rest], n_levels[rest])


def _uniforms(ids: np.ndarray, n_columns: int, seed: Sequence[int]) -> FloatArray:
    """Each patient's own random numbers, shape (n_patients, N_CYCLES, n_columns)."""
    shape = (N_CYCLES, n_columns)
    rows = [np.random.default_rng([*seed, zlib.crc32(str(name).encode())]).random(shape) for name in ids]
    return np.array(rows).reshape(len(ids), *shape)


# Slopes, intercept, donors and choices of an equation.
_Parts = tuple[FloatArray, FloatArray, FloatArray, FloatArray]
_NONE: FloatArray = np.zeros(0)


def _fit_numbers(X: FloatArray, values: FloatArray, sample: IntArray) -> _Parts:
    """Predictive mean matching: donors are predicted by all patients' slopes, others by the sample's."""
    donors = X @ _least_squares(X, values)
    order = np.argsort(donors, kind="stable")
    return _least_squares(X[sample], values[sample]), _NONE, donors[order], values[order]


def _least_squares(X: FloatArray, values: FloatArray) -> FloatArray:
    """Slopes without the intercept, which matching does not need."""
    centred = X - X.mean(axis=0)
    return np.linalg.solve(
        centred.T @ centred + _STABILITY * len(X) * np.eye(X.shape[1]), centred.T @ (values - values.mean())
    )


def _fit_levels(X: FloatArray, codes: FloatArray, sample: IntArray) -> _Parts:
    """A logistic regression with a weak ridge penalty, multinomial for more than two levels."""
    found, level = np.unique(codes[sample], return_inverse=True)
    n_levels = len(found)
    if n_levels == 1 or not X.shape[1]:
        proportions = np.bincount(level) / len(level)
        return np.zeros((n_levels, X.shape[1])), np.log(proportions), _NONE, found
    if n_levels > 2:
        model = LogisticRegression(max_iter=1000).fit(X[sample], level)
        return model.coef_, model.intercept_, _NONE, found
    intercepts, slopes = fit_ridge(X[sample], level, (1.0,))
    return np.array([np.zeros(X.shape[1]), slopes[0]]), np.array([0.0, intercepts[0]]), _NONE, found
