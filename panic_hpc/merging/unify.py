"""Experiments side by side: models, networks and prompts that are the same become one row."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from panic_hpc.keys import content_key
from panic_hpc.types import ModelSpec, Prompt


@dataclass(frozen=True, slots=True)
class NetworkInfo:
    """A network of an experiment: its key and its models in order."""

    key: str
    models: tuple[ModelSpec, ...]


@dataclass(frozen=True, slots=True)
class ExperimentInfo:
    """What a dataset keeps of an experiment; `config` is the experiment as a JSON value.

    `shard_models` are the models whose results have shards of their own: embedding models, metrics.
    `pictures` are the files of the prompts' pictures by digest.
    """

    key: str
    name: str
    source: str
    config: Mapping[str, Any]
    prompts: tuple[Prompt, ...]
    networks: tuple[NetworkInfo, ...]
    shard_models: tuple[ModelSpec, ...]
    n_runs: int
    pictures: Mapping[str, Path] = field(default_factory=dict)


@dataclass(slots=True)
class Unified:
    """The tables of all experiments and, an experiment each, where its own rows went.

    `model_rows[e][n]` are the models of network n in order; `labels[e]` maps the names of
    those models to the names their groups have in the dataset.
    """

    models: list[dict[str, Any]] = field(default_factory=list)
    networks: list[dict[str, Any]] = field(default_factory=list)
    prompts: list[Prompt] = field(default_factory=list)
    network_rows: list[NDArray[np.int32]] = field(default_factory=list)
    prompt_rows: list[NDArray[np.int32]] = field(default_factory=list)
    model_rows: list[list[NDArray[np.int16]]] = field(default_factory=list)
    labels: list[dict[str, str]] = field(default_factory=list)


def unify(experiments: Sequence[ExperimentInfo]) -> Unified:
    """Return the tables of all experiments together; the same thing under two names is one row."""
    tables = Unified()
    model_at: dict[str, int] = {}
    network_at: dict[str, int] = {}
    prompt_at: dict[Any, int] = {}
    for experiment in experiments:
        by_network = [
            [_model_row(tables, model_at, model) for model in network.models]
            for network in experiment.networks
        ]
        tables.model_rows.append([np.array(rows, np.int16) for rows in by_network])
        tables.network_rows.append(
            np.array(
                [
                    _network_row(tables, network_at, network, rows)
                    for network, rows in zip(experiment.networks, by_network, strict=True)
                ],
                np.int32,
            )
        )
        tables.prompt_rows.append(
            np.array([_prompt_row(tables, prompt_at, p) for p in experiment.prompts], np.int32)
        )
        tables.labels.append(
            {
                model.name: tables.models[_model_row(tables, model_at, model)]["name"]
                for model in experiment.shard_models
            }
        )
    return tables


def _model_row(tables: Unified, known: dict[str, int], model: ModelSpec) -> int:
    key = content_key(model.identity())
    if key not in known:
        known[key] = len(tables.models)
        taken = {row["name"] for row in tables.models}
        # Cut to 50, since shards/model holds 64 bytes.
        name = model.name if model.name not in taken else f"{model.name[:50]}-{key[:8]}"
        tables.models.append(
            {
                "name": name,
                "key": key,
                "consumes": model.consumes,
                "produces": model.produces,
                **model.identity(),
            }
        )
    return known[key]


def _network_row(
    tables: Unified, known: dict[str, int], network: NetworkInfo, models: list[int]
) -> int:
    if network.key not in known:
        known[network.key] = len(tables.networks)
        names = [tables.models[row]["name"] for row in models]
        tables.networks.append({"key": network.key, "models": models, "names": names})
    return known[network.key]


def _prompt_row(tables: Unified, known: dict[Any, int], prompt: Prompt) -> int:
    row = known.setdefault((prompt.text, prompt.pictures), len(tables.prompts))
    if row == len(tables.prompts):
        tables.prompts.append(prompt)
    # The same text with a group says more than without; of two groups the first stays.
    elif not tables.prompts[row].group:
        tables.prompts[row] = prompt
    return row


def setting_differences(
    one: Mapping[str, Any], other: Mapping[str, Any], names: Sequence[str]
) -> str:
    """Return in words where experiments differ in settings named by dotted paths, "" if nowhere."""
    return ", ".join(
        f"{name} is {_setting(one, name)} and {_setting(other, name)}"
        for name in names
        if _setting(one, name) != _setting(other, name)
    )


def _setting(config: Mapping[str, Any], name: str) -> Any:
    value: Any = config
    for part in name.split("."):
        # Datasets of other programs have no such settings.
        value = value.get(part) if isinstance(value, Mapping) else None
    return value
