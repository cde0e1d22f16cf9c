"""Trajectories whose truth is planted: variances, times and wells that analyses must find again.

A state is a sum of parts, each a random direction in D dimensions, scaled to length 1:

    x(run, t) = sqrt(1 - v) · centre + generator + captioner + their interaction + seed
              + prompt · a(t) + own · sqrt(1 - a(t)²) + prompt-by-network
              + offset of the run + theme(t) + well(t) + noise(t)

Every part has a variance in units of cosine distance: two states that differ by one part alone are
that far apart in the mean, and v is the sum of all. The theme is an Ornstein-Uhlenbeck process with
correlation time `tau` that begins at the prompt; a(t)² = exp(-t / memory_tau) is the share of the
prompt that is left, the rest is the run's own.
"""

import math
from dataclasses import dataclass, replace
from typing import Any

from panic_hpc.errors import PanicError

MOST = {"prompts": 10**6, "networks": 10**5, "runs": 10**6, "states": 10**6, "dimensions": 10**5,
        "group_size": 10**6, "n_runs": 10**6}  # fmt: skip
"""The largest of each number: more is no experiment, and would be allocated before it is seen."""


@dataclass(frozen=True)
class Planted:
    """What is planted. Variances are cosine distances, times are states.

    prompts, networks, runs   numbers; runs is that of a prompt in a network, each with its seed
    states       of each run
    dimensions   of the embedding
    captioners   networks are generators crossed with captioners; 0: as square as may be
    noise        of each state anew
    theme, tau   variance and correlation time of what wanders
    offset       of a run, lasting
    gap          between prompts
    memory_tau   in which the prompt is forgotten; inf: never
    group_size   prompts of one paraphrase group; 1: no groups
    likeness     share of the gap that paraphrases have in common
    generator, captioner, interaction, crossed, seed_effect
                 between generators, captioners, combinations of both, prompts by network, seeds
    wells        number of shared wells, 0: none
    depth        variance between wells
    escape       mean states in a well; inf: for ever
    missing      share of runs that have no states
    dispersion   factor of `offset` in the first generator
    embeds_prompts   whether prompts are embedded too
    seed         of all that is drawn
    """

    prompts: int = 20
    networks: int = 4
    runs: int = 4
    states: int = 300
    dimensions: int = 128
    captioners: int = 0
    noise: float = 0.034
    theme: float = 0.16
    tau: float = 40.0
    offset: float = 0.06
    gap: float = 0.19
    memory_tau: float = math.inf
    group_size: int = 1
    likeness: float = 0.8
    generator: float = 0.02
    captioner: float = 0.06
    interaction: float = 0.01
    crossed: float = 0.0
    seed_effect: float = 0.0
    wells: int = 0
    depth: float = 0.15
    escape: float = math.inf
    missing: float = 0.0
    dispersion: float = 1.0
    embeds_prompts: bool = True
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("prompts", "networks", "runs", "states", "dimensions", "group_size"):
            if getattr(self, name) < 1:
                raise PanicError(f"{name} is {getattr(self, name)}, at least 1 was expected")
        for name, most in MOST.items():
            if getattr(self, name) > most:
                told = "networks by prompts by runs" if name == "n_runs" else name
                raise PanicError(f"{told} is {getattr(self, name)}, at most {most:,} was expected")
        for name in ("tau", "escape", "memory_tau"):
            if not getattr(self, name) > 0:
                raise PanicError(f"{name} is {getattr(self, name)}, more than 0 was expected")
        if not 0 <= self.missing < 1:
            raise PanicError(f"missing is {self.missing}, a share below 1 was expected")
        if self.captioners and self.networks % self.captioners:
            raise PanicError(f"{self.networks} networks are no multiple of {self.captioners}")
        if self.spread >= 1:
            raise PanicError(
                f"The variances sum up to {self.spread:g}; cosine distances need less than 1"
            )

    @property
    def n_captioners(self) -> int:
        """Number of captioners."""
        if self.captioners:
            return self.captioners
        root = math.isqrt(self.networks)
        return next(n for n in range(root, 0, -1) if self.networks % n == 0)

    @property
    def n_runs(self) -> int:
        """Number of runs."""
        return self.networks * self.prompts * self.runs

    @property
    def nbytes(self) -> int:
        """About how large its dataset is: a vector and a caption a state."""
        return self.n_runs * self.states * (4 * self.dimensions + 100)

    @property
    def spread(self) -> float:
        """The sum of all variances."""
        well = self.depth if self.wells else 0.0
        between = self.generator + self.captioner + self.interaction + self.seed_effect
        own = self.offset * max(1.0, self.dispersion)
        return between + self.gap + self.crossed + own + self.theme + well + self.noise

    def run(self, number: int) -> tuple[int, int, int]:
        """Return a run's network, prompt and seed, by number: seeds vary fastest."""
        network, rest = divmod(number, self.prompts * self.runs)
        return network, rest // self.runs, rest % self.runs

    def models(self, network: int) -> tuple[int, int]:
        """Return the generator and captioner of a network, by number."""
        return divmod(network, self.n_captioners)

    def truth(self) -> dict[str, float]:
        """Return what analyses should find, as the first table of all defines it."""
        late = self.theme + self.offset
        kept = math.exp(-0.875 * self.states / self.memory_tau)
        gap = (self.gap + self.crossed) * kept
        own = late + (self.gap * (1 - kept))
        stranger = own + gap
        first = self.theme * (1 - math.exp(-1 / self.tau))
        return {
            "step_length": self.noise + first,
            "noise": self.noise,
            "noise_share": self.noise / (self.noise + first),
            "accumulation": first,
            "own_offset": own,
            "gap": gap,
            "memory": gap / stranger if stranger else math.nan,
            "tau": self.tau,
        }


def generator_name(number: int) -> str:
    """Return a generator's name."""
    return f"SimulatedPainter{number + 1}"


def captioner_name(number: int) -> str:
    """Return a captioner's name."""
    return f"SimulatedTeller{number + 1}"


def prompt_text(number: int) -> str:
    """Return a prompt's text."""
    return f"simulated prompt {number + 1}"


def group_name(planted: Planted, prompt: int) -> str:
    """Return a prompt's paraphrase group, "" where there are none."""
    return f"group {prompt // planted.group_size + 1}" if planted.group_size > 1 else ""


def without(planted: Planted, *parts: str) -> Planted:
    """Return what is planted with some of its variances set to zero: a null."""
    changes: dict[str, Any] = dict.fromkeys(parts, 0.0)
    return replace(planted, **changes)
