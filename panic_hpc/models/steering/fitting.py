"""Fitting prototypes: the means of two classes of vectors, and what tells them apart.

Everything is computed in float64, in the order of the vectors, so that the same vectors give the
same bits however they were stored.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from panic_hpc.models.steering.prototypes import Prototype

Vectors = NDArray[np.floating]
"""(n, P, D): vectors of one class by pass."""


def prototype_of(first: Vectors, second: Vectors) -> Prototype:
    """Return the prototypes of two classes, each of at least one vector; pure."""
    classes = [np.asarray(one, np.float64) for one in (first, second)]
    means = np.stack([one.mean(0) for one in classes])
    inside = np.concatenate([one - mean for one, mean in zip(classes, means, strict=True)])
    weights = np.stack(
        [
            precision_times(inside[:, passed], means[0, passed] - means[1, passed])
            for passed in range(means.shape[1])
        ]
    )
    spread = (inside**2).sum((0, 2)) / (max(1, len(inside) - 2) * inside.shape[2])
    return Prototype(means.astype("<f4"), spread.astype("<f8"), weights.astype("<f4"))


def precision_times(inside: NDArray[np.float64], vector: NDArray[np.float64]) -> Vectors:
    """Return a vector (D,) times the inverse of the covariance of centred rows (n, D), shrunk.

    The covariance S of m = n - 2 degrees of freedom is shrunk towards its mean variance as
    (m S + tr(S) I) / (m + D), which keeps its trace. Only an n by n system is solved.
    """
    n, d = inside.shape
    freedom = max(1, n - 2)
    trace = float((inside**2).sum()) / freedom
    # Classes of one vector each, or of equal ones: nothing says which directions vary.
    if trace == 0:
        return vector
    small = inside @ inside.T + trace * np.eye(n)
    solved = np.linalg.solve(small, inside @ vector)
    return np.asarray((freedom + d) * (vector - inside.T @ solved) / trace)


class Separation(NamedTuple):
    """How well held-out vectors go to the nearer prototype: a share by pass, and how many."""

    right: NDArray[np.float64]
    n: int


SPLITS = 8


def separation(
    vectors: tuple[Vectors, Vectors], prompts: tuple[NDArray[np.int64], NDArray[np.int64]]
) -> Separation:
    """Return the share of vectors that are nearer to their own class's mean of other prompts.

    `prompts` has the prompt of each vector. Prompts are dealt into two halves by chance, SPLITS
    times, and each half is judged by the other: vectors of one prompt never stand on both sides.
    nan where a class has fewer than two prompts.
    """
    n_passes, n = vectors[0].shape[1], sum(map(len, vectors))
    if min(len(np.unique(own)) for own in prompts) < 2:
        return Separation(np.full(n_passes, np.nan), n)
    # Always the same chance: what is told of a fit is as repeatable as the fit.
    rng = np.random.default_rng(0)
    right = np.zeros(n_passes)
    for _ in range(SPLITS):
        halves = [_dealt(own, rng) for own in prompts]
        for side in (False, True):
            right += _n_right(vectors, [half == side for half in halves])
    return Separation(right / (n * SPLITS), n)


def _dealt(prompts: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.bool_]:
    """Return which vectors are of the half of the prompts that chance chose."""
    known = np.unique(prompts)
    chosen = rng.permutation(known)[: len(known) // 2]
    return np.isin(prompts, chosen)


def _n_right(vectors: tuple[Vectors, Vectors], fitted: list[NDArray[np.bool_]]) -> Vectors:
    """Return how many vectors, by pass, are nearer to their own class's fitted mean."""
    classes = [np.asarray(own, np.float64) for own in vectors]
    means = [own[inside].mean(0) for own, inside in zip(classes, fitted, strict=True)]
    right = np.zeros(vectors[0].shape[1])
    for place, (own, inside) in enumerate(zip(classes, fitted, strict=True)):
        gaps = [((own[~inside] - mean) ** 2).sum(-1) for mean in means]
        right += (gaps[place] < gaps[1 - place]).sum(0)
    return right
