"""An experiment as execution sees it: its manifest, its paths and the stages installed."""

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from panic_hpc.installed import lookup
from panic_hpc.paths import ExperimentPaths
from panic_hpc.stages.base import Stage, installed_stages
from panic_hpc.types import Shard

if TYPE_CHECKING:
    from panic_hpc.planning.manifest import Manifest


@dataclass(frozen=True, slots=True)
class Workspace:
    """What has been read of an experiment's directory."""

    manifest: "Manifest"
    paths: ExperimentPaths
    stages: Mapping[str, Stage]
    _shards: dict[str, Sequence[Shard]] = field(default_factory=dict)

    def shards(self, stage: str) -> Sequence[Shard]:
        """Return the shards of `stage`, computed once."""
        if stage not in self._shards:
            self._shards[stage] = self.stages[stage].shards(self.manifest)
        return self._shards[stage]

    def lacking(self, shard: Shard) -> str:
        """Return "" where the work of `shard` is done, else what lacks: see `Stage.lacking`."""
        return self.stages[shard.stage].lacking(self.paths, shard)

    def known_stages(self, names: Iterable[str]) -> tuple[str, ...]:
        """Return `names` in order, all stages where there are none; PanicError if unknown."""
        wanted = {lookup(self.stages, name, "stage").name for name in names}
        return tuple(name for name in self.stages if name in wanted or not wanted)


def open_workspace(root: Path) -> Workspace:
    """Read the experiment in `root`; ManifestError where there is none."""
    from panic_hpc.planning import manifest

    paths = ExperimentPaths(root.absolute())
    return Workspace(manifest.read(root), paths, installed_stages())


def adopt_sharing(root: Path) -> None:
    """Let what this process writes be writable for the group where the experiment is."""
    # The umask only: which group new files belong to is up to the directory's setgid bit.
    if root.stat().st_mode & 0o020:
        os.umask(0o002)
