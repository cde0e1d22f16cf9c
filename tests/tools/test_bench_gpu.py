"""The GPU benchmark, run whole on the CPU with models of a few kilobytes: what it would tell."""

import json
from pathlib import Path

import bench_gpu
import full_size
import pytest

pytestmark = [
    pytest.mark.compute,
    # diffusers' Euler schedulers make numpy arrays of tensors.
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
]


@pytest.mark.long
def test_every_part_is_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # The benchmark sets it for itself, and this process goes on.
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    out = tmp_path / "out.json"
    given = ["--tiny", "--compile", "--device", "cpu", "--batches", "1,2", "--steps", "2"]
    models = ["--models", "SDXLTurbo", "BLIPLarge", "BertBase"]
    result = bench_gpu.main([*given, *models, "--out", str(out)])
    assert json.loads(out.read_text()) == result
    assert [one["model"] for one in result["checks"]] == models[1:]
    assert all(one["outcomes"] for one in result["checks"])
    assert [(one["model"], one["batch"]) for one in result["alone"]] == [
        (model, size) for model in models[1:] for size in (1, 2)
    ]
    assert all(one["items_per_s"] > 0 and one["tflop"] >= 0 for one in result["alone"])
    [pair] = result["together"]
    assert pair["stage_to_bare"] == pytest.approx(
        pair["bare_steps_per_hour"] / pair["steps_per_hour"], rel=0.01
    )
    assert result["two_layouts"] == [{"network": "SDXLTurbo→BLIPLarge", "runs": 8, "equal": True}]
    assert result["sticky"]["tried"] is False
    assert result["where"]["tiny"]


def test_what_cannot_be_measured_says_why_and_ends_nothing() -> None:
    def broken() -> bench_gpu.Table:
        raise ImportError("torchvision is not installed")

    assert bench_gpu.tried("Qwen at 8", broken) == {
        "what": "Qwen at 8",
        "not_measured": "ImportError: torchvision is not installed",
    }


@pytest.mark.parametrize("name", ["SD35Medium", "Flux2Klein", "Flux1Schnell"])
def test_a_pipeline_of_full_size_is_loaded_by_its_family(tmp_path: Path, name: str) -> None:
    given = ["--tiny", "--device", "cpu", "--models", name]
    options = bench_gpu.arguments(given)
    options.rate = 1.0
    checkpoints = bench_gpu.Checkpoints(tmp_path, options)
    found = bench_gpu.alone(name, 2, checkpoints, bench_gpu.Card())
    assert found["items_per_s"] > 0
    assert full_size.MODELS[name].family == "diffusers"
