"""The signalling questions of PROBAST+AI, answered as far as the run can tell.

Questions are those of Moons et al., PROBAST+AI, BMJ 2025;388:e082505, doi 10.1136/bmj-2024-082505: 16 on the quality
of development (3 on participants and data sources, 4 on predictors, 4 on the outcome, 5 on the analysis) and 18 on the
risk of bias of the evaluation (the same 11, and 7 on the analysis), worded anew here and shorter. Their numbers and
sense were taken from two independent public transcriptions of the tool, which agree, and not from the article's own
supplement: whoever submits an assessment should use the published wording.

Development and evaluation use the same patients here, so that domains 1 to 3 are answered once. An answer is no
judgement of quality, risk of bias or applicability; those, and all that the data do not tell, are for the reader. Where
arms differ, the answer is that of the worst.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Literal

from ppgssl.core.results.study import Results
from ppgssl.report.checklists.probast_answers import ANSWERS, FOR_THE_READER, Reply
from ppgssl.report.document import (
    Bullets,
    Cite,
    Column,
    Heading,
    Paragraph,
    Row,
    Section,
    Strong,
    Table,
    Text,
    sentences,
)

TITLE = "Risk of bias questions (PROBAST+AI)"

Domain = Literal["Participants and data sources", "Predictors", "Outcome", "Analysis"]
Part = Literal["both", "development", "evaluation"]


@dataclass(frozen=True)
class Question:
    """One signalling question; ``both`` is asked of development and of evaluation."""

    number: str
    part: Part
    domain: Domain
    asked: str

    @property
    def key(self) -> str:
        """``3.2`` of both parts, ``4.2 development``."""
        return self.number if self.part == "both" else f"{self.number} {self.part}"


QUESTIONS: tuple[Question, ...] = (
    Question("1.1", "both", "Participants and data sources", "Were the sources of data appropriate?"),
    Question("1.2", "both", "Participants and data sources", "Was the design of the study appropriate?"),
    Question(
        "1.3", "both", "Participants and data sources", "Do those included represent the people the model is meant for?"
    ),
    Question("2.1", "both", "Predictors", "Were predictors defined and measured alike in all participants?"),
    Question("2.2", "both", "Predictors", "Were predictors preprocessed alike in all participants?"),
    Question("2.3", "both", "Predictors", "Were predictors assessed without knowing the outcome?"),
    Question("2.4", "both", "Predictors", "Are all predictors known at the moment the model is to be used?"),
    Question("3.1", "both", "Outcome", "Was the outcome defined and determined appropriately?"),
    Question("3.2", "both", "Outcome", "Was it defined and determined alike in all participants?"),
    Question("3.3", "both", "Outcome", "Was it determined without use or knowledge of the predictors?"),
    Question("3.4", "both", "Outcome", "Was the time between predictors and outcome appropriate?"),
    Question("4.1", "development", "Analysis", "Is the sample size reasonable?"),
    Question("4.2", "development", "Analysis", "Were continuous and categorical predictors handled appropriately?"),
    Question("4.3", "development", "Analysis", "Were missing or censored data handled appropriately?"),
    Question("4.4", "development", "Analysis", "If class imbalance was corrected for: were risks recalibrated?"),
    Question("4.5", "development", "Analysis", "Was something done against overfitting?"),
    Question("4.1", "evaluation", "Analysis", "Was more than apparent performance evaluated?"),
    Question("4.2", "evaluation", "Analysis", "Is the sample size reasonable?"),
    Question("4.3", "evaluation", "Analysis", "Were missing or censored data handled appropriately?"),
    Question(
        "4.4",
        "evaluation",
        "Analysis",
        "If class imbalance was corrected for: was performance evaluated in data without the correction?",
    ),
    Question("4.5", "evaluation", "Analysis", "If data were split: was leakage avoided?"),
    Question("4.6", "evaluation", "Analysis", "If resampled: were all steps of development repeated?"),
    Question("4.7", "evaluation", "Analysis", "Was performance evaluated appropriately?"),
)


def answer_questions(results: Results) -> list[tuple[Question, Reply]]:
    """Each question with its reply."""
    return [(question, _reply(question, results)) for question in QUESTIONS]


def _reply(question: Question, results: Results) -> Reply:
    rule = ANSWERS.get(question.key)
    return rule(results) if rule else Reply(FOR_THE_READER, "")


# --- the section -----------------------------------------------------------------------------------------------


def _whose(results: Results) -> str:
    if results.validation.scheme == "external":
        return "The patients are those of the evaluation; those of the development are on the model's card."
    return (
        "Development and evaluation use the same patients, so that questions on participants, predictors and outcome "
        "are answered once for both."
    )


def probast_section(results: Results) -> Section:
    """A table of the questions that the run answers, and a list of those for the reader."""
    replies = answer_questions(results)
    answered = [(question, reply) for question, reply in replies if reply.answer != FOR_THE_READER]
    others = [(question, reply) for question, reply in replies if reply.answer == FOR_THE_READER]
    text: Text = (
        "What the run tells of the signalling questions of PROBAST+AI",
        Cite(("moons2025",)),
        f": {len(answered)} of {len(replies)} are answered, with the reason. The others are left to the reader, as are "
        f"all judgements of quality, risk of bias and applicability. {_whose(results)} Questions are worded in short; "
        "the published tool is what counts.",
    )
    return Section(
        TITLE,
        (
            Paragraph(text),
            _table(answered),
            Heading("Questions for the reader"),
            Bullets(tuple(_for_the_reader(question, reply) for question, reply in others)),
        ),
        new_page=True,
    )


def _table(replies: Sequence[tuple[Question, Reply]]) -> Table:
    columns = (Column("No."), Column("Question", width=1.0), Column("Answer", width=0.45), Column("Why", width=1.7))
    rows: list[Row] = []
    for title, members in groupby(replies, lambda pair: _title(pair[0])):
        rows.append(Row((title,), "group"))
        rows += [Row((one.number, one.asked, reply.answer, reply.reason), "indent") for one, reply in members]
    return Table("table-probast", "PROBAST+AI: questions that the run answers, and why so.", columns, tuple(rows))


def _title(question: Question) -> str:
    return question.domain if question.part == "both" else f"{question.domain}, {question.part}"


def _for_the_reader(question: Question, reply: Reply) -> Text:
    return sentences((Strong(question.number), f" {question.asked}"), reply.reason)
