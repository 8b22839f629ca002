"""Performance in subgroups of patients, and whether it differs between them, without disclosing small counts.

**Who can be compared.** Within a level, an event and a non-event count as a pair if the same model scored both and both
have that level. An interaction test shows whether the AUROC differs between levels; a level whose interval
includes 0.5 next to one whose interval does not is no such test [1]_.

**Small counts.** A level with fewer than 5 patients with the event, or fewer than 5 without, is suppressed: its counts
and results are not given. That alone would not hide them, as the report has the totals and how many values are
missing, and a reader can subtract. So the suppressed levels of a variable must be two at least, and *together* hold 5
patients with the event and 5 without; until they do, the smallest level that is still shown is suppressed as well
(complementary suppression, [2]_). What a reader can work out is then a sum over several levels. Two tables of the same
variable with nearby cuts could be subtracted from each other, so a variable may be asked for once.

Patients whose value is missing are in no level. Their number is no secret: the report has it with the covariates.

.. [1] Altman & Bland, Interaction revisited: the difference between two estimates, BMJ 326, 2003,
       10.1136/bmj.326.7382.219.
.. [2] Hundepool et al., Statistical Disclosure Control, Wiley, 2012, 10.1002/9781118348239, chapter 4.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import pandas as pd
from scipy.stats import chi2

from ppgssl.core.config.cohort import ClinicalTable, Variable
from ppgssl.core.config.study import SubgroupOptions
from ppgssl.core.errors import EvaluationError
from ppgssl.core.records import BoolArray, FloatArray, IntArray
from ppgssl.core.results.robustness import Subgroup, SubgroupLevel
from ppgssl.core.text import suggest
from ppgssl.evaluation.predictions import AlignedPredictions, align_predictions
from ppgssl.evaluation.ranked_pairs import rank_arms
from ppgssl.evaluation.resampling import Replicates, resample

MIN_COUNT = 5


@dataclass(frozen=True)
class _Level:
    name: str
    is_in: BoolArray = field(repr=False, compare=False)  # one a patient
    n: int
    n_events: int


def subgroups(
    predictions: pd.DataFrame,
    arms: Sequence[str],
    patients: pd.DataFrame,
    table: ClinicalTable,
    options: Sequence[SubgroupOptions],
    *,
    n_resamples: int = 2000,
    seed: int,
) -> list[Subgroup]:
    """AUROC of every arm in every subgroup asked for.

    Patients are drawn with replacement from all tested patients, the same draws for all arms and levels as elsewhere;
    in each draw, each level's AUROC is that of the drawn patients who have the level. Equality of the AUROC in all
    levels is tested arm by arm from these draws: for two levels by the proportion of draws in which their difference
    lies on either side of zero, for more by Wald's statistic ``d' S^-1 d`` of the differences ``d`` to the first level,
    with their covariance ``S`` over draws, against chi-square on as many degrees of freedom as differences (the
    contrasts of [1]_, with the covariance of the bootstrap). Suppressed levels are not in the test. p-values are not
    adjusted for the number of arms and variables. Raises EvaluationError if a variable is unknown, a date or asked for
    twice, cuts are given for levels, or a tested patient has no row.

    Parameters
    ----------
    patients : DataFrame, index patient
        A column for each variable asked for: numbers, 0/1 for binary, text for categorical.

    .. [1] DeLong, DeLong & Clarke-Pearson, Comparing the areas under two or more correlated receiver operating
           characteristic curves: a nonparametric approach, Biometrics 44, 1988, 10.2307/2531595.
    """
    _check_options(options, patients, table)
    aligned = align_predictions(predictions, arms)
    absent = pd.Index(aligned.patient_ids).difference(patients.index)
    if len(absent):
        raise EvaluationError(f"{len(absent)} tested patient(s) have no clinical row, for example {absent[0]}")
    found = []
    for option in options:
        variable = table.variables[option.variable]
        values = patients.loc[list(aligned.patient_ids), option.variable]
        levels = _levels(option, variable, values, aligned)
        is_hidden = suppressed([one.n_events for one in levels], [one.n - one.n_events for one in levels])
        shown = [level for level, hides in zip(levels, is_hidden, strict=True) if not hides]
        replicates = _resample_levels(aligned, shown, n_resamples, seed) if shown else None
        found.append(
            Subgroup(
                variable=option.variable,
                label=variable.label or option.variable,
                levels=[_level(level, replicates if level in shown else None, aligned.arms) for level in levels],
                interaction_p={arm: _interaction(replicates, arm, shown) for arm in aligned.arms},
            )
        )
    return found


def suppressed(n_events: Sequence[int], n_others: Sequence[int]) -> list[bool]:
    """Which levels of a variable have to be hidden, by the rule at the module's head.

    ``n_events``, ``n_others``: patients with and without the event in each level; nobody is in two levels.
    """
    events, others = np.asarray(n_events), np.asarray(n_others)
    is_hidden = (events < MIN_COUNT) | (others < MIN_COUNT)
    # The fewest patients are lost by hiding the smallest; of equally small ones, the last.
    candidates = sorted(np.flatnonzero(~is_hidden), key=lambda level: (events[level] + others[level], -level))
    for level in candidates:
        is_safe = is_hidden.sum() != 1 and min(events[is_hidden].sum(), others[is_hidden].sum()) >= MIN_COUNT
        if not is_hidden.any() or is_safe:
            break
        is_hidden[level] = True
    return [bool(one) for one in is_hidden]


def _check_options(options: Sequence[SubgroupOptions], patients: pd.DataFrame, table: ClinicalTable) -> None:
    names = [option.variable for option in options]
    for option in options:
        name = option.variable
        if name not in table.variables or name not in patients.columns:
            raise EvaluationError(
                f"`subgroups`: {name!r} is not a variable of the clinical table{suggest(name, table.variables)}"
            )
        kind = table.variables[name].kind
        if kind == "date":
            raise EvaluationError(f"`subgroups`: {name!r} is a date; use a number or levels")
        if option.cuts and kind != "numeric":
            raise EvaluationError(f"`subgroups`: {name!r} is {kind} and has levels already; leave out its `cuts`")
        if names.count(name) > 1:
            raise EvaluationError(f"`subgroups`: {name!r} is there {names.count(name)} times; give all its cuts in one")


def _levels(
    option: SubgroupOptions, variable: Variable, values: pd.Series, aligned: AlignedPredictions
) -> list[_Level]:
    """Levels that a tested patient has."""
    is_missing = values.isna().to_numpy()
    if variable.kind == "numeric":
        names, codes = _cut(option.cuts, variable.unit, values.to_numpy(dtype=float))
    elif variable.kind == "binary":
        names, codes = variable.level_names, np.nan_to_num(values.to_numpy(dtype=float)).astype(np.int64)
    else:
        names = variable.level_names
        codes = pd.Index(names).get_indexer(pd.Index(values))
    members = {name: (codes == number) & ~is_missing for number, name in enumerate(names)}
    return [
        _Level(name, is_in, int(is_in.sum()), int((is_in & aligned.is_event).sum()))
        for name, is_in in members.items()
        if is_in.any()
    ]


def _cut(cuts: Sequence[float], unit: str, values: FloatArray) -> tuple[list[str], IntArray]:
    """Groups of a number: below a cut, or from it on; by default the cut is the median."""
    known = values[~np.isnan(values)]
    limits = sorted(set(cuts)) or ([float(np.median(known))] if len(known) else [])
    unit = f" {unit}" if unit else ""
    between = [f"{low:g} to below {high:g}{unit}" for low, high in pairwise(limits)]
    names = [f"below {limits[0]:g}{unit}", *between, f"{limits[-1]:g}{unit} or more"] if limits else []
    return names, np.searchsorted(limits, values, side="right")


def _resample_levels(aligned: AlignedPredictions, shown: Sequence[_Level], n_resamples: int, seed: int) -> Replicates:
    ranked = [rank_arms(aligned, np.flatnonzero(level.is_in[aligned.patient])) for level in shown]
    pairs = [of_level[arm] for arm in range(len(aligned.arms)) for of_level in ranked]
    names = [_key(arm, level) for arm in aligned.arms for level in shown]
    return resample(
        lambda counts: np.stack([one.auroc(counts) for one in pairs]),
        names,
        aligned.n_patients,
        n_resamples=n_resamples,
        seed=seed,
        n_rows=len(aligned.patient),
    )


def _key(arm: str, level: _Level) -> str:
    return f"{arm} in {level.name}"


def _level(level: _Level, replicates: Replicates | None, arms: Sequence[str]) -> SubgroupLevel:
    if replicates is None:
        return SubgroupLevel(level=level.name, n=None, n_events=None, is_suppressed=True)
    intervals = {arm: replicates.interval(_key(arm, level)) for arm in arms}
    return SubgroupLevel(
        level=level.name,
        n=level.n,
        n_events=level.n_events,
        auroc={arm: interval for arm, interval in intervals.items() if interval.estimate is not None},
    )


def _interaction(replicates: Replicates | None, arm: str, levels: Sequence[_Level]) -> float | None:
    """p-value of one AUROC in all levels; none where there are not two levels in which it is defined."""
    if replicates is None:
        return None
    rows = [replicates.names.index(_key(arm, level)) for level in levels]
    rows = [row for row in rows if np.isfinite(replicates.estimates[row])]
    if len(rows) < 2:
        return None
    if len(rows) == 2:
        return replicates.difference(replicates.names[rows[1]], replicates.names[rows[0]]).p_value
    differences = replicates.estimates[rows[1:]] - replicates.estimates[rows[0]]
    draws = replicates.draws[rows[1:]] - replicates.draws[rows[0]]
    return wald_p(differences, draws[:, np.isfinite(draws).all(axis=0)])


def wald_p(estimates: FloatArray, draws: FloatArray) -> float | None:
    """p-value that several quantities are all zero, by Wald's statistic with their covariance over bootstrap draws.

    Returns a float or None: None where the draws do not vary in as many directions as there are quantities.

    ``estimates``: float array, shape (n_quantities,). ``draws``: float array, shape (n_quantities, n_draws).
    """
    if draws.shape[1] <= len(estimates):
        return None
    covariance = np.atleast_2d(np.cov(draws))
    if np.linalg.matrix_rank(covariance, hermitian=True) < len(estimates):
        return None
    return float(chi2.sf(estimates @ np.linalg.solve(covariance, estimates), len(estimates)))
