"""Does a run alternate between places? Its displacement by lag falls where it comes back.

Two-periodicity is the mean similarity of states two apart less that of successive ones, D(1) - D(2)
in distances (Wang et al., "Attractor cycles in successive paraphrasing", ACL 2025). Whatever
wanders makes that negative, so a weak alternation hides below a drift. The displacement of noise,
and of anything that wanders and forgets, is concave in the lag: (D(1) + D(3)) / 2 - D(2) is at most
0 for it, 0 for noise alone, and above 0 where states two apart are nearer than their neighbours.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from panic_hpc.analysis.estimators.dynamics.displacement import displacement_sums
from panic_hpc.errors import AnalysisError

LAGS = np.arange(1, 9)
FEWEST_STATES = 2 * len(LAGS)


@dataclass(frozen=True, slots=True)
class Alternation:
    """How far a run gets in few states.

    displacement    (lags,) mean cosine distance of two states 1, 2, … apart
    two_periodicity D(1) - D(2)
    excess          (D(1) + D(3)) / 2 - D(2): above 0 is more than drift and noise make
    """

    displacement: NDArray[np.float64]

    @property
    def two_periodicity(self) -> float:
        """Similarity at lag 2 less that at lag 1."""
        return float(self.displacement[0] - self.displacement[1])

    @property
    def excess(self) -> float:
        """How much nearer states two apart are than halfway between lags 1 and 3."""
        first, second, third = self.displacement[:3]
        return float((first + third) / 2 - second)


def alternation(states: NDArray[np.floating], rng: np.random.Generator) -> Alternation:
    """Return how a run of unit vectors (T, D) alternates in its second half; nothing is drawn.

    The first half still leaves the prompt. AnalysisError where it is too short or not finite.
    """
    late = states[len(states) // 2 :]
    if len(late) < FEWEST_STATES or not np.isfinite(late).all():
        raise AnalysisError(f"finite states are needed, {2 * FEWEST_STATES} at least")
    sums, counts = displacement_sums([late], LAGS)
    return Alternation(sums[0] / counts[0])
