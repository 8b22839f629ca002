"""Sections on what each arm reached: discrimination, calibration, decisions, added value."""

from __future__ import annotations

from collections.abc import Iterator

from ppgssl.core.results.study import Results
from ppgssl.report.document import Block, Callout, Section
from ppgssl.report.figures import discrimination, risk
from ppgssl.report.figures.forest import forest_pages
from ppgssl.report.figures.layout import MOST_PANELS, panel_chunks
from ppgssl.report.sections.words import paragraph, picture
from ppgssl.report.tables import performance as tables
from ppgssl.report.text import alt_texts
from ppgssl.report.text.facts import Facts


def performance_sections(results: Results) -> list[Section]:
    return [
        Section("Results", tuple(_results(results))),
        Section("Calibration", tuple(_calibration(results))),
        Section("Decisions", tuple(_decisions(results))),
        Section("Added value of the signals", tuple(_added(results))),
    ]


def _results(results: Results) -> Iterator[Block]:
    yield paragraph("results")
    if notes := results.validation.notes:
        yield Callout("How patients were split", " ".join(f"{note.rstrip('.')}." for note in notes), "note")
    made = (tables.results_table(results), tables.metrics_table(results), tables.intervals_table(results))
    yield from (table for table in made if table)
    yield from _roc(results)
    yield from _forests(results)


def _roc(results: Results) -> Iterator[Block]:
    facts, has_bands = Facts(results), any(arm.roc.ci_low for arm in results.arms)
    for number, panels in enumerate(panel_chunks(discrimination.roc_panels(results))):
        figure, arms = discrimination.plot_roc(results, panels), [arm for _, members in panels for arm in members]
        yield picture("figure-roc", figure, arms, number=number, facts=facts, has_bands=has_bands)


def _forests(results: Results) -> Iterator[Block]:
    facts = Facts(results)
    for number, rows in enumerate(forest_pages(discrimination.auroc_rows(results))):
        items = alt_texts.forest(rows, ("AUROC", f"difference from {facts.reference_words}"), facts.auroc_decimals)
        figure = discrimination.plot_auroc_forest(results, rows)
        yield picture("figure-forest", figure, items, number=number, facts=facts)
    made = {name: table for name in tables.PAIRED if (table := tables.paired_table(results, name))}
    yield from made.values()
    for number, rows in enumerate(forest_pages(discrimination.difference_rows(results)) if made else ()):
        items = alt_texts.forest(
            rows, [f"difference {name}" for name in discrimination.REFERENCES], facts.auroc_decimals
        )
        figure = discrimination.plot_difference_forest(rows)
        yield picture("figure-differences", figure, items, number=number, has_hand_crafted="table-hand-crafted" in made)


def _calibration(results: Results) -> Iterator[Block]:
    table = tables.calibration_table(results)
    if table is None:
        return
    yield paragraph("calibration", facts=Facts(results))
    yield table
    arms = risk.calibrated(results)
    shown, n_left = arms[: 2 * MOST_PANELS], len(arms[2 * MOST_PANELS :])
    for number, some in enumerate(panel_chunks(shown)):
        figure = risk.plot_calibration(some)
        yield picture("figure-calibration", figure, some, number=number, n_left=n_left if number else 0)


def _decisions(results: Results) -> Iterator[Block]:
    table, facts = tables.operating_table(results), Facts(results)
    has_curves = facts.has("decision_curve")
    if table or has_curves:
        yield paragraph("thresholds", facts=facts)
    if table:
        yield table
    if has_curves:
        yield paragraph("net-benefit")
        for number, some in enumerate(panel_chunks(risk.decision_panels(results))):
            at, items = alt_texts.decisions(results, some)
            figure = risk.plot_decisions(results, some)
            yield picture("figure-decisions", figure, items, number=number, facts=facts, at=at)


def _added(results: Results) -> Iterator[Block]:
    if table := tables.added_value_table(results):
        yield paragraph("added-value")
        yield table
