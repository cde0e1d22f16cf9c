"""The plan on disk: written once, recognised by its key, verified whenever it is read."""

import fcntl
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from panic_hpc.disk.files import create_file, read_json, replace_file, to_json
from panic_hpc.disk.system import make_directories
from panic_hpc.errors import ConfigError, ManifestError, PanicError
from panic_hpc.experiment.config import Experiment
from panic_hpc.experiment.resolution import Resolved
from panic_hpc.keys import content_key
from panic_hpc.paths import ExperimentPaths
from panic_hpc.planning.pictures import are_ours, keep_model_files, keep_pictures
from panic_hpc.planning.plan import Plan, PlanOptions, lay_out
from panic_hpc.planning.plan_json import (
    beside_plan,
    described,
    is_described_by,
    plan_differences,
    prompts_document,
    prompts_of,
)
from panic_hpc.types import ModelSpec, Prompt

FORMAT = "panic-hpc manifest"
VERSION = 1


@dataclass(frozen=True)
class Manifest(Plan):
    """A plan and the key of all that decides its shards."""

    key: str


def manifest_of(plan: Plan) -> Manifest:
    """Return the manifest that `write` would write."""
    values = {field.name: getattr(plan, field.name) for field in fields(Plan)}
    return Manifest(**values, key=content_key(described(plan)))


def laid_out_again(manifest: Manifest, options: PlanOptions) -> Manifest:
    """Return what `manifest` would be with other shards; reads and writes nothing."""
    specs = {spec.name: spec for spec in manifest.specs}
    resolved = Resolved(specs, manifest.seconds, ())
    return manifest_of(lay_out(manifest.experiment, resolved, options))


def layout_options(
    paths: ExperimentPaths, runs_per_shard: int | None, target_minutes: float | None
) -> PlanOptions:
    """Return the layout asked for; without a word on it, that of an existing manifest.

    Raises ConfigError where both are given.
    """
    if runs_per_shard is not None and target_minutes is not None:
        raise ConfigError("plan", ["--runs-per-shard and --target-minutes: give one of them"])
    options = PlanOptions(runs_per_shard, target_minutes)
    # Planning again without a word must be no change, though costs of models are updated between
    # releases.
    if options.is_default and paths.manifest.exists():
        networks = read_document(paths.root)["plan"]["networks"]
        return PlanOptions(layout=tuple(network["runs_per_shard"] for network in networks))
    return options


def write(plan: Plan, paths: ExperimentPaths) -> Manifest:
    """Write `plan` as the experiment's manifest, or find the very same one there already.

    Raises ManifestError, with what differs, where the directory holds another experiment or other
    things.
    """
    manifest = manifest_of(plan)
    with _only_planner(paths.root):
        if paths.manifest.exists():
            return _same(manifest, paths)
        _refuse_foreign(paths)
        # The manifest last: its presence says that planning finished, whatever was killed before.
        replace_file(paths.prompts, to_json(prompts_document(plan.prompts)))
        keep_pictures(plan, paths)
        keep_model_files(plan, paths)
        # The lock may not hold on Lustre or NFS; link(2) lets one of two planners win there too.
        if not create_file(paths.manifest, to_json(_document(manifest))):
            return _same(manifest, paths)
    return manifest


def settle(manifest: Manifest, revisions: Mapping[str, str], paths: ExperimentPaths) -> Manifest:
    """Put commits, by name, into a plan that was made without them, and write it anew.

    Such a plan cannot have been submitted, so nothing refers to its keys. Revisions that the plan
    has are not changed.
    """
    settled = _settled(manifest, revisions)
    if settled.key != manifest.key:
        with _only_planner(paths.root):
            replace_file(paths.manifest, to_json(_document(settled)))
    return settled


def _settled(manifest: Manifest, revisions: Mapping[str, str]) -> Manifest:
    specs = {
        spec.name: replace(spec, revision=spec.revision or revisions.get(spec.name, ""))
        for spec in manifest.specs
    }
    options = PlanOptions(layout=tuple(network.runs_per_shard for network in manifest.networks))
    return manifest_of(lay_out(manifest.experiment, Resolved(specs, manifest.seconds, ()), options))


def read(root: Path) -> Manifest:
    """Return the manifest of the experiment in `root`.

    Raises ManifestError where there is none, or a newer, edited or damaged one.
    """
    paths = ExperimentPaths(root)
    document = read_document(root)
    try:
        manifest = _restored(document, _read_prompts(paths), paths)
        whole = is_described_by(document["plan"], manifest)
    except (PanicError, KeyError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
        raise ManifestError(f"{paths.manifest} does not make sense ({error})") from error
    if not whole:
        raise ManifestError(
            f"{paths.manifest} and {paths.prompts.name} do not belong together, or were edited",
            hint="Plan the experiment again in a new directory",
        )
    return manifest


def read_document(root: Path) -> dict[str, Any]:
    """Return the manifest's JSON value, verified but without its prompts; raises as `read` does."""
    paths = ExperimentPaths(root)
    if not paths.manifest.exists():
        raise ManifestError(
            f"{root} is no experiment's directory: it has no {paths.manifest.name}",
            hint=f"Plan one with: panic-hpc plan EXPERIMENT.toml {root}",
        )
    return _verified(paths)


def _document(manifest: Manifest) -> dict[str, Any]:
    document = {
        "format": FORMAT,
        "version": VERSION,
        "key": manifest.key,
        "n_runs": manifest.n_runs,
        "plan": described(manifest),
        "seconds": dict(manifest.seconds),
        **beside_plan(manifest),
    }
    return document | {"checksum": content_key(document)}


def _verified(paths: ExperimentPaths) -> dict[str, Any]:
    """Return the manifest's document, known to be whole, unedited and of a version we read."""
    document = _readable(paths.manifest)
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise ManifestError(f"{paths.manifest} is not a manifest of panic-hpc")
    if document.get("version") != VERSION:
        raise ManifestError(
            f"{paths.manifest} is of version {document.get('version')!r}; this reads {VERSION}",
            hint="Use the panic-hpc that planned it, or a newer one",
        )
    rest = {key: value for key, value in document.items() if key != "checksum"}
    # Two checks: the checksum covers labels too, the key what other files refer to.
    is_whole = document.get("checksum") == content_key(rest)
    if not is_whole or document.get("key") != content_key(document.get("plan")):
        raise ManifestError(
            f"{paths.manifest} was edited or damaged: its checksum is wrong",
            hint="Change the experiment file instead, and plan it in a new directory",
        )
    return document


def _readable(path: Path) -> Any:
    try:
        return read_json(path)
    except PanicError as error:
        raise ManifestError(error.message, hint=error.hint) from error


def _read_prompts(paths: ExperimentPaths) -> tuple[Prompt, ...]:
    return prompts_of(_readable(paths.prompts))


def _restored(
    document: Mapping[str, Any], prompts: tuple[Prompt, ...], kept: ExperimentPaths
) -> Manifest:
    plan = document["plan"]
    paths, families = document["paths"], document.get("families", {})
    labels = document.get("labels", {})
    files = document.get("files", {})
    specs = {
        name: ModelSpec(
            name=name,
            path=paths.get(name, ""),
            **{**value, "family": families.get(name, value["family"])},
            loader=value["family"] if name in families else "",
            labels=labels.get(name, {}),
            files=tuple((digest, str(kept.model_file(digest))) for digest in files.get(name, ())),
        )
        for name, value in plan["models"].items()
    }
    experiment = Experiment.model_validate({**plan["experiment"], "prompts": prompts})
    # Laid out again instead of stored: the manifest of 100,000 shards would be megabytes, read by
    # every worker.
    options = PlanOptions(layout=tuple(n["runs_per_shard"] for n in plan["networks"]))
    restored = lay_out(experiment, Resolved(specs, document["seconds"], ()), options)
    return replace(manifest_of(restored), key=document["key"])


@contextmanager
def _only_planner(root: Path) -> Iterator[None]:
    """Hold the directory's lock, so that prompts and manifest are written by one process.

    A file system without locks is no reason to stop: the manifest is verified when it is read.
    """
    try:
        make_directories(root)
        descriptor = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise ManifestError(f"{root} cannot be used as a directory ({error})") from error
    try:
        # ENOLCK or ENOSYS where the file system was mounted without locks.
        with suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _same(manifest: Manifest, paths: ExperimentPaths) -> Manifest:
    """Return `manifest`, which is there already; what differs is worth a full reading.

    Folders of weights and servers that were moved are written down: they are no part of the plan.
    """
    document = read_document(paths.root)
    if document["key"] == manifest.key:
        own = _document(manifest)
        if any(document.get(part) != own.get(part) for part in ("paths", "labels")):
            replace_file(paths.manifest, to_json(own))
        return manifest
    # Only now: reading prompts and laying out takes seconds for a million runs, the keys a
    # millisecond.
    old = read(paths.root)
    revisions = {spec.name: spec.revision for spec in manifest.specs}
    is_open = any(spec.repository and not spec.revision for spec in old.specs)
    if is_open and _settled(old, revisions).key == manifest.key:
        replace_file(paths.manifest, to_json(_document(manifest)))
        return manifest
    lines = "\n".join(f"  - {line}" for line in plan_differences(old, manifest))
    if not lines:
        return old
    raise ManifestError(
        f"{paths.root} holds the plan of another experiment; what differs (there → here):\n{lines}",
        hint="Plan it in a new directory",
    )


def _refuse_foreign(paths: ExperimentPaths) -> None:
    """Refuse a directory with other things in it; what an interrupted `write` left is no other."""
    names = {entry.name for entry in paths.root.iterdir() if not entry.name.startswith(".")}
    ours = {paths.prompts.name} if _is_ours(paths.prompts) else set()
    ours |= {paths.inputs.name} if are_ours(paths.inputs) else set()
    if other := sorted(names - ours):
        raise ManifestError(
            f"{paths.root} is not empty (it holds {other[0]!r}) and has no manifest",
            hint="Name a new directory",
        )


def _is_ours(path: Path) -> bool:
    """Say whether a file of our prompts' name is ours, whole or torn, and not somebody's list."""
    try:
        value = read_json(path)
    except PanicError:
        return _begins_as_ours(path)
    return isinstance(value, dict) and value.keys() - {"pictures", "names"} == {"texts", "groups"}


def _begins_as_ours(path: Path) -> bool:
    start = to_json({"texts": []}).partition(b"[")[0]
    try:
        with path.open("rb") as stream:
            return stream.read(len(start)) in (start, b"")
    except OSError:
        return False
