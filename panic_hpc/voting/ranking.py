"""What votes say of arms: who is preferred, and what is liked."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from panic_hpc.analysis.base import AnalysisSettings
from panic_hpc.analysis.comparing.arms import Arm
from panic_hpc.analysis.estimators.bootstrap import share_interval
from panic_hpc.analysis.estimators.bradley_terry import DRAWS, Strength, Strengths, bradley_terry
from panic_hpc.plain_text import counted
from panic_hpc.voting.run_votes import OUTCOMES
from panic_hpc.voting.votes import Comment, Like, OutputId, Preference, Vote


@dataclass(frozen=True, slots=True)
class Liking:
    """How many votes like outputs of an arm, of `n`; the share's interval is over prompts."""

    n_likes: int
    n: int
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class VotedArm:
    """What votes say of an arm: of it and others, of it alone, and in words."""

    name: str
    strength: Strength
    liking: Liking
    n_comments: int


@dataclass(frozen=True, slots=True)
class VoteResult:
    """What votes on arms say.

    arms: in the order in which they stand, the most preferred first.
    level: of intervals.
    over: what intervals of preferences are over, "" where there are none.
    notes: what must be known of it, in sentences.
    n_preferences, n_ties, n_voters: votes that compare, those of them for neither side, and who
        voted at all.
    n_foreign: votes on outputs that no arm has.
    comments: (arm, voter, text).
    """

    arms: tuple[VotedArm, ...]
    level: float
    over: str
    notes: tuple[str, ...]
    n_preferences: int
    n_ties: int
    n_voters: int
    n_foreign: int
    comments: tuple[tuple[str, str, str], ...]


@dataclass(frozen=True, slots=True)
class _Place:
    """Which arm a run belongs to, and its prompt."""

    arm: int
    prompt: str


def rank(
    arms: Sequence[Arm], votes: Sequence[Vote], *, level: float = 0.95, draws: int = DRAWS
) -> VoteResult:
    """Return what votes say of arms; `votes` are each voter's last word (`votes.latest`)."""
    places = _places(arms)
    known = [vote for vote in votes if all(of.run in places for of in _outputs(vote))]
    duels = [vote for vote in known if isinstance(vote, Preference)]
    between = [v for v in duels if places[v.one.run].arm != places[v.other.run].arm]
    found = _strengths(between, places, len(arms), level, draws)
    comments = [(places[v.of.run].arm, v) for v in known if isinstance(v, Comment)]
    of_arms = [
        VotedArm(
            name=arm.name,
            strength=found.arms[k],
            liking=_liking(k, known, places, level),
            n_comments=sum(place == k for place, _ in comments),
        )
        for k, arm in enumerate(arms)
    ]
    return VoteResult(
        arms=tuple(sorted(of_arms, key=_standing)),
        level=level,
        over=found.over,
        notes=tuple(_notes(found, [arm.name for arm in arms], len(duels) - len(between))),
        n_preferences=len(between),
        n_ties=sum(vote.better == "neither" for vote in between),
        n_voters=len({vote.voter for vote in known}),
        n_foreign=len(votes) - len(known),
        comments=tuple((arms[place].name, vote.voter, vote.text) for place, vote in comments),
    )


def _places(arms: Sequence[Arm]) -> Mapping[str, _Place]:
    found = {}
    for number, arm in enumerate(arms):
        keys = arm.dataset.file.array("runs/key")
        for pair, row in arm.rows.items():
            found[bytes(keys[row]).decode()] = _Place(number, pair.prompt)
    return found


def _outputs(vote: Vote) -> tuple[OutputId, ...]:
    return (vote.one, vote.other) if isinstance(vote, Preference) else (vote.of,)


def _strengths(
    duels: Sequence[Preference],
    places: Mapping[str, _Place],
    n_arms: int,
    level: float,
    draws: int,
) -> Strengths:
    return bradley_terry(
        [places[vote.one.run].arm for vote in duels],
        [places[vote.other.run].arm for vote in duels],
        [OUTCOMES[vote.better] for vote in duels],
        [places[vote.one.run].prompt for vote in duels],
        [vote.voter for vote in duels],
        n_arms=n_arms,
        level=level,
        draws=draws,
    )


def _liking(arm: int, votes: Sequence[Vote], places: Mapping[str, _Place], level: float) -> Liking:
    own = [v for v in votes if isinstance(v, Like) and places[v.of.run].arm == arm]
    if not own:
        return Liking(0, 0, np.nan, np.nan)
    prompts = [places[vote.of.run].prompt for vote in own]
    likes = [bool(vote.likes) for vote in own]
    _, low, high = share_interval(likes, prompts, AnalysisSettings(level=level))
    return Liking(sum(likes), len(own), low, high)


def _standing(arm: VotedArm) -> tuple[int, float]:
    """Return what arms are sorted by: their groups, and from the most preferred down."""
    share = arm.strength.share
    return arm.strength.group, 0.0 if np.isnan(share) else -share


def _notes(found: Strengths, names: Sequence[str], n_within: int) -> Iterator[str]:
    groups: dict[int, list[str]] = {}
    for name, arm in zip(names, found.arms, strict=True):
        groups.setdefault(arm.group, []).append(name)
    if len(groups) > 1:
        told = " | ".join(", ".join(own) for own in groups.values())
        yield f"Nothing connects these, so that they have ranks of their own: {told}"
    for arms, word in ((found.unbeaten, "always"), (found.unbeating, "never")):
        if arms:
            listed = ", ".join(names[k] for k in arms)
            yield f"Preferred {word}, so that nothing bounds its strength: {listed}"
    if found.why and any(arm.n for arm in found.arms):
        yield (
            f"Intervals are over {found.over}: {found.why}"
            if found.over
            else (f"No interval: {found.why}")
        )
    if n_within:
        yield f"{counted(n_within, 'vote')} on two outputs of one arm say nothing of arms"
