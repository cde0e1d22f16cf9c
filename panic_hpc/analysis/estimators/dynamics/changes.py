"""Does a run jump? Change points of a run against surrogates that drift as it does.

At each state the mean of the `width` states before it is compared with that of the `width` states
from it on (MOSUM: Eichinger and Kirch, Bernoulli 24, 2018). Every slow walk has changed after a
while; a jump is a change within few states that a walk of the same displacement does not make. So
the threshold is the largest change of each surrogate, at a quantile over these.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from panic_hpc.analysis.estimators.dynamics.surrogates import DriftSpectrum
from panic_hpc.analysis.estimators.principal_axes import coordinates
from panic_hpc.errors import AnalysisError
from panic_hpc.plain_text import counted

Column = NDArray[np.float64]

MARGIN = 1.3
"""How many times as large as a surrogate's a change must be: runs settle from their prompt, and
lengths that are scaled to 1 make some stretches wider than others, which surrogates do not."""
_NOTHING = 1e-9


@dataclass(frozen=True, slots=True)
class Changes:
    """Change points of one run.

    places      states with which something new begins, ascending
    threshold   cosine distance between means before and after that makes a change
    largest     largest of the run
    surrogates  (draws,) largest of each surrogate
    """

    places: tuple[int, ...]
    threshold: float
    largest: float
    surrogates: Column

    def dwells(self, n_states: int) -> list[tuple[int, bool]]:
        """Return (states, whether it was left) of each dwell; the last one is never left."""
        edges = [0, *self.places, n_states]
        return [(after - before, after != n_states) for before, after in pairwise(edges)]


def change_points(
    states: NDArray[np.floating],
    rng: np.random.Generator,
    *,
    width: int = 5,
    draws: int = 39,
    alpha: float = 0.05,
) -> Changes:
    """Find the change points of a run of unit vectors (T, D), at a rate `alpha` of false runs.

    Jumps nearer to each other than `width` count as one or none, and where dwells are short (less
    than ten widths or so) many are missed. Raises AnalysisError where a run is shorter than four
    widths or not finite.
    """
    if len(states) < 4 * width or not np.isfinite(states).all():
        raise AnalysisError(
            f"{counted(len(states), 'state')}: finite ones are needed, {4 * width} at least"
        )
    points = coordinates(_moving(states, width))
    found = contrasts(points, width)
    largest, usual = float(found.max()), float(np.median(found))
    if largest <= _NOTHING:
        return Changes((), 0.0, largest, np.zeros(draws))
    drawn = surrogate_contrasts(points, rng, draws, width)
    null = np.array([_scaled(one, usual) for one in drawn])
    threshold = MARGIN * float(np.quantile(null, 1 - alpha, method="higher"))
    return Changes(_peaks(found, threshold, width), threshold, largest, null)


def _moving(states: NDArray[np.floating], width: int) -> NDArray[np.floating]:
    """Return states up to the last that differs from the one before, four widths at least.

    Behind it a run stands still for good: surrogates would share its stillness out over all time.
    """
    moves = np.flatnonzero(np.abs(np.diff(states, axis=0)).max(axis=1) > _NOTHING)
    last = int(moves[-1]) + 2 if len(moves) else 0
    return states[: max(last, 4 * width)]


def _scaled(found: Column, usual: float) -> float:
    """Return the largest contrast of a surrogate whose usual one is the run's, or smaller.

    A run's jumps are in its spectrum, and so in its surrogates; its median has little of them.
    """
    median = float(np.median(found))
    return float(found.max()) * (min(1.0, usual / median) if median > 0 else 1.0)


def contrasts(states: NDArray[np.floating], width: int) -> Column:
    """Return half the squared distance of means before and after states width … T - width."""
    n = len(states)
    total = np.zeros((n + 1, states.shape[1]))
    np.cumsum(states, axis=0, out=total[1:])
    away = total[2 * width :] - total[width : n - width + 1]
    away -= total[width : n - width + 1]
    away += total[: n - 2 * width + 1]
    return np.asarray((0.5 / width**2) * np.einsum("td,td->t", away, away))


def surrogate_contrasts(
    states: NDArray[np.floating], rng: np.random.Generator, draws: int, width: int
) -> Iterator[Column]:
    """Yield what `contrasts` finds in each drift-matched surrogate of a run, in single precision.

    1. The difference of means before and after is a filter of the run, so a factor by frequency
       gives its series; a surrogate's has the same lengths and other phases.
    2. Where the filter does not reach round the ends, one Fourier transform back gives the
       differences of a surrogate that never was; the line adds `width` steps of its own to each.

    Of 1,000 states in 768 dimensions, a fifth of the time of making surrogates first.
    """
    from scipy.fft import irfft, rfft

    spectrum = DriftSpectrum.of(states)
    n = spectrum.states
    # Difference at place t of the states t … t + width - 1 from those before.
    weights = np.zeros(n)
    weights[-np.arange(width)] += 1.0 / width
    weights[1 : width + 1] -= 1.0 / width
    filtered = (spectrum.series * rfft(weights)).astype(np.complex64)
    line = (spectrum.away * (width / (n - 1))).astype(np.float32)[:, None]
    for _ in range(draws):
        turned = filtered * spectrum.turns(rng).astype(np.complex64)
        away = irfft(turned, n=n, axis=1)[:, width : n - width + 1]
        away += line
        yield 0.5 * np.einsum("dt,dt->t", away, away).astype(np.float64)


def _peaks(found: Column, threshold: float, width: int) -> tuple[int, ...]:
    """Return states of contrasts above the threshold, none within a width of a larger one."""
    places: list[int] = []
    for at in np.argsort(-found, kind="stable"):
        if found[at] <= threshold:
            break
        if all(abs(at + width - other) >= width for other in places):
            places.append(int(at) + width)
    return tuple(sorted(places))
