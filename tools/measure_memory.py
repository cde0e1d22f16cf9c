"""The most memory that each stage holds for one shard, as the steps of its runs grow.

python tools/measure_memory.py [--steps 64] [--times 1 4 16] [--runs 4] [--side 256] [--stages …]

Each stage works in a process of its own, on a shard of which everything but its steps stays the
same; what is printed is that process's largest resident memory in MB, and by how many kilobytes it
grew per invocation. A decoded picture of 256 by 256 has 192 kB: a stage that kept each would show
it. Diagrams grow by nature, with the distances between the points of one run.
"""

import argparse
import resource
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from panic_hpc.experiment import catalogue
from panic_hpc.experiment.config import Experiment
from panic_hpc.paths import ExperimentPaths
from panic_hpc.planning import manifest
from panic_hpc.planning.plan import PlanOptions, make_plan

PICTURES = ("runs", "embeddings", "metrics", "diagrams")
"""Stages measured on large pictures of arithmetic; activations needs layers to listen to."""
STAGES = (*PICTURES, "activations")


class Measured(NamedTuple):
    """The largest resident memory of one stage's process, in bytes, for so many steps."""

    stage: str
    steps: int
    nbytes: int


def table_of(stage: str, steps: int, runs: int, side: int) -> dict[str, Any]:
    """Return the experiment whose one shard is worked on."""
    common = {"prompts": ["a red circle"], "seeds": list(range(runs)), "max_length": steps,
              "noise": "per_step"}  # fmt: skip
    if stage == "activations":
        return common | {
            "networks": [["MicroDiffusion", "MicroTerse"]],
            "stages": {"activations": {"models": ["MicroDiffusion"]}},
        }
    return common | {
        "networks": [["DummyT2I", "DummyI2T"]],
        "embedding_models": ["DummyVision"],
        "stages": {"metrics": {"models": ["SSIM"]}},
        "models": {"DummyT2I": {"size": side}},
        "homology": {"maxdim": 0},
    }


def plan(root: Path, stage: str, steps: int, options: argparse.Namespace) -> None:
    """Plan one shard of all runs."""
    table = table_of(stage, steps, options.runs, options.side)
    planned = make_plan(
        Experiment.model_validate(table), catalogue.load(), PlanOptions(runs_per_shard=options.runs)
    )
    manifest.write(planned, ExperimentPaths(root))


def peak_of(root: Path, stage: str) -> int:
    """Work on a stage in a process of its own; return the most memory that it held, in bytes."""
    command = [sys.executable, __file__, "--work", str(root), stage]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return int(said.splitlines()[-1])


def work(root: str, stage: str) -> None:
    """Work on the first shard of a stage in this process, and print its largest memory."""
    from panic_hpc.worker.worker import WorkerOptions, run_shards

    if code := run_shards(root, stage, [0], WorkerOptions("memory")):
        sys.exit(code)
    # In KiB on Linux.
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)


def measured(options: argparse.Namespace) -> Iterator[Measured]:
    """Yield what each stage holds, by steps."""
    for times in options.times:
        steps = options.steps * times
        for group in (PICTURES, ("activations",)):
            wanted = [stage for stage in group if stage in options.stages]
            if not wanted:
                continue
            with tempfile.TemporaryDirectory() as folder:
                root = Path(folder) / "EXP"
                plan(root, group[-1], steps, options)
                for stage in dict.fromkeys(("runs", *group)):
                    nbytes = peak_of(root, stage)
                    if stage in wanted:
                        yield Measured(stage, steps, nbytes)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=64)
    parser.add_argument("--times", type=int, nargs="+", default=[1, 4, 16])
    parser.add_argument("--runs", type=int, default=4)
    parser.add_argument("--side", type=int, default=256)
    parser.add_argument("--stages", nargs="+", default=STAGES, choices=STAGES)
    parser.add_argument("--work", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        work(*options.work)
        return
    found: dict[str, list[Measured]] = {}
    for one in measured(options):
        found.setdefault(one.stage, []).append(one)
        print(f"{one.stage}: {one.steps} steps, {one.nbytes / 1e6:.0f} MB", flush=True)
    for stage, rows in found.items():
        first, last = rows[0], rows[-1]
        n_more = (last.steps - first.steps) * options.runs
        grown = (last.nbytes - first.nbytes) / max(1, n_more)
        print(f"{stage}: {grown / 1000:.2f} kB an invocation", flush=True)


if __name__ == "__main__":
    main()
