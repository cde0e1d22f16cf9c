"""The states of planted runs, one run at a time: every part of it drawn from a seed of its own."""

import math

import numpy as np
from numpy.typing import NDArray

from panic_hpc.analysis.simulation.planted import Planted
from panic_hpc.analysis.trajectory_set import unit_rows

# What a random direction belongs to: the first word of its seed.
_CENTRE, _GENERATOR, _CAPTIONER, _NETWORK, _SEED, _PROMPT, _GROUP, _CROSSED, _RUN, _WELL = range(10)


def run_states(planted: Planted, run: int) -> tuple[NDArray[np.float32], NDArray[np.int16]]:
    """Return a run's states, scaled to length 1 (T, D), and the well of each (T,)."""
    rng = np.random.default_rng([planted.seed, _RUN, run])
    size = (planted.states, planted.dimensions)
    states = np.broadcast_to(_lasting(planted, run), size).copy()
    left = np.exp(-np.arange(planted.states) / planted.memory_tau)[:, None]
    _, prompt, _ = planted.run(run)
    own = _drawn(rng, planted.gap, planted.dimensions)
    states += np.sqrt(left) * _prompt(planted, prompt) + np.sqrt(1 - left) * own
    states += _theme(rng, planted)
    wells = _well_path(rng, planted)
    if planted.wells:
        states += _well_centres(planted)[wells]
    states += _drawn(rng, planted.noise, *size)
    return unit_rows(states), wells


def prompt_vector(planted: Planted, prompt: int) -> NDArray[np.float32]:
    """Return the embedded prompt: where its runs begin, without networks and noise."""
    return unit_rows(_centre(planted) + _prompt(planted, prompt))


def network_truth(planted: Planted, network: int) -> dict[str, float]:
    """Return what analyses should find of one network: `Planted.truth` by its own length.

    Directions of centre, generator, captioner and their interaction are drawn once, and are at
    right angles in the mean alone: before it is scaled to length 1 a network's states are longer
    or shorter by some percent, all of them, and its distances smaller or larger by that.
    """
    generator, captioner = planted.models(network)
    fixed = _centre(planted)
    for part in _of_network(planted, network, generator, captioner):
        fixed = fixed + _direction(planted, *part)
    of_models = planted.generator + planted.captioner + planted.interaction
    length = float(fixed @ fixed) + planted.spread - of_models
    scaled = ("step_length", "noise", "accumulation", "own_offset", "gap")
    return {
        name: value / length if name in scaled else value for name, value in planted.truth().items()
    }


def _of_network(
    planted: Planted, network: int, generator: int, captioner: int
) -> tuple[tuple[float, int, int, int], ...]:
    return (
        (planted.generator, _GENERATOR, generator, 0),
        (planted.captioner, _CAPTIONER, captioner, 0),
        (planted.interaction, _NETWORK, network, 0),
    )


def _lasting(planted: Planted, run: int) -> NDArray[np.float64]:
    """Return all that stays as it is in a run."""
    network, prompt, seed = planted.run(run)
    generator, captioner = planted.models(network)
    wide = planted.dispersion if generator == 0 else 1.0
    parts = (
        *_of_network(planted, network, generator, captioner),
        (planted.seed_effect, _SEED, seed, 0),
        (planted.crossed, _CROSSED, network, prompt),
        (planted.offset * wide, _RUN, run, 1),
    )
    return _centre(planted) + sum(_direction(planted, *part) for part in parts)


def _centre(planted: Planted) -> NDArray[np.float64]:
    length = math.sqrt(1 - planted.spread)
    towards = _direction(planted, 1.0, _CENTRE, 0, 0)
    return np.asarray(towards / np.linalg.norm(towards) * length)


def _prompt(planted: Planted, prompt: int) -> NDArray[np.float64]:
    common = planted.likeness if planted.group_size > 1 else 0.0
    group = prompt // planted.group_size
    return _direction(planted, planted.gap * common, _GROUP, group, 0) + _direction(
        planted, planted.gap * (1 - common), _PROMPT, prompt, 0
    )


def _direction(planted: Planted, variance: float, *key: int) -> NDArray[np.float64]:
    rng = np.random.default_rng([planted.seed, *key])
    return _drawn(rng, variance, planted.dimensions)


def _drawn(rng: np.random.Generator, variance: float, *size: int) -> NDArray[np.float64]:
    return rng.standard_normal(size) * math.sqrt(variance / size[-1])


def _theme(rng: np.random.Generator, planted: Planted) -> NDArray[np.float64]:
    from scipy.signal import lfilter

    kept = math.exp(-1 / planted.tau)
    pushes = _drawn(rng, planted.theme * (1 - kept * kept), planted.states, planted.dimensions)
    return np.asarray(lfilter([1.0], [1.0, -kept], pushes, axis=0))


def _well_path(rng: np.random.Generator, planted: Planted) -> NDArray[np.int16]:
    """Return the well of each state: left after a geometric number of states with mean escape."""
    if not planted.wells:
        return np.full(planted.states, -1, np.int16)
    leaves = rng.random(planted.states) < 1 / planted.escape
    leaves[0] = False
    # A step to any of the others: never to where it is.
    moves = rng.integers(1, max(2, planted.wells), planted.states) * leaves
    first = rng.integers(planted.wells)
    return ((first + np.cumsum(moves)) % planted.wells).astype(np.int16)


def _well_centres(planted: Planted) -> NDArray[np.float64]:
    return np.array(
        [_direction(planted, planted.depth, _WELL, well, 0) for well in range(planted.wells)]
    )
