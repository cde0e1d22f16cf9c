"""The point clouds of a diagrams shard: each run's trajectory, without its prompt."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from panic_hpc.errors import ShardError
from panic_hpc.stages.base import Context
from panic_hpc.store.format.shard import ShardFile, open_shard
from panic_hpc.store.results.embeddings import EMBEDDING_FAILED
from panic_hpc.types import EMBEDDINGS, Shard

SAMPLED_NUMBERS = 8
"""Numbers of a vector that tell it from another well enough for a guess."""


class RunCloud(NamedTuple):
    """A run's trajectory (T, D) float32, and how many of its embeddings failed."""

    position: int
    points: NDArray[np.float32]
    n_failed: int
    key: str


class _Place(NamedTuple):
    """Where a run's embeddings are: a file, and rows in it."""

    run: int
    key: bytes
    file: ShardFile
    start: int
    stop: int


class Clouds:
    """The trajectories of consecutive runs, in their order."""

    def __init__(self, places: Sequence[_Place]) -> None:
        self._places = places
        self.indices = np.array([place.run for place in places], "<i8")
        self.keys = np.array([place.key for place in places], "S32")

    @property
    def vector_size(self) -> int:
        """How many numbers a vector has."""
        return self._places[0].file.entry("embeddings/vector").shape[1]

    def size(self, position: int) -> int:
        """Return about how many different points a run has: those that begin differently."""
        _, _, file, start, stop = self._places[position]
        # Reads whole vectors to look at their beginnings: one read a run, where eight numbers a
        # row would be a read a row.
        beginnings = file.slice("embeddings/vector", start, stop)[:, :SAMPLED_NUMBERS]
        return len(np.unique(np.ascontiguousarray(beginnings).view(f"V{beginnings.shape[1] * 4}")))

    def read(self, position: int) -> RunCloud:
        """Return a run's trajectory: the embeddings of its own steps."""
        _, key, file, start, stop = self._places[position]
        # The prompt, step -1, is no output of the run.
        own = file.slice("embeddings/step", start, stop) >= 0
        vectors = file.slice("embeddings/vector", start, stop)[own]
        failed = file.slice("embeddings/flags", start, stop)[own] & EMBEDDING_FAILED
        return RunCloud(position, vectors, int(np.count_nonzero(failed)), key.decode())


@contextmanager
def open_clouds(context: Context, shard: Shard) -> Iterator[Clouds]:
    """Open and verify the embeddings shards that hold the runs of a diagrams shard."""
    with ExitStack() as stack:
        places: list[_Place] = []
        for needed in shard.inputs:
            path = context.paths.shard(Shard(EMBEDDINGS, needed.index, shard.model, 0, 0))
            file = stack.enter_context(open_shard(path, manifest_key=context.manifest.key))
            places += _places(file, range(shard.first_run, shard.first_run + shard.n_runs))
        if [place.run for place in places] != list(
            range(shard.first_run, shard.first_run + shard.n_runs)
        ):
            raise ShardError(f"The embeddings of diagrams {shard.index} do not hold its runs")
        yield Clouds(places)


def _places(file: ShardFile, runs: range) -> Iterator[_Place]:
    keys = file.array("runs/key").tolist()
    stops = np.cumsum(file.array("runs/n_rows")).tolist()
    starts = [0, *stops[:-1]]
    for place in zip(file.array("runs/index").tolist(), keys, starts, stops, strict=True):
        if place[0] in runs:
            run, key, start, stop = place
            yield _Place(run, key, file, start, stop)
