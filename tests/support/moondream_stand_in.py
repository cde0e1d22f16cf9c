"""A repository that is laid out as Moondream's: code, weights, and a table of its own."""

import json
from pathlib import Path

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
