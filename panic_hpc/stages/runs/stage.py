"""The runs stage: prompts and seeds followed through their network, images stored on the way."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from panic_hpc import installed
from panic_hpc.models.base import is_repeatable
from panic_hpc.models.checks.records import require_checked
from panic_hpc.models.hub.cache import cache_directory
from panic_hpc.models.loading import load_all
from panic_hpc.models.numerics import numerics_class
from panic_hpc.models.steering.settings import last_steered_step
from panic_hpc.models.torch_setup import fix_threads
from panic_hpc.stages.base import Context, Estimate
from panic_hpc.stages.codecs.base import codec_of, with_codecs
from panic_hpc.stages.journalled import JournalledStage
from panic_hpc.stages.prompt_inputs import PromptInputs
from panic_hpc.stages.runs.estimate import estimate_longest_shard, estimate_runs
from panic_hpc.stages.runs.lockstep import Lockstep, NetworkCycle, position_of
from panic_hpc.stages.runs.loops import LoopFinder
from panic_hpc.stages.runs.progress import Asked, RunLimits, RunProgress, apply, take_back_unstored
from panic_hpc.stages.runs.recorder import Recorder
from panic_hpc.stages.runs.shard_arrays import runs_arrays
from panic_hpc.stages.shard_header import begin_header, finish_header
from panic_hpc.store.format.shard import publish_shard
from panic_hpc.store.journal import Journal, open_journal
from panic_hpc.types import RUNS, ModelSpec, Run, Shard

if TYPE_CHECKING:
    from panic_hpc.planning.manifest import Manifest
    from panic_hpc.planning.networks import Network


class RunsStage(JournalledStage):
    """The stage that generates; its shards are whole blocks of one network."""

    name = RUNS
    after: tuple[str, ...] = ()

    def shards(self, manifest: "Manifest") -> Sequence[Shard]:
        """Return a shard for each of the plan's, in its order."""
        return [Shard(RUNS, s.index, "", s.first_run, s.n_runs) for s in manifest.run_shards]

    def estimate(self, manifest: "Manifest") -> Estimate:
        """Return the seconds that all invocations take by their models' costs, and their bytes."""
        return estimate_runs(manifest)

    def longest_shard(self, manifest: "Manifest") -> Estimate:
        """Return the estimate of the shard of the costliest network."""
        return estimate_longest_shard(manifest)

    def work(self, context: Context, shard: Shard, path: Path, checkpoint: Path) -> None:
        """Follow the shard's runs to their ends and publish them; goes on from its journal."""
        experiment = context.manifest.experiment
        network = _network(context.manifest, shard)
        # Before torch is imported, which reads the variables once.
        fix_threads(experiment.threads)
        models = load_all(network.reached, context.device)
        course = _course(network, models, experiment.images.keep_every)
        require_repeatable(network.reached, context.device)
        # After loading: torch's precision switches are set by then, and are part of the class.
        numerics = with_codecs(
            numerics_class(context.device, experiment.threads) | _servers(models),
            [place.codec for place in course.places],
            experiment.images.codec,
        )
        header = begin_header(context, shard, numerics, zip(network.reached, models, strict=True))
        allow = context.allow_other_numerics
        with open_journal(checkpoint, header, allow_other_numerics=allow) as journal:
            started = _started(context, shard, network, models)
            runs = _resumed(started, course, journal, network.reached)
            # The recorder ends before the arrays are made: its threads still write records.
            codec, n_threads = experiment.images.codec, context.cpus
            with Recorder(journal, codec, context.checkpoint_s, n_threads) as recorder:
                told = (context.should_stop, context.report, context.joules)
                Lockstep(course, runs, recorder, *told).advance()
            arrays = runs_arrays(runs, network, journal)
            publish_shard(path, finish_header(context, header, journal), arrays)


def require_repeatable(specs: Sequence[ModelSpec], device: str) -> None:
    """Raise ModelError for a compiled model that has not passed its check on this kind of GPU."""
    compiled = [spec for spec in specs if spec.settings.get("compile")]
    # On a CPU nothing is compiled: only the cache's length is fixed.
    if compiled and device != "cpu":
        require_checked(compiled, numerics_class(device), cache_directory())


def _network(manifest: "Manifest", shard: Shard) -> "Network":
    return manifest.networks[manifest.run_shards[shard.index].network]


def _course(network: "Network", models: Sequence[Any], keep_every: int) -> NetworkCycle:
    """Return what the network's runs go through, its loaded models given in order."""
    places = tuple(
        position_of(model, codec_of(spec.produces), codec_of(spec.consumes))
        for spec, model in zip(network.reached, models, strict=True)
    )
    return NetworkCycle(places, RunLimits(network.max_length, network.loop_stop), keep_every)


def _started(
    context: Context, shard: Shard, network: "Network", models: Sequence[Any]
) -> list[RunProgress]:
    """Return the shard's runs at their prompts, with the pictures of these that models ask for."""
    inputs = PromptInputs(context.manifest, context.paths)
    is_asked = any(getattr(model, "wants_turn", False) for model in models)
    runs = []
    for run in context.manifest.runs(shard.first_run, shard.n_runs):
        prompt = context.manifest.prompts[run.prompt]
        asked = Asked(prompt.text, inputs.pictures(prompt) if is_asked else {})
        runs.append(RunProgress(run, inputs.start(prompt, network.models[0].consumes), asked=asked))
    return runs


def _servers(models: Sequence[Any]) -> dict[str, Any]:
    """Return the versions of servers that answer for models, where these tell them."""
    told = {m.spec.name: versions for m in models if (versions := getattr(m, "versions", {}))}
    return {"servers": told} if told else {}


def settled_from(specs: Sequence[ModelSpec]) -> int:
    """Return the step from which on every round of a network is like the next one; pure."""
    places = enumerate(specs)
    return max(0, *(last_steered_step(s.settings, place, len(specs)) for place, s in places))


def _resumed(
    runs: list[RunProgress], course: NetworkCycle, journal: Journal, specs: Sequence[ModelSpec]
) -> list[RunProgress]:
    """Return runs as far as the journal tells, ready to go on."""
    families = installed.plugins("families")
    is_map = all(is_repeatable(families, spec) for spec in specs)
    for run in runs:
        run.loop = _loop_finder(run.run, course, settled_from(specs)) if is_map else None
    for record in journal.records:
        apply(record, runs, course.limits)
    for run in runs:
        take_back_unstored(run)
        if run.rows and not run.ended:
            # What the last model gave is gone; what is stored is what the next model reads anyway.
            run.current = _stored_output(run, course, journal)
    return runs


def _loop_finder(run: Run, course: NetworkCycle, settled: int) -> LoopFinder | None:
    # Under per-step noise a repeated output proves nothing: the next seed is another. Nor does it
    # with a model that may answer otherwise tomorrow.
    return LoopFinder(len(course.places), settled) if run.noise == "fixed" else None


def _stored_output(run: RunProgress, course: NetworkCycle, journal: Journal) -> Any:
    place = course.places[(run.n_steps - 1) % len(course.places)]
    blob = run.rows[-1].blob
    return place.codec.decode(journal.read(blob)) if blob else None


PLUGINS = (RunsStage(),)
