"""The questions of the report and what each analysis answers; pure."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from panic_hpc.analysis.answering import overall
from panic_hpc.analysis.base import LEADS, QUESTIONS, Analysis
from panic_hpc.analysis.records import AnalysisRecord
from panic_hpc.analysis.results import NotDone, Statement
from panic_hpc.report.page.views import anchor_of, title_of

WORDINGS = dict(
    zip(
        QUESTIONS,
        (
            "How did it get here, and was it predictable?",
            "Is it stuck?",
            "Has it done this before?",
            "Which part of the system matters most?",
        ),
        strict=True,
    )
)
MOST_REASONS = 3


@dataclass(frozen=True, slots=True)
class AnalysisAnswer:
    """What one analysis in one embedding model answers, or why it does not.

    analysis   its name
    title      of the analysis on the page
    anchor     where on the page it is, "" where it is not
    statement  the answer, None where there is none
    reason     why there is none, "" where there is one
    """

    analysis: str
    title: str
    anchor: str = ""
    statement: Statement | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class AnsweredQuestion:
    """A question and its answers in order of the analyses; `leads` names those that say most."""

    question: str
    answers: Sequence[AnalysisAnswer]
    leads: Sequence[str] = ()

    @property
    def lead(self) -> AnalysisAnswer | None:
        """The answer that the report opens with by `base.LEADS`, None where there is none."""
        given = [one for one in self.answers if one.statement]
        return min(given, key=self._rank) if given else None

    def _rank(self, one: AnalysisAnswer) -> tuple[bool, int]:
        places = {name: place for place, name in enumerate(self.leads)}
        has_interval = one.statement is not None and math.isfinite(one.statement.low)
        return not has_interval, places.get(one.analysis, len(places))

    @property
    def others(self) -> list[AnalysisAnswer]:
        """Further answers."""
        return [one for one in self.answers if one.statement and one is not self.lead]

    @property
    def reasons(self) -> list[AnalysisAnswer]:
        """Analyses that have no answer, each with its reason."""
        return [one for one in self.answers if not one.statement]


def answered(
    records: Sequence[AnalysisRecord], known: Mapping[str, Analysis]
) -> list[AnsweredQuestion]:
    """Return the four questions, then others that analyses ask.

    An analysis of `known` that has no record is a reason with the command that runs it.
    """
    asked: dict[str, list[AnalysisAnswer]] = {question: [] for question in QUESTIONS}
    there = {record.analysis for record in records}
    for record in records:
        answer = _answer(record, known.get(record.analysis))
        asked.setdefault(record.question, []).append(answer)
    for name, analysis in known.items():
        if name not in there:
            reason = f"it was not run; panic-hpc analyse DATASET {name} runs it"
            answer = AnalysisAnswer(name, name, reason=reason)
            asked.setdefault(analysis.question, []).append(answer)
    return [
        AnsweredQuestion(WORDINGS.get(name, name), own, LEADS.get(name, ()))
        for name, own in asked.items()
    ]


def _answer(record: AnalysisRecord, analysis: Analysis | None) -> AnalysisAnswer:
    given = AnalysisAnswer(record.analysis, title_of(record), anchor_of(record))
    if record.error:
        return replace(given, reason=f"it failed: {record.error}")
    try:
        found = (analysis.answer if analysis else overall)(record.result)
    # Whatever somebody's hook raises costs its own answer alone.
    except Exception as raised:
        return replace(given, reason=f"its answer failed: {type(raised).__name__}: {raised}")
    if found is not None:
        return replace(given, statement=found)
    why = _reasons(record.result.not_done)
    return replace(given, reason=why or "what it found is no one sentence; see its tables")


def _reasons(not_done: Sequence[NotDone]) -> str:
    said = list(dict.fromkeys(f"{one.what}: {one.why}" for one in not_done))
    more = [f"and {len(said) - MOST_REASONS} more"] if len(said) > MOST_REASONS else []
    return "; ".join([*said[:MOST_REASONS], *more])
