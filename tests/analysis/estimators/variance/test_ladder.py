"""The swap ladder: exact pairs, planted distances, intervals over whole prompts."""

from itertools import combinations

import numpy as np
import pytest

from panic_hpc.analysis.estimators.variance.ladder import pair_sums, swap_ladder
from panic_hpc.errors import AnalysisError

Labels = dict[str, np.ndarray]


def design(prompts: int = 8, missing: float = 0.0, seed: int = 0) -> Labels:
    axes = [axis.ravel() for axis in np.meshgrid(*map(range, (prompts, 2, 3, 2)), indexing="ij")]
    kept = np.random.default_rng(seed).random(len(axes[0])) >= missing
    names = ("prompt", "generator", "captioner", "seed")
    return {name: axis[kept] for name, axis in zip(names, axes, strict=True)}


def planted(labels: Labels, rng: np.random.Generator, d: int = 400) -> np.ndarray:
    """Return unit vectors of a prompt, generator and captioner part and noise: shares 4:1:2:3."""
    parts = {"prompt": 4, "generator": 1, "captioner": 2}
    vectors = np.sqrt(3 / d) * rng.normal(size=(len(labels["prompt"]), d))
    for name, share in parts.items():
        levels = rng.normal(size=(labels[name].max() + 1, d))
        vectors += np.sqrt(share / d) * levels[labels[name]]
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def test_sums_are_those_of_all_pairs_by_what_differs() -> None:
    labels = design(4, missing=0.3)
    rng = np.random.default_rng(1)
    vectors = rng.normal(size=(len(labels["prompt"]), 2, 5))
    vectors[3, 1] = np.nan
    found = pair_sums(vectors, labels)
    expected: dict[frozenset[str], float] = {}
    units = vectors / np.linalg.norm(vectors, axis=2, keepdims=True)
    for a, b in combinations(range(len(vectors)), 2):
        differs = frozenset(k for k in labels if k != "prompt" and labels[k][a] != labels[k][b])
        cosines = (units[a] * units[b]).sum(axis=1)
        expected[differs] = expected.get(differs, 0.0) + 2 * np.nansum(cosines)
    for differs, matrix in found.cosines.items():
        assert matrix.sum() == pytest.approx(expected.get(differs, 0.0), abs=1e-9)
    everything = 2 * sum(counts.sum() for counts in found.counts.values())
    n = len(vectors)
    assert everything == 2 * (n * (n - 1) + (n - 1) * (n - 2))


def test_each_rung_is_as_far_as_was_planted() -> None:
    labels = design(20, missing=0.2)
    vectors = planted(labels, np.random.default_rng(2))
    rungs = {rung.differs: rung for rung in swap_ladder(vectors, labels, noise="seed")}
    for differs, distance in {
        (): 0.3, ("generator",): 0.4, ("captioner",): 0.5, ("prompt",): 0.7,
        ("prompt", "generator", "captioner"): 1.0,
    }.items():  # fmt: skip
        assert rungs[differs].distance == pytest.approx(distance, abs=0.06)
        assert rungs[differs].extra == pytest.approx(distance - 0.3, abs=0.06)
        assert rungs[differs].low < rungs[differs].distance < rungs[differs].high


def test_intervals_hold_the_distance_over_all_prompts_at_their_nominal_rate() -> None:
    labels = design(12)
    held = {"twins": 0, "captioner": 0, "prompt": 0}
    for seed in range(60):
        rng = np.random.default_rng(seed)
        d = 6
        noise = 0.3 * rng.normal(size=(len(labels["prompt"]), d))
        # One axis a captioner; prompts scatter about one centre: the truth is by simulation.
        vectors = np.eye(d)[labels["captioner"]] + 0.6 * rng.normal(size=(12, d))[labels["prompt"]]
        rungs = {r.differs: r for r in swap_ladder(vectors + noise + 1, labels, noise="seed")}
        held["twins"] += rungs[()].low <= TRUTH["twins"] <= rungs[()].high
        held["captioner"] += (
            rungs[("captioner",)].extra_low
            <= TRUTH["captioner"]
            <= rungs[("captioner",)].extra_high
        )
        held["prompt"] += (
            rungs[("prompt",)].extra_low <= TRUTH["prompt"] <= rungs[("prompt",)].extra_high
        )
    assert min(held.values()) >= 51


def _truth() -> dict[str, float]:
    """Return the expected distances of the process above, from 200,000 pairs each."""
    rng = np.random.default_rng(99)
    n, d = 200_000, 6

    def vector(captioner: np.ndarray, prompt: np.ndarray) -> np.ndarray:
        found = np.eye(d)[captioner] + prompt + 0.3 * rng.normal(size=(n, d)) + 1
        return found / np.linalg.norm(found, axis=1, keepdims=True)

    first = rng.integers(3, size=n)
    other = (first + rng.integers(1, 3, size=n)) % 3
    prompt, stranger = 0.6 * rng.normal(size=(2, n, d))
    base = vector(first, prompt)
    twins, swapped, far = (
        1 - float((base * vector(*pair)).sum(axis=1).mean())
        for pair in ((first, prompt), (other, prompt), (first, stranger))
    )
    return {"twins": twins, "captioner": swapped - twins, "prompt": far - twins}


TRUTH = _truth()


def test_a_captioners_style_goes_when_its_mean_is_taken_out() -> None:
    labels = design(20)
    vectors = planted(labels, np.random.default_rng(3))
    rungs = {
        r.differs: r for r in swap_ladder(vectors, labels, noise="seed", centred_by="captioner")
    }
    assert rungs[("captioner",)].extra < 0.05


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        ({"prompt": [0, 1], "generator": [0, 0]}, "no foot"),
        ({"prompt": [0, 0], "generator": [0, 0]}, "one prompt only"),
    ],
)
def test_what_has_no_ladder_is_refused_with_the_reason(labels: Labels, words: str) -> None:
    with pytest.raises(AnalysisError, match=words):
        swap_ladder(np.ones((2, 3)), labels)
