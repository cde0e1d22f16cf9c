"""Sweeps: a list where a model's setting takes none is a grid, each of its cells a model; pure.

    [models.Soft]
    base = "MicroTurbo"             # a known model, or another table of this experiment
    guidance = [1.0, 2.0, 4.0]      # three cells: Soft.guidance-1.0, …, and their networks
    steps = [2, 4]                  # six

A cell is a model as any other, and a network of cells a network: nothing behind the plan knows of
sweeps. Where a setting takes a list, a list of lists is a sweep.
"""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from math import prod
from pathlib import Path
from typing import Any

from panic_hpc.errors import nearest
from panic_hpc.experiment.catalogue import Catalogue
from panic_hpc.experiment.chaining import network_identity
from panic_hpc.experiment.config import MAX_NETWORKS, Experiment, NetworkConfig
from panic_hpc.experiment.resolution import Resolved
from panic_hpc.experiment.sweep_axes import sweep_axes, valid_values
from panic_hpc.keys import content_key
from panic_hpc.models.base import find_family
from panic_hpc.models.settings import file_at
from panic_hpc.validation.problems import Place, shown

MAX_NAME = 64
MAX_BASES = 64
_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9._-]")

Table = Mapping[str, Any]
Tables = Mapping[str, Table]

UNKNOWN: Table = {}
"""The table of a model whose base means nothing."""
# What is wrong with it is told already; checks pass over blank names.
NO_CELL: Tables = {"": {}}


@dataclass(frozen=True)
class Swept:
    """An experiment without lists: `cells` maps the names of cells to the model they are of."""

    experiment: Experiment
    cells: Mapping[str, str] = field(default_factory=dict)
    problems: tuple[str, ...] = ()

    def told(self, problems: Collection[str]) -> list[str]:
        """Return problems of cells as problems of the tables that were written, each once."""
        lines = list(problems)
        for cell, name in self.cells.items():
            lines = [line.replace(f"models.{cell}", f"models.{name}") for line in lines]
        return list(dict.fromkeys(lines))


def sweep(experiment: Experiment, catalogue: Catalogue) -> Swept:
    """Return `experiment` with every sweep laid out, and what is wrong with the lists.

    1. A table with a `base` gets what the table of its base says. 2. The product of a table's lists
    makes its cells, in the order written. 3. Networks and embedding models of swept models become
    one for each cell; a model that is in a network twice has the same cell there twice.
    """
    if not any("base" in table or _has_list(table) for table in experiment.models.values()):
        return Swept(experiment)
    tables, problems = _with_bases(experiment.models, catalogue)
    cells: dict[str, Mapping[str, Table]] = {}
    for name, table in tables.items():
        own, found = _cells(name, table, catalogue)
        problems += found
        cells[name] = own
    if too_many := _too_many(experiment, cells):
        no_networks = experiment.model_copy(update={"models": {}, "networks": ()})
        return Swept(no_networks, {}, (*problems, too_many))
    networks = tuple(n for network in experiment.networks for n in _networks(network, cells))
    embedding = _cells_of(experiment.embedding_models, cells)
    stages = experiment.with_stage_models(lambda names: _cells_of(names, cells)).stages
    update = {"networks": networks, "embedding_models": embedding, "stages": stages}
    laid_out = experiment.model_copy(update=update)
    used = laid_out.named
    models = {c: dict(t) for own in cells.values() for c, t in own.items() if c and c in used}
    laid_out = laid_out.model_copy(update={"models": models})
    origin = {c: name for name, own in cells.items() for c in own if c and c != name}
    return Swept(laid_out, origin, tuple(problems))


def without_repeated_cells(swept: Swept, resolved: Resolved) -> tuple[Experiment, Resolved]:
    """Return experiment and models with cells of equal identity as one, the first of them.

    A network of cells is also left out where one without sweeps makes the same runs.
    """
    if not swept.cells:
        return swept.experiment, resolved
    experiment, specs = swept.experiment, resolved.specs
    networks = _distinct(
        experiment.networks,
        [network_identity(network, experiment, specs) for network in experiment.networks],
        [any(name in swept.cells for name in network.models) for network in experiment.networks],
    )

    def distinct(names: Sequence[str]) -> tuple[str, ...]:
        keys = [content_key(specs[name].identity()) if name in specs else name for name in names]
        return _distinct(names, keys, [name in swept.cells for name in names])

    embedding = distinct(experiment.embedding_models)
    update = {"networks": networks, "embedding_models": embedding}
    experiment = experiment.with_stage_models(distinct).model_copy(update=update)
    used = experiment.named
    models = {name: table for name, table in experiment.models.items() if name in used}
    return experiment.model_copy(update={"models": models}), replace(
        resolved,
        specs={name: spec for name, spec in specs.items() if name in used},
        seconds={name: seconds for name, seconds in resolved.seconds.items() if name in used},
    )


def _cells_of(names: Sequence[str], cells: Mapping[str, Mapping[str, Table]]) -> tuple[str, ...]:
    return tuple(cell for name in names for cell in cells.get(name, [name]))


def _distinct(items: Sequence[Any], keys: Sequence[Any], swept: Sequence[bool]) -> tuple[Any, ...]:
    """Return `items` without those of sweeps whose key is another's of none, or an earlier one's.

    Others are kept: two networks that were written twice are told as an error.
    """
    seen = {key for key, is_swept in zip(keys, swept, strict=True) if not is_swept}
    kept = []
    for item, key, is_swept in zip(items, keys, swept, strict=True):
        if not is_swept or key not in seen:
            kept.append(item)
        seen.add(key)
    return tuple(kept)


def _has_list(value: Any) -> bool:
    if isinstance(value, Mapping):
        return any(_has_list(inner) for inner in value.values())
    return isinstance(value, list)


def _with_bases(tables: Tables, catalogue: Catalogue) -> tuple[dict[str, Table], list[str]]:
    """Return every table with its base's below its own, and what is wrong with the bases."""
    flat: dict[str, Table] = {}
    problems: list[str] = []
    for name in tables:
        chain, problem = _chain(name, tables, catalogue)
        if problem:
            problems.append(problem)
            flat[name] = UNKNOWN
            continue
        merged: dict[str, Any] = {}
        for link in reversed(chain):
            merged |= tables.get(link, {})
        merged.pop("base", None)
        known = chain[-1]
        if known != name and known in catalogue.entries:
            merged["base"] = known
        flat[name] = merged
    return flat, problems


def _chain(name: str, tables: Tables, catalogue: Catalogue) -> tuple[list[str], str]:
    """Return a model, its base, the base of that …, and what is wrong with the last of them."""
    chain = [name]
    while (base := tables.get(chain[-1], {}).get("base")) is not None:
        place = f"models.{chain[-1]}.base = {shown(base)}"
        if chain[-1] in catalogue.entries:
            return chain, f"{place}: {chain[-1]} is the name of a known model; choose another name"
        if len(chain) > MAX_BASES:
            return chain, f"{place}: more than {MAX_BASES} bases, one of the other"
        if base in chain:
            return chain, f"{place}: a circle of bases"
        if not isinstance(base, str) or (base not in tables and base not in catalogue.entries):
            hint = nearest(str(base), (*catalogue.entries, *tables))
            return chain, f"{place}: no such model. {hint}".rstrip()
        chain.append(base)
    return chain, ""


def _cells(name: str, table: Table, catalogue: Catalogue) -> tuple[Mapping[str, Table], list[str]]:
    """Return the cells of a model by name, itself where nothing is swept, and what is wrong."""
    if table is UNKNOWN:
        return NO_CELL, []
    known = table.get("base", name)
    family = find_family(
        catalogue.families, str(table.get("family", catalogue.owners.get(known, "")))
    )
    if family is None:
        return {name: table}, []
    axes, problems = [], []
    for axis in sweep_axes(family.settings, table):
        valid, found = valid_values(name, axis)
        problems += found
        axes.append(axis._replace(values=valid))
    if not axes:
        return {name: table}, []
    n_cells = prod(len(axis.values) for axis in axes)
    if n_cells > MAX_NETWORKS:
        return NO_CELL, [f"models.{name}: {n_cells} cells; at most {MAX_NETWORKS}"]
    # One valid value each is enough to go on checking the rest of the experiment.
    values = [axis.values or (None,) for axis in axes]
    kept = table if "base" in table or name not in catalogue.entries else {**table, "base": name}
    cells = {}
    for combination in product(*values):
        settings = _with_values(kept, [axis.place for axis in axes], combination)
        cells[_cell_name(name, [axis.place for axis in axes], combination)] = settings
    return cells, problems


def _with_values(table: Table, places: Sequence[Place], values: Sequence[Any]) -> Table:
    result = dict(table)
    for place, value in zip(places, values, strict=True):
        result = _with_value(result, place, value)
    return result


def _with_value(table: Table, place: Place, value: Any) -> dict[str, Any]:
    key, *inner = place
    if inner:
        return {**table, str(key): _with_value(table[str(key)], tuple(inner), value)}
    if value is None:
        return {name: entry for name, entry in table.items() if name != key}
    return {**table, str(key): value}


def _cell_name(name: str, places: Sequence[Place], values: Sequence[Any]) -> str:
    """Return `Model.setting-value…`, cut and hashed where it is too long or was changed."""
    settings = [_setting(place, places) for place in places]
    words = [f"{key}-{_word(value)}" for key, value in zip(settings, values, strict=True)]
    whole = ".".join([name, *words])
    told = _NOT_IN_NAMES.sub("_", whole)
    if len(told) <= MAX_NAME and told == whole:
        return told
    # A file by its contents: its path would give the cell another name on another machine.
    known = [file.digest if (file := file_at(value)) else value for value in values]
    key = content_key([[list(place) for place in places], known])[:8]
    return f"{told[: MAX_NAME - 9]}-{key}"


def _setting(place: Place, places: Sequence[Place]) -> str:
    """Return what a setting is called in names, with its table's name where another has its own."""
    is_shared = sum(other[-1] == place[-1] for other in places) > 1
    return "-".join(map(str, place[-2:] if is_shared else place[-1:]))


def _word(value: Any) -> str:
    if file := file_at(value):
        return Path(file.path).name
    return "_".join(map(str, value)) if isinstance(value, list) else str(value)


def _too_many(experiment: Experiment, cells: Mapping[str, Mapping[str, Table]]) -> str:
    n_networks = sum(
        prod(len(cells.get(name, [name])) for name in dict.fromkeys(network.models))
        for network in experiment.networks
    )
    if n_networks <= MAX_NETWORKS:
        return ""
    return f"networks: {n_networks} of them over all sweeps; at most {MAX_NETWORKS}"


def _networks(
    network: NetworkConfig, cells: Mapping[str, Mapping[str, Table]]
) -> Iterator[NetworkConfig]:
    """Yield a network for each combination of its models' cells, the first model's outermost."""
    distinct = list(dict.fromkeys(network.models))
    for combination in product(*(cells.get(name, [name]) for name in distinct)):
        chosen = dict(zip(distinct, combination, strict=True))
        models = tuple(chosen[name] for name in network.models)
        yield network.model_copy(update={"models": models})
