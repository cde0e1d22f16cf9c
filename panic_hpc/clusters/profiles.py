"""Finding and reading cluster profiles: TOML files by name, each extending at most one other.

Searched in this order: a path as given, the directories of PANIC_HPC_CLUSTERS, the user's own
(~/.config/panic_hpc/clusters), the ones shipped, the folders that entry points of
`panic_hpc.clusters` name.
"""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from panic_hpc import installed
from panic_hpc.clusters.cluster import KEYS, Cluster
from panic_hpc.errors import ConfigError, nearest
from panic_hpc.experiment.tables import read_table
from panic_hpc.paths import shipped_configs
from panic_hpc.validation.problems import explained

SEARCH_VARIABLE = "PANIC_HPC_CLUSTERS"
# Nowhere else: a $ in a Slurm option or a description is meant as written.
EXPANDED_TABLES = ("python", "paths", "environment", "container")
LIKE = {"activations": "runs"}
"""A stage that came later, and the one that asks for the same: pictures made again want GPUs."""
_TOLD = {"string_pattern_mismatch": "it has characters that a batch script must not hold here"}
# The kind of a plugin's table (`PluginResources`), which pydantic puts into a problem's place.
_KIND = re.compile(r"^(stages\.\w+)\.(shards|ranks)\b")
VARIABLE = re.compile(r"\$(?:\{(\w+)\}|(\w+))")


def search_directories(environ: Mapping[str, str] = os.environ) -> tuple[Path, ...]:
    """Return the directories that are searched for profiles, first hit wins."""
    named = [Path(part) for part in environ.get(SEARCH_VARIABLE, "").split(os.pathsep) if part]
    own = Path(environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "panic_hpc/clusters"
    return (*named, own, shipped_directory(), *installed.folders("clusters"))


def shipped_directory() -> Path:
    """Return where the shipped profiles lie."""
    return shipped_configs() / "clusters"


def available(environ: Mapping[str, str] = os.environ) -> dict[str, Path]:
    """Return {name: file} of all profiles that can be named, sorted by name.

    A file whose name begins with an underscore is a text to copy, not a profile.
    """
    found: dict[str, Path] = {}
    for directory in search_directories(environ):
        # Missing directories give nothing, and most users have none of their own.
        for path in sorted(directory.glob("[!_]*.toml")):
            found.setdefault(path.stem, path)
    return dict(sorted(found.items()))


def load_cluster(name: str, environ: Mapping[str, str] = os.environ) -> Cluster:
    """Return the profile called `name`, or the one in the file `name` where that ends in .toml.

    Paths keep their variables: see `resolved`. Raises ConfigError with everything that is wrong.
    """
    path = _find(name, environ)
    cluster = _validated(str(path), _read_extended(path, environ))
    # It is found by its file's name and shown by its own: two names would be two profiles.
    if cluster.name != path.stem and not name.endswith(".toml"):
        problem = f"name = {cluster.name!r}, and the file is called {path.name}"
        raise ConfigError(str(path), [problem], hint="Give both the same name")
    return cluster


def resolved(cluster: Cluster, environ: Mapping[str, str] = os.environ) -> Cluster:
    """Return `cluster` with `~` and `$NAME` replaced in paths, binds and environment values.

    For the login node, at submission. `paths.node_tmp` stays as it is: it is expanded inside the
    job. Raises ConfigError that lists every variable that is not set.
    """
    source = f"The profile {cluster.name}"
    # Unset ones stay unset: a profile says to sbatch only what it was told.
    data = cluster.model_dump(exclude_unset=True)
    # $SLURM_TMPDIR and its like are set on the node only.
    node_tmp = data.get("paths", {}).pop("node_tmp", None)
    part = {key: data[key] for key in EXPANDED_TABLES if key in data}
    missing = sorted(_unset_variables(part, environ))
    if missing:
        problems = [f"the environment variable {name} is not set here" for name in missing]
        raise ConfigError(
            source, problems, hint="Set it, or write the path into a profile of yours"
        )
    data |= _expanded(part, environ)
    if node_tmp is not None:
        data["paths"]["node_tmp"] = node_tmp
    return _validated(source, data)


def _find(name: str, environ: Mapping[str, str]) -> Path:
    if name.endswith(".toml"):
        return Path(name)
    known = available(environ)
    if name in known:
        return known[name]
    raise ConfigError("--cluster", [f"there is no profile {name!r}"], hint=nearest(name, known))


def _read_extended(path: Path, environ: Mapping[str, str]) -> dict[str, Any]:
    own = read_table(path)
    parent_name = own.pop("extends", None)
    if parent_name is None:
        return _with_defaults(own)
    parent = read_table(_find(str(parent_name), environ))
    # One level, so that two files tell everything a job is asked for with.
    if "extends" in parent:
        raise ConfigError(str(path), [f"{parent_name!r}, which it extends, extends another one"])
    return _with_defaults(_merged(parent, own))


def stage_names() -> tuple[str, ...]:
    """Return the names a profile may use for stages: those of the stages installed."""
    # Their names only: a login node has no libraries to import them with.
    return installed.names("stages")


def _with_defaults(data: dict[str, Any]) -> dict[str, Any]:
    """Move the table `defaults` under every stage; what the stage says itself wins.

    A stage of LIKE without a table has that of the other.
    """
    defaults, stages = data.get("defaults", {}), data.get("stages", {})
    if not (isinstance(defaults, dict) and _is_table_of_tables(stages)):
        return data
    data = {key: value for key, value in data.items() if key != "defaults"}
    own = {name: stages[other] for name, other in LIKE.items() if other in stages} | stages
    names = (*stage_names(), *own)
    return {**data, "stages": {name: {**defaults, **own.get(name, {})} for name in names}}


def _is_table_of_tables(value: Any) -> bool:
    return isinstance(value, dict) and all(isinstance(inner, dict) for inner in value.values())


def _merged(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    both = {
        key: _merged(base[key], over[key])
        for key in base.keys() & over.keys()
        if isinstance(base[key], dict) and isinstance(over[key], dict)
    }
    return {**base, **over, **both}


def _validated(source: str, data: dict[str, Any]) -> Cluster:
    stages = data.get("stages", {})
    named = stages if isinstance(stages, dict) else {}
    unknown = [name for name in named if name not in stage_names()]
    problems = [f"stages.{name}: there is no such stage" for name in unknown]
    try:
        cluster = Cluster.model_validate(data)
    except ValidationError as error:
        problems += [_KIND.sub(r"\1", line) for line in explained(error, (), KEYS, _TOLD)]
        raise ConfigError(source, _told_once(problems)) from error
    if problems:
        raise ConfigError(source, problems, hint=nearest(unknown[0], stage_names()))
    return cluster


def _told_once(problems: list[str]) -> list[str]:
    """Return problems, one that all stages have from `defaults` told of `defaults` alone."""
    places = [f"stages.{name}." for name in stage_names()]
    of_all = {
        line.removeprefix(places[0])
        for line in problems
        if line.startswith(places[0])
        and all(place + line.removeprefix(places[0]) in problems for place in places)
    }
    shortened = [
        next((f"defaults.{end}" for end in of_all if line in {p + end for p in places}), line)
        for line in problems
    ]
    return list(dict.fromkeys(shortened))


def _unset_variables(value: Any, environ: Mapping[str, str]) -> set[str]:
    if isinstance(value, str):
        names = {match[1] or match[2] for match in VARIABLE.finditer(value)}
        # Empty is as bad as unset: $SCRATCH/panic would become /panic.
        return {name for name in names if not environ.get(name)}
    parts = value.values() if isinstance(value, dict) else value if _is_list(value) else ()
    return {name for part in parts for name in _unset_variables(part, environ)}


def _expanded(value: Any, environ: Mapping[str, str]) -> Any:
    if isinstance(value, str):
        text = VARIABLE.sub(lambda match: environ[match[1] or match[2]], value)
        # Only a leading one: Slurm and Apptainer expand no tilde themselves.
        return str(Path(text).expanduser()) if text.startswith("~") else text
    if isinstance(value, dict):
        return {key: _expanded(part, environ) for key, part in value.items()}
    return tuple(_expanded(part, environ) for part in value) if _is_list(value) else value


def _is_list(value: Any) -> bool:
    return isinstance(value, list | tuple)
