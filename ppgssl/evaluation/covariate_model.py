"""Odds ratios of the covariates: inference, not prediction.

The arms shrink their coefficients, which is right for predicting and wrong for reading. Here one logistic regression
without shrinkage is fitted to all analysed patients; nothing of it enters a prediction.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import norm
from statsmodels.discrete.discrete_model import Logit

from ppgssl.core.config.cohort import ClinicalTable, Variable
from ppgssl.core.errors import EvaluationError
from ppgssl.core.records import BoolArray, FloatArray
from ppgssl.core.results.base import Interval
from ppgssl.core.results.robustness import CovariateModel, OddsRatio
from ppgssl.evaluation.firth import fit_firth, is_separated, profile_interval, profile_p
from ppgssl.evaluation.inference import pool_estimates
from ppgssl.evaluation.table_one import analysed_rows

_RANK_TOLERANCE = 1e-8


@dataclass(frozen=True)
class _Term:
    """One column of the model: a level, or a number in steps of ``step``."""

    name: str
    label: str
    variable: str
    level: str | None = None
    step: float = 1.0

    def column(self, patients: pd.DataFrame) -> FloatArray:
        values = patients[self.variable]
        return np.asarray(values / self.step if self.level is None else values == self.level, dtype=float)


@dataclass(frozen=True)
class _Estimates:
    """Log odds ratios, shape (n_terms,)."""

    coefficient: FloatArray
    ci_low: FloatArray
    ci_high: FloatArray
    p_value: FloatArray


def covariate_model(
    tables: Sequence[pd.DataFrame], y: pd.Series, table: ClinicalTable, variables: Sequence[str], *, n_filled: int = 0
) -> CovariateModel:
    """Adjusted odds ratios of the covariates, with 95 % intervals and p-values.

    Maximum likelihood with Wald's intervals (statsmodels). If a combination of covariates separates patients with and
    without the event, these do not exist; then Firth's penalised likelihood takes its place, with intervals and
    p-values from its profile [1]_, and the note reports it. Several tables are several imputations, pooled on the log
    scale by Rubin's rules.

    A binary variable is compared with its first level, a categorical one level by level with the first of its levels
    that a patient has. A numeric variable counts in steps, a power of ten that the label names: one unit where its
    standard deviation is between 0.5 and 10 units, else 10, 100, ... or 0.1, 0.01, ... The step depends on the
    variable's spread alone, never on its effect. Raises EvaluationError if there is no table, a variable is unknown or
    a date, a value is missing, or all patients have the same outcome.

    Parameters
    ----------
    tables : sequence of DataFrame, index patient
        The patients without missing values, once, or several times with the missing values drawn again. Draw them with
        the outcome among the variables of the equations: imputation that does not know it pulls odds ratios to one.
        A column for each variable: numbers, 0/1 for binary, text for categorical.
    y : Series of 0/1, index patient; who is analysed, and the outcome
    n_filled : patients in whom a single table holds a median or most frequent level for a value that is missing; the
        note then states what that does to the intervals

    .. [1] Heinze & Schemper, A solution to the problem of separation in logistic regression, Statistics in Medicine 21,
           2002, 10.1002/sim.1047.
    """
    patients = [_complete_rows(one, y, table, variables) for one in tables]
    if not patients:
        raise EvaluationError("the covariate model needs at least one table of patients without missing values")
    is_event = y.to_numpy(dtype=float) == 1
    if is_event.all() or not is_event.any():
        raise EvaluationError("the covariate model needs patients with and without the event")
    together = pd.concat(patients)
    candidates = [term for name in variables for term in _terms(name, table.variables[name], together[name])]
    terms, notes = _drop_unidentified(candidates, patients)
    odds_ratios: list[OddsRatio] = []
    if terms:
        designs = [_design(one, terms) for one in patients]
        use_firth = any(is_separated(X, is_event) for X in designs)
        estimates = _pool(designs, is_event, use_firth) if len(designs) > 1 else _fit(designs[0], is_event, use_firth)
        notes += _notes(len(designs), use_firth, n_filled)
        odds_ratios = [_odds_ratio(term, number, estimates) for number, term in enumerate(terms)]
    return CovariateModel(
        n_patients=len(y), n_events=int(is_event.sum()), odds_ratios=odds_ratios, note=" ".join(notes)
    )


def readable_step(sd: float) -> float:
    """The power of ten in which a number of this standard deviation is counted; 1 for 0.5 to 10."""
    return 10.0 ** math.floor(math.log10(sd if sd >= 1 else 2 * sd)) if sd > 0 else 1.0


def _complete_rows(
    patients: pd.DataFrame, y: pd.Series, table: ClinicalTable, variables: Sequence[str]
) -> pd.DataFrame:
    chosen = analysed_rows(patients, y, table, variables)
    missing = [name for name in variables if chosen[name].isna().any()]
    if missing:
        raise EvaluationError(
            f"the covariate model needs values of all patients; some are missing in {', '.join(missing)}"
        )
    return chosen


def _terms(name: str, variable: Variable, values: pd.Series) -> list[_Term]:
    label = variable.label or name
    if variable.kind == "numeric":
        step = readable_step(float(values.astype(float).std()))
        unit = f" {variable.unit}" if variable.unit else " unit" if step == 1 else " units"
        return [_Term(name, f"{label}, per {step:g}{unit}", name, step=step)]
    if variable.kind == "binary":
        first, event = variable.level_names
        return [_Term(name, f"{label}: {event} (reference: {first})", name)]
    levels = [level for level in variable.level_names if (values == level).any()]
    return [_Term(f"{name}={level}", f"{label}: {level} (reference: {levels[0]})", name, level) for level in levels[1:]]


def _drop_unidentified(terms: list[_Term], patients: Sequence[pd.DataFrame]) -> tuple[list[_Term], list[str]]:
    """Terms that can be estimated from these patients, and what was left out, in words."""
    varying = [term for term in terms if all(np.ptp(term.column(one)) > 0 for one in patients)]
    kept = varying
    for one in patients:
        kept = _drop_implied(kept, one)
    constant = [term.label for term in terms if term not in varying]
    implied = [term.label for term in varying if term not in kept]
    reasons = {"all patients are alike in it": constant, "the others determine it": implied}
    return kept, [f"Left out, as {why}: {'; '.join(labels)}." for why, labels in reasons.items() if labels]


def _drop_implied(terms: list[_Term], patients: pd.DataFrame) -> list[_Term]:
    """The terms, without those that intercept and earlier terms determine."""
    if not terms:
        return []
    X = _design(patients, terms)
    basis = X[:, :1] / np.linalg.norm(X[:, 0])
    kept = []
    for term, column in zip(terms, X[:, 1:].T, strict=True):
        rest = column - basis @ (basis.T @ column)
        rest = rest - basis @ (basis.T @ rest)  # twice is enough against rounding
        if np.linalg.norm(rest) > _RANK_TOLERANCE * np.linalg.norm(column):
            basis = np.column_stack([basis, rest / np.linalg.norm(rest)])
            kept.append(term)
    return kept


def _design(patients: pd.DataFrame, terms: Sequence[_Term]) -> FloatArray:
    """Intercept and terms, each around its mean: that changes the intercept alone, and keeps sums small."""
    columns = np.column_stack([term.column(patients) for term in terms])
    return np.column_stack([np.ones(len(columns)), columns - columns.mean(axis=0)])


def _fit(X: FloatArray, y: BoolArray, use_firth: bool) -> _Estimates:
    if use_firth:
        fit = fit_firth(X, y)
        terms = range(1, X.shape[1])
        low, high = np.array([profile_interval(X, y, fit, column) for column in terms]).T
        return _Estimates(fit.coefficients[1:], low, high, np.array([profile_p(X, y, fit, column) for column in terms]))
    coefficient, variance = _maximum_likelihood(X, y)
    error = np.sqrt(variance)
    reach = norm.ppf(0.975) * error
    p_value = 2 * norm.sf(np.abs(coefficient) / error)
    return _Estimates(coefficient, coefficient - reach, coefficient + reach, p_value)


def _pool(designs: Sequence[FloatArray], y: BoolArray, use_firth: bool) -> _Estimates:
    firth = [fit_firth(X, y) for X in designs] if use_firth else []
    fits = [(fit.coefficients[1:], np.diag(fit.covariance)[1:]) for fit in firth]
    fits = fits or [_maximum_likelihood(X, y) for X in designs]
    coefficients, variances = (np.array(part) for part in zip(*fits, strict=True))
    pooled = pool_estimates(coefficients, variances, complete_df=max(1, len(y) - designs[0].shape[1]))
    return _Estimates(pooled.estimate, *pooled.interval(), pooled.p_values())


def _maximum_likelihood(X: FloatArray, y: BoolArray) -> tuple[FloatArray, FloatArray]:
    fit = Logit(y.astype(float), X).fit(method="newton", maxiter=100, disp=0)
    return np.asarray(fit.params)[1:], np.asarray(fit.bse)[1:] ** 2


def _notes(n_tables: int, use_firth: bool, n_filled: int) -> list[str]:
    notes = []
    if use_firth:
        source = "" if n_tables > 1 else ", with intervals and p-values from its profile"
        notes.append(
            "A combination of covariates separates patients with the event from those without (separation), so that "
            f"maximum likelihood has no finite answer: estimates are by Firth's penalised likelihood{source}."
        )
    if n_tables > 1:
        notes.append(f"Pooled over {n_tables} imputed tables by Rubin's rules.")
    elif n_filled:
        notes.append(
            f"In {n_filled} patients, missing values were taken to be the median or most frequent level, as if these "
            "were known: the intervals are too narrow."
        )
    return notes


def _odds_ratio(term: _Term, number: int, estimates: _Estimates) -> OddsRatio:
    logs = [values[number] for values in (estimates.ci_low, estimates.coefficient, estimates.ci_high)]
    low, middle, high = (math.exp(one) if abs(one) < 700 else None for one in logs)  # what JSON knows
    return OddsRatio(
        term=term.name,
        label=term.label,
        odds_ratio=Interval(estimate=middle, ci_low=low, ci_high=high),
        p_value=float(estimates.p_value[number]),
    )
