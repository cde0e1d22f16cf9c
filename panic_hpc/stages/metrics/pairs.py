"""What each output of a run is judged against: pairs of steps, then of values."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from panic_hpc.models.base import Judged
from panic_hpc.models.metric_settings import FIRST, INPUT, NOTHING, PREVIOUS, PROMPT, ROLE
from panic_hpc.stages.codecs.base import codec_of
from panic_hpc.stages.outputs import Outputs
from panic_hpc.store.format.shard import ShardFile
from panic_hpc.types import Modality

PROMPT_STEP = -1

Pair = tuple[int, int | None]
"""The step of an output, and that of what it is judged against: None for nothing."""


def _alone(steps: Sequence[int], others: Sequence[int]) -> list[Pair]:
    return [(step, None) for step in steps]


def _with_prompt(steps: Sequence[int], others: Sequence[int]) -> list[Pair]:
    return [(step, PROMPT_STEP) for step in steps]


def _with_input(steps: Sequence[int], others: Sequence[int]) -> list[Pair]:
    there = set(others)
    return [(step, step - 1) for step in steps if step - 1 in there]


def _with_previous(steps: Sequence[int], others: Sequence[int]) -> list[Pair]:
    return list(zip(steps[1:], steps[:-1], strict=True))


def _with_first(steps: Sequence[int], others: Sequence[int]) -> list[Pair]:
    return [(step, steps[0]) for step in steps[1:]]


_PAIRINGS: dict[str, Callable[[Sequence[int], Sequence[int]], list[Pair]]] = {
    NOTHING: _alone,
    INPUT: _with_input,
    PREVIOUS: _with_previous,
    FIRST: _with_first,
    PROMPT: _with_prompt,
}


ROLE_STEP = -2
"""What stands for the step of a picture that belongs to the prompt, which none of the run has."""


def pairs_of(against: str, steps: Sequence[int], others: Sequence[int]) -> list[Pair]:
    """Return the pairs whose both sides exist; pure.

    `steps` are those of the outputs in order, `others` those of the other modality: with the
    prompt's where that is of it.
    """
    if against.startswith(ROLE):
        return [(step, ROLE_STEP) for step in steps]
    return _PAIRINGS[against](steps, others)


class JudgedRun(NamedTuple):
    """What one run gives a metric to judge: steps, and items in the same order."""

    position: int
    steps: list[int]
    items: list[Judged]


class PairReader:
    """Reads one run's items; `prompts` are what step -1 of the shard's runs is, None for nothing.

    `pictures` are those that outputs are judged against by their role.
    """

    def __init__(
        self,
        shard: ShardFile,
        modalities: tuple[Modality, Modality],
        against: str,
        prompts: Sequence[Any],
        pictures: Sequence[Any] = (),
    ) -> None:
        consumes, compared = modalities
        self._against = against
        self._own = Outputs(shard, consumes)
        self._other = self._own if compared in ("", consumes) else Outputs(shard, compared)
        self._modalities = (consumes, compared or consumes)
        self._prompts, self._pictures = prompts, pictures
        self.indices, self.keys = self._own.indices, self._own.keys

    def __call__(self, position: int) -> JudgedRun:
        """Return the items of the run at `position` in its shard."""
        consumes, compared = self._modalities
        own = dict(self._own.decoded(position, codec_of(consumes)))
        other = own
        if self._other is not self._own:
            other = dict(self._other.decoded(position, codec_of(compared)))
        if (begun := self._prompts[position]) is not None:
            other = {PROMPT_STEP: begun, **other}
        if self._pictures:
            other = {**other, ROLE_STEP: self._pictures[position]}
        pairs = pairs_of(self._against, list(own), list(other))
        items = [Judged(own[step], None if at is None else other[at]) for step, at in pairs]
        return JudgedRun(position, [step for step, _ in pairs], items)
