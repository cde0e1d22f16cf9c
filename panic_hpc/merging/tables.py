"""The tables that merge makes itself: who is where, prompts, shards, and the metadata text."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from panic_hpc.merging.run_sources import MISSING, RunPlaces, RunSources, Source
from panic_hpc.merging.unify import ExperimentInfo, Unified
from panic_hpc.store.format import ragged
from panic_hpc.store.format.digest import run_lines, running_sum
from panic_hpc.types import EMBEDDINGS, RUNS

Arrays = dict[str, NDArray[Any]]


@dataclass(frozen=True, slots=True)
class Collection:
    """All that goes into one dataset; `traces` by (stage, model)."""

    experiments: Sequence[ExperimentInfo]
    unified: Unified
    sources: Sequence[Source]
    places: RunPlaces
    traces: Mapping[tuple[str, str], RunSources]
    missing: Sequence[Mapping[str, Any]]


def own_arrays(collection: Collection, extra: Mapping[str, Any]) -> Arrays:
    """Return every array of the dataset that no shard has; `extra` goes into the metadata."""
    return {
        **_run_arrays(collection),
        **_model_arrays(collection),
        **_member_arrays(collection.places),
        **_prompt_arrays(collection.unified),
        **_shard_arrays(collection.sources),
        "metadata": _json_array(_metadata(collection, extra)),
    }


def _gathered(collection: Collection, stage: str, model: str, field: str) -> NDArray[Any]:
    """Return a field of the sources a run: 0 or empty where the run's part is missing."""
    trace = collection.traces[stage, model]
    present = trace.source != MISSING
    # One gather for all runs; a loop over 100,000 of them would be Python's.
    numbers, place = np.unique(trace.source[present], return_inverse=True)
    values = [getattr(collection.sources[number], field) for number in numbers.tolist()]
    flat = np.concatenate(values)
    starts = running_sum(np.array([len(value) for value in values], np.int64))
    result = np.zeros(len(trace.source), flat.dtype)
    result[present] = flat[starts[place] + trace.row[present]]
    return result


def lines(collection: Collection) -> Iterator[bytes]:
    """Return the lines that the content key is made of."""
    model_keys = {model["name"]: model["key"] for model in collection.unified.models}
    digests = {
        stage if stage == RUNS else f"{stage}:{model_keys[model]}": _gathered(
            collection, stage, model, "digests"
        )
        for stage, model in collection.traces
    }
    return run_lines(_gathered(collection, RUNS, "", "run_keys"), digests)


def _run_arrays(collection: Collection) -> Arrays:
    trace = collection.traces[RUNS, ""]
    experiments = np.array([source.experiment for source in collection.sources], np.int32)
    return {
        "runs/offsets": running_sum(_gathered(collection, RUNS, "", "rows_per_run")),
        "runs/experiment": experiments[trace.source],
        "runs/shard": trace.source.astype(np.int32),
    }


def _model_arrays(collection: Collection) -> Arrays:
    arrays: Arrays = {}
    for (stage, model), trace in collection.traces.items():
        if stage != RUNS:
            arrays[f"{stage}/{model}/shard"] = trace.source.astype(np.int32)
        if stage == EMBEDDINGS:
            rows = _gathered(collection, stage, model, "rows_per_run")
            arrays[f"{stage}/{model}/offsets"] = running_sum(rows)
    return arrays


def _member_arrays(places: RunPlaces) -> Arrays:
    present = [np.flatnonzero(rows != MISSING) for rows in places.rows]
    return {
        "members/experiment": np.repeat(
            np.arange(len(present), dtype=np.int32), [len(indices) for indices in present]
        ),
        "members/index": np.concatenate(present).astype(np.int64),
        "members/run": np.concatenate(
            [rows[indices] for rows, indices in zip(places.rows, present, strict=True)]
        ),
    }


def _groups(unified: Unified) -> list[str]:
    return list(dict.fromkeys(prompt.group for prompt in unified.prompts if prompt.group))


def _prompt_arrays(unified: Unified) -> Arrays:
    rows = {group: row for row, group in enumerate(_groups(unified))}
    offsets, values = ragged.pack_texts([prompt.text for prompt in unified.prompts])
    numbers = [rows.get(prompt.group, MISSING) for prompt in unified.prompts]
    return {
        "prompts/group": np.array(numbers, np.int32),
        "prompts/offsets": offsets,
        "prompts/values": values,
    }


def _shard_arrays(sources: Sequence[Source]) -> Arrays:
    documents = [
        json.dumps({"numerics": source.numerics, "provenance": source.provenance}, sort_keys=True)
        for source in sources
    ]
    offsets, values = ragged.pack_texts(documents)
    return {
        "shards/stage": np.array([source.stage for source in sources], "S16"),
        "shards/model": np.array([source.model for source in sources], "S64"),
        "shards/experiment": np.array([source.experiment for source in sources], np.int32),
        "shards/index": np.array([source.index for source in sources], np.int32),
        "shards/key": np.array([source.key for source in sources], "S64"),
        "shards/offsets": offsets,
        "shards/values": values,
    }


def _metadata(collection: Collection, extra: Mapping[str, Any]) -> dict[str, Any]:
    unified = collection.unified
    return {
        **extra,
        "experiments": [
            {
                "key": experiment.key,
                "name": experiment.name,
                "source": experiment.source,
                "n_runs": experiment.n_runs,
                "config": experiment.config,
            }
            for experiment in collection.experiments
        ],
        "models": unified.models,
        "networks": unified.networks,
        "prompt_groups": _groups(unified),
        "embedding_models": sorted({model for _, model in collection.traces if model}),
        "missing": list(collection.missing),
    }


def _json_array(value: Any) -> NDArray[np.uint8]:
    # allow_nan: Python would write NaN, which is no JSON and which other readers refuse.
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, sort_keys=True)
    return np.frombuffer(text.encode("utf-8", "surrogatepass"), np.uint8)
