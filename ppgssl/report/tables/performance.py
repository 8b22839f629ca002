"""Tables of what each arm reached: discrimination, differences, further metrics, calibration, decisions."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import groupby

from ppgssl.core.results.base import Difference, Interval
from ppgssl.core.results.performance import AddedValue, ArmResult, OperatingPoint
from ppgssl.core.results.study import Results
from ppgssl.report.document import Column, Row, Table, Text
from ppgssl.report.tables.study import build_table
from ppgssl.report.text import rounding
from ppgssl.report.text.facts import Facts
from ppgssl.report.text.families import CONTROLS, arm_label, grouped
from ppgssl.report.text.rounding import UNDEFINED

_TRANSDUCTIVE = (
    "† Transductive: pretraining saw the signals of test patients, though never their outcomes. The AUROC may be "
    "optimistic for new patients."
)
_MANY_EVENTS = 1000


def _label(arm: ArmResult) -> str:
    return arm.label + (" †" if arm.is_transductive else "")


def _by_family(arms: Iterable[ArmResult], cells: Callable[[ArmResult], tuple[Text, ...]]) -> list[Row]:
    """A row for each arm below the name of its family; controls are muted."""
    rows: list[Row] = []
    for name, members in grouped(arms).items():
        rows.append(Row((name,), "group"))
        rows += [Row(cells(arm), "muted" if name == CONTROLS else "indent") for arm in members]
    return rows


# --- discrimination --------------------------------------------------------------------------------------------


def results_table(results: Results) -> Table:
    """One row an arm in the order of the published table, controls set apart."""
    has_difference = any(arm.difference for arm in results.arms)
    has_sensitivity = any(arm.auroc_sensitivity for arm in results.arms)
    columns = (
        Column("Arm", width=1),
        Column("Features", "right"),
        Column("AUROC (95% interval)", "right"),
        *([Column("Difference to covariates", "right"), Column(_p_header(results), "right")] if has_difference else []),
        *([Column("Sensitivity AUROC", "right")] if has_sensitivity else []),
    )
    rows = _by_family(results.arms, lambda arm: _result_cells(results, arm, has_difference, has_sensitivity))
    return build_table("table-results", _results_caption(results), columns, rows, *_results_notes(results))


def _p_header(results: Results) -> str:
    return "p (Holm)" if Facts(results).is_adjusted else "p"


def _result_cells(results: Results, arm: ArmResult, has_difference: bool, has_sensitivity: bool) -> tuple[Text, ...]:
    decimals = rounding.auroc_decimals(results)
    cells: list[Text] = [
        _label(arm),
        rounding.count(arm.n_features) if arm.learner != "network" else "network",
        rounding.interval(arm.auroc, decimals),
    ]
    if has_difference:
        cells += _difference_cells(results, arm, decimals)
    if has_sensitivity:
        cells.append(rounding.interval(arm.auroc_sensitivity, decimals))
    return tuple(cells)


def _difference_cells(results: Results, arm: ArmResult, decimals: int) -> list[Text]:
    if arm.difference is None:
        return ["reference", ""] if arm.name in _references(results) else [UNDEFINED, UNDEFINED]
    return [rounding.interval(arm.difference, decimals, signed=True), _p_cell(results, arm.difference)]


def _p_cell(results: Results, difference: Difference) -> str:
    p_value = difference.p_adjusted if Facts(results).is_adjusted else difference.p_value
    return rounding.p_value(p_value, results.validation.n_bootstrap)


def _references(results: Results) -> set[str]:
    return {arm.difference.reference for arm in results.arms if arm.difference is not None}


def _results_caption(results: Results) -> str:
    return (
        "How well each arm tells patients with the event from those without: area under the ROC curve (AUROC) in "
        f"{rounding.plural(results.validation.n_test_patients, 'patient')} whose predictions come from models that "
        "were not fitted on them."
    )


def _results_notes(results: Results) -> list[Text]:
    validation = results.validation
    skipped = (
        f" ({rounding.count(validation.n_bootstrap_skipped)} of them without a defined AUROC)"
        if validation.n_bootstrap_skipped
        else ""
    )
    adjusted = (
        "adjusted by Holm for all arms compared with the covariates (intervals are not adjusted)"
        if Facts(results).is_adjusted
        else "not adjusted for the number of arms"
    )
    notes: list[Text] = [
        "AUROC: 0.5 is guessing, 1 is perfect. Intervals and p-values are from "
        f"{rounding.count(validation.n_bootstrap)} paired bootstrap resamples of patients{skipped}; p-values are "
        f"two-sided, {adjusted}. Features: columns of the design matrix after encoding."
    ]
    if any(arm.is_transductive for arm in results.arms):
        notes.append(_TRANSDUCTIVE)
    if any(arm.auroc_sensitivity for arm in results.arms):
        notes.append(sensitivity_words(results))
    return notes


def sensitivity_words(results: Results) -> str:
    validation = results.validation
    who = (validation.sensitivity or "a subset of the patients").rstrip(".")
    n, n_events = validation.sensitivity_n_patients, validation.sensitivity_n_events
    numbers = f"{rounding.count(n)} patients, {rounding.count(n_events)} with the event"
    return f"Sensitivity: the same predictions in a subset: {who} ({numbers})."


def metrics_table(results: Results) -> Table | None:
    """What the AUROC does not tell: rare events, high sensitivity, errors of the risks."""
    measures = [
        (header, of)
        for header, of in _MEASURES
        if any((value := of(arm)) is not None and value.estimate is not None for arm in results.arms)
    ]
    if not measures:
        return None
    columns = (Column("Arm", width=1), *(Column(header, "right") for header, _ in measures))
    decimals = rounding.auroc_decimals(results)
    rows = _by_family(
        [arm for arm in results.arms if any(of(arm) for _, of in measures)],
        lambda arm: (_label(arm), *(rounding.interval(of(arm), decimals) for _, of in measures)),
    )
    prevalence = rounding.n_percent(results.validation.n_events, results.validation.n_patients)
    return build_table(
        "table-metrics",
        "Further measures of each arm, with 95% intervals.",
        columns,
        rows,
        f"AUPRC: area under the precision-recall curve (average precision); guessing reaches the prevalence, here "
        f"{prevalence} of the patients. Partial AUROC: over sensitivities of 0.8 to 1, scaled so that 0.5 is guessing "
        "and 1 is perfect (McClish). Brier: mean squared error of the risks, 0 is perfect. Scaled Brier: 1 is perfect, "
        "0 is no better than giving everybody the prevalence, below 0 is worse.",
    )


_MEASURES: tuple[tuple[str, Callable[[ArmResult], Interval | None]], ...] = (
    ("AUPRC", lambda arm: arm.auprc),
    ("Partial AUROC", lambda arm: arm.partial_auroc),
    ("Brier", lambda arm: arm.brier),
    ("Scaled Brier", lambda arm: arm.scaled_brier),
)


def intervals_table(results: Results) -> Table | None:
    """The AUROC by three kinds of interval: do conclusions hang on how the interval is made?"""
    arms = [arm for arm in results.arms if arm.auroc_bca or arm.auroc_delong]
    if not arms:
        return None
    kinds: tuple[tuple[str, Callable[[ArmResult], Interval | None]], ...] = (
        ("Percentile bootstrap", lambda arm: arm.auroc),
        ("BCa bootstrap", lambda arm: arm.auroc_bca),
        ("DeLong, logit", lambda arm: arm.auroc_delong),
    )
    decimals = rounding.auroc_decimals(results)
    rows = _by_family(arms, lambda arm: (_label(arm), *(rounding.interval(of(arm), decimals) for _, of in kinds)))
    return build_table(
        "table-intervals",
        "The AUROC of each arm by three kinds of 95% interval.",
        (Column("Arm", width=1), *(Column(header, "right") for header, _ in kinds)),
        rows,
        "BCa: bias-corrected and accelerated. DeLong: from the variance of the AUROC on the logit scale. Where the "
        "three disagree, patients or events are too few for any of them to be exact.",
    )


# --- differences -----------------------------------------------------------------------------------------------


def untrained_table(results: Results) -> Table | None:
    """Each arm with SSL beside the same arm with an untrained encoder: what pretraining itself adds."""
    return _paired_table(
        results,
        "table-untrained",
        "What pretraining itself adds: each arm with SSL against the same arm with the encoder left untrained.",
        "The same, untrained encoder",
        lambda arm: arm.difference_to_untrained,
        "Positive values favour pretraining.",
    )


def clinical_table(results: Results) -> Table | None:
    """Each arm of clinical input and signals beside the clinical input alone, by the same learner."""
    return _paired_table(
        results,
        "table-clinical",
        "What signals add to a clinical input: each arm with both against the clinical input alone, by the same "
        "learner.",
        "Clinical input alone",
        lambda arm: arm.difference_to_clinical,
        "Positive values favour adding signals.",
    )


def hand_made_table(results: Results) -> Table | None:
    """Each arm of an encoder's and hand-made features beside the same arm without the encoder's."""
    return _paired_table(
        results,
        "table-hand-made",
        "What an encoder adds to hand-made pulse features: each arm with both against the same arm with the hand-made "
        "features alone.",
        "Without the encoder's features",
        lambda arm: arm.difference_to_hand_made,
        "Positive values favour adding the encoder's features.",
    )


def _paired_table(
    results: Results, label: str, caption: str, header: str, of: Callable[[ArmResult], Difference | None], note: str
) -> Table | None:
    pairs = [(arm, found) for arm in results.arms if (found := of(arm)) is not None]
    if not pairs:
        return None
    decimals = rounding.auroc_decimals(results)
    columns = (
        Column("Arm", width=1),
        Column(header, width=1),
        Column("Difference in AUROC", "right"),
        Column(_p_header(results), "right"),
    )
    rows = [
        Row(
            (
                _label(arm),
                arm_label(results, found.reference),
                rounding.interval(found, decimals, signed=True),
                _p_cell(results, found),
            )
        )
        for arm, found in pairs
    ]
    holm = " p-values are adjusted by Holm over the rows." if Facts(results).is_adjusted else ""
    dagger = [_TRANSDUCTIVE] if any(arm.is_transductive for arm, _ in pairs) else []
    return build_table(label, caption, columns, rows, f"Paired bootstrap of patients. {note}{holm}", *dagger)


def added_value_table(results: Results) -> Table | None:
    """Likelihood-ratio test, change in AUROC and change in net benefit."""
    if not results.added_value:
        return None
    thresholds = sorted({threshold for row in results.added_value for threshold in row.thresholds})
    columns = (
        Column("Signals added", width=1.3),
        Column("To", width=1),
        Column("LR χ² (df)", "right"),
        Column("p", "right"),
        *(Column(f"Net benefit at {rounding.risk(threshold)}, per 100", "right", width=1) for threshold in thresholds),
    )
    rows = [Row(_added_cells(results, row, thresholds)) for row in results.added_value]
    return build_table(
        "table-added",
        "What SSL features add to the same arm without them, beside the difference in AUROC.",
        columns,
        rows,
        "LR: likelihood-ratio test of adding the logit of the arm's out-of-sample risk to that of the arm without SSL "
        "features; median over repeats. Risks of different folds come from different models, so that its p-value is "
        "approximate, and it is not adjusted. Net benefit: change in net true positives per 100 patients with 95% "
        "interval, if patients at or above that risk were treated.",
    )


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


# --- risks and decisions ---------------------------------------------------------------------------------------


def calibration_table(results: Results) -> Table | None:
    arms = [arm for arm in results.arms if arm.calibration is not None]
    if not arms:
        return None
    columns = (
        Column("Arm", width=1),
        Column("Intercept", "right"),
        Column("Slope", "right"),
        Column("ICI", "right"),
        Column("E50", "right"),
        Column("E90", "right"),
    )
    return build_table(
        "table-calibration",
        "Calibration of each arm, with 95% intervals.",
        columns,
        _by_family(arms, _calibration_cells),
        "Intercept: calibration in the large; 0 is ideal, above 0 risks are too low on average, below 0 too high. "
        "Slope: 1 is ideal; below 1 risks are too extreme (overfitting), above 1 too timid. ICI, E50, E90: mean, "
        "median and 90th percentile of the distance between predicted risk and flexible calibration curve.",
    )


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
    points = [
        (point, arm) for members in grouped(results.arms).values() for arm in members for point in arm.operating_points
    ]
    if not points:
        return None
    order = {label: number for number, label in enumerate(dict.fromkeys(point.label for point, _ in points))}
    points.sort(key=lambda pair: order[pair[0].label])
    decimals = 1 if results.validation.n_events >= _MANY_EVENTS else 0
    rows: list[Row] = []
    for label, members in groupby(points, key=lambda pair: pair[0].label):
        rows.append(Row((f"{label[:1].upper()}{label[1:]}",), "group"))
        rows += [
            Row(_operating_cells(point, arm, decimals), "muted" if arm.is_control else "indent")
            for point, arm in members
        ]
    columns = (
        Column("Arm", width=1),
        Column("Risk", "right"),
        Column("n at risk", "right"),
        *(Column(header, "right") for header in ("Sensitivity, %", "Specificity, %", "PPV, %", "NPV, %")),
    )
    return build_table(
        "table-operating",
        "Decisions at thresholds of risk, with 95% intervals.",
        columns,
        rows,
        "Risk: the threshold, from which on a patient counts as positive; where training patients chose it, the median "
        "over models. n at risk: patients at or above it, mean over repeats. PPV, NPV: positive and negative "
        "predictive value; they hold at the prevalence of this study alone.",
    )


def _operating_cells(point: OperatingPoint, arm: ArmResult, decimals: int) -> tuple[Text, ...]:
    values = (point.sensitivity, point.specificity, point.ppv, point.npv)
    return (
        _label(arm),
        rounding.number(point.threshold, 3 if point.threshold < 0.0995 else 2),
        rounding.number(point.n_positive),
        *(rounding.percent_interval(value, decimals) for value in values),
    )
