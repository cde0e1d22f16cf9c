"""Moondream's family, with a stand-in repository that has code, weights and a table of its own."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from moondream_stand_in import repository

from panic_hpc.errors import ModelError
from panic_hpc.models.folder_digest import folder_digest
from panic_hpc.models.loading import load
from panic_hpc.types import ModelSpec

pytestmark = pytest.mark.compute


def spec(folder: Path, **settings: Any) -> ModelSpec:
    values = {"dtype": "float32", "length": "normal", "max_new_tokens": 9, **settings}
    digest = folder_digest(folder)
    return ModelSpec("M", "moondream", "image", "text", "", digest, str(folder), 2, values)


@pytest.fixture(autouse=True)
def modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Copies of remote code go to the test's own folder."""
    from transformers import dynamic_module_utils

    monkeypatch.setattr(dynamic_module_utils, "HF_MODULES_CACHE", str(tmp_path / "modules"))


def test_it_captions_each_image_with_the_repositorys_code(tmp_path: Path) -> None:
    model = load(spec(repository(tmp_path / "m"), length="short"), "cpu")
    black, grey = np.zeros((8, 8, 3), np.uint8), np.full((8, 8, 3), 2, np.uint8)
    outputs = model.generate([black, grey], [1, 2])
    # The table is filled though no checkpoint has it: 0 + 1 + 2 + 3.
    assert [output.value for output in outputs] == ["short 0 6.0 9", "short 12 6.0 9"]
    assert model.details["model"] == "SmallMoondream"


def test_weights_that_the_checkpoint_lacks_are_an_error(tmp_path: Path) -> None:
    folder = repository(tmp_path / "m", lacking="scale.bias")
    with pytest.raises(ModelError, match=r"lacks 1 weights, scale\.bias first"):
        load(spec(folder), "cpu")


@pytest.mark.parametrize("key", ["AutoConfig", "AutoModelForCausalLM"])
def test_code_of_another_repository_is_refused(tmp_path: Path, key: str) -> None:
    folder = repository(tmp_path / "m")
    config = json.loads((folder / "config.json").read_text())
    config["auto_map"][key] = "somebody/else--modeling.SmallMoondream"
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(ModelError, match="lies in another repository"):
        load(spec(folder), "cpu")
