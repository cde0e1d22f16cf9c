"""A scale-wise model in a folder, whole or without its weights.

config.json           the sizes (`ScalewiseConfig`)
model.safetensors     transformer.*, quantiser.*
text_encoder/         a CLIPTextModel of transformers
tokenizer/            its tokenizer
"""

from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn
from transformers import AutoTokenizer, CLIPTextConfig, CLIPTextModel

from panic_hpc.errors import ModelError
from panic_hpc.models.scalewise.bits import ScaleBits
from panic_hpc.models.scalewise.coder import PaletteCoder
from panic_hpc.models.scalewise.config import ScalewiseConfig, read_config
from panic_hpc.models.scalewise.transformer import ScalewiseTransformer, Text
from panic_hpc.models.transformers_checkpoint import load_complete, require_vocabulary
from panic_hpc.models.weights import Weights
from panic_hpc.types import ModelSpec

STATE = "model.safetensors"
TEXT_ENCODER, TOKENIZER = "text_encoder", "tokenizer"


class ScalewiseParts(nn.Module):
    """What a scale-wise model consists of, and how it reads prompts."""

    def __init__(self, config: ScalewiseConfig, text_encoder: nn.Module, tokenizer: Any) -> None:
        super().__init__()
        self.config, self.tokenizer = config, tokenizer
        self.transformer, self.coder = ScalewiseTransformer(config), PaletteCoder(config)
        self.quantiser = ScaleBits(config.scales, config.bits)
        self.text_encoder = text_encoder

    def text_of(self, prompts: list[str]) -> Text:
        """Return prompts, cut to the tokenizer's length, as the transformer reads them.

        Always as many tokens, so that no prompt's neighbours decide its bits; those behind the
        first end of text are not looked at.
        """
        limit = self.tokenizer.model_max_length
        told = {"padding": "max_length", "truncation": True, "max_length": limit}
        ids = self.tokenizer(prompts, return_tensors="pt", **told).input_ids
        ends = (ids == self.tokenizer.eos_token_id).int().argmax(1)
        device = self.transformer.positions.device
        hidden = self.text_encoder(ids.to(device)).last_hidden_state
        mask = torch.arange(ids.shape[1]) <= ends[:, None]
        summary = hidden[torch.arange(len(ids), device=device), ends.to(device)]
        return Text(hidden, mask.to(device), summary)


def load_parts(spec: ModelSpec, weights: Weights, dtype: torch.dtype) -> ScalewiseParts:
    """Return a model's parts in host memory; ModelError names what its folder lacks."""
    folder = Path(weights.source)
    config = read_config(folder, spec.name)
    inner = Weights(str(folder / TEXT_ENCODER), weights.options)
    encoder = load_complete(CLIPTextModel, inner, spec, dtype)
    tokenizer = AutoTokenizer.from_pretrained(folder / TOKENIZER, **weights.options)
    require_vocabulary(tokenizer, f"the tokenizer of {spec.name}")
    parts = ScalewiseParts(config, encoder, tokenizer)
    _fill(parts, _read_state(folder / STATE, spec.name), spec.name)
    parts.to(dtype).eval().requires_grad_(False)
    return parts


def empty_modules(folder: Path, model: str) -> dict[str, nn.Module]:
    """Return the parts that can be steered, without weights."""
    config = read_config(folder, model)
    told = CLIPTextConfig.from_pretrained(folder / TEXT_ENCODER, local_files_only=True)
    with torch.device("meta"):
        return {"transformer": ScalewiseTransformer(config), TEXT_ENCODER: CLIPTextModel(told)}


def _read_state(path: Path, model: str) -> dict[str, Tensor]:
    try:
        return dict(load_file(path))
    except (OSError, SafetensorError) as error:
        raise ModelError(f"{model}: {path} cannot be read ({error})") from error


def _fill(parts: ScalewiseParts, state: dict[str, Tensor], model: str) -> None:
    own = {
        name: value.shape
        for name, value in parts.state_dict().items()
        if not name.startswith(f"{TEXT_ENCODER}.")
    }
    stored = {name: value.shape for name, value in state.items()}
    if wrong := sorted(name for name in own.keys() | stored if own.get(name) != stored.get(name)):
        raise ModelError(
            f"{model}: {STATE} does not fit config.json, {wrong[0]} first: "
            f"{_told(stored.get(wrong[0]))}, and {_told(own.get(wrong[0]))} is expected",
            hint="Is it a checkpoint of another kind of model?",
        )
    parts.load_state_dict(state, strict=False)


def _told(shape: torch.Size | None) -> str:
    return "nothing" if shape is None else " x ".join(map(str, shape))
