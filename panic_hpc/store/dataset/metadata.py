"""The metadata of a dataset: JSON inside of the file, checked as a whole when it is read."""

from collections.abc import Iterator
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, TypeAdapter, ValidationError

from panic_hpc.disk.strict_json import parse_json
from panic_hpc.errors import ShardError
from panic_hpc.store.dataset.outputs import read_texts
from panic_hpc.store.format.header import TOLD, Key, Label
from panic_hpc.store.format.reader import ArrayFile
from panic_hpc.validation.problems import explained

Row = Annotated[int, Field(ge=0, le=2**31)]
Date = Annotated[str, StringConstraints(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.+Z-]{1,30}$")]
Name = Annotated[Label, StringConstraints(min_length=1)]
_GROUP_TEXTS = 4096


class _Part(BaseModel):
    # A later minor version may add members.
    model_config = ConfigDict(extra="ignore", frozen=True, strict=True, allow_inf_nan=False)


class _Experiment(_Part):
    key: Label
    name: Label
    source: str
    n_runs: Row
    config: dict[str, Any]


class _Model(_Part):
    name: Name
    key: Key


class _Network(_Part):
    key: Label
    models: list[Row]
    names: list[Name]


class _Missing(_Part):
    experiment: Row
    stage: Label
    index: Row
    model: Label
    first_run: Row
    n_runs: Row


class _PartOf(_Part):
    content_key: Key
    first_run: Row
    n_runs: Row


class _Metadata(_Part):
    created: Date
    software: Label
    experiments: Annotated[list[_Experiment], Field(min_length=1)]
    models: list[_Model]
    networks: list[_Network]
    prompt_groups: list[str]
    embedding_models: list[Name]
    missing: list[_Missing]
    part_of: _PartOf | None = None
    picture_roles: list[str] = Field(default_factory=list)
    prompt_names: list[str] = Field(default_factory=list)


class _Shard(_Part):
    numerics: dict[str, Any]
    provenance: dict[str, Any]


_METADATA = TypeAdapter(_Metadata)
_SHARD = TypeAdapter(_Shard)


def read_metadata(file: ArrayFile) -> dict[str, Any]:
    """Return a dataset's metadata; ShardError where it is not as docs/format.md describes it."""
    try:
        # Names of directories may be no UTF-8, and come through.
        value = parse_json(file.array("metadata").tobytes().decode("utf-8", "surrogatepass"))
        _require_consistent(_METADATA.validate_python(value))
    except ValueError as error:
        raise ShardError(f"{file.path} has metadata that are malformed: {_said(error)}") from None
    return dict(value)


def _require_consistent(metadata: _Metadata) -> None:
    names = [model.name for model in metadata.models]
    for network in metadata.networks:
        if len(network.names) != len(network.models) or not network.names:
            raise ValueError("a network has not as many names as models")
        if max(network.models) >= len(names):
            raise ValueError("a network has a model that is not in models")
    if len(set(names)) < len(names):
        raise ValueError("two models have one name")
    if unknown := sorted(set(metadata.embedding_models) - set(names)):
        raise ValueError(f"the embedding model {unknown[0]!r} is not in models")


def read_shard_texts(file: ArrayFile) -> list[dict[str, Any]]:
    """Return what each shard said of its numerics and provenance; ShardError where one says no such
    thing.
    """
    return [value for _, value in _shard_texts(file)]


def metadata_problems(file: ArrayFile) -> Iterator[str]:
    """Yield what is wrong with the metadata and with what shards say of themselves."""
    try:
        read_metadata(file)
        for _ in _shard_texts(file):
            pass
    except ShardError as error:
        yield error.message.removeprefix(f"{file.path} has ")


def _shard_texts(file: ArrayFile) -> Iterator[tuple[int, dict[str, Any]]]:
    n_shards = file.rows("shards/stage")
    for first in range(0, n_shards, _GROUP_TEXTS):
        texts = read_texts(file, "shards", first, min(first + _GROUP_TEXTS, n_shards))
        for row, text in enumerate(texts, start=first):
            try:
                value = parse_json(text)
                _SHARD.validate_python(value)
            except ValueError as error:
                raise ShardError(
                    f"{file.path} has a shard {row} whose text is malformed: {_said(error)}"
                ) from None
            yield row, value


def _said(error: ValueError) -> str:
    if isinstance(error, ValidationError):
        return "; ".join(explained(error, ("metadata",), told=TOLD)[:3])
    return str(error)
