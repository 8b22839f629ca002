"""What commands print of stores, probes and arms: lines for a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from ppgssl.core.reasons import Reason
from ppgssl.core.results.base import Interval
from ppgssl.core.results.probe import ProbeQuantity, ProbeResults
from ppgssl.core.results.study import Results

_NONE = "–"
_VITAL_FORMS = {"missing": ".1%", "p5": ".4g", "median": ".4g", "p95": ".4g"}
# What is shown of each quantity of a probe; everything else is in probe.json and probe.csv.
_SHOWN = {"r2": "R2", "top1": "top-1", "auroc": "AUC"}


def arms_summary(results: Results) -> dict[str, str]:
    """The label of each arm, and its discrimination."""
    found = {arm.label: _interval(arm.auroc, "95 % interval ") for arm in results.arms}
    return {label: f"AUC {text}" if text else "not defined" for label, text in found.items()}


def store_facts(summary: dict[str, Any]) -> dict[str, Any]:
    """Numbers of a store as a whole."""
    rates = ", ".join(f"{rate['fs_hz']:g} Hz ({rate['recordings']})" for rate in summary["source_fs_hz"])
    return {
        "cohort": summary["cohort"],
        "recordings": summary["recordings"],
        "patients": summary["patients"],
        **({"visits": summary["visits"]} if summary["visits"] else {}),
        "hours": f"{summary['hours']:.1f}",
        "patients_in_the_table": summary["patients_in_table"],
        "stored_at": f"{summary['fs_hz']:g} Hz",
        "recorded_at": rates or _NONE,
    }


def store_tables(summary: dict[str, Any]) -> Iterator[str]:
    """Lines of tables: segments by length, channels, vital signs, and what was left out."""
    for row in summary["segments"]:
        cut = f"{row['segment_s']:g} s every {row['step_s']:g} s"
        yield f"segments, {cut}: {row['segments']}, accepted {_proportion(row['accepted'], row['segments'])}"
    yield from _table(
        ["channel", "recordings", "inverted", "segments", "accepted", "SQI 5 %", "median", "95 %", "rejected for"],
        [
            [
                row["channel"],
                str(row["recordings"]),
                str(row["inverted"]),
                str(row["segments"]),
                _proportion(row["accepted"], row["segments"]),
                *(_number(row["sqi"][key], ".2f") for key in ("p5", "median", "p95")),
                ", ".join(f"{Reason(reason).label.lower()} {n}" for reason, n in row["reasons"].items()) or _NONE,
            ]
            for row in summary["channels"]
        ],
        n_last_left=1,
    )
    yield from _table(
        ["accepted segments", "n", "missing", "5 %", "median", "95 %"],
        [
            [name, str(row["n"]), *(_number(row[key], form) for key, form in _VITAL_FORMS.items())]
            for name, row in summary["vitals"].items()
        ],
    )
    if summary["rejects"]:
        rows = [[row["unit"], str(row["n"]), row["text"]] for row in summary["rejects"]]
        yield from _table(["left out, noted", "n", "reason"], rows, n_last_left=1)


def _proportion(part: int, whole: int) -> str:
    return f"{part} ({part / whole:.1%})" if whole else str(part)


def _number(value: float | None, form: str) -> str:
    return _NONE if value is None else format(value, form)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]], *, n_last_left: int = 0) -> Iterator[str]:
    """Columns side by side: the first, and so many of the last, to the left; numbers between them to the right."""
    lines = [head, *rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    is_left = {0, *range(len(head) - n_last_left, len(head))}
    yield ""
    for line in lines:
        cells = (
            cell.ljust(width) if number in is_left else cell.rjust(width)
            for number, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        yield "  ".join(cells).rstrip()


def probe_lines(results: ProbeResults) -> Iterator[str]:
    """Each quantity of each cohort, and how well each representation predicts it."""
    for cohort in dict.fromkeys(quantity.cohort for quantity in results.quantities):
        yield from ("", cohort)
        for quantity in results.quantities:
            if quantity.cohort == cohort:
                yield from _quantity_lines(results, quantity)
    yield ""


def _quantity_lines(results: ProbeResults, quantity: ProbeQuantity) -> Iterator[str]:
    if not quantity.is_measured:
        yield f"  {quantity.label}: not measurable: {quantity.n_patients} patients"
        return
    own = {one.name: one.own_part for one in results.representations}
    labels = {one.name: one.label for one in results.representations}
    measures = [
        measure
        for measure in results.measures
        if (measure.cohort, measure.quantity) == (quantity.cohort, quantity.name)
        and measure.statistic in _SHOWN
        and measure.part == own[measure.representation]
    ]
    statistic = measures[0].statistic
    chance = f", chance {quantity.chance[statistic]:.3f}" if statistic in quantity.chance else ""
    who = f"{quantity.n_patients} patients" + (f", {quantity.n_segments} segments" if quantity.n_segments else "")
    if quantity.n_unmatched:
        who += f", {quantity.n_unmatched} intervals of no accepted segment"
    yield f"  {quantity.label}, {_SHOWN[statistic]} ({who}, {quantity.source}{chance})"
    for measure in measures:
        yield f"    {labels[measure.representation]:<34} {_interval(measure.value) or 'not defined'}"


def _interval(value: Interval, words: str = "") -> str:
    """Estimate and interval; empty where they are not defined."""
    if value.estimate is None or value.ci_low is None or value.ci_high is None:
        return ""
    return f"{value.estimate:.3f} ({words}{value.ci_low:.3f} to {value.ci_high:.3f})"
