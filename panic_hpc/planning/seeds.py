"""The seeds of an experiment's runs: as written, or drawn by hashing where upstream has none."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count

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
    collide, so that more unseeded runs never change the ones before.
    """
    written = experiment.seeds or (UNSEEDED,) * (experiment.seed_count or experiment.num_runs or 1)
    # A draw that is also written as a seed would give two runs of per-step noise one key.
    taken = set(written)
    draws = _unseeded_draws(taken)
    return tuple(
        Seed(next(draws), unseeded=True) if seed == UNSEEDED else Seed(seed, unseeded=False)
        for seed in written
    )


def _unseeded_draws(taken: set[int]) -> Iterator[int]:
    """Yield seeds that are not in `taken`, and put each there."""
    for k in count():
        value, attempt = hash_seed("unseeded", k), 0
        while value in taken:
            attempt += 1
            value = hash_seed("unseeded", k, attempt)
        taken.add(value)
        yield value
