"""Null models: point clouds as large as a trajectory that share some of its statistics and no more.

Whatever the diagrams of a trajectory show and those of its surrogates do not is more than the
statistics that were kept. numpy only; the same seed gives the same surrogates.
"""

from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt

from panic_hpc.errors import HomologyError

Points = npt.NDArray[np.float32]


def gaussian(points: Points, rng: np.random.Generator) -> Points:
    """Independent normal points with the mean and the covariance of `points`, (n, d) to (n, d).

    Keeps location, spread and dominant directions; forgets the order of the steps, clusters and
    everything that is not an ellipsoid.
    """
    centred, mean = _centred(points)
    mixing = rng.standard_normal((len(centred), len(centred)))
    return (mixing @ centred / np.sqrt(max(len(centred), 1)) + mean).astype(np.float32)


def phase_randomised(points: Points, rng: np.random.Generator) -> Points:
    """A trajectory with the power spectra and cross spectra of `points`, (n, d) to (n, d).

    Each frequency's phase is turned by one random angle, the same for all d columns (Prichard and
    Theiler 1994): autocorrelations and correlations between columns stay, so does the covariance;
    everything that is not a linear Gaussian process is lost.
    """
    centred, mean = _centred(points)
    n = len(centred)
    spectrum = np.fft.rfft(centred, axis=0)
    angles = rng.uniform(0, 2 * np.pi, len(spectrum))
    angles[0] = 0  # the mean; and at even n the highest frequency, whose coefficient is real
    if n % 2 == 0:
        angles[-1] = 0
    turned = spectrum * np.exp(1j * angles)[:, None]
    return (np.fft.irfft(turned, n=n, axis=0) + mean).astype(np.float32)


NULL_MODELS: dict[str, Callable[[Points, np.random.Generator], Points]] = {
    "gaussian": gaussian,
    "phase_randomised": phase_randomised,
}


def surrogates(
    points: Points, k: int, seed: int, null: str = "gaussian", keep_lengths: bool = True
) -> Iterator[Points]:
    """Yield `k` surrogates of the trajectory `points` (n, d) in step order, float32 (n, d).

    The i-th depends on (seed, i) only. `keep_lengths` scales each row to the length of the row it
    stands for, as embeddings lie on a sphere.
    """
    if null not in NULL_MODELS:
        raise HomologyError(
            f"null model {null!r} is unknown", hint=f"Use one of {', '.join(NULL_MODELS)}."
        )
    points = np.asarray(points, dtype=np.float32)
    for i in range(k):
        cloud = NULL_MODELS[null](points, np.random.default_rng([seed, i]))
        yield _with_lengths_of(points, cloud) if keep_lengths else cloud


def _centred(points: Points) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    wide = np.asarray(points, dtype=np.float64)
    mean = wide.mean(axis=0) if len(wide) else np.zeros(wide.shape[1])
    return wide - mean, mean


def _with_lengths_of(points: Points, cloud: Points) -> Points:
    wanted = np.linalg.norm(points.astype(np.float64), axis=1, keepdims=True)
    found = np.linalg.norm(cloud.astype(np.float64), axis=1, keepdims=True)
    return (cloud * (wanted / np.where(found > 0, found, 1))).astype(np.float32)
