"""Sections on what the results rest on: patients, their number, covariates, missing values, leakage, a map."""

from __future__ import annotations

from collections.abc import Iterator

from ppgssl.core.results.study import Results
from ppgssl.report.document import Block, Callout, Section
from ppgssl.report.figures import risk, robustness
from ppgssl.report.figures.forest import forest_pages
from ppgssl.report.figures.layout import chunks, panel_chunks
from ppgssl.report.sections.words import paragraph, picture, words
from ppgssl.report.tables import robustness as tables
from ppgssl.report.text import alt_texts
from ppgssl.report.text.facts import Facts

_MOST_TERMS = 28
_MOST_MAPS = 3


def robustness_sections(results: Results) -> list[Section]:
    return [
        Section("Subgroups", tuple(_subgroups(results))),
        Section("Number of patients, stability and optimism", tuple(_refits(results))),
        Section("Covariate model", tuple(_covariates(results))),
        Section("Missing covariates", tuple(_missing(results))),
        Section("Sample size", tuple(_sample_size(results))),
        Section("Leakage checks", tuple(_leakage(results))),
        Section("Map of the patients", tuple(_maps(results))),
    ]


def _subgroups(results: Results) -> Iterator[Block]:
    table = tables.subgroups_table(results)
    if table is None:
        return
    yield paragraph("subgroups")
    yield table
    if not any(level.auroc for group in results.subgroups for level in group.levels):
        return
    names = [arm.label for arm in tables.subgroup_arms(results)]
    for number, rows in enumerate(forest_pages(robustness.subgroup_rows(results), robustness.SUBGROUP_LABEL_WIDTH)):
        items = alt_texts.forest(rows, names, Facts(results).auroc_decimals)
        yield picture("figure-subgroups", robustness.plot_subgroups(results, rows), items, number=number)


def _refits(results: Results) -> Iterator[Block]:
    """Learning curves, stability and optimism: what other patients, or fewer, would have given."""
    if results.learning_curves:
        yield paragraph("learning")
        for number, panels in enumerate(panel_chunks(robustness.learning_panels(results))):
            names = {arm.name for _, arms in panels for arm in arms}
            curves = [curve for curve in results.learning_curves if curve.arm in names]
            figure = robustness.plot_learning(results, panels)
            yield picture("figure-learning", figure, curves, number=number, facts=Facts(results))
    if found := [one for one in results.stability if one.risk]:
        yield paragraph("stability", n=found[0].n_refits)
        for number, some in enumerate(panel_chunks(found)):
            yield picture("figure-stability", risk.plot_stability(some), some, number=number)
    if table := tables.optimism_table(results):
        yield paragraph("optimism")
        yield table


def _covariates(results: Results) -> Iterator[Block]:
    table = tables.odds_table(results)
    if table is None or results.covariate_model is None:
        return
    yield paragraph("odds")
    yield table
    for number, terms in enumerate(chunks(results.covariate_model.odds_ratios, _MOST_TERMS)):
        model = results.covariate_model.model_copy(update={"odds_ratios": list(terms)})
        if any(one.odds_ratio.estimate is not None for one in terms):
            yield picture("figure-odds", robustness.plot_odds(model), terms, number=number)


def _missing(results: Results) -> Iterator[Block]:
    if table := tables.missing_table(results):
        yield paragraph("missing", missing=results.missing)
        yield table


def _sample_size(results: Results) -> Iterator[Block]:
    table, size = tables.sample_size_table(results), results.sample_size
    if table is None or size is None:
        return
    if not size.is_enough:
        yield Callout("The cohort is smaller than the minimum", words("too-small", size=size), "caution")
    yield paragraph("sample-size")
    yield table


def _leakage(results: Results) -> Iterator[Block]:
    table = tables.leakage_table(results)
    if table is None:
        return
    if found := [one for one in results.leakage if one.n_shared]:
        yield Callout("Tested patients had been seen", words("leaked", found=found), "caution")
    yield paragraph("leakage")
    yield table


def _maps(results: Results) -> Iterator[Block]:
    maps = [one for one in results.embedding_maps if one.x]
    if not maps:
        return
    yield paragraph("map")
    for number, some in enumerate(chunks(maps, _MOST_MAPS)):
        methods = list(dict.fromkeys(one.method for one in some))
        figure = robustness.plot_maps(results, some)
        yield picture("figure-map", figure, some, number=number, may_float=False, methods=methods)
