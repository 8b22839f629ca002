"""An item of the checklist is reported only where the results hold what it needs, and the report shows it."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from functools import cache

import pytest
from pypdf import PdfReader

from ppgssl.core.config.arms import DEFAULT_ARMS
from ppgssl.report.checklists.rules import CONDITIONS
from ppgssl.report.checklists.tripod import TITLE, Entry, fill_checklist, tripod_section
from ppgssl.report.composition import Composition
from ppgssl.report.document import (
    Encoder,
    Heading,
    PageOf,
    Paragraph,
    Section,
    Table,
    cited_keys,
    link_names,
    plain,
    runs,
)
from ppgssl.report.pdf import write_pdf
from ppgssl.report.sections.contents import make_sections
from ppgssl.report.text.methods import configuration, methods
from ppgssl.report.text.prose import load
from tests.support.fake_results import SPECIAL, make_results

# What no pipeline can know.
NEVER_KNOWN = [
    *("3a", "3b", "3c", "5b", "6c", "8b", "8c", "9c", "17", "18a", "18b", "18c", "18d", "18e", "19", "27b", "27c")
]
BY_SITE = {"validation": {"scheme": "leave-one-site-out", "site": "sex"}}


@cache
def _sections() -> list[Section]:
    results = make_results()
    return make_sections(results, configuration(results))


def _entries(**options) -> dict[str, Entry]:
    """By item, as if the report had all places: whether an item is reported is then up to the results."""
    entries = fill_checklist(make_results(**options), link_names(_sections()))
    return {entry.item.number: entry for entry in entries}


def _items() -> dict[str, dict]:
    domains = load("checklists/tripod.yaml")["questions"].values()
    return {number: item for items in domains for number, item in items.items()}


def _statuses(entries: dict[str, Entry]) -> dict[str, str]:
    return {number: entry.status for number, entry in entries.items()}


@pytest.fixture(scope="module")
def full() -> dict[str, Entry]:
    return _entries()


def test_there_are_27_items_with_52_sub_items_in_the_order_of_the_statement():
    numbers = list(_items())
    mains = [int(re.match(r"\d+", number)[0]) for number in numbers]  # type: ignore[index]
    assert len(numbers) == len(set(numbers)) == 52
    assert sorted(set(mains)) == list(range(1, 28))
    assert mains == sorted(mains)


def test_what_a_pipeline_cannot_know_is_always_left_to_the_author(full):
    for entries in (full, _entries(study=BY_SITE)):
        assert {number for number in NEVER_KNOWN if entries[number].status != "author"} == set()


def test_full_results_report_what_they_hold_with_its_numbers(full):
    reported = {number for number, entry in full.items() if entry.status == "reported"}
    assert {"4", "7", "10", "11", "12a", "12b", "12c", "12e", "12g", "13", "20b", "21", "23a"} == reported
    assert "146 patients with 36 events were available" in plain(full["10"].text)
    assert "286 with 71 are needed, which is too few" in plain(full["10"].text)
    assert "142 (97%) of the patients had every covariate" in plain(full["11"].text)
    assert "AUROC 0.781 (0.701 to 0.861)" in plain(full["23a"].text)


def test_what_is_reported_names_a_place_and_leaves_nothing_open(full):
    for entry in full.values():
        assert bool(entry.places) == (entry.status in ("reported", "partly")), entry
        assert bool(entry.left) == (entry.status in ("author", "partly")), entry


@pytest.mark.parametrize(
    ("part", "changed"),
    [
        ("sample_size", {"10": "author"}),
        ("missing", {"11": "author"}),
        ("calibration", {"12e": "partly", "23a": "partly"}),
        ("subgroups", {"14": "author", "23a": "partly"}),
        ("covariate_model", {"22": "author"}),
    ],
)
def test_an_item_falls_back_with_what_it_needs_and_no_other_does(full, part, changed):
    assert _statuses(_entries(without=(part,))) == _statuses(full) | changed


def test_without_net_benefit_and_thresholds_these_are_named_as_missing(full):
    entries = _entries(without=("decisions",))
    assert _statuses(entries) == _statuses(full) | {"12e": "partly"}
    assert entries["12e"].left == "Net benefit."
    assert entries["15"].left == "Thresholds, or that none is meant."


def test_without_intervals_no_performance_is_claimed():
    entries = _entries(with_intervals=False)
    assert entries["23a"].status == "author"
    assert entries["12e"].status == "partly"


def test_class_imbalance_follows_the_arms(full):
    assert "corrected to the prevalence" in plain(full["13"].text)
    assert "Nothing was done about it" in _entries(arms=["covariates", "ssl-all", "untrained"])["13"].text
    only = _entries(arms=["network-random"])["13"].text
    assert "corrected to the prevalence" in only
    assert "regressions" not in only


def test_leaving_sites_out_is_reported_and_makes_differences_the_authors_business():
    entries = _entries(study=BY_SITE)
    assert "2 sites: North and South" in plain(entries["6a"].text)
    assert _statuses(entries)["12d"] == "reported"
    assert _statuses(entries)["23b"] == "reported"
    assert _statuses(entries)["16"] == "author"
    assert _statuses(entries)["20c"] == "author"


def test_an_item_whose_place_is_not_in_the_report_is_left_to_the_author():
    results, labels = make_results(), set(link_names(_sections()))
    entries = {entry.item.number: entry for entry in fill_checklist(results, labels - {"table-one"})}
    assert entries["20b"].status == "author"
    assert {entry.status for entry in fill_checklist(results, set())} == {"author", "not applicable"}


def _links(section: Section) -> set[str]:
    table = section.blocks[-1]
    assert isinstance(table, Table)
    rows = [row for row in table.rows if row.kind == "indent"]
    assert [row.cells[0] for row in rows] == list(_items())
    return {run.label for row in rows for run in runs(row.cells[3]) if isinstance(run, PageOf)}


def test_every_place_that_an_answer_names_is_one_of_a_full_report():
    named = {place for item in _items().values() for one in item.get("answers", ()) for place in one.get("where", ())}
    assert len(named) > 12
    assert named - set(link_names(_sections())) == {"section-shift"}  # of an external validation


def test_every_condition_is_used_by_an_answer():
    files = [load(f"checklists/{name}.yaml") for name in ("tripod", "probast")]
    questions = [question for file in files for items in file["questions"].values() for question in items.values()]
    used = [answer.get("when", []) for question in questions for answer in question.get("answers", ())]
    names = {name for when in used for name in ([when] if isinstance(when, str) else when)}
    assert names == set(CONDITIONS)


@pytest.mark.parametrize(
    "options",
    [
        {"arms": ["covariates"], "n_cohorts": 1, "with_pretraining": False, "n_patients": 20, "n_events": 5},
        {"arms": [*DEFAULT_ARMS, "heart-rate"], "label_suffix": SPECIAL},
        {"with_intervals": False, "exposure": "transductive", "arms": ["network-random"]},
        {"study": {"validation": {"scheme": "single-split"}}},
    ],
)
def test_every_report_has_all_items_and_links_only_to_what_it_has(options):
    some = [section for section in _sections() if section.title in ("Summary", "Methods", "Limitations")]
    linked = _links(tripod_section(make_results(**options), some))
    assert linked == {"section-summary", "section-methods", "section-limitations"}


def test_the_summary_counts_what_the_table_shows(full):
    section = tripod_section(make_results(), _sections())
    summary = section.blocks[0]
    assert isinstance(summary, Paragraph)
    counts = [list(_statuses(full).values()).count(status) for status in ("reported", "partly", "author")]
    words = "of 52 items in all, {} are reported, {} partly, {} are for the author to write, and 4 do not apply"
    assert words.format(*counts) in plain(summary.text)


def test_the_page_printed_for_a_section_is_the_page_it_is_on(tmp_path):
    results = make_results()
    text = Section("Methods", tuple(block for block in methods(results) for _ in range(3)), new_page=True)
    sections = [Section("Summary", (Heading("In short"), Paragraph("Words."))), text]
    sections.append(Section("Limitations", (Paragraph("Words."),), new_page=True))
    sections.append(tripod_section(results, sections))
    pages = [page.extract_text() for page in PdfReader(_typeset(results, sections, tmp_path)).pages]
    where = {
        title: next(number for number, page in enumerate(pages, start=1) if f"\n{title}\n" in f"\n{page}\n")
        for title in ("Methods", "Limitations", TITLE)
    }
    assert where["Methods"] == 2
    assert where["Limitations"] > 4
    checklist = " ".join("\n".join(pages[where[TITLE] - 1 :]).split())
    assert "Methods, p. 2" in checklist
    assert f"Limitations, p. {where['Limitations']}" in checklist


def _typeset(results, sections, folder):
    names = link_names(sections)
    encoder = Encoder(dict.fromkeys(cited_keys(sections), 1), names, lambda label, _figure: label)
    content = [encoder.section(section) for section in sections]
    report = Composition(results, sections, content, names, {}, "", datetime(2026, 3, 14, tzinfo=UTC))
    # References are not part of these few sections: without them there is nothing for a citation to link to.
    for section in content:
        for block in section["blocks"]:
            _drop_citations(block)
    return write_pdf(report, folder)[0]


def _drop_citations(block):
    texts = [block.get("text", []), *(cell for row in block.get("rows", []) for cell in row["cells"])]
    for text in texts:
        if isinstance(text, list):
            text[:] = [run for run in text if run["kind"] != "cite"]
