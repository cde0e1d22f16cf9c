"""What people are asked: two outputs of one prompt and seed, of two arms that they are not told.

Of one arm there are no two to compare, and outputs are shown one at a time, to be liked or not.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from panic_hpc.analysis.comparing.arms import Arm, Pair, spread
from panic_hpc.errors import PanicError
from panic_hpc.voting.votes import OutputId

if TYPE_CHECKING:
    from panic_hpc.store.dataset.dataset import Dataset


@dataclass(frozen=True, slots=True)
class ShownOutput:
    """The last output of a run, its last picture where it has some: its name and its row."""

    of: OutputId
    dataset: "Dataset"
    row: int

    @property
    def is_picture(self) -> bool:
        """Whether it is a picture, else a text."""
        return self.of.step in self.dataset.image_steps(self.row)


@dataclass(frozen=True, slots=True)
class Question:
    """The prompt, and the outputs that are shown side by side: two, or one."""

    prompt: str
    outputs: tuple[ShownOutput, ...]


def questions_on(arms: Sequence[Arm], most: int, *, seed: int = 0) -> list[Question]:
    """Return at most `most` questions: all pairs of arms alike, each prompt before one comes again.

    Sides are by chance, and so is where in the list of prompts a pair of arms begins. PanicError
    where there is nothing to show.
    """
    rng = np.random.default_rng(seed)
    asked = _of_one(arms[0], most) if len(arms) == 1 else _of_two(arms, most, rng)
    found = [question for question in asked if question.outputs]
    if not found:
        raise PanicError(
            "There are no outputs to ask about: the arms share no prompt and seed, or kept nothing"
        )
    return found


def _of_one(arm: Arm, most: int) -> Iterator[Question]:
    for pair in spread(list(arm.rows), most):
        yield Question(pair.prompt, _shown([0], pair, [arm]))


def _of_two(arms: Sequence[Arm], most: int, rng: np.random.Generator) -> Iterator[Question]:
    """Yield questions, the pairs of arms in turn."""
    duels = list(combinations(arms, 2))
    queues = [_queue(one, other, most, rng) for one, other in duels]
    n_asked = 0
    for turn in range(max(map(len, queues))):
        for place in rng.permutation(len(duels)).tolist():
            if turn < len(queues[place]) and n_asked < most:
                n_asked += 1
                pair = queues[place][turn]
                yield Question(pair.prompt, _shown(rng.permutation(2).tolist(), pair, duels[place]))


def _queue(one: Arm, other: Arm, most: int, rng: np.random.Generator) -> list[Pair]:
    """Return what two arms share: the first seed of all prompts, begun anywhere, then the next."""
    shared = [pair for pair in one.rows if pair in other.rows]
    prompts = list(dict.fromkeys(pair.prompt for pair in shared))
    if not prompts:
        return []
    begin = int(rng.integers(len(prompts)))
    place = {prompt: k for k, prompt in enumerate(prompts[begin:] + prompts[:begin])}
    by_prompt: dict[str, list[Pair]] = {}
    for pair in shared:
        by_prompt.setdefault(pair.prompt, []).append(pair)
    ranked = [(k, place[p], pair) for p, own in by_prompt.items() for k, pair in enumerate(own)]
    return [pair for _, _, pair in sorted(ranked)[:most]]


def _shown(order: Sequence[int], pair: Pair, arms: Sequence[Arm]) -> tuple[ShownOutput, ...]:
    """Return the last outputs of a pair's runs in order, () where one has none or kinds differ."""
    found = [_last(arms[k], pair) for k in order]
    outputs = tuple(one for one in found if one is not None)
    is_whole = len(outputs) == len(found) and len({one.is_picture for one in outputs}) == 1
    return outputs if is_whole else ()


def _last(arm: Arm, pair: Pair) -> ShownOutput | None:
    row, dataset = arm.rows[pair], arm.dataset
    steps = dataset.image_steps(row) or sorted(dataset.texts(row))
    if not steps:
        return None
    key = dataset.file.slice("runs/key", row, row + 1)[0]
    return ShownOutput(OutputId(run=key.decode(), step=steps[-1]), dataset, row)
