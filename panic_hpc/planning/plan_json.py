"""A plan as a JSON value: what its key is made of, and where two plans differ."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from itertools import starmap
from typing import Any

from panic_hpc.keys import content_key
from panic_hpc.models.known.rows import LABELS
from panic_hpc.planning.plan import Plan
from panic_hpc.types import ModelSpec, Prompt
from panic_hpc.validation.problems import shown

MAX_DIFFERENCES = 20


def described(plan: Plan) -> dict[str, Any]:
    """Return all that decides a plan's shards as a JSON value; prompts only by their key."""
    experiment = plan.experiment.model_dump(mode="json", exclude={"prompts", "models", "inputs"})
    files = [file for spec in plan.specs for file in spec.files]
    digests = {path: digest for digest, path in files}
    digests |= {f"{digest}:{path}": digest for digest, path in files}
    labels = {one.name: one.labels for one in plan.specs}
    tables = _with_digests(_without_labels(plan.experiment.models, labels), digests)
    return {
        "experiment": experiment | {"models": tables},
        "prompts": {"count": len(plan.prompts), "key": content_key(prompts_value(plan.prompts))},
        "models": {spec.name: _spec_value(spec) for spec in plan.specs},
        "networks": [
            {
                "key": network.key,
                "block": network.block,
                "runs_per_shard": network.runs_per_shard,
                # A key that came later is there where it says something: keys of plans stay.
                **({} if network.prompts is None else {"prompts": list(network.prompts)}),
            }
            for network in plan.networks
        ],
    }


def beside_plan(plan: Plan) -> dict[str, Any]:
    """Return what is true of models on one machine: the key must be equal on two clusters.

    That is where weights are, labels, digests of files, and which family loads a model where it is
    not the one that its keys are made of.
    """
    specs = plan.specs
    families = {spec.name: spec.family for spec in specs if spec.family != spec.code}
    labels = {spec.name: dict(spec.labels) for spec in specs if spec.labels}
    files = {spec.name: [digest for digest, _ in spec.files] for spec in specs if spec.files}
    more = {"families": families, "labels": labels, "files": files}
    paths = {spec.name: spec.path for spec in specs if spec.path}
    return {"paths": paths, **{name: told for name, told in more.items() if told}}


def _without_labels(
    models: Mapping[str, Mapping[str, Any]], labels: Mapping[str, Mapping[str, Any]]
) -> dict[str, dict[str, Any]]:
    return {
        name: {k: v for k, v in table.items() if k not in LABELS and k not in labels.get(name, {})}
        for name, table in models.items()
    }


def _with_digests(value: Any, digests: Mapping[str, str]) -> Any:
    """Return tables with digests for the names of files that settings name."""
    if isinstance(value, dict):
        return {key: _with_digests(inner, digests) for key, inner in value.items()}
    if isinstance(value, list):
        return [_with_digests(inner, digests) for inner in value]
    return digests.get(value, value) if isinstance(value, str) else value


def _spec_value(spec: ModelSpec) -> dict[str, Any]:
    value = asdict(spec) | {"settings": dict(spec.settings)}
    # The name is the table's key; the path is where this machine has the weights, labels where it
    # has a server; the family is one of this version, where its loader stays.
    del value["name"], value["path"], value["loader"], value["labels"], value["files"]
    return value | {"family": spec.code}


def prompts_value(prompts: tuple[Prompt, ...]) -> dict[str, list[Any]]:
    """Return the table of prompts; `groups` is empty where no prompt belongs to one.

    `pictures`, {role: digest} of each, is there where prompts have some.
    """
    table: dict[str, list[Any]] = {"texts": [prompt.text for prompt in prompts], "groups": []}
    if any(prompt.group for prompt in prompts):
        table["groups"] = [prompt.group for prompt in prompts]
    if any(prompt.pictures for prompt in prompts):
        table["pictures"] = [dict(prompt.pictures) for prompt in prompts]
    return table


def prompts_document(prompts: tuple[Prompt, ...]) -> dict[str, list[Any]]:
    """Return what is written of prompts: their table, and `names`, which are labels."""
    names = [prompt.name for prompt in prompts]
    return prompts_value(prompts) | ({"names": names} if any(names) else {})


def prompts_of(value: Mapping[str, Any]) -> tuple[Prompt, ...]:
    """Return the prompts in what `prompts_document` gave; ValueError, KeyError for other things."""
    texts = value["texts"]
    groups = value["groups"] or [""] * len(texts)
    own = value.get("pictures")
    pictures = [tuple(sorted(of_one.items())) for of_one in own] if own else [()] * len(texts)
    names = value.get("names") or [""] * len(texts)
    return tuple(starmap(Prompt, zip(texts, groups, pictures, names, strict=True)))


def is_described_by(description: Mapping[str, Any], plan: Plan) -> bool:
    """Say whether a description is that of `plan`, apart from settings that came with an update."""
    # A setting that an update added has a default here and is missing there; what decides shards is
    # in the other parts.
    parts = {key: value for key, value in described(plan).items() if key != "experiment"}
    return all(description[key] == value for key, value in parts.items())


def plan_differences(old: Plan, new: Plan) -> list[str]:
    """Return a line for each place where two plans differ, at most a screenful."""
    lines = list(_different("", described(old), described(new)))
    left = len(lines) - MAX_DIFFERENCES
    return lines if left <= 0 else [*lines[:MAX_DIFFERENCES], f"… and {left} more"]


def _different(place: str, old: Any, new: Any) -> Iterator[str]:
    if isinstance(old, dict) and isinstance(new, dict):
        for key in dict.fromkeys((*old, *new)):
            inner = f"{place}.{key}" if place else str(key)
            yield from _different(inner, old.get(key), new.get(key))
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for index, pair in enumerate(zip(old, new, strict=True)):
            yield from _different(f"{place}[{index}]", *pair)
    elif old != new:
        yield f"{place}: {shown(old)} → {shown(new)}"
