"""Every array of a dataset: those of the shards by their names there, and tables beside them."""

from collections.abc import Iterator
from dataclasses import replace

from panic_hpc.store.format.schema import Column, shard_columns
from panic_hpc.types import DIAGRAMS, EMBEDDINGS, RUNS

_DROPPED = ("runs/index", "runs/key")
"""Of embeddings and diagrams shards: the dataset's own runs table has them."""


def dataset_name(stage: str, model: str, name: str) -> str:
    """Return the name in a dataset of the array `name` of a shard, "" where it has none."""
    if stage == RUNS:
        return name
    if name in _DROPPED:
        return ""
    group, _, column = name.partition("/")
    if group in ("runs", stage):
        return f"{stage}/{model}/{column}"
    return f"{stage}/{model}/{group}/{column}"


RUN_EXTRAS = (
    Column(
        "runs/offsets", "<i8", "run", "row of its first invocation; one more row",
        index="invocation", edges=True,
    ),
    Column("runs/experiment", "<i4", "run", "row of the experiment it was taken from"),
    Column("runs/shard", "<i4", "run", "row of the shard it was taken from", index="shard"),
)  # fmt: skip

TABLES = (
    Column("members/experiment", "<i4", "member", "row of an experiment"),
    Column("members/index", "<i8", "member", "place of the run in that experiment"),
    Column("members/run", "<i8", "member", "row of the run", index="run"),
    Column("prompts/group", "<i4", "prompt", "row of its paraphrase group, -1: none"),
    Column(
        "prompts/offsets", "<i8", "prompt", "where each prompt begins in values; one more row",
        "byte", index="prompt_byte", edges=True,
    ),
    Column("prompts/values", "|u1", "prompt_byte", "UTF-8 text"),
    Column("shards/stage", "S16", "shard", "stage that wrote it"),
    Column("shards/model", "S64", "shard", "embedding model, empty for runs"),
    Column("shards/experiment", "<i4", "shard", "row of its experiment"),
    Column("shards/index", "<i4", "shard", "its number within the stage"),
    Column("shards/key", "S64", "shard", "SHA-256 of its header, and so of all its bytes"),
    Column(
        "shards/offsets", "<i8", "shard", "where each provenance begins in values; one more row",
        "byte", index="shard_byte", edges=True,
    ),
    Column("shards/values", "|u1", "shard_byte", "JSON: numerics class and provenance"),
    Column("metadata", "|u1", "metadata_byte", "JSON: experiments, networks, models, missing"),
)  # fmt: skip

HEADER = Column("header", "|u1", "header_byte", "JSON: where each array lies, its checksums")

CHECKSUMS = (
    Column("checksums/length", "<i8", "block", "length of a block of an array", "byte"),
    Column("checksums/sha256", "S64", "block", "SHA-256 of the block, hex"),
)


def stage_columns(stage: str, model: str) -> Iterator[tuple[str, Column]]:
    """Yield (name in a shard, column of the dataset) of what merge takes over from shards."""
    for name, column in shard_columns(stage).items():
        renamed = dataset_name(stage, model, name)
        if renamed:
            yield name, replace(column, name=renamed)


def dataset_column(name: str) -> Column | None:
    """Return what an array of a dataset must be by its name, None for a name that means nothing."""
    parts = name.split("/")
    if len(parts) > 2 and parts[0] in (EMBEDDINGS, DIAGRAMS):
        candidates = [column for _, column in stage_columns(parts[0], parts[1])]
        candidates += model_extras(parts[0], parts[1])
    else:
        candidates = [HEADER, *TABLES, *RUN_EXTRAS, *CHECKSUMS, *shard_columns(RUNS).values()]
    return next((column for column in candidates if column.name == name), None)


def model_extras(stage: str, model: str) -> tuple[Column, ...]:
    """Return the columns that merge adds beside those of an embedding model's shards."""
    source = Column(
        f"{stage}/{model}/shard", "<i4", "run",
        "row of the shard it was taken from, -1: missing", index="shard",
    )  # fmt: skip
    if stage == DIAGRAMS:
        return (source,)
    offsets = Column(
        f"{EMBEDDINGS}/{model}/offsets", "<i8", "run",
        "row of its first embedding; one more row", index="embedding", edges=True,
    )  # fmt: skip
    return (source, offsets)
