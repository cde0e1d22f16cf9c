"""The activations stage: pictures made again, what their layers give, and what is fitted of it."""

import os
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from experiments import Planned, planned, stage_named

import panic_hpc
from panic_hpc.errors import ConfigError, ConflictError, Interrupted, PanicError
from panic_hpc.merging.assembling import MergeOptions
from panic_hpc.models.steering.prototypes import to_bytes
from panic_hpc.stages.activations.calls_again import Again
from panic_hpc.stages.activations.prototypes import fit
from panic_hpc.stages.activations.stage import _differs
from panic_hpc.stages.merge.experiments import merge
from panic_hpc.store.checks.verify import verify_file
from panic_hpc.store.results.activations import ACTIVATIONS
from panic_hpc.types import RUNS

pytestmark = pytest.mark.compute

SHAPES = Path(__file__).parents[2] / "configs" / "experiments" / "shapes.npz"
COLOURS = ("red", "green", "blue", "purple")
PROMPTS: list[dict[str, str]] = [
    {
        "text": f"there is one large {colour} {shape} in the centre on a white background",
        "group": shape,
    }
    for shape in ("circle", "square")
    for colour in COLOURS
]
WORLD: Mapping[str, Any] = {
    "networks": [["MicroDiffusion", "MicroTerse"]],
    "prompts": PROMPTS,
    "seeds": [1],
    "embedding_models": [],
    "max_length": 3,
    "models": {"MicroDiffusion": {"batch_size": 4}, "MicroTerse": {"batch_size": 4}},
    "loop_stop": False,
    "stages": {ACTIVATIONS: {"models": ["MicroDiffusion"], "locations": ["ca", "text"]}},
}


def worked(root: Path, runs_per_shard: int) -> Planned:
    one = planned(root, runs_per_shard, **WORLD)
    one.work(RUNS, ACTIVATIONS)
    return one


def fitted(one: Planned) -> bytes:
    dataset = one.paths.dataset
    if not dataset.exists():
        merge([one.paths.root], dataset, MergeOptions())
    with panic_hpc.open(dataset) as opened:
        return to_bytes(fit(opened, ("circle", "square")).prototypes)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Planned:
    """An experiment of one shard."""
    return worked(tmp_path_factory.mktemp("whole"), 8)


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Planned:
    """The same of two shards."""
    return worked(tmp_path_factory.mktemp("parts"), 4)


def test_merged_shards_give_the_prototypes_of_the_whole_to_the_bit(
    whole: Planned, parts: Planned
) -> None:
    assert whole.digests(ACTIVATIONS) == parts.digests(ACTIVATIONS)
    assert fitted(whole) == fitted(parts)
    assert verify_file(parts.paths.dataset).findings == ()


def test_every_picture_of_a_run_is_heard_at_every_place_of_the_locations(whole: Planned) -> None:
    fitted(whole)
    with panic_hpc.open(whole.paths.dataset) as dataset:
        own = dataset.result(ACTIVATIONS, "MicroDiffusion").of_run(3)
        places = set(
            zip(*(own[n].tolist() for n in ("step", "location", "layer", "pass")), strict=True)
        )
        expected = {(step, 1, layer, p) for step in (0, 2) for layer in range(4) for p in range(8)}
        expected |= {(step, 3, layer, 0) for step in (0, 2) for layer in range(2)}
        assert places == expected
        assert own["differing"].tolist() == [0]
        assert np.all(np.diff(own["offsets"]) == 128)


def test_an_interrupted_shard_goes_on_and_hears_the_same(whole: Planned, tmp_path: Path) -> None:
    one = planned(tmp_path, 8, **WORLD)
    one.work(RUNS)
    asked = iter(["", "time is up"])
    stage = stage_named(ACTIVATIONS)
    [shard] = stage.shards(one.manifest)
    with pytest.raises(Interrupted):
        stage.execute(one.context(should_stop=lambda margin: next(asked)), shard)
    assert one.paths.checkpoint(shard).exists()
    one.work(ACTIVATIONS)
    assert one.digests(ACTIVATIONS) == whole.digests(ACTIVATIONS)


def test_a_kill_of_steered_runs_or_of_their_listening_changes_nothing(
    whole: Planned, tmp_path: Path
) -> None:
    listening = planned(tmp_path / "listening", 8, **WORLD)
    listening.work(RUNS)
    killed(listening, ACTIVATIONS)
    assert listening.digests(ACTIVATIONS) == whole.digests(ACTIVATIONS)
    steering = {"prototypes": str(SHAPES), "strength": 2.0, "layers": [3], "iterations": [1, 1]}
    steered = {"MicroDiffusion": {"batch_size": 4, "steering": steering}}
    world = {**WORLD, "stages": {}, "models": {**WORLD["models"], **steered}}
    undisturbed = planned(tmp_path / "undisturbed", 8, **world)
    undisturbed.work(RUNS)
    disturbed = planned(tmp_path / "disturbed", 8, **world)
    killed(disturbed, RUNS)
    assert disturbed.digests(RUNS) == undisturbed.digests(RUNS)
    # It was steered: or else the same bits would be no news.
    assert not set(undisturbed.digests(RUNS)) & set(whole.digests(RUNS))


def killed(one: Planned, stage: str) -> None:
    """Have a stage killed after its first call or two, and work it to its end."""
    if (child := os.fork()) == 0:
        asked = iter(["", ""])

        def should_stop(margin: float) -> str:
            if next(asked, None) is None:
                os.kill(os.getpid(), signal.SIGKILL)
            return ""

        try:
            one.work(stage, should_stop=should_stop)
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    assert list(one.paths.root.glob("checkpoints/*")), "nothing had been done"
    one.work(stage)


def test_a_picture_that_comes_out_otherwise_ends_the_work_on_the_same_numerics_class() -> None:
    class Made:
        value = np.zeros((2, 2, 3), np.uint8)

    call = Again(4, range(6, 9), {}, {7: np.ones((2, 2, 3), np.uint8)})
    assert _differs(call, 7, Made, must_agree=False)
    assert not _differs(call, 8, Made, must_agree=True)
    with pytest.raises(ConflictError, match="run 7 of the shard at step 4 comes out otherwise"):
        _differs(call, 7, Made, must_agree=True)


def test_a_fit_says_what_there_is(whole: Planned) -> None:
    fitted(whole)
    with panic_hpc.open(whole.paths.dataset) as dataset:
        found = fit(dataset, ("circle", "square"))
        assert found.prototypes.header.n_prompts == (4, 4)
        assert found.prototypes.header.source == dataset.content_key
        assert set(found.separations) == set(found.prototypes.places)
        assert {one.n for one in found.separations.values()} == {8}
        with pytest.raises(PanicError, match="No prompt is of group 'cirle'"):
            fit(dataset, ("cirle", "square"))
        with pytest.raises(PanicError, match="'Micro' was not captured"):
            fit(dataset, ("circle", "square"), "Micro")


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        (
            {"stages": {ACTIVATIONS: {"models": ["MicroTerse"]}}},
            "picture models of diffusers, diffusers_edit",
        ),
        ({"stages": {ACTIVATIONS: {"models": ["MicroTurbo"]}}}, "no network has it"),
        ({"stages": {ACTIVATIONS: {"models": []}}}, "at least one is needed"),
        (
            {"stages": {ACTIVATIONS: {"models": ["MicroDiffusion"], "locations": ["attn"]}}},
            "'ffn', 'ca', 'block' or 'text' was expected",
        ),
    ],
)
def test_what_cannot_be_captured_is_told_when_it_is_planned(
    changes: dict[str, Any], told: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError) as error:
        planned(tmp_path, **{**WORLD, **changes})
    assert told in "; ".join(error.value.problems)
