"""The report's sections in order; what there is nothing to say about is left out."""

from __future__ import annotations

from collections.abc import Iterable

import yaml

from ppgssl.core.results.data import CohortFlow, Exclusion
from ppgssl.core.results.study import Results
from ppgssl.report.checklists.probast import probast_section
from ppgssl.report.checklists.tripod import tripod_section
from ppgssl.report.document import (
    Block,
    Bullets,
    Callout,
    Flow,
    FlowStep,
    Heading,
    Mono,
    Paragraph,
    References,
    Section,
    Tiles,
    cited_keys,
    sentences,
)
from ppgssl.report.figures import pretraining as figures_pretraining
from ppgssl.report.figures import signals as figures
from ppgssl.report.figures.layout import chunks
from ppgssl.report.sections.representation import representation_section
from ppgssl.report.sections.results import performance_sections
from ppgssl.report.sections.robustness import robustness_sections
from ppgssl.report.sections.shift import shift_section
from ppgssl.report.sections.words import paragraph, picture, warned, words
from ppgssl.report.tables import study as tables
from ppgssl.report.tables.pretraining import pretraining_table
from ppgssl.report.text import alt_texts, rounding
from ppgssl.report.text.methods import Configuration, methods
from ppgssl.report.text.references import references
from ppgssl.report.text.rounding import plural
from ppgssl.report.text.summary import certainty, limitations, summary

MOST_EXAMPLES = 15
_MOST_DIAGRAMS = 4
_MOST_REASONS = 5


def _present(*blocks: Block | None) -> tuple[Block, ...]:
    return tuple(block for block in blocks if block is not None)


def make_sections(results: Results, config: Configuration, missing_letters: str = "") -> list[Section]:
    """The whole report; ``missing_letters`` names those that the fonts at hand do not hold."""
    sections = [
        _summary(results, config),
        _cohorts(results),
        _data_check(results),
        Section("Patients", _present(tables.table_one(results))),
        Section("Signal quality", tuple(_quality(results, config))),
        Section("Self-supervised pretraining", tuple(_pretraining(results))),
        representation_section(results),
        *performance_sections(results),
        shift_section(results),
        *robustness_sections(results),
        Section("Methods", methods(results)),
        Section("Limitations", (Bullets(limitations(results)),)),
    ]
    sections = [section for section in sections if section.blocks]
    last = [probast_section(results), provenance_section(results, missing_letters), _appendix(results)]
    checklist = tripod_section(results, [*sections, *last])
    cited = cited_keys([*sections, checklist, *last])
    literature = Section("References", (References(tuple(references()[key] for key in cited)),))
    return [*sections, literature, checklist, *last]


# --- summary and cohorts ---------------------------------------------------------------------------------------


def _summary(results: Results, config: Configuration) -> Section:
    validation = results.validation
    found = summary(results, config.channels)
    tiles = (
        (rounding.count(validation.n_patients), "patients analysed"),
        (rounding.n_percent(validation.n_events, validation.n_patients), "with the event"),
        (rounding.count(sum(flow.n_recordings_used for flow in results.flow)), "recordings used"),
        (rounding.count(sum(flow.n_segments_accepted for flow in results.flow)), "segments accepted"),
    )
    return Section(
        "Summary",
        (
            Callout("In short", sentences(*found["headline"]), "finding"),
            Tiles(tiles),
            Heading("What was asked"),
            Paragraph(found["question"][0]),
            Heading("What was found"),
            Bullets(tuple(found["findings"])),
            Heading("How sure this is"),
            Bullets(certainty(results)),
            Heading("What this does not show"),
            Bullets(tuple(found["not shown"])),
        ),
    )


def _cohorts(results: Results) -> Section:
    diagrams = [flow for flow in results.flow if flow.role == "labelled"]
    diagrams += [flow for flow in results.flow if flow.role != "labelled"]
    shown = diagrams[:_MOST_DIAGRAMS]
    caption = words("flow", n_left=len(diagrams) - len(shown))
    citations = [f"{flow.title or flow.cohort}: {flow.citation}" for flow in results.flow if flow.citation]
    return Section(
        "Cohorts",
        _present(
            Flow("figure-flow", caption, tuple((flow.title or flow.cohort, flow_steps(flow)) for flow in shown)),
            tables.cohorts_table(results),
            tables.exclusions_table(results),
            Heading("Sources") if citations else None,
            Bullets(tuple(citations)) if citations else None,
        ),
        new_page=True,
    )


def flow_steps(flow: CohortFlow) -> tuple[FlowStep, ...]:
    """Boxes of one cohort's diagram, each with what leaves after it."""
    table = "" if flow.n_patients_table is None else f"{plural(flow.n_patients_table, 'row')} in the clinical table"
    is_labelled = flow.role == "labelled"
    events = f"{rounding.count(flow.n_events)} with the event" if is_labelled else "no outcome: pretraining only"
    analysed = "patient analysed" if is_labelled else "patient used"
    return (
        FlowStep(plural(flow.n_files, "file"), "", _reasons(flow, "file")),
        FlowStep(plural(flow.n_recordings, "recording"), "stored", _reasons(flow, "recording")),
        FlowStep(
            plural(flow.n_segments, "segment"),
            f"cut from {plural(flow.n_recordings, 'recording')}",
            _reasons(flow, "segment"),
        ),
        FlowStep(
            plural(flow.n_segments_accepted, "segment") + " accepted",
            f"of {plural(flow.n_recordings_used, 'recording')}",
        ),
        FlowStep(
            f"{plural(flow.n_patients_with_recordings, 'patient')} with recordings", table, _reasons(flow, "patient")
        ),
        FlowStep(plural(flow.n_patients_analysed, analysed, _many(analysed)), events),
    )


def _many(words: str) -> str:
    return words.replace("patient", "patients", 1)


def _reasons(flow: CohortFlow, unit: str) -> tuple[str, ...]:
    """Reasons with counts, the most frequent first; a long list ends in a count of the rest."""
    found = sorted((item for item in flow.exclusions if item.unit == unit), key=lambda item: -item.n)
    lines = [_reason(item) for item in found[:_MOST_REASONS]]
    rest = found[_MOST_REASONS:]
    if rest:
        lines.append(f"{plural(sum(item.n for item in rest), unit)} for {plural(len(rest), 'further reason')}")
    return tuple(lines)


def _reason(exclusion: Exclusion) -> str:
    return f"{plural(exclusion.n, exclusion.unit)}: {exclusion.reason.text}"


# --- data ------------------------------------------------------------------------------------------------------


def _data_check(results: Results) -> Section:
    ordered = sorted(results.findings, key=lambda finding: finding.severity != "caution")
    callouts = [
        Callout(
            f"{finding.kind.heading} · {tables.cohort_title(results, finding.cohort)}", finding.text, finding.severity
        )
        for finding in ordered
    ]
    blocks = [*callouts, *_acquisition(results)]
    return Section("Data checks", tuple(blocks or [paragraph("no-defect")]))


def _acquisition(results: Results) -> Iterable[Block]:
    if not results.acquisition:
        return
    yield Heading("Acquisition checks")
    yield paragraph("acquisition")
    yield Bullets(tuple(check.text for check in results.acquisition))
    for number, checks in enumerate(chunks(results.acquisition, 6)):
        items = alt_texts.acquisition(checks)
        yield picture("figure-acquisition", figures.plot_acquisition(checks), items, number=number, may_float=False)


def _quality(results: Results, config: Configuration) -> Iterable[Block]:
    yield from _present(tables.quality_table(results), tables.spo2_table(results))
    min_sqi = config.study.inputs.min_sqi
    for number, rows in enumerate(chunks(results.quality, figures.QUALITY_PANELS)):
        figure, items = figures.plot_sqi(results, rows, min_sqi), alt_texts.quality(results, rows)
        yield picture("figure-sqi", figure, items, number=number, may_float=False, min_sqi=min_sqi)
    shown = chunks(results.examples[:MOST_EXAMPLES], figures.WAVEFORMS)
    for number, examples in enumerate(shown):
        n_left = max(len(results.examples) - MOST_EXAMPLES, 0) if number == len(shown) - 1 else 0
        figure, items = figures.plot_waveforms(results, examples), alt_texts.waveforms(examples)
        yield picture("figure-waveforms", figure, items, number=number, may_float=False, n_left=n_left)


def _pretraining(results: Results) -> Iterable[Block]:
    yield from (warned(run.label, run.warnings, "results.json") for run in results.pretraining if run.warnings)
    yield from _present(pretraining_table(results))
    if runs := [run for run in results.pretraining if any(run.curves)]:
        figure = figures_pretraining.plot_curves(runs)
        yield picture("figure-curves", figure, alt_texts.losses(runs), may_float=False)
    if runs := [run for run in results.pretraining if run.reconstructions]:
        figure, is_filled_in = figures_pretraining.plot_reconstructions(runs), figures_pretraining.is_filled_in(runs)
        items = alt_texts.reconstructions(runs)
        yield picture("figure-reconstructions", figure, items, may_float=False, is_filled_in=is_filled_in)


# --- provenance ------------------------------------------------------------------------------------------------


def provenance_section(results: Results, missing_letters: str) -> Section:
    provenance = results.provenance
    versions = ", ".join(f"{name} {version}" for name, version in provenance.versions.items())
    return Section(
        "Provenance",
        _present(
            paragraph("made", provenance=provenance),
            paragraph("software", versions=versions) if versions else None,
            tables.inputs_table(results),
            tables.stages_table(results),
            Paragraph(words("letters", letters=missing_letters), "small") if missing_letters else None,
        ),
    )


def _appendix(results: Results) -> Section:
    provenance = results.provenance
    texts = [("Study", provenance.study), *[(f"Cohort {item.get('name', '')}", item) for item in provenance.cohorts]]
    parts = tuple((title, _yaml_lines(content)) for title, content in texts)
    return Section("Appendix: full configuration", (Mono(parts),), new_page=True)


def _yaml_lines(content: dict[str, object]) -> tuple[str, ...]:
    return tuple(yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=4096).splitlines())
