"""Where a model's weights are: a hub's repository at a commit, or a folder of known digest."""

import os
from pathlib import Path
from typing import Any, NamedTuple

from panic_hpc.errors import ModelError
from panic_hpc.models import builtin
from panic_hpc.models.folder_digest import PREFIX, folder_digest
from panic_hpc.models.hub import cache as hub_cache
from panic_hpc.models.hub.repository_files import damaged
from panic_hpc.types import ModelSpec

# Nothing is asked for over a network, and no code of a checkpoint is run, whatever it asks.
LOCAL = {"local_files_only": True, "trust_remote_code": False}


class Weights(NamedTuple):
    """What a `from_pretrained` is given: a folder, and keyword arguments."""

    source: str
    options: dict[str, Any]


def find_weights(spec: ModelSpec) -> Weights:
    """Return where the weights of `spec` are.

    Raises ModelError where a folder is not the one that was planned with, or nothing is named.
    """
    if spec.repository:
        return Weights(os.fspath(_fetched(spec)), dict(LOCAL))
    folder = Path(spec.path) if spec.path else builtin.folder_of(spec.revision)
    if folder is None:
        raise ModelError(
            f"{spec.name} has neither a repository nor a path, and is not built in",
            hint=f"Give [models.{spec.name}] a repository and revision, or a path",
        )
    # At each load, not only at plan: weeks lie between, and a folder is edited in place.
    _require_unchanged(spec, folder)
    if lines := damaged(folder):
        raise ModelError(f"{spec.name} cannot be loaded: {folder}/{lines[0]}")
    return Weights(os.fspath(folder), dict(LOCAL))


def _fetched(spec: ModelSpec) -> Path:
    """Return the folder of a repository in the cache.

    A folder and no name: loaders of a name ask the hub, or whatever list of the repository they
    find, for files that nothing reads.
    """
    cache = hub_cache.cache_directory()
    folder = hub_cache.snapshot_folder(spec.repository, spec.revision, cache)
    if lines := hub_cache.problems(spec, cache):
        more = f" and {len(lines) - 1} more" if len(lines) > 1 else ""
        raise ModelError(
            f"{spec.name} is not in the cache as a whole: {lines[0]}{more} ({folder})",
            hint="Fetch it: panic-hpc models fetch EXP",
        )
    return folder


def _require_unchanged(spec: ModelSpec, folder: Path) -> None:
    if not spec.revision.startswith(PREFIX):
        return
    found = folder_digest(folder)
    if found != spec.revision:
        raise ModelError(
            f"{folder} is not what {spec.name} was planned with ({found}, not {spec.revision})",
            hint="Put the weights back, or plan the experiment again in a new directory",
        )
