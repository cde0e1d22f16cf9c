"""What the first components of embeddings keep of their distances (Matryoshka embeddings)."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from panic_hpc.analysis.trajectory_set import unit_rows
from panic_hpc.errors import AnalysisError
from panic_hpc.plain_text import counted

NEAREST = 10
_PAIRS = 20_000


@dataclass(frozen=True, slots=True)
class Prefix:
    """The first `components` of each vector, beside as many drawn at random.

    spearman, by_chance  rank correlation with the distances of whole vectors
    overlap              share of the ten nearest by whole vectors that are among their ten nearest
    """

    components: int
    spearman: float
    overlap: float
    by_chance: float


def prefixes(vectors: NDArray[np.floating], rng: np.random.Generator) -> Iterator[Prefix]:
    """Yield what halves, quarters … of the components of finite unit vectors (n, D) keep.

    Each is scaled to length 1 again, as users of such embeddings do. Down to 8 components.
    AnalysisError for fewer than 20 vectors.
    """
    from scipy.stats import spearmanr

    n, dimensions = vectors.shape
    if n < 2 * NEAREST:
        raise AnalysisError(f"{counted(n, 'state')}: it takes {2 * NEAREST}")
    first, second = np.unravel_index(rng.integers(0, n * n, _PAIRS), (n, n))
    apart = first != second
    whole = vectors @ vectors.T
    seen = whole[first, second][apart]
    nearest = _nearest(whole)
    count = dimensions // 2
    while count >= 8:
        drawn = rng.permutation(dimensions)[:count]
        parts = [unit_rows(vectors[:, :count]), unit_rows(vectors[:, drawn])]
        alike = [np.nan_to_num(part @ part.T) for part in parts]
        told = [float(spearmanr(seen, one[first, second][apart]).statistic) for one in alike]
        shared = (nearest[:, :, None] == _nearest(alike[0])[:, None]).any(axis=2)
        yield Prefix(count, told[0], float(shared.mean()), told[1])
        count //= 2


def _nearest(alike: NDArray[np.floating]) -> NDArray[np.int64]:
    """Return (n, NEAREST) the most alike of each, itself left out."""
    others = alike - 3.0 * np.eye(len(alike), dtype=alike.dtype)
    return np.argpartition(-others, NEAREST - 1, axis=1)[:, :NEAREST]
