"""Persistence entropy: how evenly the total persistence is spread over the bars of a diagram.

Chintakunta, Gentimis, Gonzalez-Diaz, Jimenez, Krim: "An entropy-based persistence barcode", Pattern
Recognition 48 (2015), as in upstream's `persim.persistent_entropy(normalize=False)`.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt


def persistence_entropy(dgm: npt.NDArray[np.floating]) -> float:
    """Shannon entropy in nats of the bars' shares of the total persistence.

    E = -sum p_i ln p_i with p_i = (death_i - birth_i) / sum of all; bars that never die are left
    out, bars of length zero add nothing. `dgm` is (n, 2). 0.0 if one bar is left, NaN if none is:
    an empty diagram has no entropy.
    """
    bars = np.asarray(dgm, dtype=np.float64).reshape(-1, 2)
    lengths = bars[:, 1] - bars[:, 0]
    lengths = lengths[np.isfinite(lengths) & (lengths > 0)]
    if len(lengths) == 0:
        return float("nan")
    shares = lengths / lengths.sum()
    # One bar gives -0.0.
    return max(0.0, float(-(shares * np.log(shares)).sum()))


def persistence_entropies(dgms: Sequence[npt.NDArray[np.floating]]) -> tuple[float, ...]:
    """Persistence entropy of each dimension, in the order given."""
    return tuple(persistence_entropy(dgm) for dgm in dgms)
