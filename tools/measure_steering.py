"""What steering and listening cost, as ratios of times measured in turn in one process.

python tools/measure_steering.py [--rounds 3] [--runs 32] [--parts …]

`activations ÷ runs` compares the stage that makes all pictures again and listens with the stage
that made them, shard by shard; `steered ÷ unsteered` compares calls that are pushed at every layer
and pass, the text encoder's too, with the same calls of the same weights. Processor time is the one
to trust on a busy machine.
"""

import argparse
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from bench_evaluate import PROMPTS, in_turn, planned, show_rounds, works
from bench_stages import Cost

from panic_hpc.models import loading
from panic_hpc.models.base import Turn
from panic_hpc.paths import shipped_configs
from panic_hpc.store.results.activations import ACTIVATIONS
from panic_hpc.types import RUNS

SHARDS = 4
BATCH = 8
CALLS = 12
EVERYWHERE = {"location": "ca", "strength": 1.0, "text": {"strength": 1.0}}


def listening(root: Path, options: argparse.Namespace) -> tuple[Cost, Cost]:
    """Return what the activations stage takes, and the runs stage of the same shards."""
    plans = [
        planned(
            root / side,
            options.runs,
            networks=[["MicroDiffusion"]],
            seeds=list(range(SHARDS * options.runs // len(PROMPTS))),
            embedding_models=[],
            models={"MicroDiffusion": {"batch_size": BATCH}},
            stages={
                ACTIVATIONS: {"models": ["MicroDiffusion"], "locations": ["ca", "ffn", "text"]}
            },
        )
        for side in ("heard", "made")
    ]
    for work in works(RUNS, plans[0], root / "heard"):
        work()
    return in_turn(
        works(ACTIVATIONS, plans[0], root / "heard"), works(RUNS, plans[1], root / "made")
    )


def pushing(root: Path, options: argparse.Namespace) -> tuple[Cost, Cost]:
    """Return what steered calls take, and unsteered ones."""
    table = {"prototypes": str(shipped_configs() / "experiments" / "shapes.npz"), **EVERYWHERE}
    plan = planned(
        root,
        networks=[["Plain"], ["Steered"]],
        seeds=[1],
        models={
            "Plain": {"base": "MicroDiffusion", "batch_size": BATCH},
            "Steered": {"base": "MicroDiffusion", "batch_size": BATCH, "steering": table},
        },
    )
    plain, steered = (loading.load(network.models[0], "cpu") for network in plan.networks)
    return in_turn([partial(drawn, steered)] * CALLS, [partial(drawn, plain)] * CALLS)


def drawn(model: Any) -> None:
    """Call a model once."""
    turns = [[Turn(0, "", {}, 0)] * BATCH] if model.wants_turn else []
    model.generate(PROMPTS[:1] * BATCH, list(range(BATCH)), *turns)


PARTS: dict[str, Callable[[Path, argparse.Namespace], tuple[Cost, Cost]]] = {
    "activations ÷ runs": listening,
    "steered ÷ unsteered": pushing,
}
AIMS = {"activations ÷ runs": "≤ 1.15", "steered ÷ unsteered": "≤ 1.05"}


def main() -> None:
    """Measure in rounds; the first warms up."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--runs", type=int, default=32, help="of a shard")
    parser.add_argument("--parts", nargs="+", default=list(PARTS), choices=list(PARTS))
    options = parser.parse_args()
    show_rounds(PARTS, AIMS, options)


if __name__ == "__main__":
    main()
