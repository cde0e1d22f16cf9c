"""Moondream 2 and 3: captioners whose classes are code of their own repositories.

The code that runs is that of the commit which was planned, and no other: a class that lies in
another repository is refused. An experiment has to ask for it (`allow_remote_code = true`).
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from panic_hpc.errors import ModelError
from panic_hpc.models.base import Output
from panic_hpc.models.settings import settings_of
from panic_hpc.models.torch_setup import Dtype, quiet_loaders, torch_for
from panic_hpc.models.weights import find_weights
from panic_hpc.types import IMAGE, TEXT, ModelEntry, ModelSpec


class MoondreamSettings(BaseModel):
    """What a Moondream may be told: `length` is how much it is to say, `max_new_tokens` a limit."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    # Images are captioned one after the other whatever it is: the code takes no batches.
    batch_size: int = Field(1, ge=1, le=1024)
    dtype: Dtype = "bfloat16"
    length: Literal["short", "normal", "long"] = "normal"
    max_new_tokens: int = Field(1024, ge=1, le=8192)


class Moondream:
    """A captioner at temperature 0; it counts no tokens, so no output is ever flagged as cut."""

    def __init__(self, spec: ModelSpec) -> None:
        self.spec = spec
        self.settings = settings_of(spec, MoondreamSettings)
        self.details: dict[str, Any] = {}

    def load(self, device: str) -> None:
        """Run the repository's code and load its weights; ModelError where any of them lacks."""
        torch = torch_for(device)
        quiet_loaders()
        folder = Path(find_weights(self.spec).source)
        kind, config = _class_and_config(folder, self.spec)
        # Not from_pretrained: it makes a model without memory first, and code that does not know of
        # it leaves tables that it computes itself unfilled, without a word (garbage for captions).
        model = kind(config)
        _fill(model, folder, self.spec, getattr(torch, self.settings.dtype))
        self._torch, self._model = torch, model.to(device).eval()
        self.details = {"model": kind.__name__}

    def generate(self, inputs: Sequence[Any], seeds: Sequence[int]) -> list[Output]:
        """Return a caption for each image; `seeds` decide nothing at temperature 0."""
        return [Output(self._caption(pixels)) for pixels in inputs]

    def _caption(self, pixels: Any) -> str:
        from PIL import Image

        limits = {"temperature": 0.0, "max_tokens": self.settings.max_new_tokens}
        with self._torch.inference_mode():
            told = self._model.caption(
                Image.fromarray(pixels), length=self.settings.length, settings=limits
            )
        return str(told["caption"]).strip()


def _class_and_config(folder: Path, spec: ModelSpec) -> tuple[Any, Any]:
    from transformers import AutoConfig
    from transformers.dynamic_module_utils import get_class_from_dynamic_module

    # From the file, before any of the code that it names has run.
    classes = json.loads((folder / "config.json").read_text(encoding="utf-8")).get("auto_map") or {}
    if "AutoModelForCausalLM" not in classes:
        raise ModelError(f"{spec.name} has no code of its own: {folder}/config.json names no class")
    # "repository--module.Class" is code that no commit of this experiment pins.
    if foreign := [where for where in classes.values() if "--" in str(where)]:
        raise ModelError(f"Code of {spec.name} lies in another repository ({foreign[0]})")
    config = AutoConfig.from_pretrained(folder, trust_remote_code=True, local_files_only=True)
    where = classes["AutoModelForCausalLM"]
    return get_class_from_dynamic_module(where, folder, local_files_only=True), config


def _fill(model: Any, folder: Path, spec: ModelSpec, dtype: Any) -> None:
    """Put the checkpoint's weights into a model; ModelError where one of them is not there."""
    from safetensors.torch import load_file

    wanted, filled = set(model.state_dict()), set[str]()
    for path in sorted(folder.glob("*.safetensors")):
        state = {name: value.to(dtype) for name, value in load_file(path).items()}
        model.load_state_dict(state, strict=False, assign=True)
        filled |= set(state)
    if missing := sorted(wanted - filled):
        raise ModelError(
            f"The checkpoint of {spec.name} lacks {len(missing)} weights, {missing[0]} first",
            hint="Is it of the revision that its code belongs to?",
        )


class MoondreamFamily:
    """The family of Moondream's checkpoints."""

    name = "moondream"
    settings = MoondreamSettings
    entries: tuple[ModelEntry, ...] = ()
    runs_repository_code = True

    def build(self, spec: ModelSpec) -> Moondream:
        """Return the captioner that `spec` names, not loaded yet."""
        return Moondream(spec)

    def modalities(self, settings: BaseModel) -> tuple[str, str]:
        """Return image and text."""
        return IMAGE, TEXT


PLUGINS = (MoondreamFamily(),)
