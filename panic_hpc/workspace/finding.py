"""Experiments below a directory, told by their manifests alone."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from panic_hpc.errors import ManifestError
from panic_hpc.paths import ExperimentPaths
from panic_hpc.planning.manifest import read_document

MAX_DEPTH = 8


@dataclass(frozen=True, slots=True)
class Found:
    """An experiment's directory and what its manifest says; `problem` is why it cannot be read."""

    root: Path
    name: str = ""
    key: str = ""
    n_runs: int = 0
    max_length: int = 0
    n_networks: int = 0
    n_published: int = 0
    merged: bool = False
    problem: str = ""


def find_experiments(directory: Path) -> Iterator[Found]:
    """Yield the experiments in `directory` and below, in order of path.

    Links are not followed, hidden directories and the insides of experiments not searched.
    """
    for root, directories, names in os.walk(directory):
        path = Path(root)
        # An experiment of 100,000 shards has as many files: nothing below its manifest is walked
        # for more experiments.
        if ExperimentPaths(path).manifest.name in names and _is_ours(path):
            directories.clear()
            yield _found(path)
        depth = len(path.relative_to(directory).parts)
        kept = [name for name in directories if not name.startswith(".") and depth < MAX_DEPTH]
        directories[:] = sorted(kept)


def _is_ours(root: Path) -> bool:
    """Tell our manifests from those of other programs by the file that is written beside them."""
    # Web applications and container images call their files manifest.json too.
    return ExperimentPaths(root).prompts.exists()


def _found(root: Path) -> Found:
    paths = ExperimentPaths(root)
    try:
        document = read_document(root)
        plan = document["plan"]
        return Found(
            root=root,
            name=plan["experiment"]["name"],
            key=document["key"],
            n_runs=document["n_runs"],
            max_length=plan["experiment"]["max_length"],
            n_networks=len(plan["networks"]),
            n_published=_count_published(paths),
            merged=paths.dataset.exists(),
        )
    except ManifestError as error:
        return Found(root=root, problem=error.message)


def _count_published(paths: ExperimentPaths) -> int:
    shards = paths.stage_directory("")
    return sum(name.endswith(".h5") for _, _, names in os.walk(shards) for name in names)
