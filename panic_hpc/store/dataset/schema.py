"""Every array of a dataset: those of the shards by their names there, and tables beside them."""

from panic_hpc.store.format.column import Column
from panic_hpc.store.results.base import ResultKind, all_kinds, runs_kind

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
    Column("shards/model", "S64", "shard", "embedding model or metric, empty for runs"),
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

PICTURES = (
    Column("pictures/prompt", "<i4", "picture", "row of the prompt it belongs to", index="prompt"),
    Column("pictures/role", "<i4", "picture", "row of its role in the metadata"),
    Column("pictures/key", "S32", "picture", "SHA-256 of its shape and pixels, hex, cut to 32"),
    Column(
        "pictures/offsets", "<i8", "picture", "where each picture begins in values; one more row",
        "byte", index="picture_byte", edges=True,
    ),
    Column("pictures/values", "|u1", "picture_byte", "the picture, encoded without loss"),
)  # fmt: skip
"""In a dataset whose prompts have pictures."""

REFERENCES = (
    Column(
        "references/start", "<i8", "piece",
        "where each piece of images/values begins in it; one more row", "byte", index="image_byte",
        edges=True,
    ),
    Column("references/offset", "<i8", "piece", "its first byte in its file", "byte"),
    Column(
        "references/offsets", "<i8", "piece", "where each path begins in values; one more row",
        "byte", index="path_byte", edges=True,
    ),
    Column("references/values", "|u1", "path_byte", "UTF-8 text: its file, below this folder"),
    Column("references/sha256", "S64", "referred_block", "SHA-256 of each disk block of a piece"),
)  # fmt: skip
"""In a dataset whose pictures stayed in their shards, which has these for images/values."""

HEADER = Column("header", "|u1", "header_byte", "JSON: where each array lies, its checksums")

CHECKSUMS = (
    Column("checksums/length", "<i8", "block", "length of a block of an array", "byte"),
    Column("checksums/sha256", "S64", "block", "SHA-256 of the block, hex"),
)


def dataset_column(name: str) -> Column | None:
    """Return what an array of a dataset must be by its name, None for a name that means nothing."""
    kind = all_kinds().get(name.partition("/")[0])
    if kind is None or kind.defines_runs:
        candidates = [
            HEADER,
            *TABLES,
            *PICTURES,
            *REFERENCES,
            *CHECKSUMS,
            *kind_columns(runs_kind(), ""),
        ]
    else:
        parts = name.split("/")
        candidates = kind_columns(kind, parts[1] if kind.per_model else "")
    return next((column for column in candidates if column.name == name), None)


def kind_columns(kind: ResultKind, model: str) -> list[Column]:
    """Return all columns that a dataset may have of a kind and model: the shards', then merge's."""
    return [*(column for _, column in kind.dataset_columns(model)), *kind.added_columns(model)]
