"""From experiment to shards: a pure function, and the plan it gives."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from panic_hpc.catalogue import Catalogue, Resolved, resolve
from panic_hpc.chaining import chaining_problems
from panic_hpc.config import MAX_RUNS, UNSEEDED, Experiment, NetworkConfig
from panic_hpc.errors import ConfigError
from panic_hpc.experiment_file import load_experiment
from panic_hpc.keys import content_key, hash_seed, run_key
from panic_hpc.problems import at_most
from panic_hpc.types import ModelSpec, Noise, Prompt, Run

DEFAULT_TARGET_MINUTES = 60.0
MAX_RUN_SHARDS = 100_000


@dataclass(frozen=True, slots=True)
class PlanOptions:
    """How many runs a shard holds: as told, or as many as `target_minutes` allow by cost estimate.

    `layout` is that of an existing manifest, one number a network; it goes before the others.
    """

    runs_per_shard: int | None = None
    target_minutes: float | None = None
    layout: tuple[int, ...] = ()

    @property
    def is_default(self) -> bool:
        """Whether the user left the layout open."""
        return self.runs_per_shard is None and self.target_minutes is None


@dataclass(frozen=True, slots=True)
class Seed:
    """A run's seed, and whether it was drawn for an unseeded run (which has per-step noise)."""

    value: int
    unseeded: bool


@dataclass(frozen=True, slots=True)
class Network:
    """A network as planned; its runs are `first_run` and the `n_runs - 1` after it.

    `noise` is that of its seeded runs. Shards are whole numbers of `block` runs, at most
    `runs_per_shard`.
    """

    index: int
    models: tuple[ModelSpec, ...]
    key: str
    first_run: int
    n_runs: int
    block: int
    runs_per_shard: int
    noise: Noise
    loop_stop: bool
    max_length: int


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

    `seconds` is a rough cost of one item for every model by name, on the hardware its entry names.
    """

    experiment: Experiment
    prompts: tuple[Prompt, ...]
    seeds: tuple[Seed, ...]
    networks: tuple[Network, ...]
    embedding_models: tuple[ModelSpec, ...]
    seconds: Mapping[str, float]

    @property
    def n_runs(self) -> int:
        """Networks × prompts × seeds."""
        return len(self.networks) * len(self.prompts) * len(self.seeds)

    @property
    def n_invocations(self) -> int:
        """Model calls counted per run; loops that stop a run early make it fewer."""
        return self.n_runs * self.experiment.max_length

    @property
    def specs(self) -> tuple[ModelSpec, ...]:
        """Every model once, in order of appearance."""
        models = [model for network in self.networks for model in network.models]
        return tuple({model.name: model for model in (*models, *self.embedding_models)}.values())

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

    def run(self, index: int) -> Run:
        """Return the run at `index`; IndexError outside [0, n_runs)."""
        if not 0 <= index < self.n_runs:
            raise IndexError(f"run {index} of {self.n_runs}")
        return next(self.runs(index, 1))

    def runs(self, first: int = 0, count: int | None = None) -> Iterator[Run]:
        """Yield `count` runs from `first` on (all that follow, where None), in order."""
        stop = self.n_runs if count is None else min(first + count, self.n_runs)
        per_network = len(self.prompts) * len(self.seeds)
        for index in range(first, stop):
            network = self.networks[index // per_network]
            prompt, seed_index = divmod(index % per_network, len(self.seeds))
            seed = self.seeds[seed_index]
            noise: Noise = "per_step" if seed.unseeded else network.noise
            key = run_key(network.key, self.prompts[prompt].text, seed.value, noise)
            yield Run(index, key, network.index, prompt, seed.value, noise)


def plan_file(path: Path, catalogue: Catalogue, options: PlanOptions = PlanOptions()) -> Plan:
    """Lay out the experiment in a file; one ConfigError with all that is wrong in it."""
    found: list[Resolved] = []

    def check(experiment: Experiment) -> list[str]:
        found.append(resolve(experiment, catalogue))
        return _model_problems(experiment, found[0])

    experiment = load_experiment(path, check)
    return lay_out(experiment, found[0], options)


def make_plan(
    experiment: Experiment, catalogue: Catalogue, options: PlanOptions = PlanOptions()
) -> Plan:
    """Lay an experiment out; ConfigError with all that its models and sizes have wrong.

    Reads the local folders of models to digest them, and nothing else.
    """
    resolved = resolve(experiment, catalogue)
    if problems := _model_problems(experiment, resolved):
        raise ConfigError(_named(experiment), at_most(problems))
    return lay_out(experiment, resolved, options)


def lay_out(experiment: Experiment, resolved: Resolved, options: PlanOptions) -> Plan:
    """Return the plan of an experiment whose models are known; ConfigError where it is too large."""
    seeds = expand_seeds(experiment)
    networks = _networks(experiment, resolved, len(seeds), options)
    embedding_models = tuple(resolved.specs[name] for name in experiment.embedding_models)
    prompts = experiment.prompts
    plan = Plan(experiment, prompts, seeds, networks, embedding_models, resolved.seconds)
    if problems := _size_problems(plan):
        raise ConfigError(_named(experiment), problems)
    return plan


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


def network_key(models: Sequence[ModelSpec], experiment: Experiment) -> str:
    """Return the key of what decides a network's runs, given prompt, seed and noise."""
    return content_key(
        {
            "models": [model.identity() for model in models],
            "max_length": experiment.max_length,
            "loop_stop": experiment.loop_stop,
            "codec": experiment.images.codec,
            "keep_every": experiment.images.keep_every,
        }
    )


def _named(experiment: Experiment) -> str:
    return f"experiment {experiment.name!r}" if experiment.name else "the experiment"


def _model_problems(experiment: Experiment, resolved: Resolved) -> list[str]:
    return [*resolved.problems, *chaining_problems(experiment, resolved.specs)]


def _networks(
    experiment: Experiment, resolved: Resolved, n_seeds: int, options: PlanOptions
) -> tuple[Network, ...]:
    n_runs = len(experiment.prompts) * n_seeds
    return tuple(
        _network(index, config, n_runs, experiment, resolved, options)
        for index, config in enumerate(experiment.networks)
    )


def _network(
    index: int,
    config: NetworkConfig,
    n_runs: int,
    experiment: Experiment,
    resolved: Resolved,
    options: PlanOptions,
) -> Network:
    models = tuple(resolved.specs[name] for name in config.models)
    block = math.lcm(*(model.batch_size for model in models))
    seconds = _seconds_per_run(config.models, experiment.max_length, resolved.seconds)
    return Network(
        index=index,
        models=models,
        key=network_key(models, experiment),
        first_run=index * n_runs,
        n_runs=n_runs,
        block=block,
        runs_per_shard=_runs_per_shard(index, block, seconds, options),
        noise=config.noise or experiment.noise,
        loop_stop=experiment.loop_stop,
        max_length=experiment.max_length,
    )


def _seconds_per_run(names: Sequence[str], max_length: int, seconds: Mapping[str, float]) -> float:
    rounds, rest = divmod(max_length, len(names))
    each = [seconds[name] for name in names]
    return rounds * sum(each) + sum(each[:rest])


def _runs_per_shard(index: int, block: int, seconds: float, options: PlanOptions) -> int:
    """Return whole blocks: as many as the target allows, or as few as hold the runs asked for."""
    if options.layout:
        return options.layout[index]
    if options.runs_per_shard is not None:
        return math.ceil(options.runs_per_shard / block) * block
    minutes = options.target_minutes or DEFAULT_TARGET_MINUTES
    blocks = min(minutes * 60 / (seconds * block), MAX_RUNS)
    return max(1, int(blocks)) * block


def _size_problems(plan: Plan) -> list[str]:
    if plan.n_runs > MAX_RUNS:
        return [f"{plan.n_runs} runs (networks × prompts × seeds): at most {MAX_RUNS} are planned"]
    n_shards = sum(math.ceil(network.n_runs / network.runs_per_shard) for network in plan.networks)
    if n_shards > MAX_RUN_SHARDS:
        what = f"{n_shards} shards of runs: at most {MAX_RUN_SHARDS} are planned"
        return [f"{what}; raise --runs-per-shard or --target-minutes"]
    return []
