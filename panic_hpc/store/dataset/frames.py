"""Tables of a dataset as polars frames; the door to polars of the store."""

import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from panic_hpc.disk.strict_json import parse_json
from panic_hpc.errors import PanicError, nearest
from panic_hpc.store.dataset.metadata import read_shard_texts
from panic_hpc.store.dataset.outputs import read_texts
from panic_hpc.store.dataset.schema import dataset_column
from panic_hpc.store.format.column import Column
from panic_hpc.store.results.base import kind_of
from panic_hpc.store.results.metrics import (
    METRICS,
    SCORE_FAILED,
    SCORE_TRUNCATED,
    component_names,
)
from panic_hpc.store.results.runs import INVOCATION_COLUMNS, JOULES, RUN_COLUMNS
from panic_hpc.store.results.section import Section

if TYPE_CHECKING:
    import polars as pl

    from panic_hpc.store.dataset.dataset import Dataset, Run

ARROW = " → "


def _polars() -> Any:
    try:
        import polars
    except ImportError as error:
        raise PanicError("Frames need polars", hint="pip install 'panic-hpc[analysis]'") from error
    return polars


def _series(column: Column | None, values: NDArray[Any]) -> Any:
    """Return values for a frame: codes by their words, byte strings as text."""
    pl = _polars()
    if values.dtype.kind == "S":
        return pl.Series(values.astype(f"U{values.dtype.itemsize}"))
    if column is not None and column.codes and column.dtype == "|u1":
        words = pl.Enum(list(column.codes))
        places = {code: word for word, code in column.codes.items()}
        # Null for a code that a newer minor version of the format added.
        return pl.Series([places.get(code) for code in values.tolist()], dtype=words)
    return pl.Series(values)


def network_names(dataset: "Dataset") -> list[str]:
    """Return the name of each network: its models joined by arrows."""
    return [ARROW.join(network["names"]) for network in dataset.metadata["networks"]]


def runs(
    dataset: "Dataset",
    network: int | str | None,
    prompt: int | str | None,
    seed: int | None,
    experiment: int | str | None,
) -> "pl.DataFrame":
    """Return the runs that match: see Dataset.runs."""
    pl = _polars()
    data: dict[str, Any] = {"run": pl.Series(np.arange(dataset.n_runs))}
    for column in RUN_COLUMNS:
        values = dataset.file.slice(column.name, 0, dataset.n_runs)
        data[column.name.partition("/")[2]] = _series(column, values)
    data["experiment"] = pl.Series(dataset.file.slice("runs/experiment", 0, dataset.n_runs))
    frame = pl.DataFrame(data)
    experiments = [one["name"] or one["source"] for one in dataset.metadata["experiments"]]
    wanted = {
        "network": _number(network, network_names(dataset), "network"),
        "prompt": _number(prompt, dataset.prompt_names(), "prompt"),
        "seed": seed,
        "experiment": _number(experiment, experiments, "experiment"),
    }
    for name, value in wanted.items():
        if value is not None:
            frame = frame.filter(pl.col(name) == value)
    return frame


def _number(wanted: int | str | None, names: list[str], noun: str) -> int | None:
    if not isinstance(wanted, str):
        return wanted
    if wanted not in names:
        raise PanicError(f"There is no {noun} {wanted!r}", hint=nearest(wanted, names))
    return names.index(wanted)


def networks(dataset: "Dataset") -> "pl.DataFrame":
    """Return a row a network."""
    rows = dataset.metadata["networks"]
    return _polars().DataFrame(
        {
            "network": list(range(len(rows))),
            "name": network_names(dataset),
            "key": [row["key"] for row in rows],
            "models": [row["names"] for row in rows],
        }
    )


def prompts(dataset: "Dataset") -> "pl.DataFrame":
    """Return a row a prompt."""
    # The code of "no group" is -1, which indexes the None at the end.
    groups = [*dataset.metadata["prompt_groups"], None]
    numbers = dataset.file.array("prompts/group").tolist()
    pl = _polars()
    return pl.DataFrame(
        {
            "prompt": list(range(len(numbers))),
            "text": dataset.prompt_texts(),
            "name": dataset.prompt_names(),
            "group": pl.Series([groups[number] for number in numbers], dtype=pl.String),
        }
    )


def members(dataset: "Dataset") -> "pl.DataFrame":
    """Return which runs each experiment has, and its own numbers for them."""
    names = ("experiment", "index", "run")
    return _polars().DataFrame({name: dataset.file.array(f"members/{name}") for name in names})


def shards(dataset: "Dataset") -> "pl.DataFrame":
    """Return what was merged, with its provenance: see Dataset.shards."""
    names = ("stage", "model", "experiment", "index", "key")
    data = {
        name: _series(dataset_column(f"shards/{name}"), dataset.file.array(f"shards/{name}"))
        for name in names
    }
    texts = read_shard_texts(dataset.file)
    for part in ("numerics", "provenance"):
        data[part] = [json.dumps(text[part], sort_keys=True) for text in texts]
    return _polars().DataFrame(data)


def models_of_shards(dataset: "Dataset", stage: str) -> Iterator[dict[str, Mapping[str, Any]]]:
    """Yield what decides the outputs of each model by its name, as a stage's shards tell it."""
    for row in shards(dataset).filter(stage=stage).iter_rows(named=True):
        yield parse_json(row["provenance"].encode()).get("models", {})


def metrics(dataset: "Dataset") -> dict[str, tuple[str, ...]]:
    """Return what the numbers of each metric are called: see Dataset.metrics."""
    return {one: component_names(_scores(dataset, one)) for one in dataset.models_of(METRICS)}


def _scores(dataset: "Dataset", metric: str) -> Section:
    if metric not in (known := dataset.models_of(METRICS)):
        told = nearest(metric, known) or f"It has {', '.join(known) or 'no metric at all'}"
        raise PanicError(f"{dataset.path} has no scores of metric {metric!r}", hint=told)
    return Section(dataset.file, kind_of(METRICS), metric, in_dataset=True)


def scores(dataset: "Dataset", metric: str) -> "pl.DataFrame":
    """Return the scores of a metric: see Dataset.scores."""
    section = _scores(dataset, metric)
    edges, values = section.edges["score"], section.whole("metrics/value")
    flags = section.whole("metrics/flags")
    names = component_names(section)
    return _polars().DataFrame(
        {
            "run": np.repeat(np.arange(dataset.n_runs), np.diff(edges)),
            "step": section.whole("metrics/step"),
            **{name: values[:, place] for place, name in enumerate(names)},
            "truncated": (flags & SCORE_TRUNCATED) > 0,
            "failed": (flags & SCORE_FAILED) > 0,
            "reason": read_texts(dataset.file, f"{METRICS}/{metric}/reasons", 0, len(flags)),
        }
    )


def invocations(dataset: "Dataset", run: "Run | None") -> "pl.DataFrame":
    """Return a row an invocation: see Dataset.invocations."""
    pl = _polars()
    first, last = (
        dataset.span(run) if run is not None else (0, dataset.file.rows("invocations/step"))
    )
    edges = dataset.file.slice("runs/offsets", 0, dataset.n_runs + 1)
    rows = np.searchsorted(edges, np.arange(first, last), side="right") - 1
    data: dict[str, Any] = {"run": pl.Series(rows)}
    counted = (JOULES,) if JOULES.name in dataset.file.entries else ()
    for column in (*INVOCATION_COLUMNS, *counted):
        values = dataset.file.slice(column.name, first, last)
        data[column.name.partition("/")[2]] = _series(column, values)
    models = [model["name"] for model in dataset.metadata["models"]]
    names = pl.Series([models[row] for row in data["model"].to_list()], dtype=pl.Categorical())
    return pl.DataFrame({**data, "model": names})
