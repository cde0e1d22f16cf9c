"""How much each network wanders: distinct captions, loops, and the entropy of its diagrams."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from panic_hpc.types import DIAGRAMS

if TYPE_CHECKING:
    from panic_hpc.store.dataset.dataset import Dataset


@dataclass(frozen=True, slots=True)
class NetworkSummary:
    """A row for each network.

    `distinct_captions` is the median over runs of different texts in a run; `loop_lengths` are in
    steps, one a looping run, ascending; `entropies` has, by embedding model, the mean persistence
    entropy (nats) of each homology dimension, nan where no run has one.
    """

    network: str
    noise: str
    runs: int
    failed_runs: int
    distinct_captions: float
    loop_lengths: tuple[int, ...]
    entropies: Mapping[str, tuple[float, ...]]


def summarise(dataset: "Dataset") -> list[NetworkSummary]:
    """Return a summary of each network of a dataset, in its order; reads every text once."""
    return [
        _of_network(dataset, row, name)
        for row, name in enumerate(dataset.networks()["name"].to_list())
    ]


def _of_network(dataset: "Dataset", network: int, name: str) -> NetworkSummary:
    runs = dataset.runs(network=network)
    rows = runs["run"].to_list()
    loops = runs.filter(runs["ended"].cast(str) == "loop")["loop_length"].to_list()
    return NetworkSummary(
        network=name,
        noise=" and ".join(sorted(set(runs["noise"].cast(str).to_list()))),
        runs=len(rows),
        failed_runs=int((runs["ended"].cast(str) == "failed").sum()),
        # The median: one run that a loop ended after two steps would pull a mean down.
        distinct_captions=_median(len(set(dataset.texts(row).values())) for row in rows),
        loop_lengths=tuple(sorted(loops)),
        entropies={m: _mean_entropies(dataset, m, rows) for m in dataset.models_of(DIAGRAMS)},
    )


def _median(values: Iterator[int]) -> float:
    found = list(values)
    return float(np.median(found)) if found else float("nan")


def _mean_entropies(dataset: "Dataset", model: str, rows: Sequence[int]) -> tuple[float, ...]:
    table = np.array([dataset.entropy(row, model) for row in rows])
    known = np.isfinite(table)
    counts = known.sum(axis=0)
    # Not nanmean, which warns where a column has no number at all.
    sums = np.where(known, table, 0.0).sum(axis=0)
    return tuple(
        float(total / count) if count else float("nan")
        for total, count in zip(sums, counts, strict=True)
    )
