"""Planted trajectories: what is planted is there, in memory and in a dataset."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import panic_hpc
from panic_hpc.analysis import Planted, simulate, trajectories
from panic_hpc.analysis.simulation.dataset import MODEL, write_dataset
from panic_hpc.errors import PanicError
from panic_hpc.store.checks.verify import verify_file

SMALL = Planted(prompts=6, networks=4, runs=3, states=40, dimensions=256, tau=10, missing=0.1)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("simulated") / "S.h5"
    write_dataset(replace(SMALL, group_size=2), path)
    return path


def mean_distance(one: np.ndarray, other: np.ndarray) -> float:
    return float(1 - np.einsum("...d,...d->...", one, other).mean())


def test_a_dataset_is_what_verify_and_open_accept(dataset: Path) -> None:
    assert not verify_file(dataset).findings
    with panic_hpc.open(dataset) as opened:
        assert opened.n_runs == SMALL.n_runs
        present = np.flatnonzero(trajectories(opened, MODEL).lengths)
        assert opened.texts(int(present[0])).keys() == set(range(1, 80, 2))


def test_a_dataset_holds_the_very_trajectories(dataset: Path) -> None:
    planted = replace(SMALL, group_size=2)
    expected = simulate(planted).trajectories
    with panic_hpc.open(dataset) as opened:
        found = trajectories(opened, MODEL)
        assert found.labels.network.tolist() == expected.labels.network.tolist()
        assert found.labels.generator.tolist() == expected.labels.generator.tolist()
        assert found.labels.group.tolist() == expected.labels.group.tolist()
        assert found.lengths.tolist() == expected.lengths.tolist()
        assert found.modality == "text"
        for run in range(found.n_runs):
            np.testing.assert_array_equal(found.of_run(run), expected.of_run(run))
        assert found.prompts is not None
        assert expected.prompts is not None
        present = found.lengths >= 0
        np.testing.assert_array_equal(found.prompts[present], expected.prompts[present])


def test_missing_runs_are_failures_with_a_reason(dataset: Path) -> None:
    with panic_hpc.open(dataset) as opened:
        found = trajectories(opened, MODEL)
        gone = np.flatnonzero(found.lengths == 0)
        assert len(gone) == round(0.1 * SMALL.n_runs)
        assert set(found.labels.ended[gone]) == {"failed"}


def test_only_the_same_plant_is_replaced_unasked(dataset: Path) -> None:
    write_dataset(replace(SMALL, group_size=2), dataset)
    with pytest.raises(PanicError, match="there already"):
        write_dataset(SMALL, dataset)


def test_variances_are_cosine_distances() -> None:
    """Two states that differ in one part alone are that far apart in the mean."""
    quiet = Planted(prompts=40, networks=1, runs=2, states=2, dimensions=512, theme=0.0, offset=0.0,
                    generator=0.0, captioner=0.0, interaction=0.0)  # fmt: skip
    states = simulate(quiet).trajectories.padded()
    noise = mean_distance(states[:, 0], states[:, 1])
    gap = mean_distance(states[:-2], states[2:]) - noise
    assert noise == pytest.approx(quiet.noise, rel=0.05)
    assert gap == pytest.approx(quiet.gap, rel=0.1)


def test_the_theme_has_its_correlation_time() -> None:
    planted = Planted(prompts=30, networks=1, runs=1, states=400, dimensions=128, tau=25, noise=0.0,
                      offset=0.0, gap=0.0)  # fmt: skip
    states = simulate(planted).trajectories.padded()[:, 150:]
    near = mean_distance(states[:, 25:], states[:, :-25])
    far = mean_distance(states[:, 200:], states[:, :-200])
    assert near / far == pytest.approx(1 - np.exp(-1), rel=0.05)


def test_wells_are_left_after_their_mean_time() -> None:
    planted = Planted(
        prompts=10, networks=1, runs=10, states=2000, dimensions=2, wells=3, escape=50
    )
    moves = np.diff(simulate(planted).wells, axis=1) != 0
    assert 1 / moves.mean() == pytest.approx(50, rel=0.05)


def test_a_prompt_is_forgotten_in_its_time() -> None:
    planted = Planted(prompts=60, networks=1, runs=2, states=100, dimensions=256, memory_tau=30,
                      theme=0.0, offset=0.0, noise=0.0)  # fmt: skip
    states = simulate(planted).trajectories.padded()
    twins = 1 - np.einsum("ptd,ptd->pt", states[::2], states[1::2]).mean(axis=0)
    assert twins[30] == pytest.approx(planted.gap * (1 - np.exp(-1)), rel=0.1)
    assert twins[0] == pytest.approx(0, abs=0.01)


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"prompts": 10**40}, "prompts is 1000.* at most 1,000,000"),
        ({"runs": 10**6}, "networks by prompts by runs is 80000000, at most 1,000,000"),
        ({"states": 10**6, "runs": 10**4}, "needs .* bytes in .* are free"),
    ],
)
def test_what_no_disk_holds_is_refused_before_it_is_allocated(
    tmp_path: Path, asked: dict[str, int], told: str
) -> None:
    with pytest.raises(PanicError, match=told):
        write_dataset(Planted(**asked), tmp_path / "s.h5")  # type: ignore[arg-type]
    assert not list(tmp_path.iterdir())


def test_too_much_variance_is_refused() -> None:
    with pytest.raises(PanicError, match="sum up to"):
        Planted(gap=0.9)
