"""How analyses usually answer their question: by one of their statements."""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Literal

from panic_hpc.analysis.results import AnalysisResult, Statement

Answer = Callable[[AnalysisResult], Statement | None]


def overall(found: AnalysisResult) -> Statement | None:
    """Return the first statement about the whole dataset that has an interval, else the first."""
    whole = [one for one in found.statements if not one.subject]
    return next((one for one in whole if math.isfinite(one.low)), whole[0] if whole else None)


def about(*subjects: str) -> Answer:
    """Return an answer: the statement about the first of these subjects that there is one about."""

    def answer(found: AnalysisResult) -> Statement | None:
        by_subject = {one.subject: one for one in reversed(found.statements)}
        told = next((by_subject[name] for name in subjects if name in by_subject), None)
        return told and replace(told, subject="")

    return answer


def greatest(lead: str = "", by: Literal["value", "low"] = "value") -> Answer:
    """Return an answer: the statement about a part with the greatest number, or lower bound.

    `lead` and the subject come before it: "Most loops in A → B: 40% of …"; "" leaves both out.
    """
    return _extreme(lead, lambda told: max(told, key=lambda one: float(getattr(one, by))), by)


def least(lead: str = "") -> Answer:
    """Return an answer: as `greatest`, of the least number."""
    return _extreme(lead, lambda told: min(told, key=lambda one: one.value), "value")


def _extreme(lead: str, chosen: Callable[[Sequence[Statement]], Statement], by: str) -> Answer:
    def answer(found: AnalysisResult) -> Statement | None:
        known = [one for one in found.statements if math.isfinite(getattr(one, by))]
        # Labels of one's own may leave the only network without a name.
        parts = [one for one in known if one.subject] or known
        return _led(chosen(parts), lead) if parts else None

    return answer


def _led(told: Statement, lead: str) -> Statement:
    said = told.sentence
    sentence = (
        f"{lead} {told.subject}: {said[:1].lower()}{said[1:]}" if lead and told.subject else said
    )
    return replace(told, subject="", sentence=sentence)
