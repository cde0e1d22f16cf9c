"""Every path of an experiment's directory; nothing else builds one."""

import os
from dataclasses import dataclass
from pathlib import Path

from panic_hpc.errors import ManifestError
from panic_hpc.types import Shard

DATASET = "dataset.h5"


@dataclass(frozen=True, slots=True)
class ExperimentPaths:
    """The layout of one experiment's directory (DESIGN.md, section 6)."""

    root: Path

    @property
    def manifest(self) -> Path:
        """The plan on disk; written last, so its presence means that planning finished."""
        return self.root / "manifest.json"

    @property
    def prompts(self) -> Path:
        """The table of prompts that the manifest refers to."""
        return self.root / "prompts.json"

    @property
    def inputs(self) -> Path:
        """The pictures that belong to prompts, a file each."""
        return self.root / "inputs"

    def model_file(self, digest: str) -> Path:
        """Where a file that a model's settings name by "sha256:…" is kept."""
        return self.inputs / f"{digest.removeprefix('sha256:')}.file"

    def input(self, digest: str) -> Path:
        """Return the file of a picture by the digest of its pixels."""
        return self.inputs / f"{digest}.picture"

    @property
    def lock(self) -> Path:
        """The files of the experiment's models by digest, where they come from a hub."""
        return self.root / "models.lock.json"

    @property
    def dataset(self) -> Path:
        """The merged product."""
        return self.root / DATASET

    @property
    def report(self) -> Path:
        """Pictures and tables made from the dataset."""
        return self.root / "report"

    @property
    def votes(self) -> Path:
        """What people said of outputs, files of lines."""
        return self.root / "votes"

    @property
    def jobs(self) -> Path:
        """Ledger, leases, submitit's folders and logs."""
        return self.root / "jobs"

    @property
    def all(self) -> tuple[Path, ...]:
        """Everything that may be there, in an order to delete it in: the manifest goes last."""
        dataset = (self.votes, self.report, self.dataset, self.root / f"{self.dataset.name}.digest")
        return (*dataset, *self.work)

    @property
    def work(self) -> tuple[Path, ...]:
        """The plan and what the stages before merge left: no verb's output may go there."""
        parts = ("shards", "checkpoints", "failed", "remarks", "jobs", "inputs", "prompts.json")
        return (*(self.root / part for part in parts), self.lock, self.manifest)

    @property
    def halt(self) -> Path:
        """The file whose presence asks workers to stop after their next checkpoint."""
        return self.jobs / "halt.json"

    @property
    def leases(self) -> Path:
        """The directory of leases, one file for each shard that somebody works on."""
        return self.jobs / "leases"

    @property
    def failed(self) -> Path:
        """The directory of failure records, one file a failed shard."""
        return self.root / "failed"

    @property
    def remarks(self) -> Path:
        """The directory of notes on shards that are published and lack something."""
        return self.root / "remarks"

    @property
    def ledger(self) -> Path:
        """The directory of submissions, one file each."""
        return self.jobs / "ledger"

    @property
    def submitit(self) -> Path:
        """The directory that holds a private folder for each submission."""
        return self.jobs / "submitit"

    @property
    def submit_lock(self) -> Path:
        """The file that says who is submitting now."""
        return self.jobs / "submitting.json"

    def stage_directory(self, stage: str, model: str = "") -> Path:
        """Return the directory of a stage's shard files, a sub-directory per embedding model."""
        directory = self.root / "shards" / stage
        return directory / model if model else directory

    def shard(self, shard: Shard) -> Path:
        """Return the file of `shard`: where it is there, the work is done (see `Stage.lacking`)."""
        if shard.file:
            return self.root / shard.file
        directory = self.stage_directory(shard.stage, shard.model)
        return directory / f"{shard.stage}_{shard.index:05d}.h5"

    def checkpoint(self, shard: Shard) -> Path:
        """Return the journal of a shard in progress."""
        return self.root / "checkpoints" / f"{shard.stage}_{shard.index:05d}.journal"

    def failure(self, shard: Shard) -> Path:
        """Return the record of why `shard` failed."""
        return self.failed / f"{shard.stage}_{shard.index:05d}.json"

    def remark(self, shard: Shard) -> Path:
        """Return the note of what a published shard lacks, where it lacks something."""
        return self.remarks / f"{shard.stage}_{shard.index:05d}.json"

    def lease(self, shard: Shard) -> Path:
        """Return the file that says which process works on `shard` now, and how far it is."""
        return self.leases / f"{shard.stage}_{shard.index:05d}.json"


def require_utf8(root: Path) -> None:
    """Raise ManifestError where a directory's path is no UTF-8: records name it, and are JSON."""
    try:
        str(root.absolute()).encode()
    except UnicodeEncodeError as error:
        shown = os.fsencode(root.absolute()).decode("utf-8", "backslashreplace")
        raise ManifestError(
            f"The path {shown} is no UTF-8, and nothing can be submitted in it",
            hint="Rename the directory, or choose another one",
        ) from error


def shipped_configs() -> Path:
    """Return the folder of experiments and cluster profiles that came with this installation."""
    package = Path(__file__).parent
    installed = package / "configs"
    return installed if installed.is_dir() else package.parent / "configs"
