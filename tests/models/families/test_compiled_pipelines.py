"""Pipelines whose denoiser and VAE are compiled: which parts these are, and that they are whole.

torch traces them here without writing kernels (its backend "eager"), so that bits stay.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from class_contract import MARKS, spec_of
from tiny_checkpoints.classes import all_classes

from panic_hpc.errors import ModelError
from panic_hpc.models.families.diffusers import Diffusers, DiffusersSettings
from panic_hpc.models.loading import load
from panic_hpc.models.pipelines import compiling
from panic_hpc.models.pipelines.compiling import compilable_parts, compile_parts
from panic_hpc.models.settings import identity_of

pytestmark = MARKS
PROMPTS, SEEDS = ["a red fox", "the moon over a quiet harbour"], [1, 2]


@pytest.fixture(autouse=True)
def _fresh_dynamo() -> Any:
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


def loaded(tmp_path: Path, name: str, **changes: Any) -> Any:
    tiny = all_classes()[name]
    return load(spec_of(tiny, tiny.save(tmp_path / name), **changes), "cpu")


def drawn(model: Any) -> np.ndarray:
    return np.stack([output.value for output in model.generate(PROMPTS, SEEDS)])


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        pytest.param("sdxl_turbo", ["unet", "vae.decoder"], marks=pytest.mark.long),
        pytest.param("flux", ["transformer", "vae.decoder"], marks=pytest.mark.long),
    ],
)
def test_compiled_parts_draw_the_same_whatever_shapes_they_saw(
    tmp_path: Path, name: str, parts: list[str]
) -> None:
    model = loaded(tmp_path, name, compile=True)
    before = drawn(model)
    assert compile_parts(name, model._pipeline, torch, backend="eager") == parts
    assert np.array_equal(drawn(model), before)
    model._trial(model._arguments)
    assert np.array_equal(drawn(model), before)
    counted = torch._dynamo.utils.counters
    assert counted["stats"]["unique_graphs"] >= len(parts)
    assert not counted["graph_break"]


def test_more_shapes_than_are_compiled_end_the_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = loaded(tmp_path, "sdxl_turbo", compile=True)
    monkeypatch.setattr(compiling, "MAX_SHAPES", 1)
    compile_parts("tiny", model._pipeline, torch, backend="eager")
    drawn(model)
    with pytest.raises(torch._dynamo.exc.FailOnRecompileLimitHit):
        model._trial(model._arguments)


def test_a_pipeline_without_a_denoiser_is_refused() -> None:
    class Prior:
        pass

    with pytest.raises(ModelError, match="cannot be compiled: Prior has none of unet, transformer"):
        compilable_parts("M", Prior())


def test_compile_is_part_of_the_identity_where_it_is_on() -> None:
    off, on = (DiffusersSettings.model_validate({"compile": value}) for value in (False, True))
    assert "compile" not in identity_of(off)
    assert identity_of(on)["compile"] is True
    # A pipeline is compiled in place: one that is not must not take it over.
    assert "compile" in Diffusers.weight_settings
