"""Strangers that converge or do not, and regions that networks share or do not."""

import numpy as np
import pytest
from scipy.stats import kstest

from panic_hpc.analysis.estimators.similarity.shared import occupancy, shared_regions
from panic_hpc.analysis.estimators.similarity.strangers import convergence
from panic_hpc.errors import AnalysisError


def walks(rng: np.random.Generator, pull: float, prompts: int = 10) -> np.ndarray:
    """Return (2 a prompt, 30, 20) runs whose prompt's part fades to 1 - pull of itself."""
    part = np.repeat(rng.normal(size=(prompts, 1, 20)), 2, axis=0)
    fading = np.linspace(1, 1 - pull, 30)[None, :, None]
    return np.ones(20) + part * fading + 0.3 * rng.normal(size=(2 * prompts, 30, 20))


def test_strangers_that_a_network_pulls_together_are_seen_to_converge() -> None:
    found = convergence(walks(np.random.default_rng(1), 0.7), np.repeat(np.arange(10), 2))
    assert found.change_high < 0
    assert found.p < 0.001
    assert found.n_prompts == 10
    assert (found.twins < found.strangers).all()
    assert ((found.low < found.strangers) & (found.strangers < found.high)).all()


def test_p_values_are_uniform_where_strangers_stay_apart() -> None:
    rng = np.random.default_rng(2)
    prompt = np.repeat(np.arange(10), 2)
    p = [convergence(walks(rng, 0.0)[:, ::10], prompt).p for _ in range(120)]
    assert kstest(p, "uniform").pvalue > 0.01


def visits(rng: np.random.Generator, own: float, missing: float = 0.0) -> tuple[np.ndarray, ...]:
    """Return regions (runs, 40) of 8 prompts by 3 networks by 2; `own`: time in a network's own."""
    prompt, network = (
        axis.ravel()[: 8 * 3 * 2]
        for axis in np.meshgrid(range(8), np.arange(6) // 2, indexing="ij")
    )
    liked = rng.integers(12, size=(len(prompt), 4))
    regions = np.take_along_axis(liked, rng.integers(4, size=(len(prompt), 40)), axis=1)
    there = rng.random(regions.shape) < own
    kept = rng.random(len(prompt)) >= missing
    return np.where(there, network[:, None], regions)[kept], network[kept], prompt[kept]


def test_regions_that_networks_own_are_found_by_strangers_that_meet_there() -> None:
    regions, network, prompt = visits(np.random.default_rng(3), 0.4)
    found = shared_regions(occupancy(regions, 12), network, prompt)
    assert found.within > found.between + 0.2
    assert found.test.p <= 0.002


@pytest.mark.parametrize("missing", [0.0, 0.2])
def test_p_values_are_uniform_where_networks_do_not_matter(missing: float) -> None:
    rng = np.random.default_rng(4)
    p = []
    for _ in range(100):
        regions, network, prompt = visits(rng, 0.0, missing)
        found = shared_regions(
            occupancy(regions, 12), network, prompt, permutations=99, seed=int(rng.integers(2**31))
        )
        p.append(found.test.p - rng.uniform(0, 0.01))
    assert kstest(p, "uniform").pvalue > 0.01


def test_time_is_shared_out_over_the_steps_that_a_run_has() -> None:
    found = occupancy(np.array([[0, 1, 1, -1], [-1, -1, -1, -1]]), 3)
    assert found[0] == pytest.approx([1 / 3, 2 / 3, 0])
    assert np.isnan(found[1]).all()


def test_what_cannot_be_said_is_refused_with_the_reason() -> None:
    with pytest.raises(AnalysisError, match="one step"):
        convergence(np.ones((4, 1, 2)), [0, 1, 2, 3])
    with pytest.raises(AnalysisError, match="2 prompts"):
        convergence(np.ones((4, 5, 2)), [0, 0, 1, 1])
    shares = np.full((4, 2), 0.5)
    with pytest.raises(AnalysisError, match="one network"):
        shared_regions(shares, [0, 0, 0, 0], [0, 1, 0, 1])
    with pytest.raises(AnalysisError, match="no prompt was run in two"):
        shared_regions(shares, [0, 0, 1, 1], [0, 0, 1, 1])


def test_overlaps_are_those_of_all_pairs_though_none_is_formed() -> None:
    rng = np.random.default_rng(5)
    regions, network, prompt = visits(rng, 0.3, 0.2)
    shares = occupancy(regions, 12)
    pairs = np.minimum(shares[:, None], shares[None]).sum(axis=2)
    strangers = prompt[:, None] != prompt[None]
    alike = network[:, None] == network[None]
    found = shared_regions(shares, network, prompt, permutations=19)
    assert found.within == pytest.approx(pairs[strangers & alike].mean())
    assert found.between == pytest.approx(pairs[strangers & ~alike].mean())
