"""Checkpoints of full-size architectures with random weights, for timings: nothing is downloaded.

Sizes are those of the published configurations. Random weights take the time of trained ones: a
picture is denoised in as many steps, and a caption of random weights never ends before its limit.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from full_size import captioners, pipelines


class FullSize(NamedTuple):
    """A model to be timed.

    family: of panic_hpc, which loads it.
    save: saves it into a folder, at full size or tiny.
    settings: what the family is told at full size.
    tiny: what it is told in place of that where the model is tiny.
    """

    family: str
    save: Callable[[Path, bool], None]
    settings: Mapping[str, Any]
    tiny: Mapping[str, Any]


_SQUARE = {"height": 512, "width": 512}
_SMALL = {"height": 16, "width": 16}

PIPELINES = {
    "SDXLTurbo": FullSize(
        "diffusers", pipelines.sdxl_turbo, {"steps": 1, "guidance": 0.0, **_SQUARE}, _SMALL
    ),
    "SD35Medium": FullSize("diffusers", pipelines.sd35_medium, {"steps": 28, **_SQUARE}, _SMALL),
    "Flux2Klein": FullSize("diffusers", pipelines.flux2_klein, {"steps": 4, **_SQUARE}, _SMALL),
    "Flux1Schnell": FullSize(
        "diffusers",
        pipelines.flux_schnell,
        {"steps": 4, "max_sequence_length": 256, **_SQUARE},
        _SMALL,
    ),
}
_CHAT = {"prompt": "Describe this image.", "max_new_tokens": 100, "image_side": 512}
_COMPILED = {**_CHAT, "compile": True}
_FEW = {"max_new_tokens": 4, "image_side": 56}

CAPTIONERS = {
    "BLIPLarge": FullSize(
        "transformers", captioners.blip_large, {"max_new_tokens": 50}, {"max_new_tokens": 4}
    ),
    "Qwen25VL3B": FullSize("transformers", captioners.qwen25_vl_3b, _CHAT, _FEW),
    "Qwen25VL7B": FullSize("transformers", captioners.qwen25_vl_7b, _CHAT, _FEW),
    "Qwen25VL3BCompiled": FullSize("transformers", captioners.qwen25_vl_3b, _COMPILED, _FEW),
    "Qwen25VL7BCompiled": FullSize("transformers", captioners.qwen25_vl_7b, _COMPILED, _FEW),
}
EMBEDDINGS = {
    "BertBase": FullSize(
        "sentence_transformers", captioners.text_embedding, {"max_tokens": 128}, {"max_tokens": 16}
    ),
}
MODELS = {**PIPELINES, **CAPTIONERS, **EMBEDDINGS}
