"""The report's sections in order; what there is nothing to say about is left out."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

import yaml

from ppgssl.core.results.data import CohortFlow
from ppgssl.core.results.study import Results
from ppgssl.report.checklists.probast import probast_section
from ppgssl.report.checklists.tripod import tripod_section
from ppgssl.report.document import Block, Bullets, Callout, Flow, FlowStep, Heading, Mono, Paragraph, Section
from ppgssl.report.figures import pretraining as figures_pretraining
from ppgssl.report.figures import signals as figures
from ppgssl.report.figures.layout import chunks
from ppgssl.report.sections.representation import representation_section
from ppgssl.report.sections.results import performance_sections
from ppgssl.report.sections.robustness import robustness_sections
from ppgssl.report.sections.shift import shift_section
from ppgssl.report.sections.words import literature, paragraph, picture, summary_blocks, warned, words
from ppgssl.report.tables import study as tables
from ppgssl.report.tables.pretraining import pretraining_table
from ppgssl.report.text import alt_texts, rounding
from ppgssl.report.text.methods import Configuration, methods
from ppgssl.report.text.rounding import plural
from ppgssl.report.text.summary import limitations, summary

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
    return [*sections, literature([*sections, checklist, *last]), checklist, *last]


def _summary(results: Results, config: Configuration) -> Section:
    found, n = summary(results, config.channels), results.validation.n_patients
    tiles = (
        (rounding.count(n), "patients analysed"),
        (rounding.n_percent(results.validation.n_events, n), "with the event"),
        (rounding.count(sum(flow.n_recordings_used for flow in results.flow)), "recordings used"),
        (rounding.count(sum(flow.n_segments_accepted for flow in results.flow)), "segments accepted"),
    )
    last = (Heading("What this does not show"), Bullets(tuple(found["not shown"])))
    return Section("Summary", (*summary_blocks(results, found, tiles), *last))


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
    used = "analysed" if is_labelled else "used"
    return (
        FlowStep(plural(flow.n_files, "file"), "", _reasons(flow, "file")),
        FlowStep(plural(flow.n_recordings, "recording"), "stored", _reasons(flow, "recording")),
        FlowStep(
            plural(flow.n_segments, "segment"),
            f"cut from {plural(flow.n_recordings, 'recording')}",
            _reasons(flow, "segment"),
        ),
        FlowStep(
            f"{plural(flow.n_segments_accepted, 'segment')} accepted",
            f"of {plural(flow.n_recordings_used, 'recording')}",
        ),
        FlowStep(
            f"{plural(flow.n_patients_with_recordings, 'patient')} with recordings", table, _reasons(flow, "patient")
        ),
        FlowStep(f"{plural(flow.n_patients_analysed, 'patient')} {used}", events),
    )


def _reasons(flow: CohortFlow, unit: str) -> tuple[str, ...]:
    """Reasons with counts, the most frequent first; a long list ends in a count of the rest."""
    found = sorted((item for item in flow.exclusions if item.unit == unit), key=lambda item: -item.n)
    lines = [f"{plural(item.n, item.unit)}: {item.reason.text}" for item in found[:_MOST_REASONS]]
    rest = found[_MOST_REASONS:]
    if rest:
        lines.append(f"{plural(sum(item.n for item in rest), unit)} for {plural(len(rest), 'further reason')}")
    return tuple(lines)


def _data_check(results: Results) -> Section:
    ordered = sorted(results.findings, key=lambda finding: finding.severity != "caution")
    titles = [f"{one.kind.heading} · {tables.cohort_title(results, one.cohort)}" for one in ordered]
    callouts = [Callout(title, one.text, one.severity) for title, one in zip(titles, ordered, strict=True)]
    blocks = [*callouts, *_acquisition(results)]
    return Section("Data checks", tuple(blocks or [paragraph("no-defect")]))


def _acquisition(results: Results) -> Iterable[Block]:
    if not results.acquisition:
        return
    yield Heading("Acquisition checks")
    yield paragraph("acquisition")
    yield Bullets(tuple(check.text for check in results.acquisition))
    for number, checks in enumerate(chunks(results.acquisition, 6)):
        yield picture("figure-acquisition", figures.plot_acquisition(checks), checks, number=number, may_float=False)


def _quality(results: Results, config: Configuration) -> Iterable[Block]:
    yield from _present(tables.quality_table(results), tables.spo2_table(results))
    min_sqi = config.study.inputs.min_sqi
    for number, rows in enumerate(chunks(results.quality, figures.QUALITY_PANELS)):
        values = {"min_sqi": min_sqi, "title_of": partial(tables.cohort_title, results)}
        figure = figures.plot_sqi(results, rows, min_sqi)
        yield picture("figure-sqi", figure, rows, number=number, may_float=False, **values)
    shown = chunks(results.examples[:MOST_EXAMPLES], figures.WAVEFORMS)
    for number, examples in enumerate(shown):
        n_left = max(len(results.examples) - MOST_EXAMPLES, 0) if number == len(shown) - 1 else 0
        figure = figures.plot_waveforms(results, examples)
        yield picture("figure-waveforms", figure, examples, number=number, may_float=False, n_left=n_left)


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
