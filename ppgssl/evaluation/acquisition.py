"""Is a property of how signals were acquired associated with the outcome? A model may then learn the device."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from ppgssl.core.errors import EvaluationError
from ppgssl.core.records import BoolArray, FloatArray
from ppgssl.core.results.base import Interval
from ppgssl.core.results.robustness import AcquisitionCheck
from ppgssl.evaluation.ranked_pairs import auroc, bootstrap_scores
from ppgssl.evaluation.table_one import standardized_mean_difference

MIN_GROUP = 5
MIN_PATIENTS = 20
# Width of the empty interval between two separate groups, in pooled within-group SDs.
MIN_GAP_SD = 2.0
MIN_DIFFERENCE_SD = 0.8


@dataclass(frozen=True)
class TwoGroups:
    """Patients who fall into two groups with nothing between.

    ``threshold``: middle of the empty interval (geometric where all values are positive). ``gap_sd``: width of that
    interval in pooled within-group standard deviations.
    """

    threshold: float
    gap_sd: float


def find_two_groups(values: FloatArray) -> TwoGroups | None:
    """Two groups of at least five patients each, if values fall into two that are plainly apart.

    Values are compared as logarithms where all are positive: gains multiply. Every split that leaves five patients on
    either side is rated by the empty interval at the split over the pooled SD within the two sides; groups count as
    separate where that is 2 or more. Samples of one distribution stay far below: for 20 normal values or more the 99th
    percentile of the widest interval is under 1.8, for 150 under 0.6, and heavy tails (t with 3 degrees of freedom)
    seldom reach 2. The price of so strict a rule: groups that overlap are not found by it. Returns a TwoGroups or None:
    None where there is one group, or fewer than 20 patients.

    ``values``: float array, shape (n_patients,); finite.
    """
    is_ratio = bool((values > 0).all())
    scale = np.sort(np.log(values) if is_ratio else values)
    n = len(scale)
    if n < MIN_PATIENTS:
        return None
    sizes = np.arange(MIN_GROUP, n - MIN_GROUP + 1)
    gaps = scale[sizes] - scale[sizes - 1]
    spread = _within_sd(scale - scale.mean(), sizes)
    # Values of which all on either side are equal are apart by any measure.
    in_sd = np.divide(gaps, spread, out=np.where(gaps > 0, np.inf, 0.0), where=spread > 1e-12)
    best = int(np.argmax(in_sd))
    if in_sd[best] < MIN_GAP_SD:
        return None
    middle = float(scale[sizes[best] - 1] + gaps[best] / 2)
    return TwoGroups(float(np.exp(middle)) if is_ratio else middle, float(in_sd[best]))


def _within_sd(scale: FloatArray, sizes: np.ndarray) -> FloatArray:
    """Pooled SD on both sides of each split of sorted values."""
    total, squares = np.cumsum(scale), np.cumsum(scale**2)
    n = len(scale)
    below = squares[sizes - 1] - total[sizes - 1] ** 2 / sizes
    above = (squares[-1] - squares[sizes - 1]) - (total[-1] - total[sizes - 1]) ** 2 / (n - sizes)
    return np.sqrt(np.maximum(below, 0) + np.maximum(above, 0)) / np.sqrt(n - 2)


def check_acquisition(
    cohort: str,
    name: str,
    values: pd.Series,
    y: pd.Series,
    covariates: pd.DataFrame,
    *,
    n_resamples: int = 2000,
    seed: int,
) -> AcquisitionCheck:
    """How well one property of the raw signal alone predicts the outcome, and whether it splits the patients in two.

    Returns an AcquisitionCheck: the AUROC is that of the property or, where smaller values go with the event, of its
    negative: at least 0.5 by construction, so that its interval may be slightly optimistic. The text describes groups
    of five or more, never of a patient. Raises EvaluationError if fewer than two patients have a value, or all have the
    same outcome.

    Parameters
    ----------
    cohort, name : cohort, and the property in words, for example ``Raw level (adc)``
    values : Series, index patient; the property; patients of ``y`` without a finite value are left out
    y : Series of 0/1, index patient
    covariates : DataFrame, index patient; clinical variables to compare between two groups, the columns named as a
        reader should see them; columns that are not numbers are passed over
    """
    known = values.reindex(y.index).astype(float)
    known = known[np.isfinite(known.to_numpy())]
    outcome = y.loc[known.index].to_numpy(dtype=float) == 1
    if outcome.all() or not outcome.any():
        raise EvaluationError(
            f"{name} of cohort {cohort!r} cannot be set against the outcome: of the {len(known)} patients with a "
            f"value, {int(outcome.sum())} have the event. Both outcomes are needed."
        )
    score = known.to_numpy()
    score = score if auroc(outcome, score) >= 0.5 else -score
    interval = bootstrap_scores(outcome, score, n_resamples=n_resamples, seed=seed)
    groups = find_two_groups(known.to_numpy())
    text = _describe_ranking(name, interval)
    if groups is None:
        text += " The patients do not fall into two separate groups by it."
    else:
        is_high = known.to_numpy() > groups.threshold
        text += " " + _describe_groups(groups, is_high, outcome, covariates.reindex(known.index))
    return AcquisitionCheck(
        cohort=cohort,
        name=name,
        values=known.tolist(),
        is_event=outcome.tolist(),
        auroc=interval,
        threshold=groups.threshold if groups else None,
        text=text,
    )


def _describe_ranking(name: str, interval: Interval) -> str:
    assert interval.estimate is not None  # both outcomes are present
    text = f"{name} alone ranks patients by outcome with an AUROC of {interval.estimate:.2f}"
    if interval.ci_low is None or interval.ci_high is None:
        return text + "."
    text += f" (95% CI {interval.ci_low:.2f}\N{EN DASH}{interval.ci_high:.2f})"
    return text + (
        ": more than chance explains, and within reach of any model of the raw signal."
        if interval.ci_low > 0.5
        else "."
    )


def _describe_groups(groups: TwoGroups, is_high: BoolArray, outcome: BoolArray, covariates: pd.DataFrame) -> str:
    is_small = is_high if is_high.sum() <= (~is_high).sum() else ~is_high
    side = "above" if is_small is is_high else "below"
    sentences = [
        f"{int(is_small.sum())} of {len(is_small)} patients lie apart, {side} {groups.threshold:.4g}.",
        f"The event: {_proportion(outcome[is_small])} of them, {_proportion(outcome[~is_small])} of the others.",
    ]
    differing = _differences(covariates, is_small)
    if differing:
        sentences.append(f"The two groups also differ in {', '.join(differing)}.")
    sentences.append("A model that recognises the group can look as if it recognised the patient.")
    return " ".join(sentences)


def _proportion(outcome: BoolArray) -> str:
    return f"{int(outcome.sum())} of {len(outcome)} ({100 * outcome.mean():.0f}%)"


def _differences(covariates: pd.DataFrame, is_small: BoolArray) -> list[str]:
    """Numeric covariates whose groups are far apart, each of five known values or more, as medians and quartiles."""
    texts = []
    for name in covariates.select_dtypes("number").columns:
        column = covariates[name].to_numpy(dtype=float)
        small, others = (group[~np.isnan(group)] for group in (column[is_small], column[~is_small]))
        if min(len(small), len(others)) < MIN_GROUP:
            continue
        difference = standardized_mean_difference(others, small)
        if difference is not None and abs(difference) >= MIN_DIFFERENCE_SD:
            texts.append(f"{name} ({_summary(small)}; the others {_summary(others)})")
    return texts


def _summary(group: FloatArray) -> str:
    if np.isin(group, (0, 1)).all():
        return f"{100 * group.mean():.0f}%"
    q1, median, q3 = np.quantile(group, [0.25, 0.5, 0.75])
    return f"median {median:.3g}, quartiles {q1:.3g}\N{EN DASH}{q3:.3g}"
