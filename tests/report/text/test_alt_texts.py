"""Who does not see a figure hears its numbers."""

from __future__ import annotations

from functools import cache

import pytest

from ppgssl.report.document import Picture
from ppgssl.report.sections.contents import make_sections
from ppgssl.report.text import rounding
from ppgssl.report.text.methods import configuration
from tests.support.fake_results import make_results
from tests.support.many_arms import MANY_ARMS

FEW = make_results(arms=["covariates", "ssl-all"])


def _alts(results) -> dict[str, str]:
    sections = make_sections(results, configuration(results))
    return {block.label: block.alt for section in sections for block in section.blocks if isinstance(block, Picture)}


@cache
def _alts_of_two_arms() -> dict[str, str]:
    return _alts(FEW)


@pytest.mark.parametrize("options", [{"arms": MANY_ARMS}, {"with_intervals": False}])
def test_every_figure_gives_numbers_and_is_short_enough_to_listen_to(options):
    for label, alt in _alts(make_results(**options)).items():
        assert any(letter.isdigit() for letter in alt), label
        assert len(alt) < 2000, label
        assert "None" not in alt
        assert "nan" not in alt
        assert alt.endswith(".")


@pytest.mark.parametrize(
    ("figure", "words"),
    [
        ("figure-roc", f"SSL features (all recordings) {rounding.interval(FEW.arms[1].auroc)}"),
        ("figure-decisions", "treat none 0.000"),
        ("figure-learning", "SSL features (all recordings) from 0.66 with 29 patients to 0.72 with 116"),
        ("figure-map", "110 without, 48 of unknown outcome. Cohorts: cohort-0 146 and cohort-1 48"),
    ],
)
def test_a_figure_gives_the_numbers_of_each_thing_that_it_shows(figure, words):
    alt = _alts_of_two_arms()[figure]
    assert words in alt
    assert figure != "figure-decisions" or "treat all −" in alt or "treat all 0" in alt
