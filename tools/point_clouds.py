"""Seeded point clouds like the embeddings of recursive generation, for benchmarks and tests.

All are float32 (n, d) of unit length, as embedding models give them:

    traj     a run that wanders between basins: within one it is an autoregressive walk whose
             directions have a falling spectrum; 15 % of the steps repeat an earlier caption
             exactly, 8 % differ from the step before by a hair
    traj0    the same without repeats
    absorb   a run that is soon caught: four basins, 60 % exact repeats
    unif     independent points on the sphere, nearly equidistant: the worst case
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Points = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Walk:
    """How a synthetic run moves."""

    repeats: float = 0.15
    near_repeats: float = 0.08
    dwell: int = 25
    basins: int | None = None
    memory: float = 0.9
    spread: float = 0.62


KINDS: dict[str, Walk | None] = {
    "traj": Walk(),
    "traj0": Walk(repeats=0, near_repeats=0),
    "absorb": Walk(repeats=0.6, near_repeats=0.05, dwell=200, basins=4),
    "unif": None,
}


def make(kind: str, n: int, d: int = 768, seed: int = 0) -> Points:
    """A cloud of one of KINDS; the same arguments give the same points."""
    rng = np.random.default_rng(seed)
    walk = KINDS[kind]
    points = rng.standard_normal((n, d)) if walk is None else _walk(walk, n, d, rng)
    return _unit(points).astype(np.float32)


def _unit(vectors: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def _walk(walk: Walk, n: int, d: int, rng: np.random.Generator) -> npt.NDArray[np.float64]:
    n_basins = walk.basins or max(4, round(2 * np.sqrt(n) / 3))
    amplitudes = np.arange(1, d + 1) ** -0.5
    amplitudes /= np.linalg.norm(amplitudes)
    rotation = np.linalg.qr(rng.standard_normal((d, d)))[0]
    noise = (rng.standard_normal((2 * n, d)) * amplitudes) @ rotation
    offsets = (rng.standard_normal((n_basins, d)) * amplitudes * np.sqrt(d)) @ rotation
    basins = _unit(_unit(rng.standard_normal(d)) * 0.66 + 0.75 * offsets)
    moves = rng.dirichlet(np.full(n_basins, 0.3), size=n_basins)
    points = np.empty((n, d))
    visited: dict[int, list[int]] = {}
    basin, drift = int(rng.integers(n_basins)), np.zeros(d)
    for step in range(n):
        if rng.random() < 1 / walk.dwell:
            basin, drift = int(rng.choice(n_basins, p=moves[basin])), 0.3 * drift
        earlier = visited.setdefault(basin, [])
        chance = rng.random()
        if chance < walk.repeats and earlier:
            points[step] = points[earlier[rng.integers(len(earlier))]]
        elif chance < walk.repeats + walk.near_repeats and step:
            points[step] = _unit(points[step - 1] + 1e-3 * _unit(rng.standard_normal(d)))
        else:
            drift = walk.memory * drift + np.sqrt(1 - walk.memory**2) * noise[2 * step]
            points[step] = _unit(basins[basin] + walk.spread * 0.7 * (drift + noise[2 * step + 1]))
        earlier.append(step)
    return points
