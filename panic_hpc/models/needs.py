"""Libraries that some models need and the compute extra does not bring, found without imports."""

import json
from collections.abc import Iterable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from panic_hpc.errors import ModelError
from panic_hpc.models.pipelines.classes import pipeline_class

MODULES = {"beautifulsoup4": "bs4"}
"""What a distribution is imported as, where that is another name."""

BY_MODEL_TYPE: Mapping[str, tuple[str, ...]] = {
    # Their processors load a part for videos, whatever they are given, and that is torchvision's.
    "qwen2_5_vl": ("torchvision",),
    "qwen3_vl": ("torchvision",),
    "gemma4": ("torchvision",),
    "internvl": ("torchvision",),
    "smolvlm": ("torchvision", "num2words"),
    # LLaVA and Mistral 3 of Pixtral's tower: PixtralProcessor.
    "pixtral": ("torchvision",),
    "dinov3_vit": ("torchvision",),
    "gemma3n": ("timm",),
}
"""What models of transformers 5.23 need, by the model_type in their config.json."""


def needs_of_config(config: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the distributions that a checkpoint with this config.json needs besides torch."""
    parts = [config, *(part for part in config.values() if isinstance(part, Mapping))]
    found = (BY_MODEL_TYPE.get(str(part.get("model_type")), ()) for part in parts)
    return tuple(dict.fromkeys(name for names in found for name in names))


def needs_of_folder(folder: Path) -> tuple[str, ...]:
    """Return what the checkpoint in `folder` needs besides torch; nothing where there is none."""
    kind = str(_object_in(folder / "model_index.json").get("_class_name", ""))
    return (*needs_of_config(_object_in(folder / "config.json")), *pipeline_class(kind).needs)


def _object_in(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_bytes())
    # A checkpoint that is not there, or not whole, is told where it is loaded.
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


def not_installed(distributions: Iterable[str]) -> list[str]:
    """Return those of some distributions that cannot be imported here; none is."""
    return [name for name in distributions if find_spec(MODULES.get(name, name)) is None]


def require_installed(model: str, distributions: Iterable[str]) -> None:
    """Raise ModelError that names each library which `model` needs and this environment lacks."""
    if absent := not_installed(distributions):
        raise ModelError(
            f"{model} needs {' and '.join(absent)}, not installed here",
            hint=f"pip install {' '.join(absent)}",
        )
