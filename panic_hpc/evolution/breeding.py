"""Breeding: who becomes a parent, what children inherit, and what mutates.

Parents are drawn one after another without replacement, by weights of their rank. Each gives one
copy of each chromosome, so that a child has as many copies as it has parents.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from panic_hpc.evolution.expression import generator
from panic_hpc.evolution.genome import (
    Chromosome,
    Individual,
    Mutation,
    Parent,
    Switches,
    copies_of,
)

Selection = Literal["reciprocal", "softmax", "random"]
Stretches = tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Breeding:
    """How a population follows from the one before.

    size: individuals of a population.
    parents: the best ones, of which parents are drawn; for the random control, all.
    parents_per_child: and copies of a child.
    selection: weights by rank r = 1, 2, …: 1/r; exp(-r/temperature); or 1.
    temperature: of softmax, in ranks.
    mutation_rate: the probability of each locus of each copy to switch at birth.
    crossover_rate: the probability between neighbouring loci that what a parent gives goes on in
        another of its copies; 0 gives whole copies.
    elite: the best ones, which go on as they are.
    """

    size: int
    parents: int
    parents_per_child: int = 2
    selection: Selection = "softmax"
    temperature: float = 2.0
    mutation_rate: float = 0.0
    crossover_rate: float = 0.0
    elite: int = 0


def bred(
    ranked: Sequence[Individual],
    chromosomes: Sequence[Chromosome],
    how: Breeding,
    seed: int,
    number: int,
    prefix: str = "r",
) -> tuple[Individual, ...]:
    """Return the population of round `number` from the one before, the best first.

    Pure: chance is (seed, round, place of the child), so that no child depends on another. Under
    random selection rank means nothing: elite and parents are any.
    """
    is_random = how.selection == "random"
    purpose = f"{how.selection} {prefix}"
    pool = list(ranked)
    if is_random:
        # The order of names, so that rank decides nothing, not even ties.
        pool.sort(key=lambda one: one.id)
        order = generator(f"{purpose} elite", seed, number).permutation(len(pool))
        pool = [pool[k] for k in order]
    mates = pool if is_random else pool[: how.parents]
    children = []
    for place in range(how.size - how.elite):
        draw = generator(f"{purpose} child", seed, number, place)
        chosen = drawn_parents(len(mates), how, draw)
        children.append(
            child_of(
                [mates[k] for k in chosen], f"{prefix}{number}-{place:03d}", chromosomes, how, draw
            )
        )
    return (*pool[: how.elite], *children)


def log_weights(n: int, selection: Selection, temperature: float) -> NDArray[np.float64]:
    """Return the logarithms of the weights of n ranks, but for a constant."""
    places = np.arange(n, dtype=float)
    by = {"reciprocal": -np.log1p(places), "softmax": -places / temperature}
    return np.asarray(by.get(selection, np.zeros(n)))


def drawn_parents(n: int, how: Breeding, draw: np.random.Generator) -> list[int]:
    """Return the ranks of distinct parents of n, in the order in which they were drawn.

    The largest of log weights with Gumbel noise: successive draws without replacement, for weights
    too unequal to be written as numbers too (Yellott 1977).
    """
    noisy = log_weights(n, how.selection, how.temperature) + draw.gumbel(size=n)
    return [int(k) for k in np.argsort(-noisy, kind="stable")[: how.parents_per_child]]


def child_of(
    parents: Sequence[Individual],
    name: str,
    chromosomes: Sequence[Chromosome],
    how: Breeding,
    draw: np.random.Generator,
) -> Individual:
    """Return a child: a copy of each chromosome of each parent, and then mutations."""
    copies, mutations = {}, []
    gave: list[dict[str, Stretches]] = [{} for _ in parents]
    for chromosome in chromosomes:
        rows = []
        for parent, given in zip(parents, gave, strict=True):
            own = parent.switches(chromosome)
            row, given[chromosome.name] = _gift(own, how.crossover_rate, draw)
            rows.append(row)
        switches = np.array(rows)
        flips = draw.random(switches.shape) < how.mutation_rate
        copies[chromosome.name] = copies_of(chromosome, switches ^ flips)
        mutations += _mutations(chromosome, switches, flips)
    return Individual(
        id=name,
        copies=copies,
        parents=tuple(
            Parent(id=one.id, gave=given) for one, given in zip(parents, gave, strict=True)
        ),
        mutations=tuple(mutations),
    )


def _gift(
    own: Switches, crossover_rate: float, draw: np.random.Generator
) -> tuple[NDArray[np.bool_], Stretches]:
    """Return what a parent with these copies gives of a chromosome, and from which copies."""
    n_copies, n_loci = own.shape
    copy = int(draw.integers(n_copies))
    stretches = [(0, copy)]
    if n_copies > 1 and crossover_rate > 0:
        crossings = np.flatnonzero(draw.random(n_loci - 1) < crossover_rate) + 1
        for place in crossings.tolist():
            # Any other copy than the one before.
            copy = (copy + 1 + int(draw.integers(n_copies - 1))) % n_copies
            stretches.append((place, copy))
    source = np.zeros(n_loci, int)
    for place, copy in stretches:
        source[place:] = copy
    return own[source, np.arange(n_loci)], tuple(stretches)


def _mutations(chromosome: Chromosome, before: Switches, flips: Switches) -> list[Mutation]:
    return [
        Mutation(
            chromosome=chromosome.name,
            of_copy=int(copy),
            locus=chromosome.loci[locus],
            to="off" if before[copy, locus] else "on",
        )
        for copy, locus in np.argwhere(flips)
    ]


def founders(
    chromosomes: Sequence[Chromosome], size: int, n_copies: int, density: float, seed: int
) -> tuple[Individual, ...]:
    """Return individuals by chance: each locus of each copy is on with probability `density`."""
    return tuple(_founder(chromosomes, place, n_copies, density, seed) for place in range(size))


def _founder(
    chromosomes: Sequence[Chromosome], place: int, n_copies: int, density: float, seed: int
) -> Individual:
    draw = generator("founder", seed, place)
    copies = {
        one.name: copies_of(one, draw.random((n_copies, len(one.loci))) < density)
        for one in chromosomes
    }
    return Individual(id=f"founder-{place:03d}", copies=copies)
