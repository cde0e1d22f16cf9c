"""Where a dataset comes from: experiments, models, code, libraries, numerics classes."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from panic_hpc.analysis.results import Quantity, ResultTable

if TYPE_CHECKING:
    from panic_hpc.store.dataset.dataset import Dataset


def _words(*columns: tuple[str, str]) -> tuple[Quantity, ...]:
    return tuple(Quantity(name, meaning, "") for name, meaning in columns)


def experiments_table(dataset: "Dataset") -> ResultTable:
    """Return a row an experiment."""
    columns = _words(
        ("experiment", "its name"), ("key", "content key of its manifest"), ("runs", "its runs")
    )
    rows = [(one["name"], one["key"], one["n_runs"]) for one in dataset.metadata["experiments"]]
    return ResultTable.of_rows("experiments", "experiment", columns, rows)


def models_table(dataset: "Dataset") -> ResultTable:
    """Return a row a model: where its weights came from, and its key."""
    columns = _words(
        ("model", "its name"),
        ("family", "the family that loads it"),
        ("repository", "where its weights came from, empty: a folder"),
        ("revision", "commit, or digest of the folder"),
        ("reads", "modality"),
        ("gives", "modality"),
        ("key", "content key of its identity"),
    )
    names = ("name", "family", "repository", "revision", "consumes", "produces", "key")
    rows = [[str(one.get(name, "")) for name in names] for one in dataset.metadata["models"]]
    return ResultTable.of_rows("models", "model", columns, rows)


def code_table(dataset: "Dataset") -> ResultTable:
    """Return a row for each stage, code and numerics class that shards were made with."""
    columns = _words(
        ("stage", "stage, and its embedding model"),
        ("shards", "shards"),
        ("commit", "commit of the code"),
        ("container_image", "digest of the container image, empty: none"),
        ("python", "version"),
        ("device", "of its numerics class"),
        ("cpu", "maker and instruction sets"),
        ("threads", "of its numerics class"),
        ("libraries", "that its numerics class names"),
    )
    counts = Counter(_origin(row) for row in dataset.shards().rows(named=True))
    rows = [(origin[0], count, *origin[1:]) for origin, count in counts.items()]
    return ResultTable.of_rows("code", "origin", columns, rows)


def _origin(row: Mapping[str, Any]) -> tuple[str, ...]:
    told, numerics = json.loads(row["provenance"]), json.loads(row["numerics"])
    libraries = numerics.get("libraries")
    named = libraries.items() if isinstance(libraries, dict) else ()
    return (
        " of ".join(filter(None, (row["stage"], row["model"]))),
        *(str(told.get(name, "")) for name in ("commit", "image_digest", "python")),
        *(str(numerics.get(name, "")) for name in ("device", "cpu", "threads")),
        ", ".join(f"{name} {version}" for name, version in named),
    )


def documents(dataset: "Dataset") -> Iterator[tuple[str, str]]:
    """Yield (name, JSON) of each experiment's configuration as it was planned."""
    for one in dataset.metadata["experiments"]:
        name = one["name"] or "unnamed"
        yield f"Configuration of {name}", json.dumps(one["config"], indent=2, ensure_ascii=False)
