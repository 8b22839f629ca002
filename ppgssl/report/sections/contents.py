"""The report's sections in order; what there is nothing to say about is left out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import yaml

from ppgssl.core.results.data import CohortFlow, Exclusion
from ppgssl.core.results.pretraining import PretrainingRun
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
    Picture,
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
from ppgssl.report.sections.results import numbered, performance_sections
from ppgssl.report.sections.robustness import robustness_sections
from ppgssl.report.sections.shift import shift_section
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
        _patients(results),
        _quality(results, config),
        _pretraining(results),
        representation_section(results),
        *performance_sections(results),
        shift_section(results),
        *robustness_sections(results),
        Section("Methods", methods(results)),
        Section("Limitations", (Bullets(limitations(results)),)),
    ]
    sections = [section for section in sections if section.blocks]
    last = [probast_section(results), _provenance(results, missing_letters), _appendix(results)]
    checklist = tripod_section(results, [*sections, *last])
    cited = cited_keys([*sections, checklist, *last])
    literature = Section("References", (References(tuple(references()[key] for key in cited)),))
    return [*sections, literature, checklist, *last]


# --- summary and cohorts ---------------------------------------------------------------------------------------


def _summary(results: Results, config: Configuration) -> Section:
    validation = results.validation
    words = summary(results, config.channels)
    tiles = (
        (rounding.count(validation.n_patients), "patients analysed"),
        (rounding.n_percent(validation.n_events, validation.n_patients), "with the event"),
        (rounding.count(sum(flow.n_recordings_used for flow in results.flow)), "recordings used"),
        (rounding.count(sum(flow.n_segments_accepted for flow in results.flow)), "segments accepted"),
    )
    return Section(
        "Summary",
        (
            Callout("In short", sentences(*words["headline"]), "finding"),
            Tiles(tiles),
            Heading("What was asked"),
            Paragraph(words["question"][0]),
            Heading("What was found"),
            Bullets(tuple(words["findings"])),
            Heading("How sure this is"),
            Bullets(certainty(results)),
            Heading("What this does not show"),
            Bullets(tuple(words["not shown"])),
        ),
    )


def _cohorts(results: Results) -> Section:
    diagrams = [flow for flow in results.flow if flow.role == "labelled"]
    diagrams += [flow for flow in results.flow if flow.role != "labelled"]
    shown = diagrams[:_MOST_DIAGRAMS]
    caption = "From files to patients: what each cohort lost on the way, and why."
    if len(shown) < len(diagrams):
        caption += f" The {len(diagrams) - len(shown)} cohorts that follow are in the tables alone."
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
    return f"{plural(exclusion.n, exclusion.unit)}: {exclusion.reason}"


# --- data ------------------------------------------------------------------------------------------------------


def _data_check(results: Results) -> Section:
    ordered = sorted(results.findings, key=lambda finding: finding.severity != "caution")
    callouts = [
        Callout(f"{finding.kind} · {tables.cohort_title(results, finding.cohort)}", finding.text, finding.severity)
        for finding in ordered
    ]
    if not callouts and not results.acquisition:
        text = (
            "No defect was found beyond the exclusions listed above. Defects that leave no trace in the data stay "
            "unseen."
        )
        return Section("What the data check met", (Paragraph(text),))
    return Section("What the data check met", (*callouts, *_acquisition(results)))


def _acquisition(results: Results) -> Iterable[Block]:
    if not results.acquisition:
        return
    yield Heading("Acquisition checks")
    yield Paragraph(
        "How a signal was acquired should tell nothing about the outcome. Where a property of the raw signal that "
        "physiology does not explain tells patients with the event from others, a model can use it as a shortcut."
    )
    yield Bullets(tuple(check.text for check in results.acquisition))
    for number, checks in enumerate(chunks(results.acquisition, 6)):
        yield Picture(
            numbered("figure-acquisition", number),
            "Properties of the raw signals in patients with and without the event, as shares of each group. A dashed "
            "line lies between two separate groups of patients.",
            figures.plot_acquisition(checks),
            alt_texts.acquisition(checks),
        )


def _patients(results: Results) -> Section:
    return Section("Patients", (tables.table_one(results),) if results.table_one else ())


def _quality(results: Results, config: Configuration) -> Section:
    return Section(
        "Signal quality",
        (*_present(tables.quality_table(results)), *_histograms(results, config), *_waveforms(results)),
    )


def _histograms(results: Results, config: Configuration) -> Iterable[Block]:
    min_sqi = config.study.inputs.min_sqi
    for number, rows in enumerate(chunks(results.quality, figures.QUALITY_PANELS)):
        yield Picture(
            numbered("figure-sqi", number),
            f"Signal quality index of all segments. Segments left of the dashed line, at {min_sqi:g}, were not "
            "accepted (grey).",
            figures.plot_sqi(results, rows, min_sqi),
            alt_texts.quality(results, rows, min_sqi),
        )


def _waveforms(results: Results) -> Iterable[Block]:
    shown = results.examples[:MOST_EXAMPLES]
    left = len(results.examples) - len(shown)
    for number, examples in enumerate(chunks(shown, figures.WAVEFORMS)):
        is_last = (number + 1) * figures.WAVEFORMS >= len(shown)
        yield Picture(
            numbered("figure-waveforms", number),
            "Example recordings after filtering, as the pipeline saw them. The reason is written where segments were "
            "rejected; a broken line is a gap. The vertical scale is that of each recording.",
            figures.plot_waveforms(results, examples),
            alt_texts.waveforms(examples),
            (f"{plural(left, 'further example')} not shown.",) if is_last and left else (),
        )


# --- pretraining and results -----------------------------------------------------------------------------------


def _pretraining(results: Results) -> Section:
    runs = results.pretraining
    curves = [run for run in runs if any(run.curves)]
    filled = [run for run in runs if run.reconstructions]
    return Section(
        "Self-supervised pretraining",
        _present(
            *(_warned(run) for run in runs if run.warnings),
            pretraining_table(results),
            Picture(
                "figure-curves",
                "Pretraining loss, one line an encoder (one encoder a fold, or one for all). Held-out patients are "
                "never trained on; a held-out loss that rises while the other falls would be overfitting.",
                figures_pretraining.plot_curves(curves),
                alt_texts.losses(curves),
            )
            if curves
            else None,
            Picture(
                "figure-reconstructions",
                _reconstruction_caption(filled),
                figures_pretraining.plot_reconstructions(filled),
                alt_texts.reconstructions(filled),
            )
            if filled
            else None,
        ),
    )


def _warned(run: PretrainingRun) -> Callout:
    left = len(run.warnings) - _MOST_REASONS
    more = f" And {plural(left, 'more warning')}: see warnings in results.json." if left > 0 else ""
    text = " ".join(f"{warning.rstrip('.')}." for warning in run.warnings[:_MOST_REASONS])
    return Callout(f"Pretraining did not go well · {run.label}", text.replace("`", "") + more, "caution")


def _reconstruction_caption(runs: Sequence[PretrainingRun]) -> str:
    if figures_pretraining.is_filled_in(runs):
        return "Segments of held-out patients: what was hidden from the encoder, and how it was filled in."
    return "Segments of held-out patients, and what came back from the encoder, to which nothing was hidden."


# --- provenance ------------------------------------------------------------------------------------------------


def _provenance(results: Results, missing_letters: str) -> Section:
    provenance = results.provenance
    text = (
        f"Made {provenance.created_utc} (UTC) with ppgssl {provenance.versions.get('ppgssl', '')}, random seed "
        f"{provenance.seed}. The same inputs, configuration and versions give the same results on the same kind of "
        "machine."
    )
    note = (
        f"The fonts that come with this report lack some of the letters used ({missing_letters}, ...); they are set in "
        "a font of the computer that made the report, or stay blank boxes where it has none."
    )
    versions = ", ".join(f"{name} {version}" for name, version in provenance.versions.items())
    return Section(
        "Provenance",
        _present(
            Paragraph(text),
            Paragraph(f"Software: {versions}.") if versions else None,
            tables.inputs_table(results),
            tables.stages_table(results),
            Paragraph(note, "small") if missing_letters else None,
        ),
    )


def _appendix(results: Results) -> Section:
    provenance = results.provenance
    texts = [("Study", provenance.study), *[(f"Cohort {item.get('name', '')}", item) for item in provenance.cohorts]]
    parts = tuple((title, _yaml_lines(content)) for title, content in texts)
    return Section("Appendix: full configuration", (Mono(parts),), new_page=True)


def _yaml_lines(content: dict[str, object]) -> tuple[str, ...]:
    return tuple(yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=4096).splitlines())
