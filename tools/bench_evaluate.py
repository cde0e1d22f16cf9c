"""What evaluating adds to the bare work, as ratios of times measured in turn in one process.

python tools/bench_evaluate.py [--rounds 3] [--runs 32] [--steps 160] [--cells 10]
                                [--pairs 10000] [--parts …]

`metrics ÷ bare` compares the metrics stage (reading, calls, checkpoints, publishing) with decoding
and the same calls and nothing else, shard by shard; `cells ÷ parts` compares a sweep of some cells,
worked on one after the other as a worker does, with as many bare generations, each beside its cell,
and one load; `jobs ÷ ideal` compares requests to a slow server of this machine with the time that
they would take if nothing but the server took any; `BCa ÷ compare` compares scipy's bootstrap of
pairs with what `compare` makes of them, by prompts. Wall and processor time are both taken: on a
busy machine the second is the one to trust, but for the jobs, which wait.
"""

import argparse
import dataclasses
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from bench_stages import Cost, bare_runs, cost, ratio, stage
from ratios import record
from scipy import stats

from panic_hpc import installed
from panic_hpc.analysis.estimators.paired import paired_difference
from panic_hpc.experiment import catalogue
from panic_hpc.experiment.config import Experiment
from panic_hpc.models import loading
from panic_hpc.models.base import Judged
from panic_hpc.models.torch_setup import fix_threads
from panic_hpc.paths import ExperimentPaths
from panic_hpc.planning import manifest
from panic_hpc.planning.manifest import Manifest
from panic_hpc.planning.networks import PlanOptions
from panic_hpc.planning.plan import make_plan
from panic_hpc.stages.base import Context
from panic_hpc.stages.codecs.base import codec_of
from panic_hpc.stages.outputs import Outputs
from panic_hpc.stages.runs.stage import RunsStage
from panic_hpc.store.format.shard import open_shard
from panic_hpc.store.results.metrics import METRICS
from panic_hpc.types import RUNS, Shard

Call = Callable[[], Any]

LATENCY_S = 0.2
SHARDS = 4
"""Of the metrics stage, each worked on beside its bare loop."""
PROMPTS = ["a red circle", "two blue squares", "a small star", "three green crosses"]


def planned(root: Path, runs_per_shard: int | None = None, **changes: Any) -> Manifest:
    """Plan an experiment of the built-in models."""
    table = {"prompts": PROMPTS, "noise": "per_step", "max_length": 1, **changes}
    options = PlanOptions(runs_per_shard)
    plan = make_plan(Experiment.model_validate(table), catalogue.load(), options)
    return manifest.write(plan, ExperimentPaths(root))


def in_turn(own: Sequence[Call], base: Sequence[Call]) -> tuple[Cost, Cost]:
    """Return what all calls of each kind take together, made pair by pair, either first in turn.

    So what the machine does besides falls on both alike.
    """
    sums = [Cost(0.0, 0.0), Cost(0.0, 0.0)]
    for number, pair in enumerate(zip(own, base, strict=True)):
        for side in (0, 1) if number % 2 else (1, 0):
            sums[side] = plus(sums[side], cost(pair[side]))
    return sums[0], sums[1]


def plus(a: Cost, b: Cost) -> Cost:
    """Return the sum, part by part."""
    return Cost(a.wall + b.wall, a.processor + b.processor)


def works(stage: str, plan: Manifest, root: Path) -> list[Call]:
    """Return the work on each shard of a stage, as a worker does it."""
    plugin = installed.plugins("stages")[stage]
    cpus = len(os.sched_getaffinity(0))
    context = Context(
        plan, ExperimentPaths(root), "cpu", {}, lambda margin_s: "", _silent, cpus=cpus
    )
    return [partial(plugin.execute, context, shard) for shard in plugin.shards(plan)]


def _silent(done: int, total: int) -> None:
    pass


def metrics(root: Path, options: argparse.Namespace) -> tuple[Cost, Cost]:
    """Return what scoring the pictures of runs takes, as a stage and bare."""
    plan = planned(
        root,
        options.runs,
        # Arithmetic's: what draws the pictures is no part of what is measured.
        networks=[["DummyT2I", "DummyI2T"]],
        seeds=list(range(SHARDS * options.runs // len(PROMPTS))),
        max_length=options.steps,
        stages={METRICS: {"models": ["Read"]}},
        models={
            "Read": {"base": options.metric, "against": "input"},
            "DummyT2I": {"size": 32},
        },
    )
    for work in works(RUNS, plan, root):
        work()
    [spec] = plan.stage_models[METRICS]
    model = loading.load(spec, "cpu")
    bare = [partial(bare_scores, plan, root, model, shard) for shard in RunsStage().shards(plan)]
    return in_turn(works(METRICS, plan, root), bare)


def bare_scores(plan: Manifest, root: Path, model: Any, shard: Shard) -> None:
    """Decode each picture of a shard and call the metric with the text that it was made of."""
    text, image = codec_of("text"), codec_of("image")
    with open_shard(ExperimentPaths(root).shard(shard), manifest_key=plan.key) as file:
        pictures, texts = Outputs(file, "image"), Outputs(file, "text")
        for place, run in enumerate(plan.runs(shard.first_run, shard.n_runs)):
            prompt = plan.prompts[run.prompt].text
            told = [prompt, *(texts.decoded(place, item, text) for item in texts.of_run(place))]
            for item, asked in zip(pictures.of_run(place), told, strict=False):
                model.score([Judged(pictures.decoded(place, item, image), asked)])


def sweep(root: Path, options: argparse.Namespace) -> tuple[Cost, Cost]:
    """Return what a sweep takes, and what its generations and one load take by themselves."""
    plan = planned(
        root,
        networks=[["Drawn"]],
        seeds=list(range(options.runs // len(PROMPTS))),
        models={
            "Drawn": {
                "base": "MicroTurbo",
                "guidance": [1.0 + number / 4 for number in range(options.cells)],
            }
        },
    )
    # Loaded as a worker does, before anything of the same weights is there.
    forget()
    loaded: list[Any] = []
    load = cost(lambda: loaded.append(loading.load(plan.networks[0].models[0], "cpu")))
    models = {network: loading.load(plan.networks[network].models[0], "cpu") for network in (0, -1)}
    # With guidance 1, the first, half of the work falls away; the others cost the same.
    bare = [
        partial(bare_runs, cell_of(plan, number), [models[-1 if number else 0]])
        for number in range(options.cells)
    ]
    whole, generated = in_turn(works(RUNS, plan, root), bare)
    return whole, plus(generated, load)


def cell_of(plan: Manifest, place: int) -> Any:
    """Return a plan of one network of a sweep, for its bare loop."""
    return dataclasses.replace(
        plan, networks=(dataclasses.replace(plan.networks[place], index=0, first_run=0),)
    )


def forget() -> None:
    """Let go of every model that is loaded."""
    loading._residents.keep([])


def jobs(root: Path, options: argparse.Namespace) -> tuple[Cost, Cost]:
    """Return what requests to a slow server take, and what they take if it alone takes time."""
    sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "support" / "servers"))
    from stub_server import Stub, serving

    batch = 4
    stub = Stub(before_answer=partial(time.sleep, LATENCY_S))
    with serving(stub):
        far = {"family": "http", "url": f"{stub.url}/draw", "answer": "data.*.b64"}
        body = {"prompt": "{text}", "seed": "{seed}"}
        plan = planned(
            root,
            networks=[["Far"]],
            seeds=list(range(options.runs // len(PROMPTS))),
            models={"Far": {**far, "body": body, "batch_size": batch}},
        )
        took = cost(lambda: stage("runs", plan, root))
    ideal = -(-plan.n_runs // batch) * LATENCY_S
    return took, Cost(ideal, ideal)


def compared(root: Path, options: argparse.Namespace) -> tuple[Cost, Cost]:
    """Return what scipy's bootstrap of all pairs takes, and a comparison by prompts with its p."""
    rng = np.random.default_rng(0)
    prompts = np.repeat(np.arange(options.pairs // 100), 100)
    values = rng.normal(size=len(prompts))

    def by_bootstrap() -> None:
        stats.bootstrap((values,), np.mean, n_resamples=9999, method="BCa", batch=20, rng=rng)

    return cost(by_bootstrap), cost(lambda: paired_difference(values, prompts.tolist(), seed=0))


PARTS: dict[str, Callable[[Path, argparse.Namespace], tuple[Cost, Cost]]] = {
    "metrics ÷ bare": metrics,
    "cells ÷ parts": sweep,
    "jobs ÷ ideal": jobs,
    "BCa ÷ compare": compared,
}


AIMS = {
    "metrics ÷ bare": "≤ 1.10",
    "cells ÷ parts": "≤ 1.10",
    "jobs ÷ ideal": "≤ 1.15",
}


def main() -> None:
    """Measure in rounds, so that the machine's moods fall on both sides alike."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--runs", type=int, default=32)
    parser.add_argument("--steps", type=int, default=160)
    parser.add_argument("--metric", default="SceneReader", help="of a picture and a text")
    parser.add_argument("--cells", type=int, default=10)
    parser.add_argument("--pairs", type=int, default=10_000, help="of a comparison")
    parser.add_argument("--parts", nargs="+", default=list(PARTS), choices=list(PARTS))
    options = parser.parse_args()
    show_rounds(PARTS, AIMS, options)


def show_rounds(
    parts: Mapping[str, Callable[[Path, argparse.Namespace], tuple[Cost, Cost]]],
    aims: Mapping[str, str],
    options: argparse.Namespace,
) -> None:
    """Measure `options.parts` in `options.rounds` rounds, print their ratios and record medians."""
    fix_threads(1)
    found: dict[str, list[Cost]] = {name: [] for name in options.parts}
    for number in range(options.rounds + 1):
        for name in found:
            with tempfile.TemporaryDirectory() as folder:
                own, base = parts[name](Path(folder) / "E", options)
            print(f"  {name}: {own}, {base}", flush=True)
            # The first round warms up: libraries are imported in it.
            found[name] += [ratio(own, base)] if number else []
    for name, ratios in found.items():
        for part in Cost._fields:
            values = sorted(getattr(one, part) for one in ratios)
            line = f"{name:20} {part:10} {statistics.median(values):6.3f}"
            print(f"{line}  of {[round(value, 3) for value in values]}")
            record(f"{name}, {part} time", statistics.median(values), aims.get(name, ""))


if __name__ == "__main__":
    main()
