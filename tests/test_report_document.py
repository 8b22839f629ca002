"""Texts become JSON that the template prints as it is."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ppgssl.report.document import (
    Cite,
    Encoder,
    Paragraph,
    Ref,
    Row,
    Section,
    Table,
    breakable,
    cited_keys,
)
from ppgssl.report.fonts import missing_letters


@given(text=st.text(st.characters(blacklist_characters="\u200b", blacklist_categories=["Cs"]), max_size=120))
@settings(deadline=None)
def test_break_points_change_nothing_but_where_a_line_may_end(text):
    assert breakable(text).replace("\u200b", "") == text


def test_long_words_may_break_after_punctuation_and_short_ones_may_not():
    assert "\u200b" in breakable("recordings/2024/patient_0001_visit_2.csv")
    assert breakable("an ordinary sentence, with words") == "an ordinary sentence, with words"


def test_references_are_numbered_by_their_first_citation_wherever_it_stands():
    table = Table("t", "caption", (), (Row((("x", Cite(("b",))),)),), (("note", Cite(("c", "a"))),))
    sections = [Section("One", (table, Paragraph((Cite(("a", "b")),))))]
    assert cited_keys(sections) == ["b", "c", "a"]


def test_a_link_to_nothing_is_our_mistake_and_stops():
    encoder = Encoder({}, {"table-a"}, lambda label, _figure: label)
    assert encoder.text(("see ", Ref("table-a")))[1] == {"kind": "ref", "text": "table-a"}
    with pytest.raises(AssertionError, match="table-b"):
        encoder.text((Ref("table-b"),))


def test_letters_beyond_the_fonts_are_found_once_each():
    assert missing_letters("Больница Đà Nẵng Νοσοκομείο مستشفى naïve") == ""
    assert missing_letters("医院医") == "医院"
