"""Workflows on a ComfyUI that is there: jobs of nodes that need no model, bit for bit.

PANIC_HPC_TEST_COMFYUI=http://127.0.0.1:8188 says where it is.
"""

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from little_experiment import run_command
from PIL import Image

import panic_hpc
from panic_hpc.models.base import Turn
from panic_hpc.models.families.comfyui import ComfyModel
from panic_hpc.types import IMAGE, TEXT, ModelSpec

URL = os.environ.get("PANIC_HPC_TEST_COMFYUI", "")

pytestmark = pytest.mark.skipif(
    not URL, reason="needs a ComfyUI at PANIC_HPC_TEST_COMFYUI=http://HOST:PORT"
)

SIDE = 16

# A picture of one colour, the seed, pasted beside one that was uploaded and inverted.
WORKFLOW: dict[str, Any] = {
    "1": {
        "class_type": "EmptyImage",
        "inputs": {"width": SIDE, "height": SIDE, "batch_size": 1, "color": 0},
        "_meta": {"title": "Plain"},
    },
    "2": {
        "class_type": "LoadImage",
        "inputs": {"image": "example.png"},
        "_meta": {"title": "Load Object"},
    },
    "3": {
        "class_type": "ImageInvert",
        "inputs": {"image": ["2", 0]},
        "_meta": {"title": "Inverted"},
    },
    "4": {
        "class_type": "ImageCompositeMasked",
        "inputs": {
            "destination": ["1", 0],
            "source": ["3", 0],
            "x": 0,
            "y": 0,
            "resize_source": False,
        },
        "_meta": {"title": "Both"},
    },
    "5": {
        "class_type": "SaveImage",
        "inputs": {"images": ["4", 0], "filename_prefix": "panic-hpc-test"},
        "_meta": {"title": "Save"},
    },
}


def picture(seed: int) -> np.ndarray:
    # Black and white alone: nodes compute in float32, and how the rest is rounded is their own.
    bits = np.random.default_rng(seed).integers(0, 2, (SIDE, SIDE // 2, 3), dtype=np.uint8)
    return 255 * bits


def expected(colour: int, uploaded: np.ndarray) -> np.ndarray:
    found = np.empty((SIDE, SIDE, 3), np.uint8)
    found[:] = [colour >> 16, colour >> 8 & 255, colour & 255]
    found[:, : SIDE // 2] = 255 - uploaded
    return found


def settings(**changes: Any) -> dict[str, Any]:
    return {
        "workflow": json.dumps(WORKFLOW),
        "seed": "Plain.color",
        "max_seed": 2**24 - 1,
        "pictures": {"Load Object": "Object"},
        "output": "Save",
        "server": URL,
        **changes,
    }


def test_four_jobs_side_by_side_have_their_own_pictures_bit_for_bit() -> None:
    model = ComfyModel(ModelSpec("Flow", "comfyui", TEXT, IMAGE, "", "", "", 4, settings()))
    model.load("cpu")
    assert {"comfyui_version", "python_version"} <= set(model.versions)
    pictures, seeds = [picture(k) for k in range(4)], [0, 0xFF00FF, 0x00FF00, 2**24 + 0xFF]
    turns = [Turn(0, "", {"Object": one}) for one in pictures]
    for output, seed, one in zip(
        model.generate([""] * 4, seeds, turns), seeds, pictures, strict=True
    ):
        assert output.problem == ""
        assert np.array_equal(output.value, expected(seed % 2**24, one))


def test_a_workflow_that_the_server_refuses_is_the_item_s_failure() -> None:
    broken = json.loads(json.dumps(WORKFLOW))
    broken["4"]["class_type"] = "NoSuchNode"
    told = settings(workflow=json.dumps(broken))
    model = ComfyModel(ModelSpec("Flow", "comfyui", TEXT, IMAGE, "", "", "", 1, told))
    model.load("cpu")
    (output,) = model.generate([""], [1], [Turn(0, "", {"Object": picture(1)})])
    assert output.value is None
    assert "refused: 400" in output.problem


def test_an_experiment_is_planned_made_and_merged(tmp_path: Path) -> None:
    (tmp_path / "flow.json").write_text(json.dumps(WORKFLOW))
    (tmp_path / "in").mkdir()
    for k in range(2):
        Image.fromarray(picture(k)).save(tmp_path / "in" / f"{k}.png")
    flow = settings(workflow="flow.json", batch_size=2, pictures={"Load Object": "image"})
    experiment = {
        "inputs": "in",
        "seeds": [3],
        "networks": [["Flow"]],
        "max_length": 1,
        "models": {"Flow": {"family": "comfyui", **flow}},
    }
    (tmp_path / "e.json").write_text(json.dumps(experiment))
    run_command("plan", tmp_path / "e.json", tmp_path / "E")
    run_command("submit", tmp_path / "E", "--executor", "inline")
    with panic_hpc.open(tmp_path / "E" / "dataset.h5") as dataset:
        for k in range(2):
            assert np.array_equal(dataset.image(k, 0)[:, : SIDE // 2], 255 - picture(k))
