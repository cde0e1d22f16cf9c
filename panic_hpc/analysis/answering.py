"""How analyses usually answer their question: by one of their statements."""

import math
from collections.abc import Callable
from dataclasses import replace

from panic_hpc.analysis.results import AnalysisResult, Statement

Answer = Callable[[AnalysisResult], Statement | None]


def overall(result: AnalysisResult) -> Statement | None:
    """Return the first statement about the whole dataset that has an interval, else the first.

    Where all there is is about one network, that is the whole.
    """
    whole = [one for one in result.statements if not one.subject]
    if not whole and len(result.statements) == 1:
        return replace(result.statements[0], subject="")
    return next((one for one in whole if math.isfinite(one.low)), whole[0] if whole else None)


def about(*subjects: str) -> Answer:
    """Return an answer: the statement about the first of these subjects that there is one about."""

    def answer(result: AnalysisResult) -> Statement | None:
        by_subject = {one.subject: one for one in reversed(result.statements)}
        told = next((by_subject[name] for name in subjects if name in by_subject), None)
        return told and replace(told, subject="")

    return answer


def greatest(result: AnalysisResult) -> Statement | None:
    """Return the statement with the greatest number: of parts that are few and known before.

    Not of networks, the most extreme of which is extreme by chance too: see `in_networks`.
    """
    known = [one for one in result.statements if math.isfinite(one.value)]
    return replace(max(known, key=lambda one: one.value), subject="") if known else None


def in_networks(
    what: str,
    holds: Callable[[Statement], bool],
    number: str,
    digits: str,
    begins: str = "",
) -> Answer:
    """Return an answer that counts networks: "In 3 of 4 networks …; changes from -0.07 to +0.01".

    The most extreme of many networks is extreme by chance too; a count of all is not. Of one
    network it is that network's statement; where others could not be told, it says so, and has no
    interval, which would not be one of the dataset.

    Args:
        what: what `holds` of a network.
        holds: of a statement about a network.
        number: what the statements' numbers are, several.
        digits: format of them.
        begins: of a network with several statements the one whose sentence begins so counts.
    """

    def answer(result: AnalysisResult) -> Statement | None:
        known = [one for one in result.statements if math.isfinite(one.value)]
        parts = [one for one in known if one.sentence.startswith(begins)]
        if len(parts) < 2:
            return _alone(parts[0], result) if parts else None
        count, values = sum(map(holds, parts)), [one.value for one in parts]
        return Statement(
            "",
            f"In {count} of {len(parts)} networks {what}; {number} from {min(values):{digits}} to "
            f"{max(values):{digits}}",
            count / len(parts), n=len(parts), replication="networks",
        )  # fmt: skip

    return answer


def _alone(one: Statement, result: AnalysisResult) -> Statement:
    if result.n_units.get("networks", 1) < 2:
        return replace(one, subject="")
    sentence = f"It can be told of one network alone, {one.subject}: {one.sentence}"
    return replace(one, subject="", sentence=sentence, low=math.nan, high=math.nan)
