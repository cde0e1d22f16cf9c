"""The hub's cache on disk: whether a repository at a commit is there, and bringing it there."""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from panic_hpc.errors import ModelError
from panic_hpc.types import ModelSpec

WANTED_FILES = ("*.json", "*.jinja", "*.safetensors", "*.txt", "*.model", "*.tiktoken", "*.spm")
"""Configurations, chat templates, weights and vocabularies; pickled weights are never brought."""


def cache_directory(environ: Mapping[str, str] = os.environ) -> Path:
    """Return the directory of the hub's cache, found as huggingface_hub finds it."""
    # HUGGINGFACE_HUB_CACHE is the older name, which huggingface_hub still reads.
    if own := environ.get("HF_HUB_CACHE") or environ.get("HUGGINGFACE_HUB_CACHE"):
        return _expanded(own)
    general = environ.get("XDG_CACHE_HOME") or "~/.cache"
    return _expanded(environ.get("HF_HOME") or f"{general}/huggingface") / "hub"


def _expanded(path: str) -> Path:
    return Path(os.path.expandvars(os.path.expanduser(path)))


def is_cached(spec: ModelSpec, cache: Path) -> bool:
    """Say whether the repository of `spec` is in `cache` at its revision; imports nothing."""
    repository = "models--" + spec.repository.replace("/", "--")
    # Snapshots are links into blobs/, which a purge of scratch empties first: exists() follows
    # them.
    snapshot = cache / repository / "snapshots" / spec.revision
    return any(path.exists() for path in snapshot.rglob("*.json"))


def missing(specs: Iterable[ModelSpec], cache: Path) -> list[ModelSpec]:
    """Return the models that come from a hub and are not in `cache`."""
    return [spec for spec in specs if spec.repository and not is_cached(spec, cache)]


def fetch(spec: ModelSpec, cache: Path) -> Path:
    """Bring the repository of `spec` at its revision into `cache` and return its folder there.

    Goes on where an earlier download stopped. Raises ModelError where the hub cannot be reached or
    refuses.
    """
    from huggingface_hub import snapshot_download

    try:
        folder = snapshot_download(
            spec.repository,
            revision=spec.revision,
            cache_dir=cache,
            allow_patterns=list(WANTED_FILES),
        )
    # huggingface_hub, httpx and the file system raise each their own; all mean the same here.
    except Exception as error:
        raise ModelError(
            f"{spec.name} ({spec.repository} at {spec.revision}) could not be fetched "
            f"({type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''})",
            hint="Fetch it on a machine that reaches the hub; gated repositories need HF_TOKEN",
        ) from error
    return Path(folder)
