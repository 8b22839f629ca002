"""The section on what is different between the patients of an external validation and those of the model."""

from __future__ import annotations

from collections.abc import Sequence

from ppgssl.core.results.robustness import ShiftMeasure
from ppgssl.core.results.study import Results
from ppgssl.report.document import Callout, Row, Section, Strong, Table, Text
from ppgssl.report.sections.words import paragraph, words
from ppgssl.report.tables.build import build_table
from ppgssl.report.text import rounding

# Features have no names that say anything: those that differ most stand for them.
_MOST_FEATURES = 5


def shift_section(results: Results) -> Section:
    """Title ``Shift``; without blocks where there is nothing to compare with."""
    if not results.shift:
        return Section("Shift", ())
    n_warnings = sum(one.is_warning for one in results.shift)
    found = words("shift-found", n_warnings=n_warnings, n=len(results.shift))
    callout = Callout("What differs", found, "caution" if n_warnings else "note")
    table = shift_table(results)
    return Section("Shift", (paragraph("shift"), callout, *([table] if table else [])))


def shift_table(results: Results) -> Table | None:
    """A row a quantity; those with a warning in bold."""
    features = [one for one in results.shift if one.group == "feature"]
    shown = sorted(features, key=lambda one: -abs(one.difference or 0.0))[:_MOST_FEATURES]
    rows = [_row(one) for one in [*(one for one in results.shift if one.group != "feature"), *shown]]
    return build_table("table-shift", rows, n_features=len(features), n_shown=len(shown))


def _row(one: ShiftMeasure) -> Row:
    total = one.n + one.n_missing
    missing = f"{_percent(one.n_missing / total if total else 0.0)} / {_percent(one.proportion_missing_reference)}"
    label = f"{one.label} ({one.unit})" if one.unit else one.label
    cells: Sequence[str] = (
        label,
        _moments(one.mean, one.sd),
        _moments(one.mean_reference, one.sd_reference),
        missing,
        rounding.number(one.difference, 2),
        rounding.number(one.index, 2),
    )
    return Row(tuple(_emphasised(cell) if one.is_warning else cell for cell in cells))


def _emphasised(cell: str) -> Text:
    return (Strong(cell),)


def _moments(mean: float | None, sd: float | None) -> str:
    if mean is None:
        return ""
    return f"{mean:.3g} ({sd:.2g})" if sd is not None else f"{mean:.3g}"


def _percent(proportion: float) -> str:
    return f"{100 * proportion:.0f}%"
