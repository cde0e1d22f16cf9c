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


def in_networks(
    what: str,
    holds: Callable[[Statement], bool],
    number: str,
    digits: str,
    begins: str = "",
) -> Answer:
    """Return an answer that counts networks: "In 3 of 4 networks …; changes from -0.07 to +0.01".

    The most extreme of many networks is extreme by chance too; a count of all is not. Of one
    network it is that network's statement.

    Args:
        what: what `holds` of a network.
        holds: of a statement about a network.
        number: what the statements' numbers are, several.
        digits: format of them.
        begins: of a network with several statements the one whose sentence begins so counts.
    """

    def answer(found: AnalysisResult) -> Statement | None:
        known = [one for one in found.statements if math.isfinite(one.value)]
        parts = [one for one in known if one.sentence.startswith(begins)]
        if len(parts) < 2:
            return replace(parts[0], subject="") if parts else None
        count, values = sum(map(holds, parts)), [one.value for one in parts]
        return Statement(
            "",
            f"In {count} of {len(parts)} networks {what}; {number} from {min(values):{digits}} to "
            f"{max(values):{digits}}",
            count / len(parts), n=len(parts), replication="networks",
        )  # fmt: skip

    return answer


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
