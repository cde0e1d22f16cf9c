"""The lock: which commit a model of a hub was resolved to, and every file of it by digest.

It lies beside what was locked (`<name>.lock.json` beside an experiment's file, `models.lock.json`
in a planned experiment's directory), is written by `models lock` and `models fetch`, and read by
`plan`. A planned experiment has its commits in its manifest and is never changed by a lock.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    Strict,
    StringConstraints,
    ValidationError,
)

from panic_hpc.disk.files import read_json, replace_file, to_json
from panic_hpc.errors import AbsentError, ModelError, PanicError
from panic_hpc.models.known.rows import COMMIT
from panic_hpc.paths import ExperimentPaths
from panic_hpc.types import ModelSpec

FORMAT = "panic-hpc lock"
VERSION = 1
DIGEST = r"^(sha256:[0-9a-f]{64}|git-sha1:[0-9a-f]{40})\z"


def _inside(name: str) -> str:
    # A name becomes a path that is written, read and removed.
    if not name.isprintable() or name.startswith("/") or {"", ".", ".."} & set(name.split("/")):
        raise ValueError("a name inside the repository was expected")
    return name


class _Closed(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class LockedFile(_Closed):
    """A file of a repository: its name, bytes, and digest: `sha256:…` or git's name of the blob."""

    name: Annotated[str, AfterValidator(_inside)]
    size: Annotated[int, Field(ge=0)]
    digest: Annotated[str, StringConstraints(pattern=DIGEST)]


class LockedModel(_Closed):
    """What a hub said of a repository: `ref` is the branch or tag that was asked for, "" for none.

    `licence` is "" where the repository names none, `date` the day on which the hub was asked.
    """

    repository: str
    ref: str
    revision: Annotated[str, StringConstraints(pattern=COMMIT)]
    date: str
    licence: str
    gated: bool
    files: Annotated[tuple[LockedFile, ...], Strict(False)]


class _Document(_Closed):
    format: Literal["panic-hpc lock"]
    version: Literal[1]
    models: Annotated[tuple[LockedModel, ...], Strict(False)]


def lock_beside(file: Path) -> Path:
    """Return where the lock of an experiment's file, or of a planned experiment, is."""
    return ExperimentPaths(file).lock if file.is_dir() else file.with_name(f"{file.stem}.lock.json")


def read_lock(path: Path) -> tuple[LockedModel, ...]:
    """Return what is locked, nothing where there is no file; ModelError where it is damaged."""
    try:
        return _Document.model_validate(read_json(path)).models
    except AbsentError:
        return ()
    except (PanicError, ValidationError) as error:
        first = str(error).splitlines()[0]
        hint = "Remove it and lock again: panic-hpc models lock"
        raise ModelError(f"{path} is no lock of models ({first})", hint=hint) from error


def locks_of(file: Path, paths: ExperimentPaths) -> tuple[LockedModel, ...]:
    """Return what is locked for an experiment's file that is, or will be, planned in `paths`.

    The file's own lock comes last, which goes before what an earlier fetch left in the directory.
    """
    return (*read_lock(paths.lock), *read_lock(lock_beside(file)))


def write_lock(path: Path, models: Iterable[LockedModel]) -> None:
    """Write a lock, in order of repositories."""
    ordered = sorted(models, key=lambda model: (model.repository, model.ref, model.revision))
    document = {
        "format": FORMAT,
        "version": VERSION,
        "models": [model.model_dump(mode="json") for model in ordered],
    }
    replace_file(path, to_json(document))


def commits_of(models: Iterable[LockedModel]) -> dict[tuple[str, str], str]:
    """Return {(repository, branch or tag): commit} of a lock; commits asked for are no news."""
    return {(model.repository, model.ref): model.revision for model in models}


def locked_at(models: Sequence[LockedModel], repository: str, revision: str) -> LockedModel | None:
    """Return what is locked of a repository at a commit."""
    found = (m for m in models if (m.repository, m.revision) == (repository, revision))
    return next(found, None)


def used_of(models: Iterable[LockedModel], specs: Iterable[ModelSpec]) -> list[LockedModel]:
    """Return what is locked of the models of an experiment, each commit once."""
    used = {(spec.repository, spec.revision) for spec in specs}
    by_commit = {(model.repository, model.revision): model for model in models}
    return [model for place, model in by_commit.items() if place in used]


def sizes_of(model: LockedModel) -> dict[str, int]:
    """Return {name: bytes} of a repository's files."""
    return {file.name: file.size for file in model.files}
