"""What each output of a run is judged against: pairs of steps, then of values."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from panic_hpc.models.base import Judged
from panic_hpc.models.metric_settings import FIRST, INPUT, NOTHING, PREVIOUS, PROMPT, ROLE
from panic_hpc.stages.codecs.base import codec_of
from panic_hpc.stages.outputs import PROMPT_STEP, Decoder, Outputs, Place
from panic_hpc.store.format.shard import ShardFile
from panic_hpc.types import Modality

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


class PairReader:
    """Reads the items of runs batch by batch.

    `prompts` are what step -1 of the shard's runs is, None for nothing; `pictures` are those that
    outputs are judged against by their role.
    """

    def __init__(
        self,
        shard: ShardFile,
        modalities: tuple[Modality, Modality],
        against: str,
        prompts: Sequence[Any],
        pictures: Sequence[Any] = (),
        *,
        batch_size: int,
    ) -> None:
        consumes, compared = modalities
        self._against, self._size = against, batch_size
        self._own = Outputs(shard, consumes)
        self._other = self._own if compared in ("", consumes) else Outputs(shard, compared)
        self._decode_own = Decoder(self._own, codec_of(consumes))
        self._decode_other = Decoder(self._other, codec_of(compared or consumes))
        self._prompts, self._pictures = prompts, pictures
        self.indices, self.keys = self._own.indices, self._own.keys

    def pairs(self, position: int) -> list[Pair]:
        """Return the pairs of the run at `position` in its shard."""
        others = self._other.steps(position)
        if self._prompts[position] is not None:
            others = [PROMPT_STEP, *others]
        return pairs_of(self._against, self._own.steps(position), others)

    def parts(self, position: int) -> list[list[Pair]]:
        """Return the pairs of each batch of a run."""
        pairs = self.pairs(position)
        return [pairs[first : first + self._size] for first in range(0, len(pairs), self._size)]

    def read(self, position: int, part: list[Pair]) -> list[Judged]:
        """Return the items of a batch."""
        own, others = (
            [step for step, _ in part],
            [at for _, at in part if at is not None and at >= 0],
        )
        if self._other is self._own:
            made = read = self._decode_own((position, step) for step in dict.fromkeys(own + others))
        else:
            made = self._decode_own((position, step) for step in own)
            read = self._decode_other((position, step) for step in others)
        return [
            Judged(made[position, step], None if at is None else self._compared(read, position, at))
            for step, at in part
        ]

    def _compared(self, read: Mapping[Place, Any], position: int, step: int) -> Any:
        if step == ROLE_STEP:
            return self._pictures[position]
        return self._prompts[position] if step == PROMPT_STEP else read[position, step]
