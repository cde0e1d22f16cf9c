"""Importing upstream's databases: their runs become shards, and these a dataset like any other."""

import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from panic_hpc.errors import PanicError
from panic_hpc.keys import content_key
from panic_hpc.merging.assembling import MergeOptions
from panic_hpc.merging.inputs import Input, MergeInputs
from panic_hpc.merging.merge import Merged, join
from panic_hpc.merging.own_dataset import admit_dataset
from panic_hpc.merging.ranks import Alone
from panic_hpc.merging.unify import ExperimentInfo, NetworkInfo
from panic_hpc.store.format.shard import ShardHeader, publish_shard
from panic_hpc.types import DIAGRAMS, EMBEDDINGS, IMAGE, RUNS, TEXT, ModelSpec, Prompt, Shard
from panic_hpc.upstream.arrays import (
    ImportedRun,
    diagrams_arrays,
    embeddings_arrays,
    runs_arrays,
)
from panic_hpc.upstream.database import UpstreamDatabase, UpstreamExperiment

# A group's runs and the arrays made of them are in memory at the same time.
SHARD_BYTES = 128 * 2**20
SHARD_ROWS = 100_000

Report = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import made; `problems` are sentences about what upstream lacked."""

    merged: Merged
    problems: tuple[str, ...]


def import_upstream(
    database: Path,
    target: Path,
    report: Report = lambda done, total: None,
    *,
    force: bool = False,
) -> Imported:
    """Make the dataset `target` of all experiments in a database of upstream's.

    Needs the dataset's size twice for the time being. Raises PanicError where the database cannot
    be read or has no run, and where another file than an earlier import of the same experiments
    stands at `target` and `force` is not given, or an input.
    """
    if not database.is_file():
        raise PanicError(f"{database} does not exist")
    problems: list[str] = []
    # SQLite's own files beside a database hold what was written last.
    others = [database.with_name(database.name + end) for end in ("", "-wal", "-shm", "-journal")]
    with UpstreamDatabase(database) as source:
        # Before the work of hours; merging asks again.
        experiments = [one for one in source.experiments() if source.runs(one)]
        admit_dataset(target, [_key(one) for one in experiments], others, force=force)
    target.parent.mkdir(parents=True, exist_ok=True)
    with (
        UpstreamDatabase(database) as source,
        # Beside the target: temporary space can be small or memory, and copies between file
        # systems share no blocks.
        tempfile.TemporaryDirectory(dir=target.parent, prefix=".import-") as directory,
    ):
        infos: list[ExperimentInfo] = []
        inputs: list[Input] = []
        for experiment in source.experiments():
            importer = _Importer(source, experiment, len(infos), Path(directory), problems)
            own = list(importer.shards(report))
            if own:
                infos.append(importer.info())
                inputs += own
            else:
                problems.append(f"experiment {experiment.id} has no run, so it is left out")
        if not infos:
            raise PanicError(f"{database} has no experiment with a run")
        given = MergeInputs(infos, inputs, others=others)
        merged = join(given, target, MergeOptions(force=force), Alone())
    return Imported(merged, tuple(problems))


def _key(experiment: UpstreamExperiment) -> str:
    return content_key(["upstream", experiment.id])


class _Importer:
    """Writes the shards of one experiment."""

    def __init__(
        self,
        source: UpstreamDatabase,
        experiment: UpstreamExperiment,
        number: int,
        directory: Path,
        problems: list[str],
    ) -> None:
        self.source = source
        self.experiment = experiment
        self.number = number
        self.directory = directory / str(number)
        self.problems = problems
        self.key = _key(experiment)
        self.runs = source.runs(experiment)
        # Runs may have networks and prompts that their experiment does not list.
        self.networks = list(dict.fromkeys([*experiment.networks, *(r.network for r in self.runs)]))
        self.prompts = list(dict.fromkeys([*experiment.prompts, *(r.prompt for r in self.runs)]))
        self.produces: dict[str, str] = {}
        self.embedded: dict[str, str] = dict.fromkeys(experiment.embedding_models, TEXT)
        self.counts: dict[str, int] = {}

    def shards(self, report: Report) -> Iterator[Input]:
        """Publish all shards and yield what merge takes."""
        first = 0
        for group in self._groups(report):
            yield self._publish(RUNS, "", first, group, runs_arrays(first, group))
            for model in self.embedded:
                if any(model in run.embeddings for run in group):
                    arrays = embeddings_arrays(first, group, model)
                    yield self._publish(EMBEDDINGS, model, first, group, arrays)
                if any(model in run.diagrams for run in group):
                    arrays = diagrams_arrays(first, group, model)
                    yield self._publish(DIAGRAMS, model, first, group, arrays)
            first += len(group)

    def _groups(self, report: Report) -> Iterator[list[ImportedRun]]:
        group: list[ImportedRun] = []
        nbytes = rows = 0
        for place, run in enumerate(self.runs):
            imported = ImportedRun.read(
                self.source, run, self.networks.index(run.network), self.prompts.index(run.prompt)
            )
            self._learn(imported)
            group.append(imported)
            nbytes += imported.nbytes
            rows += len(imported.invocations)
            report(place + 1, len(self.runs))
            if nbytes >= SHARD_BYTES or rows >= SHARD_ROWS:
                yield group
                group, nbytes, rows = [], 0, 0
        if group:
            yield group

    def _learn(self, run: ImportedRun) -> None:
        """Note what models produce and embed, and what is wrong with the run."""
        self.problems += run.problems
        for invocation in run.invocations:
            self.produces.setdefault(invocation.model, invocation.modality)
        unknown = {*run.embeddings, *run.diagrams} - self.embedded.keys()
        if unknown:
            raise PanicError(
                f"Run {run.id} has results of {', '.join(sorted(unknown))}, which its experiment "
                "does not name"
            )
        steps = {invocation.step: invocation.modality for invocation in run.invocations}
        for model, rows in run.embeddings.items():
            if any(steps.get(step) == IMAGE for step, _ in rows[:2]):
                self.embedded[model] = IMAGE

    def _publish(
        self, stage: str, model: str, first: int, group: Sequence[ImportedRun], arrays: Any
    ) -> Input:
        index = self.counts.get(stage, 0)
        self.counts[stage] = index + 1
        # Numbers, for upstream's names of models may hold slashes.
        path = self.directory / f"{stage}_{index:05d}.h5"
        numerics = {"upstream": self.source.era}
        provenance = {"imported_from": self.source.path.name}
        publish_shard(
            path, ShardHeader(stage, index, model, self.key, numerics, provenance), arrays
        )
        shard = Shard(stage, index, model, first, len(group))
        return Input(self.number, shard, path, self.key, model)

    def info(self) -> ExperimentInfo:
        """Return what the dataset keeps of the experiment."""
        config = {name: value for name, value in self.experiment.config.items() if name != "_id"}
        return ExperimentInfo(
            self.key,
            f"upstream {self.experiment.id}",
            self.source.path.name,
            {**config, "upstream_era": self.source.era, "upstream_id": self.experiment.id},
            tuple(Prompt(text) for text in self.prompts),
            tuple(self._network(network) for network in self.networks),
            tuple(
                self._model(name, consumes, "embedding") for name, consumes in self.embedded.items()
            ),
            len(self.runs),
        )

    def _network(self, names: tuple[str, ...]) -> NetworkInfo:
        produced = [self.produces.get(name, TEXT) for name in names]
        models = tuple(
            # -1 for the first: in a cycle it reads what the last one produced.
            self._model(name, produced[place - 1], produced[place])
            for place, name in enumerate(names)
        )
        return NetworkInfo(content_key(["upstream", list(names)]), models)

    def _model(self, name: str, consumes: str, produces: str) -> ModelSpec:
        return ModelSpec(name, "upstream", consumes, produces, "", "", "", 1, {"name": name})
