"""Displacement and memory on planted truth: noise, tau and memory are found, and bias is known."""

from dataclasses import replace

import numpy as np
import pytest

from panic_hpc.analysis import Planted, simulate
from panic_hpc.analysis.estimators.dynamics.displacement import (
    displacement_sums,
    fit_saturation,
    lags_of,
)
from panic_hpc.analysis.estimators.dynamics.memory import (
    FORGOTTEN,
    KEPT,
    NOT_YET_TOLD,
    distances_apart,
    time_bins,
    verdict,
)
from panic_hpc.analysis.estimators.dynamics.network import NetworkDynamics, network_dynamics

ONE_NETWORK = Planted(
    networks=1, states=300, dimensions=64, generator=0.0, captioner=0.0, interaction=0.0
)


def measured(planted: Planted) -> NetworkDynamics:
    return network_dynamics(simulate(planted).trajectories)


def covered(planted: Planted, draws: int) -> dict[str, float]:
    """Return how often each planted value lies in its interval."""
    truth = {**planted.truth(), "change": 0.0}
    hits: dict[str, list[bool]] = {}
    for seed in range(draws):
        d = measured(replace(planted, seed=seed))
        assert d.late is not None
        found = {
            "tau": d.tau_bounds,
            "noise": d.bounds(d.noise),
            "step_length": d.bounds(d.displacement[:, 0]),
            "own_offset": d.bounds(d.late.twins - d.noise),
            "gap": d.bounds(d.late.strangers - d.late.twins),
            "memory": d.bounds(d.memory),
            "change": d.bounds(d.memory_change),
        }
        for name, (_, low, high) in found.items():
            hits.setdefault(name, []).append(low <= truth[name] <= high)
    return {name: float(np.mean(values)) for name, values in hits.items()}


def test_planted_values_lie_in_their_intervals() -> None:
    shares = covered(replace(ONE_NETWORK, states=160, dimensions=32, tau=15), 12)
    assert min(shares.values()) >= 9 / 12, shares


@pytest.mark.long
@pytest.mark.parametrize("tau", [3, 20, 40])
def test_intervals_cover_at_their_rate(tau: float) -> None:
    shares = covered(replace(ONE_NETWORK, tau=tau), 200)
    assert min(shares.values()) >= 0.90, shares


@pytest.mark.parametrize("tau", [3, 20, 145])
def test_noise_is_found_where_two_lags_are_biased(tau: float) -> None:
    planted = replace(ONE_NETWORK, tau=tau, states=600, prompts=10)
    d = measured(planted)
    two_lags = 2 * d.displacement[0, 0] - d.displacement[0, 1]
    # Lengths of the planted sums differ by prompt, and cosines with them.
    assert d.noise[0] == pytest.approx(planted.noise, rel=0.1)
    assert (two_lags / d.noise[0] > 1.2) == (tau == 3)


def test_a_walk_that_never_settles_has_no_tau() -> None:
    d = measured(replace(ONE_NETWORK, tau=1e5, theme=0.5, offset=0.0, prompts=6))
    assert d.tau_bounds[2] > d.lags[-1]
    assert not d.has_levelled
    # A theme of variance 0.5 that is still at its origin leaves sums of squared length 0.5.
    assert d.noise[0] == pytest.approx(0.034 / 0.5, rel=0.1)


def test_pure_noise_wanders_nowhere() -> None:
    rng = np.random.default_rng(0)
    states = rng.standard_normal((5, 200, 8))
    states /= np.linalg.norm(states, axis=2, keepdims=True)
    sums, counts = displacement_sums(states, lags_of(200))
    fitted = fit_saturation(lags_of(200), sums.sum(0)[None] / counts.sum(0))
    assert fitted.noise[0] + np.nan_to_num(fitted.reach[0]) == pytest.approx(1, abs=0.02)


def test_states_that_are_not_finite_are_in_no_pair() -> None:
    states = np.eye(4)[[0, 1, 2, 3, 0, 1]]
    states[2] = np.nan
    sums, counts = displacement_sums([states], [1, 4])
    assert counts.tolist() == [[3, 2]]
    assert sums.tolist() == [[3, 0]]


def test_strangers_that_share_their_noise_are_not_compared() -> None:
    """Where all prompts share the noise of a seed, strangers of one seed seem too near."""
    planted = replace(ONE_NETWORK, seed_effect=0.3, gap=0.1, offset=0.0, theme=0.1, states=40)
    found = simulate(planted).trajectories
    bins = time_bins(40)
    _, _, late = distances_apart(found.at, bins, found.labels.prompt, found.labels.seed)
    _, _, naive = distances_apart(found.at, bins, found.labels.prompt)
    assert late is not None
    assert naive is not None
    assert late.strangers[0] - late.twins[0] == pytest.approx(0.1, abs=0.03)
    assert naive.strangers[0] - naive.twins[0] < 0.05


SURE = (0.0, -0.02, 0.02)


@pytest.mark.parametrize(
    ("memory", "change", "levelled", "expected"),
    [
        ((0.01, -0.02, 0.04), SURE, True, FORGOTTEN),
        ((0.46, 0.41, 0.51), SURE, True, KEPT),
        ((0.46, 0.41, 0.51), SURE, False, NOT_YET_TOLD),
        ((0.46, 0.41, 0.51), (-0.05, -0.07, -0.03), True, NOT_YET_TOLD),
        ((0.46, 0.41, 0.51), (0.0, -0.3, 0.3), True, NOT_YET_TOLD),
        ((0.2, -0.2, 0.6), SURE, True, NOT_YET_TOLD),
        ((0.46, np.nan, np.nan), SURE, True, NOT_YET_TOLD),
        ((0.46, 0.41, 0.51), (np.nan, np.nan, np.nan), True, NOT_YET_TOLD),
    ],
)
def test_a_verdict_needs_evidence(
    memory: tuple[float, float, float],
    change: tuple[float, float, float],
    levelled: bool,
    expected: str,
) -> None:
    assert verdict(memory, change, has_levelled=levelled)[0] == expected
