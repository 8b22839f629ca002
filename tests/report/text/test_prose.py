"""Templates hold the words; what stands in a value is never markup."""

from __future__ import annotations

import jinja2
import pytest

from ppgssl.report.document import Cite, Ref, Strong
from ppgssl.report.text.prose import phrase


def test_citations_links_and_bold_words_are_runs_of_their_own():
    found = phrase("**Bold.** As others did [@he2022; @he2016], see [#table-one].")
    assert found == (Strong("Bold."), " As others did", Cite(("he2022", "he2016")), ", see ", Ref("table-one"), ".")


@pytest.mark.parametrize(
    "label", ["[@he2022]", "**x**", "## Title", "two  spaces\nand a line", "<b> & {{ x }}", "a , b ."]
)
def test_a_value_reaches_the_reader_as_it_is(label):
    assert phrase("Of  {{ label }}\n .", label=label) == f"Of {label}."


def test_a_macro_may_hold_markup_and_values():
    source = "{% macro of(x) %}{{ x }} [@he2022]{% endmacro %}By {{ of('[1]') }}."
    assert phrase(source) == ("By [1]", Cite(("he2022",)), ".")


def test_a_value_that_is_not_there_is_an_error_of_ours():
    with pytest.raises(jinja2.UndefinedError):
        phrase("{{ nothing }}")
