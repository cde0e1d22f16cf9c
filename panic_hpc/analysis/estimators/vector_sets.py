"""How far apart are two sets of vectors? KID and FID, from vectors that are stored.

KID is the unbiased squared maximum mean discrepancy under the kernel (x·y / d + 1)³ (Binkowski,
Sutherland, Arbel and Gretton, "Demystifying MMD GANs", ICLR 2018): 0 on average for two draws of
one distribution, and so at times negative. FID is the Fréchet distance of two normal distributions
(Heusel et al., "GANs trained by a two time-scale update rule", NIPS 2017); its bias falls slowly
with n, so that KID is the one to read.
"""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from panic_hpc.errors import AnalysisError

PIECE_ROWS = 2048

Vectors = NDArray[np.float64]
Labelled = NDArray[Any]
Labels = tuple[ArrayLike, ArrayLike]


def kid(one: ArrayLike, two: ArrayLike, labels: Labels | None = None) -> float:
    """Return the kernel inception distance of vectors (n, d) and (m, d), at least two of each.

    `labels`, n and m of them, say which vectors depend on each other: those of one label, within a
    set or across. Only pairs of different labels are counted then, as in the U-statistic of pairs
    (Gretton et al., "A kernel two-sample test", JMLR 2012, lemma 6), so that sets of pictures of
    the same prompts are at 0 on average too where they do not differ. Each set must have two.
    """
    x, y = _checked(one), _checked(two)
    if labels is None:
        between = _kernel_sum(x, y) / (len(x) * len(y))
        return _mean_of_others(x) + _mean_of_others(y) - 2 * between
    of_x, of_y = map(np.asarray, labels)
    within_x, within_y = _kernel_mean(x, x, of_x, of_x), _kernel_mean(y, y, of_y, of_y)
    return within_x + within_y - 2 * _kernel_mean(x, y, of_x, of_y)


def fid(one: ArrayLike, two: ArrayLike) -> float:
    """Return the Fréchet distance of the normal distributions of vectors (n, d) and (m, d)."""
    x, y = _checked(one), _checked(two)
    gap = x.mean(axis=0) - y.mean(axis=0)
    cov_x, cov_y = (np.atleast_2d(np.cov(z, rowvar=False)) for z in (x, y))
    values, vectors = np.linalg.eigh(cov_x)
    root = (vectors * np.sqrt(np.clip(values, 0, None))) @ vectors.T
    # Of the symmetric product, whose eigenvalues are those of cov_x @ cov_y.
    shared = np.linalg.eigvalsh(root @ cov_y @ root)
    trace = np.trace(cov_x) + np.trace(cov_y) - 2 * np.sqrt(np.clip(shared, 0, None)).sum()
    return float(gap @ gap + trace)


def is_enough_for_fid(n: int, dimension: int) -> bool:
    """Say whether the bias of FID is small beside what is usually compared: n of both sets."""
    return n >= max(2048, 10 * dimension)


def _checked(vectors: ArrayLike) -> Vectors:
    values = np.asarray(vectors, dtype=np.float64)
    if values.ndim != 2 or len(values) < 2:
        raise AnalysisError(f"two vectors or more were expected, not an array {values.shape}")
    return values


def _mean_of_others(x: Vectors) -> float:
    """Return the mean of the kernel over pairs of different vectors of one set."""
    with_itself = float(((np.einsum("nd,nd->n", x, x) / x.shape[1] + 1) ** 3).sum())
    return (_kernel_sum(x, x) - with_itself) / (len(x) * (len(x) - 1))


def _kernel_mean(x: Vectors, y: Vectors, of_x: Labelled, of_y: Labelled) -> float:
    """Return the mean of the kernel over pairs whose labels differ."""
    total, n_pairs = _kernel_sum(x, y), len(x) * len(y)
    others = _by_label(y, of_y)
    for label, own in _by_label(x, of_x).items():
        if label in others:
            total -= _kernel_sum(own, others[label])
            n_pairs -= len(own) * len(others[label])
    if not n_pairs:
        raise AnalysisError("vectors of two prompts or more were expected, not of one")
    return total / n_pairs


def _by_label(vectors: Vectors, labels: Labelled) -> dict[Any, Vectors]:
    """Return vectors by label, labels in their order; one pass, since labels may be as many."""
    names, codes = np.unique(labels, return_inverse=True)
    ends = np.cumsum(np.bincount(codes))[:-1]
    parts = np.split(vectors[np.argsort(codes, kind="stable")], ends)
    return dict(zip(names.tolist(), parts, strict=True))


def _kernel_sum(x: Vectors, y: Vectors) -> float:
    """Return the sum of the kernel over all pairs, in pieces of fixed size."""
    return sum(
        float((((x[first : first + PIECE_ROWS] @ y.T) / x.shape[1] + 1) ** 3).sum())
        for first in range(0, len(x), PIECE_ROWS)
    )
