"""Calibration: whether of patients with a predicted risk of 20 %, 20 in 100 have the event [1]_.

.. [1] Van Calster et al., A calibration hierarchy for risk models was defined: from utopia to empirical data, Journal
       of Clinical Epidemiology 74, 2016, 10.1016/j.jclinepi.2015.12.005.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import expit, logit

from ppgssl.core.records import BoolArray, FloatArray, IntArray
from ppgssl.core.results.base import Interval
from ppgssl.core.results.performance import Calibration, RiskGroup
from ppgssl.evaluation.calibration_curve import CalibrationCurve
from ppgssl.evaluation.inference import Z95, wilson_interval
from ppgssl.evaluation.predictions import AlignedPredictions, mean_over_repeats, rows_of_repeats
from ppgssl.evaluation.resampling import Replicates, resample
from ppgssl.evaluation.weighted_logistic import fit_weightings, fit_where_defined

# Risks nearer to 0 or 1 are moved here before their logit is taken.
CLIP = 1e-6
_N_POINTS = 50
_N_BINS = 20
_N_GROUPS = 10
_MIN_OF_CLASS = 5
# Outcomes drawn from the risks themselves, and how many of them may be alive at once (patients times draws).
_N_OUTCOMES = 200
_BLOCK = 2_000_000
# Thousands of patients need fewer resamples, and each costs more: from 1,000 patients on there are so many as make
# this product of patients and resamples, and at least 500.
_PATIENTS_DRAWN = 2_000_000
_FEWEST_RESAMPLES = 500


def assess_calibration(aligned: AlignedPredictions, *, n_resamples: int = 2000, seed: int) -> dict[str, Calibration]:
    """Calibration in the large, slope, flexible curve and its mean distance from the diagonal, of every arm.

    The folds of a repeat are pooled; each number is computed in each repeat, and averaged over repeats. With ``L`` the
    logit of the risk, clipped to ``CLIP .. 1 - CLIP``:

    - intercept: ``a`` of ``logit P(event) = a + L``;
    - slope: ``b`` of ``logit P(event) = a + b L``;
    - curve: see :class:`ppgssl.evaluation.calibration_curve.CalibrationCurve`;
    - ICI, E50, E90: mean, median and 90th percentile over patients of the distance of curve and risk [1]_.

    Returns a dict of arm -> Calibration: what is not defined is null, or empty: slope and curve where risks separate
    the classes or do not vary, the intercept where all patients have the same outcome, groups where a class has fewer
    than 5 patients. Intervals are not the plain percentiles of the resamples, which cover too little here. Those of
    intercept and slope are as wide, with the estimate in the middle. That of the ICI ends at its 97.5th percentile,
    reaches as far down as up, not below 0, and begins at 0 where risks that are true show as high an ICI in at least
    5 % of ``_N_OUTCOMES`` outcomes drawn from them. The mean ICI of such outcomes is ``ici_if_perfect``: a mean
    distance is never zero, and up to there it is what chance alone makes. The band of the curve is pointwise, from its
    standard error on the logit scale (mean over repeats), which knows what resampling cannot: that where no patient had
    the event, some might have had it.

    Parameters
    ----------
    n_resamples, seed : draws of patients, those of every other statistic with this seed; knots stay where they are.
        Over 1,000 patients are drawn fewer times, from 4,000 on 500 times: the first draws of the others.

    Notes
    -----
    15 arms, 5 repeats, 200 patients and 2,000 resamples take some 8 s on one core, 20,000 patients some 5 minutes;
    memory beyond that of the predictions stays below 300 MB.

    .. [1] Austin & Steyerberg, The Integrated Calibration Index (ICI) and related metrics for quantifying the
           calibration of logistic regression models, Statistics in Medicine 38, 2019, 10.1002/sim.8281.
    """
    logits = logit(np.clip(aligned.y_score, CLIP, 1 - CLIP))
    n_resamples = min(n_resamples, max(_FEWEST_RESAMPLES, _PATIENTS_DRAWN // aligned.n_patients))
    repeats = rows_of_repeats(aligned)
    first = repeats[0]
    curves = [[CalibrationCurve(of_arm[rows]) for rows in repeats] for of_arm in logits]
    if_perfect = _ici_of_true_risks(aligned, logits, curves, np.random.default_rng([seed, _N_OUTCOMES]))
    assessed = {}
    for number, arm in enumerate(aligned.arms):
        found = _resample_arm(aligned, logits[number], curves[number], n_resamples=n_resamples, seed=seed)
        assessed[arm] = Calibration(
            intercept=_centre(found.interval("intercept")),
            slope=_centre(found.interval("slope")),
            ici=_ici_interval(found.interval("ici"), if_perfect[number]),
            ici_if_perfect=float(if_perfect[number].mean()) if len(if_perfect[number]) else None,
            **_curve_fields(aligned, logits[number], curves[number]),
            groups=risk_groups(aligned.y_true[first], aligned.y_score[number, first]),
            histogram=np.histogram(aligned.y_score[number, first], bins=_N_BINS, range=(0, 1))[0].tolist(),
        )
    return assessed


def _resample_arm(
    aligned: AlignedPredictions, logits: FloatArray, curves: list[CalibrationCurve], *, n_resamples: int, seed: int
) -> Replicates:
    """Replicates of ``intercept``, ``slope`` and ``ici``."""

    def of_repeat(number: int, rows: IntArray, weights: FloatArray) -> FloatArray:
        y, x, curve = aligned.y_true[rows], logits[rows], curves[number]
        ici = _ici(curve, x, curve.fit(y, weights), weights)
        return np.stack([calibration_intercept(y, x, weights), calibration_slope(y, x, weights), ici])

    averaged = mean_over_repeats(aligned, of_repeat)
    return resample(averaged, ["intercept", "slope", "ici"], aligned.n_patients, n_resamples=n_resamples, seed=seed)


def calibration_intercept(y_true: BoolArray, logits: FloatArray, weights: FloatArray) -> FloatArray:
    """What must be added to the logits of the risks so that mean risk and prevalence agree, for each weighting.

    ``weights`` has shape (n_rows, n_weightings); NaN where all have the same outcome.
    """
    return fit_weightings(np.ones((len(logits), 1)), y_true, weights, offset=logits)[0]


def calibration_slope(y_true: BoolArray, logits: FloatArray, weights: FloatArray) -> FloatArray:
    """Slope of the outcome on the logits of the risks, as :func:`calibration_intercept`.

    NaN where risks separate the classes or do not vary.
    """
    return fit_where_defined(np.column_stack([np.ones_like(logits), logits]), logits, y_true, weights)[1]


def _ici(curve: CalibrationCurve, logits: FloatArray, coefficients: FloatArray, weights: FloatArray) -> FloatArray:
    n = weights.sum(axis=0)
    distance = np.abs(curve.at(logits, coefficients) - expit(logits)[:, None])
    return np.asarray((distance * weights).sum(axis=0) / np.where(n > 0, n, np.nan))


def _ici_of_true_risks(
    aligned: AlignedPredictions, logits: FloatArray, curves: list[list[CalibrationCurve]], rng: np.random.Generator
) -> list[FloatArray]:
    """ICIs of each arm if its risks were true: of outcomes that are drawn from them, where defined.

    One number a patient decides the outcome in all repeats and arms, so that repeats are as dependent as they are.
    """
    repeats = rows_of_repeats(aligned)
    size = max(1, _BLOCK // aligned.n_patients)
    blocks = []
    for start in range(0, _N_OUTCOMES, size):
        luck = rng.random((aligned.n_patients, min(size, _N_OUTCOMES - start)))
        block = np.zeros((len(logits), luck.shape[1]))
        for number, rows in enumerate(repeats):
            chance = luck[aligned.patient[rows]]
            for arm, of_arm in enumerate(logits):
                x, curve = of_arm[rows], curves[arm][number]
                coefficients = curve.fit_outcomes(chance < expit(x)[:, None])
                block[arm] += _ici(curve, x, coefficients, np.ones_like(chance)) / len(repeats)
        blocks.append(block)
    return [of_arm[np.isfinite(of_arm)] for of_arm in np.concatenate(blocks, axis=1)]


def _centre(interval: Interval) -> Interval:
    """The interval moved so that the estimate is its middle."""
    if interval.estimate is None or interval.ci_low is None or interval.ci_high is None:
        return interval
    half = (interval.ci_high - interval.ci_low) / 2
    return Interval(estimate=interval.estimate, ci_low=interval.estimate - half, ci_high=interval.estimate + half)


def _ici_interval(percentiles: Interval, if_perfect: FloatArray) -> Interval:
    """From the percentile interval, reaching as far down as up; with 0, if risks that are true often show as much."""
    if percentiles.estimate is None or percentiles.ci_high is None:
        return percentiles
    low = max(0.0, 2 * percentiles.estimate - percentiles.ci_high)
    if len(if_perfect) and percentiles.estimate <= np.quantile(if_perfect, 0.95):
        low = 0.0
    return percentiles.model_copy(update={"ci_low": min(low, percentiles.estimate)})


def _curve_fields(aligned: AlignedPredictions, logits: FloatArray, curves: list[CalibrationCurve]) -> dict[str, Any]:
    """The curve with its band, and quantiles of its distance: means over repeats."""
    # Logits of evenly spaced risks, from the 1st to the 99th percentile: beyond, a curve is a guess.
    low, high = np.quantile(expit(logits), [0.01, 0.99])
    grid = np.asarray(logit(np.linspace(low, high, _N_POINTS)))
    observed, errors, quantiles = [], [], []
    for rows, curve in zip(rows_of_repeats(aligned), curves, strict=True):
        x = logits[rows]
        coefficients = curve.fit(aligned.y_true[rows], np.ones((len(rows), 1)))
        if np.isnan(coefficients).any():
            return {name: [] for name in ("curve_predicted", "curve_observed", "curve_ci_low", "curve_ci_high")}
        observed.append(curve.at(grid, coefficients)[:, 0])
        errors.append(curve.standard_error(grid, coefficients[:, 0]))
        quantiles.append(np.quantile(np.abs(curve.at(x, coefficients)[:, 0] - expit(x)), [0.5, 0.9]))
    middle, half = logit(np.clip(np.mean(observed, axis=0), 1e-12, 1 - 1e-12)), Z95 * np.mean(errors, axis=0)
    return {
        "curve_predicted": expit(grid).tolist(),
        "curve_observed": expit(middle).tolist(),
        "curve_ci_low": expit(middle - half).tolist(),
        "curve_ci_high": expit(middle + half).tolist(),
        "e50": float(np.mean(quantiles, axis=0)[0]),
        "e90": float(np.mean(quantiles, axis=0)[1]),
    }


def risk_groups(y_true: BoolArray, y_score: FloatArray) -> list[RiskGroup]:
    """Patients by tenths of predicted risk, and how many of each group had the event, with Wilson intervals.

    Equal risks stay together. From the lowest risk upwards, a group is joined with the next until at least 5 of its
    patients had the event and 5 had not; what is left at the top joins the last group. There is no group where fewer
    than 5 patients in all had the event, or had not.
    """
    if min(y_true.sum(), (~y_true).sum()) < _MIN_OF_CLASS:
        return []
    limits = np.unique(np.quantile(y_score, np.arange(1, _N_GROUPS) / _N_GROUPS))
    tenth = np.searchsorted(limits, y_score, side="left")
    groups: list[BoolArray] = []
    members = np.zeros(len(y_true), dtype=bool)
    for number in range(len(limits) + 1):
        members = members | (tenth == number)
        if min((members & y_true).sum(), (members & ~y_true).sum()) >= _MIN_OF_CLASS:
            groups.append(members)
            members = np.zeros(len(y_true), dtype=bool)
    groups[-1] = groups[-1] | members
    found = []
    for members in groups:
        n, n_events, mean = int(members.sum()), int(y_true[members].sum()), float(y_score[members].mean())
        low, high = wilson_interval(n_events, n)
        found.append(RiskGroup(n=n, mean_predicted=mean, observed=n_events / n, ci_low=low, ci_high=high))
    return found


@dataclass(frozen=True)
class BrierScores:
    """The Brier score of one arm, and the proportion by which it is below that of predicting the prevalence."""

    brier: Interval
    scaled: Interval


def brier_scores(aligned: AlignedPredictions, *, n_resamples: int = 2000, seed: int) -> dict[str, BrierScores]:
    """Brier score [1]_ and scaled Brier score [2]_ of every arm.

    Returns a dict of arm -> BrierScores: ``scaled`` is ``1 - Brier / (p (1 - p))`` with ``p`` the prevalence of the
    patients tested (in each draw, of those drawn): 1 is perfect, 0 no better than predicting ``p`` for everybody, below
    0 worse. It is null where all have the same outcome.

    ``aligned``: scores are risks; the folds of a repeat are pooled, and repeats averaged.

    .. [1] Brier, Verification of forecasts expressed in terms of probability, Monthly Weather Review 78, 1950,
           10.1175/1520-0493(1950)078<0001:VOFEIT>2.0.CO;2.
    .. [2] Steyerberg et al., Assessing the performance of prediction models, Epidemiology 21, 2010,
           10.1097/EDE.0b013e3181c30fb2.
    """
    squares = (aligned.y_score - aligned.y_true) ** 2
    names = [f"{kind} {arm}" for kind in ("brier", "scaled") for arm in aligned.arms]

    def of_repeat(_: int, rows: IntArray, weights: FloatArray) -> FloatArray:
        n = weights.sum(axis=0)
        # A draw may miss all patients of a repeat, where not every repeat tests everybody.
        n = np.where(n > 0, n, np.nan)
        brier = squares[:, rows] @ weights / n
        prevalence = aligned.y_true[rows] @ weights / n
        of_prevalence = prevalence * (1 - prevalence)
        scaled = 1 - brier / np.where(of_prevalence > 0, of_prevalence, np.nan)
        return np.concatenate([brier, scaled])

    averaged = mean_over_repeats(aligned, of_repeat)
    found = resample(averaged, names, aligned.n_patients, n_resamples=n_resamples, seed=seed)
    return {arm: BrierScores(found.interval(f"brier {arm}"), found.interval(f"scaled {arm}")) for arm in aligned.arms}
