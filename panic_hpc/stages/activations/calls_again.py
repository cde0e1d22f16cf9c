"""The calls of a runs shard, made again: the same batches, slots, inputs and seeds."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from panic_hpc.models.base import Turn
from panic_hpc.paths import ExperimentPaths
from panic_hpc.stages.codecs.base import codec_of
from panic_hpc.stages.outputs import Outputs
from panic_hpc.stages.prompt_inputs import PromptInputs
from panic_hpc.stages.runs.lockstep import batches
from panic_hpc.stages.runs.progress import seed_of
from panic_hpc.store.format.shard import ShardFile
from panic_hpc.types import Run, Shard

if TYPE_CHECKING:
    from panic_hpc.planning.manifest import Manifest
    from panic_hpc.planning.networks import Network


class Again(NamedTuple):
    """One call: its step, what each slot read (value, seed, turn), and what was stored of it.

    `stored` lacks slots whose picture was not kept.
    """

    step: int
    items: Mapping[int, tuple[Any, int, Turn]]
    stored: Mapping[int, Any]


class Batch(NamedTuple):
    """The calls of a model for one batch of runs; `runs` are their places in the shard."""

    position: int
    runs: range
    calls: Sequence[Again]


class CallsReader:
    """Reads the calls of one model of a network, batch by batch."""

    def __init__(
        self,
        manifest: "Manifest",
        paths: ExperimentPaths,
        shard: Shard,
        source: ShardFile,
        name: str,
    ) -> None:
        self._network = _network_of(manifest, shard)
        self._runs: list[Run] = list(manifest.runs(shard.first_run, shard.n_runs))
        self._inputs = PromptInputs(manifest, paths)
        self._prompts = manifest.prompts
        models = self._network.models
        # Of the name or of another for the same: names of one identity are one model.
        self.places = [place for place, spec in enumerate(models) if spec.name == name]
        self.spec = models[self.places[0]] if self.places else None
        if self.spec is None:
            self.batches: list[range] = []
            return
        self.batches = list(batches(shard.n_runs, self.spec.batch_size))
        self._made = Outputs(source, self.spec.produces)
        same = self.spec.consumes == self.spec.produces
        self._read = self._made if same else Outputs(source, self.spec.consumes)
        self._steps = source.array("runs/n_steps")

    def __call__(self, position: int) -> Batch:
        """Return the calls of a batch, in order of steps."""
        runs = self.batches[position]
        made = {place: self._decoded(self._made, place) for place in runs}
        read = made
        if self._read is not self._made:
            read = {place: self._decoded(self._read, place) for place in runs}
        return Batch(position, runs, list(self._calls(runs, read, made)))

    def _calls(
        self, runs: range, read: Mapping[int, Any], made: Mapping[int, Any]
    ) -> Iterator[Again]:
        length = len(self._network.models)
        for step in range(int(self._steps[runs.start : runs.stop].max(initial=0))):
            if step % length not in self.places:
                continue
            going = [place for place in runs if step < self._steps[place]]
            items = {
                place - runs.start: self._item(place, step, step // length, read[place])
                for place in going
            }
            stored = {p - runs.start: made[p][step] for p in going if step in made[p]}
            if items:
                yield Again(step, items, stored)

    def _item(
        self, place: int, step: int, iteration: int, read: Mapping[int, Any]
    ) -> tuple[Any, int, Turn]:
        run = self._runs[place]
        prompt = self._prompts[run.prompt]
        assert self.spec is not None
        value = read[step - 1] if step else self._inputs.start(prompt, self.spec.consumes)
        turn = Turn(step, prompt.text, self._inputs.pictures(prompt), iteration)
        return value, seed_of(run, step), turn

    @staticmethod
    def _decoded(outputs: Outputs, place: int) -> dict[int, Any]:
        return dict(outputs.decoded(place, codec_of(outputs.modality)))


def _network_of(manifest: "Manifest", shard: Shard) -> "Network":
    return manifest.networks[manifest.run_shards[shard.inputs[0].index].network]
