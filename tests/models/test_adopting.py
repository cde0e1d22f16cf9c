"""A sweep's cells load their weights once, and give what they would give by themselves."""

from typing import Any

import numpy as np
import pytest
import torch

from panic_hpc.errors import ModelError
from panic_hpc.experiment import catalogue
from panic_hpc.experiment.config import Experiment
from panic_hpc.models import loading
from panic_hpc.models.pipelines.diffusers_model import DiffusersModel
from panic_hpc.models.pipelines.parts import load_pipeline
from panic_hpc.models.pipelines.trial import Tried
from panic_hpc.planning.plan import make_plan
from panic_hpc.types import ModelSpec

PROMPTS = ["two red circles on grey"] * 8
SEEDS = list(range(8))


def cells(**table: Any) -> list[ModelSpec]:
    experiment = Experiment.model_validate(
        {
            "networks": [["Swept"]],
            "prompts": ["p"],
            "max_length": 1,
            "models": {"Swept": {"base": "MicroTurbo", **table}},
        }
    )
    return [network.models[0] for network in make_plan(experiment, catalogue.load()).networks]


@pytest.fixture
def loads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Note which pipelines are read from disk."""
    loading.load_all([], "cpu")
    found: list[str] = []

    def noted(spec: ModelSpec, *given: Any, **options: Any) -> Any:
        found.append(spec.name)
        return load_pipeline(spec, *given, **options)

    monkeypatch.setattr("panic_hpc.models.pipelines.diffusers_model.load_pipeline", noted)
    return found


def drawn(model: Any) -> np.ndarray:
    return np.stack([output.value for output in model.generate(PROMPTS, SEEDS)])


def test_weights_are_loaded_once_for_all_cells_and_bits_are_those_of_a_fresh_model(
    loads: list[str],
) -> None:
    specs = cells(guidance=[1.0, 3.0], negative_prompt=["", "blue"])[1:]
    specs = [spec for spec in specs if spec.settings["guidance"] > 1]
    shared = [drawn(loading.load_all([spec], "cpu")[0]) for spec in [*specs, specs[0]]]
    assert len(loads) == 1
    fresh = [drawn(loading.load(spec, "cpu")) for spec in specs]
    assert np.array_equal(shared[0], fresh[0])
    assert np.array_equal(shared[1], fresh[1])
    assert np.array_equal(shared[2], shared[0])
    assert not np.array_equal(shared[0], shared[1])


def test_another_precision_is_loaded_anew(loads: list[str]) -> None:
    for spec in cells(dtype=["float32", "bfloat16"]):
        loading.load_all([spec], "cpu")
    assert len(loads) == 2


def test_a_setting_that_the_pipeline_ignores_is_refused_in_a_later_cell_too() -> None:
    specs = cells(negative_prompt=["", "blue"], guidance=1.0)
    loading.load_all(cells(guidance=2.0), "cpu")
    with pytest.raises(ModelError, match="negative_prompt has no effect"):
        loading.load_all([specs[1]], "cpu")


@pytest.fixture
def trials(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Note what pictures are asked for when models are tried."""
    loading.load_all([], "cpu")
    found: list[dict[str, Any]] = []
    trial = DiffusersModel._trial

    def noted(self: DiffusersModel, arguments: dict[str, Any]) -> Any:
        found.append(dict(arguments))
        return trial(self, arguments)

    monkeypatch.setattr(DiffusersModel, "_trial", noted)
    return found


def test_what_one_cell_showed_is_not_drawn_for_the_next(trials: list[dict[str, Any]]) -> None:
    for spec in cells(guidance=[2.0, 3.0, 4.0], steps=[2, 4]):
        loading.load_all([spec], "cpu")
    # Of the first: its own, and one of another guidance.
    assert [asked["guidance_scale"] for asked in trials] == [2.0, 5.0]
    loading.load_all(cells(guidance=2.0, negative_prompt="blue"), "cpu")
    # That the negative prompt matters is told by the first cell, which had none.
    found = [(asked["negative_prompt"], asked["guidance_scale"]) for asked in trials[2:]]
    assert found == [("blue", 2.0), ("blue", 5.0)]


def test_a_later_cell_of_another_size_is_drawn(
    trials: list[dict[str, Any]],
) -> None:
    loading.load_all(cells(height=32), "cpu")
    loading.load_all(cells(height=64), "cpu")
    assert [asked["height"] for asked in trials] == [32, 32, 64, 64]
    with pytest.raises(ValueError, match="divisible by 8"):
        loading.load_all(cells(height=34), "cpu")


def test_a_model_loaded_anew_is_tried_anew(trials: list[dict[str, Any]]) -> None:
    loading.load(cells()[0], "cpu")
    before = len(trials)
    loading.load(cells()[0], "cpu")
    assert len(trials) == 2 * before > 0


def test_two_pictures_of_the_same_do_not_tell_of_a_third_argument() -> None:
    tried, dark, light = Tried(), torch.zeros(1, 3, 2, 2), torch.ones(1, 3, 2, 2)
    tried.note({"guidance_scale": 1.0, "steps": 1}, dark)
    tried.note({"guidance_scale": 2.0, "steps": 2}, light)
    tried.note({"guidance_scale": 0.0, "steps": 1}, dark)
    asked = {"guidance_scale": 5.0, "steps": 1}
    assert not tried.matters("guidance_scale", asked)
    tried.note({"guidance_scale": 2.0, "steps": 1}, light)
    assert tried.matters("guidance_scale", asked)
    assert not tried.matters("guidance_scale", {**asked, "steps": 2})
