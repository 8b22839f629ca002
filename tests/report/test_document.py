"""Texts become JSON that the template prints as it is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ppgssl.report.document import (
    Cite,
    Encoder,
    Flow,
    PageOf,
    Paragraph,
    Ref,
    References,
    Row,
    Section,
    Strong,
    Table,
    breakable,
    cited_keys,
    link_names,
    words,
)
from ppgssl.report.fonts import missing_letters


@given(text=st.text(st.characters(blacklist_characters="\u200b", blacklist_categories=["Cs"]), max_size=120))
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
    encoder = Encoder({}, {"table-a": "Table 4"}, lambda label, _figure: label)
    assert encoder.text(("see ", Ref("table-a")))[1] == {"kind": "ref", "text": "Table 4", "label": "table-a"}
    for link in (Ref("table-b"), PageOf("table-b")):
        with pytest.raises(AssertionError, match="table-b"):
            encoder.text((link,))


def test_figures_and_tables_are_counted_apart_in_the_order_of_the_text():
    table, flow = (lambda label: Table(label, "", (), ())), (lambda label: Flow(label, "", ()))
    sections = [
        Section("What was found", (table("t1"), flow("f1"), table("t2"))),
        Section("And: more!", (Paragraph("-"), flow("f2"), table("t3"))),
    ]
    assert link_names(sections) == {
        "section-what-was-found": "What was found",
        **{"t1": "Table 1", "f1": "Figure 1", "t2": "Table 2"},
        "section-and-more": "And: more!",
        **{"f2": "Figure 2", "t3": "Table 3"},
    }


def test_words_name_what_a_link_leads_to_and_leave_citations_out():
    text = ("As ", Ref("t"), " says", Cite(("a",)), ", ", Strong("see"), " ", PageOf("s", "Methods"), PageOf("t"))
    assert words(text, {"t": "Table 9", "s": "What was done"}) == "As Table 9 says, see MethodsTable 9"
    assert words("plain", {}) == "plain"


def test_letters_beyond_the_fonts_are_found_once_each():
    assert missing_letters("Больница Đà Nẵng Νοσοκομείο مستشفى naïve") == ""
    assert missing_letters("医院医") == "医院"


def test_the_identifier_of_a_paper_is_a_link_whatever_signs_it_holds():
    encoder = Encoder({}, {}, lambda label, _figure: label)
    references = References(("Old A. 1950. doi:10.1002/1097-0142(1950)3:1<32::AID>3.0.CO;2-3.", "Without B. 1990."))
    old, without = encoder.block(references)["items"]
    assert "".join(piece["text"] for piece in old) == references.items[0]
    assert old[1]["url"] == "https://doi.org/10.1002/1097-0142(1950)3:1%3C32::AID%3E3.0.CO;2-3"
    assert [piece["url"] for piece in without] == [""]
