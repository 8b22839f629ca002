"""The signalling questions of PROBAST+AI, answered as far as the run can tell; words and sources: ``probast.yaml``.

Development and evaluation use the same patients here, so that domains 1 to 3 are answered once. An answer is no
assessment of quality, risk of bias or applicability; those, and all that the data do not tell, are for the reader.
"""

from __future__ import annotations

from itertools import groupby

from ppgssl.core.results.study import Results
from ppgssl.report.checklists.rules import Answered, answered
from ppgssl.report.document import Bullets, Column, Heading, Paragraph, Row, Section, Strong, Table, Text, sentences
from ppgssl.report.text.prose import load, phrase

TITLE = "Risk of bias questions (PROBAST+AI)"
FOR_THE_READER = "For the reader"


def reply(question: Answered) -> str:
    """``Probably yes``, or :data:`FOR_THE_READER`."""
    return (question.answer or {}).get("answer", FOR_THE_READER)


def probast_section(results: Results) -> Section:
    """A table of the questions that the run answers, and a list of those for the reader."""
    questions = list(answered("probast", results))
    settled = [one for one in questions if reply(one) != FOR_THE_READER]
    summary = phrase(
        load("checklists/probast.yaml")["summary"], results=results, n_answered=len(settled), n=len(questions)
    )
    rows: list[Row] = []
    for domain, members in groupby(settled, lambda one: one.domain):
        rows.append(Row((domain,), "group"))
        rows += [Row((one.number, one.asked, reply(one), one.text), "indent") for one in members]
    columns = (Column("No."), Column("Question", width=1.0), Column("Answer", width=0.45), Column("Why", width=1.7))
    caption = "PROBAST+AI: questions that the results answer, with the reason."
    others = [_for_the_reader(one) for one in questions if reply(one) == FOR_THE_READER]
    return Section(
        TITLE,
        (
            Paragraph(summary),
            Table("table-probast", caption, columns, tuple(rows)),
            Heading("Questions for the reader"),
            Bullets(tuple(others)),
        ),
        new_page=True,
    )


def _for_the_reader(question: Answered) -> Text:
    return sentences((Strong(question.number), f" {question.asked}"), question.text)
