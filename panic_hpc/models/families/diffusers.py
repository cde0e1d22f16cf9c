"""Any text→image pipeline of diffusers, by repository and revision or by folder."""

import inspect
from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from panic_hpc.errors import ModelError
from panic_hpc.models import builtin
from panic_hpc.models.base import Output
from panic_hpc.models.settings import settings_of
from panic_hpc.models.tokens import Counter, counter_of_pipeline
from panic_hpc.models.torch_setup import Dtype, quiet_loaders, torch_for
from panic_hpc.models.weights import find_weights
from panic_hpc.types import IMAGE, TEXT, ModelSpec

PADS_TO_LONGEST = frozenset(
    f"{name}Pipeline"
    for name in (
        *("BriaFibo", "BriaFibo2", "CogView4", "DreamLite", "DreamLiteMobile", "ErnieImage"),
        *("GlmImage", "Kandinsky5T2I", "LongCatImage", "Lumina", "NucleusMoEImage"),
        *("QwenImage", "QwenImage21", "ZImage"),
    )
)
"""Pipelines of diffusers 0.42 whose tensors are as long as the longest prompt beside them."""


class DiffusersSettings(BaseModel):
    """What a pipeline may be told; what is left out is the pipeline's own default."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    # 1: large diffusion transformers gain 6 to 8 % from batches of 16, small ones several times as
    # much; who knows the model sets it.
    batch_size: int = Field(1, ge=1, le=1024)
    dtype: Dtype = "float32"
    steps: int | None = Field(None, ge=1, le=1000, description="denoising steps")
    guidance: float | None = Field(None, ge=0, allow_inf_nan=False)
    height: int | None = Field(None, ge=8, le=8192)
    width: int | None = Field(None, ge=8, le=8192)
    negative_prompt: str | None = None
    max_sequence_length: int | None = Field(None, ge=1, le=8192, description="tokens of a prompt")
    variant: str | None = Field(None, description="of the weight files, such as fp16")


_ARGUMENTS = {
    "steps": "num_inference_steps",
    "guidance": "guidance_scale",
    "height": "height",
    "width": "width",
    "negative_prompt": "negative_prompt",
    "max_sequence_length": "max_sequence_length",
}


class DiffusersModel:
    """A text→image pipeline; the noise of each item comes from its own generator on the CPU.

    Drawn on the CPU, the noise is the same on every card. A picture that is not finite, or that a
    safety checker has blackened, is an error and not a picture.
    """

    def __init__(self, spec: ModelSpec) -> None:
        self.spec = spec
        self.settings = settings_of(spec, DiffusersSettings)
        self.details: dict[str, Any] = {}

    def load(self, device: str) -> None:
        """Load the pipeline onto `device`; ModelError where it is no text→image pipeline."""
        self._torch = torch_for(device)
        import diffusers

        quiet_loaders()
        weights = find_weights(self.spec)
        # The whole pipeline stays on the device: cpu offload re-hooks every component after each
        # call, costs a quarter of FLUX's time and grows in RAM (diffusers#7970).
        self._pipeline = diffusers.DiffusionPipeline.from_pretrained(
            weights.source,
            dtype=getattr(self._torch, self.settings.dtype),
            # A pickle (.bin, .ckpt) runs code when it is loaded.
            use_safetensors=True,
            variant=self.settings.variant,
            **weights.options,
        ).to(device)
        self._pipeline.set_progress_bar_config(disable=True)
        self._arguments = self._checked_arguments()
        self._count: Counter = counter_of_pipeline(self._pipeline, self._max_sequence_length())
        scheduler = getattr(self._pipeline, "scheduler", None)
        self.details = {
            "pipeline": type(self._pipeline).__name__,
            "scheduler": type(scheduler).__name__,
        }

    def generate(self, inputs: Sequence[str], seeds: Sequence[int]) -> list[Output]:
        """Return a picture for each prompt and seed."""
        torch = self._torch
        # A generator an item: one for the whole batch would make an item's noise depend on its
        # slot. Schedulers that draw at each step are given the same list.
        generators = [torch.Generator("cpu").manual_seed(seed) for seed in seeds]
        arguments = {
            # Some pipelines take one negative prompt for a batch, others refuse it beside a list of
            # prompts; a list is taken by all.
            name: [value] * len(inputs) if name == "negative_prompt" else value
            for name, value in self._arguments.items()
        }
        with torch.inference_mode():
            result = self._pipeline(
                # "pt" and not "pil": uint8 is made on the device, and a quarter of the bytes cross
                # the bus.
                prompt=list(inputs),
                generator=generators,
                output_type="pt",
                **arguments,
            )
            pictures = self._pixels(result)
        counts = [self._count(text) for text in inputs]
        return [
            Output(picture, input_tokens=count.n_tokens, input_truncated=count.is_truncated)
            for picture, count in zip(pictures, counts, strict=True)
        ]

    def _pixels(self, result: Any) -> Any:
        """Return (B, H, W, 3) uint8, rounded as diffusers does, on the device until the last."""
        torch = self._torch
        if any(getattr(result, "nsfw_content_detected", None) or ()):
            raise ModelError(f"The safety checker of {self.spec.name} blackened a picture")
        # Rounding in bfloat16 would leave 8 bits of mantissa for 256 values.
        images = result.images.float()
        if not torch.isfinite(images).all():
            raise ModelError(f"{self.spec.name} gave a picture that is not finite")
        # clamp after round: VAEs overshoot [0, 1], and a cast to uint8 would wrap round.
        pixels = (images * 255).round().clamp(0, 255).to(torch.uint8)
        return pixels.permute(0, 2, 3, 1).contiguous().cpu().numpy()

    def _checked_arguments(self) -> dict[str, Any]:
        """Return the arguments of every call; ModelError for a setting that it does not take."""
        name = type(self._pipeline).__name__
        accepted = inspect.signature(self._pipeline.__call__).parameters
        # Looked up in the signature since pipelines swallow unknown arguments or raise deep inside
        # a call, after minutes of loading.
        if "prompt" not in accepted or ("image" in accepted and _is_required(accepted["image"])):
            raise ModelError(f"{self.spec.name} is a {name}, which is no text→image pipeline")
        if name in PADS_TO_LONGEST and self.spec.batch_size > 1:
            raise ModelError(
                f"{self.spec.name} is a {name}, whose batches depend on their longest prompt",
                hint=f"Set batch_size = 1 in [models.{self.spec.name}]",
            )
        wanted = {key: getattr(self.settings, key) for key in _ARGUMENTS}
        given = {key: value for key, value in wanted.items() if value is not None}
        unknown = [key for key in given if _ARGUMENTS[key] not in accepted]
        if unknown:
            raise ModelError(
                f"{self.spec.name} is a {name}, which knows no {', '.join(unknown)}",
                hint=f"Remove it from [models.{self.spec.name}]",
            )
        return {_ARGUMENTS[key]: value for key, value in given.items()}

    def _max_sequence_length(self) -> int | None:
        accepted = inspect.signature(self._pipeline.__call__).parameters
        default = accepted.get("max_sequence_length")
        if self.settings.max_sequence_length is not None or default is None:
            return self.settings.max_sequence_length
        # Pipelines cut at their own default (256 for SD3, 512 for FLUX), far below the tokenizer's
        # limit, and only log a line.
        return default.default if isinstance(default.default, int) else None


def _is_required(parameter: inspect.Parameter) -> bool:
    return parameter.default is inspect.Parameter.empty


class Diffusers:
    """The family of text→image pipelines."""

    name = "diffusers"
    settings = DiffusersSettings
    entries = builtin.entries("text_to_image", DiffusersSettings.model_fields)

    def build(self, spec: ModelSpec) -> DiffusersModel:
        """Return the pipeline that `spec` names, not loaded yet."""
        return DiffusersModel(spec)

    def modalities(self, settings: BaseModel) -> tuple[str, str]:
        """Return text and image."""
        return TEXT, IMAGE


PLUGINS = (Diffusers(),)
