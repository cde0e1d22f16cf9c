"""Loops that are steered for a while: the window, its unsteered twin, interruptions."""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import numpy as np
import pytest
from experiments import Planned, planned, stage_named
from little_experiment import run_command

import panic_hpc
from panic_hpc.analysis.comparing.arms import arms_of
from panic_hpc.analysis.comparing.comparison import compare
from panic_hpc.analysis.comparing.response import responses
from panic_hpc.analysis.estimators.vector_sets import fid, kid
from panic_hpc.errors import AnalysisError, Interrupted
from panic_hpc.merging.assembling import MergeOptions
from panic_hpc.planning import manifest
from panic_hpc.stages.merge.experiments import merge
from panic_hpc.stages.runs.stage import settled_from
from panic_hpc.store.dataset.dataset import Dataset
from panic_hpc.store.results.metrics import METRICS
from panic_hpc.types import EMBEDDINGS, RUNS

pytestmark = pytest.mark.compute

CONFIGS = Path(__file__).parents[2] / "configs" / "experiments"
PROMPTS = [
    f"there is one large {colour} circle in the centre on a {ground} background"
    for colour in ("red", "green", "blue", "purple")
    for ground in ("white", "black")
]


def table(prototypes: Path, strength: Any, iterations: Any) -> dict[str, Any]:
    steering = {
        "prototypes": str(prototypes),
        "strength": strength,
        "layers": [3],
        "iterations": iterations,
    }
    return {"Steered": {"base": "MicroDiffusion", "steering": steering}}


def world(prototypes: Path, iterations: Any = (1, 1), length: int = 6) -> Mapping[str, Any]:
    return {
        "networks": [["Steered", "MicroVerbose"]],
        "prompts": PROMPTS,
        "seeds": [1],
        "embedding_models": ["MicroImage"],
        "max_length": length,
        "loop_stop": False,
        "models": {
            **table(prototypes, [0.0, 2.0], list(iterations)),
            "Reader": {"base": "SceneReader", "against": "none"},
        },
        "stages": {METRICS: {"models": ["Reader"]}},
    }


@pytest.fixture(scope="module")
def loop(tmp_path_factory: pytest.TempPathFactory) -> Planned:
    """Three iterations, of which the second is steered."""
    one = planned(tmp_path_factory.mktemp("loop"), 8, **world(CONFIGS / "shapes.npz"))
    one.work(RUNS, EMBEDDINGS, METRICS)
    merge([one.paths.root], one.paths.dataset, MergeOptions(allow_missing=True))
    return one


def test_the_window_is_steered_and_the_twin_is_not(loop: Planned) -> None:
    with panic_hpc.open(loop.paths.dataset) as dataset:
        [curve] = responses(dataset, "Reader.square")
        [gaps] = responses(dataset, "twin.MicroImage")
    assert [(p.step, p.iteration, p.is_steered) for p in curve.points] == [
        (0, 0, False),
        (2, 1, True),
        (4, 2, False),
    ]
    before, during, _ = curve.points
    assert before.difference
    assert during.difference
    assert before.difference.mean == 0.0
    assert gaps.points[0].mean == pytest.approx(0.0, abs=1e-6)
    assert during.difference.mean > 0.5
    assert gaps.points[1].mean > 0.05
    assert during.n_pairs == len(PROMPTS)


def test_before_the_window_every_bit_is_the_twins(loop: Planned) -> None:
    with panic_hpc.open(loop.paths.dataset) as dataset:
        n = dataset.n_runs // 2
        for run in range(n):
            assert np.array_equal(dataset.image(run, 0), dataset.image(run + n, 0))
        assert any(
            not np.array_equal(dataset.image(run, 2), dataset.image(run + n, 2)) for run in range(n)
        )


@pytest.mark.parametrize(
    ("measure", "reader", "reads"),
    # Of twins: a run's own vectors and its twin's, and the twin beside itself.
    [("Reader.square", "scores", 1), ("twin.MicroImage", "embeddings", 4 * len(PROMPTS))],
)
def test_what_is_stored_is_read_once_and_says_what_a_comparison_at_each_step_says(
    loop: Planned, monkeypatch: pytest.MonkeyPatch, measure: str, reader: str, reads: int
) -> None:
    with panic_hpc.open(loop.paths.dataset) as dataset:
        plain, steered = arms_of([dataset])
        alone = [compare([plain, steered], plain, f"{measure}:at={step}") for step in (0, 2, 4)]
        counted = Mock(side_effect=getattr(dataset, reader))
        monkeypatch.setattr(Dataset, reader, lambda own, *asked: counted(*asked))
        [curve] = responses(dataset, measure)
    assert counted.call_count == reads
    for point, (base, own) in zip(curve.points, (one.arms for one in alone), strict=True):
        is_distance = reader == "embeddings"
        assert point.mean == own.mean
        assert point.difference == (None if is_distance else own.difference)
        assert np.array_equal(point.twin, np.nan if is_distance else base.mean, equal_nan=True)
        assert own.difference
        assert point.n_pairs == own.difference.n_pairs


def test_a_sweep_of_steering_is_compared_with_its_unsteered_cell_as_sets_of_vectors(
    loop: Planned,
) -> None:
    with panic_hpc.open(loop.paths.dataset) as dataset:
        plain, steered = arms_of([dataset])
        rows = {arm.name: arm.runs for arm in (plain, steered)}
        vectors = {
            name: np.concatenate([dataset.trajectory(run, "MicroImage") for run in own])
            for name, own in rows.items()
        }
    asked = ("compare", loop.paths.root, "-m", "kid.MicroImage", "-m", "fid.MicroImage")
    said = run_command(*asked)
    # Three pictures of each of eight runs, in either cell.
    assert said.count(", 24 vectors against 24") == 2
    assert "Sets of the same prompts depend on each other" in " ".join(said.split())
    told = json.loads(run_command(*asked, "--json"))["comparisons"]
    prompts = np.repeat(np.arange(len(PROMPTS)), 3)
    kinds = {True: lambda x, y: kid(x, y, (prompts, prompts)), False: fid}
    for comparison, is_kid in zip(told, kinds, strict=True):
        assert "strength-0.0" in comparison["baseline"]
        [result] = comparison["sets"]
        assert (result["name"], result["n"], result["n_baseline"]) == (steered.name, 24, 24)
        expected = kinds[is_kid](vectors[steered.name], vectors[plain.name])
        assert result["value"] == pytest.approx(expected)
        assert (result["shares_prompts"], result["is_between_prompts"]) == (True, is_kid)
    # Pictures of the window alone are further from the unsteered ones than those before it.
    before, during = (
        fid(*(vectors[arm.name][step::3] for arm in (steered, plain))) for step in (0, 1)
    )
    assert before == pytest.approx(0.0, abs=1e-6)
    assert during > 0.05


def test_a_measure_that_there_is_not_is_told(loop: Planned) -> None:
    with (
        panic_hpc.open(loop.paths.dataset) as dataset,
        pytest.raises(AnalysisError, match="has no component 'pentagon'"),
    ):
        responses(dataset, "Reader.pentagon")


def test_the_baseline_has_the_keys_of_a_plain_model(loop: Planned, tmp_path: Path) -> None:
    changes = {**world(CONFIGS / "shapes.npz"), "networks": [["MicroDiffusion", "MicroVerbose"]]}
    changes["models"] = {"Reader": changes["models"]["Reader"]}
    plain = planned(tmp_path, 8, **changes)
    keys = {network.key for network in loop.manifest.networks}
    assert len(keys) == 2
    assert {network.key for network in plain.manifest.networks} < keys


def test_an_interrupted_steered_shard_goes_on_to_the_same_bits(
    loop: Planned, tmp_path: Path
) -> None:
    prototypes = tmp_path / "shapes.npz"
    shutil.copyfile(CONFIGS / "shapes.npz", prototypes)
    one = planned(tmp_path / "exp", 8, **world(prototypes))
    # The experiment has its own copy from here on, and reads it as another process would.
    prototypes.unlink()
    one = Planned(manifest.read(one.paths.root), one.paths)
    stage = stage_named(RUNS)
    for shard in stage.shards(one.manifest):
        # Stopped in the middle of the window.
        asked = iter(["", "", "", "time is up"])
        with pytest.raises(Interrupted):
            stage.execute(one.context(should_stop=lambda margin, a=asked: next(a)), shard)
    one.work(RUNS)
    assert one.digests(RUNS) == loop.digests(RUNS)


def test_repeats_prove_nothing_before_the_last_steered_step(loop: Planned) -> None:
    plain, steered = sorted(
        loop.manifest.networks, key=lambda n: "steering" in n.models[0].settings
    )
    assert settled_from(plain.reached) == 0
    # The second visit of the first of two models.
    assert settled_from(steered.reached) == 2


def test_moving_prototypes_changes_no_key(loop: Planned, tmp_path: Path) -> None:
    moved = tmp_path / "elsewhere.npz"
    shutil.copyfile(CONFIGS / "shapes.npz", moved)
    again = planned(tmp_path / "exp", 8, **world(moved))
    assert again.manifest.key == loop.manifest.key


@pytest.mark.long
def test_runs_come_nearer_to_their_twins_again_when_the_pushing_stops(tmp_path: Path) -> None:
    changes = dict(world(CONFIGS / "shapes.npz", (3, 5), 24))
    changes |= {
        "networks": [["Steered", "MicroTerse"], ["Steered", "MicroVerbose"]],
        "seeds": [1, 2, 3, 4],
    }
    one = planned(tmp_path, 32, **changes)
    one.work(RUNS, EMBEDDINGS, METRICS)
    merge([one.paths.root], one.paths.dataset, MergeOptions(allow_missing=True))
    with panic_hpc.open(one.paths.dataset) as dataset:
        terse, verbose = responses(dataset, "twin.MicroImage")
    during = [max(p.mean for p in curve.points if p.is_steered) for curve in (terse, verbose)]
    late = [
        np.mean([p.mean for p in curve.points if p.iteration > 8]) for curve in (terse, verbose)
    ]
    # Which of the two comes back further differs from one set of prompts to the next.
    assert all(after < 0.8 * pushed for after, pushed in zip(late, during, strict=True))
