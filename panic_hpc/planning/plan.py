"""From experiment to shards: a pure function, and the plan it gives."""

import math
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Any

from panic_hpc import installed
from panic_hpc.errors import ConfigError
from panic_hpc.experiment.catalogue import Catalogue
from panic_hpc.experiment.chaining import chaining_problems
from panic_hpc.experiment.config import MAX_RUNS, Experiment
from panic_hpc.experiment.experiment_file import load_experiment
from panic_hpc.experiment.resolution import NO_COMMITS, Commits, Resolved, resolve
from panic_hpc.experiment.stage_settings import with_stage_tables
from panic_hpc.experiment.sweep import sweep, without_repeated_cells
from panic_hpc.experiment.tables import NOTHING
from panic_hpc.keys import run_key
from panic_hpc.models.base import is_repeatable
from panic_hpc.planning.networks import Network, PlanOptions, plan_networks, prompt_problems
from panic_hpc.planning.seeds import Seed, expand_seeds
from panic_hpc.types import ModelSpec, Noise, Prompt, Run
from panic_hpc.validation.problems import at_most

__all__ = ["Network", "Plan", "PlanOptions", "RunShard", "lay_out", "make_plan", "plan_file"]

# Every shard is a file for each stage and embedding model; file systems of clusters and `status`
# suffer beyond.
MAX_RUN_SHARDS = 100_000
DEFAULT = PlanOptions()


@dataclass(frozen=True, slots=True)
class RunShard:
    """Consecutive runs of one network (by its index), worked on and published together."""

    index: int
    network: int
    first_run: int
    n_runs: int


@dataclass(frozen=True)
class Plan:
    """An experiment laid out; nothing is stored per run, keys are computed where they are needed.

    `seconds` is a rough cost of one item for every model by name, on the hardware its entry names;
    `stage_models` are the models that a stage is told to use, by stage.
    """

    experiment: Experiment
    prompts: tuple[Prompt, ...]
    seeds: tuple[Seed, ...]
    networks: tuple[Network, ...]
    embedding_models: tuple[ModelSpec, ...]
    seconds: Mapping[str, float]
    stage_models: Mapping[str, tuple[ModelSpec, ...]]

    @property
    def n_runs(self) -> int:
        """The number of networks times prompts times seeds, where networks run all prompts."""
        return sum(network.n_runs for network in self.networks)

    @property
    def n_invocations(self) -> int:
        """Model calls counted per run; loops that stop a run early make it fewer."""
        return self.n_runs * self.experiment.max_length

    @property
    def specs(self) -> tuple[ModelSpec, ...]:
        """Every model once, in order of appearance."""
        models = [model for network in self.networks for model in network.models]
        models += [*self.embedding_models, *chain(*self.stage_models.values())]
        return tuple({model.name: model for model in models}.values())

    @property
    def not_repeatable(self) -> tuple[str, ...]:
        """The names of models that may give another output when they are asked again."""
        families = installed.plugins("families")
        return tuple(spec.name for spec in self.specs if not is_repeatable(families, spec))

    @cached_property
    def run_shards(self) -> tuple[RunShard, ...]:
        """The shards of the runs stage, in order of their runs."""
        places = [
            (network, start)
            for network in self.networks
            for start in range(0, network.n_runs, network.runs_per_shard)
        ]
        return tuple(
            RunShard(
                index,
                network.index,
                network.first_run + start,
                min(network.runs_per_shard, network.n_runs - start),
            )
            for index, (network, start) in enumerate(places)
        )

    def noises(self, network: Network) -> tuple[Noise, ...]:
        """Return the noises of a network's runs: its own for seeded ones, per step for others."""
        kinds = sorted(self._seed_kinds)
        return tuple(dict.fromkeys("per_step" if kind else network.noise for kind in kinds))

    @cached_property
    def _seed_kinds(self) -> frozenset[bool]:
        return frozenset(seed.unseeded for seed in self.seeds)

    def run(self, index: int) -> Run:
        """Return the run at `index`; IndexError outside [0, n_runs)."""
        if not 0 <= index < self.n_runs:
            raise IndexError(f"run {index} of {self.n_runs}")
        return next(self.runs(index, 1))

    def runs(self, first: int = 0, count: int | None = None) -> Iterator[Run]:
        """Yield `count` runs from `first` on (all that follow, where None), in order."""
        stop = self.n_runs if count is None else min(first + count, self.n_runs)
        place = bisect_right(self.networks, first, key=lambda one: one.first_run) - 1
        for index in range(first, stop):
            if index >= self.networks[place].first_run + self.networks[place].n_runs:
                place += 1
            network = self.networks[place]
            prompt, seed_index = divmod(index - network.first_run, len(self.seeds))
            prompt = prompt if network.prompts is None else network.prompts[prompt]
            seed = self.seeds[seed_index]
            # One fixed seed for unseeded runs would find loops that upstream, which drew anew,
            # never had.
            noise: Noise = "per_step" if seed.unseeded else network.noise
            asked = self.prompts[prompt]
            key = run_key(network.key, asked.text, seed.value, noise, asked.pictures)
            yield Run(index, key, network.index, prompt, seed.value, noise)


def plan_file(
    path: Path,
    catalogue: Catalogue,
    options: PlanOptions = DEFAULT,
    extra: Mapping[str, Any] = NOTHING,
    commits: Commits = NO_COMMITS,
) -> Plan:
    """Lay out the experiment in a file; one ConfigError with all that is wrong in it.

    `extra` has keys that go before those of the file, `commits` what a lock says of models without
    a revision.
    """
    # Kept from the check: resolving digests local folders, gigabytes that need not be read twice.
    found: list[tuple[Experiment, Resolved]] = []

    def check(experiment: Experiment) -> list[str]:
        whole, resolved, problems = _swept_and_resolved(experiment, catalogue, commits)
        found.append((whole, resolved))
        return problems

    load_experiment(path, check, extra)
    return lay_out(*found[0], options)


def make_plan(experiment: Experiment, catalogue: Catalogue, options: PlanOptions = DEFAULT) -> Plan:
    """Lay an experiment out; ConfigError with all that its models and sizes have wrong.

    Reads the local folders of models to digest them, and nothing else.
    """
    tables, problems = with_stage_tables({"stages": experiment.stages})
    experiment = experiment.model_copy(update={"stages": tables.get("stages", {})})
    experiment, resolved, found = _swept_and_resolved(experiment, catalogue, NO_COMMITS)
    if problems := [*problems, *found]:
        raise ConfigError(_named(experiment), at_most(problems))
    return lay_out(experiment, resolved, options)


def lay_out(experiment: Experiment, resolved: Resolved, options: PlanOptions) -> Plan:
    """Return the plan of an experiment of known models; ConfigError where it is too large."""
    seeds = expand_seeds(experiment)
    networks = plan_networks(experiment, resolved, len(seeds), options)
    embedding_models = tuple(resolved.specs[name] for name in experiment.embedding_models)
    prompts = experiment.prompts
    stage_models = {
        stage: tuple(resolved.specs[name] for name in names)
        for stage, names in experiment.stage_models.items()
    }
    plan = Plan(
        experiment, prompts, seeds, networks, embedding_models, resolved.seconds, stage_models
    )
    if problems := _size_problems(plan):
        raise ConfigError(_named(experiment), problems)
    return plan


def _named(experiment: Experiment) -> str:
    return f"experiment {experiment.name!r}" if experiment.name else "the experiment"


def _swept_and_resolved(
    experiment: Experiment, catalogue: Catalogue, commits: Commits
) -> tuple[Experiment, Resolved, list[str]]:
    """Return an experiment, its sweeps laid out, its models, and all that is wrong with both."""
    swept = sweep(experiment, catalogue)
    resolved = resolve(swept.experiment, catalogue, commits)
    problems = [*swept.problems, *swept.told(resolved.problems)]
    experiment, resolved = without_repeated_cells(swept, resolved)
    problems += [*chaining_problems(experiment, resolved.specs), *prompt_problems(experiment)]
    for name in experiment.stages:
        if stage := installed.plugins("stages").get(name):
            problems += stage.problems(experiment, resolved.specs)
    return experiment, resolved, problems


def _size_problems(plan: Plan) -> list[str]:
    if plan.n_runs > MAX_RUNS:
        return [f"{plan.n_runs} runs, over all networks, prompts and seeds: at most {MAX_RUNS}"]
    n_shards = sum(math.ceil(network.n_runs / network.runs_per_shard) for network in plan.networks)
    if n_shards > MAX_RUN_SHARDS:
        what = "raise --runs-per-shard or --target-minutes"
        return [f"{n_shards} shards of runs: at most {MAX_RUN_SHARDS}; {what}"]
    return []
