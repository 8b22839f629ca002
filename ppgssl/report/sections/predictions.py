"""The report of risks that were read from a file: all that predictions alone can show, and what they cannot."""

from __future__ import annotations

from collections.abc import Iterator

from ppgssl.core.results.study import Results
from ppgssl.report.document import (
    Bullets,
    Callout,
    Heading,
    Paragraph,
    Ref,
    References,
    Section,
    Strong,
    Text,
    Tiles,
    cited_keys,
)
from ppgssl.report.sections.contents import provenance_section
from ppgssl.report.sections.results import performance_sections
from ppgssl.report.text import rounding
from ppgssl.report.text.certainty import certainty
from ppgssl.report.text.claims import TOO_FEW_EVENTS, chance_claim, claim, n_rare
from ppgssl.report.text.families import reference_words
from ppgssl.report.text.references import REFERENCES
from ppgssl.report.text.rounding import plural
from ppgssl.report.text.validation_methods import statistics_methods

_MOST_BULLETS = 8
_UNAVAILABLE: tuple[str, ...] = (
    "Sensitivity, specificity and predictive values: thresholds are chosen on training patients, and the file holds "
    "test patients alone.",
    "Table 1, missing values and subgroups: the file holds no clinical variables.",
    "Signals, cohorts and data checks: the file holds no recordings.",
    "Optimism, stability and learning curves: the models are not there to be fitted again.",
    "A check for leakage: which patients a model was fitted to is not known.",
    "TRIPOD+AI and PROBAST+AI: the file does not say how the models were made.",
)


def predictions_sections(results: Results, missing_letters: str = "") -> list[Section]:
    """The whole report; ``missing_letters`` names those that the fonts at hand do not hold."""
    methods = statistics_methods(results, None)
    sections = [
        _summary(results),
        *performance_sections(results),
        Section("Methods", tuple(map(Paragraph, (_source(results), *methods)))),
        Section("What is not available", (Bullets(_UNAVAILABLE),)),
        provenance_section(results, missing_letters),
    ]
    sections = [section for section in sections if section.blocks]
    cited = tuple(REFERENCES[key] for key in cited_keys(sections))
    return [*sections, Section("References", (References(cited),))]


def _summary(results: Results) -> Section:
    validation = results.validation
    tiles = (
        (rounding.count(validation.n_patients), "patients"),
        (rounding.n_percent(validation.n_events, validation.n_patients), "with the event"),
        (rounding.count(len(results.arms)), "models"),
        (rounding.count(validation.n_repeats), "repeats" if validation.n_repeats > 1 else "repeat"),
    )
    question = (
        f"How well do the risks of {plural(len(results.arms), 'model')} predict the event? The AUROC is the chance "
        "that a patient with the event gets a higher risk than one without (0.5 is guessing, 1 is perfect)."
    )
    return Section(
        "Summary",
        (
            Callout("In short", _headline(results), "finding"),
            Tiles(tiles),
            Heading("What was asked"),
            Paragraph(question),
            Heading("What was found"),
            Bullets(tuple(_findings(results))),
            Heading("How sure this is"),
            Bullets(certainty(results)),
        ),
    )


def _headline(results: Results) -> str:
    if n_rare(results) < TOO_FEW_EVENTS:
        return (
            f"These patients cannot show whether the models work: {plural(n_rare(results), 'patient')} in the smaller "
            f"outcome group are too few to claim anything (fewer than {TOO_FEW_EVENTS})."
        )
    n_better = sum(chance_claim(results, arm) == "higher" for arm in results.arms)
    words = f"{n_better} of {plural(len(results.arms), 'model')} predicted the event better than guessing."
    compared = [arm for arm in results.arms if arm.difference]
    if not compared:
        return words
    n_higher = sum(claim(results, arm.difference) == "higher" for arm in compared)
    return f"{words} {n_higher} of {len(compared)} had a higher AUROC than {reference_words(results)}."


def _findings(results: Results) -> Iterator[Text]:
    decimals = rounding.auroc_decimals(results)
    for arm in results.arms[:_MOST_BULLETS]:
        parts = [f" AUROC {rounding.interval(arm.auroc, decimals)}"]
        if arm.difference:
            difference = rounding.interval(arm.difference, decimals, signed=True)
            parts.append(f"difference from {reference_words(results)} {difference}")
        if arm.calibration:
            parts.append(f"calibration slope {rounding.interval(arm.calibration.slope)}, where 1 is ideal")
        if arm.brier:
            parts.append(f"Brier score {rounding.number(arm.brier.estimate, 3)}")
        yield (Strong(f"{arm.label}."), "; ".join(parts) + ".")
    left = len(results.arms) - _MOST_BULLETS
    if left > 0:
        yield (f"{plural(left, 'more model')}: see ", Ref("table-results"), ".")


def _source(results: Results) -> str:
    validation = results.validation
    words = (
        "one risk for each patient"
        if validation.n_repeats == validation.n_folds == 1
        else f"{plural(validation.n_folds, 'fold')} in each of {plural(validation.n_repeats, 'repeat')}"
    )
    return (
        f"Risks of {plural(validation.n_test_patients, 'patient')} were read from a file ({words}). How they were "
        "made, and whether a model had seen the patients whom it predicts, is not known to this report."
    )
