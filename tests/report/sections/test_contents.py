"""Sections in the order of a paper; what results do not hold is left out, and nothing else."""

from __future__ import annotations

from functools import cache

import pytest

from ppgssl.core.results.study import Results
from ppgssl.report.document import Callout, Heading, Paragraph, Picture, Section, Table, plain
from ppgssl.report.sections.contents import make_sections
from ppgssl.report.sections.robustness import robustness_sections
from ppgssl.report.text.methods import configuration
from tests.support.fake_probe import make_probe
from tests.support.fake_results import PARTS, make_results

ORDER = [
    "Summary",
    "Cohorts",
    "Data checks",
    "Patients",
    "Signal quality",
    "Self-supervised pretraining",
    "What the representation holds",
    "Results",
    "Calibration",
    "Decisions",
    "Added value of the signals",
    "Subgroups",
    "Number of patients, stability and optimism",
    "Covariate model",
    "Missing covariates",
    "Sample size",
    "Leakage checks",
    "Map of the patients",
    "Methods",
    "Limitations",
]
OF_PART = {
    "calibration": "Calibration",
    "decisions": "Decisions",
    "added_value": "Added value of the signals",
    "subgroups": "Subgroups",
    "covariate_model": "Covariate model",
    "missing": "Missing covariates",
    "sample_size": "Sample size",
    "leakage": "Leakage checks",
    "embedding_maps": "Map of the patients",
}


FEW = ["covariates", "ssl-all", "covariates+ssl-all"]


def _few(**options) -> Results:
    """Results of few arms: what is drawn of fifteen takes seconds."""
    return make_results(arms=FEW, with_examples=False, with_pretraining=False, with_acquisition=False, **options)


def _sections(results: Results) -> dict[str, Section]:
    return {section.title: section for section in make_sections(results, configuration(results))}


@cache
def _sections_of_few() -> dict[str, Section]:
    return _sections(_few())


@cache
def _sections_of_many() -> dict[str, Section]:
    return _sections(_few(n_patients=2000, n_events=400))


def _labels(results: Results) -> list[str]:
    return [
        block.label
        for section in _sections(results).values()
        for block in section.blocks
        if isinstance(block, Table | Picture)
    ]


def test_the_order_is_that_of_a_paper():
    results = make_results().model_copy(update={"probe": make_probe()})
    assert [title for title in _sections(results) if title in ORDER] == ORDER


@pytest.mark.parametrize("part", OF_PART)
def test_a_section_without_content_is_left_out_and_no_other(part):
    whole, less = set(_sections_of_few()), set(_sections(_few(without=(part,))))
    assert whole - less == {OF_PART[part]}


def test_the_section_on_refits_needs_one_of_its_three_parts():
    title = "Number of patients, stability and optimism"
    parts = {"learning_curves": "figure-learning", "stability": "figure-stability", "optimism": "table-optimism"}

    def labels(*without: str) -> list[str]:
        (section,) = (one for one in robustness_sections(_few(without=without)) if one.title == title)
        return [getattr(block, "label", "") for block in section.blocks]

    for part, label in parts.items():
        assert label in labels(*set(parts) - {part})
    assert labels(*parts) == []


def test_labels_are_unique_and_the_bare_report_keeps_the_results_table():
    labels = _labels(make_results())
    assert len(set(labels)) == len(labels)
    bare = _labels(make_results(without=PARTS))
    assert {"table-results", "figure-roc", "figure-forest"} <= set(bare)


def test_each_section_of_results_begins_with_how_to_read_it():
    sections = _sections_of_many()
    for title in ORDER[7:18]:
        if title in sections:
            assert isinstance(sections[title].blocks[0], Paragraph)
            assert len(plain(sections[title].blocks[0].text)) > 100


def test_a_cohort_that_is_too_small_is_warned_of_where_its_size_is_reported():
    def cautions(sections: dict[str, Section]) -> list[str]:
        return [block.title for block in sections["Sample size"].blocks if isinstance(block, Callout)]

    assert cautions(_sections_of_few()) == ["The cohort is smaller than the minimum"]
    assert cautions(_sections_of_many()) == []


def test_a_leak_is_warned_of():
    results = _few()
    results.leakage[0].n_shared = 2
    blocks = _sections(results)["Leakage checks"].blocks
    assert any(isinstance(block, Callout) and "2 patients of 146 shared" in plain(block.text) for block in blocks)


def test_notes_on_the_split_stand_before_the_results_table():
    results = _few(validation_notes=["Fold 2 has no event"])
    blocks = _sections(results)["Results"].blocks
    assert any(isinstance(block, Callout) and plain(block.text) == "Fold 2 has no event." for block in blocks[:2])


def test_the_summary_answers_four_questions():
    headings = [block.text for block in _sections_of_few()["Summary"].blocks if isinstance(block, Heading)]
    assert headings == ["What was asked", "What was found", "How sure this is", "What this does not show"]
