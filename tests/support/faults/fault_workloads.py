"""Pieces of work that each write one kind of file of an experiment, and what must hold after.

A workload begins from an experiment that is so far (`Workload.begins`), writes, and may be cut
short anywhere; then nothing that was published may be lost or wrong, and `submit` ends in the
content key of the undisturbed run.
"""

import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from little_experiment import plan_little

import panic_hpc
from panic_hpc.merging import packing
from panic_hpc.merging.assembling import MergeOptions
from panic_hpc.paths import ExperimentPaths
from panic_hpc.stages.merge.experiments import merge
from panic_hpc.store.exports.crate import Description, export_crate
from panic_hpc.store.exports.images import export_images
from panic_hpc.store.exports.parquet import export_parquet
from panic_hpc.upstream.importing import import_upstream
from panic_hpc.worker.stopper import write_halt
from panic_hpc.worker.worker import WorkerOptions, run_shards
from panic_hpc.workspace import leases
from panic_hpc.workspace.failures import failure_of, write_failure
from panic_hpc.workspace.ledger import new_submission, write_submission
from panic_hpc.workspace.process import this_process
from panic_hpc.workspace.workspace import open_workspace

# As little as has all kinds of files: an injection costs what a submission of it costs. Batches of
# one, as shards hold whole batches.
TINY: dict[str, Any] = {
    "models": {"DummyT2I": {"batch_size": 1}, "DummyI2T": {"batch_size": 1}},
    "prompts": ["a red apple"],
    "seeds": [1, 2, 3],
    "max_length": 4,
}
STAGES = ("runs", "embeddings", "diagrams", "merge")
EXPORTS = ("parquet", "images", "crate")


@dataclass(frozen=True)
class Workload:
    """The kind of file, the snapshot it begins from, and the work that writes it below a folder.

    `replaces` names published files of the experiment that the work puts others in place of.
    """

    kind: str
    begins: str
    work: Callable[[Path], object]
    replaces: tuple[str, ...] = ()


def plan(root: Path, runs_per_shard: int = 3) -> None:
    """Plan the tiny experiment."""
    plan_little(root / "EXP", runs_per_shard, **TINY)


def stage(name: str) -> Callable[[Path], object]:
    """Return the work of a worker on all shards of a stage."""

    def work(root: Path) -> None:
        indices = range(len(open_workspace(root / "EXP").shards(name)))
        run_shards(str(root / "EXP"), name, list(indices), WorkerOptions("a-submission"))

    return work


def submit(root: Path) -> None:
    """Do in this process whatever is not done."""
    request = panic_hpc.request_for("local", executor="inline")
    panic_hpc.submit(open_workspace(root / "EXP"), request, wait=True)


def lease(root: Path) -> None:
    """Take a lease, report, leave it to a successor, and release that one."""
    workspace = open_workspace(root / "EXP")
    path = workspace.paths.lease(workspace.shards("merge")[0])
    for end in ("left", "released"):
        if held := leases.take(path, this_process(), "a-submission"):
            with held:
                held.report(1, 2)
                if end == "left":
                    held.leave("stopped", "to be taken over")


def ledger(root: Path) -> None:
    """Write a submission and what became of it."""
    submission = new_submission("local")
    for outcome in ("running", "finished"):
        write_submission(root / "EXP/jobs/ledger", replace(submission, outcome=outcome))


def failure(root: Path) -> None:
    """Record a failure, of a disk, and another one over it."""
    workspace = open_workspace(root / "EXP")
    path = workspace.paths.failure(workspace.shards("merge")[0])
    for words in ("first", "second"):
        error = OSError(28, words)
        write_failure(path, failure_of(error, this_process(), "a-submission"))


def halt(root: Path) -> None:
    """Ask workers to stop, in a long while."""
    write_halt(root / "EXP/jobs/halt.json", "somebody", at=2.0**32)


def export(form: str, root: Path, force: bool = False) -> None:
    """Export the dataset in one form."""
    dataset, target = root / "EXP/dataset.h5", root / form
    if form == "crate":
        export_crate([dataset], target, Description("Title", ("Doe, Jane",)))
        return
    with panic_hpc.open(dataset) as opened:
        write = export_parquet if form == "parquet" else export_images
        write(opened, target, force=force)


def import_(root: Path) -> None:
    """Import upstream's database, which lies beside."""
    import_upstream(root / "upstream.db", root / "imported.h5", force=True)


def refer(root: Path) -> None:
    """Merge into a dataset that refers to its pictures."""
    merge([root / "EXP"], root / "EXP/dataset.h5", MergeOptions(refer=True))


def pack(root: Path) -> None:
    """Make the dataset whole, in its place."""
    packing.pack(root / "EXP/dataset.h5", root / "EXP/dataset.h5")


WORKLOADS = (
    Workload("manifest", "nothing", plan),
    Workload("runs", "planned", stage("runs")),
    Workload("embeddings", "runs", stage("embeddings")),
    Workload("diagrams", "embeddings", stage("diagrams")),
    Workload("dataset", "diagrams", stage("merge")),
    Workload("submission", "planned in single runs", submit),
    # Little is left to do after these, as what they write is the same at any time.
    Workload("lease", "diagrams", lease),
    Workload("ledger", "diagrams", ledger),
    Workload("failure", "diagrams", failure),
    Workload("halt", "diagrams", halt),
    *(Workload(form, "merge", partial(export, form)) for form in EXPORTS),
    Workload("imported", "upstream", import_),
    Workload("packed", "referring", pack, ("dataset.h5",)),
)


def make_snapshots(folder: Path) -> str:
    """Make the experiments that workloads begin from in `folder`; return the content key."""
    (folder / "nothing").mkdir()
    # The content key is that of the others: how runs are laid out in shards is no part of it.
    plan(folder / "planned in single runs", runs_per_shard=1)
    plan(folder / "planned")
    before = "planned"
    for name in STAGES:
        shutil.copytree(folder / before, folder / name)
        stage(name)(folder / name)
        before = name
    shutil.copytree(folder / "diagrams", folder / "referring")
    refer(folder / "referring")
    return content_key(folder / "merge/EXP/dataset.h5")


def content_key(path: Path) -> str:
    """Return the content key of a dataset whose every byte is checked."""
    with panic_hpc.open(path) as dataset:
        dataset.file.check_all()
        return dataset.content_key


def published(root: Path) -> list[Path]:
    """Return the files of an experiment that are published, relative to it."""
    paths = ExperimentPaths(root)
    places = [root / "shards", paths.ledger, paths.failed, paths.leases]
    found = [path for place in places for path in place.rglob("[!.]*") if path.is_file()]
    single = [path for path in (paths.manifest, paths.prompts, paths.dataset) if path.exists()]
    return sorted(path.relative_to(root) for path in found + single)
