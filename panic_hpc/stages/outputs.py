"""The outputs in a runs shard, by run and modality."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from panic_hpc.errors import ShardError
from panic_hpc.stages.codecs.base import Codec
from panic_hpc.store.checks.rules import REDO_SHARD
from panic_hpc.store.format.column import OUTPUT_GROUPS
from panic_hpc.store.format.ragged import unpack
from panic_hpc.store.format.shard import ShardFile


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

    def of_run(self, position: int) -> list[Stored]:
        """Return a run's outputs in step order."""
        start, stop = int(self._rows[position]), int(self._rows[position + 1])
        if start == stop:
            return []
        offsets = self.shard.slice(f"{self.group}/offsets", start, stop + 1)
        values = self.shard.slice(f"{self.group}/values", int(offsets[0]), int(offsets[-1]))
        steps = self._steps[self._invocations[start:stop]].tolist()
        return [Stored(*pair) for pair in zip(steps, unpack(offsets, values), strict=True)]

    def decoded(self, position: int, codec: Codec) -> list[tuple[int, Any]]:
        """Return (step, value) of a run's outputs; ShardError names one that cannot be decoded."""
        return [(item.step, self._decoded(position, item, codec)) for item in self.of_run(position)]

    def _decoded(self, position: int, item: Stored, codec: Codec) -> Any:
        try:
            return codec.decode(item.content)
        except ValueError as error:
            run = int(self.indices[position])
            place = f"{self.shard.path}: {codec.name} of run {run}, step {item.step}"
            raise ShardError(f"{place}, cannot be decoded ({error})", hint=REDO_SHARD) from error
