"""Tables of patients, signals and files, one function each. Rounding is that of ``rounding.py``, nothing else is done
to a number.
"""

from __future__ import annotations

import math
import re
from itertools import groupby

from ppgssl.core.reasons import SEGMENT_REASONS
from ppgssl.core.results.data import ChannelQuality, CohortFlow, Exclusion, Spo2Agreement, TableOneCell, TableOneRow
from ppgssl.core.results.study import Results
from ppgssl.report.document import Row, Table, Text
from ppgssl.report.tables.build import build_table, grouped_rows, right
from ppgssl.report.text import rounding
from ppgssl.report.text.rounding import UNDEFINED

DEFECT_LABELS = {reason.value: reason.label for reason in SEGMENT_REASONS}
_SKEW_LIMIT = 0.2


def cohorts_table(results: Results) -> Table | None:
    return build_table("table-cohorts", [Row(_cohort_cells(flow)) for flow in results.flow])


def _cohort_cells(flow: CohortFlow) -> tuple[Text, ...]:
    return (
        flow.title or flow.cohort,
        flow.role,
        rounding.count(flow.n_files),
        f"{rounding.count(flow.n_recordings_used)} of {rounding.count(flow.n_recordings)}",
        f"{rounding.count(flow.n_segments_accepted)} of {rounding.count(flow.n_segments)}",
        rounding.count(flow.n_patients_analysed),
        rounding.count(flow.n_events) if flow.role == "labelled" else "no outcome",
    )


def exclusions_table(results: Results) -> Table | None:
    """Every exclusion with its reason and count; None where nothing was excluded."""
    groups = [(flow.title or flow.cohort, flow.exclusions) for flow in results.flow if flow.exclusions]
    has_cells = any(item.unit == "cell" for _, exclusions in groups for item in exclusions)
    return build_table("table-exclusions", grouped_rows(groups, _exclusion_cells), has_cells=has_cells)


def _exclusion_cells(exclusion: Exclusion) -> tuple[Text, ...]:
    return exclusion.reason.text, exclusion.unit, rounding.count(exclusion.n), ", ".join(exclusion.examples)


def spo2_table(results: Results) -> Table | None:
    """Agreement of the saturation from the signals with its reference, where there is one."""
    check = results.spo2
    if check is None:
        return None
    rows = [Row(_spo2_cells(row)) for row in check.ranges]
    return build_table("table-spo2", rows, check=check, title=cohort_title(results, check.cohort))


def _spo2_cells(row: Spo2Agreement) -> tuple[Text, ...]:
    if row.low is None:
        reference = "all" if row.high is None else f"below {row.high:g} %"
    else:
        reference = f"{row.low:g} % and above" if row.high is None else f"{row.low:g} to {row.high:g} %"
    return (
        reference,
        rounding.count(row.n_segments),
        rounding.count(row.n_patients),
        f"{row.bias:+.1f}".replace("-", "\u2212"),
        f"{row.a_rms:.1f}",
    )


def table_one(results: Results) -> Table | None:
    groups = groupby(results.table_one, lambda row: row.variable)
    return build_table("table-one", [row for _, group in groups for row in _variable(list(group))], results=results)


def _variable(rows: list[TableOneRow]) -> list[Row]:
    first = rows[0]
    if first.kind == "categorical":
        head = (f"{first.label}, n (%)", "", "", "", _missing(first.overall), _smd(rows))
        return [Row(head), *[Row(_level_cells(row), "indent") for row in rows if row.level is not None]]
    return [Row(_numeric_cells(row) if row.kind == "numeric" else _binary_cells(row)) for row in rows]


def _level_cells(row: TableOneRow) -> tuple[Text, ...]:
    return row.level or "", *[_proportion(cell) for cell in _cells(row)], "", ""


def _binary_cells(row: TableOneRow) -> tuple[Text, ...]:
    is_named = row.level in (None, "", "1") or str(row.level).casefold() in row.label.casefold()
    label = row.label if is_named else f"{row.label}: {row.level}"
    return f"{label}, n (%)", *[_proportion(cell) for cell in _cells(row)], _missing(row.overall), _smd([row])


def _numeric_cells(row: TableOneRow) -> tuple[Text, ...]:
    is_skewed = any(_is_skewed(cell) for cell in _cells(row))
    summary = _median if is_skewed else _mean
    decimals = rounding.sd_decimals(row.overall.sd)
    unit = re.sub(r"(?<=m)([23])\b", lambda power: {"2": "²", "3": "³"}[power[1]], row.unit)
    words = ", ".join(part for part in (row.label, unit, "median [IQR]" if is_skewed else "mean (SD)") if part)
    return words, *[summary(cell, decimals) for cell in _cells(row)], _missing(row.overall), _smd([row])


def _cells(row: TableOneRow) -> tuple[TableOneCell, TableOneCell, TableOneCell]:
    return row.overall, row.without_event, row.with_event


def _is_skewed(cell: TableOneCell) -> bool:
    if cell.mean is None or cell.median is None or not cell.sd:
        return False
    return abs(cell.mean - cell.median) > _SKEW_LIMIT * cell.sd


def _mean(cell: TableOneCell, decimals: int) -> str:
    if cell.mean is None or not math.isfinite(cell.mean):
        return UNDEFINED
    return f"{rounding.number(cell.mean, decimals)} ({rounding.number(cell.sd, decimals)})"


def _median(cell: TableOneCell, decimals: int) -> str:
    if cell.median is None or not math.isfinite(cell.median):
        return UNDEFINED
    low, high = (rounding.number(value, decimals) for value in (cell.q1, cell.q3))
    return f"{rounding.number(cell.median, decimals)} [{low} to {high}]"


def _proportion(cell: TableOneCell) -> str:
    return rounding.n_percent(cell.count, cell.n)


def _missing(cell: TableOneCell) -> str:
    return "0" if cell.n_missing == 0 else rounding.n_percent(cell.n_missing, cell.n + cell.n_missing)


def _smd(rows: list[TableOneRow]) -> str:
    return rounding.number(next((row.smd for row in rows if row.smd is not None), None), 2)


def quality_table(results: Results) -> Table | None:
    has_other = any(_other_defects(row) for row in results.quality)
    groups = groupby(results.quality, lambda row: cohort_title(results, row.cohort))
    headers = [*DEFECT_LABELS.values(), *(["Other"] if has_other else []), "Pulse, 1/min"]
    rows = grouped_rows(groups, lambda row: _quality_cells(row, has_other))
    return build_table("table-quality", rows, columns=right(*headers))


def _other_defects(row: ChannelQuality) -> int:
    return sum(n for defect, n in row.defects.items() if defect not in DEFECT_LABELS)


def _quality_cells(row: ChannelQuality, has_other: bool) -> tuple[Text, ...]:
    counts = [rounding.count(row.defects.get(defect, 0)) for defect in DEFECT_LABELS]
    accepted = rounding.n_percent(row.n_accepted, row.n_segments)
    other = [rounding.count(_other_defects(row))] if has_other else []
    return (
        row.channel,
        rounding.count(row.n_segments),
        accepted,
        *counts,
        *other,
        _quartiles(row.heart_rate_bpm_quartiles),
    )


def _quartiles(values: list[float] | None) -> str:
    if not values:
        return UNDEFINED
    low, middle, high = (rounding.number(value) for value in values)
    return f"{middle} [{low} to {high}]"


def cohort_title(results: Results, cohort: str) -> str:
    return next((flow.title for flow in results.flow if flow.cohort == cohort and flow.title), cohort)


def inputs_table(results: Results) -> Table | None:
    return build_table("table-inputs", [Row((item.name, item.sha256[:16])) for item in results.provenance.inputs])


def stages_table(results: Results) -> Table | None:
    """Time and peak memory of each stage."""
    provenance = results.provenance
    seconds, megabytes = provenance.stage_seconds, provenance.stage_peak_memory_mb
    rows = [
        Row((name, rounding.duration(seconds.get(name)), rounding.memory(megabytes.get(name))))
        for name in dict.fromkeys([*seconds, *megabytes])
    ]
    return build_table("table-stages", rows, platform=provenance.platform)
