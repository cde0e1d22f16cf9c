"""What became of a series: values beside the control, diversity, and who descends of whom."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from panic_hpc.evolution.driving import Generation
from panic_hpc.evolution.genome import Chromosome, Individual
from panic_hpc.evolution.rounds import BRED, CONTROL, Ranked


@dataclass(frozen=True, slots=True)
class RoundSummary:
    """A round that is ranked.

    mean, best: of the values of the bred individuals; control: the control's mean, None without.
    best_id: the best of them.
    n_individuals, n_without: bred, and those of them without a value.
    n_runs, n_failed, n_silent: of both populations: runs, those without a value, expressions
        without a word.
    n_loci: different loci that are on in the bred population.
    likeness: of two of them, the mean Jaccard index of their loci; nan of fewer than two.
    """

    number: int
    mean: float | None
    best: float | None
    best_id: str
    control: float | None
    n_individuals: int
    n_without: int
    n_runs: int
    n_failed: int
    n_silent: int
    n_loci: int
    likeness: float


def summaries(
    rounds: Iterable[Generation], chromosomes: Sequence[Chromosome]
) -> list[RoundSummary]:
    """Return what became of each round that is ranked, in order."""
    return [_summary(one, chromosomes) for one in rounds if one.ranking]


def _summary(found: Generation, chromosomes: Sequence[Chromosome]) -> RoundSummary:
    assert found.ranking is not None
    own, control = found.ranking.of(BRED), found.ranking.of(CONTROL)
    everybody = {one.id: one for one in (*own, *control)}.values()
    n_loci, likeness = diversity(found.people[BRED], chromosomes)
    return RoundSummary(
        number=found.number,
        mean=_mean(own),
        best=own[0].value,
        best_id=own[0].id,
        control=_mean(control),
        n_individuals=len(own),
        n_without=sum(one.value is None for one in own),
        n_runs=sum(one.n_runs for one in everybody),
        n_failed=sum(one.n_failed for one in everybody),
        n_silent=sum(one.n_silent for one in everybody),
        n_loci=n_loci,
        likeness=likeness,
    )


def _mean(ranked: Sequence[Ranked]) -> float | None:
    known = [one.value for one in ranked if one.value is not None]
    return float(np.mean(known)) if known else None


def diversity(people: Sequence[Individual], chromosomes: Sequence[Chromosome]) -> tuple[int, float]:
    """Return how many loci are on in any of some individuals, and how alike two of them are.

    That is the mean over pairs of the Jaccard index of their loci, on in any copy; of two without
    any locus it is 1.
    """
    is_on = np.array(
        [
            np.concatenate([one.switches(chromosome).any(axis=0) for chromosome in chromosomes])
            for one in people
        ],
        float,
    )
    shared = is_on @ is_on.T
    either = is_on.sum(axis=1)[:, None] + is_on.sum(axis=1) - shared
    alike = np.divide(shared, either, out=np.ones_like(shared), where=either > 0)
    pairs = alike[np.triu_indices(len(people), 1)]
    return int(is_on.any(axis=0).sum()), float(pairs.mean()) if len(pairs) else float("nan")


@dataclass(frozen=True, slots=True)
class Kin:
    """An individual in its family: the round that it was born in, and its parents' ids."""

    id: str
    born: int
    parents: tuple[str, ...]
    value: float | None


def kin_of(rounds: Sequence[Generation], arms: Sequence[str] = (BRED,)) -> Mapping[str, Kin]:
    """Return everybody that rounds know of by id, parents before children.

    An individual's value is its first round's; those that are known as parents alone have none.
    """
    found: dict[str, Kin] = {}
    for one in rounds:
        for arm in arms:
            ranking = one.ranking.of(arm) if one.ranking else ()
            values = {own.id: own.value for own in ranking}
            for individual in one.people[arm]:
                parents = tuple(parent.id for parent in individual.parents)
                for parent in parents:
                    found.setdefault(parent, Kin(parent, one.number - 1, (), None))
                kin = Kin(individual.id, one.number, parents, values.get(individual.id))
                found.setdefault(individual.id, kin)
    return found


def ancestors(kin: Mapping[str, Kin], name: str) -> set[str]:
    """Return an individual's ancestors, itself among them."""
    found: set[str] = set()
    left = [name]
    while left:
        one = left.pop()
        if one not in found:
            found.add(one)
            left += kin[one].parents
    return found
