"""Tables of the report, one function each. Rounding is that of ``rounding.py``, nothing else is done to a number."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from itertools import groupby

from ppgssl.report import rounding
from ppgssl.report.document import Column, Row, Table, Text
from ppgssl.report.families import arm_label, grouped
from ppgssl.report.rounding import UNDEFINED, UNDEFINED_NOTE
from ppgssl.results import (
    ArmResult,
    ChannelQuality,
    CohortFlow,
    Exclusion,
    PretrainingRun,
    Results,
    TableOneCell,
    TableOneRow,
)

DEFECT_LABELS = {"gap": "Gap", "flat": "Flat", "clipped": "Clipped", "jump": "Jump", "low_sqi": "Low SQI"}
EXPOSURE_LABELS = {
    "per-fold": "Training patients of each fold only",
    "disjoint": "Unlabelled cohorts only",
    "transductive": "All patients, test patients too",
}
_SKEW_LIMIT = 0.2
# By what the name of a pretext task's score contains.
_SCORE_NOTES = {
    "variance": "Explained variance: 1 is perfect, 0 is no better than a flat line, below 0 is worse; only the loss "
    "mean squared error asks for it. ",
    "nearest": "Nearest of the batch: 1 is perfect, guessing reaches 1 divided by the segments of a batch. ",
    "balanced": "Balanced accuracy: 1 is perfect, 0.5 is guessing. ",
}


def _table(label: str, caption: Text, columns: tuple[Column, ...], rows: list[Row], *notes: Text) -> Table:
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
    return _table(
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
    return _table("table-exclusions", caption, columns, rows, *([note] if has_cells else [])) if rows else None


def _exclusion_cells(exclusion: Exclusion) -> tuple[Text, ...]:
    return exclusion.reason, exclusion.unit, rounding.count(exclusion.n), ", ".join(exclusion.examples)


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
    return _table(
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
    return _table(
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


# --- pretraining -----------------------------------------------------------------------------------------------


def pretraining_table(results: Results) -> Table | None:
    """One column an encoder: there are at most two sources, and their labels are long."""
    if not results.pretraining:
        return None
    columns = (Column("", width=1), *[Column(run.label, "right", width=1) for run in results.pretraining])
    properties = (
        ("Sees signals of", lambda run: EXPOSURE_LABELS[run.exposure]),
        ("Encoders trained", lambda run: rounding.count(run.n_encoders)),
        ("Training patients, first encoder", lambda run: rounding.count(run.n_patients)),
        ("Training segments, first encoder", lambda run: rounding.count(run.n_segments)),
        ("Weights of an encoder", lambda run: rounding.count(run.n_parameters)),
        *_score_row(results),
        ("Effective rank of the representation", lambda run: rounding.number(run.effective_rank, 1)),
        ("Time", lambda run: rounding.duration(run.seconds)),
        ("Device", _device),
        *_hardware_rows(results),
    )
    rows = [Row((name, *[of(run) for run in results.pretraining])) for name, of in properties]
    return _table(
        "table-pretraining",
        "Self-supervised pretraining: what each encoder saw, and how well it does its pretext task on patients held "
        "out from its training.",
        columns,
        rows,
        f"{_score_note(results)}Scores and effective rank are means over encoders, from held-out patients. A low "
        "effective rank warns of a collapsed representation.",
        *_energy_notes(results),
    )


def _device(run: PretrainingRun) -> str:
    devices, nodes = run.hardware.get("devices", 1), run.hardware.get("nodes", 1)
    each = f"{devices} on each of {nodes} machines" if nodes > 1 else f"{devices} together"
    return f"{run.device}, {each}" if devices * nodes > 1 else run.device


def _hardware_rows(results: Results) -> list[tuple[str, Callable[[PretrainingRun], str]]]:
    """What the machine was, and the energy it took, where that is known."""
    runs = results.pretraining
    rows: list[tuple[str, Callable[[PretrainingRun], str]]] = []
    if any(run.hardware for run in runs):
        rows += [("Processor", _processor), ("Peak memory of a process", _peak_memory)]
    if any(run.hardware.get("gpu") for run in runs):
        rows.append(("Peak memory of the GPU", lambda run: rounding.memory(run.hardware.get("peak_gpu_memory_mb"))))
    if any(run.cpu_joules is not None for run in runs):
        rows.append(("Energy of processors and memory", lambda run: rounding.energy(run.cpu_joules)))
    if any(run.gpu_joules is not None for run in runs):
        rows.append(("Energy of GPUs", lambda run: rounding.energy(run.gpu_joules)))
    return rows


def _processor(run: PretrainingRun) -> str:
    cores, memory = run.hardware.get("n_cores"), run.hardware.get("memory_gb")
    parts = (run.hardware.get("cpu"), cores and rounding.plural(cores, "core"), memory and f"{memory:.0f} GB")
    return ", ".join(str(part) for part in parts if part) or UNDEFINED


def _peak_memory(run: PretrainingRun) -> str:
    return rounding.memory(run.hardware.get("peak_memory_mb"))


def _energy_notes(results: Results) -> list[str]:
    if all(run.cpu_joules is None for run in results.pretraining):
        return []
    return [
        "Energy of processors is that of the whole machine, summed over encoders: of those trained side by side, each "
        "counts the others, too."
    ]


def _score_row(results: Results) -> list[tuple[str, Callable[[PretrainingRun], str]]]:
    name = results.pretraining[0].score_name
    return [(name[:1].upper() + name[1:], lambda run: rounding.number(run.score, 2))] if name else []


def _score_note(results: Results) -> str:
    name = results.pretraining[0].score_name
    return next((words for key, words in _SCORE_NOTES.items() if key in name), "")


# --- results ---------------------------------------------------------------------------------------------------


def results_table(results: Results) -> Table:
    """One row an arm, by family, controls last and set apart."""
    has_difference = any(arm.difference for arm in results.arms)
    has_sensitivity = any(arm.auroc_sensitivity for arm in results.arms)
    columns = (
        Column("Arm", width=1),
        Column("Features", "right"),
        Column("AUROC (95% interval)", "right"),
        *([Column("Difference to covariates", "right"), Column("p", "right")] if has_difference else []),
        *([Column("Sensitivity AUROC", "right")] if has_sensitivity else []),
    )
    rows: list[Row] = []
    for name, arms in grouped(results.arms).items():
        kind = "muted" if name == "Controls" else "indent"
        rows.append(Row((name,), "group"))
        rows += [Row(_result_cells(results, arm, has_difference, has_sensitivity), kind) for arm in arms]  # type: ignore[arg-type]
    return _table("table-results", _results_caption(results), columns, rows, *_results_notes(results))


def _result_cells(results: Results, arm: ArmResult, has_difference: bool, has_sensitivity: bool) -> tuple[Text, ...]:
    decimals = rounding.auroc_decimals(results)
    cells: list[Text] = [
        arm.label + (" †" if arm.is_transductive else ""),
        rounding.count(arm.n_features) if arm.learner == "logistic" else "network",
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
    p_value = rounding.p_value(arm.difference.p_value, results.validation.n_bootstrap)
    return [rounding.interval(arm.difference, decimals, signed=True), p_value]


def _references(results: Results) -> set[str]:
    return {arm.difference.reference for arm in results.arms if arm.difference is not None}


def _results_caption(results: Results) -> str:
    validation = results.validation
    return (
        f"How well each arm tells patients with the event from those without: area under the ROC curve (AUROC) in "
        f"{rounding.plural(validation.n_test_patients, 'patient')} whose predictions come from models that were not "
        "fitted on them."
    )


def _results_notes(results: Results) -> list[Text]:
    validation = results.validation
    notes: list[Text] = [
        "AUROC: 0.5 is guessing, 1 is perfect. Intervals and p-values are from "
        f"{rounding.count(validation.n_bootstrap)} paired bootstrap resamples of patients"
        + (
            f" ({rounding.count(validation.n_bootstrap_skipped)} of them without a defined AUROC)"
            if _skipped(results)
            else ""
        )
        + ", two-sided, not adjusted for the number of arms. Features: columns of the design matrix after encoding."
    ]
    if any(arm.is_transductive for arm in results.arms):
        notes.append(
            "† Transductive: pretraining saw the signals of test patients, though never their outcomes. The AUROC may "
            "be optimistic for new patients."
        )
    if any(arm.auroc_sensitivity for arm in results.arms):
        notes.append(sensitivity_words(results))
    return notes


def _skipped(results: Results) -> bool:
    return results.validation.n_bootstrap_skipped > 0


def sensitivity_words(results: Results) -> str:
    validation = results.validation
    who = (validation.sensitivity or "a subset of the patients").rstrip(".")
    n, n_events = validation.sensitivity_n_patients, validation.sensitivity_n_events
    numbers = f"{rounding.count(n)} patients, {rounding.count(n_events)} with the event"
    return f"Sensitivity: the same predictions in a subset: {who} ({numbers})."


def untrained_table(results: Results) -> Table | None:
    """Each arm with SSL beside the same arm with an untrained encoder: what pretraining itself adds."""
    arms = [arm for arm in results.arms if arm.difference_to_untrained is not None]
    if not arms:
        return None
    decimals, n_bootstrap = rounding.auroc_decimals(results), results.validation.n_bootstrap
    columns = (
        Column("Arm", width=1),
        Column("The same, untrained encoder", width=1),
        Column("Difference in AUROC", "right"),
        Column("p", "right"),
    )
    rows = []
    for arm in arms:
        difference = arm.difference_to_untrained
        assert difference is not None
        name = arm.label + (" †" if arm.is_transductive else "")
        p_value = rounding.p_value(difference.p_value, n_bootstrap)
        cells = (
            name,
            arm_label(results, difference.reference),
            rounding.interval(difference, decimals, signed=True),
            p_value,
        )
        rows.append(Row(cells))
    notes = ["Paired bootstrap of patients, as in the table above. Positive values favour pretraining."]
    if any(arm.is_transductive for arm in arms):
        notes.append("† Transductive, see above.")
    caption = "What pretraining itself adds: each arm with SSL against the same arm with the encoder left untrained."
    return _table("table-untrained", caption, columns, rows, *notes)


# --- provenance ------------------------------------------------------------------------------------------------


def inputs_table(results: Results) -> Table | None:
    rows = [Row((item.name, item.sha256[:16])) for item in results.provenance.inputs]
    columns = (Column("Input", width=1), Column("SHA-256 (first 16 digits)"))
    caption = "Files that the analysis read, and their fingerprints: a changed file has another one."
    return _table("table-inputs", caption, columns, rows) if rows else None


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
    return _table("table-stages", caption, columns, rows) if rows else None
