"""Any image→text checkpoint of transformers, by repository and revision or by folder."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from panic_hpc.models import builtin
from panic_hpc.models.captioner import Captioner
from panic_hpc.models.settings import AddedLater, settings_of
from panic_hpc.models.torch_setup import Dtype
from panic_hpc.types import IMAGE, TEXT, ModelSpec


class CaptionerSettings(BaseModel):
    """What a captioner may be told.

    `prompt` is what a model is asked about each image, "" for models that are not asked; `system`
    is what a chat model is told before. `image_side` resizes images to a square before the model's
    own processor, which is made with the arguments in `processor` (max_pixels, max_patches …).
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    batch_size: int = Field(1, ge=1, le=1024)
    dtype: Dtype = "float32"
    # Too few for long answers, but what is cut is flagged. Upstream found 18 to 90 % of some
    # models' captions cut at 100 to 128 tokens.
    max_new_tokens: int = Field(128, ge=1, le=8192)
    prompt: str = ""
    image_side: int | None = Field(None, ge=8, le=8192, description="pixels")
    # Which SDPA kernel runs depends on the mask, so it is part of what decides the bits.
    attention: Literal["default", "sdpa", "eager"] = "default"
    system: Annotated[str, AddedLater("")] = ""
    # Beams draw nothing either: the seed of the image model stays the only randomness.
    num_beams: Annotated[int, AddedLater(1), Field(ge=1, le=64)] = 1
    # A cache of fixed length and, on a GPU, a decode step compiled into CUDA graphs: 3 to 6 times
    # as fast, and other kernels, so other bits. Only for classes that support it.
    compile: Annotated[bool, AddedLater(False)] = False
    processor: Annotated[dict[str, bool | int | float | str], AddedLater({})] = Field(
        default_factory=dict
    )


class TransformersCaptioner:
    """The family of image→text checkpoints."""

    name = "transformers"
    settings = CaptionerSettings
    entries = builtin.entries("captioner", CaptionerSettings.model_fields)

    def build(self, spec: ModelSpec) -> Captioner:
        """Return the captioner that `spec` names, not loaded yet."""
        return Captioner(spec, settings_of(spec, CaptionerSettings))

    def modalities(self, settings: BaseModel) -> tuple[str, str]:
        """Return image and text."""
        return IMAGE, TEXT


PLUGINS = (TransformersCaptioner(),)
