"""Small experiments with arithmetic models, planned in a folder and worked on in this process."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from panic_hpc import installed
from panic_hpc.experiment import catalogue
from panic_hpc.experiment.config import Experiment
from panic_hpc.paths import ExperimentPaths
from panic_hpc.planning import manifest
from panic_hpc.planning.manifest import Manifest
from panic_hpc.planning.plan import PlanOptions, make_plan
from panic_hpc.stages.base import Context, Stage
from panic_hpc.store.format.shard import open_shard

DEFAULTS: dict[str, Any] = {
    "networks": [["DummyT2I", "DummyI2T"]],
    "prompts": ["a red apple", "a small boat", "the moon"],
    "seeds": [1, 2, 3],
    "embedding_models": ["DummyText", "DummyVision"],
    "max_length": 12,
    "homology": {"engine": "gudhi", "maxdim": 1},
}


def never(margin_s: float) -> str:
    """Ask for no stop."""
    return ""


def silent(done: int, total: int) -> None:
    """Report to nobody."""


@dataclass(frozen=True)
class Planned:
    """An experiment in a folder."""

    manifest: Manifest
    paths: ExperimentPaths

    def context(self, **changes: Any) -> Context:
        """Return the context a worker would give."""
        context = Context(self.manifest, self.paths, "cpu", {}, never, silent)
        return replace(context, **changes)

    def work(self, *names: str, **changes: Any) -> None:
        """Execute all shards of these stages, in order."""
        for name in names:
            stage = stage_named(name)
            for shard in stage.shards(self.manifest):
                stage.execute(self.context(**changes), shard)

    def digests(self, name: str) -> dict[tuple[str, str], bytes]:
        """Return {(model, run key): digest} over the published shards of a stage."""
        found = {}
        for shard in stage_named(name).shards(self.manifest):
            with open_shard(self.paths.shard(shard), manifest_key=self.manifest.key) as file:
                keys, digests = file.array("runs/key"), file.array("runs/digest")
                for key, digest in zip(keys, digests, strict=True):
                    found[shard.model, key.decode()] = bytes(digest)
        return found


def stage_named(name: str) -> Stage:
    """Return an installed stage."""
    stage: Stage = installed.plugins("stages")[name]
    return stage


def planned(root: Path, runs_per_shard: int | None = None, **changes: Any) -> Planned:
    """Plan a small experiment, DEFAULTS with `changes`, in `root`."""
    experiment = Experiment.model_validate({**DEFAULTS, **changes})
    options = PlanOptions(runs_per_shard=runs_per_shard)
    plan = make_plan(experiment, catalogue.load(), options)
    paths = ExperimentPaths(root)
    return Planned(manifest.write(plan, paths), paths)
