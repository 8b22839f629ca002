"""Tables of what each arm reached: discrimination, differences, further metrics, calibration, decisions."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import groupby

from ppgssl.core.results.base import Difference
from ppgssl.core.results.performance import AddedValue, ArmResult, OperatingPoint
from ppgssl.core.results.study import Results
from ppgssl.report.document import Row, Table, Text
from ppgssl.report.tables.build import build_table, grouped_rows, right
from ppgssl.report.text import rounding
from ppgssl.report.text.facts import Facts
from ppgssl.report.text.families import arm_label, grouped
from ppgssl.report.text.rounding import UNDEFINED

_MANY_EVENTS = 1000
_MEASURES = {"AUPRC": "auprc", "Partial AUROC": "partial_auroc", "Brier": "brier", "Scaled Brier": "scaled_brier"}
_INTERVALS = {"Percentile bootstrap": "auroc", "BCa bootstrap": "auroc_bca", "DeLong, logit": "auroc_delong"}


def _label(arm: ArmResult) -> str:
    return arm.label + (" †" if arm.is_transductive else "")


def _by_family(arms: Iterable[ArmResult], cells: Callable[[ArmResult], tuple[Text, ...]]) -> list[Row]:
    """A row for each arm below the name of its family; controls are muted."""
    return grouped_rows(grouped(arms).items(), cells, lambda arm: arm.is_control)


def results_table(results: Results) -> Table | None:
    """One row an arm in the order of the published table, controls set apart."""
    facts = Facts(results)
    has_difference, has_sensitivity = facts.has("difference"), facts.has("auroc_sensitivity")
    references = {arm.difference.reference for arm in results.arms if arm.difference is not None}

    def difference_cells(arm: ArmResult) -> tuple[Text, ...]:
        if arm.difference is None:
            return ("reference", "") if arm.name in references else (UNDEFINED, UNDEFINED)
        return rounding.interval(arm.difference, facts.auroc_decimals, signed=True), _p_cell(facts, arm.difference)

    def cells(arm: ArmResult) -> tuple[Text, ...]:
        return (
            _label(arm),
            *([] if facts.is_given else [_features(arm)]),
            rounding.interval(arm.auroc, facts.auroc_decimals),
            *(difference_cells(arm) if has_difference else ()),
            *([rounding.interval(arm.auroc_sensitivity, facts.auroc_decimals)] if has_sensitivity else []),
        )

    return build_table(
        "table-results",
        _by_family(results.arms, cells),
        columns=[
            *right(*([] if facts.is_given else ["Features"]), "AUROC (95% interval)"),
            *(right(f"Difference from {facts.reference_words}", _p_header(facts)) if has_difference else []),
            *(right("Sensitivity AUROC") if has_sensitivity else []),
        ],
        results=results,
        facts=facts,
        is_transductive=bool(facts.transductive),
    )


def _features(arm: ArmResult) -> str:
    return "network" if arm.learner == "network" else rounding.count(arm.n_features)


def _p_header(facts: Facts) -> str:
    return "p (Holm)" if facts.is_adjusted else "p"


def _p_cell(facts: Facts, difference: Difference) -> str:
    p_value = difference.p_adjusted if facts.is_adjusted else difference.p_value
    return rounding.p_value(p_value, facts.results.validation.n_bootstrap)


def metrics_table(results: Results) -> Table | None:
    """What the AUROC does not tell: rare events, high sensitivity, errors of the risks."""
    known = {
        header: name
        for header, name in _MEASURES.items()
        if any((value := getattr(arm, name)) and value.estimate is not None for arm in results.arms)
    }
    arms = [arm for arm in results.arms if any(getattr(arm, name) for name in known.values())]
    return _intervals("table-metrics", results, arms, known)


def intervals_table(results: Results) -> Table | None:
    """The AUROC by three kinds of interval: do conclusions hang on how the interval is made?"""
    arms = [arm for arm in results.arms if arm.auroc_bca or arm.auroc_delong]
    return _intervals("table-intervals", results, arms, _INTERVALS)


def _intervals(name: str, results: Results, arms: list[ArmResult], fields: dict[str, str]) -> Table | None:
    """Intervals of each arm, a column for each of the fields."""
    decimals = rounding.auroc_decimals(results)

    def cells(arm: ArmResult) -> tuple[Text, ...]:
        return _label(arm), *(rounding.interval(getattr(arm, field), decimals) for field in fields.values())

    return build_table(name, _by_family(arms, cells), columns=right(*fields), results=results)


PAIRED = {
    "table-untrained": "difference_from_untrained",
    "table-clinical": "difference_from_clinical",
    "table-hand-crafted": "difference_from_hand_crafted",
}


def paired_table(results: Results, name: str) -> Table | None:
    """Each arm against the same arm without pretraining, without signals or without an encoder: see ``tables.yaml``."""
    field = PAIRED[name]
    facts = Facts(results)
    pairs = [(arm, found) for arm in results.arms if (found := getattr(arm, field)) is not None]
    words = [rounding.interval(found, facts.auroc_decimals, signed=True) for _, found in pairs]
    rows = [
        Row((_label(arm), arm_label(results, found.reference), difference, _p_cell(facts, found)))
        for (arm, found), difference in zip(pairs, words, strict=True)
    ]
    is_transductive = any(arm.is_transductive for arm, _ in pairs)
    return build_table(name, rows, columns=right(_p_header(facts)), facts=facts, is_transductive=is_transductive)


def added_value_table(results: Results) -> Table | None:
    """Likelihood-ratio test, change in AUROC and change in net benefit."""
    thresholds = sorted({threshold for row in results.added_value for threshold in row.thresholds})
    headers = [f"Net benefit at {rounding.risk(threshold)}, per 100" for threshold in thresholds]
    rows = [Row(_added_cells(results, row, thresholds)) for row in results.added_value]
    return build_table("table-added", rows, columns=right(*headers, width=1))


def _added_cells(results: Results, row: AddedValue, thresholds: list[float]) -> tuple[Text, ...]:
    by_threshold = dict(zip(row.thresholds, row.net_benefit, strict=False))
    chi2 = UNDEFINED if row.lr_chi2 is None else f"{rounding.number(row.lr_chi2, 1)} ({row.lr_df or UNDEFINED})"
    return (
        arm_label(results, row.arm),
        arm_label(results, row.reference),
        chi2,
        rounding.p_exact(row.lr_p_value),
        *(rounding.percent_interval(by_threshold.get(threshold), 1, signed=True) for threshold in thresholds),
    )


def calibration_table(results: Results) -> Table | None:
    arms = [arm for arm in results.arms if arm.calibration is not None]
    return build_table("table-calibration", _by_family(arms, _calibration_cells))


def _calibration_cells(arm: ArmResult) -> tuple[Text, ...]:
    found = arm.calibration
    assert found is not None
    return (
        _label(arm),
        rounding.interval(found.intercept, 2, signed=True),
        rounding.interval(found.slope, 2),
        rounding.interval(found.ici, 3),
        rounding.number(found.e50, 3),
        rounding.number(found.e90, 3),
    )


def operating_table(results: Results) -> Table | None:
    """Sensitivity, specificity and predictive values at each threshold: a block a rule, a row an arm."""
    arms = [arm for members in grouped(results.arms).values() for arm in members]
    points = [(point, arm) for arm in arms for point in arm.operating_points]
    order = {label: number for number, label in enumerate(dict.fromkeys(point.label for point, _ in points))}
    points.sort(key=lambda pair: order[pair[0].label])
    decimals = 1 if results.validation.n_events >= _MANY_EVENTS else 0
    groups = groupby(points, key=lambda pair: f"{pair[0].label[:1].upper()}{pair[0].label[1:]}")

    def cells(pair: tuple[OperatingPoint, ArmResult]) -> tuple[Text, ...]:
        point, arm = pair
        values = (point.sensitivity, point.specificity, point.ppv, point.npv)
        return (
            _label(arm),
            rounding.number(point.threshold, 3 if point.threshold < 0.0995 else 2),
            rounding.number(point.n_positive),
            *(rounding.percent_interval(value, decimals) for value in values),
        )

    return build_table("table-operating", grouped_rows(groups, cells, lambda pair: pair[1].is_control))
