"""Tables of what the results rest on: subgroups, optimism, covariates, missing values, sample size, leakage."""

from __future__ import annotations

from ppgssl.core.config.arms import REFERENCE_ARM
from ppgssl.core.results.performance import ArmResult
from ppgssl.core.results.robustness import Optimism, Subgroup
from ppgssl.core.results.study import Results
from ppgssl.report.document import Column, Row, Strong, Table, Text
from ppgssl.report.tables.study import build_table
from ppgssl.report.text import rounding
from ppgssl.report.text.families import is_ssl, ordered

SUBGROUP_ARMS = 3


# --- subgroups -------------------------------------------------------------------------------------------------


def subgroup_arms(results: Results) -> list[ArmResult]:
    """The few arms shown by subgroup: the covariates, the best known of both, signals alone; or the first there are."""
    known = {name for group in results.subgroups for level in group.levels for name in level.auroc}
    arms = [arm for arm in ordered(results.arms) if arm.name in known]
    return sorted(sorted(arms, key=_interest)[:SUBGROUP_ARMS], key=arms.index)


def _interest(arm: ArmResult) -> int:
    """Smaller is of more interest to a reader."""
    if arm.name == REFERENCE_ARM:
        return 0
    if arm.learner == "ridge" and is_ssl(arm) and not (arm.is_late_fusion or arm.is_beside_hand_made):
        inputs = (arm.clinical, arm.features)
        wanted = [("covariates", "ssl-all"), (None, "ssl-all"), ("covariates", "ssl-labelled"), (None, "ssl-labelled")]
        return 1 + wanted.index(inputs) if inputs in wanted else 6
    return 9 if arm.is_control else 7


def subgroups_table(results: Results) -> Table | None:
    """A block a variable, a row a level: patients, events, the AUROC of a few arms."""
    if not results.subgroups:
        return None
    arms = subgroup_arms(results)
    columns = (
        Column("Subgroup", width=1),
        Column("n", "right"),
        Column("Events", "right"),
        *(Column(arm.label, "right", width=1) for arm in arms),
    )
    rows: list[Row] = []
    for group in results.subgroups:
        rows.append(Row((group.label,), "group"))
        rows += _level_rows(results, group, arms)
    notes = [
        "AUROC with 95% interval. p for interaction: bootstrap test of equal AUROC in all levels, not adjusted; a "
        "large p is no proof of equality, since subgroups are small."
    ]
    if any(level.is_suppressed for group in results.subgroups for level in group.levels):
        notes.append("Suppressed: fewer than 5 patients with or without the event.")
    left_out = {name for group in results.subgroups for name in group.interaction_p} - {arm.name for arm in arms}
    if arms and left_out:
        notes.append(f"{rounding.plural(len(left_out), 'further arm')} by subgroup: see results.json.")
    caption = "Discrimination in subgroups of patients, by a few of the arms."
    return build_table("table-subgroups", caption, columns, rows, *notes)


def _level_rows(results: Results, group: Subgroup, arms: list[ArmResult]) -> list[Row]:
    decimals = rounding.auroc_decimals(results)
    rows = []
    for level in group.levels:
        if level.is_suppressed:
            rows.append(Row((level.level, "<5", "<5", *("suppressed" for _ in arms)), "muted"))
            continue
        values = [rounding.interval(level.auroc.get(arm.name), decimals) for arm in arms]
        rows.append(Row((level.level, rounding.count(level.n), rounding.count(level.n_events), *values), "indent"))
    p_values = [group.interaction_p.get(arm.name) for arm in arms]
    if any(p_value is not None for p_value in p_values):
        cells = [rounding.p_value(p_value, results.validation.n_bootstrap) for p_value in p_values]
        rows.append(Row(("p for interaction", "", "", *cells), "muted"))
    return rows


# --- optimism --------------------------------------------------------------------------------------------------


def optimism_table(results: Results) -> Table | None:
    if not results.optimism:
        return None
    columns = (
        Column("Arm", width=1),
        Column("Resamples", "right"),
        Column("Apparent", "right"),
        Column("Harrell", "right"),
        Column(".632+", "right"),
        Column("Slope", "right"),
    )
    decimals = rounding.auroc_decimals(results)
    return build_table(
        "table-optimism",
        "AUROC of models fitted to all patients, as it appears on those patients, and what bootstrap validation "
        "leaves of it.",
        columns,
        [Row(_optimism_cells(one, decimals)) for one in results.optimism],
        "Apparent: on the patients that the model was fitted to. Harrell: apparent minus the mean optimism of models "
        "fitted to bootstrap samples. .632+: Efron and Tibshirani's weighting of apparent performance and that on "
        "patients left out. Slope: optimism-corrected calibration slope, by which a model's coefficients would have to "
        "be shrunk. Encoders were not pretrained anew.",
    )


def _optimism_cells(one: Optimism, decimals: int) -> tuple[Text, ...]:
    return (
        one.label,
        rounding.count(one.n_resamples),
        rounding.number(one.apparent, decimals),
        rounding.interval(one.harrell, decimals),
        rounding.interval(one.b632plus, decimals),
        rounding.number(one.calibration_slope, 2),
    )


# --- covariates ------------------------------------------------------------------------------------------------


def odds_table(results: Results) -> Table | None:
    model = results.covariate_model
    if model is None or not model.odds_ratios:
        return None
    rows = [
        Row((one.label, rounding.ratio(one.odds_ratio), rounding.p_exact(one.p_value))) for one in model.odds_ratios
    ]
    n = f"{rounding.plural(model.n_patients, 'patient')}, {rounding.plural(model.n_events, 'event')}"
    notes = [
        "Logistic regression without penalty on all covariates together. An odds ratio above 1 means that the event "
        "was more frequent in patients with more of the covariate (or with the level), the other covariates being "
        "equal. It is an association in these patients and no effect."
    ]
    columns = (Column("Covariate", width=1), Column("Odds ratio (95% interval)", "right"), Column("p (Wald)", "right"))
    return build_table("table-odds", f"The covariate model ({n}).", columns, rows, *notes, *filter(None, [model.note]))


def missing_table(results: Results) -> Table | None:
    missing = results.missing
    if missing is None or not missing.variables:
        return None
    n_events = results.validation.n_events
    rows = [
        Row(
            (
                one.label,
                _missing_share(one.n_missing, one.n),
                _missing_share(one.n_missing_with_event, n_events),
                _missing_share(one.n_missing - one.n_missing_with_event, one.n - n_events),
            )
        )
        for one in missing.variables
    ]
    columns = (
        Column("Covariate", width=1),
        Column("Missing, all", "right"),
        Column("With event", "right"),
        Column("Without event", "right"),
    )
    note = f"Every covariate is known for {rounding.n_percent(missing.n_complete, missing.n_patients)} of the patients."
    return build_table("table-missing", "Missing values of the covariates, n (percent).", columns, rows, note)


def _missing_share(part: int, whole: int) -> str:
    return "0" if part == 0 else rounding.n_percent(part, whole)


def sample_size_table(results: Results) -> Table | None:
    size = results.sample_size
    if size is None:
        return None
    rows = [Row((one.criterion, rounding.count(one.n_required))) for one in size.criteria]
    for words, n in (("All of them", size.n_required), ("Patients of this study", size.n_available)):
        rows.append(Row(((Strong(words),), (Strong(rounding.count(n)),))))
    assumed = (
        f"For {rounding.plural(size.n_parameters, 'candidate parameter')}, a prevalence of "
        f"{100 * size.prevalence:.1f}% and a Cox-Snell R² of {rounding.number(size.r2_cox_snell, 3)} "
        f"({size.r2_source.rstrip('.')})."
    )
    events = (
        f"In events: {rounding.count(size.n_events_required)} needed, {rounding.count(size.n_events_available)} there."
    )
    return build_table(
        "table-sample-size",
        f"Minimum number of patients to develop the model “{size.model}”, by the criteria of Riley and others (2020).",
        (Column("Criterion", width=1), Column("Patients", "right")),
        rows,
        f"{assumed} {events}",
    )


# --- leakage ---------------------------------------------------------------------------------------------------


def leakage_table(results: Results) -> Table | None:
    if not results.leakage:
        return None
    rows = [
        Row((one.what, rounding.count(one.n_checked), rounding.count(one.n_shared), one.text))
        for one in results.leakage
    ]
    has_text = any(one.text for one in results.leakage)
    columns = (
        Column("What was looked for", width=1.4),
        Column("Checked", "right"),
        Column("Shared", "right"),
        *([Column("How", width=1)] if has_text else []),
    )
    if not has_text:
        rows = [Row(row.cells[:3]) for row in rows]
    return build_table(
        "table-leakage",
        "Were tested patients known to anything that was fitted? Patients that were looked up, and those found on both "
        "sides.",
        columns,
        rows,
        "Patients are compared by hashed identifiers.",
    )
