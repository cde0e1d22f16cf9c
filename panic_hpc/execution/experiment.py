"""An experiment as execution sees it: its manifest, its paths and the stages installed."""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from panic_hpc.errors import ManifestError
from panic_hpc.paths import ExperimentPaths
from panic_hpc.registry import lookup
from panic_hpc.stages.base import Stage
from panic_hpc.types import Shard

if TYPE_CHECKING:
    from panic_hpc.planning.manifest import Manifest


@dataclass(frozen=True, slots=True)
class Experiment:
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

    def stage_order(self) -> list[str]:
        """Return the names of the stages, each after those whose shards it reads."""
        order: list[str] = []
        while len(order) < len(self.stages):
            # Sorted, so that the order does not hang on that of imports.
            order.extend(sorted(self._next_stages(order)))
        return order

    def known_stages(self, names: Iterable[str]) -> tuple[str, ...]:
        """Return `names` in order, all stages where there are none; PanicError if unknown."""
        wanted = {lookup(self.stages, name, "stage").name for name in names}
        return tuple(name for name in self.stage_order() if name in wanted or not wanted)

    def _next_stages(self, order: Sequence[str]) -> Iterator[str]:
        ready = [
            name
            for name, stage in self.stages.items()
            if name not in order and set(stage.after) & set(self.stages) <= set(order)
        ]
        if not ready:
            raise ManifestError("The stages installed wait for each other in a circle")
        yield from ready


def open_experiment(root: Path) -> Experiment:
    """Read the experiment in `root`; ManifestError where there is none."""
    from panic_hpc import registry
    from panic_hpc.planning import manifest

    stages = registry.collect("panic_hpc.stages")
    return Experiment(manifest.read(root), ExperimentPaths(root.absolute()), stages)


def adopt_sharing(root: Path) -> None:
    """Let what this process writes be writable for the group where the experiment is."""
    # The umask only: which group new files belong to is up to the directory's setgid bit.
    if root.stat().st_mode & 0o020:
        os.umask(0o002)
