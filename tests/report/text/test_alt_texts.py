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


def _alts(results) -> dict[str, str]:
    sections = make_sections(results, configuration(results))
    return {block.label: block.alt for section in sections for block in section.blocks if isinstance(block, Picture)}


@cache
def _alts_of_two_arms() -> dict[str, str]:
    return _alts(make_results(arms=["covariates", "ssl-all"]))


@pytest.mark.parametrize("options", [{"arms": MANY_ARMS}, {"with_intervals": False}])
def test_every_figure_tells_numbers_and_is_short_enough_to_listen_to(options):
    for label, alt in _alts(make_results(**options)).items():
        assert any(letter.isdigit() for letter in alt), label
        assert len(alt) < 2000, label
        assert "None" not in alt
        assert "nan" not in alt
        assert alt.endswith(".")


def test_the_roc_figure_tells_each_auroc():
    results = make_results(arms=["covariates", "ssl-all"])
    alt = _alts_of_two_arms()["figure-roc"]
    assert f"SSL features (all recordings) {rounding.interval(results.arms[1].auroc)}" in alt


def test_the_decision_curves_tell_net_benefit_beside_treating_all_and_none():
    alt = _alts_of_two_arms()["figure-decisions"]
    assert "treat all −" in alt or "treat all 0" in alt
    assert "treat none 0.000" in alt


def test_learning_curves_tell_where_they_begin_and_end():
    alt = _alts_of_two_arms()["figure-learning"]
    assert "SSL features (all recordings) from 0.66 with 29 patients to 0.72 with 116" in alt
