"""Results as plain tables for R, Stata, SAS or Python: one row an observation, numbers not rounded.

Columns keep their names in all tables (``arm``, ``estimate``, ``ci_low``, ...), are short enough for Stata, and are
explained in ``codebook.yaml``. What is not defined is empty, and truth is 1 or 0.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import zip_longest
from typing import Any

import pandas as pd

from ppgssl.core.results.base import Difference, Interval
from ppgssl.core.results.performance import Calibration
from ppgssl.core.results.study import Results

Record = dict[str, Any]
_SINGLE: Record = {"estimate": None, "ci_low": None, "ci_high": None}


def _interval(value: Interval | None, prefix: str = "") -> Record:
    start = f"{prefix}_" if prefix else ""
    names = {prefix or "estimate": "estimate", f"{start}ci_low": "ci_low", f"{start}ci_high": "ci_high"}
    return {name: None if value is None else getattr(value, field) for name, field in names.items()}


def _difference(value: Difference) -> Record:
    return {"reference": value.reference} | _interval(value) | _plain(value, "p_value", "p_adjusted")


def _plain(model: Any, *names: str) -> Record:
    return {name: getattr(model, name) for name in names}


def _curve(first: Record, **columns: Sequence[float]) -> Iterator[Record]:
    """Rows of a curve; a column that was not computed is empty."""
    n = max(map(len, columns.values()))
    for i in range(n):
        yield first | {name: values[i] if i < len(values) else None for name, values in columns.items()}


def _arms(results: Results) -> Iterator[Record]:
    names = ("label", "learner", "clinical", "features", "has_hand_crafted", "is_stacking", "is_control")
    more = ("is_transductive", "n_features", "seconds")
    for arm in results.arms:
        yield {"arm": arm.name} | _plain(arm, *names, *more) | _interval(arm.auroc, "auroc")


def _performance(results: Results) -> Iterator[Record]:
    names = ("auroc", "auroc_bca", "auroc_delong", "partial_auroc", "auprc", "brier", "scaled_brier")
    for arm in results.arms:
        for name in (*names, "auroc_sensitivity"):
            if (value := getattr(arm, name)) is not None:
                yield {"arm": arm.name, "statistic": name} | _interval(value)
        if arm.calibration is not None:
            for name in ("intercept", "slope", "ici", "ici_if_perfect", "e50", "e90"):
                row, value = {"arm": arm.name, "statistic": f"calibration_{name}"}, getattr(arm.calibration, name)
                yield row | (_interval(value) if isinstance(value, Interval) else _SINGLE | {"estimate": value})


def _differences(results: Results) -> Iterator[Record]:
    kinds = {
        "difference": "covariates",
        "difference_from_untrained": "untrained",
        "difference_from_clinical": "clinical",
        "difference_from_hand_crafted": "hand-crafted",
    }
    for arm in results.arms:
        for name, kind in kinds.items():
            if (value := getattr(arm, name)) is not None:
                yield {"arm": arm.name, "comparison": kind} | _difference(value)


def _operating_points(results: Results) -> Iterator[Record]:
    for arm in results.arms:
        for point in arm.operating_points:
            rates = [_interval(getattr(point, name), name) for name in ("sensitivity", "specificity", "ppv", "npv")]
            row = {"arm": arm.name} | _plain(point, "rule", "label", "threshold", "n_positive")
            yield row | {name: value for rate in rates for name, value in rate.items()}


def _roc_curves(results: Results) -> Iterator[Record]:
    for arm in results.arms:
        columns = _plain(arm.roc, "false_positive_rate", "true_positive_rate", "ci_low", "ci_high")
        yield from _curve({"arm": arm.name}, **columns)


def _calibrated(results: Results) -> Iterator[tuple[Record, Calibration]]:
    return (({"arm": arm.name}, arm.calibration) for arm in results.arms if arm.calibration is not None)


def _calibration_curves(results: Results) -> Iterator[Record]:
    for arm, found in _calibrated(results):
        columns = _plain(found, "curve_predicted", "curve_observed", "curve_ci_low", "curve_ci_high")
        yield from _curve(arm, **{name.removeprefix("curve_"): values for name, values in columns.items()})


def _risk_groups(results: Results) -> Iterator[Record]:
    for arm, found in _calibrated(results):
        for number, group in enumerate(found.groups, start=1):
            values = _plain(group, "n", "observed", "ci_low", "ci_high")
            yield arm | {"risk_group": number, "predicted": group.mean_predicted} | values


def _risk_histograms(results: Results) -> Iterator[Record]:
    for arm, found in _calibrated(results):
        width = 1 / max(len(found.histogram), 1)
        for number, n in enumerate(found.histogram):
            yield arm | {"from_risk": number * width, "to_risk": (number + 1) * width, "n": n}


def _decision_curves(results: Results) -> Iterator[Record]:
    curves = [(arm.name, arm.decision_curve) for arm in results.arms if arm.decision_curve is not None]
    for name, curve in [*curves, *results.decision_references.items()]:
        values = _plain(curve, "threshold", "net_benefit", "ci_low", "ci_high")
        yield from _curve({"arm": name}, **values)


def _added_value(results: Results) -> Iterator[Record]:
    for added in results.added_value:
        test = {"statistic": "likelihood_ratio", "estimate": added.lr_chi2, "df": added.lr_df}
        yield {"arm": added.arm, "reference": added.reference} | test | {"p_value": added.lr_p_value}
        yield {"arm": added.arm, "statistic": "auroc"} | _difference(added.auroc)
        for threshold, value in zip(added.thresholds, added.net_benefit, strict=False):
            yield {"arm": added.arm, "statistic": "net_benefit", "threshold": threshold} | _difference(value)


def _subgroups(results: Results) -> Iterator[Record]:
    for group in results.subgroups:
        for level in group.levels:
            row = _plain(group, "variable", "label") | _plain(level, "level", "n", "n_events", "is_suppressed")
            for arm in level.auroc or [None]:
                value = _interval(None if arm is None else level.auroc[arm])
                p_value = {"interaction_p": group.interaction_p.get(arm or "")}
                yield row | {"arm": arm, "statistic": "auroc"} | value | p_value


def _learning_curves(results: Results) -> Iterator[Record]:
    for curve in results.learning_curves:
        for point in curve.points:
            row = {"arm": curve.arm} | _plain(point, "n_patients", "n_events", "n_fits")
            yield row | {"statistic": "auroc"} | _interval(point.auroc)


def _stability(results: Results) -> Iterator[Record]:
    for found in results.stability:
        yield from _curve({"arm": found.arm}, risk=found.risk, ci_low=found.ci_low, ci_high=found.ci_high)


def _optimism(results: Results) -> Iterator[Record]:
    for found in results.optimism:
        row = {"arm": found.arm, "n_resamples": found.n_resamples}
        for name in ("apparent", "calibration_slope"):
            yield row | {"statistic": name, "estimate": getattr(found, name)}
        for name in ("harrell", "b632plus"):
            yield row | {"statistic": name} | _interval(getattr(found, name))


def _table_one(results: Results) -> Iterator[Record]:
    names = ("n", "n_missing", "mean", "sd", "median", "q1", "q3", "count", "fraction")
    for row in results.table_one:
        for group in ("overall", "without_event", "with_event"):
            variable = _plain(row, "variable", "label", "unit", "kind", "level")
            yield variable | {"group": group} | _plain(getattr(row, group), *names) | {"smd": row.smd}


def _missing(results: Results) -> Iterator[Record]:
    for variable in results.missing.variables if results.missing else ():
        yield {"variable": variable.name} | _plain(variable, "label", "n", "n_missing", "n_missing_with_event")


def _odds_ratios(results: Results) -> Iterator[Record]:
    for term in results.covariate_model.odds_ratios if results.covariate_model else ():
        yield _plain(term, "term", "label") | _interval(term.odds_ratio) | {"p_value": term.p_value}


def _embedding_maps(results: Results) -> Iterator[Record]:
    for found in results.embedding_maps:
        yield from _curve(_plain(found, "features", "method"), **_plain(found, "x", "y", "is_event", "cohort"))


def _flow(results: Results) -> Iterator[Record]:
    for cohort in results.flow:
        yield {name: getattr(cohort, name) for name in type(cohort).model_fields if name != "exclusions"}


def _exclusions(results: Results) -> Iterator[Record]:
    for cohort in results.flow:
        for exclusion in cohort.exclusions:
            texts = {"reason": exclusion.reason.value, "text": exclusion.reason.text}
            yield {"cohort": cohort.cohort, "unit": exclusion.unit, **texts, "n": exclusion.n}


def _quality(results: Results) -> Iterator[Record]:
    for row in results.quality:
        quartiles = row.heart_rate_bpm_quartiles or []
        rates = dict(zip_longest(("hr_bpm_q1", "hr_bpm_median", "hr_bpm_q3"), quartiles))
        yield _plain(row, "cohort", "channel", "n_segments", "n_accepted") | rates


def _saturation(results: Results) -> Iterator[Record]:
    for one in results.spo2.ranges if results.spo2 else ():
        row = _plain(results.spo2, "cohort", "calibration") | {"from_spo2": one.low, "below_spo2": one.high}
        yield row | _plain(one, "n_segments", "n_patients", "bias", "a_rms")


def _acquisition(results: Results) -> Iterator[Record]:
    for check in results.acquisition:
        row = {"cohort": check.cohort, "property": check.name}
        yield row | {"statistic": "auroc"} | _interval(check.auroc) | {"threshold": check.threshold}


def _leakage(results: Results) -> Iterator[Record]:
    return ({"check": check.what} | _plain(check, "n_checked", "n_shared") for check in results.leakage)


def _shift(results: Results) -> Iterator[Record]:
    names = ("label", "unit", "n", "n_missing", "n_reference", "proportion_missing_reference", "mean", "sd")
    more = ("mean_reference", "sd_reference", "difference", "difference_by_chance", "is_warning")
    for measure in results.shift:
        stability = {"psi": measure.index, "psi_by_chance": measure.index_by_chance}
        yield {"quantity": measure.name, "kind": measure.group} | _plain(measure, *names, *more) | stability


def _pretraining_curves(results: Results) -> Iterator[Record]:
    for run in results.pretraining:
        for number, curve in enumerate(run.curves, start=1):
            first = {"encoder": run.encoder, "encoder_number": number}
            yield from (first | _plain(point, "step", "train_loss", "validation_loss") for point in curve)


def _probes(results: Results) -> Iterator[Record]:
    for measure in results.probe.measures if results.probe else ():
        names = ("cohort", "quantity", "representation", "part", "statistic")
        yield _plain(measure, *names) | _interval(measure.value)


# Name of the file -> its rows; what each file and column holds is in ``codebook.yaml``.
TIDY: dict[str, Callable[[Results], Iterable[Record]]] = {
    rows.__name__.removeprefix("_"): rows
    for rows in (
        _arms,
        _performance,
        _differences,
        _added_value,
        _operating_points,
        _roc_curves,
        _calibration_curves,
        _risk_groups,
        _risk_histograms,
        _decision_curves,
        _subgroups,
        _learning_curves,
        _stability,
        _optimism,
        _odds_ratios,
        _table_one,
        _missing,
        _flow,
        _exclusions,
        _quality,
        _saturation,
        _acquisition,
        _leakage,
        _shift,
        _pretraining_curves,
        _probes,
        _embedding_maps,
    )
}


def tidy_tables(results: Results) -> dict[str, pd.DataFrame]:
    """Every table that has a row, by the name of its file; numbers as they are in the results."""
    found = {name: pd.DataFrame(list(rows(results)), dtype=object) for name, rows in TIDY.items()}
    return {name: frame.apply(_typed) for name, frame in found.items() if len(frame)}


def _typed(column: pd.Series) -> pd.Series:
    """Truth as 1 and 0, which every program reads alike; whole numbers stay whole beside empty cells."""
    kinds = {type(value) for value in column.dropna()}
    if kinds and kinds <= {bool, int}:
        return column.astype("Int64")
    return column.astype(float) if kinds <= {int, float} else column
