"""What votes say of single runs, as measures that arms are compared by.

votes          mean over a run's votes of 1 where it is preferred, 1/2 for neither, 0 where not
votes.likes    share of its votes that like it
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from panic_hpc.analysis.comparing.measures import Measured
from panic_hpc.errors import PanicError
from panic_hpc.voting.folder import read_votes, votes_folder
from panic_hpc.voting.votes import Like, Preference, Vote, latest

if TYPE_CHECKING:
    from panic_hpc.store.dataset.dataset import Dataset

PREFERRED, LIKED = "votes", "votes.likes"
VOTE_MEASURES = (PREFERRED, LIKED)
OUTCOMES = {"one": 1.0, "neither": 0.5, "other": 0.0}
"""What a preference is worth to the first of its two outputs."""


def measured_votes(dataset: "Dataset", name: str) -> Measured | None:
    """Return a measure of votes for each run, nan where nobody voted; None for another name.

    PanicError where there are no votes on the dataset.
    """
    if name not in VOTE_MEASURES:
        return None
    votes = latest(read_votes(votes_folder(dataset.path)).votes)
    if not votes:
        raise PanicError(
            f"There are no votes on {dataset.path}",
            hint=f"Ask for some: panic-hpc vote {dataset.path.parent} --page vote.html",
        )
    rows = {bytes(key).decode(): row for row, key in enumerate(dataset.file.array("runs/key"))}
    told: list[list[float]] = [[] for _ in rows]
    for run, value in _values(votes, name):
        if run in rows:
            told[rows[run]].append(value)
    means = np.array([np.mean(own) if own else np.nan for own in told])
    return Measured(means, np.zeros(len(means), np.int64))


def _values(votes: Sequence[Vote], name: str) -> Iterator[tuple[str, float]]:
    """Yield (key of a run, what a vote is worth to it)."""
    for vote in votes:
        if name == PREFERRED and isinstance(vote, Preference):
            yield vote.one.run, OUTCOMES[vote.better]
            yield vote.other.run, 1.0 - OUTCOMES[vote.better]
        elif name == LIKED and isinstance(vote, Like):
            yield vote.of.run, float(bool(vote.likes))
