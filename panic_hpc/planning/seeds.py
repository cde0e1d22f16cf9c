"""The seeds of an experiment's runs: as written, or drawn by hashing where upstream has none."""

from dataclasses import dataclass

from panic_hpc.experiment.config import Experiment
from panic_hpc.experiment.entries import UNSEEDED
from panic_hpc.keys import hash_seed


@dataclass(frozen=True, slots=True)
class Seed:
    """A run's seed, and whether it was drawn for an unseeded run (which has per-step noise)."""

    value: int
    unseeded: bool


def expand_seeds(experiment: Experiment) -> tuple[Seed, ...]:
    """Return the seeds of every prompt: as written, or drawn by hashing for unseeded runs.

    The k-th unseeded run has hash_seed("unseeded", k), or the next free draw where 32 bits
    collide, so that more seeds never change the ones before.
    """
    written = experiment.seeds or (UNSEEDED,) * (experiment.seed_count or experiment.num_runs or 1)
    taken: set[int] = set()
    seeds = []
    for seed in written:
        if seed == UNSEEDED:
            value = _unseeded(len(taken), taken)
            taken.add(value)
            seeds.append(Seed(value, unseeded=True))
        else:
            seeds.append(Seed(seed, unseeded=False))
    return tuple(seeds)


def _unseeded(k: int, taken: set[int]) -> int:
    value = hash_seed("unseeded", k)
    attempt = 1
    while value in taken:
        value = hash_seed("unseeded", k, attempt)
        attempt += 1
    return value
