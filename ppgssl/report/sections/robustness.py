"""Sections on what the results rest on: patients, their number, covariates, missing values, leakage, a map."""

from __future__ import annotations

from collections.abc import Iterator

from ppgssl.core.results.data import MissingData
from ppgssl.core.results.study import Results
from ppgssl.report.document import Block, Callout, Paragraph, Picture, Section, Text
from ppgssl.report.figures import risk as figures_risk
from ppgssl.report.figures import robustness as figures_robustness
from ppgssl.report.figures.forest import forest_pages
from ppgssl.report.figures.layout import chunks, panel_chunks
from ppgssl.report.sections.results import numbered, picture
from ppgssl.report.tables import robustness as tables_robustness
from ppgssl.report.text import alt_texts, rounding
from ppgssl.report.text.families import reference_arm
from ppgssl.report.text.rounding import enumeration, plural

_MOST_TERMS = 28
_MOST_MAPS = 3


def robustness_sections(results: Results) -> list[Section]:
    return [
        Section("Subgroups", tuple(_subgroups(results))),
        Section("Number of patients, stability and optimism", tuple(_stability(results))),
        Section("Covariate model", tuple(_covariates(results))),
        Section("Missing covariates", tuple(_missing(results))),
        Section("Sample size", tuple(_sample_size(results))),
        Section("Leakage checks", tuple(_leakage(results))),
        Section("Map of the patients", tuple(_maps(results))),
    ]


def _subgroups(results: Results) -> Iterator[Block]:
    table = tables_robustness.subgroups_table(results)
    if table is None:
        return
    yield Paragraph(
        "The same predictions, judged within groups of patients. Groups are small, so their intervals are wide: that "
        "an interval of one group contains 0.5 and that of another does not is no evidence that the groups differ. The "
        "p-value for interaction asks that question, and with several groups and arms one of them may be small by "
        "chance."
    )
    yield table
    if not any(level.auroc for group in results.subgroups for level in group.levels):
        return
    for number, rows in enumerate(
        forest_pages(figures_robustness.subgroup_rows(results), figures_robustness.SUBGROUP_LABEL_WIDTH)
    ):
        columns = [arm.label for arm in tables_robustness.subgroup_arms(results)]
        yield picture(
            numbered("figure-subgroups", number),
            "AUROC by subgroup with 95% intervals; in brackets, patients with the event of all. A full marker: the "
            "interval leaves 0.5 out.",
            figures_robustness.plot_subgroups(results, rows),
            alt_texts.forest("Forest plot of subgroups", rows, columns, rounding.auroc_decimals(results)),
        )


# --- number of patients ----------------------------------------------------------------------------------------


def _stability(results: Results) -> Iterator[Block]:
    if results.learning_curves:
        yield Paragraph(
            "The learning curve tells whether more labelled patients would help: models were fitted to shares of the "
            "training patients and judged on the same test patients. A curve that still rises at its right end "
            "promises more; where it ends says nothing of numbers beyond."
        )
        for number, panels in enumerate(panel_chunks(figures_robustness.learning_panels(results))):
            names = {arm.name for _, arms in panels for arm in arms}
            yield picture(
                numbered("figure-learning", number),
                "Learning curves: AUROC over the number of labelled training patients, with 95% intervals."
                + (" Dotted grey: the covariates alone." if reference_arm(results) else ""),
                figures_robustness.plot_learning(results, panels),
                alt_texts.learning([curve for curve in results.learning_curves if curve.arm in names]),
            )
    yield from _refits(results)
    yield from _optimism(results)


def _refits(results: Results) -> Iterator[Block]:
    found = [one for one in results.stability if one.risk]
    if not found:
        return
    yield Paragraph(
        f"One patient's risk depends on who else was in the study. Models were fitted to "
        f"{plural(found[0].n_refits, 'bootstrap sample')} of the patients: where the risks of one patient spread "
        "widely, no decision about that patient should hang on one of them, however good the average."
    )
    for number, some in enumerate(panel_chunks(found)):
        yield picture(
            numbered("figure-stability", number),
            "Stability of individual risks: for each patient, where 95% of the refitted models put the risk, over the "
            "risk by the model of all patients. Points: percentage points.",
            figures_risk.plot_stability(some),
            alt_texts.stability(some),
        )


def _optimism(results: Results) -> Iterator[Block]:
    table = tables_robustness.optimism_table(results)
    if table is not None:
        yield Paragraph(
            "A model looks better on the patients that it was fitted to than on others. The bootstrap estimates by how "
            "much, without setting patients aside; it should agree roughly with the cross-validation above."
        )
        yield table


# --- covariates ------------------------------------------------------------------------------------------------


def _covariates(results: Results) -> Iterator[Block]:
    table = tables_robustness.odds_table(results)
    if table is None or results.covariate_model is None:
        return
    yield Paragraph(
        "How covariates go with the outcome, all others being equal. This is inference and not prediction: nothing of "
        "it entered another table, and no association here is an effect that treatment could use."
    )
    yield table
    for number, terms in enumerate(chunks(results.covariate_model.odds_ratios, _MOST_TERMS)):
        model = results.covariate_model.model_copy(update={"odds_ratios": list(terms)})
        if any(one.odds_ratio.estimate is not None for one in terms):
            yield picture(
                numbered("figure-odds", number),
                "Odds ratios of the covariate model with 95% intervals, on a logarithmic axis. A full marker: the "
                "interval leaves 1 out; an arrow: it reaches beyond the axis.",
                figures_robustness.plot_odds(model),
                alt_texts.odds(model),
            )


def _missing(results: Results) -> Iterator[Block]:
    table = tables_robustness.missing_table(results)
    if table is None or results.missing is None:
        return
    yield Paragraph(_missing_words(results.missing))
    yield table


def _missing_words(missing: MissingData) -> Text:
    if not any(one.n_missing for one in missing.variables):
        return "No covariate was missing in any patient."
    if missing.method == "mice":
        how = (
            f"Missing values were imputed {plural(missing.n_imputations, 'time')} by chained equations learnt from "
            "training patients, and results were pooled. This is right if, given what is recorded, it does not depend "
            "on the missing value itself that it is missing; the data cannot show whether it does."
        )
    else:
        how = (
            "A missing value was replaced by the median, or the most frequent level, of the training patients. This "
            "keeps all patients, and takes a value for known that is not."
        )
    return f"{how} A value that is missing more often in one outcome group than in the other deserves a question."


def _sample_size(results: Results) -> Iterator[Block]:
    table, size = tables_robustness.sample_size_table(results), results.sample_size
    if table is None or size is None:
        return
    if not size.is_enough:
        yield Callout(
            "The cohort is smaller than the minimum",
            f"To develop the model “{size.model}”, {plural(size.n_required, 'patient')} with "
            f"{plural(size.n_events_required, 'event')} would be needed; there are "
            f"{rounding.count(size.n_available)} with {rounding.count(size.n_events_available)}. Expect overfitting, "
            "and risks that change with the sample.",
            "caution",
        )
    yield Paragraph(
        "How many patients are needed at least so that a model with this many parameters is not overfitted. It is a "
        "lower limit for the covariates alone: learning from signals needs more, by an amount that no formula tells."
    )
    yield table


# --- leakage and map -------------------------------------------------------------------------------------------


def _leakage(results: Results) -> Iterator[Block]:
    table = tables_robustness.leakage_table(results)
    if table is None:
        return
    yield from _leaks(results)
    yield Paragraph(
        "A model that has met a tested patient before, in whatever step, looks better than it is. Each fitted part "
        "remembers whom it has seen, and is compared with those whom it predicts. What is checked here cannot be the "
        "cause of a good result; leaks of other kinds, such as one patient under two names with other signals, stay "
        "unseen."
    )
    yield table


def _leaks(results: Results) -> Iterator[Block]:
    found = [one for one in results.leakage if one.n_shared]
    if found:
        text = " ".join(
            f"{one.what}: {plural(one.n_shared, 'patient')} of {rounding.count(one.n_checked)} shared. {one.text}"
            for one in found
        )
        yield Callout("Tested patients had been seen", text.strip(), "caution")


def _maps(results: Results) -> Iterator[Block]:
    maps = [one for one in results.embedding_maps if one.x]
    if not maps:
        return
    yield Paragraph(
        "Each patient's features, laid out on a plane so that patients with similar features lie near each other. "
        "Distances between far groups, and the sizes of groups, mean nothing; the same data can give another picture. "
        "It serves to see whether patients gather by cohort or device, which would be a warning, and proves nothing."
    )
    for number, some in enumerate(chunks(maps, _MOST_MAPS)):
        methods = enumeration(dict.fromkeys(one.method for one in some))
        yield Picture(
            numbered("figure-map", number),
            f"Map of the patients by {methods}. It was used for nothing but this picture.",
            figures_robustness.plot_maps(results, some),
            " ".join(map(alt_texts.embedding_map, some)),
        )
