"""The section on what is different between the patients of an external validation and those of the model."""

from __future__ import annotations

from collections.abc import Sequence

from ppgssl.core.results.robustness import ShiftMeasure
from ppgssl.core.results.study import Results
from ppgssl.report.document import Callout, Column, Paragraph, Row, Section, Strong, Table, Text
from ppgssl.report.tables.study import build_table
from ppgssl.report.text import rounding
from ppgssl.report.text.rounding import plural

# Features have no names that say anything: those that differ most stand for them.
_MOST_FEATURES = 5


def shift_section(results: Results) -> Section:
    """Title ``Shift``; without blocks where there is nothing to compare with."""
    if not results.shift:
        return Section("Shift", ())
    beyond = [one for one in results.shift if one.is_warning]
    summary = (
        f"{plural(len(beyond), 'quantity', 'quantities')} of {len(results.shift)} differ from those of the training "
        "patients by more than 0.25 SD, or in their distribution, and by more than chance."
    )
    return Section(
        "Shift",
        (
            Paragraph(
                "Are these patients like those that the model was fitted to? A difference does not make the model "
                "wrong here, and likeness does not make it right: discrimination and calibration above say that. It "
                "tells where to look if they are poor, and what to watch if they are good."
            ),
            Callout("What differs", summary, "caution" if beyond else "note"),
            shift_table(results),
        ),
    )


def shift_table(results: Results) -> Table:
    """A row a quantity; those with a warning in bold."""
    features = [one for one in results.shift if one.group == "feature"]
    shown = sorted(features, key=lambda one: -abs(one.difference or 0.0))[:_MOST_FEATURES]
    rest = len(features) - len(shown)
    note = f" Of {len(features)} features, the {len(shown)} that differ most." if rest else ""
    return build_table(
        "table-shift",
        "Patients of this cohort beside those that the model was fitted to.",
        (
            Column("Quantity", width=1),
            Column("Here", "right"),
            Column("In training", "right"),
            Column("Missing here / in training", "right"),
            Column("Difference", "right"),
            Column("PSI", "right"),
        ),
        [_row(one) for one in [*(one for one in results.shift if one.group != "feature"), *shown]],
        "Mean (SD). Difference: standardised, of means in SDs, of levels as a distance of shares. PSI: population "
        "stability index. Bold: more than 0.25, and more than 95 of 100 pairs of samples of one population would "
        f"show.{note}",
    )


def _row(one: ShiftMeasure) -> Row:
    total = one.n + one.n_missing
    missing = f"{_percent(one.n_missing / total if total else 0.0)} / {_percent(one.share_missing_reference)}"
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


def _percent(share: float) -> str:
    return f"{100 * share:.0f}%"
