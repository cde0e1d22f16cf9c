"""Locking an experiment's models: asking the hub for their commits, once, and writing them down."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from panic_hpc.errors import ConfigError
from panic_hpc.experiment import catalogue
from panic_hpc.experiment.config import Experiment
from panic_hpc.experiment.resolution import ref_of, resolve
from panic_hpc.models.hub import client as hub
from panic_hpc.models.hub.lock import (
    LockedModel,
    commits_of,
    lock_beside,
    locked_at,
    read_lock,
    write_lock,
)
from panic_hpc.paths import ExperimentPaths
from panic_hpc.planning import manifest
from panic_hpc.planning.plan import Plan, plan_file
from panic_hpc.types import ModelSpec


@dataclass(frozen=True, slots=True)
class Lockable:
    """An experiment's file, or a planned experiment: its plan, and where its lock is.

    With `update`, what the lock says of models without a commit of their own is asked for anew.
    """

    path: Path
    plan: Plan
    lock: Path
    update: bool = False

    @property
    def specs(self) -> tuple[ModelSpec, ...]:
        """The models that come from a hub."""
        return tuple(spec for spec in self.plan.specs if spec.repository and spec.family)


def lockable(path: Path, update: bool = False) -> Lockable:
    """Return what is to be locked; a planned experiment keeps the commits that it has."""
    lock = lock_beside(path)
    # From the manifest where there is one: the file may have been edited since.
    if path.is_dir():
        return Lockable(path, manifest.read(path), lock)
    commits = {} if update else commits_of(read_lock(lock))
    return Lockable(path, plan_file(path, catalogue.load(), commits=commits), lock, update)


def model_by_name(name: str) -> ModelSpec:
    """Return a model known by name with its own settings; ConfigError where there is none."""
    experiment = Experiment.model_construct(networks=(), prompts=(), embedding_models=(name,))
    resolved = resolve(experiment, catalogue.load())
    if resolved.problems:
        raise ConfigError(name, resolved.problems)
    return resolved.specs[name]


def lock_models(
    target: Lockable, tell: Callable[[str], None] = lambda name: None
) -> dict[str, LockedModel]:
    """Return {name: what is locked of it}, asking the hub for what the lock lacks.

    The lock is written after every answer, so that an interruption loses none. A planned experiment
    gets the commits that its plan was made without.
    """
    known = list(read_lock(target.lock))
    found: dict[str, LockedModel] = {}
    for spec in target.specs:
        ref = spec.revision or ref_of(spec.name, target.plan.experiment, catalogue.load())
        locked = None if target.update and not spec.revision else _known(known, spec, ref)
        if locked is None:
            tell(spec.name)
            locked = hub.describe(spec.repository, ref)
            known = [*_without(known, spec.repository, ref), locked]
            write_lock(target.lock, known)
        found[spec.name] = locked
    if isinstance(target.plan, manifest.Manifest):
        revisions = {name: locked.revision for name, locked in found.items()}
        manifest.settle(target.plan, revisions, ExperimentPaths(target.path))
    return found


def _known(known: list[LockedModel], spec: ModelSpec, ref: str) -> LockedModel | None:
    if spec.revision:
        return locked_at(known, spec.repository, spec.revision)
    return next((m for m in known if (m.repository, m.ref) == (spec.repository, ref)), None)


def _without(known: list[LockedModel], repository: str, ref: str) -> list[LockedModel]:
    return [model for model in known if (model.repository, model.ref) != (repository, ref)]


def settled(spec: ModelSpec, locked: Mapping[str, LockedModel]) -> ModelSpec:
    """Return a model with the commit that is locked."""
    return replace(spec, revision=locked[spec.name].revision)
