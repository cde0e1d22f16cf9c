"""The experiment as closed, frozen models: what may be written, and within which bounds."""

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    PlainSerializer,
    PlainValidator,
    SerializerFunctionWrapHandler,
    Strict,
    StringConstraints,
    model_serializer,
    model_validator,
)

from panic_hpc.errors import nearest
from panic_hpc.experiment.entries import (
    as_prompt,
    as_table,
    distinct_names,
    distinct_prompts,
    distinct_seeds,
    filled,
)
from panic_hpc.experiment.stage_settings import ALIASES
from panic_hpc.homology.cost import LAZY_MAXDIM
from panic_hpc.models.settings import wrong
from panic_hpc.types import Noise, Prompt
from panic_hpc.validation.closed import Closed

# What a file of results holds, and what torch takes; upstream's first files have negative ones.
MIN_SEED, MAX_SEED = -(2**63), 2**63 - 1
MAX_RUNS = 10**7
MAX_LENGTH = 10**6
MAX_NETWORKS = 10_000
# No path separator, no leading dot, no space: names become directories and Slurm job names. \z and
# not $, which would let a last newline through.
NAME_PATTERN = r"^[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}\z"

LOSSLESS_CODECS = ("webp-lossless", "png")
_AVIF = re.compile("avif-([1-9][0-9]?|100)")

Name = Annotated[str, StringConstraints(pattern=NAME_PATTERN)]
"""A word that may stand in file names and scripts."""


# Strict mode would refuse a file's list for a tuple; the entries stay strict.
Listed = Strict(False)


class NetworkConfig(Closed):
    """A cyclic list of generative models, with noise of its own where it says so.

    prompts: the numbers, from 0 and ascending, of the prompts that it runs; None for all.
    """

    models: Annotated[tuple[Name, ...], Listed, AfterValidator(filled), Field(max_length=64)]
    noise: Noise | None = None
    prompts: (
        Annotated[
            tuple[Annotated[int, Field(ge=0)], ...],
            Listed,
            AfterValidator(filled),
            Field(max_length=MAX_RUNS),
        ]
        | None
    ) = None

    @model_serializer(mode="wrap")
    def _without_prompts_where_it_runs_all(
        self, dump: SerializerFunctionWrapHandler
    ) -> dict[str, Any]:
        """Leave the key out that came later where it is empty: keys of experiments stay."""
        table: dict[str, Any] = dump(self)
        return {k: v for k, v in table.items() if k != "prompts" or v is not None}


def _as_codec(codec: str) -> str:
    if codec in LOSSLESS_CODECS or _AVIF.fullmatch(codec):
        return codec
    raise wrong('a codec is "webp-lossless", "png" or "avif-Q" with a quality Q from 1 to 100')


class Images(Closed):
    """How images are stored: every `keep_every`-th of a run, 0 for none."""

    # Lossless unless asked: the next model reads what is stored, so that a lossy codec becomes a
    # part of the dynamics.
    codec: Annotated[str, AfterValidator(_as_codec)] = LOSSLESS_CODECS[0]
    keep_every: Annotated[int, Field(ge=0, le=MAX_LENGTH)] = 1

    @property
    def quality(self) -> int | None:
        """The quality of a lossy codec, from 1 to 100; None where nothing is lost."""
        return None if self.codec in LOSSLESS_CODECS else int(self.codec.removeprefix("avif-"))


class Homology(Closed):
    """How persistence diagrams are computed.

    `thresh` is in units of the metric, None for no limit; `budget` counts operations of the lazy
    engine, None for 20,000 a point; `surrogates` is the number of null-model clouds a run.
    """

    # Each dimension more costs a factor of the number of points; upstream computes 2.
    maxdim: Annotated[int, Field(ge=0, le=3)] = 2
    metric: Literal["euclidean", "cosine", "angular"] = "euclidean"
    engine: Literal["lazy", "giotto-ph", "gudhi"] = "lazy"
    thresh: Annotated[float, Field(gt=0)] | None = None
    budget: Annotated[int, Field(ge=1, le=2**63 - 1)] | None = None
    surrogates: Annotated[int, Field(ge=0, le=10_000)] = 0

    @model_validator(mode="after")
    def _engine_can(self) -> Self:
        # Told here, since diagrams come last: after all that the runs cost on GPUs.
        if self.engine == "lazy" and self.maxdim > LAZY_MAXDIM:
            others = 'engine = "giotto-ph" or "gudhi" computes more'
            raise wrong(f"engine lazy computes dimensions up to {LAZY_MAXDIM}; {others}")
        if self.engine != "lazy" and self.budget is not None:
            raise wrong(f'engine {self.engine} keeps to no budget; only engine = "lazy" does')
        return self


def _as_network(value: object) -> object:
    if isinstance(value, list | tuple):
        return {"models": value}
    if isinstance(value, dict | NetworkConfig):
        return value
    raise wrong(
        'a list of model names was expected, as in networks = [["FluxDev", "Moondream"]], '
        "or a table of models and noise"
    )


NetworkEntry = Annotated[NetworkConfig, BeforeValidator(_as_network)]
Networks = Annotated[
    tuple[NetworkEntry, ...],
    Listed,
    AfterValidator(filled),
    Field(max_length=MAX_NETWORKS),
]
Prompts = Annotated[
    tuple[Annotated[Prompt, PlainValidator(as_prompt), PlainSerializer(as_table)], ...],
    Listed,
    AfterValidator(filled),
    Field(max_length=MAX_RUNS),
    AfterValidator(distinct_prompts),
]
Seeds = Annotated[
    tuple[Annotated[int, Field(ge=MIN_SEED, le=MAX_SEED)], ...],
    Listed,
    AfterValidator(filled),
    Field(max_length=MAX_RUNS),
    AfterValidator(distinct_seeds),
]
ModelNames = Annotated[
    tuple[Name, ...],
    Listed,
    Field(max_length=64),
    AfterValidator(distinct_names),
]
SEED_KEYS = ("seeds", "seed_count", "num_runs")
Count = Annotated[int, Field(ge=1, le=10**6)]


class Experiment(Closed):
    """An experiment as written, its prompts file already read.

    At most one of `seeds`, `seed_count` and `num_runs` is given; none means one unseeded run a
    prompt, as upstream. `models` holds tables that the catalogue checks against model families.
    """

    name: Annotated[str, StringConstraints(pattern=f"{NAME_PATTERN}|^\\z")] = ""
    networks: Networks
    prompts: Prompts
    # Where the pictures of prompts were when they were planned; a label like a model's `path`.
    inputs: Annotated[str, Field(max_length=4096)] = ""
    seeds: Seeds | None = None
    seed_count: Count | None = None
    num_runs: Count | None = None
    # None: then there are no embeddings and no diagrams.
    embedding_models: ModelNames = ()
    max_length: Annotated[int, Field(ge=1, le=MAX_LENGTH)]
    # As upstream's Python: the run's seed at every step, so that a repeated output proves a loop.
    noise: Noise = "fixed"
    loop_stop: bool = True
    # 1: with one thread an item has the same bits in every slot of a batch, and parallel work is
    # shards.
    threads: Annotated[int, Field(ge=1, le=1024)] = 1
    # Some models are code of their repositories: the experiment says that it may run.
    allow_remote_code: bool = False
    i2t_max_new_tokens: Annotated[int, Field(ge=1, le=10**6)] | None = None
    images: Images = Images()
    homology: Homology = Homology()
    # Raw and complete: each stage's own class has checked them when the file was read.
    stages: dict[Name, dict[str, Any]] = Field(default_factory=dict)
    # Raw tables: the families know their settings, and importing them here would turn the layers
    # round.
    models: dict[Name, dict[str, Any]] = Field(default_factory=dict)

    def stage_table(self, name: str) -> dict[str, Any]:
        """Return what is set for a stage, a table that `Stage.settings` validates; may be empty."""
        if name in ALIASES:
            table: dict[str, Any] = getattr(self, ALIASES[name]).model_dump()
            return table
        return self.stages.get(name, {})

    @property
    def stage_models(self) -> dict[str, tuple[str, ...]]:
        """The models that stages are told to use, by stage: `models` in their tables."""
        named = {stage: table.get("models", ()) for stage, table in self.stages.items()}
        return {stage: tuple(names) for stage, names in named.items() if _are_names(names)}

    def with_stage_models(self, change: Callable[[tuple[str, ...]], Sequence[str]]) -> Self:
        """Return the experiment with `change` made to each stage's list of models."""
        named = {
            stage: {"models": list(change(names))} for stage, names in self.stage_models.items()
        }
        stages = {stage: {**table, **named.get(stage, {})} for stage, table in self.stages.items()}
        return self.model_copy(update={"stages": stages})

    @property
    def named(self) -> set[str]:
        """The names of models that are in a network or in a list of models."""
        networks = {name for network in self.networks for name in network.models}
        of_stages = {name for names in self.stage_models.values() for name in names}
        return networks | set(self.embedding_models) | of_stages

    @model_serializer(mode="wrap")
    def _without_what_is_empty(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave keys out that came later where they are empty: experiments without keep theirs."""
        table: dict[str, Any] = dump(self)
        return {k: value for k, value in table.items() if k not in ("stages", "inputs") or value}

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        given = [key for key in SEED_KEYS if getattr(self, key) is not None]
        problems = [
            *seed_problems(given),
            *unused_tables(self.models, self.named),
        ]
        if problems:
            raise wrong("; ".join(problems))
        return self


def _are_names(value: object) -> bool:
    return isinstance(value, list | tuple) and all(isinstance(name, str) for name in value)


def seed_problems(given: Sequence[str]) -> list[str]:
    """Return what is wrong with the keys that say the seeds: more than one of them."""
    return [f"{' and '.join(given)}: only one of them can be given"] if len(given) > 1 else []


def unused_tables(tables: Mapping[str, Any], used: Collection[str]) -> list[str]:
    """Return a line for each [models.X] table that would be read by nothing."""
    read = used_names(tables, used)
    return [
        (
            f"models.{name}: no network, embedding_models or stage has it. {nearest(name, used)}"
        ).rstrip()
        for name in tables
        if name not in read
    ]


def used_names(tables: Mapping[str, Any], named: Iterable[str]) -> set[str]:
    """Return the names of models that are used: by name, or as the base of one that is."""
    used: set[str] = set()
    names = list(named)
    while names:
        name = names.pop()
        if name not in used:
            used.add(name)
            base = tables[name].get("base") if isinstance(tables.get(name), Mapping) else None
            names += [base] if isinstance(base, str) else []
    return used
