"""What the stages add to the bare model calls, as ratios of times measured in turn in one process.

python tools/bench_stages.py [--models micro|dummy|device] [--weights FOLDER] [--steps 200]
                             [--rounds 2]

`runs ÷ bare` and `embeddings ÷ bare` compare a stage (loading, calls, encoding, checkpoints,
publishing) with the same loading and calls and nothing else; `one at a time ÷ lockstep` compares
the time an item in batches of one and of eight. `--models device` has arithmetic models that sleep
in every call as a host does while a device works, one batch of 32 pictures of 256 by 256: what the
stage adds there is what stands between two calls. Wall and processor time are both taken: on a
busy machine the second is the one to trust, and it counts what threads do beside the calls.
"""

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ratios import record

from panic_hpc import installed, keys
from panic_hpc.experiment import catalogue
from panic_hpc.experiment.config import Experiment
from panic_hpc.models.loading import load
from panic_hpc.models.torch_setup import fix_threads
from panic_hpc.paths import ExperimentPaths
from panic_hpc.planning import manifest
from panic_hpc.planning.manifest import Manifest
from panic_hpc.planning.plan import make_plan
from panic_hpc.stages.base import Context

BATCH = 8
NAMES: dict[str, tuple[str, ...]] = {
    "micro": ("MicroDiffusion", "MicroVerbose", "MicroText", "MicroImage"),
    "dummy": ("DummyT2I", "DummyI2T", "DummyText", "DummyVision"),
    "device": ("DummyT2I", "DummyI2T", "DummyText", "DummyVision"),
}
DEVICE: dict[str, dict[str, Any]] = {
    "DummyT2I": {"size": 256, "delay_s": 0.4},
    "DummyI2T": {"delay_s": 0.4},
}
FAMILIES = ("diffusers", "transformers", "sentence_transformers", "sentence_transformers")
WEIGHTED: tuple[dict[str, Any], ...] = (
    {"steps": 8, "guidance": 1.5, "height": 32, "width": 32},
    {"max_new_tokens": 32},
    {"modality": "text", "max_tokens": 32},
    {"modality": "image"},
)


def planned(root: Path, options: argparse.Namespace, batch_size: int) -> Manifest:
    """Plan runs of one network under per-step noise, in batches of `batch_size`."""
    names = NAMES[options.models]
    tables: dict[str, dict[str, Any]] = {name: {"batch_size": batch_size} for name in names}
    if options.models == "device":
        tables = {name: {**table, **DEVICE.get(name, {})} for name, table in tables.items()}
    if options.weights:
        for name, family, settings in zip(names, FAMILIES, WEIGHTED, strict=True):
            label = {"family": family, "path": str(options.weights / name)}
            tables[f"{name}-by-path"] = {**tables.pop(name), **label, **settings}
        names = tuple(tables)
    experiment = Experiment.model_validate(
        {
            "networks": [list(names[:2])],
            "embedding_models": list(names[2:]),
            "prompts": ["a red circle", "two blue squares", "a small star", "three green crosses"],
            "seeds": list(range(8 if options.models == "device" else 4)),
            "noise": "per_step",
            "max_length": options.steps,
            "models": tables,
        }
    )
    return manifest.write(make_plan(experiment, catalogue.load()), ExperimentPaths(root))


def stage(name: str, plan: Manifest, root: Path, device: str = "cpu") -> None:
    """Execute all shards of a stage as a worker does."""
    plugin = installed.plugins("stages")[name]
    cpus = len(os.sched_getaffinity(0))
    context = Context(
        plan, ExperimentPaths(root), device, {}, lambda margin_s: "", _silent, cpus=cpus
    )
    for shard in plugin.shards(plan):
        plugin.execute(context, shard)


def _silent(done: int, total: int) -> None:
    pass


def bare_runs(plan: Manifest, loaded: Sequence[Any] | None = None) -> dict[str, list[list[Any]]]:
    """Follow all runs through the network's models; return every run's outputs by modality.

    The models are loaded first, unless they are given.
    """
    models = loaded or [load(spec, "cpu") for spec in plan.networks[0].models]
    runs = list(plan.runs())
    values: list[Any] = [plan.prompts[run.prompt].text for run in runs]
    outputs: dict[str, list[list[Any]]] = {"text": [[] for _ in runs], "image": [[] for _ in runs]}
    for step in range(plan.experiment.max_length):
        model = models[step % len(models)]
        size = model.spec.batch_size
        for first in range(0, len(runs), size):
            batch = range(first, first + size)
            seeds = [keys.step_seed(runs[place].seed, step) for place in batch]
            found = model.generate([values[place] for place in batch], seeds)
            for place, output in zip(batch, found, strict=True):
                values[place] = output.value
                outputs[model.spec.produces][place].append(output.value)
    return outputs


def bare_embeddings(plan: Manifest, outputs: dict[str, list[list[Any]]]) -> None:
    """Load the embedding models and embed every run's outputs, the prompt first, in batches."""
    for spec in plan.embedding_models:
        model = load(spec, "cpu")
        for run, values in zip(plan.runs(), outputs[spec.consumes], strict=True):
            prompt = [plan.prompts[run.prompt].text] if spec.consumes == "text" else []
            items = [*prompt, *values]
            for first in range(0, len(items), spec.batch_size):
                batch = items[first : first + spec.batch_size]
                model.embed([*batch, *[batch[0]] * (spec.batch_size - len(batch))])


class Cost(NamedTuple):
    """Seconds on the wall, and seconds of all threads on processors."""

    wall: float
    processor: float


def cost(function: Callable[[], Any]) -> Cost:
    """Return what one call takes."""
    wall, processor = time.perf_counter(), time.process_time()
    function()
    return Cost(time.perf_counter() - wall, time.process_time() - processor)


def ratio(a: Cost, b: Cost) -> Cost:
    """Return a ÷ b, of each."""
    return Cost(a.wall / b.wall, a.processor / b.processor)


def round_of(options: argparse.Namespace, root: Path) -> dict[str, Cost]:
    """Measure each ratio once."""
    plan = planned(root / "eight", options, 32 if options.models == "device" else BATCH)
    found: list[Any] = []
    bare = cost(lambda: found.append(bare_runs(plan)))
    runs = cost(lambda: stage("runs", plan, root / "eight"))
    bare_embedding = cost(lambda: bare_embeddings(plan, found[0]))
    embedding = cost(lambda: stage("embeddings", plan, root / "eight"))
    few = argparse.Namespace(**{**vars(options), "steps": max(4, options.steps // 16)})
    ones, eights = (planned(root / f"few{size}", few, size) for size in (1, BATCH))
    one, eight = cost(lambda: bare_runs(ones)), cost(lambda: bare_runs(eights))
    print(f"  bare {bare}, runs stage {runs}")
    print(f"  bare {bare_embedding}, embeddings stage {embedding}", flush=True)
    return {
        "runs ÷ bare": ratio(runs, bare),
        "embeddings ÷ bare": ratio(embedding, bare_embedding),
        "one at a time ÷ lockstep": ratio(one, eight),
    }


AIMS = {"runs ÷ bare": "≤ 1.10", "embeddings ÷ bare": "≤ 1.10"}


def main() -> None:
    """Measure in rounds, so that the machine's moods fall on both sides alike."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", choices=sorted(NAMES), default="micro")
    parser.add_argument("--weights", type=Path, help="folder of the micro models, if not built in")
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=2)
    options = parser.parse_args()
    fix_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        few = argparse.Namespace(**{**vars(options), "steps": 4})
        round_of(few, Path(folder))
    print("warmed up", flush=True)
    rounds = []
    for _ in range(options.rounds):
        with tempfile.TemporaryDirectory() as folder:
            rounds.append(round_of(options, Path(folder)))
    for name in rounds[0]:
        for part in Cost._fields:
            values = sorted(getattr(one[name], part) for one in rounds)
            line = f"{name:26} {part:10} {statistics.median(values):6.3f}"
            print(f"{line}  of {[round(value, 3) for value in values]}")
            record(f"{name}, {part} time", statistics.median(values), AIMS.get(name, ""))


if __name__ == "__main__":
    main()
