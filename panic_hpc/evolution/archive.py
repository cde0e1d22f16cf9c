"""MAP-Elites: the best of each kind, where a kind is a cell of a grid over measures.

Mouret and Clune 2015, without their own loop: what is kept follows from all that was ever seen, in
whatever order, so that nothing but the rounds has to be stored.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

Cell = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Specimen:
    """An individual as a round found it.

    fitness: larger is better, however the measure is read; None where no run has a value.
    descriptors: values of the measures that say its kind, None where there is none.
    """

    id: str
    round: int
    place: int
    fitness: float | None
    descriptors: tuple[float | None, ...]


def archive_of(
    specimens: Iterable[Specimen], edges: Sequence[Sequence[float]]
) -> Mapping[Cell, Specimen]:
    """Return the best of each cell, by cell; of equals the earliest.

    `edges` are the limits between the cells of each descriptor, ascending: a value on a limit is
    above it. What lacks a value or a descriptor is in no cell.
    """
    best: dict[Cell, Specimen] = {}
    for one in sorted(specimens, key=lambda one: (one.round, one.place, one.id)):
        cell = cell_of(one.descriptors, edges)
        if cell is None or one.fitness is None:
            continue
        rival = best.get(cell)
        if rival is None or rival.fitness is None or one.fitness > rival.fitness:
            best[cell] = one
    return dict(sorted(best.items()))


def cell_of(descriptors: Sequence[float | None], edges: Sequence[Sequence[float]]) -> Cell | None:
    """Return the cell of descriptors, None where one has no value."""
    cell = []
    for value, limits in zip(descriptors, edges, strict=True):
        if value is None or not np.isfinite(value):
            return None
        cell.append(int(np.searchsorted(limits, value, side="right")))
    return tuple(cell)
