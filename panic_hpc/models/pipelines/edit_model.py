"""An image→image or inpainting pipeline of diffusers as a model, from any text→image checkpoint.

diffusers has the same weights under several classes: what is stored as a text→image pipeline is
called as its image→image or its inpainting one.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from panic_hpc.errors import ModelError
from panic_hpc.models.base import Output, Turn
from panic_hpc.models.pipelines.diffusers_model import ARGUMENTS, TRIAL_STEPS, DiffusersModel
from panic_hpc.pictures.stored import pillow_module

NO_TURN = Turn(0, "", {})
_OPAQUE = 128
"""Where a mask is at least as light, the picture is made anew."""

Pixels = NDArray[np.uint8]


class EditModel(DiffusersModel):
    """Makes a picture of a picture and a text; `settings` are those of families/diffusers_edit.py.

    Pictures and masks of another size are resized to `height` by `width`, their proportions too.
    """

    wants_turn = True
    arguments = {  # noqa: RUF012
        **{key: value for key, value in ARGUMENTS.items() if key not in ("height", "width")},
        "strength": "strength",
    }

    def generate(
        self, inputs: Sequence[Any], seeds: Sequence[int], turns: Sequence[Turn] | None = None
    ) -> list[Output]:
        """Return a picture for each input; without turns on a text of none."""
        turns = turns or [NO_TURN] * len(inputs)
        items = list(zip(inputs, turns, strict=True))
        prompts = [self._text(*item) for item in items]
        beside = self._given([self._source(*item) for item in items], turns)
        return self._outputs(prompts, seeds, beside, turns[0].iteration)

    def _text(self, value: Any, turn: Turn) -> str:
        if self.settings.instruction is not None:
            return str(self.settings.instruction)
        return str(value) if self.settings.image else turn.text

    def _source(self, value: Any, turn: Turn) -> Any:
        role = self.settings.image
        return turn.pictures.get(role, self._grey()) if role else value

    def _given(self, sources: Sequence[Pixels], turns: Sequence[Turn]) -> dict[str, Any]:
        size = (self.settings.width, self.settings.height)
        given = {"image": self._tensor([_resized(source, size) for source in sources])}
        if role := self.settings.mask:
            masks = [turn.pictures.get(role, self._grey()) for turn in turns]
            given["mask_image"] = self._tensor([_mask(mask, size) for mask in masks])
        return given

    def _tensor(self, pictures: Sequence[Pixels]) -> Any:
        """Return (B, C, H, W) in [0, 1]."""
        stacked = self._torch.from_numpy(np.stack(pictures))
        return stacked.permute(0, 3, 1, 2).float() / 255

    def _grey(self) -> Pixels:
        return np.full((self.settings.height, self.settings.width, 3), _OPAQUE, np.uint8)

    def _called(self, kind: type[Any]) -> type[Any]:
        called = edit_class(kind, is_inpainting=bool(self.settings.mask))
        if called is None:
            what = "inpainting" if self.settings.mask else "image→image"
            raise ModelError(f"{self.spec.name} is a {kind.__name__}, which has no {what} class")
        return called

    def _as_called(self, pipeline: Any, called: type[Any]) -> Any:
        return pipeline if type(pipeline) is called else called.from_pipe(pipeline)

    def _beside(self, n_items: int) -> dict[str, Any]:
        # Half black: of an even picture a pipeline may make the same with any guidance.
        half = self._grey()
        half[:, : half.shape[1] // 2] = 0
        pictures = {role: half for role in (self.settings.image, self.settings.mask) if role}
        return self._given([half] * n_items, [Turn(0, "", pictures)] * n_items)

    def _few(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        # Of `steps` only the share `strength` is made: fewer than one is refused by the pipeline.
        strength = arguments.get("strength", 1.0)
        least = math.ceil(TRIAL_STEPS / max(strength, 0.01))
        steps = arguments.get("num_inference_steps", least)
        return {**arguments, "num_inference_steps": min(steps, least)}


def edit_class(kind: type[Any], *, is_inpainting: bool) -> type[Any] | None:
    """Return the class that edits pictures with the weights of `kind`, None where there is none."""
    import inspect

    from diffusers.pipelines import auto_pipeline

    wanted = (
        auto_pipeline.AUTO_INPAINT_PIPELINES_MAPPING
        if is_inpainting
        else auto_pipeline.AUTO_IMAGE2IMAGE_PIPELINES_MAPPING
    )
    stored = auto_pipeline.AUTO_TEXT2IMAGE_PIPELINES_MAPPING
    for key, called in wanted.items():
        if kind in (stored.get(key), called):
            found: type[Any] = called
            return found
    accepted = inspect.signature(kind.__call__).parameters
    # A class that was made for editing is its own.
    return kind if ("mask_image" if is_inpainting else "image") in accepted else None


def _resized(picture: Pixels, size: tuple[int, int]) -> Pixels:
    height, width = picture.shape[:2]
    if (width, height) == size:
        return picture
    pillow = pillow_module()
    return np.asarray(pillow.fromarray(picture).resize(size, pillow.Resampling.BICUBIC))


def _mask(picture: Pixels, size: tuple[int, int]) -> Pixels:
    """Return (H, W, 1), 255 where the picture is to be made anew."""
    pillow = pillow_module()
    resized = pillow.fromarray(picture).convert("L").resize(size, pillow.Resampling.NEAREST)
    return np.where(np.asarray(resized)[:, :, None] >= _OPAQUE, 255, 0).astype(np.uint8)
