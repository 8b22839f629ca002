"""Tables of what the results rest on: subgroups, optimism, covariates, missing values, sample size, leakage."""

from __future__ import annotations

from ppgssl.core.config.arms import REFERENCE_ARM
from ppgssl.core.results.performance import ArmResult
from ppgssl.core.results.robustness import Subgroup
from ppgssl.core.results.study import Results
from ppgssl.report.document import Column, Row, Strong, Table
from ppgssl.report.tables.build import build_table, right
from ppgssl.report.text import rounding
from ppgssl.report.text.families import is_ssl, ordered

SUBGROUP_ARMS = 3


def subgroup_arms(results: Results) -> list[ArmResult]:
    """The few arms shown by subgroup: the covariates, the best known of both, signals alone; or the first there are."""
    known = {name for group in results.subgroups for level in group.levels for name in level.auroc}
    arms = [arm for arm in ordered(results.arms) if arm.name in known]
    return sorted(sorted(arms, key=_interest)[:SUBGROUP_ARMS], key=arms.index)


def _interest(arm: ArmResult) -> int:
    """Smaller is of more interest to a reader."""
    if arm.name == REFERENCE_ARM:
        return 0
    if arm.learner == "ridge" and is_ssl(arm) and not (arm.is_stacking or arm.has_hand_crafted):
        inputs = (arm.clinical, arm.features)
        wanted = [("covariates", "ssl-all"), (None, "ssl-all"), ("covariates", "ssl-labelled"), (None, "ssl-labelled")]
        return 1 + wanted.index(inputs) if inputs in wanted else 6
    return 9 if arm.is_control else 7


def subgroups_table(results: Results) -> Table | None:
    """A block a variable, a row a level: patients, events, the AUROC of a few arms."""
    arms = subgroup_arms(results)
    rows: list[Row] = []
    for group in results.subgroups:
        rows.append(Row((group.label,), "group"))
        rows += _level_rows(results, group, arms)
    left_out = {name for group in results.subgroups for name in group.interaction_p} - {arm.name for arm in arms}
    return build_table(
        "table-subgroups",
        rows,
        columns=right(*(arm.label for arm in arms), width=1),
        is_suppressed=any(level.is_suppressed for group in results.subgroups for level in group.levels),
        n_left_out=len(left_out) if arms else 0,
    )


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


def optimism_table(results: Results) -> Table | None:
    decimals = rounding.auroc_decimals(results)
    rows = [
        Row(
            (
                one.label,
                rounding.count(one.n_resamples),
                rounding.number(one.apparent, decimals),
                rounding.interval(one.harrell, decimals),
                rounding.interval(one.b632plus, decimals),
                rounding.number(one.calibration_slope, 2),
            )
        )
        for one in results.optimism
    ]
    return build_table("table-optimism", rows)


def odds_table(results: Results) -> Table | None:
    model = results.covariate_model
    found = model.odds_ratios if model else ()
    rows = [Row((one.label, rounding.ratio(one.odds_ratio), rounding.p_exact(one.p_value))) for one in found]
    return build_table("table-odds", rows, model=model)


def missing_table(results: Results) -> Table | None:
    missing, n_events = results.missing, results.validation.n_events
    rows = [
        Row(
            (
                one.label,
                _proportion(one.n_missing, one.n),
                _proportion(one.n_missing_with_event, n_events),
                _proportion(one.n_missing - one.n_missing_with_event, one.n - n_events),
            )
        )
        for one in (missing.variables if missing else ())
    ]
    return build_table("table-missing", rows, missing=missing)


def _proportion(part: int, whole: int) -> str:
    return "0" if part == 0 else rounding.n_percent(part, whole)


def sample_size_table(results: Results) -> Table | None:
    size = results.sample_size
    if size is None:
        return None
    rows = [Row((one.criterion, rounding.count(one.n_required))) for one in size.criteria]
    for words, n in (("All of them", size.n_required), ("Patients of this study", size.n_available)):
        rows.append(Row(((Strong(words),), (Strong(rounding.count(n)),))))
    return build_table("table-sample-size", rows, size=size)


def leakage_table(results: Results) -> Table | None:
    has_text = any(one.text for one in results.leakage)
    rows = [
        Row((one.what, rounding.count(one.n_checked), rounding.count(one.n_shared), *([one.text] if has_text else [])))
        for one in results.leakage
    ]
    return build_table("table-leakage", rows, columns=[Column("How", width=1)] if has_text else [])
