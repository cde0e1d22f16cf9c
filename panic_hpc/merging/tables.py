"""The tables that merge makes itself: who is where, prompts, shards, and the metadata text."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from panic_hpc.merging.run_sources import MISSING, RunPlaces, RunSources, Source, Sources
from panic_hpc.merging.unify import ExperimentInfo, Unified
from panic_hpc.pictures.given import require_kept
from panic_hpc.store.format import ragged
from panic_hpc.store.format.digest import run_lines
from panic_hpc.store.format.ragged import offsets_of
from panic_hpc.store.format.shard import Stream
from panic_hpc.store.results.base import kind_of, runs_kind
from panic_hpc.types import SCORE, Prompt

Arrays = dict[str, NDArray[Any]]
NAMED_ROWS = 4096


@dataclass(frozen=True, slots=True)
class Collection:
    """All that goes into one dataset; `traces` by (stage, model)."""

    experiments: Sequence[ExperimentInfo]
    unified: Unified
    sources: Sources
    places: RunPlaces
    traces: Mapping[tuple[str, str], RunSources]
    missing: Sequence[Mapping[str, Any]]

    @property
    def runs(self) -> tuple[str, str]:
        """The place in `traces` of the runs themselves."""
        return runs_kind().stage, ""


def own_arrays(
    collection: Collection, extra: Mapping[str, Any]
) -> dict[str, NDArray[Any] | Stream]:
    """Return every array of the dataset that no shard has; `extra` goes into the metadata."""
    return {
        **_added_arrays(collection),
        **_member_arrays(collection.places),
        **_prompt_arrays(collection.unified),
        **picture_arrays(collection.unified.prompts, collection.experiments),
        **_shard_arrays(collection.sources),
        "metadata": _json_array(_metadata(collection, extra)),
    }


def _gathered(
    collection: Collection,
    part: tuple[str, str],
    values_of: Callable[[Source], Mapping[str, NDArray[Any]]],
) -> Arrays:
    """Return what sources say of each run, by name: 0 or empty where the run's part is missing."""
    trace = collection.traces[part]
    result: Arrays = {}
    for one in trace.parts():
        if one.source == MISSING:
            continue
        rows = slice(one.first_row, one.first_row + one.n_runs)
        for name, values in values_of(collection.sources[one.source]).items():
            if name not in result:
                result[name] = np.zeros(len(trace.source), values.dtype)
            result[name][one.first_run : one.first_run + one.n_runs] = values[rows]
    return result


def lines(collection: Collection) -> Iterator[bytes]:
    """Return the lines that the content key is made of."""
    model_keys = {"": "", **{model["name"]: model["key"] for model in collection.unified.models}}
    found = {
        (stage, model): _gathered(collection, (stage, model), _identity)
        for stage, model in collection.traces
    }
    digests = {
        kind_of(stage).label(model_keys[model]): of_runs["digest"]
        for (stage, model), of_runs in found.items()
    }
    return run_lines(found[collection.runs]["key"], digests)


def _identity(source: Source) -> Mapping[str, NDArray[Any]]:
    identity = {"digest": source.digests}
    return identity | {"key": source.run_keys} if source.kind.defines_runs else identity


def _counts(source: Source) -> Mapping[str, NDArray[Any]]:
    return source.counts


def _added_arrays(collection: Collection) -> Arrays:
    """Return what merge adds beside each kind's arrays: where each run's part came from."""
    origins = collection.sources.column("experiment").astype(np.int32)
    arrays: Arrays = {}
    for (stage, model), trace in collection.traces.items():
        kind = kind_of(stage)
        # Not for kinds without: every source would be read from disk for nothing.
        counts = _gathered(collection, (stage, model), _counts) if kind.dataset_offsets else {}
        for column in kind.added_columns(model):
            if column.edges:
                arrays[column.name] = ragged.offsets_of(counts[column.index])
            elif column.index == "shard":
                arrays[column.name] = trace.source.astype(np.int32)
            else:
                arrays[column.name] = origins[trace.source]
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


def _picture_labels(unified: Unified) -> dict[str, list[str]]:
    """Return the roles of pictures, and prompts' names, where prompts have pictures."""
    roles = roles_of(unified.prompts)
    names = [prompt.name for prompt in unified.prompts]
    return {"picture_roles": roles, "prompt_names": names} if roles else {}


def _shard_arrays(sources: Sources) -> Mapping[str, NDArray[Any] | Stream]:
    """Return the table of shards, whose texts are never all in memory."""
    parts, told_bytes = sources.column("part"), sources.column("told_bytes")
    stages, models = (list(names) for names in zip(*sources.parts, strict=True))
    told = (np.frombuffer(source.told.encode(), np.uint8) for source in sources)
    keys = (np.array([source.key], "S64") for source in sources)
    return {
        "shards/stage": _named(np.array(stages, "S16"), parts),
        "shards/model": _named(np.array(models, "S64"), parts),
        "shards/experiment": sources.column("experiment").astype(np.int32),
        "shards/index": sources.column("index").astype(np.int32),
        "shards/key": Stream("S64", (len(sources),), keys),
        "shards/offsets": ragged.offsets_of(told_bytes),
        "shards/values": Stream("u1", (int(told_bytes.sum()),), told),
    }


def _named(names: NDArray[Any], numbers: NDArray[Any]) -> Stream:
    some = range(0, len(numbers), NAMED_ROWS)
    blocks = (names[numbers[start : start + NAMED_ROWS]] for start in some)
    return Stream(names.dtype.str, numbers.shape, blocks)


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
        **_picture_labels(unified),
        "embedding_models": _embedding_models(collection),
        "missing": list(collection.missing),
    }


def _embedding_models(collection: Collection) -> list[str]:
    """Return the names of models that results are of, but for metrics: these embed nothing."""
    metrics = {row["name"] for row in collection.unified.models if row["produces"] == SCORE}
    return sorted({model for _, model in collection.traces if model} - metrics)


def _json_array(value: Any) -> NDArray[np.uint8]:
    # allow_nan: Python would write NaN, which is no JSON and which other readers refuse.
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, sort_keys=True)
    return np.frombuffer(text.encode("utf-8", "surrogatepass"), np.uint8)


def roles_of(prompts: Sequence[Prompt]) -> list[str]:
    """Return the roles of all pictures, in order."""
    return sorted({role for prompt in prompts for role, _ in prompt.pictures})


def picture_arrays(
    prompts: Sequence[Prompt], experiments: Sequence[ExperimentInfo]
) -> dict[str, NDArray[Any]]:
    """Return the table of pictures, {} where no prompt has one; all of them are in memory.

    Raises ShardError where a file is not there, or is another picture than was planned.
    """
    roles = {role: row for row, role in enumerate(roles_of(prompts))}
    rows = [
        (number, role, digest)
        for number, prompt in enumerate(prompts)
        for role, digest in prompt.pictures
    ]
    if not rows:
        return {}
    files = {digest: path for one in experiments for digest, path in one.pictures.items()}
    contents = [_content(files, digest) for _, _, digest in rows]
    return {
        "pictures/prompt": np.array([number for number, _, _ in rows], np.int32),
        "pictures/role": np.array([roles[role] for _, role, _ in rows], np.int32),
        "pictures/key": np.array([digest for _, _, digest in rows], "S32"),
        "pictures/offsets": offsets_of(map(len, contents)),
        "pictures/values": np.frombuffer(b"".join(contents), np.uint8),
    }


def _content(files: Mapping[str, Path], digest: str) -> bytes:
    # Prompts come from the experiments whose pictures these are.
    return require_kept(files[digest], digest).content
