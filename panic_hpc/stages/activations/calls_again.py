"""The calls of a runs shard, made again: the same batches, slots, inputs and seeds."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from panic_hpc.models.base import Turn
from panic_hpc.paths import ExperimentPaths
from panic_hpc.stages.codecs.base import codec_of
from panic_hpc.stages.outputs import Decoder, Outputs
from panic_hpc.stages.prompt_inputs import PromptInputs
from panic_hpc.stages.runs.lockstep import batches
from panic_hpc.stages.runs.progress import seed_of
from panic_hpc.store.format.shard import ShardFile
from panic_hpc.types import Run, Shard

if TYPE_CHECKING:
    from panic_hpc.planning.manifest import Manifest
    from panic_hpc.planning.networks import Network


class Again(NamedTuple):
    """One call: its step, what each run read (value, seed, turn), and what was stored of it.

    Runs are known by their places in the shard, of which `runs` are the batch's; `stored` lacks
    those whose picture was not kept.
    """

    step: int
    runs: range
    items: Mapping[int, tuple[Any, int, Turn]]
    stored: Mapping[int, Any]


class CallsReader:
    """Reads the calls of one model of a network, one by one: batch by batch, each in its steps."""

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
        self.calls: list[tuple[range, int]] = []
        if self.spec is None:
            return
        self._steps = source.array("runs/n_steps")
        self.calls = list(self._calls(shard.n_runs, self.spec.batch_size))
        made, read = self.spec.produces, self.spec.consumes
        self._made = Decoder(Outputs(source, made), codec_of(made))
        self._read = self._made if made == read else Decoder(Outputs(source, read), codec_of(read))

    def _calls(self, n_runs: int, batch_size: int) -> Iterator[tuple[range, int]]:
        """Yield the runs and the step of each call that the runs stage made of the model."""
        length = len(self._network.models)
        for runs in batches(n_runs, batch_size):
            for step in range(int(self._steps[runs.start : runs.stop].max(initial=0))):
                if step % length in self.places:
                    yield runs, step

    def parts(self, position: int) -> list[tuple[range, int]]:
        """Return the one part that a call is."""
        return [self.calls[position]]

    def read(self, position: int, part: tuple[range, int]) -> Again:
        """Return a call."""
        runs, step = part
        going = [place for place in runs if step < self._steps[place]]
        wanted = [(place, step) for place in going]
        before = [(place, step - 1) for place in going if step]
        if self._read is self._made:
            made = read = self._made([*before, *wanted])
        else:
            made, read = self._made(wanted), self._read(before)
        items = {place: self._item(place, step, read.get((place, step - 1))) for place in going}
        stored = {place: made[place, step] for place in going if (place, step) in made}
        return Again(step, runs, items, stored)

    def _item(self, place: int, step: int, before: Any) -> tuple[Any, int, Turn]:
        run = self._runs[place]
        prompt = self._prompts[run.prompt]
        assert self.spec is not None
        value = before if step else self._inputs.start(prompt, self.spec.consumes)
        iteration = step // len(self._network.models)
        turn = Turn(step, prompt.text, self._inputs.pictures(prompt), iteration)
        return value, seed_of(run, step), turn


def _network_of(manifest: "Manifest", shard: Shard) -> "Network":
    return manifest.networks[manifest.run_shards[shard.inputs[0].index].network]
