"""The hub's cache on disk: what of a model is in it, told without a hub and without its client.

Beside what huggingface_hub writes there, `panic_hpc/` holds the list of files of every repository
that was fetched, written before the first of them: so an interrupted fetch is known as one.
"""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from panic_hpc import installed
from panic_hpc.disk.files import read_json, replace_file, to_json
from panic_hpc.errors import PanicError
from panic_hpc.models.hub.lock import LockedModel, sizes_of
from panic_hpc.models.hub.repository_files import lacking
from panic_hpc.types import ModelSpec


def cache_directory(environ: Mapping[str, str] = os.environ) -> Path:
    """Return the directory of the hub's cache, found as huggingface_hub finds it."""
    # HUGGINGFACE_HUB_CACHE is the older name, which huggingface_hub still reads.
    if own := environ.get("HF_HUB_CACHE") or environ.get("HUGGINGFACE_HUB_CACHE"):
        return _expanded(own)
    general = environ.get("XDG_CACHE_HOME") or "~/.cache"
    return _expanded(environ.get("HF_HOME") or f"{general}/huggingface") / "hub"


def _expanded(path: str) -> Path:
    return Path(os.path.expandvars(os.path.expanduser(path)))


def snapshot_folder(repository: str, revision: str, cache: Path) -> Path:
    """Return where a repository at a commit is in `cache`, or would be."""
    return cache / f"models--{repository.replace('/', '--')}" / "snapshots" / revision


def problems(spec: ModelSpec, cache: Path) -> list[str]:
    """Return a line for each file of a model of a hub that loading it would not find in `cache`."""
    if not spec.revision:
        return ["its commit is not known yet"]
    folder = snapshot_folder(spec.repository, spec.revision, cache)
    sizes = _recorded_sizes(spec.repository, spec.revision, cache)
    return lacking(folder, sizes, variant_of(spec), runs_code(spec))


def is_cached(spec: ModelSpec, cache: Path) -> bool:
    """Say whether all that loading the model of `spec` reads is in `cache`."""
    return not problems(spec, cache)


def missing(specs: Iterable[ModelSpec], cache: Path) -> list[ModelSpec]:
    """Return the models that come from a hub and are not in `cache` as a whole.

    Those that no family loads are passed over: nothing would read them.
    """
    wanted = (spec for spec in specs if spec.repository and spec.family)
    return [spec for spec in wanted if not is_cached(spec, cache)]


def variant_of(spec: ModelSpec) -> str:
    """Return the variant of weight files that a model is loaded from, "" for none."""
    return str(spec.settings.get("variant") or "")


def runs_code(spec: ModelSpec) -> bool:
    """Say whether loading a model runs modules of its repository."""
    family = installed.plugins("families").get(spec.family)
    return bool(getattr(family, "runs_repository_code", False))


def record(model: LockedModel, cache: Path) -> None:
    """Write down which files a repository has, so that the cache is known as whole or not."""
    replace_file(_record_path(model.repository, model.revision, cache), to_json(sizes_of(model)))


def _recorded_sizes(repository: str, revision: str, cache: Path) -> dict[str, int]:
    try:
        sizes = read_json(_record_path(repository, revision, cache))
    except PanicError:
        return {}
    return sizes if isinstance(sizes, dict) else {}


def _record_path(repository: str, revision: str, cache: Path) -> Path:
    return cache / "panic_hpc" / "files" / repository.replace("/", "--") / f"{revision}.json"
