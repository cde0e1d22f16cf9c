"""Networks as planned: their keys, their runs, and how many of these a shard holds."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from panic_hpc.experiment.config import MAX_RUNS, Experiment, NetworkConfig
from panic_hpc.experiment.resolution import Resolved
from panic_hpc.keys import content_key
from panic_hpc.types import ModelSpec, Noise

DEFAULT_TARGET_MINUTES = 60.0


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
class Network:
    """A network as planned; its runs are `first_run` and the `n_runs - 1` after it.

    `noise` is that of its seeded runs, `prompts` the numbers of those that it runs, None for all.
    Shards are whole numbers of `block` runs, at most
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
    prompts: tuple[int, ...] | None = None

    @property
    def reached(self) -> tuple[ModelSpec, ...]:
        """The models that runs get to: all but those behind the end of a run."""
        return self.models[: self.max_length]


def longest_shard_minutes(networks: Sequence[Network], seconds: Mapping[str, float]) -> float:
    """Return how long the costliest shard of runs takes, by the models' seconds an item."""
    return max(
        min(network.runs_per_shard, network.n_runs)
        * _seconds_per_run([model.name for model in network.models], network.max_length, seconds)
        for network in networks
    ) / 60  # fmt: skip


def plan_networks(
    experiment: Experiment, resolved: Resolved, n_seeds: int, options: PlanOptions
) -> tuple[Network, ...]:
    """Return the networks of an experiment, each with as many runs as its prompts times seeds."""
    n_runs = [
        n_seeds * len(experiment.prompts if config.prompts is None else config.prompts)
        for config in experiment.networks
    ]
    return tuple(
        _network(index, config, (sum(n_runs[:index]), n_runs[index]), experiment, resolved, options)
        for index, config in enumerate(experiment.networks)
    )


def prompt_problems(experiment: Experiment) -> list[str]:
    """Return what is wrong with the prompts that networks name by their numbers."""
    n_prompts = len(experiment.prompts)
    told = []
    for index, config in enumerate(experiment.networks):
        numbers = config.prompts or ()
        if list(numbers) != sorted(set(numbers)):
            told.append(f"networks[{index}].prompts: each once and in ascending order was expected")
        elif numbers and numbers[-1] >= n_prompts:
            last = f"networks[{index}].prompts: there is no prompt number {numbers[-1]}"
            told.append(f"{last}; there are {n_prompts}, from 0")
    return told


def _network(
    index: int,
    config: NetworkConfig,
    place: tuple[int, int],
    experiment: Experiment,
    resolved: Resolved,
    options: PlanOptions,
) -> Network:
    first_run, n_runs = place
    models = tuple(resolved.specs[name] for name in config.models)
    # The fewest runs that are whole batches for every model: with it slot and neighbours of a run
    # do not depend on the shards.
    block = math.lcm(*(model.batch_size for model in models))
    seconds = _seconds_per_run(config.models, experiment.max_length, resolved.seconds)
    return Network(
        index=index,
        models=models,
        key=network_key(models, experiment),
        first_run=first_run,
        n_runs=n_runs,
        block=block,
        runs_per_shard=min(_runs_per_shard(index, block, seconds, options), _whole(n_runs, block)),
        noise=config.noise or experiment.noise,
        loop_stop=experiment.loop_stop,
        max_length=experiment.max_length,
        prompts=config.prompts,
    )


def _seconds_per_run(names: Sequence[str], max_length: int, seconds: Mapping[str, float]) -> float:
    # Exact and not max_length times the mean: in a cycle of four the first two may be the costly
    # ones.
    rounds, rest = divmod(max_length, len(names))
    each = [seconds[name] for name in names]
    return rounds * sum(each) + sum(each[:rest])


def _runs_per_shard(index: int, block: int, seconds: float, options: PlanOptions) -> int:
    """Return whole blocks: as many as the target allows, or as few as hold the runs asked for."""
    # A changed batch size makes another block; the layout then follows anew, and the plan is told
    # as different.
    if index < len(options.layout) and options.layout[index] % block == 0:
        return options.layout[index]
    if options.runs_per_shard is not None:
        return _whole(options.runs_per_shard, block)
    minutes = options.target_minutes or DEFAULT_TARGET_MINUTES
    # Capped before int(): a model of 1e-9 seconds gives a quotient beyond any shard.
    blocks = min(minutes * 60 / (seconds * block), MAX_RUNS)
    return max(1, int(blocks)) * block


def _whole(n_runs: int, block: int) -> int:
    return math.ceil(n_runs / block) * block


def network_key(models: Sequence[ModelSpec], experiment: Experiment) -> str:
    """Return the key of what decides a network's runs, given prompt, seed and noise."""
    return content_key(
        {
            # Neither names nor paths nor noise: the run key adds prompt, seed and noise.
            "models": [model.identity() for model in models],
            "max_length": experiment.max_length,
            "loop_stop": experiment.loop_stop,
            "codec": experiment.images.codec,
            "keep_every": experiment.images.keep_every,
        }
    )
