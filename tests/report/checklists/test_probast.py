"""An answer to a signalling question follows the results, and says what it rests on."""

from __future__ import annotations

import pytest

from ppgssl.core.config.arms import DEFAULT_ARMS
from ppgssl.core.results.study import Results
from ppgssl.report.checklists.probast import probast_section, reply
from ppgssl.report.checklists.rules import Answered, answered
from ppgssl.report.document import Bullets, Cite, Paragraph, Table, plain, runs
from ppgssl.report.text.references import references
from tests.support.fake_results import SPECIAL, make_results

BY_SITE = {"validation": {"scheme": "leave-one-site-out", "site": "sex"}}
REGRESSIONS = ["covariates", "covariates+ssl-all", "covariates+untrained"]


def _replies(results: Results) -> dict[str, Answered]:
    """By number; those on the analysis with the part that they are on: ``4.1 development``."""
    found = list(answered("probast", results))
    return {" ".join([one.number, *one.domain.split(", ")[1:]]): one for one in found}


def _reply(key: str, **options) -> tuple[str, str]:
    given = _replies(make_results(**options))[key]
    return reply(given), plain(given.text)


def test_16_questions_are_on_development_and_18_on_evaluation():
    keys = list(_replies(make_results()))
    of = {part: [key for key in keys if key[0] != "4" or part in key] for part in ("development", "evaluation")}
    assert {part: len(questions) for part, questions in of.items()} == {"development": 16, "evaluation": 18}
    assert len(keys) == 23


def test_design_definitions_and_timing_are_always_left_to_the_reader():
    for options in ({}, {"study": BY_SITE}, {"without": ("leakage", "missing")}):
        replies = _replies(make_results(**options))
        for key in ("1.1", "1.2", "1.3", "2.1", "2.4", "3.1", "3.2", "3.4"):
            assert reply(replies[key]) == "For the reader", key


@pytest.mark.parametrize(
    ("key", "options", "answer", "words"),
    [
        ("1.3", {}, "For the reader", "left out 4 (3%) of the patients"),
        ("2.3", {}, "No information", "Pulse amplitude (adc)"),
        ("2.3", {"with_acquisition": False}, "No information", "is not in the data"),
        ("4.1 development", {}, "No", "7.2 events for each; the minimum is 286 patients with 71 events"),
        ("4.1 development", {"without": ("sample_size",)}, "No information", "No minimum"),
        (
            "4.1 development",
            {"n_patients": 900, "n_events": 300, "arms": ["covariates"]},
            "Yes",
            "60.0 events for each",
        ),
        ("4.1 development", {"n_patients": 900, "n_events": 300, "arms": REGRESSIONS}, "Probably no", "131 columns"),
        ("4.2 development", {"arms": REGRESSIONS}, "Probably yes", "no arm allows curves"),
        ("4.2 development", {}, "Probably yes", "gradient boosting finds curves"),
        ("4.3 development", {}, "Probably no", "4 (3%) lack a covariate, filled in once"),
        ("4.3 development", {"missing": "mice"}, "Probably yes", "10 imputations by chained equations"),
        ("4.3 development", {"without": ("missing",)}, "No information", "not reported"),
        ("4.3 development", {"without": ("missing",), "arms": ["ssl-all"]}, "No information", "No arm uses covariates"),
        ("4.3 evaluation", {}, "Probably no", "learnt from training patients alone"),
        ("4.4 development", {}, "Yes", "3 network arms draw both outcomes equally often"),
        ("4.4 development", {"arms": REGRESSIONS}, "Not applicable", "No arm corrects"),
        ("4.5 development", {}, "Yes", "early stopping"),
        ("4.5 development", {"arms": ["network-random"], "without": ("optimism",)}, "Yes", "Early stopping"),
        ("4.1 evaluation", {}, "Yes", "5-fold cross-validation, 3 repeats"),
        ("4.1 evaluation", {"study": BY_SITE}, "Yes", "2 sites, each left out in turn"),
        ("4.2 evaluation", {}, "Probably no", "has 36 patients; at least 100 are advised"),
        ("4.2 evaluation", {"n_patients": 900, "n_events": 300}, "Probably yes", "has 300 patients"),
        ("4.2 evaluation", {"study": {"validation": {"scheme": "single-split"}}}, "No", "has about 7 patients"),
        ("4.4 evaluation", {}, "Yes", "36 (25%) with the event"),
        ("4.4 evaluation", {"arms": REGRESSIONS}, "Not applicable", "No arm corrects"),
        ("4.5 evaluation", {}, "Yes", "found none shared"),
        ("4.5 evaluation", {"without": ("leakage",)}, "Probably yes", "no check is on record"),
        ("4.5 evaluation", {"exposure": "transductive"}, "No", "had seen the signals of test patients"),
        ("4.6 evaluation", {}, "Yes", "and pretraining"),
        ("4.6 evaluation", {"exposure": "disjoint"}, "Yes", "Encoders without test patients were pretrained once"),
        ("4.6 evaluation", {"exposure": "transductive"}, "No", "on test patients' signals too"),
        ("4.6 evaluation", {"study": {"validation": {"scheme": "single-split"}}}, "Not applicable", "One split"),
        ("4.7 evaluation", {}, "Yes", "Discrimination, calibration and net benefit"),
        ("4.7 evaluation", {"without": ("decisions",)}, "Probably no", "not net benefit"),
        ("4.7 evaluation", {"without": ("calibration",)}, "No", "not calibration"),
        ("4.7 evaluation", {"with_intervals": False}, "No", "not discrimination nor calibration"),
    ],
)
def test_answers_follow_the_results(key, options, answer, words):
    given, reason = _reply(key, **options)
    assert given == answer
    assert words in reason


def test_no_missing_covariate_needs_no_imputation():
    results = make_results()
    assert results.missing is not None
    results.missing.n_complete = results.missing.n_patients
    assert reply(_replies(results)["4.3 development"]) == "Probably yes"


def test_a_reported_leak_is_named():
    results = make_results()
    results.leakage[0].n_shared = 3
    given = _replies(results)["4.5 evaluation"]
    assert reply(given) == "No"
    assert results.leakage[0].what in plain(given.text)


def test_what_defines_the_outcome_is_named_where_the_data_hold_it():
    results = make_results()
    assert reply(_replies(results)["3.3"]) == "For the reader"
    results.provenance.cohorts[0]["clinical"]["variables"]["bmi"]["defines"] = ["htn"]
    given = _replies(results)["3.3"]
    assert reply(given) == "No information"
    assert "What defines the outcome (Body mass index)" in plain(given.text)


@pytest.mark.parametrize(
    "options",
    [
        {"arms": ["covariates"], "n_cohorts": 1, "with_pretraining": False, "n_patients": 20, "n_events": 5},
        {"arms": [*DEFAULT_ARMS, "heart-rate"], "label_suffix": SPECIAL},
        {"with_intervals": False, "arms": ["network-random"]},
    ],
)
def test_the_section_shows_every_question_and_cites_what_exists(options):
    results = make_results(**options)
    _, table, _, bullets = probast_section(results).blocks
    assert isinstance(table, Table)
    assert isinstance(bullets, Bullets)
    rows = [row for row in table.rows if row.kind == "indent"]
    shown = [*(str(row.cells[1]) for row in rows), *map(plain, bullets.items)]
    asked = [question.asked for question in answered("probast", results)]
    assert len(shown) == len(asked)
    assert all(any(question in words for words in shown) for question in asked)
    cited = {key for row in rows for run in runs(row.cells[3]) if isinstance(run, Cite) for key in run.keys}
    assert cited
    assert cited <= set(references())


def test_the_summary_counts_the_questions_that_are_answered():
    summary = probast_section(make_results()).blocks[0]
    assert isinstance(summary, Paragraph)
    n = sum(reply(given) != "For the reader" for given in _replies(make_results()).values())
    assert f"{n} of 23 are answered" in plain(summary.text)
