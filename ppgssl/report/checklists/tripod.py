"""The TRIPOD+AI checklist, filled from the results as far as they know.

Items are those of Collins et al., TRIPOD+AI statement, BMJ 2024;385:e078378, doi 10.1136/bmj-2023-078378: 27 items with
52 sub-items, numbered as there and worded anew here, shorter. The published wording is what a journal asks for.

An item counts as reported only where the results hold what it needs and the report shows it: each answer names the
sections, tables and figures that do, and one whose places are not in the report is left to the author. What no pipeline
can know, such as funding, registration, protocol or the involvement of patients, is always left to the author.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Literal

from ppgssl.core.results.study import Results
from ppgssl.report.checklists.tripod_answers import ANSWERS
from ppgssl.report.document import (
    Cite,
    Column,
    PageOf,
    Paragraph,
    Row,
    Run,
    Section,
    Strong,
    Table,
    Text,
    link_names,
    sentences,
)
from ppgssl.report.text.rounding import plural

TITLE = "Reporting checklist (TRIPOD+AI)"
_MOST_PLACES = 3

Status = Literal["reported", "partly", "author", "not applicable"]


@dataclass(frozen=True)
class Item:
    """One sub-item: its number, its part of an article, what is asked, and what an author is to write."""

    number: str
    part: str
    asked: str
    to_write: str


ITEMS: tuple[Item, ...] = (
    Item(
        "1",
        "Title and abstract",
        "Title tells a prediction model, its population and outcome",
        "Name population, outcome, and whether a model is developed or evaluated.",
    ),
    Item("2", "Title and abstract", "Structured abstract", "An abstract by TRIPOD+AI for Abstracts."),
    Item(
        "3a",
        "Introduction",
        "Clinical context, reason for the model, existing models",
        "Diagnosis or prognosis, why a model is wanted, and which ones exist.",
    ),
    Item(
        "3b", "Introduction", "Target population, intended use and users", "For whom, when in care, and by whom used."
    ),
    Item(
        "3c",
        "Introduction",
        "Known health inequalities",
        "Inequalities between groups of people that are known for this condition.",
    ),
    Item("4", "Introduction", "Objectives, and whether development or evaluation", "The objectives."),
    Item(
        "5a",
        "Methods: data",
        "Sources of data, why they were chosen, whom they represent",
        "Why these sources, and how representative they are.",
    ),
    Item("5b", "Methods: data", "Dates of recruitment and follow-up", "First and last date of recruitment; follow-up."),
    Item("6a", "Methods: data", "Setting, number and location of centres", "Kind of care, centres and their places."),
    Item("6b", "Methods: data", "Who was eligible", "Criteria by which patients were recruited."),
    Item("6c", "Methods: data", "Treatments received", "Treatments before the outcome, and how they were dealt with."),
    Item("7", "Methods: data", "Preparation of the data and checks of quality", "How the data were prepared."),
    Item(
        "8a",
        "Methods: outcome",
        "Outcome, time horizon, how it was assessed, alike in all groups",
        "How and when the outcome was determined, and whether alike in all groups of people.",
    ),
    Item("8b", "Methods: outcome", "Assessors of a subjective outcome", "Who judged it, with which qualification."),
    Item("8c", "Methods: outcome", "Blinding of the outcome's assessment", "Whether assessors knew the predictors."),
    Item("9a", "Methods: predictors", "How candidate predictors were chosen", "Why these predictors."),
    Item(
        "9b",
        "Methods: predictors",
        "Definition and measurement of all predictors",
        "How and when predictors were measured, and whether blinded to the outcome.",
    ),
    Item("9c", "Methods: predictors", "Assessors of subjective predictors", "Who judged them."),
    Item(
        "10", "Methods: analysis", "Sample size, and whether it suffices", "How the size of the study was arrived at."
    ),
    Item("11", "Methods: analysis", "Missing data", "What was missing, and what was done about it."),
    Item("12a", "Methods: analysis", "Use of the data: development, evaluation, partition", "How data were divided."),
    Item("12b", "Methods: analysis", "Handling of predictors: form, scale", "How predictors entered the models."),
    Item(
        "12c",
        "Methods: analysis",
        "Type of model, building steps, hyperparameters, internal validation",
        "How models were built.",
    ),
    Item(
        "12d",
        "Methods: analysis",
        "Differences between clusters such as hospitals",
        "Whether data come from several centres, and how differences were handled.",
    ),
    Item(
        "12e",
        "Methods: analysis",
        "Measures of performance, comparison of models",
        "Discrimination, calibration and clinical use, and why these measures.",
    ),
    Item("12f", "Methods: analysis", "Updating of the model", "Whether a model was recalibrated or updated."),
    Item("12g", "Methods: analysis", "How predictions were calculated", "Formula, code or programme of the risk."),
    Item("13", "Methods: analysis", "Class imbalance, and recalibration after", "What was done, and why."),
    Item(
        "14",
        "Methods: analysis",
        "Fairness of the model",
        "Which groups of people matter, why, and how fairness was pursued.",
    ),
    Item("15", "Methods: analysis", "Output of the model, and thresholds", "Risk or class, and why which threshold."),
    Item(
        "16",
        "Methods: analysis",
        "Differences between development and evaluation data",
        "Differences in setting, eligibility, outcome and predictors.",
    ),
    Item("17", "Methods: analysis", "Ethical approval and consent", "Committee, number, consent or its waiver."),
    Item("18a", "Open science", "Funding", "Who paid, and the funder's part."),
    Item("18b", "Open science", "Conflicts of interest", "Of every author."),
    Item("18c", "Open science", "Protocol", "Where it is, or that there is none."),
    Item("18d", "Open science", "Registration", "Register and number, or that it was not registered."),
    Item("18e", "Open science", "Availability of data", "Where, and on which terms."),
    Item("18f", "Open science", "Availability of code", "Where the code and the study's description can be had."),
    Item("19", "Patient involvement", "Involvement of patients and public", "Their part in the study, or none."),
    Item("20a", "Results", "Flow of participants, events, follow-up", "Numbers at each stage, and the follow-up."),
    Item("20b", "Results", "Characteristics of participants", "Characteristics, missing values, groups of people."),
    Item(
        "20c",
        "Results",
        "Predictors compared between development and evaluation data",
        "Distributions in both parts of the data.",
    ),
    Item("21", "Results", "Participants and events of each analysis", "Numbers of each analysis."),
    Item("22", "Results", "The full model", "Coefficients, or code, files or service by which others can predict."),
    Item("23a", "Results", "Performance with intervals, also in key subgroups", "Estimates with intervals, and plots."),
    Item("23b", "Results", "Performance between clusters", "Performance by hospital or country."),
    Item("24", "Results", "Results of updating", "The updated model and its performance."),
    Item(
        "25",
        "Discussion",
        "Interpretation, fairness, earlier studies",
        "What the results mean beside earlier studies, fairness included.",
    ),
    Item("26", "Discussion", "Limitations", "Limitations, and what they do to results and their generality."),
    Item(
        "27a",
        "Discussion",
        "Input of poor quality or not available, in use",
        "What is done in use when a signal or a value is bad or missing.",
    ),
    Item("27b", "Discussion", "Handling by users, expertise needed", "What users must do, know and have learnt."),
    Item("27c", "Discussion", "Next steps", "Validation elsewhere, implementation, further research."),
)


@dataclass(frozen=True)
class Entry:
    """An item with what the report says about it.

    Attributes
    ----------
    item : Item
    status : {"reported", "partly", "author", "not applicable"}
        ``partly``: the report has something, and the author the rest.
    text : str
        What the report says; empty where it says nothing.
    left : str
        What is for the author to write; empty where nothing is.
    places : tuple of str
        Labels of the sections, tables and figures that say it, those that the report has.
    """

    item: Item
    status: Status
    text: str
    left: str
    places: tuple[str, ...]


def fill_checklist(results: Results, labels: Collection[str]) -> list[Entry]:
    """One entry an item.

    Parameters
    ----------
    results : Results
    labels : collection of str
        Of the sections, tables and figures that the report has; see :func:`ppgssl.report.document.link_names`.
    """
    return [_entry(item, results, labels) for item in ITEMS]


def _entry(item: Item, results: Results, labels: Collection[str]) -> Entry:
    rule = ANSWERS.get(item.number)
    answer = rule(results) if callable(rule) else rule
    open_item = Entry(item, "author", "", item.to_write, ())
    if answer is None:
        return open_item
    places = tuple(place for place in answer.places if place in labels)[:_MOST_PLACES]
    if answer.places and not places:
        return open_item
    left = (answer.left or item.to_write) if answer.status == "partly" else ""
    return Entry(item, answer.status, answer.text, left, places)


# --- the section -----------------------------------------------------------------------------------------------


def tripod_section(results: Results, sections: Sequence[Section]) -> Section:
    """The checklist as a table with the page of each item.

    Parameters
    ----------
    results : Results
    sections : sequence of Section
        Everything else that the report shows: links name only what is there.
    """
    entries = fill_checklist(results, link_names(sections))
    counts = {status: sum(entry.status == status for entry in entries) for status in ("reported", "partly", "author")}
    n_not = len(entries) - sum(counts.values())
    left_out = f", and {plural(n_not, 'does', 'do')} not apply" if n_not else ""
    summary: Text = (
        "What TRIPOD+AI",
        Cite(("collins2024",)),
        f" asks of an article on a prediction model, and where this report says it: of {len(entries)} items in all, "
        f"{counts['reported']} are reported, {counts['partly']} partly, {counts['author']} are for the author to write"
        f"{left_out}. Items are worded in short; the published checklist is what counts.",
    )
    return Section(TITLE, (Paragraph(summary), _table(entries)), new_page=True)


def _table(entries: Sequence[Entry]) -> Table:
    columns = (
        Column("Item"),
        Column("What is asked", width=1.0),
        Column("What this report says", width=1.8),
        Column("Where", width=0.75),
    )
    rows: list[Row] = []
    for part, members in groupby(entries, lambda entry: entry.item.part):
        rows.append(Row((part,), "group"))
        rows += [Row((one.item.number, one.item.asked, _words(one), _where(one)), "indent") for one in members]
    return Table(
        "table-tripod",
        "TRIPOD+AI checklist. What stands in bold is open: to be completed by the author.",
        columns,
        tuple(rows),
    )


def _words(entry: Entry) -> Text:
    said = f"Does not apply: {entry.text}" if entry.status == "not applicable" else entry.text
    return sentences(said, (Strong("To be completed: "), entry.left) if entry.left else "")


def _where(entry: Entry) -> Text:
    runs: list[Run] = []
    for place in entry.places:
        runs += ["; "] if runs else []
        runs.append(PageOf(place))
    return tuple(runs)
