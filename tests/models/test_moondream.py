"""Moondream's family, with a stand-in repository that has code, weights and a table of its own."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from panic_hpc.errors import ModelError
from panic_hpc.models.folder_digest import folder_digest
from panic_hpc.models.loading import load
from panic_hpc.types import ModelSpec

pytestmark = pytest.mark.compute

# As Moondream's own: a class of its own, a table that it computes itself and keeps out of the
# checkpoint, and none of what transformers 5 expects of a model.
CODE = """
import torch
from transformers import PretrainedConfig, PreTrainedModel

class SmallConfig(PretrainedConfig):
    model_type = "small_moondream"

class SmallMoondream(PreTrainedModel):
    config_class = SmallConfig

    def __init__(self, config):
        super().__init__(config)
        self.scale = torch.nn.Linear(3, 2)
        self.register_buffer("table", torch.arange(4.0), persistent=False)

    def caption(self, image, length, settings):
        pixel = torch.tensor(image.resize((1, 1)).getpixel((0, 0)), dtype=self.scale.weight.dtype)
        grey, table = self.scale(pixel).sum().item(), self.table.sum().item()
        return {"caption": f" {length} {grey:.4g} {table} {settings['max_tokens']} "}
"""


def repository(folder: Path, lacking: str = "") -> Path:
    """Write a repository as Moondream's is laid out."""
    import torch
    from safetensors.torch import save_file

    folder.mkdir()
    (folder / "modeling.py").write_text(CODE)
    auto = {"AutoConfig": "modeling.SmallConfig", "AutoModelForCausalLM": "modeling.SmallMoondream"}
    config = {"model_type": "small_moondream", "auto_map": auto}
    (folder / "config.json").write_text(json.dumps(config))
    weights = {"scale.weight": torch.ones(2, 3), "scale.bias": torch.zeros(2)}
    kept = {name: value for name, value in weights.items() if name != lacking}
    save_file(kept, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


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
