"""Votes as they are written down, in a file of the page's or a line of the server's: one model.

Such files come by mail from anybody. A vote is what is said here or is refused in one sentence; it
names outputs by the keys of their runs, so that it survives merges and splits of datasets.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from panic_hpc.disk.files import read_json
from panic_hpc.errors import PanicError
from panic_hpc.keys import KEY_HEX
from panic_hpc.validation.closed import Closed
from panic_hpc.validation.record import Moment, as_record

FORMAT = "panic_hpc votes 1"
MOST_VOTES = 100_000
MOST_BYTES = 64 * 2**20
MOST_CHARACTERS = 2_000
"""Of a comment."""

Voter = Annotated[str, Field(min_length=1, max_length=60)]


class OutputId(Closed):
    """An output: the key of its run, and its step."""

    run: str = Field(pattern=f"^[0-9a-f]{{{KEY_HEX}}}$")
    step: int = Field(ge=0, le=2**31 - 1)


class Preference(Closed):
    """Which of two outputs is better, as one voter says; "neither" where both are as good."""

    kind: Literal["preference"] = "preference"
    voter: Voter
    at: Moment
    one: OutputId
    other: OutputId
    better: Literal["one", "other", "neither"]

    @property
    def about(self) -> tuple[object, ...]:
        """What it is said of: a later vote of the same voter on the same takes its place."""
        return self.kind, self.voter, *sorted([_place(self.one), _place(self.other)])


class Like(Closed):
    """Whether one voter likes an output; None takes back what was said."""

    kind: Literal["like"] = "like"
    voter: Voter
    at: Moment
    of: OutputId
    likes: bool | None

    @property
    def about(self) -> tuple[object, ...]:
        """What it is said of: a later vote of the same voter on the same takes its place."""
        return self.kind, self.voter, _place(self.of)


class Comment(Closed):
    """What one voter says of an output in words; "" takes back what was said."""

    kind: Literal["comment"] = "comment"
    voter: Voter
    at: Moment
    of: OutputId
    text: str = Field(max_length=MOST_CHARACTERS)

    @property
    def about(self) -> tuple[object, ...]:
        """What it is said of: a later vote of the same voter on the same takes its place."""
        return self.kind, self.voter, _place(self.of)


Vote = Preference | Like | Comment
_Tagged = Annotated[Vote, Field(discriminator="kind")]


class VotesFile(Closed):
    """What the page gives its voter to send: the votes, and the dataset that they were given on."""

    format: Literal["panic_hpc votes 1"]
    content_key: str = Field(pattern=f"^[0-9a-f]{{{KEY_HEX}}}$")
    votes: tuple[_Tagged, ...] = Field(max_length=MOST_VOTES)


class VoteLine(Closed):
    """One vote as it comes from a page that is served, or stands on a line of a stored file."""

    vote: _Tagged


def read_votes_file(path: Path) -> VotesFile:
    """Return what somebody's file says; PanicError, naming it, where it is not of this form."""
    try:
        return as_record(VotesFile, read_json(path, limit=MOST_BYTES))
    except ValueError as error:
        raise PanicError(f"{path} is no file of votes: {error}") from None


def vote_of(value: Any) -> Vote:
    """Return a JSON value as a vote; ValueError says what is wrong with it."""
    return as_record(VoteLine, {"vote": value}).vote


def latest(votes: Iterable[Vote]) -> list[Vote]:
    """Return each voter's last word on each thing, in order of time, whatever order they came in.

    Of two at one moment the same is taken always. What was taken back is left out.
    """
    found: dict[tuple[object, ...], Vote] = {}
    for vote in sorted(votes, key=lambda one: (one.at, one.model_dump_json())):
        found[vote.about] = vote
    kept = sorted(found.values(), key=lambda one: (one.at, one.model_dump_json()))
    return [vote for vote in kept if not _is_taken_back(vote)]


def _is_taken_back(vote: Vote) -> bool:
    match vote:
        case Like(likes=None):
            return True
        case Comment(text=text):
            return not text.strip()
        case _:
            return False


def _place(of: OutputId) -> tuple[str, int]:
    return of.run, of.step
