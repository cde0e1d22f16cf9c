"""The outputs in a runs shard, by run and modality."""

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from panic_hpc.errors import ShardError
from panic_hpc.stages.codecs.base import Codec
from panic_hpc.store.checks.rules import REDO_SHARD
from panic_hpc.store.format.column import OUTPUT_GROUPS
from panic_hpc.store.format.ragged import unpack
from panic_hpc.store.format.shard import ShardFile

PROMPT_STEP = -1
"""The step of what a run begins from."""


class Stored(NamedTuple):
    """An output as stored, and the step it was made at."""

    step: int
    content: bytes


class Outputs:
    """One modality of an open runs shard, whose checksums were verified when it was opened."""

    def __init__(self, shard: ShardFile, modality: str) -> None:
        self.shard, self.modality = shard, modality
        self.group = OUTPUT_GROUPS[modality]
        n_steps = shard.array("runs/n_steps")
        self.indices: NDArray[np.int64] = shard.array("runs/index")
        self.keys: NDArray[np.bytes_] = shard.array("runs/key")
        self._steps = shard.array("invocations/step")
        # A modality that no network of the shard makes has no table.
        is_there = f"{self.group}/invocation" in shard
        self._invocations = (
            shard.array(f"{self.group}/invocation") if is_there else np.empty(0, "i8")
        )
        # Invocations are sorted by run, then step, so two searches place a run's outputs without an
        # index.
        edges = np.concatenate([[0], np.cumsum(n_steps)])
        self._rows = np.searchsorted(self._invocations, edges)

    def count(self, position: int) -> int:
        """Return how many outputs a run has."""
        return int(self._rows[position + 1] - self._rows[position])

    def steps(self, position: int) -> list[int]:
        """Return the steps of a run's outputs, in order; reads nothing."""
        rows = slice(int(self._rows[position]), int(self._rows[position + 1]))
        steps: list[int] = self._steps[self._invocations[rows]].tolist()
        return steps

    def of_run(self, position: int) -> list[Stored]:
        """Return a run's outputs in step order."""
        start, stop = int(self._rows[position]), int(self._rows[position + 1])
        if start == stop:
            return []
        offsets = self.shard.slice(f"{self.group}/offsets", start, stop + 1)
        values = self.shard.slice(f"{self.group}/values", int(offsets[0]), int(offsets[-1]))
        pairs = zip(self.steps(position), unpack(offsets, values), strict=True)
        return [Stored(*pair) for pair in pairs]

    def at(self, position: int, step: int) -> Stored | None:
        """Return the output of a run at a step, None where there is none."""
        start, stop = int(self._rows[position]), int(self._rows[position + 1])
        steps = self._steps[self._invocations[start:stop]]
        row = start + int(np.searchsorted(steps, step))
        if row == stop or self._steps[self._invocations[row]] != step:
            return None
        first, last = self.shard.slice(f"{self.group}/offsets", row, row + 2).tolist()
        return Stored(step, self.shard.slice(f"{self.group}/values", first, last).tobytes())

    def decoded(self, position: int, item: Stored, codec: Codec) -> Any:
        """Return the value of an output of a run; ShardError where it cannot be decoded."""
        try:
            return codec.decode(item.content)
        except ValueError as error:
            run = int(self.indices[position])
            place = f"{self.shard.path}: {codec.name} of run {run}, step {item.step}"
            raise ShardError(f"{place}, cannot be decoded ({error})", hint=REDO_SHARD) from error


Place = tuple[int, int]
"""A run's place in its shard, and a step."""


class Decoder:
    """Decodes outputs by place; memory holds those of one call, whatever a run's length is.

    What was asked for in the call before is not decoded again: neighbouring batches share outputs.
    """

    def __init__(self, outputs: Outputs, codec: Codec) -> None:
        self.outputs, self.codec = outputs, codec
        self._held: dict[Place, Any] = {}

    def __call__(self, places: Iterable[Place]) -> dict[Place, Any]:
        """Return the values at `places`, without those that were not stored."""
        before, self._held = self._held, {}
        for place in places:
            if place in before:
                self._held[place] = before[place]
            elif item := self.outputs.at(*place):
                self._held[place] = self.outputs.decoded(place[0], item, self.codec)
        return self._held
