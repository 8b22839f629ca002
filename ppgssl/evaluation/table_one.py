"""Table 1: who the patients are, with and without the event."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from ppgssl.core.config.cohort import ClinicalTable, Variable
from ppgssl.core.errors import EvaluationError
from ppgssl.core.records import FloatArray
from ppgssl.core.results.data import TableOneCell, TableOneRow
from ppgssl.core.text import suggest


def table_one(
    patients: pd.DataFrame, y: pd.Series, table: ClinicalTable, variables: Sequence[str]
) -> list[TableOneRow]:
    """Describe patients overall, without and with the event.

    Numeric variables get mean, SD (n - 1) and quartiles; binary variables the count and proportion of their event
    level; categorical variables one row for each level. Proportions are of the patients with a value. No p-values: the
    groups are not randomised arms, and a difference is better described by its size, the standardized mean difference
    [1]_ (event minus no event; of means, or of proportions of a level). Raises EvaluationError if a variable is
    unknown, or a patient of ``y`` has no row.

    Parameters
    ----------
    patients : DataFrame, index patient
        A column for each variable: numbers, 0/1 for binary, text for categorical; NaN or None where missing.
    y : Series of 0/1, index patient; outcome; decides who is in the table

    .. [1] Austin, Balance diagnostics for comparing the distribution of baseline covariates between treatment groups in
           propensity-score matched samples, Statistics in Medicine 28, 2009, 10.1002/sim.3697.
    """
    rows = analysed_rows(patients, y, table, variables)
    is_event = y.to_numpy(dtype=float) == 1
    return [row for name in variables for row in _rows_of_variable(name, table.variables[name], rows[name], is_event)]


def standardized_mean_difference(without: FloatArray, with_event: FloatArray) -> float | None:
    """Difference of means over the root mean of the two variances (n - 1); none if that is zero or not defined.

    ``without``, ``with_event``: float arrays; values without missing ones.
    """
    if min(len(without), len(with_event)) < 2:
        return None
    spread = np.sqrt((np.var(without, ddof=1) + np.var(with_event, ddof=1)) / 2)
    return _over(float(np.mean(with_event) - np.mean(without)), float(spread))


def analysed_rows(patients: pd.DataFrame, y: pd.Series, table: ClinicalTable, variables: Sequence[str]) -> pd.DataFrame:
    """The variables of the patients of ``y``; EvaluationError if one is unknown or a date, or a patient has no row."""
    for name in variables:
        if name not in table.variables or name not in patients.columns:
            raise EvaluationError(
                f"{name!r} is not a variable of the clinical table{suggest(name, table.variables)}; "
                f"it has {', '.join(table.variables)}"
            )
        if table.variables[name].kind == "date":
            raise EvaluationError(f"{name!r} is a date: compute an age or a duration from it")
    absent = y.index.difference(patients.index)
    if len(absent):
        raise EvaluationError(f"{len(absent)} patient(s) have an outcome but no clinical row, for example {absent[0]}")
    return patients.loc[y.index, list(variables)]


def _rows_of_variable(name: str, variable: Variable, values: pd.Series, is_event: np.ndarray) -> list[TableOneRow]:
    if variable.kind == "numeric":
        return [_row(name, variable, None, values.to_numpy(dtype=float), is_event)]
    if variable.kind == "binary":
        return [_row(name, variable, variable.level_names[-1], values.to_numpy(dtype=float), is_event)]
    missing = values.isna()
    return [
        _row(name, variable, level, (values == level).astype(float).mask(missing).to_numpy(), is_event)
        for level in variable.level_names
    ]


def _row(name: str, variable: Variable, level: str | None, values: FloatArray, is_event: np.ndarray) -> TableOneRow:
    cell = _moments if variable.kind == "numeric" else _proportion
    groups = [values, values[~is_event], values[is_event]]
    without, with_event = (group[~np.isnan(group)] for group in groups[1:])
    difference = standardized_mean_difference if variable.kind == "numeric" else _difference_of_proportions
    return TableOneRow(
        variable=name,
        label=variable.label or name,
        unit=variable.unit,
        kind=variable.kind,
        level=level,
        overall=cell(groups[0]),
        without_event=cell(groups[1]),
        with_event=cell(groups[2]),
        smd=difference(without, with_event),
    )


def _moments(values: FloatArray) -> TableOneCell:
    known = values[~np.isnan(values)]
    if not len(known):
        return TableOneCell(n=0, n_missing=len(values))
    q1, median, q3 = np.quantile(known, [0.25, 0.5, 0.75])
    return TableOneCell(
        n=len(known),
        n_missing=len(values) - len(known),
        mean=float(known.mean()),
        sd=float(known.std(ddof=1)) if len(known) > 1 else None,
        median=float(median),
        q1=float(q1),
        q3=float(q3),
    )


def _proportion(values: FloatArray) -> TableOneCell:
    known = values[~np.isnan(values)]
    return TableOneCell(
        n=len(known),
        n_missing=len(values) - len(known),
        count=int(known.sum()),
        fraction=float(known.mean()) if len(known) else None,
    )


def _difference_of_proportions(without: FloatArray, with_event: FloatArray) -> float | None:
    """Austin's formula for a proportion p: its variance is p (1 - p), without a correction for n."""
    if not len(without) or not len(with_event):
        return None
    p, q = float(without.mean()), float(with_event.mean())
    return _over(q - p, float(np.sqrt((p * (1 - p) + q * (1 - q)) / 2)))


def _over(difference: float, spread: float) -> float | None:
    # Rounding leaves a constant column a spread of about 1e-16 of its size.
    return difference / spread if spread > 1e-12 else None
