"""Planted trajectories in memory, with their labels."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from panic_hpc.analysis.simulation.planted import (
    Planted,
    captioner_name,
    generator_name,
    group_name,
    prompt_text,
)
from panic_hpc.analysis.simulation.states import prompt_vector, run_states
from panic_hpc.analysis.trajectory_set import RunLabels, TrajectorySet
from panic_hpc.store.dataset.frames import ARROW


@dataclass(frozen=True)
class Simulated:
    """Planted trajectories: as a set, and the well of each state (runs, states), -1 without."""

    planted: Planted
    trajectories: TrajectorySet
    wells: NDArray[np.int16]


def simulate(planted: Planted) -> Simulated:
    """Return trajectories in memory: (runs, states, dimensions) float32."""
    shape = (planted.n_runs, planted.states, planted.dimensions)
    vectors = np.empty(shape, np.float32)
    wells = np.full(shape[:2], -1, np.int16)
    for run in range(planted.n_runs):
        vectors[run], wells[run] = run_states(planted, run)
    absent = missing_runs(planted)
    of_run = [planted.run(run)[1] for run in range(planted.n_runs)]
    prompts = np.array([prompt_vector(planted, prompt) for prompt in range(planted.prompts)])
    found = TrajectorySet.of_array(
        vectors,
        planted_labels(planted, absent),
        np.where(absent, 0, planted.states),
        prompts=prompts[of_run] if planted.embeds_prompts else None,
        model="Simulated",
    )
    return Simulated(planted, found, wells)


def planted_labels(planted: Planted, absent: NDArray[np.bool_]) -> RunLabels:
    """Return the labels of all planted runs; `absent` (runs,) are those that failed."""
    runs = [planted.run(number) for number in range(planted.n_runs)]
    models = [planted.models(network) for network, _, _ in runs]
    return RunLabels.of(
        {
            "network": [ARROW.join((generator_name(g), captioner_name(c))) for g, c in models],
            "generator": [generator_name(g) for g, _ in models],
            "captioner": [captioner_name(c) for _, c in models],
            "prompt": [prompt_text(prompt) for _, prompt, _ in runs],
            "group": [group_name(planted, prompt) for _, prompt, _ in runs],
            "seed": [seed for _, _, seed in runs],
            "ended": ["failed" if gone else "length" for gone in absent],
        }
    )


def missing_runs(planted: Planted) -> NDArray[np.bool_]:
    """Return which runs have no states: (runs,), a fixed number of them drawn at random."""
    absent = np.zeros(planted.n_runs, bool)
    count = round(planted.missing * planted.n_runs)
    rng = np.random.default_rng([planted.seed, 99])
    absent[rng.choice(planted.n_runs, count, replace=False)] = True
    return absent
