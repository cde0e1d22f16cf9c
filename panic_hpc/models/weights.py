"""Where a model's weights are: a hub's repository at a commit, or a folder of known digest."""

import os
from pathlib import Path
from typing import Any, NamedTuple

from panic_hpc.errors import ModelError
from panic_hpc.models import builtin
from panic_hpc.models.folder_digest import PREFIX, folder_digest
from panic_hpc.types import ModelSpec


class Weights(NamedTuple):
    """What a `from_pretrained` is given: a name or folder, and keyword arguments."""

    source: str
    options: dict[str, Any]


def find_weights(spec: ModelSpec) -> Weights:
    """Return where the weights of `spec` are.

    Raises ModelError where a folder is not the one that was planned with, or nothing is named.
    """
    if spec.repository:
        # A commit, so the hub cannot change it; no code of the repository is run, whatever it asks.
        options = {"revision": spec.revision, "trust_remote_code": False}
        return Weights(spec.repository, options)
    folder = Path(spec.path) if spec.path else builtin.folder_of(spec.revision)
    if folder is None:
        raise ModelError(
            f"{spec.name} has neither a repository nor a path, and is not built in",
            hint=f"Give [models.{spec.name}] a repository and revision, or a path",
        )
    # At each load, not only at plan: weeks lie between, and a folder is edited in place.
    _require_unchanged(spec, folder)
    return Weights(os.fspath(folder), {"local_files_only": True, "trust_remote_code": False})


def _require_unchanged(spec: ModelSpec, folder: Path) -> None:
    if not spec.revision.startswith(PREFIX):
        return
    found = folder_digest(folder)
    if found != spec.revision:
        raise ModelError(
            f"{folder} is not what {spec.name} was planned with ({found}, not {spec.revision})",
            hint="Put the weights back, or plan the experiment again in a new directory",
        )
