"""The report of risks that were read from a file: all that predictions alone can show, and what they cannot."""

from __future__ import annotations

from ppgssl.core.results.study import Results
from ppgssl.report.document import Bullets, Paragraph, Section
from ppgssl.report.sections.contents import provenance_section
from ppgssl.report.sections.results import performance_sections
from ppgssl.report.sections.words import literature, summary_blocks
from ppgssl.report.text import rounding
from ppgssl.report.text.claims import TOO_FEW_EVENTS, chance_claim, claim
from ppgssl.report.text.facts import Facts
from ppgssl.report.text.prose import passages

_MOST_FINDINGS = 8


def predictions_sections(results: Results, missing_letters: str = "") -> list[Section]:
    """The whole report; ``missing_letters`` names those that the fonts at hand do not hold."""
    facts, validation = Facts(results), results.validation
    found = passages(
        "predictions",
        results=results,
        facts=facts,
        TOO_FEW_EVENTS=TOO_FEW_EVENTS,
        MOST=_MOST_FINDINGS,
        n_better=sum(chance_claim(results, arm) == "higher" for arm in results.arms),
        n_higher=sum(claim(results, arm.difference) == "higher" for arm in results.arms if arm.difference),
    )
    tiles = (
        (rounding.count(validation.n_patients), "patients"),
        (rounding.n_percent(validation.n_events, validation.n_patients), "with the event"),
        (rounding.count(len(results.arms)), "models"),
        (rounding.count(validation.n_repeats), "repeats" if validation.n_repeats > 1 else "repeat"),
    )
    methods = passages("validation", results=results, facts=facts, study=None, site_words=[])
    sections = [
        Section("Summary", summary_blocks(results, found, tiles)),
        *performance_sections(results),
        Section("Methods", tuple(Paragraph(text) for texts in methods.values() for text in texts)),
        Section("What is not available", (Bullets(tuple(found["not available"])),)),
        provenance_section(results, missing_letters),
    ]
    sections = [section for section in sections if section.blocks]
    return [*sections, literature(sections)]
