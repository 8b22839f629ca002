"""Tables of patients, signals and files, one function each. Rounding is that of ``rounding.py``, nothing else is done
to a number.
"""

from __future__ import annotations

import math
import re
from itertools import groupby

from ppgssl.core.reasons import SEGMENT_REASONS
from ppgssl.core.results.data import ChannelQuality, CohortFlow, Exclusion, TableOneCell, TableOneRow
from ppgssl.core.results.study import Results
from ppgssl.report.document import Column, Row, Table, Text
from ppgssl.report.text import rounding
from ppgssl.report.text.rounding import UNDEFINED, UNDEFINED_NOTE

DEFECT_LABELS = {reason.value: reason.label for reason in SEGMENT_REASONS}
_SKEW_LIMIT = 0.2


def build_table(label: str, caption: Text, columns: tuple[Column, ...], rows: list[Row], *notes: Text) -> Table:
    """A table, with the note on undefined values where one is printed."""
    is_undefined = any(cell == UNDEFINED for row in rows for cell in row.cells)
    return Table(label, caption, columns, tuple(rows), (*notes, *([UNDEFINED_NOTE] if is_undefined else [])))


# --- cohorts ---------------------------------------------------------------------------------------------------


def cohorts_table(results: Results) -> Table:
    columns = (
        Column("Cohort", width=1),
        Column("Role"),
        Column("Files", "right"),
        Column("Recordings used", "right"),
        Column("Segments accepted", "right"),
        Column("Patients", "right"),
        Column("Events", "right"),
    )
    rows = [Row(_cohort_cells(flow)) for flow in results.flow]
    return build_table(
        "table-cohorts",
        "Cohorts of the study. Patients are those analysed, or, in an unlabelled cohort, those whose segments could be "
        "used for pretraining.",
        columns,
        rows,
    )


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
    rows: list[Row] = []
    for flow in results.flow:
        if flow.exclusions:
            rows.append(Row((flow.title or flow.cohort,), "group"))
            rows += [Row(_exclusion_cells(exclusion), "indent") for exclusion in flow.exclusions]
    columns = (Column("Reason", width=3), Column("Unit"), Column("n", "right"), Column("For example", width=2))
    caption = "Everything that was left out, with the reason. Up to five identifiers are given as examples."
    note = "A cell is one value of the clinical table: it became missing, the patient stayed."
    has_cells = any(item.unit == "cell" for flow in results.flow for item in flow.exclusions)
    return build_table("table-exclusions", caption, columns, rows, *([note] if has_cells else [])) if rows else None


def _exclusion_cells(exclusion: Exclusion) -> tuple[Text, ...]:
    return exclusion.reason.text, exclusion.unit, rounding.count(exclusion.n), ", ".join(exclusion.examples)


# --- Table 1 ---------------------------------------------------------------------------------------------------


def table_one(results: Results) -> Table:
    n, n_events = results.validation.n_patients, results.validation.n_events
    columns = (
        Column("Characteristic", width=1),
        Column(f"All (n = {rounding.count(n)})", "right"),
        Column(f"No event (n = {rounding.count(n - n_events)})", "right"),
        Column(f"Event (n = {rounding.count(n_events)})", "right"),
        Column("Missing", "right"),
        Column("SMD", "right"),
    )
    rows = [row for _, group in groupby(results.table_one, lambda row: row.variable) for row in _variable(list(group))]
    return build_table(
        "table-one",
        f"Patients by outcome ({results.outcome_label}; the event is: {results.event_label}).",
        columns,
        rows,
        "Mean (SD), or median [first to third quartile] where mean and median lie more than 0.2 SD apart; otherwise "
        "n (percent of the patients with a value). Missing: patients without a value, n (percent).",
        "SMD: standardized mean difference, event minus no event. It describes how groups differ and is no test; "
        "beyond ±0.1 is often called a relevant imbalance.",
    )


def _variable(rows: list[TableOneRow]) -> list[Row]:
    first = rows[0]
    if first.kind == "categorical":
        head = (f"{first.label}, n (%)", "", "", "", _missing(first.overall), _smd(rows))
        return [Row(head), *[Row(_level_cells(row), "indent") for row in rows if row.level is not None]]
    return [Row(_numeric_cells(row) if row.kind == "numeric" else _binary_cells(row)) for row in rows]


def _level_cells(row: TableOneRow) -> tuple[Text, ...]:
    return row.level or "", *[_share(cell) for cell in _cells(row)], "", ""


def _binary_cells(row: TableOneRow) -> tuple[Text, ...]:
    is_named = row.level in (None, "", "1") or str(row.level).casefold() in row.label.casefold()
    label = row.label if is_named else f"{row.label}: {row.level}"
    return f"{label}, n (%)", *[_share(cell) for cell in _cells(row)], _missing(row.overall), _smd([row])


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


def _share(cell: TableOneCell) -> str:
    return rounding.n_percent(cell.count, cell.n)


def _missing(cell: TableOneCell) -> str:
    return "0" if cell.n_missing == 0 else rounding.n_percent(cell.n_missing, cell.n + cell.n_missing)


def _smd(rows: list[TableOneRow]) -> str:
    return rounding.number(next((row.smd for row in rows if row.smd is not None), None), 2)


# --- signals ---------------------------------------------------------------------------------------------------


def quality_table(results: Results) -> Table | None:
    if not results.quality:
        return None
    has_other = any(_other_defects(row) for row in results.quality)
    columns = (
        Column("Channel", width=1),
        Column("Segments", "right"),
        Column("Accepted", "right"),
        *[Column(label, "right") for label in DEFECT_LABELS.values()],
        *([Column("Other", "right")] if has_other else []),
        Column("Pulse, 1/min", "right"),
    )
    rows: list[Row] = []
    for cohort, group in groupby(results.quality, lambda row: row.cohort):
        rows.append(Row((cohort_title(results, cohort),), "group"))
        rows += [Row(_quality_cells(row, has_other), "indent") for row in group]
    return build_table(
        "table-quality",
        "Signal quality by cohort and channel: segments, how many were accepted, and why the others were not.",
        columns,
        rows,
        "Gap, flat, clipped, jump: defects of the raw samples. Low SQI: no such defect, but a signal quality index "
        "below the limit. Pulse: median [first to third quartile] of the rate found in the segments.",
    )


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


# --- provenance ------------------------------------------------------------------------------------------------


def inputs_table(results: Results) -> Table | None:
    rows = [Row((item.name, item.sha256[:16])) for item in results.provenance.inputs]
    columns = (Column("Input", width=1), Column("SHA-256 (first 16 digits)"))
    caption = "Files that the analysis read, and their fingerprints: a changed file has another one."
    return build_table("table-inputs", caption, columns, rows) if rows else None


def stages_table(results: Results) -> Table | None:
    """Time and peak memory of each stage."""
    provenance = results.provenance
    names = list(dict.fromkeys([*provenance.stage_seconds, *provenance.stage_peak_memory_mb]))
    rows = [
        Row(
            (
                name,
                rounding.duration(provenance.stage_seconds.get(name)),
                rounding.memory(provenance.stage_peak_memory_mb.get(name)),
            )
        )
        for name in names
    ]
    columns = (Column("Stage", width=1), Column("Time", "right"), Column("Peak memory", "right"))
    caption = f"Time and memory of each stage, on {provenance.platform}."
    return build_table("table-stages", caption, columns, rows) if rows else None
