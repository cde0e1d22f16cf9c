"""Where will a run end? Predicted from where it is by now and from its prompt, prompts held out.

Two baselines need no prediction: that a run stays where it is, and that it ends where runs of its
network do. Both are cases of what is fitted here, so that a gain over the better one is skill. All
runs of a prompt are held out together: runs of one prompt end near each other, and with the others
of its prompt in training a run is recognised, not predicted.

Radii are conformal for whole prompts (Lee, Barber and Willett, 2023, hierarchical data): each
prompt weighs the same, and one more prompt may be anywhere.
"""

from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import ArrayLike, NDArray

from panic_hpc.analysis.estimators.prediction.ridge import PENALTIES, ridge_prediction
from panic_hpc.analysis.estimators.variance.factors import Factor, factor
from panic_hpc.analysis.estimators.variance.ladder import jackknife_interval
from panic_hpc.errors import AnalysisError
from panic_hpc.plain_text import counted

Table = NDArray[np.float64]

FEWEST_PROMPTS = 4
COMPONENTS = 16
"""Principal components of places and of prompts that the ridge sees."""
NETWORK_FOLDS = 4
_NEVER = 1e12
"""A penalty that leaves nothing of the ridge: shrinking alone may be best."""
_FLAT = 1e-8
"""Share of squared lengths below which an axis does not vary."""


@dataclass(frozen=True, slots=True)
class PredictedEnds:
    """Predictions for runs whose prompts were held out, and those of the two baselines.

    predicted, stays, usual  (runs, D): by the fit; where the run is; mean end of its network
    ends       (runs, D) where they ended
    prompts    (runs,) codes
    runs       (runs,) which of those that were given
    """

    predicted: Table
    stays: Table
    usual: Table
    ends: Table
    prompts: NDArray[np.int64]
    runs: NDArray[np.int64]

    def of(self, chosen: NDArray[np.bool_]) -> "PredictedEnds":
        """Return the predictions for some of the runs."""
        return PredictedEnds(
            *(self.predicted[chosen], self.stays[chosen], self.usual[chosen], self.ends[chosen]),
            prompts=factor("prompt", self.prompts[chosen]).codes,
            runs=self.runs[chosen],
        )

    def skill(self, baseline: Table, level: float) -> tuple[float, float, float]:
        """Return (skill, low, high) over a baseline's predictions, bounds over prompts.

        1 less the ratio of squared errors: 1 is perfect, 0 no better, below 0 worse; nan where the
        baseline makes no error.
        """
        own, theirs = (self._by_prompt(one) for one in (self.predicted, baseline))
        if not theirs.sum() > 1e-12 * len(self.ends):
            return (float("nan"),) * 3
        left = np.concatenate([[own.sum()], own.sum() - own])
        right = np.concatenate([[theirs.sum()], theirs.sum() - theirs])
        # Where one prompt makes all of the baseline's error there is nothing without it.
        ratios = np.divide(left, right, out=np.full_like(left, np.nan), where=right > 0)
        return jackknife_interval(1 - ratios, level)

    def better_baseline(self) -> Table:
        """Return the predictions of the baseline with the smaller squared error."""
        errors = [self._by_prompt(one).sum() for one in (self.stays, self.usual)]
        return self.stays if errors[0] <= errors[1] else self.usual

    def distances(self) -> Table:
        """Return the cosine distance of each run's end from its prediction, (runs,)."""
        dots = np.einsum("rd,rd->r", self.predicted, self.ends)
        lengths = np.linalg.norm(self.predicted, axis=1) * np.linalg.norm(self.ends, axis=1)
        return np.where(lengths > 0, 1 - dots / np.where(lengths > 0, lengths, 1), 1.0)

    def _by_prompt(self, predicted: Table) -> Table:
        errors = ((predicted - self.ends) ** 2).sum(axis=1)
        return np.asarray(np.bincount(self.prompts, errors), dtype=np.float64)


def predict_ends(
    ends: Table,
    recent: Table,
    asked: Table | None,
    networks: ArrayLike,
    prompts: ArrayLike,
    *,
    folds: int = 10,
    seed: int = 0,
    other_networks: bool = False,
) -> PredictedEnds:
    """Predict where runs end, each from what the runs of other prompts did.

    Args:
        ends: (runs, D) where each ended; runs that are not finite throughout are left out.
        recent: (runs, D) where each is by now.
        asked: (runs, D) each run's embedded prompt; None where it is unknown, or `recent` itself.
        networks, prompts: (runs,) labels.
        folds: of prompts, as many as there are prompts at most.
        seed: deals prompts out to folds, and of the principal components.
        other_networks: whether networks are held out with prompts, in four folds at most: each run
            is predicted from what runs of other prompts did in other networks, and what is usual is
            the mean of these.

    Raises:
        AnalysisError: fewer than four prompts, or two networks where these are held out.
    """
    seen = [recent] if asked is None else [recent, asked]
    kept = np.all([np.isfinite(one).all(axis=1) for one in (ends, *seen)], axis=0)
    part = factor("prompt", np.asarray(prompts)[kept])
    if part.n_levels < FEWEST_PROMPTS:
        raise AnalysisError(
            f"{counted(part.n_levels, 'prompt')} with runs of that length: held-out skill needs "
            f"{FEWEST_PROMPTS}"
        )
    network = factor("network", np.asarray(networks)[kept])
    y, *places = (np.asarray(one[kept], np.float64) for one in (ends, *seen))
    rng = np.random.default_rng(seed)
    fold = _dealt(part, folds, rng)
    apart = _dealt(network, NETWORK_FOLDS, rng) if other_networks else np.zeros_like(fold)
    if other_networks and network.n_levels < 2:
        raise AnalysisError("there is one network only: none to be trained on")
    predicted, usual = np.empty_like(y), np.empty_like(y)
    for held, others in product(range(int(fold.max()) + 1), range(int(apart.max()) + 1)):
        test = (fold == held) & (apart == others)
        training = (fold != held) & ((apart != others) | (not other_networks))
        if not test.any():
            continue
        if not training.any():
            raise AnalysisError("no other prompt was run in another network")
        usual[test] = _network_means(y, network, training)[test]
        predicted[test] = _predicted(y, places, network, part.codes, (training, test), seed)
    return PredictedEnds(predicted, places[0], usual, y, part.codes, np.flatnonzero(kept))


def _dealt(part: Factor, folds: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Return the fold of each run, all of a level in one."""
    dealt = rng.permutation(part.n_levels) % min(folds, part.n_levels)
    return np.asarray(dealt[part.codes])


def _network_means(values: Table, network: Factor, training: NDArray[np.bool_]) -> Table:
    """Return (runs, D) the mean of each run's network in training, of all where it has none."""
    picks = network.indicator()
    counts = np.asarray(picks @ training.astype(np.float64))
    sums = np.asarray(picks @ np.where(training[:, None], values, 0.0))
    overall = values[training].mean(axis=0)
    means = np.where(counts[:, None] > 0, sums / np.maximum(counts, 1)[:, None], overall)
    return np.asarray(means[network.codes])


def _predicted(
    y: Table,
    places: list[Table],
    network: Factor,
    prompts: NDArray[np.int64],
    split: tuple[NDArray[np.bool_], NDArray[np.bool_]],
    seed: int,
) -> Table:
    training, test = split
    # 1. What is about networks alone is their means in training; the rest is of runs.
    usual = _network_means(y, network, training)
    away = [one - _network_means(one, network, training) for one in places]
    # 2. How much of the way a run keeps: one number for its place, one for its prompt.
    left, kept = y - usual, np.stack(away)
    flat = kept[:, training].reshape(len(kept), -1)
    shares = np.linalg.pinv(flat @ flat.T) @ (flat @ left[training].ravel())
    shrunk = np.einsum("k,krd->rd", shares, kept)
    # 3. What else depends on either, in few directions: nothing, where prompts left out say so.
    features = np.concatenate([_components(one, training, seed) for one in away], axis=1)
    rest = ridge_prediction(
        features[training], (left - shrunk)[training], prompts[training], features[test],
        (*PENALTIES, _NEVER),
    )  # fmt: skip
    return np.asarray(usual[test] + shrunk[test] + rest)


def _components(values: Table, training: NDArray[np.bool_], seed: int) -> Table:
    """Return (runs, few) coordinates along the principal axes of the training runs."""
    from sklearn.decomposition import PCA

    known = values[training]
    if not np.ptp(known, axis=0).any():
        return np.zeros((len(values), 1))
    n = min(COMPONENTS, *known.shape)
    solver = "randomized" if n < min(known.shape) else "full"
    axes = PCA(n, svd_solver=solver, random_state=seed).fit(known)
    # Axes along which training does not vary are rounding: scaled up, they would be all that is.
    varies = axes.explained_variance_ > _FLAT * max(float((known**2).sum(axis=1).mean()), _FLAT)
    return np.asarray(axes.transform(values)[:, varies])


def regions_of(ends: Table, most: int, seed: int) -> Table:
    """Return the centres (regions, D) of k-means of the ends, as many as there are ends at most.

    AnalysisError where all that are finite are in one place.
    """
    from sklearn.cluster import KMeans

    known = ends[np.isfinite(ends).all(axis=1)]
    different = len(np.unique(known, axis=0))
    if different < 2:
        raise AnalysisError("all runs end in one place, or nowhere: there is nothing to predict")
    found = KMeans(min(most, different), n_init=4, random_state=seed).fit(known)
    return np.asarray(found.cluster_centers_)


def nearest_region(places: Table, centres: Table) -> NDArray[np.int64]:
    """Return the number of the centre that each place (n, D) is nearest to."""
    return np.asarray((2 * places @ centres.T - (centres**2).sum(axis=1)).argmax(axis=1))


def conformal_radius(distances: Table, prompts: NDArray[np.int64], level: float) -> float:
    """Return the radius that holds a run of one more prompt with probability `level`.

    inf where prompts are too few for it: at level 0.95 it takes 19.
    """
    order = np.argsort(distances)
    shares = (1 / np.bincount(prompts)[prompts])[order]
    reached = np.cumsum(shares) / (len(set(prompts.tolist())) + 1)
    at = int(np.searchsorted(reached, level - 1e-12))
    return float(distances[order][at]) if at < len(order) else float("inf")


def radius_coverage(distances: Table, prompts: NDArray[np.int64], level: float) -> float:
    """Return the share of prompts' runs within the radius that the other prompts give."""
    within = []
    for prompt in range(int(prompts.max()) + 1):
        own = prompts == prompt
        others = np.unique(prompts[~own], return_inverse=True)[1]
        within.append(float((distances[own] <= conformal_radius(distances[~own], others, level))
                            .mean()))  # fmt: skip
    return float(np.mean(within))
