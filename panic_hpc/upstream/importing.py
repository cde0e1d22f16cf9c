"""Importing upstream's databases: their runs become shards, and these a dataset like any other."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from panic_hpc.disk.publish import publish_over, temporary_directory
from panic_hpc.errors import PanicError
from panic_hpc.keys import content_key
from panic_hpc.merging.assembling import MergeOptions
from panic_hpc.merging.inputs import Input, MergeInputs
from panic_hpc.merging.merge import Merged, join
from panic_hpc.merging.own_dataset import admit_dataset
from panic_hpc.merging.ranks import Alone
from panic_hpc.merging.unify import ExperimentInfo, NetworkInfo
from panic_hpc.store.checks.verify import verify_file
from panic_hpc.store.format.file_digest import write_digest
from panic_hpc.store.format.reader import ArrayFile
from panic_hpc.store.format.shard import ShardHeader, publish_shard
from panic_hpc.types import DIAGRAMS, EMBEDDINGS, IMAGE, RUNS, TEXT, ModelSpec, Prompt, Shard
from panic_hpc.upstream.arrays import (
    diagrams_arrays,
    embeddings_arrays,
    runs_arrays,
)
from panic_hpc.upstream.cells import text_id
from panic_hpc.upstream.database import UpstreamDatabase, UpstreamExperiment
from panic_hpc.upstream.imported_run import ImportedRun
from panic_hpc.upstream.labels import Labels

# A group's runs and the arrays made of them are in memory at the same time.
SHARD_BYTES = 128 * 2**20
SHARD_ROWS = 100_000
SHOWN_EXPERIMENTS = 12

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
    experiments: Sequence[str] = (),
    force: bool = False,
) -> Imported:
    """Make the dataset `target` of the experiments in a database of upstream's.

    `experiments` chooses some by id, or by how an id begins; all where it is empty. What is made is
    verified before it is published. Needs the dataset's size twice for the time being. Raises
    PanicError where the database cannot be read or has no run, and where another file than an
    earlier import of the same experiments stands at `target` and `force` is not given, or an input.
    """
    if not database.is_file():
        raise PanicError(f"{database} does not exist, or is no file")
    # SQLite's own files beside a database hold what was written last.
    others = [database.with_name(database.name + end) for end in ("", "-wal", "-shm", "-journal")]
    with UpstreamDatabase(database) as source:
        chosen = _chosen(source.experiments(), experiments, database)
        problems = [
            f"experiment {one.id} has no run, so it is left out"
            for one in chosen
            if not source.runs(one)
        ]
        chosen = [one for one in chosen if source.runs(one)]
        if not chosen:
            raise PanicError(f"{database} has no experiment with a run")
        keys = [_key(one) for one in chosen]
        # Before the work of hours, and again before it is published.
        admit_dataset(target, keys, others, force=force)
        with temporary_directory(target, ".import-") as directory:
            given = _read(source, chosen, directory, problems, report)
            staged = directory / "dataset.h5"
            merged = join(replace(given, others=others), staged, MergeOptions(), Alone())
            _require_clean(staged, database)
            admit_dataset(target, keys, others, force=force)
            with ArrayFile(staged) as file:
                write_digest(file, target)
            publish_over(staged, target)
    return Imported(replace(merged, path=target), tuple(problems))


def _chosen(
    there: Sequence[UpstreamExperiment], wanted: Sequence[str], database: Path
) -> list[UpstreamExperiment]:
    """Return the experiments that were asked for, each by how its id begins; all for none."""
    if len({one.id for one in there}) < len(there):
        raise PanicError(f"{database} has two experiments of one id")
    found: list[UpstreamExperiment] = []
    for text in wanted:
        start = text.replace("-", "").lower()
        matching = [one for one in there if start and one.id.startswith(start)]
        if len(matching) != 1:
            known = ", ".join(one.id for one in there[:SHOWN_EXPERIMENTS])
            number = "no" if not matching else f"{len(matching)}"
            raise PanicError(
                f"{database} has {number} experiments whose id begins with {text!r}",
                hint=f"It has {known or 'none'}",
            )
        found += [one for one in matching if one not in found]
    return found if wanted else list(there)


def _read(
    source: UpstreamDatabase,
    chosen: Sequence[UpstreamExperiment],
    directory: Path,
    problems: list[str],
    report: Report,
) -> MergeInputs:
    infos: list[ExperimentInfo] = []
    inputs: list[Input] = []
    labels = Labels()
    for number, experiment in enumerate(chosen):
        importer = _Importer(source, experiment, number, directory, problems, labels)
        try:
            inputs += list(importer.shards(report))
        except PanicError as error:
            hint = error.hint
            if len(chosen) > 1:
                rest = " ".join(f"--experiment {o.id}" for o in chosen if o is not experiment)
                hint = f"Import the others: {rest}"
            raise PanicError(f"Experiment {experiment.id}: {error.message}", hint=hint) from error
        infos.append(importer.info())
    return MergeInputs(infos, inputs)


def _require_clean(staged: Path, database: Path) -> None:
    """Raise PanicError where what was made breaks a rule of the format."""
    found = verify_file(staged).findings
    if found:
        raise PanicError(
            f"{database} has something that no dataset can hold: {found[0].message}",
            hint="Import its experiments one by one with --experiment",
        )


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
        labels: Labels,
    ) -> None:
        self.source = source
        self.experiment = experiment
        self.number = number
        self.directory = directory / str(number)
        self.problems = problems
        self.key = _key(experiment)
        self.runs = source.runs(experiment)
        if len({text_id(run.id) for run in self.runs}) < len(self.runs):
            raise PanicError(f"Experiment {experiment.id} has two runs of one id")
        # Runs may have networks and prompts that their experiment does not list.
        self.networks = list(dict.fromkeys([*experiment.networks, *(r.network for r in self.runs)]))
        self.prompts = list(dict.fromkeys([*experiment.prompts, *(r.prompt for r in self.runs)]))
        self.produces: dict[str, str] = {}
        self.labels = labels
        self.embedded: dict[str, str] = {}
        self.named = frozenset(experiment.embedding_models)
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
            imported = self.labels.relabelled(imported)
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
        steps = {invocation.step: invocation.modality for invocation in run.invocations}
        for model in (*run.embeddings, *run.diagrams):
            if model not in self.embedded and self.labels.name(model) not in self.named:
                self.problems.append(
                    f"experiment {self.experiment.id} has results of {self.labels.name(model)}, "
                    "which it does not name"
                )
            self.embedded.setdefault(model, TEXT)
        for model, rows in run.embeddings.items():
            if any(steps.get(step) == IMAGE for step, _ in rows[:2]):
                self.embedded[model] = IMAGE

    def _publish(
        self, stage: str, model: str, first: int, group: Sequence[ImportedRun], arrays: Any
    ) -> Input:
        index = self.counts.get(stage, 0)
        self.counts[stage] = index + 1
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
        for name in self.experiment.embedding_models:
            if not any(self.labels.name(label) == name for label in self.embedded):
                self.embedded[self.labels.of(name, 0)] = TEXT
        return ExperimentInfo(
            self.key,
            f"upstream {self.experiment.id}",
            self.source.path.name,
            {
                **self.experiment.config,
                "upstream_era": self.source.era,
                "upstream_id": self.experiment.id,
            },
            tuple(Prompt(text) for text in self.prompts),
            tuple(self._network(network) for network in self.networks),
            tuple(
                self._model(label, consumes, "embedding", self.labels.settings(label))
                for label, consumes in self.embedded.items()
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

    def _model(
        self, name: str, consumes: str, produces: str, settings: dict[str, Any] | None = None
    ) -> ModelSpec:
        settings = {"name": name} if settings is None else settings
        return ModelSpec(name, "upstream", consumes, produces, "", "", "", 1, settings)
