"""Sections on what each arm reached: discrimination, calibration, decisions, added value."""

from __future__ import annotations

from collections.abc import Iterator

from matplotlib.figure import Figure

from ppgssl.core.results.study import Results
from ppgssl.report.document import Block, Callout, Paragraph, Picture, Section, Text
from ppgssl.report.figures import discrimination as figures_discrimination
from ppgssl.report.figures import risk as figures_risk
from ppgssl.report.figures.forest import forest_pages
from ppgssl.report.figures.layout import MOST_PANELS, panel_chunks
from ppgssl.report.tables import performance as tables_performance
from ppgssl.report.text import alt_texts, rounding
from ppgssl.report.text.families import reference_arm, reference_words
from ppgssl.report.text.rounding import plural

_TALL_IN = 4.0
_FILLED = (
    "A full marker: the interval leaves guessing (or no difference) out and, of a difference, the adjusted p-value is "
    "below 0.05; an open one: no evidence. Grey squares are controls."
)


def numbered(label: str, number: int) -> str:
    """Labels of a figure that continues on others."""
    return label if number == 0 else f"{label}-{number + 1}"


def picture(label: str, caption: Text, figure: Figure, alt: str, notes: tuple[Text, ...] = ()) -> Picture:
    """A figure that stays where it is said, or, if tall, goes where a page has room."""
    return Picture(label, caption, figure, alt, notes, floats=bool(figure.get_figheight() > _TALL_IN))


def performance_sections(results: Results) -> list[Section]:
    return [
        Section("Results", tuple(_results(results))),
        Section("Calibration", tuple(_calibration(results))),
        Section("Decisions", tuple(_decisions(results))),
        Section("Added value of the signals", tuple(_added(results))),
    ]


def _kept(*blocks: Block | None) -> Iterator[Block]:
    yield from (block for block in blocks if block is not None)


# --- discrimination --------------------------------------------------------------------------------------------


def _results(results: Results) -> Iterator[Block]:
    yield Paragraph(
        "Read the interval before the number: values inside it are all compatible with these data. A difference whose "
        "interval contains 0 is no evidence of a difference, and no evidence of equality either. Arms are compared on "
        "the same patients and the same resamples, which is why an interval of a difference can be narrower than those "
        "of the two arms suggest."
    )
    if results.validation.notes:
        yield Callout("How patients were split", " ".join(_ended(note) for note in results.validation.notes), "note")
    yield tables_performance.results_table(results)
    yield from _kept(tables_performance.metrics_table(results), tables_performance.intervals_table(results))
    yield from _roc(results)
    yield from _forests(results)


def _ended(sentence: str) -> str:
    return sentence.rstrip(".") + "."


def _roc(results: Results) -> Iterator[Block]:
    for number, panels in enumerate(panel_chunks(figures_discrimination.roc_panels(results))):
        yield picture(
            numbered("figure-roc", number),
            _roc_caption(results),
            figures_discrimination.plot_roc(results, panels),
            alt_texts.roc(results, panels),
        )


def _roc_caption(results: Results) -> str:
    has_bands = any(arm.roc.ci_low for arm in results.arms)
    reference, decimals = reference_arm(results), rounding.auroc_decimals(results)
    dotted = (
        f" The dotted grey line is {reference_words(results)}, the same in every panel (AUROC "
        f"{rounding.number(reference.auroc.estimate, decimals)})."
        if reference
        else ""
    )
    bands = (
        " Bands hold the sensitivity at each specificity in 95% of resamples, one by one; curves whose bands overlap "
        "may still differ, since the comparison is paired."
        if has_bands
        else ""
    )
    return (
        "Receiver operating characteristic curves by kind of arm, with the AUROC. Each point of a curve is a threshold "
        f"of risk.{dotted}{bands}"
    )


def _forests(results: Results) -> Iterator[Block]:
    decimals = rounding.auroc_decimals(results)
    words = reference_words(results)
    beside = f", and paired differences from {words}" if any(arm.difference for arm in results.arms) else ""
    pages = forest_pages(figures_discrimination.auroc_rows(results))
    for number, rows in enumerate(pages):
        yield picture(
            numbered("figure-forest", number),
            f"AUROC of every arm with 95% interval{beside}. {_FILLED}",
            figures_discrimination.plot_auroc_forest(results, rows),
            alt_texts.forest("Forest plot", rows, ("AUROC", f"difference from {words}"), decimals),
        )
    tables = [
        tables_performance.untrained_table(results),
        tables_performance.clinical_table(results),
        tables_performance.hand_made_table(results),
    ]
    yield from _kept(*tables)
    if not any(tables):
        return
    hand_made = ", and what an encoder adds to hand-made features" if tables[-1] else ""
    for number, rows in enumerate(forest_pages(figures_discrimination.difference_rows(results))):
        yield picture(
            numbered("figure-differences", number),
            "Paired differences in AUROC, with 95% intervals: what pretraining adds to an untrained encoder, and what "
            f"signals add to the clinical input alone{hand_made}. {_FILLED}",
            figures_discrimination.plot_difference_forest(rows),
            alt_texts.forest("Forest plot", rows, figures_discrimination.REFERENCES, decimals),
        )


# --- risks and decisions ---------------------------------------------------------------------------------------


def _calibration(results: Results) -> Iterator[Block]:
    table = tables_performance.calibration_table(results)
    if table is None:
        return
    yield Paragraph(
        "Of a hundred patients with a predicted risk of 20%, twenty should have the event. An arm can tell patients "
        "apart well and still give wrong risks. Where the curve lies below the dotted line, risks are too high, above "
        "it too low."
        + (
            ""
            if results.validation.scheme == "predictions"
            else " Risks were predicted for patients whom the model was not fitted on; how risks agree in another "
            "hospital is not shown."
        )
    )
    yield table
    arms = figures_risk.calibrated(results)
    shown, left = arms[: 2 * MOST_PANELS], arms[2 * MOST_PANELS :]
    for number, some in enumerate(panel_chunks(shown)):
        yield picture(
            numbered("figure-calibration", number),
            "Observed share of patients with the event over predicted risk. Line: flexible curve with its pointwise "
            "95% band; points: groups of patients of similar risk with 95% intervals; bars below: how often each risk "
            "was predicted; dotted: perfect agreement.",
            figures_risk.plot_calibration(some),
            alt_texts.calibration(some),
            (f"{plural(len(left), 'further arm')}: in the table alone.",) if left and number else (),
        )


def _decisions(results: Results) -> Iterator[Block]:
    table = tables_performance.operating_table(results)
    panels = figures_risk.decision_panels(results)
    has_curves = any(arm.decision_curve for arm in results.arms)
    if table is None and not has_curves:
        return
    yield Paragraph(
        "A threshold turns a risk into a decision: from which risk on would one act?"
        + (
            " Thresholds were chosen on training patients or given beforehand, never on the patients tested."
            if table
            else ""
        )
    )
    yield from _kept(table)
    if not has_curves:
        return
    yield Paragraph(_net_benefit_words())
    for number, some in enumerate(panel_chunks(panels)):
        yield picture(
            numbered("figure-decisions", number),
            "Decision curves: net benefit over the risk from which one would act, with pointwise 95% bands. Thin black "
            "lines: treating everybody (dashed) and nobody."
            + (f" Dotted grey: {reference_words(results)}." if reference_arm(results) else ""),
            figures_risk.plot_decisions(results, some),
            alt_texts.decisions(results, some),
        )


def _net_benefit_words() -> Text:
    return (
        "Net benefit counts patients rightly treated, less those treated for nothing, weighed by how many of the "
        "latter one would accept for one of the former, which is what the threshold says. A model is of use at a "
        "threshold only where its curve lies above both treating everybody and treating nobody. Look at thresholds "
        "that a clinician could have, and ignore the others; it says nothing of costs outside the threshold."
    )


def _added(results: Results) -> Iterator[Block]:
    table = tables_performance.added_value_table(results)
    if table is None:
        return
    yield Paragraph(
        "Whether SSL features tell something that the arm without them does not: by a likelihood-ratio test, which "
        "asks if the risk with them still tells the outcome once the risk without them is known, and by the net "
        "benefit of decisions. A small p-value of the test alone does not make a difference that matters to patients."
    )
    yield table
