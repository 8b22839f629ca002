"""The report's sections in order; what there is nothing to say about is left out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeVar

import yaml

from ppgssl.report import figures, rounding, tables, wording
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
)
from ppgssl.report.families import reference_arm
from ppgssl.report.methods import Configuration, methods
from ppgssl.report.references import REFERENCES
from ppgssl.report.representation import representation_section
from ppgssl.report.rounding import plural
from ppgssl.results import CohortFlow, Exclusion, PretrainingRun, Results

MOST_EXAMPLES = 15
_MOST_DIAGRAMS = 4
_MOST_REASONS = 5

Item = TypeVar("Item")


def _present(*blocks: Block | None) -> tuple[Block, ...]:
    return tuple(block for block in blocks if block is not None)


def _chunks(items: Sequence[Item], size: int) -> list[Sequence[Item]]:
    return [items[i : i + size] for i in range(0, len(items), size)]


def _numbered(label: str, number: int) -> str:
    return label if number == 0 else f"{label}-{number + 1}"


def make_sections(results: Results, config: Configuration, missing_letters: str = "") -> list[Section]:
    """The whole report; ``missing_letters`` names those that the fonts at hand do not hold."""
    sections = [
        _summary(results, config),
        _cohorts(results),
        _data_check(results),
        _patients(results),
        _quality(results, config),
        _pretraining(results),
        _results(results),
        representation_section(results),
        Section("Methods", methods(results)),
        Section("Limitations", (Bullets(wording.limitations(results)),)),
    ]
    sections = [section for section in sections if section.blocks]
    numbered = tuple(REFERENCES[key] for key in cited_keys(sections))
    return [
        *sections,
        Section("References", (References(numbered),)),
        _provenance(results, missing_letters),
        _appendix(results),
    ]


# --- summary and cohorts ---------------------------------------------------------------------------------------


def _summary(results: Results, config: Configuration) -> Section:
    validation = results.validation
    tiles = (
        (rounding.count(validation.n_patients), "patients analysed"),
        (rounding.n_percent(validation.n_events, validation.n_patients), "with the event"),
        (rounding.count(sum(flow.n_recordings_used for flow in results.flow)), "recordings used"),
        (rounding.count(sum(flow.n_segments_accepted for flow in results.flow)), "segments accepted"),
    )
    return Section(
        "Summary",
        (
            Callout("In short", wording.headline(results), "finding"),
            Tiles(tiles),
            Heading("What was asked"),
            Paragraph(wording.question(results, config.channels)),
            Heading("What was found"),
            Bullets(wording.findings(results)),
            Heading("How sure this is"),
            Bullets(wording.certainty(results)),
            Heading("What this does not show"),
            Bullets(wording.not_shown(results)),
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
    for number, checks in enumerate(_chunks(results.acquisition, 6)):
        yield Picture(
            _numbered("figure-acquisition", number),
            "Properties of the raw signals in patients with and without the event, as shares of each group. A dashed "
            "line lies between two separate groups of patients.",
            figures.plot_acquisition(checks),
            "Histograms of raw-signal properties by outcome.",
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
    for number, rows in enumerate(_chunks(results.quality, figures.QUALITY_PANELS)):
        yield Picture(
            _numbered("figure-sqi", number),
            f"Signal quality index of all segments. Segments left of the dashed line, at {min_sqi:g}, were not "
            "accepted (grey).",
            figures.plot_sqi(results, rows, min_sqi),
            "Histograms of the signal quality index by cohort and channel.",
        )


def _waveforms(results: Results) -> Iterable[Block]:
    shown = results.examples[:MOST_EXAMPLES]
    left = len(results.examples) - len(shown)
    for number, examples in enumerate(_chunks(shown, figures.WAVEFORMS)):
        is_last = (number + 1) * figures.WAVEFORMS >= len(shown)
        yield Picture(
            _numbered("figure-waveforms", number),
            "Example recordings after filtering, as the pipeline saw them. The reason is written where segments were "
            "rejected; a broken line is a gap. The vertical scale is that of each recording.",
            figures.plot_waveforms(results, examples),
            "Filtered waveforms with accepted and rejected segments shaded.",
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
            tables.pretraining_table(results),
            Picture(
                "figure-curves",
                "Pretraining loss, one line an encoder (one encoder a fold, or one for all). Held-out patients are "
                "never trained on; a held-out loss that rises while the other falls would be overfitting.",
                figures.plot_curves(curves),
                "Training and validation loss over optimizer steps.",
            )
            if curves
            else None,
            Picture(
                "figure-reconstructions",
                _reconstruction_caption(filled),
                figures.plot_reconstructions(filled),
                "Signals and their reconstruction.",
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
    if figures.is_filled_in(runs):
        return "Segments of held-out patients: what was hidden from the encoder, and how it was filled in."
    return "Segments of held-out patients, and what came back from the encoder, to which nothing was hidden."


def _results(results: Results) -> Section:
    untrained = tables.untrained_table(results)
    return Section(
        "Results",
        (
            tables.results_table(results),
            _forest(results),
            *_present(untrained, _untrained_forest(results) if untrained else None),
            *_roc(results),
        ),
    )


def _forest(results: Results) -> Picture:
    has_difference = any(arm.difference for arm in results.arms)
    beside = ", and paired differences to the covariates arm" if has_difference else ""
    or_none = " (left) or with no difference (right)" if has_difference else ""
    return Picture(
        "figure-forest",
        f"AUROC of every arm with 95% interval{beside}. Open grey circles are controls. Numbers are those of the "
        f"results table. An interval that crosses the grey line is compatible with guessing{or_none}.",
        figures.plot_forest(results),
        "Forest plot of AUROCs and differences.",
    )


def _untrained_forest(results: Results) -> Picture:
    return Picture(
        "figure-untrained",
        "What pretraining itself adds: paired differences in AUROC, with 95% intervals, between each arm with SSL and "
        "the same arm with an untrained encoder.",
        figures.plot_untrained_forest(results),
        "Forest plot of differences to the untrained encoder.",
    )


def _roc(results: Results) -> Iterable[Block]:
    for number, panels in enumerate(_chunks(figures.roc_panels(results), figures.ROC_PANELS)):
        yield Picture(
            _numbered("figure-roc", number),
            "Receiver operating characteristic curves by kind of arm, with the AUROC. The dotted grey line is the arm "
            "with clinical covariates alone, the same in every panel."
            if reference_arm(results)
            else "Receiver operating characteristic curves by kind of arm, with the AUROC.",
            figures.plot_roc(results, panels),
            "ROC curves in small multiples.",
            floats=True,
        )


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
