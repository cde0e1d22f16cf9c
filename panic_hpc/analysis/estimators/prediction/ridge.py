"""Ridge regression whose penalty is chosen on prompts that it was not fitted to."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from panic_hpc.analysis.estimators.variance.factors import factor

Table = NDArray[np.float64]

PENALTIES = tuple(10.0**e for e in range(-3, 5))


def ridge_prediction(
    x: Table,
    y: Table,
    prompts: NDArray[np.int64],
    new: Table,
    penalties: Sequence[float] = PENALTIES,
) -> Table:
    """Return predictions (m, outcomes) for features `new` (m, p), fitted to x (n, p) and y (n, …).

    `prompts` (n,) are labels: the penalty is the best of fits to one half of them in the other.
    Scaled by the training rows alone, or the test prompts would leak into it.
    """
    mean = y.mean(axis=0)
    if x.shape[1] == 0:
        return np.broadcast_to(mean, (len(new), len(mean)))
    centre, scale = x.mean(axis=0), x.std(axis=0)
    scale = np.where(scale > 0, scale, 1.0)
    x, new = (x - centre) / scale, (new - centre) / scale
    halves = factor("", prompts).codes % 2 == 0
    losses = [
        sum(
            float(((y[~part] - _fitted(x[part], y[part], x[~part], penalty)) ** 2).sum())
            for part in (halves, ~halves)
        )
        for penalty in penalties
    ]
    return _fitted(x, y, new, penalties[int(np.argmin(losses))])


def _fitted(x: Table, y: Table, new: Table, penalty: float) -> Table:
    centre, mean = x.mean(axis=0), y.mean(axis=0)
    away = x - centre
    weights = np.linalg.solve(away.T @ away + penalty * np.eye(x.shape[1]), away.T @ (y - mean))
    return np.asarray((new - centre) @ weights + mean)
