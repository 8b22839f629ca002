"""The report's section on the representation itself: what features predict beyond baselines, and at which depth."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ppgssl.core.results.base import Interval
from ppgssl.core.results.probe import ProbeMeasure, ProbeQuantity, ProbeRepresentation, ProbeResults
from ppgssl.core.results.study import Results
from ppgssl.report.document import Block, Bullets, Callout, Row, Section, Strong, Table, Text
from ppgssl.report.figures.layout import grid, wrap
from ppgssl.report.figures.style import BLUE, GREY, LINE_STYLES, PALE, SERIES, drawing
from ppgssl.report.sections.words import paragraph, picture, warned, words
from ppgssl.report.tables.build import build_table, right
from ppgssl.report.tables.study import cohort_title
from ppgssl.report.text import rounding
from ppgssl.report.text.rounding import plural

UNTRAINED = "untrained"
# The main statistic of each kind of quantity; the others have columns of their own, or are in probe.csv alone.
_MAIN = {"r2": "R²", "top1": "proportion found", "auroc": "AUROC"}
_N_COLUMNS = 3
_ROW_HEIGHT_IN = 0.22
# An R2 far below 0 says no more than one just below, and would leave no room for the others.
_LOWEST_R2 = -0.5
_PART_WORDS = {
    "moments+readouts": "Moments and readouts",
    "moments": "Moments of every depth",
    "readouts": "Readouts (beats)",
    "last": "Deepest, mean alone",
}


def representation_section(results: Results) -> Section:
    """Without blocks where no probe was run; a sentence alone where one is out of date."""
    blocks: Iterable[Block] = ()
    if results.probe is not None:
        blocks = _blocks(results, results.probe)
    elif results.probe_note:
        blocks = [Callout("The probe is out of date", results.probe_note.replace("`", ""), "caution")]
    return Section("What the representation holds", tuple(blocks))


def _blocks(results: Results, probe: ProbeResults) -> Iterator[Block]:
    yield paragraph("probe", probe=probe, has_segments=any(one.n_segments for one in probe.quantities))
    for one in probe.representations:
        if one.warnings:
            yield warned(one.label, one.warnings, "probe.json")
    if unmeasured := [one for one in probe.quantities if not one.is_measured]:
        titles = [cohort_title(results, one.cohort) for one in unmeasured]
        pairs = zip(unmeasured, titles, strict=True)
        yield Bullets(tuple(words("not-measurable", quantity=one, cohort=title) for one, title in pairs))
    for number, cohort in enumerate(dict.fromkeys(one.cohort for one in probe.quantities)):
        if _measured(probe, cohort):
            yield from _cohort(results, probe, cohort, number)


def _cohort(results: Results, probe: ProbeResults, cohort: str, number: int) -> Iterator[Block]:
    suffix = f"-{number + 1}" if number else ""
    values: dict[str, Any] = {"cohort": cohort_title(results, cohort), "number": number, "may_float": False}
    if table := probe_table(results, probe, cohort, f"table-probe{suffix}"):
        yield table
    yield picture("figure-probe", plot_probes(probe, cohort), (), lowest_r2=_LOWEST_R2, **values)
    if any(len(one.parts) > 1 for one in probe.representations):
        if table := depth_table(results, probe, cohort, f"table-depth{suffix}"):
            yield table
        yield picture("figure-depth", plot_depths(probe, cohort), (), **values)


def _measured(probe: ProbeResults, cohort: str) -> list[ProbeQuantity]:
    return [one for one in probe.quantities if one.cohort == cohort and one.is_measured]


def _main(probe: ProbeResults, quantity: ProbeQuantity) -> dict[tuple[str, str], ProbeMeasure]:
    """The main statistic of a quantity by representation and part."""
    return {
        (one.representation, one.part): one
        for one in probe.measures
        if (one.cohort, one.quantity) == (quantity.cohort, quantity.name) and one.statistic in _MAIN
    }


def probe_table(results: Results, probe: ProbeResults, cohort: str, label: str) -> Table | None:
    """Each quantity, and below it each representation; baselines set apart."""
    rows: list[Row] = []
    columns = right("R² within patients") if any(one.n_segments for one in _measured(probe, cohort)) else []
    for quantity in _measured(probe, cohort):
        rows.append(Row((_quantity_words(quantity),), "group"))
        measures = _main(probe, quantity)
        for one in probe.representations:
            cells = _cells(probe, one, quantity, measures[one.name, one.own_part])
            within = _statistic(probe, one, quantity, "r2_within")
            cells += tuple("" if within is None else rounding.interval(within) for _ in columns)
            rows.append(Row(cells, "indent" if one.kind == "ssl" else "muted"))
    values: dict[str, Any] = {"probe": probe, "cohort": cohort_title(results, cohort)}
    return build_table("table-probe", rows, label=label, columns=columns, has_segments=bool(columns), **values)


def _quantity_words(quantity: ProbeQuantity) -> str:
    chance = next(
        (f"; chance {rounding.number(value, 3)}" for name, value in quantity.chance.items() if name in _MAIN), ""
    )
    spread = f"; mean {rounding.number(quantity.mean, 1)}, SD {rounding.number(quantity.sd, 1)}" if quantity.sd else ""
    unit = f", {quantity.unit}" if quantity.unit else ""
    without = f", {rounding.count(quantity.n_unknown)} without" if quantity.n_unknown else ""
    segments = f", {plural(quantity.n_segments, 'segment')}" if quantity.n_segments else ""
    who = f"{plural(quantity.n_patients, 'patient')}{without}{segments}"
    source = f"{quantity.source}; " if quantity.source else ""
    return f"{quantity.label}{unit} ({source}{who}{spread}{chance})"


def _cells(
    probe: ProbeResults, one: ProbeRepresentation, quantity: ProbeQuantity, measure: ProbeMeasure
) -> tuple[Text, ...]:
    difference = next((other for other in measure.differences if other.reference == UNTRAINED), None)
    error = _statistic(probe, one, quantity, "mae")
    return (
        one.label,
        rounding.count(one.parts[one.own_part]),
        rounding.interval(measure.value),
        "" if error is None else rounding.number(error.estimate, rounding.sd_decimals(error.estimate)),
        rounding.interval(difference, signed=True) if difference else "",
    )


def _statistic(
    probe: ProbeResults, one: ProbeRepresentation, quantity: ProbeQuantity, statistic: str
) -> Interval | None:
    """Of the part that the study's arms take; None where it was not measured."""
    wanted = (quantity.cohort, quantity.name, statistic, one.name, one.own_part)
    keys = ((m, (m.cohort, m.quantity, m.statistic, m.representation, m.part)) for m in probe.measures)
    return next((measure.value for measure, key in keys if key == wanted), None)


def depth_table(results: Results, probe: ProbeResults, cohort: str, label: str) -> Table | None:
    """A row for each part of each encoder, a column for each quantity; the best depth of each encoder in bold."""
    quantities = _measured(probe, cohort)
    rows: list[Row] = []
    for one in probe.representations:
        if len(one.parts) > 1:
            rows.append(Row((one.label,), "group"))
            rows += _depth_rows(probe, one, quantities)
    columns = right(*(quantity.label for quantity in quantities))
    return build_table("table-depth", rows, columns=columns, label=label, cohort=cohort_title(results, cohort))


def _depth_rows(probe: ProbeResults, one: ProbeRepresentation, quantities: Sequence[ProbeQuantity]) -> list[Row]:
    values = {
        (part, quantity.name): _main(probe, quantity)[one.name, part].value.estimate
        for part in one.parts
        for quantity in quantities
    }
    best = {
        quantity.name: max((values[part, quantity.name] or -np.inf for part in _depths(one)), default=None)
        for quantity in quantities
    }
    rows = []
    for part, n_features in one.parts.items():
        cells: list[Text] = [_part_words(one, part), rounding.count(n_features)]
        for quantity in quantities:
            value = values[part, quantity.name]
            text = rounding.number(value, 2)
            cells.append((Strong(text),) if part in _depths(one) and value == best[quantity.name] else text)
        rows.append(Row(tuple(cells), "indent"))
    return rows


def _depths(one: ProbeRepresentation) -> list[str]:
    return [part for part in one.parts if part.startswith("depth-")]


def _part_words(one: ProbeRepresentation, part: str) -> str:
    words = _PART_WORDS.get(part, part.replace("depth-", "Depth "))
    return f"{words} (as used)" if part == one.own_part else words


def plot_probes(probe: ProbeResults, cohort: str) -> Figure:
    """A forest plot for each quantity, a row for each representation."""
    quantities = _measured(probe, cohort)
    with drawing():
        height = 0.55 + _ROW_HEIGHT_IN * len(probe.representations)
        figure, panels = grid(len(quantities), min(len(quantities), _N_COLUMNS), height, share_rows=True)
        for axes, quantity in zip(panels, quantities, strict=True):
            _plot_quantity(axes, probe, quantity)
    return figure


def _plot_quantity(axes: Axes, probe: ProbeResults, quantity: ProbeQuantity) -> None:
    measures = _main(probe, quantity)
    statistic = next(iter(measures.values())).statistic
    axes.axvline(quantity.chance.get(statistic, 0.0), color=GREY, linewidth=0.8)
    for position, one in enumerate(probe.representations):
        value = measures[one.name, one.own_part].value
        if value.estimate is None:
            continue
        is_baseline = one.kind == "baseline"
        colour = GREY if is_baseline else BLUE
        if value.ci_low is not None and value.ci_high is not None:
            axes.plot([value.ci_low, value.ci_high], [position, position], color=colour, linewidth=1.2)
        fill = "white" if is_baseline else colour
        axes.plot([value.estimate], [position], "o", color=colour, markersize=4.2, markerfacecolor=fill)
    labels = [wrap(one.label, 26, 2) for one in probe.representations]
    axes.set_yticks(range(len(labels)), labels, linespacing=0.85)
    axes.set_ylim(len(probe.representations) - 0.4, -0.6)
    axes.set_xlim(max(axes.get_xlim()[0], _LOWEST_R2), 1.02)
    axes.set_title(wrap(quantity.label, 26, 2))
    axes.set_xlabel(_MAIN[statistic])
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.grid(axis="x")


def plot_depths(probe: ProbeResults, cohort: str) -> Figure:
    """The main statistic of each quantity over depth, a line for each encoder; the untrained one in grey."""
    quantities = _measured(probe, cohort)
    with drawing():
        figure, panels = grid(len(quantities), min(len(quantities), _N_COLUMNS), 1.6)
        for axes, quantity in zip(panels, quantities, strict=True):
            _plot_depths_of(axes, probe, quantity)
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=3)
    return figure


def _plot_depths_of(axes: Axes, probe: ProbeResults, quantity: ProbeQuantity) -> None:
    measures = _main(probe, quantity)
    statistic = next(iter(measures.values())).statistic
    n_ssl, deepest = 0, 1
    for one in probe.representations:
        depths = _depths(one)
        if not depths:
            continue
        is_ssl = one.kind == "ssl"
        colour = SERIES[n_ssl % len(SERIES)] if is_ssl else GREY
        line = LINE_STYLES[n_ssl // len(SERIES) % len(LINE_STYLES)] if is_ssl else (0, (1, 1))
        n_ssl, deepest = n_ssl + is_ssl, max(deepest, len(depths))
        values = [measures[one.name, part].value.estimate for part in depths]
        known = [np.nan if value is None else value for value in values]
        look: dict[str, Any] = {"color": colour, "linestyle": line, "markersize": 3}
        axes.plot(range(1, len(depths) + 1), known, "o", label=wrap(one.label, 40, 2), **look)
    axes.axhline(quantity.chance.get(statistic, 0.0), color=PALE, linewidth=0.8)
    low, high = axes.get_ylim()
    axes.set_ylim(max(low, _LOWEST_R2), max(high, 0.1))
    axes.set_xticks(range(1, deepest + 1))
    axes.set_title(wrap(quantity.label, 26, 2))
    axes.set_xlabel("depth")
    axes.set_ylabel(_MAIN[statistic])
    axes.grid(axis="y")
